"""What is due, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import click

from tracker import queries
from tracker.clock import local_date
from tracker.commands.common import Day, desk, json_option, print_json, print_table
from tracker.places import Scope
from tracker.queries import DueItem
from workflows.dates import Interval, in_words

_SPAN = re.compile(r"^(\d{1,3})([dwmy])$")
_UNITS = {"d": "day", "w": "week", "m": "month", "y": "year"}


class Span(click.ParamType[Interval]):
    """A length of time such as 24m."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Interval:
        match = _SPAN.match(str(value))
        if match is None:
            self.fail(f"{value!r} is not a span such as 24m, 90d or 2y", param, ctx)
        return Interval(int(match[1]), _UNITS[match[2]])


@click.command()
@click.option("--on", type=Day(), help="As it was true on a date, and judged on it.")
@click.option("--clinic", help="Only this clinic.")
@click.option("--case", "case_ref", help="Only this case.")
@click.option("--forecast", type=Span(), help="Also later occurrences, so far ahead (24m, 90d, 2y).")
@json_option
def due(on: date | None, clinic: str | None, case_ref: str | None, forecast: Interval | None, as_json: bool) -> None:
    """What is overdue, due and upcoming, most overdue first, and why."""
    scope = Scope(clinic=clinic, case=case_ref)
    with desk() as d, d.database.reading() as session:
        day = on or local_date(d.now, "UTC")
        items = queries.due(session, now=d.now, on=on, scope=scope)
        if forecast is not None:
            items += queries.forecast(session, now=d.now, until=forecast.after(day), on=on, scope=scope)
    if as_json:
        print_json({"on": day.isoformat(), "items": [item.as_json() for item in items]})
        return
    print_items(items)
    if case_ref:
        for item in items:
            click.echo(f"\n{item.why.sentence()}")


def print_items(items: Sequence[DueItem]) -> None:
    """A table of follow-ups for a terminal; references, no names."""
    if not items:
        click.echo("Nothing is due.")
        return
    header = ("Status", "Case", "What", "Due", "Clinic", "State", "Rule")
    print_table(header, [_row(item) for item in items])


def _row(item: DueItem) -> tuple[str, ...]:
    late = f" {item.days_overdue} d" if item.days_overdue else ""
    place = item.place
    return (
        f"{item.status}{late}",
        place.ref,
        item.activity,
        in_words(item.due_on),
        place.clinic,
        place.state,
        item.rule,
    )
