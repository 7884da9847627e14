"""Every rule of the pages, asked by everybody: signed out, in each role, for their own clinic and for another one.

A rule that is not in the table fails, and so does one whose view says something else than the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import col, select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from tests.web.people import person, sign_in
from tests.web.register import NOW, Register, register_with_mail
from tracker import accounts, cases
from tracker.access import May, Role
from tracker.models import Case, CaseEvent, CaseLook, Clinic, Digest, OutboxMessage
from web import create_app
from web.desk import desk

OPEN, SIGNED_IN = "anybody", "signed in"
READ, WRITE, LEAD, AUDIT, ADMINISTER = May.READ, May.WRITE, May.LEAD, May.AUDIT, May.ADMINISTER

TABLE: dict[str, str | May] = {
    "GET account.index": SIGNED_IN,
    "POST account.begin": SIGNED_IN,
    "POST account.change_password": SIGNED_IN,
    "POST account.confirm": SIGNED_IN,
    "POST account.end_others": SIGNED_IN,
    "POST account.end_sign_in": SIGNED_IN,
    "POST account.renew_codes": SIGNED_IN,
    "POST account.set_digest_days": SIGNED_IN,
    "POST account.turn_off": SIGNED_IN,
    "GET acting.form": WRITE,
    "POST acting.one": WRITE,
    "POST acting.several": WRITE,
    "POST acting.undo": WRITE,
    "GET admin.index": ADMINISTER,
    "GET admin.show_account": ADMINISTER,
    "GET admin.show_clinic": ADMINISTER,
    "POST admin.add_account": ADMINISTER,
    "POST admin.add_clinic": ADMINISTER,
    "POST admin.change_account": ADMINISTER,
    "POST admin.change_clinic": ADMINISTER,
    "POST admin.disable": ADMINISTER,
    "POST admin.enable": ADMINISTER,
    "POST admin.renew_link": ADMINISTER,
    "POST admin.untie": ADMINISTER,
    "GET audit.index": AUDIT,
    "POST audit.export": AUDIT,
    "GET bootstrap.static": OPEN,
    "GET calendar.index": READ,
    "GET cases.index": READ,
    "GET cases.show": READ,
    "GET changes.carry": WRITE,
    "POST changes.carry": WRITE,
    "GET changes.correct": WRITE,
    "POST changes.correct": WRITE,
    "GET changes.facts": WRITE,
    "POST changes.facts": WRITE,
    "GET changes.move": WRITE,
    "POST changes.move": WRITE,
    "GET changes.record": WRITE,
    "POST changes.record": WRITE,
    "POST changes.undo": WRITE,
    "GET dashboard.go": READ,
    "GET dashboard.index": READ,
    "GET hand_over.index": WRITE,
    "POST hand_over.absence": WRITE,
    "POST hand_over.act": WRITE,
    "POST hand_over.call_off": WRITE,
    "POST hand_over.end_absence": WRITE,
    "GET health.healthz": OPEN,
    "GET health.readyz": OPEN,
    "GET htmx.static": OPEN,
    "GET meeting.index": READ,
    "POST meeting.add": WRITE,
    "POST meeting.decide": WRITE,
    "POST meeting.take_off": WRITE,
    "GET merging.merge": LEAD,
    "POST merging.merge": LEAD,
    "POST merging.separate": LEAD,
    "GET metrics.metrics": OPEN,
    "GET new_patient.new": WRITE,
    "POST new_patient.new": WRITE,
    "GET outbox.index": READ,
    "POST outbox.decide": WRITE,
    "GET own_views.index": READ,
    "POST own_views.change": READ,
    "POST own_views.choose": READ,
    "POST own_views.save": READ,
    "GET pathway.latest": SIGNED_IN,
    "GET pathway.version": SIGNED_IN,
    "GET provider.begin": OPEN,
    "GET provider.come_back": OPEN,
    "GET search.ask": READ,
    "POST search.find": READ,
    "GET shell.keys": SIGNED_IN,
    "GET sign_in.page": OPEN,
    "GET sign_in.welcome": OPEN,
    "POST sign_in.accept": OPEN,
    "POST sign_in.begin_again": OPEN,
    "POST sign_in.enter": OPEN,
    "POST sign_in.leave": SIGNED_IN,
    "POST sign_in.prove": OPEN,
    "GET static": OPEN,
    "GET worklist.as_file": READ,
    "GET worklist.index": READ,
    "POST worklist.seek": READ,
}

MAY: dict[str, set[May]] = {
    "navigator": {READ, WRITE},
    "clinician": {READ, WRITE},
    "lead": {READ, WRITE, LEAD},
    "auditor": {READ, AUDIT},
    "administrator": {ADMINISTER},
    "nobody": set(),
}
"""What each role may in North, where each of them has it and no other; nobody has an account and no role."""

OF_PERSON = ("hand_over.act", "hand_over.absence", "hand_over.call_off", "hand_over.end_absence")
ENDS_THE_SIGN_IN = {"POST sign_in.leave"}
IN_THE_FORM = ("POST meeting.add", "POST meeting.decide", "POST meeting.take_off")
"""Here the case is not named by the address, but in the form."""


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    made = register_with_mail(tmp_path_factory.mktemp("matrix"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def app(register: Register) -> Iterator[Flask]:
    made = create_app(register.settings, lambda: NOW)
    made.config["WTF_CSRF_ENABLED"] = False
    for role in MAY:
        roles = {"North": {Role(role)}} if role not in ("administrator", "nobody") else {}
        person(desk(made), f"{role}@example.org", roles, administrator=role == "administrator")
    yield made
    desk(made).database.close()


@pytest.fixture(scope="module")
def things(register: Register) -> dict[str, dict[str, Any]]:
    """What an address can name, of North and of South."""
    found: dict[str, dict[str, Any]] = {}
    with register.database.reading() as session:
        for clinic, ref in (("North", "N-001"), ("South", "S-001")):
            case = session.exec(select(Case).where(Case.ref == ref)).one()
            messages = select(OutboxMessage.id).join(Digest).join(Clinic).where(Clinic.name == clinic)
            event = session.exec(select(CaseEvent.ref).where(CaseEvent.case_id == case.id)).first()
            found[clinic] = {
                "ref": ref,
                "case_id": case.id,
                "message": session.exec(messages.order_by(col(OutboxMessage.id))).first(),
                "person": case.navigator_id,
                "event": event,
            }
    return found


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def every_rule(app: Flask) -> dict[str, Rule]:
    return {f"{method} {rule.endpoint}": rule for rule in app.url_map.iter_rules() for method in methods(rule)}


def address(app: Flask, name: str, thing: dict[str, Any]) -> str:
    """The address of a rule that names a thing; what names no clinic's thing is a number or a word that fits."""
    rule = every_rule(app)[name]
    of_person = dict.fromkeys(OF_PERSON, "person")
    number = {"outbox.decide": "message"} | of_person
    known: dict[str, Any] = {
        "filename": "tracker.css",
        "digest": "none",
        "token": "none",
        "act": "done",
        "what": "delete",
        "other": "N-002",
        "trigger": "record_death",
        "event": thing["event"],
        "ref": thing["ref"],
        "case_id": thing["case_id"],
        "number": thing[number[rule.endpoint]] if rule.endpoint in number else 2147483647,
    }
    if rule.endpoint == "changes.record":
        known["what"] = "note"
    if rule.endpoint == "outbox.decide":
        known["act"] = "send-again"
    values = {argument: known[argument] for argument in rule.arguments}
    built = app.url_map.bind("localhost").build(rule.endpoint, values, method=name.partition(" ")[0])
    return f"{built}?item=1" if rule.endpoint in ("acting.form", "acting.one") else built


