"""A message on its way to a mail server: what goes over the wire, and the point from which there is no return."""

import re
import socket
import ssl
import time
from typing import Never

import pytest
from aiosmtpd import smtp as plain
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.smtp_server import Fault, FaultyServer, Session, free_port
from tests.tracker.mail.conftest import (
    PASSWORD,
    RECIPIENT,
    SENDER,
    USER,
    Certificates,
    Leave,
    Make,
    ids,
    parcel,
    recovers,
    send,
    verbs,
)
from tracker.mail.places import Account, SmtpServer, Tls
from tracker.mail.smtp import Smtp, _lines
from tracker.mail.transport import Parcel, Result
from tracker.mail.wire import Wire

# The normal path --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", list(Tls))
def test_a_message_arrives_as_it_was_written(server: FaultyServer, smtp: Make, tls: Tls) -> None:
    body = b".a dot\r\n..two\r\n.\r\nan end\r\n.\r\n"
    leave = Leave()
    assert smtp(tls).send(parcel(body=body), leave).result is Result.SENT
    (accepted,) = server.journal.arrivals()
    assert (accepted.sender, accepted.recipient) == (SENDER, RECIPIENT)
    assert accepted.content == parcel(body=body).content
    assert leave.asked == 1


@pytest.mark.parametrize("tls", list(Tls))
def test_a_check_tries_everything_but_a_message(server: FaultyServer, smtp: Make, tls: Tls) -> None:
    transport = smtp(tls)
    assert transport.check().result is Result.SENT
    assert verbs(server)[-2:] == ["NOOP", "QUIT"]
    assert ids(server) == []
    assert send(transport).result is Result.SENT


@pytest.mark.parametrize("stage", ["greeting", "noop", "tls"])
def test_a_check_says_what_is_wrong(server: FaultyServer, smtp: Make, stage: str) -> None:
    server.faults = [Fault(stage, "5xx")]
    checked = smtp(Tls.STARTTLS).check()
    assert (checked.result, checked.down) == (Result.DEFERRED, True)
    assert checked.reason


def test_what_is_no_ascii_is_announced_where_the_server_knows_of_it(server: FaultyServer, smtp: Make) -> None:
    message = parcel(body="Zürich\r\n".encode())
    assert smtp().send(message, Leave()).result is Result.SENT
    server.eight_bit = False
    assert smtp().send(message, Leave()).result is Result.SENT
    assert [heard.line.endswith("BODY=8BITMIME") for heard in server.said("MAIL")] == [True, False]


class _Inbox:
    def __init__(self) -> None:
        self.envelopes: list[plain.Envelope] = []

    async def handle_DATA(self, server: object, session: object, envelope: plain.Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 taken"


def _known(
    server: object, session: object, envelope: object, mechanism: str, data: plain.LoginPassword
) -> plain.AuthResult:
    return plain.AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


class _Listening(Controller):
    """aiosmtpd, which asks for TLS and an account before it takes anything."""

    def __init__(self, inbox: _Inbox, context: ssl.SSLContext) -> None:
        super().__init__(inbox, hostname="127.0.0.1", port=free_port())
        self.context = context

    def factory(self) -> plain.SMTP:
        return plain.SMTP(
            self.handler,
            hostname="aiosmtpd.example",
            tls_context=self.context,
            require_starttls=True,
            authenticator=_known,
            auth_required=True,
        )


def test_another_server_takes_mail_too(certificates: Certificates) -> None:
    inbox = _Inbox()
    listening = _Listening(inbox, certificates.of("localhost"))
    listening.start()
    place = SmtpServer("localhost", listening.port, Tls.STARTTLS, Account(USER, PASSWORD), certificates.file)
    transport = Smtp(place)
    try:
        assert transport.check().result is Result.SENT
        assert [send(transport, number).result for number in (1, 2)] == [Result.SENT] * 2
    finally:
        transport.close()
        listening.stop()
    assert [envelope.original_content for envelope in inbox.envelopes] == [parcel(1).content, parcel(2).content]
    assert {(envelope.mail_from, *envelope.rcpt_tos) for envelope in inbox.envelopes} == {(SENDER, RECIPIENT)}


# The point of no return -------------------------------------------------------------------------------------


def broken_off(server: FaultyServer) -> bytes:
    """What the server had of the one message that was broken off, as soon as it has noticed."""
    deadline = time.monotonic() + 10
    while not server.broken_off and time.monotonic() < deadline:
        time.sleep(0.01)
    (received,) = server.broken_off
    return received


@pytest.mark.parametrize("tls", list(Tls))
def test_what_was_withdrawn_leaves_nothing_behind(server: FaultyServer, smtp: Make, tls: Tls) -> None:
    transport, leave = smtp(tls), Leave(answer=False)
    assert transport.send(parcel(1), leave).result is Result.WITHDRAWN
    assert leave.asked == 1
    assert ids(server) == []
    recovers(server, transport)
    assert broken_off(server) == b""


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, OSError, TimeoutError])
def test_what_the_decision_raises_passes_through(server: FaultyServer, smtp: Make, kind: type[BaseException]) -> None:
    def fail() -> Never:
        raise kind

    transport = smtp()
    with pytest.raises(kind):
        transport.send(parcel(1), fail)
    recovers(server, transport)
    assert broken_off(server) == b""


def test_the_decision_is_asked_when_the_server_is_ready_and_has_nothing(server: FaultyServer, smtp: Make) -> None:
    then: list[str] = []
    leave = Leave(effect=lambda: then.extend(verbs(server)))
    smtp().send(parcel(), leave)
    assert then[-1] == "DATA"


