"""Accounts: who may sign in and in which roles. Each change is noted in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker import audit, passwords
from tracker.access import IN_A_CLINIC, Role, Viewer
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import Account, Clinic, Membership, SignIn
from tracker.writing import Writing, added
from workflows.limits import checked_email, is_fit, quoted

LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Known:
    """An account with its roles: by the name of the clinic, in the order in which roles are named."""

    row: Account
    roles: dict[str, list[Role]]


def everybody(session: Session) -> list[Known]:
    """Every account by address, disabled ones too."""
    roles: dict[int, dict[str, list[Role]]] = {}
    found = select(Membership, Clinic.name).join(Clinic).order_by(col(Clinic.name), col(Membership.role))
    for membership, clinic in session.exec(found):
        roles.setdefault(membership.account_id, {}).setdefault(clinic, []).append(Role(membership.role))
    rows = session.exec(select(Account).order_by(col(Account.login)))
    return [Known(row, roles.get(row.id or 0, {})) for row in rows]


def of(session: Session, email: str) -> Account:
    """The account of an address, however it is written; raises :class:`UnknownThing`."""
    account = session.exec(select(Account).where(Account.login == login_of(email))).first()
    if account is None:
        raise UnknownThing(f"there is no account {quoted(email)}")
    return account


def locked(session: Session, account_id: int) -> Account:
    """The account as it is now, which nobody else changes meanwhile: a code must not be taken twice."""
    found = select(Account).where(col(Account.id) == account_id).with_for_update()
    return session.exec(found.execution_options(populate_existing=True)).one()


def login_of(email: str) -> str:
    """An address as it is compared: nobody has two accounts that differ in capital letters."""
    return email.strip().lower()


def viewer_of(session: Session, account: Account) -> Viewer:
    """What the account may now."""
    roles: dict[int, set[Role]] = {}
    for membership in session.exec(select(Membership).where(Membership.account_id == account.id)):
        roles.setdefault(membership.clinic_id, set()).add(Role(membership.role))
    held = {clinic: frozenset(some) for clinic, some in roles.items()}
    return Viewer(row_id(account), account.email, account.name, held, account.administrator)


def row_id(account: Account) -> int:
    """The number of a stored account."""
    if account.id is None:
        raise LookupError("the account has not been stored")
    return account.id


# Changes ---------------------------------------------------------------------------------------------------


def add(
    writing: Writing, email: str, *, name: str = "", password: str | None = None, administrator: bool = False
) -> Account:
    """A new account, without any role yet; raises :class:`ChangeRefused` with the reasons."""
    try:
        address = checked_email(email.strip())
    except ValueError as error:
        raise ChangeRefused(str(error)) from None
    name = _fit_name(name)
    session = writing.session
    taken = ChangeRefused(f"there is an account {quoted(address)} already")
    if session.exec(select(Account.id).where(Account.login == login_of(address))).first() is not None:
        raise taken
    if password is not None:
        passwords.check(password, address, name)
    account = Account(
        email=address,
        login=login_of(address),
        name=name,
        password=None if password is None else passwords.hashed(password),
        administrator=administrator,
        created_at=writing.now,
    )
    if not added(session, account):
        raise taken
    audit.note(writing, "account:added", address, {"administrator": administrator})
    return account


def _fit_name(name: str) -> str:
    name = name.strip()
    if len(name) > LONGEST_NAME or not is_fit(name):
        raise ChangeRefused(f"a name has at most {LONGEST_NAME} characters, all of them text")
    return name


def set_roles(writing: Writing, account: Account, clinic: str, roles: Iterable[Role]) -> None:
    """Exactly these roles in a clinic from now on; none takes them all away. The next request goes by them."""
    session = writing.session
    wanted = set(roles)
    if not wanted <= set(IN_A_CLINIC):
        raise ChangeRefused("the administrator's role belongs to the installation, not to a clinic")
    clinic_id = session.exec(select(Clinic.id).where(Clinic.name == clinic)).first()
    if clinic_id is None:
        raise UnknownThing(f"there is no clinic {quoted(clinic)}")
    held = {
        Role(row.role): row
        for row in session.exec(
            select(Membership).where(Membership.account_id == account.id, Membership.clinic_id == clinic_id)
        )
    }
    if set(held) == wanted:
        return
    for role in set(held) - wanted:
        session.delete(held[role])
    for role in wanted - set(held):
        session.add(Membership(account_id=row_id(account), clinic_id=clinic_id, role=role.value))
    session.flush()
    change = {"clinic": clinic, "was": sorted(held), "is": sorted(wanted)}
    audit.note(writing, "account:roles", account.email, change)


def hold_roles(session: Session, account_id: int) -> None:
    """Nobody else changes the account, or who the administrators are, until this transaction ends: all in one order."""
    concerned = select(Account.id).where(col(Account.administrator) | (col(Account.id) == account_id))
    session.exec(concerned.order_by(col(Account.id)).with_for_update()).all()


def set_administrator(writing: Writing, account: Account, administrator: bool) -> None:
    """Whether somebody looks after accounts and settings; the last one who does stays."""
    if account.administrator == administrator:
        return
    if not administrator:
        _refuse_last_administrator(writing.session, account)
    account.administrator = administrator
    writing.session.add(account)
    writing.session.flush()
    audit.note(writing, "account:administrator", account.email, {"is": administrator})


def disable(writing: Writing, account: Account) -> None:
    """Somebody has left: their next request fails, on whatever machine they are signed in."""
    if account.disabled_at is not None:
        return
    if account.administrator:
        _refuse_last_administrator(writing.session, account)
    account.disabled_at = writing.now
    writing.session.add(account)
    end_sign_ins(writing.session, account)
    audit.note(writing, "account:disabled", account.email, {})


def enable(writing: Writing, account: Account) -> None:
    """Somebody is back, with the roles that they had."""
    if account.disabled_at is None:
        return
    account.disabled_at = None
    writing.session.add(account)
    writing.session.flush()
    audit.note(writing, "account:enabled", account.email, {})


def _refuse_last_administrator(session: Session, account: Account) -> None:
    """All of them are locked, the account's own too, in one order: two could else each go by the other."""
    active = select(Account.id).where(col(Account.administrator), col(Account.disabled_at).is_(None))
    found = session.exec(active.order_by(col(Account.id)).with_for_update()).all()
    if not set(found) - {account.id}:
        raise ChangeRefused(f"{account.email} is the only administrator; make somebody else one first")


def end_sign_ins(session: Session, account: Account, but: int | None = None) -> int:
    """End every sign-in of an account (but one); returns how many there were."""
    rows = [row for row in session.exec(select(SignIn).where(SignIn.account_id == account.id)) if row.id != but]
    for row in rows:
        session.delete(row)
    session.flush()
    return len(rows)
