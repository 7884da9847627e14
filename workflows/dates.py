"""Calendar arithmetic on local clinical dates.

All dates are plain ``datetime.date`` values in the clinic's own time zone. A week is 7 days. A month is a
calendar month, clamped to the month's last day: 30 November + 3 months is 28 (or 29) February.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from dateutil.relativedelta import relativedelta
from pydantic import BeforeValidator, PlainSerializer

_INTERVAL = re.compile(r"^(-?\d+) (day|week|month|year)s?$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Interval:
    """A length of calendar time: ``count`` whole days, weeks, months or years."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``"3 months"``, ``"28 days"`` or ``"1 month"``; raises ValueError for anything else."""
        match = _INTERVAL.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not an interval; write for example '28 days' or '3 months'")
        return cls(int(match[1]), match[2])

    def after(self, anchor: date, times: int = 1) -> date:
        """The date ``times`` intervals after ``anchor``, counted from the anchor (never step by step)."""
        total = self.count * times
        if self.unit == "month":
            return anchor + relativedelta(months=total)
        if self.unit == "year":
            return anchor + relativedelta(years=total)
        return anchor + timedelta(days=total * (7 if self.unit == "week" else 1))

    def before(self, anchor: date) -> date:
        """The date one interval before ``anchor``."""
        return self.after(anchor, -1)

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'' if abs(self.count) == 1 else 's'}"


def _to_interval(value: Any) -> Any:
    return Interval.parse(value) if isinstance(value, str) else value


IntervalField = Annotated[Interval, BeforeValidator(_to_interval), PlainSerializer(str, return_type=str)]
"""An :class:`Interval` that a pathway document writes as text."""


@dataclass(frozen=True, slots=True)
class DueWindow:
    """When a follow-up opens, is due, and is late; all three are local clinical dates, each included."""

    opens_on: date
    due_on: date
    late_on: date

    @classmethod
    def around(cls, due_on: date, before_days: int, after_days: int) -> DueWindow:
        return cls(due_on - timedelta(days=before_days), due_on, due_on + timedelta(days=after_days))

    def status_on(self, day: date) -> str:
        """``upcoming`` before it opens, ``due`` from opens through late, ``overdue`` from the day after."""
        if day < self.opens_on:
            return "upcoming"
        return "due" if day <= self.late_on else "overdue"


def in_words(day: date) -> str:
    """``2027-03-12`` as ``12 Mar 2027``: the one way in which this product writes a date in a sentence."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def listed(words: list[str] | tuple[str, ...], last: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
