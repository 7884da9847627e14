"""What is overdue and what comes, for one person or a whole centre, as fast with a million cases as with a hundred.

The lists follow an index clinic by clinic; the numbers of clinics are those of :mod:`tracker.tallies`, and those of one
person are counted on the person's own rows.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text, tuple_, union_all
from sqlmodel import Session, col

from tracker import tallies
from tracker.casebook import CasePage, CaseSummary, summary
from tracker.clock import local_date
from tracker.models import IS_OPEN, Case, Clinic, FollowUpRow, Person
from tracker.places import ANY, Scope, case_rows, open_items, past_index
from tracker.queries import DueItem, due_item
from tracker.tallies import NOBODY, Days
from workflows.pathway import Pathway

_AT_ONCE = 100
"""Clinics in one statement; the embedded database takes 500 parts at most."""
Place = tuple[date, int]
"""Where a list goes on: a date and the number of the row that was shown last."""


def days_of(session: Session, now: datetime, scope: Scope = ANY) -> dict[int, date]:
    """The clinics of a scope by number, each with its local date."""
    found = select(col(Clinic.id), col(Clinic.timezone))
    if scope.clinics is not None:
        found = found.where(col(Clinic.id).in_(sorted(scope.clinics)))
    if scope.clinic is not None:
        found = found.where(col(Clinic.name) == scope.clinic)
    return {clinic: local_date(now, zone) for clinic, zone in session.execute(found)}


# Lists -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a long list; ``after`` is the place from which the next part goes on, None at the end."""

    items: list[DueItem]
    after: Place | None


@dataclass(frozen=True, slots=True)
class Only:
    """Which of the overdue: so many days overdue (``last`` None: or more), or so long that the lead is to hear of it.

    ``lead_after``: days overdue after which that is so, by activity, see :func:`lead_after`.
    """

    first: int = 1
    last: int | None = None
    lead_after: Mapping[str, int] | None = None

    def condition(self, day: date) -> ColumnElement[bool]:
        """The same of a row, on a clinic's local date."""
        late_on = col(FollowUpRow.late_on)
        found = late_on <= day - timedelta(days=self.first)
        if self.last is not None:
            found = found & (late_on >= day - timedelta(days=self.last))
        if self.lead_after is not None:
            found = found & or_(*self._escalated(day))
        return found

    def _escalated(self, day: date) -> Iterator[ColumnElement[bool]]:
        late_on, activity, lead_after = col(FollowUpRow.late_on), col(FollowUpRow.activity), self.lead_after or {}
        yield late_on <= day - timedelta(days=_LEAD_AFTER)
        for days in sorted(set(lead_after.values())):
            named = [name for name, after in lead_after.items() if after == days]
            yield activity.in_(named) & (late_on <= day - timedelta(days=days))


_LEAD_AFTER = 14
"""Where the pathway of today does not know an activity any more."""


def lead_after(pathway: Pathway) -> dict[str, int]:
    """After how many days overdue the clinic's lead is to hear of an activity, where that is sooner than usual."""
    found: dict[str, int] = {}
    for rule in pathway.follow_ups:
        for step in pathway.reminders[rule.reminders]:
            if step.to == "lead" and step.at == "late" and step.plus_days < _LEAD_AFTER:
                found[rule.activity] = min(step.plus_days, found.get(rule.activity, step.plus_days))
    return found


def overdue_page(
    session: Session,
    *,
    now: datetime,
    scope: Scope = ANY,
    only: Only | None = None,
    after: Place | None = None,
    size: int = 50,
) -> Page:
    """Overdue follow-ups, longest overdue first, ``size`` at a time, each by its clinic's local date."""
    days = days_of(session, now, scope)
    groups = _groups(scope, days, (only or Only()).condition)
    return _page(session, days, _first(session, col(FollowUpRow.late_on), groups, after, size + 1), size)


def between(
    session: Session,
    *,
    now: datetime,
    scope: Scope,
    by: str,
    first: date,
    last: date,
    after: Place | None = None,
    size: int = 50,
) -> Page:
    """Open follow-ups whose date ``by`` (``due_on`` or ``booked_for``) is one of these days, in their order."""
    days = days_of(session, now, scope)
    column = col(getattr(FollowUpRow, by))
    # said in so many words, because the index of bookings has only rows with one
    groups = _groups(scope, days, lambda _: and_(column.is_not(None), column.between(first, last)))
    return _page(session, days, _first(session, column, groups, after, size + 1), size)


