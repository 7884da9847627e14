"""A small virtual clinic network for the fault harness: work for every day, a mail server, and the accounts of both."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import compat32
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tracker import balance
from tracker.interchange.journal import JournalLine
from tracker.models import OutboxMessage, Reminder

START = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
"""A Monday; the clinics' digests go out at half past seven, local time."""


def environment(folder: Path, database_url: str = "", port: int = 0, journal: Path | None = None) -> dict[str, str]:
    """What a process of the virtual installation is told."""
    found = {"TRACKER_HOME": str(folder), "TRACKER_DATABASE_URL": database_url}
    if port:
        found["TRACKER_SMTP_URL"] = f"smtp://127.0.0.1:{port}?tls=none&timeout=5"
    if journal:
        found["TRACKER_MAIL_JOURNAL"] = f"maildir:{journal}"
    return found


@contextmanager
def smtp_server(journal: Path, *options: str) -> Iterator[int]:
    """A mail server in a process of its own, that keeps what it accepts in ``journal``; gives its port."""
    port_file = journal.with_suffix(".port")
    command = [sys.executable, "-m", "tests.faults.smtp_server", "--port-file", port_file, "--journal", journal]
    server = subprocess.Popen([*command, *options])
    try:
        deadline = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().strip()):
            assert server.poll() is None, "the mail server did not start"
            assert time.monotonic() < deadline, "the mail server says no port"
            time.sleep(0.02)
        yield int(port_file.read_text())
    finally:
        server.kill()
        server.wait()


def open_cases(place: Installation, day: date, number: int, navigators: int = 10) -> None:
    """New cases on a day, spread over navigators of three clinics: each asks for something on that very day."""
    zones = (("North", "Europe/London"), ("South", "Europe/Berlin"), ("West", "Europe/Lisbon"))
    lines = []
    for n in range(number):
        ref = f"F{day:%y%m%d}-{n}"
        clinic, zone = zones[n % len(zones)]
        data = {
            "clinic": clinic,
            "timezone": zone,
            "patient": {"ref": ref, "name": "Canary Surname"},
            "navigator": f"nav{n % navigators}@example.org",
        }
        lines.append(JournalLine(ref, day, "case:opened", data, file="faults", number=n + 1))
    moment = datetime(day.year, day.month, day.day, 0, 30, tzinfo=UTC)
    place.replay(lines, now=moment)


@dataclass
class Account:
    """What became of everything, once no more is done: the database against the mail server's journal."""

    accepted: int = 0
    told: int = 0
    waiting: int = 0
    parked: int = 0
    doubted_twice: int = 0
    duplicated: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [*self.duplicated, *self.lost, *self.unexplained]


def accepted_keys(journal: Path) -> Counter[str]:
    """How often the mail server accepted each digest, whatever its Message-ID says of a repeat."""
    found: Counter[str] = Counter()
    for file in (*(journal / "new").iterdir(), *(journal / "kept").iterdir()):
        header = message_from_bytes(file.read_bytes(), policy=compat32)["Message-ID"]
        found[header.strip("<>").partition("@")[0].partition(".")[0]] += 1
    return found


def account(place: Installation, journal: Path, now: datetime) -> Account:
    """Weigh the database against what the mail server has accepted."""
    found, accepted = Account(), accepted_keys(journal)
    with place.database.reading() as session:
        rows = session.exec(select(OutboxMessage)).all()
        state = {row.key: row.state for row in rows}
        found.accepted = sum(accepted.values())
        found.duplicated = [f"{key}: accepted {number} times" for key, number in accepted.items() if number > 1]
        found.unexplained = [f"{key}: accepted, and unknown here" for key in accepted.keys() - state.keys()]
        found.unexplained += [
            f"{key}: accepted, and {state[key]}"
            for key in accepted
            if state.get(key) in ("queued", "retry_wait", "cancelled")
        ]
        found.lost = [
            f"{key}: sent, and never accepted" for key, is_ in state.items() if is_ == "sent" and not accepted[key]
        ]
        found.parked = sum(is_ == "uncertain" for is_ in state.values())
        found.doubted_twice = sum(row.state == "uncertain" and row.repeat > 0 for row in rows)
        found.waiting = sum(is_ in ("queued", "retry_wait", "claimed", "transmitting") for is_ in state.values())
        found.told = session.exec(select(func.count()).select_from(Reminder).where(Reminder.status == "sent")).one()
        untold = (
            select(func.count())
            .select_from(Reminder)
            .where(
                col(Reminder.status).in_(("pending", "raised")),
                Reminder.remind_on <= now.date(),
                col(Reminder.digest_id).is_(None),
            )
        )
        number = session.exec(untold).one()
        if number:
            found.lost.append(f"{number} reminders have come and were told to nobody")
        found.unexplained += balance.balance(session, now).findings
    return found
