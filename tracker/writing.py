"""What every change needs: a session in a transaction, who makes it, when, and the key of the audit chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel

from tracker.secret import Secret


@dataclass(frozen=True, slots=True)
class Writing:
    """One transaction that changes something. ``now`` is aware; ``actor`` is a person or a named system actor."""

    session: Session
    actor: str
    now: datetime
    chain_key: bytes

    def __post_init__(self) -> None:
        if not self.actor:
            raise ValueError("a change needs an actor")
        if self.now.tzinfo is None:
            raise ValueError("a change needs an aware time")


def writing(session: Session, *, actor: str, now: datetime, secret: Secret) -> Writing:
    """Everything a service needs to write."""
    return Writing(session, actor, now, secret.derive("event chain"))


def added(session: Session, row: SQLModel) -> bool:
    """Store a row of which there is one only; False where there is one, be it from somebody at the same time."""
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        return False
    return True
