"""A password and a message go to the server that was meant, and nobody on the way can read them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.smtp_server import FaultyServer, Session
from tests.tracker.mail.conftest import PASSWORD, USER, Certificates, Leave, Make, ids, parcel, send, verbs
from tracker.errors import WrongSetting
from tracker.mail.places import Account, SmtpServer, Tls
from tracker.mail.smtp import Smtp
from tracker.mail.transport import Result


def not_sent(server: FaultyServer, transport: Smtp, words: str) -> None:
    """Nothing was handed over, nothing can be read by others, and the next message would fare no better."""
    leave = Leave()
    outcome = transport.send(parcel(), leave)
    assert (outcome.result, outcome.down, leave.asked) == (Result.DEFERRED, True, 0)
    assert words in outcome.reason
    assert ids(server) == []
    assert {heard.line.split()[0].upper() for heard in server.heard if not heard.secret} <= {"EHLO", "STARTTLS", "QUIT"}
    checked = transport.check()
    assert (checked.result, checked.reason) == (Result.DEFERRED, outcome.reason)


def test_a_server_without_starttls_gets_nothing(server: FaultyServer, smtp: Make) -> None:
    server.offers_starttls = False
    not_sent(server, smtp(Tls.STARTTLS), "STARTTLS is not offered")


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.TLS])
def test_a_certificate_of_nobody_known_is_not_accepted(server: FaultyServer, smtp: Make, tls: Tls) -> None:
    not_sent(server, smtp(tls, ca=None), "certificate was not accepted: unable to get local issuer certificate")


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.TLS])
@pytest.mark.parametrize("name", ["mail.example", "127.0.0.2"])
def test_a_certificate_of_another_host_is_not_accepted(
    server: FaultyServer, smtp: Make, certificates: Certificates, tls: Tls, name: str
) -> None:
    server.certificate = certificates.of(name)
    not_sent(server, smtp(tls), "certificate was not accepted: it is for another host")


def test_a_certificate_that_has_expired_is_not_accepted(
    server: FaultyServer, smtp: Make, certificates: Certificates
) -> None:
    server.certificate = certificates.of("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    not_sent(server, smtp(Tls.STARTTLS), "certificate has expired")


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_of_certificates_that_cannot_be_read_is_said(
    server: FaultyServer, smtp: Make, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "wrong.pem"
    if content:
        file.write_text(content)
    not_sent(server, smtp(Tls.STARTTLS, ca=file), "the file of certificates to trust cannot be read")


def test_what_was_slipped_in_before_the_handshake_ends_it(server: FaultyServer, smtp: Make) -> None:
    class Injected(Session):
        def answer(self, stage: str, code: int, text: str) -> bool:
            if stage != "starttls":
                return super().answer(stage, code, text)
            self.say(b"220 go on\r\n250 this was not said by the server\r\n")
            return True

    server.session = Injected
    not_sent(server, smtp(Tls.STARTTLS), "the TLS handshake")


def test_a_password_is_sent_in_the_clear_to_this_machine_at_most(server: FaultyServer, smtp: Make) -> None:
    account = Account(USER, PASSWORD)
    server.account, server.ways = (USER, PASSWORD), "PLAIN"
    assert send(smtp(account=account)).result is Result.SENT
    assert send(smtp(account=account, host="localhost")).result is Result.SENT
    for host in ("mail.example.org", "10.0.0.1", "localhost.example.org", "::ffff:127.0.0.1"):
        with pytest.raises(WrongSetting, match="without TLS"):
            smtp(account=account, host=host)


def test_a_password_is_given_only_under_tls(server: FaultyServer, smtp: Make) -> None:
    assert send(smtp(Tls.STARTTLS)).result is Result.SENT
    assert [heard.secret for heard in server.said("AUTH")] == [True]


@pytest.mark.parametrize("ways", ["PLAIN", "CRAM-MD5 LOGIN", "login plain"])
def test_the_way_to_sign_in_is_one_that_the_server_knows(server: FaultyServer, smtp: Make, ways: str) -> None:
    server.ways = ways
    assert send(smtp(Tls.STARTTLS)).result is Result.SENT
    assert verbs(server).count("AUTH") == 1


def test_a_server_that_knows_no_way_is_not_guessed_at(server: FaultyServer, smtp: Make) -> None:
    server.ways = "CRAM-MD5"
    outcome = send(smtp(Tls.STARTTLS))
    assert (outcome.result, outcome.reason) == (Result.DEFERRED, "AUTH is not offered")


@pytest.mark.parametrize("ways", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_tried_once_and_rejects_no_message(server: FaultyServer, smtp: Make, ways: str) -> None:
    server.account, server.ways = (USER, "another"), ways
    outcome = send(smtp(Tls.STARTTLS))
    assert (outcome.result, outcome.reason, outcome.down) == (Result.DEFERRED, "AUTH was refused (535)", True)
    assert verbs(server).count("AUTH") == 1


def test_a_password_in_a_file_is_read_for_each_connection(server: FaultyServer, smtp: Make, tmp_path: Path) -> None:
    file = tmp_path / "password"
    transport = smtp(Tls.STARTTLS, account=Account(USER, password_file=file))
    missing = send(transport)
    assert (missing.result, missing.reason, missing.down) == (
        Result.DEFERRED,
        "the file with the password cannot be read",
        True,
    )
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    assert send(transport).result is Result.SENT


def test_passwords_are_in_no_representation() -> None:
    place = SmtpServer("127.0.0.1", 25, Tls.NONE, Account("user-of-ours", PASSWORD))
    for text in (repr(place), str(place), f"{Smtp(place)!r}"):
        assert PASSWORD not in text
        assert "user-of-ours" not in text
