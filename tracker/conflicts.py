"""Two people at once: what the other changed, and what of one's own still applies, field by field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.events import Event, effective, facts_in
from workflows.pathway import Pathway
from workflows.planning import QUIET

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Contested:
    """One value that somebody wants to record: what it was when they looked, what it is now, and theirs.

    ``known_before`` and ``known_now`` tell an unknown value from one that nobody has recorded.
    """

    name: str
    before: Any
    theirs: Any
    yours: Any
    known_before: bool
    known_now: bool

    @property
    def untouched(self) -> bool:
        """Nobody else has said anything of it."""
        return (self.known_before, self.before) == (self.known_now, self.theirs)

    @property
    def same(self) -> bool:
        """Somebody else has recorded just that."""
        return not self.untouched and self.known_now and self.theirs == self.yours

    @property
    def differs(self) -> bool:
        return not self.untouched and not self.same


def matters(since: Iterable[Event]) -> bool:
    """Whether anything that happened since can bear on a change: notes, calls and the like do not."""
    return any(event.kind not in QUIET for event in since)


def rests_on(pathway: Pathway, events: Iterable[Event], undone: Collection[str]) -> Event | None:
    """What was recorded after some entries and may mean something else once they are undone; None: nothing.

    An act names an activity, and is about the occurrence that is open then: with an earlier one open again, a
    colleague's act would be about that. A step on the pathway rests on all that was recorded before it.
    """
    told = list(events)
    counted = {event.id for event in effective(told)}
    ours = [event for event in told if event.id in undone and event.id in counted and _is_built_on(event)]
    since = min((event.seq for event in ours), default=None)
    if since is None:
        return None
    later = (event for event in told if event.seq > since and event.id in counted and event.id not in undone)
    return next((event for event in later if any(_bears(pathway, event, one) for one in ours)), None)


def _is_built_on(event: Event) -> bool:
    return event.kind not in QUIET or event.kind == "activity:snoozed"


def _bears(pathway: Pathway, later: Event, earlier: Event) -> bool:
    if later.kind == "state:changed":
        return True
    if not later.kind.startswith("activity:"):
        return False
    if not earlier.kind.startswith("activity:"):
        return True
    return bool(_family(pathway, later.data["activity"]) & _family(pathway, earlier.data["activity"]))


def _family(pathway: Pathway, activity: str) -> set[str]:
    """Activities that one act may settle: itself, and what it counts as."""
    known = pathway.activity_named.get(activity)
    return {activity, *(known.counts_as if known else ())}


def contested(events: Iterable[Event], version: int, yours: Mapping[str, Any]) -> list[Contested]:
    """Each fact that one wants to record, as it stood at a version of the case and as it stands now."""
    events = list(events)
    before = _facts(event for event in events if event.seq <= version)
    now = _facts(events)
    found = []
    for name, value in yours.items():
        was, is_ = before.get(name, _MISSING), now.get(name, _MISSING)
        known = (was is not _MISSING, is_ is not _MISSING)
        found.append(Contested(name, was if known[0] else None, is_ if known[1] else None, value, *known))
    return found


def _facts(events: Iterable[Event]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for event in effective(events):
        facts |= facts_in(event)
    return facts
