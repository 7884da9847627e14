"""The event kinds of a case's history, typed, and the edge at which their data is checked.

An event says what happened, on which local date it was true, when it was recorded and by whom. Its data is
plain JSON: dates are ISO texts, and are checked here once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from workflows.dates import in_words, listed
from workflows.errors import Refused
from workflows.limits import FIRST_DAY, LARGEST_NUMBER, checked_email, checked_name, iso_day, quoted, refuse_unfit
from workflows.parts import FactDefinition
from workflows.pathway import Pathway
from workflows.view import Value

_SLUG = r"^[a-z0-9][a-z0-9-]{0,60}$"
_Day = Annotated[date, BeforeValidator(iso_day)]
_Email = Annotated[str, AfterValidator(checked_email)]
_NOT_VALUES = {"", "na", "n/a", "not documented", "not recorded"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one case.

    ``on`` is a local date of the clinic; ``recorded_at`` is an aware time; ``seq`` is the order in which the
    record learned of it; ``id`` is unique within the case.
    """

    id: str
    seq: int
    kind: str
    on: date
    data: dict[str, Any]
    recorded_at: datetime | None = None
    actor: str = ""

    @property
    def order(self) -> tuple[date, int]:
        return (self.on, self.seq)


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, str_strip_whitespace=True, strict=False)


class PatientData(_Data):
    """Who the patient is. Only the reference is needed; everything else may be unknown."""

    ref: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    name: str | None = Field(default=None, max_length=200)
    birth_date: _Day | None = None
    sex: str | None = Field(default=None, pattern="^(female|male|other|unknown)$")
    mrn: str | None = Field(default=None, max_length=64)


class CaseOpened(_Data):
    """A case enters the register, at the pathway's start or at a state that allows entry."""

    clinic: str = Field(min_length=1, max_length=120)
    timezone: str
    patient: PatientData
    navigator: _Email | None = None
    state: str | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in _zones():
            raise ValueError(f"{quoted(zone)} is not an IANA time zone such as Europe/London")
        return zone


class ActivityDone(_Data):
    """Something was done; ``completes`` names a rule whose item it completes even before it opens."""

    activity: str = Field(pattern=_SLUG)
    result: str | None = Field(default=None, max_length=500)
    completes: str | None = None
    note: str | None = Field(default=None, max_length=2000)


class ActivityWaived(_Data):
    """The item of the activity that is due first (or of ``rule``) is let go."""

    activity: str = Field(pattern=_SLUG)
    reason: str = Field(min_length=1, max_length=2000)
    rule: str | None = None


class ActivityRescheduled(_Data):
    """The item of the activity that is due first (or of ``rule``) moves, alone."""

    activity: str = Field(pattern=_SLUG)
    to: _Day
    reason: str = Field(min_length=1, max_length=2000)
    rule: str | None = None


class ActivityBooked(_Data):
    """An appointment, shown beside the due date. Booking ``procedure`` sets the day of a procedure."""

    activity: str = Field(pattern=_SLUG)
    for_: _Day = Field(alias="for")
    rule: str | None = None


class ActivitySnoozed(_Data):
    """The navigator is not reminded of the item before ``until``; what is due, and escalations, stay as they are."""

    activity: str = Field(pattern=_SLUG)
    until: _Day
    reason: str | None = Field(default=None, max_length=2000)
    rule: str | None = None


class TestRequested(_Data):
    """A test asked for on clinical suspicion; any name, since the source's list ends with "etc." (S07)."""

    activity: str = Field(pattern=_SLUG)
    reason: str | None = Field(default=None, max_length=2000)


class ContactAttempted(_Data):
    """A try to reach the patient; ``reached`` and ``agreed`` are the outcomes that end a search."""

    channel: str = Field(pattern=_SLUG)
    outcome: str = Field(pattern=_SLUG)
    note: str | None = Field(default=None, max_length=2000)


class NoteAdded(_Data):
    """Free text. It decides nothing."""

    text: str = Field(min_length=1, max_length=10000)


class DecisionRecorded(_Data):
    """What a team meeting decided. It moves nothing by itself: what follows from it is recorded as what it is."""

    meeting_on: _Day
    text: str = Field(min_length=1, max_length=5000)


class BarrierNoted(_Data):
    """Something that keeps the patient from care, by a short name such as ``transport``."""

    barrier: str = Field(pattern=_SLUG)
    text: str | None = Field(default=None, max_length=2000)


class BarrierResolved(_Data):
    """What has been noted under this name keeps the patient from nothing any more."""

    barrier: str = Field(pattern=_SLUG)
    text: str | None = Field(default=None, max_length=2000)


class CaseMerged(_Data):
    """This record and another are of one patient; the other one, by its reference, goes on."""

    into: str = Field(min_length=1, max_length=64)
    reason: str = Field(min_length=1, max_length=2000)


