"""Accounts for the demonstration: one password for all, made up anew by each installation, and every role."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker import accounts, audit, passwords, people
from tracker.access import Role
from tracker.demo.people import CLINICS
from tracker.models import Account
from tracker.writing import Writing

LEAD = "lead@example.org"
CLINICIAN = "clinician@example.org"
AUDITOR = "auditor@example.org"
ADMINISTRATOR = "admin@example.org"

_WORDS = (
    "amber", "anchor", "apple", "autumn", "bakery", "bamboo", "basket", "beacon", "birch", "blanket",
    "bottle", "bridge", "butter", "candle", "canvas", "carpet", "castle", "cedar", "cellar", "cherry",
    "cinema", "clover", "cobalt", "copper", "corner", "cotton", "dragon", "drawer", "eagle", "ember",
    "engine", "falcon", "feather", "fern", "fiddle", "forest", "fossil", "garden", "ginger", "glacier",
    "granite", "hammer", "harbor", "hazel", "honey", "indigo", "island", "ivory", "jacket", "jungle",
    "kettle", "ladder", "lagoon", "lantern", "laurel", "lemon", "linen", "lobster", "maple", "marble",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """Who it is, and what they see."""

    email: str
    name: str
    what: str
    roles: dict[str, set[Role]]
    administrator: bool = False


def demo_accounts() -> list[DemoAccount]:
    """A navigator of each clinic, and one person of every other kind."""
    everywhere = [clinic.name for clinic in CLINICS]
    navigators = [
        DemoAccount(one.email, one.name, f"navigator, {clinic.name}", {clinic.name: {Role.NAVIGATOR}})
        for clinic in CLINICS
        for one in clinic.navigators[:1]
    ]
    return [
        DemoAccount(LEAD, "Lena Lead", "lead of every clinic: see everything", {c: {Role.LEAD} for c in everywhere}),
        *navigators,
        DemoAccount(CLINICIAN, "Cleo Clinician", "clinician", {c: {Role.CLINICIAN} for c in everywhere}),
        DemoAccount(AUDITOR, "Aude Auditor", "auditor: reads", {c: {Role.AUDITOR} for c in everywhere}),
        DemoAccount(ADMINISTRATOR, "Ada Admin", "administrator: accounts, settings", {}, administrator=True),
    ]


def make(writing: Writing) -> str:
    """Make the accounts, name lead and clinician of each clinic that is there; returns the one password of all.

    It is kept hashed and nowhere else; who starts the demonstration again gets another one.
    """
    there = {clinic.name for clinic in people.clinics(writing.session)}
    for one in demo_accounts():
        account = accounts.add(writing, one.email, name=one.name, administrator=one.administrator)
        for clinic in there & set(one.roles):
            accounts.set_roles(writing, account, clinic, one.roles[clinic])
    for clinic in sorted(there & {clinic.name for clinic in CLINICS}):
        people.set_lead(writing, clinic, LEAD)
        people.set_clinician(writing, clinic, CLINICIAN)
    return renew(writing)


def renew(writing: Writing) -> str:
    """Another password for the accounts of the demonstration; whoever is signed in stays so."""
    password = _new_password()
    kept = passwords.hashed(password)
    named = [one.email for one in demo_accounts()]
    for account in writing.session.exec(select(Account).where(col(Account.login).in_(named))):
        account.password = kept
        writing.session.add(account)
        audit.note(writing, "account:password", account.email, {"demonstration": True})
    return password


def are_there(session: Session) -> bool:
    """Whether the accounts of the demonstration were made here."""
    return session.exec(select(Account.id).where(Account.login == LEAD)).first() is not None


def _new_password() -> str:
    """Four words, 23 bits, and six digits, 20 bits: for a demonstration on one machine, throttled."""
    return "-".join([*(secrets.choice(_WORDS) for _ in range(4)), f"{secrets.randbelow(1_000_000):06}"])
