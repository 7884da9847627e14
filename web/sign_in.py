"""Signing in and out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, session, url_for
from sqlmodel import select
from werkzeug.wrappers import Response

from tracker import accounts, audit, passwords, sign_ins
from tracker.access import Viewer
from tracker.models import Account
from web.access import WANTED, forget, needs, public, remember, signed_in, somebody
from web.desk import desk, leave_masthead_empty

pages = Blueprint("sign_in", __name__)

ACTOR = "web:sign-in"
_WRONG = "The address or the password is not right."


@pages.get("/login")
@public
def page() -> str | Response:
    """The form; whoever is signed in already goes on."""
    who = somebody()
    if who is not None:
        return redirect(_onwards(who), 303)
    return _form()


@pages.post("/login")
@public
def enter() -> str | Response | tuple[str, int]:
    """Take address and password."""
    place = desk()
    email, password = request.form.get("email", ""), request.form.get("password", "")
    with place.database.reading() as database:
        account = database.exec(select(Account).where(Account.login == accounts.login_of(email))).first()
    right = passwords.is_right(account.password if account else None, password)
    if account is None or not right or account.disabled_at is not None:
        return _form(_WRONG, email), 401
    with place.writing(account.email) as writing:
        token = sign_ins.start(
            writing, place.secret, account, "full", request.remote_addr or "", request.user_agent.string
        )
        audit.note(writing, "sign-in:begun", account.email, {})
    remember(token)
    who = somebody()
    return redirect(_onwards(who) if who else url_for("sign_in.page"), 303)


@pages.post("/logout")
@needs()
def leave() -> Response:
    """End this sign-in."""
    with desk().writing() as writing:
        sign_ins.end(writing, signed_in().id)
    forget()
    return redirect(url_for("sign_in.page"), 303)


def _form(wrong: str = "", email: str = "") -> str:
    leave_masthead_empty()
    return render_template("login.html", wrong=wrong, email=email)


def _onwards(who: Viewer) -> str:
    """Where they wanted to go, else where they have something to do. The browser never says where."""
    wanted = session.pop(WANTED, None)
    if isinstance(wanted, str) and wanted.startswith("/") and not wanted.startswith(("//", "/\\")):
        return wanted
    return url_for("dashboard.index")