class CaseJoined(_Data):
    """Another record of the same patient has been merged into this one. Its entries stay where they are."""

    case: str = Field(min_length=1, max_length=64)
    reason: str = Field(min_length=1, max_length=2000)


class WarningExplained(_Data):
    """A reason given afterwards for a warning that was met or that stands on the case."""

    warning: str
    reason: str = Field(min_length=1, max_length=2000)


class CaseHandedOver(_Data):
    """Somebody else looks after the case from this day on.

    ``tell``: their next digest says what is due already. History that is brought in tells nobody.
    """

    navigator: _Email
    tell: bool | None = None
    reason: str | None = Field(default=None, max_length=2000)


class EventCorrected(_Data):
    """An earlier event was wrong: it no longer counts, and stays in the record."""

    event: str | int
    reason: str = Field(min_length=1, max_length=2000)


class StateChanged(_Data):
    """A trigger with what it asks; facts may be recorded along with it."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, str_strip_whitespace=True)

    trigger: str
    treatment: str | None = None
    intent: str | None = None
    planned_on: _Day | None = None
    review_on: _Day | None = None
    reason: str | None = Field(default=None, max_length=2000)
    line: int | str | None = None
    concurrent: bool | None = None
    reasons: dict[str, str] | None = None


_KINDS: dict[str, type[_Data]] = {
    "case:opened": CaseOpened,
    "state:changed": StateChanged,
    "activity:done": ActivityDone,
    "activity:waived": ActivityWaived,
    "activity:rescheduled": ActivityRescheduled,
    "activity:booked": ActivityBooked,
    "activity:snoozed": ActivitySnoozed,
    "test:requested": TestRequested,
    "contact:attempted": ContactAttempted,
    "note:added": NoteAdded,
    "decision:recorded": DecisionRecorded,
    "barrier:noted": BarrierNoted,
    "barrier:resolved": BarrierResolved,
    "warning:explained": WarningExplained,
    "case:handed_over": CaseHandedOver,
    "case:merged": CaseMerged,
    "case:joined": CaseJoined,
    "event:corrected": EventCorrected,
}
KINDS: tuple[str, ...] = ("fact:recorded", *_KINDS)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def checked_data(pathway: Pathway, kind: str, data: Any) -> dict[str, Any]:
    """The event's data, checked and in one plain form; raises :class:`Refused` with every reason."""
    if not isinstance(data, dict):
        raise Refused("data must be an object")
    refuse_unfit("data", data)
    if kind == "fact:recorded":
        return _checked_facts(pathway, data)
    model = _KINDS.get(kind)
    if model is None:
        raise _unknown("event", kind, KINDS)
    plain = _validated(model, data)
    if kind == "state:changed":
        return _checked_trigger(pathway, plain)
    _check_names(pathway, kind, plain)
    return plain


def _validated(model: type[_Data], data: dict[str, Any]) -> dict[str, Any]:
    try:
        return model.model_validate(data).model_dump(mode="json", by_alias=True, exclude_none=True)
    except ValidationError as error:
        raise Refused(*[_in_words(model, problem) for problem in error.errors()]) from None


def _in_words(model: type[_Data], problem: Any) -> str:
    where = ".".join(_shortened(str(part)) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        return f"{where} is not understood; known here are {listed(known, 'and')}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _unknown(what: str, name: str, known: Sequence[str]) -> Refused:
    return Refused(f"unknown {what} {quoted(name)}; known are {listed(tuple(known), 'and')}")


def _shortened(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:40]}…"


def _checked_trigger(pathway: Pathway, plain: dict[str, Any]) -> dict[str, Any]:
    trigger = pathway.trigger_named.get(plain["trigger"])
    if trigger is None:
        raise _unknown("trigger", plain["trigger"], sorted(pathway.trigger_named))
    if plain.get("treatment") and plain["treatment"] not in pathway.treatment_named:
        raise _unknown("treatment", plain["treatment"], sorted(pathway.treatment_named))
    intents = [choice.value for choice in pathway.intents]
    if plain.get("intent") and plain["intent"] not in intents:
        raise _unknown("intent", plain["intent"], intents)
    facts = {name: value for name, value in plain.items() if name not in StateChanged.model_fields}
    return plain | (_checked_facts(pathway, facts) if facts else {})


def facts_in(event: Event) -> dict[str, Any]:
    """The facts that an event records: all of a ``fact:recorded``, the extra names of a ``state:changed``."""
    if event.kind == "fact:recorded":
        return event.data
    if event.kind == "state:changed":
        return {name: value for name, value in event.data.items() if name not in StateChanged.model_fields}
    return {}