def booked_by_day(session: Session, *, scope: Scope, clinics: Iterable[int], first: date, last: date) -> Counter[date]:
    """Open follow-ups that are booked for each of these days."""
    booked = col(FollowUpRow.booked_for)
    found = select(booked, func.count()).where(IS_OPEN, booked.is_not(None), booked.between(first, last))
    found = found.where(col(FollowUpRow.clinic_id).in_(sorted(clinics)))
    if _of_one_person(scope):
        found = found.where(_of(scope))
    return Counter({row[0]: row[1] for row in session.execute(found.group_by(booked))})


def due_by_day(session: Session, *, scope: Scope, clinics: Iterable[int], first: date, last: date) -> Counter[date]:
    """Open follow-ups that are due on each of these days."""
    if not _of_one_person(scope):
        return tallies.due_by_day(session, clinics, first, last)
    due_on = col(FollowUpRow.due_on)
    found = select(due_on, func.count()).where(IS_OPEN, _of(scope), due_on.between(first, last))
    found = found.where(past_index(col(FollowUpRow.clinic_id)).in_(sorted(clinics))).group_by(due_on)
    return Counter({row[0]: row[1] for row in session.execute(found)})


def coming(session: Session, *, now: datetime, scope: Scope = ANY, days_ahead: int = 7, size: int = 8) -> list[DueItem]:
    """What is due from today on, within so many days, in the order of the due dates."""
    days = days_of(session, now, scope)
    due_on = col(FollowUpRow.due_on)

    def within(day: date) -> ColumnElement[bool]:
        return due_on.between(day, day + timedelta(days=days_ahead - 1))

    return _page(session, days, _first(session, due_on, _groups(scope, days, within), None, size), size).items


