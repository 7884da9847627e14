"""`tracker mail test` sends one message that says it is a test, and says what each stage came to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.faults.smtp_server import Fault, FaultyServer, free_port, running
from tests.tracker.test_cli import Shell
from tracker.mail.trial import SUBJECT, Stage, Trial
from tracker.settings import Settings, from_environment

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FaultyServer]:
    with running(FaultyServer(tmp_path / "accepted")) as made:
        yield made


def settings(tmp_path: Path, **changes: str) -> Settings:
    return from_environment({"TRACKER_HOME": str(tmp_path / "var"), "TRACKER_MAIL_FROM": "nets@example.org"} | changes)


def to(server: FaultyServer) -> str:
    return f"smtp://127.0.0.1:{server.port}?tls=none"


def tried(of: Settings, patience: float = 0) -> list[Stage]:
    return list(Trial(of, "ana@example.org", NOW, pause=lambda _: None, patience=patience).run())


def test_the_message_says_that_it_is_a_test_and_nothing_else(tmp_path: Path) -> None:
    stages = tried(settings(tmp_path))
    assert [(stage.stage, stage.ok) for stage in stages] == [
        ("settings", True), ("connection", True), ("message", True), ("journal", True),
    ]  # fmt: skip
    (file,) = (tmp_path / "var" / "mail" / "new").iterdir()
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert (message["Subject"], message["To"], message["From"]) == (SUBJECT, "ana@example.org", "nets@example.org")
    assert message["Auto-Submitted"] == "auto-generated"
    assert "This is a test." in message.get_content()


def test_two_tests_are_two_messages(tmp_path: Path) -> None:
    tried(settings(tmp_path))
    tried(settings(tmp_path))
    assert len(list((tmp_path / "var" / "mail" / "new").iterdir())) == 2


def test_a_server_takes_it_and_its_journal_shows_it(tmp_path: Path, server: FaultyServer) -> None:
    copies = f"maildir:{server.journal.folder}"
    stages = tried(settings(tmp_path, TRACKER_SMTP_URL=to(server), TRACKER_MAIL_JOURNAL=copies))
    assert [stage.ok for stage in stages] == [True, True, True, True]
    assert stages[-1].words == "it was found in a Maildir of copies"
    assert [accepted.recipient for accepted in server.journal.arrivals()] == ["ana@example.org"]


def test_without_a_journal_the_servers_word_is_all_there_is(tmp_path: Path, server: FaultyServer) -> None:
    stages = tried(settings(tmp_path, TRACKER_SMTP_URL=to(server)))
    assert [stage.stage for stage in stages] == ["settings", "connection", "message"]
    assert stages[-1] == Stage("message", True, "it was taken")


def test_the_first_stage_that_fails_is_the_last(tmp_path: Path, server: FaultyServer) -> None:
    nobody = settings(tmp_path, TRACKER_SMTP_URL=f"smtp://127.0.0.1:{free_port()}?tls=none")
    assert [(stage.stage, stage.ok) for stage in tried(nobody)] == [("settings", True), ("connection", False)]
    server.faults = [Fault("rcpt", "5xx")]
    stages = tried(settings(tmp_path, TRACKER_SMTP_URL=to(server)))
    assert stages[-1] == Stage("message", False, "RCPT was refused (550)")
    assert server.journal.arrivals() == []


def test_a_lost_answer_is_looked_into(tmp_path: Path, server: FaultyServer) -> None:
    server.faults = [Fault("dot", "lost-disconnect")]
    copies = f"maildir:{server.journal.folder}"
    stages = tried(settings(tmp_path, TRACKER_SMTP_URL=to(server), TRACKER_MAIL_JOURNAL=copies))
    assert [(stage.stage, stage.ok) for stage in stages][2:] == [("message", False), ("journal", True)]


def test_a_journal_is_asked_until_it_shows_the_message_or_patience_ends(tmp_path: Path, server: FaultyServer) -> None:
    (tmp_path / "slow" / "new").mkdir(parents=True)
    (tmp_path / "slow" / "cur").mkdir()
    of = settings(tmp_path, TRACKER_SMTP_URL=to(server), TRACKER_MAIL_JOURNAL=f"maildir:{tmp_path / 'slow'}")
    last = tried(of)[-1]
    assert not last.ok
    assert "it was not found in a Maildir of copies within 0 seconds; it may come later, under <test." in last.words
    asked: list[float] = []

    def arrives_meanwhile(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 3:
            (tmp_path / "slow" / "new" / "1.copy").write_bytes(server.journal.arrivals()[-1].content)

    stages = list(Trial(of, "ana@example.org", NOW, pause=arrives_meanwhile, patience=20).run())
    assert stages[-1].ok
    assert len(asked) == 3


def test_a_journal_that_cannot_be_read_is_said_so(tmp_path: Path, server: FaultyServer) -> None:
    of = settings(tmp_path, TRACKER_SMTP_URL=to(server), TRACKER_MAIL_JOURNAL=f"maildir:{tmp_path / 'none'}")
    assert tried(of)[-1].words == "the journal of arrivals cannot be read (FileNotFoundError)"


def test_mail_that_is_off_tests_nothing(tmp_path: Path) -> None:
    (only,) = tried(settings(tmp_path, TRACKER_SMTP_URL="none"))
    assert not only.ok


def test_the_command_gives_words_a_document_and_an_exit_code(tmp_path: Path) -> None:
    tracker = Shell(tmp_path / "var")
    assert "ok     journal: it was found in the Maildir of this installation" in (
        tracker("mail", "test", "ana@example.org").stdout
    )
    document = tracker.json("mail", "test", "ana@example.org")
    assert (document["ok"], document["address"]) == (True, "ana@example.org")
    assert [stage["stage"] for stage in document["stages"]] == ["settings", "connection", "message", "journal"]
    assert document["message_id"].startswith("<test.")
    assert tracker.json("mail", "test", "ana@example.org", code=1, TRACKER_SMTP_URL="none")["ok"] is False
    for address in ("nobody", "a@b\nBcc: c@d", "", "Ana <ana@example.org>"):
        assert "ADDRESS" in tracker("mail", "test", address, code=2).stderr
