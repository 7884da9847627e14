"""Pictures of one case: the way it has gone, its lines of therapy, its markers over time. Pure geometry.

Each picture has the same as a list or a table beside it; numbers and shapes tell what colours tell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from web import presenters
from workflows.dates import in_words
from workflows.events import Event, effective
from workflows.history import CaseHistory
from workflows.records import FactRecorded, Line

WIDTH = 360
"""Units of a drawing; on a phone about a pixel each."""
_ROW = 26
_LOG_FROM = 20
"""Where the highest value is that many times the lowest, the scale is logarithmic."""
_NO_MARKERS = {"injection", "prrt-cycle", "visit"}
_NUMBER = re.compile(r"\s*([<>≤≥]?)\s*(\d+(?:[.,]\d+)?)\s*([^\d\s,;][^,;]*)")


@dataclass(frozen=True, slots=True)
class Span:
    """From one day to another, as a part of the width."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A date on the axis."""

    x: float
    words: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The days of a drawing from left to right."""

    first: date
    last: date
    left: float = 0
    right: float = WIDTH

    def x(self, day: date) -> float:
        days = max((self.last - self.first).days, 1)
        share = min(max((day - self.first).days / days, 0), 1)
        return round(self.left + share * (self.right - self.left), 1)

    def span(self, first: date, last: date, least: float = 2) -> Span:
        x = self.x(first)
        return Span(x, round(max(self.x(last) - x, least), 1))

    def ticks(self, at_most: int = 5) -> list[Tick]:
        """Beginnings of years, or of months where it is about one year alone."""
        years = [date(year, 1, 1) for year in range(self.first.year + 1, self.last.year + 1)]
        step = max(1, math.ceil(len(years) / at_most))
        if len(years) > 1:
            return [Tick(self.x(day), str(day.year)) for day in years[::step]]
        months = list(_months(self.first, self.last))
        step = max(1, math.ceil(len(months) / at_most))
        return [Tick(self.x(day), f"{in_words(day).split(' ', 1)[1]}") for day in months[::step]]


def _months(first: date, last: date) -> Iterable[date]:
    year, month = first.year, first.month
    while (year, month) < (last.year, last.month):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        yield date(year, month, 1)


# The way so far ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay in a state: numbered, with its place in the drawing."""

    number: int
    title: str
    phase: str
    since: date
    until: date | None
    span: Span

    @property
    def shows_number(self) -> bool:
        return self.span.width >= 12


@dataclass(frozen=True, slots=True)
class Way:
    """The states of a case one after the other."""

    stays: list[Stay]
    ticks: list[Tick]


def way(history: CaseHistory, today: date) -> Way:
    """Where the case has been, from its opening to today (or to its end)."""
    pathway = history.pathway
    first = history.opened.get("state") or pathway.initial
    changes = [(history.opened_on or today, first)]
    changes += [(move.on, move.to) for move in history.moves if move.to != move.source]
    axis = Axis(changes[0][0], max(today, changes[-1][0]))
    stays = []
    for number, (since, state) in enumerate(changes, 1):
        until = changes[number][0] if number < len(changes) else None
        title, phase = presenters.state_label(pathway, state), state.partition(".")[0]
        stays.append(Stay(number, title, phase, since, until, axis.span(since, until or axis.last)))
    return Way(stays, axis.ticks())


# Lines of therapy --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineBar:
    """A line of therapy: its bar, its pauses, and a mark for each dose that was given."""

    number: int
    label: str
    bar: Span
    holds: list[Span]
    doses: list[float]
    open: bool
    y: int


@dataclass(frozen=True, slots=True)
class Therapy:
    """Lines of therapy, one below the other."""

    bars: list[LineBar]
    ticks: list[Tick]
    height: int


def therapy(history: CaseHistory, today: date) -> Therapy | None:
    """Every line with its doses; None where none has started."""
    if not history.lines:
        return None
    axis = Axis(min(line.started_on for line in history.lines), today)
    bars = [_bar(history, axis, line, row) for row, line in enumerate(history.lines)]
    return Therapy(bars, axis.ticks(), len(bars) * _ROW + 22)


def _bar(history: CaseHistory, axis: Axis, line: Line, row: int) -> LineBar:
    end = line.ended_on or axis.last
    return LineBar(
        line.number,
        presenters.treatment_label(history.pathway, line.treatment),
        axis.span(line.started_on, end),
        [axis.span(hold.since, hold.until or axis.last) for hold in line.holds],
        [axis.x(day) for day in doses(history, line)],
        line.is_open,
        row * _ROW,
    )


