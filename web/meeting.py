"""The team meeting: which cases, a page about each to print, and what was decided."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlmodel import Session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from tracker import casebook, meetings, overdue, pathways
from tracker.access import May
from tracker.casebook import CaseFile
from tracker.errors import ChangeRefused, UnknownThing
from tracker.meetings import Listed
from tracker.models import Case, Patient
from web import arguments, case_view, presenters
from web.access import case_unseen, needs, scope, shows, viewer
from web.desk import desk
from web.recording import Refused, new_token, record, say, today_at, way_back
from workflows.limits import iso_day
from workflows.records import Decision

pages = Blueprint("meeting", __name__, url_prefix="/team-meeting")

_FACTS = 14
_ITEMS = 4
_LONGEST = 5000


@dataclass(frozen=True, slots=True)
class Summary:
    """A case on one page: what the team has to know before it decides."""

    listed: Listed
    file: CaseFile
    state: str
    age: int | None
    facts: list[case_view.FactRow]
    staging: case_view.Staging | None
    lines: list[case_view.LineCard]
    items: list[case_view.OpenItem]
    warnings: list[case_view.WarningCard]
    decisions: list[Decision]
    steps: list[case_view.Step]
    may_write: bool
    token: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case that could be put on the list, and since when it waits."""

    case: Case
    patient: Patient
    state: str
    days: int
    may_write: bool


@pages.get("")
@needs(May.READ)
def index() -> str:
    """The list of a date, by default the next one for which there is one."""
    return _page(arguments.day("on"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed about a case, a question or a decision, and why it could not be kept."""

    ref: str = ""
    text: str = ""
    problem: str = ""


_NOTHING = Asked()


def _page(day: date | None, asked: Asked = _NOTHING, decided: Asked = _NOTHING) -> str:
    now = desk().now()
    with desk().database.reading() as session:
        days = overdue.days_of(session, now, scope())
        today = overdue.today_of(days, now)
        planned = meetings.dates(session, scope(), today)
        on = day or next(iter(planned), today)
        listed = meetings.on_list(session, on, scope())
        return render_template(
            "meeting.html",
            on=on,
            today=today,
            dates=planned,
            summaries=[_summary(session, item, now) for item in listed],
            waiting=list(_waiting(session, meetings.waiting(session, on, list(days)), on)),
            may_write=viewer().may(May.WRITE),
            asked=asked,
            decided=decided,
        )


def _summary(session: Session, listed: Listed, now: datetime) -> Summary:
    file = casebook.case_file(session, listed.ref, now=now)
    shows(file.row.id or 0, file.row.clinic_id)
    history, birth = file.plan.history, file.patient.birth_date
    return Summary(
        listed=listed,
        file=file,
        state=presenters.state_label(history.pathway, history.state),
        age=presenters.age(birth, file.today) if birth else None,
        facts=case_view.facts(history)[:_FACTS],
        staging=case_view.staging(history),
        lines=case_view.lines(history),
        items=case_view.open_items(file)[:_ITEMS],
        warnings=case_view.warnings(history),
        decisions=list(reversed(history.decisions)),
        steps=case_view.steps(history, file.today),
        may_write=viewer().may(May.WRITE, listed.clinic_id),
        token=new_token(),
    )


def _waiting(session: Session, found: Iterable[tuple[Case, Patient]], on: date) -> Iterable[Waiting]:
    for case, patient in found:
        state = presenters.state_label(pathways.pinned(session, case.pathway_digest), case.state)
        yield Waiting(case, patient, state, (on - case.since).days, viewer().may(May.WRITE, case.clinic_id))


# What is done here -----------------------------------------------------------------------------------------


@pages.post("/add")
@needs(May.WRITE)
def add() -> Response:
    """Put a case on the list of a date; what cannot be put there leaves the words on the form."""
    ref, on, question = _ref(), _on(), request.form.get("question", "").strip()
    try:
        with desk().writing() as writing:
            case_unseen(writing.session, ref, May.WRITE)
            meetings.add(writing, ref, on, today_at(ref), question)
    except NotFound:
        unknown = f"There is no case {ref} in your clinics. Give its reference, such as N-0012, and not a name."
        return make_response(_page(on, Asked(ref, question, unknown)), 404)
    except ChangeRefused as refusal:
        return make_response(_page(on, Asked(ref, question, _told(refusal.reasons))), 422)
    flash(f"{ref} is on the list of {presenters.when(on, today_at(ref))}.", "done")
    return _back(on)


def _told(reasons: Iterable[str]) -> str:
    return f"{presenters.sentence('; '.join(reasons))}."


@pages.post("/take-off")
@needs(May.WRITE)
def take_off() -> Response:
    """Take a case off the list of a date; where it is off already, as by a double click, that is all the same."""
    ref, on = _ref(), _on()
    with desk().writing() as writing:
        case_unseen(writing.session, ref, May.WRITE)
        with suppress(UnknownThing):
            meetings.take_off(writing, ref, on)
    flash(f"{ref} is no longer on the list.", "done")
    return _back(on)


@pages.post("/decide")
@needs(May.WRITE)
def decide() -> Response:
    """Record what the team decided about a case, and go on to the step on the pathway that follows from it, if any.

    The step is looked at before it is recorded, as everywhere, and leads back here. What cannot be recorded leaves the
    words on the form.
    """
    ref, on, text = _ref(), _on(), request.form.get("text", "").strip().replace("\r\n", "\n")
    if not 0 < len(text) <= _LONGEST:
        problem = f"A decision has at most {_LONGEST} characters." if text else "Say what was decided."
        return make_response(_page(on, decided=Asked(ref, text, problem)), 422)
    token = request.form.get("token", "")
    data = {"meeting_on": on.isoformat(), "text": text}
    outcome = record(ref, "decision:recorded", today_at(ref), data, version=None, token=token)
    if isinstance(outcome, Refused):
        return make_response(_page(on, decided=Asked(ref, text, _told(outcome.reasons))), 422)
    say(outcome, f"The decision about {ref} is recorded.", ref)
    step = request.form.get("step", "")
    if step in _steps_of(ref):
        here = url_for("meeting.index", on=on.isoformat(), _anchor=f"case-{ref}")
        return redirect(url_for("changes.move", ref=ref, trigger=step, on=on.isoformat(), back=here), 303)
    return _back(on)


def _steps_of(ref: str) -> set[str]:
    with desk().database.reading() as session:
        file = casebook.case_file(session, ref, now=desk().now())
    return {choice.trigger.id for choice in file.plan.history.choices(file.today)}


def _ref() -> str:
    return request.form.get("ref", "").strip()


def _on() -> date:
    try:
        return iso_day(request.form.get("on", ""))
    except ValueError:
        abort(400, "“on” must be a date such as 2026-03-01.")


def _back(on: date) -> Response:
    here = url_for("meeting.index", on=on.isoformat())
    return redirect(way_back(request.form.get("back"), here), 303)
