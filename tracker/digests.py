"""The digest: what has been raised reaches each person in one mail a clinic day, at the clinic's own hour."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from tracker import addressees, working_days
from tracker.addressees import Addressees
from tracker.clock import local_date
from tracker.db import Database
from tracker.mail.digest import DigestItem, Letter, compose
from tracker.models import WAITING, Clinic, Digest, FollowUpRow, OutboxMessage, Reminder
from tracker.recall import mark_stale_to, parts, quietly, raised_in, release, told_of
from workflows.limits import checked_email

__all__ = ["Sender", "compose_digests", "look_again", "mark_stale_to", "message_id", "quietly", "release"]

_log = structlog.get_logger()

_LOCK_NOT_AVAILABLE = "55P03"
_TOGETHER = 100
"""People whose digests are written with one statement of each kind."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who digests come from, where their links lead, and the key from which their identity follows."""

    address: str
    base_url: str
    key: bytes

    def of(self, clinic: Clinic) -> str:
        """The address that a clinic's digests come from."""
        return clinic.mail_from or self.address

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

    @property
    def clinic_id(self) -> int:
        return _id(self.clinic.id)


def compose_digests(database: Database, sender: Sender, now: datetime) -> int:
    """One digest for each person and clinic day that has something to tell; returns how many.

    A clinic's digests are written from its hour on, on the days on which it works and the person wants one; what is
    urgent goes out on any other day too. What is raised after the day's digest waits for the next. A digest of an
    earlier day that has not left is taken back, and what it told is told in this one. One person whose digest cannot
    be written does not stop the others. Some at a time are written in one transaction, so that others can write too.
    """
    made, tried = 0, set[str]()
    while True:
        with database.writing() as session:
            people, ready = _next_to_tell(session, sender, now, tried)
            if not ready:
                return made
            made += _write_apart(_Desk(session, sender, people, now), ready)
            tried |= ready.keys()


def _next_to_tell(
    session: Session, sender: Sender, now: datetime, tried: Collection[str]
) -> tuple[Addressees, dict[str, _Recipient]]:
    """By the keys of their digests, the next people of one clinic who have had none today."""
    people, waiting = _people_to_tell(session, now)
    ready = {key: to for to in waiting if (key := sender.key_of(to.clinic_id, to.email, to.day)) not in tried}
    for key in _already_written(session, ready):
        del ready[key]
    first = next(iter(ready.values()), None)
    of_clinic = [(key, to) for key, to in ready.items() if first and to.clinic_id == first.clinic_id]
    return people, dict(of_clinic[:_TOGETHER])


def _write_apart(desk: _Desk, ready: dict[str, _Recipient]) -> int:
    """Digests written together; where that fails, each by itself, so that one stops nobody else's."""
    try:
        with desk.session.begin_nested():
            return desk.write(ready)
    except OperationalError as error:
        if not _is_locked(error):
            raise
        problem: Exception = error
    except Exception as error:  # noqa: BLE001  (whatever it is, the other people hear of theirs)
        problem = error
    if len(ready) > 1:
        return sum(_write_apart(desk, {key: to}) for key, to in ready.items())
    clinic_id = next(iter(ready.values())).clinic_id
    if isinstance(problem, _InHand | OperationalError):
        _log.info("digest.later", clinic=clinic_id)
    else:
        _log.error("digest.failed", clinic=clinic_id, kind=type(problem).__name__)
    return 0


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
        everything = working_days.tells_on(clinic, people.days_of(named.email), day)
        if everything or row.urgent:
            to = waiting.setdefault((row.clinic_id, named.email), _Recipient(clinic, named.email, day, everything, []))
            to.groups.append(_Group(row.navigator_id, row.audience))
    return people, [waiting[key] for key in sorted(waiting)]


def _untold() -> ColumnElement[bool]:
    return and_(col(Reminder.status) == "raised", col(Reminder.digest_id).is_(None))


def _already_written(session: Session, keys: Collection[str]) -> list[str]:
    found: list[str] = []
    for part in parts(list(keys)):
        found += session.execute(select(col(Digest.key)).where(col(Digest.key).in_(part))).scalars()
    return found


class _InHand(Exception):
    """A deliverer has just taken an earlier digest of the same person: theirs is written at the next tick."""