def doses(history: CaseHistory, line: Line) -> list[date]:
    """The days on which a dose was given: the start, and each injection or cycle while the line ran."""
    categories = history.pathway.treatment_categories(line.treatment)
    given = "prrt-cycle" if "prrt" in categories else "injection" if line.treatment in _INJECTED else ""
    later = [act.on for act in history.acts if act.activity == given and line.started_on < act.on]
    return [line.started_on, *(day for day in later if line.ended_on is None or day <= line.ended_on)] if given else []


_INJECTED = {"lanreotide", "octreotide-lar"}


# Markers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One result: its number, and how it was written."""

    on: date
    number: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading in the drawing."""

    x: float
    y: float
    reading: Reading


@dataclass(frozen=True, slots=True)
class Plot:
    """The readings of one marker in one unit, over time."""

    id: str
    title: str
    unit: str
    readings: list[Reading]
    dots: list[Dot]
    ticks: list[Tick]
    levels: list[tuple[float, str]]
    logarithmic: bool

    @property
    def line(self) -> str:
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def plots(history: CaseHistory, events: Iterable[Event]) -> list[Plot]:
    """A drawing for each marker and unit with several numbers on record, and for each number among the facts."""
    found = _results(history, events) | _numbers(history)
    several = [(name, sorted(readings, key=lambda r: r.on)) for name, readings in found.items() if len(readings) > 1]
    return [_plot(number, *name, readings) for number, (name, readings) in enumerate(several)]


def _results(history: CaseHistory, events: Iterable[Event]) -> dict[tuple[str, str], list[Reading]]:
    found: dict[tuple[str, str], list[Reading]] = {}
    for event in effective(events):
        activity = event.data.get("activity", "")
        match = _NUMBER.match(event.data.get("result") or "") if event.kind == "activity:done" else None
        if match is None or activity in _NO_MARKERS:
            continue
        key = (presenters.activity_label(history.pathway, activity), match[3].strip())
        number = float(match[2].replace(",", "."))
        found.setdefault(key, []).append(Reading(event.on, number, event.data["result"]))
    return found


def _numbers(history: CaseHistory) -> dict[tuple[str, str], list[Reading]]:
    """Facts that are numbers and were recorded more than once."""
    found = {}
    for definition in history.pathway.facts:
        recorded = [f for f in history.facts.get(definition.name, ()) if isinstance(f.value, int | float)]
        if definition.type == "number" and definition.name != "age_at_diagnosis" and len(recorded) > 1:
            found[definition.label, definition.unit] = [_reading(history, fact) for fact in recorded]
    return found


def _reading(history: CaseHistory, fact: FactRecorded) -> Reading:
    value = fact.value if isinstance(fact.value, int | float) else 0
    return Reading(fact.on, float(value), history.pathway.value_label(fact.name, value))


_TOP, _BOTTOM, _LEFT, _RIGHT = 10, 120, 44, WIDTH - 10


def _plot(number: int, title: str, unit: str, readings: Sequence[Reading]) -> Plot:
    values = [reading.number for reading in readings]
    logarithmic = min(values) > 0 and max(values) / min(values) >= _LOG_FROM
    low, high, levels = _levels(min(values), max(values), logarithmic=logarithmic)
    axis = Axis(readings[0].on, readings[-1].on, _LEFT + 8, _RIGHT - 8)

    def y(value: float) -> float:
        share = (_scaled(value, logarithmic) - low) / ((high - low) or 1)
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)

    dots = [Dot(axis.x(reading.on), y(reading.number), reading) for reading in readings]
    marks = [(y(level), f"{level:g}") for level in levels]
    ticks = axis.ticks(3) if readings[0].on != readings[-1].on else []
    return Plot(f"plot-{number}", title, unit, list(readings), dots, ticks, marks, logarithmic)


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _levels(low: float, high: float, *, logarithmic: bool) -> tuple[float, float, list[float]]:
    """The ends of the scale, and the levels that are marked on it."""
    if logarithmic:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return first, last, [10.0**power for power in range(first, last + 1)]
    step = _round_step(high)
    steps = math.ceil(high / step)
    return 0, steps * step, [step * n for n in range(steps + 1)]


def _round_step(high: float) -> float:
    """A step of 1, 2 or 5 times a power of ten, of which two to five make the height."""
    if high <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(high))
    return next(power * part for part in (0.2, 0.5, 1.0, 2.0) if high / (power * part) <= 5)
