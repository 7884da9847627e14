"""Hand-overs from a later day on, and of more cases than somebody can wait for: noted now, carried out by the tick.

One row for each case, gone in the transaction that hands it over: however often the tick comes, it happens once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import structlog
from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from tracker import accounts, audit, hand_overs
from tracker.access import May
from tracker.clock import local_date
from tracker.db import Database, one_at_a_time
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import Case, Clinic, Person, PlannedHandOver
from tracker.places import Scope
from tracker.secret import Secret
from tracker.writing import Writing, writing

_log = structlog.get_logger()

AT_ONCE = 200
"""Cases of one tick; the next one goes on a minute later."""
_LONGEST = 300
_LOCK = 0x706C616E  # any number, as long as every process takes the same


@dataclass(frozen=True, slots=True)
class Intent:
    """Some cases of one person that go to another on a day; ``refused``: why they could not, if it was tried."""

    to: str
    on: date
    cases: int
    refused: str


def plan(w: Writing, *, giver: Person, case_ids: Iterable[int], to: str, on: date, reason: str, token: str) -> None:
    """Note that these cases go to somebody on a day; what was noted of them before counts no more."""
    hand_overs.check_token(token)
    one_at_a_time(w.session, _LOCK)  # of two who plan for the same cases, the last word counts
    rows = {
        number: PlannedHandOver(
            case_id=number, from_id=giver.id or 0, to=to, on=on, reason=reason, token=token, actor=w.actor
        )
        for number in case_ids
    }
    numbers = sorted(rows)
    for start in range(0, len(numbers), 500):
        _drop(w.session, numbers[start : start + 500])
    w.session.add_all(rows.values())
    w.session.flush()
    audit.note(w, "caseload:planned", giver.email, {"to": to, "on": on.isoformat(), "cases": len(rows)})


def call_off(w: Writing, *, giver: Person, to: str, on: date, scope: Scope) -> int:
    """The cases of an intent stay where they are; returns how many there were."""
    found = _of(giver.id or 0, scope).where(col(PlannedHandOver.to) == to, col(PlannedHandOver.on) == on)
    numbers = list(w.session.execute(found.with_only_columns(col(PlannedHandOver.case_id))).scalars())
    for start in range(0, len(numbers), 500):
        _drop(w.session, numbers[start : start + 500])
    if numbers:
        audit.note(w, "caseload:called-off", giver.email, {"to": to, "on": on.isoformat(), "cases": len(numbers)})
    return len(numbers)


def _drop(session: Session, numbers: list[int]) -> None:
    session.execute(delete(PlannedHandOver).where(col(PlannedHandOver.case_id).in_(numbers)))


def intents(session: Session, giver_id: int, scope: Scope) -> list[Intent]:
    """What is noted of somebody's cases, the earliest first."""
    columns = col(PlannedHandOver.to), col(PlannedHandOver.on), col(PlannedHandOver.refused)
    found = _of(giver_id, scope).with_only_columns(*columns, func.count()).group_by(*columns)
    rows = session.execute(found.order_by(columns[1], columns[0], columns[2]))
    return [Intent(to, on, number, refused) for to, on, refused, number in rows]


def _of(giver_id: int, scope: Scope) -> Any:
    found: Any = select(PlannedHandOver).join(Case, col(Case.id) == col(PlannedHandOver.case_id))
    found = found.where(col(PlannedHandOver.from_id) == giver_id)
    return found if scope.clinics is None else found.where(col(Case.clinic_id).in_(sorted(scope.clinics)))


# The tick --------------------------------------------------------------------------------------------------


def carry_out(database: Database, secret: Secret, now: datetime) -> int:
    """Hand over what has come due at each clinic's local date; returns how many cases went."""
    with database.reading() as session:
        numbers = _due(session, now)
    return sum(_try(database, secret, number, now) for number in numbers)


def _try(database: Database, secret: Secret, number: int, now: datetime) -> bool:
    """One case. Whatever is wrong with it, the others go, and the tick goes on to its reminders."""
    try:
        with database.writing() as session:
            return _carry_out(session, secret, number, now)
    except OperationalError:
        _log.warning("hand_over.busy", case=number)  # the next tick tries again
    except Exception as error:  # noqa: BLE001
        _log.error("hand_over.failed", case=number, kind=type(error).__name__)
        with database.writing() as session:
            wrong = update(PlannedHandOver).where(col(PlannedHandOver.case_id) == number)
            session.execute(wrong.values(refused="something is wrong with the case itself; tracker verify says what"))
    return False


def _due(session: Session, now: datetime) -> list[int]:
    if session.execute(select(col(PlannedHandOver.case_id)).limit(1)).first() is None:
        return []
    days = {
        number: local_date(now, zone) for number, zone in session.execute(select(col(Clinic.id), col(Clinic.timezone)))
    }
    come = or_(*(and_(col(Case.clinic_id) == clinic, col(PlannedHandOver.on) <= day) for clinic, day in days.items()))
    found = select(col(PlannedHandOver.case_id)).join(Case, col(Case.id) == col(PlannedHandOver.case_id))
    found = found.where(col(PlannedHandOver.refused) == "", come).order_by(col(PlannedHandOver.on), col(Case.id))
    return list(session.execute(found.limit(AT_ONCE)).scalars())


def _carry_out(session: Session, secret: Secret, number: int, now: datetime) -> bool:
    """One case, unless it has gone elsewhere or ended meanwhile. What refuses it is kept, for a person to read."""
    row = session.get(PlannedHandOver, number, with_for_update=True)
    if row is None or row.refused:
        return False
    case = session.get_one(Case, number)
    if case.navigator_id != row.from_id or case.phase == "closed":
        session.delete(row)
        return False
    reasons = _hand_over(writing(session, actor=row.actor, now=now, secret=secret), case, row)
    if reasons:
        row.refused = "; ".join(reasons)[:_LONGEST]
        session.add(row)
        return False
    session.delete(row)
    return True


def _hand_over(w: Writing, case: Case, row: PlannedHandOver) -> tuple[str, ...]:
    if not hand_overs.may_take(w.session, row.to, case.clinic_id):
        return (f"{row.to} has no role in this clinic any more",)
    if not _may_give(w.session, row, case.clinic_id):
        return (f"{row.actor}, who planned it, may not hand over this case any more",)
    try:
        return hand_overs.hand_one(w, case.ref, row.to, row.on, row.reason, row.token)
    except ChangeRefused as refusal:
        return refusal.reasons


def _may_give(session: Session, row: PlannedHandOver, clinic_id: int) -> bool:
    """Whether whoever planned it still may: their own cases if they may write there, somebody else's if they lead."""
    try:
        account = accounts.of(session, row.actor)
    except UnknownThing:
        return False
    own = session.get_one(Person, row.from_id).email == row.actor
    who = accounts.viewer_of(session, account)
    return account.disabled_at is None and who.may(May.WRITE if own else May.LEAD, clinic_id)
