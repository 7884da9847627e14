"""Conditions as data: what a rule, a guard or a warning asks of a case, and why it holds or does not.

A condition is evaluated against a :class:`View` of one case. Logic is two-valued and careful with the unknown:
a fact that is not recorded satisfies no ``is``, ``in`` or comparison; write ``known: false`` where the
unknown is meant. Every condition says in words what it asks, and what it found.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from workflows.dates import IntervalField, in_words, listed
from workflows.view import Catalogue, Value, View, matches_state


class _Condition(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def holds(self, view: View) -> bool:
        raise TypeError(f"{type(self).__name__} cannot be evaluated")

    def words(self, names: Catalogue) -> str:
        """What is asked, as a clause: ``grade is G1 or G2``."""
        raise TypeError(f"{type(self).__name__} has no words")

    def found(self, view: View) -> str:
        """What the case says to it, as a clause: ``grade is G3``."""
        return self.words(view.catalogue)

    def facts_used(self) -> set[str]:
        return set()


class AllOf(_Condition):
    """Every one of them."""

    all: tuple[Condition, ...]

    def holds(self, view: View) -> bool:
        return all(part.holds(view) for part in self.all)

    def words(self, names: Catalogue) -> str:
        return " and ".join(part.words(names) for part in self.all)

    def found(self, view: View) -> str:
        parts = self.all if self.holds(view) else [part for part in self.all if not part.holds(view)]
        return " and ".join(part.found(view) for part in parts)

    def facts_used(self) -> set[str]:
        return set().union(*(part.facts_used() for part in self.all))


class AnyOf(_Condition):
    """At least one of them."""

    any: tuple[Condition, ...]

    def holds(self, view: View) -> bool:
        return any(part.holds(view) for part in self.any)

    def words(self, names: Catalogue) -> str:
        return " or ".join(part.words(names) for part in self.any)

    def found(self, view: View) -> str:
        parts = [part for part in self.any if part.holds(view)] or self.any
        return " and ".join(part.found(view) for part in parts)

    def facts_used(self) -> set[str]:
        return set().union(*(part.facts_used() for part in self.any))


class Not(_Condition):
    """The opposite of one condition."""

    not_: Condition = Field(alias="not")

    def holds(self, view: View) -> bool:
        return not self.not_.holds(view)

    def words(self, names: Catalogue) -> str:
        return f"not: {self.not_.words(names)}"

    def found(self, view: View) -> str:
        return self.not_.found(view)

    def facts_used(self) -> set[str]:
        return self.not_.facts_used()


class FactIs(_Condition):
    """The value that a fact has on the date; exactly one test is given."""

    fact: str
    is_: str | bool | float | None = Field(default=None, alias="is")
    in_: tuple[str, ...] | None = Field(default=None, alias="in")
    known: bool | None = None
    at_least: float | None = None
    below: float | None = None

    def holds(self, view: View) -> bool:
        value = view.fact(self.fact)
        if self.known is not None:
            return (value is not None) is self.known
        return value is not None and self._matches(value)

    def _matches(self, value: Value) -> bool:
        if self.in_ is not None:
            return value in self.in_
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.at_least is not None:
                return value >= self.at_least
            if self.below is not None:
                return value < self.below
        return value == self.is_

    def words(self, names: Catalogue) -> str:
        label = names.fact_label(self.fact)
        if self.known is not None:
            return f"{label} is {'recorded' if self.known else 'not recorded'}"
        if self.at_least is not None:
            return f"{label} is at least {names.value_label(self.fact, self.at_least)}"
        if self.below is not None:
            return f"{label} is below {names.value_label(self.fact, self.below)}"
        wanted = self.in_ if self.in_ is not None else (self.is_,)
        return f"{label} is {listed([names.value_label(self.fact, w) for w in wanted if w is not None])}"

    def found(self, view: View) -> str:
        value = view.fact(self.fact)
        label = view.catalogue.fact_label(self.fact)
        return f"{label} is {'not recorded' if value is None else view.catalogue.value_label(self.fact, value)}"

    def facts_used(self) -> set[str]:
        return {self.fact}


class EverWas(_Condition):
    """A value that a fact has had at any time up to the date."""

    ever: str
    is_: str = Field(alias="is")

    def holds(self, view: View) -> bool:
        return self.is_ in view.ever(self.ever)

    def words(self, names: Catalogue) -> str:
        return f"{names.fact_label(self.ever)} has ever been {names.value_label(self.ever, self.is_)}"

    def found(self, view: View) -> str:
        if self.holds(view):
            return self.words(view.catalogue)
        label = view.catalogue.fact_label(self.ever)
        return f"{label} has never been {view.catalogue.value_label(self.ever, self.is_)}"

    def facts_used(self) -> set[str]:
        return {self.ever}


class Differ(_Condition):
    """Two facts are both known and say different things."""

    differ: tuple[str, str]

    def holds(self, view: View) -> bool:
        one, other = (view.fact(name) for name in self.differ)
        return one is not None and other is not None and one != other

    def words(self, names: Catalogue) -> str:
        return " and ".join(names.fact_label(name) for name in self.differ) + " differ"

    def found(self, view: View) -> str:
        return " and ".join(FactIs(fact=name, known=True).found(view) for name in self.differ)

    def facts_used(self) -> set[str]:
        return set(self.differ)


class InState(_Condition):
    """The case stands in one of these states; ``phase.*`` names a whole phase."""

    state: tuple[str, ...]

    def holds(self, view: View) -> bool:
        return matches_state(self.state, view.state)

    def words(self, names: Catalogue) -> str:
        return f"the case stands in {listed(self.state)}"

    def found(self, view: View) -> str:
        return f"the case stands in {view.state}"


class CameFrom(_Condition):
    """The state remembered by restaging."""

    came_from: str

    def holds(self, view: View) -> bool:
        return view.origin == self.came_from

    def words(self, names: Catalogue) -> str:
        return f"the case came from {self.came_from}"


class TreatmentFilter(BaseModel):
    """Which treatments are meant: by code, by category, by intent; an empty filter means any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()

    def matches(self, names: Catalogue, treatment: str, intent: str) -> bool:
        categories = names.treatment_categories(treatment)
        return (
            (not self.codes or treatment in self.codes)
            and (not self.categories or any(c in categories for c in self.categories))
            and (not self.intents or intent in self.intents)
        )

    def words(self, names: Catalogue) -> str:
        """The filter as it is read: labels of treatments, names of categories and intents."""
        return listed([*map(names.treatment_label, self.codes), *self.categories, *self.intents]) or "any"