def ask(client: FlaskClient, name: str, where: str, **form: str) -> TestResponse:
    return client.open(where, method=name.partition(" ")[0], data=form or None, buffered=True)


def names_a_thing(rule: Rule) -> bool:
    return bool({"ref", "case_id"} & rule.arguments) or rule.endpoint in ("outbox.decide", *OF_PERSON)


def without_reference(answer: TestResponse) -> str:
    return re.sub(r"<code>[0-9a-f]{8}</code>|[0-9a-f]{8}(?=\W)|value=\"[^\"]+\"", "", answer.text)


def test_every_rule_is_in_the_table_and_says_what_the_table_says(app: Flask) -> None:
    said: dict[str, str | May] = {}
    for name, rule in every_rule(app).items():
        mark = getattr(app.view_functions[rule.endpoint], "__access__", None)
        assert mark is None or len(mark) <= 1
        said[name] = OPEN if mark is None else next(iter(mark), SIGNED_IN)
    assert said == TABLE


@pytest.mark.parametrize("name", TABLE)
def test_a_stranger_sees_what_is_open_and_is_sent_to_sign_in_for_the_rest(
    app: Flask, things: dict[str, dict[str, Any]], name: str
) -> None:
    for thing in things.values():
        answer = ask(app.test_client(), name, address(app, name, thing))
        if TABLE[name] == OPEN:
            assert answer.status_code < 500
        else:
            assert (answer.status_code, answer.location) == (303, "/login")
            assert "Okafor" not in answer.text


