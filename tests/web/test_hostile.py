"""The desk as somebody meets it who wants what is not theirs, or sends what no form of ours would send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from shutil import copytree
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select

from tests.web.forms import form_on, send, words
from tests.web.people import person, sign_in
from tests.web.register import Register, opened, seeded_register
from tracker import cases
from tracker.access import Role
from tracker.models import Absence, FollowUpRow
from web.csv_file import harmless
from web.desk import desk

MakeApp = Callable[..., Flask]
EVERY = {role for role in Role if role is not Role.ADMINISTRATOR}
TODAY = "2027-03-12"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hostile")
    made = seeded_register(home)
    made.open("S-009", "2026-09-01", "Mia Moreau", state="advanced.monitoring", clinic="South",
              timezone="America/New_York", navigator="ben@example.org")  # fmt: skip
    made.database.close()
    return home


@pytest.fixture
def own(seeded: Path, tmp_path: Path) -> Iterator[Register]:
    made = opened(copytree(seeded, tmp_path / "own"))
    yield made
    made.database.close()


@pytest.fixture
def app(own: Register, make_app: MakeApp) -> Flask:
    app = make_app(own)
    app.config["WTF_CSRF_ENABLED"] = False
    person(desk(app), "all@example.org", dict.fromkeys(("North", "South"), EVERY), administrator=True)
    person(desk(app), "nora@example.org", {"North": {Role.NAVIGATOR}})
    person(desk(app), "lena@example.org", {"North": {Role.LEAD}})
    person(desk(app), "sam@example.org", {"South": {Role.LEAD, Role.NAVIGATOR}})
    return app


@pytest.fixture
def everything(app: Flask) -> FlaskClient:
    return sign_in(app.test_client(), "all@example.org")


@pytest.fixture
def nora(app: Flask) -> FlaskClient:
    """The navigator of one clinic."""
    return sign_in(app.test_client(), "nora@example.org")


@pytest.fixture
def lena(app: Flask) -> FlaskClient:
    """The lead of one clinic."""
    return sign_in(app.test_client(), "lena@example.org")


def events(register: Register, ref: str) -> list[str]:
    with register.database.reading() as session:
        return [event.kind for event in cases.events_of(session, cases.find(session, ref))]


# What no form of ours would send ---------------------------------------------------------------------------


NUMBERED = (
    "/worklist?who=anyone&after=2027-01-01~{}",
    "/worklist?who=anyone&sort=due&before=2027-01-01~{}",
    "/worklist?who=anyone&sort=patient&after={}~1",
    "/worklist?who=anyone&sort=patient&after=1~{}",
    "/worklist?who=anyone&sort=state&after=advanced.planning~1~{}",
    "/worklist?who={}",
    "/worklist/list.csv?who={}",
    "/?after=2027-01-01.{}",
    "/audit?after={}",
    "/audit?what=entries&after={}",
    "/cases?needs=navigator&after={}",
    "/outbox?after={}",
    "/hand-over?person={}",
    "/cases/N-001/acts/done?item={}",
)


def test_a_number_that_no_row_can_have_is_answered_in_words(everything: FlaskClient) -> None:
    for address in NUMBERED:
        for number in (str(2**31), "999999999999999", "9" * 30, "-1", "\N{ARABIC-INDIC DIGIT THREE}"):
            answer = everything.get(address.format(quote(number)))
            assert answer.status_code == 400, (address, number)
            assert "This request was not understood" in answer.text
        assert everything.get(address.format(2**31 - 1), buffered=True).status_code < 405, address


def test_a_follow_up_that_is_not_named_as_a_page_names_it_is_answered_in_words(nora: FlaskClient) -> None:
    for item in ("9" * 15, "9" * 30, "-1~x", "1~2027-13-01", "x", "\N{ARABIC-INDIC DIGIT THREE}", "1_0", "~"):
        for answer in (
            nora.post(f"/cases/N-001/acts/done?item={quote(item)}", data={"token": "t" * 16}),
            nora.post("/worklist/acts/done", data={"item": item}),
        ):
            assert answer.status_code == 400, item
            assert "Which follow-up is meant" in answer.text


def test_a_place_that_no_page_has_written_is_answered_in_words(nora: FlaskClient) -> None:
    for place in ("a~1~x", "a\0~1~1", "~~", "<b>~1~1", "2027-01-01~1", "1", "x" * 1500 + "~1~1"):
        answer = nora.get(f"/worklist?who=anyone&sort=state&after={quote(place)}")
        assert answer.status_code == 400, place


BACK = (
    "//[", "http://[::1", "/a\r\nX-Evil: y", "/a\nb", "//evil.example", "/\\evil.example", "/\t/evil.example",
    "https://evil.example/", "javascript:alert(1)", " //evil.example", "worklist", "",
)  # fmt: skip


def test_a_form_leads_back_to_a_page_of_ours_whatever_it_says(nora: FlaskClient) -> None:
    for back in BACK:
        asked = {"back": back, "ref": "N-001", "on": TODAY, "entry": "N-001~none", "token": "t" * 16}
        for where, otherwise in {
            "/worklist/acts/done": "/worklist#said",
            "/worklist/undo": "/worklist#said",
            "/worklist/views/columns": "/worklist",
            "/cases/N-001/undo": "/cases/N-001",
            "/team-meeting/add": f"/team-meeting?on={TODAY}",
        }.items():
            answer = nora.post(where, data=asked)
            assert (answer.status_code, answer.location) == (303, otherwise), (back, where)
            assert "X-Evil" not in answer.headers


def test_what_no_database_keeps_is_answered_in_words(app: Flask, nora: FlaskClient) -> None:
    stranger = app.test_client(email=None)
    for client, where, asked in (
        (stranger, "/login", {"email": "a\0b", "password": "x"}),
        (nora, "/team-meeting/add", {"ref": "N-001", "on": TODAY, "question": "a\0b"}),
        (nora, "/team-meeting/decide", {"ref": "N-001\0", "on": TODAY, "text": "ab"}),
        (nora, "/hand-over/1/call-off", {"on": TODAY, "to": "a\0b"}),
        (nora, "/worklist/acts/note", {"item": "1\0"}),
    ):
        answer = client.post(where, data=asked)
        assert answer.status_code == 400, where
        assert "a character that is not text" in answer.text


# What is another clinic's ----------------------------------------------------------------------------------


def number_of(register: Register, ref: str) -> int:
    with register.database.reading() as session:
        return cases.find(session, ref).id or 0


def test_where_anothers_patient_would_stand_among_ones_own_is_not_told(
    own: Register, nora: FlaskClient, everything: FlaskClient
) -> None:
    def lines(client: FlaskClient, place: str = "") -> list[str]:
        page = client.get(f"/worklist?who=anyone&clinic=North&sort=patient&after={place}").text
        return re.findall(r'id="item-([0-9]+)"', page)

    theirs = f"{number_of(own, 'S-009')}~1"
    assert lines(everything, theirs) != lines(everything)
    assert lines(nora, theirs) == lines(nora) == lines(everything)


def test_a_lead_of_one_clinic_does_not_take_records_of_two_apart(
    app: Flask, own: Register, everything: FlaskClient, lena: FlaskClient
) -> None:
    merge = "/cases/N-005/merge"
    send(everything, send(everything, everything.get(merge), merge, into="S-009"), merge, reason="The same number.")
    assert events(own, "S-009")[-1] == "case:joined"
    answer = lena.post("/cases/N-005/separate", data={"reason": "Mine."})
    assert (answer.status_code, "S-009" in answer.text) == (404, False)
    assert events(own, "S-009")[-1] == "case:joined"
    assert events(own, "N-005")[-1] == "case:merged"


def test_only_somebody_of_the_clinic_stands_in(own: Register, app: Flask) -> None:
    person(desk(app), "ana@example.org", {"North": {Role.NAVIGATOR}})
    ana = sign_in_as(app, "ana@example.org")
    action, fields = form_on(ana.get("/hand-over"), "/absence")
    for other in ("mallory@evil.example", "sam@example.org", "ana@example.org"):
        asked = {"from": "2027-03-15", "until": "2027-03-19", "stand_in": other}
        told = words(ana.post(action, data=fields | asked, follow_redirects=True))
        assert "Choose somebody of the list to stand in" in told, other
    with own.database.reading() as session:
        assert session.exec(select(Absence)).first() is None


def test_a_new_patient_goes_to_somebody_who_may_look_after_them(own: Register, nora: FlaskClient) -> None:
    page = nora.get("/cases/new")
    for other in ("mallory@evil.example", "sam@example.org", "nora@exmple.org"):
        answer = send(nora, page, "/cases/new", name="Ida Falk", clinic="North", navigator=other)
        assert answer.status_code == 422
        assert "Nobody with this address may look after cases of North." in unescape(words(answer))
        assert 'value="Ida Falk"' in answer.text
    assert send(nora, page, "/cases/new", name="Ida Falk", clinic="North", navigator="").status_code == 303


def test_a_patients_name_is_not_kept_in_the_browser(own: Register, nora: FlaskClient) -> None:
    with own.database.reading() as session:
        case = cases.find(session, "N-002")
        item = session.exec(select(FollowUpRow.id).where(FollowUpRow.case_id == case.id, FollowUpRow.status == "open"))
        where = f"/cases/N-002/acts/note?item={item.first()}"
    nora.post(where, data={"text": "x", "token": "t" * 16, "back": "/worklist"})
    with nora.session_transaction() as kept:
        assert "Zhang" not in str(dict(kept))
    assert "for Wei Zhang." in words(nora.get("/worklist"))


def test_no_cell_of_a_file_begins_as_a_formula() -> None:
    for first in "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}":
        assert harmless(f"{first}1+1") == f"'{first}1+1"
        assert harmless(f" {first}1+1") == f"' {first}1+1"
    assert [harmless(plain) for plain in ("", " ", "Ana", " Ana=1")] == ["", " ", "Ana", " Ana=1"]


def test_no_part_of_a_cell_becomes_a_formula_where_a_spreadsheet_takes_it_for_a_cell_of_its_own() -> None:
    for between in (";", "\t", "; ", ";\t", "\t \t", ";\N{NO-BREAK SPACE}", ';"', "\n", "\r\n"):
        for first in "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH HYPHEN-MINUS}":
            assert harmless(f"Doe{between}{first}1+1") == f"Doe{between}'{first}1+1"
    assert harmless("Doe;=1;=2") == "Doe;'=1;'=2"
    assert harmless("=1;=2") == "'=1;'=2"
    assert [harmless("\t=1"), harmless("\r=1")] == ["'\t'=1", "'\r'=1"]
    assert [harmless(plain) for plain in ("Doe; Jane", "a;b\tc", "x = 1", "5;6-7")] == [
        "Doe; Jane", "a;b\tc", "x = 1", "5;6-7",
    ]  # fmt: skip


# A careless colleague --------------------------------------------------------------------------------------


def test_a_reference_that_nobody_has_leaves_the_question_on_the_form(nora: FlaskClient) -> None:
    told = []
    for ref in ("N-0001", "S-001"):
        page = nora.get("/team-meeting")
        answer = send(nora, page, "/team-meeting/add", ref=ref, question="Resect, or <b>wait</b>?")
        assert answer.status_code == 404
        _, fields = form_on(answer, "/team-meeting/add")
        assert (fields["ref"], unescape(fields["question"])) == (ref, "Resect, or <b>wait</b>?")
        assert f"There is no case {ref}" in words(answer)
        told.append(answer.text.replace(ref, ""))
    assert words_only(told[0]) == words_only(told[1])


def test_what_is_refused_of_a_meeting_leaves_the_words_on_the_form(nora: FlaskClient) -> None:
    page = nora.get("/team-meeting")
    answer = send(nora, page, "/team-meeting/add", ref="N-001", question="x" * 501)
    assert answer.status_code == 422
    assert form_on(answer, "/team-meeting/add")[1]["question"] == "x" * 501
    assert "The question is longer than 500 characters" in words(answer)
    answer = send(nora, page, "/team-meeting/add", ref="N-009", question="Why?")
    assert answer.status_code == 422
    assert form_on(answer, "/team-meeting/add")[1]["question"] == "Why?"


def test_no_word_of_a_decision_is_lost(own: Register, nora: FlaskClient) -> None:
    nora.post("/team-meeting/add", data={"ref": "N-001", "on": TODAY})
    page = nora.get(f"/team-meeting?on={TODAY}")
    long = "\r\n".join(["Resect."] * 700)
    answer = send(nora, page, "/team-meeting/decide", text=long)
    assert answer.status_code == 422
    assert "A decision has at most 5000 characters." in words(answer)
    assert form_on(answer, "/team-meeting/decide")[1]["text"].strip() == long.replace("\r\n", "\n")
    answer = send(nora, page, "/team-meeting/decide", text="Wait.", token="")
    assert (answer.status_code, "Wait.</textarea>" in answer.text) == (422, True)
    assert send(nora, answer, "/team-meeting/decide", text="x" * 4000 + "\r\n" * 500 + "y").status_code == 303
    assert events(own, "N-001")[-1] == "decision:recorded"


def sign_in_as(app: Flask, email: str) -> FlaskClient:
    return sign_in(app.test_client(email=None), email)


def words_only(text: str) -> str:
    return re.sub(r'value="[^"]+"', "", text)
