"""Who is in the invented cohort, and how each journey goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from tracker.demo import advanced, endings, localized, people, tumours, workup
from tracker.demo.habits import Habits, working_day
from tracker.demo.journey import Journey, TimeIsUp
from tracker.demo.tumours import Tumour
from tracker.interchange.journal import JournalLine
from workflows.pathway import Pathway

NEGLECT = {"none": 0.445, "days": 0.2, "weeks": 0.22, "months": 0.08, "half a year": 0.025, "years": 0.03}
"""For how long much has been left undone, by share of cases. Chosen so that every length shows on the worklist."""

_DAYS = {"days": (6, 25), "weeks": (20, 60), "months": (60, 180), "half a year": (180, 365), "years": (400, 560)}
_TAKEN_OVER = 0.07
"""Share of cases that enter the register with treatment behind them, before any team review is on file."""


def demo_cohort(pathway: Pathway, patients: int, seed: int, today: date) -> list[JournalLine]:
    """Journal lines of ``patients`` invented cases, with journeys of up to nine years before ``today``.

    The same arguments give the same lines, case by case, each in the order of its dates. Nothing is dated later
    than yesterday, so that no clinic's calendar finds it in the future, whatever its time zone.
    """
    rng = Random(f"{seed}/{patients}")  # noqa: S311 - invented patients need no secrecy, but must be repeatable
    found = tumours.invent(rng, patients)
    fates = zip(found, endings.assign(rng, found), tumours.share_out(rng, patients, NEGLECT), strict=True)
    lines: list[JournalLine] = []
    for number, (tumour, ending, neglect) in enumerate(fates, 1):
        own = Random(f"{seed}/{patients}/{number}")  # noqa: S311 - see above
        journey = _begin(pathway, own, number, tumour, ending, today - timedelta(days=1))
        if neglect != "none" and ending in endings.STILL_RUNNING:
            journey.habits = Habits(own, journey.last_day, journey.last_day - timedelta(own.randint(*_DAYS[neglect])))
        _tell(journey, endings.story_of(ending) or _story(own, tumour))
        endings.end(journey, ending)
        lines.extend(journey.lines)
    return lines


def _begin(pathway: Pathway, rng: Random, number: int, tumour: Tumour, ending: str, last_day: date) -> Journey:
    start = working_day(last_day - timedelta(days=endings.span(rng, ending, tumour)))
    journey = Journey(pathway, people.invent(rng, number, tumour.age, start), tumour, rng, start, last_day)
    journey.until = endings.story_ends(rng, ending, start, last_day)
    return journey


def _tell(journey: Journey, story: Callable[[Journey], None]) -> None:
    try:
        story(journey)
    except TimeIsUp:
        return


def _story(rng: Random, tumour: Tumour) -> Callable[[Journey], None]:
    known_elsewhere = tumour.metastatic or tumour.is_small_and_silent
    return _taken_over if known_elsewhere and rng.random() < _TAKEN_OVER else _whole


def _whole(journey: Journey) -> None:
    """From referral on."""
    workup.work_up(journey)
    if journey.tumour.metastatic:
        advanced.go_on(journey)
    localized.go_on(journey)


def _taken_over(journey: Journey) -> None:
    """A case from another register: facts and a state, and no team review on file."""
    tumour = journey.tumour
    workup.open_case(journey, "advanced.planning" if tumour.metastatic else "localized.active_surveillance")
    known = {"primary_site": tumour.site, "syndrome": tumour.syndrome, "hereditary": tumour.hereditary}
    journey.facts(**known, **workup.grading(journey), **workup.extent(journey))
    if tumour.metastatic:
        advanced.go_on(journey)
    localized.watch(journey)
    localized.operate_and_survey(journey)
