"""Random histories that the pathway allows, for the tests of what always holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from hypothesis import strategies as st

from tests.workflows.journeys import Journey, shipped
from workflows.errors import Refused

ENTRIES = [state.name for state in shipped().states if state.entry]
ACTIVITIES = [activity.id for activity in shipped().activities]
RULES = list(shipped().rule_named)
TREATMENTS = list(shipped().treatment_named)
INTENTS = [intent.value for intent in shipped().intents]
FACTS: dict[str, list[object]] = {
    "differentiation": ["well", "poor", None],
    "ki67_percent": [1, 3, 20, 30, None],
    "reported_grade": ["G1", "G3", None],
    "primary_site": ["pancreas", "midgut", None],
    "syndrome": ["none", "carcinoid", "insulinoma", None],
    "stage": ["I", "IV"],
    "hereditary": ["none", "men1", "vhl"],
    "chd_status": ["absent", "present"],
    "sstr_uptake": ["high", None],
    "immunohistochemistry": ["done"],
    "resection_margin": ["R0", "R1"],
    "resectability": ["resectable", "unresectable"],
}
DATED_FACTS = ["mdt_reviewed_on", "progression_on"]
Draw = Callable[[st.SearchStrategy], object]


CLOSING = {"discharge", "transfer", "lose_contact", "record_death"}


@st.composite
def histories(draw: Draw, longest: int = 12) -> Journey:
    """A case of up to ``longest`` random events after its beginning: some are back-dated, all are allowed."""
    today = opened = date(2026, 1, 31) + timedelta(days=draw(st.integers(0, 800)))
    journey = draw(st.sampled_from(BEGINNINGS))(draw, today)
    for _ in range(draw(st.integers(0, longest))):
        today = _later(draw, journey, today)
        back = draw(st.sampled_from([0, 0, 0, 0, 0, 3, 40, 150]))
        _try(draw, journey, draw(st.sampled_from(KINDS)), max(opened, today - timedelta(days=back)))
    return journey


def _later(draw: Draw, journey: Journey, today: date) -> date:
    """Some days on, or to an edge of an open item's window, where most goes wrong."""
    waiting = journey.plan().open_items
    if waiting and draw(st.booleans()):
        window = draw(st.sampled_from(waiting)).window
        edge = draw(st.sampled_from([window.opens_on, window.due_on, window.late_on]))
        return max(today, edge + timedelta(days=draw(st.sampled_from([-1, 0, 1]))))
    return today + timedelta(days=draw(st.sampled_from([0, 0, 1, 7, 28, 60, 200])))


def _entered(draw: Draw, today: date) -> Journey:
    return Journey().opened(today, draw(st.sampled_from(ENTRIES)))


def _treated(draw: Draw, today: date) -> Journey:
    site, syndrome = draw(st.sampled_from([("pancreas", "none"), ("midgut", "carcinoid"), ("pancreas", "insulinoma")]))
    treatment = draw(st.sampled_from(["lanreotide", "octreotide-lar", "prrt", "prrt", *TREATMENTS]))
    return Journey.treated(today.isoformat(), treatment, primary_site=site, syndrome=syndrome)


def _resected(draw: Draw, today: date) -> Journey:
    later = today + timedelta(days=draw(st.sampled_from([0, 30, 100, 250])))
    return Journey.resected(today.isoformat(), later.isoformat(), ki67_percent=draw(st.sampled_from([2, 30, None])))


BEGINNINGS = [_entered, _treated, _treated, _resected]


def _try(draw: Draw, journey: Journey, tell: Callable[[Draw, Journey, date], object], on: date) -> None:
    """Tell one event more, unless the history does not allow it there."""
    before = list(journey.events)
    try:
        tell(draw, journey, on)
        journey.plan()
    except Refused:
        journey.events = before


def _trigger(draw: Draw, journey: Journey, on: date) -> None:
    possible = [choice.trigger.id for choice in journey.plan().history.choices(on)]
    if not possible:
        return
    trigger = draw(st.sampled_from([t for t in possible if t not in CLOSING] * 3 + possible))
    asked = {ask.name for ask in shipped().trigger_named[trigger].asks}
    later = (on + timedelta(days=draw(st.sampled_from([0, 1, 21])))).isoformat()
    answers = {
        "treatment": draw(st.sampled_from(TREATMENTS)),
        "intent": draw(st.sampled_from(INTENTS)),
        "reason": "agreed",
        "review_on": later,
        "planned_on": later,
        "concurrent": True,
        "line": draw(st.integers(1, 3)),
    }
    named = {name: value for name, value in answers.items() if name in asked}
    if draw(st.booleans()):
        named.pop("line", None)
    journey.trigger(on, trigger, **_needed(trigger, on), **named)


def _needed(trigger: str, on: date) -> dict[str, object]:
    """Facts without which few random cases would ever get past the trigger."""
    if trigger == "confirm_histology":
        return {"differentiation": "well", "ki67_percent": 2}
    if trigger == "refer_to_mdt":
        return {"primary_site": "pancreas", "stage": "I", "syndrome": "none"}
    if trigger in ("assign_localized", "assign_advanced"):
        return {"mdt_reviewed_on": on.isoformat()}
    if trigger == "begin_surveillance":
        return {"resection_margin": "R0"}
    return {"progression_on": on.isoformat()} if trigger == "confirm_progression" else {}


def _fact(draw: Draw, journey: Journey, on: date) -> None:
    name = draw(st.sampled_from([*FACTS, *DATED_FACTS]))
    value = on.isoformat() if name in DATED_FACTS else draw(st.sampled_from(FACTS[name]))
    journey.fact(on, **{name: value})


def _activity(draw: Draw, journey: Journey) -> str:
    """Mostly something that is open, so that random acts meet the items."""
    waiting = [item.activity for item in journey.plan().open_items]
    return draw(st.sampled_from(waiting * 3 + ACTIVITIES))


def _done(draw: Draw, journey: Journey, on: date) -> None:
    named = {"completes": draw(st.sampled_from(RULES))} if draw(st.integers(0, 5)) == 0 else {}
    journey.done(on, _activity(draw, journey), **named)


def _waived(draw: Draw, journey: Journey, on: date) -> None:
    journey.waived(on, _activity(draw, journey))


def _rescheduled(draw: Draw, journey: Journey, on: date) -> None:
    to = on + timedelta(days=draw(st.sampled_from([0, 5, 45])))
    journey.rescheduled(on, _activity(draw, journey), to.isoformat())


def _booked(draw: Draw, journey: Journey, on: date) -> None:
    to = on + timedelta(days=draw(st.sampled_from([0, 1, 30])))
    journey.booked(on, draw(st.sampled_from([_activity(draw, journey), "procedure"])), to.isoformat())


def _requested(draw: Draw, journey: Journey, on: date) -> None:
    journey.requested(on, draw(st.sampled_from(["pth", "calcium", "gastrin"])))


def _called(draw: Draw, journey: Journey, on: date) -> None:
    for channel in ("phone", "letter", "phone"):
        journey.called(on, channel, draw(st.sampled_from(["no-answer", "no-answer", "reached"])))


def _corrected(draw: Draw, journey: Journey, on: date) -> None:
    if len(journey.events) > 1:
        journey.corrected(on, draw(st.sampled_from([event.id for event in journey.events[1:]])))


KINDS = [*[_trigger] * 6, *[_done] * 5, *[_fact] * 3, _waived, _rescheduled, _booked, _requested, _called, _corrected]
