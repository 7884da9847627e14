"""Alarms on the pages: a banner on all of them while reminders stand still, the rest on the first, each with a link."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from tests.web.register import NOW, Register
from tracker.alarms import Look
from web.desk import desk

MakeApp = Callable[..., Flask]
STALE = NOW + timedelta(minutes=6)
BANNER = "Reminders are not going out"
PAGES = ["/", "/cases", "/cases/N-001", "/cases/N-001?on=2026-02-15", "/outbox", "/outbox?after=1", "/pathway"]
ERRORS = ["/cases/none", "/no-such-page", "/cases/N-001?on=soon", "/outbox?after=x", "/?clinic=Nowhere"]


def alarms_on(page: str) -> str:
    """What presses, and what can wait."""
    return " ".join(re.findall(r'<section class="alarms.*?</section>', page, re.DOTALL))


@pytest.mark.parametrize("address", [*PAGES, *ERRORS])
def test_the_banner_is_on_every_page_and_every_error_page(register: Register, make_app: MakeApp, address: str) -> None:
    assert BANNER in make_app(register, STALE).test_client().get(address).text
    assert BANNER not in make_app(register).test_client().get(address).text


def test_the_banner_is_on_an_answer_to_a_form_and_to_a_wrong_verb(register: Register, make_app: MakeApp) -> None:
    client = make_app(register, STALE).test_client()
    for answer in (client.post("/outbox/1/arrived"), client.post("/cases")):
        assert answer.status_code in (400, 405)
        assert BANNER in answer.text


def test_a_stranger_is_not_told_how_the_tracker_stands(register: Register, make_app: MakeApp) -> None:
    answer = make_app(register, STALE).test_client().get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert BANNER not in answer.text


def gone(*_: object, **__: object) -> None:
    raise OperationalError("SELECT", {}, Exception("gone"))


def test_an_error_page_needs_no_database(
    register: Register, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(register, STALE)
    monkeypatch.setattr(type(desk(app).database), "reading", gone)
    for address, code in (("/", 503), ("/no-such-page", 404)):
        answer = app.test_client().get(address)
        assert answer.status_code == code
        assert "Reference for whoever looks after the tracker" in answer.text


# The first page --------------------------------------------------------------------------------------------


@pytest.fixture
def posted_client(outbox_register: Register, make_app: MakeApp) -> FlaskClient:
    return make_app(outbox_register).test_client()


def test_the_first_page_says_what_is_wrong_what_to_do_and_where(posted_client: FlaskClient) -> None:
    shown = alarms_on(posted_client.get("/").text)
    for words in ("1 message was refused", "Go to the messages in question", "It is not known whether 1 message",
                  "there is nobody to tell", "Go to the cases with nobody responsible", "Act now",
                  "things to see to when there is time", "have been overdue for more than 90 days"):  # fmt: skip
        assert words in shown, words


def test_every_alarm_leads_to_a_place_that_is_there(posted_client: FlaskClient) -> None:
    for look in Look:
        address, _, place = look.partition("#")
        page = posted_client.get(address)
        assert page.status_code == 200
        assert not place or f'id="{place}"' in page.text


def test_what_the_banner_says_is_not_said_twice(register: Register, make_app: MakeApp) -> None:
    page = make_app(register, STALE).test_client().get("/").text
    assert page.count("The scheduler was last heard of") == 1


def test_a_clinics_name_is_inert_in_an_alarm_and_commands_stand_out(
    outbox_register: Register, make_app: MakeApp
) -> None:
    with outbox_register.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE clinic SET name = 'East <b>`bold`' WHERE name LIKE 'East%'")
    later = NOW + timedelta(days=3)
    with outbox_register.database.writing() as session:
        from tracker.models import Heartbeat

        session.merge(Heartbeat(part="tick", at=later))
    shown = alarms_on(make_app(outbox_register, later).test_client().get("/").text)
    assert "<b>" not in shown
    assert "East &lt;b&gt;" in shown
    assert "<code>tracker doctor</code>" in shown


def test_a_calm_installation_shows_no_alarms(fresh_register: Register, make_app: MakeApp) -> None:
    from tracker.tick import nightly, tick

    tick(fresh_register.database, fresh_register.settings, fresh_register.secret, NOW)
    nightly(fresh_register.database, NOW)
    assert alarms_on(make_app(fresh_register).test_client().get("/").text) == ""


def test_mail_that_is_off_is_said_on_the_first_page_and_the_outbox(
    outbox_register: Register, make_app: MakeApp
) -> None:
    without_mail = replace(outbox_register, settings=replace(outbox_register.settings, mail_off=True))
    client = make_app(without_mail).test_client()
    assert re.search(r"Mail is off: \d+ reminders are raised and told to nobody", alarms_on(client.get("/").text))
    outbox = client.get("/outbox").text
    assert "nowhere: mail is off" in outbox
    assert "nothing of this goes out until it is turned on" in outbox


def test_no_patient_is_in_an_alarm(posted_client: FlaskClient) -> None:
    shown = alarms_on(posted_client.get("/").text).lower()
    for secret in ("okafor", "zhang", "nordmann", "n-001", "x-001", "alert(", "1961", "imaging"):
        assert secret not in shown, secret
