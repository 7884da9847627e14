"""verify folds every event again; a changed byte anywhere is found and its row is named."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import accounts, cases, chain, looks, pathways
from tracker.ledger import Verdict, verify
from tracker.looks import Look
from tracker.models import Case, CaseEvent, Clinic, FollowUpRow, Reminder

OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
DUE = OPENS + timedelta(days=3)


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


def test_an_empty_record_counts_nothing(place: Installation) -> None:
    nothing = {"expected": 0, "raised": 0, "sent": 0, "pending": 0, "withheld": 0, "missing": 0, "duplicate": 0}
    assert verdict(place).as_json() == {
        "cases": 0,
        "events": 0,
        "chain": "intact",
        "projections": {"checked": 0, "wrong": 0},
        "reminders": nothing,
        "findings": [],
    }


def test_everything_is_counted(place: Installation) -> None:
    """Of two cases one reminder each was told, one has come and waits, and one case has ended since."""
    place.now = OPENS
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=OPENS - timedelta(days=5))
    place.tick()
    place.now = OPENS + timedelta(days=3)
    with place.writing() as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-002", kind="state:changed", on=date(2026, 4, 27), data=death)
    with place.database.reading() as session:
        follow_ups = len(session.exec(select(FollowUpRow.id)).all())
    assert verdict(place).as_json() == {
        "cases": 2,
        "events": 17,
        "chain": "intact",
        "projections": {"checked": 4 + follow_ups, "wrong": 0},
        "reminders": {
            "expected": 4,
            "raised": 2,
            "sent": 2,
            "pending": 1,
            "withheld": 1,
            "missing": 0,
            "duplicate": 0,
        },
        "findings": [],
    }


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
        (
            "UPDATE patient_case SET state = 'closed.deceased' WHERE id = 1",
            "patient_case row 1 (case N-001): state is not what its events say",
        ),
        ("UPDATE patient_case SET version = 9 WHERE id = 1", "of 9 events are there"),
        ("UPDATE follow_up SET due_on = '2027-01-01' WHERE id = 2", "follow_up row 2"),
        ("DELETE FROM follow_up WHERE id = 2", "has no row"),
        ("UPDATE follow_up SET navigator_id = NULL WHERE id = 2", "navigator_id is not as planned"),
        ("UPDATE reminder SET navigator_id = NULL WHERE id = 1", "its navigator is not the case's"),
        (
            "UPDATE reminder SET step = 'sometime', status = 'pending', raised_at = NULL WHERE id = 1",
            "the plan says None",
        ),
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


def test_a_look_that_was_changed_is_found(kept: Installation) -> None:
    with kept.writing(kept.now) as writing:
        account = accounts.add(writing, "ana@example.org", name="Ana")
        looks.record(writing.session, kept.secret, [Look(accounts.row_id(account), 1, 1, kept.now, "cases.show")])
    assert verdict(kept).findings == []
    tamper(kept, "UPDATE case_look SET page = 'cases.index'")
    assert [finding[:15] for finding in verdict(kept).broken] == ["case_look row 1"]


def test_a_number_of_the_pages_that_was_changed_is_found(kept: Installation) -> None:
    tamper(kept, "UPDATE tally SET number = number + 1")
    assert verdict(kept).wrong


LEFT_OUT = "UPDATE reminder SET status = 'pending', raised_at = NULL, digest_id = NULL WHERE id = 1"


def test_a_reminder_that_the_sweep_left_out_is_missing(place: Installation) -> None:
    place.replay(lanreotide(), now=place.now - timedelta(minutes=1))
    place.tick()
    tamper(place, LEFT_OUT)
    assert verdict(place).missing == []  # it may still be raised today
    place.now += timedelta(days=1)
    assert any("has not been raised" in finding for finding in verdict(place).findings)


def test_what_came_due_on_the_day_of_the_last_sweep_was_left_out_by_it(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.now = OPENS
    place.tick()
    opened = "UPDATE reminder SET status = 'pending', raised_at = NULL, sent_at = NULL, digest_id = NULL"
    tamper(place, f"{opened} WHERE remind_on = '2026-04-24'")
    assert not any("has not been raised" in finding for finding in verdict(place).findings)
    place.now += timedelta(days=1)
    assert any("has not been raised" in finding for finding in verdict(place).findings)


def test_a_case_whose_seal_is_not_that_of_its_last_event_is_named(kept: Installation) -> None:
    with kept.database.writing() as session:
        case = session.exec(select(Case).where(Case.ref == "N-002")).one()
        case.head_mac = bytes(32)
    assert ["N-002" in finding for finding in verdict(kept).findings] == [True]


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


def beyond_the_rules(place: Installation, *statements: str) -> None:
    """Change rows in a way that the database itself refuses, as a repair by hand or a damaged file could."""
    raw = place.database.engine.raw_connection()
    cursor = raw.cursor()
    for statement in statements:
        cursor.execute(statement)
    raw.commit()
    raw.close()


def test_a_follow_up_in_another_clinic_than_its_case_is_named(kept: Installation) -> None:
    with kept.database.writing() as session:
        session.add(Clinic(id=9, name="South", timezone="UTC"))
        session.flush()
        session.get_one(FollowUpRow, 2).clinic_id = 9
    first, *others = verdict(kept).findings
    assert first.endswith("clinic_id is not as planned")
    assert all(" counts by " in finding for finding in others)  # the numbers of both clinics are no longer right


@pytest.mark.parametrize("step, now, expected", [("opens", OPENS, 2), ("due", OPENS, 2), ("due", DUE, 4)])
def test_a_reminder_that_is_gone_is_expected_from_its_day_on(
    place: Installation, step: str, now: datetime, expected: int
) -> None:
    """Of each of two cases one step is told on the 24th and the next on the 27th; of one case they are gone."""
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=OPENS - timedelta(days=5))
    tamper(place, f"DELETE FROM reminder WHERE case_id = 1 AND step = '{step}'")
    place.now = now
    found = verdict(place)
    assert found.expected == expected
    assert all("is not in the ledger" in one for one in found.missing)


def test_what_a_clock_that_ran_ahead_has_raised_is_expected_and_waits(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    early = f"UPDATE reminder SET status = 'raised', raised_at = '{OPENS:%Y-%m-%d %H:%M:%S}'"
    tamper(place, f"{early} WHERE step = 'due' AND due_on = '2026-04-27'")
    place.now = OPENS
    found = verdict(place)
    assert (found.expected, found.raised, found.pending) == (2, 1, 2)


def test_events_of_no_case_are_counted(kept: Installation) -> None:
    free = "ALTER TABLE case_event DROP CONSTRAINT fk_case_event_case_id_patient_case"
    held = "PRAGMA foreign_keys = ON"
    if not kept.database.is_postgresql:
        free = "PRAGMA foreign_keys = OFF"
    moved = "UPDATE case_event SET case_id = 99 WHERE case_id = 2 AND seq > 6"
    beyond_the_rules(kept, free, moved, *([] if kept.database.is_postgresql else [held]))
    found = verdict(kept)
    assert found.broken == [
        "patient_case row 2 (case N-002): 6 of 8 events are there",
        "2 event rows belong to no case",
    ]
    assert found.as_json()["chain"] == "broken"


def reseal(place: Installation, seq: int, **data: str) -> None:
    """Change an event of the first case with the key in hand, so that its chain holds."""
    key, previous = place.secret.derive("event chain"), chain.START
    with place.database.writing() as session:
        case = session.get_one(Case, 1)
        for row in session.exec(select(CaseEvent).where(CaseEvent.case_id == 1).order_by(col(CaseEvent.seq))):
            if row.seq == seq:
                row.data = json.dumps(json.loads(row.data) | data)
            sealed = (case.ref, row.seq, row.ref, row.kind, row.on, row.recorded_at, row.actor, row.data)
            row.mac = previous = chain.link(key, previous, *sealed)
        case.head_mac = previous


def test_a_chain_made_anew_from_the_same_events_is_intact(kept: Installation) -> None:
    reseal(kept, 4)
    assert verdict(kept).findings == []


@pytest.mark.parametrize("trigger, reason", [("hold_line", "hold"), ("begin_again", "KeyError")])
def test_events_that_no_longer_make_a_history_are_named_and_the_other_cases_are_verified(
    kept: Installation, trigger: str, reason: str
) -> None:
    reseal(kept, 4, trigger=trigger)
    tamper(kept, "UPDATE patient SET name = 'Somebody Else' WHERE id = 2")
    first, second, third = verdict(kept).findings
    assert first.startswith("case N-001: its events no longer fold: ")
    assert reason in first
    assert second.startswith("patient row 2 (case N-002): name is not")
    assert third.startswith("patient_case row 2 (case N-002): the words by which it is found")


def test_a_pathway_that_can_no_longer_be_read_is_named_with_the_cases_on_it(
    kept: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pathways, "_read", {})  # as in a process that has just been started
    tamper(kept, "UPDATE pathway_version SET document = 'nonsense'")
    found = verdict(kept)
    assert "its document is not the one that was published" in found.findings[0]
    assert [finding.partition(":")[0] for finding in found.findings[1:]] == ["case N-001", "case N-002"]


def test_a_follow_up_that_is_in_no_plan_is_named(kept: Installation) -> None:
    tamper(kept, "UPDATE follow_up SET key = 'made-up/1' WHERE id = 2")
    found = verdict(kept)
    assert len(found.wrong) == 2
    assert "follow_up row 2 (case N-001): made-up/1 is not in the plan" in found.wrong
    assert any(finding.endswith("has no row") for finding in found.wrong)


def test_a_reminder_that_is_there_twice_is_named_once(kept: Installation) -> None:
    columns = "case_id, clinic_id, navigator_id, follow_up_key, due_on, step, audience, urgent, remind_on, planned_at"
    twice = f"INSERT INTO reminder ({columns}, status) SELECT {columns}, 'pending' FROM reminder WHERE id = 2"
    if kept.database.is_postgresql:
        unique = "uq_reminder_case_id_follow_up_key_due_on_step"
        beyond_the_rules(kept, f"ALTER TABLE reminder DROP CONSTRAINT {unique}", twice, twice)
    else:
        unkeyed = ["CREATE TABLE copy AS SELECT * FROM reminder", "DROP TABLE reminder"]
        unkeyed += ["ALTER TABLE copy RENAME TO reminder", twice, twice, "UPDATE reminder SET id = rowid"]
        beyond_the_rules(kept, *unkeyed)
    found = verdict(kept)
    assert len(found.duplicate) == 1
    with kept.database.reading() as session:
        row = session.get_one(Reminder, 2)
    assert found.duplicate[0] == (
        f"case N-001: reminder {(row.follow_up_key, row.due_on, row.step)} is there more than once"
    )
    assert found.as_json()["reminders"]["duplicate"] == 1