def test_a_refusal_that_comes_with_the_go_ahead_is_seen_before_the_end(server: FaultyServer, smtp: Make) -> None:
    class Hasty(Session):
        def answer(self, stage: str, code: int, text: str) -> bool:
            if code != 354:
                return super().answer(stage, code, text)
            self.say(b"354 go on\r\n452 or rather not\r\n")
            return True

    server.session = Hasty
    outcome = smtp().send(parcel(), Leave())
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert ids(server) == []


def test_a_server_that_is_gone_before_the_end_has_nothing(server: FaultyServer, smtp: Make) -> None:
    server.faults = [Fault("payload", "disconnect")]
    outcome = smtp().send(parcel(body=b"x" * 100 + b"\r\n"), Leave(effect=server.hang_up))
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)


def test_the_end_goes_out_only_once_the_server_was_found_waiting(
    server: FaultyServer, smtp: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, bytes]] = []
    write = Wire.write

    def watched(self: Wire, stage: str, content: bytes) -> None:
        written.append((stage, content))
        write(self, stage, content)

    monkeypatch.setattr(Wire, "write", watched)
    assert send(smtp()).result is Result.SENT
    assert [stage for stage, _ in written] == ["the message", "the end of the message"]
    assert written[0][1].endswith(b"\r\n")
    assert written[1][1] == b".\r\n"


def test_an_end_that_could_not_be_written_was_not_accepted(
    server: FaultyServer, smtp: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Wire, stage: str) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)

    monkeypatch.setattr(Wire, "interrupted", gone)
    outcome = send(smtp())
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert ids(server) == []


@pytest.mark.parametrize("code, result", [("354", Result.UNCERTAIN), ("251", Result.SENT), ("554", Result.REJECTED)])
def test_the_last_answer_is_read_by_its_first_digit(
    server: FaultyServer, smtp: Make, code: str, result: Result
) -> None:
    server.faults = [Fault("dot", code)]
    assert send(smtp()).result is result


@pytest.mark.parametrize("stage, code", [("mail", "354"), ("rcpt", "354"), ("data", "250")])
def test_a_good_answer_to_something_else_is_none(server: FaultyServer, smtp: Make, stage: str, code: str) -> None:
    server.faults = [Fault(stage, code)]
    outcome = send(smtp())
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "payload", "dot"])
@pytest.mark.parametrize("code", ["530", "534", "535", "538"])
def test_not_being_signed_in_rejects_no_message(server: FaultyServer, smtp: Make, stage: str, code: str) -> None:
    server.faults = [Fault(stage, code)]
    outcome = send(smtp())
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert code in outcome.reason


def test_two_answers_to_one_line_are_not_taken_for_two(server: FaultyServer, smtp: Make) -> None:
    """Otherwise every answer would be read one too early, and a refusal at the end for an acceptance."""

    class Twice(Session):
        def say(self, data: bytes) -> None:
            super().say(data * 2 if data == b"250 ok\r\n" else data)

    server.session = Twice
    server.faults = [Fault("dot", "5xx")]
    outcome = send(smtp())
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert ids(server) == []


# What is refused before anything is sent --------------------------------------------------------------------


@pytest.mark.parametrize("role", ["sender", "recipient"])
@pytest.mark.parametrize(
    "address",
    [
        "ana@example.org\r\nRCPT TO:<eve@example.org>",
        "ana@example.org\nBcc: eve@example.org",
        "ana@example.org>\rDATA",
        "ana@example.org\x00",
        "ana@example.org\x7f",
        "ana@example.org> SIZE=1",
        "<ana@example.org>",
        "ana@example.org,eve@example.org",
        "@relay.example:ana@example.org",
        "änä@example.org",
        "ana",
        "",
    ],
)
def test_an_address_that_is_more_than_one_is_refused(server: FaultyServer, smtp: Make, role: str, address: str) -> None:
    leave, fit = Leave(), {"sender": SENDER, "recipient": RECIPIENT}
    outcome = smtp().send(Parcel("<1@x>", content=b"\r\n", **fit | {role: address}), leave)
    assert (outcome.result, outcome.down, leave.asked) == (Result.REJECTED, False, 0)
    assert outcome.reason == f"the {role} is not an address that mail can be sent to"
    assert (server.connections, server.heard) == (0, [])


@pytest.mark.parametrize("end", [b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n"])
def test_no_content_ends_the_message_early(server: FaultyServer, smtp: Make, end: bytes) -> None:
    smuggled = b"Hello" + end + b"MAIL FROM:<eve@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nsmuggled"
    assert smtp().send(parcel(body=smuggled), Leave()).result is Result.SENT
    (accepted,) = server.journal.arrivals()
    assert b"smuggled" in accepted.content
    assert verbs(server).count("MAIL") == 1


@given(st.lists(st.sampled_from([b".", b"..", b"\r", b"\n", b"\r\n", b"a", b""])).map(b"".join))
def test_lines_end_in_crlf_and_no_line_is_a_dot(content: bytes) -> None:
    lines = _lines(content)
    assert lines.endswith(b"\r\n")
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", lines) is None
    split = lines.split(b"\r\n")
    assert b"." not in split
    plain = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert b"\r\n".join(line.removeprefix(b".") for line in split) == plain.removesuffix(b"\r\n") + b"\r\n"
