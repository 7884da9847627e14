"""A mail server that does wrong what it is told to, at the stage that it is told to.

It keeps a journal of every message that it accepted, each acceptance in a file of its own, on the disk before the
answer leaves: a message that was accepted twice is there twice. As a process of its own:

    python -m tests.faults.smtp_server --port-file F --journal DIR [--fault STAGE=OUTCOME[@SHARE]] [--jitter-ms N]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

STAGES = ("connect", "greeting", "ehlo", "starttls", "tls", "auth", "mail", "rcpt", "data", "payload", "dot")
OUTCOMES = ("ok", "4xx", "421", "5xx", "timeout", "disconnect", "garbage", "drip")
LOST = ("lost-disconnect", "lost-silence", "lost-half")
"""At the dot only: the message is accepted, and the answer does not arrive, or only half of it."""

CODES = {"4xx": 451, "421": 421, "5xx": 550}
GARBAGE = b"\xff\x00 2 many cooks\r\n"


@dataclass
class Fault:
    """What goes wrong at a stage; a code of three digits is an outcome too.

    ``share`` of the times that the stage is reached, at most ``times`` times.
    """

    stage: str
    outcome: str
    share: float = 1.0
    times: int | None = None


@dataclass(frozen=True)
class Accepted:
    """A message for which the server has taken responsibility, with its lines as they were written."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message_id(self) -> str:
        found = re.search(rb"(?im)^message-id:[ \t]*(\S+)", self.content)
        return found[1].decode() if found else ""


@dataclass(frozen=True)
class Heard:
    """A line that a client sent: on which connection, and whether nobody else could read it."""

    connection: int
    secret: bool
    line: str


