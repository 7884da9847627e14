"""What forms change about a case. Each answers with the page it came from, or with the form and what is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from flask import Blueprint, abort, make_response, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from tracker import casebook, hand_overs
from tracker.access import May
from tracker.casebook import CaseFile
from tracker.conflicts import Contested, contested, matters
from tracker.preview import Preview, preview
from tracker.writing import writing
from web import arguments, checklists, fields, previews, recording, sheets, timeline
from web.access import case_for, needs, viewer
from web.desk import desk
from web.fields import Answers
from web.recording import Done, Refused, Repeated, Stale, new_token
from web.sheets import Sheet
from web.shell import name_of
from workflows.errors import Refused as DataRefused
from workflows.events import checked_data

pages = Blueprint("changes", __name__, url_prefix="/cases/<ref>")

_UNDONE = "Undone. The entry stays in the record, struck out."
_REASON = "reason."
"""Before the id of a warning, in the name of the field that takes the reason for it."""
_KEEP = "keep."
"""Before the name of a field, in the name of the choice between what is typed and what somebody else recorded."""


@pages.post("/undo")
@needs(May.WRITE)
def undo(ref: str) -> Response:
    """Take back an entry, with a reason."""
    reason = request.form.get("reason", "").strip() or "undone"
    event, token = request.form.get("event", ""), request.form.get("token", "")
    outcome = recording.undo(ref, event, reason, token=token)
    recording.say(outcome, _UNDONE)
    case = url_for("cases.show", ref=ref)
    return redirect(recording.way_back(request.form.get("back"), case), 303)


@pages.route("/move/<trigger>", methods=["GET", "POST"])
@needs(May.WRITE)
def move(ref: str, trigger: str) -> Response:
    """One step on the pathway: its form, then what would change, then it is recorded. ``on`` proposes its date."""
    day = arguments.day("on")
    return _serve(ref, lambda file: sheets.move(file, trigger, day))


@pages.route("/facts", methods=["GET", "POST"])
@needs(May.WRITE)
def facts(ref: str) -> Response:
    """Facts with their date; ``fact`` asks for one alone."""
    return _serve(ref, lambda file: sheets.facts(file, request.args.get("fact", "")))


@pages.route("/record/<what>", methods=["GET", "POST"])
@needs(May.WRITE)
def record(ref: str, what: str) -> Response:
    """An entry of another kind: a note, a contact, a test."""
    special = {"hand-over": _hand_over, "explain": _explain}
    make = special.get(what) or sheets.SHEETS.get(what) or abort(404)
    return _serve(ref, make)


def _explain(file: CaseFile) -> Sheet:
    return sheets.explain(file, request.args.get("warning", ""))


def _hand_over(file: CaseFile) -> Sheet:
    with desk().database.reading() as session:
        takers = hand_overs.successors(session, [file.row.clinic_id], "")
    return sheets.hand_over(file, {email: name_of(email) for email in takers})


@pages.route("/correct/<event>", methods=["GET", "POST"])
@needs(May.WRITE)
def correct(ref: str, event: str) -> Response:
    """Strike out an entry, after a look at what that would change."""
    return _serve(ref, lambda file: sheets.correct(file, event))


@pages.route("/carry/<other>/<event>", methods=["GET", "POST"])
@needs(May.WRITE)
def carry(ref: str, other: str, event: str) -> Response:
    """Record an entry of a merged record on this one as well."""
    return _serve(ref, lambda file: sheets.carry(file, _file(other), event))


# The way of a form -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it came: what it asks, what it says, and the event that this makes."""

    file: CaseFile
    sheet: Sheet
    on: date
    data: dict[str, Any]
    reasons: dict[str, str]
    token: str
    version: int

    @property
    def whole(self) -> dict[str, Any]:
        return self.data | ({"reasons": self.reasons} if self.reasons else {})

    @property
    def mark(self) -> str:
        """What the preview was of; a form that says something else has to be previewed again."""
        said = json.dumps([self.on.isoformat(), self.data], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:20]


def _serve(ref: str, make: Callable[[CaseFile], Sheet | None]) -> Response:
    file = _file(ref)
    sheet = make(file)
    if sheet is None:
        abort(404)
    if request.method == "GET":
        return _page(file, sheet, _token(sheet))
    answers = _answers(file, sheet)
    sheet = sheets.filled(sheet, answers.fields)
    if answers.problems:
        return _page(file, sheet, _token(sheet), status=422)
    if set(answers.data) <= {"on"} and sheet.kind == "fact:recorded":
        if any(name.startswith(_KEEP) for name in request.form):
            recording.say(Refused(("nothing of yours was left to record",)), "")
            return redirect(url_for("cases.show", ref=ref, _anchor="said"), 303)
        return _page(file, sheet, _token(sheet), reasons=("nothing is filled in",), status=422)
    on, data = sheet.event(answers.data)
    return _take(Filled(file, sheet, on, data, _reasons(), request.form.get("token", ""), _version(file)))


def _file(ref: str) -> CaseFile:
    with desk().database.reading() as session:
        case_for(session, ref, May.WRITE)
        return casebook.case_file(session, ref, now=desk().now())


def _answers(file: CaseFile, sheet: Sheet) -> Answers:
    """What was typed, without what was given up for somebody else's."""
    form = {k: v for k, v in request.form.items() if request.form.get(_KEEP + k.removeprefix(fields.UNKNOWN)) != "drop"}
    return fields.read(file.plan.history.pathway, sheet.all_fields, form)


