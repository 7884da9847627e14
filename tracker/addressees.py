"""Who hears of a reminder: the navigator, the clinic's lead or its clinician, or who stands in for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select
from sqlmodel import Session, col

from tracker.models import Absence, Clinic, Person

EVERY_DAY = "1234567"


@dataclass(frozen=True, slots=True)
class Addressee:
    """An address, and whether it is that of the person whom the step names (or somebody who stands in)."""

    email: str
    as_named: bool


@dataclass(slots=True)
class Addressees:
    """Everybody who may be written to, as known now."""

    emails: dict[int, str]
    digest_days: dict[str, str]
    absences: dict[str, list[Absence]] = field(default_factory=dict)

    def days_of(self, email: str) -> str:
        """The weekdays on which somebody wants a digest."""
        return self.digest_days.get(email, EVERY_DAY)

    def of(self, clinic: Clinic, navigator_id: int | None, audience: str, day: date) -> Addressee | None:
        """Who hears of a step on the clinic's local date; None where there is nobody to write to."""
        navigator = self.emails.get(navigator_id or 0)
        named = {"navigator": navigator, "lead": clinic.lead_email, "clinician": clinic.clinician_email}[audience]
        nearest = [named, clinic.lead_email, navigator]
        person = next((email for email in nearest if email), None)
        if person is None:
            return None
        return Addressee(self._present(person, clinic, day), person == named)

    def _present(self, email: str, clinic: Clinic, day: date) -> str:
        """Who stands in on that day, and for that one in turn; whoever is away with nobody left is written to."""
        seen = [email]
        while (away := self._absence(seen[-1], day)) is not None:
            substitute = away.stand_in or clinic.lead_email
            if substitute is None or substitute in seen:
                return email
            seen.append(substitute)
        return seen[-1]

    def _absence(self, email: str, day: date) -> Absence | None:
        return next((a for a in self.absences.get(email, []) if a.from_on <= day <= a.until_on), None)


def load(session: Session, days: Sequence[date]) -> Addressees:
    """Everybody, with the absences that touch one of the (local) dates."""
    people = session.execute(select(col(Person.id), col(Person.email), col(Person.digest_days))).all()
    found = Addressees({id_: email for id_, email, _ in people}, {email: days_ for _, email, days_ in people})
    if days:
        away = select(Absence).where(col(Absence.from_on) <= max(days), col(Absence.until_on) >= min(days))
        for absence in session.execute(away.order_by(col(Absence.id))).scalars():
            found.absences.setdefault(found.emails[absence.person_id], []).append(absence)
    return found
