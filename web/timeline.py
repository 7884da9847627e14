"""The events of a case in words, newest first, with what was corrected and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tracker.casebook import CaseFile
from tracker.cases import ON_TWO, merger_of
from tracker.clock import local_date
from web.contacts import channel_label, outcome_label
from web.presenters import (
    activity_label,
    barrier_label,
    intent_label,
    rule_label,
    sentence,
    state_label,
    treatment_label,
)
from web.reminder_rows import TOLD, ReminderRow
from workflows.dates import in_words
from workflows.events import Event, fact_value, facts_in
from workflows.pathway import Pathway
from workflows.records import Moved

Words = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event: what it says, when it was true, who recorded it, and what became of it.

    A reminder that went out has no ``id``: it is no entry of the record, and cannot be struck out.
    """

    id: str
    on: date
    title: str
    detail: str
    recorded_at: datetime | None
    actor: str
    correction: str
    effect: str
    fixed: str = ""
    """Why it cannot be struck out."""


def entries(file: CaseFile) -> list[Entry]:
    """Every event of a case file, newest first; those of one date by the order in which they were recorded."""
    history = file.plan.history
    undone = corrections(file.events)
    effects = dict(history.without_effect)
    tell = _Teller(history.pathway, {move.event: move for move in history.moves}, file.events)
    found = []
    for event in sorted(file.events, key=lambda e: e.order, reverse=True):
        title, detail = tell.words(event)
        by = undone.get(event.id)
        correction = f"Corrected on {in_words(by.on)} by {by.actor}: {by.data['reason']}" if by else ""
        effect = sentence(effects[event.id]) if event.id in effects else ""
        found.append(
            Entry(
                event.id,
                event.on,
                title,
                detail,
                event.recorded_at,
                event.actor,
                correction,
                effect,
                _fixed(file, event),
            )
        )
    return found


def _fixed(file: CaseFile, event: Event) -> str:
    if event.kind == "case:opened":
        return "The opening of a case cannot be corrected away."
    return f"{sentence(ON_TWO)}." if merger_of(file.events, event) else ""


def with_reminders(told: Iterable[Entry], reminders: Iterable[ReminderRow], timezone: str) -> list[Entry]:
    """The same with the reminders that went out among them, one entry for each message, on the clinic's own day."""
    messages: dict[tuple[datetime, str], list[str]] = {}
    for row in reminders:
        if row.at is not None and row.standing == TOLD:
            messages.setdefault((row.at, row.told_to), []).append(f"{row.label}: {row.step.lower()}")
    sent = [
        Entry("", local_date(at, timezone), f"Reminder to {to}", "; ".join(sorted(what)), at, "", "", "")
        for (at, to), what in messages.items()
    ]
    return sorted([*told, *sent], key=lambda entry: entry.on, reverse=True)


def corrections(events: Iterable[Event]) -> dict[str, Event]:
    """Which events no longer count, each with the correction that undid it (a correction can be undone too)."""
    undone: dict[str, Event] = {}
    for event in sorted(events, key=lambda e: e.seq, reverse=True):
        if event.kind == "event:corrected" and event.id not in undone:
            undone.setdefault(str(event.data["event"]), event)
    return undone


