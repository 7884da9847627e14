"""The worklist: open follow-ups, limited, in order, a page at a time in both directions, and how many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, Label, Row, func, literal_column, select, union_all
from sqlmodel import Session, col

from tracker import lanes
from tracker.clock import local_date
from tracker.lanes import Asked, Filters, Order
from tracker.models import Case, Clinic, FollowUpRow
from tracker.places import ANY, Scope, follow_ups, open_items
from tracker.queries import DueItem, due_item
from workflows.limits import row_number

__all__ = ["COUNTED", "Filters", "Order", "Place", "WorkItem", "WorkPage", "every", "items", "number", "page"]

COUNTED = 1000
"""Up to so many are counted; of more than that nobody needs to know how many."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One line of the worklist: the follow-up, and what is known of its case. ``today`` is the clinic's own date."""

    due: DueItem
    today: date
    case_id: int
    clinic_id: int
    version: int
    phase: str
    since: date
    treatments: tuple[str, ...]
    grade: str | None
    functional: bool | None
    needs_plan: bool
    warnings: int
    birth_date: date | None
    mrn: str | None

    @property
    def id(self) -> int:
        return self.due.id or 0


@dataclass(frozen=True, slots=True)
class Place:
    """Between which two lines a page begins or ends: after the line with these keys, or before it."""

    keys: tuple[Any, ...]

    def text(self) -> str:
        """As an address carries it. A list by names says the number of the case, never the name."""
        return "~".join(str(key) for key in self.keys)


@dataclass(frozen=True, slots=True)
class WorkPage:
    """A part of the list; ``after`` and ``before`` are where it goes on, None at either end."""

    items: list[WorkItem]
    before: Place | None
    after: Place | None


def place(text: str, order: Order) -> Place:
    """The place that a text stands for; raises :class:`ValueError` where it stands for none in this order."""
    parts = text.split("~")
    if order in (Order.URGENCY, Order.DUE):
        day, item = parts
        return Place((date.fromisoformat(day), row_number(item)))
    if order is Order.STATE:
        state, case, item = parts
        if _STATE.fullmatch(state) is None:
            raise ValueError("this is the name of no state")
        return Place((state, row_number(case), row_number(item)))
    case, item = parts
    return Place((row_number(case), row_number(item)))


_STATE = re.compile(r"[a-z0-9._-]{1,64}")


def page(
    session: Session,
    *,
    now: datetime,
    scope: Scope = ANY,
    filters: Filters | None = None,
    order: Order = Order.URGENCY,
    after: Place | None = None,
    before: Place | None = None,
    size: int = 50,
) -> WorkPage:
    """``size`` lines after or before a place, by default from the top; each judged on its clinic's local date."""
    backwards = before is not None and after is None
    beyond = before if backwards else after
    asked = _asked(session, now, scope, filters or Filters(), order)
    limits = replace(asked, beyond=_keys(session, order, beyond, scope), backwards=backwards)
    found = _in_order(session, limits, size + 1)
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    lines = items(session, now, scope, [row[-1] for row in found])
    first, last = (_place(order, found[0]), _place(order, found[-1])) if found else (None, None)
    came_from = beyond is not None
    return WorkPage(
        lines,
        before=first if (more if backwards else came_from) else None,
        after=last if (came_from if backwards else more) else None,
    )


def _asked(session: Session, now: datetime, scope: Scope, filters: Filters, order: Order = Order.URGENCY) -> Asked:
    rows = session.execute(select(col(Clinic.id), col(Clinic.timezone))).all()
    days = {id_: local_date(now, zone) for id_, zone in rows if scope.clinics is None or id_ in scope.clinics}
    if filters.clinic is not None:
        days = {id_: day for id_, day in days.items() if id_ == filters.clinic}
    return lanes.asked(session, filters, days, order)


