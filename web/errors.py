"""Every error that reaches a browser: a page in words, with a reference to the log and nothing of a patient."""

from __future__ import annotations

import secrets
import traceback
from contextlib import suppress
from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as QueueTimeout
from werkzeug.exceptions import HTTPException

from tracker.db import is_busy
from tracker.errors import UnknownThing
from web import access, security
from web.desk import leave_masthead_empty, masthead

_log = structlog.get_logger()

_WORDS = {
    400: ("This request was not understood", "Part of the address is not in the expected form."),
    403: (
        "This is not yours to do",
        "Your account may not do this. Whoever looks after the accounts can give you another role.",
    ),
    404: (
        "There is nothing here",
        "No page has this address, and none of your cases. Of a time before a case was opened there is nothing either.",
    ),
    405: ("This cannot be done here", "The page exists, but not for this kind of request."),
    413: ("This is too large", "What was sent is larger than the tracker accepts."),
    500: (
        "Something went wrong in the tracker",
        "Nothing was changed. Try again; if it happens again, pass on the reference below.",
    ),
    503: ("The tracker is busy", "The database did not answer in time. Nothing was changed. Try again shortly."),
}
_STALE_FORM = (
    "The tracker does not know the page that this came from: it is too old, or not from this tracker, or the browser"
    " keeps no cookies. Nothing was changed. Open the page again, and then repeat what you wanted to do."
)
_UNREACHABLE = "The database cannot be reached. Nothing was changed. Whoever looks after the tracker must see to it."


def install(app: Flask) -> None:
    """Register the one handler of all errors."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The page for an error. What is unexpected is logged by kind and place, never by its text."""
    if isinstance(error, HTTPException):
        if error.code is None or error.response is not None or error.code < HTTPStatus.BAD_REQUEST:
            return make_response(error.get_response())
        return _page(error.code, _reason(error), dict(error.get_headers()))
    if isinstance(error, UnknownThing):
        return _page(404)
    if isinstance(error, OperationalError):
        return _page(503, "" if is_busy(error) else _UNREACHABLE, {"Retry-After": "30"}, error)
    if isinstance(error, QueueTimeout):  # every connection was in use for half a minute
        return _page(503, "", {"Retry-After": "30"}, error)
    return _page(500, error=error)


def _reason(error: HTTPException) -> str:
    """Our own words, where a page gave some; Werkzeug's would be in another tone."""
    if isinstance(error, CSRFError):
        return _STALE_FORM
    own = error.description if error.description != type(error).description else None
    return own if own and error.code == HTTPStatus.BAD_REQUEST else ""


def _page(
    code: int, reason: str = "", headers: dict[str, str] | None = None, error: Exception | None = None
) -> Response:
    reference = secrets.token_hex(4)
    _log.log(
        40 if code >= HTTPStatus.INTERNAL_SERVER_ERROR else 20,
        "page.refused",
        reference=reference,
        code=code,
        endpoint=request.endpoint,
        kind=type(error).__name__ if error else None,
        places=_places(error),
    )
    _look_up_masthead(code)
    title, words = _WORDS.get(code, _WORDS[500 if code >= HTTPStatus.INTERNAL_SERVER_ERROR else 400])
    page = render_template("error.html", title=title, words=reason or words, reference=reference)
    kept = {name: value for name, value in (headers or {}).items() if name in ("Allow", "Retry-After")}
    return make_response(page, code, kept)


def _look_up_masthead(code: int) -> None:
    """An error page has its top too, unless the database is in trouble, or a stranger asks."""
    if code < HTTPStatus.INTERNAL_SERVER_ERROR and security.names_this_tracker():
        with suppress(SQLAlchemyError):
            access.present()
            masthead()
            return
    leave_masthead_empty()


def _places(error: Exception | None) -> list[str]:
    """Where it happened; the text of an exception could carry a name, its lines of code cannot."""
    frames = traceback.extract_tb(error.__traceback__)[-8:] if error else []
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
