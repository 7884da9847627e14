"""Settings, read from the environment once, at the edge."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tracker.errors import WrongSetting


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept, and (for rehearsals only) what time it is.

    ``now`` is an aware time that replaces the clock; long-running commands refuse it unless ``rehearsal``.
    """

    home: Path
    database_url: str
    mail_dir: Path
    secret_file: Path
    mail_from: str
    base_url: str
    now: datetime | None = None
    rehearsal: bool = False

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``TRACKER_…`` variables; raises :class:`WrongSetting` for one that cannot be used."""
    env = os.environ if environment is None else environment
    home = Path(env.get("TRACKER_HOME") or "var").absolute()
    return Settings(
        home=home,
        database_url=_database_url(env.get("TRACKER_DATABASE_URL", ""), home),
        mail_dir=Path(env.get("TRACKER_MAIL_DIR") or home / "mail").absolute(),
        secret_file=Path(env.get("TRACKER_SECRET_FILE") or home / "secret.key").absolute(),
        mail_from=env.get("TRACKER_MAIL_FROM") or "tracker@localhost",
        base_url=(env.get("TRACKER_BASE_URL") or "http://127.0.0.1:5000").rstrip("/"),
        now=_fixed_time(env.get("TRACKER_NOW", "")),
        rehearsal=env.get("TRACKER_REHEARSAL") == "1",
    )


def _database_url(given: str, home: Path) -> str:
    if not given:
        return f"sqlite:///{home / 'tracker.db'}"
    if given.startswith(("postgresql://", "postgres://")):
        return "postgresql+psycopg://" + given.partition("://")[2]
    if given.startswith("postgresql+psycopg://") or (given.startswith("sqlite:///") and len(given) > 10):
        return given
    raise WrongSetting("TRACKER_DATABASE_URL must begin with postgresql:// or sqlite:///")


def _fixed_time(text: str) -> datetime | None:
    return parse_time(text, "TRACKER_NOW") if text else None


def parse_time(text: str, name: str) -> datetime:
    """An aware ISO time; raises :class:`WrongSetting` that names what gave it."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise WrongSetting(f"{name}: {text!r} is not a time such as 2026-03-31T09:00:00+00:00") from None
    if time.tzinfo is None:
        raise WrongSetting(f"{name}: {text!r} lacks its offset from UTC, such as +00:00")
    return time
