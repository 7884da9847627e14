"""The outbox: what waits is handed to a transport, and the outcome is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import exists, select, update
from sqlmodel import col

from tracker.db import Database
from tracker.models import Case, FollowUpRow, OutboxMessage, Reminder

_log = structlog.get_logger()


class Transport(Protocol):
    """Takes one message; raises OSError where it could not."""

    def send(self, key: str, content: bytes) -> None: ...


@dataclass(slots=True)
class Delivered:
    """What one round of delivery came to."""

    sent: int = 0
    retrying: int = 0


def deliver(database: Database, transport: Transport, now: datetime) -> Delivered:
    """Hand every waiting message over, each in a transaction of its own; a failure leaves it waiting."""
    _cancel_pointless(database, now)
    done = Delivered()
    with database.reading() as session:
        waiting = (
            select(col(OutboxMessage.id)).where(col(OutboxMessage.state) == "queued").order_by(col(OutboxMessage.id))
        )
        ids = list(session.execute(waiting).scalars())
    for message_id in ids:
        if _deliver_one(database, transport, message_id, now):
            done.sent += 1
        else:
            done.retrying += 1
    return done


def _deliver_one(database: Database, transport: Transport, message_id: int, now: datetime) -> bool:
    with database.writing() as session:
        waiting = select(OutboxMessage).where(col(OutboxMessage.id) == message_id)
        row = session.execute(waiting.with_for_update(skip_locked=True)).scalar_one_or_none()
        if row is None or row.state != "queued":
            return False
        try:
            transport.send(row.key, row.content)
        except OSError as error:
            _log.warning("mail.not_delivered", message=row.id, reason=type(error).__name__)
            return False
        row.state, row.settled_at = "sent", now
        _log.info("mail.sent", message=row.id)
        return True


def _cancel_pointless(database: Database, now: datetime) -> None:
    """A waiting digest all of whose follow-ups have ended, or whose patients have died, is not sent."""
    worth_it = (
        exists()
        .where(col(Reminder.digest_id) == OutboxMessage.digest_id, col(FollowUpRow.case_id) == Reminder.case_id)
        .where(col(FollowUpRow.key) == Reminder.follow_up_key, col(FollowUpRow.status) == "open")
        .where(col(Case.id) == Reminder.case_id, col(Case.died_on).is_(None))
    )
    pointless = update(OutboxMessage).where(col(OutboxMessage.state) == "queued", ~worth_it)
    with database.writing() as session:
        session.execute(
            pointless.values(state="cancelled", settled_at=now).execution_options(synchronize_session=False)
        )
