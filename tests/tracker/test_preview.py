"""What would change is what then changes, and nothing is written by looking."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from tests.tracker.conftest import Installation, installed, settings_in
from tests.tracker.histories import lanreotide
from tests.workflows.histories import histories
from tests.workflows.journeys import Journey
from tracker import cases
from tracker.errors import ChangeRefused
from tracker.models import CaseEvent, FollowUpRow, Reminder
from tracker.preview import Preview, preview
from tracker.reminders import sweep
from tracker.writing import writing
from workflows.planning import plan


def look(place: Installation, kind: str, on: str, now: datetime | None = None, **data: Any) -> Preview:
    with place.database.reading() as session:
        asked = writing(session, actor="ana@example.org", now=now or place.now, secret=place.secret)
        case = cases.find(session, "N-001")
        return preview(asked, case, kind=kind, on=date.fromisoformat(on), data=data)


@pytest.fixture
def treated(place: Installation) -> Installation:
    place.replay(lanreotide(), now=datetime(2026, 4, 5, 9, 0, tzinfo=UTC))
    return place


def test_a_death_ends_everything_and_withholds_what_has_not_been_told(treated: Installation) -> None:
    with treated.writing() as writing_:
        sweep(writing_.session, writing_.now)
    seen = look(treated, "state:changed", "2026-11-20", trigger="record_death")
    assert seen.may_be_recorded
    assert (seen.before.history.state, seen.after.history.state) == ("therapy.active", "closed.deceased")
    assert {item.activity for item in seen.changes.end} >= {"injection", "visit", "imaging", "markers"}
    assert seen.changes.appear == ()
    assert seen.ends_lines == [1]
    assert seen.withheld
    told = seen.as_json()
    assert told["becomes"] == {"state": "closed.deceased", "phase": "closed", "since": "2026-11-20"}
    assert len(told["reminders"]["withheld"]) == len(seen.withheld)
    assert json.loads(json.dumps(told)) == told


def test_what_moves_is_told_with_both_dates(treated: Installation) -> None:
    seen = look(treated, "activity:rescheduled", "2026-05-01", activity="visit", to="2026-06-20", reason="away")
    (shift,) = seen.changes.move
    assert (shift.was.window.due_on, shift.becomes.window.due_on) == (date(2026, 6, 2), date(2026, 6, 20))
    assert seen.as_json()["follow_ups"]["move"][0]["was"]["due_on"] == "2026-06-02"


def test_what_cannot_be_says_why_and_changes_nothing(treated: Installation) -> None:
    seen = look(treated, "state:changed", "2026-11-20", trigger="begin_surveillance")
    assert not seen.may_be_recorded
    assert "begin_surveillance is not possible" in seen.refused[0]
    assert not seen.changes
    assert not seen.as_json()["allowed"]


def test_a_warning_is_told_until_it_has_a_reason(treated: Installation) -> None:
    start = {"trigger": "start_line", "treatment": "prrt", "intent": "disease-control", "concurrent": True}
    seen = look(treated, "state:changed", "2026-11-20", **start)
    assert [w.id for w in seen.unanswered] == ["prrt-without-high-uptake"]
    assert not seen.may_be_recorded
    answered = look(treated, "state:changed", "2026-11-20", **start, reasons={"prrt-without-high-uptake": "Seen."})
    assert [w.id for w in answered.warnings] == ["prrt-without-high-uptake"]
    assert answered.may_be_recorded


def test_looking_writes_nothing(treated: Installation) -> None:
    before = everything(treated)
    look(treated, "state:changed", "2026-11-20", trigger="record_death")
    assert everything(treated) == before


def everything(place: Installation) -> list[str]:
    with place.database.reading() as session:
        tables = (CaseEvent, FollowUpRow, Reminder)
        return [repr(row.model_dump()) for table in tables for row in session.exec(select(table).order_by("id"))]


# The preview equals the recording ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory, template_home: Path) -> Iterator[Installation]:
    """One installation for all random histories."""
    with installed(settings_in(tmp_path_factory.mktemp("wide"))) as made:
        yield made


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(journey=histories(longest=9), days=st.sampled_from([0, 1, 30, 400]), number=st.integers(0, 10**12))
def test_the_preview_equals_what_recording_then_does(
    wide: Installation, journey: Journey, days: int, number: int
) -> None:
    if len(journey.events) < 2:
        return
    *events, last = journey.events
    latest = max(event.on for event in journey.events) + timedelta(days=days)
    now = datetime.combine(latest, time(15), tzinfo=UTC)
    with wide.database.writing() as session:
        ref = f"W-{number}-{session.exec(select(CaseEvent.id).order_by(CaseEvent.id.desc())).first() or 0}"  # type: ignore[union-attr]
        told = writing(session, actor="test", now=now, secret=wide.secret)
        opened = replace(events[0], data=events[0].data | {"patient": {"ref": ref}})
        case = cases.write_new(told, ref, journey.pathway, [opened, *events[1:]], plan(journey.pathway, events))
        sweep(session, now)
        session.flush()
        session.expire_all()
        seen = preview(told, case, kind=last.kind, on=last.on, data=last.data)
        answered = last.data | (
            {"reasons": {w.id: "because" for w in seen.warnings}} if last.kind == "state:changed" else {}
        )
        before = rows(session, case.id)
        if seen.refused:
            with pytest.raises(ChangeRefused):
                cases.record(told, ref=ref, kind=last.kind, on=last.on, data=answered)
            assert rows(session, case.id) == before
            return
        cases.record(told, ref=ref, kind=last.kind, on=last.on, data=answered)
        session.flush()
        session.expire_all()
        after = rows(session, case.id)
    assert case.state == seen.after.history.state
    was, becomes = open_of(before[0]), open_of(after[0])
    assert {item.key for item in seen.changes.appear} == becomes.keys() - was.keys()
    assert {item.key for item in (*seen.changes.end, *seen.changes.gone)} == was.keys() - becomes.keys()
    moved = {shift.becomes.key: shift.becomes.window.due_on for shift in seen.changes.move}
    for key in was.keys() & becomes.keys():
        assert moved.get(key, was[key].due_on) == becomes[key].due_on
    withheld = {key for key, status in after[1].items() if status == "withheld" and before[1].get(key) != "withheld"}
    assert {(one.follow_up_key, one.step, one.remind_on) for one in seen.withheld} == withheld
    dropped = before[1].keys() - after[1].keys()
    assert {(one.follow_up_key, one.step, one.remind_on) for one in seen.dropped} >= {
        key for key in dropped if key[2] > now.date() and key[0] not in becomes
    }


Rows = tuple[dict[str, FollowUpRow], dict[tuple[str, str, date], str]]


def rows(session: Session, case_id: int | None) -> Rows:
    items = session.exec(select(FollowUpRow).where(FollowUpRow.case_id == case_id))
    reminders = session.exec(select(Reminder).where(Reminder.case_id == case_id))
    kept = {row.key: FollowUpRow(**row.model_dump()) for row in items}
    return kept, {(r.follow_up_key, r.step, r.remind_on): r.status for r in reminders}


def open_of(found: dict[str, FollowUpRow]) -> dict[str, FollowUpRow]:
    return {key: row for key, row in found.items() if row.status == "open"}
