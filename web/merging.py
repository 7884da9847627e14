"""Two records of one patient: put side by side, merged with a reason, and taken apart again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, flash, make_response, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from tracker import casebook, merging
from tracker.access import May
from tracker.casebook import CaseFile
from tracker.errors import ChangeRefused
from tracker.writing import Writing
from web import recording, timeline
from web.access import case_for, needs
from web.desk import desk
from web.presenters import sentence

pages = Blueprint("merging", __name__, url_prefix="/cases/<ref>")


@dataclass(frozen=True, slots=True)
class Side:
    """One of two records beside each other."""

    file: CaseFile
    state: str
    entries: int


def _side(ref: str) -> Side:
    with desk().database.reading() as session:
        case_for(session, ref, May.LEAD)
        file = casebook.case_file(session, ref, now=desk().now())
    state = file.plan.history.pathway.state_named[file.plan.history.state].title
    return Side(file, state, len(timeline.entries(file)))


@pages.route("/merge", methods=["GET", "POST"])
@needs(May.LEAD)
def merge(ref: str) -> Response:
    """This record is a second one of a patient: which is the other, what both hold, and why they are one."""
    one = _side(ref)
    if request.method == "GET":
        return _page(one)
    into, reason = request.form.get("into", "").strip(), request.form.get("reason", "").strip()
    try:
        other = _side(into)
    except NotFound:
        return _page(one, reasons=(f"there is no case {into!r} that you may merge with",), status=422)
    if not reason or request.form.get("seen") != into:
        return _page(one, other)
    refused = _do(lambda writing: merging.merge(writing, ref, into, on=recording.today_at(ref), reason=reason))
    if refused:
        return _page(one, other, reasons=refused, status=422)
    flash(f"{ref} ended and leads to {into}. Its entries stay, and can be carried over one by one.", "done")
    return redirect(url_for("cases.show", ref=into, _anchor="said"), 303)


@pages.post("/separate")
@needs(May.LEAD)
def separate(ref: str) -> Response:
    """The two records are of two patients after all."""
    _require_both(ref)
    reason = request.form.get("reason", "").strip() or "merged by mistake"
    refused = _do(lambda writing: merging.separate(writing, ref, on=recording.today_at(ref), reason=reason))
    if refused:
        flash(f"{sentence('; '.join(refused))}.", "refused")
    else:
        flash("The two records are apart again. What was due is due again.", "done")
    return redirect(url_for("cases.show", ref=ref, _anchor="said"), 303)


def _require_both(ref: str) -> None:
    """What takes two records apart is written on both."""
    with desk().database.reading() as session:
        case_for(session, ref, May.LEAD)
        into = merging.merged_into(session, ref)
        if into is not None:
            case_for(session, into, May.LEAD)


def _do(act: Callable[[Writing], object]) -> tuple[str, ...]:
    try:
        with desk().writing() as writing:
            act(writing)
    except ChangeRefused as refusal:
        return refusal.reasons
    return ()


def _page(one: Side, other: Side | None = None, *, reasons: tuple[str, ...] = (), status: int = 200) -> Response:
    history = one.file.plan.history
    page = render_template(
        "merge.html",
        file=one.file,
        one=one,
        other=other,
        refused=reasons,
        history=history,
        state=history.pathway.state_named[history.state],
        today=one.file.today,
        into=request.form.get("into", ""),
        reason=request.form.get("reason", ""),
    )
    return make_response(page, status)
