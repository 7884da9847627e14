"""The numbers of a whole centre: right at any moment, whoever writes, and after the tick has added them up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests.tracker.conftest import NOW, Installation
from tests.tracker.histories import lanreotide
from tracker import cases, tallies
from tracker import tick as ticking
from tracker.demo import demo_cohort
from tracker.models import FollowUpRow, Tally
from tracker.pathways import shipped

TODAY = date(2026, 11, 21)


def _cohort(place: Installation, patients: int = 12) -> None:
    place.replay(demo_cohort(shipped(), patients, 3, NOW.date() - timedelta(days=1)))


def _clinics(session: Session) -> dict[int, date]:
    return dict.fromkeys((row.clinic_id for row in session.exec(select(FollowUpRow))), TODAY)


def _wrong(place: Installation) -> list[str]:
    with place.database.reading() as session:
        return tallies.wrong(session)


def test_numbers_are_right_before_and_after_they_are_added_up(place: Installation) -> None:
    _cohort(place)
    assert _wrong(place) == []
    with place.database.reading() as session:
        before = _numbers(session)
    assert tallies.add_up(place.database, batch=10) > 40
    assert tallies.add_up(place.database) == 0
    assert _wrong(place) == []
    with place.database.reading() as session:
        assert _numbers(session) == before


def _numbers(session: Session) -> list[object]:
    days = _clinics(session)
    return [
        tallies.late_by_activity(session, days),
        tallies.late_by_navigator(session, days),
        tallies.late_by_day(session, days),
        tallies.due_by_day(session, days, TODAY, TODAY + timedelta(days=90)),
        tallies.cases_by_state(session, days),
        tallies.caseload(session, days),
        tallies.cases_in_want(session, days),
    ]


def test_a_change_counts_at_once_and_after_the_tick(place: Installation) -> None:
    place.replay(lanreotide())
    place.tick()
    with place.writing() as writing:
        data = {"activity": "injection"}
        cases.record(writing, ref="N-001", kind="activity:done", on=date(2026, 11, 20), data=data)
    assert _wrong(place) == []
    with place.writing() as writing:
        cases.record(
            writing, ref="N-001", kind="state:changed", on=date(2026, 11, 20), data={"trigger": "record_death"}
        )
    with place.database.reading() as session:
        days = _clinics(session)
        assert not tallies.late_by_activity(session, days)
        assert sum(tallies.caseload(session, days).values()) == 0
        assert [state for _, state in tallies.cases_by_state(session, days)] == ["closed.deceased"]
    place.tick()
    assert _wrong(place) == []
    with place.database.reading() as session:
        assert [row.cube for row in session.exec(select(Tally))] == ["state"]


def test_what_is_late_is_late_from_the_day_after_its_late_day(place: Installation) -> None:
    place.replay(lanreotide())
    with place.database.reading() as session:
        (clinic,) = _clinics(session)
        late = min(row.late_on for row in session.exec(select(FollowUpRow)) if row.status == "open")
        for added in (False, True):
            if added:
                tallies.add_up(place.database)
            with place.database.reading() as again:
                on_the_day = tallies.late_by_activity(again, {clinic: late})
                day_after = tallies.late_by_activity(again, {clinic: late + timedelta(days=1)})
                assert sum(on_the_day.values()) == 0
                assert sum(day_after.values()) >= 1


@pytest.mark.parametrize("day", [date(2026, 3, 1), date(2026, 6, 30), date(2026, 12, 31), date(2028, 2, 29)])
def test_whole_months_and_days_make_the_same_as_rows(place: Installation, day: date) -> None:
    _cohort(place)
    tallies.add_up(place.database)
    with place.database.reading() as session:
        rows = [row for row in session.exec(select(FollowUpRow)) if row.status == "open" and row.late_on < day]
        days = dict.fromkeys(_clinics(session), day)
        assert sum(tallies.late_by_activity(session, days).values()) == len(rows)
        assert sum(tallies.late_by_navigator(session, days).values()) == len(rows)
        by_one = tallies.late_by_navigator(session, days)
        for (clinic, navigator), number in by_one.items():
            mine = [row for row in rows if (row.clinic_id, row.navigator_id or 0) == (clinic, navigator)]
            assert number == len(mine)


def test_numbers_that_were_tampered_with_are_found_and_counted_anew(place: Installation) -> None:
    _cohort(place)
    place.tick()
    with place.database.writing() as session:
        session.execute(text("UPDATE tally SET number = number + 1 WHERE cube = 'state'"))
    (found,) = _wrong(place)
    assert found.endswith("counts by state are not what the rows say")
    with place.database.writing() as session:
        tallies.recount(session)
    assert _wrong(place) == []
    tallies.add_up(place.database)
    assert _wrong(place) == []


def test_the_night_counts_anew_what_is_wrong_and_a_tick_adds_up(place: Installation) -> None:
    place.replay(lanreotide())
    place.tick()
    assert ticking.nightly(place.database, NOW)
    assert not ticking.nightly(place.database, NOW)
    with place.database.writing() as session:
        session.execute(text("DELETE FROM tally"))
    assert _wrong(place)
    assert ticking.nightly(place.database, NOW + timedelta(days=1))
    assert _wrong(place) == []


def test_two_who_add_up_at_once_take_each_change_once(place: Installation) -> None:
    _cohort(place)
    with ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(tallies.add_up, place.database, 7) for _ in range(2)]
        assert sum(one.result() for one in taken) > 40
    assert _wrong(place) == []
