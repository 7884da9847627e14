"""A case folded from its events: state, facts, lines, contacts, warnings, as of any date.

:class:`CaseHistory` is the one place in which a case's state changes. It takes events in the order in which
they were true and refuses one that is not possible there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from workflows.dates import in_words
from workflows.derive import DERIVATIONS
from workflows.errors import Refused
from workflows.events import Event, effective, fact_value, facts_in
from workflows.limits import LONGEST_SNOOZE
from workflows.machine import Choice, FoundWarning, StateChange, machine_of
from workflows.parts import MERGED
from workflows.pathway import Pathway
from workflows.records import (
    Act,
    Barrier,
    Booking,
    Contact,
    Decision,
    FactRecorded,
    Hold,
    Line,
    Moved,
    PlannedLine,
    Warned,
)
from workflows.view import Value

STARTED = "treatment-start"
"""The act of starting what was planned: it settles the planned start."""

_RESTLESS = ("therapy.scheduled", "therapy.active", "therapy.on_hold")


class CaseHistory:
    """One case, event by event. It is also the view that conditions look at."""

    def __init__(self, pathway: Pathway) -> None:
        self.pathway = pathway
        self.catalogue = pathway
        self.machine = machine_of(pathway)
        self.state = ""
        self.since: date = date.min
        self.origin: str | None = None
        self.today: date = date.min
        self.data: dict[str, Any] = {}
        self.opened: dict[str, Any] = {}
        self.opened_on: date | None = None
        self.navigator: str | None = None
        self.facts: dict[str, list[FactRecorded]] = {}
        self.lines: list[Line] = []
        self.planned: PlannedLine | None = None
        self.procedure: Booking | None = None
        self.requests: dict[str, tuple[str, date]] = {}
        self.acts: list[Act] = []
        self.moves: list[Moved] = []
        self.contacts: list[Contact] = []
        self.decisions: list[Decision] = []
        self.barriers: list[Barrier] = []
        self.merged_into = ""
        self.joined: list[str] = []
        self.warned: list[Warned] = []
        self.explained: dict[str, str] = {}
        self.without_effect: list[tuple[str, str]] = []
        self._trigger = ""
        self._death_seq: int | None = None
        self._values: dict[str, Value | None] = {}

    # What conditions ask -------------------------------------------------------------------------------

    def fact(self, name: str) -> Value | None:
        """The value that a recorded or derived fact has now; None while it is unknown."""
        if name not in self._values:
            definition = self.pathway.fact_named.get(name)
            if definition is not None and definition.derived is not None:
                self._values[name] = DERIVATIONS[definition.derived.by](definition.derived, self.fact)
            else:
                recorded = self.facts.get(name)
                self._values[name] = recorded[-1].value if recorded else None
        return self._values[name]

    def ever(self, name: str) -> Sequence[Value]:
        return [f.value for f in self.facts.get(name, ()) if f.value is not None]

    def last_done(self, activities: Sequence[str]) -> date | None:
        wanted = set(activities)
        return max((act.on for act in self.acts if wanted & act.counts_as), default=None)

    def contact_attempts(self) -> Sequence[str]:
        """The channels of the attempts since the patient was last reached."""
        channels: list[str] = []
        for contact in self.contacts:
            channels = [] if contact.outcome in ("reached", "agreed") else [*channels, contact.channel]
        return channels

    @property
    def open_lines(self) -> list[Line]:
        return [line for line in self.lines if line.is_open]

    def line_meant(self) -> Line | None:
        """The open line that the trigger is about: named by number or treatment, or the only one that fits."""
        if self._trigger == "begin_surveillance":
            curative = [line for line in self.lines if line.intent == "curative"] or self.lines
            return curative[-1] if curative else None
        fitting = self._fitting_lines()
        named = self.data.get("line")
        if named is not None:
            fitting = [line for line in fitting if str(named) in (str(line.number), line.treatment)]
        return fitting[0] if len(fitting) == 1 else None

    def _fitting_lines(self) -> list[Line]:
        lines = self.open_lines
        if self._trigger in ("hold_line", "resume_line"):
            return [line for line in lines if line.on_hold is (self._trigger == "resume_line")]
        return lines

    # What the case is ----------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return self.state.partition(".")[0]

    @property
    def died_on(self) -> date | None:
        """The day of the death, where it is recorded."""
        return self.since if self.state == "closed.deceased" else None

    @property
    def is_open(self) -> bool:
        return bool(self.state) and self.phase != "closed"

    def known_facts(self) -> dict[str, Value]:
        """Every fact that is known now, derived ones included, by name."""
        names = [definition.name for definition in self.pathway.facts]
        return {name: value for name in names if (value := self.fact(name)) is not None}

    def standing_warnings(self) -> tuple[FoundWarning, ...]:
        """Warnings on the case as it stands."""
        return self.machine.warnings(self, "facts") if self.is_open else ()

    def unexplained(self) -> list[FoundWarning]:
        """Warnings that nobody has given a reason for."""
        met = [w.warning for w in self.warned if w.reason is None]
        found = {w.id: w for w in (*met, *self.standing_warnings()) if w.id not in self.explained}
        return list(found.values())

    def choices(self, on: date) -> list[Choice]:
        """The triggers that leave the state in which the case stands, judged on a day."""
        self.today = on
        found = []
        for trigger in self.machine.triggers_from(self.state):
            self._trigger = trigger
            choice = self.machine.choice(self, trigger)
            if choice is not None:
                found.append(choice)
        self._trigger = ""
        return found

    # Folding -------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> StateChange | None:
        """Take one event; raises :class:`Refused` where it is not possible, and then changes nothing."""
        if event.kind == "case:opened":
            self._open(event)
            return None
        if self.opened_on is None:
            raise Refused("the case has not been opened")
        if event.on < self.opened_on:
            raise Refused(f"{in_words(event.on)} is before the case opened on {in_words(self.opened_on)}")
        self.today = event.on
        change = None
        if event.kind == "state:changed":
            change = self._move(event)
        else:
            handler = getattr(self, "_on_" + event.kind.replace(":", "_"), None)
            if handler is not None:
                handler(event)
        return change

    def _open(self, event: Event) -> None:
        if self.opened_on is not None:
            raise Refused("the case is already open")
        self.today = self.since = self.opened_on = event.on
        self.opened = event.data
        self.navigator = event.data.get("navigator")
        self.state = event.data.get("state") or self.pathway.initial

    def _move(self, event: Event) -> StateChange | None:
        if self._death_seq is not None and event.seq < self._death_seq:
            self.without_effect.append((event.id, "recorded before it was known that the patient had died"))
            return None
        if self.merged_into:
            raise Refused(f"this record was merged into {self.merged_into}")
        recorded = facts_in(event)
        self._record(event, recorded)
        self.data, self._trigger = event.data, event.data["trigger"]
        try:
            self._check_dates(event)
            change = self.machine.advance(self, self._trigger)
        except Refused:
            self._unrecord(recorded)
            raise
        else:
            self._take(event, change)
            return change
        finally:
            self.data, self._trigger = {}, ""

    def _check_dates(self, event: Event) -> None:
        for name in ("review_on", "planned_on"):
            day = event.data.get(name)
            if day and date.fromisoformat(day) < event.on:
                raise Refused(f"{name} {day} is before the day on which it was agreed, {event.on}")

    def _take(self, event: Event, change: StateChange) -> None:
        reasons = event.data.get("reasons") or {}
        self.warned.extend(Warned(event.id, event.on, w, reasons.get(w.id)) for w in change.warnings)
        for effect in change.trigger.effects:
            getattr(self, "_effect_" + effect)(event, change)
        self.moves.append(Moved(event.id, event.on, change.trigger.id, change.source, change.to))
        if change.to != change.source:
            self.since = event.on
        self.state = change.to
        if change.to == "closed.deceased":
            self._death_seq = event.seq
        if change.to not in ("therapy.scheduled", "restaging.suspected"):
            self._drop_planned()

    def _drop_planned(self) -> None:
        """A plan ends where the case goes another way; a procedure booked apart from it stays booked."""
        if not self.is_open or (self.planned is not None and self._is_procedure(self.planned.treatment)):
            self.procedure = None
        self.planned = None

    def _effect_plan_line(self, event: Event, change: StateChange) -> None:
        day = date.fromisoformat(event.data["planned_on"])
        self.planned = PlannedLine(event.data["treatment"], event.data["intent"], day, event.on)
        if self._is_procedure(event.data["treatment"]):
            self.procedure = Booking(event.on, day)

    def _effect_start_line(self, event: Event, change: StateChange) -> None:
        data = event.data
        line = Line(len(self.lines) + 1, data["treatment"], data["intent"], event.on, bool(data.get("concurrent")))
        line.last_dose_on = event.on
        self.lines.append(line)
        if self.planned is not None:
            self.acts.append(Act(STARTED, frozenset({STARTED}), event.on, event.id))
        if self._is_procedure(line.treatment):
            self.procedure = None

    def _effect_hold_line(self, event: Event, change: StateChange) -> None:
        line = self._line()
        line.holds.append(Hold(event.on, date.fromisoformat(event.data["review_on"]), event.data["reason"]))

    def _effect_resume_line(self, event: Event, change: StateChange) -> None:
        self._line().holds[-1].until = event.on

    def _effect_end_line(self, event: Event, change: StateChange) -> None:
        _end(self._line(), event.on, event.data["reason"])

    def _effect_end_lines(self, event: Event, change: StateChange) -> None:
        for line in self.open_lines:
            _end(line, event.on, change.trigger.end_reason)

    def _effect_close(self, event: Event, change: StateChange) -> None:
        for line in self.open_lines:
            _end(line, event.on, "closed")

    def _effect_remember(self, event: Event, change: StateChange) -> None:
        if change.source.startswith("closed."):
            self.origin = self._last_resting_state()
        elif change.source != "restaging.suspected":
            self.origin = change.source

    def _last_resting_state(self) -> str:
        """Where a returning case stood last without a treatment under way; its lines ended when it closed."""
        visited = [self.opened.get("state") or self.pathway.initial, *(move.to for move in self.moves)]
        resting = [s for s in visited if s not in _RESTLESS and not s.startswith(("closed.", "restaging."))]
        return resting[-1]

    def _line(self) -> Line:
        line = self.line_meant()
        if line is None:
            raise Refused("which line is meant is not clear")
        return line

    def _is_procedure(self, treatment: str) -> bool:
        return "procedure" in self.pathway.treatment_categories(treatment)

    def _record(self, event: Event, facts: dict[str, Any]) -> None:
        recorded = [self._fact_recorded(event, facts, name) for name in facts]
        for fact in recorded:
            self.facts.setdefault(fact.name, []).append(fact)
        if recorded:
            self._values.clear()

    def _fact_recorded(self, event: Event, facts: dict[str, Any], name: str) -> FactRecorded:
        definition = self.pathway.fact_named[name]
        value = None if facts[name] is None else fact_value(definition, facts[name])
        if isinstance(value, date) and value > event.on:
            raise Refused(f"{name} {value} is after {event.on}, the day on which it was recorded as true")
        system = str(facts.get(definition.qualified_by) or "")
        return FactRecorded(name, value, event.on, event.id, system)

    def _unrecord(self, facts: dict[str, Any]) -> None:
        for name in facts:
            self.facts[name].pop()
        self._values.clear()

    def _on_fact_recorded(self, event: Event) -> None:
        self._record(event, event.data)

    def _on_activity_done(self, event: Event) -> None:
        activity = event.data["activity"]
        self._check_activity(activity)
        counts_as = self.pathway.activities_of(activity)
        self.acts.append(Act(activity, counts_as, event.on, event.id))
        self.requests = {k: r for k, r in self.requests.items() if r[0] not in counts_as}
        if activity == "procedure":
            self.procedure = None
        if activity == "prrt-cycle":
            self._give_dose(event.on)

    def _give_dose(self, on: date) -> None:
        for line in self.open_lines:
            if "prrt" in self.pathway.treatment_categories(line.treatment) and on > line.started_on:
                line.doses += 1
                line.last_dose_on = on

    def _on_activity_booked(self, event: Event) -> None:
        self._check_activity(event.data["activity"])
        if event.data["activity"] == "procedure":
            self._book_procedure(event, date.fromisoformat(event.data["for"]))

    def _book_procedure(self, event: Event, day: date) -> None:
        if not self.is_open:
            self.without_effect.append((event.id, "the case is closed"))
            return
        self.procedure = Booking(event.on, max(day, event.on))
        planned = self.planned
        if planned is not None and self._is_procedure(planned.treatment):
            self.planned = PlannedLine(planned.treatment, planned.intent, self.procedure.day, event.on)

    def _on_activity_waived(self, event: Event) -> None:
        self._check_activity(event.data["activity"])
        if event.data["activity"] == "procedure":
            if self.procedure is None:
                self.without_effect.append((event.id, "no procedure is booked"))
            self.procedure = None
            if self.planned is not None and self._is_procedure(self.planned.treatment):
                self.planned = None

    def _on_activity_rescheduled(self, event: Event) -> None:
        self._check_activity(event.data["activity"])
        if event.data["activity"] == "procedure":
            self._book_procedure(event, date.fromisoformat(event.data["to"]))

    def _on_activity_snoozed(self, event: Event) -> None:
        self._check_activity(event.data["activity"])
        until = date.fromisoformat(event.data["until"])
        if not event.on < until <= event.on + timedelta(days=LONGEST_SNOOZE):
            raise Refused(f"{until} is not within {LONGEST_SNOOZE} days after {event.on}")

    def _on_test_requested(self, event: Event) -> None:
        self.requests[event.id] = (event.data["activity"], event.on)

    def _check_activity(self, activity: str) -> None:
        requested = {r[0] for r in self.requests.values()} | {a.activity for a in self.acts}
        if activity not in self.pathway.activity_named and activity not in requested:
            raise Refused(f"unknown activity {activity!r}; request it first (test:requested) if it is a special test")

    def _on_contact_attempted(self, event: Event) -> None:
        self.contacts.append(Contact(event.on, event.data["channel"], event.data["outcome"]))

    def _on_decision_recorded(self, event: Event) -> None:
        meeting_on = date.fromisoformat(event.data["meeting_on"])
        if meeting_on > event.on:
            raise Refused(f"the meeting of {in_words(meeting_on)} is after {in_words(event.on)}")
        self.decisions.append(Decision(event.on, meeting_on, event.data["text"], event.id))

    def _on_barrier_noted(self, event: Event) -> None:
        barrier = self._open_barrier(event.data["barrier"])
        if barrier is None:
            barrier = Barrier(event.data["barrier"], event.on)
            self.barriers.append(barrier)
        barrier.texts.extend(filter(None, [event.data.get("text")]))

    def _on_barrier_resolved(self, event: Event) -> None:
        barrier = self._open_barrier(event.data["barrier"])
        if barrier is None:
            self.without_effect.append((event.id, "no such barrier stood then"))
            return
        barrier.resolved_on = event.on
        barrier.texts.extend(filter(None, [event.data.get("text")]))

    def _open_barrier(self, name: str) -> Barrier | None:
        return next((b for b in self.barriers if b.name == name and b.resolved_on is None), None)

    def _on_case_merged(self, event: Event) -> None:
        """The other record goes on; nothing is due here any more. A correction brings it all back."""
        if self.merged_into:
            raise Refused(f"this record has been merged into {self.merged_into} already")
        self.merged_into = event.data["into"]
        for line in self.open_lines:
            _end(line, event.on, "merged")
        self.moves.append(Moved(event.id, event.on, "", self.state, MERGED.name))
        self.state, self.since, self.planned, self.procedure = MERGED.name, event.on, None, None

    def _on_case_joined(self, event: Event) -> None:
        self.joined.append(event.data["case"])

    def _on_warning_explained(self, event: Event) -> None:
        self.explained[event.data["warning"]] = event.data["reason"]

    def _on_case_handed_over(self, event: Event) -> None:
        self.navigator = event.data["navigator"]


def _end(line: Line, on: date, reason: str) -> None:
    line.ended_on, line.end_reason = on, reason
    if line.on_hold:
        line.holds[-1].until = on


def as_of(events: Iterable[Event], on: date | None = None, known: datetime | None = None) -> list[Event]:
    """The events that count, as true on ``on`` and as known at ``known`` (aware); None leaves a limit open.

    A correction is knowledge, not history: it applies to every date, once it is known.
    """
    seen = [e for e in events if known is None or e.recorded_at is None or e.recorded_at <= known]
    return [event for event in effective(seen) if on is None or event.on <= on]


def fold(pathway: Pathway, events: Iterable[Event]) -> CaseHistory:
    """The case after all events that count; raises :class:`Refused` at the first impossible one."""
    history = CaseHistory(pathway)
    for event in effective(events):
        history.apply(event)
    return history
