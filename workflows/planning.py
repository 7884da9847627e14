"""The plan: every follow-up that a history has ever made due, and what is open now.

A pure function of pathway and history; the present date plays no part. Only events change the plan, so nothing
needs planning again because a day has passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from workflows.dates import DueWindow, in_words
from workflows.errors import Refused
from workflows.events import Event, effective
from workflows.history import CaseHistory
from workflows.limits import LAST_DAY
from workflows.parts import FollowUpRule
from workflows.pathway import Pathway
from workflows.records import Act
from workflows.scopes import Clocks, live_scopes
from workflows.series import FollowUp, Forecast, Scope, Series, series_name

QUIET = {
    *("note:added", "contact:attempted", "warning:explained", "case:handed_over", "activity:snoozed"),
    *("decision:recorded", "barrier:noted", "barrier:resolved", "case:joined"),
}
"""Events that change no plan."""


@dataclass(slots=True)
class Plan:
    """What follows from a history: the case folded, and its follow-ups by key."""

    history: CaseHistory
    follow_ups: dict[str, FollowUp]
    series: list[Series] = field(repr=False, default_factory=list)

    @property
    def open_items(self) -> list[FollowUp]:
        """What is open, earliest due first."""
        found = [item for item in self.follow_ups.values() if item.is_open]
        return sorted(found, key=lambda item: (item.window.due_on, item.rule))

    def forecast(self, after: date, until: date) -> list[Forecast]:
        """Later occurrences, if all that is open is done on its due date; by due date."""
        sources = self.history.pathway.source_named
        found = [f for s in self.series if s.item and s.item.is_open for f in s.forecast(after, until, sources)]
        return sorted(found, key=lambda item: (item.window.due_on, item.rule))


class Planner:
    """Plans one case event by event. Events come in the order in which they were true."""

    def __init__(self, pathway: Pathway) -> None:
        self.history = CaseHistory(pathway)
        self.follow_ups: dict[str, FollowUp] = {}
        self._rules = [r for r in pathway.follow_ups if r.per not in ("dose", "none")]
        self._dose_rules = [r for r in pathway.follow_ups if r.per == "dose"]
        self._idle_rules = [r for r in pathway.follow_ups if r.per == "none"]
        self._clocks = Clocks()
        self._series: dict[str, Series] = {}
        self._completed: dict[tuple[str, str], date] = {}
        self._handlers = {
            "activity:waived": self._on_waived,
            "activity:rescheduled": self._on_rescheduled,
            "activity:booked": self._on_booked,
            "activity:snoozed": self._on_snoozed,
            "case:handed_over": self._on_handed_over,
        }

    def plan(self) -> Plan:
        return Plan(self.history, self.follow_ups, list(self._series.values()))

    def apply(self, event: Event) -> None:
        """Take one event; raises :class:`Refused` where the history does not allow it, and changes nothing."""
        known = len(self.history.acts)
        self.history.apply(event)
        for act in self.history.acts[known:]:
            self._on_act(event, act)
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)
        if event.kind not in QUIET:
            self._sync(event)
            self._sync_doses(event)
            self._sync_idle(event)

    @property
    def _open_items(self) -> list[FollowUp]:
        return [s.item for s in self._series.values() if s.live and s.item is not None and s.item.is_open]

    # Series begin, pause and end -----------------------------------------------------------------------

    def _sync(self, event: Event) -> None:
        self._clocks.advance(self.history, self.history.pathway.follow_ups, event.on)
        wanted: dict[str, tuple[FollowUpRule, str, Scope]] = {}
        if self.history.is_open:
            for rule in self._rules:
                for variant, scope in live_scopes(self.history, self._clocks, rule):
                    wanted[series_name(rule, variant, scope)] = (rule, variant, scope)
        self._stop_all(event, {rule.id for rule in self._rules}, wanted)
        for name, (rule, variant, scope) in wanted.items():
            self._keep(event, name, rule, variant, scope)

    def _stop_all(self, event: Event, rules: set[str], wanted: Iterable[str]) -> None:
        keep = set(wanted)
        for name, series in self._series.items():
            if series.live and series.rule.id in rules and name not in keep:
                self._stop(event, series)

    def _stop(self, event: Event, series: Series) -> None:
        series.live = False
        item = series.item
        if item is None or not item.is_open:
            return
        untouched = item.moved_from is None and item.booked_for is None
        if item.created_on == event.on and untouched and item.anchor_on == event.on:
            del self.follow_ups[item.key]
            series.item = None
        elif self.history.is_open:
            item.end("superseded", event.on, event.id, f"no longer: {series.rule.while_words}")
        else:
            title = self.history.pathway.state_named[self.history.state].title
            item.end("cancelled", event.on, event.id, f"case closed: {title.lower()}")

    def _keep(self, event: Event, name: str, rule: FollowUpRule, variant: str, scope: Scope) -> None:
        series = self._series.get(name)
        if series is None:
            self._series[name] = self._begin(event, rule, variant, scope)
        elif series.live:
            self._look_again(series, scope)
        else:
            self._resume(event, series, scope)

    def _look_again(self, series: Series, scope: Scope) -> None:
        """The reason of what is open is told as it is now: another grade of the same rule, another line beside."""
        series.scope = replace(scope, due_on=series.scope.due_on)
        if series.item is not None and series.item.is_open:
            series.item.why = replace(series.item.why, because=scope.because)

    def _begin(self, event: Event, rule: FollowUpRule, variant: str, scope: Scope) -> Series:
        first = 0 if rule.first is not None and rule.first.count == 0 else 1
        series = Series(rule, variant, scope, scope.base, scope.base_words, first)
        if self._is_satisfied(rule, scope):
            series.finished = True
            return series
        self._count_from_last_done(series, event.on)
        if event.kind != "state:changed":
            self._not_before(series, event.on, "in force since")
        self._open(event, series)
        return series

    def _resume(self, event: Event, series: Series, scope: Scope) -> None:
        """A pause made nothing overdue: a place that fell into it is due on the day the series resumes."""
        series.live, series.scope = True, scope
        if series.finished:
            return
        self._count_from_last_done(series, event.on)
        self._not_before(series, event.on, "resumed")
        self._open(event, series)

    def _count_from_last_done(self, series: Series, until: date) -> None:
        """Go on from the last item done in this scope, and from acts since then that fell into a window."""
        if not series.repeats:
            return
        last = self._completed.get((series.activity, series.scope.key))
        if last is not None and last > series.anchor:
            series.anchor_to(last, "last done", 1)
        for act in self.history.acts:
            opens_on = series.window(series.place(series.occurrence)).opens_on
            if series.met_by(act) and max(opens_on, series.anchor) <= act.on <= until:
                series.anchor_to(act.on, "last done", 1)

    def _not_before(self, series: Series, day: date, word: str) -> None:
        place = series.place(series.occurrence)
        if place < day and series.scope.due_on is None:
            reached = f"{in_words(place)} fell before it applied; {word}"
            series.anchor_to(day, reached, 0)

    def _is_satisfied(self, rule: FollowUpRule, scope: Scope) -> bool:
        if rule.satisfied_by is None:
            return False
        last = self.history.last_done(rule.satisfied_by.activities or (rule.activity,))
        within = rule.satisfied_by.within
        return last is not None and (within is None or last >= within.before(scope.base))

    # Items open, and are done, waived, moved -----------------------------------------------------------

    def _open(self, event: Event, series: Series) -> None:
        item = series.follow_up(event.on, self.history.pathway.source_named)
        if item.window.due_on > LAST_DAY:
            raise Refused(f"{item.why.title} would next be due on {in_words(item.window.due_on)}")
        item.key = self._free_key(item.key)
        series.item = self.follow_ups[item.key] = item
        act = self._act_that_completes(series, item)
        if act is not None:
            self._complete(event, series, act)

    def _free_key(self, key: str) -> str:
        """A superseded item comes back under its key; one that was done or waived keeps its key to itself."""
        taken = self.follow_ups.get(key)
        return key if taken is None or taken.status not in ("done", "waived") else self._free_key(f"{key}~")

    def _act_that_completes(self, series: Series, item: FollowUp) -> Act | None:
        """An act that was already on record when the item appeared (history is often learned late)."""
        for act in self.history.acts:
            fresh = act.on > item.anchor_on or (act.on == item.anchor_on and not series.repeats)
            if series.met_by(act) and act.on >= item.window.opens_on and fresh:
                return act
        return None

    def _complete(self, event: Event, series: Series, act: Act) -> None:
        item = series.item
        if item is None:
            return
        item.end("done", act.on, act.event, "")
        self._completed[series.activity, series.scope.key] = act.on
        if not series.repeats or self._doses_given(series):
            series.finished = True
            return
        series.anchor_to(act.on, "last done", 1)
        self._open(event, series)

    def _doses_given(self, series: Series) -> bool:
        if not series.rule.doses:
            return False
        number = int(series.scope.key.removeprefix("line-"))
        return self.history.lines[number - 1].doses >= series.rule.doses

    def _on_act(self, event: Event, act: Act) -> None:
        named = event.data.get("completes")
        met = False
        for series in list(self._series.values()):
            item = series.item
            if not series.live or item is None or not item.is_open:
                continue
            if item.rule == named or (series.met_by(act) and act.on >= item.window.opens_on):
                met = met or item.rule == named
                self._complete(event, series, act)
        if named and not met:
            self.history.without_effect.append((event.id, f"no open item of rule {named} to complete"))

    def _on_waived(self, event: Event) -> None:
        series = self._target(event)
        if series is None or series.item is None:
            return
        series.item.end("waived", event.on, event.id, event.data["reason"])
        if not series.repeats:
            series.finished = True
            return
        series.occurrence += 1
        self._open(event, series)

    def _on_rescheduled(self, event: Event) -> None:
        series = self._target(event)
        if series is None or series.item is None:
            return
        item, to = series.item, date.fromisoformat(event.data["to"])
        if to < item.anchor_on:
            self.history.without_effect.append((event.id, f"{to} is before {item.anchor_on}, from which it counts"))
            return
        item.moved_from = item.moved_from or item.window.due_on
        item.window = series.window(to)
        item.why = series.why(item.occurrence, self.history.pathway.source_named).moved_to(item.window)

    def _on_booked(self, event: Event) -> None:
        series = self._target(event)
        if series is not None and series.item is not None:
            series.item.booked_for = date.fromisoformat(event.data["for"])

    def _on_snoozed(self, event: Event) -> None:
        series = self._target(event)
        if series is not None and series.item is not None:
            series.item.snoozed_until = date.fromisoformat(event.data["until"])

    def _on_handed_over(self, event: Event) -> None:
        if event.data.get("tell"):
            for item in self._open_items:
                item.handed_over_on = event.on

    def _target(self, event: Event) -> Series | None:
        """The item that is meant: of the rule named, or the one of the activity that is due first."""
        activity, rule = event.data["activity"], event.data.get("rule")
        if activity == "procedure":  # no item of ours but a booking, which the history keeps
            return None
        wanted = self.history.pathway.activities_of(activity)
        open_series = [s for s in self._series.values() if s.live and s.item is not None and s.item.is_open]
        fitting = [s for s in open_series if s.activity in wanted and rule in (None, s.rule.id)]
        if not fitting:
            of_rule = f" of rule {rule}" if rule else ""
            self.history.without_effect.append((event.id, f"no open {activity}{of_rule} on {event.on}"))
            return None
        return min(fitting, key=lambda s: (s.item.window.due_on if s.item else date.max, s.rule.id))

    # What hangs on other items -------------------------------------------------------------------------

    def _sync_doses(self, event: Event) -> None:
        """Items before each dose follow the open dose: they move with it and end with it."""
        for rule in self._dose_rules:
            parents = [s for s in self._series.values() if s.live and s.rule.id == rule.follows and s.item]
            wanted = {}
            for parent in parents:
                if parent.item is not None and parent.item.is_open:
                    scope = _before_dose(rule, parent.item)
                    wanted[series_name(rule, "", scope)] = scope
            self._stop_all(event, {rule.id}, wanted)
            for name, scope in wanted.items():
                self._keep(event, name, rule, "", scope)
                self._follow(self._series[name], scope)

    def _follow(self, series: Series, scope: Scope) -> None:
        item = series.item
        if item is not None and item.is_open and scope.due_on and scope.due_on != series.scope.due_on:
            series.scope = scope
            item.window, item.moved_from = series.window(scope.due_on), None
            item.why = series.why(item.occurrence, self.history.pathway.source_named)

    def _sync_idle(self, event: Event) -> None:
        """Nobody falls through: an open case with nothing else open needs a plan, from this day on."""
        for rule in self._idle_rules:
            others = [item for item in self._open_items if item.rule != rule.id]
            standing = [s for s in self._series.values() if s.live and s.rule.id == rule.id and not s.finished]
            if others or not self.history.is_open:
                for series in standing:
                    self._stop(event, series)
            elif not standing:
                self._raise_idle(event, rule)

    def _raise_idle(self, event: Event, rule: FollowUpRule) -> None:
        state = self.history.pathway.state_named[self.history.state].title
        taken = sum(1 for s in self._series.values() if s.rule.id == rule.id and s.scope.base == event.on)
        words = f"nothing else open since {in_words(event.on)}"
        scope = Scope(f"idle-{event.on}-{taken}", event.on, words, f"{rule.while_words} ({state})")
        series = Series(rule, "", scope, event.on, words, taken)
        self._series[series.name] = series
        item = series.follow_up(event.on, self.history.pathway.source_named)
        series.item = self.follow_ups[item.key] = item


def _before_dose(rule: FollowUpRule, dose: FollowUp) -> Scope:
    due_on = DueWindow.around(dose.window.due_on, -rule.offset_days, 0).opens_on
    words = f"dose due {in_words(dose.window.due_on)} − {-rule.offset_days} days"
    if due_on < dose.created_on:
        words += f", not before {in_words(dose.created_on)}"
    because = f"{rule.while_words} ({in_words(dose.window.due_on)})"
    return Scope(f"before-{dose.key}", dose.anchor_on, words, because, due_on=max(due_on, dose.created_on))


def plan(pathway: Pathway, events: Iterable[Event]) -> Plan:
    """The plan of one case; raises :class:`Refused` at the first event that its history does not allow."""
    planner = Planner(pathway)
    for event in effective(events):
        planner.apply(event)
    return planner.plan()


def plan_after(pathway: Pathway, events: Iterable[Event], new: Event) -> Plan:
    """The plan with one more event, refused if it is impossible, has no effect, or makes later ones impossible."""
    events = [*events, new]
    planner = Planner(pathway)
    for event in effective(events):
        try:
            planner.apply(event)
        except Refused as refusal:
            if event.id == new.id:
                raise
            later = f"{event.kind} of {in_words(event.on)} would no longer be possible"
            raise Refused(*(f"{later}: {reason}" for reason in refusal.reasons)) from refusal
    ineffective = dict(planner.history.without_effect)
    if new.id in ineffective:
        raise Refused(ineffective[new.id])
    return planner.plan()
