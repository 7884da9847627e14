"""Sign-ins: a browser holds a random token, the database its digest, with when the person last did something."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select

from tracker import accounts, audit
from tracker.access import Viewer
from tracker.models import Account, SignIn
from tracker.secret import Secret
from tracker.settings import Settings
from tracker.writing import Writing

WRITTEN_EVERY = timedelta(minutes=1)
"""That somebody is active is written down no more often than this: it need not cost every page a transaction."""

_ADDRESS, _BROWSER = 64, 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that stands: whose it is, what they may, and since when. Times are aware."""

    id: int
    stage: str
    viewer: Viewer
    made_at: datetime
    active_at: datetime


def start(writing: Writing, secret: Secret, account: Account, stage: str, address: str, browser: str) -> str:
    """Begin a sign-in and return its token, which is kept nowhere else than in the browser."""
    token = secrets.token_urlsafe(32)
    row = SignIn(
        token=_digest(secret, token),
        account_id=accounts.row_id(account),
        stage=stage,
        made_at=writing.now,
        active_at=writing.now,
        address=address[:_ADDRESS],
        browser=_printable(browser)[:_BROWSER],
    )
    writing.session.add(row)
    writing.session.flush()
    return token


def find(session: Session, settings: Settings, secret: Secret, token: str, now: datetime) -> SignedIn | None:
    """The sign-in of a token, unless it has ended, was idle for too long, is too old, or its account is disabled."""
    found = session.exec(select(SignIn, Account).join(Account).where(SignIn.token == _digest(secret, token))).first()
    if found is None:
        return None
    row, account = found
    if account.disabled_at is not None or is_over(row, settings, now):
        return None
    viewer = accounts.viewer_of(session, account)
    return SignedIn(row.id or 0, row.stage, viewer, row.made_at, row.active_at)


def is_over(row: SignIn, settings: Settings, now: datetime) -> bool:
    """Whether a sign-in was idle for too long or is too old."""
    return now - row.active_at >= settings.session_idle or now - row.made_at >= settings.session_length


def touch(session: Session, number: int, now: datetime) -> None:
    """Write down that the person did something."""
    row = session.get(SignIn, number)
    if row is not None:
        row.active_at = max(row.active_at, now)
        session.add(row)


def end(writing: Writing, account_id: int, number: int) -> bool:
    """End a sign-in of an account; False where it has none of this number."""
    row = writing.session.get(SignIn, number)
    if row is None or row.account_id != account_id:
        return False
    writing.session.delete(row)
    writing.session.flush()
    audit.note(writing, "sign-in:ended", writing.actor, {})
    return True


def listed(session: Session, settings: Settings, account_id: int, now: datetime) -> Sequence[SignIn]:
    """Where somebody is signed in, the latest activity first."""
    found = select(SignIn).where(SignIn.account_id == account_id, SignIn.stage == "full")
    rows = session.exec(found.order_by(col(SignIn.active_at).desc(), col(SignIn.id).desc()))
    return [row for row in rows if not is_over(row, settings, now)]


def forget_old(session: Session, settings: Settings, now: datetime) -> None:
    """Remove the sign-ins that are too old; nobody could use them."""
    session.execute(delete(SignIn).where(col(SignIn.made_at) <= now - settings.session_length))


def _digest(secret: Secret, token: str) -> bytes:
    return hmac.digest(secret.derive("sign-in token"), token.encode(), hashlib.sha256)


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
