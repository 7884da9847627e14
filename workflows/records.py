"""What a history remembers: facts, lines with their holds, acts, moves, contacts, warnings met."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from workflows.machine import FoundWarning
from workflows.view import Value


@dataclass(frozen=True, slots=True)
class FactRecorded:
    """A value that a fact took on a date; ``system`` is the staging system it belongs to, if any."""

    name: str
    value: Value | None
    on: date
    event: str
    system: str = ""


@dataclass(slots=True)
class Hold:
    """A pause of a line, with the day on which it is to be reviewed."""

    since: date
    review_on: date
    reason: str
    until: date | None = None


@dataclass(slots=True)
class Line:
    """A line of therapy. ``doses`` counts what was given of a treatment in cycles, the start included."""

    number: int
    treatment: str
    intent: str
    started_on: date
    concurrent: bool = False
    ended_on: date | None = None
    end_reason: str = ""
    holds: list[Hold] = field(default_factory=list)
    doses: int = 1
    last_dose_on: date | None = None

    @property
    def on_hold(self) -> bool:
        return bool(self.holds) and self.holds[-1].until is None

    @property
    def is_open(self) -> bool:
        return self.ended_on is None


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """A treatment that has been planned and not started."""

    treatment: str
    intent: str
    planned_on: date
    recorded_on: date


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done, with every activity it counts as."""

    activity: str
    counts_as: frozenset[str]
    on: date
    event: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A state change that took place."""

    event: str
    on: date
    trigger: str
    source: str
    to: str


@dataclass(frozen=True, slots=True)
class Contact:
    """An attempt to reach the patient."""

    on: date
    channel: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a team meeting decided."""

    on: date
    meeting_on: date
    text: str
    event: str


@dataclass(slots=True)
class Barrier:
    """Something that keeps the patient from care, until it is resolved; ``texts`` are what was said of it."""

    name: str
    since: date
    texts: list[str] = field(default_factory=list)
    resolved_on: date | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning met by a state change, with the reason that was given for going on, if any."""

    event: str
    on: date
    warning: FoundWarning
    reason: str | None


@dataclass(frozen=True, slots=True)
class Booking:
    """A procedure with its day, and when that was agreed."""

    booked_on: date
    day: date
