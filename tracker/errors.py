"""What the tracker refuses, in words that a person can act on. Edges turn these into exit codes and pages."""

from __future__ import annotations

from dataclasses import dataclass


class TrackerError(Exception):
    """Something a user can mend. ``reasons`` are complete sentences or clauses."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons: tuple[str, ...] = reasons


class ChangeRefused(TrackerError):
    """The event would make the record untrue, or a warning has not been answered."""


class UnknownThing(TrackerError):
    """No such case, clinic, person or pathway."""


class StaleVersion(TrackerError):
    """Somebody else changed the case, or the settings, since they were read."""


class WrongSetting(TrackerError):
    """A setting, a key file or a database that cannot be used."""


@dataclass(frozen=True, slots=True)
class LineProblem:
    """Why one line of an input is refused; ``line`` counts from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


class InputRefused(TrackerError):
    """An input of which some lines are refused; nothing of it has been applied."""

    def __init__(self, problems: list[LineProblem]) -> None:
        super().__init__(*(str(problem) for problem in problems))
        self.problems = problems
