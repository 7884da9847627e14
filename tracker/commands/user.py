"""Accounts: who may sign in, as what in which clinic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tracker import accounts, links, subjects
from tracker.access import IN_A_CLINIC, Role
from tracker.accounts import Known
from tracker.commands.common import Desk, desk, json_option, print_json, print_table
from tracker.errors import ChangeRefused
from tracker.models import Account
from tracker.writing import Writing

_CLINIC_ROLES = [role.value for role in IN_A_CLINIC]


@click.group()
def user() -> None:
    """List accounts, add one, disable one, make a link with which somebody sets a password."""


@user.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """Every account with its roles."""
    with desk() as d, d.database.reading() as session:
        found = [_as_json(one) for one in accounts.everybody(session)]
    if as_json:
        print_json({"users": found})
        return
    print_table(("Account", "Name", "Roles", "Second factor", "May sign in"), [_row(one) for one in found])


@user.command("add")
@click.argument("email")
@click.option("--name", default="", help="As colleagues know them.")
@click.option("--role", "roles", multiple=True, metavar="CLINIC:ROLE", help=f"One of {', '.join(_CLINIC_ROLES)}.")
@click.option("--administrator", is_flag=True, help="Looks after accounts and settings, and sees no patients.")
@json_option
def add(email: str, name: str, roles: Sequence[str], administrator: bool, as_json: bool) -> None:
    """Make an account, and print the link with which its owner sets a password."""
    chosen = [_role(text) for text in roles]
    with desk() as d:
        with d.writing() as writing:
            account = accounts.add(writing, email, name=name, administrator=administrator)
            give_roles(writing, account, chosen)
            token = links.for_account(writing, d.secret, account)
        _print_link(d, account, token, as_json)


@user.command("disable")
@click.argument("email")
@json_option
def disable(email: str, as_json: bool) -> None:
    """Nobody signs in with it any more; whoever is signed in is out with the next click."""
    with desk() as d, d.writing() as writing:
        account = accounts.of(writing.session, email)
        accounts.disable(writing, account)
    if as_json:
        print_json({"user": account.email, "disabled": True})
    else:
        click.echo(f"{account.email} is disabled.")


@user.command("reset-password")
@click.argument("email")
@click.option("--lost-telephone", is_flag=True, help="Turn the second factor off too.")
@json_option
def reset_password(email: str, lost_telephone: bool, as_json: bool) -> None:
    """Print a link with which somebody sets a new password; the present one ends, and so does every sign-in."""
    with desk() as d:
        with d.writing() as writing:
            account = accounts.of(writing.session, email)
            if account.disabled_at is not None:
                raise ChangeRefused(f"{account.email} is disabled; an administrator can let them sign in again")
            token = links.reset(writing, d.secret, account, with_second_factor=lost_telephone)
        _print_link(d, account, token, as_json)


@user.command("untie")
@click.argument("email")
@json_option
def untie(email: str, as_json: bool) -> None:
    """Let the next sign-in through the identity provider tie the account to a person anew."""
    with desk() as d, d.writing() as writing:
        account = accounts.of(writing.session, email)
        was_tied = subjects.untie(writing, account)
    if as_json:
        print_json({"user": account.email, "was_tied": was_tied})
    else:
        click.echo(f"{account.email} {'is tied to nobody any more' if was_tied else 'was tied to nobody'}.")


def give_roles(writing: Writing, account: Account, roles: Sequence[tuple[str, Role]]) -> None:
    """Roles by the clinics' names; a role that is named twice is one."""
    by_clinic: dict[str, set[Role]] = {}
    for clinic, role in roles:
        by_clinic.setdefault(clinic, set()).add(role)
    for clinic, some in by_clinic.items():
        accounts.set_roles(writing, account, clinic, some)


def _role(text: str) -> tuple[str, Role]:
    clinic, _, role = text.rpartition(":")
    if not clinic or role not in _CLINIC_ROLES:
        raise click.BadParameter(f"{text!r} is not a clinic and a role such as North:navigator", param_hint="--role")
    return clinic, Role(role)


def _print_link(d: Desk, account: Account, token: str, as_json: bool) -> None:
    link = f"{d.settings.base_url}/welcome/{token}"
    hours = int(links.HOLDS_FOR.total_seconds() // 3600)
    if as_json:
        print_json({"user": account.email, "link": link, "hours": hours})
        return
    click.echo(f"{account.email} sets a password here, once, within {hours} hours:\n{link}")


def _as_json(one: Known) -> dict[str, Any]:
    return {
        "user": one.row.email,
        "name": one.row.name,
        "administrator": one.row.administrator,
        "roles": {clinic: [role.value for role in some] for clinic, some in one.roles.items()},
        "second_factor": one.row.totp_on,
        "password": one.row.password is not None,
        "disabled": one.row.disabled_at is not None,
    }


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    roles = [f"{clinic}: {', '.join(some)}" for clinic, some in one["roles"].items()]
    may = "no, disabled" if one["disabled"] else "yes" if one["password"] else "no password yet"
    return (
        one["user"],
        one["name"],
        "; ".join([*(["administrator"] if one["administrator"] else []), *roles]) or "none",
        "on" if one["second_factor"] else "off",
        may,
    )
