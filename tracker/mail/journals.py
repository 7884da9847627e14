"""Journals of arrivals: where a mail server leaves a trace of what it accepted. Presence proves; absence does not."""

from __future__ import annotations

import imaplib
import os
import re
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from tracker.mail.places import ImapMailbox

_HEADER_BYTES = 64 * 1024
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_PLAIN_ID = re.compile(r'<[^<>"\\\s]+>')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = timedelta(days=1)


class MaildirJournal:
    """A Maildir that gets a copy of every message, such as Postfix's ``always_bcc``. Headers are read, no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        """Those of the messages that were delivered here since the day before ``since``."""
        wanted, found = set(message_ids), set[str]()
        for file in self._delivered(since):
            found |= wanted & {_message_id(file)}
            if found == wanted:
                break
        return found

    def _delivered(self, since: datetime) -> Iterator[Path]:
        """``cur`` comes last: what its reader moves meanwhile is seen twice rather than not at all.

        Where our clock is ahead of the server's, the last delivery is taken for the present.
        """
        present = (self._folder / "new").stat().st_mtime
        earliest = min(since.timestamp(), present) - _DAY.total_seconds()
        for part in ("new", "cur"):
            with os.scandir(self._folder / part) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        if entry.is_file() and entry.stat().st_mtime >= earliest:
                            yield Path(entry.path)


class PostfixLog:
    """The log of a Postfix, and the part of it that was put aside last.

    A message has been accepted where the queue manager took up what ``cleanup`` gave its number: ``cleanup`` alone
    has also seen messages that were broken off. Numbers are used again, so the order of the lines counts.
    """

    _ID = re.compile(rb"[^\[\]]*/cleanup\[[0-9]+\]: ([0-9A-Za-z]+): message-id=(<[^<>\s]+>)\s*")
    _TAKEN = re.compile(rb"[^\[\]]*/qmgr\[[0-9]+\]: ([0-9A-Za-z]+): from=<.*\(queue active\)\s*")

    def __init__(self, file: Path) -> None:
        self._file = file

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        """Those of the messages that Postfix has queued, at whatever time the two files reach back to."""
        wanted = {message_id.encode(): message_id for message_id in message_ids}
        ids: dict[bytes, bytes] = {}
        taken = set()
        for line in self._lines():
            if found := self._ID.fullmatch(line):
                ids[found[1]] = found[2]
            elif found := self._TAKEN.fullmatch(line):
                taken.add(wanted.get(ids.pop(found[1], b""), ""))
        return taken - {""}

    def _lines(self) -> Iterator[bytes]:
        with suppress(FileNotFoundError):
            yield from _read(self._file.with_name(self._file.name + ".1"))
        yield from _read(self._file)


class ImapJournal:
    """A mailbox on an IMAP server, which is looked at and never changed."""

    def __init__(self, mailbox: ImapMailbox) -> None:
        self._mailbox = mailbox

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        """Those of the messages that the server finds by their header; OSError for whatever it refuses."""
        plain = [message_id for message_id in message_ids if _PLAIN_ID.fullmatch(message_id)]
        try:
            with self._opened() as server:
                return {message_id for message_id in plain if _is_there(server, message_id, since - 2 * _DAY)}
        except imaplib.IMAP4.error as error:
            raise OSError(f"the mailbox of arrivals cannot be read ({type(error).__name__})") from None

    @contextmanager
    def _opened(self) -> Iterator[imaplib.IMAP4]:
        there = self._mailbox
        context = ssl.create_default_context(cafile=there.ca)
        server = imaplib.IMAP4_SSL(there.host, there.port, ssl_context=context, timeout=there.seconds)
        try:
            server.login(there.account.user, there.account.password)
            _must(server.select(_quoted(there.mailbox), readonly=True))
            yield server
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                server.logout()
            with suppress(OSError):  # where the farewell failed, the connection would stay open
                server.shutdown()


def _message_id(file: Path) -> str:
    """The Message-ID in the header of a file; empty where it has none, or is gone by now."""
    header = b""
    with suppress(FileNotFoundError), file.open("rb") as lines:
        while len(header) < _HEADER_BYTES and (line := lines.readline(_HEADER_BYTES)).strip():
            header += line
    found = _MESSAGE_ID.search(header)
    return found[1].decode("ascii", "replace") if found else ""


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        yield from (line for line in lines if b"/cleanup[" in line or b"/qmgr[" in line)


def _is_there(server: imaplib.IMAP4, message_id: str, since: datetime) -> bool:
    day = f"{since.day}-{_MONTHS[since.month - 1]}-{since.year}"
    found = _must(server.search(None, "SINCE", day, "HEADER", "Message-ID", _quoted(message_id)))
    return bool(found and found[0])


def _must(answer: tuple[str, list[bytes | None]]) -> list[bytes | None]:
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error
    return data


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
