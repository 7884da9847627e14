"""Settings, read from the environment once, at the edge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tracker.errors import WrongSetting
from tracker.mail.places import JournalPlace, SmtpServer, journal_place, smtp_server
from tracker.provider import Provider, provider
from workflows.limits import checked_email, iso_time

_BASE_URL = re.compile(r"https?://[!-~]+")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept, and (for rehearsals only) what time it is.

    ``now`` is an aware time that replaces the clock; long-running commands refuse it unless ``rehearsal``.
    Without ``smtp`` mail goes into ``mail_dir``, unless it is off. A sign-in ends ``session_idle`` after the last thing
    that somebody did, and ``session_length`` after it began. ``hosts`` are the names under which a front server is
    asked for the pages, besides this machine's own; ``behind_proxy``: that server says who asks, and is believed.
    ``provider``: with whose accounts people may sign in too.
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
    session_idle: timedelta = timedelta(minutes=30)
    session_length: timedelta = timedelta(hours=12)
    hosts: frozenset[str] = frozenset()
    behind_proxy: bool = False
    provider: Provider | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def is_https(self) -> bool:
        """Whether people reach the pages over https, so that the cookie goes over nothing else."""
        return self.base_url.startswith("https://")


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
        session_idle=_minutes(env, "TRACKER_SESSION_IDLE_MINUTES", 30, 24 * 60),
        session_length=_minutes(env, "TRACKER_SESSION_MINUTES", 12 * 60, 7 * 24 * 60),
        hosts=_hosts(env.get("TRACKER_HOSTS", "")),
        behind_proxy=env.get("TRACKER_BEHIND_PROXY") == "1",
        provider=provider(env),
    )


def _minutes(env: Mapping[str, str], name: str, usual: int, most: int) -> timedelta:
    given = env.get(name) or str(usual)
    if re.fullmatch("[0-9]{1,5}", given) is None or not 1 <= int(given) <= most:
        raise WrongSetting(f"{name} must be a number of minutes from 1 to {most}")
    return timedelta(minutes=int(given))


def _hosts(text: str) -> frozenset[str]:
    names = frozenset(name.lower() for name in text.replace(",", " ").split())
    if any(_HOST.fullmatch(name) is None for name in names):
        raise WrongSetting("TRACKER_HOSTS must be names such as tracker.example.org, without scheme and port")
    return names


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
