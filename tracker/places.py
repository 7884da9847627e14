"""Where cases belong, and the joins that every list of them starts from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, case, select, true
from sqlmodel import Session, col

from tracker.clock import local_date
from tracker.models import Case, Clinic, FollowUpRow, Patient, Person


@dataclass(frozen=True, slots=True)
class CasePlace:
    """The part of a case that a list shows beside each item; ``pathway`` is the digest that it runs on."""

    ref: str
    patient_ref: str
    patient_name: str | None
    clinic: str
    navigator: str | None
    state: str
    pathway: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cases a list is about; None means any. ``unassigned``: those that nobody is responsible for.

    ``clinics``, by the numbers of their rows: those in which somebody may see cases. None is for the command line and
    the machinery; a page always says which.
    """

    clinic: str | None = None
    navigator: str | None = None
    case: str | None = None
    unassigned: bool = False
    clinics: frozenset[int] | None = None


ANY = Scope()
"""No limit at all."""


def local_dates(session: Session, now: datetime) -> dict[str, date]:
    """Today in each clinic, by its name."""
    return {
        name: local_date(now, zone) for name, zone in session.execute(select(col(Clinic.name), col(Clinic.timezone)))
    }


def case_rows(scope: Scope, *, named: bool = False) -> Any:
    """A SELECT of cases, each with patient, clinic and navigator.

    ``named``: each by its number or reference, along which it is found; the clinics only limit what is found. The
    embedded database would go through all cases of the clinics instead.
    """
    found = select(Case, Patient, Clinic, Person).select_from(Case)
    found = found.join(Patient, col(Patient.id) == col(Case.patient_id))
    found = found.join(Clinic, col(Clinic.id) == col(Case.clinic_id))
    found = found.outerjoin(Person, col(Person.id) == col(Case.navigator_id))
    return within(found, scope, col(Case.clinic_id) + 0 if named else col(Case.clinic_id))


def open_items(scope: Scope, *, named: bool = False) -> Any:
    """A SELECT of open follow-ups, each with case, patient, clinic and navigator; ``named`` as of cases."""
    return follow_ups(scope, named=named).where(col(FollowUpRow.status) == "open")


def follow_ups(scope: Scope, *, named: bool = False) -> Any:
    """The same of those that are settled too."""
    found = select(FollowUpRow, Case, Patient, Clinic, Person).select_from(FollowUpRow)
    found = found.join(Case, col(Case.id) == col(FollowUpRow.case_id))
    found = found.join(Patient, col(Patient.id) == col(Case.patient_id))
    found = found.join(Clinic, col(Clinic.id) == col(FollowUpRow.clinic_id))
    found = found.outerjoin(Person, col(Person.id) == col(FollowUpRow.navigator_id))
    return within(found, scope, col(FollowUpRow.clinic_id) + 0 if named else col(FollowUpRow.clinic_id))


def within(found: Any, scope: Scope, clinic_id: Any) -> Any:
    """The SELECT, limited to a scope; it must have joined clinic and person. ``clinic_id`` is its own column of these.

    This is the one place in which queries are limited to the clinics that somebody may see.
    """
    if scope.clinics is not None:
        found = found.where(clinic_id.in_(sorted(scope.clinics)))
    if scope.clinic is not None:
        found = found.where(col(Clinic.name) == scope.clinic)
    if scope.navigator is not None:
        found = found.where(col(Person.email) == scope.navigator)
    if scope.unassigned:
        found = found.where(col(Person.id).is_(None))
    if scope.case is not None:
        found = found.where(col(Case.ref) == scope.case)
    return found


def place_of(row: Row[Any], state: str | None = None) -> CasePlace:
    """The place of a row of either SELECT; ``state`` stands in for a past view."""
    person = row.Person.email if row.Person else None
    c: Case = row.Case
    return CasePlace(
        c.ref, row.Patient.ref, row.Patient.name, row.Clinic.name, person, state or c.state, c.pathway_digest
    )


def past_index(column: Any) -> Any:
    """The column as no index has it: a list in the order of one index is not to be sorted out of another."""
    return case((true(), column))
