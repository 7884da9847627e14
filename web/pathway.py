"""The pathway as it is published: states, rules, warnings, treatments, and the sources of each."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template

from tracker import pathways
from tracker.words import count
from web import presenters
from web.access import needs
from web.desk import desk
from web.presenters import Badge
from workflows.conditions import Condition
from workflows.parts import Document, FollowUpRule, Source, State, Trigger, WarningRule
from workflows.pathway import Pathway

pages = Blueprint("pathway", __name__, url_prefix="/pathway")


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """A trigger in words; each move is from, to, and the condition, if any."""

    title: str
    id: str
    moves: list[tuple[str, str, str]]
    needs: list[str]
    badges: list[Badge]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A follow-up rule in words."""

    title: str
    id: str
    activity: str
    every: str
    window: str
    while_words: str
    note: str
    badges: list[Badge]
    reminders: list[str]


@pages.get("")
@needs()
def latest() -> str:
    """The pathway on which new cases start."""
    with desk().database.reading() as session:
        pathway = pathways.latest(session)
    return _page(pathway, newest=True)


@pages.get("/<digest>")
@needs()
def version(digest: str) -> str:
    """A published pathway by its digest: the text that an older case runs on."""
    with desk().database.reading() as session:
        known = {row["digest"]: row for row in pathways.published(session)}
        pathway = pathways.pinned(session, digest if digest in known else "")
        newest = pathways.latest(session).digest == digest
    return _page(pathway, newest=newest)


def _page(pathway: Pathway, *, newest: bool) -> str:
    return render_template(
        "pathway.html",
        pathway=pathway,
        newest=newest,
        phases=phases(pathway),
        triggers=[trigger_row(pathway, trigger) for trigger in pathway.triggers],
        rules=[rule_row(pathway, rule) for rule in pathway.follow_ups],
        warnings=[warning_row(pathway, warning) for warning in pathway.warnings],
        treatments=[(t, presenters.badges(pathway, t.sources)) for t in pathway.treatments],
        kinds=_sources(pathway),
        documents=_documents(pathway),
    )


def phases(pathway: Pathway) -> list[tuple[str, list[State]]]:
    """The states under their phases, in the order of the states (a published document sorts its phases)."""
    order = dict.fromkeys(state.phase for state in pathway.states)
    return [(pathway.phases[phase], [s for s in pathway.states if s.phase == phase]) for phase in order]


def trigger_row(pathway: Pathway, trigger: Trigger) -> TriggerRow:
    """Where a trigger leads, what it asks and needs, and what it rests on."""
    moves = [
        (_places(pathway, move.from_), _places(pathway, (move.to,)), _words(pathway, move.when) if move.when else "")
        for move in trigger.moves
    ]
    needs = [ask.label.lower() for ask in trigger.asks if ask.required] + [need.words for need in trigger.needs]
    return TriggerRow(trigger.title, trigger.id, moves, needs, presenters.badges(pathway, trigger.sources))


def _places(pathway: Pathway, names: tuple[str, ...]) -> str:
    return ", ".join(_place(pathway, name) for name in names)


def _place(pathway: Pathway, name: str) -> str:
    if name in ("open", "origin"):
        return {"open": "any open state", "origin": "the state that it came from"}[name]
    if name.endswith(".*"):
        return f"any state of “{pathway.phases[name[:-2]]}”"
    return presenters.state_label(pathway, name)


def _words(pathway: Pathway, condition: Condition) -> str:
    return condition.words(pathway)


@dataclass(frozen=True, slots=True)
class WarningRow:
    """A warning in words: when it holds, and at which steps it is asked."""

    id: str
    text: str
    when: str
    asked_at: list[str]
    badges: list[Badge]


def warning_row(pathway: Pathway, warning: WarningRule) -> WarningRow:
    """What a warning says, when, where it is asked, and what it rests on."""
    asked = [pathway.trigger_named[name].title if name != "facts" else "for as long as it holds" for name in warning.on]
    words = presenters.sentence(_words(pathway, warning.when))
    return WarningRow(warning.id, warning.text, words, asked, presenters.badges(pathway, warning.sources))


def rule_row(pathway: Pathway, rule: FollowUpRule) -> RuleRow:
    """What a rule makes due, how often, within which window, and what it rests on."""
    return RuleRow(
        rule.title,
        rule.id,
        presenters.activity_label(pathway, rule.activity),
        interval(pathway, rule),
        _window(rule),
        presenters.sentence(rule.while_words),
        rule.note,
        presenters.badges(pathway, rule.sources),
        [_step(step.at, step.plus_days, step.to) for step in pathway.reminders[rule.reminders]],
    )


def interval(pathway: Pathway, rule: FollowUpRule) -> str:
    """How often, in words: ``6 months``, ``3 months (Grade is G3)``, ``once, after 14 days``."""
    if rule.variants:
        return "; ".join(f"{v.every} ({_words(pathway, v.when)})" for v in rule.variants)
    if rule.every == "cycle":
        return "each cycle of the regimen"
    if rule.every is None:
        return _once(rule)
    later = f", from {rule.then.after} on every {rule.then.every}" if rule.then else ""
    until = f", {count(rule.doses, 'dose')} in all" if rule.doses else ""
    at_once = ", the first on the same day" if rule.first is not None and rule.first.count == 0 else ""
    return f"{rule.every}{later}{until}{at_once}"


def _once(rule: FollowUpRule) -> str:
    if rule.offset_days:
        each = "once for each dose" if rule.follows else "once"
        return f"{each}, {count(-rule.offset_days, 'day')} before"
    if rule.first is None:
        return _ON_ITS_DATE.get(rule.per, "once")
    return f"once, after {rule.first}" if rule.first.count else "once, on the same day"


_ON_ITS_DATE = {"hold": "once, on the review date", "plan": "once, on the planned date"}


def _window(rule: FollowUpRule) -> str:
    if not rule.before and not rule.after:
        return "the due date alone"
    before = f"{count(rule.before, 'day')} before" if rule.before else "the due date"
    return f"{before} to {count(rule.after, 'day') + ' after' if rule.after else 'the due date'}"


_AT = {"opens": "when it opens", "due": "on the due date", "late": "after the last day of the window"}


def _step(at: str, plus_days: int, to: str) -> str:
    days = f"{count(plus_days, 'day')} " if plus_days else ""
    return f"{days}{_AT[at]}: {'clinic lead' if to == 'lead' else to}"


def _sources(pathway: Pathway) -> list[tuple[str, str, list[tuple[Source, Badge]]]]:
    titles = {
        "S": ("Cited texts", "What our documents say, item by item. These cannot be edited."),
        "G": ("Other guidelines", "Defaults where the cited texts are silent. A clinic may edit them."),
        "P": ("Our own policy", "Ours, and said to be ours. A clinic may edit it."),
    }
    return [
        (title, words, [(s, presenters.badge(s)) for s in pathway.sources if s.kind == kind])
        for kind, (title, words) in titles.items()
    ]


def _documents(pathway: Pathway) -> list[Document]:
    return list(pathway.documents)
