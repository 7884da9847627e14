"""The outbox to look at: what went, what waits, and what is in question. Never what a message says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlmodel import Session, col

from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import IN_HAND, IN_QUESTION, WAITING, AuditEntry, Clinic, Digest, OutboxMessage

_FARTHER = 10
"""So many times farther back is looked for decisions of some clinics among those of all."""
_BY_HAND = ("mail:sent-again", "mail:arrived", "mail:given-up")


@dataclass(frozen=True, slots=True)
class Message:
    """One message: for whom, of which clinic day, how much it tells, and what has become of it.

    Times are aware; ``timezone`` is the clinic's. ``problem`` is the reason of the last failure, in words.
    """

    id: int
    clinic: str
    timezone: str
    recipient: str
    on: date
    items: int
    reminders: int
    state: str
    attempt: int
    failures: int
    repeat: int
    created_at: datetime
    next_try_at: datetime
    doubted_at: datetime | None
    problem: str | None
    settled_at: datetime | None
    settled_by: str | None

    @property
    def seen(self) -> str:
        """What a page shows, so that an answer to it can say what it was about."""
        return _seen(self.state, self.attempt, self.next_try_at)


def _seen(state: str, attempt: int, next_try_at: datetime) -> str:
    return f"{state}.{attempt}.{int(next_try_at.timestamp())}"


@dataclass(frozen=True, slots=True)
class Part:
    """The first messages of a list, and how many there are in all."""

    items: list[Message]
    number: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of settled messages; ``after`` is the number from which it goes on, None at the end."""

    items: list[Message]
    after: int | None


Clinics = frozenset[int] | None
"""The messages of these clinics, by the numbers of their rows; None: of all."""


def in_question(session: Session, size: int, clinics: Clinics = None) -> Part:
    """Messages that somebody has to decide about, the oldest first."""
    return _part(session, IN_QUESTION, (col(OutboxMessage.id),), size, clinics)


def waiting(session: Session, size: int, clinics: Clinics = None) -> Part:
    """Messages that will be tried, the next first; before them those that are being sent just now."""
    leaving = _part(session, IN_HAND, (col(OutboxMessage.lease_until), col(OutboxMessage.id)), size, clinics)
    queued = _part(session, WAITING, (col(OutboxMessage.next_try_at), col(OutboxMessage.id)), size, clinics)
    return Part([*leaving.items, *queued.items][:size], leaving.number + queued.number)


def settled(session: Session, after: int | None, size: int, clinics: Clinics = None) -> Page:
    """Messages that were sent or taken back, the latest first, by when they were written."""
    found = _of(clinics, _messages().where(col(OutboxMessage.state).in_(("sent", "cancelled"))))
    if after is not None:
        found = found.where(col(OutboxMessage.id) < after)
    rows = session.execute(found.order_by(col(OutboxMessage.id).desc()).limit(size + 1)).all()
    items = [_message(row) for row in rows[:size]]
    return Page(items, items[-1].id if len(rows) > size else None)


def number_in_question(session: Session, clinics: Clinics = None) -> int:
    """How many messages somebody has to decide about."""
    return _number(session, IN_QUESTION, clinics)


def numbers_in_question(session: Session, clinics: Clinics = None) -> dict[str, int]:
    """The same, by their states."""
    counted = _joined(clinics, select(col(OutboxMessage.state), func.count()).select_from(OutboxMessage))
    found = session.execute(counted.where(IN_QUESTION).group_by(col(OutboxMessage.state)))
    return {state: number for state, number in found}  # noqa: C416  (its rows are no pairs to mypy)


def oldest_waiting(session: Session, clinics: Clinics = None) -> datetime | None:
    """When the oldest of the messages that have not left was written."""
    written = select(func.min(col(OutboxMessage.created_at))).select_from(OutboxMessage)
    return _one_time(session, _joined(clinics, written).where(WAITING))


