"""A conversation with a mail server: smtplib's commands, a limit to every wait, and answers read strictly."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tracker.mail.places import Account, SmtpServer, Tls

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ANSWER = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_LINES, _LENGTH = 100, 4096
"""More than any server says; without a limit one could fill the memory."""

_PIECE = 16 * 1024
"""Bytes handed over in one wait: one record of TLS."""

_OTHER_HOST = (62, 64)
"""OpenSSL's codes for a certificate of another name or address; its words would repeat ours."""


class Lost(Exception):
    """The conversation cannot go on. The text says at which stage and how, never what the server wrote."""


class Garbled(Exception):
    """What came is not an answer of SMTP."""


class Limit:
    """How long may be waited: ``seconds`` for a step, and ``whole`` for all steps together."""

    def __init__(self, seconds: float, whole: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + whole
        self._until = 0.0

    def left(self) -> float:
        """Seconds that the step still has; raises TimeoutError where there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextmanager
    def step(self, stage: str, times: int = 1) -> Iterator[None]:
        """A stage, in which whatever goes wrong is :class:`Lost`. ``times`` allows a longer wait."""
        self._until = min(time.monotonic() + times * self._seconds, self._end)
        try:
            yield
        except TimeoutError:
            raise Lost(f"no answer to {stage}") from None
        except ssl.SSLCertVerificationError as error:
            why = "it is for another host" if error.verify_code in _OTHER_HOST else error.verify_message
            raise Lost(f"the server's certificate was not accepted: {why}") from None
        except OSError as error:
            raise Lost(f"the connection broke at {stage} ({type(error).__name__})") from None
        except Garbled:
            raise Lost(f"{stage} was answered with something that is not SMTP") from None


class Wire(smtplib.SMTP):
    """An open connection. ``limit`` is that of the message that it carries just now.

    smtplib reads a truncated line as a whole answer, an endless one as a refusal, and waits anew for each byte that
    drips in: therefore reading and writing are done here.
    """

    def __init__(self, sock: socket.socket, limit: Limit) -> None:
        super().__init__(local_hostname=_literal(sock))
        self.sock: socket.socket = sock
        self.limit = limit
        self._ahead = b""

    def ask(self, stage: str, line: str) -> int:
        """The code of the answer to one line."""
        with self.limit.step(stage):
            return self.docmd(line)[0]

    def must(self, stage: str, code: int, line: str) -> None:
        """Ask, and lose the conversation over any other answer: what is wrong then is not the message."""
        _expect(stage, code, self.ask(stage, line))

    def listen(self, stage: str, times: int = 1) -> int:
        """The code of what the server says next."""
        with self.limit.step(stage, times):
            return self.getreply()[0]

    def hello(self) -> None:
        """EHLO, after which it is known what the server can do."""
        with self.limit.step("EHLO"):
            code = self.ehlo()[0]
        _expect("EHLO", 250, code)

    def secure(self, server: SmtpServer) -> None:
        """Go on under TLS, with a certificate that is valid for this host. What was said before counts no more."""
        context = _context(server)
        with self.limit.step("the TLS handshake"):
            if self._ahead:
                raise Garbled
            self.sock.settimeout(self.limit.left())
            self.sock = context.wrap_socket(self.sock, server_hostname=server.host)

    def write(self, stage: str, content: bytes) -> None:
        """Hand bytes over to the system, all of them, or be :class:`Lost`."""
        for start in range(0, len(content), _PIECE):
            with self.limit.step(stage):
                self.send(content[start : start + _PIECE])

    def interrupted(self, stage: str) -> int | None:
        """What the server says without being asked; :class:`Lost` where it has gone, None where it waits."""
        with self.limit.step(stage):
            self._ahead += self._at_hand()
            return self.getreply()[0] if self._ahead else None

    def part(self) -> None:
        """Say good-bye. Nothing depends on the answer, so none is waited for at length."""
        self.limit = Limit(2, 2)
        with suppress(Lost):
            self.ask("QUIT", "QUIT")
        self.close()

    def send(self, s: ReadableBuffer | str) -> None:
        """Write within the limit. An answer that was not asked for would be taken for the next one."""
        if self._ahead:
            raise Garbled
        self.sock.settimeout(self.limit.left())
        self.sock.sendall(s.encode("ascii") if isinstance(s, str) else s)

    def getreply(self) -> tuple[int, bytes]:
        """One whole answer, all its lines ended and of one code; raises Garbled for anything else."""
        code, more, text = self._part()
        said = [text]
        while more:
            again, more, text = self._part()
            if again != code or len(said) >= _LINES:
                raise Garbled
            said.append(text)
        return code, b"\n".join(said)

    def _part(self) -> tuple[int, bool, bytes]:
        """One line of an answer: its code, whether more lines follow, its text."""
        found = _ANSWER.fullmatch(self._line())
        if found is None:
            raise Garbled
        return int(found[1]), found[2] == b"-", found[3] or b""

    def _line(self) -> bytes:
        while b"\n" not in self._ahead:
            if len(self._ahead) > _LENGTH:
                raise Garbled
            self.sock.settimeout(self.limit.left())
            self._ahead += _something(self.sock.recv(_LENGTH))
        line, _, self._ahead = self._ahead.partition(b"\n")
        return line.removesuffix(b"\r")

    def _at_hand(self) -> bytes:
        self.sock.settimeout(0)
        try:
            return _something(self.sock.recv(_LENGTH))
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""


def opened(server: SmtpServer, limit: Limit) -> Wire:
    """A connection on which mail is taken; :class:`Lost` where it cannot be had exactly as asked for."""
    with limit.step("the connection attempt"):
        sock = _connected(server, limit)
    wire = Wire(sock, limit)
    try:
        _prepare(wire, server)
    except BaseException:
        wire.close()
        raise
    return wire


def _connected(server: SmtpServer, limit: Limit) -> socket.socket:
    """A host of several addresses is tried at each of them within the one limit."""
    try:
        addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        sock = socket.create_connection((server.host, server.port), limit.left() / len(addresses))
    except TimeoutError:
        raise
    except OSError as error:
        raise Lost(f"the server cannot be reached ({type(error).__name__})") from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _context(server: SmtpServer) -> ssl.SSLContext:
    """Certificates are checked, with the name of the host, against the system's or the one file."""
    try:
        context = ssl.create_default_context(cafile=server.ca)
    except OSError:
        raise Lost("the file of certificates to trust cannot be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _prepare(wire: Wire, server: SmtpServer) -> None:
    if server.tls is Tls.TLS:
        wire.secure(server)
    _expect("the call", 220, wire.listen("the call"))
    wire.hello()
    if server.tls is Tls.STARTTLS:
        if not wire.has_extn("starttls"):
            raise Lost("STARTTLS is not offered")
        wire.must("STARTTLS", 220, "STARTTLS")
        wire.secure(server)
        wire.hello()
    if server.account:
        _sign_in(wire, server.account)


def _sign_in(wire: Wire, account: Account) -> None:
    """One attempt in one way: three wrong ones would lock the account."""
    try:
        user, password = account.user.encode(), account.secret()
    except OSError:
        raise Lost("the file with the password cannot be read") from None
    ways = wire.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in ways:
        wire.must("AUTH", 235, "AUTH PLAIN " + _coded(b"\0".join((b"", user, password))))
    elif "LOGIN" in ways:
        wire.must("AUTH", 334, "AUTH LOGIN")
        wire.must("AUTH", 334, _coded(user))
        wire.must("AUTH", 235, _coded(password))
    else:
        raise Lost("AUTH is not offered")


def _coded(text: bytes) -> str:
    return b64encode(text).decode("ascii")


def _expect(stage: str, wanted: int, code: int) -> None:
    if code != wanted:
        raise Lost(f"{stage} was refused ({code})")


def _something(received: bytes) -> bytes:
    if not received:
        raise ConnectionResetError
    return received


def _literal(sock: socket.socket) -> str:
    """Our name in EHLO: the address that we speak from. To look up a name could take minutes."""
    address = sock.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
