"""The pages as a browser gets them: words, limits, headers, and what must never be in them."""

import re
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as QueueTimeout
from sqlmodel import select

from tests.web.forms import words as told
from tests.web.people import person, sign_in
from tests.web.register import NOW, SCRIPT, TEMPLATE, Register
from tracker import accounts, casebook, overdue
from tracker.access import Role
from tracker.models import Clinic
from web.desk import desk

MakeApp = Callable[..., Flask]
ADDRESSES = ["/", "/cases", "/cases/N-001", "/cases/N-009", "/pathway", "/healthz", "/readyz", "/no-such-page"]


def people(register: Register) -> dict[str, int]:
    with register.database.reading() as session:
        return {email: id_ for id_, email in casebook.scope_choices(session).navigators.items()}


# The dashboard ---------------------------------------------------------------------------------------------


def test_the_longest_overdue_comes_first(client: FlaskClient) -> None:
    page = client.get("/").text
    days = [int(part.partition(" ")[0]) for part in page.split('<strong class="num">')[1:]]
    assert len(days) > 10
    assert days == sorted(days, reverse=True)


def test_a_row_says_what_is_due_and_why(client: FlaskClient) -> None:
    page = client.get("/").text
    row = page[page.index("Wei Zhang") :]
    for words in ("Due 20 Apr 2026", "Escalate to clinician", "20 Oct 2025 + 1 × 6 months = 20 Apr 2026",
                  "Ends when", "/pathway#source-S66", "our policy"):  # fmt: skip
        assert words in row


def test_rows_can_be_limited_to_a_clinic_and_to_a_person(client: FlaskClient, register: Register) -> None:
    south = client.get("/?clinic=South").text
    assert "Rosa Martín" in south
    assert "Wei Zhang" not in south
    eve = client.get(f"/?navigator={people(register)['eve+x@example.org']}").text
    assert "X-001" in eve
    assert "Wei Zhang" not in eve


def test_what_is_put_off_says_so_on_the_first_page_too(fresh_register: Register, make_app: MakeApp) -> None:
    fresh_register.open("N-001", "2026-01-05", "Grace Okafor")
    client = make_app(fresh_register).test_client()
    assert "Put off until" not in told(client.get("/"))
    with fresh_register.database.reading() as session:
        longest = overdue.overdue_page(session, now=NOW, size=1).items[0]
    put_off = {"activity": longest.activity, "rule": longest.rule, "until": "2027-03-19"}
    fresh_register.tell(longest.place.ref, "2027-03-12", "activity:snoozed", **put_off)
    assert "Put off until 19 Mar 2027" in told(client.get("/"))


def test_a_navigator_keeps_to_the_address_that_says_nothing_and_so_to_the_way_to_the_whole_clinic(
    register: Register, make_app: MakeApp
) -> None:
    app = make_app(register)
    client = app.test_client()
    with desk(app).writing("test:pages") as writing:
        ana = accounts.of(writing.session, "ana@example.org")
        for clinic in writing.session.exec(select(Clinic)).all():
            accounts.set_roles(writing, ana, clinic.name, {Role.NAVIGATOR})
    page = client.get("/")
    assert "Look at the whole clinic" in told(page)
    assert set(re.findall(r"[?&;]back=([^&\"]+)", page.text)) == {"/"}


def test_nobody_responsible_is_a_choice_too(client: FlaskClient) -> None:
    page = client.get("/?navigator=0").text
    assert "Ola Nordmann" in page
    assert "Wei Zhang" not in page


def test_addresses_name_people_by_number_only(client: FlaskClient) -> None:
    for address in ("/", "/cases", "/?clinic=North"):
        links = [part.partition('"')[0] for part in client.get(address).text.split('href="')[1:]]
        assert not [link for link in links if "@" in link or "%40" in link]


