"""Find a case by part of a name, a patient's number or a reference. Accents and capitals do not matter."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from tracker.casebook import CaseSummary, summary
from tracker.models import Case, CaseTerm
from tracker.places import ANY, Scope, case_rows
from tracker.terms import plain

MOST = 50
"""Cases that a search shows; who finds more has typed too little."""
_LOOKED_AT = 4 * MOST
"""Words that are looked at: a case can be found by several of its own."""
_PARTS = 6
"""Words of a search that are looked up; a name has no more."""


def find(session: Session, text: str, scope: Scope) -> list[CaseSummary]:
    """Cases in which every word of the text begins a part of the name or is the beginning of a number.

    At most :data:`MOST`, by reference; none for a text without a letter or digit. First their numbers along the index
    of words, in the clinics of the scope, and then these few cases.
    """
    words = sorted({plain(word) for word in text.split()} - {""}, key=len, reverse=True)[:_PARTS]
    if not words:
        return []
    few = set(session.execute(_with_all(words, scope).limit(_LOOKED_AT)).scalars())
    found = case_rows(ANY).where(col(Case.id).in_(few)).order_by(col(Case.ref)).limit(MOST)
    return [summary(row) for row in session.execute(found)]


def exact(session: Session, text: str, scope: Scope) -> str | None:
    """The reference of the one case whose own reference or patient's number was typed, if it was."""
    wanted = plain(text)
    few = select(col(CaseTerm.case_id)).where(col(CaseTerm.term) == wanted)
    if scope.clinics is not None:
        few = few.where(col(CaseTerm.clinic_id).in_(sorted(scope.clinics)))
    rows = session.execute(case_rows(ANY).where(col(Case.id).in_(few.limit(_LOOKED_AT)))).all()
    refs = {row.Case.ref for row in rows if wanted in map(plain, _numbers(row))}
    return refs.pop() if len(refs) == 1 else None


def _numbers(row: Row[Any]) -> list[str]:
    return [row.Case.ref, row.Patient.ref, row.Patient.mrn or ""]


def _with_all(words: list[str], scope: Scope) -> Any:
    """The cases that have a term for each word, the longest and so the rarest one first."""
    first: Any = aliased(CaseTerm)
    found = select(first.case_id).where(*_begins(first, words[0]))
    if scope.clinics is not None:
        found = found.where(first.clinic_id.in_(sorted(scope.clinics)))
    for word in words[1:]:
        other: Any = aliased(CaseTerm)
        same_case = select(other.case_id).where(other.case_id == first.case_id, *_begins(other, word))
        found = found.where(same_case.exists())
    return found


def _begins(table: Any, word: str) -> tuple[Any, Any]:
    return table.term >= word, table.term < word + "\U0010ffff"
