"""One series of follow-ups: its places on the calendar, its open item, and why that item is due.

Occurrence *n* of a series is anchor + *n* x interval, counted from the anchor. Doing an item re-anchors the series
to the date on which it was done; waiving one leaves the anchor and takes the following place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from workflows.dates import DueWindow, Interval, in_words
from workflows.parts import FollowUpRule, Source, Stage
from workflows.records import Act

OPEN = "open"


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is due: the rule, its sources, the facts, the arithmetic, and what would end it."""

    rule: str
    title: str
    because: str
    arithmetic: str
    window: str
    ends_when: str
    note: str
    sources: tuple[str, ...]

    def moved_to(self, window: DueWindow) -> Why:
        """The same, for an item that was rescheduled."""
        moved = f"{self.arithmetic}, moved to {in_words(window.due_on)}"
        return replace(self, arithmetic=moved, window=_window_words(window))

    def sentence(self) -> str:
        """All of it in one line."""
        return (
            f"{self.title}: {self.arithmetic} ({self.window}). Because {self.because}."
            f" Rule {self.rule} [{', '.join(self.sources)}]. Ends when {self.ends_when}."
        )


@dataclass(slots=True)
class FollowUp:
    """One occurrence of a rule for a case.

    ``status`` is ``open``, or how it ended: ``done``, ``waived``, ``superseded`` or ``cancelled``. Whether an
    open one is upcoming, due or overdue follows from its window and a date, and is never stored.
    """

    key: str
    rule: str
    activity: str
    occurrence: int
    anchor_on: date
    window: DueWindow
    why: Why
    created_on: date
    reminders: str
    status: str = OPEN
    ended_on: date | None = None
    ended_by: str = ""
    end_reason: str = ""
    booked_for: date | None = None
    snoozed_until: date | None = None
    moved_from: date | None = None
    handed_over_on: date | None = None

    @property
    def is_open(self) -> bool:
        return self.status == OPEN

    def end(self, status: str, on: date, by: str, reason: str) -> None:
        self.status, self.ended_on, self.ended_by, self.end_reason = status, on, by, reason


@dataclass(frozen=True, slots=True)
class Forecast:
    """A later occurrence, if everything before it is done on its due date."""

    rule: str
    activity: str
    occurrence: int
    anchor_on: date
    window: DueWindow
    why: Why


@dataclass(frozen=True, slots=True)
class Scope:
    """What a series hangs on just now: a stable name, the date it counts from, and both in words.

    ``left`` is how many items there will be from the open one on; None where the series has no end of its own.
    """

    key: str
    base: date
    base_words: str
    because: str
    due_on: date | None = None
    activity: str = ""
    every: Interval | None = None
    left: int | None = None


@dataclass(slots=True)
class Series:
    """The occurrences of one rule in one scope, one open at a time."""

    rule: FollowUpRule
    variant: str
    scope: Scope
    anchor: date
    anchor_words: str
    occurrence: int
    live: bool = True
    finished: bool = False
    item: FollowUp | None = None

    @property
    def activity(self) -> str:
        return self.scope.activity or self.rule.activity

    def met_by(self, act: Act) -> bool:
        """Whether the act is of the kind that this series asks for, whenever it was done."""
        return self.activity in act.counts_as or act.activity in self.rule.done_by

    @property
    def repeats(self) -> bool:
        return self.scope.every is not None

    def place(self, occurrence: int) -> date:
        """The due date of an occurrence, without any rescheduling."""
        if self.scope.due_on is not None:
            return self.scope.due_on
        every = self.scope.every
        if every is None:
            return self.rule.first.after(self.anchor, occurrence) if self.rule.first else self.anchor
        if self.rule.then is not None:
            return self._staged_place(every, self.rule.then, occurrence)
        return every.after(self.anchor, occurrence)

    def _stages(self, every: Interval, stage: Stage, occurrence: int) -> tuple[int, int]:
        """How many of the places up to an occurrence stand at each interval (8 weeks, and 6 months later on)."""
        turn = stage.after.after(self.scope.base)
        first = 0
        while first < occurrence and every.after(self.anchor, first + 1) <= turn:
            first += 1
        return first, occurrence - first

    def _staged_place(self, every: Interval, stage: Stage, occurrence: int) -> date:
        first, later = self._stages(every, stage, occurrence)
        return stage.every.after(every.after(self.anchor, first), later)

    def window(self, due_on: date) -> DueWindow:
        return DueWindow.around(due_on, self.rule.before, self.rule.after)

    def follow_up(self, created_on: date, sources: dict[str, Source]) -> FollowUp:
        """The open item at the series' present occurrence."""
        window = self.window(self.place(self.occurrence))
        return FollowUp(
            key=f"{self.name}@{self.anchor.isoformat()}+{self.occurrence}",
            rule=self.rule.id,
            activity=self.activity,
            occurrence=self.occurrence,
            anchor_on=self.anchor,
            window=window,
            why=self.why(self.occurrence, sources),
            created_on=created_on,
            reminders=self.rule.reminders,
        )

    @property
    def name(self) -> str:
        return series_name(self.rule, self.variant, self.scope)

    def why(self, occurrence: int, sources: dict[str, Source]) -> Why:
        return Why(
            rule=self.rule.id,
            title=self.rule.title,
            because=self.scope.because,
            arithmetic=self._arithmetic(occurrence),
            window=_window_words(self.window(self.place(occurrence))),
            ends_when=self.rule.ends_when,
            note=self.rule.note,
            sources=self.rule.sources,
        )

    def _arithmetic(self, occurrence: int) -> str:
        due = in_words(self.place(occurrence))
        if self.scope.due_on is not None:
            return f"{self.anchor_words} = {due}"
        every = self.scope.every or self.rule.first
        if every is None or occurrence == 0 or every.count == 0:
            return f"{self.anchor_words}, due the same day = {due}"
        if self.rule.then is not None:
            counts = zip(self._stages(every, self.rule.then, occurrence), (every, self.rule.then.every), strict=True)
            sums = " + ".join(f"{count} × {interval}" for count, interval in counts if count)
            return f"{self.anchor_words} + {sums} = {due}"
        return f"{self.anchor_words} + {occurrence} × {every} = {due}"

    def anchor_to(self, day: date, words: str, occurrence: int) -> None:
        """Count from another date, described by ``words``."""
        self.anchor, self.anchor_words, self.occurrence = day, f"{words} {in_words(day)}", occurrence

    def forecast(self, after: date, until: date, sources: dict[str, Source]) -> list[Forecast]:
        """The occurrences behind the open one, due later than ``after`` and up to ``until``."""
        if self.item is None or not self.repeats:
            return []
        found, occurrence = [], self.item.occurrence + 1
        end = None if self.scope.left is None else self.item.occurrence + self.scope.left
        while (due_on := self.place(occurrence)) <= until and occurrence != end:
            if due_on > max(after, self.item.window.due_on):
                why = self.why(occurrence, sources)
                found.append(Forecast(self.rule.id, self.activity, occurrence, self.anchor, self.window(due_on), why))
            occurrence += 1
        return found


def series_name(rule: FollowUpRule, variant: str, scope: Scope) -> str:
    """What tells one series of a case from another."""
    return f"{rule.id}{'/' + variant if variant else ''}:{scope.key}"


def _window_words(window: DueWindow) -> str:
    return f"opens {in_words(window.opens_on)}, late after {in_words(window.late_on)}"
