"""The second factor: codes from an app (TOTP, RFC 6238), and recovery codes for when the telephone is gone.

The secret of the app is in no database: it follows from the key file, the account and a random number that is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b32encode

from sqlmodel import Session, col, delete, func, select

from tracker import audit
from tracker.accounts import row_id
from tracker.errors import ChangeRefused
from tracker.models import Account, RecoveryCode
from tracker.secret import Secret
from tracker.writing import Writing

STEP = 30
"""Seconds for which a code holds; the one before and the one after are taken too, for clocks that differ."""
ISSUER = "NET case tracker"
CODES = 10
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that could be read as something else
_GROUP = 5


def begin(writing: Writing, account: Account) -> None:
    """Choose a new secret for the app; it counts from the first code on that shows that the app has it."""
    account.totp_nonce = secrets.token_bytes(16)
    account.totp_on = False
    account.totp_step = 0
    writing.session.add(account)
    writing.session.flush()


def secret_of(secret: Secret, account: Account) -> str:
    """The app's secret in base 32, as it is typed; raises :class:`ChangeRefused` where none was chosen."""
    if account.totp_nonce is None:
        raise ChangeRefused("no second factor has been begun for this account")
    purpose = f"second factor of {row_id(account)} {account.totp_nonce.hex()}"
    return b32encode(secret.derive(purpose)[:20]).decode()


def address_of(secret: Secret, account: Account) -> str:
    """What the picture for the telephone says."""
    from pyotp import TOTP

    return TOTP(secret_of(secret, account)).provisioning_uri(name=account.email, issuer_name=ISSUER)


def confirm(writing: Writing, secret: Secret, account: Account, code: str) -> list[str]:
    """Turn the second factor on, if the code is the app's; returns the recovery codes, which are never shown again."""
    if account.totp_on or account.totp_nonce is None:
        raise ChangeRefused("there is nothing to confirm; begin anew")
    if not _takes(writing, secret, account, code):
        raise ChangeRefused("this is not the code that the app shows now; see that the telephone's clock is right")
    account.totp_on = True
    writing.session.add(account)
    audit.note(writing, "account:second-factor", account.email, {"is": "on"})
    return renew_codes(writing, secret, account)


def turn_off(writing: Writing, account: Account) -> None:
    """Go without: by the person, or by an administrator for somebody whose telephone is gone."""
    account.totp_nonce, account.totp_on, account.totp_step = None, False, 0
    writing.session.add(account)
    _drop_codes(writing.session, account)
    writing.session.flush()
    audit.note(writing, "account:second-factor", account.email, {"is": "off"})


def is_right(writing: Writing, secret: Secret, account: Account, code: str) -> bool:
    """Whether a code is the app's, or a recovery code. Either is taken once and no more."""
    plain = "".join(character for character in code.lower() if character.isalnum())
    if plain.isdecimal() and len(plain) == 6:
        return account.totp_on and _takes(writing, secret, account, plain)
    return _spends(writing, secret, account, plain)


def _takes(writing: Writing, secret: Secret, account: Account, code: str) -> bool:
    """A code of a later time step than the last one that was taken."""
    from pyotp import TOTP

    app, now = TOTP(secret_of(secret, account)), int(writing.now.timestamp()) // STEP
    given = code.strip().replace(" ", "").encode()
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(app.generate_otp(step).encode(), given) and step > account.totp_step:
            account.totp_step = step
            writing.session.add(account)
            writing.session.flush()
            return True
    return False


def _spends(writing: Writing, secret: Secret, account: Account, code: str) -> bool:
    row = writing.session.get(RecoveryCode, _kept(secret, account, code), with_for_update=True)
    if row is None:
        return False
    writing.session.delete(row)
    writing.session.flush()
    audit.note(writing, "account:recovery-code", account.email, {"left": codes_left(writing.session, account)})
    return True


def renew_codes(writing: Writing, secret: Secret, account: Account) -> list[str]:
    """New recovery codes in place of all earlier ones."""
    _drop_codes(writing.session, account)
    made = [f"{_letters()}-{_letters()}" for _ in range(CODES)]
    for code in made:
        kept = _kept(secret, account, code.replace("-", ""))
        writing.session.add(RecoveryCode(code=kept, account_id=row_id(account)))
    writing.session.flush()
    audit.note(writing, "account:recovery-codes", account.email, {"made": CODES})
    return made


def _letters() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def codes_left(session: Session, account: Account) -> int:
    """How many recovery codes have not been used."""
    counted = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.account_id == account.id)
    return session.exec(counted).one()


def _drop_codes(session: Session, account: Account) -> None:
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.account_id) == account.id))


def _kept(secret: Secret, account: Account, code: str) -> bytes:
    """A recovery code has 49 random bits and a key that the database does not hold: a slow digest adds nothing."""
    return hmac.digest(secret.derive("recovery codes"), f"{account.id} {code}".encode(), hashlib.sha256)
