"""Dashboard, calendar, team meeting, hand-over and search as a browser gets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.web.forms import form_on
from tests.web.people import ANA, person, sign_in, token_for
from tests.web.register import NOW, SOUTH, Register, opened, seeded_register
from tracker import cases, hand_overs, people, planned
from tracker.access import Role
from tracker.models import Absence, AuditEntry, CaseEvent, Person
from web.desk import desk
from workflows.dates import in_words

MakeApp = Callable[..., Flask]
TODAY = "2027-03-12"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("rooms")
    seeded_register(home).database.close()
    return home


@pytest.fixture
def own(seeded: Path, tmp_path: Path) -> Iterator[Register]:
    """A register of its own, for a test that writes."""
    made = opened(copytree(seeded, tmp_path / "own"))
    yield made
    made.database.close()


@pytest.fixture
def at_desk(own: Register, make_app: MakeApp) -> FlaskClient:
    return sign_in(make_app(own).test_client())


def said(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


# The dashboard ---------------------------------------------------------------------------------------------


def test_each_bar_of_a_picture_leads_to_a_list_of_as_many(client: FlaskClient) -> None:
    page = client.get("/").text
    picture = page[page.index('id="by-age-title"') : page.index('id="by-activity-title"')]
    marks = re.findall(r'<a href="([^"]+)" aria-label="[^:]+: ([0-9]+) follow-ups?"', picture)
    assert len(marks) == 6
    for address, number in marks:
        shown = client.get(address.replace("&amp;", "&")).text
        assert f" of {number}." in said(shown) or number == "0"


def test_each_picture_has_its_numbers_as_a_table(client: FlaskClient) -> None:
    page = client.get("/").text
    assert page.count('class="picture"') == page.count('<details class="numbers">') >= 4
    assert "style=" not in page


def test_every_link_of_the_dashboard_leads_somewhere(client: FlaskClient) -> None:
    links = set(re.findall(r'href="(/[^"#]*)', client.get("/").text))
    for link in sorted(links - {link for link in links if link.endswith((".css", ".svg", ".js"))}):
        assert client.get(link.replace("&amp;", "&")).status_code == 200, link


def test_a_navigator_who_leads_nothing_sees_their_own_first(register: Register, make_app: MakeApp) -> None:
    from tracker import accounts
    from web.desk import desk

    app = make_app(register)
    with desk(app).writing("test:people") as writing:
        found = accounts.add(writing, "ben@example.org", name="Ben")
        for clinic in ("North", "South"):
            accounts.set_roles(writing, found, clinic, {Role.NAVIGATOR})
    client = sign_in(app.test_client(), "ben@example.org")
    page = client.get("/").text
    assert "Rosa Martín" in page
    assert "Wei Zhang" not in page
    assert "Wei Zhang" in client.get("/?navigator=").text
    assert client.get("/calendar").status_code == 200


def test_ages_that_there_are_not_are_refused(client: FlaskClient) -> None:
    assert client.get("/?age=3-4").status_code == 400


# Search ----------------------------------------------------------------------------------------------------


def search(client: FlaskClient, text: str):  # type: ignore[no-untyped-def]
    action, fields = form_on(client.get("/search"), "/search")
    return client.post(action, data=fields | {"text": text})


def test_a_name_finds_cases_and_a_number_opens_one(client: FlaskClient) -> None:
    assert "Rosa Martín" in search(client, "martin").text
    assert search(client, "n-001").headers["Location"].endswith("/cases/N-001")
    assert "No case fits" in search(client, "nobody of this name").text
    assert search(client, "").status_code == 200


def test_what_is_searched_stands_in_no_address(client: FlaskClient) -> None:
    assert client.get("/search?text=martin").text.count("Martín") == 0
    assert 'method="get"' not in client.get("/search").text


# Calendar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address, words",
    [
        ("/calendar", "March 2027"),
        ("/calendar?day=2028-02-29", "February 2028"),
        ("/calendar?view=week&day=2027-03-25", "Booked"),
        ("/calendar?view=day&day=2027-03-25", "Grace Okafor"),
        ("/calendar?view=day&day=1900-01-01", "Due on this day 0"),
        ("/calendar?view=month&day=2199-12-31", "December 2199"),
        ("/calendar?clinic=South", "not a working day"),
    ],
)
def test_a_month_a_week_and_a_day(client: FlaskClient, address: str, words: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert words in said(answer.text)


def test_holidays_of_a_clinic_are_marked(own: Register, make_app: MakeApp) -> None:
    from tracker import people

    with own.database.writing() as session:
        people.set_holidays(own.write(session), "North", "GB-ENG")
    client = sign_in(make_app(own).test_client())
    assert "26 Mar 2027, nothing, holiday in North" in client.get("/calendar").text
    assert "26 Mar 2027, nothing, holiday" in client.get("/calendar?clinic=North").text


# Team meeting ----------------------------------------------------------------------------------------------


def test_a_meeting_is_prepared_held_and_its_decision_stays(at_desk: FlaskClient) -> None:
    page = at_desk.get(f"/team-meeting?on={TODAY}")
    action, fields = form_on(page, "/team-meeting/add")
    at_desk.post(action, data=fields | {"ref": "N-001", "question": "Go on?"})
    page = at_desk.get(f"/team-meeting?on={TODAY}")
    assert "To be decided: Go on?" in said(page.text)
    action, fields = form_on(page, "/team-meeting/decide")
    for _ in range(2):  # a double click
        at_desk.post(action, data=fields | {"text": "Go on after surgery."})
    page = at_desk.get(f"/team-meeting?on={TODAY}")
    assert said(page.text).count("Go on after surgery.") == 1
    assert "Go on after surgery." in at_desk.get("/cases/N-001").text
    action, fields = form_on(page, "/team-meeting/take-off")
    for _ in range(2):  # a double click
        assert at_desk.post(action, data=fields).status_code == 303
        assert "N-001 is no longer on the list." in at_desk.get(f"/team-meeting?on={TODAY}").text
    assert at_desk.post(action, data=fields | {"ref": "N-404"}).status_code == 404
    assert "0 cases on the list" in said(at_desk.get(f"/team-meeting?on={TODAY}").text)


def test_a_decision_goes_on_to_the_step_that_follows_and_back_to_the_meeting(
    own: Register, at_desk: FlaskClient
) -> None:
    action, fields = form_on(at_desk.get(f"/team-meeting?on={TODAY}"), "/team-meeting/add")
    at_desk.post(action, data=fields | {"ref": "N-002"})
    page = at_desk.get(f"/team-meeting?on={TODAY}")
    action, fields = form_on(page, "/team-meeting/decide")
    asked = fields | {"text": "Look again: recurrence?", "step": "suspect_progression"}
    there = at_desk.post(action, data=asked).headers["Location"]
    assert there.startswith("/cases/N-002/move/suspect_progression?on=")
    sheet = at_desk.get(there)
    action, fields = form_on(sheet, "/cases/N-002/move/suspect_progression")
    assert fields["on"] == TODAY
    seen = at_desk.post(action, data=fields)
    assert "What would change" in seen.text
    action, fields = form_on(seen, "/cases/N-002/move/suspect_progression")
    done = at_desk.post(action, data=fields)
    assert done.headers["Location"] == f"/team-meeting?on={TODAY}#case-N-002"
    assert "Recorded: suspect progression or recurrence." in at_desk.get(f"/team-meeting?on={TODAY}").text
    with own.database.reading() as session:
        case = cases.find(session, "N-002")
        assert case.state == "restaging.suspected"
        assert [event.kind for event in cases.events_of(session, case)][-2:] == ["decision:recorded", "state:changed"]


def test_a_case_with_a_warning_is_discussed_with_its_warning(own: Register, at_desk: FlaskClient) -> None:
    own.facts("N-002", "2026-01-05", reported_grade="G3")
    action, fields = form_on(at_desk.get(f"/team-meeting?on={TODAY}"), "/team-meeting/add")
    at_desk.post(action, data=fields | {"ref": "N-002"})
    page = at_desk.get(f"/team-meeting?on={TODAY}")
    assert page.status_code == 200
    assert "Warnings The grade that follows from differentiation" in said(page.text)


def test_what_cannot_be_on_a_list_is_said_in_words(at_desk: FlaskClient) -> None:
    action, fields = form_on(at_desk.get("/team-meeting"), "/team-meeting/add")
    refused = at_desk.post(action, data=fields | {"ref": "N-009"})
    assert (refused.status_code, "A closed case is not discussed" in refused.text) == (422, True)
    assert at_desk.post(action, data=fields | {"ref": "none"}).status_code == 404
    assert at_desk.post(action, data=fields | {"ref": "N-001", "on": "soon"}).status_code == 400


# Hand-over -------------------------------------------------------------------------------------------------


def test_some_cases_are_handed_over_after_a_look(at_desk: FlaskClient, own: Register) -> None:
    token_for(at_desk.application, "ben@example.org")
    page = at_desk.get("/hand-over")
    action, fields = form_on(page, "/hand-over/")
    refs = re.findall(r'name="case" value="([^"]+)"', page.text)
    wish = MultiDict(fields | {"to": "ben@example.org"})
    wish.setlist("case", refs[:2])
    look = at_desk.post(action, data=wish)
    assert "Nothing has been changed yet" in said(look.text)
    action, fields = form_on(look, "/hand-over/")
    sure = MultiDict(fields)
    sure.setlist("case", refs[:2])
    assert "2 cases were handed over" in said(at_desk.post(action, data=sure).text)
    assert own.looks() == [], "the report lists references, and shows no case"
    left = re.findall(r'name="case" value="([^"]+)"', at_desk.get("/hand-over").text)
    assert left == refs[2:]
    assert "ben@example.org" in at_desk.get(f"/cases/{refs[0]}").text.replace("<wbr>", "")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"to": ANA}, "Choose who takes the cases over."),
        ({"on": "2029-03-14"}, "Choose an earlier day."),
        ({"on": "soon"}, "Give the day from which on"),
        ({"case": "none"}, "Choose at least one case."),
        ({"on": "2020-01-01"}, "was opened on"),
    ],
)
def test_a_hand_over_that_cannot_be_is_said_in_words(at_desk: FlaskClient, change: dict[str, str], words: str) -> None:
    token_for(at_desk.application, "ben@example.org")
    action, fields = form_on(at_desk.get("/hand-over"), "/hand-over/")
    answer = at_desk.post(action, data=fields | {"to": "ben@example.org"} | change)
    assert words in said(answer.text)


def wished(at_desk: FlaskClient, number: int, **change: str) -> tuple[list[str], TestResponse]:
    """The first so many of Ana's cases, wished to Ben, and the look at them."""
    token_for(at_desk.application, "ben@example.org")
    page = at_desk.get("/hand-over")
    action, fields = form_on(page, "/hand-over/")
    refs = re.findall(r'name="case" value="([^"]+)"', page.text)
    wish = MultiDict(fields | {"to": "ben@example.org"} | change)
    wish.setlist("case", refs[:number])
    return refs, at_desk.post(action, data=wish)


