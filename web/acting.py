"""Doing something about follow-ups: the form of an act, on a page or in its line; several at once; and undoing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import acts as services
from tracker import cases, colleagues, pathways, worklist
from tracker.access import May
from tracker.acts import Applied, Target
from tracker.errors import ChangeRefused
from tracker.models import FollowUpRow
from tracker.once import new_token
from tracker.words import count
from tracker.worklist import WorkItem
from web import fields, presenters, recording
from web.access import case_for, needs, scope
from web.acts import ACTS, Act, Subject
from web.columns import COLUMNS, chosen_columns
from web.desk import desk
from web.fields import Field
from web.worklist import Row, present
from workflows.limits import row_number

pages = Blueprint("acting", __name__)

AT_ONCE = 200
"""Follow-ups that one form can be about."""
_IN_LINE = "HX-Request"
"""Sent by the script that puts a form into the line it is about."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of an act as it is shown: what it asks, what was typed, and what is wrong with it."""

    act: Act
    row: Row
    fields: Sequence[Field]
    token: str
    back: str
    reasons: Sequence[str] = ()

    @property
    def action(self) -> str:
        return url_for("acting.one", ref=self.row.item.due.place.ref, act=self.act.name, item=self.row.target)


# One follow-up ---------------------------------------------------------------------------------------------


@pages.get("/cases/<ref>/acts/<act>")
@needs(May.WRITE)
def form(ref: str, act: str) -> Response:
    """The form of an act: a page, or its part for the line of a list."""
    what, target = _act(act), _target(request.args.get("item", ""))
    with desk().database.reading() as session:
        case = case_for(session, ref, May.WRITE)
        row = _row(session, target.id)
        if row is None or row.item.case_id != case.id:
            return _too_late(ref, target)
        if what not in row.acts:
            return _elsewhere(ref)
        asked = what.ask(_subject(session, row.item))
        return _show(Form(what, row, asked, new_token(), _back(ref)))


@pages.post("/cases/<ref>/acts/<act>")
@needs(May.WRITE)
def one(ref: str, act: str) -> Response:
    """Record an act on one follow-up; what is wrong with it is said beside what was typed."""
    what, target = _act(act), _target(request.args.get("item", ""))
    token = request.form.get("token", "")
    with desk().database.reading() as session:
        case = case_for(session, ref, May.WRITE)
        late = _row(session, target.id) is None
        row = _row(session, target.id, settled=True)
        if row is None:
            return _too_late(ref, target)
        if row.item.case_id != case.id:
            abort(404)
        subject = _subject(session, row.item)
    if what not in row.acts:
        return _elsewhere(ref)
    answers = fields.read(subject.pathway, what.ask(subject), request.form)
    if answers.problems:
        shown = Form(what, row, answers.fields, token, _back(ref))
        return _too_late(ref, target) if late else _show(shown, refused=True)
    try:
        done = _apply(what, ref, [target], subject, answers.data, token)
    except ChangeRefused as refusal:
        shown = Form(what, row, answers.fields, new_token(), _back(ref), refusal.reasons)
        return _too_late(ref, target) if late else _show(shown, refused=True)
    return _tell(what, ref, target, row.label, done)


def _apply(
    act: Act, ref: str, targets: Sequence[Target], subject: Subject, answers: Mapping[str, Any], token: str
) -> Applied:
    """One transaction: all of it, or, where anything is refused, nothing."""
    if not act.moves:
        targets = [Target(target.id) for target in targets]
    with desk().writing() as writing:
        return services.apply(
            writing,
            ref=ref,
            targets=targets,
            make=lambda rows: act.make(answers, rows, subject),
            holds=act.holding(answers),
            token=token,
        )


def _act(name: str) -> Act:
    return ACTS.get(name) or abort(404)


def _target(text: str) -> Target:
    number, _, day = text.partition("~")
    try:
        return Target(row_number(number), date.fromisoformat(day) if day else None)
    except ValueError:
        abort(400, "Which follow-up is meant is not said in the expected form. Open the list again.")


def _row(session: Session, number: int, *, settled: bool = False) -> Row | None:
    """The line of an open follow-up, or of one that may be ``settled``, in a clinic where the person may record."""
    found = worklist.items(session, desk().now(), scope(May.WRITE), [number], settled=settled)
    return present(session, found)[0] if found else None


