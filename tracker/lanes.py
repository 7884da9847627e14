"""How the worklist is read: along an index in the order of the list, clinic by clinic or for one person.

A page is never sorted out of everything: each lane is an equality on the first columns of an index whose next
columns are the order. Where a filter lets only a few cases through, walking would pass over nearly everything, so
these cases are looked up first and their follow-ups sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, text, tuple_
from sqlmodel import Session, col

from tracker import pathways
from tracker.models import IS_OPEN, Case, FollowUpRow
from tracker.places import past_index
from tracker.projection import with_treatment

FEW = 2000
"""So many cases are looked up and sorted at once; of more than that a page is filled soon by walking in order."""

NOBODY = 0
"""Stands for nobody responsible, where other numbers are people."""
NONE = "none"
UNKNOWN = "unknown"


class Order(StrEnum):
    """In which order the list is read."""

    URGENCY = "urgency"
    DUE = "due"
    PATIENT = "patient"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is limited to; blank means any.

    ``who`` is the number of a navigator, or :data:`NOBODY`. ``status``: ``overdue``, ``due``, ``upcoming``, or ``now``
    for what is due or overdue. ``late_by``: at least so many days overdue. ``treatment`` and ``grade`` may be ``none``
    and ``unknown``; ``functional`` is ``yes``, ``no`` or ``unknown``. ``to_do`` leaves out what is booked for today or
    later, or put off. ``cases`` are references, such as a search has found.
    """

    who: int | None = None
    clinic: int | None = None
    phase: str = ""
    state: str = ""
    activity: str = ""
    rule: str = ""
    status: str = ""
    late_by: int = 0
    treatment: str = ""
    grade: str = ""
    functional: str = ""
    next_step: bool = False
    warned: bool = False
    to_do: bool = False
    cases: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that decides which lines are read: ``days`` are the clinics with their local dates.

    ``of_case`` are conditions on the case, ``few`` the cases that meet them where these are few.
    """

    filters: Filters
    days: Mapping[int, date]
    of_case: tuple[ColumnElement[bool], ...] = ()
    few: tuple[int, ...] | None = None
    order: Order = Order.URGENCY
    beyond: tuple[Any, ...] | None = None
    backwards: bool = False
    keys: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", _KEYS[self.order])

    @property
    def looks_at_case(self) -> bool:
        return bool(self.of_case) or self.order in (Order.PATIENT, Order.STATE)


_KEYS: dict[Order, tuple[Any, ...]] = {
    Order.URGENCY: (col(FollowUpRow.late_on), col(FollowUpRow.id)),
    Order.DUE: (col(FollowUpRow.due_on), col(FollowUpRow.id)),
    Order.PATIENT: (col(Case.sort_name), col(Case.id), col(FollowUpRow.id)),
    Order.STATE: (col(Case.state), col(Case.id), col(FollowUpRow.id)),
}
_CASE_OPEN = text("patient_case.phase <> 'closed'")
"""Word for word as the index has it."""
_NO_NEXT_STEP = ("plan-needed", "no-next-step")


# What is asked -----------------------------------------------------------------------------------------------


def asked(session: Session, filters: Filters, days: Mapping[int, date], order: Order = Order.URGENCY) -> Asked:
    """The filters with what has to be looked up for them."""
    filters = replace(filters, activity=filters.activity or _activity_of(session, filters.rule))
    few = _few(session, filters, days, tuple(_of_case(session, filters, _as_it_is)))
    return Asked(filters, days, tuple(_of_case(session, filters, _READ[order])), few, order)


def _as_it_is(column: Any) -> Any:
    return column


_Read = Callable[[Any], Any]
_READ: dict[Order, _Read] = {
    Order.URGENCY: _as_it_is,
    Order.DUE: _as_it_is,
    Order.PATIENT: past_index,
    Order.STATE: lambda column: column if column is Case.state else past_index(column),
}


def _of_case(session: Session, filters: Filters, read: _Read) -> Iterator[ColumnElement[bool]]:
    if filters.cases is not None:
        yield col(Case.ref).in_(filters.cases)
    if filters.phase:
        yield read(Case.phase) == filters.phase
    if filters.state:
        yield read(Case.state) == filters.state
    if filters.treatment == NONE:
        yield read(Case.treatments).is_(None)
    elif filters.treatment:
        yield read(Case.treatments).in_(with_treatment(filters.treatment, _codes(session)))
    if filters.grade:
        yield read(Case.grade).is_(None) if filters.grade == UNKNOWN else read(Case.grade) == filters.grade
    if filters.functional:
        yield read(Case.functional).is_({"yes": True, "no": False}.get(filters.functional))
    if filters.warned:
        yield read(Case.warnings_unexplained) > 0


def _activity_of(session: Session, rule: str) -> str:
    """What a rule asks for, if that is one thing on all pathways: there is an index by activity, and none by rule."""
    if not rule:
        return ""
    known = [pathway.rule_named.get(rule) for pathway in pathways.ever(session)]
    found = {"" if one.per == "request" else one.activity for one in known if one is not None}
    return found.pop() if len(found) == 1 else ""


def _codes(session: Session) -> set[str]:
    """Every treatment of every pathway that was ever published."""
    return {code for pathway in pathways.ever(session) for code in pathway.treatment_named}


def _few(
    session: Session, filters: Filters, days: Mapping[int, date], of_case: tuple[ColumnElement[bool], ...]
) -> tuple[int, ...] | None:
    """The cases that a filter lets through, where these are few; None where they are many, or nobody can tell soon."""
    of_somebody = filters.who not in (None, NOBODY)
    if not of_case or (of_somebody and filters.cases is None):
        return None
    found = select(col(Case.id)).where(col(Case.clinic_id).in_(sorted(days)), _CASE_OPEN, *of_case).limit(FEW + 1)
    ids = tuple(session.execute(found).scalars())
    return ids if len(ids) <= FEW else None


# Lanes -------------------------------------------------------------------------------------------------------


def walks(asked: Asked) -> Iterator[Select[Any]]:
    """The keys of what is asked, in order: one SELECT for a few cases or for a person, else one for each clinic."""
    if not asked.days:
        return
    if asked.few is not None:
        of_these = col(FollowUpRow.case_id).in_(asked.few)
        yield _walk(asked, of_these, *_of_person(asked, past_index), _on_their_days(asked))
    elif asked.order in (Order.PATIENT, Order.STATE) and asked.filters.who in (None, NOBODY):
        yield from _by_case(asked)
    elif asked.filters.who is not None:
        yield _walk(asked, *_of_person(asked), _on_their_days(asked))
    else:
        for number, day in asked.days.items():
            yield _walk(asked, col(FollowUpRow.clinic_id) == number, *_on(asked.filters, day))


def countings(asked: Asked) -> Iterator[Select[Any]]:
    """The same lines to be counted, in no order: from the cases on where these are what limits the list."""
    filters = asked.filters
    narrow = asked.few is not None or filters.who is not None or filters.activity or filters.rule or filters.next_step
    if narrow or not asked.of_case:
        yield from walks(asked)
    else:
        yield from _by_case(asked)


def _by_case(asked: Asked) -> Iterator[Select[Any]]:
    for number, day in asked.days.items():
        on_day = (*_of_person(asked, past_index), *_on(asked.filters, day))
        yield _walk(asked, col(Case.clinic_id) == number, _CASE_OPEN, *on_day, cases_lead=True)


def _walk(asked: Asked, *where: Any, cases_lead: bool = False) -> Select[Any]:
    """``cases_lead``: read the cases along their index, then what is open of each, and never the other way round.

    No planner looks a case up by ``id + 0``; left to itself it reads everything that is open, and sorts it.
    """
    keys = [key.label(f"key_{n}") for n, key in enumerate(asked.keys)]
    found = select(*keys).select_from(FollowUpRow).where(IS_OPEN, *where, *_of_item(asked.filters), *asked.of_case)
    if cases_lead or asked.looks_at_case:
        found = found.join(Case, (col(Case.id) + 0 if cases_lead else col(Case.id)) == col(FollowUpRow.case_id))
    if asked.beyond is not None:
        here = tuple_(*asked.keys)
        there = tuple_(*asked.beyond)
        found = found.where(here < there if asked.backwards else here > there)
    return found.order_by(*(key.desc() if asked.backwards else key for key in asked.keys))


def _of_person(asked: Asked, read: _Read = _as_it_is) -> Iterator[ColumnElement[bool]]:
    if asked.filters.who is not None:
        navigator = read(col(FollowUpRow.navigator_id))
        yield navigator.is_(None) if asked.filters.who == NOBODY else navigator == asked.filters.who


def _of_item(filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.next_step:
        activity, rule = _NO_NEXT_STEP
        yield and_(col(FollowUpRow.activity) == activity, col(FollowUpRow.rule) == rule)
    if filters.activity:
        yield col(FollowUpRow.activity) == filters.activity
    if filters.rule:
        yield col(FollowUpRow.rule) == filters.rule


# Dates -------------------------------------------------------------------------------------------------------


def _on_their_days(asked: Asked) -> ColumnElement[bool]:
    """What holds on each clinic's own date, for clinics of several zones at once."""
    by_day: dict[date, list[int]] = {}
    for clinic, day in asked.days.items():
        by_day.setdefault(day, []).append(clinic)
    terms = [
        and_(past_index(col(FollowUpRow.clinic_id)).in_(of), *_on(asked.filters, day)) for day, of in by_day.items()
    ]
    return or_(false(), *terms)


_STATUS: dict[str, Callable[[date], ColumnElement[bool]]] = {
    "overdue": lambda day: col(FollowUpRow.late_on) < day,
    "due": lambda day: and_(col(FollowUpRow.opens_on) <= day, col(FollowUpRow.late_on) >= day),
    "now": lambda day: col(FollowUpRow.opens_on) <= day,
    "upcoming": lambda day: col(FollowUpRow.opens_on) > day,
}
STATUSES = tuple(_STATUS)


def _on(filters: Filters, day: date) -> Iterator[ColumnElement[bool]]:
    """The conditions that hang on the date in the clinic."""
    if filters.status:
        yield _STATUS[filters.status](day)
    if filters.late_by:
        yield col(FollowUpRow.late_on) <= day - timedelta(days=filters.late_by)
    if filters.to_do:
        booked, put_off = col(FollowUpRow.booked_for), col(FollowUpRow.snoozed_until)
        yield or_(booked.is_(None), booked < day)
        yield or_(put_off.is_(None), put_off <= day)
