"""What goes wrong on a virtual day: each kind of trouble is a context that gives the way in which ticks are done.

Whoever is the cause of a trouble takes it back at the end of the block: the next day has its own.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Never

from sqlalchemy import Connection, func, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from tests.faults.smtp_server import Fault, free_port
from tests.faults.steered import Steered
from tests.tracker.conftest import Installation
from tracker import db, digests
from tracker.models import WAITING, Absence, Clinic, OutboxMessage, Person, Reminder
from tracker.settings import Settings

Tick = Callable[[datetime], None]
_STAGES = ("greeting", "ehlo", "mail", "rcpt", "data", "payload", "dot")
_FAILED, _NO_DATABASE = 1, 3
_POISON = "nobody at all"


@dataclass
class Site:
    """One installation, its mail server, and what trouble has come of them so far."""

    place: Installation
    server: Steered
    random: Random
    by_smtp: Settings
    meanwhile: Callable[[datetime], None] = lambda _: None
    lasts: int = 1
    usual: float = 0.1
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def uses_smtp(self) -> bool:
        return self.place.settings.smtp is not None

    def use(self, *, smtp: bool) -> None:
        """From now on mail leaves by SMTP, or is put into the Maildir."""
        by_maildir = replace(self.by_smtp, smtp=None, journal=None)
        self.place.settings = self.by_smtp if smtp else by_maildir

    def tick(self, now: datetime) -> None:
        """A tick in peace."""
        self.server.rest()
        self.place.tick(now)
        self.counts["ticks"] += 1

    # In processes of their own -------------------------------------------------------------------------------

    def start(self, now: datetime, first: Callable[[], object] = lambda: None) -> int:
        """A tick in a process of its own, which does ``first`` before it; its number."""
        self.counts["ticks"] += 1
        self.server.rest()
        self.place.database.engine.dispose()
        child = os.fork()
        if child == 0:
            os._exit(self._child(now, first))
        return child

    def _child(self, now: datetime, first: Callable[[], object]) -> int:
        try:
            self.place.database.engine.dispose(close=False)
            first()
            self.place.tick(now)
        except DBAPIError:
            return _NO_DATABASE
        except BaseException as error:  # noqa: BLE001  (the parent is told by the exit code)
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return _FAILED
        return 0

    def end(self, child: int, *, without_database: bool = False) -> bool:
        """Wait for a tick; whether it came to its end. To fail is a fault of its own, but for want of a database."""
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            self.counts["kills"] += 1
            return False
        code = os.WEXITSTATUS(status)
        assert code == 0 or (without_database and code == _NO_DATABASE), f"a tick failed ({code})"
        self.counts["ticks without a database"] += code == _NO_DATABASE
        return code == 0

    def kill_one(self, now: datetime) -> None:
        """Kill a tick after a random time."""
        start = time.monotonic()
        child = self.start(now)
        time.sleep(self.random.random() * self.usual)
        os.kill(child, signal.SIGKILL)
        if self.end(child):
            self.usual = 0.8 * self.usual + 0.2 * (time.monotonic() - start)


Trouble = Callable[[Site], AbstractContextManager[Tick]]

# The scheduler ---------------------------------------------------------------------------------------------


@contextmanager
def killed(site: Site) -> Iterator[Tick]:
    """Each tick of the day is killed, another one that comes within its leases too."""

    def tick(now: datetime) -> None:
        site.kill_one(now)
        site.kill_one(now + timedelta(minutes=site.random.randint(1, 14)))
        site.tick(now + timedelta(minutes=40))

    start = time.monotonic()
    site.end(site.start(site.place.now))
    site.usual = 0.5 * site.usual + 0.5 * (time.monotonic() - start)
    yield tick


@contextmanager
def at_once(site: Site) -> Iterator[Tick]:
    """Two to four schedulers tick at one moment, while people record; one of them may be killed."""

    def tick(now: datetime) -> None:
        children = [site.start(now) for _ in range(site.random.choice((2, 2, 3, 4)))]
        site.meanwhile(now)
        if site.random.random() < 0.3:
            os.kill(children[0], signal.SIGKILL)
        for child in children:
            site.end(child)
        site.tick(now + timedelta(minutes=40))

    yield tick


@contextmanager
def down(site: Site) -> Iterator[Tick]:
    """Nobody ticks for days."""
    site.lasts = site.random.choice((1, 1, 2, 3, 5, 12))
    yield lambda _: None


def clock(by: timedelta) -> Trouble:
    """One tick of the day has another time than the rest; so early, what goes out cannot be called back."""

    @contextmanager
    def trouble(site: Site) -> Iterator[Tick]:
        wrong = [site.random.random() < 0.5 for _ in range(2)]

        def tick(now: datetime) -> None:
            jumps = wrong.pop() if wrong else False
            site.tick(now + by if jumps else now)
            if jumps and by > timedelta(0):
                site.counts["reminders told early"] += _early(site, now, now + by)

        yield tick

    return trouble


def _early(site: Site, now: datetime, pretended: datetime) -> int:
    early = (Reminder.sent_at == pretended, Reminder.remind_on > now.date())
    with site.place.database.reading() as session:
        return session.exec(select(func.count()).select_from(Reminder).where(*early)).one()


# Mail ------------------------------------------------------------------------------------------------------


def server(name: str, *outcomes: str, stages: tuple[str, ...] = _STAGES, times: int | None = None) -> Trouble:
    """The mail server answers so, at one of the stages, always or now and then."""

    @contextmanager
    def trouble(site: Site) -> Iterator[Tick]:
        share = site.random.choice((1.0, 0.5, 0.2))
        site.server.does(Fault(site.random.choice(stages), site.random.choice(outcomes), share, times))
        try:
            yield site.tick
        finally:
            site.server.does()

    trouble.__name__ = name
    return trouble


@contextmanager
def nobody_at_the_port(site: Site) -> Iterator[Tick]:
    """No mail server all day."""
    usual = site.place.settings
    assert usual.smtp is not None
    site.place.settings = replace(usual, smtp=replace(usual.smtp, port=free_port()))
    yield site.tick
    site.place.settings = usual


@contextmanager
def mail_off(site: Site) -> Iterator[Tick]:
    """Mail is off for some days."""
    usual, site.lasts = site.place.settings, site.random.choice((1, 2, 4))
    site.place.settings = replace(usual, mail_off=True)
    yield site.tick
    site.place.settings = usual


@contextmanager
def disk_full(site: Site) -> Iterator[Tick]:
    """The disk of the Maildir takes nothing, or not everything."""
    share = site.random.choice((1.0, 0.3))

    def fill() -> None:
        really = os.fsync

        def fsync(descriptor: int) -> None:
            if site.random.random() < share:
                _no_space()
            really(descriptor)

        os.fsync = fsync

    yield lambda now: _wait(site, site.start(now, fill))


def _no_space() -> Never:
    raise OSError(errno.ENOSPC, "No space left on device")


def _wait(site: Site, child: int) -> None:
    site.end(child)


# The database ----------------------------------------------------------------------------------------------


@contextmanager
def busy(site: Site) -> Iterator[Tick]:
    """Somebody else writes for a while; on the embedded database a tick may wait in vain."""

    def tick(now: datetime) -> None:
        patience = site.random.choice((20, 5000))
        child = site.start(now, lambda: setattr(db, "_BUSY_MS", patience))
        for _ in range(3):
            with site.place.database.writing() as session:
                if site.place.database.is_postgresql:
                    session.execute(text("LOCK TABLE reminder, outbox_message IN SHARE ROW EXCLUSIVE MODE"))
                time.sleep(site.random.random() * 0.1)
            time.sleep(site.random.random() * 0.02)
        site.end(child, without_database=True)

    yield tick


@contextmanager
def connections_broken(site: Site) -> Iterator[Tick]:
    """The database server breaks off every connection while a tick is at work."""

    def tick(now: datetime) -> None:
        child = site.start(now)
        with site.place.database.engine.connect() as connection:
            for _ in range(3):
                time.sleep(site.random.random() * site.usual)
                _break_all(connection)
        site.end(child, without_database=True)

    yield tick


def _break_all(connection: Connection) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    connection.commit()


# Poison ----------------------------------------------------------------------------------------------------


@contextmanager
def poisoned_address(site: Site) -> Iterator[Tick]:
    """An address that no mail can be written to stands where the tracker would never have let it in."""

    def tick(now: datetime) -> None:
        taken_back = site.random.choice((_poison_person, _poison_clinic, _poison_stand_in))(site)
        try:
            site.tick(now)
        finally:
            taken_back()

    yield tick


def _poison_person(site: Site) -> Callable[[], None]:
    return _poison(site, Person, "email")


def _poison_clinic(site: Site) -> Callable[[], None]:
    return _poison(site, Clinic, "lead_email")


def _poison_stand_in(site: Site) -> Callable[[], None]:
    return _poison(site, Absence, "stand_in")


def _poison(site: Site, table: type[Person | Clinic | Absence], column: str) -> Callable[[], None]:
    """Overwrite one; what is given puts the old value back."""
    with site.place.database.writing() as session:
        ids = session.exec(select(table.id).order_by(col(table.id).desc()).limit(20)).all()
        if not ids:
            return lambda: None
        row = session.get_one(table, site.random.choice(ids))
        was, number = getattr(row, column), row.id
        setattr(row, column, _POISON)

    def take_back() -> None:
        with site.place.database.writing() as session:
            setattr(session.get_one(table, number), column, was)

    return take_back


@contextmanager
def poisoned_message(site: Site) -> Iterator[Tick]:
    """One message that waits has another recipient than it can have, and stands in the way of the others."""

    def tick(now: datetime) -> None:
        with nobody_at_the_port(site) as without_server:
            without_server(now)
        with site.place.database.writing() as session:
            one = session.exec(select(OutboxMessage.id).where(WAITING).limit(1)).first()
            spoiled = update(OutboxMessage).where(col(OutboxMessage.id) == one)
            session.execute(digests.quietly(spoiled.values(recipient="a@example.org>\r\nRCPT TO:<b@example.org")))
        with suppress(ValueError):
            site.tick(now + timedelta(minutes=2))

    yield tick


EVERYWHERE: dict[str, tuple[Trouble, int]] = {
    "tick killed": (killed, 12),
    "ticks at once": (at_once, 10),
    "scheduler down for days": (down, 3),
    "mail off": (mail_off, 3),
    "database busy": (busy, 6),
    "poisoned address": (poisoned_address, 5),
    "clock an hour back": (clock(timedelta(hours=-1)), 3),
    "clock a day back": (clock(timedelta(days=-1)), 2),
    "clock a month back": (clock(timedelta(days=-31)), 2),
    "clock an hour ahead": (clock(timedelta(hours=1)), 3),
    "clock a day ahead": (clock(timedelta(days=1)), 2),
    "clock a month ahead": (clock(timedelta(days=31)), 1),
}
BY_SMTP: dict[str, tuple[Trouble, int]] = {
    "server: 4xx": (server("4xx", "4xx", "421"), 7),
    "server: 5xx": (server("5xx", "5xx"), 4),
    "server: silent": (server("silent", "timeout", times=1), 3),
    "server: hangs up": (server("hangs up", "disconnect"), 6),
    "server: talks nonsense": (server("nonsense", "garbage"), 3),
    "server: reply lost": (server("lost", "lost-disconnect", "lost-half", stages=("dot",)), 9),
    "server: reply late for ever": (server("late", "lost-silence", stages=("dot",), times=1), 2),
    "server: down": (nobody_at_the_port, 5),
    "poisoned message": (poisoned_message, 3),
}
BY_MAILDIR: dict[str, tuple[Trouble, int]] = {"disk full": (disk_full, 12)}
ON_POSTGRESQL: dict[str, tuple[Trouble, int]] = {"connections broken": (connections_broken, 8)}


def possible(site: Site) -> dict[str, tuple[Trouble, int]]:
    """The kinds of trouble that there can be today, with their weights."""
    found = EVERYWHERE | (BY_SMTP if site.uses_smtp else BY_MAILDIR)
    return found | (ON_POSTGRESQL if site.place.database.is_postgresql else {})
