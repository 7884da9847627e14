"""One case as its page shows it: pure functions from a case file to what the template prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from dateutil.relativedelta import relativedelta

from tracker.casebook import CaseFile
from tracker.queries import status_on
from tracker.words import count
from web import acts, presenters
from web.acts import Act
from web.presenters import Badge, Urgency
from workflows.dates import in_words
from workflows.history import CaseHistory
from workflows.machine import Choice, FoundWarning
from workflows.parts import FactDefinition
from workflows.pathway import Pathway
from workflows.records import FactRecorded, Line
from workflows.series import FollowUp, Forecast, Why
from workflows.view import Value

FORECAST_MONTHS = 24

# The track -------------------------------------------------------------------------------------------------

_TRACK = (("workup",), ("localized", "advanced"), ("therapy",), ("surveillance",))
_ASIDE = ("restaging", "closed")


@dataclass(frozen=True, slots=True)
class Stop:
    """A phase on the way: ``place`` is ``now``, ``passed`` or ``ahead``; ``words`` say the same, and when."""

    title: str
    place: str
    words: str


def track(history: CaseHistory) -> list[Stop]:
    """The phases in their order, and after them restaging or closed where the case stands there."""
    groups = [*_TRACK, *((phase,) for phase in _ASIDE if phase == history.phase)]
    stays = _stays(history)
    return [_stop(history, group, stays) for group in groups]


_Stay = tuple[str, date, date | None]
"""A phase, since when, and until when; None for the one that lasts."""


def _stays(history: CaseHistory) -> list[_Stay]:
    """The phases of the case one after the other, however often it came back to one."""
    first = history.opened.get("state") or history.pathway.initial
    entered = [(first, history.opened_on or history.since), *((move.to, move.on) for move in history.moves)]
    found: list[_Stay] = []
    for state, on in entered:
        phase = state.partition(".")[0]
        if found and found[-1][0] == phase:
            continue
        if found:
            found[-1] = (*found[-1][:2], on)
        found.append((phase, on, None))
    return found


def _stop(history: CaseHistory, group: tuple[str, ...], stays: list[_Stay]) -> Stop:
    titles = history.pathway.phases
    of_group = [stay for stay in stays if stay[0] in group]
    if history.phase in group:
        return Stop(titles[history.phase], "now", f"the case is here, since {in_words(of_group[-1][1])}")
    if not of_group:
        return Stop(" or ".join(titles[phase] for phase in group), "ahead", "not reached")
    _, since, until = of_group[-1]
    been = [titles[phase] for phase in group if any(stay[0] == phase for stay in of_group)]
    again = "the last time " if len(of_group) > 1 else ""
    return Stop(" and ".join(been), "passed", f"{again}{_from_to(since, until or since)}")


def _from_to(since: date, until: date) -> str:
    return f"on {in_words(since)}" if since == until else f"{in_words(since)} to {in_words(until)}"


# What is due -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An open follow-up with its urgency on the day, its sources, and what must be known of their documents."""

    item: FollowUp
    label: str
    urgency: Urgency
    badges: list[Badge]
    caveats: list[str]

    @property
    def why(self) -> Why:
        return self.item.why

    @property
    def by_moving(self) -> bool:
        return acts.by_moving(self.item.activity)

    @property
    def acts(self) -> list[Act]:
        """What can be done about it, without what is about the whole case."""
        return [act for act in acts.possible(self.item.activity) if not act.of_case]


def open_items(file: CaseFile) -> list[OpenItem]:
    """What is open, earliest due first."""
    return [_open_item(file, item) for item in file.plan.open_items]


def _open_item(file: CaseFile, item: FollowUp) -> OpenItem:
    pathway = file.plan.history.pathway
    status, days = status_on(item.window.opens_on, item.window.late_on, file.today)
    pressing = presenters.urgency(status, days, presenters.steps_of(pathway, item.rule))
    label = presenters.activity_label(pathway, item.activity)
    sources = item.why.sources
    badges, caveats = presenters.badges(pathway, sources), presenters.document_caveats(pathway, sources)
    return OpenItem(item, label, pressing, badges, caveats)


@dataclass(frozen=True, slots=True)
class PastItem:
    """A follow-up that ended, and how."""

    label: str
    title: str
    due_on: date
    ended_on: date | None
    how: str


_ENDINGS = {"done": "Done", "waived": "Waived", "superseded": "No longer tracked", "cancelled": "Cancelled"}
_OVER = "no longer: "
"""Before the condition of a rule that has stopped holding, in the reason for which its item ended."""


