"""Administration: accounts, their roles by clinic, and how each clinic works. Nothing of a patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, url_for
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import accounts, links, people, subjects
from tracker.access import IN_A_CLINIC, May, Role
from tracker.accounts import Known
from tracker.errors import ChangeRefused, StaleVersion, UnknownThing, WrongSetting
from tracker.models import Account, Clinic
from tracker.working_days import WEEKDAYS, hour
from tracker.writing import Writing
from web.access import needs, viewer
from web.desk import desk
from web.presenters import sentence

pages = Blueprint("admin", __name__, url_prefix="/admin")

_NUMBER = "<int(max=2147483647):number>"


@pages.get("")
@needs(May.ADMINISTER)
def index() -> str:
    """Every account with its roles, and every clinic."""
    with desk().database.reading() as database:
        return render_template(
            "admin.html",
            known=accounts.everybody(database),
            clinics=people.clinics(database),
            roles=IN_A_CLINIC,
            weekdays=WEEKDAYS,
        )


# Accounts --------------------------------------------------------------------------------------------------


@pages.post("/accounts")
@needs(May.ADMINISTER)
def add_account() -> str | Response:
    """A new account with its roles, and the link with which its owner sets a password."""
    place = desk()
    try:
        with place.writing() as writing:
            account = accounts.add(writing, request.form.get("email", ""), name=request.form.get("name", ""))
            _set_roles(writing, account)
            token = links.for_account(writing, place.secret, account)
    except ChangeRefused as refusal:
        return _refused(refusal, url_for("admin.index", _anchor="new"))
    return _link_page(account.email, token)


@pages.get(f"/accounts/{_NUMBER}")
@needs(May.ADMINISTER)
def show_account(number: int) -> str:
    """One account: roles, whether it may sign in, a new link."""
    return _account_page(number)


def _account_page(number: int) -> str:
    with desk().database.reading() as database:
        known = _known(database, number)
        return render_template(
            "admin_account.html",
            known=known,
            shown=_mark_of_account(database, known.row),
            tied=subjects.is_tied(database, known.row),
            clinics=people.clinics(database),
            roles=IN_A_CLINIC,
            until=links.HOLDS_FOR,
        )


@pages.post(f"/accounts/{_NUMBER}")
@needs(May.ADMINISTER)
def change_account(number: int) -> Response:
    """Roles, and whether somebody is an administrator; they count from the next request on."""

    def change(writing: Writing, account: Account) -> None:
        with _as_shown(lambda: _mark_of_account(writing.session, account)):
            _set_roles(writing, account)

    try:
        return _change(number, change, "The roles are set. They count from the next page on.")
    except StaleVersion as stale:
        return _stale(stale, _account_page, number)


@pages.post(f"/accounts/{_NUMBER}/disable")
@needs(May.ADMINISTER)
def disable(number: int) -> Response:
    """Somebody has left."""
    return _change(number, accounts.disable, "The account is disabled. Whoever was signed in with it is out.")


@pages.post(f"/accounts/{_NUMBER}/enable")
@needs(May.ADMINISTER)
def enable(number: int) -> Response:
    """Somebody is back."""
    return _change(number, accounts.enable, "The account may sign in again.")


@pages.post(f"/accounts/{_NUMBER}/link")
@needs(May.ADMINISTER)
def renew_link(number: int) -> str | Response:
    """For a forgotten password, and for a lost telephone too where the form says so."""
    place, telephone = desk(), request.form.get("telephone") == "lost"
    with place.writing() as writing:
        account = _account(writing.session, number)
        wrong = _why_no_link(account)
        if wrong:
            return _refused(ChangeRefused(wrong), url_for("admin.show_account", number=number))
        token = links.reset(writing, place.secret, account, with_second_factor=telephone)
    return _link_page(account.email, token)


def _why_no_link(account: Account) -> str:
    """A link ends every sign-in of its account: the second click on one's own would end the sight of the link too."""
    if account.id == viewer().account_id:
        return "the password of your own account is changed on its own page, Your account"
    return "the account is disabled; let it sign in again first" if account.disabled_at is not None else ""


@pages.post(f"/accounts/{_NUMBER}/untie")
@needs(May.ADMINISTER)
def untie(number: int) -> Response:
    """The provider knows the person by another subject now: their next sign-in ties the account anew."""
    return _change(number, subjects.untie, "The next sign-in through the provider, with this address, is tied anew.")


def _set_roles(writing: Writing, account: Account) -> None:
    for clinic in people.clinics(writing.session):
        chosen = request.form.getlist(f"role.{clinic.id}")
        if not set(chosen) <= set(IN_A_CLINIC):
            raise ChangeRefused("a role is one of those that the form offers")
        accounts.set_roles(writing, account, clinic.name, {Role(role) for role in chosen})
    accounts.set_administrator(writing, account, request.form.get("administrator") == "yes")


