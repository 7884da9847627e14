"""What is due, for the pages and the command line; what is overdue, page by page, is in :mod:`tracker.overdue`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlmodel import Session, col

from tracker import cases
from tracker.clock import local_date
from tracker.errors import UnknownThing
from tracker.models import Case, Clinic, FollowUpRow
from tracker.places import ANY, CasePlace, Scope, case_rows, local_dates, open_items, place_of
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
    snoozed_until: date | None = None

    def put_off(self, today: date) -> bool:
        """Whether nobody is to be reminded of it yet."""
        return self.snoozed_until is not None and self.snoozed_until > today

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
        snoozed_until=item.snoozed_until,
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
