"""The doctor names what is wrong and how to mend it, and says nothing that is nobody's business."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.faults.smtp_server import Fault, FaultyServer, free_port, running
from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tests.tracker.test_cli import Shell
from tracker.doctor import Check, examine
from tracker.models import LedgerCheck, OutboxMessage
from tracker.tick import nightly

FRIDAY = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def looked_over(place: Installation, now: datetime = FRIDAY, **changes: str) -> dict[str, Check]:
    environment = {
        "TRACKER_HOME": str(place.settings.home),
        "TRACKER_DATABASE_URL": "" if place.settings.is_sqlite else place.settings.database_url,
        "TRACKER_NOW": now.isoformat(),
    }
    return {check.id: check for check in examine(environment | changes)}


def wrong(checks: dict[str, Check]) -> set[str]:
    return {check.id for check in checks.values() if not check.ok}


@pytest.fixture
def working(place: Installation) -> Installation:
    place.replay(lanreotide(), now=FRIDAY - timedelta(days=5))
    place.tick(FRIDAY)
    nightly(place.database, FRIDAY)
    return place


def test_where_all_is_well_every_part_says_so(working: Installation) -> None:
    checks = looked_over(working)
    assert wrong(checks) == set()
    assert list(checks) == [
        "settings", "key", "database", "schema", "pathway", "clock", "scheduler", "delivery", "ledger", "alarms",
        "mail", "journal",
    ]  # fmt: skip
    assert not any(check.mend for check in checks.values())
    assert checks["mail"].words == "mail goes into the Maildir of this installation, which would take a message now"


# Settings and data -----------------------------------------------------------------------------------------


def test_a_setting_that_cannot_be_used_is_named_and_nothing_else_is_tried(working: Installation) -> None:
    checks = looked_over(working, TRACKER_SMTP_URL="smtp://user:hunter2@mail.example.org/x")
    assert list(checks) == ["settings"]
    assert "TRACKER_SMTP_URL" in checks["settings"].words
    assert "hunter2" not in checks["settings"].words


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda key: key.unlink(), "cannot be read"),
        (lambda key: key.chmod(0o644), "can be read by others"),
        (lambda key: key.write_text("x"), "is damaged"),
    ],
)
def test_a_key_file_that_will_not_do_is_said_so_and_mail_is_looked_at_all_the_same(
    working: Installation, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(working.settings.secret_file)
    checks = looked_over(working)
    assert words in checks["key"].words
    assert wrong(checks) == {"key"}
    assert {"mail", "journal"} < set(checks)
    assert "database" not in checks


def test_a_key_of_another_installation_is_found_out(working: Installation) -> None:
    if working.database.is_postgresql:
        pytest.skip("only the embedded database is locked with the key")
    working.settings.secret_file.write_text("ab" * 32)
    assert "belongs to another installation" in looked_over(working)["database"].words


def test_no_database_is_made_by_looking_for_one(place_factory: Callable[[str], Installation]) -> None:
    place = place_factory("gone")
    file = place.settings.home / "tracker.db"
    place.database.close()
    for left in place.settings.home.glob("tracker.db*"):
        left.unlink()
    checks = looked_over(place)
    assert checks["database"].words == "there is no database yet"
    assert not file.exists()


def test_a_server_that_does_not_answer_is_said_so(place_factory: Callable[[str], Installation]) -> None:
    place = place_factory("nowhere")
    url = f"postgresql://somebody:hunter2@127.0.0.1:{free_port()}/tracker"
    checks = looked_over(place, TRACKER_DATABASE_URL=url)
    assert "PostgreSQL server cannot be reached" in checks["database"].words
    assert "hunter2" not in str(checks)


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_another_schema_is_said_so_and_its_data_are_left_alone(working: Installation, revision: str) -> None:
    with working.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": revision})
    checks = looked_over(working)
    assert f"at schema {revision}" in checks["schema"].words
    assert wrong(checks) == {"schema"}
    assert "scheduler" not in checks


def test_a_database_that_breaks_off_is_said_so(working: Installation) -> None:
    with working.database.writing() as session:
        session.execute(text("ALTER TABLE heartbeat RENAME TO stopped"))
    checks = looked_over(working)
    assert "does not answer" in checks["database"].words
    assert checks["mail"].ok


def test_a_pathway_that_is_missing_is_said_so(place: Installation) -> None:
    with place.database.writing() as session:
        session.execute(text("DELETE FROM pathway_version"))
    assert looked_over(place)["pathway"].words == "no pathway is published"


# The machinery ---------------------------------------------------------------------------------------------


def test_a_scheduler_that_never_ran_is_the_first_thing_to_mend(place: Installation) -> None:
    checks = looked_over(place)
    assert checks["scheduler"].words == "the scheduler has never run on this database"
    assert "tracker run" in checks["scheduler"].mend
    assert checks["ledger"].words == "it has never been weighed"
    assert "delivery" not in checks


def test_a_clock_that_was_set_back_is_said_so(working: Installation) -> None:
    checks = looked_over(working, FRIDAY - timedelta(hours=3))
    assert wrong(checks) == {"clock"}
    assert "3 hours before the scheduler's last run" in checks["clock"].words


def test_delivery_that_stands_still_is_said_so(working: Installation) -> None:
    with working.database.writing() as session:
        session.execute(text("DELETE FROM heartbeat WHERE part = 'delivery'"))
    assert wrong(looked_over(working)) == {"delivery"}


def test_a_ledger_that_does_not_balance_is_said_so(working: Installation) -> None:
    with working.database.writing() as session:
        session.exec(select(LedgerCheck)).one().findings = json.dumps(["3 reminders of clinic 1 are not raised"])
    checks = looked_over(working)
    assert wrong(checks) == {"ledger"}
    assert checks["ledger"].words == "3 reminders of clinic 1 are not raised"
    assert "tracker verify" in checks["ledger"].mend


def test_what_must_be_acted_on_is_wrong_and_what_can_wait_is_only_said(working: Installation) -> None:
    with working.database.writing() as session:
        row = session.exec(select(OutboxMessage)).one()
        row.state, row.settled_at = "rejected", None
    checks = looked_over(working)
    assert wrong(checks) == {"alarm:rejected"}
    later = FRIDAY + timedelta(days=13)
    for day in range(14):
        working.tick(FRIDAY + timedelta(days=day))
    nightly(working.database, later)
    checks = looked_over(working, later)
    assert checks["alarm:no-lead"].ok
    assert "lead" in checks["alarm:no-lead"].words


# Mail ------------------------------------------------------------------------------------------------------


def test_mail_that_is_off_is_no_fault_of_the_mail(working: Installation) -> None:
    checks = looked_over(working, TRACKER_SMTP_URL="none")
    assert checks["mail"].words == "mail is off: digests are not sent to anybody"
    assert wrong(checks) == set()
    assert "journal" not in checks


def test_a_mail_server_is_tried_without_a_message(working: Installation, tmp_path: Path) -> None:
    with running(FaultyServer(tmp_path / "accepted")) as server:
        url = f"smtp://127.0.0.1:{server.port}?tls=none"
        checks = looked_over(working, TRACKER_SMTP_URL=url)
        assert server.journal.arrivals() == []
        assert checks["mail"].words == (
            f"mail goes to the mail server 127.0.0.1, port {server.port}, in the clear, which would take a message now"
        )
        assert checks["journal"].ok
        assert "a message in doubt is for a person to decide" in checks["journal"].words
        server.faults = [Fault("greeting", "5xx")]
        assert "which does not take it" in looked_over(working, TRACKER_SMTP_URL=url)["mail"].words
    checks = looked_over(working, TRACKER_SMTP_URL=url)
    assert wrong(checks) == {"mail"}


def test_a_maildir_that_cannot_be_written_is_said_so(working: Installation) -> None:
    blocked = working.settings.home / "a file"
    blocked.write_text("")
    checks = looked_over(working, TRACKER_MAIL_DIR=str(blocked))
    assert "the Maildir does not take it" in checks["mail"].words


def test_a_journal_that_cannot_be_read_is_said_so(working: Installation, tmp_path: Path) -> None:
    checks = looked_over(working, TRACKER_MAIL_JOURNAL=f"maildir:{tmp_path / 'none'}")
    assert wrong(checks) == {"journal"}
    assert "in a Maildir of copies, which cannot be read (FileNotFoundError)" in checks["journal"].words


# What holds for all of it ----------------------------------------------------------------------------------


def test_nothing_of_a_patient_is_in_what_the_doctor_says(place: Installation) -> None:
    lines = lanreotide("CANARYREF-7")
    del lines[0].data["navigator"]
    place.replay(lines, now=FRIDAY - timedelta(days=5))
    place.tick(FRIDAY)
    said = str(looked_over(place, FRIDAY + timedelta(days=200))).lower()
    for secret in ("canary", "1961", "lanreotide", "injection", "mrn"):
        assert secret not in said, secret


def test_the_command_gives_words_a_document_and_an_exit_code(tmp_path: Path) -> None:
    tracker = Shell(tmp_path / "var")
    assert "WRONG  key: the key file secret.key cannot be read" in tracker("doctor", code=1).stdout
    tracker("init")
    said = tracker("doctor", code=1).stdout
    assert "ok     database: the embedded database answers" in said
    assert "       Start `tracker run` or `tracker scheduler`." in said
    document = tracker.json("doctor", code=1)
    assert document["ok"] is False
    assert set(document["checks"][0]) == {"id", "ok", "words", "mend"}
    tracker("tick")
    assert {check["id"] for check in tracker.json("doctor", code=1)["checks"] if not check["ok"]} == {"ledger"}
