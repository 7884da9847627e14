"""Making an installation, and filling it for a demonstration."""

from __future__ import annotations

import click
from sqlmodel import select

from tracker import pathways, replay
from tracker.clock import local_date
from tracker.commands.common import Desk, desk, json_option, print_json, print_table
from tracker.errors import ChangeRefused
from tracker.models import Account, Case, ImportRun


@click.command()
@json_option
def init(as_json: bool) -> None:
    """Make the database and its key file, or bring them up to date."""
    with desk(create=True, upgrade=True) as d:
        digest = pathways.shipped().digest
        if as_json:
            print_json({"schema": d.database.schema(), "pathway": digest})
        else:
            click.echo(f"Ready. Schema {d.database.schema()}, pathway {digest[:12]}.")


@click.command()
@click.option("--patients", default=120, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--seed", default=1, show_default=True)
@json_option
def demo(patients: int, seed: int, as_json: bool) -> None:
    """Fill an empty database with a made-up cohort, up to today."""
    with desk(create=True) as d:
        report = fill(d, patients, seed)
        password = demo_password(d)
    if as_json:
        named = {"accounts": _demo_accounts(), "password": password}
        print_json({"patients": report.created, "events": report.events, "seed": seed, **named})
    else:
        click.echo(f"{report.created} made-up patients with {report.events} events.")
        tell_demo_accounts(password)


def fill(d: Desk, patients: int, seed: int) -> replay.Report:
    """Write the demo cohort; refused where there are cases already."""
    from tracker.demo import demo_cohort

    with d.writing() as writing:
        if writing.session.exec(select(Case.id).limit(1)).first() is not None:
            raise ChangeRefused("there are cases already; a made-up cohort goes only into an empty database")
        # The earliest date that it is anywhere: so that no event lies in any clinic's future.
        today = local_date(d.now, "Etc/GMT+12")
        lines = demo_cohort(pathways.shipped(), patients, seed, today)
        return replay.replay(writing, lines, kind="demo")


def demo_password(d: Desk) -> str | None:
    """A new password for the accounts of the demonstration, made if need be; None where others have accounts."""
    from tracker.demo import accounts as made_up

    with d.writing() as writing:
        if made_up.are_there(writing.session):
            return made_up.renew(writing)
        if writing.session.exec(select(Account.id).limit(1)).first() is not None:
            return None
        return made_up.make(writing)


def is_demo(d: Desk) -> bool:
    """Whether the cases here are made up."""
    with d.database.reading() as session:
        return session.exec(select(ImportRun.id).where(ImportRun.kind == "demo").limit(1)).first() is not None


def tell_demo_accounts(password: str | None) -> None:
    """Who can sign in, and with what. This is the only place in which the password stands."""
    if password is None:
        return
    click.echo("\nSign in as one of these; the password of each is printed below, and nowhere else:\n")
    print_table(("Account", "What they are"), [(one["user"], one["is"]) for one in _demo_accounts()])
    click.echo(f"\nPassword: {password}")


def _demo_accounts() -> list[dict[str, str]]:
    from tracker.demo.accounts import demo_accounts

    return [{"user": one.email, "is": one.what} for one in demo_accounts()]
