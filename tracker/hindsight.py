"""What an auditor reads: who looked at which case, and what was changed that belongs to no case."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import Integer, and_, cast, exists, func, or_, select
from sqlmodel import Session, col

from tracker import looks as looks_of_cases
from tracker.looks import Look, seal
from tracker.models import Account, AuditEntry, Case, CaseLook, Clinic, Digest, Membership, OutboxMessage, Person
from tracker.secret import Secret

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of which clinics, by whom, about which case, from one day to another (UTC, both included).

    ``clinics``: by the numbers of their rows; ``every``: these are all that there are.
    """

    clinics: frozenset[int]
    every: bool = False
    person: str | None = None
    case: str | None = None
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class SeenLook:
    """Somebody looked at a case. ``sound``: the row is as it was written. ``at`` is aware."""

    id: int
    at: datetime
    person: str
    case: str
    clinic: str
    page: str
    sound: bool


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """An entry of the chain; ``said`` is what was and what is, in words."""

    id: int
    at: datetime
    person: str
    kind: str
    subject: str
    said: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a long list, the latest first; ``after`` is the number from which it goes on, None at the end."""

    items: list[T]
    after: int | None


def looks(session: Session, secret: Secret, asked: Question, after: int | None, size: int) -> Page[SeenLook]:
    """Looks at the cases of the clinics."""
    found = (
        select(CaseLook, col(Account.email), col(Case.ref), col(Clinic.name))
        .join(Account, col(Account.id) == col(CaseLook.account_id))
        .join(Case, col(Case.id) == col(CaseLook.case_id))
        .join(Clinic, col(Clinic.id) == col(CaseLook.clinic_id))
        .where(col(CaseLook.clinic_id).in_(sorted(asked.clinics)))
    )
    if asked.person is not None:
        found = found.where(col(Account.login) == asked.person.lower())
    if asked.case is not None:
        found = found.where(col(Case.ref) == asked.case)
    rows = session.execute(_part(found, col(CaseLook.id), col(CaseLook.at), asked, after, size)).all()
    key = looks_of_cases.key_from(secret.derive("event chain"))
    items = [_look(key, *row) for row in rows[:size]]
    return Page(items, items[-1].id if len(rows) > size else None)


def _look(key: bytes, row: CaseLook, email: str, ref: str, clinic: str) -> SeenLook:
    sealed = seal(key, Look(row.account_id, row.case_id, row.clinic_id, row.at, row.page))
    return SeenLook(row.id or 0, row.at, email, ref, clinic, row.page, hmac.compare_digest(sealed, row.mac))


def entries(session: Session, asked: Question, after: int | None, size: int) -> Page[SeenEntry]:
    """Entries of the chain that are about the clinics: about them, their people, messages, or cases.

    Who reads the audit of every clinic sees every entry, those of no clinic too.
    """
    found = select(AuditEntry)
    if not asked.every:
        found = found.where(_about(asked.clinics))
    if asked.person is not None:
        theirs = func.lower(col(AuditEntry.actor)), func.lower(col(AuditEntry.subject))
        found = found.where(or_(*(column == asked.person.lower() for column in theirs)))
    rows = session.execute(_part(found, col(AuditEntry.seq), col(AuditEntry.at), asked, after, size)).scalars().all()
    items = [SeenEntry(e.seq, e.at, e.actor, e.kind, e.subject, _said(e.data)) for e in rows[:size]]
    return Page(items, items[-1].id if len(rows) > size else None)


def _about(clinics: frozenset[int]) -> Any:
    mine = sorted(clinics)
    members = select(col(Account.email)).join(Membership).where(col(Membership.clinic_id).in_(mine))
    named = select(col(Clinic.name)).where(col(Clinic.id).in_(mine))
    navigators = select(col(Person.email)).join(Case, col(Case.navigator_id) == col(Person.id))
    navigators = navigators.where(col(Case.clinic_id).in_(mine))
    number = cast(func.substr(col(AuditEntry.subject), len("message ") + 1), Integer)
    of_message = exists(
        select(col(OutboxMessage.id))
        .join(Digest, col(Digest.id) == col(OutboxMessage.digest_id))
        .where(col(OutboxMessage.id) == number, col(Digest.clinic_id).in_(mine))
    )
    subject, kind = col(AuditEntry.subject), col(AuditEntry.kind)
    of_case = exists(select(col(Case.id)).where(col(Case.ref) == subject, col(Case.clinic_id).in_(mine)))
    return or_(
        and_(kind.like("clinic:%"), subject.in_(named)),
        and_(kind.like("mail:%"), of_message),
        and_(kind.like("meeting:%"), of_case),
        and_(or_(kind.like("person:%"), kind.like("caseload:%")), or_(subject.in_(navigators), subject.in_(members))),
        and_(or_(kind.like("account:%"), kind.like("sign-in:%"), kind.like("%:exported")), subject.in_(members)),
    )


def _said(data: str) -> str:
    parts = json.loads(data)
    return "; ".join(f"{name}: {_words(value)}" for name, value in parts.items())


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _part(found: Any, number: Any, at: Any, asked: Question, after: int | None, size: int) -> Any:
    if asked.since is not None:
        found = found.where(at >= datetime.combine(asked.since, time.min, UTC))
    if asked.until is not None:
        found = found.where(at < datetime.combine(asked.until + timedelta(days=1), time.min, UTC))
    if after is not None:
        found = found.where(number < after)
    return found.order_by(number.desc()).limit(size + 1)


def all_looks(session: Session, secret: Secret, asked: Question, size: int = 1000) -> Iterator[SeenLook]:
    """Every look that is asked for, the latest first, read in parts."""
    after: int | None = None
    while True:
        page = looks(session, secret, asked, after, size)
        yield from page.items
        if page.after is None:
            return
        after = page.after
