"""Looking an installation over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracker import logs
from tracker.commands.common import count, json_option, print_json

if TYPE_CHECKING:
    from tracker.doctor import Check


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check settings, data, scheduler and mail; say what is wrong and how to mend it. Exit 1 if anything is."""
    from tracker.doctor import examine

    logs.configure()
    checks = list(examine())
    wrong = [check for check in checks if not check.ok]
    if as_json:
        print_json({"ok": not wrong, "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            click.echo(f"{_mark(check)}  {check.id}: {check.words}")
            if check.mend:
                click.echo(f"       {check.mend}")
        click.echo(f"{count(len(wrong), 'thing')} to mend." if wrong else "Nothing is wrong.")
    if wrong:
        raise click.exceptions.Exit(1)


def _mark(check: Check) -> str:
    if not check.ok:
        return "WRONG"
    return "note " if check.mend else "ok   "