def _is_locked(error: OperationalError) -> bool:
    """Whether PostgreSQL was asked for a row that somebody is changing; to wait for it could end in a deadlock."""
    return getattr(error.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE


# Writing one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the digests of one moment are written."""

    session: Session
    sender: Sender
    people: Addressees
    now: datetime

    def write(self, ready: dict[str, _Recipient]) -> int:
        """Digests of one clinic, by their keys; returns how many there was something to tell in."""
        earlier = _not_left(self.session, list(ready.values()))
        ready = {key: to for key, to in ready.items() if self._begins_anew(to, earlier.get(to.email, []))}
        rows = _to_tell(self.session, list(ready.values()))
        told = {key: (to, rows[to.email]) for key, to in ready.items() if rows[to.email]}
        if not told:
            return 0
        overdue = _overdue(self.session, [to for to, _ in told.values()])
        letters = {key: self._letter(key, to, of, overdue[to.email]) for key, (to, of) in told.items()}
        self._store(told, letters)
        return len(told)

    def _begins_anew(self, to: _Recipient, earlier: list[int]) -> bool:
        """Take back what waits from earlier days; False where what is urgent went into that instead."""
        checked_email(to.email)
        if earlier and not to.everything:
            _tell_too(self.session, earlier[-1], to, self.now)
            return False
        for digest_id in earlier:
            to.groups += _groups_of(self.session, self.people, to, digest_id)
            _take_back(self.session, digest_id, self.now)
        return True

    def _letter(self, key: str, to: _Recipient, rows: list[Row[Any]], overdue: int) -> Letter:
        return Letter(
            sender=self.sender.of(to.clinic),
            recipient=to.email,
            message_id=message_id(key),
            base_url=self.sender.base_url,
            day=to.day,
            written_at=self.now,
            items=list(_items(rows, to.clinic, self.people, to.email, to.day)),
            overdue_in_all=overdue,
        )

    def _store(self, told: dict[str, tuple[_Recipient, list[Row[Any]]]], letters: dict[str, Letter]) -> None:
        digests = [
            {
                "key": key,
                "clinic_id": to.clinic_id,
                "recipient": to.email,
                "on": to.day,
                "composed_at": self.now,
                "items": len(letters[key].items),
                "reminders": len(rows),
            }
            for key, (to, rows) in told.items()
        ]
        stored = self.session.execute(insert(Digest).returning(col(Digest.key), col(Digest.id)), digests)
        ids = {row[0]: row[1] for row in stored}
        for key, (_, rows) in told.items():
            _tell_in(self.session, ids[key], rows)
        messages = [
            {
                "key": key,
                "digest_id": ids[key],
                "message_id": letter.message_id,
                "sender": letter.sender,
                "recipient": letter.recipient,
                "content": compose(letter),
                "created_at": self.now,
                "next_try_at": self.now,
            }
            for key, letter in letters.items()
        ]
        self.session.execute(insert(OutboxMessage), messages)


_REMINDERS = Reminder.metadata.tables["reminder"]
_TELL_IN = (
    update(_REMINDERS)
    .where(_REMINDERS.c.id.in_(bindparam("reminders", expanding=True)))
    .values(digest_id=bindparam("digest"))
)


def _tell_in(session: Session, digest_id: int, rows: Sequence[Row[Any]]) -> None:
    """These reminders are told in a digest: by a statement for some hundreds, not by one for each."""
    for ids in parts([row.id for row in rows]):
        session.connection().execute(_TELL_IN, {"reminders": ids, "digest": digest_id})


def _not_left(session: Session, ready: Sequence[_Recipient]) -> dict[str, list[int]]:
    """By address, the digests of earlier days that still wait for people of one clinic, oldest first."""
    waiting = (
        select(col(OutboxMessage.recipient), col(OutboxMessage.digest_id))
        .where(WAITING, told_of(ready[0].clinic_id))
        .where(col(OutboxMessage.recipient).in_([to.email for to in ready]))
        .order_by(col(OutboxMessage.digest_id))
    )
    found: dict[str, list[int]] = {}
    for recipient, digest_id in session.execute(waiting):
        found.setdefault(recipient, []).append(digest_id)
    return found


def _groups_of(session: Session, people: Addressees, to: _Recipient, digest_id: int) -> list[_Group]:
    """What a digest tells that would go to the same person today."""
    told = select(col(Reminder.navigator_id), col(Reminder.audience)).where(raised_in(digest_id)).distinct()
    groups = [_Group(row.navigator_id, row.audience) for row in session.execute(told)]
    named = [people.of(to.clinic, group.navigator_id, group.audience, to.day) for group in groups]
    return [group for group, who in zip(groups, named, strict=True) if who is not None and who.email == to.email]


def _take_back(session: Session, digest_id: int, now: datetime) -> None:
    """What an earlier digest would have told is told in the one now written."""
    _hold(session, digest_id)
    release(session, digest_id)
    _change_waiting(session, digest_id, {"state": "cancelled", "settled_at": now, "problem": "told in a later digest"})


def _tell_too(session: Session, digest_id: int, to: _Recipient, now: datetime) -> None:
    """What is urgent goes into the digest that waits anyway, instead of a second mail on a day without digests."""
    rows = _to_tell(session, [to])[to.email]
    _tell_in(session, digest_id, rows)
    _change_waiting(session, digest_id, {"stale": True, "next_try_at": now})


def _change_waiting(session: Session, digest_id: int, values: dict[str, Any]) -> None:
    mine = update(OutboxMessage).where(col(OutboxMessage.digest_id) == digest_id, WAITING)
    if session.execute(quietly(mine.values(**values))).rowcount != 1:  # type: ignore[attr-defined]  # CursorResult
        raise _InHand


def _hold(session: Session, digest_id: int) -> None:
    """Keep what a digest tells from being changed; an error where somebody is changing it."""
    held = select(col(Reminder.id)).where(raised_in(digest_id)).order_by(col(Reminder.id))
    session.execute(held.with_for_update(nowait=True))


def _reminder_rows() -> Any:
    """Raised reminders of open follow-ups, with what a digest tells of them."""
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
    )


