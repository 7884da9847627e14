"""Read models for the pages and the command line: what is due, which cases there are, how one case stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, and_, case, func, or_, select
from sqlmodel import Session, col

from tracker import cases, pathways
from tracker.clock import local_date
from tracker.errors import UnknownThing
from tracker.models import Case, Clinic, FollowUpRow, Heartbeat, PathwayVersion, Patient, Person
from tracker.projection import why_of
from workflows.events import Event
from workflows.history import as_of
from workflows.planning import Plan, plan
from workflows.series import FollowUp, Forecast, Why

_STATUS_ORDER = {"overdue": 0, "due": 1, "upcoming": 2, "forecast": 3}


@dataclass(frozen=True, slots=True)
class CasePlace:
    """The part of a case that a list shows beside each item; ``pathway`` is the digest that it runs on."""

    ref: str
    patient_ref: str
    patient_name: str | None
    clinic: str
    navigator: str | None
    state: str
    pathway: str


@dataclass(frozen=True, slots=True)
class DueItem:
    """One open (or forecast) follow-up on a date. ``days_overdue`` counts from the day after the late day."""

    place: CasePlace
    id: int | None
    key: str
    rule: str
    activity: str
    occurrence: int
    anchor_on: date
    opens_on: date
    due_on: date
    late_on: date
    booked_for: date | None
    moved_from: date | None
    status: str
    days_overdue: int
    why: Why

    def as_json(self) -> dict[str, Any]:
        """The item as ``due --json`` gives it."""
        return {
            "case": self.place.ref,
            "patient_ref": self.place.patient_ref,
            "clinic": self.place.clinic,
            "state": self.place.state,
            "activity": self.activity,
            "rule": self.rule,
            "occurrence": self.occurrence,
            "anchor_on": self.anchor_on.isoformat(),
            "opens_on": self.opens_on.isoformat(),
            "due_on": self.due_on.isoformat(),
            "late_on": self.late_on.isoformat(),
            "status": self.status,
            "days_overdue": self.days_overdue,
            "source": list(self.why.sources),
            "why": self.why.sentence(),
        }


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cases a list is about; None means any. ``unassigned``: those that nobody is responsible for."""

    clinic: str | None = None
    navigator: str | None = None
    case: str | None = None
    unassigned: bool = False


ANY = Scope()
"""No limit at all."""


def status_on(opens_on: date, late_on: date, day: date) -> tuple[str, int]:
    """The status of an open item on a local date, and by how many days it is overdue."""
    if day > late_on:
        return "overdue", (day - late_on).days
    return ("due" if day >= opens_on else "upcoming"), 0


# What is due -----------------------------------------------------------------------------------------------


def due(session: Session, *, now: datetime, on: date | None = None, scope: Scope = ANY) -> list[DueItem]:
    """Every open follow-up, most overdue first, each judged on its clinic's local date or on ``on``.

    A date in the past shows the world as it was true then: the histories are folded up to it.
    """
    _require_known(session, scope)
    today = local_dates(session, now)
    if on is not None and any(on < day for day in today.values()):
        found = _due_in_the_past(session, on, scope)
    else:
        found = [_due_item(row, on or today[row.Clinic.name]) for row in session.execute(_open_items(scope))]
    return sorted(found, key=_urgency)


def _urgency(item: DueItem) -> tuple[int, int, date, str, str]:
    return (_STATUS_ORDER[item.status], -item.days_overdue, item.due_on, item.place.ref, item.rule)


def forecast(
    session: Session, *, now: datetime, until: date, on: date | None = None, scope: Scope = ANY
) -> list[DueItem]:
    """Later occurrences up to ``until``, if all that is open is done on its due date; by due date."""
    found = []
    for row in session.execute(_cases(scope).where(col(Case.phase) != "closed")):
        day = on or local_date(now, row.Clinic.timezone)
        planned = cases.view(session, row.Case, on)
        found += [_forecast_item(_place(row), item) for item in planned.forecast(day, until)]
    return sorted(found, key=lambda item: (item.due_on, item.place.ref, item.rule))


