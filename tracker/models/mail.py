"""Digests, the outbox through which they leave, and the heart that beats."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, text
from sqlmodel import Field

from tracker.models.base import Table

_WAITING = text("state = 'queued'")


class Digest(Table, table=True):
    """One mail's worth of reminders for one person and clinic day. ``key`` makes it one."""

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=64)
    clinic_id: int = Field(foreign_key="clinic.id")
    recipient: str = Field(max_length=254)
    on: date = Field(sa_column_kwargs={"name": "local_on"})
    composed_at: datetime
    items: int


class OutboxMessage(Table, table=True):
    """A message to deliver once. Its bytes are frozen and its Message-ID follows from its key."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'sent', 'rejected', 'cancelled')", name="state_known"),
        Index("ix_outbox_message_waiting", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
    )

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True, max_length=64)
    digest_id: int = Field(foreign_key="digest.id", index=True)
    message_id: str = Field(unique=True, max_length=200)
    recipient: str = Field(max_length=254)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    state: str = Field(default="queued", max_length=16)
    created_at: datetime
    settled_at: datetime | None = None


class Heartbeat(Table, table=True):
    """When a part of the machinery last finished its work."""

    part: str = Field(primary_key=True, max_length=32)
    at: datetime
