"""A caseload that goes from one person to another: what there is to hand over, and each case in its own transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Row, case, func, select
from sqlmodel import Session, col

from tracker.access import Role
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import IS_OPEN, Account, Case, CaseEvent, FollowUpRow, Membership
from tracker.once import Refused, Stale, event_id, record_once
from tracker.places import Scope, case_rows
from tracker.writing import Writing

AT_ONCE = 500
"""Cases of one hand-over for which somebody waits: each is a transaction. More than that is for the tick."""


@dataclass(frozen=True, slots=True)
class Burden:
    """An open case that somebody looks after, and how much of it is open and overdue."""

    case_id: int
    ref: str
    name: str
    clinic_id: int
    clinic: str
    state: str
    pathway: str
    opened_on: date
    items: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one case of a hand-over; without reasons, it was handed over."""

    ref: str
    reasons: tuple[str, ...] = ()


def burdens(session: Session, person_id: int, scope: Scope, today: date) -> list[Burden]:
    """The open cases of somebody in a scope, by name; at most :data:`AT_ONCE`."""
    cases_ = case_rows(scope).where(col(Case.navigator_id) == person_id, col(Case.phase) != "closed")
    rows = session.execute(cases_.order_by(col(Case.sort_name), col(Case.id)).limit(AT_ONCE)).all()
    late = func.sum(case((col(FollowUpRow.late_on) < today, 1), else_=0))
    counted = select(col(FollowUpRow.case_id), func.count(), late).where(
        IS_OPEN, col(FollowUpRow.navigator_id) == person_id
    )
    loads = {row[0]: (row[1], row[2]) for row in session.execute(counted.group_by(col(FollowUpRow.case_id)))}
    return [_burden(row, *loads.get(row.Case.id, (0, 0))) for row in rows]


def numbers(session: Session, person_id: int, scope: Scope) -> list[int]:
    """Every open case of somebody in a scope, by the number of its row."""
    found = select(col(Case.id)).where(col(Case.navigator_id) == person_id, col(Case.phase) != "closed")
    if scope.clinics is not None:
        found = found.where(col(Case.clinic_id).in_(sorted(scope.clinics)))
    return list(session.execute(found.order_by(col(Case.id))).scalars())


def _burden(row: Row[Any], items: int, overdue: int) -> Burden:
    c: Case = row.Case
    return Burden(
        case_id=c.id or 0,
        ref=c.ref,
        name=row.Patient.name or row.Patient.ref,
        clinic_id=c.clinic_id,
        clinic=row.Clinic.name,
        state=c.state,
        pathway=c.pathway_digest,
        opened_on=c.opened_on,
        items=items,
        overdue=overdue,
    )


def successors(session: Session, clinics: Iterable[int], but: str) -> list[str]:
    """Who may take over cases of some clinic of these: everybody there who may write, by address."""
    may_write = [role.value for role in (Role.NAVIGATOR, Role.CLINICIAN, Role.LEAD)]
    found = select(col(Account.email)).join(Membership, col(Membership.account_id) == col(Account.id)).distinct()
    found = found.where(col(Membership.clinic_id).in_(sorted(clinics)), col(Membership.role).in_(may_write))
    found = found.where(col(Account.disabled_at).is_(None), col(Account.email) != but)
    return list(session.execute(found.order_by(col(Account.email))).scalars())


def at_home_in_each(session: Session, emails: Iterable[str], clinics: Iterable[int]) -> list[str]:
    """Those of these people who may look after cases of every one of some clinics."""
    there = [set(successors(session, [clinic], "")) for clinic in clinics]
    return [email for email in emails if all(email in some for some in there)]


def may_take(session: Session, email: str, clinic_id: int) -> bool:
    """Whether somebody may look after cases of a clinic."""
    return email in successors(session, [clinic_id], "")


def hand_over(
    writing: Callable[[], AbstractContextManager[Writing]],
    *,
    refs: Iterable[str],
    to: str,
    on: date,
    reason: str,
    token: str,
) -> list[Handed]:
    """Hand over cases, one transaction each, so that one that cannot go keeps back no other.

    ``token`` is that of the form: sent twice, each case is handed over once. Another person may have changed a case
    meanwhile; that does not matter here.
    """
    return [_hand_one(writing, ref, to, on, reason, token) for ref in refs]


def _hand_one(
    writing: Callable[[], AbstractContextManager[Writing]], ref: str, to: str, on: date, reason: str, token: str
) -> Handed:
    try:
        with writing() as context:
            return Handed(ref, hand_one(context, ref, to, on, reason, token))
    except (ChangeRefused, UnknownThing) as refusal:
        return Handed(ref, tuple(refusal.reasons))


def hand_one(writing: Writing, ref: str, to: str, on: date, reason: str, token: str) -> tuple[str, ...]:
    """Hand over one case for the form of a token; returns why it could not be. A second time does nothing."""
    data = {"navigator": to, "tell": True} | ({"reason": reason} if reason else {})
    own = _token_of(token, ref)
    outcome = record_once(writing, ref=ref, kind="case:handed_over", on=on, data=data, version=None, token=own)
    if isinstance(outcome, Refused):
        return outcome.reasons
    return ("somebody changed it in the meantime",) if isinstance(outcome, Stale) else ()


def gone_with(session: Session, refs: Iterable[str], token: str, scope: Scope) -> list[str]:
    """Which of these cases the form of a token has handed over: it was sent twice."""
    events = {event_id(_token_of(token, ref)): ref for ref in refs}
    found = select(col(CaseEvent.ref), col(Case.ref)).join(Case, col(Case.id) == col(CaseEvent.case_id))
    found = found.where(col(Case.ref).in_(sorted(events.values())), col(CaseEvent.ref).in_(sorted(events)))
    if scope.clinics is not None:
        found = found.where(col(Case.clinic_id).in_(sorted(scope.clinics)))
    return sorted(ref for event, ref in session.execute(found) if events[event] == ref)


def check_token(token: str) -> None:
    """Refuse a form that has lost its number; raises :class:`ChangeRefused`."""
    event_id(token)


def _token_of(token: str, ref: str) -> str:
    """The token of one case within a form for several."""
    return hashlib.sha256(f"{token}:{ref}".encode()).hexdigest()[:32]
