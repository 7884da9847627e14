"""Markers over time as drawings, one for each marker and unit, and in words what cannot be drawn.

Units that are the same by definition are one (1 ng/mL is 1 µg/L); all others are drawn apart, because what a value of
one assay is in the unit of another depends on both.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from web import presenters
from web.charts import WIDTH, Axis, Tick
from web.numerals import number
from workflows.events import Event, effective
from workflows.history import CaseHistory
from workflows.limits import LARGEST_NUMBER
from workflows.records import FactRecorded

_LOG_FROM = 20
"""Where the highest value is that many times the lowest, the scale is logarithmic."""
_SMALLEST = 1 / LARGEST_NUMBER
"""Far below any measurement; what is smaller still has no step that a scale could be divided into."""
_NO_MARKERS = {"injection", "prrt-cycle", "visit"}
_NUMBER = re.compile(r"\s*([<>≤≥]?)\s*(\d+(?:[.,]\d+)?)\s*([^\d\s,;][^,;]*)")
_SAME_UNIT = {"ng/ml": "µg/L", "µg/l": "µg/L", "mcg/l": "µg/L", "pg/ml": "ng/L", "ng/l": "ng/L"}
_ALSO = {"µg/L": "1 ng/mL is 1 µg/L", "ng/L": "1 pg/mL is 1 ng/L"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One result: its number, and how it was written. ``bound``: the value is beyond what could be measured."""

    on: date
    number: float
    text: str
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading in the drawing."""

    x: float
    y: float
    reading: Reading


@dataclass(frozen=True, slots=True)
class Plot:
    """The readings of one marker in one unit, over time. ``hint`` says what has to be known about the unit."""

    id: str
    title: str
    unit: str
    readings: list[Reading]
    dots: list[Dot]
    ticks: list[Tick]
    levels: list[tuple[float, str]]
    logarithmic: bool
    hint: str = ""

    @property
    def line(self) -> str:
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)

    @property
    def has_bounds(self) -> bool:
        return any(reading.bound for reading in self.readings)


@dataclass(frozen=True, slots=True)
class Loose:
    """A result of a marker that no drawing shows, and why not."""

    title: str
    on: date
    text: str
    why: str


_Name = tuple[str, str]
"""A marker and its unit."""


def plots(history: CaseHistory, events: Iterable[Event]) -> list[Plot]:
    """A drawing for each marker and unit with several numbers on record, and for each number among the facts."""
    found = _results(history, events) | _numbers(history)
    several = {name: sorted(readings, key=lambda r: r.on) for name, readings in found.items() if len(readings) > 1}
    units = Counter(title for title, _ in found)
    return [
        _plot(n, *name, readings, _hint(name, readings, apart=units[name[0]] > 1))
        for n, (name, readings) in enumerate(several.items())
    ]


def _hint(name: _Name, readings: Iterable[Reading], *, apart: bool) -> str:
    title, unit = name
    written = {_unit_as_written(reading.text) for reading in readings} - {""}
    told = [_ALSO[unit]] if unit in _ALSO and len(written) > 1 else []
    if apart:
        told.append(f"{title} in other units is not drawn here: only the laboratory can say how they compare")
    return ". ".join(told) + "." if told else ""


def _unit_as_written(text: str) -> str:
    match = _NUMBER.match(text)
    return match[3].strip().lower() if match else ""


def loose(history: CaseHistory, events: Iterable[Event]) -> list[Loose]:
    """Results of markers that no drawing shows: a single one in its unit, or one without a number and a unit."""
    told = list(events)
    single = [
        Loose(title, readings[0].on, readings[0].text, f"the only one in {unit}")
        for (title, unit), readings in _results(history, told).items()
        if len(readings) == 1
    ]
    unread = [
        Loose(_title(history, event), event.on, event.data["result"], why)
        for event in _done(told)
        if _is_marker(history, event.data["activity"]) and (why := _unread(event.data["result"]))
    ]
    return sorted([*single, *unread], key=lambda one: (one.title, one.on))


def _unread(result: str) -> str:
    match = _NUMBER.match(result)
    return _unsure(match) if match else "no number with a unit"


def _is_marker(history: CaseHistory, activity: str) -> bool:
    found = history.pathway.activity_named.get(activity)
    return activity == "markers" or (found is not None and "markers" in found.counts_as)


def _done(events: Iterable[Event]) -> Iterator[Event]:
    """What was done with a result."""
    return (e for e in effective(events) if e.kind == "activity:done" and e.data.get("result"))


def _title(history: CaseHistory, event: Event) -> str:
    return presenters.activity_label(history.pathway, event.data["activity"])


def _results(history: CaseHistory, events: Iterable[Event]) -> dict[_Name, list[Reading]]:
    found: dict[_Name, list[Reading]] = {}
    for event in _done(events):
        match = _NUMBER.match(event.data["result"])
        if match is None or _unsure(match) or event.data["activity"] in _NO_MARKERS:
            continue
        reading = Reading(event.on, number(match[2]), event.data["result"], bound=bool(match[1]))
        found.setdefault((_title(history, event), unit(match[3])), []).append(reading)
    return found


def _unsure(match: re.Match[str]) -> str:
    """Why the number that was written is not drawn; blank: it is. A drawing does not guess."""
    try:
        found = number(match[2])
    except ValueError as error:
        return str(error).removesuffix(": write which")
    return "" if _can_be_drawn(found) else "too large or too small to draw"


def _can_be_drawn(value: float) -> bool:
    """Whether a scale can be made for a number; one that is typed can be of any length, and no measurement is."""
    return value == 0 or _SMALLEST <= abs(value) <= LARGEST_NUMBER


def unit(written: str) -> str:
    """A unit as it is shown, however its micro sign or its letters were typed: ``μg/l`` and ``ng/mL`` are µg/L."""
    plain = re.sub(r"\s+", " ", written.strip()).replace("μ", "µ")
    plain = re.sub(r"^u(?=g|mol)", "µ", plain)
    return _SAME_UNIT.get(plain.lower(), plain)


def _numbers(history: CaseHistory) -> dict[_Name, list[Reading]]:
    """Facts that are numbers and were recorded more than once."""
    found = {}
    for definition in history.pathway.facts:
        told = history.facts.get(definition.name, ())
        recorded = [f for f in told if isinstance(f.value, int | float) and _can_be_drawn(f.value)]
        if definition.type == "number" and definition.name != "age_at_diagnosis" and len(recorded) > 1:
            found[definition.label, definition.unit] = [_reading(history, fact) for fact in recorded]
    return found


def _reading(history: CaseHistory, fact: FactRecorded) -> Reading:
    value = fact.value if isinstance(fact.value, int | float) else 0
    return Reading(fact.on, float(value), history.pathway.value_label(fact.name, value))


# Drawing -----------------------------------------------------------------------------------------------------

_TOP, _BOTTOM, _LEFT, _RIGHT = 10, 120, 44, WIDTH - 10


def _plot(n: int, title: str, unit: str, readings: Sequence[Reading], hint: str) -> Plot:
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
    return Plot(f"plot-{n}", title, unit, list(readings), dots, ticks, marks, logarithmic, hint)


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
