"""Facts that follow from other facts. They are never stored and never overwrite what was reported."""

from __future__ import annotations

from collections.abc import Callable

from workflows.parts import Derivation
from workflows.view import Value

Lookup = Callable[[str], Value | None]
_ORDER = ("G1", "G2", "G3")


def measured_grade(how: Derivation, fact: Lookup) -> Value | None:
    """Poorly differentiated is NEC; else the higher grade of Ki-67 and mitoses (S13-S16); else unknown."""
    if fact("differentiation") == "poor":
        return "NEC"
    grades = [
        next(band.grade for band in bands if band.holds(number))
        for name, bands in how.bands.items()
        if isinstance(number := fact(name), int | float)
    ]
    return max(grades, key=_ORDER.index, default=None)


def grade(how: Derivation, fact: Lookup) -> Value | None:
    """The measured grade, else the grade as reported."""
    return fact("measured_grade") or fact("reported_grade")


def functional(how: Derivation, fact: Lookup) -> Value | None:
    """Whether the tumour makes a hormone syndrome; unknown while the syndrome is unknown."""
    syndrome = fact("syndrome")
    return None if syndrome is None else syndrome != "none"


def metastatic(how: Derivation, fact: Lookup) -> Value | None:
    """M1 or stage IV; unknown while neither M nor stage is recorded."""
    m, stage = fact("m"), fact("stage")
    if m in (None, "X") and stage is None:
        return None
    return str(m).startswith("1") or str(stage).startswith("IV")


DERIVATIONS: dict[str, Callable[[Derivation, Lookup], Value | None]] = {
    "measured_grade": measured_grade,
    "grade": grade,
    "functional": functional,
    "metastatic": metastatic,
}