def local_dates(session: Session, now: datetime) -> dict[str, date]:
    """Today in each clinic, by its name."""
    return {
        name: local_date(now, zone) for name, zone in session.execute(select(col(Clinic.name), col(Clinic.timezone)))
    }


def _require_known(session: Session, scope: Scope) -> None:
    if scope.case is not None:
        cases.find(session, scope.case)
    if (
        scope.clinic is not None
        and session.execute(select(col(Clinic.id)).where(col(Clinic.name) == scope.clinic)).first() is None
    ):
        raise UnknownThing(f"there is no clinic {scope.clinic!r}")


def _cases(scope: Scope) -> Any:
    found = select(Case, Patient, Clinic, Person).select_from(Case)
    found = found.join(Patient, col(Patient.id) == col(Case.patient_id))
    found = found.join(Clinic, col(Clinic.id) == col(Case.clinic_id))
    found = found.outerjoin(Person, col(Person.id) == col(Case.navigator_id))
    return _within(found, scope)


def _open_items(scope: Scope) -> Any:
    found = select(FollowUpRow, Case, Patient, Clinic, Person).select_from(FollowUpRow)
    found = found.join(Case, col(Case.id) == col(FollowUpRow.case_id))
    found = found.join(Patient, col(Patient.id) == col(Case.patient_id))
    found = found.join(Clinic, col(Clinic.id) == col(FollowUpRow.clinic_id))
    found = found.outerjoin(Person, col(Person.id) == col(FollowUpRow.navigator_id))
    return _within(found.where(col(FollowUpRow.status) == "open"), scope)


def _within(found: Any, scope: Scope) -> Any:
    if scope.clinic is not None:
        found = found.where(col(Clinic.name) == scope.clinic)
    if scope.navigator is not None:
        found = found.where(col(Person.email) == scope.navigator)
    if scope.unassigned:
        found = found.where(col(Person.id).is_(None))
    if scope.case is not None:
        found = found.where(col(Case.ref) == scope.case)
    return found


def _place(row: Row[Any], state: str | None = None) -> CasePlace:
    person = row.Person.email if row.Person else None
    c: Case = row.Case
    return CasePlace(
        c.ref, row.Patient.ref, row.Patient.name, row.Clinic.name, person, state or c.state, c.pathway_digest
    )


def _due_item(row: Row[Any], day: date) -> DueItem:
    item: FollowUpRow = row.FollowUpRow
    status, late_by = status_on(item.opens_on, item.late_on, day)
    return DueItem(
        place=_place(row),
        id=item.id,
        key=item.key,
        rule=item.rule,
        activity=item.activity,
        occurrence=item.occurrence,
        anchor_on=item.anchor_on,
        opens_on=item.opens_on,
        due_on=item.due_on,
        late_on=item.late_on,
        booked_for=item.booked_for,
        moved_from=item.moved_from,
        status=status,
        days_overdue=late_by,
        why=why_of(item.why),
    )


def _due_in_the_past(session: Session, on: date, scope: Scope) -> list[DueItem]:
    found = []
    for row in session.execute(_cases(scope).where(col(Case.opened_on) <= on)):
        planned = cases.view(session, row.Case, on)
        place = _place(row, planned.history.state)
        found += [_planned_item(place, item, on) for item in planned.open_items]
    return found


def _planned_item(place: CasePlace, item: FollowUp, day: date) -> DueItem:
    status, late_by = status_on(item.window.opens_on, item.window.late_on, day)
    return DueItem(
        place, None, item.key, item.rule, item.activity, item.occurrence, item.anchor_on, item.window.opens_on,
        item.window.due_on, item.window.late_on, item.booked_for, item.moved_from, status, late_by, item.why,
    )  # fmt: skip


def _forecast_item(place: CasePlace, item: Forecast) -> DueItem:
    return DueItem(
        place, None, "", item.rule, item.activity, item.occurrence, item.anchor_on, item.window.opens_on,
        item.window.due_on, item.window.late_on, None, None, "forecast", 0, item.why,
    )  # fmt: skip