def test_a_long_list_goes_on_where_it_stopped(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.dashboard.PAGE", 100)
    whole = client.get("/").text.count('class="how-late"')
    monkeypatch.setattr("web.dashboard.PAGE", 5)
    address, seen = "/", 0
    while address:
        page = client.get(address).text
        seen += page.count('class="how-late"')
        rest = page.partition('class="btn btn-outline-primary" href="')[2]
        address = rest.partition("#")[0].replace("&amp;", "&") if "Show more" in rest else ""
    assert seen == whole


def test_cases_without_next_step_or_navigator_or_explanation_are_listed(client: FlaskClient) -> None:
    page = client.get("/").text
    for section, name in (("next-step", "Tomas Novak"), ("explanation", "Wei Zhang"), ("navigator", "Ola Nordmann")):
        part = page[page.index(f'<section id="{section}"') :]
        assert name in part[: part.index("</section>")]
        assert name in client.get(f"/cases?needs={section}").text


def test_an_empty_register_says_what_to_do(fresh_register: Register, make_app: MakeApp) -> None:
    page = make_app(fresh_register.beat()).test_client().get("/").text
    assert "There are no cases yet" in page
    assert "tracker replay" in page


def test_nothing_overdue_is_said_in_words(fresh_register: Register, make_app: MakeApp) -> None:
    fresh_register.open("N-001", "2027-03-10", "Ada", state="advanced.monitoring").beat()
    page = make_app(fresh_register).test_client().get("/").text
    assert "Nothing is overdue" in page


@pytest.mark.parametrize(
    "minutes, shown", [(0, False), (5, False), (6, True), (3 * 24 * 60, True)]
)  # fmt: skip
def test_a_silent_scheduler_puts_a_banner_on_every_page(
    register: Register, make_app: MakeApp, minutes: int, shown: bool
) -> None:
    client = make_app(register, NOW + timedelta(minutes=minutes)).test_client()
    for address in ("/", "/cases", "/cases/N-001", "/pathway"):
        assert ("Reminders are not going out" in client.get(address).text) is shown


def test_a_scheduler_that_never_ran_is_said_so(fresh_register: Register, make_app: MakeApp) -> None:
    assert "has never run" in make_app(fresh_register).test_client().get("/").text


# A case ----------------------------------------------------------------------------------------------------


def test_what_is_missing_in_a_part_of_the_page_can_be_added_there(client: FlaskClient) -> None:
    page, past = client.get("/cases/N-001").text, client.get("/cases/N-001?on=2026-06-01").text
    for words in ("Record a contact", "Add a note", "Note a barrier", "Record a team decision"):
        assert f"{words}</a></p>" in page
        assert f"{words}</a></p>" not in past, "the past is not written to"


def test_a_look_back_before_a_death_does_not_tell_of_it(client: FlaskClient) -> None:
    assert "(died at 64)" in client.get("/cases/N-009").text
    before = client.get("/cases/N-009?on=2025-03-01").text
    assert "(age 64)" in before
    assert "died" not in before
    assert "(age 64)" in client.get("/cases/N-009?on=2025-12-31").text


def test_a_list_of_cases_without_any_says_what_to_do(fresh_register: Register, make_app: Callable[..., Flask]) -> None:
    app = make_app(fresh_register)
    client = app.test_client()
    assert "Open the first one with “New patient” above." in client.get("/cases").text
    assert "There are no cases without a next step." in client.get("/cases?needs=next-step").text
    assert "Open the case of your first patient" in client.get("/").text
    person(desk(app), "aud@example.org", {"North": {Role.AUDITOR}})
    assert "New patient" not in sign_in(app.test_client(email=None), "aud@example.org").get("/cases").text


def test_a_case_shows_who_it_is_where_it_stands_and_what_is_next(client: FlaskClient) -> None:
    page = client.get("/cases/N-001").text
    for words in ("Grace Okafor", "28 Feb 1961 (age 66)", "Treatment on hold", "Since 25 Feb 2027 (2 weeks ago)",
                  "Review of the hold", "gallstones", "The systems differ", "Move the case",
                  "printed 12 Mar 2027, 09:00",
                  "Booked for 25 Mar 2027 (in 13 days)", "<s><b>Note</b>", "Phone:</b> no answer"):  # fmt: skip
        assert words in page


def test_what_is_overdue_tells_its_last_day_on_the_case_and_on_the_worklist(client: FlaskClient) -> None:
    day = r"Due 20 Apr 2026 \([^)]+\), last day \d+ \w+ 2026"
    assert re.search(day, client.get("/cases/N-002").text)
    assert re.search(day.removeprefix("Due "), client.get("/worklist?who=anyone&status=overdue").text)


def test_the_title_of_a_case_names_nobody(client: FlaskClient) -> None:
    title = client.get("/cases/N-001").text.partition("<title>")[2].partition("</title>")[0]
    assert title == "Case N-001 – NET case tracker"


def test_a_case_can_be_seen_as_it_was(client: FlaskClient) -> None:
    page = client.get("/cases/N-001?on=2026-02-15").text
    assert "You are looking back" in page
    assert "Advanced disease, planning" in page
    assert "gallstones" not in page


def test_known_takes_a_time_with_its_offset_or_a_date(client: FlaskClient) -> None:
    assert client.get("/cases/N-001?known=2027-03-12T09:00:00%2B00:00").status_code == 200
    assert client.get("/cases/N-001?known=2027-03-12T09:00:00+00:00").status_code == 200
    assert client.get("/cases/N-001?known=2027-03-12").status_code == 200
    assert client.get("/cases/N-001?known=2027-03-11").status_code == 404


def test_a_case_says_what_its_navigator_was_told_and_what_not_and_why(
    outbox_register: Register, make_app: MakeApp
) -> None:
    outbox_register.step("X-001", "2027-03-01", "record_death")
    client = make_app(outbox_register).test_client()
    page = client.get("/cases/X-001").text
    part = page[page.index('<section id="reminders"') :]
    part = part[: part.index("</section>")]
    for words in ("1 reminder went out after the death on 1 Mar 2027", "Sent after the death on 1 Mar 2027",
                  "Not told: cancelled on 1 Mar 2027", "Told to <span", "Overdue, for the clinic lead"):  # fmt: skip
        assert words in part, words
    assert 'id="reminders"' not in client.get("/cases/X-001?on=2027-02-01").text


def test_a_death_closes_the_case_on_its_page(client: FlaskClient) -> None:
    page = client.get("/cases/N-009").text
    assert "Deceased" in page
    assert "died at 64" in page
    assert "Nothing is due and nothing is sent" in page


@pytest.mark.parametrize(
    "address",
    [
        "/cases/N-001?on=yesterday",
        "/cases/N-001?on=2026-02-30",
        "/cases/N-001?on=9999-12-31",
        "/cases/N-001?known=2026-03-01T09:00",
        "/cases/N-001?known=soon",
        "/?clinic=Nowhere",
        "/?clinic=%00",
        "/?navigator=ana@example.org",
        "/?navigator=99999",
        "/?navigator=999999999999999999999999",
        "/?after=x",
        "/?after=2026-13-01.4",
        "/cases?needs=Case.ref;--",
    ],
)
def test_what_an_address_cannot_mean_is_answered_in_words(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert "This request was not understood" in answer.text
    assert "ana@" not in answer.text


def test_cases_in_one_state_are_listed_behind_the_picture_of_the_pathway(client: FlaskClient) -> None:
    where = re.search(r'href="(/cases\?state=therapy.on_hold[^"]*)"', client.get("/?navigator=").text)
    assert where
    page = client.get(where[1].replace("&amp;", "&")).text
    assert "Cases in “Treatment on hold”" in page
    assert "Grace Okafor" in page
    assert "Wei Zhang" not in page
    assert client.get("/cases?state=nowhere").status_code == 400


def test_closed_cases_are_listed_on_request(client: FlaskClient) -> None:
    assert "Ada Byrne" not in client.get("/cases").text
    assert "Ada Byrne" in client.get("/cases?closed=1").text


# The pathway -----------------------------------------------------------------------------------------------


def test_every_source_has_an_anchor_and_every_badge_leads_to_one(client: FlaskClient) -> None:
    page = client.get("/pathway").text
    wanted = {part.partition('"')[0] for part in page.split("/pathway#source-")[1:]}
    assert len(wanted) > 70
    for source in wanted:
        assert f'id="source-{source}"' in page


def test_an_older_version_stays_readable_under_its_digest(fresh_register: Register, make_app: MakeApp) -> None:
    from tracker import pathways

    older = pathways.shipped().digest
    with fresh_register.database.writing() as session:
        newer = pathways.shipped().model_copy(update={"version": "2"})
        newer.__dict__.pop("canonical", None)
        newer.__dict__.pop("digest", None)
        pathways.publish(fresh_register.write(session, now=NOW + timedelta(days=1)), newer)
    client = make_app(fresh_register).test_client()
    assert "version 2" in client.get("/pathway").text
    assert "not the newest version" in client.get(f"/pathway/{older}").text
    assert client.get("/pathway/unknown").status_code == 404


# What holds for every answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_tells_the_browser_what_it_may_do(client: FlaskClient, address: str) -> None:
    headers = client.get(address).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Permissions-Policy" in headers


def test_static_files_may_be_kept(client: FlaskClient) -> None:
    for address in ("/static/tracker.css", "/bootstrap/static/css/bootstrap.min.css"):
        with client.get(address) as answer:
            assert answer.status_code == 200
            assert "max-age" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("address", ["/", "/cases", "/cases/X-001", "/cases/X-002"])
def test_script_and_template_text_in_a_name_is_inert(client: FlaskClient, address: str) -> None:
    page = client.get(address).text
    assert SCRIPT not in page
    assert "<script" not in page.lower().replace('<script src="/', "")
    assert "{{ 7 * 7 }}" in page or address == "/cases/X-001"
    assert "49{%" not in page
    assert TEMPLATE.partition("{%")[0] in client.get("/cases/X-002").text


def test_pages_carry_no_style_or_script_of_their_own(client: FlaskClient) -> None:
    for address in ADDRESSES:
        page = client.get(address).text
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick=" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:5000", "[fe80::1]", "[", ""])
def test_another_host_name_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "Okafor" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5000", "localhost:80", "[::1]:5000", "LOCALHOST"])
def test_this_machines_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("address", ["/cases/none", "/cases/N%00", "/cases/../etc", "/nothing"])
def test_what_is_not_there_is_said_in_words(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text
    assert "Reference for whoever looks after the tracker" in answer.text


def test_a_wrong_verb_is_said_in_words(client: FlaskClient) -> None:
    answer = client.post("/cases/N-001")
    assert answer.status_code == 405
    assert "This cannot be done here" in answer.text
    assert "GET" in answer.headers["Allow"]


def test_a_fault_shows_and_logs_a_reference_and_nothing_of_the_patient(
    seeded_app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("Grace Okafor, born 1961")

    monkeypatch.setattr("web.timeline.entries", fail)
    answer = seeded_app.test_client().get("/cases/N-001")
    assert answer.status_code == 500
    assert "Okafor" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    logged = "".join(capsys.readouterr())
    reference = answer.text.partition("<code>")[2].partition("</code>")[0]
    assert reference in logged
    assert "ValueError" in logged
    assert "Okafor" not in logged


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT", {}, Exception("database is locked")),
        OperationalError("SELECT", {}, psycopg.errors.LockNotAvailable()),
        OperationalError("SELECT", {}, psycopg.errors.DeadlockDetected()),
        OperationalError("SELECT", {}, psycopg.errors.SerializationFailure()),
        QueueTimeout("no connection is free"),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__,
)
def test_a_busy_database_is_answered_503(
    seeded_app: Flask, monkeypatch: pytest.MonkeyPatch, error: SQLAlchemyError
) -> None:
    def wait_in_vain(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tracker.casebook.case_file", wait_in_vain)
    answer = seeded_app.test_client().get("/cases/N-001")
    assert answer.status_code == 503
    assert "The tracker is busy" in answer.text
    assert "The database did not answer in time." in answer.text
    assert answer.headers["Retry-After"] == "30"


# Health ----------------------------------------------------------------------------------------------------


def test_healthz_says_that_the_process_is_up(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}


def test_readyz_follows_the_heartbeat(register: Register, make_app: MakeApp) -> None:
    ready = make_app(register, NOW + timedelta(minutes=5)).test_client().get("/readyz")
    assert (ready.status_code, ready.json) == (200, {"status": "ready", "reasons": []})
    stale = make_app(register, NOW + timedelta(minutes=5, seconds=1)).test_client().get("/readyz")
    assert stale.status_code == 503
    assert stale.json == {"status": "unready", "reasons": ["The scheduler was last heard of 5 minutes ago"]}


def test_readyz_fails_while_the_clock_stands_before_the_last_run(register: Register, make_app: MakeApp) -> None:
    answer = make_app(register, NOW - timedelta(hours=3)).test_client().get("/readyz")
    assert answer.status_code == 503
    assert "before the scheduler's last run" in answer.text


def test_readyz_fails_on_another_schema(fresh_register: Register, make_app: MakeApp) -> None:
    app = make_app(fresh_register.beat())
    with fresh_register.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert "schema 0000" in answer.text


def test_readyz_fails_without_a_database(seeded_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(type(desk(seeded_app).database), "schema", fail)
    answer = seeded_app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {"status": "unready", "reasons": ["the database cannot be reached"]}
