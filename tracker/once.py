"""A change that a form asks for: recorded once, refused with its reasons, or held back because the case moved on."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from tracker import cases, pathways
from tracker.errors import ChangeRefused
from tracker.models import Case, CaseEvent
from tracker.writing import Writing
from workflows.errors import Refused as DataRefused
from workflows.events import Event, checked_data, effective

OTHERWISE = "this form was recorded already, and said something else then; send it once more to record both"
UNDONE = "this form was recorded already, and has been undone since; send it once more to record it again"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,64}")
_LATEST = 1000
"""Cases among which one is looked for that a form has opened: there is no index for it, and two clicks are close."""


@dataclass(frozen=True, slots=True)
class Done:
    """Recorded, under this id; the case is at this version now."""

    event_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same form said the same before, and was recorded then: a double click. Nothing was written now."""

    event_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Somebody changed the case after the form was shown: the events since, in the order of recording."""

    since: tuple[Event, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The change would make the record untrue, or a warning has not been answered."""

    reasons: tuple[str, ...]


Outcome = Done | Repeated | Stale | Refused


def new_token() -> str:
    """A random id for a form that is being shown. It becomes part of the event's id."""
    return secrets.token_hex(8)


def event_id(token: str) -> str:
    """The id of the event that the form of a token records; raises :class:`ChangeRefused` for what is no token."""
    if _TOKEN.fullmatch(token) is None:
        raise ChangeRefused("the form has lost its number; open it again")
    return f"f-{token}"


def opened_with(session: Session, token: str) -> list[Case]:
    """The cases that the form of a token has opened, of the latest ones; raises :class:`ChangeRefused`."""
    last = session.exec(select(func.max(col(Case.id)))).one() or 0
    found = select(Case).join(CaseEvent, (col(CaseEvent.case_id) == col(Case.id)) & (CaseEvent.seq == 1))
    return list(session.exec(found.where(col(Case.id) > last - _LATEST, CaseEvent.ref == event_id(token))))


def record_once(
    writing: Writing, *, ref: str, kind: str, on: date, data: dict[str, Any], version: int | None, token: str
) -> Outcome:
    """Record one event for the form of a token.

    ``version`` is that of the case as the form showed it; None where any will do (a note, a contact). Raises
    :class:`tracker.errors.UnknownThing` where there is no such case.
    """
    case = cases.locked(writing.session, ref)
    before = cases.events_of(writing.session, case)
    try:
        name = event_id(token)
        recorded = next((event for event in before if event.id == name), None)
        if recorded is not None:
            if _is_undone(before, recorded):
                return Refused((UNDONE,))
            return _again(writing, case, recorded, kind, on, data)
        if version is not None and version != case.version:
            return Stale(tuple(event for event in before if event.seq > version), case.version)
        _refuse_idle_correction(before, kind, data)
        made = cases.record(writing, ref=ref, kind=kind, on=on, data=data, event_id=name)
    except ChangeRefused as refusal:
        return Refused(refusal.reasons)
    return Done(made.event.id, made.case.version)


def _again(writing: Writing, case: Case, recorded: Event, kind: str, on: date, data: dict[str, Any]) -> Outcome:
    """A form that comes twice says the same twice; one that was changed in between is another."""
    pathway = pathways.pinned(writing.session, case.pathway_digest)
    try:
        same = (kind, on, checked_data(pathway, kind, data)) == (recorded.kind, recorded.on, recorded.data)
    except DataRefused as refusal:
        return Refused(refusal.reasons)
    if same:
        return Repeated(recorded.id, case.version)
    return Refused((OTHERWISE,))


def _is_undone(events: list[Event], recorded: Event) -> bool:
    return recorded.kind != "event:corrected" and recorded.id not in {event.id for event in effective(events)}


def _refuse_idle_correction(before: list[Event], kind: str, data: dict[str, Any]) -> None:
    """What has been undone is not undone a second time: it would only hide who did it first."""
    if kind != "event:corrected":
        return
    name, standing = str(data.get("event")), {event.id for event in effective(before)}
    target = next((event for event in before if event.id == name), None)
    if target is not None and target.kind != "event:corrected" and name not in standing:
        raise ChangeRefused("this entry has been corrected already")
