"""Accounts for the tests of the pages, and browsers in which they are signed in."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select

from tracker import accounts, sign_ins
from tracker.access import Role
from tracker.errors import UnknownThing
from tracker.models import Account, Clinic
from tracker.writing import Writing
from web.access import TOKEN
from web.desk import Desk, desk

ANA = "ana@example.org"
PASSWORD = "four quite usual words"


def sign_in(client: FlaskClient, email: str = ANA) -> FlaskClient:
    """Sign somebody in, as if they had given their password; an account that there is not is made first.

    Ana, and whoever is made here, is navigator and lead of every clinic that there is.
    """
    token = token_for(client.application, email)
    with client.session_transaction() as session:
        session[TOKEN] = token
    return client


def token_for(app: Flask, email: str = ANA) -> str:
    place = desk(app)
    with place.writing("test:people") as writing:
        return sign_ins.start(writing, place.secret, account(writing, email), "full", "127.0.0.1", "a test")


def cookie_for(app: Flask, email: str = ANA) -> dict[str, str]:
    """The cookie of a browser in which somebody is signed in."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return {"name": app.config["SESSION_COOKIE_NAME"], "value": serializer.dumps({TOKEN: token_for(app, email)})}


def account(writing: Writing, email: str) -> Account:
    """The account of an address, made if need be, with roles in every clinic if it has none."""
    try:
        found, is_new = accounts.of(writing.session, email), False
    except UnknownThing:
        found, is_new = accounts.add(writing, email, name=email.partition("@")[0].title()), True
    if email == ANA or is_new:
        for clinic in clinics(writing):
            accounts.set_roles(writing, found, clinic.name, {Role.NAVIGATOR, Role.LEAD})
    return found


def clinics(writing: Writing) -> list[Clinic]:
    """Every clinic; in an empty register there is one of which somebody can be navigator."""
    if writing.session.exec(select(Clinic)).first() is None:
        writing.session.add(Clinic(name="North", timezone="Europe/London"))
        writing.session.flush()
    return list(writing.session.exec(select(Clinic)))


def person(place: Desk, email: str, roles: dict[str, set[Role]], *, administrator: bool = False) -> Account:
    """An account with exactly these roles, by the clinics' names, and the password of all of them."""
    with place.writing("test:people") as writing:
        made = accounts.add(writing, email, password=PASSWORD, administrator=administrator)
        for clinic, some in roles.items():
            accounts.set_roles(writing, made, clinic, some)
    return made


class SignedInClient(FlaskClient):
    """A browser in which Ana is signed in, or somebody else; with ``email=None`` nobody is."""

    def __init__(self, *args: Any, email: str | None = ANA, **options: Any) -> None:
        super().__init__(*args, **options)
        if email is not None:
            sign_in(self, email)
