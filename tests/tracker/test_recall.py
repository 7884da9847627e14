"""What digests that have not left tell: let go, withheld with a reason, or looked at again; and nothing else."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.test_outbox import OPENS, with_digests
from tracker import recall
from tracker.models import Digest, FollowUpRow, OutboxMessage, Reminder


@pytest.fixture
def waiting(place: Installation) -> Installation:
    """Three digests that wait, each with one reminder of one case."""
    return with_digests(place, 3)


def change(place: Installation, statement: str) -> None:
    with place.database.writing() as session:
        session.execute(text(statement))


def told(place: Installation) -> list[tuple[int | None, str, str | None]]:
    """Of the reminders that were raised, or were when this began: their digest, how they stand, and why."""
    with place.database.reading() as session:
        opened = (col(Reminder.step) == "opens", col(Reminder.due_on) == date(2026, 4, 27))
        rows = session.exec(select(Reminder).where(*opened).order_by(col(Reminder.case_id)))
        return [(row.digest_id, row.status, row.reason) for row in rows]


def release(place: Installation, digest_id: int, *keep: int) -> None:
    with place.database.writing() as session:
        recall.release(session, digest_id, keep)


def reminder_in(place: Installation, digest_id: int) -> int:
    with place.database.reading() as session:
        return session.exec(select(Reminder.id).where(Reminder.digest_id == digest_id)).one() or 0


WAITS = [(1, "raised", None), (2, "raised", None), (3, "raised", None)]


def test_what_one_digest_tells_is_let_go_and_no_others(waiting: Installation) -> None:
    assert told(waiting) == WAITS
    release(waiting, 2)
    assert told(waiting) == [WAITS[0], (None, "raised", None), WAITS[2]]


def test_what_is_kept_stays(waiting: Installation) -> None:
    kept = reminder_in(waiting, 2)
    release(waiting, 2, kept)
    assert told(waiting) == WAITS
    release(waiting, 2, kept + 1)
    assert told(waiting)[1] == (None, "raised", None)


def test_what_has_been_told_is_not_let_go(waiting: Installation) -> None:
    change(waiting, f"UPDATE reminder SET status = 'sent', sent_at = raised_at WHERE id = {reminder_in(waiting, 2)}")
    release(waiting, 2)
    assert told(waiting)[1] == (2, "sent", None)


@pytest.mark.parametrize(
    "became, reason",
    [
        ("status = 'done', ended_on = '2026-04-23'", "done on 2026-04-23"),
        ("status = 'waived', ended_on = '2026-04-24'", "waived on 2026-04-24"),
        ("due_on = '2026-05-04'", "moved to 2026-05-04"),
        ("key = 'made-up/1'", "no longer planned"),
    ],
)
def test_what_has_ended_is_withheld_with_what_became_of_it(waiting: Installation, became: str, reason: str) -> None:
    """The follow-ups of the other cases, and others of the same case, are as they were."""
    with waiting.database.reading() as session:
        row = session.get_one(Reminder, reminder_in(waiting, 2))
    with waiting.database.writing() as session:
        mine = {"case": row.case_id, "key": row.follow_up_key}
        session.execute(text(f"UPDATE follow_up SET {became} WHERE case_id = :case AND key = :key"), mine)
    release(waiting, 2)
    assert told(waiting) == [WAITS[0], (None, "withheld", reason), WAITS[2]]
    with waiting.database.reading() as session:
        assert session.get_one(Reminder, row.id).raised_at is None


def test_more_than_one_statement_may_name_are_let_go_all(
    waiting: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(waiting, "UPDATE reminder SET digest_id = 2 WHERE digest_id IS NOT NULL")
    monkeypatch.setattr(recall.parts, "__defaults__", (2,))
    release(waiting, 2)
    assert told(waiting) == [(None, "raised", None)] * 3


def test_values_are_parted_in_order_and_without_a_rest() -> None:
    assert list(recall.parts([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(recall.parts([1, 2], 2)) == [[1, 2]]
    assert list(recall.parts([])) == []
    assert [len(part) for part in recall.parts(list(range(1001)))] == [500, 500, 1]


DUE, MOVED = date(2026, 4, 27), date(2026, 5, 4)


@pytest.mark.parametrize(
    "given, expected",
    [
        ((), "no longer planned"),
        ((None, "done", DUE), "no longer planned"),
        ((MOVED,), "moved to 2026-05-04"),
        ((MOVED, "done", DUE), "moved to 2026-05-04"),
        ((DUE,), "booked or put off for another day"),
        ((DUE, "open"), "booked or put off for another day"),
        ((DUE, "cancelled", MOVED), "cancelled on 2026-05-04"),
    ],
)
def test_why_something_is_not_told_is_said_in_words(given: tuple[object, ...], expected: str) -> None:
    assert recall.why_withheld(DUE, *given) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "state, gone",
    [
        ("queued", False),
        ("claimed", False),
        ("transmitting", True),
        ("sent", True),
        ("retry_wait", False),
        ("rejected", False),
        ("cancelled", False),
        ("uncertain", True),
    ],
)
def test_what_has_left_or_may_have_is_beyond_recall(waiting: Installation, state: str, gone: bool) -> None:
    held = OPENS if state in ("claimed", "transmitting") else None
    settled = OPENS if state in ("sent", "cancelled") else None
    with waiting.database.writing() as session:
        second = update(OutboxMessage).where(col(OutboxMessage.digest_id) == 2)
        session.execute(second.values(state=state, lease_until=held, settled_at=settled))
    with waiting.database.reading() as session:
        assert recall.beyond_recall(session, [1, 2, None]) == ({2} if gone else set())
        assert recall.beyond_recall(session, [1, None]) == set()
        assert recall.beyond_recall(session, [None]) == set()
        assert recall.beyond_recall(session, []) == set()


def stale(place: Installation) -> list[bool]:
    with place.database.reading() as session:
        return list(session.exec(select(OutboxMessage.stale).order_by(col(OutboxMessage.digest_id))))


@pytest.mark.parametrize(
    "ids, expected", [([], [False] * 3), ([2], [False, True, False]), ([1, 3], [True, False, True])]
)
def test_what_digests_tell_is_looked_at_again(waiting: Installation, ids: list[int], expected: list[bool]) -> None:
    with waiting.database.writing() as session:
        recall.mark_stale(session, ids)
    assert stale(waiting) == expected


SETTLED = "UPDATE outbox_message SET state = 'sent', settled_at = created_at WHERE digest_id = 2"


def test_what_waits_for_somebody_is_looked_at_again_and_what_was_settled_is_not(waiting: Installation) -> None:
    change(waiting, "UPDATE outbox_message SET recipient = 'nav000@example.org' WHERE digest_id = 2")
    change(waiting, SETTLED)
    with waiting.database.writing() as session:
        recall.mark_stale_to(session, "nav000@example.org")
    assert stale(waiting) == [True, False, False]


def test_what_waits_for_a_clinic_is_looked_at_again_and_what_was_settled_is_not(waiting: Installation) -> None:
    change(waiting, SETTLED)
    with waiting.database.writing() as session:
        clinic = session.get_one(Digest, 3).clinic_id
        other = "INSERT INTO clinic (id, name, timezone, digest_at, working_days) SELECT 99, 'Other', timezone,"
        session.execute(text(f"{other} digest_at, working_days FROM clinic WHERE id = :clinic"), {"clinic": clinic})
        session.execute(text("UPDATE digest SET clinic_id = 99 WHERE id = 3"))
        recall.mark_stale_of(session, clinic)
    assert stale(waiting) == [True, False, False]


def test_the_objects_of_a_session_are_left_alone_by_what_is_done_quietly(waiting: Installation) -> None:
    with waiting.database.writing() as session:
        row = session.get_one(FollowUpRow, 1)
        session.execute(recall.quietly(update(FollowUpRow).values(why="changed")))
        assert row.why != "changed"
        session.refresh(row)
        assert row.why == "changed"


def test_what_waits_is_found_without_reading_all_that_was_ever_sent(place: Installation) -> None:
    if place.database.is_postgresql:
        pytest.skip("a planner with statistics rightly reads a small table as a whole")
    asked: list[tuple[str, Any]] = []
    event.listen(place.database.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    with_digests(place, 3)
    with place.database.writing() as session:
        recall.mark_stale_to(session, "ana@example.org")
        recall.mark_stale_of(session, 1)
    changes = ("SELECT outbox_message", "UPDATE outbox_message")
    found = [one for one in asked if one[0].startswith(changes)]
    assert len(found) > 2
    with place.database.engine.connect() as connection:
        for words, values in found:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)
            assert not {"SCAN outbox_message", "SCAN digest"} & {row[3] for row in plan}, words
