"""The only place that reads the clock. Everything else is told the time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import structlog

from tracker.errors import WrongSetting
from tracker.settings import Settings
from workflows.limits import quoted

_log = structlog.get_logger()


def now(settings: Settings) -> datetime:
    """The present time in UTC, or the fixed time of a rehearsal."""
    return (settings.now or datetime.now(UTC)).astimezone(UTC)


def known_zone(name: str) -> str:
    """The name of a time zone; raises :class:`WrongSetting` where there is no such zone."""
    if name not in available_timezones() - _NO_PLACES:
        raise WrongSetting(f"{quoted(name)} is not an IANA time zone such as Europe/London")
    return name


_NO_PLACES = {"localtime", "Factory", "posixrules"}
"""Files beside the zones: what this machine is set to, what it is before that, and rules without a place."""


@lru_cache(maxsize=1024)
def zone_of(timezone: str) -> ZoneInfo:
    """A clinic's zone; UTC where the name is no longer known, so that one clinic's clock stops nobody's reminders."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        _log.error("zone.unknown", kind=type(error).__name__)
        return ZoneInfo("UTC")


def local_date(moment: datetime, timezone: str) -> date:
    """The calendar date in a clinic's zone at an aware moment."""
    return moment.astimezone(zone_of(timezone)).date()