def _reasons() -> dict[str, str]:
    found = {k.removeprefix(_REASON): v.strip() for k, v in request.form.items() if k.startswith(_REASON)}
    return {warning: reason for warning, reason in found.items() if reason}


def _version(file: CaseFile) -> int:
    given = request.form.get("version", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else file.row.version


def _take(form: Filled) -> Response:
    """Record the form, unless it was recorded before, the case has moved on, or nobody has seen what it would do."""
    if form.sheet.versioned and not _was_recorded(form):
        since = [event for event in form.file.events if event.seq > form.version]
        if matters(since):
            return _conflict(form)
        if form.sheet.blocked:
            return _page(form.file, form.sheet, _token(form.sheet), reasons=(form.sheet.blocked,), status=422)
        if form.sheet.previewed and request.form.get("seen") != form.mark:
            return _preview(form)
    return _record(form)


def _was_recorded(form: Filled) -> bool:
    return any(event.id == f"f-{form.token}" for event in form.file.events)


def _record(form: Filled) -> Response:
    version = form.file.row.version if form.sheet.versioned else None
    ref = form.file.row.ref
    outcome = recording.record(ref, form.sheet.kind, form.on, form.whole, version=version, token=form.token)
    if isinstance(outcome, Done | Repeated):
        recording.say(outcome, form.sheet.said, "" if form.sheet.kind == "event:corrected" else ref)
        case = url_for("cases.show", ref=ref, _anchor="said")
        return redirect(recording.way_back(request.args.get("back"), case), 303)
    if isinstance(outcome, Stale):  # somebody was quicker by an instant
        return _take(replace(form, file=_file(ref)))
    return _page(form.file, form.sheet, _token(form.sheet), reasons=_in_words(form, outcome.reasons), status=422)


def _in_words(form: Filled, reasons: Iterable[str]) -> tuple[str, ...]:
    """The reasons with the step called as on the page, where the core calls it by its code."""
    code = f"{form.sheet.trigger} "
    return tuple(f"“{form.sheet.title}” {r.removeprefix(code)}" if r.startswith(code) else r for r in reasons)


# Pages -------------------------------------------------------------------------------------------------------


def _page(
    file: CaseFile, sheet: Sheet, token: str, *, reasons: tuple[str, ...] = (), status: int = 200, **more: Any
) -> Response:
    history = file.plan.history
    page = render_template(
        "sheet.html",
        file=file,
        sheet=sheet,
        history=history,
        pathway=history.pathway,
        today=file.today,
        state=history.pathway.state_named[history.state],
        token=token,
        version=file.row.version,
        refused=reasons,
        checklists=checklists.before(history, sheet.trigger),
        guidance=checklists.guidance_before(history, sheet.trigger),
        **more,
    )
    return make_response(page, status)


def _token(sheet: Sheet) -> str:
    return sheet.token or new_token()


def _look(form: Filled) -> Preview:
    place = desk()
    with place.database.reading() as session:
        case = case_for(session, form.file.row.ref, May.WRITE)
        asked = writing(session, actor=viewer().email, now=place.now(), secret=place.secret)
        return preview(asked, case, kind=form.sheet.kind, on=form.on, data=form.whole)


def _preview(form: Filled) -> Response:
    """What would change. Nothing is written yet; a warning asks for its reason here."""
    seen = _look(form)
    if seen.refused:
        return _page(form.file, form.sheet, _token(form.sheet), reasons=_in_words(form, seen.refused), status=422)
    shown = previews.present(seen)
    return _page(
        form.file, form.sheet, form.token or _token(form.sheet), shown=shown, mark=form.mark, given=form.reasons
    )


def _conflict(form: Filled) -> Response:
    """Somebody changed the case since the form was shown: who, what, and what of the form still applies."""
    file, pathway = form.file, form.file.plan.history.pathway
    since = {event.id for event in file.events if event.seq > form.version}
    entries = [entry for entry in timeline.entries(file) if entry.id in since]
    told = [field for field in form.sheet.all_fields if field.name in form.data]
    rows = contested(file.events, form.version, {field.name: form.data[field.name] for field in told if field.fact})
    others = [(f.label, fields.words_of(pathway, f.name, form.data[f.name])) for f in told if not f.fact]
    page = render_template(
        "changed.html",
        file=file,
        sheet=form.sheet,
        history=file.plan.history,
        state=pathway.state_named[file.plan.history.state],
        today=file.today,
        since=entries,
        rows=[_contested_words(form, row) for row in rows],
        others=others,
        on=form.on,
        token=_token(form.sheet),
        version=file.row.version,
        impossible=_impossible(form),
        reasons=form.reasons,
    )
    return make_response(page, 409)


@dataclass(frozen=True, slots=True)
class ContestedWords:
    """A contested value in words."""

    row: Contested
    label: str
    before: str
    theirs: str
    yours: str


def _contested_words(form: Filled, row: Contested) -> ContestedWords:
    pathway = form.file.plan.history.pathway

    def words(value: Any, known: bool) -> str:
        return fields.words_of(pathway, row.name, value) if known else "not recorded"

    return ContestedWords(
        row,
        pathway.fact_label(row.name),
        words(row.before, row.known_before),
        words(row.theirs, row.known_now),
        words(row.yours, known=True),
    )


def _impossible(form: Filled) -> tuple[str, ...]:
    """Why what was typed cannot be recorded on the case as it is now, if that is so."""
    if form.sheet.blocked:
        return (form.sheet.blocked,)
    try:
        checked_data(form.file.plan.history.pathway, form.sheet.kind, form.whole)
    except DataRefused as refusal:
        return refusal.reasons
    return _look(form).refused
