"""How invented journeys stand at the end, and how they got there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from tracker.demo import advanced, localized, words, workup
from tracker.demo.journey import Journey, TimeIsUp
from tracker.demo.tumours import Tumour, share_out

SHARES = {
    "ongoing": 0.57,
    "work-up": 0.09,
    "on-hold": 0.05,
    "no-next-step": 0.03,
    "restaging": 0.04,
    "supportive": 0.03,
    "lost": 0.03,
    "returned": 0.03,
    "discharged": 0.02,
    "transferred": 0.02,
    "deceased": 0.09,
}
"""How cases stand today. Chosen so that each page has something to show, not after any publication."""

STILL_RUNNING = ("ongoing", "work-up", "returned", "restaging", "on-hold", "supportive")

_STORY_BEFORE_END = {
    "on-hold": (3, 45),
    "restaging": (3, 40),
    "supportive": (10, 160),
    "lost": (50, 500),
    "returned": (330, 700),
}
"""Days from the end of the story to the last day, by ending."""

_SPANS = {
    "work-up": (4, 75),
    "no-next-step": (150, 240),
    "on-hold": (220, 1200),
    "restaging": (250, 2200),
    "supportive": (400, 2600),
    "lost": (200, 1800),
    "returned": (800, 2200),
}
_LONGEST, _MEDIAN, _SHORTEST = 3200, 800, 45


def assign(rng: Random, tumours: list[Tumour]) -> list[str]:
    """An ending for each case, in the shares above as far as the tumours allow."""
    left = list(range(len(tumours)))
    rng.shuffle(left)
    found = ["ongoing"] * len(tumours)
    wanted = [ending for ending in share_out(rng, len(tumours), SHARES) if ending != "ongoing"]
    for ending in sorted(wanted, key=list(SHARES).index, reverse=True):
        fitting = next((i for i in left if _fits(ending, tumours[i])), None)
        if fitting is not None:
            left.remove(fitting)
            found[fitting] = ending
    return found


def _fits(ending: str, tumour: Tumour) -> bool:
    if ending == "on-hold":
        return tumour.metastatic and tumour.grade in ("G1", "G2")
    if ending == "no-next-step":
        return not tumour.needs_heart_screening and tumour.hereditary not in ("men1", "vhl")
    if ending == "supportive":
        return tumour.metastatic
    if ending == "deceased":
        return tumour.metastatic or tumour.grade in ("G3", "NEC")
    return ending != "discharged" or not tumour.metastatic


def span(rng: Random, ending: str, tumour: Tumour) -> int:
    """Days from referral to the last day."""
    if ending in _SPANS:
        return rng.randint(*_SPANS[ending])
    longest = 900 if tumour.grade == "NEC" else _LONGEST
    days = round(rng.lognormvariate(0, 0.75) * _MEDIAN)
    return min(max(days, _SHORTEST), longest)


def story_ends(rng: Random, ending: str, start: date, last_day: date) -> date:
    """The day on which the story gives way to its ending."""
    if ending in _STORY_BEFORE_END:
        low, high = _STORY_BEFORE_END[ending]
        latest = (last_day - start).days - low
        return last_day - timedelta(days=rng.randint(low, max(low, min(high, latest // 2))))
    if ending in ("deceased", "discharged", "transferred"):
        return start + (last_day - start) * rng.uniform(0.4, 0.98)
    return last_day


def story_of(ending: str) -> Callable[[Journey], None] | None:
    """The story that leads to an ending which the usual ones would miss."""
    return {"on-hold": _steady, "no-next-step": _stalled}.get(ending)


def _steady(journey: Journey) -> None:
    """On an analogue since the team's review, and nothing else."""
    workup.work_up(journey)
    journey.wait(3, 14)
    journey.move("start_line", treatment=journey.pick(("lanreotide", "octreotide-lar")), intent="disease-control")
    journey.live_until(journey.last_day + timedelta(days=1))


def _stalled(journey: Journey) -> None:
    """The plan that everybody believed somebody else to be making."""
    workup.work_up(journey)
    if not journey.tumour.metastatic:
        localized.operate(journey, localized.operation(journey))
    journey.live_until(journey.last_day + timedelta(days=1))


# The endings ---------------------------------------------------------------------------------------------------


def end(journey: Journey, ending: str) -> None:
    """Take the case from the end of its story to the last day."""
    journey.until = journey.last_day
    try:
        _ENDINGS.get(ending, _goes_on)(journey)
    except TimeIsUp:
        return


def _goes_on(journey: Journey) -> None:
    journey.live_until(journey.last_day)


def _hold(journey: Journey) -> None:
    advanced.hold(journey)
    journey.live_until(journey.last_day)


def _suspect(journey: Journey) -> None:
    if journey.state != "restaging.suspected":
        journey.move("suspect_progression")
    journey.live_until(journey.last_day)


def _support(journey: Journey) -> None:
    if journey.state.startswith(("advanced.", "therapy.")) and journey.state != "advanced.supportive":
        journey.move("support")
    journey.live_until(journey.last_day)


def _lose(journey: Journey) -> None:
    """Four attempts by three channels over some weeks, and nothing done meanwhile."""
    journey.habits, habits = None, journey.habits
    for channel in ("phone", "letter", "phone", "family-doctor"):
        journey.wait(5, 11)
        outcome = "no-answer" if channel in ("phone", "letter") else "not-known-there"
        journey.tell("contact:attempted", channel=channel, outcome=outcome)
    journey.move("lose_contact")
    journey.habits = habits


def _return(journey: Journey) -> None:
    _lose(journey)
    journey.wait(60, 200)
    journey.tell("contact:attempted", channel="phone", outcome="reached", note="Called us after moving house.")
    journey.move("return_to_care")
    journey.wait(15, 30)
    journey.move("confirm_stable")
    if journey.state == "advanced.planning":
        journey.wait(3, 15)
        journey.move("monitor")
    journey.live_until(journey.last_day)


def _discharge(journey: Journey) -> None:
    journey.move("discharge", reason=journey.pick(words.DISCHARGE_REASONS))


def _transfer(journey: Journey) -> None:
    journey.move("transfer", reason=journey.pick(words.TRANSFER_REASONS))


def _die(journey: Journey) -> None:
    if journey.state.startswith(("advanced.", "therapy.")) and journey.chance(0.4):
        journey.move("support")
        journey.wait(10, 60)
    journey.move("record_death")


_ENDINGS: dict[str, Callable[[Journey], None]] = {
    "on-hold": _hold,
    "restaging": _suspect,
    "supportive": _support,
    "lost": _lose,
    "returned": _return,
    "discharged": _discharge,
    "transferred": _transfer,
    "deceased": _die,
}
