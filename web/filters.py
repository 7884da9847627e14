"""The presenters under the names by which templates call them."""

from __future__ import annotations

from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from tracker import words
from tracker.once import new_token
from web import presenters, recording
from web.desk import masthead
from workflows.dates import in_words


def _commands(text: str) -> Markup:
    """A sentence in which what stands between backquotes is something to type."""
    parts = [escape(part) for part in text.split("`")]
    return Markup().join(Markup("<code>%s</code>") % part if odd % 2 else part for odd, part in enumerate(parts))


_FILTERS = {
    "day": in_words,
    "when": presenters.when,
    "distance": presenters.distance,
    "moment": presenters.moment,
    "ago": presenters.ago,
    "sentence": presenters.sentence,
    "commands": _commands,
}


def install(app: Flask) -> None:
    """Make the presenters known to the templates."""
    app.jinja_env.filters.update(_FILTERS)
    app.context_processor(_shared)


def _shared() -> dict[str, Any]:
    return {"masthead": masthead, "count": words.count, "new_token": new_token, "patient_of": recording.patient_of}
