"""Recording what a form asks for: once, as the person signed in, and with a way back.

A form carries ``token`` (:func:`new_token`) and, where the change depends on what the case was like, ``version``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from flask import flash

from tracker import casebook, cases, pathways
from tracker.access import May
from tracker.acts import RESTS_ON_IT
from tracker.clock import local_date
from tracker.conflicts import rests_on
from tracker.once import Done, Outcome, Refused, Repeated, Stale, new_token, record_once
from tracker.places import case_rows
from web.access import case_for, scope
from web.desk import desk
from web.presenters import sentence

__all__ = ["Done", "Outcome", "Refused", "Repeated", "Stale", "new_token", "record", "say", "today_at", "undo"]


def record(ref: str, kind: str, on: date, data: dict[str, Any], *, version: int | None, token: str) -> Outcome:
    """Record one event of a case; raises :class:`tracker.errors.UnknownThing` where there is no such case.

    ``version``: the case as the form showed it; None for what holds whatever else happened, such as a note.
    """
    with desk().writing() as writing:
        case_for(writing.session, ref, May.WRITE)
        return record_once(writing, ref=ref, kind=kind, on=on, data=data, version=version, token=token)


def undo(ref: str, event_id: str, reason: str, *, token: str) -> Outcome:
    """Take back an event by a correction, dated today at the clinic.

    A history that needs the event refuses, and so does one in which something rests on it by now.
    """
    data, today = {"event": event_id, "reason": reason}, today_at(ref)
    with desk().writing() as writing:
        case_for(writing.session, ref, May.WRITE)
        case = cases.locked(writing.session, ref)  # so that nothing comes between the look and the correction
        pathway = pathways.pinned(writing.session, case.pathway_digest)
        if rests_on(pathway, cases.events_of(writing.session, case), [event_id]) is not None:
            return Refused((RESTS_ON_IT,))
        return record_once(writing, ref=ref, kind="event:corrected", on=today, data=data, version=None, token=token)


def today_at(ref: str) -> date:
    """The day at the clinic of a case."""
    with desk().database.reading() as session:
        return local_date(desk().now(), casebook.timezone_of(session, ref))


def say(outcome: Outcome, words: str, ref: str = "") -> None:
    """Tell on the next page what became of a form; what was recorded on the case ``ref`` can be undone from there.

    ``words`` say what was done. A double click is answered like a single one.
    """
    if isinstance(outcome, Done | Repeated):
        message: Any = {"words": words, "ref": ref, "event": outcome.event_id if ref else ""}
        flash(message, "done")
    elif isinstance(outcome, Stale):
        flash("Somebody changed the case in the meantime. Look at it again.", "refused")
    else:
        flash(f"{sentence('; '.join(outcome.reasons))}.", "refused")


def say_of(ref: str, words: str, undo: list[str]) -> None:
    """The same of several entries, ``case~entry`` each. The page that follows adds whose case ``ref`` is: what is
    flashed lies in the browser, where no name belongs.
    """
    message: Any = {"words": words, "about": ref, "undo": undo}
    flash(message, "done")


def patient_of(ref: str) -> str:
    """The name of a patient whose case the person may see, or their reference."""
    with desk().database.reading() as session:
        row = session.execute(case_rows(replace(scope(), case=ref))).first()
    return str(row.Patient.name or row.Patient.ref) if row else ref


def way_back(given: str | None, otherwise: str) -> str:
    """Where a form leads back to: a page of ours that it names, or else another one."""
    given = given or ""
    strange = "\\" in given or not given.isprintable()  # a browser reads the one as a slash; no header holds the other
    ours = given.startswith("/") and not given.startswith("//")
    return given if ours and not strange else otherwise
