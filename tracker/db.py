"""The database: encrypted embedded SQLite or PostgreSQL, opened, migrated and used in transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session

from tracker.errors import WrongSetting
from tracker.secret import Secret
from tracker.settings import Settings

_BUSY_MS = 15_000
_BUSY = frozenset({"55P03", "40P01", "40001"})
"""What PostgreSQL says of a lock that could not be had in time, of two that wait for each other, and of two that
cannot both be so.
"""

_COMMIT_FOR_GOOD = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_MACHINERY = 0x6E6574  # any number, as long as every process takes the same
_SAFE_WAL = (3, 51, 3)
"""The first SQLite whose write-ahead log cannot be corrupted by a reset during a checkpoint."""


class Database:
    """One database, with transactions that either write or only read."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_postgresql = engine.dialect.name == "postgresql"
        self._reading = engine.execution_options(read_only=True)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in one transaction, committed at the end, rolled back where anything is raised."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The same without a session, for the few statements that are executed for every message."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing_alone(self) -> Iterator[Session]:
        """The same for the machinery: of all processes one at a time is in such a transaction."""
        with self._alone(), self.writing() as session:
            yield session

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process is in here. The embedded database has one writer at a time anyway."""
        if not self.is_postgresql:
            yield
            return
        with self.engine.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(_MACHINERY)))
            yield

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and writes nothing."""
        with Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        self.engine.dispose()

    # Schema -------------------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Bring the schema to this version's head."""
        with self._alone(), self.engine.connect() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def schema(self) -> str | None:
        """The revision that the database stands at; None for an empty one."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def require_schema(self) -> None:
        """Refuse to work on another version's schema."""
        found, head = self.schema(), schema_head()
        if found is None:
            raise WrongSetting("the database is empty; run `tracker init`")
        if found != head:
            raise WrongSetting(f"the database is at schema {found}, this program at {head}; run `tracker init`")


def alembic_config() -> Config:
    """Where the migrations are."""
    folder = Path(__file__).parent.parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder / "environment"))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "newline")
    return config


def schema_head() -> str | None:
    """The newest revision that this program knows."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def connect(settings: Settings, secret: Secret) -> Database:
    """Open the database of the settings; raises :class:`WrongSetting` where that cannot be done."""
    engine = _sqlite(settings, secret) if settings.is_sqlite else _postgresql(settings)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except OSError as error:
        raise WrongSetting(f"the embedded database cannot be reached or opened: {error.strerror}") from error
    except DBAPIError as error:
        raise WrongSetting(_why_not(settings, error)) from error
    return Database(engine)


def _why_not(settings: Settings, error: DBAPIError) -> str:
    if settings.is_sqlite and "not a database" in str(error.orig):
        return "the database cannot be opened with this key file; it belongs to another installation, or is damaged"
    kind = "embedded database" if settings.is_sqlite else "PostgreSQL server"
    return f"the {kind} cannot be reached or opened"


def _postgresql(settings: Settings) -> Engine:
    engine = create_engine(settings.database_url, pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        """No wait without an end; and what is committed stays so after a crash, or a message could leave twice."""
        connection.execute(f"SET lock_timeout = {_BUSY_MS}")
        connection.execute(_COMMIT_FOR_GOOD)
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("read_only"):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return engine


def _sqlite(settings: Settings, secret: Secret) -> Engine:
    found = tuple(int(part) for part in sqlcipher.sqlite_version.split("."))
    if found < _SAFE_WAL:
        raise WrongSetting(f"SQLite {sqlcipher.sqlite_version} can corrupt a database in WAL mode; 3.51.3 is needed")
    path = Path(make_url(settings.database_url).database or "")
    key = secret.derive("database").hex()

    def open_connection() -> Any:
        return _open_encrypted(path, key)

    engine = create_engine("sqlite://", module=sqlcipher, creator=open_connection, hide_parameters=True, **_POOL)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("read_only")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _pool() -> dict[str, Any]:
    from sqlalchemy import QueuePool

    return {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 8}


_POOL = _pool()


def _open_encrypted(path: Path, key: str) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = sqlcipher.connect(str(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000)
    connection.execute(f"PRAGMA key = \"x'{key}'\"")
    for pragma in (
        f"busy_timeout = {_BUSY_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "wal_autocheckpoint = 16000",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def one_at_a_time(session: Session, lock: int) -> None:
    """Wait until no other transaction has this lock, and have it to the end of this one.

    The embedded database has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(lock)))


def is_busy(error: OperationalError) -> bool:
    """Whether a write waited in vain for another one, or had to give way to it."""
    return "locked" in str(error.orig) or getattr(error.orig, "sqlstate", "") in _BUSY
