"""What is wrong with a pathway that reads well: dead ends, unknown names, no source, items lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from workflows import parts as schema
from workflows.conditions import EverWas, FactIs
from workflows.coverage import ITEMS, coverage, name_of, parts
from workflows.parts import FactDefinition
from workflows.pathway import Pathway
from workflows.references import known_names, names_used
from workflows.view import Value

__all__ = ["ITEMS", "Finding", "coverage", "lint"]

_NEED_A_SOURCE = (
    schema.FollowUpRule,
    schema.WarningRule,
    schema.Treatment,
    schema.ChecklistItem,
    schema.Guidance,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to put right: its kind, the part it is about, and the reason in words."""

    code: str
    where: str
    message: str


def lint(pathway: Pathway) -> list[Finding]:
    """Every finding; an empty list means that the pathway holds together."""
    fresh = Pathway.model_validate(dict(pathway))  # a model_copy keeps the look-ups of what it was copied from
    return [finding for check in _CHECKS for finding in check(fresh)]


def _duplicates(pathway: Pathway) -> Iterator[Finding]:
    for kind, members in _collections(pathway):
        for name, count in Counter(name_of(member) for member in members).items():
            if count > 1:
                yield Finding("duplicate-id", f"{kind} {name}", f"{count} of them have the same name")


def _collections(pathway: Pathway) -> Iterator[tuple[str, Sequence[BaseModel]]]:
    yield "document", pathway.documents
    yield "source", pathway.sources
    yield "fact", pathway.facts
    yield "state", pathway.states
    yield "trigger", pathway.triggers
    yield "warning", pathway.warnings
    yield "activity", pathway.activities
    yield "follow-up rule", pathway.follow_ups
    yield "treatment", pathway.treatments
    yield "list", pathway.checklists
    yield "checklist", [item for checklist in pathway.checklists for item in checklist.items]
    yield "guidance", pathway.guidance


def _unknown_names(pathway: Pathway) -> Iterator[Finding]:
    known = known_names(pathway)
    if pathway.initial not in pathway.state_named:
        yield Finding("unknown-state", "pathway", f"cases start in {pathway.initial}, which is no state")
    for place, part in parts(pathway):
        for kind, name in names_used(part):
            if name not in known[kind]:
                code = "shown-nowhere" if kind == "place" else f"unknown-{kind}"
                yield Finding(code, place, f"names the {kind} {name}, which the pathway does not have")


def _shown_nowhere(pathway: Pathway) -> Iterator[Finding]:
    for place, part in parts(pathway):
        if isinstance(part, schema.Checklist | schema.Guidance) and not part.shown_in:
            yield Finding("shown-nowhere", place, "names no state and no trigger to be shown in")


def _unknown_values(pathway: Pathway) -> Iterator[Finding]:
    for place, part in parts(pathway):
        for name, value in _values_asked(part):
            fact = pathway.fact_named.get(name)
            if fact and not _can_be(fact, value):
                yield Finding("unknown-value", place, f"asks whether {name} is {value}, which it can never be")


def _values_asked(part: BaseModel) -> Iterator[tuple[str, Value]]:
    if isinstance(part, FactIs):
        asked = (*(part.in_ or ()), *(() if part.is_ is None else (part.is_,)))
        yield from ((part.fact, value) for value in asked)
    elif isinstance(part, EverWas):
        yield part.ever, part.is_


def _can_be(fact: FactDefinition, value: Value) -> bool:
    if fact.type == "boolean" or isinstance(value, bool):
        return fact.type == "boolean" and isinstance(value, bool)
    if fact.choices:
        return value in {choice.value for choice in fact.choices}
    return not fact.pattern or re.fullmatch(fact.pattern, str(value)) is not None


def _unreachable(pathway: Pathway) -> Iterator[Finding]:
    reached: set[str] = set()
    ahead = {pathway.initial, *(state.name for state in pathway.states if state.entry)}
    while ahead:
        reached |= ahead
        ahead = {to for state in ahead for to in _leads_to(pathway, state)} - reached
    for name in sorted(pathway.state_named.keys() - reached - {schema.MERGED.name}):  # no trigger: two records are one
        yield Finding("unreachable-state", f"state {name}", "no trigger leads here and no case enters here")


def _dead_ends(pathway: Pathway) -> Iterator[Finding]:
    for state in pathway.states:
        if state.phase != "closed" and not _leads_to(pathway, state.name) - {state.name}:
            yield Finding("no-way-out", f"state {state.name}", "is open, and no trigger leads out of it")


def _leads_to(pathway: Pathway, state: str) -> set[str]:
    moves = (move for trigger in pathway.triggers for move in trigger.moves)
    return {move.to for move in moves if any(s.name == state for s in pathway.matching_states(move.from_))}


def _without_source(pathway: Pathway) -> Iterator[Finding]:
    for place, part in parts(pathway):
        if isinstance(part, _NEED_A_SOURCE) and not part.sources:
            yield Finding("no-source", place, "rests on no source")


def _cycles(pathway: Pathway) -> Iterator[Finding]:
    for rule in pathway.follow_ups:
        if rule.every == "cycle" and rule.line:
            for treatment in pathway.treatments:
                if treatment.cycle is None and rule.line.matches(pathway, treatment.code, ""):
                    words = f"has no cycle length, which {rule.id} asks for"
                    yield Finding("no-cycle", f"treatment {treatment.code}", words)


def _items(pathway: Pathway) -> Iterator[Finding]:
    for item, carriers in coverage(pathway).items():
        if item not in pathway.source_named:
            yield Finding("item-missing", f"source {item}", "the item is not among the sources")
        if not carriers:
            yield Finding("not-carried", f"source {item}", "nothing carries the item")


_CHECKS: tuple[Callable[[Pathway], Iterator[Finding]], ...] = (
    _duplicates,
    _unknown_names,
    _shown_nowhere,
    _unknown_values,
    _unreachable,
    _dead_ends,
    _without_source,
    _cycles,
    _items,
)
