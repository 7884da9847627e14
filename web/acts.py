"""What can be done about a follow-up: which keys and words, what each asks, and the events that the answers make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tracker.acts import Entry, Holds
from tracker.colleagues import Colleague
from tracker.models import FollowUpRow
from web import contacts, fields
from web.fields import Field
from workflows.history import CaseHistory
from workflows.pathway import Pathway

Answers = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a form is about: one or several open follow-ups. ``history`` is that of the case, if it is one follow-up.

    ``today`` is the date at the clinic; ``activities`` are those of the follow-ups.
    """

    pathway: Pathway
    today: date
    activities: tuple[str, ...]
    colleagues: Sequence[Colleague] = ()
    navigator: str = ""
    history: CaseHistory | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. ``key`` presses it on the line with the focus; ``said`` is what is told when it is recorded.

    ``of_case``: it is about the whole case, and recorded once for several follow-ups of one. ``moves``: what it says
    depends on when the follow-up is due. ``holds``: what has to be true of the follow-up afterwards, by the answers;
    None where it is no longer open then.
    """

    name: str
    key: str
    label: str
    title: str
    said: str
    ask: Callable[[Subject], list[Field]]
    make: Callable[[Answers, list[FollowUpRow], Subject], list[Entry]]
    holds: Callable[[Answers], Holds] | None = None
    moves: bool = False
    of_case: bool = False

    def holding(self, answers: Answers) -> Holds | None:
        """What has to hold of a follow-up that stays open; None: none may."""
        return self.holds(answers) if self.holds else None


def _on(answers: Answers) -> date:
    return date.fromisoformat(answers["on"])


def _some(answers: Answers, *names: str) -> dict[str, Any]:
    """Those of the answers that were given."""
    return {name: answers[name] for name in names if answers.get(name)}


def _anyway(_: Answers) -> Holds:
    return bool  # a row is always true


# Done ------------------------------------------------------------------------------------------------------


def _ask_done(subject: Subject) -> list[Field]:
    asked = [fields.of_day(subject.today, "Done on")]
    activity = subject.activities[0] if len(set(subject.activities)) == 1 else ""
    known = subject.pathway.activity_named
    special = [known[a] for a in subject.pathway.activities_counting_as(activity) if a in known] if activity else []
    if len(special) > 1:
        options = tuple((one.id, one.label) for one in special)
        asked.append(Field("what", "What was done", "choice", options, required=True, value=activity))
    results = tuple(dict.fromkeys(result for one in special for result in one.results))
    asked.append(Field("result", "Result", "text", suggestions=results, help=_HINTS.get(activity, "")))
    if subject.history is not None:
        asked += [fields.of_fact(subject.history, name) for name in _told_by(subject, activity)]
    return asked


_HINTS = dict.fromkeys(
    ("markers", "cga", "5-hiaa", "syndrome-hormone", "nt-probnp"), "A number and its unit, such as 88 µg/L."
)


def _told_by(subject: Subject, activity: str) -> list[str]:
    """The facts that a result may tell, also one that is done in the place of the activity asked for."""
    known = subject.pathway.activity_named
    of = [known[a] for a in subject.pathway.activities_counting_as(activity) if a in known]
    return list(dict.fromkeys(name for one in of for name in one.records))


def _done(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    on = _on(answers)
    found: dict[tuple[str, str], Entry] = {}
    for row in rows:
        activity = answers.get("what") or row.activity
        early = row.rule if on < row.opens_on else ""
        data = {"activity": activity} | _some(answers, "result", "note") | ({"completes": early} if early else {})
        found.setdefault((activity, early), Entry("activity:done", on, data))
    facts = _facts(answers, subject, {activity for activity, _ in found}, on)
    return [*found.values(), *([Entry("fact:recorded", on, facts)] if facts else [])]


def _facts(answers: Answers, subject: Subject, activities: set[str], on: date) -> dict[str, Any]:
    known = subject.pathway.activity_named
    dated = {name: on.isoformat() for a in activities if a in known for name in known[a].dates}
    return dated | {name: value for name, value in answers.items() if name in subject.pathway.fact_named}


# Booked, moved, let go -------------------------------------------------------------------------------------


def _ask_booked(subject: Subject) -> list[Field]:
    today = subject.today
    return [Field("for", "Appointment on", "date", required=True, low=today.isoformat(), high=fields.furthest(today))]


def _booked(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    return [
        Entry("activity:booked", subject.today, {"activity": r.activity, "for": answers["for"], "rule": r.rule})
        for r in rows
    ]


_WHY_MOVED = ("Patient on holiday", "Patient unwell", "Bundled with another appointment", "No slot before")
_WHY_WAIVED = ("Done elsewhere, report on file", "Team: not needed this time", "Patient declined this time")


def _ask_moved(subject: Subject) -> list[Field]:
    return [
        Field("to", "Due on, from now on", "date", required=True, high=fields.furthest(subject.today)),
        Field("reason", "Reason", "text", required=True, suggestions=_WHY_MOVED),
    ]


def _moved(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    told = _some(answers, "to", "reason")
    return [Entry("activity:rescheduled", subject.today, {"activity": r.activity, "rule": r.rule} | told) for r in rows]


def _ask_waived(subject: Subject) -> list[Field]:
    return [Field("reason", "Reason", "text", required=True, suggestions=_WHY_WAIVED, help=_ONLY_THIS)]


_ONLY_THIS = "It is not done this time. What comes after it stays planned."


def _waived(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    told = _some(answers, "reason")
    return [Entry("activity:waived", subject.today, {"activity": r.activity, "rule": r.rule} | told) for r in rows]


# A call ----------------------------------------------------------------------------------------------------

_AGAIN = {"1": 1, "2": 2, "7": 7, "14": 14}
_USUAL = {"no-answer": 2, "call-later": 2, "wrong-number": 1}
"""Days for which a follow-up is put off after a call, where nothing else is said: our own policy."""


def _ask_call(subject: Subject) -> list[Field]:
    usual = (
        "As usual: 2 days after no answer or a wish to be called later, 1 day after a wrong number; else not at all."
    )
    again = (
        ("usual", "As usual"),
        ("no", "Do not put it off"),
        ("1", "Tomorrow"),
        ("2", "In 2 days"),
        ("7", "In a week"),
        ("14", "In 2 weeks"),
    )
    return [
        Field("outcome", "Outcome", "choice", tuple(contacts.OUTCOMES.items()), required=True),
        Field("channel", "How", "choice", tuple(contacts.CHANNELS.items()), required=True, value="phone"),
        Field("again", "Remind me again", "choice", again, required=True, value="usual", help=usual),
        Field("until", "Or on this day", "date", low=(subject.today + timedelta(days=1)).isoformat()),
        Field("note", "Note", "long"),
    ]


def _call(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    contact = Entry("contact:attempted", subject.today, _some(answers, "channel", "outcome", "note"))
    until = _again(answers, subject.today)
    if until is None:
        return [contact]
    told = {"until": until.isoformat(), "reason": contacts.outcome_label(answers["outcome"])}
    put_off = [Entry("activity:snoozed", subject.today, {"activity": r.activity, "rule": r.rule} | told) for r in rows]
    return [contact, *put_off]


def _again(answers: Answers, today: date) -> date | None:
    if answers.get("until"):
        return date.fromisoformat(answers["until"])
    days = _AGAIN.get(answers["again"])
    if answers["again"] == "usual":
        days = _USUAL.get(answers["outcome"])
    return today + timedelta(days=days) if days else None


# Put off ---------------------------------------------------------------------------------------------------

_WHY_PUT_OFF = ("Waiting for a report", "Patient rings back", "Waiting for a slot")


def _ask_put_off(subject: Subject) -> list[Field]:
    tomorrow = (subject.today + timedelta(days=1)).isoformat()
    return [
        Field("until", "No reminder before", "date", required=True, low=tomorrow, help=_STAYS),
        Field("reason", "Reason", "text", suggestions=_WHY_PUT_OFF),
    ]


_STAYS = "The due date stays as it is. Clinic lead and clinician still hear of what is long overdue."


def _put_off(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    told = _some(answers, "until", "reason")
    return [Entry("activity:snoozed", subject.today, {"activity": r.activity, "rule": r.rule} | told) for r in rows]


# The case --------------------------------------------------------------------------------------------------


def _ask_hand_over(subject: Subject) -> list[Field]:
    people = tuple((one.email, one.name) for one in subject.colleagues if one.email != subject.navigator)
    return [
        Field("navigator", "To", "choice", people, required=True, help=_WHOLE),
        Field("reason", "Reason", "text", suggestions=("Colleague on leave", "Caseload evened out")),
    ]


_WHOLE = "The whole case goes to them, with all that is due. Their next digest tells them."


def _hand_over(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    return [Entry("case:handed_over", subject.today, _some(answers, "navigator", "reason") | {"tell": True})]


def _ask_note(subject: Subject) -> list[Field]:
    return [Field("text", "Note", "long", required=True)]


def _note(answers: Answers, rows: list[FollowUpRow], subject: Subject) -> list[Entry]:
    return [Entry("note:added", subject.today, _some(answers, "text"))]


# All of them -----------------------------------------------------------------------------------------------


def _on_day(name: str, column: str) -> Callable[[Answers], Holds]:
    """That a date of the follow-up is as answered."""
    return lambda answers: lambda row: getattr(row, column) == date.fromisoformat(answers[name])


_TO, _FOR, _UNTIL = _on_day("to", "due_on"), _on_day("for", "booked_for"), _on_day("until", "snoozed_until")
_ALL = (
    Act("done", "d", "Done", "Record as done", "Recorded as done", _ask_done, _done),
    Act("call", "c", "Call", "Record a call", "The call is recorded", _ask_call, _call, _anyway),
    Act("booked", "b", "Book", "Book an appointment", "Booked", _ask_booked, _booked, _FOR),
    Act("snoozed", "s", "Put off", "Put off the reminder", "Put off", _ask_put_off, _put_off, _UNTIL),
    Act("rescheduled", "r", "Reschedule", "Reschedule", "Moved", _ask_moved, _moved, _TO, moves=True),
    Act("waived", "w", "Waive", "Waive this one", "Waived", _ask_waived, _waived, moves=True),
    Act(
        "hand-over", "h", "Hand over", "Hand the case over", "Handed over", _ask_hand_over, _hand_over, _anyway,
        of_case=True,
    ),
    Act("note", "n", "Note", "Add a note", "The note is kept", _ask_note, _note, _anyway, of_case=True),
)  # fmt: skip
ACTS = {act.name: act for act in _ALL}

_ELSEWHERE = {
    "plan-needed": frozenset({"done", "booked", "waived"}),
    "treatment-start": frozenset({"done"}),
}
"""What does not settle these: a next step is planned, and a treatment started, by moving the case."""


def by_moving(activity: str) -> bool:
    """Whether a follow-up of an activity is settled by moving the case, and not by recording that it was done."""
    return "done" in _ELSEWHERE.get(activity, ())


def possible(activity: str) -> list[Act]:
    """What can be done about a follow-up of an activity."""
    return [act for act in _ALL if act.name not in _ELSEWHERE.get(activity, ())]
