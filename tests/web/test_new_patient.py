"""A new patient: little to type, nobody twice unless with a reason, and two records made one."""

from collections.abc import Callable, Iterator
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import col, select
from werkzeug.test import TestResponse

from tests.tracker.conftest import Installation
from tests.tracker.test_races import at_once
from tests.web.forms import form_on, send, words
from tests.web.people import SignedInClient, person
from tests.web.register import Register
from tracker import cases
from tracker.access import Role
from tracker.errors import UnknownThing
from tracker.models import Case
from web import create_app
from web.desk import desk
from workflows.events import Event

NEW = "/cases/new"
NORTH = {"clinic": "North"}


@pytest.fixture
def app(fresh_register: Register, make_app: Callable[..., Flask]) -> Flask:
    fresh_register.open("N-001", "2027-01-05", "Grace Okafor", state="advanced.planning")
    fresh_register.open("S-001", "2027-01-05", "Rosa Martín", clinic="South", timezone="Europe/London")
    return make_app(fresh_register)


def events(register: Register, ref: str) -> list[Event]:
    with register.database.reading() as session:
        return cases.events_of(session, cases.find(session, ref))


def test_a_case_is_opened_with_little_typing(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    done = send(client, client.get(NEW), NEW, name="Hanna Lind", **NORTH)
    assert (done.status_code, done.location) == (303, "/cases/C-0003#said")
    opened = events(fresh_register, "C-0003")[0]
    assert opened.data["patient"] == {"ref": "C-0003", "name": "Hanna Lind"}
    assert (opened.data["navigator"], opened.data["state"]) == ("ana@example.org", "workup.referred")
    assert "Histology" in client.get("/cases/C-0003").text


def test_a_double_click_opens_one_case(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    page = client.get(NEW)
    answers = [send(client, page, NEW, name="Hanna Lind", birth_date="1970-01-01", **NORTH) for _ in range(2)]
    assert [a.location for a in answers] == ["/cases/C-0003#said"] * 2
    with fresh_register.database.reading() as session, pytest.raises(UnknownThing):
        cases.find(session, "C-0004")


def test_a_double_click_opens_one_case_also_where_the_reference_was_taken_meanwhile(
    app: Flask, fresh_register: Register
) -> None:
    ana, ben = app.test_client(), app.test_client(email="ben@example.org")
    page = ana.get(NEW)
    send(ben, ben.get(NEW), NEW, name="Tomas Novak", **NORTH)
    answers = [send(ana, page, NEW, name="Hanna Lind", birth_date="1970-01-01", **NORTH) for _ in range(2)]
    assert [a.location for a in answers] == ["/cases/C-0004#said"] * 2
    other = send(ana, page, NEW, name="Ida Falk", **NORTH)
    assert other.location == "/cases/C-0005#said", "a page to which somebody went back, with another patient in it"


def test_two_people_who_were_shown_the_same_reference_both_get_one(app: Flask, fresh_register: Register) -> None:
    ana, ben = app.test_client(), app.test_client(email="ben@example.org")
    pages = ana.get(NEW), ben.get(NEW)
    assert send(ana, pages[0], NEW, name="Hanna Lind", **NORTH).location == "/cases/C-0003#said"
    assert send(ben, pages[1], NEW, name="Tomas Novak", **NORTH).location == "/cases/C-0004#said"


def test_who_may_be_the_same_is_shown_before_anything_is_recorded(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    asked = send(client, client.get(NEW), NEW, name="Okafor Grace", birth_date="1961-02-28", **NORTH)
    assert "Is it one of these?" in words(asked)
    assert "A similar name, and the same birth date." in words(asked)
    assert fresh_register.looks() == [("N-001", "new_patient.new")], "what is told of another patient is on record"
    again = send(client, asked, NEW)
    assert "This is needed to open a second record." in words(again)
    done = send(client, again, NEW, anyway="Twin sister, seen both.")
    assert done.status_code == 303
    note = events(fresh_register, "C-0003")[-1]
    assert note.data["text"] == "Opened although similar records stand (N-001): Twin sister, seen both."


def test_a_reason_holds_for_the_records_that_were_shown(app: Flask) -> None:
    grace = {"name": "Grace Okafor", "birth_date": "1961-02-28"} | NORTH
    ana, ben = app.test_client(), app.test_client(email="ben@example.org")
    seen = [send(client, client.get(NEW), NEW, **grace) for client in (ana, ben)]
    assert send(ana, seen[0], NEW, anyway="Twin sister.").location == "/cases/C-0003#said"
    again = send(ben, seen[1], NEW, anyway="Twin sister.")
    assert (again.status_code, "C-0003" in words(again)) == (200, True)
    assert send(ben, again, NEW).location == "/cases/C-0004#said", "the reason stands there still"


@pytest.fixture
def on_either(place: Installation) -> Iterator[Flask]:
    """The pages on each database."""
    app = create_app(place.settings, lambda: place.now)
    app.test_client_class = SignedInClient
    yield app
    desk(app).database.close()


def opened_by_now(app: Flask) -> list[str]:
    with desk(app).database.reading() as session:
        return list(session.exec(select(Case.ref).order_by(col(Case.ref))))


def test_clicks_at_the_same_moment_open_one_case(on_either: Flask) -> None:
    ana, clients = on_either.test_client(), [on_either.test_client(email=None) for _ in range(4)]
    page = ana.get(NEW)
    cookie = ana.get_cookie(on_either.config["SESSION_COOKIE_NAME"])
    for client in clients:
        client.set_cookie(cookie.key, cookie.value)
    locations: list[str | None] = []

    def click(client: FlaskClient) -> None:
        locations.append(send(client, page, NEW, name="Hanna Lind").location)

    assert at_once(*[lambda client=client: click(client) for client in clients]) == []
    assert locations == ["/cases/C-0001#said"] * 4
    assert opened_by_now(on_either) == ["C-0001"]


def test_of_colleagues_who_enter_one_patient_at_the_same_moment_one_is_asked(on_either: Flask) -> None:
    clients = [on_either.test_client(email=f"{name}@example.org") for name in ("ana", "ben", "cy")]
    pages = [client.get(NEW) for client in clients]
    answers: list[TestResponse] = []

    def enter(client: FlaskClient, page: TestResponse) -> None:
        answers.append(send(client, page, NEW, name="Hanna Lind", birth_date="1970-01-01"))

    works = [lambda client=client, page=page: enter(client, page) for client, page in zip(clients, pages, strict=True)]
    assert at_once(*works) == []
    assert sorted(answer.status_code for answer in answers) == [200, 200, 303]
    assert sum("Is it one of these?" in words(answer) for answer in answers) == 2
    assert opened_by_now(on_either) == ["C-0001"]


def test_nothing_is_told_of_a_patient_of_another_clinic(app: Flask) -> None:
    person(desk(app), "nora@example.org", {"North": {Role.NAVIGATOR}})
    client = app.test_client(email="nora@example.org")
    page = client.get(NEW)
    assert "South" not in words(page)
    done = send(client, page, NEW, name="Rosa Martín", birth_date="1961-02-28")
    assert done.status_code == 303, "the candidate of the other clinic is not shown"


def test_what_is_wrong_is_said_beside_its_field(app: Flask) -> None:
    client = app.test_client()
    typed = {"name": "", "birth_date": "1961-02-31", "ref": "a b", "on": "2027-03-13"}
    refused = send(client, client.get(NEW), NEW, **typed, **NORTH)
    assert refused.status_code == 422
    assert "This is needed." in words(refused)
    later = send(client, refused, NEW, name="Hanna Lind", birth_date="", ref="C-1")
    assert "The latest day here is" in words(later)


def test_a_name_that_cannot_be_read_is_refused_beside_its_field(app: Flask) -> None:
    client = app.test_client()
    page = client.get(NEW)
    for name, why in (
        ("\u202e\u200b", "no letter and no digit"),
        ("Ana\u202eCosta", "a character that cannot be seen"),
    ):
        refused = send(client, page, NEW, name=name, **NORTH)
        assert refused.status_code == 422
        assert f"is not a name: it holds {why}." in words(refused)
    assert send(client, refused, NEW, name="Ana Costa").status_code == 303


# Merging -------------------------------------------------------------------------------------------------------


def test_two_records_are_put_side_by_side_merged_and_taken_apart(app: Flask, fresh_register: Register) -> None:
    fresh_register.open("N-002", "2027-02-05", "Grace Okafor", state="advanced.monitoring")
    client = app.test_client()
    path = "/cases/N-002/merge"
    beside = send(client, client.get(path), path, into="N-001")
    assert "Are these one patient?" in words(beside)
    assert ("N-001", "merging.merge") in fresh_register.looks()
    done = send(client, beside, path, reason="Same number on the card.")
    assert (done.status_code, done.location) == (303, "/cases/N-001#said")
    assert "merged into another one" in words(client.get("/cases/N-002"))
    assert "N-002" in words(client.get("/cases/N-001"))
    apart = send(client, client.get("/cases/N-002"), "/cases/N-002/separate", reason="Cousins.")
    assert apart.status_code == 303
    assert [e.kind for e in events(fresh_register, "N-002")] == ["case:opened", "case:merged", "event:corrected"]
    assert [e.kind for e in events(fresh_register, "N-001")] == ["case:opened", "case:joined", "event:corrected"]


def test_a_death_is_not_recorded_on_the_record_that_has_ended_from_a_page_that_is_out_of_date(
    app: Flask, fresh_register: Register
) -> None:
    fresh_register.open("N-002", "2027-02-05", "Grace Okafor", state="advanced.monitoring")
    nora, lena = app.test_client(), app.test_client()
    death, merge = "/cases/N-002/move/record_death", "/cases/N-002/merge"
    seen = send(nora, nora.get(death), death, on="2027-03-10")
    send(lena, send(lena, lena.get(merge), merge, into="N-001"), merge, reason="Same patient.")
    stopped = send(nora, seen, death)
    assert stopped.status_code == 409
    assert "not possible any more" in words(stopped)
    again = send(nora, stopped, death)
    assert again.status_code == 422
    assert "not possible any more" in words(again)
    assert events(fresh_register, "N-002")[-1].kind == "case:merged"


def test_a_merger_is_not_struck_out_on_one_record(app: Flask, fresh_register: Register) -> None:
    fresh_register.open("N-002", "2027-02-05", "Grace Okafor", state="advanced.monitoring")
    client = app.test_client()
    merge = "/cases/N-002/merge"
    send(client, send(client, client.get(merge), merge, into="N-001"), merge, reason="Same patient.")
    for ref in ("N-001", "N-002"):
        page = client.get(f"/cases/{ref}")
        assert f"/cases/{ref}/correct/e2" not in page.text
        assert "Take the records apart" in words(page)
        asked = client.get(f"/cases/{ref}/correct/e2")
        assert "stands on two records" in words(asked)
        known = form_on(asked, "/correct/e2")[1] | {"event": "e2"}
        assert client.post(f"/cases/{ref}/undo", data=known).status_code == 303
        assert events(fresh_register, ref)[-1].kind != "event:corrected"
        assert "stands on two records" in words(client.get(f"/cases/{ref}"))


def test_an_entry_of_the_merged_record_is_carried_over_once(app: Flask, fresh_register: Register) -> None:
    fresh_register.open("N-002", "2027-02-05", "Grace Okafor", state="advanced.monitoring")
    fresh_register.done("N-002", "2027-02-10", "ct", result="stable")
    client = app.test_client()
    merge = "/cases/N-002/merge"
    send(client, send(client, client.get(merge), merge, into="N-001"), merge, reason="Same patient.")
    path = "/cases/N-001/carry/N-002/e2"
    before = fresh_register.looks()
    assert path in client.get("/cases/N-001").text
    assert sorted(fresh_register.looks()[len(before) :]) == [("N-001", "cases.show"), ("N-002", "cases.show")]
    seen = send(client, client.get(path), path)
    for _ in range(2):
        assert send(client, seen, path).status_code == 303
    carried = [e for e in events(fresh_register, "N-001") if e.kind == "activity:done"]
    assert [(e.on.isoformat(), e.data) for e in carried] == [("2027-02-10", {"activity": "ct", "result": "stable"})]
    assert client.get("/cases/N-001/carry/N-002/e1").status_code == 404, "its opening is its own"


def test_merging_is_for_leads_and_within_their_clinics(app: Flask, fresh_register: Register) -> None:
    fresh_register.open("N-002", "2027-02-05", "Grace Okafor")
    person(desk(app), "nora@example.org", {"North": {Role.NAVIGATOR}})
    assert app.test_client(email="nora@example.org").get("/cases/N-002/merge").status_code in (403, 404)
    person(desk(app), "lena@example.org", {"North": {Role.LEAD}})
    lena = app.test_client(email="lena@example.org")
    refused = send(lena, lena.get("/cases/N-002/merge"), "/cases/N-002/merge", into="S-001")
    assert refused.status_code == 422
    assert "There is no case 'S-001' that you may merge with" in unescape(words(refused))


def test_the_form_names_its_fields(app: Flask) -> None:
    _, asked = form_on(app.test_client().get(NEW), NEW)
    assert {"name", "birth_date", "sex", "mrn", "clinic", "on", "state", "navigator", "ref"} <= asked.keys()


def test_a_new_patient_goes_from_referral_to_surveillance(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    send(client, client.get(NEW), NEW, name="Hanna Lind", on="2026-01-05", **NORTH)
    surgery = {"treatment": "distal-pancreatectomy", "intent": "curative"}
    steps = {
        "confirm_histology": {"on": "2026-01-20", "differentiation": "well", "ki67_percent": "2"},
        "refer_to_mdt": {"on": "2026-02-01", "stage": "I", "primary_site": "pancreas", "syndrome": "none"},
        "assign_localized": {"on": "2026-02-10", "mdt_reviewed_on": "2026-02-09"},
        "start_line": {"on": "2026-03-02", **surgery},
        "end_line": {"on": "2026-03-20", "reason": "completed"},
        "begin_surveillance": {"on": "2026-04-01", "resection_margin": "R0"},
    }
    for trigger, typed in steps.items():
        path = f"/cases/C-0003/move/{trigger}"
        seen = send(client, client.get(path), path, **typed)
        assert seen.status_code == 200, (trigger, words(seen))
        asked = [name.removeprefix("reason.") for name in form_on(seen, path)[1] if name.startswith("reason.")]
        done = send(client, seen, path, **{f"reason__{warning}": "Agreed." for warning in asked})
        assert done.status_code == 303, (trigger, words(done))
    with fresh_register.database.reading() as session:
        assert cases.find(session, "C-0003").state == "surveillance.post_curative"