def _to_tell(session: Session, ready: Sequence[_Recipient]) -> dict[str, list[Row[Any]]]:
    """By address, everything (or all that is urgent) that people of one clinic are to be told and have not been."""
    told: dict[str, list[Row[Any]]] = {to.email: [] for to in ready}
    goes_to = {group: to for to in ready for group in to.groups}
    if not goes_to:
        return told
    navigators = {group.navigator_id for group in goes_to} - {None}
    of_navigators = or_(col(Reminder.navigator_id).in_(navigators), col(Reminder.navigator_id).is_(None))
    audiences = {group.audience for group in goes_to}
    found = _reminder_rows().where(
        _untold(),
        col(Reminder.clinic_id) == ready[0].clinic_id,
        of_navigators,
        col(Reminder.audience).in_(audiences),
    )
    for row in session.execute(found.with_for_update(of=Reminder, nowait=True)):
        to = goes_to.get(_Group(row.navigator_id, row.audience))
        if to is not None and (to.everything or row.urgent):
            told[to.email].append(row)
    return told


def _items(
    rows: Iterable[Row[Any]], clinic: Clinic, people: Addressees, recipient: str, day: date
) -> Iterator[DigestItem]:
    """Each follow-up once, with the last step that was reached; longest overdue first."""
    late = _Lateness(clinic, people, recipient, day)
    last: dict[int, Row[Any]] = {row.follow_up_id: row for row in sorted(rows, key=lambda r: (r.remind_on, r.id))}
    for row in sorted(last.values(), key=lambda r: (r.late_on, r.id)):
        named = people.of(clinic, row.navigator_id, row.audience, day)
        yield DigestItem(
            case_id=row.case_id,
            activity=row.activity,
            step=row.step,
            due_on=row.due_on,
            days_late=max((day - row.late_on).days, 0),
            told_late=late.of(row),
            as_named=named is None or named.as_named,
        )


