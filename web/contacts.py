"""Contacts with a patient and notes about them: one vocabulary for every form, and what was recorded in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from tracker.casebook import CaseFile
from web.presenters import sentence
from workflows.events import Event, effective

CHANNELS = {
    "phone": "Phone",
    "video": "Video",
    "text-message": "Text message",
    "e-mail": "E-mail",
    "letter": "Letter",
    "in-person": "In person",
    "relative": "Through a relative",
    "family-doctor": "Through the family doctor",
}
"""Ways to reach somebody. A case is lost only after tries by several of them, so every form has the same ones."""
OUTCOMES = {
    "reached": "Reached",
    "agreed": "Agreed to the next step",
    "no-answer": "No answer",
    "call-later": "Asked to be called later",
    "declined": "Declined",
    "wrong-number": "Wrong number",
}


def channel_label(name: str) -> str:
    """How a channel is called; a journal may bring others."""
    return CHANNELS.get(name) or sentence(name.replace("-", " "))


def outcome_label(name: str) -> str:
    """How an outcome is called; a journal may bring others."""
    return OUTCOMES.get(name) or sentence(name.replace("-", " "))


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A try to reach the patient in words, with what was said."""

    on: date
    channel: str
    outcome: str
    note: str
    by: str


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note, and who wrote it."""

    on: date
    text: str
    by: str


def contacts(file: CaseFile) -> list[ContactRow]:
    """Every contact that counts, the latest first."""
    return [
        ContactRow(
            event.on,
            channel_label(event.data["channel"]),
            outcome_label(event.data["outcome"]),
            event.data.get("note", ""),
            event.actor,
        )
        for event in _latest_first(file.events, "contact:attempted")
    ]


def notes(file: CaseFile) -> list[NoteRow]:
    """Every note that counts, the latest first."""
    return [NoteRow(event.on, event.data["text"], event.actor) for event in _latest_first(file.events, "note:added")]


def _latest_first(events: Iterable[Event], kind: str) -> Iterator[Event]:
    return (event for event in sorted(effective(events), key=lambda e: e.order, reverse=True) if event.kind == kind)
