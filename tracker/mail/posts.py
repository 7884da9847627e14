"""Which transport carries the mail of an installation, and which journal knows what arrived."""

from __future__ import annotations

from tracker.mail.maildir import Maildir
from tracker.mail.places import ImapMailbox, JournalPlace, MaildirFolder
from tracker.mail.smtp import Smtp
from tracker.mail.transport import Journal, Transport
from tracker.settings import Settings


def transport_of(settings: Settings) -> Transport | None:
    """The transport that the settings name; None where mail is off. It connects when it is first used."""
    if settings.mail_off:
        return None
    return Smtp(settings.smtp) if settings.smtp else Maildir(settings.mail_dir)


def journal_of(settings: Settings, transport: Transport | None) -> Journal | None:
    """The journal that the settings name, or the transport where it is its own; None where there is neither."""
    if settings.journal:
        return _journal_at(settings.journal)
    return transport if isinstance(transport, Maildir) else None


def _journal_at(place: JournalPlace) -> Journal:
    from tracker.mail.journals import ImapJournal, MaildirJournal, PostfixLog

    if isinstance(place, MaildirFolder):
        return MaildirJournal(place.folder)
    return ImapJournal(place) if isinstance(place, ImapMailbox) else PostfixLog(place.file)
