"""The only place that reads the clock. Everything else is told the time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, available_timezones

from tracker.errors import WrongSetting
from tracker.settings import Settings


def now(settings: Settings) -> datetime:
    """The present time in UTC, or the fixed time of a rehearsal."""
    return (settings.now or datetime.now(UTC)).astimezone(UTC)


def known_zone(name: str) -> str:
    """The name of a time zone; raises :class:`WrongSetting` where there is no such zone."""
    if name not in available_timezones():
        raise WrongSetting(f"{name!r} is not an IANA time zone such as Europe/London")
    return name


def local_date(moment: datetime, timezone: str) -> date:
    """The calendar date in a clinic's zone at an aware moment."""
    return moment.astimezone(ZoneInfo(timezone)).date()