def _groups(scope: Scope, days: Days, condition: Callable[[date], ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """What is to be read along one index each: the rows of one person, or of each clinic."""
    if not days:
        return []
    if _of_one_person(scope):
        return [and_(_of(scope), _in_each(days, condition))]
    return [and_(col(FollowUpRow.clinic_id) == clinic, condition(day)) for clinic, day in days.items()]


def _page(session: Session, days: Days, places: list[Place], size: int) -> Page:
    shown = [row_id for _, row_id in places[:size]]
    rows = session.execute(open_items(ANY).where(col(FollowUpRow.id).in_(shown))) if shown else ()
    found = {row.FollowUpRow.id: due_item(row, days[row.FollowUpRow.clinic_id]) for row in rows}
    return Page([found[row_id] for row_id in shown], places[size - 1] if len(places) > size else None)


def _first(
    session: Session, by: Any, groups: list[ColumnElement[bool]], after: Place | None, size: int
) -> list[Place]:  # fmt: skip
    """The first open follow-ups by a date: one range of an index for each group, and these merged."""
    found: list[list[Place]] = []
    for start in range(0, len(groups), _AT_ONCE):
        parts = [_range(by, group, after, size) for group in groups[start : start + _AT_ONCE]]
        rows = session.execute(union_all(*parts).order_by("day", "id").limit(size))
        found.append([(row.day, row.id) for row in rows])
    return list(heapq.merge(*found))[:size]


def _range(by: Any, group: ColumnElement[bool], after: Place | None, size: int) -> Any:
    row_id = col(FollowUpRow.id)
    found = select(by.label("day"), row_id.label("id")).where(IS_OPEN, group)
    if after is not None:
        found = found.where(tuple_(by, row_id) > tuple_(*after))
    # a LIMIT within a UNION: the embedded database wants it one level deeper
    part = found.order_by(by, row_id).limit(size).subquery()
    return select(part.c.day, part.c.id)


def _of_one_person(scope: Scope) -> bool:
    return scope.navigator is not None or scope.unassigned


def _of(scope: Scope) -> ColumnElement[bool]:
    """The follow-ups of the scope's navigator, or of nobody."""
    if scope.unassigned:
        return col(FollowUpRow.navigator_id).is_(None)
    person = select(col(Person.id)).where(col(Person.email) == scope.navigator).scalar_subquery()
    return col(FollowUpRow.navigator_id) == person


def _in_each(days: Days, condition: Callable[[date], ColumnElement[bool]]) -> ColumnElement[bool]:
    """In any of the clinics, by the date that it is there; whose follow-ups they are is what they are looked up by."""
    clinics: dict[date, list[int]] = {}
    for clinic, day in days.items():
        clinics.setdefault(day, []).append(clinic)
    clinic_id = past_index(col(FollowUpRow.clinic_id))
    return or_(*(and_(clinic_id.in_(ones), condition(day)) for day, ones in clinics.items()))


# Numbers ---------------------------------------------------------------------------------------------------

AGES = ((1, 7), (8, 14), (15, 30), (31, 90), (91, 365), (366, None))
"""Days overdue, from and to; what is more than a year late is shown like everything else."""
AHEAD = 90
"""Days of the load that comes."""


@dataclass(slots=True)
class Standing:
    """A scope in numbers. Navigators are numbers of rows, 0 is nobody; clinics too.

    What is overdue is counted by activity, by days overdue and by navigator; ``due`` is by day, from today on.
    ``states`` are cases by state, closed ones too; ``caseload`` open cases by navigator.
    """

    days: dict[int, date]
    by_activity: Counter[str] = field(default_factory=Counter)
    by_age: Counter[int] = field(default_factory=Counter)
    escalated: int = 0
    by_navigator: Counter[tuple[int, int]] = field(default_factory=Counter)
    due: Counter[date] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    caseload: Counter[tuple[int, int]] = field(default_factory=Counter)
    without_next_step: int = 0
    unexplained: int = 0

    @property
    def overdue(self) -> int:
        return sum(self.by_age.values())

    @property
    def open_cases(self) -> int:
        return sum(number for state, number in self.states.items() if not tallies.is_closed(state))

    @property
    def without_navigator(self) -> int:
        return sum(number for (_, navigator), number in self.caseload.items() if navigator == NOBODY)

    def aged(self) -> list[int]:
        """The overdue in each of :data:`AGES`."""
        return [
            sum(number for days, number in self.by_age.items() if first <= days and (last is None or days <= last))
            for first, last in AGES
        ]


def standing(session: Session, *, now: datetime, scope: Scope = ANY, sooner: Mapping[str, int]) -> Standing:
    """Everything that the dashboard counts; ``sooner`` is what :func:`lead_after` says."""
    found = Standing(days_of(session, now, scope))
    if not found.days:
        return found
    if _of_one_person(scope):
        _of_person(session, found, scope, sooner)
    else:
        _of_clinics(session, found, sooner)
    return found


def today_of(days: Mapping[int, date], now: datetime) -> date:
    """The date in most of the clinics."""
    listed = list(days.values())
    return max(listed, key=listed.count, default=now.date())


def _of_clinics(session: Session, found: Standing, sooner: Mapping[str, int]) -> None:
    days = found.days
    for after in {_LEAD_AFTER, *sooner.values()}:
        since = {clinic: day - timedelta(days=after - 1) for clinic, day in days.items()}
        late = tallies.late_by_activity(session, since).items()
        found.escalated += sum(number for (_, name), number in late if sooner.get(name, _LEAD_AFTER) == after)
    for (_, activity), number in tallies.late_by_activity(session, days).items():
        found.by_activity[activity] += number
    for (clinic, late_on), number in tallies.late_by_day(session, days).items():
        found.by_age[(days[clinic] - late_on).days] += number
    found.by_navigator = tallies.late_by_navigator(session, days)
    first = min(days.values())
    found.due = tallies.due_by_day(session, days, first, first + timedelta(days=AHEAD - 1))
    for (_, state), number in tallies.cases_by_state(session, days).items():
        found.states[state] += number
    found.caseload = tallies.caseload(session, days)
    found.without_next_step, found.unexplained = tallies.cases_in_want(session, days)


def _of_person(session: Session, found: Standing, scope: Scope, sooner: Mapping[str, int]) -> None:
    columns = [
        col(getattr(FollowUpRow, name)) for name in ("clinic_id", "navigator_id", "activity", "late_on", "due_on")
    ]
    rows = select(*columns, func.count()).where(IS_OPEN, _of(scope), past_index(columns[0]).in_(sorted(found.days)))
    last = min(found.days.values()) + timedelta(days=AHEAD - 1)
    for clinic, navigator, activity, late_on, due_on, number in session.execute(rows.group_by(*columns)):
        today = found.days[clinic]
        if late_on < today:
            found.by_activity[activity] += number
            found.by_age[(today - late_on).days] += number
            found.escalated += number if (today - late_on).days >= sooner.get(activity, _LEAD_AFTER) else 0
            found.by_navigator[clinic, navigator or NOBODY] += number
        if today <= due_on <= last:
            found.due[due_on] += number
    _cases_of_person(session, found, _case_rows_of(session, found.days, scope))


def _case_rows_of(session: Session, clinics: Iterable[int], scope: Scope) -> Iterable[Any]:
    columns = (col(Case.clinic_id), col(Case.navigator_id), col(Case.state), col(Case.needs_plan))
    warned = (col(Case.warnings_unexplained) > 0).label("warned")
    here = past_index(col(Case.clinic_id)).in_(sorted(clinics))
    rows = select(*columns, warned, func.count()).where(_cases_of(scope), here)
    return session.execute(rows.group_by(*columns, warned))


def _cases_of_person(session: Session, found: Standing, rows: Iterable[Any]) -> None:
    for clinic, navigator, state, needs_plan, warned, number in rows:
        found.states[state] += number
        if not tallies.is_closed(state):
            found.caseload[clinic, navigator or NOBODY] += number
            found.without_next_step += number if needs_plan else 0
            found.unexplained += number if warned else 0


def oldest_of(session: Session, navigators: Iterable[tuple[int, int]]) -> dict[tuple[int, int], date]:
    """The late day of what has been overdue longest, for some clinics' navigators."""
    found = {}
    for clinic, navigator in navigators:
        theirs = col(FollowUpRow.navigator_id) == navigator if navigator else col(FollowUpRow.navigator_id).is_(None)
        late_on = col(FollowUpRow.late_on)
        first = select(late_on).where(IS_OPEN, theirs, col(FollowUpRow.clinic_id) == clinic).order_by(late_on).limit(1)
        found[clinic, navigator] = session.execute(first).scalar_one()
    return found


def in_want(session: Session, wants: str, scope: Scope, clinics: Iterable[int], size: int) -> list[CaseSummary]:
    """Some open cases of these clinics that are in want of something, a key of :data:`WANTING`.

    First their numbers, each kind along its own index, and then these few cases: with both in one statement the
    embedded database would rather read all cases of the clinics.
    """
    return _numbered(session, session.execute(_in_want(wants, scope, clinics).limit(size)).scalars())


def page_in_want(
    session: Session, wants: str, scope: Scope, clinics: Iterable[int], *, after: int, size: int
) -> CasePage:
    """The same in the order in which the cases were opened, from behind the case of a number on."""
    found = _in_want(wants, scope, clinics)
    number = found.selected_columns[0]
    rows = session.execute(found.where(number > after).distinct().order_by(number).limit(size + 1))
    numbers = list(rows.scalars())
    return CasePage(_numbered(session, numbers[:size]), str(numbers[size - 1]) if len(numbers) > size else None)


def _in_want(wants: str, scope: Scope, clinics: Iterable[int]) -> Any:
    found = WANTING[wants](sorted(clinics))
    return found.where(_cases_of(scope)) if _of_one_person(scope) else found


def _numbered(session: Session, numbers: Iterable[int]) -> list[CaseSummary]:
    found = case_rows(ANY).where(col(Case.id).in_(list(numbers))).order_by(col(Case.id))
    return [summary(row) for row in session.execute(found)]


def _cases_of(scope: Scope) -> ColumnElement[bool]:
    if scope.unassigned:
        return col(Case.navigator_id).is_(None)
    return (
        col(Case.navigator_id) == select(col(Person.id)).where(col(Person.email) == scope.navigator).scalar_subquery()
    )


def _without_plan(clinics: list[int]) -> Any:
    """Those with an open follow-up that says that something has to be planned."""
    asks = and_(col(FollowUpRow.clinic_id).in_(clinics), col(FollowUpRow.activity) == "plan-needed")
    joined = select(col(FollowUpRow.case_id)).join(Case, col(Case.id) == col(FollowUpRow.case_id))
    return joined.where(IS_OPEN, asks, col(FollowUpRow.rule) == "no-next-step")


def _unexplained(clinics: list[int]) -> Any:
    warned = text("patient_case.warnings_unexplained > 0")
    return select(col(Case.id)).where(warned, col(Case.phase) != "closed", col(Case.clinic_id).in_(clinics))


def _of_nobody(clinics: list[int]) -> Any:
    # + 0: the index to follow is that of navigators, not one of clinics
    here = (col(Case.clinic_id) + 0).in_(clinics)
    return select(col(Case.id)).where(col(Case.navigator_id).is_(None), col(Case.phase) != "closed", here)


WANTING: dict[str, Callable[[list[int]], Any]] = {
    "next-step": _without_plan,
    "explanation": _unexplained,
    "navigator": _of_nobody,
}
"""What an open case can be in want of, other than an act on a date; the value selects the numbers of such cases."""
