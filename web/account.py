"""One's own account: password, second factor, where one is signed in, and the days of the digest."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import accounts, links, people, second_factor, sign_ins
from tracker.entrance import Wait
from tracker.errors import ChangeRefused
from tracker.models import Account
from tracker.passwords import LONGEST, SHORTEST, check_same
from tracker.working_days import WEEKDAYS
from web.access import needs, signed_in, viewer
from web.desk import desk
from web.presenters import sentence
from web.sign_in import asked_from, entrance, waiting_words

pages = Blueprint("account", __name__, url_prefix="/account")

_NOT_YOURS = "That is not your password. Nothing was changed."


@pages.get("")
@needs()
def index() -> str:
    """Everything about one's own account."""
    place = desk()
    with place.database.reading() as database:
        account = _own(database)
        begun = account.totp_nonce is not None and not account.totp_on
        return render_template(
            "account.html",
            account=account,
            shortest=SHORTEST,
            longest=LONGEST,
            codes_left=second_factor.codes_left(database, account),
            begun=second_factor.secret_of(place.secret, account) if begun else "",
            picture=_picture(second_factor.address_of(place.secret, account)) if begun else "",
            sign_ins=sign_ins.listed(database, place.settings, viewer().account_id, place.now()),
            here=signed_in().id,
            now=place.now(),
            days=people.digest_days_of(database, viewer().email),
            weekdays=WEEKDAYS,
        )


def _picture(text: str) -> Markup:
    """A QR code as SVG, in black on white whatever the page's colours are."""
    import segno

    drawn = segno.make(text, error="m", micro=False).svg_inline(scale=5, svgclass="qr", lineclass=None, light="#fff")
    return Markup(drawn)  # noqa: S704  (drawn by us from an address that is no markup)


# Password --------------------------------------------------------------------------------------------------


@pages.post("/password")
@needs()
def change_password() -> Response:
    """A new password, for who knows the old one. Every other browser is signed out."""
    new = request.form.get("password", "")
    if not _is_proven():
        return _back("password")
    try:
        check_same(new, request.form.get("again", ""))
        with desk().writing() as writing:
            links.change_password(writing, _own(writing.session), new, keep=signed_in().id)
    except ChangeRefused as refusal:
        return _refused(refusal, "password")
    flash("The password is changed. Everywhere else you are signed out.", "done")
    return _back("password")


def _is_proven() -> bool:
    """Whether the form holds the person's own password; says so where it does not."""
    given = request.form.get("current", "")
    proven = entrance().proves(viewer().account_id, given, asked_from(), desk().now())
    if isinstance(proven, Wait):
        flash(waiting_words(proven), "refused")
        return False
    if not proven:
        flash(_NOT_YOURS, "refused")
    return proven


# Second factor ---------------------------------------------------------------------------------------------


@pages.post("/second-factor")
@needs()
def begin() -> Response:
    """Choose a secret for the app."""
    if _is_proven():
        with desk().writing() as writing:
            account = _own(writing.session)
            if not account.totp_on:
                second_factor.begin(writing, account)
    return _back("second-factor")


@pages.post("/second-factor/confirm")
@needs()
def confirm() -> str | Response:
    """The app shows the right code: from now on it is asked. The recovery codes are shown this once."""
    try:
        with desk().writing() as writing:
            account = _own(writing.session)
            codes = second_factor.confirm(writing, desk().secret, account, request.form.get("code", ""))
            accounts.end_sign_ins(writing.session, account, but=signed_in().id)
    except ChangeRefused as refusal:
        return _refused(refusal, "second-factor")
    return render_template("account_codes.html", codes=codes)


@pages.post("/second-factor/off")
@needs()
def turn_off() -> Response:
    """Go without a second factor."""
    if _is_proven():
        with desk().writing() as writing:
            second_factor.turn_off(writing, _own(writing.session))
        flash("The second factor is off.", "done")
    return _back("second-factor")


@pages.post("/recovery-codes")
@needs()
def renew_codes() -> str | Response:
    """New recovery codes; the earlier ones no longer count."""
    if not _is_proven():
        return _back("second-factor")
    with desk().writing() as writing:
        account = _own(writing.session)
        if not account.totp_on:
            abort(404)
        codes = second_factor.renew_codes(writing, desk().secret, account)
    return render_template("account_codes.html", codes=codes)


# Where one is signed in ------------------------------------------------------------------------------------


@pages.post("/sign-ins/<int(max=2147483647):number>/end")
@needs()
def end_sign_in(number: int) -> Response:
    """End one of one's own sign-ins."""
    with desk().writing() as writing:
        if not sign_ins.end(writing, viewer().account_id, number):
            abort(404)
    flash("That browser is signed out.", "done")
    return _back("sign-ins")


@pages.post("/sign-ins/end-others")
@needs()
def end_others() -> Response:
    """End every sign-in but this one."""
    with desk().writing() as writing:
        ended = accounts.end_sign_ins(writing.session, _own(writing.session), but=signed_in().id)
    flash(f"Signed out elsewhere: {ended}.", "done")
    return _back("sign-ins")


# Digest ----------------------------------------------------------------------------------------------------


@pages.post("/digest-days")
@needs()
def set_digest_days() -> Response:
    """On which days one wants a digest."""
    days = "".join(sorted(set(request.form.getlist("day"))))
    try:
        with desk().writing() as writing:
            people.set_digest_days(writing, viewer().email, days)
    except ChangeRefused as refusal:
        return _refused(refusal, "digest")
    flash("Your digest days are set.", "done")
    return _back("digest")


def _own(database: Session) -> Account:
    return database.get_one(Account, viewer().account_id)


def _refused(refusal: ChangeRefused, part: str) -> Response:
    flash(f"{sentence('; '.join(refusal.reasons))}.", "refused")
    return _back(part)


def _back(part: str) -> Response:
    return redirect(url_for("account.index", _anchor=part), 303)
