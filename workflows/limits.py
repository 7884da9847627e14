"""What a record can hold: text that can be stored and shown anywhere, dates that can be reckoned with, addresses."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from unicodedata import category

from workflows.errors import Refused

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""No patient was born before; behind it there is room for every interval before the calendar itself ends."""

LARGEST_NUMBER = 1e12
"""Far beyond any measurement, and small enough for every database and every calculation."""

LARGEST_ROW = 2**31 - 1
"""The largest number that a row of either database has."""

LONGEST_SNOOZE = 92
"""Days: longer than a quarter, a snooze would be a way of forgetting."""

_LEVELS = 2
"""An event's data holds values, or one object of values (the patient, the reasons)."""

_UNFIT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""What one of the databases, a terminal or XML does not take as text: control characters, halves of characters."""

_WORD = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_WORD}(?:\.{_WORD})*@{_LABEL}(?:\.{_LABEL})*")
"""An address that stands in a mail's header as it is: no comments, quotes, lists, encoded words or route."""


def checked_email(text: str) -> str:
    """The e-mail address; raises ValueError for anything else, and for what a header would read otherwise."""
    if len(text) > 254 or _EMAIL.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is not an e-mail address such as ana@example.org")
    return text


def checked_name(text: str) -> str:
    """The name of a patient; raises ValueError for one that nobody could read, or not as it is kept."""
    if not any(character.isalnum() for character in text):
        raise ValueError(f"{quoted(text)} is not a name: it holds no letter and no digit")
    if any(category(character) in ("Cc", "Cf") for character in text if character not in _JOINERS):
        raise ValueError(f"{quoted(text)} is not a name: it holds a character that cannot be seen")
    return text


_JOINERS = "\u200c\u200d"
"""They cannot be seen either, and belong to how names are written in Persian or Malayalam."""


def checked_day(day: date) -> date:
    """The date; raises ValueError for one that lies outside of what can be reckoned with."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"{day} does not lie between {FIRST_DAY.year} and {LAST_DAY.year}")
    return day


def iso_day(value: Any) -> date:
    """The date that an ISO text gives; raises ValueError, in words, for anything else."""
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{quoted(value)} is not a date such as 2026-03-31") from None
    return checked_day(day)


def iso_time(value: Any) -> datetime:
    """The aware time that an ISO text gives; raises ValueError, in words, for anything else."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{quoted(value)} is not a time such as 2026-03-31T09:00:00+00:00") from None
    if time.tzinfo is None:
        raise ValueError(f"{quoted(value)} lacks its offset from UTC, such as +00:00")
    checked_day(time.date())
    return time


def row_number(text: str) -> int:
    """The number of a row, 0 too, as an address writes it; raises ValueError for any that no row can have."""
    if not is_row_number(text):
        raise ValueError(f"{quoted(text)} is not the number of a row")
    return int(text)


def is_row_number(text: str) -> bool:
    """Whether a row can have this number."""
    return re.fullmatch("[0-9]{1,10}", text) is not None and int(text) <= LARGEST_ROW


def is_fit(text: str) -> bool:
    """Whether a text can be stored and shown wherever the record goes."""
    return _UNFIT.search(text) is None


def refuse_unfit(name: str, value: Any, levels: int = _LEVELS) -> None:
    """Refuse text that cannot be stored, and nesting deeper than any event has."""
    if isinstance(value, str) and not is_fit(value):
        raise Refused(f"{quoted(name)} holds a character that is not text")
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise Refused(f"{quoted(name)} is nested too deeply")
    for part in value:
        refuse_unfit(name, part, levels - 1)
        if isinstance(value, dict):
            refuse_unfit(part, value[part], levels - 1)


def quoted(value: Any) -> str:
    """A refused value as a message names it: short, on one line, in characters that any terminal shows."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"
