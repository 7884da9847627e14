"""Signing in and out: a password, then a code where the account asks for one; links that set a password once."""

from __future__ import annotations

from math import ceil

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from tracker import accounts, links, people, sign_ins
from tracker.access import Role, Viewer
from tracker.entrance import Entered, Entrance, Place, Wait
from tracker.errors import ChangeRefused
from tracker.models import Account, OneTimeLink
from tracker.passwords import LONGEST, SHORTEST, check_same
from tracker.words import count, span
from web.access import WANTED, forget, home, needs, present, public, remember, signed_in, somebody
from web.desk import desk, leave_masthead_empty
from web.presenters import sentence
from web.recording import way_back

pages = Blueprint("sign_in", __name__)

_ACTOR = "web:sign-in"
_WRONG = "The address or the password is not right."
_WRONG_CODE = "This code is not right, or it has been used."
_LONGEST_CODE = 32

Answer = str | Response | tuple[str, int]


def entrance() -> Entrance:
    """The way into this installation."""
    place = desk()
    return Entrance(place.database, place.settings, place.secret)


def asked_from() -> Place:
    """From where this request comes."""
    return Place(request.remote_addr or "", request.user_agent.string)


# Password and code -----------------------------------------------------------------------------------------


@pages.get("/login")
@public
def page() -> Answer:
    """The form for the password, or for the code; whoever is signed in already goes on."""
    found = present()
    if found is None:
        return _form("login.html", email="")
    return _form("login_code.html") if found.stage == "code" else redirect(_onwards(found.viewer), 303)


@pages.post("/login")
@public
def enter() -> Answer:
    """Take address and password."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    entered = entrance().by_password(email, password, asked_from(), desk().now())
    if not isinstance(entered, Entered):
        return _refused("login.html", entered, _WRONG, email=email)
    return let_in(entered)


@pages.post("/login/code")
@public
def prove() -> Answer:
    """Take the code of the second factor."""
    half = present()
    if half is None or half.stage != "code":
        return redirect(url_for("sign_in.page"), 303)
    code = request.form.get("code", "")[:_LONGEST_CODE]
    entered = entrance().by_code(half.id, code, asked_from(), desk().now())
    if not isinstance(entered, Entered):
        return _refused("login_code.html", entered, _WRONG_CODE)
    return let_in(entered)


@pages.post("/login/again")
@public
def begin_again() -> Response:
    """Somebody else wants to sign in, instead of whoever gave their password."""
    half = present()
    if half is not None and half.stage == "code":
        with desk().writing(_ACTOR) as writing:
            sign_ins.end(writing, half.viewer.account_id, half.id)
        forget()
    return redirect(url_for("sign_in.page"), 303)


@pages.post("/logout")
@needs()
def leave() -> Response:
    """End this sign-in."""
    with desk().writing() as writing:
        sign_ins.end(writing, signed_in().viewer.account_id, signed_in().id)
    forget()
    flash(_signed_out(), "done")
    return redirect(url_for("sign_in.page"), 303)


def _signed_out() -> str:
    """A provider's own sign-in is not ours to end; whoever shares a computer has to know."""
    provider = desk().settings.provider
    there = f" With {provider.name} you may still be signed in." if provider else ""
    return f"You are signed out.{there}"


def _refused(template: str, why: object, wrong: str, **values: str) -> Answer:
    if isinstance(why, Wait):
        return _form(template, waiting_words(why), **values), 429
    return _form(template, wrong, **values), 401


def waiting_words(wait: Wait) -> str:
    """Why nothing was even looked at, and when it will be."""
    seconds = ceil(wait.time.total_seconds())
    time = count(seconds, "second") if seconds < 120 else span(wait.time)
    return f"This has been tried in vain too often. Try again in {time}."


def _form(template: str, wrong: str = "", **values: object) -> str:
    leave_masthead_empty()
    provider = desk().settings.provider
    return render_template(
        template, wrong=wrong, shortest=SHORTEST, longest=LONGEST, provider=provider.name if provider else "", **values
    )


def refuse(wrong: str, code: int) -> tuple[str, int]:
    """The form for the password, with why nobody was let in."""
    return _form("login.html", wrong, email=""), code


def let_in(entered: Entered) -> Response:
    """Hand the browser its token, and go on: to the code, or to where they wanted to go."""
    remember(entered.token)
    who = somebody()
    return redirect(_onwards(who) if who else url_for("sign_in.page"), 303)


def _onwards(who: Viewer) -> str:
    """Where they wanted to go, else where they have something to do. Only our own cookie says where."""
    wanted = session.pop(WANTED, None)
    return way_back(wanted if isinstance(wanted, str) else None, home(who))


# Links -----------------------------------------------------------------------------------------------------


@pages.get("/welcome/<token>")
@public
def welcome(token: str) -> Answer:
    """A link that sets a password once, or makes the first account. To look at it does not use it up."""
    row, account = _link(token)
    if row is None:
        return _form("link_over.html"), 404
    return _welcome(token, account)


@pages.post("/welcome/<token>")
@public
def accept(token: str) -> Answer:
    """Use the link; whoever has used it and is signed in by now, as after a second click, goes on."""
    row, account = _link(token)
    if row is None:
        who = somebody()
        return redirect(home(who), 303) if who else (_form("link_over.html"), 404)
    password = request.form.get("password", "")
    try:
        check_same(password, request.form.get("again", ""))
        email = _set_up(token, password) if account is None else _set_password(token, account, password)
    except ChangeRefused as refusal:
        return _welcome(token, account, sentence("; ".join(refusal.reasons)) + "."), 422
    flash("The password is set. Sign in with it.", "done")
    return _form("login.html", email=email)


def _set_password(token: str, account: Account, password: str) -> str:
    with desk().writing(account.email) as writing:
        return links.set_password(writing, desk().secret, token, password).email


def _set_up(token: str, password: str) -> str:
    """The first account; with a clinic's name it is lead and navigator there too."""
    given = {name: request.form.get(name, "").strip() for name in ("email", "name", "clinic", "timezone")}
    with desk().writing(_ACTOR) as writing:
        first = links.make_first(
            writing, desk().secret, token, email=given["email"], name=given["name"], password=password
        )
        if given["clinic"]:
            people.add_clinic(writing, given["clinic"], given["timezone"] or "UTC")
        for clinic in people.clinics(writing.session):
            accounts.set_roles(writing, first, clinic.name, {Role.LEAD, Role.NAVIGATOR})
        return first.email


def _link(token: str) -> tuple[OneTimeLink | None, Account | None]:
    place = desk()
    with place.database.reading() as database:
        row = links.find(database, place.secret, token, place.now())
        of_account = row.account_id if row is not None else None
        return row, database.get(Account, of_account) if of_account is not None else None


def _welcome(token: str, account: Account | None, wrong: str = "") -> str:
    with desk().database.reading() as database:
        named = [clinic.name for clinic in people.clinics(database)]
    given = {} if account else {name: request.form.get(name, "") for name in ("email", "name", "clinic", "timezone")}
    return _form("welcome.html", wrong, token=token, account=account, clinics=named, given=given)
