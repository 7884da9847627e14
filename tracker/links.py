"""Links with which somebody sets a password once: the very first account, a new one, a forgotten password."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from tracker import accounts, audit, passwords, second_factor
from tracker.errors import ChangeRefused
from tracker.models import Account, OneTimeLink
from tracker.secret import Secret
from tracker.writing import Writing

HOLDS_FOR = timedelta(hours=24)
FIRST_HOLDS_FOR = timedelta(hours=1)
"""Whoever has just started the tracker is there to open it."""


def for_first(writing: Writing, secret: Secret) -> str | None:
    """The token of a link that makes the first account; None where there is an account. Earlier links end."""
    session = writing.session
    session.execute(delete(OneTimeLink).where(col(OneTimeLink.account_id).is_(None)))
    if session.exec(select(Account.id).limit(1)).first() is not None:
        return None
    return _make(writing, secret, None, FIRST_HOLDS_FOR)


def for_account(writing: Writing, secret: Secret, account: Account) -> str:
    """The token of a link with which somebody sets their password; earlier ones end. It is for them alone to see."""
    writing.session.execute(delete(OneTimeLink).where(col(OneTimeLink.account_id) == account.id))
    audit.note(writing, "account:link", account.email, {"hours": int(HOLDS_FOR / timedelta(hours=1))})
    return _make(writing, secret, accounts.row_id(account), HOLDS_FOR)


def _make(writing: Writing, secret: Secret, account_id: int | None, holds_for: timedelta) -> str:
    token = secrets.token_urlsafe(24)
    row = OneTimeLink(
        token=_digest(secret, token), account_id=account_id, made_at=writing.now, until=writing.now + holds_for
    )
    writing.session.add(row)
    writing.session.flush()
    return token


def find(session: Session, secret: Secret, token: str, now: datetime) -> OneTimeLink | None:
    """The link of a token, while it holds."""
    row = session.get(OneTimeLink, _digest(secret, token))
    return row if row is not None and now < row.until else None


def set_password(writing: Writing, secret: Secret, token: str, password: str) -> Account:
    """Spend a link: the account's password is this one, every sign-in of it ends, and it can be used."""
    row = _spend(writing, secret, token)
    account = writing.session.get(Account, row.account_id) if row.account_id is not None else None
    if account is None or account.disabled_at is not None:
        raise ChangeRefused(_OVER)
    change_password(writing, account, password)
    return account


def make_first(writing: Writing, secret: Secret, token: str, *, email: str, name: str, password: str) -> Account:
    """Spend the first link: its account looks after accounts and settings."""
    row = _spend(writing, secret, token)
    if row.account_id is not None or writing.session.exec(select(Account.id).limit(1)).first() is not None:
        raise ChangeRefused(_OVER)
    return accounts.add(writing, email, name=name, password=password, administrator=True)


def _spend(writing: Writing, secret: Secret, token: str) -> OneTimeLink:
    row = find(writing.session, secret, token, writing.now)
    if row is None:
        raise ChangeRefused(_OVER)
    ended = writing.session.execute(delete(OneTimeLink).where(col(OneTimeLink.token) == row.token))
    if ended.rowcount != 1:  # type: ignore[attr-defined]  # somebody else has used it meanwhile
        raise ChangeRefused(_OVER)
    return row


_OVER = "this link has been used, or is too old; ask whoever looks after the accounts for another one"


def change_password(writing: Writing, account: Account, password: str, keep: int | None = None) -> None:
    """Set a password and end every other sign-in of the account; ``keep`` is the one that goes on."""
    passwords.check(password, account.email, account.name)
    account.password = passwords.hashed(password)
    writing.session.add(account)
    accounts.end_sign_ins(writing.session, account, but=keep)
    audit.note(writing, "account:password", account.email, {})


def reset(writing: Writing, secret: Secret, account: Account, *, with_second_factor: bool = False) -> str:
    """For somebody who has forgotten a password (or lost the telephone too): a link; they are signed out meanwhile."""
    account.password = None
    writing.session.add(account)
    accounts.end_sign_ins(writing.session, account)
    if with_second_factor and account.totp_on:
        second_factor.turn_off(writing, account)
    return for_account(writing, secret, account)


def _digest(secret: Secret, token: str) -> bytes:
    return hmac.digest(secret.derive("one-time link"), token.encode(), hashlib.sha256)
