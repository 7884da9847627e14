"""A connection to a mail server: when it is used again, how long is waited, and what counts as an answer."""

import re
import socket
from datetime import timedelta
from typing import Any, Never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.smtp_server import Fault, FaultyServer, Session, free_port
from tests.tracker.mail.conftest import Leave, Make, ids, parcel, send, verbs
from tracker.mail.transport import Result
from tracker.mail.wire import Limit, Lost, Wire, _literal

# Connections ------------------------------------------------------------------------------------------------


def test_a_connection_carries_a_hundred_messages(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    assert {send(transport, number).result for number in range(201)} == {Result.SENT}
    transport.close()
    assert server.connections == 3
    assert len(set(ids(server))) == len(ids(server)) == 201
    assert verbs(server).count("QUIT") == 3


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("outcome", ["4xx", "5xx"])
def test_after_a_refusal_the_connection_is_reset_and_used_again(
    server: FaultyServer, smtp: Make, stage: str, outcome: str
) -> None:
    transport = smtp()
    server.faults = [Fault(stage, outcome, times=1)]
    assert send(transport, 1).result is not Result.SENT
    assert verbs(server).count("RSET") == 0
    assert [send(transport, number).result for number in (2, 3)] == [Result.SENT] * 2
    assert (server.connections, verbs(server).count("RSET")) == (1, 1)


@pytest.mark.parametrize("outcome", ["421", "disconnect", "garbage", "timeout"])
@pytest.mark.parametrize("stage", ["mail", "rset"])
def test_a_kept_connection_that_has_died_is_replaced_once(
    server: FaultyServer, smtp: Make, stage: str, outcome: str
) -> None:
    transport, leave = smtp(seconds=0.5), Leave()
    if stage == "rset":
        server.faults = [Fault("rcpt", "5xx", times=1)]
    send(transport, 1)
    server.faults = [Fault(stage, outcome, times=1)]
    assert transport.send(parcel(2), leave).result is Result.SENT
    assert (server.connections, leave.asked) == (2, 1)
    assert ids(server)[-1] == parcel(2).message_id


def test_a_connection_that_the_server_has_closed_is_replaced(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    send(transport, 1)
    server.hang_up()
    assert send(transport, 2).result is Result.SENT
    assert server.connections == 2


def test_it_is_replaced_once_and_not_for_ever(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    send(transport, 1)
    server.faults = [Fault("mail", "disconnect")]
    outcome = send(transport, 2)
    assert (outcome.result, outcome.down, server.connections) == (Result.DEFERRED, True, 2)


def test_a_connection_that_dies_later_is_not_tried_twice(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    send(transport, 1)
    server.faults = [Fault("rcpt", "disconnect", times=1)]
    assert send(transport, 2).result is Result.DEFERRED
    assert server.connections == 1


@pytest.mark.parametrize("outcome", ["5xx", "disconnect", "timeout", "garbage"])
def test_the_answer_to_the_farewell_does_not_matter(server: FaultyServer, smtp: Make, outcome: str) -> None:
    server.faults = [Fault("quit", outcome)]
    transport = smtp()
    assert send(transport, 1).result is Result.SENT
    transport.close()
    transport.close()
    assert send(transport, 2).result is Result.SENT


def test_small_parts_are_not_held_back(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    send(transport)
    wire = transport._wire
    assert wire is not None
    assert wire.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_nobody_listening_is_no_answer_to_any_message(smtp: Make) -> None:
    outcome = send(smtp(port=free_port()))
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert outcome.reason == "the server cannot be reached (ConnectionRefusedError)"


def test_a_name_that_is_not_known_is_no_answer_to_any_message(smtp: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> Never:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = send(smtp(host="mail.example"))
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert outcome.reason == "the server cannot be reached (gaierror)"


# Limits -----------------------------------------------------------------------------------------------------


def test_a_message_is_given_up_when_all_its_waits_are_too_long(server: FaultyServer, smtp: Make) -> None:
    """Each answer comes in time, and all of them together would take longer than a lease."""
    server.pause = 0.2
    leave = Leave()
    outcome = smtp(whole=0.7).send(parcel(), leave)
    assert (outcome.result, outcome.down, leave.asked) == (Result.DEFERRED, True, 0)
    assert ids(server) == []


def test_time_that_runs_out_at_the_decision_leaves_nothing_behind(server: FaultyServer, smtp: Make) -> None:
    transport = smtp(whole=5)
    leave = Leave()

    def late() -> None:
        assert transport._wire is not None
        transport._wire.limit._end = 0

    leave.effect = late
    outcome = transport.send(parcel(), leave)
    assert (outcome.result, outcome.down, leave.asked) == (Result.DEFERRED, True, 1)
    assert ids(server) == []


def test_the_end_of_a_message_is_waited_for_longer(server: FaultyServer, smtp: Make) -> None:
    class Slow(Session):
        def say(self, data: bytes) -> None:
            if data.startswith(b"250 ok, taken"):
                server.stopping.wait(1)
            super().say(data)

    server.session = Slow
    assert send(smtp(seconds=0.5)).result is Result.SENT


def test_a_lease_is_longer_than_a_message_can_take() -> None:
    from tracker.mail import smtp as module
    from tracker.outbox import LEASE

    assert timedelta(seconds=module._WHOLE) * 1.5 < LEASE


# Answers ----------------------------------------------------------------------------------------------------


def heard(said: bytes) -> tuple[int, bytes]:
    """What is made of these bytes, after which the other side hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    with here, there:
        there.sendall(said)
        there.shutdown(socket.SHUT_WR)
        wire = Wire(here, Limit(5, 5))
        with wire.limit.step("a question"):
            return wire.getreply()


@pytest.mark.parametrize(
    "said, code, text",
    [
        (b"250 ok\r\n", 250, b"ok"),
        (b"250 ok\n", 250, b"ok"),
        (b"250\r\n", 250, b""),
        (b"250-one\r\n250-two\r\n250 three\r\n", 250, b"one\ntwo\nthree"),
        (b"550 " + b"x" * 2000 + b"\r\n", 550, b"x" * 2000),
        (b"250 \xff\r\n", 250, b"\xff"),
    ],
)
def test_an_answer_is_read(said: bytes, code: int, text: bytes) -> None:
    assert heard(said) == (code, text)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"250",
        b"250 ok",
        b"250 ok\r",
        b"250-one\r\n",
        b"250-one\r\n250",
        b"250-one\r\n550 two\r\n",
        b" 25 ok\r\n",
        b"+25 ok\r\n",
        b"2500 ok\r\n",
        b"250ok\r\n",
        b"25\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"\r\n250 ok\r\n",
        "٢٥٠ ok\r\n".encode(),
        b"HTTP/1.1 200 OK\r\n",
        b"250 " + b"x" * 20_000 + b"\r\n",
        b"250-more\r\n" * 200 + b"250 ok\r\n",
    ],
)
def test_what_is_no_whole_answer_is_none(said: bytes) -> None:
    with pytest.raises(Lost, match="a question"):
        heard(said)


@given(st.binary(max_size=40) | st.sampled_from([b"250 ", b"250-", b"\r\n"]))
def test_no_noise_is_an_acceptance(said: bytes) -> None:
    try:
        code, _ = heard(said)
    except Lost:
        return
    assert re.match(rb"(%d-[^\n]*\n)*%d( [^\n]*)?\r?\n" % (code, code), said)


@pytest.mark.parametrize(
    "address, name",
    [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_the_name_in_ehlo_is_our_address(address: str, name: str) -> None:
    class Named:
        def getsockname(self) -> tuple[Any, ...]:
            return (address, 1)

    assert _literal(Named()) == name  # type: ignore[arg-type]