class ArrivalsMaildir:
    """The journal: each acceptance is a file, written through to the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count(1)
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def keep(self, accepted: Accepted) -> None:
        name = f"{time.time_ns()}.{os.getpid()}_{next(self._numbers)}.arrived"
        envelope = f"Return-Path: <{accepted.sender}>\r\nDelivered-To: {accepted.recipient}\r\n"
        with (self.folder / "tmp" / name).open("xb") as file:
            file.write(envelope.encode() + accepted.content)
            file.flush()
            os.fsync(file.fileno())
        (self.folder / "tmp" / name).rename(self.folder / "new" / name)
        descriptor = os.open(self.folder / "new", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def arrivals(self) -> list[Accepted]:
        """What was accepted, in order."""
        files = sorted(
            (self.folder / "new").iterdir(), key=lambda file: [int(n) for n in re.findall(r"\d+", file.name)]
        )
        return [_read(file.read_bytes()) for file in files]


def _read(kept: bytes) -> Accepted:
    sender, recipient, content = kept.split(b"\r\n", 2)
    return Accepted(sender.decode()[14:-1], recipient.decode()[14:], content)


class Over(Exception):
    """The connection is to be closed."""


class Session:
    """One connection. It answers as a server does, but for the stages at which something is to go wrong."""

    def __init__(self, server: FaultyServer, sock: socket.socket, number: int) -> None:
        self.server, self.sock, self.number = server, sock, number
        self.sender = self.recipient = ""
        self.signed_in = self.secret = False
        self.buffer = b""

    def run(self) -> None:
        if self.server.implicit_tls and not self.shake_hands():
            return
        if not self.answer("greeting", 220, "faulty.example ready"):
            return
        while line := self.line():
            verb, _, rest = line.partition(" ")
            method = getattr(self, f"on_{verb.lower()}", None)
            if method:
                method(rest)
            else:
                self.say(b"502 no such command\r\n")

    # What is said --------------------------------------------------------------------------------------------

    def answer(self, stage: str, code: int, text: str) -> bool:
        """Play a stage; whether it went well."""
        outcome = self.server.outcome(stage)
        if outcome != "ok":
            self.misbehave(outcome)
            return False
        self.say(f"{code} {text}\r\n".encode())
        return True

    def misbehave(self, outcome: str) -> None:
        if _is_code(outcome):
            code = CODES.get(outcome) or int(outcome)
            self.say(f"{code} this is what was asked for, dear someone@secret.example\r\n".encode())
            if code == 421:
                raise Over
        elif outcome == "garbage":
            self.say(GARBAGE)
        elif outcome == "timeout":
            self.wait()
        elif outcome == "drip":
            self.drip(b"250-" + b"x" * 1000)
        elif outcome == "half":
            self.say(b"250 o")
            raise Over
        else:
            raise Over

    def say(self, data: bytes) -> None:
        time.sleep(self.server.pause + random.uniform(0, self.server.jitter))
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        for position in range(len(data)):
            self.sock.sendall(data[position : position + 1])
            time.sleep(self.server.drop_seconds)
        raise Over

    def wait(self) -> None:
        """Be silent until the client has had enough."""
        self.sock.settimeout(self.server.silence)
        while self.sock.recv(65536):
            pass
        raise Over

    # What is heard -------------------------------------------------------------------------------------------

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            self.receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        text = line.decode("latin-1")
        self.server.heard.append(Heard(self.number, self.secret, text))
        return text

    def receive(self, size: int = 65536) -> None:
        received = self.sock.recv(size)
        if not received:
            raise Over
        self.buffer += received

    # Commands ------------------------------------------------------------------------------------------------

    def on_ehlo(self, rest: str) -> None:
        self.forget()
        if (outcome := self.server.outcome("ehlo")) != "ok":
            return self.misbehave(outcome)
        offers = ["faulty.example", "8BITMIME" if self.server.eight_bit else "SIZE"]
        if self.server.certificate and self.server.offers_starttls and not self.secret:
            offers.append("STARTTLS")
        if self.server.ways:
            offers.append(f"AUTH {self.server.ways}")
        lines = [f"250{' ' if offer is offers[-1] else '-'}{offer}\r\n" for offer in offers]
        return self.say("".join(lines).encode())

    def on_starttls(self, rest: str) -> None:
        if self.answer("starttls", 220, "go on"):
            self.forget()
            if not self.shake_hands():
                raise Over

    def shake_hands(self) -> bool:
        outcome = self.server.outcome("tls")
        if outcome == "drip":
            self.drip(b"\x16\x03\x03\x40\x00" + b"x" * 1000)
        if outcome != "ok":
            self.misbehave(outcome)
            return False
        assert self.server.certificate is not None
        self.sock = self.server.certificate.wrap_socket(self.sock, server_side=True)
        self.secret, self.buffer = True, b""
        return True

    def on_auth(self, rest: str) -> None:
        way, _, response = rest.partition(" ")
        if way.upper() == "LOGIN":
            given = tuple(self.asked(question) for question in ("Username:", "Password:"))
        else:
            given = tuple(b64decode(response).decode().split("\0")[1:])
        if given != self.server.account:
            return self.say(b"535 wrong user or password\r\n")
        self.signed_in = self.answer("auth", 235, "welcome")
        return None

    def asked(self, question: str) -> str:
        self.say(b"334 " + b64encode(question.encode()) + b"\r\n")
        return b64decode(self.line()).decode()

    def on_mail(self, rest: str) -> None:
        if self.server.account and not self.signed_in:
            return self.say(b"530 sign in first\r\n")
        if self.sender:
            return self.say(b"503 there is a message on its way already\r\n")
        self.sender = _address(rest)  # even where it is refused: a client must reset what it broke off
        self.answer("mail", 250, "ok")
        return None

    def on_rcpt(self, rest: str) -> None:
        if not self.sender or self.recipient:
            return self.say(b"503 not now\r\n")
        if self.answer("rcpt", 250, "ok"):
            self.recipient = _address(rest)
        return None

    def on_data(self, rest: str) -> None:
        if not self.recipient:
            return self.say(b"503 not now\r\n")
        with self.server.in_hand() as settled:
            if self.answer("data", 354, "go on"):
                self.take(settled)
        return None

    def on_rset(self, rest: str) -> None:
        self.forget()
        self.answer("rset", 250, "ok")

    def on_noop(self, rest: str) -> None:
        self.answer("noop", 250, "ok")

    def on_quit(self, rest: str) -> None:
        self.answer("quit", 221, "bye")
        raise Over

    # The message ---------------------------------------------------------------------------------------------

    def take(self, settled: Callable[[], None]) -> None:
        outcome = self.server.outcome("payload")
        if outcome != "ok":
            settled()
            self.break_in(outcome)
        try:
            content = self.content()
        except (Over, OSError):
            self.server.broken_off.append(bytes(self.buffer))
            raise
        accepted = Accepted(self.sender, self.recipient, content)
        self.forget()
        if _is_refusal(outcome):
            return  # that was the answer, whether it was read before the end or is read now
        outcome = self.server.outcome("dot")
        if outcome == "ok" or outcome in LOST:
            self.server.journal.keep(accepted)
        settled()
        if outcome == "ok":
            self.say(b"250 ok, taken\r\n")
        else:
            self.misbehave({"lost-silence": "timeout", "lost-half": "half"}.get(outcome, outcome))

    def break_in(self, outcome: str) -> None:
        """Go wrong after the first bytes of the message have come."""
        if not self.buffer:
            self.receive(1000)
        if outcome == "timeout":
            self.server.stopping.wait(self.server.silence)
            raise Over
        if outcome == "drip":
            for _ in range(1000):
                self.receive(1)
                time.sleep(self.server.drop_seconds)
        self.misbehave(outcome)

    def content(self) -> bytes:
        """All lines up to the dot, each as it was before dots were doubled."""
        while not (self.buffer == b".\r\n" or self.buffer.endswith(b"\r\n.\r\n")):
            self.receive()
        lines = self.buffer.removesuffix(b".\r\n").split(b"\n")
        self.buffer = b""
        return b"\n".join(line.removeprefix(b".") for line in lines)

    def forget(self) -> None:
        self.sender = self.recipient = ""


def _is_code(outcome: str) -> bool:
    return outcome in CODES or outcome.isdecimal()


def _is_refusal(outcome: str) -> bool:
    return outcome in CODES or (outcome.isdecimal() and outcome >= "400")


def _address(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]


class _Handler(socketserver.BaseRequestHandler):
    server: FaultyServer

    def handle(self) -> None:
        number = self.server.meet(self.request)
        if self.server.outcome("connect") == "disconnect":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return
        session = self.server.session(self.server, self.request, number)
        with contextlib.suppress(Over, OSError):
            session.run()
        session.sock.close()


class FaultyServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of this machine; ``faults`` may be changed while it runs."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    session: type[Session] = Session

    def __init__(self, journal: Path, faults: Iterable[Fault] = (), port: int = 0) -> None:
        self.journal = ArrivalsMaildir(journal)
        self.faults = list(faults)
        self.certificate: ssl.SSLContext | None = None
        self.implicit_tls = False
        self.offers_starttls = self.eight_bit = True
        self.account: tuple[str, str] | None = None
        self.ways = ""
        self.heard: list[Heard] = []
        self.connections = 0
        self.silence, self.drop_seconds, self.jitter, self.pause = 60.0, 0.02, 0.0, 0.0
        self._open: list[socket.socket] = []
        self._in_hand: set[object] = set()
        self.broken_off: list[bytes] = []
        self.mistakes: list[str] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """With a small buffer, so that a client feels it when nothing is read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        super().server_bind()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def meet(self, sock: socket.socket) -> int:
        """The number of a new connection."""
        with self._lock:
            self._open.append(sock)
            self.connections += 1
            return self.connections

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[Callable[[], None]]:
        """A message is on its way until the block ends, or until what it gives is called: its fate is known then."""
        mine = object()
        with self._lock:
            self._in_hand.add(mine)

        def settled() -> None:
            with self._lock:
                self._in_hand.discard(mine)

        try:
            yield settled
        finally:
            settled()

    def rest(self, seconds: float = 60.0) -> None:
        """Wait until no message is on its way; an error where one still is after so long."""
        end = time.monotonic() + seconds
        while self._in_hand:
            assert time.monotonic() < end, "a message is on its way for too long"
            time.sleep(0.001)

    def hang_up(self) -> None:
        """Break off whatever is connected just now."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def outcome(self, stage: str) -> str:
        """What is to happen at a stage this time."""
        with self._lock:
            for fault in self.faults:
                if fault.stage == stage and fault.times != 0 and random.random() < fault.share:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault.outcome
        return "ok"

    def said(self, word: str) -> list[Heard]:
        """The lines that clients sent which begin with a word."""
        return [heard for heard in self.heard if heard.line.startswith(word)]

    def handle_error(self, request: object, client_address: object) -> None:
        """A mistake in this file must not look like a fault that was asked for."""
        self.mistakes.append(traceback.format_exc())


@contextlib.contextmanager
def running(server: FaultyServer) -> Iterator[FaultyServer]:
    """Serve from a thread for as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert not server.mistakes, server.mistakes[0]


