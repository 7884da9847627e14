"""What an address may say after its question mark; anything else is answered 400, in words."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from flask import abort, request

from tracker.clock import zone_of
from workflows.limits import iso_day, iso_time, row_number


def text(name: str) -> str | None:
    """An argument without blanks around it; None where it is missing or empty."""
    given = (request.args.get(name) or "").strip()
    return given or None


def day(name: str) -> date | None:
    """A calendar date."""
    given = text(name)
    if given is None:
        return None
    try:
        return iso_day(given)
    except ValueError:
        abort(400, f"“{name}” must be a date such as 2026-03-01, from 1900 to 2199.")


def moment(name: str, timezone: str) -> datetime | None:
    """An aware time; a date alone means the end of that day in the clinic's zone."""
    given = text(name)
    if given is None:
        return None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", given):
        end = datetime.combine(day(name) or date.min, time.max)
        return end.replace(tzinfo=zone_of(timezone))
    try:
        return iso_time(given.replace(" ", "+"))  # an unquoted + arrives as a blank
    except ValueError:
        abort(400, f"“{name}” must be a date, or a time with its offset such as 2026-03-01T09:00:00+00:00.")


def number(name: str) -> int | None:
    """The number of a row; 0 is one too."""
    given = text(name)
    if given is None:
        return None
    try:
        return row_number(given)
    except ValueError:
        abort(400, f"“{name}” must be a number.")


def one_of(name: str, known: list[str]) -> str | None:
    """One of the words that are known."""
    given = text(name)
    if given is not None and given not in known:
        abort(400, f"“{name}” names nothing that is known here.")
    return given


def place(name: str) -> tuple[date, int] | None:
    """Where a long list goes on, as :func:`place_text` wrote it."""
    given = text(name)
    if given is None:
        return None
    day, _, row = given.partition(".")
    try:
        return date.fromisoformat(day), row_number(row)
    except ValueError:
        abort(400, _LOST_PLACE)


def place_text(after: tuple[date, int] | None) -> str | None:
    """The place of a long list as an address carries it."""
    return f"{after[0].isoformat()}.{after[1]}" if after else None


_LOST_PLACE = "The place in the list is not in the expected form. Start again from the top of the list."
