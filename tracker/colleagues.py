"""Who can look after a case: the navigators of its clinic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker.access import Role
from tracker.models import Account, Membership


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may be chosen; ``name`` is their address where they have given no name."""

    email: str
    name: str


def names(session: Session) -> dict[str, str]:
    """The names that people have given, by their address; a name that two have tells nobody apart and is left out."""
    given = {email: name for email, name in session.exec(select(Account.email, Account.name)) if name}
    often = Counter(given.values())
    return {email: name for email, name in given.items() if often[name] == 1}


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
