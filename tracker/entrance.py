"""Coming in: by password or through a provider, then a code where the account asks for one.

What can be guessed is slowed down when it is tried in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, select

from tracker import accounts, audit, passwords, second_factor, sign_ins, subjects
from tracker.db import Database
from tracker.models import Account, SignIn
from tracker.provider import Vouched
from tracker.secret import Secret
from tracker.settings import Settings
from tracker.subjects import Unfit
from tracker.throttle import Throttle
from tracker.writing import Writing, writing

ACTOR = "system:entrance"
_NOBODY = "no account"
"""In place of what was typed: people type passwords where an address belongs."""


@dataclass(frozen=True, slots=True)
class Place:
    """From where somebody asks: the address of their machine, and what their browser says that it is."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Entered:
    """They are in, or half-way: ``stage`` is ``code`` while a code is awaited. ``token`` is for the browser alone."""

    token: str
    stage: str


@dataclass(frozen=True, slots=True)
class Wait:
    """It has been tried in vain so often that the next try has to wait."""

    time: timedelta


class Wrong:
    """Something was wrong; which part is not said."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """The way into an installation."""

    database: Database
    settings: Settings
    secret: Secret

    def by_password(self, email: str, password: str, place: Place, now: datetime) -> Entered | Wait | Wrong:
        """The first step. For an address that nobody has, it takes as long and answers the same."""
        login = accounts.login_of(email)[:254]
        with self._writing(now) as w:
            account = _by_login(w.session, login)
            waits = self._count(w, login, place, account)
        if waits:
            return Wait(waits)
        kept = account.password if account is not None and account.disabled_at is None else None
        right = passwords.is_right(kept, password)
        if account is None or not right:
            return self._note_failure(account, place, now)
        with self._writing(now, account.email) as w:
            return self._let_in(w, account, password, place)

    def _let_in(self, w: Writing, known: Account, password: str, place: Place) -> Entered | Wrong:
        account = accounts.locked(w.session, accounts.row_id(known))
        if account.disabled_at is not None or account.password != known.password:
            return Wrong()  # changed while the password was being looked at
        if passwords.is_dated(account.password or ""):
            account.password = passwords.hashed(password)
            w.session.add(account)
        Throttle(w.session, self.secret, account.login, place.address).succeeded(accounts.row_id(account), w.now)
        return self._begin(w, account, "code" if account.totp_on else "full", place)

    def by_code(self, half: int, code: str, place: Place, now: datetime) -> Entered | Wait | Wrong:
        """The second step of a sign-in that is half-way: the app's code, or a recovery code."""
        with self._writing(now) as w:
            row = w.session.get(SignIn, half)
            account = w.session.get(Account, row.account_id) if row is not None and row.stage == "code" else None
            if account is None:
                return Wrong()
            waits = self._count(w, _codes_of(account), place, account)
        if waits:
            return Wait(waits)
        with self._writing(now, account.email) as w:
            entered = self._take_code(w, half, code, place)
        return entered or self._note_failure(account, place, now)

    def _take_code(self, w: Writing, half: int, code: str, place: Place) -> Entered | None:
        row = w.session.get(SignIn, half)
        account = accounts.locked(w.session, row.account_id) if row is not None else None
        if row is None or account is None or account.disabled_at is not None:
            return None
        if not second_factor.is_right(w, self.secret, account, code):
            return None
        w.session.delete(row)
        Throttle(w.session, self.secret, _codes_of(account), place.address).succeeded(row.account_id, w.now)
        return self._begin(w, account, "full", place)

    def by_provider(self, who: Vouched, place: Place, now: datetime) -> Entered | Unfit:
        """The first step of somebody for whom a provider vouches; a second factor of theirs is asked all the same."""
        with self._writing(now) as w:
            account, unfit = subjects.account_of(w, self.secret, who)
            if unfit is not None:
                self._fail(w, account, place, {"provider": who.issuer, "reason": unfit.value})
                return unfit
            assert account is not None
            return self._begin(replace(w, actor=account.email), account, "code" if account.totp_on else "full", place)

    def distrusted(self, issuer: str, place: Place, now: datetime) -> None:
        """Write down that an answer which came in the name of a provider could not be trusted."""
        with self._writing(now) as w:
            self._fail(w, None, place, {"provider": issuer, "reason": "answer not trusted"})

    def proves(self, account_id: int, password: str, place: Place, now: datetime) -> bool | Wait:
        """Whether somebody who is signed in knows the password; asked again before what a thief would do first."""
        with self._writing(now) as w:
            account = w.session.get_one(Account, account_id)
            waits = self._count(w, account.login, place, account)
        if waits:
            return Wait(waits)
        if not passwords.is_right(account.password, password):
            self._note_failure(account, place, now)
            return False
        with self._writing(now) as w:
            Throttle(w.session, self.secret, account.login, place.address).succeeded(account_id, now)
        return True

    def _begin(self, w: Writing, account: Account, stage: str, place: Place) -> Entered:
        sign_ins.forget_old(w.session, self.settings, w.now)
        token = sign_ins.start(w, self.secret, account, stage, place.address, place.browser)
        if stage == "full":
            audit.note(w, "sign-in:begun", account.email, {"from": place.address})
        return Entered(token, stage)

    def _count(self, w: Writing, login: str, place: Place, account: Account | None) -> timedelta:
        """Count this try, unless it has to wait; returns for how long."""
        throttle = Throttle(w.session, self.secret, login, place.address)
        waits = throttle.wait(account.id if account else None, w.now)
        if not waits:
            throttle.count(w.now)
        return waits

    def _note_failure(self, account: Account | None, place: Place, now: datetime) -> Wrong:
        with self._writing(now) as w:
            self._fail(w, account, place, {})
        return Wrong()

    def _fail(self, w: Writing, account: Account | None, place: Place, more: dict[str, str]) -> None:
        audit.note(w, "sign-in:failed", account.email if account else _NOBODY, {"from": place.address, **more})

    @contextmanager
    def _writing(self, now: datetime, actor: str = ACTOR) -> Iterator[Writing]:
        with self.database.writing() as session:
            yield writing(session, actor=actor, now=now, secret=self.secret)


def _by_login(session: Session, login: str) -> Account | None:
    return session.exec(select(Account).where(Account.login == login)).first()


def _codes_of(account: Account) -> str:
    return f"codes of {account.login}"
