"""The worklist as a page: filters, chips, search, views, columns, the file, and what is done about its lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.web.people import person, sign_in
from tests.web.register import NOW, Register, empty_register, opened, seeded_register
from tracker import cases
from tracker.access import Role
from tracker.models import AuditEntry, FollowUpRow, Person, SearchWords
from tracker.tick import nightly
from web.csv_file import harmless
from web.desk import desk


@pytest.fixture(scope="module")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("worklist")
    seeded_register(home).database.close()
    return home


@pytest.fixture
def own(seeded_home: Path, tmp_path: Path) -> Iterator[Register]:
    """The register of the other tests, for tests that change it."""
    made = opened(copytree(seeded_home, tmp_path / "own"))
    yield made
    made.database.close()


@pytest.fixture
def app(own: Register, make_app: Callable[..., Flask]) -> Flask:
    return make_app(own)


@pytest.fixture
def ana(app: Flask) -> FlaskClient:
    return app.test_client()


def token(page: str, name: str = "csrf_token") -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found
    return found[1]


def post(client: FlaskClient, address: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
    csrf = token(client.get("/worklist?who=anyone").text)
    return client.post(address, data={"csrf_token": csrf} | (data or {}), **more)


def item(register: Register, ref: str, activity: str) -> str:
    """An open follow-up as a form names it."""
    with register.database.reading() as session:
        case = cases.find(session, ref)
        row = session.exec(
            select(FollowUpRow).where(
                FollowUpRow.case_id == case.id, FollowUpRow.activity == activity, FollowUpRow.status == "open"
            )
        ).one()
        return f"{row.id}~{row.due_on}"


def events(register: Register, ref: str) -> list[tuple[str, dict[str, Any]]]:
    with register.database.reading() as session:
        return [(e.kind, e.data) for e in cases.events_of(session, cases.find(session, ref))]


def refs(page: str) -> set[str]:
    return set(re.findall(r'<span class="ref">([A-Z]-\d+)</span>', page.split("<tbody", 1)[-1]))


# The list ---------------------------------------------------------------------------------------------------


def test_it_opens_with_what_is_mine_to_do_now(client: FlaskClient) -> None:
    page = client.get("/worklist").text
    assert "Mine" in page
    assert "Due or overdue" in page
    assert refs(page) <= {"N-001", "N-002", "N-004", "N-005", "N-007"}
    assert "S-001" not in page


def test_filters_stand_in_the_address_and_each_can_be_removed(client: FlaskClient) -> None:
    page = client.get("/worklist?who=anyone&clinic=South&status=overdue").text
    assert refs(page) == {"S-001", "S-002", "S-003"}
    assert 'href="/worklist?who=anyone&amp;status=overdue">Clinic South' in page
    assert 'href="/worklist?who=anyone&amp;clinic=South">Overdue' in page


@pytest.mark.parametrize(
    "asked, expected",
    [
        ("state=therapy.on_hold", {"N-001"}),
        ("state=workup", {"N-005"}),
        ("treatment=lanreotide", {"N-001"}),
        ("functional=yes", {"N-004"}),
        ("next=1", {"N-007"}),
        ("who=0", {"N-003"}),
        ("activity=hold-review", {"N-001"}),
        ("rule=post-curative-visit", {"N-002"}),
        ("who=anyone&late=90&clinic=North", {"N-001", "N-002", "X-002"}),
    ],
)
def test_each_filter_is_understood(client: FlaskClient, asked: str, expected: set[str]) -> None:
    page = client.get(f"/worklist?{asked}").text
    found = refs(page)
    assert found == expected


@pytest.mark.parametrize(
    "asked", ["who=x", "status=soon", "late=a", "grade=G9", "sort=name;drop", "state=%27", "after=1", "todo=yes"]
)
def test_what_is_no_filter_is_answered_400(client: FlaskClient, asked: str) -> None:
    assert client.get(f"/worklist?{asked}").status_code == 400


def test_a_script_gets_the_lines_alone_and_a_browser_that_goes_back_the_page(client: FlaskClient) -> None:
    part = client.get("/worklist?who=anyone", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert part.headers["Vary"].startswith("HX-Request")
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in client.get("/worklist?who=anyone", headers=back).text


def test_an_empty_register_says_where_follow_ups_come_from(tmp_path: Any, make_app: Callable[..., Flask]) -> None:
    page = make_app(empty_register(tmp_path)).test_client().get("/worklist?who=anyone").text
    assert "Nothing is open." in page


def test_a_lead_without_cases_begins_with_the_whole_clinic(app: Flask, own: Register) -> None:
    person(desk(app), "lena@example.org", {"North": {Role.LEAD}})
    with own.database.writing() as session:
        session.add(Person(email="lena@example.org"))  # as somebody who hears of what is long overdue
    client = sign_in(app.test_client(email=None), "lena@example.org")
    assert "N-002" in refs(client.get("/worklist").text)
    own.tell("N-002", "2027-03-12", "case:handed_over", navigator="lena@example.org")
    assert refs(client.get("/worklist").text) == {"N-002"}


def test_a_list_of_mine_without_lines_says_where_to_look(app: Flask, own: Register) -> None:
    person(desk(app), "cleo@example.org", {"North": {Role.NAVIGATOR}})
    client = sign_in(app.test_client(email=None), "cleo@example.org")
    page = client.get("/worklist?who=mine&status=now").text
    assert "Nothing of yours is due or overdue." in page
    assert 'href="/worklist?who=anyone&amp;status=now"' in page
    assert "Nothing of yours is open." in client.get("/worklist?who=mine").text
    assert "Nothing with these filters." in client.get("/worklist?who=mine&grade=G3").text


def test_names_are_text_and_nothing_else(client: FlaskClient) -> None:
    page = client.get("/worklist?who=anyone&sort=patient").text
    assert "<script>alert" not in page
    assert "{{ 7 * 7 }}" in page


def test_another_clinics_lines_are_not_there(app: Flask, own: Register) -> None:
    person(desk(app), "cleo@example.org", {"South": {Role.NAVIGATOR}})
    client = sign_in(app.test_client(email=None), "cleo@example.org")
    assert refs(client.get("/worklist?who=anyone").text) == {"S-001", "S-002", "S-003", "S-004"}
    address = f"/cases/N-002/acts/done?item={item(own, 'N-002', 'visit')}"
    assert client.get(address).status_code == 404
    stolen = f"/cases/S-001/acts/done?item={item(own, 'N-002', 'visit')}"
    answer = post(client, stolen, {"token": "t" * 16, "on": "2027-03-12"})
    assert "Wei Zhang" not in answer.text
    assert not [kind for kind, _ in events(own, "N-002")[-1:] if kind == "activity:done" and "t" * 16 in kind]


def test_an_auditor_reads_and_does_nothing(app: Flask, own: Register) -> None:
    person(desk(app), "aud@example.org", {"North": {Role.AUDITOR}})
    client = sign_in(app.test_client(email=None), "aud@example.org")
    page = client.get("/worklist?who=anyone").text
    assert "data-act" not in page
    assert 'type="checkbox" form="several"' not in page
    assert client.get(f"/cases/N-002/acts/done?item={item(own, 'N-002', 'visit')}").status_code == 403


# Search -----------------------------------------------------------------------------------------------------


def test_a_search_finds_by_name_and_leaves_no_name_in_the_address(ana: FlaskClient, own: Register) -> None:
    answer = post(ana, "/worklist/search", {"words": "okafor"})
    assert answer.status_code == 303
    assert re.fullmatch(r"/worklist\?who=anyone&found=[0-9a-f]{16}", answer.location)
    page = ana.get(answer.location).text
    assert refs(page) == {"N-001"}
    assert "Found by “okafor”" in page
    with own.database.reading() as session:
        assert [row.words for row in session.exec(select(SearchWords))] == ["okafor"]


def test_a_search_belongs_to_whoever_searched(app: Flask, ana: FlaskClient) -> None:
    address = post(ana, "/worklist/search", {"words": "okafor"}).location
    page = sign_in(app.test_client(email=None), "ben@example.org").get(address).text
    assert "okafor" not in page
    assert "This search is too old." in page


def test_a_search_without_open_follow_ups_names_the_cases(ana: FlaskClient) -> None:
    page = ana.get(post(ana, "/worklist/search", {"words": "byrne"}).location).text
    assert "No open follow-up" in page
    assert 'href="/cases/N-009"' in page
    assert "No case was found." in ana.get(post(ana, "/worklist/search", {"words": "zzz"}).location).text


# Views and columns ------------------------------------------------------------------------------------------


def test_a_view_is_saved_renamed_started_with_and_deleted(app: Flask, ana: FlaskClient) -> None:
    question = "clinic=South&status=overdue&found=abc&nonsense=1"
    post(ana, "/worklist/views", {"name": " South,  late ", "question": question, "start": "1"})
    page = ana.get("/worklist").text
    assert refs(page) == {"S-001", "S-002", "S-003"}
    assert "South, late" in page
    number = re.search(r"/worklist/views/(\d+)/rename", ana.get("/worklist/views").text)
    assert number
    own = f"/worklist/views/{number[1]}"
    assert "South, late" not in sign_in(app.test_client(email=None), "ben@example.org").get("/worklist/views").text
    assert post(sign_in(app.test_client(email=None), "ben@example.org"), f"{own}/delete").status_code == 404
    post(ana, f"{own}/rename", {"name": "Late in the south"})
    assert "Late in the south" in ana.get("/worklist/views").text
    post(ana, f"{own}/start-as-usual")
    assert refs(ana.get("/worklist").text) != {"S-001", "S-002", "S-003"}
    post(ana, f"{own}/delete")
    assert "You have no views yet." in ana.get("/worklist/views").text


def test_a_view_needs_a_name(ana: FlaskClient) -> None:
    answer = post(ana, "/worklist/views", {"name": " ", "question": "who=mine"}, follow_redirects=True)
    assert "A view needs a name." in answer.text


def test_columns_are_remembered(ana: FlaskClient) -> None:
    assert '<th scope="col">Grade</th>' not in ana.get("/worklist?who=anyone").text
    post(ana, "/worklist/views/columns", {"column": ["grade", "function"]})
    page = ana.get("/worklist?who=anyone").text
    assert '<th scope="col">Grade</th>' in page
    assert '<th scope="col">Due</th>' not in page
    assert post(ana, "/worklist/views/columns", {"column": ["password"]}).status_code == 400


# The file ---------------------------------------------------------------------------------------------------


def test_the_file_holds_what_the_list_shows_and_is_noted(ana: FlaskClient, own: Register) -> None:
    post(ana, "/worklist/views/columns", {"column": ["due", "grade"]})
    answer = ana.get("/worklist/list.csv?who=anyone&clinic=South")
    assert answer.mimetype == "text/csv"
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert lines[0][-2:] == ["Due", "Grade"]
    assert {line[0] for line in lines[1:]} == {"S-001", "S-002", "S-003", "S-004"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", line[-2]) for line in lines[1:])
    with own.database.reading() as session:
        (entry,) = session.exec(select(AuditEntry).where(AuditEntry.kind == "worklist:exported")).all()
    assert entry.actor == "ana@example.org"
    assert '"clinic":"South"' in entry.data


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t1", "\r1"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(text: str) -> None:
    assert harmless(text) == "'" + text
    assert harmless("Zhang") == "Zhang"


# Acts -------------------------------------------------------------------------------------------------------


def act(client: FlaskClient, ref: str, name: str, target: str, **fields: Any) -> TestResponse:
    data = {"token": "t" * 16, "back": "/worklist?who=mine"} | fields
    return post(client, f"/cases/{ref}/acts/{name}?item={target}", data)


def test_done_is_recorded_with_result_and_facts_and_undone(ana: FlaskClient, own: Register) -> None:
    target = item(own, "N-002", "imaging")
    form = ana.get(f"/cases/N-002/acts/done?item={target}").text
    assert 'value="2027-03-12"' in form
    assert '<option value="Stable">' in form
    assert "Tumour size" in form
    answer = act(ana, "N-002", "done", target, on="2027-03-11", what="ct", result="Stable", tumour_size_mm="12")
    assert (answer.status_code, answer.location) == (303, "/worklist?who=mine#said")
    assert events(own, "N-002")[-2:] == [
        ("activity:done", {"activity": "ct", "result": "Stable"}),
        ("fact:recorded", {"tumour_size_mm": 12}),
    ]
    page = ana.get("/worklist?who=mine").text
    assert "Recorded as done: Imaging (CT or MRI) for Wei Zhang." in page
    entries = re.findall(r'name="entry" value="([^"]+)"', page)
    assert len(entries) == 2
    post(ana, "/worklist/undo", {"entry": entries, "token": token(page, "token"), "back": "/worklist"})
    assert [kind for kind, _ in events(own, "N-002")[-2:]] == ["event:corrected", "event:corrected"]
    assert item(own, "N-002", "imaging") == target


@pytest.mark.parametrize(
    "name, fields, expected",
    [
        ("booked", {"for": "2027-03-20"}, {"activity": "visit", "for": "2027-03-20", "rule": "post-curative-visit"}),
        (
            "rescheduled",
            {"to": "2027-04-01", "reason": "Holiday"},
            {"activity": "visit", "to": "2027-04-01", "reason": "Holiday", "rule": "post-curative-visit"},
        ),
        (
            "waived",
            {"reason": "Seen elsewhere"},
            {"activity": "visit", "reason": "Seen elsewhere", "rule": "post-curative-visit"},
        ),
        (
            "snoozed",
            {"until": "2027-03-19", "reason": "Waiting for a report"},
            {
                "activity": "visit",
                "until": "2027-03-19",
                "reason": "Waiting for a report",
                "rule": "post-curative-visit",
            },
        ),
        ("note", {"text": "Prefers mornings"}, {"text": "Prefers mornings"}),
        ("hand-over", {"navigator": "ana@example.org"}, None),
    ],
)
def test_each_act_records_its_event(
    ana: FlaskClient, own: Register, name: str, fields: dict[str, str], expected: dict[str, str] | None
) -> None:
    answer = act(ana, "N-002", name, item(own, "N-002", "visit"), **fields)
    if expected is None:  # it is hers already
        assert answer.status_code == 422
        return
    assert answer.status_code == 303
    assert events(own, "N-002")[-1][1] == expected


@pytest.mark.parametrize(
    "outcome, again, until",
    [
        ("reached", {"again": "usual"}, None),
        ("no-answer", {"again": "usual"}, "2027-03-14"),
        ("call-later", {"again": "7"}, "2027-03-19"),
        ("call-later", {"again": "usual", "until": "2027-03-16"}, "2027-03-16"),
        ("wrong-number", {"again": "no"}, None),
        ("declined", {"again": "usual"}, None),
    ],
)
def test_a_call_is_recorded_and_puts_off_what_it_was_about(
    ana: FlaskClient, own: Register, outcome: str, again: dict[str, str], until: str | None
) -> None:
    act(ana, "N-002", "call", item(own, "N-002", "visit"), outcome=outcome, channel="phone", **again)
    told = events(own, "N-002")[-2:]
    contact = ("contact:attempted", {"channel": "phone", "outcome": outcome})
    if until is None:
        assert told[-1] == contact
    else:
        assert told[0] == contact
        assert (told[1][0], told[1][1]["until"]) == ("activity:snoozed", until)


def test_what_is_put_off_says_until_when_on_the_list_and_on_the_case(ana: FlaskClient, own: Register) -> None:
    act(ana, "N-002", "snoozed", item(own, "N-002", "visit"), until="2027-03-19")
    assert "Put off until 19 Mar 2027" in ana.get("/worklist?who=anyone&rule=post-curative-visit").text
    assert "Put off: no reminder before 19 Mar 2027" in ana.get("/cases/N-002").text
    refs_left = refs(ana.get("/worklist?who=anyone&rule=post-curative-visit&todo=1").text)
    assert "N-002" not in refs_left
    late = act(ana, "N-002", "snoozed", item(own, "N-002", "visit"), until="2027-03-12")
    assert late.status_code == 422
    assert "The earliest day here is 13 Mar 2027." in late.text
    booked = act(ana, "N-002", "booked", item(own, "N-002", "visit"), **{"for": "2026-03-20"})
    assert booked.status_code == 422, "a slip of the year books nothing in the past"


@pytest.mark.parametrize("what, name", [("booked", "for"), ("rescheduled", "to")])
def test_a_slip_in_the_year_hides_nothing_for_decades(ana: FlaskClient, own: Register, what: str, name: str) -> None:
    answer = act(ana, "N-002", what, item(own, "N-002", "visit"), reason="away", **{name: "2107-04-01"})
    assert answer.status_code == 422
    assert "The latest day here is 12 Mar 2030" in answer.text


def test_what_is_missing_is_said_beside_what_was_typed(ana: FlaskClient, own: Register) -> None:
    answer = act(ana, "N-002", "waived", item(own, "N-002", "visit"), reason=" ")
    assert answer.status_code == 422
    assert "This is needed." in answer.text
    answer = act(ana, "N-002", "done", item(own, "N-002", "visit"), on="2027-03-13", result="Seen in clinic")
    assert answer.status_code == 422
    assert "The latest day here is" in answer.text
    assert 'value="Seen in clinic"' in answer.text


def test_a_double_click_records_once_and_is_answered_alike(ana: FlaskClient, own: Register) -> None:
    target = item(own, "N-002", "visit")
    before = len(events(own, "N-002"))
    answers = [act(ana, "N-002", "done", target, on="2027-03-12") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(events(own, "N-002")) == before + 1


def test_a_form_that_is_sent_again_with_another_date_is_refused_and_then_recorded(
    ana: FlaskClient, own: Register
) -> None:
    target = item(own, "N-002", "visit")
    act(ana, "N-002", "booked", target, **{"for": "2027-03-15"})
    changed = act(ana, "N-002", "booked", target, **{"for": "2027-03-20"})
    assert changed.status_code == 422
    assert "said something else then" in changed.text
    assert events(own, "N-002")[-1][1]["for"] == "2027-03-15"
    act(ana, "N-002", "booked", target, token=token(changed.text, "token"), **{"for": "2027-03-20"})
    assert events(own, "N-002")[-1][1]["for"] == "2027-03-20"


def test_a_settled_line_that_is_sent_again_with_another_result_is_told_as_settled(
    ana: FlaskClient, own: Register
) -> None:
    target = item(own, "N-002", "imaging")
    said = {"on": "2027-03-11", "what": "ct"}
    act(ana, "N-002", "done", target, **said, result="Stable", tumour_size_mm="12")
    before = len(events(own, "N-002"))
    ana.get("/worklist")
    act(ana, "N-002", "done", target, **said, result="Stable", tumour_size_mm="12")
    assert "Recorded as done: Imaging (CT or MRI) for Wei Zhang." in ana.get("/worklist?who=mine").text
    act(ana, "N-002", "done", target, **said, result="Progression", tumour_size_mm="12")
    page = ana.get("/worklist?who=mine").text
    assert "done already on 11 Mar 2027, recorded by ana@example.org" in page
    assert "Recorded as done" not in page
    assert len(events(own, "N-002")) == before


def test_completing_in_one_window_completes_in_the_other_which_says_so_kindly(
    app: Flask, ana: FlaskClient, own: Register
) -> None:
    ben = sign_in(app.test_client(email=None), "ben@example.org")
    target = item(own, "N-002", "visit")
    ana.get(f"/cases/N-002/acts/done?item={target}")
    act(ben, "N-002", "done", target, on="2027-03-12", token="b" * 16)
    before = len(events(own, "N-002"))
    late = act(ana, "N-002", "done", target, on="2027-03-12", token="a" * 16)
    assert late.status_code == 303
    page = ana.get("/worklist?who=mine").text
    assert "Visit: done already on 12 Mar 2027, recorded by ben@example.org; nothing is left to do here." in page
    in_line = ana.get(f"/cases/N-002/acts/done?item={target}", headers={"HX-Request": "true"})
    assert "done already" in in_line.text
    assert len(events(own, "N-002")) == before


def test_what_was_moved_meanwhile_is_not_moved_again_unseen(app: Flask, ana: FlaskClient, own: Register) -> None:
    target = item(own, "N-002", "visit")
    act(ana, "N-002", "rescheduled", target, to="2027-04-01", reason="Holiday")
    answer = act(ana, "N-002", "rescheduled", target, to="2027-05-01", reason="Holiday", token="x" * 16)
    assert answer.status_code == 422
    assert "somebody has moved it in the meantime" in answer.text.lower()
    assert act(ana, "N-002", "done", target, on="2027-03-12", token="y" * 16).status_code == 303


def test_a_line_takes_the_form_and_then_what_was_done(ana: FlaskClient, own: Register) -> None:
    target = item(own, "N-002", "visit")
    number = target.partition("~")[0]
    script = {"HX-Request": "true"}
    form = ana.get(f"/cases/N-002/acts/booked?item={target}", headers=script)
    assert "<html" not in form.text
    assert form.headers["HX-Retarget"] == f"#act-{number}"
    address = f"/cases/N-002/acts/booked?item={target}"
    told = post(ana, address, {"token": "t" * 16, "for": "2027-03-20"}, headers=script)
    assert f'id="item-{number}"' in told.text
    assert "Booked for 20 Mar 2027" in told.text
    assert "Undo" in told.text
    wrong = post(ana, address, {"token": "u" * 16}, headers=script)
    assert (wrong.status_code, wrong.headers["HX-Retarget"]) == (200, f"#act-{number}")


def test_each_form_that_is_answered_in_a_line_is_a_look_at_its_case(ana: FlaskClient, own: Register) -> None:
    address, script = f"/cases/N-002/acts/booked?item={item(own, 'N-002', 'visit')}", {"HX-Request": "true"}
    before = len(own.looks())
    assert "Zhang" in post(ana, address, {"token": "t" * 16}, headers=script).text
    assert "Zhang" in post(ana, address, {"token": "t" * 16, "for": "2027-03-20"}, headers=script).text
    assert own.looks()[before:] == [("N-002", "acting.one")] * 2
    assert post(ana, address, {"token": "t" * 16, "for": "2027-03-20"}).status_code == 303
    next_step = f"/cases/N-007/acts/done?item={item(own, 'N-007', 'plan-needed')}"
    assert "HX-Redirect" in post(ana, next_step, {"token": "u" * 16}, headers=script).headers
    assert len(own.looks()) == before + 2, "an answer that leads elsewhere shows nothing"


def test_a_date_that_settles_nothing_is_refused_whole(ana: FlaskClient, own: Register) -> None:
    before = len(events(own, "N-002"))
    answer = act(ana, "N-002", "done", item(own, "N-002", "visit"), on="2025-09-01")
    assert answer.status_code == 422
    assert len(events(own, "N-002")) == before


def test_a_next_step_is_not_ticked_off(ana: FlaskClient, own: Register) -> None:
    page = ana.get("/worklist?next=1").text
    assert "Plan the next step" in page
    assert "/cases/N-007/acts/done" not in page
    assert 'href="/cases/N-007#steps"' in page


def test_where_moving_the_case_settles_it_the_case_page_leads_there(ana: FlaskClient) -> None:
    page = ana.get("/cases/N-007").text
    assert 'href="#steps">Move the case<span class="visually-hidden">' in page
    assert "/cases/N-007/acts/done" not in page
    assert "/cases/N-007/acts/call" in page


def test_the_first_page_offers_what_is_done_most_often(ana: FlaskClient, own: Register) -> None:
    page = ana.get("/?navigator=").text
    for often in ("done", "call", "booked"):
        assert f"/cases/N-002/acts/{often}?item=" in page
    assert "/acts/waived" not in page


def test_what_moving_the_case_settles_cannot_be_ticked_off_by_an_old_link_either(
    ana: FlaskClient, own: Register
) -> None:
    before, address = len(events(own, "N-007")), f"/cases/N-007/acts/done?item={item(own, 'N-007', 'plan-needed')}"
    for answer in (ana.get(address), post(ana, address, {"token": "t" * 16, "on": "2027-03-12"})):
        assert (answer.status_code, answer.location) == (303, "/cases/N-007#steps")
    in_line = ana.get(address, headers={"HX-Request": "true"})
    assert in_line.headers["HX-Redirect"] == "/cases/N-007#steps"
    assert len(events(own, "N-007")) == before
    assert "settled by moving the case" in ana.get("/cases/N-007").text


def test_a_form_in_a_line_says_for_whom_it_is(ana: FlaskClient, own: Register) -> None:
    address = f"/cases/N-002/acts/call?item={item(own, 'N-002', 'visit')}"
    form = ana.get(address, headers={"HX-Request": "true"}).text
    assert "<strong>Record a call:</strong> Visit for " in form


def test_moving_a_date_and_moving_a_case_have_two_names(ana: FlaskClient) -> None:
    page = ana.get("/worklist?who=anyone").text
    assert "Reschedule<span" in page
    assert ">Move<span" not in page


def test_a_navigator_is_called_by_name(ana: FlaskClient) -> None:
    for address in ("/worklist?who=anyone", "/cases/N-002", "/?navigator=", "/cases"):
        assert re.search(r">\s*Ana\s*<", ana.get(address).text), address


# Several at once --------------------------------------------------------------------------------------------


def test_several_lines_are_done_at_once_with_one_report_and_one_undo(ana: FlaskClient, own: Register) -> None:
    targets = [item(own, "N-002", "visit"), item(own, "N-002", "markers"), item(own, "N-003", "visit"),
               item(own, "N-007", "plan-needed")]  # fmt: skip
    form = post(ana, "/worklist/acts/done", {"item": targets}).text
    assert "Record as done: 4 follow-ups" in form
    assert "Not possible here" in form
    sent = {"item": targets, "confirmed": "1", "token": token(form, "token"), "on": "2027-03-12"}
    report = post(ana, "/worklist/acts/done", sent).text
    assert "Not recorded" in report
    assert "this is settled by moving the case" in report
    assert [kind for kind, _ in events(own, "N-002")[-2:]] == ["activity:done", "activity:done"]
    assert [kind for kind, _ in events(own, "N-003")[-1:]] == ["activity:done"]
    entries = re.findall(r'name="entry" value="([^"]+)"', report)
    assert len(entries) == 3
    undo = post(ana, "/worklist/undo", {"entry": entries, "token": token(report, "token")}, follow_redirects=True)
    assert "Undone in 2 cases." in undo.text
    assert item(own, "N-002", "visit") == targets[0]


def test_a_double_click_on_several_lines_is_answered_alike_and_can_be_undone(ana: FlaskClient, own: Register) -> None:
    targets = [item(own, "N-002", "imaging"), item(own, "N-002", "visit"), item(own, "N-003", "visit")]
    sent = {"item": targets, "confirmed": "1", "token": "d" * 16, "on": "2027-03-12"}
    first, second = (post(ana, "/worklist/acts/done", sent).text for _ in range(2))
    entries = [re.findall(r'name="entry" value="([^"]+)"', page) for page in (first, second)]
    assert len(entries[0]) == 3
    assert entries[0] == entries[1]
    assert "somebody was faster" not in second
    changed = post(ana, "/worklist/acts/done", sent | {"on": "2027-03-11"}).text
    assert "said something else then" in changed
    assert 'name="entry"' not in changed


def test_what_a_colleague_has_settled_is_not_told_as_recorded_by_this_form(ana: FlaskClient, own: Register) -> None:
    targets = [item(own, "N-002", "visit"), item(own, "N-003", "visit")]
    act(ana, "N-002", "done", targets[0], on="2027-03-12")
    sent = {"item": targets, "confirmed": "1", "token": "d" * 16, "on": "2027-03-12"}
    for _ in range(2):
        page = post(ana, "/worklist/acts/done", sent).text
        assert "1 line was no longer open; somebody was faster." in page
        assert len(re.findall(r'name="entry" value="N-003~', page)) == 1


def test_a_case_is_handed_over_once_for_all_its_lines(app: Flask, ana: FlaskClient, own: Register) -> None:
    person(desk(app), "cleo@example.org", {"North": {Role.NAVIGATOR}})
    targets = [item(own, "N-002", "visit"), item(own, "N-002", "markers")]
    sent = {"item": targets, "confirmed": "1", "token": "h" * 16, "navigator": "cleo@example.org"}
    post(ana, "/worklist/acts/hand-over", sent)
    told = [data for kind, data in events(own, "N-002") if kind == "case:handed_over"]
    assert told == [{"navigator": "cleo@example.org", "tell": True}]


def test_nobody_of_another_clinic_is_handed_a_case(app: Flask, ana: FlaskClient, own: Register) -> None:
    person(desk(app), "cleo@example.org", {"South": {Role.NAVIGATOR}})
    answer = act(ana, "N-002", "hand-over", item(own, "N-002", "visit"), navigator="cleo@example.org")
    assert answer.status_code == 422
    assert "Choose one of the list." in answer.text


def test_without_a_tick_nothing_happens(ana: FlaskClient) -> None:
    answer = post(ana, "/worklist/acts/done", {}, follow_redirects=True)
    assert "No line was ticked." in answer.text


def test_a_search_that_is_made_again_is_kept_for_another_working_day(
    own: Register, make_app: Callable[..., Flask]
) -> None:
    def at(hours: int) -> FlaskClient:
        return make_app(own, NOW + timedelta(hours=hours)).test_client()

    first, again = (post(at(hours), "/worklist/search", {"words": "okafor"}).location for hours in (0, 11))
    assert first == again
    assert "Found by “okafor”" in at(23).get(again).text
    assert "This search is too old." in at(24).get(again).text


def test_the_words_of_a_search_are_forgotten_though_nobody_searches(ana: FlaskClient, own: Register) -> None:
    post(ana, "/worklist/search", {"words": "okafor"})
    for hours, left in ((12, 1), (13, 0), (14, 0)):
        nightly(own.database, NOW + timedelta(hours=hours))
        with own.database.reading() as session:
            assert len(session.exec(select(SearchWords)).all()) == left


def test_old_searches_are_forgotten(own: Register, make_app: Callable[..., Flask]) -> None:
    early = make_app(own, NOW - timedelta(days=1)).test_client()
    post(early, "/worklist/search", {"words": "okafor"})
    now = make_app(own, NOW).test_client()
    post(now, "/worklist/search", {"words": "zhang"})
    with own.database.reading() as session:
        assert [row.words for row in session.exec(select(SearchWords))] == ["zhang"]
