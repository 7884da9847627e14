"""What each follow-up rule hangs on just now: the live scopes of a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from workflows.dates import Interval, in_words
from workflows.history import CaseHistory
from workflows.parts import FollowUpRule, Variant
from workflows.records import Line
from workflows.series import Scope
from workflows.view import matches_state


@dataclass(slots=True)
class Clocks:
    """Since when things hold that no event names: a rule's condition, a stay in states, a treatment period."""

    eligible: dict[str, date] = field(default_factory=dict)
    stays: dict[str, date] = field(default_factory=dict)
    treatment: date | None = None

    def advance(self, history: CaseHistory, rules: tuple[FollowUpRule, ...], on: date) -> None:
        """Take notice of what began or ceased to hold with the event of ``on``."""
        for rule in rules:
            if rule.per == "case" and rule.when is not None:
                _keep(self.eligible, rule.id, rule.when.holds(history), on)
            elif rule.per == "stay":
                _keep(self.stays, rule.id, matches_state(rule.states, history.state), on)
        if not history.open_lines:
            self.treatment = None
        elif self.treatment is None:
            self.treatment = on


def _keep(since: dict[str, date], key: str, holds: bool, on: date) -> None:
    if not holds:
        since.pop(key, None)
    else:
        since.setdefault(key, on)


def live_scopes(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[tuple[str, Scope]]:
    """The scopes in which ``rule`` applies now, each with the name of the variant that holds."""
    if rule.satisfied_by and any(history.fact(name) is not None for name in rule.satisfied_by.facts):
        return
    if rule.per != "case" and rule.when is not None and not rule.when.holds(history):
        return
    variant = next((v for v in rule.variants if v.when.holds(history)), None)
    if rule.variants and variant is None:
        return
    for scope in _FINDERS[rule.per](history, clocks, rule):
        yield (variant.id if variant else ""), _with_interval(scope, history, rule, variant)


def _with_interval(scope: Scope, history: CaseHistory, rule: FollowUpRule, variant: Variant | None) -> Scope:
    if scope.due_on is not None or scope.every is not None:
        return scope
    every = variant.every if variant else rule.every
    because = scope.because
    if rule.when is not None:
        because += f" ({rule.when.found(history)})"
    elif variant is not None:
        because += f" ({variant.when.found(history)})"
    interval = every if isinstance(every, Interval) else None
    return replace(scope, every=interval, because=because)


def _case(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    since = clocks.eligible.get(rule.id)
    if since is not None:
        yield Scope(f"since-{since}", since, f"eligible since {in_words(since)}", rule.while_words)


def _stay(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    since = clocks.stays.get(rule.id)
    if since is not None:
        title = history.pathway.state_named[history.state].title
        yield Scope(f"stay-{since}", since, f"entered {in_words(since)}", f"{rule.while_words} ({title})")


def _treatment(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    since = clocks.treatment
    if since is not None:
        lines = " and ".join(_called(history, line) for line in history.open_lines)
        yield Scope(f"treatment-{since}", since, f"treatment began {in_words(since)}", f"{rule.while_words} ({lines})")


def _line(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    for line in history.open_lines:
        if (line.on_hold and not rule.on_hold_too) or (rule.doses and line.doses >= rule.doses):
            continue
        if rule.line is None or rule.line.matches(history.pathway, line.treatment, line.intent):
            every = history.pathway.treatment_named[line.treatment].cycle if rule.every == "cycle" else None
            words = f"{_called(history, line)} started {in_words(line.started_on)}"
            left = rule.doses - line.doses if rule.doses else None
            because = f"{rule.while_words} ({words})"
            # lines begun on one day share one baseline
            key = f"line-{line.number}" if rule.every else f"begun-{line.started_on}"
            yield Scope(key, line.started_on, words, because, every=every, left=left)


def _called(history: CaseHistory, line: Line) -> str:
    label = history.pathway.treatment_named[line.treatment].label
    return f"{label}, line {line.number}{', on hold' if line.on_hold else ''}"


def _hold(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    for line in history.open_lines:
        if line.on_hold:
            hold = line.holds[-1]
            words = f"put on hold {in_words(hold.since)} with review on {in_words(hold.review_on)}"
            because = f"{rule.while_words} ({_called(history, line)}: {hold.reason})"
            yield Scope(f"hold-{line.number}-{hold.since}", hold.since, words, because, due_on=hold.review_on)


def _surveillance(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    if not matches_state(rule.states, history.state):
        return
    curative = [line for line in history.lines if line.intent == "curative"]
    if curative:
        line = curative[-1]
        words = f"{_called(history, line)} on {in_words(line.started_on)}"
        yield Scope(f"surgery-{line.started_on}", line.started_on, words, rule.while_words)


def _plan(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    planned = history.planned
    if planned is not None and matches_state(rule.states, history.state):
        label = history.pathway.treatment_named[planned.treatment].label
        words = f"planned on {in_words(planned.recorded_on)} for {in_words(planned.planned_on)}"
        key = f"plan-{planned.recorded_on}-{planned.planned_on}"
        yield Scope(key, planned.recorded_on, words, f"{rule.while_words} ({label})", due_on=planned.planned_on)


def _procedure(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    booking = history.procedure
    if booking is not None:
        due_on = max(booking.day + timedelta(days=rule.offset_days), booking.booked_on)
        words = f"procedure on {in_words(booking.day)} − {-rule.offset_days} day"
        if due_on > booking.day + timedelta(days=rule.offset_days):
            words += ", not before it was booked"
        key = f"procedure-{booking.booked_on}-{booking.day}"
        because = f"{rule.while_words} (booked on {in_words(booking.booked_on)})"
        yield Scope(key, booking.booked_on, words, because, due_on=due_on)


def _request(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    for activity, asked_on in sorted(set(history.requests.values())):
        words = f"{activity} requested {in_words(asked_on)}"
        key = f"request-{activity}-{asked_on}"
        yield Scope(key, asked_on, words, f"{rule.while_words} ({activity})", activity=activity)


def _after_prrt(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    lines = [line for line in history.lines if "prrt" in history.pathway.treatment_categories(line.treatment)]
    if lines and (not lines[-1].is_open or lines[-1].doses >= _planned_doses(history)):
        given = lines[-1].last_dose_on or lines[-1].started_on
        words = f"last PRRT dose {in_words(given)}"
        yield Scope(f"after-prrt-{given}", given, words, f"{rule.while_words} ({in_words(given)})")


def _planned_doses(history: CaseHistory) -> int:
    return next((rule.doses for rule in history.pathway.follow_ups if rule.doses), 1)


def _nothing(history: CaseHistory, clocks: Clocks, rule: FollowUpRule) -> Iterator[Scope]:
    yield from ()


_FINDERS: dict[str, Callable[[CaseHistory, Clocks, FollowUpRule], Iterator[Scope]]] = {
    "case": _case,
    "stay": _stay,
    "treatment": _treatment,
    "line": _line,
    "hold": _hold,
    "surveillance": _surveillance,
    "plan": _plan,
    "procedure": _procedure,
    "request": _request,
    "after_prrt": _after_prrt,
    "dose": _nothing,
    "none": _nothing,
}