@dataclass(slots=True)
class _Lateness:
    """Whether a digest of an earlier day could have told a reminder: if so, the tracker or the mail was late.

    Days are asked as they were: who was to hear then, and on which days. Before the clinic's ways or the
    recipient's days last changed nothing is known of that. Reminders are mostly alike, and each kind is asked once.
    """

    clinic: Clinic
    people: Addressees
    recipient: str
    day: date
    known: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    def of(self, row: Row[Any]) -> bool:
        kind = (row.navigator_id, row.audience, row.urgent, row.remind_on, row.planned_at)
        if kind not in self.known:
            self.known[kind] = self._could_be_told_before(*kind)
        return self.known[kind]

    def _could_be_told_before(
        self, navigator_id: int | None, audience: str, urgent: bool, remind_on: date, planned_at: datetime
    ) -> bool:
        def days_on(earlier: date) -> str:
            named = self.people.of(self.clinic, navigator_id, audience, earlier)
            return self.people.days_of(named.email) if named else ""

        settled = [self.people.settled[s] for s in (self.clinic.name, self.recipient) if s in self.people.settled]
        start = max(remind_on, *(_next_digest_on(self.clinic, moment) for moment in (planned_at, *settled)))
        told_on = working_days.first_writing_day(self.clinic, days_on, start, urgent=urgent)
        return told_on is not None and told_on < self.day


def _next_digest_on(clinic: Clinic, moment: datetime) -> date:
    """The first local date whose digest is written after a moment."""
    day = local_date(moment, clinic.timezone)
    return day + timedelta(days=1) if moment > working_days.writes_at(clinic, day) else day


def _overdue(session: Session, ready: Sequence[_Recipient]) -> Counter[str]:
    """By address, how many follow-ups of the navigators whom it stands for are overdue in this clinic."""
    navigators = {g.navigator_id: to.email for to in ready for g in to.groups if g.audience == "navigator"}
    counted = (
        select(col(FollowUpRow.navigator_id), func.count())
        .where(
            col(FollowUpRow.status) == "open",
            col(FollowUpRow.navigator_id).in_(navigators.keys() - {None}),
            col(FollowUpRow.clinic_id) == ready[0].clinic_id,
            col(FollowUpRow.late_on) < ready[0].day,
        )
        .group_by(col(FollowUpRow.navigator_id))
    )
    found: Counter[str] = Counter()
    for navigator_id, number in session.execute(counted):
        found[navigators[navigator_id]] += number
    return found


# What has not left yet -------------------------------------------------------------------------------------


def look_again(session: Session, sender: Sender, message: OutboxMessage, now: datetime) -> bool:
    """Write a message that has not left anew, as things stand now; False where nothing remains to be told in it.

    What has ended is no longer in it; what would go to somebody else now, or is no longer wanted on the day of the
    digest, goes back to be told to whom and when it is. Where one of its cases is being changed at this moment, the
    message stays as it is, and stale: it does not leave before it could be looked at.
    """
    digest = session.get_one(Digest, message.digest_id)
    clinic = session.get_one(Clinic, digest.clinic_id)
    day = local_date(now, clinic.timezone)
    people = addressees.load(session, [day])
    try:
        with session.begin_nested():
            _hold(session, _id(digest.id))
    except OperationalError as error:
        if not _is_locked(error):
            raise
        message.stale = True
        return True
    told = session.execute(_reminder_rows().where(raised_in(_id(digest.id)))).all()
    kept = [row for row in told if _belongs_in(digest, people, clinic, row, day)]
    release(session, _id(digest.id), keep={row.id for row in kept})
    items = list(_items(kept, clinic, people, digest.recipient, day))
    digest.items, digest.reminders = len(items), len(kept)
    message.sender, message.stale = sender.of(clinic), False
    if items:
        groups = [_Group(row.navigator_id, row.audience) for row in kept]
        to = _Recipient(clinic, digest.recipient, digest.on, everything=True, groups=groups)
        message.content = compose(
            Letter(
                sender=message.sender,
                recipient=digest.recipient,
                message_id=message.message_id,
                base_url=sender.base_url,
                day=day,
                written_at=now,
                items=items,
                overdue_in_all=_overdue(session, [to])[digest.recipient],
                may_be_a_repeat=message.repeat > 0,
            )
        )
    session.flush()
    return bool(items)


def _belongs_in(digest: Digest, people: Addressees, clinic: Clinic, row: Row[Any], day: date) -> bool:
    """Whether a reminder still goes to whom a digest is for, who wanted it on the digest's own day."""
    named = people.of(clinic, row.navigator_id, row.audience, day)
    if named is None or named.email != digest.recipient:
        return False
    return bool(row.urgent) or working_days.tells_on(clinic, people.days_of(digest.recipient), digest.on)


def _id(value: int | None) -> int:
    if value is None:
        raise LookupError("the row has not been stored")
    return value