def make_sure(at_desk: FlaskClient, look: TestResponse, refs: list[str]) -> TestResponse:
    action, fields = form_on(look, "/hand-over/")
    sure = MultiDict(fields)
    sure.setlist("case", refs)
    return at_desk.post(action, data=sure)


def test_a_double_click_on_hand_over_says_what_was_done(at_desk: FlaskClient) -> None:
    refs, look = wished(at_desk, 2)
    for _ in range(2):
        answer = make_sure(at_desk, look, refs[:2])
        assert "2 cases were handed over" in said(answer.text)
        assert all(ref in answer.text for ref in refs[:2])
    with desk(at_desk.application).database.reading() as session:
        assert len(session.exec(select(CaseEvent).where(CaseEvent.kind == "case:handed_over")).all()) == 2


def test_a_form_that_has_lost_its_number_hands_nothing_over(at_desk: FlaskClient) -> None:
    _, look = wished(at_desk, 1, on="2027-04-01")
    answer = at_desk.post(form_on(look, "/hand-over/")[0], data=form_on(look, "/hand-over/")[1] | {"token": "x"})
    assert answer.status_code == 303
    assert "has lost its number" in said(at_desk.get("/hand-over").text)
    made_up = form_on(look, "/hand-over/")[1] | {"token": "x", "case": "N-404"}
    assert "Choose at least one case." in said(at_desk.post(form_on(look, "/hand-over/")[0], data=made_up).text)


