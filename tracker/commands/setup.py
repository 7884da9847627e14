"""Making an installation, and filling it for a demonstration."""

from __future__ import annotations

import click
from sqlmodel import select

from tracker import pathways, replay
from tracker.clock import local_date
from tracker.commands.common import Desk, desk, json_option, print_json
from tracker.errors import ChangeRefused
from tracker.models import Case


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
    if as_json:
        print_json({"patients": report.created, "events": report.events, "seed": seed})
    else:
        click.echo(f"{report.created} made-up patients with {report.events} events.")


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
