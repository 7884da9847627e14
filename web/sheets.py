"""The forms about one case: what each asks, and the event that its answers make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tracker.casebook import CaseFile
from web import contacts, fields, presenters, timeline
from web.fields import Field
from workflows.events import Event, effective
from workflows.history import CaseHistory
from workflows.machine import Choice
from workflows.parts import Trigger
from workflows.view import matches_state


@dataclass(frozen=True, slots=True)
class Sheet:
    """A form: what it is called, what it asks, and what it records.

    ``versioned``: its answers depend on what the case was like. ``previewed``: it is recorded only after a look at
    what would change. ``fixed`` is data that the form does not ask. ``missing`` says in words why it is blocked.
    ``token``: whoever shows the form, it can be recorded once.
    """

    title: str
    kind: str
    fields: tuple[Field, ...]
    said: str
    lede: str = ""
    versioned: bool = False
    previewed: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[tuple[str, tuple[Field, ...]], ...] = ()
    missing: tuple[str, ...] = ()
    blocked: str = ""
    needs_contacts: bool = False
    token: str = ""

    @property
    def all_fields(self) -> tuple[Field, ...]:
        return (*self.fields, *(one for _, group in self.groups for one in group))

    @property
    def trigger(self) -> str:
        """The step that it records, if it is one."""
        return str(self.fixed.get("trigger", ""))

    def event(self, data: dict[str, Any]) -> tuple[date, dict[str, Any]]:
        """The date and the data of the event that the answers make."""
        rest = {name: value for name, value in data.items() if name != "on"}
        return date.fromisoformat(data["on"]), {**self.fixed, **rest}


# Moving ------------------------------------------------------------------------------------------------------

_DAY = {"record_death": "Date of death", "start_line": "Start date", "end_line": "End date"}
_LEDES = {
    "record_death": "Everything that is open ends on that day, and nobody is reminded of it any more.",
    "suspect_progression": "Tests to restage become due. The case remembers where it stood.",
}


def move(file: CaseFile, trigger_id: str, on: date | None = None) -> Sheet | None:
    """The form of a trigger, with what it asks and the facts without which it is not possible; None: no such one.

    ``on`` is the date that it begins with, instead of today.
    """
    history = file.plan.history
    trigger = history.pathway.trigger_named.get(trigger_id)
    if trigger is None:
        return None
    choice = next((one for one in history.choices(file.today) if one.trigger.id == trigger_id), None)
    sheet = Sheet(
        title=trigger.title,
        kind="state:changed",
        fields=_move_fields(history, trigger, choice, file.today, on or file.today),
        said=f"Recorded: {trigger.title.lower()}.",
        lede=_LEDES.get(trigger_id, ""),
        versioned=True,
        previewed=True,
        fixed={"trigger": trigger_id},
        missing=choice.missing if choice else (),
        needs_contacts=any("contact" in words for words in choice.missing) if choice else False,
    )
    return sheet if choice else replace(sheet, blocked=_why_not(history))


def _why_not(history: CaseHistory) -> str:
    state = presenters.state_label(history.pathway, history.state)
    return f"This is not possible any more: the case stands in {state}. What you typed is kept below."


def _move_fields(
    history: CaseHistory, trigger: Trigger, choice: Choice | None, today: date, on: date
) -> tuple[Field, ...]:
    asks = [fields.of_ask(history, ask, today) for ask in trigger.asks if not _needless(history, ask.type)]
    facts = [fields.of_fact(history, name) for name in _facts_for(history, trigger, choice)]
    day = replace(fields.of_day(today, _DAY.get(trigger.id, "Date")), value=min(on, today).isoformat())
    return (day, *asks, *facts)


def _needless(history: CaseHistory, kind: str) -> bool:
    """With one line open nobody has to say which line is meant; with none open nothing stands beside it."""
    return (kind == "line" and len(history.open_lines) < 2) or (kind == "flag" and not history.open_lines)


def _facts_for(history: CaseHistory, trigger: Trigger, choice: Choice | None) -> list[str]:
    """Facts without which the trigger is not possible, and those that decide where it leads."""
    missing = choice.missing if choice else ()
    used = [name for need in trigger.needs if need.words in missing for name in sorted(need.holds.facts_used())]
    leaving = [m for m in trigger.moves if m.when is not None and matches_state(m.from_, history.state)]
    used += [name for move in leaving if move.when for name in sorted(move.when.facts_used())]
    named = history.pathway.fact_named
    return [name for name in dict.fromkeys(used) if name in named and named[name].derived is None]


# Facts -------------------------------------------------------------------------------------------------------

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "The tumour",
        (
            *("primary_site", "differentiation", "ki67_percent", "mitoses_per_2mm2", "reported_grade"),
            *("immunohistochemistry", "tumour_size_mm"),
        ),
    ),
    (
        "Extent",
        ("staging_system", "t", "n", "m", "stage", "liver_metastases", "resectability", "sstr_uptake"),
    ),
    ("Function and heredity", ("syndrome", "reported_functional", "hereditary", "chd_status")),
    (
        "Decisions and course",
        ("mdt_reviewed_on", "cytoreduction_discussed", "resection_margin", "progression_on"),
    ),
)


def facts(file: CaseFile, only: str = "") -> Sheet | None:
    """The form of facts: of one, or of all by groups; None where there is no such fact to record."""
    history = file.plan.history
    recordable = [fact.name for fact in history.pathway.facts if fact.derived is None]
    if only and only not in recordable:
        return None
    names = _with_system(history, only) if only else []
    return Sheet(
        title=history.pathway.fact_label(only) if only else "Record facts",
        kind="fact:recorded",
        fields=(fields.of_day(file.today, "True since"), *(fields.of_fact(history, name) for name in names)),
        said="The facts are recorded.",
        lede="Fill in what is known now; what is left blank stays as it is. The date is that of the report.",
        versioned=True,
        groups=() if only else _grouped(history, recordable),
    )


def _with_system(history: CaseHistory, name: str) -> list[str]:
    """A category belongs to a staging system, which is asked along with it."""
    system = history.pathway.fact_named[name].qualified_by
    return [system, name] if system else [name]


def _grouped(history: CaseHistory, recordable: list[str]) -> tuple[tuple[str, tuple[Field, ...]], ...]:
    grouped = {name for _, names in _GROUPS for name in names}
    rest = ("More", tuple(name for name in recordable if name not in grouped))
    found = ((title, [name for name in names if name in recordable]) for title, names in (*_GROUPS, rest))
    return tuple((title, tuple(fields.of_fact(history, name) for name in names)) for title, names in found if names)


# The other entries -------------------------------------------------------------------------------------------


def note(file: CaseFile) -> Sheet:
    """Free text."""
    text = Field("text", "Note", "long", required=True)
    return Sheet("Add a note", "note:added", (text, fields.of_day(file.today)), "The note is recorded.")


def contact(file: CaseFile) -> Sheet:
    """A try to reach the patient."""
    asked = (
        Field("channel", "By", "choice", options=tuple(contacts.CHANNELS.items()), required=True, value="phone"),
        Field("outcome", "Outcome", "choice", options=tuple(contacts.OUTCOMES.items()), required=True),
        Field("note", "Note", "text"),
        fields.of_day(file.today),
    )
    return Sheet("Record a contact", "contact:attempted", asked, "The contact is recorded.")


def done(file: CaseFile) -> Sheet:
    """Something that was done, whether it was on the list or not."""
    asked = (
        Field("activity", "What was done", "choice", options=_activities(file), required=True),
        Field("result", "Result", "text", help="Short. A number with its unit is drawn over time: 88 µg/L."),
        Field("note", "Note", "text"),
        fields.of_day(file.today),
    )
    return Sheet("Record what was done", "activity:done", asked, "Recorded as done.", previewed=True, versioned=True)


def test(file: CaseFile) -> Sheet:
    """A test asked for on clinical suspicion."""
    asked = (
        Field("activity", "Test", "choice", options=_activities(file), required=True),
        Field("reason", "Why", "text"),
        fields.of_day(file.today),
    )
    return Sheet("Ask for a test", "test:requested", asked, "The test is on the list.", previewed=True, versioned=True)


def _activities(file: CaseFile) -> tuple[fields.Option, ...]:
    history = file.plan.history
    own = {name: presenters.activity_label(history.pathway, name) for name, _ in history.requests.values()}
    own |= {activity.id: activity.label for activity in history.pathway.activities}
    return tuple(sorted(own.items(), key=lambda option: option[1].lower()))


def barrier(file: CaseFile) -> Sheet:
    """Something that keeps the patient from care."""
    asked = (
        Field("barrier", "Barrier", "choice", options=tuple(presenters.BARRIERS.items()), required=True),
        Field("text", "What exactly", "text"),
        fields.of_day(file.today),
    )
    return Sheet("Note a barrier", "barrier:noted", asked, "The barrier is noted.")


def barrier_resolved(file: CaseFile) -> Sheet:
    """A barrier that is gone."""
    standing = [b.name for b in file.plan.history.barriers if b.resolved_on is None]
    options = tuple((name, presenters.barrier_label(name)) for name in standing)
    asked = (
        Field("barrier", "Barrier", "choice", options=options, required=True, value=standing[0] if standing else ""),
        Field("text", "How it was resolved", "text"),
        fields.of_day(file.today),
    )
    return Sheet("Resolve a barrier", "barrier:resolved", asked, "The barrier is resolved.")


def explain(file: CaseFile, wanted: str = "") -> Sheet:
    """A reason for a warning that stands on the case: the one that is wanted, or the first, with what was found."""
    found = file.plan.history.unexplained()
    first = next((warning for warning in found if warning.id == wanted), found[0] if found else None)
    asked = (
        Field(
            "warning",
            "Warning",
            "choice",
            options=tuple((warning.id, warning.text) for warning in found),
            required=True,
            value=first.id if first else "",
        ),
        Field("reason", "Reason", "long", required=True),
        fields.of_day(file.today),
    )
    sheet = Sheet("Explain a warning", "warning:explained", asked, "The reason is recorded.")
    if first is None:
        return replace(sheet, blocked="No warning is left to explain.")
    return replace(sheet, lede=f"{first.text} Found: {first.found}.")


def decision(file: CaseFile) -> Sheet:
    """What the team decided."""
    asked = (
        replace(fields.of_day(file.today, "Meeting on", "meeting_on"), value=file.today.isoformat()),
        Field("text", "Decision", "long", required=True),
        fields.of_day(file.today, "Recorded for"),
    )
    lede = "A decision moves nothing by itself. Record what follows from it as a step of its own."
    return Sheet("Record a team decision", "decision:recorded", asked, "The decision is recorded.", lede)


_NOBODY_ELSE = (
    "Nobody else may look after a case of this clinic. Whoever looks after the accounts can give somebody the role"
    " of a navigator here."
)


_WHO_CAN = "Colleagues of this clinic who have an account."


def hand_over(file: CaseFile, takers: Mapping[str, str]) -> Sheet:
    """Somebody else looks after the case: one of those who may, names by address. An address that is typed wrongly
    would leave the case with nobody who hears of it.
    """
    options = tuple((email, name) for email, name in takers.items() if email != file.navigator)
    asked = (
        Field("navigator", "To", "choice", options=options, required=True, help=_WHO_CAN),
        Field("reason", "Reason", "text"),
        fields.of_day(file.today, "From"),
    )
    sheet = Sheet("Hand the case over", "case:handed_over", asked, "The case is handed over.", fixed={"tell": True})
    return replace(sheet, lede="Their next digest tells them of what is due.", blocked="" if options else _NOBODY_ELSE)


SHEETS: dict[str, Callable[[CaseFile], Sheet]] = {
    "note": note,
    "contact": contact,
    "done": done,
    "test": test,
    "barrier": barrier,
    "barrier-resolved": barrier_resolved,
    "decision": decision,
}


# Correcting --------------------------------------------------------------------------------------------------


def correct(file: CaseFile, event_id: str) -> Sheet | None:
    """The form that strikes out an entry; None where there is no such entry, or nothing to strike out."""
    entry = next((one for one in timeline.entries(file) if one.id == event_id), None)
    if entry is None or entry.correction:
        return None
    reason = Field("reason", "What is wrong with it", "text", required=True)
    lede = f"{presenters.dates_in_words(entry.on.isoformat())}: {entry.title}. {entry.detail}".strip()
    return Sheet(
        title="Strike out an entry",
        kind="event:corrected",
        fields=(reason, replace(fields.of_day(file.today, "Recorded for"), required=True)),
        said="Struck out. The entry stays in the record.",
        lede=lede,
        versioned=True,
        previewed=True,
        fixed={"event": event_id},
        blocked=entry.fixed,
    )


# Carrying over -----------------------------------------------------------------------------------------------

_OWN = ("case:opened", "case:merged", "case:joined", "case:handed_over", "event:corrected")
"""Entries of a record that are about the record itself."""


def can_be_carried(event: Event) -> bool:
    """Whether an entry of a merged record may be recorded on the other one as well."""
    return event.kind not in _OWN


def carry(file: CaseFile, other: CaseFile, event_id: str) -> Sheet | None:
    """The form that records an entry of a merged record on this one as well; None where there is none to carry."""
    told = {event.id: event for event in effective(other.events)}
    event = told.get(event_id)
    if event is None or not can_be_carried(event) or other.row.ref not in file.plan.history.joined:
        return None
    entry = next(one for one in timeline.entries(other) if one.id == event_id)
    return Sheet(
        title="Carry an entry over",
        kind=event.kind,
        fields=(replace(fields.of_day(file.today, "On"), value=event.on.isoformat()),),
        said="Carried over.",
        lede=f"From {other.row.ref}: {entry.title}. {entry.detail}",
        versioned=True,
        previewed=True,
        fixed=event.data,
        token=carried_token(other.row.ref, event_id),
    )


def carried_token(ref: str, event_id: str) -> str:
    """The number of the form that carries an entry over, whoever opens it: an entry is carried over once."""
    name = f"{ref}/{event_id}"
    return "from-" + hashlib.sha256(name.encode()).hexdigest()[:24]


def filled(sheet: Sheet, typed: Iterable[Field]) -> Sheet:
    """The sheet with what was typed into it."""
    by_name = {one.name: one for one in typed}
    groups = tuple((title, tuple(by_name.get(one.name, one) for one in group)) for title, group in sheet.groups)
    return replace(sheet, fields=tuple(by_name.get(one.name, one) for one in sheet.fields), groups=groups)
