"""Follow-up rows and their reminders, kept equal to the plan."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, update
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
    _insert_reminders(writing, case, planned, planned.open_items)


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


def _reconcile_reminders(writing: Writing, case: Case, planned: Plan) -> None:
    stored = list(writing.session.exec(select(Reminder).where(Reminder.case_id == case.id)))
    today = _today(writing, case)
    open_windows = {(item.key, item.window.due_on) for item in planned.open_items}
    for row in stored:
        if (row.follow_up_key, row.due_on) in open_windows:
            if row.status == "withheld":
                row.status, row.reason = "pending", None
        elif row.status == "pending":
            _withdraw(writing, row, planned.follow_ups.get(row.follow_up_key), today)
    writing.session.flush()
    seen = {(row.follow_up_key, row.due_on) for row in stored}
    missing = [item for item in planned.open_items if (item.key, item.window.due_on) not in seen]
    _insert_reminders(writing, case, planned, missing)
    _mark_after_death(writing, case)


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


def _insert_reminders(writing: Writing, case: Case, planned: Plan, items: list[FollowUp]) -> None:
    place = {"case_id": case.id, "clinic_id": case.clinic_id, "status": "pending"}
    rows = [place | values for item in items for values in reminder_values(planned.history.pathway, item)]
    if rows:
        writing.session.execute(insert(Reminder), rows)


def _mark_after_death(writing: Writing, case: Case) -> None:
    """Reminders that were raised after a death that was learned of late are marked as such."""
    if case.died_on is None:
        return
    since = datetime.combine(case.died_on, datetime.min.time(), tzinfo=writing.now.tzinfo)
    after = col(Reminder.raised_at) >= since
    mark = update(Reminder).where(col(Reminder.case_id) == case.id, col(Reminder.status) == "raised", after)
    writing.session.execute(mark.values(reason=f"raised after the death on {case.died_on}"))


def _today(writing: Writing, case: Case) -> date:
    clinic = writing.session.get_one(Clinic, case.clinic_id)
    return local_date(writing.now, clinic.timezone)
