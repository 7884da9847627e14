"""Small pictures of numbers: bars that are links to what they count. Each has the same numbers as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tracker.overdue import AGES, AHEAD
from workflows.dates import in_words

WIDTH = 320
"""Units of a drawing, which are pixels on a phone."""
_ROW = 28
"""Height of a bar with its room: more than the 24 px that a finger needs."""
_BAR = 14
_NUMBER = 44
"""Room for a number beside its bar."""
_TALL = 112
_FOOT = 20
_WEEK = 7
_LONGEST_LABEL = 25


@dataclass(frozen=True, slots=True)
class Mark:
    """One number: how it is called, and the address of the list behind it."""

    label: str
    number: int
    href: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A mark with its place in the drawing, in units."""

    mark: Mark
    x: float
    y: float
    width: float
    height: float
    label: str

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing of bars, lying or standing. ``what`` is the thing that is counted, for one and for many."""

    id: str
    title: str
    what: tuple[str, str]
    bars: tuple[Bar, ...]
    height: int
    label_width: int = 0

    @property
    def marks(self) -> list[Mark]:
        return [bar.mark for bar in self.bars]

    @property
    def total(self) -> int:
        return sum(bar.mark.number for bar in self.bars)

    def __bool__(self) -> bool:
        return any(bar.mark.number for bar in self.bars)


def lying(id_: str, title: str, what: tuple[str, str], marks: Sequence[Mark], label_width: int) -> Picture:
    """A bar for each mark, one below the other, with its label before and its number after it."""
    most = max((mark.number for mark in marks), default=0) or 1
    room = WIDTH - label_width - _NUMBER
    bars = [
        Bar(
            mark,
            label_width,
            row * _ROW + (_ROW - _BAR) / 2,
            _length(mark.number, most, room),
            _BAR,
            _shortened(mark.label, label_width),
        )
        for row, mark in enumerate(marks)
    ]
    return Picture(id_, title, what, tuple(bars), len(bars) * _ROW, label_width)


def standing(id_: str, title: str, what: tuple[str, str], marks: Sequence[Mark], labels: Sequence[str]) -> Picture:
    """A column for each mark, side by side, with its number above; ``labels`` below may be empty."""
    most = max((mark.number for mark in marks), default=0) or 1
    room = WIDTH / max(len(marks), 1)
    bars = []
    for place, (mark, label) in enumerate(zip(marks, labels, strict=True)):
        height = _length(mark.number, most, _TALL - _FOOT)
        bars.append(Bar(mark, place * room, _TALL - height, room, height, label))
    return Picture(id_, title, what, tuple(bars), _TALL + _FOOT)


def _length(number: int, most: int, room: float) -> float:
    """As long as its share of the longest; what is there at all is seen."""
    return round(max(number / most * room, 2.0), 1) if number else 0.0


def _shortened(label: str, width: int) -> str:
    """A label that fits its room, at some seven units a letter; the whole of it is in the table and said aloud.

    Of an e-mail address the name before the @ is enough to tell colleagues apart.
    """
    letters = min(_LONGEST_LABEL, width // 7)
    label = label.partition("@")[0]
    return label if len(label) <= letters else label[: letters - 1].rstrip() + "…"


# What they are of ------------------------------------------------------------------------------------------


def age_words(first: int, last: int | None) -> str:
    """``8 to 14 days``, ``more than a year``."""
    if last is None:
        return "More than a year"
    return f"{first} to {last} days"


def age_code(first: int, last: int | None) -> str:
    """The same as an address has it."""
    return f"{first}-{last or ''}"


def ages_by_code() -> dict[str, tuple[int, int | None]]:
    """Every age that an address may name."""
    return {age_code(*age): age for age in AGES}


def weeks(due: Counter[date], today: date) -> list[tuple[date, date, int]]:
    """The days that come, week by week from today: first day, last day, how many are due."""
    end = today + timedelta(days=AHEAD - 1)
    starts = [today, *_mondays(today + timedelta(days=1), end)]
    spans = [(start, min(start + timedelta(days=_WEEK - 1 - start.weekday()), end)) for start in starts]
    return [(first, last, sum(n for day, n in due.items() if first <= day <= last)) for first, last in spans]


def _mondays(first: date, last: date) -> Iterable[date]:
    day = first + timedelta(days=-first.weekday() % _WEEK)
    while day <= last:
        yield day
        day += timedelta(days=_WEEK)


def week_words(first: date, last: date) -> str:
    """``9 Mar 2027 to 15 Mar 2027``."""
    return in_words(first) if first == last else f"{in_words(first)} to {in_words(last)}"