@pytest.mark.parametrize("name", [name for name, may in TABLE.items() if may != OPEN and name not in ENDS_THE_SIGN_IN])
def test_each_role_is_let_in_where_the_table_says_and_nowhere_else(
    app: Flask, things: dict[str, dict[str, Any]], name: str
) -> None:
    where, needed = address(app, name, things["North"]), TABLE[name]
    for role, mays in MAY.items():
        form = {"ref": "N-001", "on": "2027-03-12"} if name in IN_THE_FORM else {}
        answer = ask(sign_in(app.test_client(), f"{role}@example.org"), name, where, **form)
        if needed == SIGNED_IN or needed in mays:
            assert answer.status_code < 500, role
            assert answer.status_code not in (401, 403), role
            assert answer.location != "/login", role
        elif name == "GET dashboard.index":
            assert answer.location in ("/admin", "/account"), role
        else:
            assert answer.status_code == 403, role
            assert "Okafor" not in answer.text, role


@pytest.mark.parametrize("role", ["navigator", "clinician", "lead", "auditor"])
def test_another_clinics_thing_is_answered_like_one_that_does_not_exist(
    app: Flask, things: dict[str, dict[str, Any]], role: str
) -> None:
    client = sign_in(app.test_client(), f"{role}@example.org")
    nothing = {"ref": "no-such", "case_id": 2147483647, "message": 2147483647, "person": 2147483647, "event": "none"}
    for name, rule in every_rule(app).items():
        if not names_a_thing(rule) or TABLE[name] not in MAY[role]:
            continue
        theirs = ask(client, name, address(app, name, things["South"]))
        missing = ask(client, name, address(app, name, nothing))
        assert (theirs.status_code, missing.status_code) == (404, 404), name
        assert without_reference(theirs) == without_reference(missing), name


@pytest.mark.parametrize("name", IN_THE_FORM)
def test_another_clinics_case_in_a_form_does_not_exist_either(app: Flask, name: str) -> None:
    client = sign_in(app.test_client(), "lead@example.org")
    address_ = address(app, name, {"event": "", "ref": "", "case_id": 0})
    for ref in ("S-001", "no-such"):
        data = {"ref": ref, "on": "2027-03-12", "text": "x", "question": "x", "token": "t" * 16}
        assert client.post(address_, data=data).status_code == 404


