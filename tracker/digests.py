"""The digest: what has been raised reaches each person in one mail a clinic day, at the clinic's own hour."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, and_, func, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from tracker import addressees, working_days
from tracker.addressees import Addressees
from tracker.clock import local_date
from tracker.mail.digest import DigestItem, Letter, compose
from tracker.models import WAITING, Clinic, Digest, FollowUpRow, OutboxMessage, Reminder
from workflows.limits import checked_email

_log = structlog.get_logger()

_AT_ONCE = 500
"""Rows named in one statement."""

_BEYOND_RECALL = ("transmitting", "uncertain", "sent")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who digests come from, where their links lead, and the key from which their identity follows."""

    address: str
    base_url: str
    key: bytes

    def key_of(self, clinic_id: int, recipient: str, day: date) -> str:
        """The identity of a person's digest of a clinic day."""
        text = f"{clinic_id}|{recipient}|digest|{day}"
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def message_id(key: str, repeat: int = 0) -> str:
    """The Message-ID of a digest; one sent again without knowing whether it had arrived has another."""
    again = f".{repeat}" if repeat else ""
    return f"<{key}{again}@net-case-tracker.invalid>"


# Who is to be told -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """Untold reminders that go to one person: those of one navigator and audience."""

    navigator_id: int | None
    audience: str


@dataclass(slots=True)
class _Recipient:
    """Somebody to be told on a clinic's local date: everything, or only what is urgent."""

    clinic: Clinic
    email: str
    day: date
    everything: bool
    groups: list[_Group]


def compose_digests(session: Session, sender: Sender, now: datetime) -> int:
    """One digest for each person and clinic day that has something to tell; returns how many.

    A clinic's digests are written from its hour on, on the days on which it works and the person wants one; what is
    urgent goes out on any other day too. What is raised after the day's digest waits for the next. A digest of an
    earlier day that has not left is taken back, and what it told is told in this one. One person whose digest cannot
    be written does not stop the others.
    """
    people, waiting = _people_to_tell(session, now)
    keys = {sender.key_of(_id(to.clinic.id), to.email, to.day): to for to in waiting}
    for key in _already_written(session, keys):
        del keys[key]
    made = 0
    for key, to in keys.items():
        try:
            with session.begin_nested():
                made += _write(session, sender, people, key, to, now)
        except _InHand:
            _log.info("digest.later", clinic=to.clinic.id)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the other people hear of theirs)
            _log.error("digest.failed", clinic=to.clinic.id, kind=type(error).__name__)
    return made


def _people_to_tell(session: Session, now: datetime) -> tuple[Addressees, list[_Recipient]]:
    """Whom there is something to tell at this moment, by clinic and address."""
    clinics = {_id(clinic.id): clinic for clinic in session.execute(select(Clinic)).scalars()}
    days = {id_: local_date(now, clinic.timezone) for id_, clinic in clinics.items()}
    writing = [id_ for id_, clinic in clinics.items() if now >= working_days.writes_at(clinic, days[id_])]
    who = (col(Reminder.clinic_id), col(Reminder.navigator_id), col(Reminder.audience), col(Reminder.urgent))
    untold = select(*who).where(_untold(), col(Reminder.clinic_id).in_(writing)).distinct()
    found = session.execute(untold).all() if writing else []
    if not found:
        return Addressees({}, {}), []
    people = addressees.load(session, [days[row.clinic_id] for row in found])
    waiting: dict[tuple[int, str], _Recipient] = {}
    for row in found:
        clinic, day = clinics[row.clinic_id], days[row.clinic_id]
        named = people.of(clinic, row.navigator_id, row.audience, day)
        if named is None:
            continue
        everything = _wants_one(people, named.email, clinic, day)
        if everything or row.urgent:
            to = waiting.setdefault((row.clinic_id, named.email), _Recipient(clinic, named.email, day, everything, []))
            to.groups.append(_Group(row.navigator_id, row.audience))
    return people, [waiting[key] for key in sorted(waiting)]


def _wants_one(people: Addressees, email: str, clinic: Clinic, day: date) -> bool:
    return working_days.works(clinic, day) and str(day.isoweekday()) in people.days_of(email)


def _untold() -> ColumnElement[bool]:
    return and_(col(Reminder.status) == "raised", col(Reminder.digest_id).is_(None))


def _already_written(session: Session, keys: Collection[str]) -> list[str]:
    found: list[str] = []
    for part in _parts(list(keys)):
        found += session.execute(select(col(Digest.key)).where(col(Digest.key).in_(part))).scalars()
    return found


class _InHand(Exception):
    """A deliverer has just taken an earlier digest of the same person: theirs is written at the next tick."""


# Writing one -----------------------------------------------------------------------------------------------


