"""What else goes wrong where the tracker runs: other clocks, other hands, disks and databases that give out."""

from __future__ import annotations

import resource
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import col, select

from tests.faults import world
from tests.faults.smtp_server import FaultyServer, running
from tests.tracker.conftest import Installation, installed, settings_in
from tests.tracker.histories import lanreotide
from tests.tracker.test_races import at_once
from tests.web.people import sign_in
from tracker import cases, cli, pathways
from tracker.alarms import alarms
from tracker.balance import balance
from tracker.ledger import verify
from tracker.mail.maildir import Maildir
from tracker.mail.places import MaildirFolder, SmtpServer, Tls
from tracker.models import Case, Digest, OutboxMessage, Reminder
from tracker.outbox import standing
from tracker.tick import nightly
from web import create_app
from web.desk import desk
from workflows.pathway import from_canonical

if TYPE_CHECKING:
    from tests.postgres import Postgres

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# The injection of lanreotide() opens on Friday 24 April 2026, is due on Monday the 27th and late after the 30th.
OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)


def begin(place: Installation, number: int = 1) -> Installation:
    for n in range(number):
        lines = lanreotide(f"N-{n:03}")
        lines[0].data["navigator"] = f"nav{n:03}@example.org"
        place.replay(lines, now=OPENS - 5 * DAY)
    return place


def record(place: Installation, kind: str, now: datetime, ref: str = "N-000", **data: Any) -> None:
    with place.writing(now) as writing:
        cases.record(writing, ref=ref, kind=kind, on=now.date(), data=data)


def findings(place: Installation, now: datetime) -> list[str]:
    with place.database.reading() as session:
        found = verify(session, now=now, chain_key=place.secret.derive("event chain")).findings
        return [*found, *balance(session, now).findings]


def statuses(place: Installation) -> Counter[str]:
    with place.database.reading() as session:
        return Counter(session.exec(select(Reminder.status).where(Reminder.remind_on <= OPENS.date())))


@contextmanager
def mail_server(place: Installation) -> Iterator[FaultyServer]:
    """A real one, which keeps what it takes, each acceptance once; the tracker reads that journal."""
    usual, kept = place.settings, place.settings.home / "accepted"
    with running(FaultyServer(kept)) as server:
        smtp = SmtpServer("127.0.0.1", server.port, Tls.NONE, seconds=5)
        place.settings = replace(usual, smtp=smtp, journal=MaildirFolder(kept))
        yield server
    place.settings = usual


# Clocks -------------------------------------------------------------------------------------------------------


def test_schedulers_whose_clocks_are_apart_tell_each_person_once_a_day(place: Installation) -> None:
    """By more than any lease lasts, so that each takes what the others have for forgotten."""
    begin(place, 6)
    clocks = (timedelta(0), 5 * MINUTE, -20 * MINUTE, 3 * HOUR)
    with mail_server(place) as server:
        server.jitter = 0.005
        for days in (0, 3, 7):
            now = OPENS + days * DAY
            for minutes in (0, 1, 40):
                ticks = [lambda at=now + minutes * MINUTE + apart: place.tick(at) for apart in clocks]
                assert at_once(*ticks) == []
        accepted = Counter(arrived.message_id for arrived in server.journal.arrivals())
    assert set(accepted.values()) == {1}
    assert len(accepted) == 18
    assert findings(place, OPENS + 8 * DAY) == []


@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, 9 * DAY, 400 * DAY])
def test_a_clock_that_was_wrong_for_an_hour_leaves_nothing_behind(place: Installation, jump: timedelta) -> None:
    begin(place, 2).tick(OPENS - DAY)
    for minutes in (0, 1, 59):
        place.tick(OPENS - HOUR + jump + minutes * MINUTE)
    while_wrong = len(place.mails())
    with place.database.reading() as session:
        seen = {alarm.id for alarm in alarms(session, place.settings, OPENS)}
    assert ("clock" in seen) is (jump > timedelta(0))
    for days in range(14):
        place.tick(OPENS + days * DAY)
    assert while_wrong == (2 if jump > timedelta(0) else 0)
    with place.database.reading() as session:
        steps = session.exec(select(Reminder).where(col(Reminder.follow_up_key).startswith("lanreotide"))).all()
        told = [(row.case_id, row.due_on, row.step) for row in steps if row.status == "sent"]
        days_of = session.exec(select(Digest.recipient, Digest.on)).all()
    assert len(told) == len(set(told)) == 10
    assert len(days_of) == len(set(days_of))
    assert findings(place, OPENS + 14 * DAY) == []


