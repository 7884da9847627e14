"""Follow-up rows and their reminders, kept equal to the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from tracker import recall, tallies
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
    tallies.note_follow_ups(writing.session, (), _open_items(case, planned))
    _insert_reminders(writing, case, _wanted(planned).values())


def reconcile(writing: Writing, case: Case, planned: Plan) -> None:
    """Make the rows of a case equal to its plan; what a reminder ledger has seen stays in it."""
    stored = {row.key: row for row in writing.session.exec(select(FollowUpRow).where(FollowUpRow.case_id == case.id))}
    place = _place(case)
    wanted = {key: place | follow_up_values(item) for key, item in planned.follow_ups.items()}
    before = [_counted(row) for row in stored.values() if row.status == "open"]
    new = [values for key, values in wanted.items() if key not in stored]
    if new:
        writing.session.execute(insert(FollowUpRow), new)
    for key, row in stored.items():
        if key not in wanted:
            writing.session.delete(row)
        else:
            _assign(row, wanted[key])
    writing.session.flush()
    tallies.note_follow_ups(writing.session, before, _open_items(case, planned))
    _reconcile_reminders(writing, case, planned)


def _open_items(case: Case, planned: Plan) -> Iterator[tallies.Open]:
    """The open follow-ups of a plan, as they are counted."""
    for item in planned.open_items:
        yield tallies.Open(
            case.clinic_id, case.navigator_id or 0, item.activity, item.window.late_on, item.window.due_on
        )


def _counted(row: FollowUpRow) -> tallies.Open:
    return tallies.Open(row.clinic_id, row.navigator_id or 0, row.activity, row.late_on, row.due_on)


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
    gone = recall.beyond_recall(writing.session, {row.digest_id for row in stored.values() if row.status == "raised"})
    changed: set[int] = set()
    for key, row in stored.items():
        told_by, handed_over = row.digest_id, row.navigator_id != case.navigator_id
        row.navigator_id = case.navigator_id
        if row.status == "sent" or (row.status == "raised" and told_by in gone):
            row.reason = _after_death(writing, case, row)
        else:
            _bring_up_to_date(writing, row, wanted.get(key), planned.follow_ups.get(row.follow_up_key), today)
            if handed_over:
                _hand_over(writing, row)
        # One that may have left is looked at too: where the server takes it back after all, it must not go as it was.
        if row.status != "sent" and told_by and (told_by in gone or handed_over or row.digest_id is None):
            changed.add(told_by)
    writing.session.flush()
    recall.mark_stale(writing.session, changed)
    _insert_reminders(writing, case, [values for key, values in wanted.items() if key not in stored])


def _locked(writing: Writing, case: Case) -> list[Reminder]:
    """The reminders of a case, as a sweep that runs at the same time leaves them; the next one has to wait."""
    found = select(Reminder).where(Reminder.case_id == case.id).order_by(col(Reminder.id)).with_for_update()
    return list(writing.session.exec(found.execution_options(populate_existing=True)))


def let_go(writing: Writing, case: Case, planned: Plan) -> tuple[list[Reminder], list[Reminder]]:
    """The reminders that a plan would end: those whose day has come, to be withheld, and those that never come.

    Nothing is written. What has been told stays told.
    """
    rows = list(writing.session.exec(select(Reminder).where(Reminder.case_id == case.id).order_by(col(Reminder.id))))
    gone = recall.beyond_recall(writing.session, {row.digest_id for row in rows if row.status == "raised"})
    wanted, today = _wanted(planned), _local(writing, case, writing.now)
    ended = [
        row
        for row in rows
        if row.status in ("pending", "raised")
        and not (row.status == "raised" and row.digest_id in gone)
        and (row.follow_up_key, row.due_on, row.step) not in wanted
    ]
    return [row for row in ended if row.remind_on <= today], [row for row in ended if row.remind_on > today]


def _wanted(planned: Plan) -> dict[_StepKey, dict[str, Any]]:
    pathway = planned.history.pathway
    steps = [values for item in planned.open_items for values in reminder_values(pathway, item)]
    return {(values["follow_up_key"], values["due_on"], values["step"]): values for values in steps}


def _bring_up_to_date(
    writing: Writing, row: Reminder, values: dict[str, Any] | None, item: FollowUp | None, today: date
) -> None:
    """A reminder that nobody has been told yet follows its plan: it waits again, moves, or is withheld."""
    if values is None:
        if row.status != "withheld":
            _withdraw(writing, row, item, today)
        return
    if row.status == "withheld":
        row.status, row.reason, row.planned_at = "pending", None, writing.now
    elif row.status == "raised" and values["remind_on"] > today:
        row.status, row.raised_at, row.digest_id = "pending", None, None
    if row.status == "pending":
        if values["remind_on"] < row.remind_on:  # a booking or a snooze is undone: nobody could know before
            row.planned_at = writing.now
        row.remind_on = values["remind_on"]


def _hand_over(writing: Writing, row: Reminder) -> None:
    """What the former navigator has not been told is news to the new one; what goes to others is looked at again."""
    if row.status == "raised" and row.audience == "navigator":
        row.digest_id, row.planned_at = None, writing.now


def _withdraw(writing: Writing, row: Reminder, item: FollowUp | None, today: date) -> None:
    """A step whose day has come is withheld with the reason; one whose day has not come was never expected."""
    if row.remind_on > today:
        row.digest_id = None  # a clock that ran ahead may have raised it: no message tells it any more
        writing.session.delete(row)
        return
    row.status, row.raised_at, row.digest_id, row.reason = "withheld", None, None, _why_withheld(row, item)


def _why_withheld(row: Reminder, item: FollowUp | None) -> str:
    if item is None:
        return recall.why_withheld(row.due_on)
    return recall.why_withheld(row.due_on, item.window.due_on, item.status, item.ended_on)


def _after_death(writing: Writing, case: Case, row: Reminder) -> str | None:
    """What is said of a reminder that went out after a death that was learned of late."""
    if case.died_on is None:
        return None
    told_on = _local(writing, case, row.sent_at or row.raised_at or writing.now)
    return f"sent after the death on {case.died_on}" if told_on >= case.died_on else None


def _insert_reminders(writing: Writing, case: Case, steps: Iterable[dict[str, Any]]) -> None:
    place = _place(case) | {"status": "pending", "planned_at": writing.now}
    rows = [place | values for values in steps]
    if rows:
        writing.session.execute(insert(Reminder), rows)


def _local(writing: Writing, case: Case, moment: datetime) -> date:
    clinic = writing.session.get_one(Clinic, case.clinic_id)
    return local_date(moment, clinic.timezone)
