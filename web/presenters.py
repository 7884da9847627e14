"""How things are put into words on a page. Pure functions: dates, urgency, labels, sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tracker.clock import zone_of
from tracker.words import count, span
from workflows.dates import in_words
from workflows.parts import Source, Step
from workflows.pathway import Pathway

# Dates -----------------------------------------------------------------------------------------------------

_WEEK, _MONTH, _YEAR = 7, 30.4375, 365.25


def distance(day: date, today: date) -> str:
    """About how far a date, which stands beside it, is from today: ``in 3 weeks``, ``5 days ago``, ``today``."""
    days = (day - today).days
    if days in (-1, 0, 1):
        return ("yesterday", "today", "tomorrow")[days + 1]
    span = _span(abs(days))
    return f"in {span}" if days > 0 else f"{span} ago"


def _span(days: int) -> str:
    if days < 2 * _WEEK:
        return f"{days} days"
    if days < 2 * _MONTH - 1:
        return f"{round(days / _WEEK)} weeks"
    if days < 2 * _YEAR - _MONTH / 2:
        return f"{round(days / _MONTH)} months"
    return f"{max(2, int(days / _YEAR + 0.01))} years"


def when(day: date, today: date) -> str:
    """``12 Mar 2027 (in 3 weeks)``."""
    return f"{in_words(day)} ({distance(day, today)})"


def moment(at: datetime, timezone: str) -> str:
    """``12 Mar 2027, 09:03`` in the clinic's own time."""
    local = at.astimezone(zone_of(timezone))
    return f"{in_words(local.date())}, {local:%H:%M}"


def ago(at: datetime, now: datetime) -> str:
    """How far a moment is from now, to the minute: ``20 minutes ago``, ``in 3 hours``, ``just now``."""
    if abs(now - at) < timedelta(minutes=1):
        return "just now"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def dates_in_words(text: str) -> str:
    """A text with its ISO dates as they are written on pages."""
    return re.sub(r"\b\d{4}-\d\d-\d\d\b", lambda found: in_words(date.fromisoformat(found[0])), text)


def age(birth_date: date, on: date) -> int:
    """Completed years of life; who was born on 29 February has the birthday on 1 March in other years."""
    return on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))


# Urgency ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Urgency:
    """How pressing an open item is. ``band`` gives the look, the words say the same."""

    band: str
    label: str
    escalation: str = ""

    @property
    def late(self) -> bool:
        return self.band not in ("due", "upcoming")


_ESCALATIONS = {
    "lead": "Escalate to clinic lead",
    "clinician": "Escalate to clinician",
}


def urgency(status: str, days_overdue: int, steps: Sequence[Step]) -> Urgency:
    """The band of an item: upcoming, due, overdue, or overdue so long that a lead or a clinician is to hear of it.

    The days at which that happens are the steps of the rule (standard: 14 and 30 days after the late day;
    injections and PRRT: 3 and 7).
    """
    if status != "overdue":
        return Urgency(status, {"due": "Due", "upcoming": "Upcoming"}.get(status, status.capitalize()))
    label = f"{count(days_overdue, 'day')} overdue"
    reached = [step for step in steps if step.at == "late" and step.plus_days <= days_overdue]
    audience = max(reached, key=lambda step: step.plus_days).to if reached else "navigator"
    escalation = _ESCALATIONS.get(audience, "")
    return Urgency(audience if escalation else "overdue", label, escalation)


def steps_of(pathway: Pathway, rule: str) -> tuple[Step, ...]:
    """The reminder steps of a rule; those of a rule that the pathway no longer has are unknown."""
    found = pathway.rule_named.get(rule)
    return pathway.reminders[found.reminders] if found else ()


# Labels ----------------------------------------------------------------------------------------------------


def activity_label(pathway: Pathway, activity: str) -> str:
    """How an activity is called; a test asked for by its own name keeps it."""
    found = pathway.activity_named.get(activity)
    return found.label if found else sentence(activity.replace("-", " "))


def state_label(pathway: Pathway, state: str) -> str:
    """How a state is called."""
    found = pathway.state_named.get(state)
    return found.title if found else state


def treatment_label(pathway: Pathway, code: str) -> str:
    """How a treatment is called."""
    found = pathway.treatment_named.get(code)
    return found.label if found else code


def intent_label(pathway: Pathway, intent: str) -> str:
    """How the intent of a treatment is called."""
    return next((choice.label for choice in pathway.intents if choice.value == intent), intent)


def rule_label(pathway: Pathway, rule: str) -> str:
    """How a follow-up rule is called."""
    found = pathway.rule_named.get(rule)
    return found.title if found else rule


BARRIERS = {
    "transport": "Transport or distance",
    "language": "Language",
    "understanding": "Understanding of the illness or the plan",
    "fear": "Fear or distress",
    "cost": "Cost or insurance",
    "work": "Work",
    "caring": "Caring for others",
    "housing": "Housing",
    "other-illness": "Another illness",
    "appointments": "Getting an appointment",
}
"""What most often keeps patients from care; a journal may bring others."""


def barrier_label(name: str) -> str:
    """How a barrier is called."""
    return BARRIERS.get(name) or sentence(name.replace("-", " "))


def sentence(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


# Sources ---------------------------------------------------------------------------------------------------

_KINDS = {"S": "cited text", "G": "guideline", "P": "our policy"}


@dataclass(frozen=True, slots=True)
class Badge:
    """A source, to be told from the others by its words and its shape. ``caveats`` are its own."""

    id: str
    kind: str
    words: str
    text: str
    caveats: tuple[str, ...]


def badges(pathway: Pathway, ids: Iterable[str]) -> list[Badge]:
    """The sources of an item, in the order in which it names them, each once."""
    found = (pathway.source_named.get(name) for name in dict.fromkeys(ids))
    return [badge(source) for source in found if source is not None]


def badge(source: Source) -> Badge:
    """One source with its kind in words and its own caveat."""
    caveats = (source.caveat,) if source.caveat else ()
    return Badge(source.id, source.kind, _KINDS[source.kind], source.text, caveats)


def document_caveats(pathway: Pathway, ids: Iterable[str]) -> list[str]:
    """What a reader must know about the documents that these sources cite."""
    sources = [pathway.source_named[name] for name in ids if name in pathway.source_named]
    cited = {name for source in sources for name in source.documents}
    return [f"Document {d.id}: {d.caveat}" for d in pathway.documents if d.id in cited and d.caveat]
