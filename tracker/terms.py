"""The words by which a case is found, kept with its patient's name and numbers."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import insert
from sqlmodel import Session, select

from tracker.models import Case, CaseTerm, Patient

_LONGEST = 80
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
"""Letters that Unicode does not take apart into a plain one and an accent."""


def terms(name: str | None, *numbers: str | None) -> set[str]:
    """The words by which a case is found: each part of the name, and numbers and references without punctuation."""
    found = {plain(part) for part in re.split(r"[\s\-‐–]+", name or "")}
    found |= {plain(part) for part in (name or "").split()}
    found |= {plain(number) for number in numbers if number}
    return {term for term in found if term}


def plain(text: str) -> str:
    """Small letters and digits, without accents and punctuation."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(c for c in apart if c.isalnum())[:_LONGEST]


def of_case(case: Case, patient: Patient) -> set[str]:
    """The words by which this case is found."""
    return terms(patient.name, patient.ref, patient.mrn, case.ref)


def stored(session: Session, case: Case) -> set[str]:
    """The words by which this case is found, as they are stored."""
    return set(session.exec(select(CaseTerm.term).where(CaseTerm.case_id == case.id)))


def index(session: Session, case: Case, patient: Patient) -> None:
    """Store the words of a new case. They stay: a merger leaves both records, each under its own name and numbers."""
    rows = [{"case_id": case.id, "clinic_id": case.clinic_id, "term": term} for term in sorted(of_case(case, patient))]
    if rows:
        session.execute(insert(CaseTerm), rows)
