"""When invented people do what is due: mostly on time, sometimes late, sometimes not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal

from workflows.dates import DueWindow
from workflows.series import FollowUp

Kind = Literal["book", "move", "waive", "call", "reach", "do"]

LATE, WAIVED, MOVED, BOOKED, FORGOTTEN = 0.06, 0.015, 0.03, 0.3, 0.75
"""Shares of items: done late, waived, rescheduled, booked ahead; and, in a neglected case, forgotten."""

_LEFT_TO_THE_STORY = ("mdt-review", "plan-needed")
_BOOKABLE = ("visit", "imaging", "echocardiogram", "sstr-imaging", "hereditary-screen")
_LONG_NEGLECT = timedelta(days=60)
_NEAR = timedelta(days=10)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Step:
    """Something that will be done about an open item; ``day`` is what a booking or a move names."""

    on: date
    kind: Kind
    day: date | None = None


class Habits:
    """How one case is run. Where it is neglected, much of what was late from ``neglected_since`` on is still open."""

    def __init__(self, rng: Random, last_day: date, neglected_since: date | None) -> None:
        self._rng = rng
        self._last_day = last_day
        self._neglected_since = neglected_since

    def steps(self, item: FollowUp, now: date) -> list[Step]:
        """What will be done about an item that is open from ``now`` on, in order; nothing where it is forgotten."""
        if item.activity in _LEFT_TO_THE_STORY or self._forgets(item):
            return []
        roll, may_slip = self._rng.random(), item.reminders != "doses"
        if roll < WAIVED:
            return [Step(working_day(max(now, item.window.due_on)), "waive" if may_slip else "do")]
        if roll < WAIVED + MOVED and may_slip:
            return self._moved(item, now)
        if roll < WAIVED + MOVED + LATE:
            return self._late(item, now)
        return self._on_time(item, now)

    def _forgets(self, item: FollowUp) -> bool:
        since = self._neglected_since
        if since is None or item.window.late_on < since:
            return False
        if item.reminders == "doses" and self._last_day - since > _LONG_NEGLECT:
            return False
        return self._rng.random() < FORGOTTEN

    def _on_time(self, item: FollowUp, now: date) -> list[Step]:
        day = self._day_within(item.window, now)
        booked_on = working_day(max(now, day - self._days(10, 40)))
        booked = item.activity in _BOOKABLE and self._rng.random() < BOOKED and booked_on < day
        return [*([Step(booked_on, "book", day)] if booked else []), Step(day, "do")]

    def _moved(self, item: FollowUp, now: date) -> list[Step]:
        moved_on = working_day(max(now, item.window.due_on - self._days(1, 10)))
        to = working_day(max(moved_on, item.window.due_on) + self._days(10, 28))
        return [Step(moved_on, "move", to), Step(to, "do")]

    def _late(self, item: FollowUp, now: date) -> list[Step]:
        by = self._days(1, 6) if item.reminders == "doses" else self._days(2, self._rng.choice((15, 25, 70)))
        day = working_day(max(now, item.window.late_on) + by)
        called_on = working_day(max(now, item.window.late_on + timedelta(days=1)))
        return [Step(min(called_on, day), "call"), Step(day, "reach"), Step(day, "do")]

    def _day_within(self, window: DueWindow, now: date) -> date:
        first = max(window.opens_on, window.due_on - _NEAR, now)
        last = max(min(window.late_on, window.due_on + 2 * _NEAR), first)
        spread = (last - first).days
        peak = min(max((window.due_on - first).days, 0), spread)
        day = first + timedelta(days=round(self._rng.triangular(0, spread, peak)))
        return min(working_day(day), max(window.late_on, day))

    def _days(self, low: int, high: int) -> timedelta:
        return timedelta(days=self._rng.randint(low, high))


def working_day(day: date) -> date:
    """The day itself, or the Monday after a weekend."""
    return day if day.weekday() < _SATURDAY else day + timedelta(days=7 - day.weekday())