def past_items(file: CaseFile) -> list[PastItem]:
    """Follow-ups that ended, the latest first."""
    ended = [item for item in file.plan.follow_ups.values() if not item.is_open]
    ended.sort(key=lambda item: (item.ended_on or date.min, item.window.due_on), reverse=True)
    pathway = file.plan.history.pathway
    return [
        PastItem(
            presenters.activity_label(pathway, item.activity), item.why.title, item.window.due_on, item.ended_on,
            how_it_ended(item.status, item.end_reason),
        )
        for item in ended
    ]  # fmt: skip


def how_it_ended(status: str, reason: str) -> str:
    """``Done``, ``Waived: patient abroad``, ``No longer tracked, as this has ended: a line is on hold``."""
    words = _ENDINGS.get(status, status)
    if reason.startswith(_OVER):
        return f"{words}, as this has ended: {reason.removeprefix(_OVER)}"
    return f"{words}: {reason}" if reason else words


def forecast(file: CaseFile) -> list[tuple[str, Forecast]]:
    """Later occurrences in the months to come, each with what is to be done."""
    until = file.today + relativedelta(months=FORECAST_MONTHS)
    pathway = file.plan.history.pathway
    return [(presenters.activity_label(pathway, item.activity), item) for item in file.plan.forecast(file.today, until)]


# Warnings and possible steps -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WarningCard:
    """A warning with what was found and what it rests on."""

    id: str
    text: str
    found: str
    badges: list[Badge]


def warnings(history: CaseHistory) -> list[WarningCard]:
    """The warnings that nobody has given a reason for."""
    return [_warning(history.pathway, found) for found in history.unexplained()]


def _warning(pathway: Pathway, found: FoundWarning) -> WarningCard:
    return WarningCard(
        found.id, found.text, presenters.sentence(found.found), presenters.badges(pathway, found.sources)
    )


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can happen next: where it leads, what it asks, what is missing, what it warns of."""

    id: str
    title: str
    to: str
    missing: tuple[str, ...]
    asks: tuple[str, ...]
    warnings: list[WarningCard]
    closes: bool

    @property
    def standing(self) -> str:
        if self.missing:
            return "missing"
        return "warned" if self.warnings else "ready"


def steps(history: CaseHistory, today: date) -> list[Step]:
    """What can happen next, judged today: what is possible first, what closes the case last."""
    found = [_step(history, choice) for choice in history.choices(today)]
    return sorted(found, key=lambda step: (step.closes, bool(step.missing)))


def _step(history: CaseHistory, choice: Choice) -> Step:
    pathway = history.pathway
    to = "" if choice.to == history.state else presenters.state_label(pathway, choice.to)
    asks = tuple(ask.label.lower() for ask in choice.trigger.asks if ask.required)
    warned = [_warning(pathway, warning) for warning in choice.warnings]
    return Step(
        choice.trigger.id, choice.trigger.title, to, choice.missing, asks, warned, choice.to.startswith("closed.")
    )


# Facts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact that is known: its value, since when, whether it is derived, and what it was before."""

    name: str
    label: str
    value: str
    on: date | None
    earlier: list[tuple[str, date]]
    help: str


@dataclass(frozen=True, slots=True)
class Staging:
    """T, N, M and stage, one column a staging system; ``conflict`` says where the systems differ.

    ``earlier`` is what a category was before in its system: its label, the value, and since when; the latest first.
    """

    systems: list[str]
    rows: list[tuple[str, list[str]]]
    conflict: bool
    latest: str
    earlier: list[tuple[str, str, date]]


def facts(history: CaseHistory) -> list[FactRow]:
    """Every fact that is known, derived ones too; T, N, M and stage stand in :func:`staging`."""
    pathway = history.pathway
    systems = {fact.qualified_by for fact in pathway.facts}
    plain = [fact for fact in pathway.facts if not fact.qualified_by and fact.name not in systems]
    return [_fact(history, fact) for fact in plain if history.fact(fact.name) is not None]


def _fact(history: CaseHistory, definition: FactDefinition) -> FactRow:
    recorded = history.facts.get(definition.name, [])
    value = history.fact(definition.name)
    text = "" if value is None else history.pathway.value_label(definition.name, value)
    earlier = [(_value(history.pathway, fact), fact.on) for fact in reversed(recorded[:-1])]
    name = definition.name if definition.derived is None else ""
    return FactRow(name, definition.label, text, recorded[-1].on if recorded else None, earlier, definition.help)


def _value(pathway: Pathway, fact: FactRecorded) -> str:
    return "not known" if fact.value is None else pathway.value_label(fact.name, fact.value)


@dataclass(frozen=True, slots=True)
class BarrierRow:
    """A barrier to care in words."""

    label: str
    since: date
    resolved_on: date | None
    words: str


