"""Settings, read from the environment once, at the edge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from tracker.errors import WrongSetting
from tracker.mail.places import JournalPlace, SmtpServer, journal_place, smtp_server
from workflows.limits import checked_email, iso_time

_BASE_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept, and (for rehearsals only) what time it is.

    ``now`` is an aware time that replaces the clock; long-running commands refuse it unless ``rehearsal``.
    Without ``smtp`` mail goes into ``mail_dir``, unless it is off.
    """

    home: Path
    database_url: str = field(repr=False)
    mail_dir: Path
    secret_file: Path
    mail_from: str
    base_url: str
    now: datetime | None = None
    rehearsal: bool = False
    smtp: SmtpServer | None = None
    mail_off: bool = False
    journal: JournalPlace | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``TRACKER_…`` variables; raises :class:`WrongSetting` for one that cannot be used."""
    env = os.environ if environment is None else environment
    home = Path(env.get("TRACKER_HOME") or "var").absolute()
    smtp_url, journal = env.get("TRACKER_SMTP_URL", ""), env.get("TRACKER_MAIL_JOURNAL", "")
    return Settings(
        home=home,
        database_url=_database_url(env.get("TRACKER_DATABASE_URL", ""), home),
        mail_dir=Path(env.get("TRACKER_MAIL_DIR") or home / "mail").absolute(),
        secret_file=Path(env.get("TRACKER_SECRET_FILE") or home / "secret.key").absolute(),
        mail_from=_address(env.get("TRACKER_MAIL_FROM") or "tracker@localhost"),
        base_url=_base_url(env.get("TRACKER_BASE_URL") or "http://127.0.0.1:5000"),
        now=_fixed_time(env.get("TRACKER_NOW", "")),
        rehearsal=env.get("TRACKER_REHEARSAL") == "1",
        smtp=None if smtp_url in ("", "none") else smtp_server(smtp_url, env.get("TRACKER_SMTP_PASSWORD_FILE", "")),
        mail_off=smtp_url == "none",
        journal=journal_place(journal) if journal else None,
    )


def _database_url(given: str, home: Path) -> str:
    if not given:
        return f"sqlite:///{home / 'tracker.db'}"
    if given.startswith("sqlite:///") and len(given) > 10:
        return given
    kind, _, place = given.partition("://")
    if kind not in ("postgresql", "postgres", "postgresql+psycopg") or not _has_usable_port(place):
        raise WrongSetting("TRACKER_DATABASE_URL must be like postgresql://user@host:5432/name or sqlite:///file")
    return f"postgresql+psycopg://{place}"


def _has_usable_port(place: str) -> bool:
    try:
        return urlsplit(f"//{place}").port != 0
    except ValueError:
        return False


def _address(text: str) -> str:
    try:
        return checked_email(text)
    except ValueError as error:
        raise WrongSetting(f"TRACKER_MAIL_FROM: {error}") from None


def _base_url(text: str) -> str:
    if _BASE_URL.fullmatch(text) is None:
        raise WrongSetting("TRACKER_BASE_URL must be an address such as https://tracker.example.org")
    return text.rstrip("/")


def _fixed_time(text: str) -> datetime | None:
    return parse_time(text, "TRACKER_NOW") if text else None


def parse_time(text: str, name: str) -> datetime:
    """An aware ISO time; raises :class:`WrongSetting` that names what gave it."""
    try:
        return iso_time(text)
    except ValueError as error:
        raise WrongSetting(f"{name}: {error}") from None
