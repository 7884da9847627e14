"""The state machine as a calculator: what a trigger would do to a case, or why it may not.

One flat ``transitions`` Machine is built per pathway and shared by all cases. A throwaway subject is dispatched
through it; nothing is stored on a case here, and no callback has a side effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from transitions import EventData, Machine, MachineError

from workflows.dates import listed
from workflows.errors import Refused
from workflows.parts import Move, Trigger, WarningRule
from workflows.pathway import Pathway
from workflows.view import View


@dataclass(frozen=True, slots=True)
class FoundWarning:
    """A warning that holds for a case, with what was found."""

    id: str
    text: str
    found: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a legal trigger does."""

    trigger: Trigger
    source: str
    to: str
    warnings: tuple[FoundWarning, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A trigger seen from where the case stands: where it leads, what is missing, what would be warned of."""

    trigger: Trigger
    to: str
    missing: tuple[str, ...]
    warnings: tuple[FoundWarning, ...]

    @property
    def allowed(self) -> bool:
        return not self.missing


class _Subject:
    """What the machine moves: thrown away after one dispatch."""

    __slots__ = ("missing", "state", "to", "view")

    def __init__(self, view: View) -> None:
        self.state = view.state
        self.view = view
        self.to: str | None = None
        self.missing: tuple[str, ...] = ()


class PathwayMachine:
    """The machine of one pathway."""

    def __init__(self, pathway: Pathway) -> None:
        self.pathway = pathway
        self._machine = Machine(
            model=None,
            states=[state.name for state in pathway.states],
            initial=pathway.initial,
            auto_transitions=False,
            send_event=True,
            queued=False,
        )
        for trigger in pathway.triggers:
            for move in trigger.moves:
                self._add(trigger, move)

    def _add(self, trigger: Trigger, move: Move) -> None:
        open_states = [s.name for s in self.pathway.states if s.phase != "closed"]
        for source in self.pathway.matching_states(move.from_):
            for to in open_states if move.to == "origin" else [move.to]:
                may_go = partial(_may_go, trigger, move, to)
                self._machine.add_transition(trigger.id, source.name, to, conditions=may_go)

    def advance(self, view: View, trigger_id: str) -> StateChange:
        """What the trigger does with the data in the view; raises :class:`Refused` with what is missing."""
        trigger = self.pathway.trigger_named[trigger_id]
        missing_data = [ask.label.lower() for ask in trigger.asks if ask.required and not view.data.get(ask.name)]
        subject = self._dispatch(view, trigger)
        if subject.to is None:
            raise Refused(f"{trigger_id} is not possible from {view.state}; possible are {self._possible(view.state)}")
        missing = (*missing_data, *subject.missing)
        if missing:
            raise Refused(f"{trigger_id} needs: {listed(list(missing), 'and')}")
        return StateChange(trigger, view.state, subject.to, self.warnings(view, trigger_id))

    def triggers_from(self, state: str) -> list[str]:
        """The triggers that leave a state, in the pathway's order."""
        leaving = set(self._machine.get_triggers(state))
        return [trigger.id for trigger in self.pathway.triggers if trigger.id in leaving]

    def choice(self, view: View, trigger_id: str) -> Choice | None:
        """A trigger that leaves the case's state: where it leads, what is missing, what is warned of."""
        trigger = self.pathway.trigger_named[trigger_id]
        subject = self._dispatch(view, trigger)
        if subject.to is None:
            return None
        return Choice(trigger, subject.to, subject.missing, self.warnings(view, trigger_id))

    def warnings(self, view: View, on: str) -> tuple[FoundWarning, ...]:
        """The warnings that hold for a trigger, or (``on="facts"``) on the case as it stands."""
        return tuple(
            FoundWarning(w.id, w.text, w.when.found(view), w.sources)
            for w in self._warnings_on(on)
            if w.when.holds(view)
        )

    def _warnings_on(self, on: str) -> list[WarningRule]:
        return [warning for warning in self.pathway.warnings if on in warning.on]

    def _dispatch(self, view: View, trigger: Trigger) -> _Subject:
        subject = _Subject(view)
        try:
            self._machine.events[trigger.id].trigger(subject)
        except MachineError:
            subject.to = None
        return subject

    def _possible(self, state: str) -> str:
        return listed(self.triggers_from(state), "and") or "none"


def _may_go(trigger: Trigger, move: Move, to: str, event: EventData) -> bool:
    subject: Any = event.model
    view: View = subject.view
    if subject.missing or (move.to == "origin" and view.origin != to):
        return False
    if move.when is not None and not move.when.holds(view):
        return False
    subject.to = to
    subject.missing = tuple(need.words for need in trigger.needs if not need.holds.holds(view))
    return not subject.missing


_machines: dict[str, PathwayMachine] = {}


def machine_of(pathway: Pathway) -> PathwayMachine:
    """The shared machine of a pathway; built once per digest."""
    machine = _machines.get(pathway.digest)
    if machine is None:
        machine = _machines[pathway.digest] = PathwayMachine(pathway)
    return machine
