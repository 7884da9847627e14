"""Trying out the way that mail takes."""

from __future__ import annotations

import click

from tracker import clock, logs
from tracker.commands.common import json_option, print_json
from tracker.settings import from_environment


@click.group()
def mail() -> None:
    """Try out the way that mail takes."""


@mail.command()
@click.argument("address")
@json_option
def test(address: str, as_json: bool) -> None:
    """Send one message that says it is a test, and look for it where arrivals are recorded."""
    from tracker.mail.trial import Trial

    logs.configure()
    settings = from_environment()
    try:
        trial = Trial(settings, address, clock.now(settings))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ADDRESS") from None
    stages = []
    for stage in trial.run():
        stages.append(stage)
        if not as_json:
            click.echo(f"{'ok   ' if stage.ok else 'WRONG'}  {stage.stage}: {stage.words}")
    went_well = all(stage.ok for stage in stages)
    if as_json:
        told = [stage.as_json() for stage in stages]
        print_json({"address": address, "message_id": trial.message_id, "ok": went_well, "stages": told})
    if not went_well:
        raise click.exceptions.Exit(1)
