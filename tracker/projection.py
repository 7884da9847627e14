"""Rows as they follow from a plan. The writers store them and ``verify`` compares them: there is one recipe."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from itertools import combinations
from typing import Any, NamedTuple

from workflows.history import CaseHistory
from workflows.parts import Step
from workflows.pathway import Pathway
from workflows.planning import Plan
from workflows.series import FollowUp, Why


def case_values(plan: Plan) -> dict[str, Any]:
    """The columns of a case row that its events decide."""
    history = plan.history
    return {
        "state": history.state,
        "phase": history.phase,
        "since": history.since,
        "opened_on": history.opened_on,
        "closed_on": None if history.is_open else history.since,
        "died_on": history.died_on,
        "lines_open": len(history.open_lines),
        "needs_plan": any(item.rule == "no-next-step" for item in plan.open_items),
        "warnings_unexplained": len(history.unexplained()),
        **list_values(history),
    }


def list_values(history: CaseHistory) -> dict[str, Any]:
    """The columns by which lists of cases are limited and ordered."""
    return {
        "treatments": treatments_value(line.treatment for line in history.open_lines),
        "grade": history.fact("grade"),
        "functional": history.fact("functional"),
        "sort_name": sort_name(history.opened["patient"]),
    }


MANY = "many"
"""Stands for more lines at once than are told apart; whoever looks for any treatment finds these cases too."""
_TOLD_APART = 3


def treatments_value(codes: Iterable[str]) -> str | None:
    """The treatments under way as one word (``lanreotide+prrt``), so that an index can hold it; None for none."""
    found = sorted(set(codes))
    return "+".join(found) if 0 < len(found) <= _TOLD_APART else MANY if found else None


def with_treatment(code: str, all_codes: Iterable[str]) -> list[str]:
    """Every value of the column in which a treatment is, alone or beside others."""
    others = sorted(set(all_codes) - {code})
    beside = [chosen for number in range(_TOLD_APART) for chosen in combinations(others, number)]
    return ["+".join(sorted((code, *chosen))) for chosen in beside] + [MANY]


def sort_name(patient: dict[str, Any]) -> str:
    """Where a patient stands in a list: by name without accents, or by reference where no name is known."""
    text = unicodedata.normalize("NFKD", (patient.get("name") or patient["ref"]).casefold())
    return " ".join("".join(c for c in text if not unicodedata.combining(c)).split())[:80]


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


class Pause(NamedTuple):
    """Until when the navigator is left alone with an item, and why."""

    until: date
    why: str


def pause_of(item: FollowUp) -> Pause | None:
    """To the day after the appointment, or to the end of a snooze, whichever is later."""
    ends = [Pause(item.booked_for + timedelta(days=1), "booked")] if item.booked_for else []
    ends += [Pause(item.snoozed_until, "snoozed")] if item.snoozed_until else []
    return max(ends, default=None)


def remind_on(step: Step, item: FollowUp) -> date:
    """The clinic's local date on which a step's reminder is raised.

    The navigator is not reminded of what is booked before the day after the appointment, nor of what is snoozed
    before the snooze ends. Escalations stay where they are: what is late is late, booked or not.
    """
    day, pause = _step_on(step, item), pause_of(item)
    return max(day, pause.until) if pause and step.to == "navigator" else day


def _step_on(step: Step, item: FollowUp) -> date:
    start = {"opens": item.window.opens_on, "due": item.window.due_on, "late": item.window.late_on}[step.at]
    return start + timedelta(days=step.plus_days)


def reminder_values(pathway: Pathway, item: FollowUp) -> list[dict[str, Any]]:
    """The reminders that an open follow-up will need: one for each step, and one where a pause ends."""
    steps = pathway.reminders[item.reminders]
    values = [_values(item, step.id, step.to, remind_on(step, item), urgent=step.urgent) for step in steps]
    return values + _back_from_pause(item, steps) + _handed_over(item, steps)


def _back_from_pause(item: FollowUp, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The navigator hears again when a pause is over, also where every step had been told before it began."""
    pause = pause_of(item)
    if pause is None:
        return []
    before = [step for step in steps if step.to == "navigator" and _step_on(step, item) < pause.until]
    urgent = any(step.urgent for step in before)
    step = f"{pause.why}-{pause.until}"
    return [_values(item, step, "navigator", pause.until, urgent=urgent)] if before else []


def _handed_over(item: FollowUp, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Who takes over a case hears at once of what the former navigator may have been told already."""
    day, pause = item.handed_over_on, pause_of(item)
    if day is None or (pause is not None and pause.until > day):
        return []
    before = [step for step in steps if step.to == "navigator" and _step_on(step, item) <= day]
    urgent = any(step.urgent for step in before)
    return [_values(item, f"handed-over-{day}", "navigator", day, urgent=urgent)] if before else []


def _values(item: FollowUp, step: str, audience: str, day: date, *, urgent: bool) -> dict[str, Any]:
    return {
        "follow_up_key": item.key,
        "due_on": item.window.due_on,
        "step": step,
        "audience": audience,
        "urgent": urgent,
        "remind_on": day,
    }
