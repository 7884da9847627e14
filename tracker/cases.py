"""Cases: opened, recorded, moved, corrected and handed over. Each change is one event in one transaction."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlmodel import Session, col, select

from tracker import chain, follow_ups, pathways, tallies, terms
from tracker.clock import local_date
from tracker.errors import ChangeRefused, StaleVersion, UnknownThing
from tracker.models import Case, CaseEvent, Clinic, Patient, Person
from tracker.projection import case_values, patient_values
from tracker.writing import Writing, added
from workflows.errors import Refused
from workflows.events import Event, checked_data, refuse_dates, refuse_name
from workflows.history import as_of
from workflows.limits import quoted
from workflows.parts import MERGED
from workflows.pathway import Pathway
from workflows.planning import Plan, plan, plan_after

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change that was made: the case row, the event, and the plan that follows."""

    case: Case
    event: Event
    plan: Plan


def find(session: Session, ref: str) -> Case:
    """The case of a reference; raises :class:`UnknownThing`."""
    case = session.exec(select(Case).where(Case.ref == ref)).first()
    if case is None:
        raise UnknownThing(f"there is no case {ref!r}")
    return case


def events_of(session: Session, case: Case) -> list[Event]:
    """Every event of a case, corrected ones too, in the order of recording."""
    rows = session.exec(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(col(CaseEvent.seq)))
    return [to_event(row) for row in rows]


def to_event(row: CaseEvent) -> Event:
    """The event that a row holds."""
    return Event(row.ref, row.seq, row.kind, row.on, json.loads(row.data), row.recorded_at, row.actor)


def view(session: Session, case: Case, on: date | None = None, known: datetime | None = None) -> Plan:
    """The case and its plan, as true on a date and as known at a time."""
    return plan(pathways.pinned(session, case.pathway_digest), as_of(events_of(session, case), on, known))


def open_case(writing: Writing, *, ref: str, on: date, data: dict[str, Any], event_id: str = "e1") -> Recorded:
    """Open a case in the register; raises :class:`ChangeRefused`."""
    pathway = pathways.latest(writing.session)
    check_reference(ref)
    if writing.session.exec(select(Case.id).where(Case.ref == ref)).first() is not None:
        raise ChangeRefused(f"there already is a case {ref!r}")
    try:
        event = _new_event(writing, pathway, "case:opened", on, data, seq=1, ref=event_id)
        refuse_name(event.kind, event.data)
        zone = event.data["timezone"]
        refuse_dates(on, local_date(writing.now, zone), None, _birth_date(event.data))
        planned = plan(pathway, [event])
    except Refused as refusal:
        raise ChangeRefused(*refusal.reasons) from refusal
    case = write_new(writing, ref, pathway, [event], planned)
    return Recorded(case, event, planned)


