"""What one event would change about a case, without writing anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tracker import cases, follow_ups, pathways
from tracker.models import Case, Reminder
from tracker.writing import Writing
from workflows.errors import Refused
from workflows.events import Event
from workflows.history import CaseHistory
from workflows.machine import FoundWarning
from workflows.planning import Plan, plan
from workflows.series import FollowUp
from workflows.what_if import Difference, Shift, difference


@dataclass(frozen=True, slots=True)
class Planned:
    """A reminder of a follow-up, and the clinic's local date on which its turn comes or came."""

    follow_up_key: str
    step: str
    remind_on: date


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a case.

    ``refused``: why it cannot be, and then nothing would change. ``warnings`` are those that the event meets, and
    ``unanswered`` the ones of them that need a reason first. ``withheld`` are reminders whose day has come and that
    would not be told any more, ``dropped`` those whose day will not come.
    """

    version: int
    before: Plan
    after: Plan
    event: Event | None
    refused: tuple[str, ...]
    changes: Difference
    warnings: tuple[FoundWarning, ...]
    unanswered: tuple[FoundWarning, ...]
    withheld: tuple[Planned, ...]
    dropped: tuple[Planned, ...]

    @property
    def may_be_recorded(self) -> bool:
        return not self.refused and not self.unanswered

    @property
    def ends_lines(self) -> list[int]:
        """The numbers of the lines of therapy that would end."""
        still = {line.number for line in self.after.history.open_lines}
        return [line.number for line in self.before.history.open_lines if line.number not in still]

    def as_json(self) -> dict[str, Any]:
        """The preview as the programming interface gives it."""
        return {
            "version": self.version,
            "allowed": not self.refused,
            "refused": list(self.refused),
            "state": _standing(self.before.history),
            "becomes": _standing(self.after.history),
            "follow_ups": {
                "appear": [_item(item) for item in self.changes.appear],
                "move": [_shift(shift) for shift in self.changes.move],
                "end": [_item(item) | {"status": item.status, "why": item.end_reason} for item in self.changes.end],
                "gone": [_item(item) for item in self.changes.gone],
            },
            "reminders": {
                "withheld": [_reminder(one) for one in self.withheld],
                "dropped": [_reminder(one) for one in self.dropped],
            },
            "lines_ended": self.ends_lines,
            "warnings": [
                {"id": w.id, "text": w.text, "source": list(w.sources), "answered": w not in self.unanswered}
                for w in self.warnings
            ],
        }


def preview(writing: Writing, case: Case, *, kind: str, on: date, data: dict[str, Any]) -> Preview:
    """What recording this event would do, as :func:`tracker.cases.record` would do it; nothing is written.

    ``writing`` names who asks and when; its session may be one that only reads.
    """
    events = cases.events_of(writing.session, case)
    before = plan(pathways.pinned(writing.session, case.pathway_digest), events)
    try:
        change = cases.propose(writing, case, events, kind, on, data)
    except Refused as refusal:
        return Preview(case.version, before, before, None, refusal.reasons, _NOTHING, (), (), (), ())
    met = [one for one in change.plan.history.warned if one.event == change.event.id]
    withheld, dropped = follow_ups.let_go(writing, case, change.plan)
    return Preview(
        version=case.version,
        before=before,
        after=change.plan,
        event=change.event,
        refused=(),
        changes=difference(before, change.plan),
        warnings=tuple(one.warning for one in met),
        unanswered=tuple(one.warning for one in met if not one.reason),
        withheld=tuple(_planned(row) for row in withheld),
        dropped=tuple(_planned(row) for row in dropped),
    )


_NOTHING = Difference((), (), (), ())


def _planned(row: Reminder) -> Planned:
    return Planned(row.follow_up_key, row.step, row.remind_on)


def _standing(history: CaseHistory) -> dict[str, Any]:
    return {"state": history.state, "phase": history.phase, "since": history.since.isoformat()}


def _item(item: FollowUp) -> dict[str, Any]:
    return {"activity": item.activity, "rule": item.rule, "occurrence": item.occurrence} | _window(item)


def _shift(shift: Shift) -> dict[str, Any]:
    return _item(shift.becomes) | {"was": _window(shift.was)}


def _window(item: FollowUp) -> dict[str, Any]:
    return {
        "opens_on": item.window.opens_on.isoformat(),
        "due_on": item.window.due_on.isoformat(),
        "late_on": item.window.late_on.isoformat(),
        "booked_for": item.booked_for.isoformat() if item.booked_for else None,
        "snoozed_until": item.snoozed_until.isoformat() if item.snoozed_until else None,
    }


def _reminder(one: Planned) -> dict[str, Any]:
    return {"follow_up": one.follow_up_key, "step": one.step, "remind_on": one.remind_on.isoformat()}