def _subject(session: Session, item: WorkItem) -> Subject:
    case = cases.find(session, item.due.place.ref)
    history = cases.view(session, case).history
    return Subject(
        pathway=history.pathway,
        today=item.today,
        activities=(item.due.activity,),
        colleagues=colleagues.navigators(session, item.clinic_id),
        navigator=item.due.place.navigator or "",
        history=history,
    )


def _back(ref: str) -> str:
    given = request.values.get("back")
    return recording.way_back(given, url_for("cases.show", ref=ref))


def _show(form: Form, *, refused: bool = False) -> Response:
    """The form; in a line it takes the place of the one that was there, refused or not."""
    if request.headers.get(_IN_LINE) != "true":
        return make_response(render_template("act.html", form=form), 422 if refused else 200)
    answer = make_response(render_template("act_form.html", form=form, in_line=True))
    answer.headers["HX-Retarget"] = f"#act-{form.row.item.id}"
    answer.headers["HX-Reswap"] = "innerHTML show:none"
    return answer


def _tell(act: Act, ref: str, target: Target, label: str, done: Applied) -> Response:
    """What was recorded, with a way to undo it: in the line itself, or on the page that the person came from."""
    words = f"{act.said}: {label}"
    undo = [f"{ref}~{event}" for event in done.events]
    if request.headers.get(_IN_LINE) != "true":
        recording.say_of(ref, words, undo)
        return redirect(_back(ref) + "#said", 303)
    with desk().database.reading() as session:
        row = _row(session, target.id)
        columns = chosen_columns(session, len(scope(May.READ).clinics or ()))
    told = f"{words} for {recording.patient_of(ref)}."
    known = {"row": row, "target": target, "words": told, "undo": undo, "back": _back(ref)}
    return make_response(render_template("worklist_line.html", **known, columns=columns, all_columns=COLUMNS))


def _elsewhere(ref: str) -> Response:
    """To where the case is moved: nothing else settles this follow-up."""
    flash(f"{presenters.sentence(_NOT_HERE)}.", "refused")
    where = url_for("cases.show", ref=ref) + "#steps"
    if request.headers.get(_IN_LINE) != "true":
        return redirect(where, 303)
    return make_response("", {"HX-Redirect": where})


# Too late --------------------------------------------------------------------------------------------------


def _too_late(ref: str, target: Target) -> Response:
    """Who was faster, kindly; nothing has to be done any more."""
    with desk().database.reading() as session:
        words = _who_was_faster(session, ref, target)
    if request.headers.get(_IN_LINE) != "true":
        flash(words, "refused")
        return redirect(_back(ref) + "#said", 303)
    answer = make_response(
        render_template("worklist_line.html", row=None, target=target, words=words, undo=[], back="", late=True)
    )
    answer.headers["HX-Retarget"] = f"#item-{target.id}"
    answer.headers["HX-Reswap"] = "outerHTML show:none"
    return answer


def _who_was_faster(session: Session, ref: str, target: Target) -> str:
    row = session.get(FollowUpRow, target.id)
    case = cases.find(session, ref)
    if row is None or row.case_id != case.id:
        return "This follow-up is no longer planned. Somebody has changed the case in the meantime."
    label = presenters.activity_label(pathways.pinned(session, case.pathway_digest), row.activity)
    return f"{label}: {services.ended(row, cases.events_of(session, case))}."


# Several at once -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the follow-ups of one case."""

    rows: Sequence[Row]
    reasons: Sequence[str] = ()


@pages.post("/worklist/acts/<act>")
@needs(May.WRITE)
def several(act: str) -> Response:
    """The form of an act for all the lines that were ticked; sent a second time, it is recorded, case by case."""
    what = _act(act)
    targets = [_target(text) for text in request.form.getlist("item")[:AT_ONCE]]
    back = recording.way_back(request.form.get("back"), url_for("worklist.index"))
    if not targets:
        flash("No line was ticked. Tick the lines that you mean, and then choose what to do.", "refused")
        return redirect(back + "#said", 303)
    with desk().database.reading() as session:
        token = request.form.get("token", "") or new_token()
        rows = _rows(session, targets, token)
        subject = _common_subject(session, rows)
    known = {"act": what, "rows": rows, "gone": len(targets) - len(rows), "back": back}
    if "confirmed" not in request.form or not rows:
        return make_response(render_template("acts.html", **known, fields=what.ask(subject), token=token))
    answers = fields.read(subject.pathway, what.ask(subject), request.form)
    if answers.problems:
        return make_response(render_template("acts.html", **known, fields=answers.fields, token=token), 422)
    results, undo = _apply_each(what, rows, targets, subject, answers.data, token)
    return make_response(render_template("acts_report.html", **known, results=results, undo=undo))


