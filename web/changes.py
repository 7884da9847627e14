"""What forms change about a case. Each answers with the page it came from, or with the form and what is wrong."""

from __future__ import annotations

from flask import Blueprint, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from tracker.access import May
from web import recording
from web.access import needs

pages = Blueprint("changes", __name__, url_prefix="/cases/<ref>")

_UNDONE = "Undone. The entry stays in the record, struck out."


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
