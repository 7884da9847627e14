"""Which names the parts of a pathway use, and which names it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from workflows import conditions
from workflows import parts as schema
from workflows.pathway import Pathway

Names = dict[str, Iterable[str]]

_USES: dict[type[BaseModel], Callable[[Any], Names]] = {
    schema.Source: lambda part: {"document": part.documents},
    schema.FactDefinition: lambda part: {"fact": [part.qualified_by]},
    schema.Derivation: lambda part: {"fact": part.bands},
    schema.State: lambda part: {"phase": [part.phase], "guidance": part.guidance},
    schema.Trigger: lambda part: {"guidance": part.guidance},
    schema.Move: lambda part: {"state": {*part.from_, part.to} - {"open", "origin"}},
    schema.WarningRule: lambda part: {"trigger": [name for name in part.on if name != "facts"]},
    schema.FollowUpRule: lambda part: {
        "activity": [part.activity, *part.done_by],
        "reminders": [part.reminders],
        "rule": [part.follows],
        "state": part.states,
    },
    schema.Satisfied: lambda part: {"activity": part.activities, "fact": part.facts},
    schema.Activity: lambda part: {"activity": part.counts_as, "fact": [*part.records, *part.dates]},
    schema.ChecklistItem: lambda part: {"activity": [part.activity]},
    schema.Checklist: lambda part: {"place": part.shown_in},
    schema.Guidance: lambda part: {"place": part.shown_in},
    conditions.FactIs: lambda part: {"fact": part.facts_used()},
    conditions.EverWas: lambda part: {"fact": part.facts_used()},
    conditions.Differ: lambda part: {"fact": part.facts_used()},
    conditions.InState: lambda part: {"state": part.state},
    conditions.CameFrom: lambda part: {"state": [part.came_from]},
    conditions.Done: lambda part: {"activity": part.done},
    conditions.TreatmentFilter: lambda part: {
        "treatment": part.codes,
        "category": part.categories,
        "intent": part.intents,
    },
}


def names_used(part: BaseModel) -> Iterator[tuple[str, str]]:
    """What one part refers to, in pairs like ``("activity", "visit")``; its inner parts are not asked."""
    uses = _USES.get(type(part))
    for kind, names in (uses(part) if uses else {}).items():
        yield from ((kind, name) for name in names if name)
    yield from (("source", name) for name in getattr(part, "sources", ()))


def known_names(pathway: Pathway) -> dict[str, set[str]]:
    """What may be referred to, by kind. A place is a state, a phase (``advanced.*``) or a trigger."""
    states = set(pathway.state_named) | {f"{state.phase}.*" for state in pathway.states}
    return {
        "document": {document.id for document in pathway.documents},
        "source": set(pathway.source_named),
        "fact": set(pathway.fact_named),
        "phase": set(pathway.phases),
        "state": states,
        "trigger": set(pathway.trigger_named),
        "place": states | set(pathway.trigger_named) | {"open"},
        "activity": set(pathway.activity_named),
        "rule": set(pathway.rule_named),
        "reminders": set(pathway.reminders),
        "guidance": {note.id for note in pathway.guidance},
        "treatment": set(pathway.treatment_named),
        "category": {category for treatment in pathway.treatments for category in treatment.categories},
        "intent": {intent.value for intent in pathway.intents},
    }