# The overdue page ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a long list; ``after`` is the place from which the next part goes on, None at the end."""

    items: list[DueItem]
    after: tuple[date, int] | None


def overdue_page(
    session: Session, *, now: datetime, scope: Scope = ANY, after: tuple[date, int] | None = None, size: int = 50
) -> Page:  # fmt: skip
    """Overdue follow-ups, longest overdue first, ``size`` at a time, each by its clinic's local date."""
    today = local_dates(session, now)
    found = _open_items(scope).where(_is_overdue(today))
    if after is not None:
        late_on, row_id = after
        later = and_(col(FollowUpRow.late_on) == late_on, col(FollowUpRow.id) > row_id)
        found = found.where(or_(col(FollowUpRow.late_on) > late_on, later))
    found = found.order_by(col(FollowUpRow.late_on), col(FollowUpRow.id)).limit(size + 1)
    items = [_due_item(row, today[row.Clinic.name]) for row in session.execute(found)]
    last = items[size - 1] if len(items) > size else None
    return Page(items[:size], (last.late_on, last.id) if last and last.id else None)


def _is_overdue(today: dict[str, date]) -> Any:
    """Overdue on each clinic's own date."""
    by_day: dict[date, list[str]] = {}
    for clinic, day in today.items():
        by_day.setdefault(day, []).append(clinic)
    terms = [and_(col(Clinic.name).in_(names), col(FollowUpRow.late_on) < day) for day, names in by_day.items()]
    return or_(*terms) if terms else and_(col(Clinic.id).is_(None))


@dataclass(frozen=True, slots=True)
class OverdueCount:
    """How many overdue follow-ups a clinic's navigator has, and how long the oldest has waited."""

    clinic: str
    navigator: str | None
    items: int
    oldest_late_on: date