def barriers(history: CaseHistory) -> list[BarrierRow]:
    """What keeps or kept the patient from care: what stands first, then the latest."""
    found = sorted(history.barriers, key=lambda b: (b.resolved_on is None, b.since), reverse=True)
    return [BarrierRow(presenters.barrier_label(b.name), b.since, b.resolved_on, "; ".join(b.texts)) for b in found]


@dataclass(frozen=True, slots=True)
class Differing:
    """Two facts that should agree and do not, and which of them the rules use."""

    what: str
    told: list[tuple[str, str]]
    used: str


_SHOULD_AGREE = (
    ("The grades differ", ("reported_grade", "measured_grade"), "grade"),
    ("The reports of hormone function differ", ("reported_functional", "functional"), "functional"),
)
"""What is recorded as reported, beside what follows from other facts, and the fact that the rules ask."""


def differing(history: CaseHistory) -> list[Differing]:
    """Facts that contradict each other, side by side."""
    pathway, found = history.pathway, []
    for what, names, used in _SHOULD_AGREE:
        values = {name: history.fact(name) for name in names}
        if None in values.values() or len(set(values.values())) == 1:
            continue
        told = [(pathway.fact_label(name), _words(pathway, name, value)) for name, value in values.items()]
        found.append(Differing(what, told, _words(pathway, used, history.fact(used))))
    return found


def _words(pathway: Pathway, name: str, value: Value | None) -> str:
    return "not known" if value is None else pathway.value_label(name, value)


def unknown_facts(history: CaseHistory) -> list[str]:
    """What is not recorded yet. Unknown is not "no"."""
    named = [fact for fact in history.pathway.facts if fact.derived is None]
    return [fact.label for fact in named if history.fact(fact.name) is None]


def staging(history: CaseHistory) -> Staging | None:
    """The latest T, N, M and stage in each system side by side; None where nothing is recorded."""
    qualified = [fact for fact in history.pathway.facts if fact.qualified_by]
    recorded = [fact for definition in qualified for fact in history.facts.get(definition.name, [])]
    if not recorded:
        return None
    systems = list(dict.fromkeys(fact.system for fact in recorded))
    rows = [(fact.label, [_in_system(history, fact, system) for system in systems]) for fact in qualified]
    conflict = any(len({cell for cell in cells if cell != _NOT_RECORDED}) > 1 for _, cells in rows)
    last = max(recorded, key=lambda fact: fact.on)
    names = [_system(history.pathway, system) for system in systems]
    earlier = [one for fact in qualified for system in systems for one in _before(history, fact, system)]
    earlier.sort(key=lambda one: one[2], reverse=True)
    return Staging(names, rows, conflict, _system(history.pathway, last.system), earlier)


def _before(history: CaseHistory, definition: FactDefinition, system: str) -> Iterator[tuple[str, str, date]]:
    """What a category was in one system, as long as it was something else than what came next."""
    found = [fact for fact in history.facts.get(definition.name, []) if fact.system == system]
    label = f"{definition.label}, {_system(history.pathway, system)}"
    for was, becomes in pairwise(found):
        if was.value != becomes.value:
            yield label, _with_letter(definition, _value(history.pathway, was)), was.on


_NOT_RECORDED = "not recorded"


def _in_system(history: CaseHistory, definition: FactDefinition, system: str) -> str:
    found = [fact for fact in history.facts.get(definition.name, []) if fact.system == system]
    return _with_letter(definition, _value(history.pathway, found[-1])) if found else _NOT_RECORDED


def _with_letter(definition: FactDefinition, value: str) -> str:
    """``T2``, ``M0``: a category is recorded without its letter, and read with it."""
    letter = definition.name.upper()
    return f"{letter}{value}" if len(letter) == 1 and value[:1] in "01234Xi" else value


def _system(pathway: Pathway, system: str) -> str:
    return pathway.value_label("staging_system", system) if system else "System not stated"


# Lines of therapy ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineCard:
    """A line of therapy in words."""

    line: Line
    label: str
    intent: str
    standing: str
    doses: str


def lines(history: CaseHistory) -> list[LineCard]:
    """Lines of therapy, the latest first."""
    return [_line(history.pathway, line) for line in reversed(history.lines)]


def _line(pathway: Pathway, line: Line) -> LineCard:
    standing = "Ended" if not line.is_open else "On hold" if line.on_hold else "Active"
    label = presenters.treatment_label(pathway, line.treatment)
    return LineCard(line, label, presenters.intent_label(pathway, line.intent), standing, _doses(pathway, line))


def _doses(pathway: Pathway, line: Line) -> str:
    rules = [r for r in pathway.follow_ups if r.doses and r.line is not None]
    planned = next((r.doses for r in rules if r.line and r.line.matches(pathway, line.treatment, line.intent)), None)
    return f"{line.doses} of {count(planned, 'dose')} given" if planned else ""
