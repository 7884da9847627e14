"""Moving a case on the pages: what is missing, what would change, reasons, and two people at once."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.forms import form_on, send, words
from tests.web.register import WORKED_UP, Register
from tracker import cases
from workflows.events import Event


@pytest.fixture
def app(fresh_register: Register, make_app: Callable[..., Flask]) -> Flask:
    fresh_register.open("N-001", "2027-01-05", "Grace Okafor", state="advanced.planning")
    fresh_register.facts("N-001", "2027-01-05", **WORKED_UP)
    fresh_register.open("N-002", "2027-01-05", "Wei Zhang")
    made = make_app(fresh_register)
    made.test_client(email="ben@example.org")  # a colleague, who could take over a case
    return made


def events(register: Register, ref: str = "N-001") -> list[Event]:
    with register.database.reading() as session:
        return cases.events_of(session, cases.find(session, ref))


def state(register: Register, ref: str = "N-001") -> str:
    with register.database.reading() as session:
        return cases.find(session, ref).state


# One step ------------------------------------------------------------------------------------------------------


def test_a_step_is_previewed_and_then_recorded(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    move = "/cases/N-001/move/monitor"
    seen = send(client, client.get(move), move, on="2027-03-01")
    assert seen.status_code == 200
    assert "Nothing is recorded yet" in words(seen)
    assert "Advanced disease, planning → becomes Monitoring without treatment" in words(seen)
    assert state(fresh_register) == "advanced.planning"
    done = send(client, seen, move)
    assert (done.status_code, done.location) == (303, "/cases/N-001#said")
    assert state(fresh_register) == "advanced.monitoring"
    assert "Undo" in client.get("/cases/N-001").text


def test_what_was_changed_after_the_preview_is_previewed_again(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    move = "/cases/N-001/move/monitor"
    seen = send(client, client.get(move), move, on="2027-03-01")
    again = send(client, seen, move, on="2027-02-01")
    assert again.status_code == 200
    assert state(fresh_register) == "advanced.planning"
    assert send(client, again, move).status_code == 303


def test_a_preview_tells_of_an_appointment_that_is_lost_and_of_what_is_due_first_afterwards(
    app: Flask, fresh_register: Register
) -> None:
    fresh_register.facts("N-002", "2027-02-01", **WORKED_UP)
    client, move = app.test_client(), "/cases/N-002/move/confirm_histology"
    with fresh_register.database.reading() as session:
        ends = min(cases.view(session, cases.find(session, "N-002")).open_items, key=lambda item: item.window.due_on)
    booked = {"activity": ends.activity, "rule": ends.rule, "for": "2027-03-20"}
    fresh_register.tell("N-002", "2027-03-02", "activity:booked", **booked)
    seen = words(send(client, client.get(move), move, on="2027-03-05"))
    assert "The appointment on 20 Mar 2027 is no longer in the calendar" in seen
    assert "What ends is not recorded as done." in seen
    assert "Due first after that: " in seen
    closing = words(send(client, client.get("/cases/N-001/move/discharge"), "/cases/N-001/move/discharge"))
    assert "Due first after that" not in closing


def test_what_a_step_needs_is_said_of_the_step_as_the_page_calls_it(app: Flask) -> None:
    client = app.test_client()
    move = "/cases/N-002/move/confirm_histology"
    refused = words(send(client, client.get(move), move))
    assert "confirm_histology" not in refused
    assert "“Confirm histology” needs: differentiation" in refused


def test_a_case_is_handed_over_to_somebody_by_name(app: Flask) -> None:
    page = app.test_client().get("/cases/N-001/record/hand-over").text
    assert '<option value="ben@example.org">Ben</option>' in page


def test_only_what_the_record_can_show_has_a_box_to_be_ticked(app: Flask, fresh_register: Register) -> None:
    fresh_register.step("N-002", "2027-02-01", "confirm_histology", differentiation="well", ki67_percent=2)
    fresh_register.done("N-002", "2027-02-02", "cga")
    page = app.test_client().get("/cases/N-002").text
    lists = re.findall(r'<ul class="ticks">.*?</ul>', page, re.DOTALL)
    assert lists
    assert any('<span class="box" aria-hidden="true">✓' in found for found in lists)
    assert any('<span class="point" aria-hidden="true">•' in found for found in lists)


def test_what_is_missing_is_said_and_asked_for(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    move = "/cases/N-002/move/confirm_histology"
    page = client.get(move)
    assert "Still needed: differentiation; Ki-67, mitoses or a reported grade" in words(page)
    _, asked = form_on(page, move)
    assert {"differentiation", "ki67_percent", "mitoses_per_2mm2", "reported_grade", "on"} <= asked.keys()
    refused = send(client, page, move, differentiation="well")
    assert refused.status_code == 422
    assert "needs: Ki-67, mitoses or a reported grade" in words(refused)
    assert form_on(refused, move)[1]["differentiation"] == "well", "what was typed is kept"
    unsure = send(client, refused, move, ki67_percent="2,500")
    assert "“2,500” can be read as 2.5 or as 2500: write which" in words(unsure)
    seen = send(client, unsure, move, ki67_percent="2,5")
    assert send(client, seen, move).status_code == 303
    assert events(fresh_register, "N-002")[-1].data == {
        "trigger": "confirm_histology", "differentiation": "well", "ki67_percent": 2.5,
    }  # fmt: skip


def test_a_warning_needs_its_reason_before_the_step_is_recorded(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    move = "/cases/N-001/move/start_line"
    typed = {"treatment": "prrt", "intent": "disease-control", "on": "2027-03-01"}
    seen = send(client, client.get(move), move, **typed)
    assert "high uptake is not recorded" in words(seen)
    assert "S41" in words(seen)
    without = send(client, seen, move)
    assert without.status_code == 422
    reasons = {
        f"reason__{name.removeprefix('reason.')}": "Team." for name in form_on(seen, move)[1] if "reason." in name
    }
    done = send(client, seen, move, **reasons)
    assert done.status_code == 303
    assert events(fresh_register)[-1].data["reasons"]["prrt-without-high-uptake"] == "Team."


def test_a_step_that_the_case_does_not_allow_says_so(app: Flask) -> None:
    client = app.test_client()
    page = client.get("/cases/N-001/move/begin_surveillance")
    assert "not possible any more" in words(page)
    assert client.get("/cases/N-001/move/no-such-thing").status_code == 404


@pytest.mark.parametrize(
    "typed, problem",
    [
        ({"on": "2027-03-13"}, "The latest day here is 12 Mar 2027"),
        ({"on": "tomorrow"}, "date"),
        ({"on": ""}, "This is needed."),
    ],
)
def test_a_date_that_cannot_be_is_refused(app: Flask, typed: dict[str, str], problem: str) -> None:
    client = app.test_client()
    move = "/cases/N-001/move/monitor"
    refused = send(client, client.get(move), move, **typed)
    assert refused.status_code == 422
    assert problem in words(refused)


def test_a_double_click_records_one_step(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    move = "/cases/N-001/move/monitor"
    seen = send(client, client.get(move), move, on="2027-03-01")
    before = len(events(fresh_register))
    for _ in range(2):
        assert send(client, seen, move).status_code == 303
    assert len(events(fresh_register)) == before + 1


def test_a_step_comes_with_its_checklist_and_what_the_texts_say_of_it(app: Flask, fresh_register: Register) -> None:
    fresh_register.facts("N-001", "2027-01-06", syndrome="carcinoid")
    page = words(app.test_client().get("/cases/N-001/move/plan_line"))
    assert "Checklist: before a procedure in functional disease" in page
    assert "multidisciplinary team dedicated to neuroendocrine neoplasms" in page
    note = words(app.test_client().get("/cases/N-001/record/note"))
    assert "Checklist" not in note
    assert "cited texts say" not in note


def test_each_warning_is_explained_by_a_form_that_says_what_was_found(app: Flask, fresh_register: Register) -> None:
    fresh_register.facts("N-001", "2027-01-06", reported_grade="G3", reported_functional=True)
    client = app.test_client()
    page = client.get("/cases/N-001").text
    links = re.findall(r'href="(/cases/N-001/record/explain\?warning=[^"]+)"', page)
    assert len(links) == 2
    (function,) = (link for link in links if "function" in link)
    form = client.get(function)
    assert "The record's statement on hormone function" in words(form).replace("&#39;", "'")
    assert form_on(form, "/record/explain")[1]["warning"] == "function-conflict"
    assert send(client, form, "/record/explain", reason="An old letter.").status_code == 303
    assert events(fresh_register)[-1].data == {"warning": "function-conflict", "reason": "An old letter."}
    send(client, client.get(links[0]), "/record/explain", reason="Seen by the team.")
    assert "No warning is left to explain." in words(client.get(function))


# Entries of other kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what, typed, kind",
    [
        ("note", {"text": "Prefers mornings."}, "note:added"),
        ("contact", {"channel": "phone", "outcome": "no-answer"}, "contact:attempted"),
        ("barrier", {"barrier": "transport", "text": "no car"}, "barrier:noted"),
        ("decision", {"text": "PRRT.", "meeting_on": "2027-03-10"}, "decision:recorded"),
        ("hand-over", {"navigator": "ben@example.org"}, "case:handed_over"),
    ],
)
def test_an_entry_is_recorded_at_once(
    app: Flask, fresh_register: Register, what: str, typed: dict[str, str], kind: str
) -> None:
    client = app.test_client()
    path = f"/cases/N-001/record/{what}"
    assert send(client, client.get(path), path, **typed).status_code == 303
    event = events(fresh_register)[-1]
    assert (event.kind, event.actor) == (kind, "ana@example.org")
    assert event.data.items() >= typed.items()


def test_every_form_of_a_contact_has_the_same_ways_and_outcomes(app: Flask) -> None:
    """One way under two names would count as two, and a case is lost only after tries by two."""
    client = app.test_client()
    link = re.search(r'href="(/cases/N-001/acts/call[^"]+)"', client.get("/cases/N-001").text)
    assert link
    pages = [client.get("/cases/N-001/record/contact").text, client.get(link[1].replace("&amp;", "&")).text]
    for field in ("channel", "outcome"):
        first, second = (re.findall(r'<option value="([^"]+)"', _select(page, field)) for page in pages)
        assert first == second
        assert len(first) > 5


def _select(page: str, name: str) -> str:
    return page.partition(f'name="{name}"')[2].partition("</select>")[0]


def test_what_ends_by_being_done_is_not_told_as_left_undone(app: Flask, fresh_register: Register) -> None:
    with fresh_register.database.reading() as session:
        open_now = cases.view(session, cases.find(session, "N-002")).open_items
    booked = {"activity": open_now[0].activity, "rule": open_now[0].rule, "for": "2027-03-20"}
    fresh_register.tell("N-002", "2027-03-02", "activity:booked", **booked)
    client, path = app.test_client(), "/cases/N-002/record/done"
    seen = words(send(client, client.get(path), path, activity=open_now[0].activity))
    assert "Ends 1" in seen
    assert "is not recorded as done" not in seen
    assert "no longer in the calendar" not in seen


def test_what_was_done_is_previewed_with_what_it_completes(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    path = "/cases/N-002/record/done"
    seen = send(client, client.get(path), path, activity="histology", on="2027-02-01")
    assert "Histology" in words(seen)
    assert send(client, seen, path).status_code == 303
    assert events(fresh_register, "N-002")[-1].data == {"activity": "histology"}


def test_an_unknown_kind_of_entry_is_not_there(app: Flask) -> None:
    assert app.test_client().get("/cases/N-001/record/nonsense").status_code == 404


def test_facts_are_recorded_with_their_date_and_checked(app: Flask, fresh_register: Register) -> None:
    client = app.test_client()
    path = "/cases/N-001/facts"
    page = client.get(path)
    assert "Now: 2 %" in words(page)
    wrong = send(client, page, path, ki67_percent="120", tumour_size_mm="x")
    assert wrong.status_code == 422
    assert "120 is out of range." in words(wrong)
    assert "“x” is not a number." in words(wrong)
    typed = {"ki67_percent": "7", "tumour_size_mm": "", "unknown__syndrome": "yes", "on": "2027-02-01"}
    assert send(client, wrong, path, **typed).status_code == 303
    last = events(fresh_register)[-1]
    assert (last.on.isoformat(), last.data) == ("2027-02-01", {"ki67_percent": 7, "syndrome": None})


def test_a_form_of_facts_that_says_nothing_is_refused(app: Flask) -> None:
    client = app.test_client()
    assert send(client, client.get("/cases/N-001/facts"), "/cases/N-001/facts").status_code == 422
    assert client.get("/cases/N-001/facts?fact=no_such_fact").status_code == 404


def test_a_category_is_asked_with_its_staging_system(app: Flask) -> None:
    _, asked = form_on(app.test_client().get("/cases/N-001/facts?fact=t"), "/cases/N-001/facts?fact=t")
    assert {"t", "staging_system"} <= asked.keys()


def test_an_entry_is_struck_out_after_a_look_at_what_that_changes(app: Flask, fresh_register: Register) -> None:
    fresh_register.step("N-001", "2027-03-01", "monitor")
    client = app.test_client()
    path = f"/cases/N-001/correct/{events(fresh_register)[-1].id}"
    seen = send(client, client.get(path), path, reason="wrong case")
    assert "Monitoring without treatment → becomes Advanced disease, planning" in words(seen)
    assert send(client, seen, path).status_code == 303
    assert state(fresh_register) == "advanced.planning"
    assert client.get(path).status_code == 404, "it is struck out already"


# Two people at once --------------------------------------------------------------------------------------------


@pytest.fixture
def two(app: Flask) -> tuple[FlaskClient, FlaskClient]:
    return app.test_client(), app.test_client(email="ben@example.org")


def test_the_second_sees_what_changed_and_nothing_typed_is_lost(
    two: tuple[FlaskClient, FlaskClient], fresh_register: Register
) -> None:
    ana, ben = two
    path = "/cases/N-001/facts"
    opened = ana.get(path)
    assert send(ben, ben.get(path), path, ki67_percent="5", on="2027-02-01").status_code == 303
    stopped = send(ana, opened, path, ki67_percent="9", tumour_size_mm="30", on="2027-02-01")
    assert stopped.status_code == 409
    said = words(stopped)
    assert "Ki-67: 5 %" in said
    assert "by Ben" in said
    assert "Tumour size not recorded unchanged 30 mm" in said
    assert "Ki-67 2 % 5 % 9 %" in said
    kept = send(ana, stopped, path, keep__ki67_percent="drop")
    assert kept.status_code == 303
    assert events(fresh_register)[-1].data == {"tumour_size_mm": 30}
    assert [e.actor for e in events(fresh_register)[-2:]] == ["ben@example.org", "ana@example.org"]


def test_the_second_can_record_theirs_as_well(two: tuple[FlaskClient, FlaskClient], fresh_register: Register) -> None:
    ana, ben = two
    path = "/cases/N-001/facts?fact=ki67_percent"
    opened = ana.get(path)
    send(ben, ben.get(path), path, ki67_percent="5", on="2027-02-01")
    stopped = send(ana, opened, path, ki67_percent="9", on="2027-02-01")
    assert send(ana, stopped, path, keep__ki67_percent="mine").status_code == 303
    assert events(fresh_register)[-1].data == {"ki67_percent": 9}


def test_the_same_recorded_twice_leaves_nothing_to_do(
    two: tuple[FlaskClient, FlaskClient], fresh_register: Register
) -> None:
    ana, ben = two
    path = "/cases/N-001/facts"
    opened = ana.get(path)
    send(ben, ben.get(path), path, ki67_percent="5", on="2027-02-01")
    before = len(events(fresh_register))
    stopped = send(ana, opened, path, ki67_percent="5", on="2027-02-01")
    assert "The same is on record; nothing to do." in words(stopped)
    assert send(ana, stopped, path).status_code == 303
    assert len(events(fresh_register)) == before


def test_a_step_on_a_case_that_moved_on_is_stopped_and_says_why(
    two: tuple[FlaskClient, FlaskClient], fresh_register: Register
) -> None:
    ana, ben = two
    move = "/cases/N-001/move/monitor"
    seen = send(ana, ana.get(move), move, on="2027-03-01")
    death = "/cases/N-001/move/record_death"
    send(ben, send(ben, ben.get(death), death, on="2027-03-02"), death)
    stopped = send(ana, seen, move)
    assert stopped.status_code == 409
    assert "not possible any more" in words(stopped)
    assert state(fresh_register) == "closed.deceased"


def test_a_note_of_a_colleague_stops_nobody(two: tuple[FlaskClient, FlaskClient], fresh_register: Register) -> None:
    ana, ben = two
    move = "/cases/N-001/move/monitor"
    seen = send(ana, ana.get(move), move, on="2027-03-01")
    note = "/cases/N-001/record/note"
    send(ben, ben.get(note), note, text="Called back.")
    assert send(ana, seen, move).status_code == 303
    assert state(fresh_register) == "advanced.monitoring"


# Who looked ----------------------------------------------------------------------------------------------------


def test_a_form_that_is_answered_with_a_page_is_a_look_and_one_that_leads_elsewhere_is_none(
    two: tuple[FlaskClient, FlaskClient], fresh_register: Register
) -> None:
    ana, ben = two
    facts, move = "/cases/N-001/facts", "/cases/N-001/move/monitor"
    opened = ben.get(facts)
    before = len(fresh_register.looks())
    wrong = send(ana, ana.get(facts), facts, ki67_percent="120")
    assert (wrong.status_code, fresh_register.looks()[before:]) == (422, [("N-001", "changes.facts")] * 2)
    assert send(ana, wrong, facts, ki67_percent="5", on="2027-02-01").status_code == 303
    assert len(fresh_register.looks()) == before + 2, "what follows is shown by the page that follows"
    assert send(ben, opened, facts, ki67_percent="9", on="2027-02-01").status_code == 409
    assert fresh_register.looks()[before + 2 :] == [("N-001", "changes.facts")]
    assert send(ana, ana.get(move), move, on="2027-03-01").status_code == 200
    assert fresh_register.looks()[before + 3 :] == [("N-001", "changes.move")] * 2


def test_a_form_shows_nothing_where_the_look_cannot_be_put_on_record_and_records_all_the_same(
    app: Flask, fresh_register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    facts = "/cases/N-001/facts"
    page = client.get(facts)

    def unwritable(*_: object) -> object:
        raise ValueError("cannot be written")

    monkeypatch.setattr("web.access.looks.record", unwritable)
    assert send(client, page, facts, ki67_percent="5", on="2027-02-01").status_code == 303, "it shows nothing"
    assert events(fresh_register)[-1].data == {"ki67_percent": 5}
    hidden = send(client, page, facts, ki67_percent="120")
    assert (hidden.status_code, "Okafor" in hidden.text) == (500, False)