def overdue_counts(session: Session, *, now: datetime) -> list[OverdueCount]:
    """Overdue follow-ups by clinic and navigator, most first."""
    today = local_dates(session, now)
    number = func.count().label("number")
    found = (
        select(col(Clinic.name), col(Person.email), number, func.min(col(FollowUpRow.late_on)))
        .select_from(FollowUpRow)
        .join(Clinic, col(Clinic.id) == col(FollowUpRow.clinic_id))
        .outerjoin(Person, col(Person.id) == col(FollowUpRow.navigator_id))
        .where(col(FollowUpRow.status) == "open", _is_overdue(today))
        .group_by(Clinic.name, Person.email)
        .order_by(number.desc(), Clinic.name)
    )
    return [OverdueCount(*row) for row in session.execute(found)]


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole centre in numbers."""

    open_cases: int
    without_next_step: int
    unexplained: int
    without_navigator: int


def totals(session: Session, scope: Scope = ANY) -> Totals:
    """Open cases, and those that need somebody's attention for another reason than a date."""

    def count(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    found = _within(
        select(
            func.count(),
            count(Case.needs_plan),
            count(col(Case.warnings_unexplained) > 0),
            count(col(Case.navigator_id).is_(None)),
        )
        .select_from(Case)
        .join(Clinic)
        .outerjoin(Person, col(Person.id) == col(Case.navigator_id))
        .where(col(Case.phase) != "closed"),
        scope,
    )
    return Totals(*(int(number) for number in session.execute(found).one()))


def last_tick(session: Session) -> datetime | None:
    """When the sweep last finished, or None if it never has."""
    beat = session.get(Heartbeat, "tick")
    return beat.at if beat else None


# Cases -----------------------------------------------------------------------------------------------------


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
    rows: Iterable[Row[Any]] = session.execute(_cases(scope).order_by(Case.ref))
    return list(_summaries_on(session, rows, on)) if on else [_summary(row) for row in rows]


def _summary(row: Row[Any]) -> CaseSummary:
    c: Case = row.Case
    return CaseSummary(_place(row), c.phase, c.since, c.lines_open, c.warnings_unexplained, c.needs_plan)


def _summaries_on(session: Session, rows: Iterable[Row[Any]], on: date) -> Iterator[CaseSummary]:
    for row in rows:
        if row.Case.opened_on <= on:
            planned = cases.view(session, row.Case, on)
            history = planned.history
            needs_plan = any(item.rule == "no-next-step" for item in planned.open_items)
            place = _place(row, history.state)
            yield CaseSummary(
                place,
                history.phase,
                history.since,
                len(history.open_lines),
                len(history.unexplained()),
                needs_plan,
            )


NEEDS: dict[str, Any] = {
    "next-step": col(Case.needs_plan).is_(True),
    "explanation": col(Case.warnings_unexplained) > 0,
    "navigator": col(Case.navigator_id).is_(None),
}
"""What an open case can be in want of, other than an act on a date."""


@dataclass(frozen=True, slots=True)
class CasePage:
    """A part of a long list of cases; ``after`` is the reference from which it goes on, None at the end."""

    items: list[CaseSummary]
    after: str | None


def cases_page(
    session: Session,
    *,
    needs: str | None = None,
    scope: Scope = ANY,
    with_closed: bool = False,
    after: str | None = None,
    size: int = 50,
) -> CasePage:
    """Cases by reference, ``size`` at a time; ``needs``, a key of :data:`NEEDS`, keeps those in want of it."""
    found = _cases(scope).order_by(col(Case.ref)).limit(size + 1)
    if not with_closed:
        found = found.where(col(Case.phase) != "closed")
    if needs is not None:
        found = found.where(NEEDS[needs])
    if after is not None:
        found = found.where(col(Case.ref) > after)
    items = [_summary(row) for row in session.execute(found)]
    return CasePage(items[:size], items[size - 1].place.ref if len(items) > size else None)


@dataclass(frozen=True, slots=True)
class ScopeChoices:
    """What a list can be limited to: clinics by name, navigators' addresses by the id of their row."""

    clinics: list[str]
    navigators: dict[int, str]


def scope_choices(session: Session) -> ScopeChoices:
    """Every clinic, and every person responsible for a case."""
    responsible = select(col(Case.navigator_id)).where(col(Case.navigator_id).is_not(None))
    people = select(Person).where(col(Person.id).in_(responsible)).order_by(col(Person.email))
    navigators = {p.id: p.email for p in session.scalars(people) if p.id is not None}
    clinics = list(session.scalars(select(col(Clinic.name)).order_by(col(Clinic.name))))
    return ScopeChoices(clinics, navigators)


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
    """The whole file of a case; raises :class:`UnknownThing`, also for a date before it was opened or known."""
    row = session.execute(_cases(Scope(case=ref))).first()
    if row is None:
        raise UnknownThing(f"there is no case {ref!r}")
    events = cases.events_of(session, row.Case)
    planned = plan(pathways.pinned(session, row.Case.pathway_digest), as_of(events, on, known))
    if planned.history.opened_on is None:
        raise UnknownThing(f"the case {ref!r} was not open then")
    today = on or local_date(now, row.Clinic.timezone)
    navigator = planned.history.navigator
    return CaseFile(row.Case, row.Patient, row.Clinic, navigator, planned, today, _seen(events, on, known))


def timezone_of(session: Session, ref: str) -> str:
    """The zone of a case's clinic; raises :class:`UnknownThing`."""
    case_ = cases.find(session, ref)
    return session.get_one(Clinic, case_.clinic_id).timezone


def _seen(events: list[Event], on: date | None, known: datetime | None) -> list[Event]:
    """The events of a view, corrected ones too."""
    then = [e for e in events if known is None or e.recorded_at is None or e.recorded_at <= known]
    return [e for e in then if on is None or e.on <= on or e.kind == "event:corrected"]


def published_pathways(session: Session) -> list[dict[str, str]]:
    """Every published pathway, newest first."""
    rows = session.scalars(select(PathwayVersion).order_by(col(PathwayVersion.published_at).desc()))
    return [
        {
            "pathway": r.pathway,
            "version": r.version,
            "digest": r.digest,
            "published_at": r.published_at.isoformat(),
        }
        for r in rows
    ]
