"""Delivery to a mail server. What may have been accepted is never called refused, and the other way round.

The message goes out in two parts: all its lines first, and the line with the dot that ends it only after the server
was found waiting. Whatever happens before the dot has left is provably no delivery; after it, only an answer tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tracker.mail.places import SmtpServer
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.mail.wire import Limit, Lost, Wire, opened
from workflows.limits import checked_email

_WHOLE = 480.0
"""Seconds that a message may take altogether: well within its lease of 15 minutes."""

_A_CONNECTION = 100
"""Messages on one connection; servers close it at some number, and a new one finds a server that was renewed."""

_PATIENCE = 4
"""Times the usual wait that the end of a message is given: a server may scan it, and not to know is the worst."""

_CLOSING = 421
_NOT_ITS_FAULT = frozenset({_CLOSING, 530, 534, 535, 538})
"""The server closes, or we are not signed in as it wants: a mistake in the settings must not reject every message."""

_END = "the end of the message"


class Smtp:
    """A transport that speaks SMTP with one server and keeps the connection between messages."""

    def __init__(self, server: SmtpServer, whole: float = _WHOLE) -> None:
        self._server = server
        self._whole = whole
        self._wire: Wire | None = None
        self._carried = 0
        self._half_done = False

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        """Hand one message over; whatever the server does becomes an outcome."""
        if wrong := _unfit(parcel):
            return Outcome(Result.REJECTED, wrong)
        try:
            outcome = self._carry(parcel, leave)
        except Lost as lost:
            outcome = _deferred(str(lost))
        except BaseException:
            self._drop()
            raise
        if outcome.down or outcome.result is Result.WITHDRAWN:
            self._drop()
        self._half_done = outcome.result is not Result.SENT
        return outcome

    def check(self) -> Outcome:
        """Everything but a message, on a connection of its own."""
        self.close()
        try:
            self._wire = opened(self._server, self._limit())
            code = self._wire.ask("NOOP", "NOOP")
        except Lost as lost:
            return _deferred(str(lost))
        finally:
            self.close()
        return Outcome(Result.SENT) if code == 250 else _deferred(f"NOOP was refused ({code})")

    def close(self) -> None:
        """Take leave of the server, if there is one."""
        if self._wire:
            self._wire.part()
        self._wire = None

    def _carry(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        wire, code = self._announced(parcel)
        if code // 100 != 2:
            return _refused("MAIL", code)
        code = wire.ask("RCPT", f"RCPT TO:<{parcel.recipient}>")
        if code // 100 != 2:
            return _refused("RCPT", code)
        code = wire.ask("DATA", "DATA")
        if code != 354:
            return _refused("DATA", code)
        if not leave():
            return Outcome(Result.WITHDRAWN)
        return self._handed_over(wire, _lines(parcel.content))

    def _handed_over(self, wire: Wire, lines: bytes) -> Outcome:
        """The point of no return lies between the two writes."""
        wire.write("the message", lines)
        early = wire.interrupted("the message")
        if early:
            self._drop()
            return Outcome(
                Result.DEFERRED, f"the message was refused before its end ({early})", early in _NOT_ITS_FAULT
            )
        wire.write(_END, b".\r\n")
        try:
            code = wire.listen(_END, _PATIENCE)
        except Lost as lost:
            return Outcome(Result.UNCERTAIN, str(lost), down=True)
        return _accepted(code)

    def _announced(self, parcel: Parcel) -> tuple[Wire, int]:
        """A connection, and its answer to MAIL. A kept one that has died is replaced: nothing was handed over."""
        limit = self._limit()
        kept = self._kept(parcel, limit)
        if kept:
            return kept
        self._wire, self._carried = opened(self._server, limit), 1
        return self._wire, _mail(self._wire, parcel)

    def _kept(self, parcel: Parcel, limit: Limit) -> tuple[Wire, int] | None:
        if self._carried >= _A_CONNECTION:
            self.close()
        wire = self._wire
        if wire is None:
            return None
        wire.limit = limit
        try:
            alive = not self._half_done or wire.ask("RSET", "RSET") == 250
            code = _mail(wire, parcel) if alive else _CLOSING
        except Lost:
            code = _CLOSING
        if code == _CLOSING:
            self._drop()
            return None
        self._carried += 1
        return wire, code

    def _limit(self) -> Limit:
        return Limit(self._server.seconds, self._whole)

    def _drop(self) -> None:
        """Break the connection off: a message that has begun cannot be ended without being delivered."""
        if self._wire:
            self._wire.close()
        self._wire = None


def _mail(wire: Wire, parcel: Parcel) -> int:
    body = " BODY=8BITMIME" if not parcel.content.isascii() and wire.has_extn("8bitmime") else ""
    return wire.ask("MAIL", f"MAIL FROM:<{parcel.sender}>{body}")


def _accepted(code: int) -> Outcome:
    if code // 100 == 2:
        return Outcome(Result.SENT)
    if code // 100 == 3:
        return Outcome(Result.UNCERTAIN, f"{_END} was answered out of turn ({code})", down=True)
    return _refused(_END, code)


def _refused(stage: str, code: int) -> Outcome:
    """A refusal before or after the message; a 2xx or 3xx that was not due is no answer."""
    if code // 100 < 4:
        raise Lost(f"{stage} was answered out of turn ({code})")
    reason = f"{stage} was refused ({code})"
    if code // 100 == 4 or code in _NOT_ITS_FAULT:
        return Outcome(Result.DEFERRED, reason, code in _NOT_ITS_FAULT)
    return Outcome(Result.REJECTED, reason)


def _deferred(reason: str) -> Outcome:
    return Outcome(Result.DEFERRED, reason, down=True)


def _unfit(parcel: Parcel) -> str:
    """Why a message cannot be addressed; an address that is more than one could carry commands of its own."""
    for role, address in (("sender", parcel.sender), ("recipient", parcel.recipient)):
        try:
            checked_email(address)
        except ValueError:
            return f"the {role} is not an address that mail can be sent to"
    return ""


def _lines(content: bytes) -> bytes:
    """The content as lines that end in CRLF, a dot at the start of one doubled."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", lines)
