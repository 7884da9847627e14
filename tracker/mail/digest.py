"""What a digest says. Nothing personal and nothing clinical: counts, dates, and links behind the tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from workflows.dates import in_words

_HEADINGS = {
    "escalate-clinician": "Overdue, to be escalated to the clinician",
    "escalate-lead": "Overdue, to be escalated to the clinic lead",
    "overdue": "Overdue",
    "due": "Due",
    "opens": "May be done from now on",
}

_AT_MOST = 20
"""Items named one by one under a heading; a longer list is read on the dashboard, not in a mail."""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One follow-up: the number of its case's row (not the patient's), the step reached, the due date."""

    case_id: int
    step: str
    due_on: date
    days_late: int


def compose(
    items: Sequence[DigestItem],
    sender: str,
    recipient: str,
    message_id: str,
    base_url: str,
    day: date,
    now: datetime,
) -> bytes:
    """The message as it will be sent, byte for byte."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = f"Follow-ups for {in_words(day)}: {len(items)} to look at"
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(items, base_url, day))
    return message.as_bytes()


def _text(items: Sequence[DigestItem], base_url: str, day: date) -> str:
    lines = [f"Follow-ups that need you, {in_words(day)}.", "", f"All of them, with reasons: {base_url}/", ""]
    known = [*_HEADINGS, *sorted({item.step for item in items} - _HEADINGS.keys())]
    for step in known:
        of_step = [item for item in items if item.step == step]
        if of_step:
            lines += [
                f"{_HEADINGS.get(step, step)} ({len(of_step)})",
                *_listed(of_step, base_url),
                "",
            ]
    lines.append("What the tracker shows is the truth; this message is only a copy of one moment.")
    return "\n".join(lines) + "\n"


def _listed(items: Sequence[DigestItem], base_url: str) -> list[str]:
    lines = [_line(item, base_url) for item in items[:_AT_MOST]]
    if len(items) > _AT_MOST:
        lines.append(f"  - and {len(items) - _AT_MOST} more: {base_url}/")
    return lines


def _line(item: DigestItem, base_url: str) -> str:
    late = f", {item.days_late} {'day' if item.days_late == 1 else 'days'} late" if item.days_late else ""
    return f"  - due {in_words(item.due_on)}{late}: {base_url}/go/{item.case_id}"
