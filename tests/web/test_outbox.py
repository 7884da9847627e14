"""The outbox: what is in question comes first, and a button does what it says, once, and on the record."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import col, select
from werkzeug.test import TestResponse

from tests.web.register import NOW, Register
from tracker import people
from tracker.models import AuditEntry, OutboxMessage, Reminder

MakeApp = Callable[..., Flask]
REFUSED, DOUBTED, RETRIED, QUEUED, LEAVING, SENT = range(1, 7)


@pytest.fixture
def register(outbox_register: Register) -> Register:
    return outbox_register


@pytest.fixture
def client(register: Register, make_app: MakeApp) -> FlaskClient:
    return make_app(register).test_client()


def section(page: str, name: str) -> str:
    part = page[page.index(f'<section id="{name}"') :]
    return part[: part.index("</section>")]


def press(client: FlaskClient, number: int, act: str, page: str = "", **changed: str) -> TestResponse:
    """Press a button as it stands on the page (by default the page as it is now)."""
    page = page or client.get("/outbox").text
    form = page[page.index(f'action="/outbox/{number}/{act}"') :]
    values = re.findall(r'name="(csrf_token|seen)" value="([^"]*)"', form)[:2]
    return client.post(f"/outbox/{number}/{act}", data=dict(values) | changed)


def message(register: Register, number: int) -> OutboxMessage:
    with register.database.reading() as session:
        return session.get_one(OutboxMessage, number)


def told_by(register: Register, number: int) -> list[Reminder]:
    """The reminders of a message's digest."""
    with register.database.reading() as session:
        digest = session.get_one(OutboxMessage, number).digest_id
        return list(session.exec(select(Reminder).where(Reminder.digest_id == digest)))


def audit(register: Register) -> list[tuple[str, str, str, dict[str, str]]]:
    with register.database.reading() as session:
        about_mail = select(AuditEntry).where(col(AuditEntry.kind).startswith("mail:"))
        rows = session.exec(about_mail.order_by(col(AuditEntry.seq))).all()
        return [(row.actor, row.kind, row.subject, json.loads(row.data)) for row in rows]


# What it shows ---------------------------------------------------------------------------------------------


def test_what_is_in_question_comes_first_with_its_reason_and_what_can_be_done(client: FlaskClient) -> None:
    page = client.get("/outbox").text
    places = [page.index(f'<section id="{name}"') for name in ("in-question", "waiting", "sent", "machinery")]
    assert places == sorted(places)
    question = section(page, "in-question")
    for words in ("Refused", "The mail server refused the recipient&#39;s address (550)", "In doubt",
                  "It may have arrived or not", "in doubt since <span class=\"num\">12 Mar 2027, 06:00",
                  "ana<wbr>@example.org", "Tells 29 reminders of 9 follow-ups"):  # fmt: skip
        assert words in question, words
    assert re.findall(r"/outbox/(\d+)/([a-z-]+)", question) == [
        ("1", "send-again"), ("1", "tell-in-next"), ("2", "send-again"), ("2", "arrived"), ("2", "tell-in-next"),
    ]  # fmt: skip


def test_what_waits_says_when_it_is_tried_next_and_why(client: FlaskClient) -> None:
    waiting = section(client.get("/outbox").text, "waiting")
    for words in ("12 Mar 2027, 09:05", "(in 5 minutes)", "No connection", "tried 3 times", "Leaving just now",
                  "With the next tick", "Not tried yet"):  # fmt: skip
        assert words in waiting, words


