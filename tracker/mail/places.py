"""Where mail goes and where its arrival is read: addresses such as smtp://user@host, understood once and in words."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from tracker.errors import WrongSetting

_SECONDS = range(1, 121)
"""A message's lease is 15 minutes; no single wait may come near it."""

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class Tls(StrEnum):
    """How a connection is kept private. There is no "if the server can": that is no protection."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in. The password is never shown; one in a file is read anew for each connection."""

    user: str
    password: str = ""
    password_file: Path | None = None

    def __repr__(self) -> str:
        return "Account(…)"

    def secret(self) -> bytes:
        """The password; raises OSError where its file cannot be read."""
        return self.password_file.read_bytes().strip() if self.password_file else self.password.encode()


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server that takes messages. Seconds are those of one wait."""

    host: str
    port: int
    tls: Tls = Tls.STARTTLS
    account: Account | None = None
    ca: Path | None = None
    seconds: float = 30

    def __post_init__(self) -> None:
        """Refuse to send a password in the clear over a network."""
        if self.account and self.tls is Tls.NONE and not _is_loopback(self.host):
            raise WrongSetting("TRACKER_SMTP_URL: a password is not sent without TLS to another machine")


@dataclass(frozen=True, slots=True)
class ImapMailbox:
    """A mailbox on a server that a copy of every message is delivered to. Always over TLS."""

    host: str
    port: int
    account: Account
    mailbox: str = "INBOX"
    ca: Path | None = None
    seconds: float = 30


@dataclass(frozen=True, slots=True)
class MaildirFolder:
    """A Maildir that a mail server delivers a copy of every message to."""

    folder: Path


@dataclass(frozen=True, slots=True)
class PostfixFile:
    """The log of a Postfix on this machine."""

    file: Path


JournalPlace = ImapMailbox | MaildirFolder | PostfixFile


def smtp_server(url: str, password_file: str = "") -> SmtpServer:
    """The server that an address names; raises :class:`WrongSetting`, which never repeats the address."""
    name = "TRACKER_SMTP_URL"
    parts = _split(url, name, ("smtp", "smtps"), "smtp://user@mail.example.org:587")
    if parts.path not in ("", "/"):
        raise WrongSetting(_AMBIGUOUS.format(name))
    options = _options(parts.query, name, ("tls", "ca", "timeout"))
    tls = _tls(parts.scheme, options.get("tls"))
    return SmtpServer(
        host=_host(parts, name),
        port=_port(parts, name) or {Tls.STARTTLS: 587, Tls.TLS: 465, Tls.NONE: 25}[tls],
        tls=tls,
        account=_smtp_account(parts, password_file),
        ca=_ca(options, name),
        seconds=_seconds(options, name),
    )


def journal_place(text: str) -> JournalPlace:
    """What TRACKER_MAIL_JOURNAL names; raises :class:`WrongSetting`, which never repeats a password."""
    kind, _, place = text.partition(":")
    if kind == "maildir":
        return MaildirFolder(_absolute(place))
    if kind == "postfix":
        return PostfixFile(_absolute(place))
    if kind == "imaps":
        return _imap_mailbox(text)
    raise WrongSetting(
        "TRACKER_MAIL_JOURNAL must be like maildir:/folder, imaps://user:password@host/mailbox or postfix:/file"
    )


_AMBIGUOUS = "{}: write / ? # @ : % of a user or a password as %2F %3F %23 %40 %3A %25; nothing follows the port"


def _imap_mailbox(url: str) -> ImapMailbox:
    name = "TRACKER_MAIL_JOURNAL"
    parts = _split(url, name, ("imaps",), "imaps://user:password@mail.example.org/INBOX")
    options = _options(parts.query, name, ("ca", "timeout"))
    account = _account(parts, name)
    if account is None or not account.password or not (account.user + account.password).isascii():
        raise WrongSetting(f"{name}: imaps:// needs a user and a password, both without accents")
    mailbox = unquote(parts.path).removeprefix("/") or "INBOX"
    if re.fullmatch(r"[ -~]+", mailbox) is None:
        raise WrongSetting(f"{name}: the mailbox is named in plain letters, digits and signs")
    return ImapMailbox(
        host=_host(parts, name),
        port=_port(parts, name) or 993,
        account=account,
        mailbox=mailbox,
        ca=_ca(options, name),
        seconds=_seconds(options, name),
    )


def _split(url: str, name: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of an address. What the standard library says of a wrong one could hold the password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise WrongSetting(f"{name} must be like {example}") from None
    if _PRINTABLE.fullmatch(url) is None or parts.scheme not in schemes:
        raise WrongSetting(f"{name} must be like {example}")
    if parts.fragment:
        raise WrongSetting(_AMBIGUOUS.format(name))
    return parts


def _host(parts: SplitResult, name: str) -> str:
    host = parts.hostname or ""
    if _HOST.fullmatch(host) is None and _address(host) is None:
        raise WrongSetting(f"{name}: the name of the host is missing or wrong")
    return host


def _port(parts: SplitResult, name: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise WrongSetting(_AMBIGUOUS.format(name)) from None
    if port == 0:
        raise WrongSetting(f"{name}: there is no port 0")
    return port


def _smtp_account(parts: SplitResult, password_file: str) -> Account | None:
    account = _account(parts, "TRACKER_SMTP_URL")
    if account is None and password_file:
        raise WrongSetting("TRACKER_SMTP_PASSWORD_FILE is given, but TRACKER_SMTP_URL names no user")
    if account is None:
        return None
    if bool(account.password) == bool(password_file):
        raise WrongSetting(
            "TRACKER_SMTP_URL names a user: give the password in it or in TRACKER_SMTP_PASSWORD_FILE, not in both"
        )
    return Account(account.user, account.password, Path(password_file).absolute() if password_file else None)


def _account(parts: SplitResult, name: str) -> Account | None:
    """Who signs in; None where neither user nor password is given."""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user and not password:
        return None
    if not user or not (user + password).isprintable():
        raise WrongSetting(f"{name}: a password needs a user, and both are printable characters")
    return Account(user, password)


def _tls(scheme: str, asked: str | None) -> Tls:
    if scheme == "smtps" and asked in (None, "tls"):
        return Tls.TLS
    if scheme == "smtp" and asked in (None, *Tls):
        return Tls(asked or "starttls")
    raise WrongSetting("TRACKER_SMTP_URL: tls is starttls, tls or none; smtps:// is always tls")


def _ca(options: dict[str, str], name: str) -> Path | None:
    """The file of certificates to trust; it is read when a connection is made."""
    if "ca" not in options:
        return None
    return _absolute(options["ca"], f"{name}: ca")


def _seconds(options: dict[str, str], name: str) -> float:
    given = options.get("timeout", "30")
    if re.fullmatch(r"[0-9]{1,3}", given) is None or int(given) not in _SECONDS:
        raise WrongSetting(f"{name}: timeout is a number of seconds from 1 to 120")
    return int(given)


def _options(query: str, name: str, known: tuple[str, ...]) -> dict[str, str]:
    """What stands behind the question mark. A name that is not known could be a piece of a password."""
    pairs = [part.partition("=") for part in query.split("&")] if query else []
    options = {key: unquote(value) for key, _, value in pairs}
    if len(options) != len(pairs) or not options.keys() <= set(known) or "" in options.values():
        raise WrongSetting(f"{name}: behind the ? stand {', '.join(known)}, each once and with a value")
    return options


def _absolute(text: str, name: str = "TRACKER_MAIL_JOURNAL") -> Path:
    path = Path(text)
    if not path.is_absolute() or not text.isprintable():
        raise WrongSetting(f"{name}: the path must start with /")
    return path


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
