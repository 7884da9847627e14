"""What is muted: who hears less, who is away and who stands in, and what was put off. The clinic's lead sees this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlmodel import Session, col

from tracker import addressees
from tracker.addressees import Addressees
from tracker.clock import local_date
from tracker.models import Case, Clinic, FollowUpRow, Person


@dataclass(frozen=True, slots=True)
class Muted:
    """Somebody who gets no digest on some of a clinic's working days (ISO digits); what is urgent comes all the same.

    ``hears_on`` is empty for who hears of what is urgent and of nothing else.
    """

    clinic: str
    email: str
    hears_on: str
    silent_on: str


@dataclass(frozen=True, slots=True)
class Away:
    """Somebody who is away today. ``stand_in`` as named; ``hears`` is who hears of theirs, perhaps they themselves."""

    clinic: str
    email: str
    from_on: date
    until_on: date
    stand_in: str | None
    hears: str


@dataclass(frozen=True, slots=True)
class Snoozed:
    """How many open follow-ups of a clinic are put off, and until when the longest."""

    clinic: str
    items: int
    until: date


@dataclass(frozen=True, slots=True)
class Quiet:
    """All of it, by clinic and address."""

    muted: list[Muted]
    away: list[Away]
    snoozed: list[Snoozed]


def quiet(session: Session, now: datetime, only: frozenset[int] | None = None) -> Quiet:
    """What is muted in each clinic on its local date: of those who look after open cases there, lead and clinician.

    Somebody who stands in for one of them counts too. ``only``: in these clinics, by the numbers of their rows.
    """
    clinics = [
        clinic
        for clinic in session.scalars(select(Clinic).order_by(col(Clinic.name)))
        if only is None or clinic.id in only
    ]
    today = {clinic.name: local_date(now, clinic.timezone) for clinic in clinics}
    people = addressees.load(session, list(today.values()))
    navigators = _navigators(session)
    muted: list[Muted] = []
    away: list[Away] = []
    for clinic in clinics:
        concerned = {*navigators.get(clinic.id, []), clinic.lead_email, clinic.clinician_email}
        named = sorted(email for email in concerned if email)
        away += _away(people, clinic, named, today[clinic.name])
        hearing = {people.present(email, clinic, today[clinic.name]) for email in named}
        muted += _muted(people, clinic, sorted({*named, *hearing}))
    return Quiet(muted, away, [found for clinic in clinics for found in _snoozed(session, clinic, today[clinic.name])])


def _navigators(session: Session) -> dict[int | None, list[str]]:
    found = (
        select(col(Case.clinic_id), col(Person.email))
        .join(Person, col(Person.id) == col(Case.navigator_id))
        .where(col(Case.phase) != "closed")
        .distinct()
    )
    navigators: dict[int | None, list[str]] = {}
    for row in session.execute(found):
        navigators.setdefault(row.clinic_id, []).append(row.email)
    return navigators


def _away(people: Addressees, clinic: Clinic, named: list[str], day: date) -> Iterator[Away]:
    for email in named:
        absence = people.absence(email, day)
        if absence is not None:
            hears = people.present(email, clinic, day)
            yield Away(clinic.name, email, absence.from_on, absence.until_on, absence.stand_in, hears)


def _muted(people: Addressees, clinic: Clinic, named: list[str]) -> Iterator[Muted]:
    for email in named:
        wanted = people.days_of(email)
        silent = "".join(digit for digit in clinic.working_days if digit not in wanted)
        if silent:
            hears = "".join(digit for digit in clinic.working_days if digit in wanted)
            yield Muted(clinic.name, email, hears, silent)


def _snoozed(session: Session, clinic: Clinic, day: date) -> Iterator[Snoozed]:
    found = select(func.count(), func.max(col(FollowUpRow.snoozed_until))).where(
        col(FollowUpRow.clinic_id) == clinic.id,
        col(FollowUpRow.status) == "open",
        col(FollowUpRow.snoozed_until) > day,
    )
    number, until = session.execute(found).one()
    if number:
        yield Snoozed(clinic.name, number, until)
