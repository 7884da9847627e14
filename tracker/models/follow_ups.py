"""Follow-ups as planned, and the ledger of their reminders."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Column, ColumnElement, Index, Text, UniqueConstraint, bindparam, text
from sqlmodel import Field, col

from tracker.models.base import Table

_OPEN = text("status = 'open'")
_BOOKED = text("status = 'open' AND booked_for IS NOT NULL")


class FollowUpRow(Table, table=True):
    """One occurrence of a rule: a projection of the plan. Clinic and navigator are copied in for the lists.

    ``upcoming``, ``due`` and ``overdue`` follow from the dates and are not stored.
    """

    __tablename__ = "follow_up"
    __table_args__ = (
        UniqueConstraint("case_id", "key"),
        CheckConstraint("status IN ('open', 'done', 'waived', 'superseded', 'cancelled')", name="status_known"),
        CheckConstraint("(status = 'open') = (ended_on IS NULL)", name="open_has_no_end"),
        Index(
            "ix_follow_up_open_clinic",
            "clinic_id",
            "late_on",
            "id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_follow_up_open_due",
            "clinic_id",
            "due_on",
            "id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_follow_up_open_activity",
            "clinic_id",
            "activity",
            "late_on",
            "id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_follow_up_booked",
            "clinic_id",
            "booked_for",
            "id",
            sqlite_where=_BOOKED,
            postgresql_where=_BOOKED,
        ),
        Index(
            "ix_follow_up_open_navigator",
            "navigator_id",
            "late_on",
            "id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="patient_case.id")
    clinic_id: int = Field(foreign_key="clinic.id")
    navigator_id: int | None = Field(default=None, foreign_key="person.id")
    key: str = Field(max_length=200)
    rule: str = Field(max_length=64)
    activity: str = Field(max_length=64)
    occurrence: int
    anchor_on: date
    opens_on: date
    due_on: date
    late_on: date
    status: str = Field(max_length=16)
    created_on: date
    ended_on: date | None = None
    ended_by: str | None = Field(default=None, max_length=120)
    end_reason: str | None = Field(default=None, sa_column=Column(Text))
    booked_for: date | None = None
    snoozed_until: date | None = None
    moved_from: date | None = None
    why: str = Field(sa_column=Column(Text, nullable=False))


IS_OPEN: ColumnElement[bool] = col(FollowUpRow.status) == bindparam("open", "open", literal_execute=True, unique=True)
"""Open follow-ups, word for word as their indexes have it; with a bound value SQLite would read the whole table."""


class Reminder(Table, table=True):
    """The ledger: one row for each follow-up, due date and step, written when the follow-up is planned.

    ``pending`` until its local date comes, ``raised`` by the sweep, ``sent`` when the digest that tells it has
    left; ``withheld`` with a reason where the follow-up ended first. The unique key is what makes a reminder happen
    once. ``planned_at`` is when it became known; clinic and navigator are copied in for the sweep and the digest.
    """

    __table_args__ = (
        UniqueConstraint("case_id", "follow_up_key", "due_on", "step"),
        CheckConstraint("status IN ('pending', 'raised', 'sent', 'withheld')", name="status_known"),
        CheckConstraint("(status IN ('raised', 'sent')) = (raised_at IS NOT NULL)", name="raised_has_time"),
        CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent_has_time"),
        Index(
            "ix_reminder_pending",
            "clinic_id",
            "remind_on",
            sqlite_where=text("status = 'pending'"),
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_reminder_to_digest",
            "clinic_id",
            "navigator_id",
            "audience",
            "urgent",
            sqlite_where=text("status = 'raised' AND digest_id IS NULL"),
            postgresql_where=text("status = 'raised' AND digest_id IS NULL"),
        ),
        # Without the condition SQLite would look up in it what is in no digest: nearly every reminder there is.
        Index(
            "ix_reminder_digest_id",
            "digest_id",
            sqlite_where=text("digest_id IS NOT NULL"),
            postgresql_where=text("digest_id IS NOT NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="patient_case.id")
    clinic_id: int = Field(foreign_key="clinic.id")
    navigator_id: int | None = Field(default=None, foreign_key="person.id")
    follow_up_key: str = Field(max_length=200)
    due_on: date
    step: str = Field(max_length=32)
    audience: str = Field(max_length=16)
    urgent: bool = False
    remind_on: date
    planned_at: datetime
    status: str = Field(default="pending", max_length=16)
    raised_at: datetime | None = None
    sent_at: datetime | None = None
    reason: str | None = Field(default=None, max_length=200)
    digest_id: int | None = Field(default=None, foreign_key="digest.id")
