"""What is due, for the pages and the command line, and the whole centre in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, and_, case, func, or_, select
from sqlmodel import Session, col

from tracker import cases
from tracker.clock import local_date
from tracker.errors import UnknownThing
from tracker.models import Case, Clinic, FollowUpRow, Person
from tracker.places import ANY, CasePlace, Scope, case_rows, local_dates, open_items, place_of, within
from tracker.projection import why_of
from workflows.series import FollowUp, Forecast, Why

_STATUS_ORDER = {"overdue": 0, "due": 1, "upcoming": 2, "forecast": 3}


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
    require_known(session, scope)
    today = local_dates(session, now)
    if on is not None and any(on < day for day in today.values()):
        found = _due_in_the_past(session, on, scope)
    else:
        found = [due_item(row, on or today[row.Clinic.name]) for row in session.execute(open_items(scope))]
    return sorted(found, key=_urgency)


def _urgency(item: DueItem) -> tuple[int, int, date, str, str]:
    return (_STATUS_ORDER[item.status], -item.days_overdue, item.due_on, item.place.ref, item.rule)


def forecast(
    session: Session, *, now: datetime, until: date, on: date | None = None, scope: Scope = ANY
) -> list[DueItem]:
    """Later occurrences up to ``until``, if all that is open is done on its due date; by due date."""
    found = []
    for row in session.execute(case_rows(scope).where(col(Case.phase) != "closed")):
        day = on or local_date(now, row.Clinic.timezone)
        planned = cases.view(session, row.Case, on)
        found += [_forecast_item(place_of(row), item) for item in planned.forecast(day, until)]
    return sorted(found, key=lambda item: (item.due_on, item.place.ref, item.rule))


def require_known(session: Session, scope: Scope) -> None:
    """Refuse a scope that names a case or a clinic that there is not."""
    if scope.case is not None:
        cases.find(session, scope.case)
    if (
        scope.clinic is not None
        and session.execute(select(col(Clinic.id)).where(col(Clinic.name) == scope.clinic)).first() is None
    ):
        raise UnknownThing(f"there is no clinic {scope.clinic!r}")


def due_item(row: Row[Any], day: date) -> DueItem:
    """A row of :func:`tracker.places.open_items`, judged on a local date."""
    """A row of :func:`tracker.places.open_items` as it stands on its clinic's local date."""
    item: FollowUpRow = row.FollowUpRow
    status, late_by = status_on(item.opens_on, item.late_on, day)
    return DueItem(
        place=place_of(row),
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
    for row in session.execute(case_rows(scope).where(col(Case.opened_on) <= on)):
        planned = cases.view(session, row.Case, on)
        place = place_of(row, planned.history.state)
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
    found = open_items(scope).where(_is_overdue(today))
    if after is not None:
        late_on, row_id = after
        later = and_(col(FollowUpRow.late_on) == late_on, col(FollowUpRow.id) > row_id)
        found = found.where(or_(col(FollowUpRow.late_on) > late_on, later))
    found = found.order_by(col(FollowUpRow.late_on), col(FollowUpRow.id)).limit(size + 1)
    items = [due_item(row, today[row.Clinic.name]) for row in session.execute(found)]
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


def overdue_counts(session: Session, *, now: datetime, scope: Scope = ANY) -> list[OverdueCount]:
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
    return [OverdueCount(*row) for row in session.execute(within(found, scope, col(FollowUpRow.clinic_id)))]


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

    found = within(
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
        col(Case.clinic_id),
    )
    return Totals(*(int(number) for number in session.execute(found).one()))
