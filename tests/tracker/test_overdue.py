"""Lists along an index and the numbers beside them, for one person and for clinics of several zones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests.tracker.conftest import NOW, Installation
from tracker import overdue
from tracker.clock import local_date
from tracker.demo import demo_cohort
from tracker.models import Case, Clinic, FollowUpRow, Person
from tracker.overdue import Only, Standing
from tracker.pathways import shipped
from tracker.places import ANY, Scope

SOONER = overdue.lead_after(shipped())


@pytest.fixture
def session(place: Installation) -> Iterator[Session]:
    place.replay(demo_cohort(shipped(), 15, 3, NOW.date() - timedelta(days=1)))
    with place.database.reading() as reading:
        yield reading


def late_rows(session: Session, now: datetime = NOW) -> list[FollowUpRow]:
    """The overdue ones as somebody would find them who looks at every row."""
    zones = {clinic.id: clinic.timezone for clinic in session.exec(select(Clinic))}
    rows = [row for row in session.exec(select(FollowUpRow)) if row.status == "open"]
    return sorted(
        (row for row in rows if row.late_on < local_date(now, zones[row.clinic_id])),
        key=lambda row: (row.late_on, row.id or 0),
    )


def listed(session: Session, scope: Scope = ANY, only: Only | None = None, size: int = 3) -> list[int | None]:
    found, after = [], None
    while True:
        page = overdue.overdue_page(session, now=NOW, scope=scope, only=only, after=after, size=size)
        found += [item.id for item in page.items]
        if page.after is None:
            return found
        after = page.after


def test_pages_follow_each_other_over_all_clinics_without_a_gap(session: Session) -> None:
    assert listed(session) == [row.id for row in late_rows(session)]
    clinics = sorted({row.clinic_id for row in late_rows(session)})
    for clinic in clinics:
        mine = [row.id for row in late_rows(session) if row.clinic_id == clinic]
        assert listed(session, Scope(clinics=frozenset({clinic}))) == mine
    assert listed(session, Scope(clinics=frozenset())) == []


def test_numbers_are_those_of_the_lists(session: Session) -> None:
    people = {person.email: person.id for person in session.exec(select(Person))}
    for scope in (ANY, *(Scope(navigator=email) for email in people), Scope(unassigned=True)):
        standing = overdue.standing(session, now=NOW, scope=scope, sooner=SOONER)
        rows = [row for row in late_rows(session) if _is_of(row, scope, people)]
        assert standing.overdue == len(rows) == sum(standing.aged())
        assert sum(standing.by_activity.values()) == sum(standing.by_navigator.values()) == len(rows)
        assert standing.escalated == len(listed(session, scope, Only(lead_after=SOONER)))
        for age, number in zip(overdue.AGES, standing.aged(), strict=True):
            assert number == len(listed(session, scope, Only(*age)))
        assert _cases(session, scope, people) == (standing.open_cases, standing.without_next_step)


def _is_of(row: FollowUpRow, scope: Scope, people: dict[str, int | None]) -> bool:
    if scope.unassigned:
        return row.navigator_id is None
    return scope.navigator is None or row.navigator_id == people[scope.navigator]


def _cases(session: Session, scope: Scope, people: dict[str, int | None]) -> tuple[int, int]:
    cases = [case for case in session.exec(select(Case)) if case.phase != "closed"]
    if scope.unassigned:
        cases = [case for case in cases if case.navigator_id is None]
    elif scope.navigator:
        cases = [case for case in cases if case.navigator_id == people[scope.navigator]]
    return len(cases), sum(case.needs_plan for case in cases)


def test_an_item_due_today_is_not_overdue_before_midnight_in_its_own_zone(session: Session) -> None:
    row = late_rows(session)[-1]
    zone = session.get_one(Clinic, row.clinic_id).timezone
    scope = Scope(clinics=frozenset({row.clinic_id}))
    before = datetime.combine(row.late_on, datetime.min.time(), UTC)
    turned = next(
        at for at in (before + timedelta(hours=hours) for hours in range(72)) if local_date(at, zone) > row.late_on
    )
    for at, shown in ((turned - timedelta(hours=1), False), (turned, True)):
        page = overdue.overdue_page(session, now=at, scope=scope, size=500)
        assert (row.id in [item.id for item in page.items]) is shown


def test_what_is_more_than_a_year_late_stays_in_list_and_numbers(session: Session) -> None:
    then = NOW + timedelta(days=900)
    standing = overdue.standing(session, now=then, sooner=SOONER)
    assert standing.aged()[-1] > 0
    page = overdue.overdue_page(session, now=then, only=Only(366), size=500)
    assert len(page.items) == standing.aged()[-1]


def test_what_comes_is_in_the_order_of_its_dates(session: Session) -> None:
    for scope in (ANY, Scope(unassigned=True)):
        coming = overdue.coming(session, now=NOW, scope=scope, days_ahead=60, size=100)
        assert [item.due_on for item in coming] == sorted(item.due_on for item in coming)
    span = {"first": NOW.date(), "last": NOW.date() + timedelta(days=60)}
    clinics = overdue.days_of(session, NOW)
    counted = overdue.due_by_day(session, scope=ANY, clinics=clinics, **span)
    shown = overdue.between(session, now=NOW, scope=ANY, by="due_on", size=500, **span)
    assert sum(counted.values()) == len(shown.items) > 0
    booked = overdue.booked_by_day(session, scope=ANY, clinics=clinics, **span)
    assert sum(booked.values()) == len(
        overdue.between(session, now=NOW, scope=ANY, by="booked_for", size=500, **span).items
    )


def test_nothing_is_counted_where_somebody_may_see_no_clinic(session: Session) -> None:
    standing = overdue.standing(session, now=NOW, scope=Scope(clinics=frozenset()), sooner=SOONER)
    assert (standing.overdue, standing.open_cases, standing.without_navigator) == (0, 0, 0)
    assert overdue.today_of(standing.days, NOW) == date(2026, 11, 21)
    assert Standing({}).aged() == [0] * len(overdue.AGES)


@pytest.mark.parametrize("wants", ["next-step", "explanation", "navigator"])
def test_cases_in_want_are_found_along_an_index(session: Session, wants: str) -> None:
    clinics = overdue.days_of(session, NOW)
    found = overdue.in_want(session, wants, ANY, clinics, 500)
    standing = overdue.standing(session, now=NOW, sooner=SOONER)
    number = {
        "next-step": standing.without_next_step,
        "explanation": standing.unexplained,
        "navigator": standing.without_navigator,
    }
    assert len(found) == number[wants]
    read, after = [], 0
    while True:
        page = overdue.page_in_want(session, wants, ANY, clinics, after=after, size=1)
        read += page.items
        if page.after is None:
            break
        after = int(page.after)
    assert read == found
    statement = overdue._in_want(wants, ANY, clinics)
    case_id = statement.selected_columns[0]
    paged = statement.where(case_id > 0).distinct().order_by(case_id).limit(101)
    if session.get_bind().dialect.name == "sqlite":
        plain = paged.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        steps = [row[3] for row in session.execute(text(f"EXPLAIN QUERY PLAN {plain}"))]
        assert "USING INDEX" in steps[0], steps
    nobodys = overdue.page_in_want(session, wants, Scope(unassigned=True), clinics, after=0, size=500).items
    assert nobodys == [one for one in found if one.place.navigator is None]
