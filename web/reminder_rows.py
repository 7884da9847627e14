"""The reminders of a case in words: of what, at which step, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from tracker.casebook import ToldReminder
from web import presenters
from workflows.history import CaseHistory
from workflows.pathway import Pathway
from workflows.planning import Plan

_STEPS = {
    "opens": "May be done from now on",
    "due": "Due",
    "overdue": "Overdue",
    "escalate-lead": "Overdue, for the clinic lead",
    "escalate-clinician": "Overdue, for the clinician",
}
_AFTER_A_PAUSE = {
    "booked": "The appointment has passed",
    "snoozed": "Put off until then",
    "handed": "The case was handed over",
}
_AFTER_DEATH = "sent after the death"
TOLD = "Told"
"""How a reminder stands that went out."""


@dataclass(frozen=True, slots=True)
class ReminderRow:
    """A reminder in words; ``at`` is when it was told, or else raised, ``after_death``: before the death was known."""

    label: str
    step: str
    due_on: date
    standing: str
    at: datetime | None
    told_to: str
    reason: str
    after_death: bool


def reminders(history: CaseHistory, plan: Plan, found: Iterable[ToldReminder]) -> list[ReminderRow]:
    """What was told of the case, and what was not and why, in the order given."""
    return [_reminder(history.pathway, plan, reminder) for reminder in found]


def _reminder(pathway: Pathway, plan: Plan, told: ToldReminder) -> ReminderRow:
    item = plan.follow_ups.get(told.follow_up_key)
    rule = told.follow_up_key.partition(":")[0].partition("/")[0]
    return ReminderRow(
        label=presenters.activity_label(pathway, item.activity) if item else presenters.rule_label(pathway, rule),
        step=_STEPS.get(told.step) or _AFTER_A_PAUSE.get(told.step.partition("-")[0], told.step.replace("-", " ")),
        due_on=told.due_on,
        standing=_standing(told),
        at=told.sent_at or told.raised_at,
        told_to=told.told_to or "",
        reason=presenters.dates_in_words(told.reason or ""),
        after_death=(told.reason or "").startswith(_AFTER_DEATH),
    )


def _standing(told: ToldReminder) -> str:
    if told.status == "sent":
        return TOLD
    if told.status == "withheld":
        return "Not told"
    return "In a message on its way" if told.waits else "Raised, to be told in the next digest"
