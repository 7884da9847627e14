"""Cases: the list, and one in full."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import click

from tracker import casebook
from tracker.casebook import CaseFile, CaseSummary
from tracker.commands.common import Day, Moment, desk, json_option, print_json, print_table
from tracker.places import Scope
from tracker.queries import require_known, status_on
from workflows.dates import in_words
from workflows.events import Event
from workflows.history import CaseHistory
from workflows.machine import Choice, FoundWarning
from workflows.records import Line
from workflows.series import FollowUp


@click.group()
def case() -> None:
    """List cases, or show one."""


@case.command("list")
@click.option("--on", type=Day(), help="As it was true on a date.")
@click.option("--clinic", help="Only this clinic.")
@json_option
def list_(on: date | None, clinic: str | None, as_json: bool) -> None:
    """Every case with its state."""
    with desk() as d, d.database.reading() as session:
        scope = Scope(clinic=clinic)
        require_known(session, scope)
        found = casebook.case_list(session, on=on, scope=scope)
    if as_json:
        print_json({"cases": [summary.as_json() for summary in found]})
        return
    header = ("Case", "Clinic", "State", "Since", "Lines", "Warnings", "Next step")
    print_table(header, [_row(summary) for summary in found])


def _row(summary: CaseSummary) -> tuple[str, ...]:
    place = summary.place
    return (
        place.ref,
        place.clinic,
        place.state,
        in_words(summary.since),
        str(summary.lines_open),
        str(summary.warnings_unexplained),
        "none" if summary.needs_plan else "",
    )


@case.command()
@click.argument("ref")
@click.option("--on", type=Day(), help="As it was true on a date.")
@click.option("--known", type=Moment(), help="As it was known at a time (aware ISO).")
@json_option
def show(ref: str, on: date | None, known: datetime | None, as_json: bool) -> None:
    """One case in full: state, facts, lines, what can happen next, follow-ups, events."""
    with desk() as d, d.database.reading() as session:
        file = casebook.case_file(session, ref, now=d.now, on=on, known=known)
        document = as_document(file)
    if as_json:
        print_json(document)
    else:
        _print(file, document)


def as_document(file: CaseFile) -> dict[str, Any]:
    """The case as ``case show --json`` gives it."""
    history = file.plan.history
    return {
        "case": file.row.ref,
        "patient_ref": file.patient.ref,
        "clinic": file.clinic.name,
        "navigator": file.navigator,
        "state": history.state,
        "phase": history.phase,
        "since": history.since.isoformat(),
        "pathway": history.pathway.id,
        "version": file.row.version,
        "pathway_version": history.pathway.version,
        "pathway_digest": file.row.pathway_digest,
        "facts": {name: _plain(value) for name, value in history.known_facts().items()},
        "fact_history": _fact_history(history),
        "lines": [_line(line) for line in history.lines],
        "choices": [_choice(choice) for choice in history.choices(file.today)],
        "warnings": [_warning(warning) for warning in history.unexplained()],
        "follow_ups": [_follow_up(item, file.today) for item in file.plan.follow_ups.values()],
        "events": [_event(event) for event in file.events],
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _fact_history(history: CaseHistory) -> list[dict[str, Any]]:
    recorded = [fact for facts in history.facts.values() for fact in facts]
    return [
        {
            "fact": f.name,
            "value": _plain(f.value),
            "on": f.on.isoformat(),
            "event": f.event,
            "system": f.system or None,
        }
        for f in sorted(recorded, key=lambda f: (f.on, f.name))
    ]


def _line(line: Line) -> dict[str, Any]:
    return {
        "line": line.number,
        "treatment": line.treatment,
        "intent": line.intent,
        "started_on": line.started_on.isoformat(),
        "ended_on": line.ended_on.isoformat() if line.ended_on else None,
        "end_reason": line.end_reason or None,
        "on_hold": line.on_hold,
        "concurrent": line.concurrent,
    }


def _warning(warning: FoundWarning) -> dict[str, Any]:
    return {"id": warning.id, "text": warning.text, "found": warning.found, "source": list(warning.sources)}


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "trigger": choice.trigger.id,
        "to": choice.to,
        "allowed": choice.allowed,
        "missing": list(choice.missing),
        "asks": [ask.name for ask in choice.trigger.asks if ask.required],
        "warnings": [_warning(warning) for warning in choice.warnings],
    }


def _follow_up(item: FollowUp, day: date) -> dict[str, Any]:
    status, late_by = status_on(item.window.opens_on, item.window.late_on, day)
    return {
        "activity": item.activity,
        "rule": item.rule,
        "occurrence": item.occurrence,
        "anchor_on": item.anchor_on.isoformat(),
        "opens_on": item.window.opens_on.isoformat(),
        "due_on": item.window.due_on.isoformat(),
        "late_on": item.window.late_on.isoformat(),
        "status": status if item.is_open else item.status,
        "days_overdue": late_by if item.is_open else 0,
        "ended_on": item.ended_on.isoformat() if item.ended_on else None,
        "reason": item.end_reason or None,
        "booked_for": item.booked_for.isoformat() if item.booked_for else None,
        "moved_from": item.moved_from.isoformat() if item.moved_from else None,
        "source": list(item.why.sources),
        "why": item.why.sentence(),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "on": event.on.isoformat(),
        "event": event.kind,
        "data": event.data,
        "at": event.recorded_at.isoformat() if event.recorded_at else None,
        "by": event.actor,
    }


def _print(file: CaseFile, document: dict[str, Any]) -> None:
    history = file.plan.history
    title = history.pathway.state_named[history.state].title
    click.echo(f"{file.row.ref}  {file.clinic.name}  {history.state} ({title}) since {in_words(history.since)}")
    click.echo(f"Navigator: {file.navigator or 'nobody'}\n")
    for name, value in history.known_facts().items():
        click.echo(f"  {history.pathway.fact_label(name)}: {history.pathway.value_label(name, value)}")
    for warning in document["warnings"]:
        click.echo(f"\n! {warning['text']} ({warning['found']}) [{', '.join(warning['source'])}]")
    click.echo("\nLines of therapy")
    for line in history.lines:
        click.echo(f"  {line.number}. {_line_in_words(history, line)}")
    if not history.lines:
        click.echo("  none")
    click.echo("\nOpen")
    if not file.plan.open_items:
        click.echo("  nothing" if history.is_open else "  nothing: the case is closed")
    for item in file.plan.open_items:
        click.echo(f"  {in_words(item.window.due_on)}  {item.why.sentence()}")
    click.echo("\nPossible" if document["choices"] else "\nPossible\n  nothing")
    for choice in document["choices"]:
        missing = f"  needs: {', '.join(choice['missing'])}" if choice["missing"] else ""
        click.echo(f"  {choice['trigger']} -> {choice['to']}{missing}")


def _line_in_words(history: CaseHistory, line: Line) -> str:
    label = history.pathway.treatment_named[line.treatment].label
    ended = f", ended {in_words(line.ended_on)}: {line.end_reason}" if line.ended_on else ""
    return f"{label}, started {in_words(line.started_on)}{ended}{', on hold' if line.on_hold else ''}"