def oldest_doubt(session: Session, clinics: Clinics = None) -> datetime | None:
    """Since when it is not known of some message whether it has arrived."""
    doubted = _joined(clinics, select(func.min(col(OutboxMessage.doubted_at))).select_from(OutboxMessage))
    return _one_time(session, doubted.where(IN_QUESTION, col(OutboxMessage.state) == "uncertain"))


def _one_time(session: Session, found: Any) -> datetime | None:
    moment: datetime | None = session.execute(found).scalar_one()
    return moment


def clinic_of(session: Session, number: int) -> int | None:
    """The clinic that a message is about, by the number of its row; None where there is no such message."""
    joined = select(col(Digest.clinic_id)).join(OutboxMessage, col(OutboxMessage.digest_id) == col(Digest.id))
    return session.execute(joined.where(col(OutboxMessage.id) == number)).scalar_one_or_none()


def require_unchanged(session: Session, number: int, seen: str) -> None:
    """Refuse to decide about a message that is no longer as it was :attr:`Message.seen`.

    Raises :class:`UnknownThing` where there is no such message, :class:`ChangeRefused` where it has changed.
    """
    row = session.get(OutboxMessage, number)
    if row is None:
        raise UnknownThing(f"there is no message {number}")
    if _seen(row.state, row.attempt, row.next_try_at) != seen:
        raise ChangeRefused(f"message {number} is no longer as this page showed it; look at it again below")


def settled_by_hand(session: Session, size: int, clinics: Clinics = None) -> Sequence[AuditEntry]:
    """The last entries of the audit that are about messages, the latest first."""
    found = select(AuditEntry).where(col(AuditEntry.kind).in_(_BY_HAND)).order_by(col(AuditEntry.seq).desc())
    if clinics is None:
        return session.execute(found.limit(size)).scalars().all()
    latest = session.execute(found.limit(size * _FARTHER)).scalars().all()
    return [entry for entry in latest if clinic_of(session, _message_number(entry)) in clinics][:size]


def _message_number(entry: AuditEntry) -> int:
    return int(entry.subject.rpartition(" ")[2])


def _part(session: Session, which: Any, order: tuple[Any, ...], size: int, clinics: Clinics) -> Part:
    rows = session.execute(_of(clinics, _messages()).where(which).order_by(*order).limit(size)).all()
    return Part([_message(row) for row in rows], _number(session, which, clinics))


def _number(session: Session, which: Any, clinics: Clinics) -> int:
    counted = _joined(clinics, select(func.count()).select_from(OutboxMessage))
    return int(session.execute(counted.where(which)).scalar_one())


def _joined(clinics: Clinics, found: Any) -> Any:
    """A SELECT of messages alone, limited to clinics."""
    if clinics is None:
        return found
    return _of(clinics, found.join(Digest, col(Digest.id) == col(OutboxMessage.digest_id)))


def _of(clinics: Clinics, found: Any) -> Any:
    """A SELECT that has joined the digest, limited to clinics."""
    return found if clinics is None else found.where(col(Digest.clinic_id).in_(sorted(clinics)))


def _messages() -> Any:
    """Everything but the content, which is as long as all the rest."""
    return (
        select(
            col(OutboxMessage.id),
            col(Clinic.name).label("clinic"),
            col(Clinic.timezone),
            col(OutboxMessage.recipient),
            col(Digest.on),
            col(Digest.items),
            col(Digest.reminders),
            col(OutboxMessage.state),
            col(OutboxMessage.attempt),
            col(OutboxMessage.failures),
            col(OutboxMessage.repeat),
            col(OutboxMessage.created_at),
            col(OutboxMessage.next_try_at),
            col(OutboxMessage.doubted_at),
            col(OutboxMessage.problem),
            col(OutboxMessage.settled_at),
            col(OutboxMessage.settled_by),
        )
        .join(Digest, col(Digest.id) == col(OutboxMessage.digest_id))
        .join(Clinic, col(Clinic.id) == col(Digest.clinic_id))
    )


def _message(row: Row[Any]) -> Message:
    return Message(*tuple(row))
