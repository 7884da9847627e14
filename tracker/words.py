"""Numbers and spans of time in words, for pages, alarms and commands alike."""

from __future__ import annotations

from datetime import timedelta


def count(number: int, one: str, many: str = "") -> str:
    """``1 warning``, ``2 warnings``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(time: timedelta) -> str:
    """A length of time in the largest unit of which there are two: ``90 minutes``, ``36 hours``, ``3 days``."""
    minutes = int(time.total_seconds() // 60)
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}s"
    return count(minutes, "minute")
