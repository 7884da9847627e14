"""What is done about follow-ups of one case: several events that belong together, recorded all or not at all, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlmodel import col, select

from tracker import cases, once, pathways
from tracker.clock import local_date
from tracker.conflicts import rests_on
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import Case, Clinic, FollowUpRow
from tracker.once import Refused
from tracker.writing import Writing
from workflows.dates import in_words
from workflows.events import Event


@dataclass(frozen=True, slots=True)
class Entry:
    """One event that is to be recorded."""

    kind: str
    on: date
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A follow-up by the number of its row; ``due_on`` as the form showed it, None where that does not matter."""

    id: int
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What was recorded: the ids of the events. ``repeated``: they were there already, of the same form."""

    events: tuple[str, ...]
    repeated: bool = False


RESTS_ON_IT = (
    "something that was recorded since rests on it; strike the entry out in the timeline of the case, where you see"
    " first what that changes"
)
Make = Callable[[list[FollowUpRow]], list[Entry]]
"""The events for follow-ups as they are now."""
Holds = Callable[[FollowUpRow], bool]
"""Whether an open follow-up is as the events were to make it."""


def apply(
    writing: Writing, *, ref: str, targets: Sequence[Target], make: Make, holds: Holds | None, token: str
) -> Applied:
    """Record what :data:`Make` says about the targets, in the caller's transaction, which has to be rolled back then.

    Raises :class:`ChangeRefused` with the reasons: somebody was faster, the form came before and said something else
    or has been undone, the record would become untrue, or a follow-up would stay open that was to be settled
    (``holds`` None) or would not be as asked (``holds`` false of it). Raises :class:`UnknownThing` where there is no
    such case, or the follow-ups are not its own.
    """
    case = cases.locked(writing.session, ref)
    events = cases.events_of(writing.session, case)
    earlier = recorded(events, token)
    if earlier:
        _require_same(writing, ref, make([_row_of(writing, case, target) for target in targets]), earlier, token)
        return Applied(earlier, repeated=True)
    rows = [_still_open(writing, case, events, target) for target in targets]
    made = tuple(_record(writing, ref, entry, f"{token}-{n}") for n, entry in enumerate(make(rows)))
    for row in rows:
        _require(writing, row, holds)
    return Applied(made)


def recorded(events: Iterable[Event], token: str) -> tuple[str, ...]:
    """The ids of the events that the form of a token has recorded, in their order."""
    prefix = once.event_id(token) + "-"
    return tuple(event.id for event in events if event.id.startswith(prefix))


def _require_same(writing: Writing, ref: str, entries: list[Entry], earlier: tuple[str, ...], token: str) -> None:
    """That a form which comes again says what it said before; what is recorded once is not written again."""
    if len(entries) != len(earlier):
        raise ChangeRefused(once.OTHERWISE)
    for n, entry in enumerate(entries):
        _record(writing, ref, entry, f"{token}-{n}")


def _record(writing: Writing, ref: str, entry: Entry, token: str) -> str:
    outcome = once.record_once(
        writing, ref=ref, kind=entry.kind, on=entry.on, data=entry.data, version=None, token=token
    )
    if isinstance(outcome, Refused):
        raise ChangeRefused(*outcome.reasons)
    if isinstance(outcome, once.Stale):
        raise ChangeRefused("somebody changed the case in the meantime")
    return outcome.event_id


def _row_of(writing: Writing, case: Case, target: Target) -> FollowUpRow:
    found = select(FollowUpRow).where(FollowUpRow.id == target.id).execution_options(populate_existing=True)
    row = writing.session.exec(found).first()
    if row is None:
        raise ChangeRefused("it is no longer planned; somebody has changed the case in the meantime")
    if row.case_id != case.id:
        raise UnknownThing(f"there is no follow-up {target.id} in this case")
    return row


def _still_open(writing: Writing, case: Case, events: Iterable[Event], target: Target) -> FollowUpRow:
    row = _row_of(writing, case, target)
    if row.status != "open":
        raise ChangeRefused(ended(row, events))
    if target.due_on is not None and row.due_on != target.due_on:
        raise ChangeRefused(
            f"somebody has moved it in the meantime: it is due on {in_words(row.due_on)} now,"
            f" no longer on {in_words(target.due_on)}"
        )
    return row


_ENDED = {"done": "done already", "waived": "waived already"}


def ended(row: FollowUpRow, events: Iterable[Event]) -> str:
    """That somebody was faster, and who, in words that blame nobody."""
    by = next((event.actor for event in events if event.id == row.ended_by), "")
    what = _ENDED.get(row.status, "no longer needed")
    when = f" on {in_words(row.ended_on)}" if row.ended_on else ""
    why = f" ({row.end_reason})" if row.end_reason and row.status not in _ENDED else ""
    return f"{what}{when}{f', recorded by {by}' if by else ''}{why}; nothing is left to do here"


def _require(writing: Writing, row: FollowUpRow, holds: Holds | None) -> None:
    found = select(FollowUpRow).where(col(FollowUpRow.id) == row.id).execution_options(populate_existing=True)
    now = writing.session.exec(found).first()
    if now is None or now.status != "open":
        return
    if holds is None:
        raise ChangeRefused(f"a date before {in_words(now.due_on)} does not settle it; choose another date")
    if not holds(now):
        raise ChangeRefused("the case has another follow-up of the same kind that is due first; settle that one first")


def take_back(writing: Writing, *, ref: str, events: Sequence[str], reason: str, token: str) -> None:
    """Correct events that were recorded together, the last one first; raises :class:`ChangeRefused`.

    Nothing is undone at a click on which something else rests by now: striking out an entry shows first what changes.
    """
    case = cases.locked(writing.session, ref)
    pathway = pathways.pinned(writing.session, case.pathway_digest)
    if rests_on(pathway, cases.events_of(writing.session, case), events) is not None:
        raise ChangeRefused(RESTS_ON_IT)
    clinic = writing.session.get_one(Clinic, case.clinic_id)
    today = local_date(writing.now, clinic.timezone)
    for n, event in enumerate(reversed(events)):
        _record(writing, ref, Entry("event:corrected", today, {"event": event, "reason": reason}), f"{token}-{n}")