def _check_names(pathway: Pathway, kind: str, plain: dict[str, Any]) -> None:
    for field in ("rule", "completes"):
        if field in plain and plain[field] not in pathway.rule_named:
            raise Refused(f"unknown follow-up rule {quoted(plain[field])}")
    if kind == "warning:explained" and plain["warning"] not in pathway.warning_named:
        raise Refused(f"unknown warning {quoted(plain['warning'])}")
    if kind == "case:opened" and "state" in plain:
        _check_entry(pathway, plain["state"])


def _check_entry(pathway: Pathway, state: str) -> None:
    if state not in pathway.state_named:
        raise Refused(f"unknown state {quoted(state)}")
    if not pathway.state_named[state].entry:
        entries = [s.name for s in pathway.states if s.entry]
        raise Refused(f"a case cannot enter the register at {state}; it can at {listed(entries)}")


def _checked_facts(pathway: Pathway, data: dict[str, Any]) -> dict[str, Any]:
    if not data:
        raise Refused("no fact is given")
    problems: list[str] = []
    facts: dict[str, Any] = {}
    for name, value in data.items():
        try:
            facts[name] = checked_fact(pathway, name, value)
        except Refused as refusal:
            problems.extend(refusal.reasons)
    if problems:
        raise Refused(*problems)
    return facts


def checked_fact(pathway: Pathway, name: str, value: Any) -> Any:
    """One value in plain JSON form; ``None`` says that the fact is unknown from then on."""
    fact = pathway.fact_named.get(name)
    if fact is None:
        raise _unknown("fact", name, sorted(f.name for f in pathway.facts if f.derived is None))
    if fact.derived is not None:
        raise Refused(f"{name} is derived from other facts and cannot be recorded")
    return None if value is None else _CHECKS[fact.type](fact, value)


def _choice(fact: FactDefinition, value: Any) -> str:
    allowed = [choice.value for choice in fact.choices]
    if value not in allowed:
        raise Refused(f"{fact.name}: {quoted(value)} is not one of {listed(allowed)}")
    return str(value)


def _number(fact: FactDefinition, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{fact.name}: {quoted(value)} is not a number")
    too_low = (fact.minimum is not None and value < fact.minimum) or (fact.above is not None and value <= fact.above)
    too_high = (fact.maximum is not None and value > fact.maximum) or not abs(value) <= LARGEST_NUMBER
    if too_low or too_high:
        raise Refused(f"{fact.name}: {quoted(value)} is out of range")
    return value


def _text(fact: FactDefinition, value: Any) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text.lower() in _NOT_VALUES or len(text) > 2000:
        raise Refused(f"{fact.name}: {quoted(value)} is not a value; leave out what is not known")
    if fact.pattern and re.fullmatch(fact.pattern, text) is None:
        raise Refused(f"{fact.name}: {quoted(text)} is not written as expected{f' ({fact.help})' if fact.help else ''}")
    return text


def _boolean(fact: FactDefinition, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{fact.name}: {quoted(value)} is not true or false")
    return value


def _date(fact: FactDefinition, value: Any) -> str:
    try:
        return iso_day(value).isoformat()
    except ValueError as error:
        raise Refused(f"{fact.name}: {error}") from None


_CHECKS = {"choice": _choice, "number": _number, "text": _text, "boolean": _boolean, "date": _date}


def fact_value(fact: FactDefinition, plain: Any) -> Value:
    """The value that plain JSON stands for."""
    return date.fromisoformat(plain) if fact.type == "date" else plain


def effective(events: Iterable[Event]) -> list[Event]:
    """The events that count, in the order in which they were true: corrections and what they undo left out."""
    ordered = sorted(events, key=lambda event: event.seq)
    undone: set[str] = set()
    for event in reversed(ordered):
        if event.kind == "event:corrected" and event.id not in undone:
            undone.add(str(event.data["event"]))
    kept = (e for e in ordered if e.id not in undone and e.kind != "event:corrected")
    return sorted(kept, key=lambda event: event.order)


def refuse_dates(on: date, today: date, opened_on: date | None, birth_date: date | None) -> None:
    """Refuse a date in the future, before birth, before the case opened, or before anything can be reckoned with."""
    if on < FIRST_DAY:
        raise Refused(f"{in_words(on)} is before {FIRST_DAY.year}")
    if on > today:
        raise Refused(f"{in_words(on)} is in the future (today is {in_words(today)})")
    if birth_date is not None and on < birth_date:
        raise Refused(f"{in_words(on)} is before the patient's birth")
    if opened_on is not None and on < opened_on:
        raise Refused(f"{in_words(on)} is before the case opened on {in_words(opened_on)}")


def refuse_name(kind: str, data: dict[str, Any]) -> None:
    """Refuse a case that is opened under a name that nobody could read; a history keeps what it was recorded with."""
    name = data["patient"].get("name") if kind == "case:opened" else None
    try:
        if name:
            checked_name(name)
    except ValueError as error:
        raise Refused(str(error)) from None
