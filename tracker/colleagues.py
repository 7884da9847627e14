"""Who can look after a case: the navigators of its clinic."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker.access import Role
from tracker.models import Account, Membership


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may be chosen; ``name`` is their address where they have given no name."""

    email: str
    name: str


def navigators(session: Session, clinic_id: int) -> list[Colleague]:
    """The navigators of a clinic who can sign in, by name."""
    found = (
        select(Account.email, Account.name)
        .join(Membership, col(Membership.account_id) == col(Account.id))
        .where(
            Membership.clinic_id == clinic_id,
            Membership.role == Role.NAVIGATOR.value,
            col(Account.disabled_at).is_(None),
        )
    )
    people = [Colleague(email, name or email) for email, name in session.exec(found)]
    return sorted(people, key=lambda one: (one.name.casefold(), one.email))
