"""The ways that mail takes, in words; never an account or a password."""

from __future__ import annotations

from tracker.mail.places import ImapMailbox, MaildirFolder, SmtpServer, Tls
from tracker.settings import Settings

_PRIVACY = {Tls.STARTTLS: "with STARTTLS", Tls.TLS: "over TLS", Tls.NONE: "in the clear"}


def way_out(settings: Settings) -> str:
    """Where mail goes: ``to the mail server mail.example.org, port 587, with STARTTLS``."""
    if settings.mail_off:
        return "nowhere: mail is off"
    return _server(settings.smtp) if settings.smtp else "into the Maildir of this installation"


def way_back(settings: Settings) -> str:
    """Where it is looked up whether mail has arrived."""
    if settings.journal is None:
        own = settings.smtp is None and not settings.mail_off
        return "in the Maildir of this installation" if own else "nowhere: a message in doubt is for a person to decide"
    if isinstance(settings.journal, ImapMailbox):
        return f"in a mailbox on {settings.journal.host}"
    return "in a Maildir of copies" if isinstance(settings.journal, MaildirFolder) else "in the log of Postfix"


def _server(server: SmtpServer) -> str:
    return f"to the mail server {server.host}, port {server.port}, {_PRIVACY[server.tls]}"
