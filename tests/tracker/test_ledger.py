"""verify folds every event again; a changed byte anywhere is found and its row is named."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import cases
from tracker.ledger import Verdict, verify


def verdict(place: Installation) -> Verdict:
    with place.database.reading() as session:
        return verify(session, now=place.now, chain_key=place.secret.derive("event chain"))


def tamper(place: Installation, statement: str) -> None:
    with place.database.writing() as session:
        session.execute(text(statement))


@pytest.fixture
def kept(place: Installation) -> Installation:
    place.replay(lanreotide("N-001") + lanreotide("N-002"))
    place.tick()
    return place


def test_an_untouched_record_is_intact(kept: Installation) -> None:
    found = verdict(kept)
    assert found.findings == []
    assert (found.cases, found.events) == (2, 16)
    assert found.as_json()["chain"] == "intact"
    assert found.expected == found.raised + found.withheld


@pytest.mark.parametrize(
    "change",
    [
        "data = replace(data, '120 mg', '121 mg')",
        "true_on = '2026-03-29'",
        "actor = 'somebody@example.org'",
        "kind = 'activity:donf'",
        "recorded_at = '2026-01-01 00:00:00'",
    ],
)
def test_one_changed_byte_in_an_event_row_is_named(kept: Installation, change: str) -> None:
    row = "case_id = 2 AND seq = 5"
    tamper(kept, f"UPDATE case_event SET {change} WHERE {row}")
    found = verdict(kept)
    assert found.as_json()["chain"] == "broken"
    assert len(found.broken) == 1
    assert "case N-002, event e5, seq 5" in found.broken[0]
    assert "case_event row 13" in found.broken[0]


@pytest.mark.parametrize(
    "statement, named",
    [
        ("DELETE FROM case_event WHERE case_id = 1 AND seq = 3", "an event before it is missing"),
        ("DELETE FROM case_event WHERE case_id = 1 AND seq = 8", "7 of 8 events are there"),
        ("UPDATE case_event SET mac = head_mac FROM patient_case WHERE case_id = 1 AND seq = 2", "case_event row 2"),
        ("UPDATE patient_case SET state = 'closed.deceased' WHERE id = 1", "state is not what its events say"),
        ("UPDATE patient_case SET version = 9 WHERE id = 1", "of 9 events are there"),
        ("UPDATE follow_up SET due_on = '2027-01-01' WHERE id = 2", "follow_up row 2"),
        ("DELETE FROM follow_up WHERE id = 2", "has no row"),
        ("UPDATE patient SET name = 'Somebody Else' WHERE id = 1", "patient row 1 (case N-001): name is not what"),
        ("UPDATE patient SET birth_date = '1961-03-01' WHERE id = 2", "patient row 2 (case N-002): birth_date is not"),
        ("UPDATE person SET email = 'eve@example.org' WHERE id = 1", "its navigator is not what its events say"),
        ("UPDATE patient_case SET navigator_id = NULL WHERE id = 1", "its navigator is not what its events say"),
        ("UPDATE clinic SET name = 'South' WHERE id = 1", "its clinic is not what its events say"),
        ("DELETE FROM reminder WHERE id = 1", "is not in the ledger"),
        ("UPDATE pathway_version SET document = replace(document, '3 months', '9 months')", "its document is not"),
        ("UPDATE reminder SET status = 'withheld', raised_at = NULL WHERE id = 1", "its follow-up is open"),
        (
            "UPDATE reminder SET remind_on = '2040-01-01', status = 'pending', raised_at = NULL WHERE id = 1",
            "waits for",
        ),
    ],
)
def test_any_row_that_is_not_as_its_events_say_is_named(kept: Installation, statement: str, named: str) -> None:
    tamper(kept, statement)
    assert any(named in finding for finding in verdict(kept).findings)


LEFT_OUT = "UPDATE reminder SET status = 'pending', raised_at = NULL, digest_id = NULL WHERE id = 1"


def test_a_reminder_that_the_sweep_left_out_is_missing(place: Installation) -> None:
    place.replay(lanreotide(), now=place.now - timedelta(minutes=1))
    place.tick()
    tamper(place, LEFT_OUT)
    assert verdict(place).missing == []  # it may still be raised today
    place.now += timedelta(days=1)
    assert any("has not been raised" in finding for finding in verdict(place).findings)


def test_what_came_in_after_the_last_sweep_was_not_left_out_by_it(place: Installation) -> None:
    place.replay(lanreotide("N-001"), now=place.now - timedelta(hours=1))
    place.tick()
    place.replay(lanreotide("N-002"), now=place.now + timedelta(hours=1))
    place.now += timedelta(days=1)
    assert verdict(place).findings == []
    place.tick()
    tamper(place, LEFT_OUT)
    with place.writing(place.now + timedelta(hours=1)) as writing:
        back = {"activity": "ct", "reason": "fever"}
        cases.record(writing, ref="N-002", kind="test:requested", on=date(2026, 9, 1), data=back)
    place.now += timedelta(days=1)
    assert ["N-001" in finding for finding in verdict(place).findings] == [True]
