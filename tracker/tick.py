"""The tick: raise what has come due, compose digests, deliver what waits, beat the heart. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracker.db import Database
from tracker.mail.maildir import Maildir
from tracker.models import Heartbeat
from tracker.outbox import deliver
from tracker.reminders import Sender, compose_digests, sweep
from tracker.secret import Secret
from tracker.settings import Settings
from tracker.writing import writing

ACTOR = "system:tick"


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did."""

    now: datetime
    raised: int
    digests: int
    sent: int
    retrying: int

    def as_json(self) -> dict[str, Any]:
        """The report as ``tick --json`` gives it."""
        return {
            "now": self.now.isoformat(),
            "swept": True,
            "reminders": {"raised": self.raised},
            "digests": self.digests,
            "sent": self.sent,
            "retrying": self.retrying,
            "uncertain": 0,
            "rejected": 0,
        }


def tick(database: Database, settings: Settings, secret: Secret, now: datetime) -> TickReport:
    """Do what is due at ``now``; doing it again at once does nothing."""
    sender = Sender(settings.mail_from, settings.base_url, secret.derive("mail"))
    with database.writing_alone() as session:
        raised = sweep(session, now)
    with database.writing_alone() as session:
        digests = compose_digests(writing(session, actor=ACTOR, now=now, secret=secret), sender)
    delivered = deliver(database, Maildir(settings.mail_dir), sender, now)
    with database.writing_alone() as session:
        session.merge(Heartbeat(part="tick", at=now))
    return TickReport(now, raised, digests, delivered.sent, delivered.retrying)
