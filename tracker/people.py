"""Clinics and people: who hears of what, and when. Each change is noted, and what waits is looked at again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlmodel import Session, col, select

from tracker import audit, cases, clock, recall, working_days
from tracker.errors import ChangeRefused, UnknownThing, WrongSetting
from tracker.models import Absence, Case, Clinic, Person
from tracker.writing import Writing
from workflows.dates import in_words
from workflows.limits import checked_day, checked_email, is_fit, quoted

_LONGEST_NAME = 120

# A clinic ---------------------------------------------------------------------------------------------------


def clinics(session: Session) -> list[Clinic]:
    """Every clinic, by name."""
    return list(session.exec(select(Clinic).order_by(col(Clinic.name))))


def add_clinic(writing: Writing, name: str, zone: str) -> Clinic:
    """A clinic without cases; raises :class:`ChangeRefused` for a name that is taken, or cannot be one."""
    name = name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not is_fit(name):
        raise ChangeRefused(f"a clinic has a name of at most {_LONGEST_NAME} characters")
    if writing.session.exec(select(Clinic.id).where(Clinic.name == name)).first() is not None:
        raise ChangeRefused(f"there is a clinic {quoted(name)} already")
    clinic = Clinic(name=name, timezone=_in_words(clock.known_zone, zone))
    writing.session.add(clinic)
    writing.session.flush()
    audit.note(writing, "clinic:added", name, {"timezone": clinic.timezone})
    return clinic


def locked_clinic(session: Session, number: int) -> Clinic | None:
    """The clinic of a number as it is now, which nobody else sets meanwhile."""
    found = select(Clinic).where(col(Clinic.id) == number).with_for_update(key_share=True)
    return session.exec(found.execution_options(populate_existing=True)).first()


def set_lead(writing: Writing, clinic: str, email: str | None) -> Clinic:
    """Who hears of the clinic's escalations, and in the place of anybody away who names no stand-in; None: nobody."""
    return _change(writing, clinic, "lead_email", _known_address(writing, email))


def set_clinician(writing: Writing, clinic: str, email: str | None) -> Clinic:
    """Who hears of what the lead has not settled either; None leaves it with the lead."""
    return _change(writing, clinic, "clinician_email", _known_address(writing, email))


def set_mail_sender(writing: Writing, clinic: str, email: str | None) -> Clinic:
    """Whom the clinic's digests come from; None means the sender of the installation."""
    return _change(writing, clinic, "mail_from", None if email is None else _address(email))


def set_digest_hour(writing: Writing, clinic: str, at: time) -> Clinic:
    """The local time, to the minute, from which the day's digests are written."""
    if at.tzinfo is not None or at.second or at.microsecond:
        raise ChangeRefused(f"{at} is not an hour and a minute of the clinic's own day")
    return _change(writing, clinic, "digest_at", at)


def set_working_days(writing: Writing, clinic: str, days: str) -> Clinic:
    """The ISO weekdays on which the clinic works, as digits (1 is Monday)."""
    chosen = _in_words(working_days.known_weekdays, days)
    if not chosen:
        raise ChangeRefused("a clinic works on at least one day of the week")
    return _change(writing, clinic, "working_days", chosen)


def set_holidays(writing: Writing, clinic: str, calendar: str | None) -> Clinic:
    """The calendar of the clinic's public holidays, such as ``GB-ENG``; None: it works on all of them."""
    known = None if calendar is None else _in_words(working_days.known_calendar, calendar)
    return _change(writing, clinic, "holidays", known)


def set_timezone(writing: Writing, clinic: str, zone: str) -> Clinic:
    """The clinic's zone from now on. No date on record changes: due dates are dates, not moments."""
    return _change(writing, clinic, "timezone", _in_words(clock.known_zone, zone))


