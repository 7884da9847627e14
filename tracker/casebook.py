"""Which cases there are, and one case in full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Row, and_, case, select, union_all
from sqlmodel import Session, col

from tracker import cases, pathways, tallies
from tracker.clock import local_date
from tracker.errors import UnknownThing
from tracker.models import Case, Clinic, Digest, FollowUpRow, Patient, Person, Reminder
from tracker.places import ANY, CasePlace, Scope, case_rows, past_index, place_of
from workflows.events import Event
from workflows.history import as_of
from workflows.planning import Plan, plan


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """One line of the list of cases."""

    place: CasePlace
    phase: str
    since: date
    lines_open: int
    warnings_unexplained: int
    needs_plan: bool

    def as_json(self) -> dict[str, Any]:
        """The case as ``case list --json`` gives it."""
        return {
            "case": self.place.ref,
            "clinic": self.place.clinic,
            "state": self.place.state,
            "phase": self.phase,
            "since": self.since.isoformat(),
            "navigator": self.place.navigator,
            "lines_open": self.lines_open,
            "warnings_unexplained": self.warnings_unexplained,
        }


def case_list(session: Session, *, on: date | None = None, scope: Scope = ANY) -> list[CaseSummary]:
    """Every case by reference, as it stands, or as was true on a date."""
    rows: Iterable[Row[Any]] = session.execute(case_rows(scope).order_by(Case.ref))
    return list(_summaries_on(session, rows, on)) if on else [summary(row) for row in rows]


def summary(row: Row[Any]) -> CaseSummary:
    """A row of :func:`tracker.places.case_rows` as a line of a list."""
    c: Case = row.Case
    return CaseSummary(place_of(row), c.phase, c.since, c.lines_open, c.warnings_unexplained, c.needs_plan)


def _summaries_on(session: Session, rows: Iterable[Row[Any]], on: date) -> Iterator[CaseSummary]:
    for row in rows:
        if row.Case.opened_on <= on:
            planned = cases.view(session, row.Case, on)
            history = planned.history
            needs_plan = any(item.rule == "no-next-step" for item in planned.open_items)
            place = place_of(row, history.state)
            yield CaseSummary(
                place,
                history.phase,
                history.since,
                len(history.open_lines),
                len(history.unexplained()),
                needs_plan,
            )


@dataclass(frozen=True, slots=True)
class CasePage:
    """A part of a long list of cases; ``after`` says from where it goes on, None at the end."""

    items: list[CaseSummary]
    after: str | None


def cases_page(
    session: Session,
    *,
    scope: Scope = ANY,
    with_closed: bool = False,
    state: str | None = None,
    after: str | int | None = None,
    size: int = 50,
) -> CasePage:
    """Cases by reference, or those in one state as they came, ``size`` at a time from behind a reference or number."""
    key: Any = col(Case.ref) if state is None else col(Case.id)
    limits = [col(Case.state) == state] if state is not None else [] if with_closed else [col(Case.phase) != "closed"]
    if after is not None:
        limits.append(key > after)
    keys = list(session.execute(_first_keys(session, scope, key, limits, size + 1)).scalars())
    rows = session.execute(case_rows(scope, named=True).where(key.in_(keys[:size])).order_by(key))
    return CasePage([summary(row) for row in rows], str(keys[size - 1]) if len(keys) > size else None)


_CLINICS_AT_ONCE = 100
"""Whoever sees more clinics sees nearly everything: then all cases are gone through in order, not clinic by clinic."""


def _first_keys(session: Session, scope: Scope, key: Any, limits: list[Any], number: int) -> Any:
    """The first keys in order: clinic by clinic along their index, or those of one person, who has few."""
    found = select(key.label("key")).where(*limits)
    clinics = _numbers_of_clinics(session, scope)
    if scope.navigator is not None:
        of_person = select(col(Person.id)).where(col(Person.email) == scope.navigator).scalar_subquery()
        here = past_index(col(Case.clinic_id)).in_(clinics)
        return found.where(col(Case.navigator_id) == of_person, here).order_by(key).limit(number)
    if scope.unassigned:
        found = found.where(past_index(col(Case.navigator_id)).is_(None))
    if not 0 < len(clinics) <= _CLINICS_AT_ONCE:
        return found.where(past_index(col(Case.clinic_id)).in_(clinics)).order_by(key).limit(number)
    parts = [found.where(col(Case.clinic_id) == one).order_by(key).limit(number).subquery() for one in clinics]
    together = union_all(*(select(part.c.key) for part in parts)).subquery()
    return select(together.c.key).order_by(together.c.key).limit(number)


def _numbers_of_clinics(session: Session, scope: Scope) -> list[int]:
    found = select(col(Clinic.id)).order_by(col(Clinic.id))
    if scope.clinics is not None:
        found = found.where(col(Clinic.id).in_(sorted(scope.clinics)))
    if scope.clinic is not None:
        found = found.where(col(Clinic.name) == scope.clinic)
    return list(session.execute(found).scalars())


@dataclass(frozen=True, slots=True)
class ScopeChoices:
    """What a list can be limited to: clinics by name, navigators' addresses by the id of their row."""

    clinics: list[str]
    navigators: dict[int, str]

    def offered(self, chosen: int | None = None) -> dict[int, str]:
        """Those that a page offers to choose from, with the one chosen; nobody looks through more than so many."""
        first = dict(islice(self.navigators.items(), OFFERED))
        return first | {chosen: self.navigators[chosen]} if chosen in self.navigators else first


