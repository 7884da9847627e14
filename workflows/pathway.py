"""The pathway document: facts, states, triggers, follow-up rules, treatments, checklists and their sources.

A pathway is data. It is read from YAML, validated here, and identified by the digest of its content, so that a
case can be pinned to exactly the text it runs on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from workflows.dates import in_words
from workflows.parts import (
    MERGED,
    Activity,
    Checklist,
    Choice,
    Document,
    FactDefinition,
    FollowUpRule,
    Guidance,
    Part,
    Phase,
    Source,
    State,
    Step,
    Treatment,
    Trigger,
    WarningRule,
)
from workflows.view import Value, matches_state


class Pathway(Part):
    """A whole pathway. Everything a case needs to be moved, planned and explained."""

    id: str
    version: str
    title: str
    disclaimer: str
    initial: str
    phases: dict[Phase, str]
    documents: tuple[Document, ...]
    sources: tuple[Source, ...]
    facts: tuple[FactDefinition, ...]
    states: tuple[State, ...]
    triggers: tuple[Trigger, ...]
    warnings: tuple[WarningRule, ...]
    activities: tuple[Activity, ...]
    follow_ups: tuple[FollowUpRule, ...]
    reminders: dict[str, tuple[Step, ...]]
    treatments: tuple[Treatment, ...]
    intents: tuple[Choice, ...]
    checklists: tuple[Checklist, ...]
    guidance: tuple[Guidance, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical document, hexadecimal."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @cached_property
    def canonical(self) -> str:
        """The document as JSON, keys in the order of the model: the same content always gives the same text."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def fact_named(self) -> dict[str, FactDefinition]:
        return {fact.name: fact for fact in self.facts}

    @cached_property
    def state_named(self) -> dict[str, State]:
        return {state.name: state for state in (MERGED, *self.states)}

    @cached_property
    def trigger_named(self) -> dict[str, Trigger]:
        return {trigger.id: trigger for trigger in self.triggers}

    @cached_property
    def rule_named(self) -> dict[str, FollowUpRule]:
        return {rule.id: rule for rule in self.follow_ups}

    @cached_property
    def activity_named(self) -> dict[str, Activity]:
        return {activity.id: activity for activity in self.activities}

    @cached_property
    def treatment_named(self) -> dict[str, Treatment]:
        return {treatment.code: treatment for treatment in self.treatments}

    @cached_property
    def source_named(self) -> dict[str, Source]:
        return {source.id: source for source in self.sources}

    @cached_property
    def warning_named(self) -> dict[str, WarningRule]:
        return {warning.id: warning for warning in self.warnings}

    def fact_label(self, name: str) -> str:
        fact = self.fact_named.get(name)
        return fact.label if fact else name

    def value_label(self, name: str, value: Value) -> str:
        """How a value of a fact is written on screen, with its unit."""
        fact = self.fact_named.get(name)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, date):
            return in_words(value)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if fact is None:
            return text
        label = next((choice.label for choice in fact.choices if choice.value == value), text)
        return f"{label} {fact.unit}".strip()

    def activity_label(self, name: str) -> str:
        """How an activity is called; a requested test by the name under which it was asked for."""
        activity = self.activity_named.get(name)
        return activity.label if activity else name.replace("-", " ")

    def treatment_label(self, code: str) -> str:
        """How a treatment is called on screen."""
        treatment = self.treatment_named.get(code)
        return treatment.label if treatment else code

    def treatment_categories(self, code: str) -> Sequence[str]:
        treatment = self.treatment_named.get(code)
        return treatment.categories if treatment else ()

    def activities_of(self, done: str) -> frozenset[str]:
        """Every activity that doing ``done`` counts as, itself included."""
        activity = self.activity_named.get(done)
        return frozenset({done, *(activity.counts_as if activity else ())})

    def activities_counting_as(self, wanted: str) -> tuple[str, ...]:
        """Every activity whose doing counts as ``wanted``, itself included."""
        return (wanted, *(a.id for a in self.activities if wanted in a.counts_as))

    def matching_states(self, patterns: Sequence[str]) -> Iterator[State]:
        """States named by ``patterns``; ``open`` means every state that is not closed."""
        for state in self.states:
            if matches_state(patterns, state.name) or ("open" in patterns and state.phase != "closed"):
                yield state


def load(folder: Path | None = None) -> Pathway:
    """Read a pathway from a folder of YAML files, by default the one that is shipped.

    Each file holds some of the document's top-level keys; no key may stand in two files. Raises
    ``pydantic.ValidationError`` or ``ValueError`` where the document is not a pathway.
    """
    root = folder or files("workflows") / "pannet"
    document: dict[str, Any] = {}
    for entry in sorted(root.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".yaml"):
            continue
        part = yaml.load(entry.read_text(encoding="utf-8"), Loader=_Loader) or {}  # noqa: S506  (a safe loader)
        twice = document.keys() & part.keys()
        if twice:
            raise ValueError(f"{entry.name}: {', '.join(sorted(twice))} already stands in another file")
        document.update(part)
    return Pathway.model_validate(document)


def from_canonical(text: str) -> Pathway:
    """The pathway behind a published document."""
    return Pathway.model_validate_json(text)


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML in which ``on``, ``yes`` and ``no`` are words, not booleans."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
