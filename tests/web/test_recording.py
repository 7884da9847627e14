"""What a form records: once, with words about it, and with a way back."""

import re
from collections.abc import Callable
from datetime import date

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf

from tests.web.register import Register
from tracker import cases
from tracker.access import May
from web import recording
from web.access import needs


@pytest.fixture
def app(fresh_register: Register, make_app: Callable[..., Flask]) -> Flask:
    fresh_register.open("N-001", "2027-01-05", "Grace Okafor")
    return make_app(fresh_register)


def kinds(register: Register) -> list[str]:
    with register.database.reading() as session:
        return [event.kind for event in cases.events_of(session, cases.find(session, "N-001"))]


def test_a_change_is_told_once_and_can_be_undone_from_there(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()

    @app.post("/test-note")
    @needs(May.WRITE)
    def note() -> str:
        done = recording.record(
            "N-001", "note:added", date(2027, 3, 1), {"text": "hello"}, version=None, token="0123456789abcdef"
        )
        recording.say(done, "The note is recorded.", "N-001")
        return ""

    client.post("/test-note", data={"csrf_token": token_on(client)})
    page = client.get("/cases/N-001").text
    assert "The note is recorded." in page
    fields = dict(re.findall(r'name="(csrf_token|event|token|back)" value="([^"]*)"', page.split('id="said"')[1]))
    assert fields["event"] == "f-0123456789abcdef"
    assert "The note is recorded." not in client.get("/cases/N-001").text
    for _ in range(2):  # the second is a double click
        answer = client.post("/cases/N-001/undo", data=fields)
        assert (answer.status_code, answer.location) == (303, "/cases/N-001")
    assert kinds(fresh_register) == ["case:opened", "note:added", "event:corrected"]
    assert "Undone." in client.get("/cases/N-001").text


def token_on(client: FlaskClient) -> str:
    """A token of the client's session, as a form would carry it."""
    with client.application.test_request_context():
        token = str(generate_csrf())
        made = dict(session)
    with client.session_transaction() as kept:
        kept.update(made)
    return token


def test_what_is_refused_is_told_with_its_reasons(app: Flask) -> None:
    client = app.test_client()
    token = token_on(client)
    for event, words in (("e1", "The opening of a case cannot be corrected away."), ("e9", "no event")):
        fields = {"csrf_token": token, "event": event, "token": "0123456789abcdef", "reason": "slip"}
        client.post("/cases/N-001/undo", data=fields)
        page = client.get("/cases/N-001").text
        assert "said-refused" in page
        assert words in page


def test_a_case_that_is_not_there_has_nothing_to_undo(app: Flask) -> None:
    client = app.test_client()
    fields = {"csrf_token": token_on(client), "event": "e2", "token": "0123456789abcdef"}
    assert client.post("/cases/N-404/undo", data=fields).status_code == 404


@pytest.mark.parametrize(
    "given", [None, "", "https://example.org/", "//example.org", "/\\example.org", "javascript:x", "relative"]
)
def test_a_form_leads_back_to_our_own_pages_only(given: str | None) -> None:
    assert recording.way_back(given, "/cases/N-001") == "/cases/N-001"


def test_a_form_leads_back_to_the_page_it_names() -> None:
    assert recording.way_back("/worklist?mine=1", "/") == "/worklist?mine=1"
