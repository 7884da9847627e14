"""Localized disease: surgery with surveillance over years, or active surveillance of small silent tumours."""

from __future__ import annotations

from typing import NoReturn

from tracker.demo import advanced, incidents
from tracker.demo.journey import Journey
from tracker.demo.tumours import SMALL_MM

_RECURRENCE = {"G1": 0.06, "G2": 0.14, "G3": 0.35, "NEC": 0.55}
"""Share of suspicions in each one to two years of surveillance; about half of them are confirmed."""


def go_on(journey: Journey) -> NoReturn:
    """From localized planning to the end of the story."""
    journey.wait(2, 12)
    tumour = journey.tumour
    watched = journey.chance(0.7) if tumour.is_small_and_silent else journey.chance(0.04)
    if watched and tumour.grade in ("G1", "G2"):
        journey.move("choose_active_surveillance")
        watch(journey)
    operate_and_survey(journey)


def watch(journey: Journey) -> None:
    """Active surveillance until the tumour has grown, or the patient wants it out."""
    size = journey.tumour.size_mm
    while True:
        journey.wait(250, 600)
        size += journey.pick((0, 0, 0, 1, 1, 2, 4))
        journey.facts(tumour_size_mm=size)
        incidents.happen(journey)
        if size >= SMALL_MM + 2 or journey.chance(0.05):
            return


def operate_and_survey(journey: Journey) -> NoReturn:
    """The first operation, and the years after it."""
    operate(journey, operation(journey))
    _survey(journey)


def operate(journey: Journey, code: str, intent: str = "curative") -> None:
    """A planned operation, its report and the recovery."""
    day = journey.later(18, 50)
    journey.move("plan_line", treatment=code, intent=intent, planned_on=day.isoformat())
    journey.live_until(day)
    journey.move("start_line", treatment=code, intent=intent)
    journey.wait(4, 9)
    journey.facts(resection_margin=journey.pick(("R0",) * 6 + ("R1",)))
    journey.wait(1, 5)
    journey.move("end_line", reason="completed")
    journey.wait(4, 16)


def _survey(journey: Journey) -> NoReturn:
    """Surveillance after curative surgery until it comes back, and what follows."""
    journey.move("begin_surveillance")
    while True:
        journey.wait(300, 700)
        incidents.happen(journey)
        if journey.chance(_RECURRENCE[journey.tumour.grade]):
            _suspect(journey)


def _suspect(journey: Journey) -> None:
    """A suspicion that comes to nothing returns; a recurrence is treated to the end of the story."""
    journey.move("suspect_progression")
    journey.wait(14, 32)
    if journey.chance(0.5):
        journey.move("confirm_stable")
        return
    resectable = journey.chance(0.4)
    journey.facts(resectability="resectable" if resectable else "unresectable")
    if not resectable:
        journey.facts(m="1", stage="IV", staging_system="ajcc8", liver_metastases=True)
    journey.move("confirm_recurrence")
    if not resectable:
        advanced.go_on(journey)
    operate(journey, "liver-resection" if journey.chance(0.5) else "primary-resection")
    _survey(journey)


def operation(journey: Journey) -> str:
    """What is removed, by site and syndrome."""
    tumour = journey.tumour
    if tumour.site != "pancreas":
        return "primary-resection"
    if tumour.syndrome == "insulinoma" and journey.chance(0.6):
        return "enucleation"
    return journey.pick(("distal-pancreatectomy",) * 5 + ("pancreaticoduodenectomy",) * 4 + ("total-pancreatectomy",))
