"""What commands share: settings, the database, the time, the actor, and how results are printed."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import click

from tracker import clock, logs, secret
from tracker.db import Database, connect
from tracker.errors import WrongSetting
from tracker.secret import Secret
from tracker.settings import Settings, from_environment, parse_time
from tracker.writing import Writing, writing
from workflows.limits import is_fit, iso_day


@dataclass
class Desk:
    """An open installation: its settings, its secret, its database."""

    settings: Settings
    secret: Secret
    database: Database

    @cached_property
    def now(self) -> datetime:
        """The time at which the command was given."""
        return clock.now(self.settings)

    @contextmanager
    def writing(self, now: datetime | None = None) -> Iterator[Writing]:
        """One transaction, made by the person at the command line."""
        with self.database.writing() as session:
            yield writing(session, actor=f"cli:{_account()}", now=now or self.now, secret=self.secret)


def _account() -> str:
    """The name of the account; its number where it has none, or one that cannot be recorded."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return name if 0 < len(name) <= 64 and is_fit(name) else str(os.getuid())


@contextmanager
def desk(*, create: bool = False, upgrade: bool = False) -> Iterator[Desk]:
    """The installation of the settings; ``create`` makes what is missing, ``upgrade`` brings the schema up too."""
    logs.configure()
    settings = from_environment()
    key = secret.create(settings.secret_file) if create else secret.load(settings.secret_file)
    database = connect(settings, key)
    try:
        if upgrade or (create and database.schema() is None):
            prepare(settings, key, database)
        database.require_schema()
        yield Desk(settings, key, database)
    finally:
        database.close()


def prepare(settings: Settings, key: Secret, database: Database) -> None:
    """Bring the schema to its head and publish the pathway that is shipped."""
    from tracker import pathways

    database.migrate()
    with database.writing_alone() as session:
        context = writing(session, actor="system:init", now=clock.now(settings), secret=key)
        pathways.publish(context, pathways.shipped())


def refuse_fixed_time(settings: Settings) -> None:
    """A fixed time is for rehearsals: a service that runs must live in the present."""
    if settings.now is not None and not settings.rehearsal:
        raise WrongSetting("TRACKER_NOW is set: refused here unless TRACKER_REHEARSAL=1")


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, nothing else.")


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table, columns as wide as they need to be."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def count(number: int, one: str, many: str = "") -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class Day(click.ParamType[date]):
    """A date on the command line."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else iso_day(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """An aware time on the command line."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return value if isinstance(value, datetime) else parse_time(value, "time")
        except WrongSetting as error:
            self.fail(str(error), param, ctx)
