"""The sweep raises reminders whose local date has come; the digest gathers them, one for a person and clinic day."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, case, func, or_, select, update
from sqlmodel import Session, col

from tracker.clock import local_date
from tracker.mail.digest import DigestItem, compose
from tracker.models import Case, Clinic, Digest, FollowUpRow, OutboxMessage, Person, Reminder
from tracker.writing import Writing


@dataclass(frozen=True, slots=True)
class Sender:
    """Who digests come from, where their links lead, and the key from which their identity follows."""

    address: str
    base_url: str
    key: bytes


def sweep(session: Session, now: datetime) -> int:
    """Raise every pending reminder whose date has come in its clinic; returns how many. Idempotent.

    One statement for each local date (there are at most three in the world at a time), along the index of
    pending reminders; a unique key holds each to once.
    """
    by_day: dict[date, list[int]] = {}
    for clinic_id, zone in session.execute(select(col(Clinic.id), col(Clinic.timezone))):
        by_day.setdefault(local_date(now, zone), []).append(clinic_id)
    return sum(_raise(session, now, day, clinics) for day, clinics in by_day.items())


def _raise(session: Session, now: datetime, day: date, clinics: list[int]) -> int:
    has_come = and_(
        col(Reminder.status) == "pending",
        col(Reminder.clinic_id).in_(clinics),
        col(Reminder.remind_on) <= day,
    )
    # What somebody is changing just now is left for the next sweep: to wait for it could end in a deadlock.
    free = select(col(Reminder.id)).where(has_come).with_for_update(skip_locked=True)
    raised = update(Reminder).where(col(Reminder.id).in_(free)).values(status="raised", raised_at=now)
    result = session.execute(raised.execution_options(synchronize_session=False))
    return result.rowcount if isinstance(result, CursorResult) else 0


def compose_digests(writing: Writing, sender: Sender) -> int:
    """One digest for each person and clinic day that has raised reminders to tell; returns how many.

    What is no longer open is not told: it is withheld. A second digest on one day is not written: what is raised
    later waits for the next day's.
    """
    _withhold_ended(writing.session, col(Reminder.digest_id).is_(None))
    made = 0
    rows = writing.session.execute(_to_tell())
    for (clinic, recipient), found in groupby(rows, key=lambda row: (row.Clinic, row.recipient)):
        made += _compose(writing, sender, clinic, recipient, list(found))
    return made


def look_again(session: Session, sender: Sender, message: OutboxMessage) -> bool:
    """Leave out of a message that has not left what has ended since it was written; False where nothing remains.

    What is left out counts as never told: should it come back, it is raised again.
    """
    digest = session.get_one(Digest, message.digest_id)
    if _withhold_ended(session, col(Reminder.digest_id) == digest.id):
        items = list(_items(list(session.execute(_told_in(digest))), digest.on))
        digest.items, message.content = len(items), _content(sender, digest, items)
    return digest.items > 0


def _told_in(digest: Digest) -> Any:
    return (
        select(Reminder, FollowUpRow)
        .join(FollowUpRow, _of_reminder())
        .where(col(Reminder.digest_id) == digest.id)
        .order_by(col(FollowUpRow.late_on), col(Reminder.id))
    )


def _of_reminder() -> ColumnElement[bool]:
    return and_(col(FollowUpRow.case_id) == Reminder.case_id, col(FollowUpRow.key) == Reminder.follow_up_key)


def _withhold_ended(session: Session, which: ColumnElement[bool]) -> int:
    still_open = (
        select(col(FollowUpRow.id))
        .where(_of_reminder())
        .where(col(FollowUpRow.status) == "open", col(FollowUpRow.due_on) == Reminder.due_on)
        .exists()
    )
    untold = and_(col(Reminder.status) == "raised", which, ~still_open)
    ended = {"status": "withheld", "raised_at": None, "digest_id": None, "reason": "ended before it was told"}
    result = session.execute(
        update(Reminder).where(untold).values(**ended).execution_options(synchronize_session=False)
    )
    return result.rowcount if isinstance(result, CursorResult) else 0


def _recipient() -> Any:
    """Escalations go to the lead or the clinician; where a clinic names none, to the next nearer person."""
    lead = func.coalesce(Clinic.lead_email, Person.email)
    return case(
        (col(Reminder.audience) == "lead", lead),
        (col(Reminder.audience) == "clinician", func.coalesce(Clinic.clinician_email, lead)),
        else_=func.coalesce(Person.email, Clinic.lead_email),
    )


def _to_tell() -> Any:
    recipient = _recipient().label("recipient")
    return (
        select(Clinic, recipient, Reminder, FollowUpRow)
        .join(Clinic, col(Clinic.id) == col(Reminder.clinic_id))
        .join(Case, col(Case.id) == col(Reminder.case_id))
        .outerjoin(Person, col(Person.id) == col(Case.navigator_id))
        .join(FollowUpRow, _of_reminder())
        .where(col(Reminder.status) == "raised", col(Reminder.digest_id).is_(None))
        .where(or_(col(Person.email).is_not(None), col(Clinic.lead_email).is_not(None)))
        .order_by(col(Reminder.clinic_id), recipient, col(FollowUpRow.late_on), col(Reminder.id))
    )


def _compose(writing: Writing, sender: Sender, clinic: Clinic, recipient: str, rows: list[Any]) -> int:
    day = local_date(writing.now, clinic.timezone)
    key = _key(sender.key, f"{clinic.id}|{recipient}|digest|{day}")
    if writing.session.execute(select(col(Digest.id)).where(col(Digest.key) == key)).first() is not None:
        return 0
    items = list(_items(rows, day))
    digest = Digest(
        key=key,
        clinic_id=clinic.id or 0,
        recipient=recipient,
        on=day,
        composed_at=writing.now,
        items=len(items),
    )
    writing.session.add(digest)
    writing.session.flush()
    for row in rows:
        row.Reminder.digest_id = digest.id
    writing.session.add(
        OutboxMessage(
            key=key,
            digest_id=digest.id or 0,
            message_id=_message_id(digest),
            recipient=recipient,
            content=_content(sender, digest, items),
            created_at=writing.now,
        )
    )
    writing.session.flush()
    return 1


def _message_id(digest: Digest) -> str:
    return f"<{digest.key}@net-case-tracker.invalid>"


def _content(sender: Sender, digest: Digest, items: list[DigestItem]) -> bytes:
    return compose(
        items,
        sender.address,
        digest.recipient,
        _message_id(digest),
        sender.base_url,
        digest.on,
        digest.composed_at,
    )


def _items(rows: list[Any], day: date) -> Iterator[DigestItem]:
    """Each follow-up once, with the last step that was reached."""
    last: dict[int, Any] = {row.FollowUpRow.id: row for row in rows}
    for row in last.values():
        item: FollowUpRow = row.FollowUpRow
        late_by = (day - item.late_on).days
        yield DigestItem(case_id=item.case_id, step=row.Reminder.step, due_on=item.due_on, days_late=max(late_by, 0))


def _key(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
