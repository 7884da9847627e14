"""The search: a form that is sent, not an address, so that no name stands in a log or in the browser's history."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tracker import search
from tracker.access import May
from web.access import needs, scope
from web.dashboard import case_rows
from web.desk import desk

pages = Blueprint("search", __name__)

_LONGEST = 200


@pages.get("/search")
@needs(May.READ)
def ask() -> str:
    """The field alone, for whoever comes without words."""
    return render_template("search.html", text="", rows=[], asked=False, most=search.MOST)


@pages.post("/search")
@needs(May.READ)
def find() -> str | Response:
    """Straight to the case whose number was typed; else a list of those that fit."""
    text = request.form.get("text", "")[:_LONGEST].replace("\0", "").strip()
    with desk().database.reading() as session:
        ref = search.exact(session, text, scope())
        if ref is not None:
            return redirect(url_for("cases.show", ref=ref), 303)
        rows = case_rows(session, search.find(session, text, scope()))
    return render_template("search.html", text=text, rows=rows, asked=bool(text), most=search.MOST)
