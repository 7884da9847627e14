"""What a mail server has accepted is found in its journal. What is not found proves nothing, and is not made up."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.smtp_server import FaultyServer
from tests.tracker.mail.conftest import PASSWORD, Certificates, Make, parcel, send
from tests.tracker.mail.imap_server import Mailbox, imap_server
from tracker.mail.journals import ImapJournal, MaildirJournal, PostfixLog
from tracker.mail.places import Account, ImapMailbox

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
WANTED = {"<1@x>", "<2@x>"}

# A Maildir -------------------------------------------------------------------------------------------------


def deliver(folder: Path, name: str, content: bytes, at: datetime = NOW) -> None:
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    os.utime(folder / name, (at.timestamp(), at.timestamp()))
    os.utime(folder / "new", (NOW.timestamp(), NOW.timestamp()))


@pytest.mark.parametrize("name", ["new/1700000000.M1.host", "cur/1700000000.M1.host:2,S"])
@pytest.mark.parametrize(
    "content",
    [
        b"Message-ID: <1@x>\r\n\r\nbody\r\n",
        b"Received: by mail\r\n\tfor ana\r\nMessage-Id:<1@x>\r\nSubject: x\r\n\r\n",
        b"Subject: x\nmessage-id: <1@x>\n\nbody",
        b"Message-ID:\r\n <1@x>\r\n\r\n",
        b"Message-ID: <1@x>",
    ],
)
def test_a_copy_in_a_maildir_is_found_by_its_header(tmp_path: Path, name: str, content: bytes) -> None:
    deliver(tmp_path, name, content)
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW) == {"<1@x>"}


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nMessage-ID: <1@x>\r\n",
        b"Subject: Message-ID: <1@x>\r\n\r\n",
        b"X-Message-ID: <1@x>\r\n\r\n",
        b"In-Reply-To: <1@x>\r\n\r\n",
        b"Message-ID: <11@x>\r\n\r\n",
        b"Message-ID: <1@x.example>\r\n\r\n",
        b"\r\nMessage-ID: <1@x>\r\n",
        b"X: " + b"x" * 70_000 + b"\r\nMessage-ID: <1@x>\r\n\r\n",
        b"",
        b"Message-ID: \xff\xfe\r\n\r\n",
    ],
)
def test_what_only_speaks_of_a_message_is_not_the_message(tmp_path: Path, content: bytes) -> None:
    deliver(tmp_path, "new/1", content)
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW) == set()


def test_drafts_and_folders_are_no_arrivals(tmp_path: Path) -> None:
    deliver(tmp_path, "tmp/1", b"Message-ID: <1@x>\r\n\r\n")
    (tmp_path / "new" / "folder").mkdir()
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW) == set()


@pytest.mark.parametrize("hours, found", [(0, True), (-23, True), (-25, False), (1000, True)])
def test_files_are_read_from_the_day_before(tmp_path: Path, hours: int, found: bool) -> None:
    deliver(tmp_path, "new/1", b"Message-ID: <1@x>\r\n\r\n", NOW + timedelta(hours=hours))
    assert bool(MaildirJournal(tmp_path).arrived(WANTED, NOW)) is found


def test_a_clock_that_is_ahead_of_the_server_hides_nothing(tmp_path: Path) -> None:
    deliver(tmp_path, "new/1", b"Message-ID: <1@x>\r\n\r\n")
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW + timedelta(days=400)) == {"<1@x>"}


def test_reading_ends_when_everything_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        deliver(tmp_path, f"new/{number}", b"Message-ID: <1@x>\r\n\r\n")
    opened = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *rest: opened.append(self) or real(self, *rest))  # type: ignore[func-returns-value]
    assert MaildirJournal(tmp_path).arrived({"<1@x>"}, NOW) == {"<1@x>"}
    assert len(opened) == 1


def test_a_file_that_its_reader_takes_away_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, "new/1", b"Message-ID: <1@x>\r\n\r\n")
    deliver(tmp_path, "cur/2", b"Message-ID: <2@x>\r\n\r\n")
    real = Path.open

    def vanishing(self: Path, mode: str = "r") -> object:
        if self.name == "1":
            self.unlink()
        return real(self, mode)

    monkeypatch.setattr(Path, "open", vanishing)
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW) == {"<2@x>"}


def test_a_link_to_nowhere_is_no_error(tmp_path: Path) -> None:
    deliver(tmp_path, "new/1", b"Message-ID: <1@x>\r\n\r\n")
    (tmp_path / "new" / "0").symlink_to(tmp_path / "nowhere")
    assert MaildirJournal(tmp_path).arrived(WANTED, NOW) == {"<1@x>"}


def test_a_maildir_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        MaildirJournal(tmp_path / "journal").arrived(WANTED, NOW)


def test_what_the_mail_server_of_the_tests_accepted_is_found(server: FaultyServer, smtp: Make) -> None:
    transport = smtp()
    send(transport, 1)
    send(transport, 2)
    asked = {parcel(number).message_id for number in (1, 2, 3)}
    found = MaildirJournal(server.journal.folder).arrived(asked, datetime.now(UTC))
    assert found == {parcel(1).message_id, parcel(2).message_id}


# A log of Postfix ------------------------------------------------------------------------------------------

TIME = "Nov 21 08:59:58 mail"
CLEANUP = "{} postfix/cleanup[1234]: {}: message-id={}\n"
ACTIVE = "{} postfix/qmgr[99]: {}: from=<tracker@example.org>, size=1234, nrcpt=1 (queue active)\n"
REMOVED = "{} postfix/qmgr[99]: {}: removed\n"


def log(tmp_path: Path, *lines: str, name: str = "mail.log") -> PostfixLog:
    (tmp_path / name).write_text("".join(lines), encoding="utf-8")
    return PostfixLog(tmp_path / "mail.log")


@pytest.mark.parametrize("time", [TIME, "2026-11-21T08:59:58.123456+00:00 mail"])
@pytest.mark.parametrize("queue_id", ["4F2A31C0D5", "4bTn3x6Yyfz1JQ"])
def test_a_message_that_was_queued_was_accepted(tmp_path: Path, time: str, queue_id: str) -> None:
    smtpd = f"{time} postfix/submission/smtpd[7]: {queue_id}: client=tracker[192.0.2.7]\n"
    lines = [
        smtpd,
        CLEANUP.format(time, queue_id, "<1@x>"),
        ACTIVE.format(time, queue_id),
        REMOVED.format(time, queue_id),
    ]
    assert log(tmp_path, *lines).arrived(WANTED, NOW) == {"<1@x>"}


def test_a_second_instance_has_a_name_of_its_own(tmp_path: Path) -> None:
    lines = (
        CLEANUP.replace("postfix/", "postfix-out/").format(TIME, "A1", "<1@x>"),
        ACTIVE.replace("postfix/", "postfix-out/").format(TIME, "A1"),
    )
    assert log(tmp_path, *lines).arrived(WANTED, NOW) == {"<1@x>"}


@pytest.mark.parametrize(
    "lines",
    [
        [CLEANUP.format(TIME, "A1", "<1@x>")],
        [ACTIVE.format(TIME, "A1"), CLEANUP.format(TIME, "A1", "<1@x>")],
        [CLEANUP.format(TIME, "A1", "<1@x>"), REMOVED.format(TIME, "A1")],
        [CLEANUP.format(TIME, "A1", "<1@x>"), ACTIVE.format(TIME, "A2")],
        [CLEANUP.format(TIME, "A1", "<1@x>"), CLEANUP.format(TIME, "A1", "<9@x>"), ACTIVE.format(TIME, "A1")],
        [CLEANUP.format(TIME, "A1", "<11@x>"), ACTIVE.format(TIME, "A1")],
        [
            f"{TIME} postfix/smtpd[7]: warning: [eve] said: postfix/cleanup[1]: A1: message-id=<1@x>\n",
            ACTIVE.format(TIME, "A1"),
        ],
        [
            CLEANUP.format(TIME, "A1", "<1@x>"),
            f"{TIME} postfix/smtpd[7]: reject: postfix/qmgr[99]: A1: from=<a@x> (queue active)\n",
        ],
        [CLEANUP.format(TIME, "A1", "<1@x>").replace("message-id=", "resent-message-id="), ACTIVE.format(TIME, "A1")],
        [CLEANUP.format(TIME, "A1", "<1@x>"), f"{TIME} postfix/qmgr[99]: A1: from=<a@x>, status=expired\n"],
        [],
    ],
)
def test_a_message_that_was_broken_off_or_forged_was_not_accepted(tmp_path: Path, lines: list[str]) -> None:
    assert log(tmp_path, *lines).arrived(WANTED, NOW) == set()


def test_a_number_that_is_used_again_counts_for_each_message(tmp_path: Path) -> None:
    lines = [text for n in (1, 2) for text in (CLEANUP.format(TIME, "A1", f"<{n}@x>"), ACTIVE.format(TIME, "A1"))]
    assert log(tmp_path, *lines, ACTIVE.format(TIME, "A1")).arrived(WANTED, NOW) == WANTED


def test_a_message_is_followed_over_the_turn_of_the_log(tmp_path: Path) -> None:
    log(tmp_path, CLEANUP.format(TIME, "A1", "<1@x>"), name="mail.log.1")
    assert log(tmp_path, ACTIVE.format(TIME, "A1")).arrived(WANTED, NOW) == {"<1@x>"}


def test_a_log_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    log(tmp_path, name="mail.log.1")
    with pytest.raises(FileNotFoundError):
        PostfixLog(tmp_path / "mail.log").arrived(WANTED, NOW)


# A mailbox on an IMAP server -------------------------------------------------------------------------------


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox({"<1@x>", "<3@x>"})


@pytest.fixture
def place(mailbox: Mailbox, certificates: Certificates) -> Iterator[ImapMailbox]:
    with imap_server(mailbox, certificates.of("localhost")) as port:
        yield ImapMailbox("localhost", port, Account("j", 'pa"ss\\'), 'In "box"', certificates.file, 10)


def test_a_mailbox_is_searched_and_not_changed(mailbox: Mailbox, place: ImapMailbox) -> None:
    assert ImapJournal(place).arrived(["<1@x>", "<2@x>"], datetime(2027, 1, 1, tzinfo=UTC)) == {"<1@x>"}
    assert mailbox.heard == [
        "CAPABILITY",
        'LOGIN j "pa\\"ss\\\\"',
        'EXAMINE "In \\"box\\""',
        'SEARCH SINCE 30-Dec-2026 HEADER Message-ID "<1@x>"',
        'SEARCH SINCE 30-Dec-2026 HEADER Message-ID "<2@x>"',
        "LOGOUT",
    ]


@pytest.mark.parametrize("message_id", ['<1@x> "', "<1@x>\r\nA1 DELETE x", "1@x", "<1 @x>", "<>", ""])
def test_an_id_that_could_be_a_command_is_not_asked_for(mailbox: Mailbox, place: ImapMailbox, message_id: str) -> None:
    assert ImapJournal(place).arrived([message_id], NOW) == set()
    assert not any(line.startswith("SEARCH") for line in mailbox.heard)


@pytest.mark.parametrize("command", ["LOGIN", "EXAMINE", "SEARCH"])
@pytest.mark.parametrize("end", [True, False])
def test_a_mailbox_that_is_refused_cannot_be_read(
    mailbox: Mailbox, place: ImapMailbox, command: str, end: bool
) -> None:
    mailbox.refused, mailbox.ends_at = ({command}, "") if not end else (set(), command)
    with pytest.raises(OSError, match="the mailbox of arrivals cannot be read") as caught:
        ImapJournal(place).arrived(["<1@x>"], NOW)
    assert PASSWORD not in str(caught.value)


def test_an_imap_server_without_a_good_certificate_is_told_no_password(
    mailbox: Mailbox, certificates: Certificates
) -> None:
    with imap_server(mailbox, certificates.of("elsewhere.example")) as port:
        place = ImapMailbox("localhost", port, Account("j", PASSWORD), ca=certificates.file)
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            ImapJournal(place).arrived(["<1@x>"], NOW)
    assert mailbox.heard == []
