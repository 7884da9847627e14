"""What all tables share: the naming of constraints, so that migrations can speak of them on both databases."""

from sqlalchemy import String
from sqlmodel import SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """The base of every table."""


EXACT = String(80).with_variant(String(80, collation="C"), "postgresql")
"""Text that is compared letter by letter: an index finds what begins with some, and Python sorts it alike."""
