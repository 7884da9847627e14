"""Pictures of one case: the way it has gone and its lines of therapy. Pure geometry; markers are drawn elsewhere.

Each picture has the same as a list or a table beside it; numbers and shapes tell what colours tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from web import presenters
from workflows.dates import in_words
from workflows.events import Event
from workflows.history import CaseHistory
from workflows.records import Act, Line

WIDTH = 360
"""Units of a drawing; on a phone about a pixel each."""
_ROW = 26


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
    given = _given(history, line)
    return [line.started_on, *(act.on for act in _later(history, line, given))] if given else []


def _given(history: CaseHistory, line: Line) -> str:
    """The activity that is a dose of a line; blank where doses are not told one by one."""
    if "prrt" in history.pathway.treatment_categories(line.treatment):
        return "prrt-cycle"
    return "injection" if line.treatment in _INJECTED else ""


def _later(history: CaseHistory, line: Line, given: str) -> list[Act]:
    """The doses after the one with which a line began."""
    found = (act for act in history.acts if act.activity == given and line.started_on < act.on)
    return [act for act in found if line.ended_on is None or act.on <= line.ended_on]


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose that was given: when, and how it was recorded, such as ``120 mg``; blank where only the day is known."""

    on: date
    amount: str


def dose_list(history: CaseHistory, events: Iterable[Event]) -> dict[int, list[Dose]]:
    """Every dose of the lines whose doses are told one by one, the latest first, by the number of the line."""
    told = {event.id: str(event.data.get("result") or "") for event in events if event.kind == "activity:done"}
    found = {}
    for line in history.lines:
        if given := _given(history, line):
            later = [Dose(act.on, told.get(act.event, "")) for act in _later(history, line, given)]
            found[line.number] = [*reversed(later), Dose(line.started_on, "")]
    return found


_INJECTED = {"lanreotide", "octreotide-lar"}
