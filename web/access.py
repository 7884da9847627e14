"""Who asks, and whether they may: looked at before every page, and no unless it is said to be yes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import structlog
from flask import Flask, Response, abort, current_app, flash, g, make_response, redirect, request, session, url_for
from sqlmodel import Session, col, select

from tracker import looks, sign_ins
from tracker.access import May, Viewer
from tracker.looks import Look
from tracker.models import Case
from tracker.places import Scope
from tracker.sign_ins import SignedIn
from web.desk import desk

_log = structlog.get_logger()

TOKEN = "token"  # noqa: S105  (the name of what the cookie holds)
WANTED = "wanted"

_MARK = "__access__"
_FILES = ("static", "bootstrap.static")
_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_WANTED = 1024

View = Callable[..., Any]


# What a page says of itself --------------------------------------------------------------------------------


def needs(*mays: May) -> Callable[[View], View]:
    """A page for those signed in who may one of these somewhere; without any, for everybody signed in.

    In which clinics they may is for :func:`scope` and :func:`case_for` to say.
    """

    def mark(view: View) -> View:
        @wraps(view)
        def looked_at(*args: Any, **kwargs: Any) -> Any:
            answer = view(*args, **kwargs)
            if not _leads_elsewhere(answer):
                _record_looks()
            return answer

        setattr(looked_at, _MARK, frozenset(mays))
        return looked_at

    return mark


def public(view: View) -> View:
    """A page for anybody, signed in or not."""
    setattr(view, _MARK, None)
    return view


# Who asks --------------------------------------------------------------------------------------------------


def viewer() -> Viewer:
    """The person signed in; only a page that is not public may ask."""
    return signed_in().viewer


def signed_in() -> SignedIn:
    """How that person is signed in."""
    found = present()
    if found is None or found.stage != "full":
        raise PermissionError("nobody is signed in")
    return found


def present() -> SignedIn | None:
    """The sign-in that the cookie names, half-way ones too, looked up once for a request."""
    if "signed_in" not in g:
        g.signed_in = _look_up()
    return cast("SignedIn | None", g.signed_in)


def somebody() -> Viewer | None:
    """The person signed in, if there is one."""
    found = present()
    return found.viewer if found is not None and found.stage == "full" else None


def _look_up() -> SignedIn | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    place = desk()
    with place.database.reading() as database:
        return sign_ins.find(database, place.settings, place.secret, token, place.now())


def remember(token: str) -> None:
    """Hand the browser a token. Whatever it held before is gone, so that nobody can have planted it."""
    wanted = session.get(WANTED)
    session.clear()
    session[TOKEN] = token
    if wanted:
        session[WANTED] = wanted
    g.pop("signed_in", None)


def forget() -> None:
    """Take everything from the browser."""
    session.clear()
    g.signed_in = None


def home(who: Viewer) -> str:
    """The page on which somebody begins."""
    if who.may(May.READ):
        return url_for("dashboard.index")
    return url_for("admin.index") if who.may(May.ADMINISTER) else url_for("account.index")


# What they may see -----------------------------------------------------------------------------------------


def scope(may: May = May.READ, **limits: Any) -> Scope:
    """What the person's queries are limited to: the clinics in which they may, and the other limits of a list."""
    return Scope(clinics=viewer().clinics(may), **limits)


def case_for(database: Session, ref: str, may: May) -> Case:
    """The case, if it is one of the person's clinics; else it does not exist. 403 where they may see it and no more.

    That they looked at it is recorded when the page has been made.
    """
    case = case_unseen(database, ref, may)
    looked_at(case)
    return case


def case_unseen(database: Session, ref: str, may: May) -> Case:
    """The same for an answer that shows nothing of the case: no look is recorded."""
    case = database.exec(select(Case).where(Case.ref == ref)).first() if "\0" not in ref else None
    if case is None or not viewer().may(May.READ, case.clinic_id):
        abort(404)
    if not viewer().may(may, case.clinic_id):
        abort(403)
    return case


def case_number_for(database: Session, number: int, may: May) -> Case:
    """The same by the number of a row, which is what a mail carries."""
    ref = database.exec(select(Case.ref).where(col(Case.id) == number)).first()
    return case_for(database, ref or "\0", may)


def looked_at(case: Case) -> None:
    """The page shows this case, be it the answer to a form; that is recorded, once, before it leaves."""
    if case.id is not None:
        shows(case.id, case.clinic_id)


def shows(case_id: int, clinic_id: int) -> None:
    """The same by the numbers of a row."""
    g.setdefault("looks", {})[case_id] = clinic_id


def _leads_elsewhere(answer: Any) -> bool:
    """Whether the answer to a form, or to who asks for no page, shows nothing itself: what follows is a look."""
    if request.method == "GET":
        return False
    made = make_response(answer)
    redirects = made.status_code in range(300, 400) or "HX-Redirect" in made.headers
    return redirects or request.method in _SAFE


def _record_looks() -> None:
    """A page leaves only when it is on record who saw it, in a transaction of its own: what a form wrote stays."""
    seen: dict[int, int] = g.pop("looks", {})
    if seen:
        place, page = desk(), request.endpoint or ""
        rows = [Look(viewer().account_id, case, clinic, place.now(), page) for case, clinic in seen.items()]
        with place.database.writing() as database:
            looks.record(database, place.secret, rows)


# Before every request --------------------------------------------------------------------------------------


def check() -> Response | None:
    """Let the request through, or answer it: sign in first, or no."""
    if request.endpoint is None or request.endpoint in _FILES:
        return None
    view = current_app.view_functions[request.endpoint]
    if not hasattr(view, _MARK):
        _log.error("access.unmarked", endpoint=request.endpoint)
        abort(403)
    wanted: frozenset[May] | None = getattr(view, _MARK)
    if wanted is None:
        return None
    who = somebody()
    if who is None:
        return _sign_in_first()
    if wanted and not any(who.may(may) for may in wanted):
        if request.endpoint == "dashboard.index":
            return make_response(redirect(home(who), 303))
        abort(403)
    _keep_alive()
    return None


def _sign_in_first() -> Response:
    """To the page of sign-in, and from there to where they wanted to go; the address stays out of every log."""
    was_signed_in = session.pop(TOKEN, None) is not None
    if request.method in _SAFE:
        wanted = request.full_path.rstrip("?")
        if len(wanted) <= _LONGEST_WANTED and request.endpoint != "dashboard.index":
            session[WANTED] = wanted
    if was_signed_in:
        flash(_ENDED if request.method in _SAFE else f"{_ENDED} Nothing was changed.", "refused")
    target = url_for("sign_in.page")
    if request.headers.get("HX-Request") == "true":
        answer = make_response("", 401)
        answer.headers["HX-Redirect"] = target
        return answer
    return make_response(redirect(target, 303))


_ENDED = "You are no longer signed in. Sign in to go on."


def _keep_alive() -> None:
    found, place = signed_in(), desk()
    if place.now() - found.active_at < sign_ins.WRITTEN_EVERY:
        return
    with place.database.writing() as database:
        sign_ins.touch(database, found.id, place.now())


def install(app: Flask) -> None:
    """Tell the templates who is signed in. The check itself is installed among those of web.security."""
    app.context_processor(lambda: {"viewer": g.get("signed_in") and somebody()})