@dataclass
class FullPort:
    """A port whose queue is full: the system answers no further call."""

    listener: socket.socket = field(default_factory=socket.socket)
    waiting: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> int:
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        for _ in range(8):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(self.listener.getsockname())
            self.waiting.append(caller)
        time.sleep(0.05)
        return int(self.listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        for each in (*self.waiting, self.listener):
            each.close()


def free_port() -> int:
    """A port at which nobody answers just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# As a process of its own -----------------------------------------------------------------------------------


def fault(text: str) -> Fault:
    """A fault from STAGE=OUTCOME[@SHARE]."""
    stage, _, rest = text.partition("=")
    outcome, _, share = rest.partition("@")
    known = {*OUTCOMES, *LOST}
    if stage not in STAGES or not (outcome in known or re.fullmatch("[2-5][0-9][0-9]", outcome)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like dot=lost-disconnect@0.1")
    return Fault(stage, outcome, float(share or 1))


def main(arguments: list[str] | None = None) -> None:
    """Serve until killed. The port is written when the server listens."""
    parser = argparse.ArgumentParser(description="A mail server that does wrong what it is told to")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="a free one unless named")
    parser.add_argument("--fault", type=fault, action="append", default=[], metavar="STAGE=OUTCOME[@SHARE]")
    parser.add_argument("--times", type=int, help="how often each fault happens; without it, always")
    parser.add_argument("--seed", type=int, help="for the shares")
    parser.add_argument("--jitter-ms", type=float, default=0, help="at most so long before each answer")
    parser.add_argument("--silence", type=float, default=60, help="seconds after which a silent server hangs up")
    parser.add_argument("--certificate", type=Path, help="with its key, PEM: STARTTLS is offered")
    parser.add_argument("--tls", action="store_true", help="TLS from the first byte")
    parser.add_argument("--account", help="USER:PASSWORD, without which no mail is taken")
    given = parser.parse_args(arguments)
    random.seed(given.seed)
    for one in given.fault:
        one.times = given.times
    server = FaultyServer(given.journal, given.fault, given.port)
    server.jitter, server.silence, server.implicit_tls = given.jitter_ms / 1000, given.silence, given.tls
    if given.certificate:
        server.certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.certificate.load_cert_chain(given.certificate)
    if given.account:
        user, _, password = given.account.partition(":")
        server.account, server.ways = (user, password), "PLAIN LOGIN"
    draft = given.port_file.with_name(given.port_file.name + ".new")
    draft.write_text(str(server.port))
    draft.rename(given.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
