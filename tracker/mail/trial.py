"""A test of the way that mail takes, end to end: one message that says it is a test, and is looked for afterwards."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from tracker.mail import ways
from tracker.mail.posts import journal_of, transport_of
from tracker.mail.transport import Journal, Parcel, Result, Transport
from tracker.settings import Settings
from workflows.limits import checked_email

SUBJECT = "Test of the mail of the NET case tracker"
_TEXT = """\
This is a test. Somebody ran "tracker mail test" to see whether mail reaches this address.
Nothing needs to be done.
"""
_PATIENCE = 20.0
_BREATH = 1.0
_EARLIER = timedelta(days=1)
"""A mail server's clock, by which a journal may be read, need not be ours."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage came to, in words."""

    stage: str
    ok: bool
    words: str

    def as_json(self) -> dict[str, Any]:
        """The stage as ``mail test --json`` gives it."""
        return {"stage": self.stage, "ok": self.ok, "words": self.words}


@dataclass(slots=True)
class Trial:
    """One test message to an address, by the transport of the settings; ``now`` is aware.

    Raises :class:`ValueError` for what is no address.
    """

    settings: Settings
    address: str
    now: datetime
    pause: Callable[[float], None] = time.sleep
    patience: float = _PATIENCE
    message_id: str = ""

    def __post_init__(self) -> None:
        checked_email(self.address)
        self.message_id = f"<test.{secrets.token_hex(16)}@net-case-tracker.invalid>"

    def run(self) -> Iterator[Stage]:
        """Each stage as it comes; the first that fails is the last, except that a doubt is looked into."""
        transport = transport_of(self.settings)
        if transport is None:
            yield Stage("settings", False, "mail is off: TRACKER_SMTP_URL is “none”")
            return
        try:
            yield from self._stages(transport)
        finally:
            transport.close()

    def _stages(self, transport: Transport) -> Iterator[Stage]:
        yield Stage("settings", True, f"mail goes {ways.way_out(self.settings)}, from {self.settings.mail_from}")
        ready = transport.check()
        if ready.result is not Result.SENT:
            yield Stage("connection", False, ready.reason)
            return
        yield Stage("connection", True, "a message would be taken now")
        outcome = transport.send(self._parcel(), lambda: True)
        if outcome.result is Result.SENT:
            yield Stage("message", True, "it was taken")
        else:
            yield Stage("message", False, outcome.reason)
            if outcome.result is not Result.UNCERTAIN:
                return
        journal = journal_of(self.settings, transport)
        if journal is not None:
            yield self._looked_for(journal)

    def _looked_for(self, journal: Journal) -> Stage:
        end = time.monotonic() + self.patience
        while True:
            try:
                if journal.arrived([self.message_id], self.now - _EARLIER):
                    return Stage("journal", True, f"it was found {ways.way_back(self.settings)}")
            except OSError as error:
                return Stage("journal", False, f"the journal of arrivals cannot be read ({type(error).__name__})")
            if time.monotonic() >= end:
                words = f"it was not found {ways.way_back(self.settings)} within {self.patience:.0f} seconds"
                return Stage("journal", False, f"{words}; it may come later, under {self.message_id}")
            self.pause(_BREATH)

    def _parcel(self) -> Parcel:
        message = EmailMessage(policy=SMTP)
        message["From"] = self.settings.mail_from
        message["To"] = self.address
        message["Subject"] = SUBJECT
        message["Date"] = format_datetime(self.now)
        message["Message-ID"] = self.message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_TEXT)
        return Parcel(self.message_id, self.settings.mail_from, self.address, message.as_bytes())
