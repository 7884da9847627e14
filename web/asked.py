"""What the address of the worklist asks for: the filters, their words, and the same address with one part changed.

A patient's name or number never stands in it: a search is kept by :mod:`tracker.views` under a number of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import abort

from tracker.casebook import ScopeChoices
from tracker.lanes import NOBODY, STATUSES, Filters, Order
from tracker.words import count
from web import presenters
from workflows.limits import is_row_number
from workflows.pathway import Pathway

PLACES = ("after", "before")
NAMES = (
    *("who", "clinic", "state", "activity", "rule", "status", "late", "treatment", "grade", "functional"),
    *("next", "warned", "todo", "found", "sort"),
)
"""Everything that limits or orders the list."""

STATUS_WORDS = {"now": "Due or overdue", "overdue": "Overdue", "due": "Due", "upcoming": "Upcoming"}
SORT_WORDS = {
    Order.URGENCY: "Most urgent",
    Order.DUE: "By due date",
    Order.PATIENT: "By patient",
    Order.STATE: "By state",
}
LATE_WORDS = {"7": "A week", "14": "2 weeks", "30": "30 days", "90": "90 days", "365": "A year"}
KNOWN_WORDS = {"yes": "Functional", "no": "Not functional", "unknown": "Not known"}
GRADES = ("G1", "G2", "G3", "NEC", "unknown")
FLAG_WORDS = {
    "next": "Without a next step",
    "warned": "With unexplained warnings",
    "todo": "Not booked, not put off",
}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the parts of the address that say something, by name."""

    parts: Mapping[str, str]

    @property
    def order(self) -> Order:
        return Order(self.parts.get("sort", Order.URGENCY))

    @property
    def text(self) -> str:
        """As a saved view keeps it: without the search, which is forgotten after a day."""
        return urlencode({name: value for name, value in self.parts.items() if name != "found"})

    @property
    def address(self) -> dict[str, Any]:
        """As the arguments of an address; with nothing asked it says that everything is meant."""
        return dict(self.parts) or {"who": "anyone"}

    def without(self, name: str) -> dict[str, str]:
        """The address with one part less; with nothing left it says that everything is meant."""
        return {key: value for key, value in self.parts.items() if key != name} or {"who": "anyone"}


def read(given: Mapping[str, str]) -> Question:
    """The question of an address; answers 400 where a part of it is none."""
    parts = {name: given.get(name, "").strip() for name in NAMES}
    found = {name: value for name, value in parts.items() if value and (name, value) != ("sort", Order.URGENCY)}
    for name, value in found.items():
        if not _KNOWN.get(name, _is_word)(value):
            abort(400, f"“{name}” asks for nothing that is known here.")
    return Question(found)


def of_text(text: str) -> Question:
    """The question that a saved view keeps, without anything that is not known."""
    given = dict(parse_qsl(text)[:40])
    known = {
        name: value for name, value in given.items() if name in NAMES and _KNOWN.get(name, _is_word)(value)
    }  # fmt: skip
    return Question({name: value for name, value in known.items() if name != "found"})


def _is_word(value: str) -> bool:
    return _WORD.fullmatch(value) is not None


def _is_name(value: str) -> bool:
    return len(value) <= 120 and "\0" not in value


def _is_who(value: str) -> bool:
    return value in ("mine", "anyone") or is_row_number(value)


_KNOWN: dict[str, Callable[[str], bool]] = {
    "who": _is_who,
    "clinic": _is_name,
    "status": lambda value: value in STATUSES,
    "late": lambda value: re.fullmatch(r"[0-9]{1,4}", value) is not None,
    "grade": lambda value: value in GRADES,
    "functional": lambda value: value in KNOWN_WORDS,
    "sort": lambda value: value in list(Order),
    **dict.fromkeys(FLAG_WORDS, lambda value: value == "1"),
}


def filters(
    question: Question, *, me: int | None, clinics: Mapping[str, int], cases: tuple[str, ...] | None
) -> Filters:
    """The filters of a question. ``me`` is the person who asks, as a navigator, if they are one; ``cases`` is what
    their search has found.
    """
    parts = question.parts
    state = parts.get("state", "")
    return Filters(
        who=_who(parts.get("who", "anyone"), me),
        clinic=clinics.get(parts["clinic"], -1) if "clinic" in parts else None,
        phase="" if "." in state else state,
        state=state if "." in state else "",
        activity=parts.get("activity", ""),
        rule=parts.get("rule", ""),
        status=parts.get("status", ""),
        late_by=int(parts.get("late", "0")),
        treatment=parts.get("treatment", ""),
        grade=parts.get("grade", ""),
        functional=parts.get("functional", ""),
        next_step="next" in parts,
        warned="warned" in parts,
        to_do="todo" in parts,
        cases=cases,
    )