def test_a_hand_over_from_a_later_day_is_noted_and_called_off(at_desk: FlaskClient) -> None:
    refs, look = wished(at_desk, 2, on="2027-04-01")
    assert "This is noted now, and done by itself on 1 Apr 2027" in said(look.text)
    assert "For a while only, name a stand-in instead." in said(look.text)
    for _ in range(2):
        assert make_sure(at_desk, look, refs[:2]).status_code == 303
    page = at_desk.get("/hand-over")
    assert "Noted: 2 cases go to ben@example.org from 1 Apr 2027 on." in said(page.text)
    assert "2 cases to ben@example.org from 1 Apr 2027 (in 3 weeks) on." in said(page.text.replace("<wbr>", ""))
    assert re.findall(r'name="case" value="([^"]+)"', page.text) == refs, "until then they stay"
    action, fields = form_on(page, "/call-off")
    assert at_desk.post(action, data=fields | {"on": "soon"}).status_code == 400
    at_desk.post(action, data=fields)
    page = at_desk.get("/hand-over")
    assert "Called off: 2 cases stay with ana@example.org." in said(page.text)
    assert "Noted for a later day" not in said(page.text)


def test_more_cases_than_a_page_holds_go_by_themselves(at_desk: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_overs, "AT_ONCE", 3)
    _, look = wished(at_desk, 3, everything="1")
    assert "done by itself within minutes" in said(look.text)
    make_sure(at_desk, look, [])
    page = at_desk.get("/hand-over")
    assert "The first 3 are listed, by name." in said(page.text)
    place = desk(at_desk.application)
    gone = planned.carry_out(place.database, place.secret, NOW)
    assert gone > 3
    assert f"Noted: {gone} cases go" in said(page.text)
    assert "No open case is theirs." in said(at_desk.get("/hand-over").text)


