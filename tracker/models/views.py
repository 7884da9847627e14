"""How each person has the worklist: saved views, the columns chosen, and what was searched for just now."""

from datetime import datetime

from sqlalchemy import Column, Text, UniqueConstraint
from sqlmodel import Field

from tracker.models.base import Table


class SavedView(Table, table=True):
    """Filters under a name of somebody's own. ``question`` is what stands behind the question mark of the address.

    ``starts``: the worklist opens with it; of one person's views at most one does.
    """

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    name: str = Field(max_length=60)
    question: str = Field(sa_column=Column(Text, nullable=False))
    starts: bool = False


class ChosenColumns(Table, table=True):
    """Which columns somebody wants to see, by their names with blanks between them."""

    __tablename__ = "chosen_columns"

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    names: str = Field(max_length=200)


class SearchWords(Table, table=True):
    """What somebody looks for in the worklist. The address carries ``token`` alone, because the words may be a name."""

    __tablename__ = "search_words"

    token: str = Field(primary_key=True, max_length=32)
    account_id: int = Field(foreign_key="account.id", index=True)
    words: str = Field(max_length=120)
    at: datetime
