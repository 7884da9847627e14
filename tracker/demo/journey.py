"""The engine of an invented journey: it records events, and lets time pass while what is due is done.

Each event is applied to the planner as it is made, so that nothing is told which the record would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Any, TypeVar

from tracker.demo import words
from tracker.demo.habits import Habits, Step, working_day
from tracker.demo.people import Person
from tracker.demo.tumours import Tumour
from tracker.interchange.journal import JournalLine
from workflows.events import Event, checked_data
from workflows.history import CaseHistory
from workflows.machine import FoundWarning
from workflows.pathway import Pathway
from workflows.planning import Planner
from workflows.series import FollowUp

T = TypeVar("T")
SNOOZE = timedelta(days=5)

EXPLAINED, EXPLAINED_LATER = 0.88, 0.4
"""Shares of warnings with a reason at once, and of the others with one some time later."""


class TimeIsUp(Exception):
    """The day has come at which the story ends."""


class Journey:
    """One case on its way. ``now`` only moves forward, up to ``until``; ``last_day`` is the last that may be told."""

    def __init__(
        self, pathway: Pathway, person: Person, tumour: Tumour, rng: Random, start: date, last_day: date
    ) -> None:
        self.pathway = pathway
        self.person = person
        self.tumour = tumour
        self.rng = rng
        self.now = start
        self.last_day = self.until = last_day
        self.habits: Habits | None = Habits(rng, last_day, None)
        self.navigator = person.navigator
        self.lines: list[JournalLine] = []
        self._planner = Planner(pathway)
        self._steps: dict[str, tuple[FollowUp, list[Step]]] = {}

    @property
    def history(self) -> CaseHistory:
        return self._planner.history

    @property
    def state(self) -> str:
        return self.history.state

    # Chance --------------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        return self.rng.choice(choices)

    def later(self, low: int, high: int) -> date:
        """A working day about ``low`` to ``high`` days from now."""
        return working_day(self.now + timedelta(days=self.rng.randint(low, high)))

    # Telling -------------------------------------------------------------------------------------------

    def tell(self, kind: str, **data: Any) -> None:
        """Record an event of today."""
        plain = checked_data(self.pathway, kind, data)
        self._planner.apply(Event(str(len(self.lines)), len(self.lines), kind, self.now, plain))
        self._write(kind, data)

    def facts(self, **facts: Any) -> None:
        self.tell("fact:recorded", **facts)

    def move(self, trigger: str, **data: Any) -> None:
        """A change of state, with a reason for most of the warnings that it meets."""
        asked = {"trigger": trigger, **data}
        found = self._warnings(asked)
        given = [warning for warning in found if warning.id in words.REASONS and self.chance(EXPLAINED)]
        if given:
            asked["reasons"] = {warning.id: words.REASONS[warning.id] for warning in given}
        self.tell("state:changed", **asked)
        for warning in found:
            if warning not in given and self.chance(EXPLAINED_LATER):
                self.tell("warning:explained", warning=warning.id, reason=words.EXPLAINED_LATER)

    def _warnings(self, data: dict[str, Any]) -> tuple[FoundWarning, ...]:
        self.history.today, self.history.data = self.now, data
        try:
            return self.history.machine.warnings(self.history, data["trigger"])
        finally:
            self.history.data = {}

    def mistake(self, kind: str, why: str, **data: Any) -> None:
        """An event that is wrong, and its correction: together they change nothing."""
        name = f"{self.person.ref}-{len(self.lines)}"
        self._write(kind, data, name)
        self._write("event:corrected", {"event": name, "reason": why})

    def _write(self, kind: str, data: dict[str, Any], name: str | None = None) -> None:
        self.lines.append(JournalLine(self.person.ref, self.now, kind, data, id=name, by=self.navigator.email))

    # Time ----------------------------------------------------------------------------------------------

    def wait(self, low: int, high: int) -> None:
        """Let days pass; raises TimeIsUp when the story's end is reached."""
        self.live_until(self.later(low, high))

    def live_until(self, day: date) -> None:
        """Do what is due until a day; raises TimeIsUp when the story's end comes before it."""
        while (found := self._next_step()) and found[1].on <= min(day, self.until):
            item, step = found
            self.now = max(self.now, step.on)
            self._steps[item.key][1].pop(0)
            self._take(item, step)
        self.now = max(self.now, min(day, self.until))
        if day > self.until:
            raise TimeIsUp

    def _next_step(self) -> tuple[FollowUp, Step] | None:
        if self.habits is None:
            return None
        found = [(item, steps[0]) for item in self._open_items() if (steps := self._steps_for(item))]
        return min(found, key=lambda pair: (pair[1].on, pair[0].key), default=None)

    def _open_items(self) -> list[FollowUp]:
        series = self._planner.plan().series
        return [s.item for s in series if s.live and s.item is not None and s.item.is_open]

    def _steps_for(self, item: FollowUp) -> list[Step]:
        known = self._steps.get(item.key)
        if known is None or known[0] is not item:
            steps = self.habits.steps(item, self.now) if self.habits else []
            known = self._steps[item.key] = (item, steps)
        return known[1]

    # What is done about an item ------------------------------------------------------------------------

    def _take(self, item: FollowUp, step: Step) -> None:
        about = {"activity": item.activity, "rule": item.rule}
        if step.kind == "book" and step.day:
            self.tell("activity:booked", **about, **{"for": step.day.isoformat()})
        elif step.kind == "move" and step.day:
            self.tell("activity:rescheduled", **about, to=step.day.isoformat(), reason=self.pick(words.MOVE_REASONS))
        elif step.kind == "waive":
            self.tell("activity:waived", **about, reason=self.pick(words.WAIVE_REASONS))
        elif step.kind == "do":
            self.do(self._way_of_doing(item.activity))
        else:
            outcome = "reached" if step.kind == "reach" else self.pick(("no-answer", "call-later"))
            self.tell("contact:attempted", channel="phone", outcome=outcome)
            if outcome == "call-later":
                self.tell(
                    "activity:snoozed", **about, until=(self.now + SNOOZE).isoformat(), reason="to be called again"
                )

    def do(self, activity: str) -> None:
        results = words.RESULTS.get(activity)
        if self.state == "restaging.suspected" and activity in ("ct", "mri", "sstr-imaging"):
            results = words.RESTAGING_RESULTS
        data = {"activity": activity, **({"result": self.pick(results)} if results else {})}
        if activity == "injection":
            data["result"] = "120 mg" if self._is_on("lanreotide") else "30 mg"
        self.tell("activity:done", **data)

    def _is_on(self, treatment: str) -> bool:
        return any(line.treatment == treatment for line in self.history.open_lines)

    def _way_of_doing(self, activity: str) -> str:
        """The test that is done where a rule asks for imaging or markers."""
        if activity == "imaging":
            ways = ("mri", "eus") if self.state == "localized.active_surveillance" else ("ct", "ct", "mri")
            return self.pick(ways)
        if activity == "markers":
            syndrome = self.tumour.syndrome
            hormone = "5-hiaa" if syndrome == "carcinoid" else "syndrome-hormone"
            return "cga" if syndrome == "none" else self.pick(("cga", hormone))
        return activity
