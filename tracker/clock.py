"""The only place that reads the clock. Everything else is told the time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from tracker.settings import Settings


def now(settings: Settings) -> datetime:
    """The present time in UTC, or the fixed time of a rehearsal."""
    return (settings.now or datetime.now(UTC)).astimezone(UTC)


def local_date(moment: datetime, timezone: str) -> date:
    """The calendar date in a clinic's zone at an aware moment."""
    return moment.astimezone(ZoneInfo(timezone)).date()
