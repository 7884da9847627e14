"""A patient's journey told as events: `Journey().opened("2026-01-05").done("2026-01-20", "ct").plan()`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any, Self

from workflows.events import Event, checked_data
from workflows.history import CaseHistory, fold
from workflows.pathway import Pathway, load
from workflows.planning import Plan, plan
from workflows.series import FollowUp

WORKED_UP = {
    "differentiation": "well",
    "ki67_percent": 2.0,
    "primary_site": "pancreas",
    "syndrome": "none",
    "hereditary": "none",
}


@cache
def shipped() -> Pathway:
    """The pathway that is shipped, read once."""
    return load()


def day(iso: str) -> date:
    return date.fromisoformat(iso)


class Journey:
    """Events of one case in the order in which the record learned of them; their `on` may go back."""

    def __init__(self, ref: str = "N-001", pathway: Pathway | None = None) -> None:
        self.ref = ref
        self.pathway = pathway or shipped()
        self.events: list[Event] = []
        self._planned: tuple[list[Event], Plan] | None = None

    # Telling ------------------------------------------------------------------------------------------

    def add(self, on: str | date, kind: str, **data: Any) -> Self:
        seq = len(self.events) + 1
        checked = checked_data(self.pathway, kind, data)
        self.events.append(Event(f"e{seq}", seq, kind, date.fromisoformat(str(on)), checked))
        return self

    def opened(self, on: str | date, state: str | None = None, **data: Any) -> Self:
        entry = {"state": state} if state else {}
        told = {"clinic": "North", "timezone": "Europe/London", "patient": {"ref": self.ref}}
        return self.add(on, "case:opened", **told, **entry, **data)

    def fact(self, on: str | date, **facts: Any) -> Self:
        return self.add(on, "fact:recorded", **facts)

    def trigger(self, on: str | date, trigger: str, **data: Any) -> Self:
        return self.add(on, "state:changed", trigger=trigger, **data)

    def starts(self, on: str | date, treatment: str, intent: str = "disease-control", **data: Any) -> Self:
        return self.trigger(on, "start_line", treatment=treatment, intent=intent, **data)

    def done(self, on: str | date, activity: str, **data: Any) -> Self:
        return self.add(on, "activity:done", activity=activity, **data)

    def waived(self, on: str | date, activity: str, **data: Any) -> Self:
        return self.add(on, "activity:waived", activity=activity, reason="agreed with the patient", **data)

    def rescheduled(self, on: str | date, activity: str, to: str, **data: Any) -> Self:
        return self.add(on, "activity:rescheduled", activity=activity, to=to, reason="away", **data)

    def booked(self, on: str | date, activity: str, day: str, **data: Any) -> Self:
        return self.add(on, "activity:booked", activity=activity, **{"for": day}, **data)

    def requested(self, on: str | date, activity: str) -> Self:
        return self.add(on, "test:requested", activity=activity)

    def called(self, on: str | date, channel: str = "phone", outcome: str = "no-answer") -> Self:
        return self.add(on, "contact:attempted", channel=channel, outcome=outcome)

    def corrected(self, on: str | date, event: str) -> Self:
        return self.add(on, "event:corrected", event=event, reason="entered by mistake")

    def copy(self) -> Journey:
        """A second journey that begins as this one did."""
        other = Journey(self.ref, self.pathway)
        other.events = [replace(event) for event in self.events]
        return other

    @property
    def last_id(self) -> str:
        return self.events[-1].id

    # Beginnings that many journeys share -----------------------------------------------------------------

    @classmethod
    def advanced(cls, on: str = "2026-01-05", **facts: Any) -> Journey:
        """Advanced disease, not yet treated."""
        return cls().opened(on, "advanced.planning").fact(on, **(WORKED_UP | facts))

    @classmethod
    def treated(cls, on: str, treatment: str, **facts: Any) -> Journey:
        """One line of treatment, with its baseline done on the day of the start."""
        journey = cls.advanced(on, **facts).done(on, "ct").done(on, "cga")
        return journey.starts(on, treatment)

    @classmethod
    def resected(cls, surgery: str, surveillance: str, **facts: Any) -> Journey:
        """Curative surgery, then surveillance."""
        journey = cls().opened(surgery, "localized.planning").fact(surgery, **(WORKED_UP | facts))
        journey.starts(surgery, "distal-pancreatectomy", "curative")
        journey.trigger(surveillance, "end_line", reason="completed")
        return journey.trigger(surveillance, "begin_surveillance", resection_margin="R0")

    # Asking ---------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """The plan of these events; made anew only where they have changed."""
        if self._planned is None or self._planned[0] != self.events:
            self._planned = (list(self.events), plan(self.pathway, self.events))
        return self._planned[1]

    def history(self) -> CaseHistory:
        return fold(self.pathway, self.events)

    @property
    def state(self) -> str:
        return self.history().state

    def all(self, rule: str) -> list[FollowUp]:
        """Every item that the rule has ever made, by due date."""
        found = [item for item in self.plan().follow_ups.values() if item.rule == rule]
        return sorted(found, key=lambda item: item.window.due_on)

    def open(self, rule: str) -> FollowUp:
        """The one open item of the rule."""
        found = [item for item in self.all(rule) if item.is_open]
        assert len(found) == 1, f"{rule}: {len(found)} open items, {[i.key for i in found]}"
        return found[0]

    def due(self, rule: str) -> str | None:
        """The due date of the rule's open item, as ISO text; None where it has none."""
        found = [item for item in self.all(rule) if item.is_open]
        return self.open(rule).window.due_on.isoformat() if found else None

    def window(self, rule: str) -> tuple[str, str, str]:
        """Opens, due and late of the rule's open item."""
        window = self.open(rule).window
        return window.opens_on.isoformat(), window.due_on.isoformat(), window.late_on.isoformat()

    def ended(self, rule: str) -> list[tuple[str, str, str]]:
        """Due date, how it ended and when, of the rule's items that are no longer open."""
        return [
            (item.window.due_on.isoformat(), item.status, str(item.ended_on))
            for item in self.all(rule)
            if not item.is_open
        ]

    def rules(self) -> set[str]:
        """The rules that have an open item."""
        return {item.rule for item in self.plan().open_items}
