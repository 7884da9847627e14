"""verify folds every event again; a changed byte anywhere is found and its row is named."""

import pytest
from sqlalchemy import text

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
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
        ("DELETE FROM reminder WHERE id = 1", "is not in the ledger"),
        (
            "UPDATE reminder SET remind_on = '2040-01-01', status = 'pending', raised_at = NULL WHERE id = 1",
            "waits for",
        ),
    ],
)
def test_any_row_that_is_not_as_its_events_say_is_named(kept: Installation, statement: str, named: str) -> None:
    tamper(kept, statement)
    assert any(named in finding for finding in verdict(kept).findings)


def test_a_reminder_that_the_sweep_left_out_is_missing(kept: Installation) -> None:
    tamper(kept, "UPDATE reminder SET status = 'pending', raised_at = NULL, digest_id = NULL WHERE id = 1")
    found = verdict(kept)
    assert found.missing == []  # it may still be raised today
    tamper(kept, "UPDATE heartbeat SET at = '2026-11-19 09:00:00'")
    tamper(kept, "UPDATE reminder SET remind_on = remind_on WHERE id = 1")
    assert any("has not been raised" in finding for finding in verdict(kept).findings)
