"""Which transport carries the mail of an installation, and which journal knows what arrived."""

from __future__ import annotations

from tracker.mail.maildir import Maildir
from tracker.mail.transport import Journal, Transport
from tracker.settings import Settings


def transport_of(settings: Settings) -> Transport | None:
    """The transport that the settings name; None where mail is off. It connects when it is first used."""
    return None if settings.mail_off else Maildir(settings.mail_dir)


def journal_of(settings: Settings, transport: Transport | None) -> Journal | None:
    """The journal that the settings name, or the transport where it is its own; None where there is neither."""
    return transport if isinstance(transport, Maildir) else None
