"""Each person's own views of the worklist, and the columns that they want to see."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tracker import casebook, pathways, views
from tracker.access import May
from tracker.errors import ChangeRefused
from tracker.models import SavedView
from web import asked, columns, presenters, recording
from web.access import needs, scope, viewer
from web.desk import desk

pages = Blueprint("own_views", __name__, url_prefix="/worklist/views")


@pages.get("")
@needs(May.READ)
def index() -> str:
    """All of one's views, each with what it holds, to rename, delete or start with."""
    with desk().database.reading() as session:
        pathway = pathways.latest(session)
        people = casebook.scope_choices(session, scope(May.READ)).navigators
        rows = [
            (view, asked.chips(asked.of_text(view.question), pathway, people, None))
            for view in views.views_of(session, viewer().account_id)
        ]
    return render_template("views.html", rows=rows)


@pages.post("")
@needs(May.READ)
def save() -> Response:
    """Keep the filters in force under a name."""
    question = asked.of_text(request.form.get("question", ""))
    me = viewer().account_id
    try:
        with desk().writing() as writing:
            view = views.save(writing, me, request.form.get("name", ""), question.text)
            if "start" in request.form:
                views.start_with(writing, me, view.id)
    except ChangeRefused as refusal:
        _refuse(refusal)
    else:
        flash(f"The view “{view.name}” is kept{_and_starts(view)}.", "done")
    return redirect(url_for("worklist.index", **question.address) + "#said", 303)


def _and_starts(view: SavedView) -> str:
    return ", and the worklist opens with it" if view.starts else ""


@pages.post("/<int(max=2147483647):number>/<any('rename', 'delete', 'start', 'start-as-usual'):what>")
@needs(May.READ)
def change(number: int, what: str) -> Response:
    """Rename a view, delete it, or open the worklist with it from now on."""
    try:
        said = _change(number, what)
    except ChangeRefused as refusal:
        _refuse(refusal)
    else:
        flash(said, "done")
    return redirect(url_for("own_views.index", _anchor="said"), 303)


def _change(number: int, what: str) -> str:
    me = viewer().account_id
    with desk().writing() as writing:
        if what == "rename":
            return f"The view is called “{views.rename(writing, me, number, request.form.get('name', '')).name}” now."
        if what == "delete":
            return f"The view “{views.remove(writing, me, number).name}” is deleted. The cases in it are as they were."
        view = views.own(writing.session, me, number)
        views.start_with(writing, me, number if what == "start" else None)
    return (
        f"The worklist opens with “{view.name}”." if what == "start" else "The worklist opens with what is yours now."
    )


@pages.post("/columns")
@needs(May.READ)
def choose() -> Response:
    """Remember which columns the person wants to see."""
    names = columns.known(request.form.getlist("column"))
    if len(names) != len(set(request.form.getlist("column"))):
        abort(400, "One of the columns is not known here.")
    with desk().writing() as writing:
        views.choose_columns(writing, viewer().account_id, names)
    return redirect(recording.way_back(request.form.get("back"), url_for("worklist.index")), 303)


def _refuse(refusal: ChangeRefused) -> None:
    flash(f"{presenters.sentence('; '.join(refusal.reasons))}.", "refused")