class TreatmentMeant(_Condition):
    """The treatment that the trigger names: planned, started, or (for an open line) ended."""

    treatment: TreatmentFilter

    def holds(self, view: View) -> bool:
        code, intent = self._meant(view)
        return bool(code) and self.treatment.matches(view.catalogue, code, intent)

    @staticmethod
    def _meant(view: View) -> tuple[str, str]:
        if view.data.get("treatment"):
            return str(view.data["treatment"]), str(view.data.get("intent", ""))
        line = view.line_meant()
        return (line.treatment, line.intent) if line else ("", "")

    def words(self, names: Catalogue) -> str:
        return f"the treatment is {self.treatment.words(names)}"

    def found(self, view: View) -> str:
        code = self._meant(view)[0]
        return f"the treatment is {view.catalogue.treatment_label(code) if code else 'not named'}"


class OpenLines(_Condition):
    """Lines of therapy that are open, leaving out the one that the trigger is about.

    A line given for symptoms alone (intent ``symptom-control``) is not an anti-tumour line.
    """

    open_lines: Literal["none", "one", "some", "another_active", "another_on_hold", "anti_tumour", "active", "on_hold"]

    def holds(self, view: View) -> bool:
        lines = list(view.open_lines)
        others = [line for line in lines if line is not view.line_meant()]
        return {
            "none": not lines,
            "one": len(lines) == 1,
            "some": bool(lines),
            "another_active": any(not line.on_hold for line in others),
            "another_on_hold": any(line.on_hold for line in others),
            "anti_tumour": any(line.intent != "symptom-control" for line in lines),
            "active": any(not line.on_hold for line in lines),
            "on_hold": any(line.on_hold for line in lines),
        }[self.open_lines]

    def words(self, names: Catalogue) -> str:
        return f"open lines of therapy: {self.open_lines.replace('_', ' ')}"

    def found(self, view: View) -> str:
        label = view.catalogue.treatment_label
        names = [f"{label(line.treatment)}{' (on hold)' if line.on_hold else ''}" for line in view.open_lines]
        return f"open lines: {listed(names, 'and') or 'none'}"