def _rows(session: Session, targets: Sequence[Target], token: str) -> list[Row]:
    """The lines that are open, and those that this very form has settled when it came before: a double click."""
    numbers, limits = [target.id for target in targets], scope(May.WRITE)
    still_open = {item.id for item in worklist.items(session, desk().now(), limits, numbers)}
    found = worklist.items(session, desk().now(), limits, numbers, settled=True)
    return present(session, [one for one in found if one.id in still_open or _is_settled_by(session, one, token)])


def _is_settled_by(session: Session, item: WorkItem, token: str) -> bool:
    row = session.get_one(FollowUpRow, item.id)
    return (row.ended_by or "").startswith(f"f-{_of_case(token, item)}-")


def _of_case(token: str, item: WorkItem) -> str:
    """The token of a form about several cases, for one of them."""
    return f"{token}-{item.case_id}"


def _common_subject(session: Session, rows: Sequence[Row]) -> Subject:
    """What is true of all of them: the people who could take over every one, the earliest of their dates."""
    clinics = {row.item.clinic_id for row in rows}
    of_each = [colleagues.navigators(session, clinic) for clinic in sorted(clinics)]
    everywhere = [one for one in (of_each[0] if of_each else []) if all(one in others for others in of_each)]
    return Subject(
        pathway=pathways.latest(session),
        today=min((row.item.today for row in rows), default=desk().now().date()),
        activities=tuple(row.item.due.activity for row in rows),
        colleagues=everywhere,
    )


def _apply_each(
    act: Act, rows: Iterable[Row], targets: Iterable[Target], subject: Subject, answers: Mapping[str, Any], token: str
) -> tuple[list[Result], list[str]]:
    """Each case by itself: what is refused of one does not stop the others. Returns also what can be undone."""
    by_case: dict[str, list[Row]] = {}
    for row in rows:
        by_case.setdefault(row.item.due.place.ref, []).append(row)
    asked = {target.id: target for target in targets}
    results: list[Result] = []
    undo: list[str] = []
    for ref, of_case in by_case.items():
        able = [row for row in of_case if act in row.acts]
        results += [Result([row], [_NOT_HERE]) for row in of_case if row not in able]
        if not able:
            continue
        try:
            its_own = _of_case(token, able[0].item)
            done = _apply(act, ref, [asked[row.item.id] for row in able], subject, answers, its_own)
        except ChangeRefused as refusal:
            results.append(Result(able, refusal.reasons))
        else:
            results.append(Result(able))
            undo += [f"{ref}~{event}" for event in done.events]
    return results, undo


_NOT_HERE = "this is settled by moving the case on its own page"

# Undo ------------------------------------------------------------------------------------------------------


@pages.post("/worklist/undo")
@needs(May.WRITE)
def undo() -> Response:
    """Take back what was just recorded, by corrections; each case by itself."""
    by_case: dict[str, list[str]] = {}
    for entry in request.form.getlist("entry")[: AT_ONCE * 3]:
        ref, _, event = entry.partition("~")
        by_case.setdefault(ref, []).append(event)
    with desk().database.reading() as session:
        for ref in by_case:
            case_for(session, ref, May.WRITE)
    undone, reasons = _take_back(by_case, request.form.get("token", ""))
    if undone:
        where = f" in {count(undone, 'case')}" if undone > 1 else f" for {next(iter(by_case))}"
        flash(f"Undone{where}. What was entered stays on record, struck out.", "undone")
    if reasons:
        flash(f"{presenters.sentence('; '.join(reasons))}.", "refused")
    back = recording.way_back(request.form.get("back"), url_for("worklist.index"))
    return redirect(back + "#said", 303)


def _take_back(by_case: Mapping[str, Sequence[str]], token: str) -> tuple[int, list[str]]:
    undone, reasons = 0, []
    for ref, events in by_case.items():
        try:
            with desk().writing() as writing:
                services.take_back(writing, ref=ref, events=events, reason="undone", token=token)
        except ChangeRefused as refusal:
            reasons += [f"{ref}: {reason}" for reason in refusal.reasons]
        else:
            undone += 1
    return undone, reasons
