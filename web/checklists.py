"""Checklists and what the cited texts say: at a state of the pathway, and before a step on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from web import presenters
from web.presenters import Badge
from workflows.history import CaseHistory
from workflows.parts import Checklist
from workflows.view import matches_state

_WORKUP = "workup"
"""The phase whose checklist stays worth a look: what it lists is missed later on."""


@dataclass(frozen=True, slots=True)
class Tick:
    """An item of a checklist; ``done_on`` is known where an act on record stands for it.

    ``on_record``: an act stands for it. The others are to think of, and nothing ticks them.
    """

    text: str
    optional: bool
    on_record: bool
    done_on: date | None
    badges: list[Badge]


@dataclass(frozen=True, slots=True)
class Ticks:
    """A checklist. ``shown`` says that it is for the place where the case stands; the others are folded."""

    title: str
    items: list[Tick]
    shown: bool = True

    @property
    def done(self) -> int:
        return sum(tick.done_on is not None for tick in self.items)

    @property
    def missing(self) -> list[str]:
        """What the record does not show as done and is not for some cases only."""
        return [tick.text for tick in self.items if tick.done_on is None and not tick.optional]


def checklists(history: CaseHistory) -> list[Ticks]:
    """The checklists of the state that concern the case; behind them those of the work-up that is over."""
    found = [c for c in history.pathway.checklists if matches_state(c.shown_in, history.state)]
    past = [c for c in history.pathway.checklists if c.id == _WORKUP and c not in found]
    return [_ticks(history, c) for c in found if _concerns(history, c)] + [
        _ticks(history, c, shown=False) for c in past if _concerns(history, c)
    ]


def before(history: CaseHistory, trigger: str) -> list[Ticks]:
    """The checklists to go through before a step."""
    found = (c for c in history.pathway.checklists if trigger in c.shown_in)
    return [_ticks(history, c) for c in found if _concerns(history, c)]


def _concerns(history: CaseHistory, checklist: Checklist) -> bool:
    return checklist.when is None or checklist.when.holds(history)


def _ticks(history: CaseHistory, checklist: Checklist, *, shown: bool = True) -> Ticks:
    items = [
        Tick(
            item.text,
            item.optional,
            bool(item.activity),
            history.last_done([item.activity]) if item.activity else None,
            presenters.badges(history.pathway, item.sources),
        )
        for item in checklist.items
    ]
    return Ticks(checklist.title, items, shown)


# What the cited texts say ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Note:
    """What a cited text says."""

    text: str
    badges: list[Badge]


@dataclass(frozen=True, slots=True)
class Guidance:
    """What the cited texts say at a place, and what must be known about the documents behind it."""

    notes: list[Note]
    caveats: list[str]


def guidance(history: CaseHistory) -> Guidance:
    """At the state where the case stands."""
    named = history.pathway.state_named[history.state].guidance
    return _guidance(history, history.state, named)


def guidance_before(history: CaseHistory, trigger: str) -> Guidance:
    """Before a step."""
    found = history.pathway.trigger_named.get(trigger)
    return _guidance(history, trigger, found.guidance if found else ())


def _guidance(history: CaseHistory, place: str, named: Iterable[str]) -> Guidance:
    pathway, wanted = history.pathway, set(named)
    shown = [
        note
        for note in pathway.guidance
        if (note.id in wanted or matches_state(note.shown_in, place))
        and (note.when is None or note.when.holds(history))
    ]
    notes = [Note(note.text, presenters.badges(pathway, note.sources)) for note in shown]
    return Guidance(notes, presenters.document_caveats(pathway, [s for note in shown for s in note.sources]))
