"""The dashboard's numbers: tiles, pictures and the table of who has how much, each with the list behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlmodel import Session, col

from tracker import overdue, words
from tracker.casebook import ScopeChoices
from tracker.models import Clinic
from tracker.overdue import Standing
from tracker.tallies import NOBODY, is_closed
from web import links, pictures, presenters
from web.desk import masthead
from web.pictures import Mark, Picture
from workflows.pathway import Pathway

_MOST_BARS = 12
"""Bars of a picture whose kinds have no end; the rest is one bar."""
_FOLLOW_UPS = ("follow-up", "follow-ups")
_CASES = ("case", "cases")
_SOON = 7


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at a glance. ``pressing``: it should be nought."""

    number: int
    words: str
    href: str
    pressing: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """How much one navigator of one clinic has, and for how long the oldest has been overdue."""

    clinic: str
    person: int
    navigator: str | None
    cases: int
    overdue: int
    waiting: str


def soon(standing: Standing, today: date) -> int:
    """How many follow-ups are due within a week."""
    return sum(number for day, number in standing.due.items() if 0 <= (day - today).days < _SOON)


def tiles(standing: Standing, limits: dict[str, Any], today: date) -> list[Tile]:
    """What matters most, in one row."""
    late, reviews, near = standing.overdue, standing.by_activity["hold-review"], soon(standing, today)
    found = [
        Tile(late, f"{_one(late, _FOLLOW_UPS)} overdue", "#overdue"),
        Tile(standing.escalated, "of them to be escalated", links.overdue(escalated=1, **limits)),
        Tile(near, f"{_one(near, _FOLLOW_UPS)} due within {_SOON} days", "#coming", pressing=False),
        Tile(reviews, f"{_one(reviews, ('hold', 'holds'))} past the day of review", _reviews(limits)),
        *_wanting(standing),
        Tile(standing.open_cases, "open cases in all", url_for("cases.index", **limits), pressing=False),
    ]
    failed = masthead().in_question
    if failed:
        found.insert(3, Tile(failed, f"{_one(failed, ('message', 'messages'))} in question", url_for("outbox.index")))
    return found


def _wanting(standing: Standing) -> Iterator[Tile]:
    wants = {
        "next-step": (standing.without_next_step, "without a next step"),
        "explanation": (standing.unexplained, "with unexplained warnings"),
        "navigator": (standing.without_navigator, "with nobody responsible"),
    }
    for anchor, (number, what) in wants.items():
        yield Tile(number, f"{_one(number, _CASES)} {what}", f"#{anchor}")


def _reviews(limits: dict[str, Any]) -> str:
    return links.worklist(activity="hold-review", status="overdue", **_as_worklist(limits))


def _as_worklist(limits: dict[str, Any]) -> dict[str, Any]:
    """The limits of the dashboard under the names that the worklist has for them."""
    who = limits["navigator"]
    return {"clinic": limits["clinic"], "who": "anyone" if who is None else who}


def _one(number: int, kinds: tuple[str, str]) -> str:
    return kinds[0] if number == 1 else kinds[1]


# Pictures --------------------------------------------------------------------------------------------------


def drawn(
    standing: Standing, pathway: Pathway, choices: ScopeChoices, limits: dict[str, Any], today: date
) -> list[Picture]:  # fmt: skip
    """The pictures that have something to show."""
    found = [
        _by_age(standing, limits),
        _by_activity(standing, pathway, limits),
        _by_navigator(standing, choices, limits) if limits["navigator"] is None else None,
        _coming(standing, limits, today),
        _cohort(standing, pathway, limits),
    ]
    return [picture for picture in found if picture]


def _by_age(standing: Standing, limits: dict[str, Any]) -> Picture:
    marks = [
        Mark(pictures.age_words(*age), number, links.overdue(age=pictures.age_code(*age), **limits))
        for age, number in zip(overdue.AGES, standing.aged(), strict=True)
    ]
    return pictures.lying("by-age", "Overdue by how long", _FOLLOW_UPS, marks, 128)


def _by_activity(standing: Standing, pathway: Pathway, limits: dict[str, Any]) -> Picture:
    most = standing.by_activity.most_common(_MOST_BARS)
    marks = [
        Mark(
            presenters.activity_label(pathway, name),
            number,
            links.worklist(activity=name, status="overdue", **_as_worklist(limits)),
        )
        for name, number in most
    ]
    rest = standing.overdue - sum(mark.number for mark in marks)
    if rest:
        marks.append(Mark("Others", rest, links.worklist(status="overdue", **_as_worklist(limits))))
    return pictures.lying("by-activity", "Overdue by what is to be done", _FOLLOW_UPS, marks, 164)


def _by_navigator(standing: Standing, choices: ScopeChoices, limits: dict[str, Any]) -> Picture:
    together: Counter[int] = Counter()
    for (_, person), number in standing.by_navigator.items():
        together[person] += number
    most = together.most_common(_MOST_BARS)
    marks = [
        Mark(_name(choices, person), number, links.overdue(**limits | {"navigator": person})) for person, number in most
    ]
    rest = sum(together.values()) - sum(mark.number for mark in marks)
    if rest:
        marks.append(Mark("Others", rest, "#loads"))
    return pictures.lying("by-navigator", "Overdue by navigator", _FOLLOW_UPS, marks, 164)


def _name(choices: ScopeChoices, person: int) -> str:
    return choices.navigators.get(person, "Nobody responsible" if person == NOBODY else "Somebody else")


def _coming(standing: Standing, limits: dict[str, Any], today: date) -> Picture:
    spans = pictures.weeks(standing.due, today)
    marks = [
        Mark(
            pictures.week_words(first, last),
            number,
            url_for("calendar.index", view="week", day=first.isoformat(), **limits),
        )
        for first, last, number in spans
    ]
    labels = [f"{first.day} {first:%b}" if place % 4 == 0 else "" for place, (first, _, _) in enumerate(spans)]
    return pictures.standing("ahead", "Due in the next 90 days, by week", _FOLLOW_UPS, marks, labels)


def _cohort(standing: Standing, pathway: Pathway, limits: dict[str, Any]) -> Picture:
    """Open cases in the order of the pathway."""
    marks = list(_states(standing, pathway, limits))
    return pictures.lying("cohort", "Open cases along the pathway", _CASES, marks, 176)


def _states(standing: Standing, pathway: Pathway, limits: dict[str, Any]) -> Iterator[Mark]:
    known = list(pathway.state_named)
    for state in sorted(standing.states, key=lambda name: known.index(name) if name in known else len(known)):
        if standing.states[state] > 0 and not is_closed(state):
            label = presenters.state_label(pathway, state)
            yield Mark(label, standing.states[state], url_for("cases.index", state=state, **limits))


# Who has how much ------------------------------------------------------------------------------------------

_MOST_LOADS = 50


def loads(session: Session, standing: Standing, choices: ScopeChoices) -> list[Load]:
    """Each navigator of each clinic, the one with most overdue first."""
    most = [key for key, _ in standing.by_navigator.most_common(_MOST_LOADS)]
    clinics = select(col(Clinic.id), col(Clinic.name)).where(col(Clinic.id).in_({clinic for clinic, _ in most}))
    named = {row.id: row.name for row in session.execute(clinics)}
    oldest = overdue.oldest_of(session, most)
    return [
        Load(
            named[clinic],
            person,
            choices.navigators.get(person),
            standing.caseload[clinic, person],
            standing.by_navigator[clinic, person],
            words.count((standing.days[clinic] - oldest[clinic, person]).days, "day"),
        )
        for clinic, person in most
    ]
