"""Which account somebody has for whom an identity provider vouches. No account and no role ever comes from there.

A provider knows a person by a subject, which never changes and is given to nobody else; an address may be given to
somebody new. So the first sign-in, which goes by a verified address, ties the account to the subject, and from then
on the subject alone counts.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

from sqlmodel import Session, col, delete, select

from tracker import accounts, audit
from tracker.models import Account, Subject
from tracker.provider import Vouched
from tracker.secret import Secret
from tracker.writing import Writing


class Unfit(StrEnum):
    """Why nobody is let in, although the provider vouches for them."""

    UNVERIFIED = "address not verified"
    UNKNOWN = "no account"
    ANOTHER = "tied to another subject"
    DISABLED = "account disabled"


def account_of(writing: Writing, secret: Secret, who: Vouched) -> tuple[Account | None, Unfit | None]:
    """The account of a person, locked, and why they may not use it; ties it to the subject at the first sign-in."""
    key = _digest(secret, who)
    tied = writing.session.get(Subject, key)
    if tied is not None:
        return _if_enabled(accounts.locked(writing.session, tied.account_id))
    if not who.verified or not who.email:
        return None, Unfit.UNVERIFIED
    found = writing.session.exec(select(Account.id).where(Account.login == accounts.login_of(who.email))).first()
    if found is None:
        return None, Unfit.UNKNOWN
    account = accounts.locked(writing.session, found)
    earlier = _tie(writing.session, account, who.issuer)
    if earlier is not None and earlier.subject != key:
        return account, Unfit.ANOTHER
    if account.disabled_at is None and earlier is None:
        _bind(writing, account, key, who.issuer)
    return _if_enabled(account)


def _if_enabled(account: Account) -> tuple[Account, Unfit | None]:
    return account, None if account.disabled_at is None else Unfit.DISABLED


def _bind(writing: Writing, account: Account, key: bytes, issuer: str) -> None:
    row = Subject(subject=key, account_id=accounts.row_id(account), issuer=issuer, tied_at=writing.now)
    writing.session.add(row)
    writing.session.flush()
    audit.note(writing, "account:tied", account.email, {"provider": issuer})


def _tie(session: Session, account: Account, issuer: str) -> Subject | None:
    return session.exec(select(Subject).where(Subject.account_id == account.id, Subject.issuer == issuer)).first()


def is_tied(session: Session, account: Account) -> bool:
    """Whether somebody has signed in to an account through a provider."""
    return session.exec(select(Subject.account_id).where(Subject.account_id == account.id)).first() is not None


def untie(writing: Writing, account: Account) -> bool:
    """Let the next sign-in through a provider tie the account anew; False where it was not tied."""
    if not is_tied(writing.session, account):
        return False
    writing.session.execute(delete(Subject).where(col(Subject.account_id) == account.id))
    audit.note(writing, "account:untied", account.email, {})
    return True


def _digest(secret: Secret, who: Vouched) -> bytes:
    return hmac.digest(secret.derive("subject"), f"{who.issuer}\0{who.subject}".encode(), hashlib.sha256)