def _write(session: Session, sender: Sender, people: Addressees, key: str, to: _Recipient, now: datetime) -> int:
    checked_email(to.email)
    clinic_id = _id(to.clinic.id)
    _take_back_earlier(session, clinic_id, to.email, now)
    rows = [row for group in sorted(set(to.groups), key=str) for row in _untold_of(session, to, group)]
    if not rows:
        return 0
    items = list(_items(rows, to.clinic, people, to.email, to.day))
    digest = Digest(
        key=key,
        clinic_id=clinic_id,
        recipient=to.email,
        on=to.day,
        composed_at=now,
        items=len(items),
        reminders=len(rows),
    )
    session.add(digest)
    session.flush()
    for part in _parts([row.id for row in rows]):
        session.execute(quietly(update(Reminder).where(col(Reminder.id).in_(part)).values(digest_id=digest.id)))
    message = OutboxMessage(
        key=key,
        digest_id=_id(digest.id),
        message_id=message_id(key),
        sender=to.clinic.mail_from or sender.address,
        recipient=to.email,
        content=b"",
        created_at=now,
        next_try_at=now,
    )
    message.content = compose(_letter(session, sender, digest, message, rows, items))
    session.add(message)
    session.flush()
    return 1


def _take_back_earlier(session: Session, clinic_id: int, recipient: str, now: datetime) -> None:
    """What digests of earlier days that have not left would have told, is told in the one now written."""
    waiting = (
        select(col(OutboxMessage.digest_id))
        .join(Digest, col(Digest.id) == col(OutboxMessage.digest_id))
        .where(WAITING)
        .where(col(OutboxMessage.recipient) == recipient, col(Digest.clinic_id) == clinic_id)
        .order_by(col(OutboxMessage.digest_id))
    )
    for digest_id in session.execute(waiting).scalars().all():
        release(session, digest_id)
        mine = and_(col(OutboxMessage.digest_id) == digest_id, WAITING)
        cancelled = {"state": "cancelled", "settled_at": now, "problem": "told in a later digest"}
        taken = session.execute(quietly(update(OutboxMessage).where(mine).values(**cancelled)))
        if taken.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult
            raise _InHand


def _reminder_rows() -> Any:
    """Raised reminders with what a digest tells of them; on PostgreSQL only those that nobody is changing."""
    follow_up = and_(
        col(FollowUpRow.case_id) == Reminder.case_id,
        col(FollowUpRow.key) == Reminder.follow_up_key,
        col(FollowUpRow.due_on) == Reminder.due_on,
        col(FollowUpRow.status) == "open",
    )
    return (
        select(
            col(Reminder.id),
            col(Reminder.navigator_id),
            col(Reminder.audience),
            col(Reminder.urgent),
            col(Reminder.step),
            col(Reminder.remind_on),
            col(Reminder.planned_at),
            col(FollowUpRow.case_id),
            col(FollowUpRow.id).label("follow_up_id"),
            col(FollowUpRow.activity),
            col(FollowUpRow.due_on),
            col(FollowUpRow.late_on),
        )
        .join(FollowUpRow, follow_up)
        .order_by(col(Reminder.id))
        .with_for_update(of=Reminder, skip_locked=True)
    )


def _untold_of(session: Session, to: _Recipient, group: _Group) -> Sequence[Row[Any]]:
    found = _reminder_rows().where(
        _untold(),
        col(Reminder.clinic_id) == to.clinic.id,
        col(Reminder.navigator_id).is_not_distinct_from(group.navigator_id),
        col(Reminder.audience) == group.audience,
    )
    return session.execute(found if to.everything else found.where(col(Reminder.urgent))).all()


def _items(
    rows: Iterable[Row[Any]], clinic: Clinic, people: Addressees, recipient: str, day: date
) -> Iterator[DigestItem]:
    """Each follow-up once, with the last step that was reached; longest overdue first."""
    last: dict[int, Row[Any]] = {row.follow_up_id: row for row in sorted(rows, key=lambda r: (r.remind_on, r.id))}
    for row in sorted(last.values(), key=lambda r: (r.late_on, r.id)):
        named = people.of(clinic, row.navigator_id, row.audience, day)
        yield DigestItem(
            case_id=row.case_id,
            activity=row.activity,
            step=row.step,
            due_on=row.due_on,
            days_late=max((day - row.late_on).days, 0),
            told_late=_could_be_told_on(row, clinic, people.days_of(recipient)) < day,
            as_named=row.audience == "navigator" or named is None or named.as_named,
        )


