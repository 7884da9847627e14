"""Digests, the outbox through which they leave, and what keeps the machinery in order."""

from datetime import date, datetime

from sqlalchemy import BindParameter, CheckConstraint, Column, ColumnElement, Index, LargeBinary, Text, bindparam, text
from sqlmodel import Field, col

from tracker.models.base import Table

_WAITING = text("state IN ('queued', 'retry_wait')")
_IN_HAND = text("state IN ('claimed', 'transmitting')")
_IN_QUESTION = text("state IN ('rejected', 'uncertain')")


class Digest(Table, table=True):
    """One mail's worth of reminders for one person and clinic day. ``key`` makes it one.

    ``items`` follow-ups are told in it, by ``reminders`` of their steps.
    """

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=64)
    clinic_id: int = Field(foreign_key="clinic.id")
    recipient: str = Field(max_length=254)
    on: date = Field(sa_column_kwargs={"name": "local_on"})
    composed_at: datetime
    items: int
    reminders: int


class OutboxMessage(Table, table=True):
    """A message to deliver once; its Message-ID follows from its key.

    ``queued`` (or ``retry_wait`` after a failure) until ``claimed`` for a while by a deliverer; ``transmitting``
    from the moment that its bytes may be with the receiver; then ``sent``, ``rejected`` for good, or ``uncertain``.
    ``attempt`` counts the claims and fences off whoever held an earlier one. ``repeat`` counts the times that it was
    sent again without knowing whether it had arrived, ``doubted_at`` is since when that is not known. ``stale``: what
    it tells has changed since it was written. ``cancelled``: nothing of it is left to tell.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'claimed', 'transmitting', 'sent',"
            " 'retry_wait', 'rejected', 'cancelled', 'uncertain')",
            name="state_known",
        ),
        CheckConstraint("(state IN ('claimed', 'transmitting')) = (lease_until IS NOT NULL)", name="in_hand_has_lease"),
        CheckConstraint("(state IN ('sent', 'cancelled')) = (settled_at IS NOT NULL)", name="settled_has_time"),
        Index("ix_outbox_message_waiting", "next_try_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_outbox_message_in_hand", "lease_until", "id", sqlite_where=_IN_HAND, postgresql_where=_IN_HAND),
        Index("ix_outbox_message_in_question", "id", sqlite_where=_IN_QUESTION, postgresql_where=_IN_QUESTION),
    )

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=64)
    digest_id: int = Field(foreign_key="digest.id", unique=True)
    message_id: str = Field(unique=True, max_length=200)
    sender: str = Field(max_length=254)
    recipient: str = Field(max_length=254)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: str = Field(default="queued", max_length=16)
    attempt: int = 0
    failures: int = 0
    repeat: int = 0
    stale: bool = False
    created_at: datetime
    next_try_at: datetime
    lease_until: datetime | None = None
    doubted_at: datetime | None = None
    problem: str | None = Field(default=None, max_length=200)
    settled_at: datetime | None = None
    settled_by: str | None = Field(default=None, max_length=254)


def _is_one_of(*states: str) -> ColumnElement[bool]:
    """The condition word for word as its partial index has it; with bound values SQLite would read the whole table."""
    listed: BindParameter[list[str]] = bindparam(
        "states", list(states), expanding=True, literal_execute=True, unique=True
    )
    return col(OutboxMessage.state).in_(listed)


WAITING = _is_one_of("queued", "retry_wait")
"""Messages that are to be tried, now or later."""
IN_HAND = _is_one_of("claimed", "transmitting")
"""Messages that a deliverer has."""
IN_QUESTION = _is_one_of("rejected", "uncertain")
"""Messages that somebody has to decide about."""


class Heartbeat(Table, table=True):
    """When a part of the machinery last finished its work."""

    part: str = Field(primary_key=True, max_length=32)
    at: datetime


class Lease(Table, table=True):
    """Which process does a piece of work that only one may do at a time, and until when it has it."""

    name: str = Field(primary_key=True, max_length=32)
    holder: str = Field(max_length=64)
    until: datetime


class LedgerCheck(Table, table=True):
    """A night's count of the reminder ledger; ``findings`` is a JSON list of sentences, empty where it balances."""

    __tablename__ = "ledger_check"

    id: int | None = Field(default=None, primary_key=True)
    on: date = Field(unique=True, sa_column_kwargs={"name": "checked_on"})
    at: datetime
    expected: int
    sent: int
    withheld: int
    pending: int
    findings: str = Field(sa_column=Column(Text, nullable=False))


class AuditEntry(Table, table=True):
    """A change that belongs to no case: a setting, a message settled by hand. Rows are only ever added, in a chain."""

    __tablename__ = "audit_entry"
    __table_args__ = (CheckConstraint("actor <> ''", name="has_actor"),)

    seq: int = Field(primary_key=True)
    at: datetime
    actor: str = Field(max_length=254)
    kind: str = Field(max_length=32)
    subject: str = Field(max_length=254)
    data: str = Field(sa_column=Column(Text, nullable=False))
    mac: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
