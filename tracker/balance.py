"""The nightly balance: every reminder that was to be expected is sent, withheld with a reason, or still pending."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlmodel import Session, col

from tracker.clock import local_date
from tracker.models import (
    Clinic,
    Digest,
    FollowUpRow,
    Heartbeat,
    ImportRun,
    LedgerCheck,
    OutboxMessage,
    Person,
    Reminder,
)

_UNTOLD_FOR = timedelta(days=12)
"""Longer than any choice of digest days with holidays in between; what waits longer than that was forgotten."""


@dataclass(slots=True)
class Balance:
    """The ledger in numbers: expected = sent + withheld + pending, and what speaks against it."""

    expected: int
    sent: int
    withheld: int
    pending: int
    findings: list[str]


def balance(session: Session, now: datetime) -> Balance:
    """Weigh all reminders, digests and messages against each other, set by set; no history is folded."""
    zones = session.execute(select(col(Clinic.id), col(Clinic.timezone))).all()
    has_come = [
        and_(col(Reminder.clinic_id) == id_, col(Reminder.remind_on) <= local_date(now, zone)) for id_, zone in zones
    ]
    expected = or_(col(Reminder.status) != "pending", *has_come)
    counted = select(col(Reminder.status), func.count()).where(expected).group_by(col(Reminder.status))
    numbers = {status: number for status, number in session.execute(counted)}  # noqa: C416  (rows, not pairs)
    return Balance(
        expected=sum(numbers.values()),
        sent=numbers.get("sent", 0),
        withheld=numbers.get("withheld", 0),
        pending=numbers.get("pending", 0) + numbers.get("raised", 0),
        findings=[*_not_raised(session, now), *told_wrongly(session, now)],
    )


def check_nightly(session: Session, now: datetime) -> bool:
    """Keep one balance for each UTC date; False where there is one already."""
    if session.execute(select(col(LedgerCheck.id)).where(col(LedgerCheck.on) == now.date())).first() is not None:
        return False
    found = balance(session, now)
    session.add(
        LedgerCheck(
            on=now.date(),
            at=now,
            expected=found.expected,
            sent=found.sent,
            withheld=found.withheld,
            pending=found.pending,
            findings=json.dumps(found.findings, ensure_ascii=False),
        )
    )
    session.flush()
    return True


def last_sweep(session: Session) -> datetime | None:
    """When the last tick was; None where there was none, or where cases came in from a file since."""
    beat = session.get(Heartbeat, "tick")
    if beat is None:
        return None
    imported = select(col(ImportRun.id)).where(col(ImportRun.at) >= beat.at).limit(1)
    return None if session.execute(imported).first() is not None else beat.at


def _not_raised(session: Session, now: datetime) -> Iterator[str]:
    """Pending on a day that the sweep has already been through."""
    swept_at = last_sweep(session)
    if swept_at is None:
        return
    for id_, zone in session.execute(select(col(Clinic.id), col(Clinic.timezone))).all():
        day = min(local_date(swept_at, zone), local_date(now, zone) - timedelta(days=1))
        passed_over = and_(
            col(Reminder.status) == "pending",
            col(Reminder.clinic_id) == id_,
            col(Reminder.remind_on) <= day,
            col(Reminder.planned_at) < swept_at,
        )
        yield from _number(session, _reminders().where(passed_over), f"of clinic {id_} were due and are not raised")


def told_wrongly(session: Session, now: datetime) -> Iterator[str]:
    """Reminders, digests and messages that do not say the same of what has been told."""
    yield from _number(session, _sent_without_message(), "count as sent, and no message that told them has left")
    yield from _number(session, _in_a_settled_message(), "wait for a message that is already settled")
    yield from _number(session, _ended(), "wait to be told, and their follow-ups have ended")
    yield from _number(session, _forgotten(now), f"have waited more than {_UNTOLD_FOR.days} days to be told")
    yield from _number(session, _of_another_number(), "tell another number of reminders than the ledger", "digests")
    yield from _number(session, _second_of_a_day(), "are a person's second of one day", "digests")


def _number(session: Session, counted: Any, words: str, things: str = "reminders") -> Iterator[str]:
    number = session.execute(counted).scalar_one()
    if number:
        yield f"{number} {things} {words}"


def _reminders() -> Any:
    return select(func.count()).select_from(Reminder)


def _untold() -> ColumnElement[bool]:
    return and_(col(Reminder.status) == "raised", col(Reminder.digest_id).is_(None))


def _with_message() -> Any:
    return _reminders().outerjoin(OutboxMessage, col(OutboxMessage.digest_id) == col(Reminder.digest_id))


def _sent_without_message() -> Any:
    not_sent = or_(col(OutboxMessage.id).is_(None), col(OutboxMessage.state) != "sent")
    return _with_message().where(col(Reminder.status) == "sent", not_sent)


def _in_a_settled_message() -> Any:
    settled = or_(col(OutboxMessage.id).is_(None), col(OutboxMessage.state).in_(("sent", "cancelled")))
    return _with_message().where(col(Reminder.status) == "raised", col(Reminder.digest_id).is_not(None), settled)


def _ended() -> Any:
    still_open = (
        select(col(FollowUpRow.id))
        .where(col(FollowUpRow.case_id) == Reminder.case_id, col(FollowUpRow.key) == Reminder.follow_up_key)
        .where(col(FollowUpRow.status) == "open", col(FollowUpRow.due_on) == Reminder.due_on)
        .exists()
    )
    return _reminders().where(_untold(), ~still_open)


def _forgotten(now: datetime) -> Any:
    """Of somebody who wants digests at all; who is not to be written to is an alarm of another kind."""
    wanted = or_(col(Person.digest_days) != "", and_(col(Person.id).is_(None), col(Clinic.lead_email).is_not(None)))
    return (
        _reminders()
        .join(Clinic, col(Clinic.id) == col(Reminder.clinic_id))
        .outerjoin(Person, col(Person.id) == col(Reminder.navigator_id))
        .where(_untold(), col(Reminder.raised_at) < now - _UNTOLD_FOR, wanted)
    )


def _of_another_number() -> Any:
    told = select(func.count()).where(col(Reminder.digest_id) == col(Digest.id), col(Reminder.status) == "sent")
    return (
        select(func.count())
        .select_from(OutboxMessage)
        .join(Digest, col(Digest.id) == col(OutboxMessage.digest_id))
        .where(col(OutboxMessage.state) == "sent", col(Digest.reminders) != told.scalar_subquery())
    )


def _second_of_a_day() -> Any:
    of_day = (col(Digest.clinic_id), col(Digest.recipient), col(Digest.on))
    return select(func.count()).select_from(select(*of_day).group_by(*of_day).having(func.count() > 1).subquery())