OFFERED = 500
"""More people than any clinic has; what lies behind them is still found by a line's own navigator."""


def scope_choices(session: Session, scope: Scope = ANY) -> ScopeChoices:
    """Every clinic of a scope, and every person responsible for an open case there."""
    named = select(col(Clinic.id), col(Clinic.name)).order_by(col(Clinic.name))
    if scope.clinics is not None:
        named = named.where(col(Clinic.id).in_(sorted(scope.clinics)))
    clinics = {row.id: row.name for row in session.execute(named)}
    responsible = {person for _, person in tallies.caseload(session, clinics)}
    people = session.execute(select(col(Person.id), col(Person.email)).order_by(col(Person.email)))
    navigators = {number: email for number, email in people if number in responsible}
    return ScopeChoices(list(clinics.values()), navigators)


def is_within(session: Session, scope: Scope) -> bool:
    """Whether there is a case in a scope."""
    return session.execute(case_rows(scope).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One case in full: its rows, its plan as of the dates asked for, and every event that was seen then."""

    row: Case
    patient: Patient
    clinic: Clinic
    navigator: str | None
    plan: Plan
    today: date
    events: list[Event]


def case_file(
    session: Session, ref: str, *, now: datetime, on: date | None = None, known: datetime | None = None
) -> CaseFile:
    """The whole file of a case, judged on the day asked for; ``known`` alone means the day on which it was known.

    Raises :class:`UnknownThing`, also for a day before the case was opened or known.
    """
    row = session.execute(case_rows(Scope(case=ref))).first()
    if row is None:
        raise UnknownThing(f"there is no case {ref!r}")
    events = cases.events_of(session, row.Case)
    planned = plan(pathways.pinned(session, row.Case.pathway_digest), as_of(events, on, known))
    if planned.history.opened_on is None:
        raise UnknownThing(f"the case {ref!r} was not open then")
    today = on or local_date(known or now, row.Clinic.timezone)
    navigator = planned.history.navigator
    return CaseFile(row.Case, row.Patient, row.Clinic, navigator, planned, today, _seen(events, on, known))


@dataclass(frozen=True, slots=True)
class ToldReminder:
    """A reminder of a case whose day has come: for which follow-up and step, and what became of it.

    ``told_to`` is who has been told; ``waits``: it is in a message that has not gone yet. Times are aware.
    """

    follow_up_key: str
    step: str
    due_on: date
    remind_on: date
    status: str
    raised_at: datetime | None
    sent_at: datetime | None
    reason: str | None
    told_to: str | None
    waits: bool


def reminders_of(session: Session, case_id: int | None) -> list[ToldReminder]:
    """The reminders of a case that were raised or withheld, the latest first."""
    found = (
        select(
            col(Reminder.follow_up_key),
            col(Reminder.step),
            col(Reminder.due_on),
            col(Reminder.remind_on),
            col(Reminder.status),
            col(Reminder.raised_at),
            col(Reminder.sent_at),
            col(Reminder.reason),
            case((col(Reminder.status) == "sent", col(Digest.recipient))),
            and_(col(Reminder.status) == "raised", col(Reminder.digest_id).is_not(None)),
        )
        .outerjoin(Digest, col(Digest.id) == col(Reminder.digest_id))
        .where(col(Reminder.case_id) == case_id, col(Reminder.status) != "pending")
        .order_by(col(Reminder.remind_on).desc(), col(Reminder.id).desc())
    )
    return [ToldReminder(*tuple(row)) for row in session.execute(found)]


def timezone_of(session: Session, ref: str) -> str:
    """The zone of a case's clinic; raises :class:`UnknownThing`."""
    case_ = cases.find(session, ref)
    return session.get_one(Clinic, case_.clinic_id).timezone


def _seen(events: list[Event], on: date | None, known: datetime | None) -> list[Event]:
    """The events of a view, corrected ones too."""
    then = [e for e in events if known is None or e.recorded_at is None or e.recorded_at <= known]
    return [e for e in then if on is None or e.on <= on or e.kind == "event:corrected"]


def open_numbers(session: Session, case_id: int | None) -> dict[str, int]:
    """The numbers of the rows of a case's open follow-ups, by their keys."""
    found = select(col(FollowUpRow.key), col(FollowUpRow.id)).where(
        col(FollowUpRow.case_id) == case_id, col(FollowUpRow.status) == "open"
    )
    return {key: number for key, number in session.execute(found) if number is not None}
