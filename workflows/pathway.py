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
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from workflows.conditions import Condition, TreatmentFilter
from workflows.dates import IntervalField, in_words
from workflows.view import Value, matches_state

Phase = str
Audience = Literal["navigator", "lead", "clinician"]


def _strings(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_strings)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Document(_Part):
    """A text that sources cite, with what a reader must know about it."""

    id: str
    title: str
    caveat: str = ""


class Source(_Part):
    """One citable item. Kind S: our two documents; G: another guideline; P: our own policy."""

    id: str
    kind: Literal["S", "G", "P"]
    group: str
    text: str
    documents: Strings = ()
    caveat: str = ""

    @property
    def editable(self) -> bool:
        """A clinic may change what rests on a guideline default or on our policy."""
        return self.kind != "S"


class Choice(_Part):
    """A value with its label."""

    value: str
    label: str


class Band(_Part):
    """A part of a number line; ``below`` excludes its end, ``up_to`` includes it, neither means no end."""

    grade: str
    below: float | None = None
    up_to: float | None = None
    sources: Strings = ()

    def holds(self, number: float) -> bool:
        if self.below is not None:
            return number < self.below
        return self.up_to is None or number <= self.up_to


class Derivation(_Part):
    """How a derived fact follows from recorded ones; ``by`` names the calculation in ``derive.py``."""

    by: Literal["measured_grade", "grade", "functional", "metastatic"]
    bands: dict[str, tuple[Band, ...]] = {}


class FactDefinition(_Part):
    """A named, dated observation about the case, with the values it can take."""

    name: str
    label: str
    type: Literal["choice", "number", "text", "boolean", "date"]
    choices: tuple[Choice, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    unit: str = ""
    help: str = ""
    derived: Derivation | None = None
    qualified_by: str = ""
    sources: Strings = ()


class State(_Part):
    """A place on the pathway; the part of its name before the dot is its phase."""

    name: str
    title: str
    purpose: str
    entry: bool = False
    guidance: Strings = ()

    @property
    def phase(self) -> Phase:
        return self.name.partition(".")[0]


class Ask(_Part):
    """Something the trigger itself must be told (a treatment, a date, a reason)."""

    name: str
    label: str
    type: Literal["treatment", "choice", "date", "text", "line", "flag"]
    choices: tuple[Choice, ...] = ()
    required: bool = True


class Need(_Part):
    """A hard requirement: without it the record would be untrue. ``words`` completes "needs: …"."""

    holds: Condition
    words: str


class Move(_Part):
    """One way a trigger can go. ``to: origin`` returns to the state that restaging remembers."""

    from_: Strings = Field(alias="from")
    to: str
    when: Condition | None = None


Effect = Literal["plan_line", "start_line", "hold_line", "resume_line", "end_line", "end_lines", "remember", "close"]


class Trigger(_Part):
    """What can happen to a case: where it leads, what it asks, what it needs, what it does to lines."""

    id: str
    title: str
    moves: tuple[Move, ...]
    asks: tuple[Ask, ...] = ()
    needs: tuple[Need, ...] = ()
    effects: tuple[Effect, ...] = ()
    end_reason: str = ""
    sources: Strings = ()
    guidance: Strings = ()


class WarningRule(_Part):
    """Something to explain before going on. ``on`` names triggers; ``facts`` means it stands on the case itself."""

    id: str
    text: str
    on: Strings
    when: Condition
    sources: Strings


class Step(_Part):
    """When a reminder goes out, counted in days from the opening, the due or the late day, and to whom."""

    id: str
    at: Literal["opens", "due", "late"]
    plus_days: int = 0
    to: Audience = "navigator"


class Satisfied(_Part):
    """What makes a one-off item unnecessary: an earlier result, or a recorded fact."""

    activities: Strings = ()
    within: IntervalField | None = None
    facts: Strings = ()


class Stage(_Part):
    """From ``after`` on, counted from the base of the series, the interval is ``every``."""

    after: IntervalField
    every: IntervalField


class Variant(_Part):
    """An interval that holds under a condition, of a rule that has several."""

    id: str
    when: Condition
    every: IntervalField


Scope = Literal[
    "case", "stay", "treatment", "line", "hold", "surveillance", "procedure", "request", "after_prrt", "dose", "none"
]


class FollowUpRule(_Part):
    """What becomes due while something holds.

    ``per`` says what a series hangs on: the case, a stay in states, an uninterrupted period of treatment, a
    line, a hold, surgery while under surveillance, a booked procedure, a requested test, the last PRRT dose,
    each dose of another rule (``follows``), or the lack of any other open item (``none``).
    ``before`` and ``after`` are days around the due date. ``done_by`` names activities that do for this rule
    what they do not count as elsewhere.
    """

    id: str
    title: str
    activity: str
    done_by: Strings = ()
    per: Scope
    while_words: str
    states: Strings = ()
    when: Condition | None = None
    line: TreatmentFilter | None = None
    on_hold_too: bool = False
    first: IntervalField | None = None
    every: IntervalField | Literal["cycle"] | None = None
    variants: tuple[Variant, ...] = ()
    then: Stage | None = None
    doses: int | None = None
    follows: str = ""
    offset_days: int = 0
    satisfied_by: Satisfied | None = None
    before: int
    after: int
    reminders: str = "standard"
    note: str = ""
    ends_when: str
    sources: Strings


class Activity(_Part):
    """A thing that is done: a visit, a test, a dose. ``counts_as`` names what else it completes."""

    id: str
    label: str
    counts_as: Strings = ()
    sources: Strings = ()


class Treatment(_Part):
    """An entry of the treatment catalogue. It says what the cited text says; it recommends nothing."""

    code: str
    label: str
    categories: Strings
    detail: str = ""
    cycle: IntervalField | None = None
    sources: Strings


class ChecklistItem(_Part):
    """Something to tick, on the case or before a procedure."""

    id: str
    text: str
    optional: bool = False
    activity: str = ""
    sources: Strings


class Checklist(_Part):
    """A list to tick, shown in states or at triggers, where ``when`` holds."""

    id: str
    title: str
    shown_in: Strings
    when: Condition | None = None
    items: tuple[ChecklistItem, ...]


class Guidance(_Part):
    """What a cited text says, shown where the decision is made. Never a recommendation of ours."""

    id: str
    text: str
    shown_in: Strings
    when: Condition | None = None
    sources: Strings


class Pathway(_Part):
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
        return {state.name: state for state in self.states}

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