def _change(number: int, change: Callable[[Writing, Account], object], said: str) -> Response:
    back = url_for("admin.show_account", number=number)
    try:
        with desk().writing() as writing:
            accounts.hold_roles(writing.session, number)
            change(writing, _account(writing.session, number))
    except ChangeRefused as refusal:
        return _refused(refusal, back)
    flash(said, "done")
    return redirect(back, 303)


def _account(database: Session, number: int) -> Account:
    return database.get(Account, number) or abort(404)


def _known(database: Session, number: int) -> Known:
    return next((one for one in accounts.everybody(database) if one.row.id == number), None) or abort(404)


def _link_page(email: str, token: str) -> str:
    """The link, shown this once, for the administrator to hand over."""
    link = url_for("sign_in.welcome", token=token, _external=True)
    return render_template("admin_link.html", email=email, link=link, until=links.HOLDS_FOR)


# Clinics ---------------------------------------------------------------------------------------------------


@pages.post("/clinics")
@needs(May.ADMINISTER)
def add_clinic() -> Response:
    """A clinic without cases."""
    try:
        with desk().writing() as writing:
            clinic = people.add_clinic(writing, request.form.get("name", ""), request.form.get("timezone", ""))
    except ChangeRefused as refusal:
        return _refused(refusal, url_for("admin.index", _anchor="clinics"))
    flash("The clinic is there. Name who hears of its escalations, and give people roles in it.", "done")
    return redirect(url_for("admin.show_clinic", number=clinic.id), 303)


@pages.get(f"/clinics/{_NUMBER}")
@needs(May.ADMINISTER)
def show_clinic(number: int) -> str:
    """How a clinic works."""
    return _clinic_page(number)


def _clinic_page(number: int) -> str:
    with desk().database.reading() as database:
        clinic = _clinic(database, number)
        return render_template("admin_clinic.html", clinic=clinic, shown=_mark_of_clinic(clinic), weekdays=WEEKDAYS)


@pages.post(f"/clinics/{_NUMBER}")
@needs(May.ADMINISTER)
def change_clinic(number: int) -> Response:
    """All that the form says, or nothing where a part of it is refused."""
    back = url_for("admin.show_clinic", number=number)
    try:
        with desk().writing() as writing:
            clinic = people.locked_clinic(writing.session, number) or abort(404)
            with _as_shown(lambda: _mark_of_clinic(clinic)):
                for field, (read, change) in _SETTINGS.items():
                    change(writing, clinic.name, read(field))
    except (ChangeRefused, WrongSetting) as refusal:
        return _refused(refusal, back)
    except StaleVersion as stale:
        return _stale(stale, _clinic_page, number)
    flash("The clinic's settings are set.", "done")
    return redirect(back, 303)


def _text(field: str) -> str:
    return request.form.get(field, "").strip()


def _perhaps(field: str) -> str | None:
    return _text(field) or None


def _days(field: str) -> str:
    return "".join(sorted(set(request.form.getlist(field))))


_SETTINGS: dict[str, tuple[Callable[[str], Any], Callable[[Writing, str, Any], Clinic]]] = {
    "lead": (_perhaps, people.set_lead),
    "clinician": (_perhaps, people.set_clinician),
    "mail_from": (_perhaps, people.set_mail_sender),
    "digest_at": (lambda field: hour(_text(field)), people.set_digest_hour),
    "working_days": (_days, people.set_working_days),
    "holidays": (_perhaps, people.set_holidays),
    "timezone": (_text, people.set_timezone),
}


def _clinic(database: Session, number: int) -> Clinic:
    return database.get(Clinic, number) or abort(404)


# Two administrators at once --------------------------------------------------------------------------------


@contextmanager
def _as_shown(mark: Callable[[], str]) -> Iterator[None]:
    """Around what a form sets: it says all of it, so one that lay open would undo what a colleague has set since.

    Raises :class:`StaleVersion` for such a page. What it would set and is set already, as by a double click, stays.
    """
    before = mark()
    yield
    if request.form.get("shown") != before and mark() != before:
        raise StaleVersion(_MEANWHILE)


_MEANWHILE = "Somebody changed this after your page was opened. It shows what is set now: look at it, and set it again."


def _mark_of_account(database: Session, account: Account) -> str:
    found = accounts.viewer_of(database, account)
    return _digest([sorted((clinic, sorted(held)) for clinic, held in found.roles.items()), found.administrator])


def _mark_of_clinic(clinic: Clinic) -> str:
    return _digest(clinic.model_dump())


def _digest(shown: object) -> str:
    """What a form was filled with, for its way there and back."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()[:20]


def _stale(stale: StaleVersion, page: Callable[[int], str], number: int) -> Response:
    flash(str(stale), "refused")
    return make_response(page(number), 409)


def _refused(refusal: ChangeRefused | UnknownThing | WrongSetting, back: str) -> Response:
    flash(f"{sentence('; '.join(refusal.reasons))}.", "refused")
    return redirect(back, 303)
