"""Whether a new patient may be on record already: the same number, or a similar name and birth date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from tracker.db import one_at_a_time
from tracker.models import Case, CaseTerm, Patient
from tracker.places import CasePlace, Scope, case_rows, place_of
from tracker.terms import plain

MOST = 20
_ALIKE, _NEARLY_SAME = 0.75, 0.85
"""How similar two parts of a name are to be taken for one, with the same birth date and with one that has a slip."""
_LOCK = 0x74776963  # any number, as long as every process takes the same
_SAME_DAY = 2000
"""Patients of one birth date, and of its slips, who are compared: in a million there are about that many slips."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is known of a patient before a case is opened; ``numbers`` are record numbers and references."""

    name: str
    birth_date: date | None
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A case that may be the same patient's, by the number of its row and its clinic's, and why."""

    case_id: int
    clinic_id: int
    place: CasePlace
    birth_date: date | None
    mrn: str | None
    sex: str | None
    why: str


def find_alone(session: Session) -> None:
    """Wait for others who look for a patient and then open the case: it is found from here to the end of this one."""
    one_at_a_time(session, _LOCK)


def candidates(session: Session, newcomer: Newcomer, clinics: frozenset[int]) -> list[Candidate]:
    """Cases of these clinics that may be of the same patient, the surest first; none of any other clinic."""
    if not clinics:
        return []
    found: dict[str, Candidate] = {}
    for one in (*_same_number(session, newcomer, clinics), *_same_person(session, newcomer, clinics)):
        found.setdefault(one.place.ref, one)
    return list(found.values())[:MOST]


def _same_number(session: Session, newcomer: Newcomer, clinics: frozenset[int]) -> Iterator[Candidate]:
    numbers = sorted({plain(number) for number in newcomer.numbers} - {""})
    if not numbers:
        return
    known = select(col(CaseTerm.case_id)).where(
        col(CaseTerm.clinic_id).in_(sorted(clinics)), col(CaseTerm.term).in_(numbers)
    )
    for row in _rows(session, _of(clinics).where(col(Case.id).in_(known)), MOST):
        yield _candidate(row, "The same number")


def _same_person(session: Session, newcomer: Newcomer, clinics: frozenset[int]) -> Iterator[Candidate]:
    if newcomer.birth_date is None:
        yield from _same_name(session, newcomer, clinics)
        return
    for days in ([newcomer.birth_date], slips(newcomer.birth_date)):
        for row in _rows(session, _of(clinics).where(col(Patient.birth_date).in_(days)), _SAME_DAY):
            why = _likeness(newcomer, row.Patient)
            if why:
                yield _candidate(row, why)
    yield from _same_name(session, newcomer, clinics)


_WHY_SAME_DAY = "A similar name, and the same birth date"
_WHY_SLIP = "The same name, and a birth date that differs by a slip"
_WHY_NAME = "The same name, and not two birth dates to compare"


def _likeness(newcomer: Newcomer, patient: Patient) -> str:
    if patient.birth_date == newcomer.birth_date:
        return _WHY_SAME_DAY if alike(newcomer.name, patient.name or "", _ALIKE) else ""
    return _WHY_SLIP if alike(newcomer.name, patient.name or "", _NEARLY_SAME) else ""


def _same_name(session: Session, newcomer: Newcomer, clinics: frozenset[int]) -> Iterator[Candidate]:
    """Cases in which every part of the name stands just so; with a birth date to compare, those without one."""
    parts = sorted({plain(part) for part in newcomer.name.split()} - {""})
    if len(parts) < 2:
        return
    found = _of(clinics)
    for part in parts[:4]:
        of_part = select(col(CaseTerm.case_id)).where(
            col(CaseTerm.clinic_id).in_(sorted(clinics)), col(CaseTerm.term) == part
        )
        found = found.where(col(Case.id).in_(of_part))
    if newcomer.birth_date is not None:
        found = found.where(col(Patient.birth_date).is_(None))
    for row in _rows(session, found, MOST):
        yield _candidate(row, _WHY_NAME)


def _rows(session: Session, found: Any, most: int) -> Any:
    """The latest of them: where there are more, the same ones each time."""
    return session.execute(found.order_by(col(Case.opened_on).desc(), col(Case.id).desc()).limit(most))


def _of(clinics: frozenset[int]) -> Any:
    return case_rows(Scope(clinics=clinics), named=True)


def _candidate(row: Any, why: str) -> Candidate:
    patient: Patient = row.Patient
    return Candidate(row.Case.id, row.Case.clinic_id, place_of(row), patient.birth_date, patient.mrn, patient.sex, why)


# Likeness ----------------------------------------------------------------------------------------------------


def alike(one: str, other: str, least: float = _ALIKE) -> bool:
    """Whether two names may be one: in any order, without accents, with a slip of the finger in each part."""
    shorter, longer = sorted((_parts(one), _parts(other)), key=len)
    if not shorter:
        return False
    left = list(longer)
    for part in shorter:
        best = max(left, key=lambda candidate: _share(part, candidate))
        if _share(part, best) < least:
            return False
        left.remove(best)
    return len(shorter) > 1 or len(longer) == 1


def _parts(name: str) -> list[str]:
    return [part for part in (plain(word) for word in name.replace("-", " ").replace(",", " ").split()) if part]


def _share(one: str, other: str) -> float:
    if len(one) == 1 or len(other) == 1:  # an initial stands for any name that begins with it
        return 1.0 if one[0] == other[0] else 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def slips(day: date) -> list[date]:
    """The dates that one slip makes of a birth date: a digit wrong, two digits or day and month swapped."""
    text = day.strftime("%Y%m%d")
    written: set[str] = {text[:4] + text[6:] + text[4:6]}
    for place in range(2, len(text)):
        written |= {text[:place] + digit + text[place + 1 :] for digit in "0123456789"}
        if place + 1 < len(text):
            written.add(text[:place] + text[place + 1] + text[place] + text[place + 2 :])
    return sorted(set(_dates(written)) - {day})


def _dates(written: Iterable[str]) -> Iterator[date]:
    for text in written:
        try:
            yield date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            continue
