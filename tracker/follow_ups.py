"""Follow-up rows and their reminders, kept equal to the plan."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from tracker.clock import local_date
from tracker.models import Case, Clinic, FollowUpRow, Reminder
from tracker.projection import follow_up_values, reminder_values
from tracker.writing import Writing
from workflows.planning import Plan
from workflows.series import FollowUp


def write_all(writing: Writing, case: Case, planned: Plan) -> None:
    """Store the follow-ups of a case that has none yet, and the reminders of the open ones."""
    place = _place(case)
    rows = [place | follow_up_values(item) for item in planned.follow_ups.values()]
    if rows:
        writing.session.execute(insert(FollowUpRow), rows)
    _insert_reminders(writing, case, _wanted(planned).values())


def reconcile(writing: Writing, case: Case, planned: Plan) -> None:
    """Make the rows of a case equal to its plan; what a reminder ledger has seen stays in it."""
    stored = {row.key: row for row in writing.session.exec(select(FollowUpRow).where(FollowUpRow.case_id == case.id))}
    place = _place(case)
    wanted = {key: place | follow_up_values(item) for key, item in planned.follow_ups.items()}
    new = [values for key, values in wanted.items() if key not in stored]
    if new:
        writing.session.execute(insert(FollowUpRow), new)
    for key, row in stored.items():
        if key not in wanted:
            writing.session.delete(row)
        else:
            _assign(row, wanted[key])
    writing.session.flush()
    _reconcile_reminders(writing, case, planned)


def _place(case: Case) -> dict[str, Any]:
    return {"case_id": case.id, "clinic_id": case.clinic_id, "navigator_id": case.navigator_id}


def _assign(row: FollowUpRow, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


# Reminders -------------------------------------------------------------------------------------------------

_StepKey = tuple[str, date, str]
"""A reminder happens once for each follow-up, due date and step."""


def _reconcile_reminders(writing: Writing, case: Case, planned: Plan) -> None:
    stored = {(row.follow_up_key, row.due_on, row.step): row for row in _locked(writing, case)}
    wanted = _wanted(planned)
    today = _local(writing, case, writing.now)
    for key, row in stored.items():
        if row.status == "raised":
            row.reason = _after_death(case, _local(writing, case, row.raised_at or writing.now))
        elif row.status == "withheld" and key in wanted:
            row.status, row.reason = "pending", None
        elif row.status == "pending" and key not in wanted:
            _withdraw(writing, row, planned.follow_ups.get(row.follow_up_key), today)
    writing.session.flush()
    _insert_reminders(writing, case, [values for key, values in wanted.items() if key not in stored])


def _locked(writing: Writing, case: Case) -> list[Reminder]:
    """The reminders of a case, as a sweep that runs at the same time leaves them; the next one has to wait."""
    found = select(Reminder).where(Reminder.case_id == case.id).order_by(col(Reminder.id)).with_for_update()
    return list(writing.session.exec(found.execution_options(populate_existing=True)))


def _wanted(planned: Plan) -> dict[_StepKey, dict[str, Any]]:
    pathway = planned.history.pathway
    steps = [values for item in planned.open_items for values in reminder_values(pathway, item)]
    return {(values["follow_up_key"], values["due_on"], values["step"]): values for values in steps}


def _withdraw(writing: Writing, row: Reminder, item: FollowUp | None, today: date) -> None:
    """A step whose day has come is withheld with the reason; one whose day has not come was never expected."""
    if row.remind_on > today:
        writing.session.delete(row)
        return
    row.status, row.reason = "withheld", _why_withheld(row, item)


def _why_withheld(row: Reminder, item: FollowUp | None) -> str:
    if item is None:
        return "no longer planned"
    if item.window.due_on != row.due_on:
        return f"moved to {item.window.due_on}"
    return f"{item.status} on {item.ended_on}"


def _after_death(case: Case, raised_on: date) -> str | None:
    """What is said of a reminder that was raised after a death that was learned of late."""
    late = case.died_on is not None and raised_on >= case.died_on
    return f"raised after the death on {case.died_on}" if late else None


def _insert_reminders(writing: Writing, case: Case, steps: Iterable[dict[str, Any]]) -> None:
    place = {"case_id": case.id, "clinic_id": case.clinic_id, "status": "pending"}
    rows = [place | values for values in steps]
    if rows:
        writing.session.execute(insert(Reminder), rows)


def _local(writing: Writing, case: Case, moment: datetime) -> date:
    clinic = writing.session.get_one(Clinic, case.clinic_id)
    return local_date(moment, clinic.timezone)
