"""What happens besides the plan: notes, calls, hand-overs, slips of the pen."""

from __future__ import annotations

from tracker.demo import words
from tracker.demo.journey import Journey


def happen(journey: Journey) -> None:
    """Perhaps one of them, perhaps none."""
    for share, incident in ((0.35, _note), (0.15, _call), (0.1, _hand_over), (0.05, _wrong_patient)):
        if journey.chance(share):
            incident(journey)


def _note(journey: Journey) -> None:
    text = journey.pick(words.NOTES)
    journey.tell("note:added", text=text)
    _hindered(journey, text)


def _hindered(journey: Journey, note: str) -> None:
    """What is more than a note: it keeps the patient from care until somebody sees to it."""
    barrier = words.BARRIERS.get(note)
    if barrier is None:
        return
    journey.tell("barrier:noted", barrier=barrier)
    if note in words.BARRIERS_RESOLVED:
        journey.tell("barrier:resolved", barrier=barrier, text=words.BARRIERS_RESOLVED[note])


def _call(journey: Journey) -> None:
    channel = journey.pick(("phone", "phone", "video", "text-message"))
    journey.tell("contact:attempted", channel=channel, outcome=journey.pick(("reached", "agreed")))


def _hand_over(journey: Journey) -> None:
    colleagues = [n for n in journey.person.clinic.navigators if n != journey.navigator]
    journey.tell("case:handed_over", navigator=colleagues[0].email, reason=journey.pick(words.HAND_OVER_REASONS))
    journey.navigator = colleagues[0]


def _wrong_patient(journey: Journey) -> None:
    journey.mistake("activity:done", "Entered for the wrong patient", activity="visit")