def test_no_list_of_the_pages_names_another_clinics_case(app: Flask) -> None:
    client = sign_in(app.test_client(), "lead@example.org")
    for name, rule in every_rule(app).items():
        if name.startswith("GET") and not rule.arguments and TABLE[name] in (READ, WRITE, LEAD):
            page = client.get(rule.rule, follow_redirects=True, buffered=True).text
            assert "S-00" not in page, name
            assert "Rosa Martín" not in page, name
            assert "ben@example.org" not in page, name


def test_an_unsafe_request_without_the_token_of_a_form_changes_nothing(register: Register) -> None:
    app = create_app(register.settings, lambda: NOW)
    with desk(app).writing("test:people") as writing:
        everything = accounts.add(writing, "everything@example.org", administrator=True)
        accounts.set_roles(writing, everything, "North", set(Role) - {Role.ADMINISTRATOR})
        number = {"North": cases.find(writing.session, "N-001").id}
    client = sign_in(app.test_client(), "everything@example.org")
    thing = {"ref": "N-001", "case_id": number["North"], "message": 1, "person": 1, "event": "none"}
    for name, rule in every_rule(app).items():
        if name.startswith("POST"):
            assert client.post(address(app, name, thing), buffered=True).status_code == 400, rule
    desk(app).database.close()


def test_a_page_that_says_nothing_is_refused(register: Register, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(register.settings, lambda: NOW)
    app.add_url_rule("/forgotten", "forgotten", lambda: "a secret")
    for client in (app.test_client(), sign_in(app.test_client())):
        answer = client.get("/forgotten")
        assert (answer.status_code, "secret" in answer.text) == (403, False)
    assert "access.unmarked" in capsys.readouterr().out
    desk(app).database.close()


def test_where_the_check_itself_fails_the_answer_is_no(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = sign_in(app.test_client(), "lead@example.org")

    def broken(*_: object) -> object:
        raise ValueError("broken")

    monkeypatch.setattr("tracker.sign_ins.accounts.viewer_of", broken)
    answer = client.get("/cases/N-001")
    assert answer.status_code == 500
    assert "Okafor" not in answer.text


def test_looking_at_a_case_is_on_record_before_the_page_leaves(
    app: Flask, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(app.test_client(), "clinician@example.org")

    def seen() -> list[CaseLook]:
        with register.database.reading() as session:
            who = accounts.of(session, "clinician@example.org").id
            return list(session.exec(select(CaseLook).where(CaseLook.account_id == who)))

    before = len(seen())
    assert client.get("/cases/N-001").status_code == 200
    assert client.get("/cases/S-001").status_code == 404
    assert client.get("/cases").status_code == 200
    after = seen()
    assert len(after) == before + 1
    assert (after[-1].page, after[-1].at) == ("cases.show", NOW)

    def unwritable(*_: object) -> object:
        raise ValueError("cannot be written")

    monkeypatch.setattr("web.access.looks.record", unwritable)
    answer = client.get("/cases/N-001")
    assert answer.status_code == 500
    assert "Okafor" not in answer.text


def test_what_is_changed_is_changed_by_the_person_signed_in(app: Flask, register: Register) -> None:
    client = sign_in(app.test_client(), "clinician@example.org")
    client.post("/team-meeting/add", data={"ref": "N-001", "on": "2027-03-12", "question": "Now?"})
    with register.database.reading() as session:
        from tracker.models import MeetingItem

        assert session.exec(select(MeetingItem.added_by)).first() == "clinician@example.org"


def test_a_field_that_is_not_on_the_form_changes_nothing(app: Flask, register: Register) -> None:
    client = sign_in(app.test_client(), "navigator@example.org")
    client.post("/account/digest-days", data={"day": "1", "administrator": "yes", "role.1": "lead", "email": "x@y.zz"})
    with register.database.reading() as session:
        mine = accounts.of(session, "navigator@example.org")
        assert not mine.administrator
        assert {role for some in accounts.viewer_of(session, mine).roles.values() for role in some} == {Role.NAVIGATOR}
