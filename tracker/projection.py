"""Rows as they follow from a plan. The writers store them and ``verify`` compares them: there is one recipe."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from workflows.parts import Step
from workflows.pathway import Pathway
from workflows.planning import Plan
from workflows.series import FollowUp, Why


def case_values(plan: Plan) -> dict[str, Any]:
    """The columns of a case row that its events decide."""
    history = plan.history
    died = history.state == "closed.deceased"
    return {
        "state": history.state,
        "phase": history.phase,
        "since": history.since,
        "opened_on": history.opened_on,
        "closed_on": None if history.is_open else history.since,
        "died_on": history.since if died else None,
        "lines_open": len(history.open_lines),
        "needs_plan": any(item.rule == "no-next-step" for item in plan.open_items),
        "warnings_unexplained": len(history.unexplained()),
    }


def patient_values(opened: dict[str, Any]) -> dict[str, Any]:
    """The columns of a patient row, from the ``patient`` of the case's opening."""
    birth = opened.get("birth_date")
    return {
        "ref": opened["ref"],
        "name": opened.get("name"),
        "birth_date": date.fromisoformat(birth) if birth else None,
        "sex": opened.get("sex"),
        "mrn": opened.get("mrn"),
    }


def follow_up_values(item: FollowUp) -> dict[str, Any]:
    """The columns of a follow-up row that the plan decides."""
    return {
        "key": item.key,
        "rule": item.rule,
        "activity": item.activity,
        "occurrence": item.occurrence,
        "anchor_on": item.anchor_on,
        "opens_on": item.window.opens_on,
        "due_on": item.window.due_on,
        "late_on": item.window.late_on,
        "status": item.status,
        "created_on": item.created_on,
        "ended_on": item.ended_on,
        "ended_by": item.ended_by or None,
        "end_reason": item.end_reason or None,
        "booked_for": item.booked_for,
        "snoozed_until": item.snoozed_until,
        "moved_from": item.moved_from,
        "why": json.dumps(asdict(item.why), ensure_ascii=False),
    }


def why_of(text: str) -> Why:
    """The explanation that a follow-up row carries."""
    plain = json.loads(text)
    return Why(**plain | {"sources": tuple(plain["sources"])})


def remind_on(step: Step, item: FollowUp) -> date:
    """The clinic's local date on which a step's reminder is raised.

    The navigator is not reminded of what is booked before the day after the appointment, nor of what is snoozed
    before the snooze ends. Escalations stay where they are: what is late is late, booked or not.
    """
    start = {"opens": item.window.opens_on, "due": item.window.due_on, "late": item.window.late_on}[step.at]
    day = start + timedelta(days=step.plus_days)
    if step.to != "navigator":
        return day
    quiet_until = [item.booked_for + timedelta(days=1)] if item.booked_for else []
    quiet_until += [item.snoozed_until] if item.snoozed_until else []
    return max([day, *quiet_until])


def reminder_values(pathway: Pathway, item: FollowUp) -> list[dict[str, Any]]:
    """The reminders that an open follow-up will need, one for each step."""
    return [
        {
            "follow_up_key": item.key,
            "due_on": item.window.due_on,
            "step": step.id,
            "audience": step.to,
            "urgent": step.urgent,
            "remind_on": remind_on(step, item),
        }
        for step in pathway.reminders[item.reminders]
    ]
