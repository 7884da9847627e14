"""Who hears of a reminder: the navigator, the clinic's lead or its clinician, or who stands in for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from tracker.models import Absence, AuditEntry, Clinic, Person

EVERY_DAY = "1234567"

LOOK_BACK = timedelta(days=31)
"""How far back absences are known, for whom an item would have gone to on an earlier day."""

_DECIDES = (
    *("clinic:lead-email", "clinic:clinician-email", "clinic:timezone"),
    *("clinic:digest-at", "clinic:working-days", "clinic:holidays", "person:digest-days"),
)
"""What is noted of a change after which other people hear, or the same ones on other days."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """An address, and whether it is that of the person whom the step names (or somebody who stands in)."""

    email: str
    as_named: bool


@dataclass(slots=True)
class Addressees:
    """Everybody who may be written to, as known now.

    ``settled``: since when a clinic's ways, or a person's choice of days, are as they are, where they ever changed.
    """

    emails: dict[int, str]
    digest_days: dict[str, str]
    absences: dict[str, list[Absence]] = field(default_factory=dict)
    settled: dict[str, datetime] = field(default_factory=dict)

    def days_of(self, email: str) -> str:
        """The weekdays on which somebody wants a digest."""
        return self.digest_days.get(email, EVERY_DAY)

    def of(self, clinic: Clinic, navigator_id: int | None, audience: str, day: date) -> Addressee | None:
        """Who hears of a step on the clinic's local date; None where there is nobody to write to."""
        navigator = self.emails.get(navigator_id or 0)
        named = {"navigator": navigator, "lead": clinic.lead_email, "clinician": clinic.clinician_email}.get(audience)
        nearest = [named, clinic.lead_email, navigator]
        person = next((email for email in nearest if email), None)
        if person is None:
            return None
        return Addressee(self.present(person, clinic, day), person == named)

    def present(self, email: str, clinic: Clinic, day: date) -> str:
        """Who stands in on that day, and for that one in turn; whoever is away with nobody left is written to.

        Where stand-ins name each other, or nobody is named, it is the clinic's lead.
        """
        seen = [email]
        while (away := self.absence(seen[-1], day)) is not None:
            left = [one for one in (away.stand_in, clinic.lead_email) if one and one not in seen]
            if not left:
                return email
            seen.append(left[0])
        return seen[-1]

    def absence(self, email: str, day: date) -> Absence | None:
        """The absence of somebody that a date falls into."""
        return next((a for a in self.absences.get(email, []) if a.from_on <= day <= a.until_on), None)


def load(session: Session, days: Sequence[date]) -> Addressees:
    """Everybody, with the absences that touch one of the (local) dates, or a day not long before them."""
    people = session.execute(select(col(Person.id), col(Person.email), col(Person.digest_days))).all()
    found = Addressees({id_: email for id_, email, _ in people}, {email: days_ for _, email, days_ in people})
    if days:
        away = select(Absence).where(col(Absence.from_on) <= max(days), col(Absence.until_on) >= min(days) - LOOK_BACK)
        for absence in session.execute(away.order_by(col(Absence.id))).scalars():
            found.absences.setdefault(found.emails[absence.person_id], []).append(absence)
    changes = select(col(AuditEntry.subject), func.max(col(AuditEntry.at))).where(col(AuditEntry.kind).in_(_DECIDES))
    found.settled.update((row[0], row[1]) for row in session.execute(changes.group_by(col(AuditEntry.subject))))
    return found
