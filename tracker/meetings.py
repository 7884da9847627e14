"""The lists of the team meetings: cases that somebody put there, and those that wait for the team anyway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlmodel import Session, col

from tracker import audit, cases
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import IS_OPEN, Case, FollowUpRow, MeetingItem, Patient
from tracker.places import ANY, Scope, case_rows
from tracker.writing import Writing, added
from workflows.dates import in_words

MOST = 100
"""Cases of one meeting, and of those that wait, that a page shows."""
LONGEST = 500
WAITING_IN = ("workup.mdt", "restaging.suspected")
"""States that end with a decision of the team."""
REVIEW = "mdt-review"


@dataclass(frozen=True, slots=True)
class Listed:
    """A case on the list of a meeting, what the team is to be asked, and who put it there."""

    id: int
    ref: str
    clinic_id: int
    question: str
    added_by: str


def on_list(session: Session, day: date, scope: Scope) -> list[Listed]:
    """The cases of a meeting, in the order in which they were put on its list."""
    items = select(MeetingItem).where(col(MeetingItem.on) == day).order_by(col(MeetingItem.id)).limit(MOST)
    if scope.clinics is not None:
        items = items.where(col(MeetingItem.clinic_id).in_(sorted(scope.clinics)))
    listed = session.execute(items).scalars().all()
    if not listed:
        return []
    rows = session.execute(case_rows(scope, named=True).where(col(Case.id).in_([item.case_id for item in listed])))
    known = {row.Case.id: row.Case for row in rows}
    return [_listed(known[item.case_id], item) for item in listed if item.case_id in known]


def _listed(case: Case, item: MeetingItem) -> Listed:
    return Listed(item.id or 0, case.ref, case.clinic_id, item.question, item.added_by)


def dates(session: Session, scope: Scope, first: date) -> list[date]:
    """The next meetings for which something is on the list."""
    days = select(col(MeetingItem.on)).distinct().where(col(MeetingItem.on) >= first)
    if scope.clinics is not None:
        days = days.where(col(MeetingItem.clinic_id).in_(sorted(scope.clinics)))
    return list(session.execute(days.order_by(col(MeetingItem.on)).limit(12)).scalars())


def waiting(session: Session, day: date, clinics: list[int]) -> list[tuple[Case, Patient]]:
    """Open cases that wait for the team on a day and are on no list from then on, with patients, the longest first.

    They are in a state that ends with a decision, or a team review is open whose window has begun.
    """
    listed = select(col(MeetingItem.case_id)).where(col(MeetingItem.on) >= day)
    review = select(col(FollowUpRow.case_id)).where(
        IS_OPEN,
        col(FollowUpRow.clinic_id).in_(clinics),
        col(FollowUpRow.activity) == REVIEW,
        col(FollowUpRow.opens_on) <= day,
        col(FollowUpRow.case_id).not_in(listed),
    )
    decides = select(col(Case.id)).where(
        col(Case.clinic_id).in_(clinics), col(Case.state).in_(WAITING_IN), col(Case.id).not_in(listed)
    )
    # each by its own index, and then these few cases alone
    ways = (review.order_by(col(FollowUpRow.late_on)), decides.order_by(col(Case.since)))
    few = {number for found in ways for number in session.execute(found.limit(MOST)).scalars()}
    found = case_rows(ANY).where(col(Case.id).in_(few), col(Case.phase) != "closed")
    found = found.order_by(col(Case.since), col(Case.id)).limit(MOST)
    return [(row.Case, row.Patient) for row in session.execute(found)]


def add(writing: Writing, ref: str, day: date, today: date, question: str = "") -> MeetingItem:
    """Put a case on the list of a meeting; where it is there already, the question is what changes.

    Raises :class:`ChangeRefused` for a date that has passed, a closed case, or a question that is too long.
    """
    case = cases.find(writing.session, ref)
    if case.phase == "closed":
        raise ChangeRefused("a closed case is not discussed: return it to care first")
    if day < today:
        raise ChangeRefused(f"{in_words(day)} has passed")
    if len(question) > LONGEST:
        raise ChangeRefused(f"the question is longer than {LONGEST} characters")
    found = select(MeetingItem).where(col(MeetingItem.case_id) == case.id, col(MeetingItem.on) == day)
    item = writing.session.execute(found.with_for_update()).scalars().first()
    if item is None:
        item = MeetingItem(
            case_id=case.id or 0, clinic_id=case.clinic_id, on=day, added_by=writing.actor, added_at=writing.now
        )
        if added(writing.session, item):
            audit.note(writing, "meeting:listed", ref, {"on": day.isoformat()})
        else:
            item = writing.session.execute(found.with_for_update()).scalars().one()
    item.question = question or item.question
    writing.session.add(item)
    writing.session.flush()
    return item


def take_off(writing: Writing, ref: str, day: date) -> None:
    """Take a case off the list of a meeting; raises :class:`UnknownThing` where it is not there."""
    case = cases.find(writing.session, ref)
    found = select(MeetingItem).where(col(MeetingItem.case_id) == case.id, col(MeetingItem.on) == day)
    item = writing.session.execute(found).scalars().first()
    if item is None:
        raise UnknownThing(f"case {ref!r} is not on the list of {in_words(day)}")
    writing.session.delete(item)
    audit.note(writing, "meeting:taken_off", ref, {"on": day.isoformat()})
