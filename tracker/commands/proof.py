"""The proof that nothing is missing and nothing was changed."""

from __future__ import annotations

import click

from tracker import ledger
from tracker.commands.common import count, desk, json_option, print_json


@click.command()
@json_option
def verify(as_json: bool) -> None:
    """Fold every event again, compare every row, check the chain; exit 1 if anything is wrong."""
    with desk() as d, d.database.reading() as session:
        verdict = ledger.verify(session, now=d.now, chain_key=d.secret.derive("event chain"))
    if as_json:
        print_json(verdict.as_json())
    else:
        for finding in verdict.findings:
            click.echo(finding)
        click.echo(
            f"{count(verdict.cases, 'case')}, {count(verdict.events, 'event')}, {count(verdict.checked, 'row')}: "
            f"{count(len(verdict.findings), 'finding')}. Reminders: {verdict.expected} expected, "
            f"{verdict.raised} raised, {verdict.withheld} withheld, "
            f"{len(verdict.missing)} missing, {len(verdict.duplicate)} duplicate."
        )
    if verdict.findings:
        raise click.exceptions.Exit(1)
