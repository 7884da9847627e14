"""The parts of a pathway document, each frozen and validated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from workflows.conditions import Condition, TreatmentFilter
from workflows.dates import IntervalField

Phase = str
Audience = Literal["navigator", "lead", "clinician"]


def _strings(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_strings)]


class Part(BaseModel):
    """What all parts are: frozen, and nothing in them that is not understood."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Document(Part):
    """A text that sources cite, with what a reader must know about it."""

    id: str
    title: str
    caveat: str = ""


class Source(Part):
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


class Choice(Part):
    """A value with its label."""

    value: str
    label: str


class Band(Part):
    """A part of a number line; ``below`` excludes its end, ``up_to`` includes it, neither means no end."""

    grade: str
    below: float | None = None
    up_to: float | None = None
    sources: Strings = ()

    def holds(self, number: float) -> bool:
        if self.below is not None:
            return number < self.below
        return self.up_to is None or number <= self.up_to


class Derivation(Part):
    """How a derived fact follows from recorded ones; ``by`` names the calculation in ``derive.py``."""

    by: Literal["measured_grade", "grade", "functional", "metastatic"]
    bands: dict[str, tuple[Band, ...]] = {}


class FactDefinition(Part):
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


class State(Part):
    """A place on the pathway; the part of its name before the dot is its phase."""

    name: str
    title: str
    purpose: str
    entry: bool = False
    guidance: Strings = ()

    @property
    def phase(self) -> Phase:
        return self.name.partition(".")[0]


MERGED = State(
    name="closed.merged",
    title="Merged into another record",
    purpose="The patient had two records. The other one goes on.",
)
"""Where a record ends that turned out to be a second one of the same patient. It belongs to every pathway."""


class Ask(Part):
    """Something the trigger itself must be told (a treatment, a date, a reason)."""

    name: str
    label: str
    type: Literal["treatment", "choice", "date", "text", "line", "flag"]
    choices: tuple[Choice, ...] = ()
    required: bool = True


class Need(Part):
    """A hard requirement: without it the record would be untrue. ``words`` completes "needs: …"."""

    holds: Condition
    words: str


class Move(Part):
    """One way a trigger can go. ``to: origin`` returns to the state that restaging remembers."""

    from_: Strings = Field(alias="from")
    to: str
    when: Condition | None = None


Effect = Literal["plan_line", "start_line", "hold_line", "resume_line", "end_line", "end_lines", "remember", "close"]


class Trigger(Part):
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


class WarningRule(Part):
    """Something to explain before going on. ``on`` names triggers; ``facts`` means it stands on the case itself."""

    id: str
    text: str
    on: Strings
    when: Condition
    sources: Strings


class Step(Part):
    """When a reminder goes out, counted in days from the opening, the due or the late day, and to whom.

    An urgent one does not wait for the clinic's next working day.
    """

    id: str
    at: Literal["opens", "due", "late"]
    plus_days: int = 0
    to: Audience = "navigator"
    urgent: bool = False


class Satisfied(Part):
    """What makes a one-off item unnecessary: an earlier result, or a recorded fact."""

    activities: Strings = ()
    within: IntervalField | None = None
    facts: Strings = ()


class Stage(Part):
    """From ``after`` on, counted from the base of the series, the interval is ``every``."""

    after: IntervalField
    every: IntervalField


class Variant(Part):
    """An interval that holds under a condition, of a rule that has several."""

    id: str
    when: Condition
    every: IntervalField


Scope = Literal[
    "case",
    "stay",
    "treatment",
    "line",
    "hold",
    "surveillance",
    "plan",
    "procedure",
    "request",
    "after_prrt",
    "dose",
    "none",
]


class FollowUpRule(Part):
    """What becomes due while something holds.

    ``per`` says what a series hangs on: the case, a stay in states, an uninterrupted period of treatment, a
    line, a hold, surgery while under surveillance, a planned treatment, a booked procedure, a requested test,
    the last PRRT dose, each dose of another rule (``follows``), or the lack of any other open item (``none``).
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


class Activity(Part):
    """A thing that is done: a visit, a test, a dose. ``counts_as`` names what else it completes.

    ``records`` are facts that its result may tell and that are asked for with it; ``dates`` facts that are the day on
    which it was done; ``results`` are usual ones, offered to spare typing.
    """

    id: str
    label: str
    counts_as: Strings = ()
    records: Strings = ()
    dates: Strings = ()
    results: Strings = ()
    sources: Strings = ()


class Treatment(Part):
    """An entry of the treatment catalogue. It says what the cited text says; it recommends nothing."""

    code: str
    label: str
    categories: Strings
    detail: str = ""
    cycle: IntervalField | None = None
    sources: Strings


class ChecklistItem(Part):
    """Something to tick, on the case or before a procedure."""

    id: str
    text: str
    optional: bool = False
    activity: str = ""
    sources: Strings


class Checklist(Part):
    """A list to tick, shown in states or at triggers, where ``when`` holds."""

    id: str
    title: str
    shown_in: Strings
    when: Condition | None = None
    items: tuple[ChecklistItem, ...]


class Guidance(Part):
    """What a cited text says, shown where the decision is made. Never a recommendation of ours."""

    id: str
    text: str
    shown_in: Strings
    when: Condition | None = None
    sources: Strings