def _change(writing: Writing, name: str, column: str, value: Any) -> Clinic:
    clinic = writing.session.exec(select(Clinic).where(Clinic.name == name).with_for_update(key_share=True)).first()
    if clinic is None:
        raise UnknownThing(f"there is no clinic {quoted(name)}")
    was = getattr(clinic, column)
    if was == value:
        return clinic
    setattr(clinic, column, value)
    writing.session.flush()
    recall.mark_stale_of(writing.session, clinic.id)
    kind = f"clinic:{column.replace('_', '-')}"
    audit.note(writing, kind, clinic.name, {"was": _plain(was), "is": _plain(value)})
    return clinic


def _plain(value: Any) -> str | None:
    return f"{value:%H:%M}" if isinstance(value, time) else value


def _in_words(check: Callable[[str], str], value: str) -> str:
    """What a check lets through; its refusal as one of a change, not of a setting of the installation."""
    try:
        return check(value)
    except WrongSetting as refusal:
        raise ChangeRefused(*refusal.reasons) from None


def _address(email: str) -> str:
    try:
        return checked_email(email)
    except ValueError as error:
        raise ChangeRefused(str(error)) from None


def _known_address(writing: Writing, email: str | None) -> str | None:
    """The address, its owner made known, so that they can be away and choose their days."""
    if email is not None:
        cases.person_id(writing.session, _address(email))
    return email


# A person ---------------------------------------------------------------------------------------------------


def people(session: Session) -> list[Person]:
    """Everybody who looks after cases, hears of them or stands in, by address."""
    return list(session.exec(select(Person).order_by(col(Person.email))))


def digest_days_of(session: Session, email: str) -> str | None:
    """The ISO weekdays on which somebody wants a digest; None for who looks after no case and hears of none."""
    return session.exec(select(Person.digest_days).where(Person.email == email)).first()


def set_digest_days(writing: Writing, email: str, days: str) -> Person:
    """The ISO weekdays on which somebody wants a digest, as digits; none means what is urgent and nothing else."""
    person = _person(writing, email)
    chosen, was = _in_words(working_days.known_weekdays, days), person.digest_days
    of_work = {day for clinic in clinics_of(writing.session, person) for day in clinic.working_days}
    if chosen and of_work and not of_work.intersection(chosen):
        raise ChangeRefused(f"no clinic of {email} works on any of these days; choose others, or none")
    if chosen == was:
        return person
    person.digest_days = chosen
    writing.session.flush()
    recall.mark_stale_to(writing.session, email)
    audit.note(writing, "person:digest-days", email, {"was": was, "is": chosen})
    return person


def absences(session: Session, person: Person, since: date) -> list[Absence]:
    """When somebody is away on a date or later, earliest first."""
    found = select(Absence).where(Absence.person_id == person.id, col(Absence.until_on) >= since)
    return list(session.exec(found.order_by(col(Absence.from_on))))


def set_away(writing: Writing, email: str, from_on: date, until_on: date, stand_in: str | None = None) -> Person:
    """Somebody is away, first and last day included; without a stand-in the clinic's lead hears of what is theirs."""
    person = _person(writing, email)
    _check_span(from_on, until_on, today_of(writing.session, person, writing.now))
    if stand_in == email:
        raise ChangeRefused(f"{email} cannot stand in for themselves")
    _known_address(writing, stand_in)
    _refuse_overlap(writing.session, person, from_on, until_on)
    absence = Absence(person_id=_id(person.id), from_on=from_on, until_on=until_on, stand_in=stand_in)
    writing.session.add(absence)
    writing.session.flush()
    _look_again(writing.session, email)
    audit.note(writing, "person:away", email, {"was": None, "is": span(absence)})
    return person


def set_back(writing: Writing, email: str, on: date | None = None) -> tuple[Person, date]:
    """Somebody is back on a date (by default today): the absence ends the day before, or never begins.

    Returns who, and that date.
    """
    person = _person(writing, email)
    day = on or today_of(writing.session, person, writing.now)
    absence = next((a for a in absences(writing.session, person, day) if a.from_on <= day), None)
    if absence is None:
        raise ChangeRefused(f"{email} is not away on {in_words(day)}")
    _look_again(writing.session, email)
    was = span(absence)
    if absence.from_on < day:
        absence.until_on = day - timedelta(days=1)
        writing.session.add(absence)
    else:
        writing.session.delete(absence)
    writing.session.flush()
    audit.note(writing, "person:back", email, {"was": was, "is": span(absence) if absence.from_on < day else None})
    return person, day