def _who(asked: str, me: int | None) -> int | None:
    if asked == "anyone":
        return None
    if asked == "mine":
        return me if me is not None else -1
    return int(asked)


# In words --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force: what it says, and the address without it."""

    name: str
    words: str
    without: dict[str, str]


def chips(question: Question, pathway: Pathway, people: Mapping[int, str], words: str | None) -> list[Chip]:
    """Every filter in force, in the order of the form."""
    tell = _tellers(pathway, people)
    told = {name: tell[name](value) for name, value in question.parts.items() if name in tell and value != "anyone"}
    if "found" in question.parts:
        told["found"] = f"Found by “{words}”" if words else "A search of another day"
    return [Chip(name, told[name], question.without(name)) for name in told]


def _tellers(pathway: Pathway, people: Mapping[int, str]) -> dict[str, Callable[[str], str]]:
    return {
        "who": lambda value: _whose(value, people),
        "clinic": lambda value: f"Clinic {value}",
        "state": lambda value: where_label(pathway, value),
        "activity": lambda value: presenters.activity_label(pathway, value),
        "rule": lambda value: f"Rule: {presenters.rule_label(pathway, value)}",
        "status": lambda value: STATUS_WORDS[value],
        "late": lambda value: f"{count(int(value), 'day')} overdue or more",
        "treatment": lambda value: treatment_words(pathway, value),
        "grade": lambda value: "Grade not known" if value == "unknown" else f"Grade {value}",
        "functional": lambda value: "Function not known" if value == "unknown" else KNOWN_WORDS[value],
        **{name: _flag(name) for name in FLAG_WORDS},
    }


def _flag(name: str) -> Callable[[str], str]:
    return lambda _: FLAG_WORDS[name]


def _whose(value: str, people: Mapping[int, str]) -> str:
    if value == "mine":
        return "Mine"
    return "Nobody responsible" if int(value) == NOBODY else f"Of {people.get(int(value), 'somebody unknown here')}"


def where_label(pathway: Pathway, value: str) -> str:
    """A state or a whole phase."""
    return presenters.state_label(pathway, value) if "." in value else f"{pathway.phases.get(value, value)}, any state"


def treatment_words(pathway: Pathway, value: str) -> str:
    """A treatment under way, none, or more at once than are told apart."""
    if value in ("none", "many"):
        return {"none": "No treatment under way", "many": "Several treatments at once"}[value]
    return presenters.treatment_label(pathway, value)


# What the form offers --------------------------------------------------------------------------------------

Options = list[tuple[str, str]]


def choices(pathway: Pathway, found: ScopeChoices, chosen: int | None) -> dict[str, Any]:
    """What each select of the form offers: values with their words, in groups where there are many.

    ``chosen`` is the number of the person whose list it is.
    """
    return {
        "who": [("mine", "Mine"), ("anyone", "Anyone's"), (str(NOBODY), "Nobody's")]
        + [(str(number), email) for number, email in found.offered(chosen).items()],
        "clinics": found.clinics,
        "states": [
            (title, [(phase, f"{title}, any state"), *_states(pathway, phase)])
            for phase, title in pathway.phases.items()
            if phase != "closed"
        ],
        "activities": sorted(((a.id, a.label) for a in _asked_for(pathway)), key=lambda one: one[1].casefold()),
        "rules": [(rule.id, rule.title) for rule in pathway.follow_ups],
        "treatments": [("none", "None under way"), *((t.code, t.label) for t in pathway.treatments)],
        "grades": [(grade, "Not known" if grade == "unknown" else grade) for grade in GRADES],
        "statuses": STATUS_WORDS,
        "late": LATE_WORDS,
        "functional": KNOWN_WORDS,
        "flags": FLAG_WORDS,
        "sorts": SORT_WORDS,
    }


def _states(pathway: Pathway, phase: str) -> Options:
    return [(state.name, state.title) for state in pathway.states if state.phase == phase]


def _asked_for(pathway: Pathway) -> list[Any]:
    """Activities that a rule can make due, and the tests that can be requested by name."""
    due = {rule.activity for rule in pathway.follow_ups}
    return [a for a in pathway.activities if a.id in due or not a.counts_as]