def test_an_absence_names_a_stand_in(at_desk: FlaskClient) -> None:
    token_for(at_desk.application, "ben@example.org")
    action, fields = form_on(at_desk.get("/hand-over"), "/absence")
    at_desk.post(action, data=fields | {"from": "2027-03-15", "until": "2027-03-19", "stand_in": "ben@example.org"})
    assert "Away from 15 Mar 2027 to 19 Mar 2027; ben@example.org stands in" in said(at_desk.get("/hand-over").text)
    at_desk.post(action, data=fields | {"from": "", "until": "2027-03-19"})
    assert "Give the first and the last day" in at_desk.get("/hand-over").text


@pytest.mark.parametrize("first", [TODAY, "2027-03-20"])
def test_an_absence_with_a_wrong_last_day_is_ended_and_noted_anew(at_desk: FlaskClient, first: str) -> None:
    note, fields = form_on(at_desk.get("/hand-over"), "/absence")
    at_desk.post(note, data=fields | {"from": first, "until": "2028-03-26"})
    end, given = form_on(at_desk.get("/hand-over"), "/end-absence")
    for _ in range(2):
        assert at_desk.post(end, data=given).status_code == 303
    page = said(at_desk.get("/hand-over").text)
    assert f"The absence of ana@example.org from {in_words(date.fromisoformat(first))} to 26 Mar 2028 is ended." in page
    assert "That absence is not noted any more." in page
    assert "Away from" not in page
    at_desk.post(note, data=fields | {"from": first, "until": "2027-03-26"})
    assert "to 26 Mar 2027; the lead hears" in said(at_desk.get("/hand-over").text)
    with desk(at_desk.application).database.reading() as session:
        entry = session.exec(select(AuditEntry).where(AuditEntry.kind == "person:back")).one()
    assert (entry.actor, entry.subject) == (ANA, ANA)
    assert json.loads(entry.data)["was"]["from"] == first