def record(
    writing: Writing,
    *,
    ref: str,
    kind: str,
    on: date,
    data: dict[str, Any],
    version: int | None = None,
    event_id: str | None = None,
    separates: bool = False,
) -> Recorded:
    """Record one event of an open or closed case; ``separates``: it takes a merger back, and so does one on the other.

    A live change that meets a warning needs ``data.reasons``. Raises :class:`ChangeRefused` with the reasons,
    :class:`StaleVersion` where the case is no longer at ``version``, :class:`UnknownThing`.
    """
    case = locked(writing.session, ref)
    if version is not None and version != case.version:
        raise StaleVersion(f"the case is at version {case.version}, not {version}: somebody else changed it")
    before = events_of(writing.session, case)
    try:
        change = propose(writing, case, before, kind, on, data, event_id, separates=separates)
        _require_reasons(change.plan, change.event)
    except Refused as refusal:
        raise ChangeRefused(*refusal.reasons) from refusal
    write_change(writing, case, change.plan.history.pathway, [change.event], change.plan)
    return Recorded(case, change.event, change.plan)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A change that is possible: the event, and the plan that follows from it."""

    event: Event
    plan: Plan


def propose(
    writing: Writing,
    case: Case,
    before: Sequence[Event],
    kind: str,
    on: date,
    data: dict[str, Any],
    event_id: str | None = None,
    *,
    separates: bool = False,
) -> Proposed:
    """What one more event would make of a case, of which ``before`` are the events. Nothing is written.

    A warning that it meets refuses nothing here. Raises :class:`workflows.errors.Refused` with every reason.
    """
    pathway = pathways.pinned(writing.session, case.pathway_digest)
    seq = case.version + 1
    name = event_id or free_id(seq, {e.id for e in before})
    event = _new_event(writing, pathway, kind, on, data, seq=seq, ref=name)
    _check_event(writing, case, before, event)
    if kind == "state:changed" and case.state == MERGED.name:
        raise Refused("this record has been merged: take the step on the record that goes on")
    if not separates and kind == "event:corrected" and merger_of(before, event) is not None:
        raise Refused(ON_TWO)
    return Proposed(event, plan_after(pathway, before, event))


def locked(session: Session, ref: str) -> Case:
    """The case as it is now; whoever wants to change it too has to wait. Raises :class:`UnknownThing`."""
    found = select(Case).where(Case.ref == ref).with_for_update().execution_options(populate_existing=True)
    case = session.exec(found).first()
    if case is None:
        raise UnknownThing(f"there is no case {ref!r}")
    return case


def _new_event(
    writing: Writing,
    pathway: Pathway,
    kind: str,
    on: date,
    data: dict[str, Any],
    *,
    seq: int,
    ref: str,
) -> Event:
    checked = checked_data(pathway, kind, data)
    return Event(ref, seq, kind, on, checked, writing.now, writing.actor)


def free_id(seq: int, taken: Collection[str]) -> str:
    """A name for an event that brings none; a journal may have given the usual one to another event."""
    event_id = f"e{seq}"
    while event_id in taken:
        event_id += "x"
    return event_id


def _check_event(writing: Writing, case: Case, before: Sequence[Event], event: Event) -> None:
    if event.kind == "case:opened":
        raise Refused("the case is already open")
    if event.id in {e.id for e in before}:
        raise Refused(f"the case already has an event {event.id!r}")
    clinic = writing.session.get_one(Clinic, case.clinic_id)
    birth = _birth_date(opening_of(before))
    refuse_dates(event.on, local_date(writing.now, clinic.timezone), case.opened_on, birth)
    check_correction(before, event)


def opening_of(events: Iterable[Event]) -> dict[str, Any]:
    """The data of the opening, which need not be recorded first."""
    return next(event.data for event in events if event.kind == "case:opened")


def check_reference(ref: str) -> None:
    """A case's reference stands in addresses and files: letters, digits, dot, dash and underscore."""
    if ref == "new":  # the address of a page
        raise ChangeRefused("a case cannot be called “new”")
    if _REFERENCE.fullmatch(ref) is None:
        raise ChangeRefused(
            f"the case reference {quoted(ref)} is not 1 to 64 letters, digits, dots, dashes or underscores"
        )


def check_correction(before: Iterable[Event], event: Event) -> None:
    """A correction names an earlier event of the case, and not its opening."""
    if event.kind != "event:corrected":
        return
    target = next((e for e in before if e.id == event.data["event"]), None)
    if target is None:
        raise Refused(f"the case has no event {quoted(event.data['event'])} to correct")
    if target.kind == "case:opened":
        raise Refused("the opening of a case cannot be corrected away")


ON_TWO = (
    "a merger stands on two records: a lead takes them apart on the page of the one that ended, or merges them again"
)


def merger_of(events: Iterable[Event], event: Event) -> Event | None:
    """The merger that an event is, or that it takes back or brings back by corrections."""
    named = {one.id: one for one in events}
    found: Event | None = event
    while found is not None and found.kind == "event:corrected":
        found = named.get(str(found.data["event"]))
    return found if found is not None and found.kind in ("case:merged", "case:joined") else None


def _require_reasons(planned: Plan, event: Event) -> None:
    open_warnings = [w.warning for w in planned.history.warned if w.event == event.id and not w.reason]
    if open_warnings:
        raise Refused(*(f"warning {w.id} needs a reason: {w.text} ({w.found})" for w in open_warnings))