def end_absence(writing: Writing, email: str, from_on: date) -> date | None:
    """End the absence that begins, or has begun, on a date; returns its last day until now, None if there is none."""
    person = _person(writing, email)
    today = today_of(writing.session, person, writing.now)
    until = next((a.until_on for a in absences(writing.session, person, today) if a.from_on == from_on), None)
    if until is not None:
        set_back(writing, email, max(from_on, today))
    return until


def _person(writing: Writing, email: str) -> Person:
    """The person of an address, whose absences nobody else changes meanwhile."""
    person = writing.session.exec(select(Person).where(Person.email == email).with_for_update(key_share=True)).first()
    if person is not None:
        return person
    if any(email in (clinic.lead_email, clinic.clinician_email) for clinic in clinics(writing.session)):
        cases.person_id(writing.session, email)
        return _person(writing, email)
    raise UnknownThing(f"there is nobody with the address {quoted(email)}")


def _check_span(from_on: date, until_on: date, today: date) -> None:
    try:
        checked_day(from_on)
        checked_day(until_on)
    except ValueError as error:
        raise ChangeRefused(str(error)) from None
    if until_on < from_on:
        raise ChangeRefused(f"the last day, {in_words(until_on)}, is before the first, {in_words(from_on)}")
    if until_on < today:
        raise ChangeRefused(f"{in_words(until_on)} has passed")


def _refuse_overlap(session: Session, person: Person, from_on: date, until_on: date) -> None:
    for other in absences(session, person, from_on):
        if other.from_on <= until_on:
            span = f"from {in_words(other.from_on)} to {in_words(other.until_on)}"
            raise ChangeRefused(f"{person.email} is away {span} already; end that first")


def _look_again(session: Session, email: str) -> None:
    """What waits for somebody is looked at again, and for whoever stands in for them, or for those in their turn."""
    stand_ins: dict[str, list[str | None]] = {}
    for away, stand_in in session.exec(select(Person.email, Absence.stand_in).join(Absence)):
        stand_ins.setdefault(away, []).append(stand_in)
    to_see: list[str | None] = [email, *(clinic.lead_email for clinic in clinics(session))]
    concerned: set[str] = set()
    while to_see:
        one = to_see.pop()
        if one is not None and one not in concerned:
            concerned.add(one)
            to_see += stand_ins.get(one, [])
    for one in sorted(concerned):
        recall.mark_stale_to(session, one)


def clinics_of(session: Session, person: Person) -> list[Clinic]:
    """The clinics whose open cases somebody looks after, or whose lead or clinician they are; by name."""
    cases_of = select(Case.clinic_id).where(Case.navigator_id == person.id, Case.phase != "closed").distinct()
    followed = set(session.exec(cases_of))
    return [c for c in clinics(session) if c.id in followed or person.email in (c.lead_email, c.clinician_email)]


def today_of(session: Session, person: Person, now: datetime) -> date:
    """The earliest of the local dates in somebody's clinics; of all of them, where they have none."""
    mine = clinics_of(session, person) or clinics(session)
    zones = [clinic.timezone for clinic in mine] or ["UTC"]
    return min(clock.local_date(now, zone) for zone in zones)


def span(absence: Absence) -> dict[str, str | None]:
    """An absence as the audit and the commands show it."""
    return {
        "from": absence.from_on.isoformat(),
        "until": absence.until_on.isoformat(),
        "stand_in": absence.stand_in,
    }


def _id(value: int | None) -> int:
    if value is None:
        raise LookupError("the row has not been stored")
    return value
