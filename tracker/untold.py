"""Reminders that are raised and that nobody has been told: how many, whose, and which of them nobody would hear of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, func, or_, select
from sqlmodel import Session, col

from tracker import addressees, working_days
from tracker.addressees import Addressees
from tracker.clock import local_date
from tracker.models import Clinic, Person, Reminder
from workflows.limits import checked_email

AT_MOST = 10_000
"""So many are counted; where there are more, it no longer matters how many."""

Clinics = frozenset[int] | None
"""The reminders of these clinics, by the numbers of their rows; None: of all."""

_HOUR = timedelta(hours=1)
_LOOK_BACK = 31


@dataclass(frozen=True, slots=True)
class Group:
    """Untold reminders of one kind: those of a clinic's navigator for one audience."""

    clinic_id: int
    navigator_id: int | None
    audience: str
    urgent: bool
    number: int
    since: datetime


@dataclass(slots=True)
class Untold:
    """Of the reminders that nobody has been told: how many have nobody to be told, and how many were passed over.

    ``cases_of_nobody``: of how many cases they are. ``unusable``: addresses that no mail can be written to.
    ``unheard``: reminders for somebody else's sake that go to ``deaf``, who get no digest on any working day.
    """

    of_nobody: int = 0
    cases_of_nobody: int = 0
    passed_over: int = 0
    passed_over_since: datetime | None = None
    unheard: int = 0
    unusable: tuple[str, ...] = ()
    deaf: tuple[str, ...] = ()


def number(session: Session, clinics: Clinics = None) -> int:
    """How many reminders are raised and in no digest yet, up to :data:`AT_MOST`."""
    some = _rows(clinics, col(Reminder.id)).limit(AT_MOST).subquery()
    return int(session.execute(select(func.count()).select_from(some)).scalar_one())


def weigh(session: Session, now: datetime, only: Clinics = None) -> Untold:
    """Look at each group of untold reminders: is there somebody to tell, and should they have heard by now?

    A navigator who wants nothing but what is urgent is not passed over: that was their choice, and the lead sees it.
    Whoever is to hear in another's place, or of an escalation, cannot choose that for them.
    """
    groups = _groups(session, only)
    if not groups:
        return Untold()
    clinics = {clinic.id: clinic for clinic in session.execute(select(Clinic)).scalars()}
    people = addressees.load(session, [local_date(now, clinic.timezone) for clinic in clinics.values()])
    found, unusable, deaf = Untold(), set(), set()
    for group in groups:
        clinic = clinics[group.clinic_id]
        named = people.of(clinic, group.navigator_id, group.audience, local_date(now, clinic.timezone))
        if named is None:
            found.of_nobody += group.number
        elif not _is_usable(named.email):
            unusable.add(named.email)
        elif not group.urgent and not set(people.days_of(named.email)) & set(clinic.working_days):
            if people.days_of(named.email) or not _is_own_choice(people, group, named.email):
                found.unheard += group.number
                deaf.add(named.email)
        elif _is_passed_over(people, clinic, group, named.email, now):
            found.passed_over += group.number
            found.passed_over_since = min(found.passed_over_since or group.since, group.since)
    found.unusable, found.deaf = tuple(sorted(unusable)), tuple(sorted(deaf))
    found.cases_of_nobody = _cases_of_nobody(session, only) if found.of_nobody else 0
    return found


def _groups(session: Session, only: Clinics) -> list[Group]:
    who = (col(Reminder.clinic_id), col(Reminder.navigator_id), col(Reminder.audience), col(Reminder.urgent))
    muted = and_(col(Reminder.audience) == "navigator", ~col(Reminder.urgent), col(Person.digest_days) == "")
    some = (
        _rows(only, *who, col(Reminder.raised_at))
        .outerjoin(Person, col(Person.id) == col(Reminder.navigator_id))
        .where(or_(~muted, col(Person.id).is_(None)))
        .limit(AT_MOST)
        .subquery()
    )
    kind = (some.c.clinic_id, some.c.navigator_id, some.c.audience, some.c.urgent)
    rows = session.execute(select(*kind, func.count(), func.min(some.c.raised_at)).group_by(*kind))
    return [Group(*row) for row in rows]


def _rows(only: Clinics, *columns: Any) -> Any:
    """Along the partial index of what nobody has been told, which SQLite takes for these very words only."""
    raised: BindParameter[str] = bindparam("raised", "raised", literal_execute=True)
    untold = and_(col(Reminder.status) == raised, col(Reminder.digest_id).is_(None))
    found = select(*columns).where(untold)
    return found if only is None else found.where(col(Reminder.clinic_id).in_(sorted(only)))


def _cases_of_nobody(session: Session, only: Clinics) -> int:
    of_nobody = (
        _rows(only, col(Reminder.case_id))
        .join(Clinic, col(Clinic.id) == col(Reminder.clinic_id))
        .where(col(Reminder.navigator_id).is_(None), col(Clinic.lead_email).is_(None))
        .where(or_(col(Reminder.audience) != "clinician", col(Clinic.clinician_email).is_(None)))
        .limit(AT_MOST)
        .subquery()
    )
    return int(session.execute(select(func.count(of_nobody.c.case_id.distinct()))).scalar_one())


def _is_usable(email: str) -> bool:
    try:
        checked_email(email)
    except ValueError:
        return False
    return True


def _is_own_choice(people: Addressees, group: Group, email: str) -> bool:
    return group.audience == "navigator" and people.emails.get(group.navigator_id or 0) == email


def _is_passed_over(people: Addressees, clinic: Clinic, group: Group, email: str, now: datetime) -> bool:
    """Two digests could have told it by now; one may have been written just before it was raised or given back.

    Who was to hear, and on which days, is known since it was last changed.
    """
    today = local_date(now - _HOUR, clinic.timezone)
    if now - _HOUR < working_days.writes_at(clinic, today):
        today -= timedelta(days=1)
    since = max(group.since, *(people.settled.get(subject, group.since) for subject in (clinic.name, email)))
    first = local_date(since, clinic.timezone)
    if since > working_days.writes_at(clinic, first):
        first += timedelta(days=1)
    back = range(min((today - first).days + 1, _LOOK_BACK))
    return sum(_tells_on(people, clinic, group, today - timedelta(days=days)) for days in back) > 1


def _tells_on(people: Addressees, clinic: Clinic, group: Group, day: date) -> bool:
    named = people.of(clinic, group.navigator_id, group.audience, day)
    return group.urgent or (named is not None and working_days.tells_on(clinic, people.days_of(named.email), day))
