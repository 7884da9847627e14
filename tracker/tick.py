"""The tick: raise what has come due, compose digests, deliver what waits, beat the heart. Safe to repeat.

Before that, cases go over to whoever takes them from today on, so that their reminders reach the right person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.dialects import postgresql, sqlite

from tracker import leases, outbox, planned, tallies, views
from tracker.balance import check_nightly
from tracker.db import Database
from tracker.digests import Sender, compose_digests
from tracker.mail.posts import journal_of, transport_of
from tracker.mail.transport import Transport
from tracker.models import Heartbeat
from tracker.outbox import Delivered
from tracker.reminders import sweep
from tracker.secret import Secret
from tracker.settings import Settings

_log = structlog.get_logger()
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did. ``swept``: it was this process that raised and composed.

    ``retrying``, ``uncertain`` and ``rejected`` are how many messages stand so after it.
    """

    now: datetime
    swept: bool
    raised: int
    digests: int
    sent: int
    retrying: int
    uncertain: int
    rejected: int

    def as_json(self) -> dict[str, Any]:
        """The report as ``tick --json`` gives it."""
        return {
            "now": self.now.isoformat(),
            "swept": self.swept,
            "reminders": {"raised": self.raised},
            "digests": self.digests,
            "sent": self.sent,
            "retrying": self.retrying,
            "uncertain": self.uncertain,
            "rejected": self.rejected,
        }


def tick(database: Database, settings: Settings, secret: Secret, now: datetime) -> TickReport:
    """Do what is due at ``now``; doing it again at once does nothing. Any number of processes may.

    Where mail is off, reminders are raised and no digest is written: what is told later is told in one.
    """
    sender = Sender(settings.mail_from, settings.base_url, secret.derive("mail"))
    raised = made = 0
    with leases.held(database, "sweep", now) as mine:
        if mine:
            planned.carry_out(database, secret, now)
            with database.writing() as session:
                raised = sweep(session, now)
            if not settings.mail_off:
                made = compose_digests(database, sender, now)
            tallies.add_up(database)
            _beat(database, "tick", now)
    delivered = _deliver(database, settings, sender, now)
    standing = outbox.standing(database)
    return TickReport(
        now, mine, raised, made, delivered.sent, standing["retry_wait"], standing["uncertain"], standing["rejected"]
    )


def nightly(database: Database, now: datetime) -> bool:
    """Weigh the ledger, once for each UTC date; whether it was done now, by this process.

    Old searches are forgotten each time, so that no name stays much longer than it is needed.
    """
    with leases.held(database, "nightly", now) as mine:
        if not mine:
            return False
        with database.writing() as session:
            views.forget_words(session, now)
        with database.writing() as session:
            if not check_nightly(session, now):
                return False
        _check_tallies(database)
        return True


def _check_tallies(database: Database) -> None:
    """The numbers of the pages are counted anew where they are not what the rows say; the log says so."""
    with database.reading() as session:
        wrong = tallies.wrong(session)
    if wrong:
        _log.error("tallies.wrong", cubes=len(wrong))
        with database.writing() as session:
            tallies.recount(session)


def wakes(
    database: Database, settings: Settings, secret: Secret, clock: Callable[[], datetime]
) -> dict[Callable[[], object], int]:
    """What a scheduler wakes, and after how many seconds again."""
    return {
        lambda: tick(database, settings, secret, clock()): _MINUTE,
        lambda: nightly(database, clock()): _HOUR,
    }


def _deliver(database: Database, settings: Settings, sender: Sender, now: datetime) -> Delivered:
    transport = transport_of(settings)
    if transport is None:
        return Delivered()
    try:
        done = outbox.deliver(database, transport, sender, now)
        _reconcile(database, settings, transport, now)
    finally:
        transport.close()
    _beat(database, "delivery", now)
    return done


def _reconcile(database: Database, settings: Settings, transport: Transport, now: datetime) -> None:
    journal = journal_of(settings, transport)
    if journal is not None:
        outbox.reconcile(database, journal, now)


def _beat(database: Database, part: str, now: datetime) -> None:
    insert = postgresql.insert if database.is_postgresql else sqlite.insert
    beat = insert(Heartbeat).values(part=part, at=now)
    with database.writing() as session:
        session.execute(beat.on_conflict_do_update(index_elements=["part"], set_={"at": now}))