def test_nobody_stands_in_who_may_not_open_every_case_that_they_would_hear_of(own: Register, make_app: MakeApp) -> None:
    app = make_app(own)
    lead, near, far = "lea@example.org", "carl@example.org", "dora@example.org"
    north = {"North": {Role.NAVIGATOR}}
    person(desk(app), lead, {"North": {Role.LEAD}})
    person(desk(app), near, north)
    person(desk(app), far, north | {"South": {Role.CLINICIAN}})
    own.open("S-009", "2026-06-01", "Seen in both", **(SOUTH | {"navigator": ANA}))
    at_desk = sign_in(app.test_client(), lead)
    with own.database.reading() as session:
        number = session.exec(select(Person.id).where(Person.email == ANA)).one()
    page = at_desk.get(f"/hand-over?person={number}")
    taken_over, stand_in = page.text.split('id="stand_in"')
    assert near in taken_over
    assert far in taken_over
    assert near not in stand_in
    assert far in stand_in
    action, fields = form_on(page, "/absence")
    days = {"from": "2027-03-15", "until": "2027-03-19"}
    at_desk.post(action, data=fields | days | {"stand_in": near})
    assert "Choose somebody of the list to stand in." in at_desk.get("/hand-over").text
    at_desk.post(action, data=fields | days | {"stand_in": far})
    assert f"{far} stands in" in said(at_desk.get(f"/hand-over?person={number}").text)


def test_an_absence_that_has_begun_ends_the_day_before_today(own: Register, make_app: MakeApp) -> None:
    with own.database.writing() as session:
        people.set_away(own.write(session, now=NOW - timedelta(days=2)), ANA, date(2027, 3, 10), date(2027, 3, 26))
    at_desk = sign_in(make_app(own).test_client())
    end, given = form_on(at_desk.get("/hand-over"), "/end-absence")
    assert at_desk.post(end, data=given | {"from": "soon"}).status_code == 400
    at_desk.post(end, data=given)
    with own.database.reading() as session:
        assert session.exec(select(Absence.until_on)).one() == date(2027, 3, 11)


# Around every page -----------------------------------------------------------------------------------------


def test_only_rooms_that_the_person_may_enter_are_shown(register: Register, make_app: MakeApp) -> None:
    from tracker import accounts

    app = make_app(register)
    with desk(app).writing("test:people") as writing:
        found = accounts.add(writing, "root@example.org", name="Root")
        accounts.set_administrator(writing, found, True)
    client = sign_in(app.test_client(), "root@example.org")
    page = client.get("/help").text
    assert "Administration" in page
    for words in ("Overdue</a>", "Worklist</a>", "Hand over cases", 'id="seek"'):
        assert words not in page


def test_the_script_that_is_not_ours_is_served_from_here(client: FlaskClient) -> None:
    address = re.findall(r'<script src="(/htmx-[^"]+)"', client.get("/").text)[0]
    with client.get(address) as answer:
        assert answer.status_code == 200
        assert "javascript" in answer.content_type
        assert "max-age" in answer.headers["Cache-Control"]


def test_the_shortcuts_are_a_page_too(client: FlaskClient) -> None:
    page = client.get("/help").text
    assert "<kbd>/</kbd>" in page
    assert "Search for a case" in page