class _Teller:
    """Tells events of one case in words of its pathway."""

    def __init__(self, pathway: Pathway, moves: dict[str, Moved], events: list[Event]) -> None:
        self.pathway = pathway
        self.moves = moves
        self.on = {event.id: event.on for event in events}

    def words(self, event: Event) -> Words:
        """A title, and the rest of what the event says."""
        return _TELL[event.kind](self, event, event.data)

    def opened(self, event: Event, data: dict[str, Any]) -> Words:
        state = state_label(self.pathway, data.get("state") or self.pathway.initial)
        who = f", with {data['navigator']}" if data.get("navigator") else ", nobody responsible yet"
        return "Case opened", f"At {data['clinic']}, as {state}{who}"

    def moved(self, event: Event, data: dict[str, Any]) -> Words:
        trigger = self.pathway.trigger_named.get(data["trigger"])
        move = self.moves.get(event.id)
        parts = [self._treatment(data), self._to(move), self._dates(data), self.facts(event)]
        parts += [sentence(data.get("reason", ""))]
        parts += [f"Went on because: {reason}" for reason in (data.get("reasons") or {}).values()]
        return (trigger.title if trigger else data["trigger"]), ". ".join(part for part in parts if part)

    def _to(self, move: Moved | None) -> str:
        if move is None or move.to == move.source:
            return ""
        return f"{state_label(self.pathway, move.source)} → {state_label(self.pathway, move.to)}"

    def _treatment(self, data: dict[str, Any]) -> str:
        if not data.get("treatment"):
            return f"Line {data['line']}" if data.get("line") else ""
        words = treatment_label(self.pathway, data["treatment"])
        intent = f", {intent_label(self.pathway, data['intent']).lower()}" if data.get("intent") else ""
        return f"{words}{intent}{', beside the open line' if data.get('concurrent') else ''}"

    def _dates(self, data: dict[str, Any]) -> str:
        labels = {"planned_on": "planned for", "review_on": "review on"}
        found = [f"{word} {_date(data[name])}" for name, word in labels.items() if data.get(name)]
        return sentence(", ".join(found))

    def facts(self, event: Event) -> str:
        return "; ".join(self._fact(name, value) for name, value in facts_in(event).items())

    def _fact(self, name: str, value: Any) -> str:
        definition = self.pathway.fact_named.get(name)
        if definition is None or value is None:
            return f"{self.pathway.fact_label(name)}: {'not known' if value is None else value}"
        return f"{definition.label}: {self.pathway.value_label(name, fact_value(definition, value))}"

    def recorded(self, event: Event, data: dict[str, Any]) -> Words:
        return "Facts recorded", self.facts(event)

    def done(self, event: Event, data: dict[str, Any]) -> Words:
        completes = f"Completes: {rule_label(self.pathway, data['completes'])}" if data.get("completes") else ""
        told = (data.get("result"), data.get("note"), completes)
        return f"Done: {self._activity(data)}", ". ".join(part for part in told if part)

    def waived(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Waived: {self._activity(data)}", self._of_rule(data, data["reason"])

    def rescheduled(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Moved to {_date(data['to'])}: {self._activity(data)}", self._of_rule(data, data["reason"])

    def booked(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Booked for {_date(data['for'])}: {self._activity(data)}", self._of_rule(data, "")

    def snoozed(self, event: Event, data: dict[str, Any]) -> Words:
        words = self._of_rule(data, data.get("reason", ""))
        return f"No reminder before {_date(data['until'])}: {self._activity(data)}", words

    def requested(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Test requested: {self._activity(data)}", data.get("reason", "")

    def contacted(self, event: Event, data: dict[str, Any]) -> Words:
        channel, outcome = channel_label(data["channel"]), outcome_label(data["outcome"])
        return f"Contact ({channel.lower()}): {outcome.lower()}", data.get("note", "")

    def noted(self, event: Event, data: dict[str, Any]) -> Words:
        return "Note", data["text"]

    def decided(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Decision of the team meeting of {_date(data['meeting_on'])}", data["text"]

    def hindered(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Barrier: {barrier_label(data['barrier']).lower()}", data.get("text", "")

    def unhindered(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Barrier resolved: {barrier_label(data['barrier']).lower()}", data.get("text", "")

    def merged(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Merged into {data['into']}", data["reason"]

    def joined(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Joined by the record {data['case']} of the same patient", data["reason"]

    def explained(self, event: Event, data: dict[str, Any]) -> Words:
        warning = self.pathway.warning_named.get(data["warning"])
        return "Warning explained", f"{warning.text if warning else data['warning']} Reason: {data['reason']}"

    def handed_over(self, event: Event, data: dict[str, Any]) -> Words:
        return f"Handed over to {data['navigator']}", data.get("reason", "")

    def corrected(self, event: Event, data: dict[str, Any]) -> Words:
        on = self.on.get(str(data["event"]))
        return f"Correction of an entry{f' of {in_words(on)}' if on else ''}", data["reason"]

    def _activity(self, data: dict[str, Any]) -> str:
        return activity_label(self.pathway, data["activity"])

    def _of_rule(self, data: dict[str, Any], rest: str) -> str:
        rule = rule_label(self.pathway, data["rule"]) if data.get("rule") else ""
        return ". ".join(part for part in (rule, sentence(rest)) if part)


_TELL: dict[str, Callable[[_Teller, Event, dict[str, Any]], Words]] = {
    "case:opened": _Teller.opened,
    "fact:recorded": _Teller.recorded,
    "state:changed": _Teller.moved,
    "activity:done": _Teller.done,
    "activity:waived": _Teller.waived,
    "activity:rescheduled": _Teller.rescheduled,
    "activity:booked": _Teller.booked,
    "activity:snoozed": _Teller.snoozed,
    "test:requested": _Teller.requested,
    "contact:attempted": _Teller.contacted,
    "note:added": _Teller.noted,
    "decision:recorded": _Teller.decided,
    "barrier:noted": _Teller.hindered,
    "barrier:resolved": _Teller.unhindered,
    "case:merged": _Teller.merged,
    "case:joined": _Teller.joined,
    "warning:explained": _Teller.explained,
    "case:handed_over": _Teller.handed_over,
    "event:corrected": _Teller.corrected,
}


def _date(iso: str) -> str:
    return in_words(date.fromisoformat(iso))
