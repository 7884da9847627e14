"""The nightly balance: its numbers add up, each of its findings is provoked, and what only looks alike is none."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import Session, col, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide, referred
from tracker import balance
from tracker.ledger import verify
from tracker.models import Clinic, Digest, FollowUpRow, Heartbeat, ImportRun, LedgerCheck, OutboxMessage, Reminder

OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
"""A Friday: the injection of ``lanreotide()`` opens, and its first step is told. The next is due on Monday."""
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
INJECTION = "lanreotide-injection"

NOT_SENT = "count as sent, and no message that told them has left"
SETTLED = "wait for a message that is already settled"
ENDED = "wait to be told, and their follow-ups have ended"
FORGOTTEN = "have waited more than 12 days to be told"
OTHER_NUMBER = "tell another number of reminders than the ledger"
SECOND_OF_A_DAY = "are a person's second of one day"


@pytest.fixture
def told(place: Installation) -> Installation:
    """Two cases, of each of which one reminder was told in one digest."""
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=OPENS - 5 * DAY)
    assert place.tick(OPENS).sent == 1
    assert findings(place) == []
    return place


def findings(place: Installation, now: datetime = OPENS) -> list[str]:
    """What the balance finds; what it finds between digests and messages, the verification of everything finds too."""
    with place.database.reading() as session:
        found = balance.balance(session, now).findings
        wrongly = list(balance.told_wrongly(session, now))
        verified = verify(session, now=now, chain_key=place.secret.derive("event chain"))
    assert [one for one in found if one in wrongly] == wrongly
    assert [one for one in verified.missing if one in wrongly] == wrongly
    return found


def tamper(place: Installation, *statements: Any) -> None:
    with place.database.writing() as session:
        for statement in statements:
            session.execute(text(statement) if isinstance(statement, str) else statement)


def rows(session: Session, step: str, case_id: int = 1) -> Iterator[Reminder]:
    found = select(Reminder).where(Reminder.step == step, Reminder.case_id == case_id)
    return (row for row in session.exec(found) if row.follow_up_key.startswith(INJECTION))


def make_raised(place: Installation, step: str, at: datetime = OPENS, **values: object) -> None:
    """A pending reminder of the first case is raised, and in no digest."""
    with place.database.writing() as session:
        (row,) = (row for row in rows(session, step) if row.status == "pending")
        row.status, row.raised_at = "raised", at
        for name, value in values.items():
            setattr(row, name, value)


# What was told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE outbox_message SET state = 'cancelled'",
        "UPDATE outbox_message SET state = 'retry_wait', settled_at = NULL",
        "UPDATE outbox_message SET state = 'uncertain', settled_at = NULL",
        "DELETE FROM outbox_message",
    ],
)
def test_reminders_count_as_sent_only_where_their_message_is(told: Installation, change: str) -> None:
    tamper(told, change)
    assert findings(told) == [f"2 reminders {NOT_SENT}"]


def test_a_reminder_that_counts_as_sent_and_was_in_no_digest_is_found(told: Installation) -> None:
    tamper(told, "UPDATE reminder SET digest_id = NULL WHERE status = 'sent' AND case_id = 1")
    assert findings(told) == [f"1 reminders {NOT_SENT}", f"1 digests {OTHER_NUMBER}"]


BACK = "UPDATE reminder SET status = 'raised', sent_at = NULL WHERE status = 'sent' AND case_id = 1"


def test_a_reminder_does_not_wait_for_a_message_that_has_left(told: Installation) -> None:
    tamper(told, BACK)
    assert findings(told) == [f"1 reminders {SETTLED}", f"1 digests {OTHER_NUMBER}"]


@pytest.mark.parametrize("change", ["UPDATE outbox_message SET state = 'cancelled'", "DELETE FROM outbox_message"])
def test_a_reminder_does_not_wait_for_a_message_that_will_never_leave(told: Installation, change: str) -> None:
    tamper(told, BACK.replace("AND case_id = 1", ""), change)
    assert findings(told) == [f"2 reminders {SETTLED}"]


@pytest.mark.parametrize("state", ["queued", "retry_wait", "rejected", "uncertain"])
def test_reminders_may_wait_for_a_message_that_may_still_leave(told: Installation, state: str) -> None:
    unsettled = f"UPDATE outbox_message SET state = '{state}', settled_at = NULL"
    tamper(told, BACK.replace("AND case_id = 1", ""), unsettled, "UPDATE digest SET reminders = 9")
    assert findings(told) == []


@pytest.mark.parametrize("number, expected", [(1, 1), (2, 0), (3, 1)])
def test_a_digest_that_has_left_told_as_many_as_the_ledger_says(told: Installation, number: int, expected: int) -> None:
    tamper(told, f"UPDATE digest SET reminders = {number}")
    assert findings(told) == [f"1 digests {OTHER_NUMBER}"] * expected


def test_of_a_digest_that_has_not_left_no_number_is_expected(told: Installation) -> None:
    tamper(told, "UPDATE digest SET reminders = 9", "UPDATE outbox_message SET state = 'cancelled'")
    assert findings(told) == [f"2 reminders {NOT_SENT}"]


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, 1),
        ({"recipient": "bea@example.org"}, 0),
        ({"on": date(2026, 4, 25)}, 0),
        ({"clinic_id": 2}, 0),
    ],
)
def test_nobody_has_two_digests_of_one_clinic_day(told: Installation, values: dict[str, Any], expected: int) -> None:
    told.replay(referred("S-1", on="2026-04-20", clinic="South", navigator="sue@example.org"), now=OPENS)
    with told.database.writing() as session:
        first = session.exec(select(Digest)).one()
        session.add(Digest(**(first.model_dump() | {"id": None, "key": "another"} | values)))
    assert findings(told) == [f"1 digests {SECOND_OF_A_DAY}"] * expected


# What waits to be told -------------------------------------------------------------------------------------


def test_what_waits_to_be_told_and_is_open_is_as_it_should_be(told: Installation) -> None:
    make_raised(told, "due")
    assert findings(told) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE follow_up SET status = 'done', ended_on = '2026-04-24' WHERE case_id = 1 AND key = :key",
        "UPDATE follow_up SET due_on = '2026-05-28' WHERE case_id = 1 AND key = :key",
        "DELETE FROM follow_up WHERE case_id = 1 AND key = :key",
    ],
)
def test_nothing_waits_to_be_told_of_a_follow_up_that_has_ended(told: Installation, change: str) -> None:
    """The other case has the same follow-up on the same dates, and it is open."""
    make_raised(told, "due")
    with told.database.writing() as session:
        (row,) = (row for row in rows(session, "due") if row.status == "raised")
        others = update(FollowUpRow).where(col(FollowUpRow.case_id) == 1, col(FollowUpRow.status) == "open")
        session.execute(others.values(due_on=row.due_on))  # others of the same case are open and due on that day too
        session.execute(text(change), {"key": row.follow_up_key})
    assert [one for one in findings(told) if "reminder" in one] == [f"1 reminders {ENDED}"]


def test_what_has_ended_and_is_pending_or_told_is_not_counted_as_waiting(told: Installation) -> None:
    tamper(told, "UPDATE follow_up SET status = 'done', ended_on = '2026-04-24' WHERE status = 'open'")
    assert findings(told) == []


@pytest.mark.parametrize("since, expected", [(12 * DAY, 0), (12 * DAY + SECOND, 1), (SECOND, 0)])
def test_what_has_waited_longer_than_any_choice_of_days_was_forgotten(
    told: Installation, since: timedelta, expected: int
) -> None:
    make_raised(told, "due", at=OPENS - since)
    assert findings(told) == [f"1 reminders {FORGOTTEN}"] * expected


def test_what_is_told_or_waits_for_its_message_is_not_forgotten(told: Installation) -> None:
    long_ago = OPENS - 40 * DAY
    tamper(told, update(Reminder).where(col(Reminder.status) == "sent").values(raised_at=long_ago))
    assert findings(told) == []


@pytest.mark.parametrize("lead", [None, "lead@example.org"])
def test_who_wants_no_digests_is_not_forgotten(told: Installation, lead: str | None) -> None:
    make_raised(told, "due", at=OPENS - 40 * DAY)
    tamper(told, "UPDATE person SET digest_days = ''", update(Clinic).values(lead_email=lead))
    assert findings(told) == []


def test_what_is_in_a_message_that_may_have_left_waits_for_it_and_not_to_be_told(told: Installation) -> None:
    """Neither what has ended meanwhile nor what was raised long ago is in want of a digest."""
    tamper(
        told,
        "UPDATE outbox_message SET state = 'uncertain', settled_at = NULL, doubted_at = created_at",
        update(Reminder)
        .where(col(Reminder.status) == "sent")
        .values(status="raised", sent_at=None, raised_at=OPENS - 40 * DAY),
        "UPDATE follow_up SET status = 'done', ended_on = '2026-04-24' WHERE status = 'open' AND case_id = 1",
    )
    assert findings(told) == []


@pytest.mark.parametrize("lead, expected", [(None, 0), ("lead@example.org", 1)])
def test_where_nobody_looks_after_a_case_its_lead_is_not_to_be_forgotten(
    told: Installation, lead: str | None, expected: int
) -> None:
    make_raised(told, "due", at=OPENS - 40 * DAY, navigator_id=None)
    with told.database.writing() as session:
        session.execute(text("UPDATE clinic SET lead_email = :lead"), {"lead": lead})
    assert [one for one in findings(told) if FORGOTTEN in one] == [f"1 reminders {FORGOTTEN}"] * expected


# What the sweep left out -----------------------------------------------------------------------------------

NOT_RAISED = "1 reminders of clinic 1 were due and are not raised"
UNRAISED = "UPDATE reminder SET status = 'pending', raised_at = NULL, sent_at = NULL, digest_id = NULL"


@pytest.fixture
def left_out(told: Installation) -> Installation:
    """One reminder of yesterday that the tick of today did not raise."""
    told.tick(OPENS + DAY)
    tamper(told, f"{UNRAISED} WHERE status = 'sent' AND case_id = 1")
    tamper(told, "UPDATE digest SET reminders = 1")
    return told


def test_what_the_sweep_passed_over_is_found(left_out: Installation) -> None:
    assert findings(left_out, OPENS + DAY) == [NOT_RAISED]


@pytest.mark.parametrize(
    "remind_on, now, expected",
    [
        (date(2026, 4, 25), OPENS + DAY, 0),  # may still be raised today
        (date(2026, 4, 25), OPENS + 2 * DAY, 1),
        (date(2026, 4, 26), OPENS + 2 * DAY, 0),  # has come since the last sweep
        (date(2026, 4, 26), OPENS + 9 * DAY, 0),
        (date(2026, 4, 24), OPENS + DAY, 1),
    ],
)
def test_what_came_due_on_the_day_of_the_sweep_or_later_may_still_be_raised(
    left_out: Installation, remind_on: date, now: datetime, expected: int
) -> None:
    tamper(left_out, the_one_left_out().values(remind_on=remind_on))
    assert [one for one in findings(left_out, now) if "clinic" in one] == [NOT_RAISED] * expected


def the_one_left_out() -> Any:
    opened = col(Reminder.step) == "opens", col(Reminder.case_id) == 1, col(Reminder.status) == "pending"
    return update(Reminder).where(*opened, col(Reminder.due_on) == date(2026, 4, 27))


@pytest.mark.parametrize("planned, expected", [(-SECOND, 1), (timedelta(0), 0), (SECOND, 0)])
def test_what_was_planned_after_the_sweep_was_not_passed_over(
    left_out: Installation, planned: timedelta, expected: int
) -> None:
    tamper(left_out, the_one_left_out().values(planned_at=OPENS + DAY + planned))
    assert findings(left_out, OPENS + DAY) == [NOT_RAISED] * expected


def test_before_the_first_sweep_nothing_is_expected_of_it(left_out: Installation) -> None:
    tamper(left_out, "DELETE FROM heartbeat WHERE part = 'tick'")
    assert findings(left_out, OPENS + DAY) == []


@pytest.mark.parametrize("after, expected", [(-SECOND, 1), (timedelta(0), 0), (SECOND, 0)])
def test_what_came_in_from_a_file_waits_for_the_next_sweep(
    left_out: Installation, after: timedelta, expected: int
) -> None:
    tamper(left_out, update(ImportRun).values(at=OPENS - 9 * DAY))
    run = {"kind": "journal", "content": "c", "actor": "ana@example.org", "cases": 1, "events": 1}
    with left_out.database.writing() as session:
        session.add(ImportRun(at=OPENS + DAY + after, **run))
        session.add(ImportRun(at=OPENS + DAY + after, **run))
    assert findings(left_out, OPENS + DAY) == [NOT_RAISED] * expected


def test_the_beat_of_the_delivery_says_nothing_of_the_sweep(left_out: Installation) -> None:
    tamper(left_out, update(Heartbeat).where(col(Heartbeat.part) == "tick").values(at=OPENS - 9 * DAY))
    assert findings(left_out, OPENS + DAY) == []


def test_each_clinic_is_asked_by_its_own_date(left_out: Installation) -> None:
    """Saturday noon in London is Sunday in Auckland: what was due there on Saturday has been passed over."""
    east = lanreotide("E-1")
    east[0].data.update(clinic="East", timezone="Pacific/Auckland")
    left_out.replay(east, now=OPENS - 5 * DAY)
    noon = OPENS + DAY + timedelta(hours=4, minutes=30)
    left_out.tick(noon)
    tamper(left_out, update(ImportRun).values(at=OPENS - 9 * DAY))
    tamper(left_out, f"{UNRAISED} WHERE status IN ('raised', 'sent') AND case_id = 1")
    tamper(left_out, the_one_left_out().values(remind_on=date(2026, 4, 25)))
    saturday = {"remind_on": date(2026, 4, 25), "status": "pending", "raised_at": None, "digest_id": None}
    tamper(
        left_out,
        update(Reminder).where(col(Reminder.clinic_id) == 2, col(Reminder.status) == "raised").values(**saturday),
    )
    of_east = "1 reminders of clinic 2 were due and are not raised"
    assert [one for one in findings(left_out, noon) if "clinic" in one] == [of_east]
    assert [one for one in findings(left_out, noon + DAY) if "clinic" in one] == [NOT_RAISED, of_east]


# The numbers -----------------------------------------------------------------------------------------------


def weighed(place: Installation, now: datetime) -> tuple[int, int, int, int]:
    with place.database.reading() as session:
        found = balance.balance(session, now)
    return found.expected, found.sent, found.withheld, found.pending


def test_expected_is_sent_and_withheld_and_pending(told: Installation) -> None:
    """Of each case five steps: opens on the 24th, due on the 27th, then 1, 3 and 7 May."""
    assert weighed(told, OPENS) == (2, 2, 0, 0)
    make_raised(told, "due")
    assert weighed(told, OPENS) == (3, 2, 0, 1)
    assert weighed(told, OPENS + 2 * DAY) == (3, 2, 0, 1)
    assert weighed(told, OPENS + 3 * DAY) == (4, 2, 0, 2)
    tamper(
        told,
        "UPDATE reminder SET status = 'withheld', reason = 'x' WHERE status = 'pending' AND step = 'due'"
        " AND due_on = '2026-04-27'",
    )
    assert weighed(told, OPENS) == (4, 2, 1, 1)


def test_what_has_come_is_what_has_come_in_its_own_clinic(told: Installation) -> None:
    east = lanreotide("E-1")
    east[0].data.update(clinic="East", timezone="Pacific/Auckland")
    told.replay(east, now=OPENS - 5 * DAY)
    sunday_noon = OPENS + 2 * DAY + timedelta(hours=4, minutes=30)  # already Monday in Auckland
    assert weighed(told, sunday_noon)[3] == 2


def test_the_balance_of_a_night_is_kept_once_with_what_was_found(told: Installation) -> None:
    tamper(told, "UPDATE digest SET reminders = 3")
    with told.database.writing() as session:
        assert balance.check_nightly(session, OPENS)
        assert not balance.check_nightly(session, OPENS.replace(hour=23, minute=59))
        assert balance.check_nightly(session, OPENS + DAY)
        first, second = session.exec(select(LedgerCheck).order_by(col(LedgerCheck.on))).all()
    assert (first.on, first.at) == (date(2026, 4, 24), OPENS)
    assert (first.expected, first.sent, first.withheld, first.pending) == (2, 2, 0, 0)
    assert json.loads(first.findings) == [f"1 digests {OTHER_NUMBER}"]
    assert second.on == date(2026, 4, 25)


def test_an_empty_ledger_balances(place: Installation) -> None:
    assert weighed(place, OPENS) == (0, 0, 0, 0)
    assert findings(place) == []
    with place.database.reading() as session:
        assert session.exec(select(OutboxMessage)).all() == []
