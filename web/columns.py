"""The columns of the worklist: what each is called, and what it says of a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from tracker import views
from tracker.words import count
from tracker.worklist import WorkItem
from web.access import viewer
from web.presenters import when
from workflows.dates import in_words


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be shown or not; ``tell`` says what stands in it, given the state and treatment in words."""

    words: str
    tell: Callable[[WorkItem, str, str], str]


def _function(item: WorkItem) -> str:
    return {True: "Functional", False: "Not functional"}.get(item.functional, "") if item.functional is not None else ""


def _due(item: WorkItem) -> str:
    """When it was due; where the last day is another, that too: what is overdue counts from there."""
    words = when(item.due.due_on, item.today)
    if item.due.status != "overdue" or item.due.late_on == item.due.due_on:
        return words
    return f"{words}, last day {in_words(item.due.late_on)}"


COLUMNS: dict[str, Column] = {
    "due": Column("Due", lambda item, _state, _treatment: _due(item)),
    "late": Column("Last day", lambda item, _state, _treatment: in_words(item.due.late_on)),
    "state": Column("State", lambda _item, state, _treatment: state),
    "since": Column("In this state since", lambda item, _state, _treatment: in_words(item.since)),
    "treatment": Column("Treatment", lambda _item, _state, treatment: treatment),
    "grade": Column("Grade", lambda item, _state, _treatment: item.grade or ""),
    "function": Column("Function", lambda item, _state, _treatment: _function(item)),
    "rule": Column("Rule", lambda item, _state, _treatment: item.due.why.title),
    "number": Column("Patient's number", lambda item, _state, _treatment: item.mrn or ""),
    "born": Column("Born", lambda item, _state, _treatment: in_words(item.birth_date) if item.birth_date else ""),
    "warnings": Column(
        "Warnings", lambda item, _state, _treatment: count(item.warnings, "warning") if item.warnings else ""
    ),
    "navigator": Column("Navigator", lambda item, _state, _treatment: item.due.place.navigator or "Nobody"),
    "clinic": Column("Clinic", lambda item, _state, _treatment: item.due.place.clinic),
}
_USUAL = ("due", "state", "treatment", "navigator")


def chosen_columns(session: Session, clinics: int) -> list[str]:
    """The columns that the person chose, in the order of all; by default the usual ones, and the clinic if several."""
    chosen = views.columns_of(session, viewer().account_id)
    if chosen is None:
        chosen = [*_USUAL, *(["clinic"] if clinics > 1 else [])]
    return known(chosen)


def known(names: Sequence[str]) -> list[str]:
    """Those of the names that are columns, in the order of all."""
    return [name for name in COLUMNS if name in names]