class LineMeant(_Condition):
    """The trigger says which open line it is about (needed only where several are open)."""

    line: Literal["named", "on_hold", "active"]

    def holds(self, view: View) -> bool:
        meant = view.line_meant()
        if meant is None:
            return False
        return self.line == "named" or meant.on_hold is (self.line == "on_hold")

    def words(self, names: Catalogue) -> str:
        if self.line == "named":
            return "which open line is meant"
        return f"the line meant is {self.line.replace('_', ' ')}"


class DataIs(_Condition):
    """What the trigger carries: a named value, or that it is given at all."""

    data: str
    is_: str | bool | None = Field(default=None, alias="is")

    def holds(self, view: View) -> bool:
        given = view.data.get(self.data)
        return given not in (None, "") if self.is_ is None else given == self.is_

    def words(self, names: Catalogue) -> str:
        label = self.data.removesuffix("_on").replace("_", " ")
        label += " date" if self.data.endswith("_on") else ""
        return label if self.is_ is None else f"{label} is {self.is_}"


class Done(_Condition):
    """One of these activities has been done: ever, or within an interval up to the date."""

    done: tuple[str, ...]
    within: IntervalField | None = None

    def holds(self, view: View) -> bool:
        last = view.last_done(self.done)
        return last is not None and (self.within is None or last >= self.within.before(view.today))

    def words(self, names: Catalogue) -> str:
        wanted = listed([names.activity_label(name) for name in self.done])
        return f"{wanted} done" + (f" in the {self.within} before" if self.within else "")

    def found(self, view: View) -> str:
        last = view.last_done(self.done)
        wanted = listed([view.catalogue.activity_label(name) for name in self.done])
        return f"{wanted} {f'last done on {in_words(last)}' if last else 'never recorded as done'}"


class Contacts(_Condition):
    """Documented attempts to reach the patient since the last time it worked."""

    contact_attempts: int
    channels: int = 1

    def holds(self, view: View) -> bool:
        attempts = view.contact_attempts()
        return len(attempts) >= self.contact_attempts and len(set(attempts)) >= self.channels

    def words(self, names: Catalogue) -> str:
        return f"{self.contact_attempts} documented contact attempts by {self.channels} channels"

    def found(self, view: View) -> str:
        attempts = view.contact_attempts()
        return f"{len(attempts)} contact attempts by {len(set(attempts))} channels are documented"


_KINDS: dict[str, type[_Condition]] = {
    "all": AllOf,
    "any": AnyOf,
    "not": Not,
    "fact": FactIs,
    "ever": EverWas,
    "differ": Differ,
    "state": InState,
    "came_from": CameFrom,
    "treatment": TreatmentMeant,
    "open_lines": OpenLines,
    "line": LineMeant,
    "data": DataIs,
    "done": Done,
    "contact_attempts": Contacts,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _kind(value: Any) -> str | None:
    if isinstance(value, _Condition):
        return _NAMES.get(type(value))
    if isinstance(value, dict):
        return next((name for name in _KINDS if name in value), None)
    return None


Condition = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[FactIs, Tag("fact")]
    | Annotated[EverWas, Tag("ever")]
    | Annotated[Differ, Tag("differ")]
    | Annotated[InState, Tag("state")]
    | Annotated[CameFrom, Tag("came_from")]
    | Annotated[TreatmentMeant, Tag("treatment")]
    | Annotated[OpenLines, Tag("open_lines")]
    | Annotated[LineMeant, Tag("line")]
    | Annotated[DataIs, Tag("data")]
    | Annotated[Done, Tag("done")]
    | Annotated[Contacts, Tag("contact_attempts")],
    Discriminator(_kind),
]
"""Any condition; a document writes it as a mapping whose first key names its kind."""

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
