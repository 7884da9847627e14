"""How often a password or a code may be tried in vain before one has to wait, and for how long.

Three counts are kept: of an account from one place, of an account from everywhere, of a place for every account. Each
wait is short at first, doubles, and has an end. Where somebody has signed in before, only the first count holds for
them: so nobody can lock a person out of their own desk, or a clinic behind one address out of the tracker.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, delete

from tracker.models import FailedTries, KnownPlace
from tracker.secret import Secret

FORGOTTEN_AFTER = timedelta(hours=24)
KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries are ``free``; the next one has to wait a second, then two, then four, up to ``longest``."""

    free: int
    longest: timedelta

    def wait(self, number: int) -> timedelta:
        """After so many tries in vain."""
        over = number - self.free
        return timedelta(0) if over < 0 else min(timedelta(seconds=2.0 ** min(over, 20)), self.longest)


HERE = Limit(free=5, longest=timedelta(minutes=15))
"""One account from one place: somebody who has forgotten a password, or guesses one."""
EVERYWHERE = Limit(free=20, longest=timedelta(minutes=1))
"""One account from anywhere: many places that guess together. Its owner, somewhere new, waits a minute at most."""
THIS_PLACE = Limit(free=50, longest=timedelta(minutes=1))
"""Any account from one place: somebody who tries one password with everybody's address."""


class Throttle:
    """The counts for one login from one place. Neither is stored: only keyed digests are."""

    def __init__(self, session: Session, secret: Secret, login: str, address: str) -> None:
        self._session = session
        self._key = secret.derive("throttle")
        place = _place(address)
        self.place = self._digest("place", place)
        self._counts = {
            self._digest("here", login, place): HERE,
            self._digest("everywhere", login): EVERYWHERE,
            self.place: THIS_PLACE,
        }

    def wait(self, account_id: int | None, now: datetime) -> timedelta:
        """How long this try has to wait; none: it may be made.

        Until the end of the transaction nobody else tries the same: who looked without holding on to the counts would
        see what they were before the tries that are being made just now.
        """
        known = self._is_known(account_id, now)
        rows = [row for row, limit in self._locked(now) if limit is HERE or not known]
        return max((row.next_at - now for row in rows if row.next_at > now), default=timedelta(0))

    def count(self, now: datetime) -> None:
        """Count a try, before it is known whether it is in vain: so many at once get no more than one after another."""
        for row, limit in self._locked(now):
            row.number, row.last_at = row.number + 1, now
            row.next_at = now + limit.wait(row.number)
            self._session.add(row)
            self._session.flush()

    def _locked(self, now: datetime) -> Iterator[tuple[FailedTries, Limit]]:
        """The counts, each made where it is new, and all held on to in one order."""
        self._session.execute(delete(FailedTries).where(col(FailedTries.last_at) < now - FORGOTTEN_AFTER))
        for about, limit in self._counts.items():
            yield self._held(about, now), limit

    def _held(self, about: bytes, now: datetime) -> FailedTries:
        """A count, held on to. One that was there may be gone again: whoever got in meanwhile has removed it."""
        row = None
        while row is None:
            self._add(FailedTries, about=about, number=0, last_at=now, next_at=now)
            row = self._session.get(FailedTries, about, with_for_update=True)
        return row

    def succeeded(self, account_id: int, now: datetime) -> None:
        """The try was not in vain: it does not count, and the place is known to the account from now on."""
        for about, limit in self._counts.items():
            row = self._session.get(FailedTries, about, with_for_update=True)
            if row is not None and limit is HERE:
                self._session.delete(row)
            elif row is not None:
                row.number -= 1
                row.next_at = min(row.next_at, now + limit.wait(row.number))
                self._session.add(row)
        self._add(KnownPlace, account_id=account_id, place=self.place, last_at=now)
        self._session.get_one(KnownPlace, (account_id, self.place)).last_at = now
        self._session.flush()

    def _add(self, table: type[Any], **values: Any) -> None:
        """A row, unless somebody else has added it: two first tries at once are two tries, and no error."""
        insert = postgresql.insert if self._session.get_bind().dialect.name == "postgresql" else sqlite.insert
        self._session.execute(insert(table).values(**values).on_conflict_do_nothing())

    def _is_known(self, account_id: int | None, now: datetime) -> bool:
        row = self._session.get(KnownPlace, (account_id, self.place)) if account_id is not None else None
        return row is not None and now - row.last_at < KNOWN_FOR

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(parts).encode(), hashlib.sha256)


def _place(address: str) -> str:
    """Where somebody asks from: an address, or the network of 64 bits that one household has of the newer ones."""
    try:
        given = ip_address(address)
    except ValueError:
        return ""
    if isinstance(given, IPv6Address):
        mapped = given.ipv4_mapped
        return str(mapped) if mapped else given.exploded[:19]
    return str(given)
