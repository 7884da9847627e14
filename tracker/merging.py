"""Two records of one patient: one of them goes on, the other ends and leads to it. Nothing is moved or lost."""

from __future__ import annotations

from datetime import date

from sqlmodel import Session

from tracker import cases
from tracker.errors import ChangeRefused
from tracker.models import Case
from tracker.writing import Writing
from workflows.events import Event, effective
from workflows.parts import MERGED


def merge(writing: Writing, ref: str, into: str, *, on: date, reason: str) -> None:
    """End the record ``ref`` and let ``into`` go on; both say so. Raises :class:`ChangeRefused`, ``UnknownThing``."""
    if ref == into:
        raise ChangeRefused("a record cannot be merged into itself")
    case, other = _both(writing, ref, into)
    if other.state == MERGED.name:
        raise ChangeRefused(f"{into} has itself been merged into another record")
    if case.state == MERGED.name:
        raise ChangeRefused(f"{ref} has been merged already")
    if on < other.opened_on:
        raise ChangeRefused(f"{into} was opened later than {on}")
    _require_like_ends(case, other)
    cases.record(writing, ref=ref, kind="case:merged", on=on, data={"into": into, "reason": reason})
    cases.record(writing, ref=into, kind="case:joined", on=on, data={"case": ref, "reason": reason})


_DECEASED = "closed.deceased"


def _require_like_ends(case: Case, other: Case) -> None:
    """Refuse what would remind of somebody who died, or leave an open case without an open record."""
    died, lives = (case, other) if case.state == _DECEASED else (other, case)
    if died.state == _DECEASED != lives.state:
        raise ChangeRefused(
            f"{died.ref} says that the patient has died, and {lives.ref} does not: record the death there first"
        )
    if case.phase != "closed" and other.phase == "closed":
        raise ChangeRefused(
            f"{case.ref} is open and {other.ref} is closed: merge {other.ref} into {case.ref}, or return"
            f" {other.ref} to care first"
        )


def separate(writing: Writing, ref: str, *, on: date, reason: str) -> str:
    """Undo a merger by corrections on both records; gives the reference of the other. Raises :class:`ChangeRefused`."""
    merged = _merger(writing.session, ref)
    if merged is None:
        raise ChangeRefused(f"{ref} has not been merged into another record")
    into = str(merged.data["into"])
    _, other = _both(writing, ref, into)
    _take_back(writing, ref, merged, on, reason)
    for event in effective(cases.events_of(writing.session, other)):
        if event.kind == "case:joined" and event.data["case"] == ref:
            _take_back(writing, into, event, on, reason)
    return into


def _take_back(writing: Writing, ref: str, event: Event, on: date, reason: str) -> None:
    data = {"event": event.id, "reason": reason}
    cases.record(writing, ref=ref, kind="event:corrected", on=on, data=data, separates=True)


def merged_into(session: Session, ref: str) -> str | None:
    """The record into which this one was merged, if it was; raises ``UnknownThing``."""
    merged = _merger(session, ref)
    return str(merged.data["into"]) if merged else None


def _merger(session: Session, ref: str) -> Event | None:
    standing = effective(cases.events_of(session, cases.find(session, ref)))
    return next((event for event in standing if event.kind == "case:merged"), None)


def _both(writing: Writing, ref: str, into: str) -> tuple[Case, Case]:
    """Both records, locked in one order whoever comes first."""
    locked = {name: cases.locked(writing.session, name) for name in sorted((ref, into))}
    return locked[ref], locked[into]
