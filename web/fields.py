"""Fields of a form about a case: what they ask, what was typed, and what that means as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta

from web import presenters
from web.numerals import number
from workflows.dates import in_words
from workflows.errors import Refused
from workflows.events import checked_fact, fact_value
from workflows.history import CaseHistory
from workflows.limits import iso_day
from workflows.parts import Ask, FactDefinition
from workflows.pathway import Pathway

Option = tuple[str, str]
_YES_NO: tuple[Option, ...] = (("yes", "Yes"), ("no", "No"))
UNKNOWN = "unknown."
"""Before the name of a fact, in the name of the box that says: not known any more."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``now`` is what is on record in words; ``value`` is what was typed, ``problem`` what is wrong with it.

    ``kind`` is one of choice, number, text, long, date, yes-no and flag; ``fact`` says that it is a fact by its name.
    ``suggestions`` can be chosen instead of typed.
    """

    name: str
    label: str
    kind: str
    options: tuple[Option, ...] = ()
    groups: tuple[tuple[str, tuple[Option, ...]], ...] = ()
    unit: str = ""
    low: float | str | None = None
    high: float | str | None = None
    pattern: str = ""
    help: str = ""
    suggestions: tuple[str, ...] = ()
    required: bool = False
    fact: bool = False
    now: str = ""
    value: str = ""
    problem: str = ""
    forget: bool = False

    @property
    def id(self) -> str:
        return f"field-{self.name}"


# Which fields ------------------------------------------------------------------------------------------------


def of_fact(history: CaseHistory, name: str, *, required: bool = False) -> Field:
    """The field for a fact, with what is on record."""
    fact = history.pathway.fact_named[name]
    kind = {"boolean": "yes-no", "text": "text"}.get(fact.type, fact.type)
    value = history.fact(name)
    return Field(
        name=name,
        label=fact.label,
        kind=kind,
        options=_options_of(fact),
        unit=fact.unit,
        low=fact.minimum if fact.minimum is not None else fact.above,
        high=fact.maximum,
        pattern=fact.pattern,
        help=fact.help,
        required=required,
        fact=True,
        now="" if value is None else history.pathway.value_label(name, value),
    )


def _options_of(fact: FactDefinition) -> tuple[Option, ...]:
    if fact.type == "boolean":
        return _YES_NO
    return tuple((choice.value, choice.label) for choice in fact.choices)


def of_ask(history: CaseHistory, ask: Ask, today: date) -> Field:
    """The field for something that a trigger itself asks."""
    pathway = history.pathway
    base = Field(ask.name, ask.label, ask.type, required=ask.required)
    if ask.type == "treatment":
        return replace(base, kind="choice", groups=treatments(pathway))
    if ask.type == "line":
        return replace(base, kind="choice", options=_lines(history), required=len(history.open_lines) > 1)
    if ask.type == "flag":
        return base
    if ask.type == "choice":
        return replace(base, options=tuple((c.value, c.label) for c in ask.choices or pathway.intents))
    if ask.type == "date":
        return replace(base, low=today.isoformat(), high=furthest(today))
    return base


def treatments(pathway: Pathway) -> tuple[tuple[str, tuple[Option, ...]], ...]:
    """Every treatment, by its first category."""
    found: dict[str, list[Option]] = {}
    for treatment in pathway.treatments:
        category = treatment.categories[0] if treatment.categories else "other"
        found.setdefault(presenters.sentence(category.replace("-", " ")), []).append((treatment.code, treatment.label))
    return tuple((category, tuple(options)) for category, options in found.items())


def _lines(history: CaseHistory) -> tuple[Option, ...]:
    label = history.pathway.treatment_label
    return tuple((str(line.number), f"{line.number}. {label(line.treatment)}") for line in history.open_lines)


def furthest(today: date) -> str:
    """The last day for which something can be planned by hand: a slip in the year would hide a case for decades."""
    return (today + relativedelta(years=3)).isoformat()


def of_day(today: date, label: str = "On", name: str = "on", *, past: bool = True) -> Field:
    """A date that has to be given, today unless it is changed."""
    day = Field(name, label, "date", required=True)
    return (
        replace(day, value=today.isoformat(), high=today.isoformat()) if past else replace(day, low=today.isoformat())
    )


# What was typed ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answers:
    """What a form says: its fields with what was typed, and the plain data that follows where nothing is wrong."""

    fields: tuple[Field, ...]
    data: dict[str, Any]

    @property
    def problems(self) -> list[Field]:
        return [field for field in self.fields if field.problem]


def read(pathway: Pathway, fields: Iterable[Field], form: Mapping[str, str]) -> Answers:
    """What was typed into the fields. A blank says nothing; an unknown fact is told as None."""
    typed = [_typed(pathway, field, form) for field in fields]
    data = {field.name: value for field, value in typed if value is not _NOTHING}
    return Answers(tuple(field for field, _ in typed), data)


_NOTHING = object()


def _typed(pathway: Pathway, field: Field, form: Mapping[str, str]) -> tuple[Field, Any]:
    text = form.get(field.name, "").strip()
    if field.fact and form.get(UNKNOWN + field.name) and not text:
        return replace(field, value="", forget=True), None
    field = replace(field, value=text)
    if not text:
        return (replace(field, problem="This is needed.") if field.required else field), _NOTHING
    try:
        return field, _value(pathway, field, text)
    except Refused as refusal:
        words = "; ".join(refusal.reasons).removeprefix(f"{field.name}: ")
        return replace(field, problem=f"{presenters.sentence(words)}."), _NOTHING
    except ValueError as error:
        return replace(field, problem=f"{presenters.sentence(str(error))}."), _NOTHING


def _value(pathway: Pathway, field: Field, text: str) -> Any:
    plain = _plain(field, text)
    return checked_fact(pathway, field.name, plain) if field.fact else plain


def _plain(field: Field, text: str) -> Any:
    if field.kind == "number":
        return _number(text)
    if field.kind == "yes-no":
        return _one_of(field, text) == "yes"
    if field.kind == "flag":
        return True
    if field.kind == "date":
        return _day(field, text)
    return _one_of(field, text) if field.kind == "choice" else text


def _day(field: Field, text: str) -> str:
    day = iso_day(text)
    if isinstance(field.low, str) and day < date.fromisoformat(field.low):
        raise ValueError(f"the earliest day here is {in_words(date.fromisoformat(field.low))}")
    if isinstance(field.high, str) and day > date.fromisoformat(field.high):
        raise ValueError(f"the latest day here is {in_words(date.fromisoformat(field.high))}")
    return day.isoformat()


def _number(text: str) -> float:
    found = number(text)
    return int(found) if found.is_integer() else found


def _one_of(field: Field, text: str) -> str:
    known = {value for value, _ in (*field.options, *(option for _, group in field.groups for option in group))}
    if text not in known:
        raise ValueError("choose one of the list")
    return text


def words_of(pathway: Pathway, name: str, plain: Any) -> str:
    """A value as it is read: of a fact, a treatment, an intent, or as it stands."""
    if plain is None:
        return "not known"
    if name in pathway.fact_named:
        return pathway.value_label(name, fact_value(pathway.fact_named[name], plain))
    if name == "treatment":
        return presenters.treatment_label(pathway, plain)
    if name == "intent":
        return presenters.intent_label(pathway, plain)
    if plain is True:
        return "Yes"
    return presenters.dates_in_words(str(plain))