def test_what_went_is_listed_latest_first_and_goes_on_where_it_stopped(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers(page: str) -> list[int]:
        return [int(number) for number in re.findall(r"No\. (\d+)", section(page, "sent"))]

    whole = numbers(client.get("/outbox").text)
    assert len(whole) > 3
    assert whole == sorted(whole, reverse=True)
    monkeypatch.setattr("web.outbox.PAGE", 2)
    seen, address = [], "/outbox"
    while address:
        page = client.get(address).text
        seen += numbers(page)
        found = re.search(r'href="(/outbox\?after=\d+)#sent"', page)
        address = found[1] if found else ""
    assert seen == whole
    assert "In question" not in page


def test_an_outbox_without_messages_says_so(fresh_register: Register, make_app: MakeApp) -> None:
    page = make_app(fresh_register).test_client().get("/outbox").text
    assert "Nothing. Every message has either gone or waits for its turn." in page
    assert page.count("Nothing yet.") == 2
    assert page.count("<dd>never</dd>") == 3


def test_how_the_machinery_stands_is_said_in_words(client: FlaskClient) -> None:
    machinery = section(client.get("/outbox").text, "machinery")
    for words in ("Last tick", "12 Mar 2027, 09:00 UTC</span> (just now)", "into the Maildir of this installation"):
        assert words in machinery
    assert re.search(r"\d+ reminders expected = \d+ sent \+ \d+ withheld with a reason \+ \d+ still to come", machinery)


def test_every_page_counts_what_is_in_question(client: FlaskClient, register: Register) -> None:
    for address in ("/", "/cases", "/pathway", "/outbox", "/cases/none"):
        assert '2<span class="visually-hidden"> in question</span>' in client.get(address).text
    press(client, DOUBTED, "arrived")
    assert '1<span class="visually-hidden"> in question</span>' in client.get("/").text


@pytest.mark.parametrize("after", ["x", "-1", "1.5"])
def test_a_place_in_the_list_that_is_none_is_answered_in_words(client: FlaskClient, after: str) -> None:
    assert client.get(f"/outbox?after={after}").status_code == 400


def test_what_is_muted_is_said_with_who_hears_instead(client: FlaskClient, register: Register) -> None:
    def quiet() -> str:
        return section(client.get("/outbox").text, "quiet")

    assert "Nothing is muted." in quiet()
    with register.database.writing() as session:
        writing = register.write(session)
        people.set_lead(writing, "North", "lead@example.org")
        people.set_away(writing, "ana@example.org", NOW.date(), date(2027, 3, 20), "ben@example.org")
        people.set_digest_days(writing, "eve+x@example.org", "135")
        people.set_digest_days(writing, "lead@example.org", "")
    register.tell("N-002", "2027-03-12", "activity:snoozed", activity="visit", until="2027-03-30", reason="abroad")
    for words in ("Away until 20 Mar 2027; ben@example.org hears instead.", "A digest on Mon, Wed, Fri only",
                  "No digest.", "1 follow-up put off, until 30 Mar"):  # fmt: skip
        assert words in quiet(), words
    assert "Wei Zhang" not in quiet()
    assert "abroad" not in quiet()


# What the buttons do ---------------------------------------------------------------------------------------


def test_a_refused_message_is_sent_again(client: FlaskClient, register: Register) -> None:
    answer = press(client, REFUSED, "send-again")
    assert (answer.status_code, answer.location) == (303, "/outbox#said")
    page = client.get("/outbox").text
    assert '<div class="said said-done" id="said" role="status" tabindex="-1">' in page
    assert "sent again within a minute" in page
    assert message(register, REFUSED).state == "retry_wait"
    assert audit(register) == [
        ("ana@example.org", "mail:sent-again", "message 1", {"was": "rejected", "is": "retry_wait"})
    ]
    decided = section(page, "decisions")
    assert "Sent again; before that: refused" in decided
    assert "ana@example.org" in decided
    assert "said-done" not in client.get("/outbox").text


def test_a_message_in_doubt_that_is_sent_again_is_marked_as_a_possible_repeat(
    client: FlaskClient, register: Register
) -> None:
    press(client, DOUBTED, "send-again")
    row = message(register, DOUBTED)
    assert (row.state, row.repeat, row.doubted_at) == ("retry_wait", 1, None)


def test_a_message_that_arrived_counts_as_sent_with_all_that_it_tells(client: FlaskClient, register: Register) -> None:
    press(client, DOUBTED, "arrived")
    row = message(register, DOUBTED)
    assert (row.state, row.settled_by, row.settled_at) == ("sent", "ana@example.org", NOW)
    assert {reminder.status for reminder in told_by(register, DOUBTED)} == {"sent"}
    assert "Said to have arrived by ana@example.org." in section(client.get("/outbox").text, "sent")


def test_what_is_given_up_is_told_in_the_next_digest(client: FlaskClient, register: Register) -> None:
    reminders = [reminder.id for reminder in told_by(register, REFUSED)]
    press(client, REFUSED, "tell-in-next")
    assert message(register, REFUSED).state == "cancelled"
    with register.database.reading() as session:
        rows = [session.get_one(Reminder, number) for number in reminders]
    assert {(row.status, row.digest_id) for row in rows} == {("raised", None)}
    assert "Given up by ana@example.org." in section(client.get("/outbox").text, "sent")


def test_what_will_be_tried_again_can_be_tried_at_once(client: FlaskClient, register: Register) -> None:
    press(client, RETRIED, "send-again")
    assert message(register, RETRIED).next_try_at == NOW


# Clicked twice, too late, or not from the page -------------------------------------------------------------


@pytest.mark.parametrize(
    "number, act",
    [(REFUSED, "send-again"), (REFUSED, "tell-in-next"), (DOUBTED, "arrived"), (DOUBTED, "send-again"),
     (RETRIED, "send-again"), (RETRIED, "tell-in-next")],
)  # fmt: skip
def test_a_second_click_changes_nothing_and_is_said_so(
    client: FlaskClient, register: Register, number: int, act: str
) -> None:
    page = client.get("/outbox").text
    press(client, number, act, page)
    client.get("/outbox")
    first = message(register, number).model_dump()
    again = press(client, number, act, page)
    assert again.status_code == 303
    said = client.get("/outbox").text
    assert "Nothing was changed." in said
    assert f"Message {number} is no longer as this page showed it" in said
    assert message(register, number).model_dump() == first
    assert len(audit(register)) == 1


def test_a_page_that_was_overtaken_changes_nothing(client: FlaskClient, register: Register) -> None:
    page = client.get("/outbox").text
    with register.database.writing() as session:
        session.get_one(OutboxMessage, REFUSED).attempt += 1  # tried and refused once more meanwhile
    press(client, REFUSED, "tell-in-next", page)
    assert message(register, REFUSED).state == "rejected"
    assert "no longer as this page showed it" in client.get("/outbox").text


@pytest.mark.parametrize("seen", ["", "rejected", "rejected.99", "sent.1"])
def test_a_form_that_does_not_say_what_it_saw_changes_nothing(
    client: FlaskClient, register: Register, seen: str
) -> None:
    assert press(client, REFUSED, "send-again", seen=seen).status_code == 303
    assert message(register, REFUSED).state == "rejected"


def test_what_is_no_longer_in_question_cannot_be_decided(client: FlaskClient, register: Register) -> None:
    row = message(register, SENT)
    seen = f"sent.{row.attempt}.{row.next_try_at.timestamp():.0f}"
    page = client.get("/outbox").text
    token = re.findall(r'name="csrf_token" value="([^"]*)"', page)[0]
    answer = client.post(f"/outbox/{SENT}/send-again", data={"csrf_token": token, "seen": seen})
    assert answer.status_code == 303
    assert f"Message {SENT} is sent by now: nothing was changed." in client.get("/outbox").text
    assert message(register, SENT).state == "sent"


@pytest.mark.parametrize("token", ["", "wrong", "IjEi.aaaa.bbbb"])
def test_a_form_from_elsewhere_is_refused_in_words_and_changes_nothing(
    client: FlaskClient, register: Register, token: str
) -> None:
    answer = press(client, REFUSED, "send-again", csrf_token=token)
    assert answer.status_code == 400
    assert "Nothing was changed. Open the page again" in answer.text
    assert "CSRF" not in answer.text
    assert message(register, REFUSED).state == "rejected"
    assert audit(register) == []


def test_a_token_of_another_browser_is_refused(register: Register, make_app: MakeApp) -> None:
    app = make_app(register)
    mine, theirs = app.test_client(), app.test_client()
    mine.get("/outbox")
    answer = press(mine, REFUSED, "send-again", theirs.get("/outbox").text)
    assert answer.status_code == 400
    assert message(register, REFUSED).state == "rejected"


def test_a_page_may_lie_open_for_a_day(register: Register, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_app(register).test_client()
    page = client.get("/outbox").text
    import itsdangerous.timed

    real = itsdangerous.timed.time.time
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: real() + 86_400)
    assert press(client, REFUSED, "send-again", page).status_code == 303


@pytest.mark.parametrize("address", ["/outbox/999/send-again", "/outbox/2147483647/arrived"])
def test_a_message_that_there_is_not_is_said_in_words(client: FlaskClient, address: str) -> None:
    token = re.findall(r'name="csrf_token" value="([^"]*)"', client.get("/outbox").text)[0]
    answer = client.post(address, data={"csrf_token": token, "seen": "rejected.1"})
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


@pytest.mark.parametrize("address", ["/outbox/1/send-again", "/outbox/1/arrived", "/outbox/1/tell-in-next"])
def test_to_look_at_an_address_decides_nothing(client: FlaskClient, register: Register, address: str) -> None:
    assert client.get(address).status_code == 405
    assert message(register, REFUSED).state == "rejected"


@pytest.mark.parametrize("address", ["/outbox/1/delete", "/outbox/-1/arrived", "/outbox/99999999999/arrived"])
def test_there_are_no_other_things_to_decide(client: FlaskClient, address: str) -> None:
    assert client.post(address).status_code == 404


# The cookie ------------------------------------------------------------------------------------------------


def test_the_cookie_is_for_this_tracker_alone(client: FlaskClient) -> None:
    cookie = client.get("/outbox").headers["Set-Cookie"]
    assert cookie.startswith("tracker=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_pages_for_machines_set_no_cookie(client: FlaskClient) -> None:
    for address in ("/healthz", "/readyz", "/metrics"):
        assert "Set-Cookie" not in client.get(address).headers


def test_a_cookie_that_was_changed_counts_for_nothing(client: FlaskClient, register: Register) -> None:
    page = client.get("/outbox").text
    cookie = client.get_cookie("tracker")
    assert cookie is not None
    client.set_cookie("tracker", cookie.value[:-2] + ("aa" if cookie.value[-2:] != "aa" else "bb"))
    assert press(client, REFUSED, "send-again", page).location == "/login"
    assert message(register, REFUSED).state == "rejected"


# What it never shows ---------------------------------------------------------------------------------------

SECRETS = ("okafor", "wei zhang", "martín", "1961", "alert(", "7 * 7", "p-n-001", "n-001", "x-001", "s-002",
           "lanreotide", "gallstones", "surveillance", "imaging")  # fmt: skip


def test_no_patient_is_in_any_page_of_the_outbox_or_its_errors(
    register: Register, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_app(register, NOW + timedelta(hours=2)).test_client()
    pages = [client.get("/outbox").text, client.get("/outbox?after=7").text, client.get("/outbox?after=x").text]
    pages += [press(client, REFUSED, "send-again").text, press(client, DOUBTED, "arrived").text]
    pages += [press(client, RETRIED, "tell-in-next").text, press(client, RETRIED, "send-again", pages[0]).text]
    pages += [client.get("/outbox").text, client.post("/outbox/1/arrived").text]
    pages += ["".join(capsys.readouterr()), json.dumps(audit(register))]
    for page in pages:
        for secret in SECRETS:
            assert secret not in page.lower(), secret


def test_the_content_of_a_message_is_nowhere_on_the_page(client: FlaskClient, register: Register) -> None:
    page = client.get("/outbox").text
    content = message(register, REFUSED).content.decode()
    assert "/go/" in content
    assert "/go/" not in page
    assert message(register, REFUSED).message_id.strip("<>") not in page
