"""What the dashboard counts, what the search looks up, and the lists of the team meetings."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Column, Index, Text, UniqueConstraint
from sqlmodel import Field

from tracker.models.base import EXACT, Table


class Tally(Table, table=True):
    """How many there are: of open follow-ups by what ``cube`` says, of open cases by state and by navigator.

    ``day`` is a late or due day, the first of a month where the cube is of months, 1900-01-01 where it has none;
    ``navigator_id`` 0 is nobody, or a cube that does not ask. What has changed since the last tick is in
    :class:`FollowUpChange` and :class:`CaseChange`: the number is the sum of both.
    """

    __table_args__ = {"sqlite_with_rowid": False}  # the key is all there is to it

    cube: str = Field(primary_key=True, max_length=16)
    clinic_id: int = Field(primary_key=True)
    day: date = Field(primary_key=True)
    navigator_id: int = Field(primary_key=True)
    what: str = Field(primary_key=True, max_length=64)
    number: int


class FollowUpChange(Table, table=True):
    """Open follow-ups that came (``number`` > 0) or went since the tick last added up; rows are only ever added."""

    __tablename__ = "follow_up_change"

    id: int | None = Field(default=None, primary_key=True)
    clinic_id: int
    navigator_id: int
    activity: str = Field(max_length=64)
    late_on: date
    due_on: date
    number: int


class CaseChange(Table, table=True):
    """Cases, open or closed, that came (``number`` > 0) or went, with their state and what they want.

    Rows are only ever added.
    """

    __tablename__ = "case_change"

    id: int | None = Field(default=None, primary_key=True)
    clinic_id: int
    navigator_id: int
    state: str = Field(max_length=64)
    needs_plan: bool
    unexplained: bool
    number: int


class CaseTerm(Table, table=True):
    """A word by which a case is found: part of a name without accents, a number, a reference; in small letters."""

    __tablename__ = "case_term"
    __table_args__ = (Index("ix_case_term_clinic", "clinic_id", "term", "case_id"),)

    case_id: int = Field(primary_key=True, foreign_key="patient_case.id")
    term: str = Field(sa_column=Column(EXACT, primary_key=True))
    clinic_id: int = Field(foreign_key="clinic.id")


class PlannedHandOver(Table, table=True):
    """A case that goes from one person to another on a day to come; the row is gone when it went.

    ``refused`` says why it could not, when the day had come.
    """

    __tablename__ = "planned_hand_over"
    __table_args__ = (CheckConstraint("actor <> ''", name="has_actor"),)

    case_id: int = Field(primary_key=True, foreign_key="patient_case.id")
    from_id: int = Field(foreign_key="person.id", index=True)
    to: str = Field(max_length=254, sa_column_kwargs={"name": "to_email"})
    on: date = Field(sa_column_kwargs={"name": "goes_on"})
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    token: str = Field(max_length=64)
    actor: str = Field(max_length=254)
    refused: str = Field(default="", max_length=300)


class MeetingItem(Table, table=True):
    """A case that somebody put on the list of a team meeting, and what the team is to be asked."""

    __tablename__ = "meeting_item"
    __table_args__ = (
        UniqueConstraint("case_id", "meets_on"),
        CheckConstraint("added_by <> ''", name="has_actor"),
        Index("ix_meeting_item_clinic_day", "clinic_id", "meets_on"),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="patient_case.id")
    clinic_id: int = Field(foreign_key="clinic.id")
    on: date = Field(sa_column_kwargs={"name": "meets_on"})
    question: str = Field(default="", sa_column=Column(Text, nullable=False))
    added_by: str = Field(max_length=254)
    added_at: datetime