def test_a_ledger_that_was_weighed_by_a_clock_of_next_year_is_not_believed_until_then(place: Installation) -> None:
    begin(place).tick(OPENS)
    assert nightly(place.database, OPENS + 400 * DAY)
    change(place, "UPDATE reminder SET status = 'raised', sent_at = NULL WHERE status = 'sent'")
    assert nightly(place.database, OPENS + DAY)
    with place.database.reading() as session:
        assert "ledger" in {alarm.id for alarm in alarms(session, place.settings, OPENS + DAY)}
        later = OPENS + 5 * DAY
        assert "ledger-unchecked" in {alarm.id for alarm in alarms(session, place.settings, later)}


# Changed while a message waits ------------------------------------------------------------------------------------


def test_a_due_date_that_is_edited_while_its_mail_waits_is_told_as_it_is_then(place: Installation) -> None:
    begin(place, 2)
    usual = place.settings
    place.settings = replace(usual, smtp=SmtpServer("127.0.0.1", 9, Tls.NONE, seconds=1))
    assert place.tick(OPENS + 3 * DAY).retrying > 0
    moved = {"activity": "injection", "to": "2026-04-28", "reason": "the clinic is closed"}
    record(place, "activity:rescheduled", OPENS + 3 * DAY, **moved)
    place.settings = usual
    place.tick(OPENS + 3 * DAY + HOUR)
    place.tick(OPENS + 4 * DAY)
    told = {mail.to: mail.text for mail in place.told()}
    assert "due 27 Apr 2026" not in told["nav000@example.org"]
    assert "due 28 Apr 2026" in told["nav000@example.org"]
    assert "due 27 Apr 2026" in told["nav001@example.org"]
    assert findings(place, OPENS + 5 * DAY) == []


def test_a_pathway_that_is_published_in_flight_changes_nothing_for_cases_that_run_on_another(
    place: Installation,
) -> None:
    begin(place)
    usual = place.settings
    place.settings = replace(usual, smtp=SmtpServer("127.0.0.1", 9, Tls.NONE, seconds=1))
    place.tick(OPENS)
    shipped = pathways.shipped()
    other = from_canonical(shipped.canonical.replace('"28 days"', '"35 days"'))
    assert other.digest != shipped.digest
    with place.writing(OPENS + HOUR) as writing:
        pathways.publish(writing, other)
    place.settings = usual
    place.tick(OPENS + 2 * HOUR)
    lines = lanreotide("N-new")
    place.replay(lines, now=OPENS + 2 * HOUR)
    place.tick(OPENS + 3 * DAY)
    record(place, "activity:done", OPENS + 4 * DAY, activity="injection")
    with place.database.reading() as session:
        digests = dict(session.exec(select(Case.ref, Case.pathway_digest)).all())
    assert digests == {"N-000": shipped.digest, "N-new": other.digest}
    assert [mail.cases for mail in place.told("nav000@example.org")] == [[1], [1]]
    assert "due 27 Apr 2026" in place.told("nav000@example.org")[0].text
    assert findings(place, OPENS + 5 * DAY) == []


# Databases that give out --------------------------------------------------------------------------------------------


@contextmanager
def locked(place: Installation) -> Iterator[None]:
    """Somebody holds what others need: the only writer's lock, or the tables."""
    with place.database.writing() as session:
        tables = "LOCK TABLE reminder, outbox_message IN ACCESS EXCLUSIVE MODE"
        session.execute(text(tables if place.database.is_postgresql else "SELECT 1"))
        yield


