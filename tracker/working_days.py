"""When a clinic writes to its people: its working days, its holidays, and the hour of its digest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tracker.errors import WrongSetting
from tracker.models import Clinic

_LOOK_AHEAD = 31


def works(clinic: Clinic, day: date) -> bool:
    """Whether the clinic works on a local date."""
    return str(day.isoweekday()) in clinic.working_days and not _is_holiday(clinic.holidays, day)


def writes_at(clinic: Clinic, day: date) -> datetime:
    """The moment (UTC) from which a local date's digest may go out.

    A time that the clocks skip in spring counts as the hour after the gap; of one that comes twice in autumn the
    first counts.
    """
    return datetime.combine(day, clinic.digest_at, ZoneInfo(clinic.timezone)).astimezone(UTC)


def first_writing_day(clinic: Clinic, digest_days: str, start: date, *, urgent: bool) -> date:
    """The first local date from ``start`` on, on which somebody with these ``digest_days`` hears of an item.

    An urgent item waits for nothing. Where no day is left within a month, the last of them is given.
    """
    day = start
    for _ in range(_LOOK_AHEAD):
        if urgent or (works(clinic, day) and str(day.isoweekday()) in digest_days):
            break
        day += timedelta(days=1)
    return day


def known_calendar(name: str) -> str:
    """The name of a holiday calendar, a country or a part of one (``GB-ENG``); raises :class:`WrongSetting`."""
    try:
        _holidays_of(name, 2026)
    except (NotImplementedError, KeyError, ValueError):
        raise WrongSetting(f"{name!r} is not a holiday calendar such as GB-ENG, DE-BY or US") from None
    return name


def known_weekdays(digits: str) -> str:
    """ISO weekdays as digits, each once and in order; raises :class:`WrongSetting`."""
    if any(digit not in "1234567" for digit in digits):
        raise WrongSetting(f"{digits!r} is not a choice of weekdays such as 12345 (1 is Monday)")
    return "".join(sorted(set(digits)))


def _is_holiday(calendar: str | None, day: date) -> bool:
    return calendar is not None and day in _holidays_of(calendar, day.year)


@lru_cache(maxsize=256)
def _holidays_of(calendar: str, year: int) -> frozenset[date]:
    import holidays

    country, _, part = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
