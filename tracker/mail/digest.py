"""What a digest says. Nothing personal and nothing clinical: counts, dates, and links behind the tracker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from workflows.dates import in_words

_OF_ACTIVITY = {
    "hold-review": "On hold, up for review",
    "plan-needed": "Without a next step",
}
_OF_STEP = {
    "escalate-clinician": "Overdue, escalated to the clinician",
    "escalate-lead": "Overdue, escalated to the clinic lead",
    "overdue": "Overdue",
    "due": "Due",
    "opens": "New: may be done from now on",
}
_AFTER_A_PAUSE = {
    "handed": "Handed over to you",
    "booked": "The appointment has passed, and nothing is recorded",
    "snoozed": "Put off until now",
}
_NOBODY_NAMED = "Overdue, and the clinic names nobody to escalate to"
_NOBODY_FOLLOWS = "Of cases that no navigator looks after"
_TOLD_LATE = "Late: this should have reached you before today"
_ORDER = (
    _TOLD_LATE,
    _NOBODY_NAMED,
    _NOBODY_FOLLOWS,
    *_AFTER_A_PAUSE.values(),
    *_OF_STEP.values(),
    *_OF_ACTIVITY.values(),
)

_WIRE = compat32.clone(linesep="\r\n", max_line_length=998)
"""The older of the two ways to write a message is some ten times faster; all that a digest holds is plain ASCII."""

_AT_MOST = 20
"""Items named one by one under a heading; a longer list is read on the dashboard, not in a mail."""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One follow-up: the number of its case's row (not the patient's), the step reached, the due date.

    ``told_late``: it could have been told on an earlier day. ``as_named``: it goes to whom the step means.
    """

    case_id: int
    activity: str
    step: str
    due_on: date
    days_late: int
    told_late: bool = False
    as_named: bool = True


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything that a digest is made of."""

    sender: str
    recipient: str
    message_id: str
    base_url: str
    day: date
    written_at: datetime
    items: Sequence[DigestItem]
    overdue_in_all: int = 0
    may_be_a_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One item in words, and where it is to be seen."""

    words: str
    link: str


@dataclass(frozen=True, slots=True)
class Section:
    """Items under one heading; ``more`` of them are not named."""

    heading: str
    number: int
    lines: list[Line]
    more: int


def compose(letter: Letter) -> bytes:
    """The message as it will be sent, byte for byte: plain text, and the same as HTML."""
    sections = list(_sections(letter))
    about = {"letter": letter, "sections": sections, "day": in_words(letter.day), "notes": list(_notes(letter))}
    message = MIMEMultipart("alternative", boundary=f"=={letter.message_id.strip('<>').partition('@')[0]}==")
    message["From"] = letter.sender
    message["To"] = letter.recipient
    message["Subject"] = _subject(letter)
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    for subtype, template in (("plain", "digest.txt"), ("html", "digest.html")):
        text = _template(template).render(about)
        message.attach(MIMEText(text, subtype, "us-ascii" if text.isascii() else "utf-8"))
    return message.as_bytes(policy=_WIRE)


def _subject(letter: Letter) -> str:
    again = "Perhaps once more: " if letter.may_be_a_repeat else ""
    return f"{again}Follow-ups for {in_words(letter.day)}: {len(letter.items)} to look at"


def _notes(letter: Letter) -> Iterator[str]:
    if letter.may_be_a_repeat:
        yield "You may have received this before: the mail server did not say whether it had."
    if any(item.told_late for item in letter.items):
        yield "Some of this comes late: the tracker or the mail server did not work on the day it was meant for."
    if letter.overdue_in_all:
        yield f"Overdue in all, with what you were told before: {letter.overdue_in_all}."


def _sections(letter: Letter) -> Iterator[Section]:
    by_heading: dict[str, list[DigestItem]] = {}
    for item in letter.items:
        by_heading.setdefault(_heading(item), []).append(item)
    order = [*_ORDER, *sorted(by_heading.keys() - set(_ORDER))]
    for heading in order:
        found = by_heading.get(heading, [])
        if found:
            lines = [_line(item, letter.base_url) for item in found[:_AT_MOST]]
            yield Section(heading, len(found), lines, len(found) - len(lines))


def _heading(item: DigestItem) -> str:
    if item.told_late:
        return _TOLD_LATE
    if not item.as_named:
        return _NOBODY_NAMED if item.step.startswith("escalate-") else _NOBODY_FOLLOWS
    if item.step in ("opens", "due") or item.activity == "plan-needed":
        return _OF_ACTIVITY.get(item.activity) or _OF_STEP.get(item.step, item.step)
    return _AFTER_A_PAUSE.get(item.step.partition("-")[0]) or _OF_STEP.get(item.step, item.step)


def _line(item: DigestItem, base_url: str) -> Line:
    late = f", {item.days_late} {'day' if item.days_late == 1 else 'days'} late" if item.days_late else ""
    return Line(f"due {in_words(item.due_on)}{late}", f"{base_url}/go/{item.case_id}")


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