def _keys(session: Session, order: Order, beyond: Place | None, scope: Scope) -> tuple[Any, ...] | None:
    """The keys of a place; a name is looked up, and a case that is no longer there means the top of the list.

    So does one of another clinic: where its name stands among others would tell the name.
    """
    if beyond is None or order is not Order.PATIENT:
        return beyond.keys if beyond else None
    case, item = beyond.keys
    named = select(col(Case.sort_name)).where(col(Case.id) == case)
    if scope.clinics is not None:
        named = named.where(col(Case.clinic_id).in_(sorted(scope.clinics)))
    name = session.execute(named).scalar()
    return None if name is None else (name, case, item)


def _place(order: Order, keys: tuple[Any, ...]) -> Place:
    return Place(keys[1:] if order is Order.PATIENT else keys)


_AT_ONCE = 100
"""Clinics in one statement; the embedded database takes 500 parts at most."""


def _in_order(session: Session, asked: Asked, size: int) -> list[tuple[Any, ...]]:
    """The keys of the first lines beyond a place, over all clinics."""
    found: list[tuple[Any, ...]] = []
    walks = [walk.limit(size).subquery() for walk in lanes.walks(asked)]
    for start in range(0, len(walks), _AT_ONCE):
        part = union_all(*(select(*walk.c) for walk in walks[start : start + _AT_ONCE]))
        found += [tuple(row) for row in session.execute(part)]
    return sorted(found, reverse=asked.backwards)[:size]


def items(
    session: Session, now: datetime, scope: Scope, ids: Sequence[int], *, settled: bool = False
) -> list[WorkItem]:
    """These follow-ups in this order; those that are not within the scope are left out.

    So are those that are no longer open, unless those that are ``settled`` are asked for too.
    """
    if not ids:
        return []
    rows = follow_ups(scope, named=True) if settled else open_items(scope, named=True)
    found = session.execute(rows.where(col(FollowUpRow.id).in_(ids)))
    by_id = {row.FollowUpRow.id: _item(row, now) for row in found}
    return [by_id[id_] for id_ in ids if id_ in by_id]


def _item(row: Row[Any], now: datetime) -> WorkItem:
    case: Case = row.Case
    today = local_date(now, row.Clinic.timezone)
    return WorkItem(
        due=due_item(row, today),
        today=today,
        case_id=row.FollowUpRow.case_id,
        clinic_id=case.clinic_id,
        version=case.version,
        phase=case.phase,
        since=case.since,
        treatments=tuple(case.treatments.split("+")) if case.treatments else (),
        grade=case.grade,
        functional=case.functional,
        needs_plan=case.needs_plan,
        warnings=case.warnings_unexplained,
        birth_date=row.Patient.birth_date,
        mrn=row.Patient.mrn,
    )


def number(session: Session, *, now: datetime, scope: Scope = ANY, filters: Filters | None = None) -> int:
    """How many lines there are in all; :data:`COUNTED` + 1 stands for more than are counted."""
    asked = _asked(session, now, scope, filters or Filters())
    one: Label[int] = literal_column("1", Integer).label("one")
    walks = [
        walk.with_only_columns(one, maintain_column_froms=True).order_by(None).limit(COUNTED + 1).subquery()
        for walk in lanes.countings(asked)
    ]
    found = 0
    for start in range(0, len(walks), _AT_ONCE):
        part = union_all(*(select(walk.c.one) for walk in walks[start : start + _AT_ONCE])).limit(COUNTED + 1)
        found += session.execute(select(func.count()).select_from(part.subquery())).scalar_one()
    return min(found, COUNTED + 1)


def every(
    session: Session,
    *,
    now: datetime,
    scope: Scope = ANY,
    filters: Filters | None = None,
    order: Order = Order.URGENCY,
    at_a_time: int = 500,
) -> Iterator[WorkItem]:
    """All lines, read some at a time, so that a list of any length can be written out."""
    after: Place | None = None
    while True:
        found = page(session, now=now, scope=scope, filters=filters, order=order, after=after, size=at_a_time)
        yield from found.items
        after = found.after
        if after is None:
            return
