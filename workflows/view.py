"""What a condition may look at: one case on one date, and how its parts are called."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

Value = str | float | bool | date


class Catalogue(Protocol):
    """How facts, values and treatments are called on screen."""

    def fact_label(self, name: str) -> str: ...

    def value_label(self, name: str, value: Value) -> str: ...

    def activity_label(self, name: str) -> str: ...

    def treatment_label(self, code: str) -> str: ...

    def treatment_categories(self, code: str) -> Sequence[str]: ...


class OpenLine(Protocol):
    """A line of therapy that has started and not ended."""

    @property
    def treatment(self) -> str: ...

    @property
    def intent(self) -> str: ...

    @property
    def on_hold(self) -> bool: ...


class View(Protocol):
    """What a condition may look at: one case on one date, and the data of the trigger being tried."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def state(self) -> str: ...

    @property
    def origin(self) -> str | None: ...

    @property
    def today(self) -> date: ...

    @property
    def data(self) -> dict[str, Any]: ...

    @property
    def open_lines(self) -> Sequence[OpenLine]: ...

    def fact(self, name: str) -> Value | None: ...

    def ever(self, name: str) -> Sequence[Value]: ...

    def last_done(self, activities: Sequence[str]) -> date | None: ...

    def contact_attempts(self) -> Sequence[str]: ...

    def line_meant(self) -> OpenLine | None: ...


def matches_state(patterns: Sequence[str], state: str) -> bool:
    """Whether ``state`` is one of ``patterns``: exact names or whole phases (``advanced.*``)."""
    return any(p == state or (p.endswith(".*") and state.startswith(p[:-1])) for p in patterns)
