"""An installation for each test: on encrypted SQLite and on a real PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tracker import secret as secrets
from tracker import tick as ticking
from tracker.commands.common import prepare
from tracker.db import Database, connect
from tracker.interchange.journal import JournalLine, parse
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.replay import Report, replay
from tracker.secret import Secret
from tracker.settings import Settings, from_environment
from tracker.writing import Writing, writing

if TYPE_CHECKING:
    from tests.postgres import Postgres

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Mail:
    """A digest as it arrived: to whom, written when, and its plain text."""

    to: str
    at: datetime
    subject: str
    text: str

    @property
    def headings(self) -> list[str]:
        """Each section's heading with its number, in order."""
        return [line for line in self.text.splitlines() if line.endswith(")") and not line.startswith(" ")]

    @property
    def cases(self) -> list[int]:
        """The cases that are named, by the number of their row."""
        return sorted(int(line.rpartition("/go/")[2]) for line in self.text.splitlines() if "/go/" in line)


def _mail(content: bytes) -> Mail:
    message = message_from_bytes(content, policy=default)
    text = str(message.get_body(("plain",)).get_content())
    return Mail(message["To"], parsedate_to_datetime(message["Date"]), message["Subject"], text)


@dataclass
class Installation:
    """A database with its settings, and the time that it is."""

    settings: Settings
    secret: Secret
    database: Database
    now: datetime = NOW

    @contextmanager
    def writing(self, now: datetime | None = None, actor: str = "ana@example.org") -> Iterator[Writing]:
        with self.database.writing() as session:
            yield writing(session, actor=actor, now=now or self.now, secret=self.secret)

    def replay(self, lines: list[JournalLine], now: datetime | None = None) -> Report:
        with self.writing(now) as context:
            return replay(context, lines, kind="journal")

    def tick(self, now: datetime | None = None) -> ticking.TickReport:
        return ticking.tick(self.database, self.settings, self.secret, now or self.now)

    def mails(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.settings.mail_dir / "new").glob("*"))]

    def told(self, to: str = "") -> list[Mail]:
        """What arrived (for somebody), in the order in which it was written."""
        found = [_mail(content) for content in self.mails()]
        return sorted((mail for mail in found if to in ("", mail.to)), key=lambda mail: (mail.at, mail.to))


def settings_in(folder: Path, database_url: str = "") -> Settings:
    return from_environment({"TRACKER_HOME": str(folder), "TRACKER_DATABASE_URL": database_url})


@contextmanager
def installed(settings: Settings) -> Iterator[Installation]:
    """A new installation, closed afterwards."""
    key = secrets.create(settings.secret_file)
    database = connect(settings, key)
    try:
        if database.schema() is None:
            prepare(replace(settings, now=datetime(2026, 1, 1, tzinfo=UTC)), key, database)
        yield Installation(settings, key, database)
    finally:
        database.close()


@pytest.fixture(scope="session")
def template_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated PostgreSQL database to clone."""
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database()
    with installed(settings_in(tmp_path_factory.mktemp("template"), url)):
        pass
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the tests of this case keep their data; empty for the embedded database."""
    if request.param == "sqlite":
        yield ""
        return
    template: str = request.getfixturevalue("template_url")
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_database(template)
    yield url
    server.drop_database(url)


@pytest.fixture(scope="session")
def template_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation on the embedded database, to copy: to migrate it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("template")
    with installed(settings_in(folder)):
        pass
    return folder


@pytest.fixture
def place(tmp_path: Path, database_url: str, template_home: Path) -> Iterator[Installation]:
    """An installation on either database."""
    if not database_url:
        shutil.copytree(template_home, tmp_path, dirs_exist_ok=True)
    with installed(settings_in(tmp_path, database_url)) as installation:
        yield installation


@pytest.fixture
def server_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """An outage: nothing is taken, and nothing was handed over."""

    def deferred(_: object, parcel: Parcel, leave: object) -> Outcome:
        return Outcome(Result.DEFERRED, "no connection", down=True)

    @contextmanager
    def down() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr("tracker.mail.maildir.Maildir.send", deferred)
            yield

    return down


@pytest.fixture
def place_factory(tmp_path: Path) -> Iterator[Callable[[str], Installation]]:
    """Further installations on the embedded database, by name."""
    open_ones = []

    def make(name: str) -> Installation:
        context = installed(settings_in(tmp_path / name))
        open_ones.append(context)
        return context.__enter__()

    yield make
    for context in open_ones:
        context.__exit__(None, None, None)


def journal(text: str) -> list[JournalLine]:
    """Journal lines from a text, numbered as in a file."""
    lines = text.strip().splitlines()
    return [parse(line, "test.jsonl", number) for number, line in enumerate(lines, 1) if line.strip()]
