"""What the functional core refuses, in words a navigator can read."""

from __future__ import annotations


class Refused(Exception):
    """An event that would make the record untrue. ``reasons`` are complete sentences or clauses."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons: tuple[str, ...] = reasons
