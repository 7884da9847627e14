"""When a clinic writes to its people: its working days, its holidays, and the hour of its digest."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import structlog

from tracker.clock import zone_of
from tracker.errors import WrongSetting
from tracker.models import Clinic
from workflows.limits import quoted

_log = structlog.get_logger()

_LOOK_AHEAD = 31
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""In the order of their ISO digits, from 1."""
_HOUR = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")
_CALENDAR = re.compile("[A-Z]{2}(-[A-Z0-9]{1,3})?")
"""ISO codes of a country and a part of it; the stock exchanges and banks of the library are no clinics."""


def works(clinic: Clinic, day: date) -> bool:
    """Whether the clinic works on a local date."""
    return str(day.isoweekday()) in clinic.working_days and not _is_holiday(clinic.holidays, day)


def writes_at(clinic: Clinic, day: date) -> datetime:
    """The moment (UTC) from which a local date's digest may go out.

    A time that the clocks skip in spring counts as the hour after the gap; of one that comes twice in autumn the
    first counts.
    """
    return datetime.combine(day, clinic.digest_at, zone_of(clinic.timezone)).astimezone(UTC)


def tells_on(clinic: Clinic, digest_days: str, day: date) -> bool:
    """Whether a local date is one of a digest, for somebody who wants it on these ISO weekdays."""
    return str(day.isoweekday()) in digest_days and works(clinic, day)


def first_writing_day(clinic: Clinic, days_on: Callable[[date], str], start: date, *, urgent: bool) -> date | None:
    """The first local date from ``start`` on, on which an item is told to somebody who wants digests on ``days_on``.

    That may be another person with other days on another date. An urgent item waits for nothing. None where no day
    is found within a month, as for who wants no digests.
    """
    if urgent:
        return start
    ahead = (start + timedelta(days=days) for days in range(_LOOK_AHEAD))
    return next((day for day in ahead if tells_on(clinic, days_on(day), day)), None)


def known_calendar(name: str) -> str:
    """The name of a holiday calendar, a country or a part of one (``GB-ENG``); raises :class:`WrongSetting`."""
    refusal = WrongSetting(f"{quoted(name)} is not a holiday calendar such as GB-ENG, DE-BY or US")
    if _CALENDAR.fullmatch(name) is None:
        raise refusal
    try:
        _read(name, 2026)
    except (NotImplementedError, KeyError, ValueError):
        raise refusal from None
    return name


def hour(text: str) -> time:
    """A time of day such as ``07:30``; raises :class:`WrongSetting`."""
    match = _HOUR.fullmatch(text)
    if match is None:
        raise WrongSetting(f"{quoted(text)} is not a time of day such as 07:30")
    return time(int(match[1]), int(match[2]))


def weekdays_in_words(digits: str) -> str:
    """``Mon, Tue`` for ``12``; empty for none."""
    return ", ".join(WEEKDAYS[int(digit) - 1] for digit in digits)


def known_weekdays(digits: str) -> str:
    """ISO weekdays as digits, each once and in order; raises :class:`WrongSetting`."""
    if any(digit not in "1234567" for digit in digits):
        raise WrongSetting(f"{quoted(digits)} is not a choice of weekdays such as 12345 (1 is Monday)")
    return "".join(sorted(set(digits)))


def _is_holiday(calendar: str | None, day: date) -> bool:
    return calendar is not None and day in _holidays_of(calendar, day.year)


@lru_cache(maxsize=256)
def _holidays_of(calendar: str, year: int) -> frozenset[date]:
    """The holidays of a year; none where the calendar is no longer known, so that people are told rather than not."""
    try:
        return _read(calendar, year)
    except Exception as error:  # noqa: BLE001  (whatever a later library says of a name, the other clinics go on)
        _log.error("holidays.unknown", calendar=calendar, kind=type(error).__name__)
        return frozenset()


def _read(calendar: str, year: int) -> frozenset[date]:
    import holidays

    country, _, part = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
