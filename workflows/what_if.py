"""What one plan has that another has not: the follow-ups that appear, move, end, or come back."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.planning import Plan
from workflows.series import FollowUp


@dataclass(frozen=True, slots=True)
class Shift:
    """An open follow-up whose dates change: as it is, and as it would be."""

    was: FollowUp
    becomes: FollowUp


@dataclass(frozen=True, slots=True)
class Difference:
    """What would happen to follow-ups, each list by due date. Those that end tell how; ``gone`` leave no trace."""

    appear: tuple[FollowUp, ...]
    move: tuple[Shift, ...]
    end: tuple[FollowUp, ...]
    gone: tuple[FollowUp, ...]

    def __bool__(self) -> bool:
        return bool(self.appear or self.move or self.end or self.gone)


def difference(before: Plan, after: Plan) -> Difference:
    """From one plan to the other."""
    was = {item.key: item for item in before.open_items}
    becomes = {item.key: item for item in after.open_items}
    ended = [item for key in was if key not in becomes and (item := after.follow_ups.get(key))]
    shifts = (Shift(was[key], item) for key, item in becomes.items() if key in was)
    return Difference(
        appear=tuple(item for key, item in becomes.items() if key not in was),
        move=tuple(shift for shift in shifts if _dates(shift.was) != _dates(shift.becomes)),
        end=tuple(sorted(ended, key=lambda item: (item.window.due_on, item.rule))),
        gone=tuple(item for key, item in was.items() if key not in after.follow_ups),
    )


def _dates(item: FollowUp) -> tuple[object, ...]:
    return (item.window, item.booked_for, item.snoozed_until)
