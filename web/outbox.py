"""The outbox: what is in question, what waits, what went, and what people have decided about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import alarms, heartbeats, messages, outbox
from tracker.access import May
from tracker.errors import ChangeRefused
from tracker.mail import ways
from tracker.messages import Message
from tracker.models import AuditEntry
from tracker.quiet import Away, Muted, Quiet, quiet
from tracker.words import count
from tracker.working_days import weekdays_in_words
from tracker.writing import Writing
from web import arguments, presenters
from web.access import needs, viewer
from web.desk import desk
from workflows.dates import in_words

pages = Blueprint("outbox", __name__, url_prefix="/outbox")

PAGE = 25
AT_ONCE = 100
"""Messages in question, or waiting, that are shown; there are as many as people."""
BY_HAND = 10

# Messages in words -----------------------------------------------------------------------------------------

_STATES = {
    "queued": "Ready to go",
    "retry_wait": "Will be tried again",
    "claimed": "In hand",
    "transmitting": "Leaving just now",
    "rejected": "Refused",
    "uncertain": "In doubt",
    "sent": "Sent",
    "cancelled": "Not sent",
}
_MEANINGS = {
    "rejected": "The mail server does not take it. Nobody has been told what it tells.",
    "uncertain": "All of it was handed over, and no answer came back. It may have arrived or not.",
}
_STAGES = {
    "MAIL was refused": "the mail server refused the sender",
    "RCPT was refused": "the mail server refused the recipient's address",
    "DATA was refused": "the mail server refused to take a message",
    "AUTH was refused": "the mail server refused the account or its password",
}
_SETTLED_BY = {
    "system:delivery": "",
    "system:journal": "Found in the journal of arrivals.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A message in words. ``reason``: of its last failure, or why it was not sent."""

    message: Message
    state: str
    meaning: str
    tells: str
    reason: str
    settled: str


def present(message: Message) -> Row:
    """What the page says of a message."""
    follow_ups, reminders = count(message.items, "follow-up"), count(message.reminders, "reminder")
    return Row(
        message,
        _STATES[message.state],
        _MEANINGS.get(message.state, ""),
        f"{reminders} of {follow_ups}",
        _reason(message.problem or ""),
        _settled(message),
    )


def _reason(problem: str) -> str:
    """A transport's words, with what its commands are about; the number is for whoever looks after the server."""
    for stage, words in _STAGES.items():
        problem = problem.replace(stage, words, 1)
    return presenters.sentence(problem)


def _settled(message: Message) -> str:
    again = "Sent more than once; marked as a possible repeat. " if message.repeat else ""
    by = message.settled_by or ""
    if message.state == "cancelled":
        return f"Given up by {by}." if by else ""
    return again + _SETTLED_BY.get(by, f"Said to have arrived by {by}." if by else "")


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a message."""

    at: datetime
    actor: str
    what: str
    subject: str


_DECISIONS = {
    "mail:sent-again": "Sent again",
    "mail:arrived": "Said to have arrived",
    "mail:given-up": "Given up; told in the next digest",
}


def _decision(entry: AuditEntry) -> Decision:
    was = _STATES.get(json.loads(entry.data).get("was", ""), "").lower()
    what = f"{_DECISIONS[entry.kind]}; before that: {was}" if was else _DECISIONS[entry.kind]
    return Decision(entry.at, entry.actor, what, entry.subject)


# What is muted ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hush:
    """Something that is not told, or told to somebody else, and why that is so."""

    clinic: str
    who: str
    words: str


def hushes(found: Quiet) -> list[Hush]:
    """Who is away, who hears less, and what was put off, in words."""
    away = [Hush(one.clinic, one.email, f"Away until {in_words(one.until_on)}; {_hears(one)}.") for one in found.away]
    muted = [Hush(one.clinic, one.email, f"{_days(one)}.") for one in found.muted]
    snoozed = [
        Hush(one.clinic, "", f"{count(one.items, 'follow-up')} put off, until {in_words(one.until)} at the latest.")
        for one in found.snoozed
    ]
    return [*away, *muted, *snoozed]


def _hears(one: Away) -> str:
    return (
        "nobody stands in, so mail goes to them all the same"
        if one.hears == one.email
        else f"{one.hears} hears instead"
    )


def _days(one: Muted) -> str:
    return f"A digest on {weekdays_in_words(one.hears_on)} only" if one.hears_on else "No digest"


# The machinery ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beat:
    """When a part of the machinery last finished its work."""

    part: str
    at: datetime | None


def _beats(session: Session) -> list[Beat]:
    parts = {"tick": "Last tick", "delivery": "Last round of delivery"}
    return [Beat(words, heartbeats.last(session, part)) for part, words in parts.items()]


# The page --------------------------------------------------------------------------------------------------


@pages.get("")
@needs(May.READ)
def index() -> str:
    """What is in question first, as work to do; then what waits, what went, and how the machinery stands."""
    place = desk()
    after, mine = arguments.number("after"), viewer().clinics(May.READ)
    with place.database.reading() as session:
        question, waiting = messages.in_question(session, AT_ONCE, mine), messages.waiting(session, AT_ONCE, mine)
        settled = messages.settled(session, after, PAGE, mine)
        check = alarms.last_check(session)
        return render_template(
            "outbox.html",
            now=place.now(),
            first_part=after is None,
            question=[present(message) for message in question.items],
            in_question=question.number,
            waiting=[present(message) for message in waiting.items],
            in_waiting=waiting.number,
            settled=[present(message) for message in settled.items],
            after=settled.after,
            decisions=[_decision(entry) for entry in messages.settled_by_hand(session, BY_HAND, mine)],
            beats=_beats(session),
            way_out=ways.way_out(place.settings),
            way_back=ways.way_back(place.settings),
            mail_off=place.settings.mail_off,
            hushes=hushes(quiet(session, place.now(), mine)),
            check=check,
            findings=alarms.findings_of(check),
        )


# Decisions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Act:
    """What a button does, and what is said when it is done."""

    do: Callable[[Writing, int], None]
    said: str


_ACTS = {
    "send-again": Act(outbox.send_again, "The message is sent again within a minute, while the scheduler runs."),
    "arrived": Act(outbox.settle_as_arrived, "The message counts as sent, and what it tells as told."),
    "tell-in-next": Act(
        outbox.tell_in_next,
        "The message is given up. What it tells goes into the next digest of whoever is to hear it.",
    ),
}


@pages.post("/<int(max=2147483647):number>/<any('send-again', 'arrived', 'tell-in-next'):act>")
@needs(May.WRITE)
def decide(number: int, act: str) -> Response:
    """Do what the button says, unless the message is no longer as the page showed it; then back to the page."""
    try:
        with desk().writing() as writing:
            _require_mine(messages.clinic_of(writing.session, number))
            messages.require_unchanged(writing.session, number, request.form.get("seen", ""))
            _ACTS[act].do(writing, number)
    except ChangeRefused as refusal:
        flash(f"{presenters.sentence('; '.join(refusal.reasons))}.", "refused")
    else:
        flash(_ACTS[act].said, "done")
    return redirect(url_for("outbox.index", _anchor="said"), 303)


def _require_mine(clinic_id: int | None) -> None:
    """Another clinic's message does not exist."""
    if clinic_id is None or not viewer().may(May.READ, clinic_id):
        abort(404)
    if not viewer().may(May.WRITE, clinic_id):
        abort(403)
