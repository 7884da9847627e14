"""Numbers as people write them, with either sign between whole and part."""

from __future__ import annotations

import re

_TWO_WAYS = re.compile(r"([1-9]\d{0,2})[.,](\d{3})")


def number(text: str) -> float:
    """``2``, ``2.5`` or ``2,5``; raises :class:`ValueError`, in words, for what is none or could be one of two."""
    two = _TWO_WAYS.fullmatch(text)
    if two is not None:
        raise ValueError(f"“{text}” can be read as {float(f'{two[1]}.{two[2]}'):g} or as {two[1]}{two[2]}: write which")
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"“{text}” is not a number") from None