def _birth_date(opened: dict[str, Any]) -> date | None:
    text = opened["patient"].get("birth_date")
    return date.fromisoformat(text) if text else None


# Rows ------------------------------------------------------------------------------------------------------


def write_new(
    writing: Writing, ref: str, pathway: Pathway, events: list[Event], planned: Plan, *, zone: str = ""
) -> Case:
    """Store a new case with its events and what follows from them; ``zone`` is the clinic's, if not as it says."""
    opened = opening_of(events)
    case = Case(
        ref=ref,
        patient_id=_patient(writing.session, opened["patient"]),
        clinic_id=clinic_id(writing.session, opened["clinic"], zone or opened["timezone"]),
        navigator_id=person_id(writing.session, planned.history.navigator),
        pathway_digest=pathways.publish(writing, pathway),
        version=0,
        head_mac=chain.START,
        **case_values(planned),
    )
    if not added(writing.session, case):
        raise ChangeRefused(f"there already is a case {ref!r}")
    _append(writing, case, events)
    tallies.note_case(writing.session, None, tallies.standing(case))
    terms.index(writing.session, case, writing.session.get_one(Patient, case.patient_id))
    follow_ups.write_all(writing, case, planned)
    return case


def write_change(writing: Writing, case: Case, pathway: Pathway, events: list[Event], planned: Plan) -> None:
    """Store further events of a case and make its rows equal to the plan."""
    before = tallies.standing(case)
    _append(writing, case, events)
    for name, value in case_values(planned).items():
        setattr(case, name, value)
    case.navigator_id = person_id(writing.session, planned.history.navigator)
    writing.session.flush()
    tallies.note_case(writing.session, before, tallies.standing(case))
    follow_ups.reconcile(writing, case, planned)


def _append(writing: Writing, case: Case, events: list[Event]) -> None:
    rows = []
    for event in events:
        row = _event_row(writing, case, event)
        case.version, case.head_mac = event.seq, row["mac"]
        rows.append(row)
    writing.session.execute(CaseEvent.__table__.insert(), rows)  # type: ignore[attr-defined]
    writing.session.flush()


def _event_row(writing: Writing, case: Case, event: Event) -> dict[str, Any]:
    recorded_at = (event.recorded_at or writing.now).astimezone(UTC)
    data = json.dumps(event.data, ensure_ascii=False, sort_keys=False, separators=(",", ":"))
    actor = event.actor or writing.actor
    mac = chain.link(
        writing.chain_key,
        case.head_mac,
        case.ref,
        event.seq,
        event.id,
        event.kind,
        event.on,
        recorded_at,
        actor,
        data,
    )
    return {
        "case_id": case.id,
        "seq": event.seq,
        "ref": event.id,
        "kind": event.kind,
        "true_on": event.on,
        "recorded_at": recorded_at,
        "actor": actor,
        "data": data,
        "mac": mac,
    }


def _patient(session: Session, data: dict[str, Any]) -> int:
    row = Patient(**patient_values(data))
    if not added(session, row):
        raise ChangeRefused(f"there already is a patient {data['ref']!r}")
    return _id(row.id)


def clinic_id(session: Session, name: str, timezone: str) -> int:
    """The clinic of a name, made known where it is new; raises :class:`ChangeRefused` for another time zone."""
    found = select(Clinic).where(Clinic.name == name)
    row = session.exec(found).first()
    if row is None:
        added(session, Clinic(name=name, timezone=timezone))
        row = session.exec(found).one()
    if row.timezone != timezone:
        raise ChangeRefused(f"clinic {name!r} is in {row.timezone}, not in {timezone}")
    return _id(row.id)


def person_id(session: Session, email: str | None) -> int | None:
    """The person of an address, made known where new; None for nobody."""
    if email is None:
        return None
    found = select(Person.id).where(Person.email == email)
    if session.exec(found).first() is None:
        added(session, Person(email=email))
    return _id(session.exec(found).one())


def _id(value: int | None) -> int:
    if value is None:
        raise LookupError("the row has not been stored")
    return value
