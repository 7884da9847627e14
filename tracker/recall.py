"""What is told by digests that have not left: let go, withheld, or to be looked at again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, select, union_all, update
from sqlmodel import Session, col

from tracker.models import IN_HAND, IN_QUESTION, WAITING, Digest, FollowUpRow, OutboxMessage, Reminder

_AT_ONCE = 500
"""Rows named in one statement."""

_BEYOND_RECALL = ("transmitting", "uncertain", "sent")


def raised_in(digest_id: int) -> ColumnElement[bool]:
    """The reminders that a digest tells and that have not been told."""
    return and_(col(Reminder.digest_id) == digest_id, col(Reminder.status) == "raised")


def release(session: Session, digest_id: int, keep: Collection[int] = ()) -> None:
    """Let the reminders of a digest wait for the next one, but for those to ``keep``; what has ended is withheld.

    What may have left when its follow-up ended could not be withheld then; now it has not been told for certain.
    """
    follow_up = and_(col(FollowUpRow.case_id) == Reminder.case_id, col(FollowUpRow.key) == Reminder.follow_up_key)
    became = (col(FollowUpRow.due_on), col(FollowUpRow.status), col(FollowUpRow.ended_on))
    found: Any = (
        select(col(Reminder.id), col(Reminder.due_on).label("was_due_on"), *became)
        .outerjoin(FollowUpRow, follow_up)
        .where(raised_in(digest_id))
        .order_by(col(Reminder.id))
        .with_for_update(of=Reminder)
    )
    rows = [row for row in session.execute(found).all() if row.id not in keep]
    ended = [row for row in rows if row.status != "open" or row.due_on != row.was_due_on]
    for part in parts(sorted({row.id for row in rows} - {row.id for row in ended})):
        session.execute(quietly(update(Reminder).where(col(Reminder.id).in_(part)).values(digest_id=None)))
    for row in ended:
        reason = why_withheld(row.was_due_on, row.due_on, row.status, row.ended_on)
        values = {"status": "withheld", "raised_at": None, "digest_id": None, "reason": reason}
        session.execute(quietly(update(Reminder).where(col(Reminder.id) == row.id).values(**values)))


def why_withheld(
    was_due_on: date, due_on: date | None = None, status: str = "open", ended_on: date | None = None
) -> str:
    """Why a reminder of a follow-up that was due then is not told, by what has become of it; None: it is gone."""
    if due_on is None:
        return "no longer planned"
    if due_on != was_due_on:
        return f"moved to {due_on}"
    return "booked or put off for another day" if status == "open" else f"{status} on {ended_on}"


def beyond_recall(session: Session, digest_ids: Collection[int | None]) -> set[int]:
    """Those of the digests that have left, or may have."""
    gone = select(col(OutboxMessage.digest_id)).where(
        col(OutboxMessage.digest_id).in_(digest_ids), col(OutboxMessage.state).in_(_BEYOND_RECALL)
    )
    return set(session.execute(gone).scalars()) if any(digest_ids) else set()


def mark_stale(session: Session, digest_ids: Collection[int]) -> None:
    """Something that these digests tell has changed: they are looked at again before they leave."""
    if digest_ids:
        mine = update(OutboxMessage).where(col(OutboxMessage.digest_id).in_(digest_ids))
        session.execute(quietly(mine.values(stale=True)))


def mark_stale_to(session: Session, recipient: str) -> None:
    """What waits for somebody is looked at again before it leaves: they may be away now, or hear of less."""
    _mark_unsettled(session, col(OutboxMessage.recipient) == recipient)


def mark_stale_of(session: Session, clinic_id: int | None) -> None:
    """The same for all that waits for the people of a clinic, whose ways have changed."""
    _mark_unsettled(session, told_of(clinic_id))


def told_of(clinic_id: int | None) -> ColumnElement[bool]:
    """The messages of a clinic, asked of each message: a join would begin with every digest there has ever been."""
    of_clinic = and_(col(Digest.id) == col(OutboxMessage.digest_id), col(Digest.clinic_id) == clinic_id)
    return select(col(Digest.id)).where(of_clinic).exists()


def _mark_unsettled(session: Session, which: ColumnElement[bool]) -> None:
    """In one statement, or one that changes hands meanwhile would be missed; in three parts, each by its index."""
    ids = [select(col(OutboxMessage.id)).where(part, which) for part in (WAITING, IN_HAND, IN_QUESTION)]
    unsettled = col(OutboxMessage.id).in_(union_all(*ids))
    session.execute(quietly(update(OutboxMessage).where(unsettled).values(stale=True)))


def parts(values: list[Any], size: int = _AT_ONCE) -> Iterator[list[Any]]:
    """So many at a time, by default as many as one statement may name."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def quietly(statement: Any) -> Any:
    """A set-based statement that leaves the session's objects alone."""
    return statement.execution_options(synchronize_session=False)