def _could_be_told_on(row: Row[Any], clinic: Clinic, digest_days: str) -> date:
    """The first digest day on which a reminder could have been told; later than that, the tracker was late."""
    known_on = local_date(row.planned_at, clinic.timezone)
    if row.planned_at > working_days.writes_at(clinic, known_on):
        known_on += timedelta(days=1)
    start = max(row.remind_on, known_on)
    return working_days.first_writing_day(clinic, digest_days, start, urgent=row.urgent)


def _letter(
    session: Session,
    sender: Sender,
    digest: Digest,
    message: OutboxMessage,
    rows: Iterable[Row[Any]],
    items: list[DigestItem],
) -> Letter:
    navigators = {row.navigator_id for row in rows if row.audience == "navigator" and row.navigator_id}
    return Letter(
        sender=message.sender,
        recipient=digest.recipient,
        message_id=message.message_id,
        base_url=sender.base_url,
        day=digest.on,
        written_at=digest.composed_at,
        items=items,
        overdue_in_all=_overdue(session, digest, navigators) if navigators else 0,
        may_be_a_repeat=message.repeat > 0,
    )


def _overdue(session: Session, digest: Digest, navigators: set[int]) -> int:
    found = select(func.count()).where(
        col(FollowUpRow.status) == "open",
        col(FollowUpRow.navigator_id).in_(navigators),
        col(FollowUpRow.clinic_id) == digest.clinic_id,
        col(FollowUpRow.late_on) < digest.on,
    )
    return int(session.execute(found).scalar_one())


# What has not left yet -------------------------------------------------------------------------------------


def look_again(session: Session, sender: Sender, message: OutboxMessage, now: datetime) -> bool:
    """Write a message that has not left anew, as things stand now; False where nothing remains to be told in it.

    What has ended is no longer in it (the change itself took it out); what would go to somebody else now goes back
    to be told to that one.
    """
    digest = session.get_one(Digest, message.digest_id)
    clinic = session.get_one(Clinic, digest.clinic_id)
    day = local_date(now, clinic.timezone)
    people = addressees.load(session, [day])
    told = session.execute(
        _reminder_rows().where(col(Reminder.digest_id) == digest.id, col(Reminder.status) == "raised")
    ).all()
    kept = [row for row in told if _goes_to(people, clinic, row, day) == digest.recipient]
    release(session, _id(digest.id), {row.id for row in told} - {row.id for row in kept})
    items = list(_items(kept, clinic, people, digest.recipient, day))
    digest.items, digest.reminders, message.stale = len(items), len(kept), False
    if items:
        message.content = compose(_letter(session, sender, digest, message, kept, items))
    session.flush()
    return bool(items)


def _goes_to(people: Addressees, clinic: Clinic, row: Row[Any], day: date) -> str | None:
    named = people.of(clinic, row.navigator_id, row.audience, day)
    return named.email if named else None


def release(session: Session, digest_id: int, which: Collection[int] | None = None) -> None:
    """Let reminders of a digest (by default all of them) wait for the next one."""
    of_digest = and_(col(Reminder.digest_id) == digest_id, col(Reminder.status) == "raised")
    if which is not None:
        of_digest = and_(of_digest, col(Reminder.id).in_(which))
    locked = select(col(Reminder.id)).where(of_digest).order_by(col(Reminder.id)).with_for_update()
    for part in _parts(list(session.execute(locked).scalars())):
        session.execute(quietly(update(Reminder).where(col(Reminder.id).in_(part)).values(digest_id=None)))


def beyond_recall(session: Session, digest_ids: Collection[int | None]) -> set[int]:
    """Those of the digests that have left, or may have."""
    gone = select(col(OutboxMessage.digest_id)).where(
        col(OutboxMessage.digest_id).in_(digest_ids), col(OutboxMessage.state).in_(_BEYOND_RECALL)
    )
    return set(session.execute(gone).scalars()) if any(digest_ids) else set()


def mark_stale(session: Session, digest_ids: Collection[int]) -> None:
    """Something that these digests tell has changed: they are looked at again before they leave."""
    if digest_ids:
        mine = update(OutboxMessage).where(col(OutboxMessage.digest_id).in_(digest_ids))
        session.execute(quietly(mine.values(stale=True)))


def mark_stale_to(session: Session, recipient: str) -> None:
    """What waits for somebody is looked at again before it leaves: they may be away now, or hear of less."""
    waiting = and_(col(OutboxMessage.recipient) == recipient, col(OutboxMessage.settled_at).is_(None))
    session.execute(quietly(update(OutboxMessage).where(waiting).values(stale=True)))


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def quietly(statement: Any) -> Any:
    """A set-based statement that leaves the session's objects alone."""
    return statement.execution_options(synchronize_session=False)


def _id(value: int | None) -> int:
    if value is None:
        raise LookupError("the row has not been stored")
    return value
