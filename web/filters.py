"""The presenters under the names by which templates call them."""

from __future__ import annotations

from typing import Any

from flask import Flask

from web import presenters
from web.desk import desk
from workflows.dates import in_words

_FILTERS = {
    "day": in_words,
    "when": presenters.when,
    "distance": presenters.distance,
    "moment": presenters.moment,
    "sentence": presenters.sentence,
}


def install(app: Flask) -> None:
    """Make the presenters known to the templates."""
    app.jinja_env.filters.update(_FILTERS)
    app.context_processor(_shared)


def _shared() -> dict[str, Any]:
    return {"scheduler_trouble": lambda: desk().scheduler_trouble(), "count": presenters.count}
