"""Two people at once: what the other changed, and what of one's own still applies, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.events import Event, effective, facts_in
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
