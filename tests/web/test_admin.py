"""Administration and audit: accounts, links, clinics, and who looked at what."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.web.forms import form_on, send, words
from tests.web.people import account, person, sign_in
from tests.web.register import NOW, Register, seeded_register
from tracker import accounts, people
from tracker.access import Role
from tracker.models import Clinic
from web import create_app
from web.desk import desk

ADA, ELLA, AUDE = "ada@example.org", "ella@example.org", "aude@example.org"


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    made = seeded_register(tmp_path_factory.mktemp("admin"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def app(register: Register) -> Iterator[Flask]:
    made = create_app(register.settings, lambda: NOW)
    made.config["WTF_CSRF_ENABLED"] = False
    person(desk(made), ADA, {}, administrator=True)
    person(desk(made), ELLA, {"North": {Role.NAVIGATOR}})
    person(desk(made), AUDE, {"North": {Role.AUDITOR}})
    yield made
    desk(made).database.close()


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    return sign_in(app.test_client(), ADA)


def number_of(register: Register, email: str) -> int:
    with register.database.reading() as session:
        return accounts.row_id(accounts.of(session, email))


def clinic(register: Register, name: str) -> Clinic:
    with register.database.reading() as session:
        return session.exec(select(Clinic).where(Clinic.name == name)).one()


def after(client: FlaskClient, address: str, **form: object) -> str:
    return client.post(address, data=form, follow_redirects=True).text


def changed(client: FlaskClient, address: str, **form: object) -> str:
    """What is answered to the form of a page that was opened just now."""
    return after(client, address, shown=shown_on(client.get(address), address), **form)


def shown_on(page: TestResponse, address: str) -> str:
    return form_on(page, address)[1]["shown"]


def test_an_administrator_makes_an_account_and_hands_a_link_over(
    app: Flask, ada: FlaskClient, register: Register
) -> None:
    north = clinic(register, "North").id
    page = after(
        ada, "/admin/accounts", email="new@example.org", name="New <b>", **{f"role.{north}": ["navigator", "lead"]}
    )
    link = re.search(r'href="(http://localhost/welcome/[^"]+)"', page)
    assert link
    listed = ada.get("/admin").text
    assert "North: lead, navigator" in listed
    assert "New &lt;b&gt;" in listed
    assert "no password yet" in listed
    stranger = app.test_client()
    words = "words that are quite new"
    assert "Sign in with it." in after(stranger, link[1], password=words, again=words)
    assert stranger.post("/login", data={"email": "new@example.org", "password": words}).location == "/"


@pytest.mark.parametrize(
    "form, words", [({"email": "nobody"}, "is not an e-mail address"), ({"email": ELLA}, "already")]
)
def test_an_account_that_cannot_be_is_refused_in_words(ada: FlaskClient, form: dict[str, str], words: str) -> None:
    assert words in after(ada, "/admin/accounts", **form)


def test_roles_are_changed_on_the_page_of_an_account(app: Flask, ada: FlaskClient, register: Register) -> None:
    person(desk(app), "zoe@example.org", {"North": {Role.LEAD}})
    number, north, south = (
        number_of(register, "zoe@example.org"),
        clinic(register, "North").id,
        clinic(register, "South").id,
    )
    zoe = sign_in(app.test_client(), "zoe@example.org")
    assert zoe.get("/cases/N-001").status_code == 200
    page = changed(ada, f"/admin/accounts/{number}", **{f"role.{south}": "clinician"})
    assert "The roles are set." in page
    assert zoe.get("/cases/N-001").status_code == 404
    assert zoe.get("/cases/S-001").status_code == 200
    assert "one of those that the form offers" in changed(
        ada, f"/admin/accounts/{number}", **{f"role.{north}": "administrator"}
    )
    assert "only administrator" in changed(ada, f"/admin/accounts/{number_of(register, ADA)}")


def test_a_leaver_is_disabled_and_let_in_again(app: Flask, ada: FlaskClient, register: Register) -> None:
    person(desk(app), "leaver@example.org", {"North": {Role.NAVIGATOR}})
    number = number_of(register, "leaver@example.org")
    leaver = sign_in(app.test_client(), "leaver@example.org")
    assert "The account is disabled." in after(ada, f"/admin/accounts/{number}/disable")
    assert leaver.get("/account").status_code == 303
    assert "let it sign in again first" in after(ada, f"/admin/accounts/{number}/link")
    assert "no, disabled" in ada.get("/admin").text
    assert "The account may sign in again." in after(ada, f"/admin/accounts/{number}/enable")
    assert "A link for" in after(ada, f"/admin/accounts/{number}/link", telephone="lost")


def test_nobody_makes_a_link_for_their_own_account(ada: FlaskClient, register: Register) -> None:
    address = f"/admin/accounts/{number_of(register, ADA)}"
    page = ada.get(address)
    assert f'action="{address}/link"' not in page.text
    assert 'href="/account#password"' in page.text
    refused = after(ada, f"{address}/link", telephone="lost")
    assert "The password of your own account is changed on its own page" in refused
    with register.database.reading() as session:
        own = accounts.of(session, ADA)
        assert own.password is not None
    assert ada.get("/admin").status_code == 200, "and they are still signed in"


@pytest.mark.parametrize("address", ["/admin/accounts/999", "/admin/clinics/999"])
def test_what_there_is_not_is_not_there(ada: FlaskClient, address: str) -> None:
    assert ada.get(address).status_code == 404
    assert ada.post(address).status_code == 404


WAYS = {
    "lead": "lead@example.org",
    "clinician": "doc@example.org",
    "mail_from": "",
    "digest_at": "08:15",
    "working_days": ["1", "2"],
    "holidays": "GB-ENG",
    "timezone": "Europe/Paris",
}


def test_a_clinic_is_added_and_set(ada: FlaskClient, register: Register) -> None:
    assert "The clinic is there." in after(ada, "/admin/clinics", name="West", timezone="America/New_York")
    assert "already" in after(ada, "/admin/clinics", name="West", timezone="America/New_York")
    number = clinic(register, "West").id
    assert "settings are set" in changed(ada, f"/admin/clinics/{number}", **WAYS)
    west = clinic(register, "West")
    assert (west.lead_email, west.mail_from, f"{west.digest_at:%H:%M}") == ("lead@example.org", None, "08:15")
    assert (west.working_days, west.holidays, west.timezone) == ("12", "GB-ENG", "Europe/Paris")


@pytest.mark.parametrize(
    "field, value", [("digest_at", "25:00"), ("working_days", []), ("timezone", "Mars/X"), ("lead", "x")]
)
def test_where_a_part_is_refused_nothing_of_a_clinic_is_set(
    ada: FlaskClient, register: Register, field: str, value: object
) -> None:
    before = clinic(register, "South").model_dump()
    page = changed(ada, f"/admin/clinics/{before['id']}", **(WAYS | {"lead": "other@example.org"} | {field: value}))
    assert "Nothing was changed." in page
    assert clinic(register, "South").model_dump() == before


def test_a_time_zone_of_any_length_is_refused_in_words_that_a_cookie_holds(ada: FlaskClient) -> None:
    answer = ada.post("/admin/clinics", data={"name": "East", "timezone": secrets.token_hex(4000)})
    assert all(len(cookie) < 1000 for cookie in answer.headers.getlist("Set-Cookie"))
    assert "is not an IANA time zone such as Europe/London" in words(ada.get("/admin"))


# Two administrators at once --------------------------------------------------------------------------------

MEANWHILE = "Somebody changed this after your page was opened"


@pytest.fixture
def adam(app: Flask, register: Register) -> FlaskClient:
    """Another administrator."""
    with desk(app).writing("test:people") as writing:
        accounts.set_administrator(writing, account(writing, "adam@example.org"), True)
    return sign_in(app.test_client(), "adam@example.org")


def test_a_form_of_roles_that_lay_open_undoes_nobodys_change(
    app: Flask, ada: FlaskClient, adam: FlaskClient, register: Register
) -> None:
    person(desk(app), "yan@example.org", {"North": {Role.LEAD}})
    north, south = clinic(register, "North").id, clinic(register, "South").id
    address = f"/admin/accounts/{number_of(register, 'yan@example.org')}"
    opened = shown_on(ada.get(address), address)
    theirs = {f"role.{north}": ["lead"], f"role.{south}": ["clinician"]}
    assert "The roles are set." in changed(adam, address, **theirs)
    for shown in (opened, "", None):
        mine = {"shown": shown} if shown is not None else {}
        answer = ada.post(address, data=mine | {f"role.{north}": ["lead", "navigator"]})
        assert (answer.status_code, MEANWHILE in words(answer), "Nothing was changed." in words(answer)) == (
            409,
            True,
            True,
        )
    assert f'name="role.{south}" value="clinician" checked' in answer.text
    assert f'name="role.{north}" value="navigator" checked' not in answer.text
    assert "North: lead; South: clinician" in words(ada.get("/admin")).replace(" ;", ";")
    again = send(ada, answer, address, **{f"role__{south}": "auditor"})
    assert again.status_code == 303, "the form that came with the refusal is of today"


def of_clinic(client: FlaskClient, page: TestResponse, **typed: str) -> TestResponse:
    """Send the form of a clinic that works from Monday to Friday."""
    action, fields = form_on(page, "/admin/clinics/")
    return client.post(action, data=fields | {"working_days": list("12345")} | typed)


def test_a_form_of_a_clinic_that_lay_open_undoes_nobodys_change(
    ada: FlaskClient, adam: FlaskClient, register: Register
) -> None:
    address = f"/admin/clinics/{clinic(register, 'South').id}"
    opened = ada.get(address)
    assert of_clinic(adam, adam.get(address), lead="new-lead@example.org").status_code == 303
    answer = of_clinic(ada, opened, digest_at="09:00")
    assert (answer.status_code, MEANWHILE in words(answer)) == (409, True)
    assert form_on(answer, address)[1]["lead"] == "new-lead@example.org"
    south = clinic(register, "South")
    assert (south.lead_email, f"{south.digest_at:%H:%M}") == ("new-lead@example.org", "07:30")
    assert of_clinic(ada, answer, digest_at="09:00").status_code == 303
    assert clinic(register, "South").lead_email == "new-lead@example.org"


def test_a_double_click_on_settings_is_answered_alike(app: Flask, ada: FlaskClient, register: Register) -> None:
    person(desk(app), "xia@example.org", {})
    north, south = clinic(register, "North").id, clinic(register, "South").id
    address = f"/admin/accounts/{number_of(register, 'xia@example.org')}"
    page = ada.get(address)
    assert [send(ada, page, address, **{f"role__{south}": "auditor"}).status_code for _ in range(2)] == [303, 303]
    page = ada.get(f"/admin/clinics/{north}")
    assert [of_clinic(ada, page, digest_at="06:45").status_code for _ in range(2)] == [303, 303]


# One's own digest ------------------------------------------------------------------------------------------


def test_whoever_hears_of_cases_chooses_their_days(app: Flask, register: Register) -> None:
    ana = sign_in(app.test_client())
    assert "Your digest days are set." in after(ana, "/account/digest-days", day=["1", "3"])
    with register.database.reading() as session:
        assert people.digest_days_of(session, "ana@example.org") == "13"
    assert "is not a choice of weekdays" in after(ana, "/account/digest-days", day=["9"])
    assert "Days of the digest" not in sign_in(app.test_client(), AUDE).get("/account").text


# The audit -------------------------------------------------------------------------------------------------


def test_an_auditor_sees_who_looked_and_exports_it(app: Flask) -> None:
    ella, aude = sign_in(app.test_client(), ELLA), sign_in(app.test_client(), AUDE)
    sign_in(app.test_client(), "ben@example.org").get("/cases/S-001")
    assert ella.get("/cases/N-001").status_code == 200
    page = aude.get("/audit?person=ella@example.org&case=N-001&since=2027-03-12&until=2027-03-12").text
    assert "Case page" in page
    everything = aude.get("/audit").text
    assert "S-001" not in everything
    assert "Nothing that fits." in aude.get("/audit?until=2027-03-11").text
    assert aude.get("/audit?since=2027-03-12&until=2027-03-11").status_code == 400
    assert "Nothing more." in aude.get("/audit?after=0").text
    exported = aude.post("/audit/looks.csv?person=ella@example.org")
    lines = exported.text.splitlines()
    assert exported.mimetype == "text/csv"
    assert lines[0].startswith("at (UTC),person,case")
    assert all("ella@example.org,N-001,North,Case page,yes" in line for line in lines[1:])
    for path in ("facts", "record/note", "record/contact"):
        assert ella.get(f"/cases/N-001/{path}").status_code == 200
    assert ella.get("/team-meeting").status_code == 200
    told = aude.get("/audit").text
    assert "Form: facts" in told
    assert not re.search(r'data-label="Where">\w+\.\w+', told)
    assert "audit: exported" in aude.get("/audit?what=entries").text


def test_entries_are_read_a_page_at_a_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.audit.PAGE", 1)
    aude = sign_in(app.test_client(), AUDE)
    page = aude.get("/audit?what=entries").text
    assert "Earlier" in page
    further = re.search(r'href="(/audit\?[^"]*after=\d+[^"]*)"', page)
    assert further
    assert aude.get(further[1].replace("&amp;", "&")).status_code == 200


# The very first account ------------------------------------------------------------------------------------


def test_the_very_first_account_is_made_with_its_clinic(tmp_path: Path) -> None:
    from tests.web.register import empty_register
    from tracker import links

    register = empty_register(tmp_path)
    app = create_app(register.settings, lambda: NOW)
    app.config["WTF_CSRF_ENABLED"] = False
    with desk(app).writing("test:people") as writing:
        link = "/welcome/" + str(links.for_first(writing, register.secret))
    client, words = app.test_client(), "words that are quite new"
    assert "Name of the first clinic" in client.get(link).text
    form = {"email": ADA, "name": "Ada", "clinic": "North", "timezone": "Mars/X", "password": words, "again": words}
    assert "time zone" in after(client, link, **form)
    assert "Sign in with it." in after(client, link, **(form | {"timezone": "Europe/London"}))
    assert client.post("/login", data={"email": ADA, "password": words}).location == "/"
    assert client.get("/admin").status_code == 200
    assert client.get("/").status_code == 200
    assert client.get(link).status_code == 404
    desk(app).database.close()
    register.database.close()
