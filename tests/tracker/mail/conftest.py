"""A mail server that does as it is told, certificates, and a transport that speaks with it."""

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.faults.smtp_server import FaultyServer, running
from tracker.mail.places import Account, SmtpServer, Tls
from tracker.mail.smtp import Smtp
from tracker.mail.transport import Outcome, Parcel, Result

Make = Callable[..., Smtp]
"""The fixture ``smtp``: makes a transport to the server of the test."""

SENDER, RECIPIENT = "tracker@example.org", "ana@example.org"
USER, PASSWORD = "tracker", "pass wörd"


@dataclass(frozen=True)
class Certificates:
    """An authority that is trusted, with the file that says so, and what it can issue."""

    authority: trustme.CA
    file: Path

    def of(self, *names: str, **kind: Any) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(*names, **kind).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return Certificates(authority, file)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    """Without TLS and without an account, until a test says otherwise."""
    with running(FaultyServer(tmp_path / "accepted")) as server:
        yield server


@pytest.fixture
def smtp(server: FaultyServer, certificates: Certificates) -> Iterator[Make]:
    """Makes transports to the server: smtp() in the clear, smtp(Tls.STARTTLS) with an account."""
    made = []

    def make(tls: Tls = Tls.NONE, whole: float = 60, **changes: Any) -> Smtp:
        account = None if tls is Tls.NONE else Account(USER, PASSWORD)
        place: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "tls": tls, "seconds": 20.0}
        if tls is not Tls.NONE:
            server.certificate = server.certificate or certificates.of("127.0.0.1", "localhost")
            server.account, server.ways = server.account or (USER, PASSWORD), server.ways or "PLAIN LOGIN"
            server.implicit_tls = tls is Tls.TLS
            place |= {"ca": certificates.file, "account": account}
        made.append(Smtp(SmtpServer(**place | changes), whole))
        return made[-1]

    yield make
    for each in made:
        each.close()


def parcel(number: int = 1, body: bytes = b"Two follow-ups.\r\n") -> Parcel:
    message_id = f"<digest-{number}@net-case-tracker.invalid>"
    return Parcel(message_id, SENDER, RECIPIENT, b"Message-ID: " + message_id.encode() + b"\r\n\r\n" + body)


@dataclass
class Leave:
    """The answer of the tracker at the point of no return, and how often it was asked."""

    answer: bool = True
    asked: int = 0
    effect: Callable[[], object] = field(default=lambda: None)

    def __call__(self) -> bool:
        self.asked += 1
        self.effect()
        return self.answer


def send(transport: Smtp, number: int = 1) -> Outcome:
    return transport.send(parcel(number), Leave())


def ids(server: FaultyServer) -> list[str]:
    return [accepted.message_id for accepted in server.journal.arrivals()]


def verbs(server: FaultyServer) -> list[str]:
    return [heard.line.split()[0].upper() for heard in server.heard]


def recovers(server: FaultyServer, transport: Smtp) -> None:
    """The next message goes its way at once: not after a wait for an answer that nobody owes."""
    started = time.monotonic()
    assert send(transport, 2).result is Result.SENT
    assert time.monotonic() - started < 8
    assert ids(server)[-1] == parcel(2).message_id
