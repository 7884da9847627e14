"""Work that one process does at a time: a row that runs out by itself, on PostgreSQL an advisory lock."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlmodel import col

from tracker.db import Database
from tracker.models import Lease

HELD_FOR = timedelta(minutes=2)
_HOLDER = secrets.token_hex(8)


@contextmanager
def held(database: Database, name: str, now: datetime) -> Iterator[bool]:
    """Whether this process may do the work; the lease is given back at the end, and runs out after a crash."""
    if database.is_postgresql:
        with database.engine.connect() as connection:
            number = zlib.crc32(name.encode())
            got = bool(connection.execute(select(func.pg_try_advisory_lock(number))).scalar())
            try:
                yield got
            finally:
                if got:
                    connection.execute(select(func.pg_advisory_unlock(number)))
        return
    holder = f"{_HOLDER}-{secrets.token_hex(4)}"
    got = _take(database, name, holder, now)
    try:
        yield got
    finally:
        if got:
            _give_back(database, name, holder, now)


def _take(database: Database, name: str, holder: str, now: datetime) -> bool:
    """A lease that ends further ahead than any can is from a clock that was set back; it counts for nothing."""
    until = now + HELD_FOR
    free = or_(col(Lease.until) <= now, col(Lease.until) > until)
    with database.writing() as session:
        if session.get(Lease, name) is None:
            session.add(Lease(name=name, holder=holder, until=until))
            return True
        taken = update(Lease).where(col(Lease.name) == name, free).values(holder=holder, until=until)
        return session.execute(taken.returning(col(Lease.name))).first() is not None


def _give_back(database: Database, name: str, holder: str, now: datetime) -> None:
    mine = update(Lease).where(col(Lease.name) == name, col(Lease.holder) == holder)
    with database.writing() as session:
        session.execute(mine.values(until=now))
