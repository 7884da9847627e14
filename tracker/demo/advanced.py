"""Advanced disease: line after line, with liver-directed procedures, holds and time without treatment between."""

from __future__ import annotations

from typing import NoReturn

from tracker.demo import incidents, words
from tracker.demo.journey import Journey

_LINES = {
    "G1": ("analogue", "prrt", "targeted", "capecitabine-temozolomide"),
    "G2": ("analogue", "prrt", "targeted", "capecitabine-temozolomide", "streptozocin-5fu"),
    "G3": ("capecitabine-temozolomide", "targeted", "prrt"),
    "NEC": ("platinum-etoposide", "capecitabine-temozolomide"),
}
_CYCLES = {"platinum-etoposide": (21, 4, 6), "capecitabine-temozolomide": (28, 6, 12), "streptozocin-5fu": (42, 3, 6)}
"""Days a cycle, and the fewest and most cycles that are given here."""

_LIVER_DIRECTED = ("tace", "tace", "rfa", "embolization", "laser-ablation")
_DOSES = 4


def go_on(journey: Journey) -> NoReturn:
    """From advanced planning to the end of the story."""
    journey.wait(3, 14)
    if journey.tumour.grade in ("G1", "G2") and journey.chance(0.1):
        _debulk(journey)
    for line in _LINES[journey.tumour.grade]:
        if line != "prrt" or journey.history.fact("sstr_uptake") == "high" or journey.chance(0.05):
            _treat(journey, line)
            journey.wait(4, 18)
    journey.move("support")
    while True:
        journey.wait(200, 400)
        incidents.happen(journey)


def start(journey: Journey, treatment: str, intent: str = "disease-control") -> int:
    """A line that begins, mostly after it was planned; gives its number."""
    if journey.chance(0.6):
        day = journey.later(6, 24)
        journey.move("plan_line", treatment=treatment, intent=intent, planned_on=day.isoformat())
        journey.live_until(day)
    journey.move("start_line", treatment=treatment, intent=intent)
    return len(journey.history.lines)


def on_analogue(journey: Journey) -> None:
    """An analogue until progression."""
    start(journey, "lanreotide" if journey.chance(0.65) else "octreotide-lar")
    _heart(journey)
    _until_progression(journey, 250, 600)


def _treat(journey: Journey, line: str) -> None:
    """One line of treatment; ends in advanced planning with progression confirmed."""
    if line == "analogue":
        on_analogue(journey)
    elif line == "prrt":
        _prrt(journey)
    elif line == "targeted":
        start(journey, journey.pick(("everolimus", "sunitinib")))
        _until_progression(journey, 120, 300)
    else:
        _chemotherapy(journey, line)


def _debulk(journey: Journey) -> None:
    day = journey.later(20, 45)
    code = journey.pick(("debulking", "liver-resection"))
    journey.move("plan_line", treatment=code, intent="cytoreductive", planned_on=day.isoformat())
    journey.live_until(day)
    journey.move("start_line", treatment=code, intent="cytoreductive")
    journey.wait(6, 12)
    journey.facts(resection_margin="R2")
    journey.move("end_line", reason="completed")
    journey.wait(10, 30)


def _chemotherapy(journey: Journey, code: str) -> None:
    days, fewest, most = _CYCLES[code]
    start(journey, code)
    cycles = journey.rng.randint(fewest, most)
    journey.wait(days * cycles, days * cycles + 7)
    journey.move("end_line", reason=journey.pick(("completed", "completed", "toxicity")))
    _without_treatment(journey)


def _prrt(journey: Journey) -> None:
    number = start(journey, "prrt")
    if journey.history.fact("functional"):
        journey.move("start_line", treatment="octreotide-lar", intent="symptom-control", concurrent=True)
    line = journey.history.lines[number - 1]
    for _ in range(12):
        if line.doses < _DOSES:
            journey.wait(28, 35)
    journey.wait(10, 40)
    journey.move("end_line", reason="completed" if line.doses >= _DOSES else "toxicity", line=str(number))
    if journey.state == "therapy.active":
        _until_progression(journey, 200, 500)
    else:
        _without_treatment(journey)


def _without_treatment(journey: Journey) -> None:
    journey.wait(3, 12)
    journey.move("monitor")
    _until_progression(journey, 120, 400)


def _until_progression(journey: Journey, low: int, high: int) -> None:
    """Time on what is given now, until progression is confirmed."""
    while True:
        journey.wait(low, high)
        incidents.happen(journey)
        if journey.state == "therapy.active":
            _interrupt(journey)
        if journey.chance(0.55):
            journey.move("suspect_progression")
            journey.wait(14, 32)
            if not journey.chance(0.35):
                journey.facts(progression_on=journey.now.isoformat())
                journey.move("confirm_progression")
                return
            journey.move("confirm_stable")


def _interrupt(journey: Journey) -> None:
    if journey.tumour.metastatic and journey.chance(0.2):
        _treat_liver(journey)
    elif journey.chance(0.12):
        hold(journey)
        journey.wait(20, 45)
        journey.move("resume_line")


def _treat_liver(journey: Journey) -> None:
    """A procedure on liver metastases beside the open line."""
    day = journey.later(10, 24)
    journey.tell("activity:booked", activity="procedure", **{"for": day.isoformat()})
    journey.live_until(day)
    code = journey.pick(_LIVER_DIRECTED)
    journey.move("start_line", treatment=code, intent="disease-control", concurrent=True)
    journey.wait(2, 6)
    journey.move("end_line", reason="completed", line=str(len(journey.history.lines)))


def hold(journey: Journey) -> None:
    """The line whose doses can wait is put on hold, with a review two to six weeks later."""
    lines = [line for line in journey.history.open_lines if not line.on_hold]
    journey.move(
        "hold_line",
        reason=journey.pick(words.HOLD_REASONS),
        review_on=journey.later(14, 42).isoformat(),
        line=str(lines[0].number),
    )


def _heart(journey: Journey) -> None:
    """What the first echocardiogram showed, where there is one to do."""
    if journey.tumour.needs_heart_screening:
        journey.wait(35, 60)
        ill = journey.tumour.syndrome == "carcinoid" and journey.chance(0.2)
        journey.facts(chd_status="present" if ill else "absent")
