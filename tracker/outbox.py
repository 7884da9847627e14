"""The outbox: what waits is handed to a transport, and the outcome is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy import select
from sqlmodel import col

from tracker.db import Database
from tracker.models import OutboxMessage
from tracker.reminders import Sender, look_again

_log = structlog.get_logger()


class Transport(Protocol):
    """Takes one message; raises OSError where it could not."""

    def send(self, key: str, content: bytes) -> None: ...


@dataclass(slots=True)
class Delivered:
    """What one round of delivery came to."""

    sent: int = 0
    retrying: int = 0


def deliver(database: Database, transport: Transport, sender: Sender, now: datetime) -> Delivered:
    """Hand every waiting message over, each in a transaction of its own; a failure leaves it waiting."""
    done = Delivered()
    with database.reading() as session:
        waiting = (
            select(col(OutboxMessage.id)).where(col(OutboxMessage.state) == "queued").order_by(col(OutboxMessage.id))
        )
        ids = list(session.execute(waiting).scalars())
    for message_id in ids:
        outcome = _deliver_one(database, transport, sender, message_id, now)
        done.sent += outcome == "sent"
        done.retrying += outcome == "queued"
    return done


def _deliver_one(database: Database, transport: Transport, sender: Sender, message_id: int, now: datetime) -> str:
    """What becomes of a message; empty where another process has it. What it tells is looked at again first."""
    with database.writing() as session:
        waiting = select(OutboxMessage).where(col(OutboxMessage.id) == message_id)
        row: OutboxMessage | None = session.execute(waiting.with_for_update(skip_locked=True)).scalar_one_or_none()
        if row is None or row.state != "queued":
            return ""
        if not look_again(session, sender, row):
            row.state, row.settled_at = "cancelled", now
        elif _hand_over(transport, row):
            row.state, row.settled_at = "sent", now
        return row.state


def _hand_over(transport: Transport, row: OutboxMessage) -> bool:
    try:
        transport.send(row.key, row.content)
    except OSError as error:
        _log.warning("mail.not_delivered", message=row.id, reason=type(error).__name__)
        return False
    _log.info("mail.sent", message=row.id)
    return True
