"""The ways in and out of files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import IO, Any

import click

from tracker import replay as bulk
from tracker.clock import known_zone, local_date
from tracker.commands.common import Day, Desk, count, desk, json_option, print_json
from tracker.errors import InputRefused, LineProblem
from tracker.interchange import journal
from tracker.writing import Writing

_dry_run = click.option("--dry-run", is_flag=True, help="Report every problem, write nothing.")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_file)
@_dry_run
@json_option
def replay(file: Path, dry_run: bool, as_json: bool) -> None:
    """Apply a journal (JSON Lines, one event a line): all of it or nothing."""

    def apply(writing: Writing) -> bulk.Report:
        return bulk.replay(writing, journal.read(file), kind="journal", dry_run=dry_run)

    with desk(create=True) as d:
        _apply(d, apply, dry_run, as_json)


@click.group(name="import")
def import_() -> None:
    """Import cases from elsewhere."""


@import_.command()
@click.argument("folder", metavar="PATH", type=_folder)
@click.option("--anchor", required=True, type=Day(), help="The date that stands for diagnosis, YYYY-MM-DD.")
@click.option("--clinic", help="The clinic to put the cases in; by default the folder's name.")
@click.option("--timezone", default="UTC", show_default=True, help="The clinic's time zone.")
@click.option("--navigator", help="The e-mail address of who looks after them.")
@_dry_run
@json_option
def cbioportal(
    folder: Path,
    anchor: date,
    clinic: str | None,
    timezone: str,
    navigator: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """A cBioPortal study of pancreatic NETs (patient and sample file)."""
    from tracker.interchange.cbioportal import content_of, read_cohort

    def apply(writing: Writing) -> bulk.Report:
        today = local_date(writing.now, known_zone(timezone))
        cohort = read_cohort(folder, anchor, clinic or folder.resolve().name, timezone, navigator, today)
        if cohort.problems:
            raise InputRefused(cohort.problems)
        report = bulk.import_cases(
            writing, cohort.lines, kind="cbioportal", content=content_of(folder, anchor), dry_run=dry_run
        )
        report.rows = cohort.rows
        report.warnings = [*cohort.warnings, *report.warnings]
        report.ignored_columns = list(cohort.ignored_columns)
        return report

    with desk(create=True) as d:
        _apply(d, apply, dry_run, as_json)


@click.group()
def export() -> None:
    """Write out what is recorded."""


@export.command("journal")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
def export_journal(file: IO[str]) -> None:
    """Every event of every case as a journal that `tracker replay` reads, to FILE or standard output."""
    with desk() as d, d.database.reading() as session:
        for line in bulk.export(session):
            file.write(journal.dump(line) + "\n")


def _apply(d: Desk, apply: Callable[[Writing], bulk.Report], dry_run: bool, as_json: bool) -> None:
    try:
        with d.writing() as writing:
            report = apply(writing)
    except InputRefused as refusal:
        _refuse(refusal, as_json)
    else:
        _print(report, dry_run, as_json)


def _refuse(refusal: InputRefused, as_json: bool) -> None:
    if as_json:
        report = bulk.Report()
        print_json(_document(report, refusal.problems))
    for problem in refusal.problems:
        click.echo(f"tracker: {problem}", err=True)
    click.echo(f"tracker: {count(len(refusal.problems), 'problem')}; nothing was applied", err=True)
    raise click.exceptions.Exit(1)


def _print(report: bulk.Report, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(_document(report, []))
        return
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    if report.ignored_columns:
        click.echo(f"not used: {', '.join(report.ignored_columns)}", err=True)
    would = "would be " if dry_run else ""
    click.echo(
        f"{count(report.rows, 'row')}: {count(report.created, 'case')} {would}created, "
        f"{report.changed} {would}changed, {report.unchanged} unchanged; {count(report.events, 'event')}; "
        f"{count(len(report.warnings), 'warning')} about the input."
    )


def _document(report: bulk.Report, refused: list[LineProblem]) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "created": report.created,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "events": report.events,
        "refused": [_problem(problem) for problem in refused],
        "warnings": [_problem(warning) for warning in report.warnings],
        "ignored_columns": report.ignored_columns,
    }


def _problem(problem: LineProblem) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "reason": problem.reason}
