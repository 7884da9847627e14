"""A preview in words: the state, the follow-ups that appear, move or end, and the reminders that do not go out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tracker.preview import Preview
from tracker.words import count
from web import case_view, presenters
from web.presenters import Badge
from workflows.dates import in_words
from workflows.machine import FoundWarning
from workflows.pathway import Pathway
from workflows.series import FollowUp
from workflows.what_if import Shift


@dataclass(frozen=True, slots=True)
class ItemWords:
    """A follow-up that appears, moves or ends; ``note`` says how it ended, or from when it moved."""

    label: str
    title: str
    due_on: date
    was_due_on: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class WarningWords:
    """A warning that the change meets, and whether it still needs a reason."""

    id: str
    text: str
    found: str
    badges: list[Badge]
    answered: bool


@dataclass(frozen=True, slots=True)
class PreviewWords:
    """What would change, ready for a page.

    ``next`` is what is open then and due first; ``undone``: something ends that nobody has done.
    """

    state: str
    becomes: str
    appear: list[ItemWords]
    move: list[ItemWords]
    end: list[ItemWords]
    reminders: list[str]
    lines: list[str]
    warnings: list[WarningWords]
    next: ItemWords | None
    closes: bool
    undone: bool

    @property
    def changes_state(self) -> bool:
        return self.state != self.becomes

    @property
    def nothing(self) -> bool:
        return not (self.changes_state or self.appear or self.move or self.end or self.lines)


def present(seen: Preview) -> PreviewWords:
    """The preview in words."""
    pathway = seen.after.history.pathway
    return PreviewWords(
        state=presenters.state_label(pathway, seen.before.history.state),
        becomes=presenters.state_label(pathway, seen.after.history.state),
        appear=[_item(pathway, item) for item in seen.changes.appear],
        move=[_shift(pathway, shift) for shift in seen.changes.move],
        end=[_ended(pathway, item) for item in (*seen.changes.end, *seen.changes.gone)],
        reminders=_reminders(seen),
        lines=_lines(seen),
        warnings=[_warning(pathway, found, answered=found not in seen.unanswered) for found in seen.warnings],
        undone=any(item.status in ("superseded", "cancelled") for item in seen.changes.end),
        closes=seen.after.history.phase == "closed",
        next=next((_item(pathway, item) for item in seen.after.open_items), None),
    )


def _item(pathway: Pathway, item: FollowUp, note: str = "") -> ItemWords:
    label = presenters.activity_label(pathway, item.activity)
    return ItemWords(label, item.why.title, item.window.due_on, note=note)


def _shift(pathway: Pathway, shift: Shift) -> ItemWords:
    label = presenters.activity_label(pathway, shift.becomes.activity)
    was, becomes = shift.was.window.due_on, shift.becomes.window.due_on
    note = "" if was != becomes else "The appointment or the reminder moves; the due date stays."
    return ItemWords(label, shift.becomes.why.title, becomes, was, note)


def _ended(pathway: Pathway, item: FollowUp) -> ItemWords:
    how = "" if item.is_open else case_view.how_it_ended(item.status, item.end_reason)
    lost = (
        f"The appointment on {in_words(item.booked_for)} is no longer in the calendar"
        if item.booked_for and item.status != "done"
        else ""
    )
    return _item(pathway, item, ". ".join(words for words in (how, lost) if words))


def _reminders(seen: Preview) -> list[str]:
    found = []
    if seen.withheld:
        number = count(len(seen.withheld), "reminder")
        found.append(f"{number} whose day has come will be withheld: nobody is told any more.")
    if seen.dropped:
        found.append(f"{count(len(seen.dropped), 'later reminder')} will not be sent.")
    return found


def _lines(seen: Preview) -> list[str]:
    history, label = seen.before.history, seen.before.history.pathway.treatment_label
    return [label(line.treatment) for line in history.open_lines if line.number in seen.ends_lines]


def _warning(pathway: Pathway, found: FoundWarning, *, answered: bool) -> WarningWords:
    badges = presenters.badges(pathway, found.sources)
    return WarningWords(found.id, found.text, presenters.sentence(found.found), badges, answered)
