"""What has arrived, message by message, as the receiving side knows it, weighed against what counts as sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy
from sqlmodel import Session, col, select

from tests.tracker.conftest import Installation
from tracker.models import Digest, OutboxMessage, Reminder

_ID = re.compile(rb"(?im)^message-id:\s*<([0-9a-f]+)(\.[0-9]+)?@")
_ITEMS = re.compile(rb"(?im)^subject:[^:]*?:?[^:]*:\s+(\d+)\s+to\s+look\s+at")
_LINK = re.compile(rb"/go/(\d+)")
_SETTLED = ("sent", "cancelled")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message: the key of its digest, how many items it says that it has, and the cases that it links to."""

    key: str
    repeat: bool
    items: int
    cases: frozenset[int]


@dataclass
class Arrivals:
    """The mail server's journal and the Maildir. What is settled is read and taken away: both stay small."""

    journal: Path
    maildir: Path
    found: dict[str, list[Arrival]] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)

    @property
    def number(self) -> int:
        return sum(len(arrivals) for arrivals in self.found.values())

    @property
    def repeats(self) -> int:
        return sum(arrival.repeat for arrivals in self.found.values() for arrival in arrivals)

    def collect(self, place: Installation) -> None:
        """Read what is new, and take away what is settled: nobody will ask for it again."""
        here: dict[Path, Arrival] = {}
        for folder in (self.journal, self.maildir):
            if (folder / "new").is_dir():
                here |= {file: _read(file) for file in (folder / "new").iterdir()}
        for file, arrival in here.items():
            if file not in self.seen:
                self.seen.add(file)
                self.found.setdefault(arrival.key, []).append(arrival)
        settled = self._settled(place, {arrival.key for arrival in here.values()})
        for file, arrival in here.items():
            if arrival.key in settled:
                self.seen.discard(file)
                file.unlink()

    def _settled(self, place: Installation, keys: set[str]) -> set[str]:
        listed, found = sorted(keys), set[str]()
        with place.database.reading() as session:
            for start in range(0, len(listed), 500):
                some = col(OutboxMessage.key).in_(listed[start : start + 500])
                states = select(OutboxMessage.key).where(some, col(OutboxMessage.state).in_(_SETTLED))
                found.update(session.exec(states))
        return found

    def against(self, session: Session) -> Iterator[str]:
        """Whatever arrived and does not count as sent, or the other way round, or says another thing than its row."""
        told = _cases_by_digest(session)
        known = set()
        columns = (
            col(OutboxMessage.id),
            col(OutboxMessage.key),
            col(OutboxMessage.state),
            col(OutboxMessage.digest_id),
        )
        for row in session.execute(sqlalchemy.select(*columns, col(Digest.items)).join(Digest)):
            known.add(row.key)
            arrived = self.found.get(row.key, [])
            if len(arrived) > 1:
                yield f"message {row.id} was accepted {len(arrived)} times"
            if bool(arrived) is not (row.state == "sent"):
                yield f"message {row.id} is {row.state}, and was accepted {len(arrived)} times"
            for one in arrived:
                if one.items != row.items or not one.cases <= told.get(row.digest_id, set()):
                    yield f"message {row.id} tells something else than digest {row.digest_id} has on record"
        yield from (f"{key} was accepted, and is unknown" for key in self.found.keys() - known)


def _cases_by_digest(session: Session) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    sent = select(Reminder.digest_id, Reminder.case_id).where(Reminder.status == "sent")
    for digest_id, case_id in session.exec(sent):
        found.setdefault(digest_id or 0, set()).add(case_id)
    return found


def _read(file: Path) -> Arrival:
    content = file.read_bytes()
    identity, items = _ID.search(content), _ITEMS.search(content)
    assert identity, f"{file.name} has no Message-ID"
    assert items, f"{file.name} does not say how much it tells"
    cases = frozenset(int(number) for number in _LINK.findall(content))
    return Arrival(identity[1].decode(), bool(identity[2]), int(items[1]), cases)