@pytest.fixture
def impatient(place: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """One that waits for others half a second, not a quarter of a minute."""
    monkeypatch.setattr("tracker.db._BUSY_MS", 500)
    with installed(place.settings) as other:
        yield other


def test_a_tick_waits_for_a_locked_database_so_long_and_no_longer(place: Installation, impatient: Installation) -> None:
    begin(place)
    with locked(place):
        start = time.monotonic()
        with pytest.raises(OperationalError):
            impatient.tick(OPENS)
        assert time.monotonic() - start < 5
    assert impatient.tick(OPENS).sent == 1
    assert findings(place, OPENS + DAY) == []


def test_a_page_that_changes_something_waits_so_long_and_says_that_the_database_is_busy(
    place: Installation, impatient: Installation
) -> None:
    begin(place)
    place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", 9, Tls.NONE, seconds=1))
    place.tick(OPENS)
    app = create_app(place.settings, lambda: OPENS)
    app.config["WTF_CSRF_ENABLED"] = False
    client = sign_in(app.test_client())
    try:
        with locked(place):
            start = time.monotonic()
            answer = client.post("/outbox/1/tell-in-next", data={"seen": "retry_wait.1"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
            assert "The database did not answer in time. Nothing was changed." in answer.text
            assert time.monotonic() - start < 5
        assert standing(place.database)["retry_wait"] == 1
        assert client.post("/outbox/1/tell-in-next", data={"seen": "retry_wait.1"}).status_code == 303
    finally:
        desk(app).database.close()


@contextmanager
def full(place: Installation) -> Iterator[None]:
    """No page more fits on the disk of the database."""
    if place.database.is_postgresql:
        change(place, FULL_DISK)
        yield
        change(place, "DROP FUNCTION full_disk CASCADE")
        return

    def no_more(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    event.listen(place.database.engine, "begin", no_more)
    yield
    event.remove(place.database.engine, "begin", no_more)
    with place.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 4294967294")
    place.database.engine.dispose()


FULL_DISK = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON outbox_message FOR EACH ROW EXECUTE FUNCTION full_disk();
"""


def change(place: Installation, statement: str) -> None:
    with place.database.writing() as session:
        session.execute(text(statement))


def number(place: Installation, table: Any) -> int:
    with place.database.reading() as session:
        return len(session.exec(select(table.id)).all())


def test_a_full_disk_leaves_nothing_half_done_and_all_goes_on_when_there_is_room(place: Installation) -> None:
    begin(place, 30)
    with full(place):
        for _ in range(2):
            with pytest.raises(OperationalError):
                place.tick(OPENS)
        assert (number(place, Digest), number(place, OutboxMessage), place.mails()) == (0, 0, [])
    assert findings(place, OPENS) == []
    assert place.tick(OPENS + HOUR).sent == len(place.mails()) == 30
    assert findings(place, OPENS + DAY) == []


def read_only(place: Installation) -> Callable[[], None]:
    """As a file system that was mounted so after an error, or a server that is a stand-by now; gives the way back."""
    if place.database.is_postgresql:
        setting = f'ALTER DATABASE "{place.database.engine.url.database}" SET default_transaction_read_only'
        change(place, f"{setting} = on")
        place.database.engine.dispose()
        return lambda: writable(place, f"{setting} = off")
    event.listen(place.database.engine, "begin", query_only)
    return lambda: event.remove(place.database.engine, "begin", query_only)


def query_only(connection: Any) -> None:
    connection.exec_driver_sql("PRAGMA query_only = ON")


def writable(place: Installation, setting: str) -> None:
    at_once_committed = place.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with at_once_committed.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(setting)


def test_a_database_that_can_only_be_read_is_said_so_and_nothing_leaves(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(place)
    back = read_only(place)
    with pytest.raises(DBAPIError) as refused:
        place.tick(OPENS)
    assert cli._unexpected(refused.value) == (
        "the database is busy or cannot be written to; nothing was changed; try again"
    )
    assert place.mails() == []
    back()
    place.database.engine.dispose()
    assert place.tick(OPENS + HOUR).sent == 1
    assert findings(place, OPENS + DAY) == []


# Disks ----------------------------------------------------------------------------------------------------------


def test_a_mail_folder_without_room_keeps_what_waits_and_leaves_no_pieces(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system itself refuses the write, after the first bytes of the message."""
    begin(place, 3)
    usual, soft_hard = Maildir._drafted, resource.getrlimit(resource.RLIMIT_FSIZE)

    def no_room(self: Maildir, name: str, content: bytes) -> Path:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, soft_hard[1]))
        try:
            return usual(self, name, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)

    with monkeypatch.context() as patch:
        patch.setattr(Maildir, "_drafted", no_room)
        assert place.tick(OPENS).sent == 0
    assert standing(place.database)["retry_wait"] == 1, "the first is put off, and the others are not even tried"
    assert place.mails() == []
    assert place.tick(OPENS + HOUR).sent == 3
    assert list((place.settings.mail_dir / "tmp").iterdir()) == []
    assert findings(place, OPENS + DAY) == []


@contextmanager
def disk(folder: Path, size: str) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    folder.mkdir()
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_under_everything_ends_no_tick_half_way(
    tmp_path: Path, template_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Database, log of the database and mail on one disk, until nothing fits; then somebody makes room."""
    home, refused, day = tmp_path / "disk", 0, 0
    with disk(home, "2m"):
        shutil.copytree(template_home, home, dirs_exist_ok=True)
        with installed(settings_in(home)) as place:
            while not refused and day < 100:
                now = world.START + day * DAY
                try:
                    world.open_cases(place, now.date(), 20)
                    place.tick(now + 2 * HOUR)
                except OperationalError:
                    refused += 1
                day += 1
            assert refused, "the disk did not fill up"
            subprocess.run(["mount", "-o", "remount,size=64m", home], check=True)
            for hours in (3, 27, 51):
                place.tick(now + hours * HOUR)
            with place.database.reading() as session:
                sent = session.exec(select(OutboxMessage.message_id).where(OutboxMessage.state == "sent")).all()
            assert len(place.mails()) == len(sent) == len(set(sent))
            assert set(standing(place.database).values()) == {0}
            assert findings(place, now + 3 * DAY) == []


# A server that goes away --------------------------------------------------------------------------------------------


def test_a_server_that_restarts_in_the_middle_of_ticks_loses_nothing_and_doubles_nothing(
    tmp_path: Path, postgres: Postgres, template_url: str
) -> None:
    if not postgres.can_restart:
        pytest.skip("this server is not ours to restart")
    url = postgres.create_database(template_url)
    with installed(settings_in(tmp_path, url)) as place, mail_server(place) as server:
        server.jitter = 0.004
        world.open_cases(place, world.START.date(), 60, navigators=60)
        errors, over = [], threading.Event()

        def ticks() -> None:
            now = world.START + HOUR
            while not over.is_set():
                try:
                    place.tick(now)
                except Exception as error:  # noqa: BLE001  (which ones may come is what is asked)
                    errors.append(error)
                    time.sleep(0.05)
                now = min(now + timedelta(seconds=20), world.START + 3 * HOUR)

        thread = threading.Thread(target=ticks)
        thread.start()
        restarts = 0
        while restarts < 3 or (not errors and restarts < 30):  # a busy machine may be between two questions each time
            time.sleep(0.3)
            postgres.restart()
            restarts += 1
        time.sleep(0.5)
        over.set()
        thread.join()
        for minutes in range(0, 90, 20):
            place.tick(world.START + 3 * HOUR + minutes * MINUTE)
        accepted = Counter(arrived.recipient for arrived in server.journal.arrivals())
        assert errors
        assert {type(error) for error in errors} == {OperationalError}
        assert set(accepted.values()) == {1}
        assert len(accepted) == 60
        assert set(standing(place.database).values()) == {0}
        assert findings(place, world.START + DAY) == []
    postgres.drop_database(url)
