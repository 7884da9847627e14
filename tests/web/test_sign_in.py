"""Coming in: passwords, codes, sessions that end, and addresses that lead where somebody wanted to go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Literal

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from pyotp import TOTP
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.web.people import ANA, PASSWORD, person, sign_in
from tests.web.register import NOW, Register, opened, seeded_register
from tracker import accounts, links
from tracker.access import Role
from tracker.models import Account, AuditEntry, SignIn
from web import create_app
from web.access import viewer
from web.desk import desk

ELLA = "ella@example.org"
Factor = tuple[FlaskClient, TOTP, list[str]]
BOTH = {"North": {Role.NAVIGATOR}, "South": {Role.AUDITOR}}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sign-in")
    seeded_register(home).database.close()
    return home


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def register(seeded: Path, tmp_path: Path) -> Iterator[Register]:
    made = opened(copytree(seeded, tmp_path / "copy"))
    yield made
    made.database.close()


@pytest.fixture
def app(register: Register, clock: Clock) -> Iterator[Flask]:
    made = create_app(register.settings, clock)
    person(desk(made), ELLA, BOTH)
    yield made
    desk(made).database.close()


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


def token_on(client: FlaskClient, address: str = "/login") -> str:
    return csrf_of(client.get(address))


def csrf_of(answer: TestResponse) -> str:
    match = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert match, answer.text
    return match[1]


def enter(client: FlaskClient, email: str = ELLA, password: str = PASSWORD, **options: object) -> TestResponse:
    data = {"csrf_token": token_on(client), "email": email, "password": password}
    return client.post("/login", data=data, **options)  # type: ignore[arg-type]


def post(client: FlaskClient, address: str, page: str = "/account", **data: str) -> TestResponse:
    return client.post(address, data={"csrf_token": token_on(client, page), **data})


def is_in(client: FlaskClient) -> bool:
    return client.get("/account").status_code == 200


def kinds(register: Register) -> list[str]:
    with register.database.reading() as session:
        return [entry.kind for entry in session.exec(select(AuditEntry).order_by(AuditEntry.seq))]  # type: ignore[arg-type]


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("tracker")
    assert found is not None
    return found.value


# Passwords -------------------------------------------------------------------------------------------------


def test_whoever_knows_the_password_is_let_in_and_it_is_on_record(stranger: FlaskClient, register: Register) -> None:
    assert enter(stranger).status_code == 303
    assert is_in(stranger)
    assert kinds(register)[-1] == "sign-in:begun"


def test_an_address_may_be_written_in_capital_letters(stranger: FlaskClient) -> None:
    assert enter(stranger, " Ella@Example.ORG ").status_code == 303


@pytest.mark.parametrize(
    "email, password", [(ELLA, "wrong"), ("nobody@example.org", PASSWORD), ("", ""), (ELLA, "x" * 9999)]
)
def test_what_is_wrong_is_not_said(stranger: FlaskClient, email: str, password: str) -> None:
    answer = enter(stranger, email, password)
    assert answer.status_code == 401
    assert "The address or the password is not right." in answer.text
    assert not is_in(stranger)


def test_an_unknown_address_gets_the_very_same_answer_after_the_same_work(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracker import passwords

    verified: list[list[str]] = []

    class Watching(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
            verified.append(str(hash).split("$")[:4])
            return super().verify(hash, password)

    watching = Watching(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: watching)
    passwords._of_nobody.cache_clear()
    answers = []
    for email in (ELLA, "nobody@example.org"):
        text = enter(app.test_client(), email, "some wrong words").text
        answers.append(re.sub(r'value="[^"]*"', "", text))
    assert answers[0] == answers[1]
    assert len(verified) == 2
    assert verified[0] == verified[1]


def test_a_disabled_account_and_one_without_a_password_answer_the_same(app: Flask) -> None:
    with desk(app).writing("test:people") as writing:
        accounts.disable(writing, accounts.of(writing.session, ELLA))
        accounts.add(writing, "new@example.org")
    assert enter(app.test_client()).status_code == 401
    assert enter(app.test_client(), "new@example.org", "").status_code == 401


def test_a_password_kept_with_other_parameters_is_kept_anew(app: Flask, register: Register) -> None:
    with register.database.writing() as session:
        accounts.of(session, ELLA).password = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    assert enter(app.test_client()).status_code == 303
    with register.database.reading() as session:
        kept = accounts.of(session, ELLA).password or ""
    assert "m=8,t=1" in kept


def test_what_was_typed_is_neither_logged_nor_noted(
    app: Flask, register: Register, capsys: pytest.CaptureFixture[str]
) -> None:
    enter(app.test_client(), "canary-of-a-password", "canary-too")
    with register.database.reading() as session:
        noted = str([(e.subject, e.data, e.actor) for e in session.exec(select(AuditEntry))])
    assert "canary" not in noted + "".join(capsys.readouterr())


# Throttling ------------------------------------------------------------------------------------------------


def test_guessing_is_slowed_and_the_right_password_has_to_wait_too(app: Flask, clock: Clock) -> None:
    client = app.test_client()
    for _ in range(5):
        assert enter(client, password="wrong").status_code == 401
    answer = enter(client)
    assert answer.status_code == 429
    assert "Try again in 1 second." in answer.text
    clock.pass_(seconds=1)
    assert enter(client, password="wrong").status_code == 401
    assert "Try again in 2 seconds." in enter(client).text
    clock.pass_(seconds=2)
    assert enter(client).status_code == 303


def test_an_unknown_address_is_slowed_alike(app: Flask) -> None:
    client = app.test_client()
    codes = [enter(client, "nobody@example.org").status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]


def test_the_wait_has_an_end(app: Flask, clock: Clock) -> None:
    client = app.test_client()
    for _ in range(30):
        enter(client, password="wrong")
        clock.pass_(minutes=15)
    assert enter(client).status_code == 303


def test_who_tries_everybody_from_one_place_is_slowed_but_not_those_who_belong_there(app: Flask) -> None:
    here = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    assert enter(app.test_client(), **here).status_code == 303
    for number in range(50):
        assert enter(app.test_client(), f"p{number}@example.org", **here).status_code == 401
    assert enter(app.test_client(), "p50@example.org", **here).status_code == 429
    assert enter(app.test_client(), **here).status_code == 303
    assert enter(app.test_client(), "p50@example.org", environ_base={"REMOTE_ADDR": "192.0.2.8"}).status_code == 401


def test_many_places_that_guess_together_lock_nobody_out_of_their_own(app: Flask, clock: Clock) -> None:
    mine = {"environ_base": {"REMOTE_ADDR": "2001:db8:0:1::7"}}
    assert enter(app.test_client(), **mine).status_code == 303
    for number in range(20):
        there = {"environ_base": {"REMOTE_ADDR": f"198.51.100.{number}"}}
        assert enter(app.test_client(), password="wrong", **there).status_code == 401
    there = {"environ_base": {"REMOTE_ADDR": "198.51.100.99"}}
    assert enter(app.test_client(), **there).status_code == 429
    same_network = {"environ_base": {"REMOTE_ADDR": "2001:db8:0:1:ffff::8"}}
    assert enter(app.test_client(), **same_network).status_code == 303
    clock.pass_(minutes=1)
    assert enter(app.test_client(), **there).status_code == 303


# Where they wanted to go -----------------------------------------------------------------------------------


def test_a_mails_link_leads_to_its_case_after_signing_in(stranger: FlaskClient) -> None:
    answer = stranger.get("/go/1")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert enter(stranger).location == "/go/1"
    assert stranger.get("/go/1").location.startswith("/cases/")


@pytest.mark.parametrize("address", ["/login?next=https://evil.example/", "/login?next=//evil.example"])
def test_nobody_can_say_in_an_address_where_it_goes_on(stranger: FlaskClient, address: str) -> None:
    data = {"csrf_token": token_on(stranger, address), "email": ELLA, "password": PASSWORD}
    assert stranger.post(address, data=data).location == "/"


@pytest.mark.parametrize("wanted", ["//evil.example/", "/\\evil.example", "https://evil.example", 7, "x" * 9])
def test_what_the_cookie_wants_leads_nowhere_else(stranger: FlaskClient, wanted: object) -> None:
    with stranger.session_transaction() as session:
        session["wanted"] = wanted
    assert enter(stranger).location == "/"


@pytest.mark.parametrize("address", ["/cases/a%0ab", "/cases/a%0d%0aX-Evil:%20y", "/cases/a%09b", "/cases/a%5Cb"])
def test_an_address_that_no_header_holds_is_not_where_it_goes_on(stranger: FlaskClient, address: str) -> None:
    assert stranger.get(address).location == "/login"
    answer = enter(stranger)
    assert (answer.status_code, answer.location, "X-Evil" in answer.headers) == (303, "/", False)


def test_an_endless_address_is_not_kept(stranger: FlaskClient) -> None:
    stranger.get("/cases?case=" + "x" * 2000)
    assert enter(stranger).location == "/"


def test_a_form_sent_too_late_is_not_repeated_and_says_so(stranger: FlaskClient, clock: Clock) -> None:
    enter(stranger)
    clock.pass_(hours=1)
    answer = stranger.post("/outbox/1/send-again")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "You are no longer signed in. Sign in to go on. Nothing was changed." in stranger.get("/login").text
    assert enter(stranger).location == "/"


def test_a_part_of_a_page_asks_the_whole_page_to_go_and_sign_in(stranger: FlaskClient) -> None:
    answer = stranger.get("/cases", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"], answer.text) == (401, "/login", "")


def test_whoever_is_signed_in_is_not_asked_again(stranger: FlaskClient) -> None:
    enter(stranger)
    assert stranger.get("/login").location == "/"


@pytest.mark.parametrize("administrator, home", [(True, "/admin"), (False, "/account")])
def test_who_may_see_no_case_begins_elsewhere(app: Flask, administrator: bool, home: str) -> None:
    person(desk(app), "x@example.org", {}, administrator=administrator)
    client = app.test_client()
    assert enter(client, "x@example.org").location == home
    assert client.get("/").location == home
    assert client.get("/cases").status_code == 403


# Sessions --------------------------------------------------------------------------------------------------


def test_the_token_changes_at_sign_in_and_a_planted_one_counts_for_nothing(app: Flask) -> None:
    victim, attacker = app.test_client(), app.test_client()
    token_on(attacker)
    planted = cookie(attacker)
    victim.set_cookie("tracker", planted)
    enter(victim)
    assert cookie(victim) != planted
    assert is_in(victim)
    assert not is_in(attacker)


def test_a_stolen_cookie_is_worth_nothing_after_signing_out(app: Flask) -> None:
    mine, thief = app.test_client(), app.test_client()
    enter(mine)
    thief.set_cookie("tracker", cookie(mine))
    assert is_in(thief)
    assert post(mine, "/logout").location == "/login"
    assert not is_in(thief)
    assert not is_in(mine)


def test_the_database_does_not_hold_what_the_browser_holds(app: Flask, register: Register) -> None:
    client = app.test_client()
    enter(client)
    with client.session_transaction() as session:
        token = session["token"]
    with register.database.reading() as database:
        rows = database.exec(select(SignIn)).all()
    assert token.encode() not in [row.token for row in rows]
    with client.session_transaction() as session:
        session["token"] = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert not is_in(client)


@pytest.mark.parametrize("token", [7, "", "x" * 5000, None])
def test_a_token_that_is_none_lets_nobody_in(stranger: FlaskClient, token: object) -> None:
    with stranger.session_transaction() as session:
        session["token"] = token
    assert not is_in(stranger)


def test_half_an_hour_without_doing_anything_ends_it(stranger: FlaskClient, clock: Clock) -> None:
    enter(stranger)
    clock.pass_(minutes=29, seconds=59)
    assert is_in(stranger)
    clock.pass_(minutes=29, seconds=59)
    assert is_in(stranger)
    clock.pass_(minutes=30)
    assert not is_in(stranger)


def test_twelve_hours_end_it_whatever_is_done(stranger: FlaskClient, clock: Clock) -> None:
    enter(stranger)
    for _ in range(35):
        clock.pass_(minutes=20)
        assert is_in(stranger)
    clock.pass_(minutes=20)
    assert not is_in(stranger)


@pytest.mark.parametrize("extra", ["?skip_timeout_reset=1", "?polled=1", "?session=keep"])
def test_no_parameter_prolongs_it(stranger: FlaskClient, clock: Clock, extra: str) -> None:
    enter(stranger)
    clock.pass_(minutes=30)
    assert stranger.get("/account" + extra).status_code == 303


def test_a_leavers_next_request_fails(app: Flask) -> None:
    client = app.test_client()
    enter(client)
    with desk(app).writing("test:people") as writing:
        accounts.disable(writing, accounts.of(writing.session, ELLA))
    assert not is_in(client)


def test_a_role_that_is_taken_away_is_gone_with_the_next_request(app: Flask) -> None:
    client = app.test_client()
    enter(client)
    assert client.get("/cases/N-001").status_code == 200
    with desk(app).writing("test:people") as writing:
        accounts.set_roles(writing, accounts.of(writing.session, ELLA), "North", set())
    assert client.get("/cases/N-001").status_code == 404


def test_ones_sign_ins_are_listed_and_end_one_by_one(app: Flask, register: Register) -> None:
    here, there, third = app.test_client(), app.test_client(), app.test_client()
    enter(here)
    enter(there, headers={"User-Agent": "Lynx <b>"})
    enter(third)
    page = here.get("/account").text
    assert "Lynx &lt;b&gt;" in page
    assert page.count("This browser") == 1
    with register.database.reading() as session:
        number = next(row.id for row in session.exec(select(SignIn)) if "Lynx" in row.browser)
    assert post(here, f"/account/sign-ins/{number}/end").status_code == 303
    assert not is_in(there)
    assert is_in(third)
    post(here, "/account/sign-ins/end-others")
    assert is_in(here)
    assert not is_in(third)


def test_another_persons_sign_in_is_not_mine_to_end(app: Flask, register: Register) -> None:
    mine, theirs = sign_in(app.test_client(), ANA), app.test_client()
    enter(theirs)
    with register.database.reading() as session:
        number = session.exec(select(SignIn.id).join(Account).where(Account.email == ELLA)).one()
    assert post(mine, f"/account/sign-ins/{number}/end").status_code == 404
    assert is_in(theirs)


def test_the_cookie_is_for_https_alone_where_people_come_over_https(register: Register) -> None:
    from dataclasses import replace

    settings = replace(
        register.settings, base_url="https://tracker.example.org", hosts=frozenset({"tracker.example.org"})
    )
    app = create_app(settings, lambda: NOW)
    answer = app.test_client().get("/login", base_url="https://tracker.example.org")
    said = answer.headers["Set-Cookie"]
    assert all(flag in said for flag in ("Secure", "HttpOnly", "SameSite=Lax"))
    assert app.test_client().get("/login", base_url="https://evil.example").status_code == 400
    assert app.test_client().get("/metrics", base_url="https://tracker.example.org").status_code == 404
    desk(app).database.close()


@pytest.mark.parametrize("trusted, seen", [(True, "203.0.113.9"), (False, "127.0.0.1")])
def test_who_asks_is_told_by_a_front_server_only_where_it_is_trusted(
    register: Register, trusted: bool, seen: str
) -> None:
    from dataclasses import replace

    app = create_app(replace(register.settings, behind_proxy=trusted), lambda: NOW)
    person(desk(app), ELLA, BOTH)
    client = app.test_client()
    enter(client, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    with register.database.reading() as session:
        assert session.exec(select(SignIn)).one().address == seen
    desk(app).database.close()


def test_a_role_in_one_clinic_is_none_in_another(app: Flask) -> None:
    """Ella writes in North and only reads in South: a form that she may send somewhere is refused there."""
    client = app.test_client()
    enter(client)
    assert client.get("/cases/S-001").status_code == 200
    data = {"csrf_token": token_on(client, "/account")}
    assert client.post("/cases/S-001/record/note", data=data).status_code == 403
    assert client.get("/cases/S-001/move/record_death").status_code == 403
    assert client.get("/cases/N-001/move/record_death").status_code == 200
    assert client.get("/cases/N-404/move/record_death").status_code == 404


def test_a_public_page_has_nobody_to_ask_for(app: Flask) -> None:
    with app.test_request_context("/login"):
        app.preprocess_request()
        with pytest.raises(PermissionError):
            viewer()
        with pytest.raises(PermissionError), desk().writing():
            pass


@pytest.mark.parametrize("host", ["[::", "evil.example", "127.0.0.1.evil.example", ""])
def test_a_request_under_another_name_is_refused(stranger: FlaskClient, host: str) -> None:
    assert stranger.get("/login", headers={"Host": host}).status_code == 400


# Password and second factor of one's own -------------------------------------------------------------------


def test_a_new_password_needs_the_old_one_and_ends_every_other_sign_in(app: Flask) -> None:
    here, there = app.test_client(), app.test_client()
    enter(here)
    enter(there)
    new = {"password": "five other quite usual words", "again": "five other quite usual words"}
    post(here, "/account/password", current="wrong", **new)
    assert "That is not your password." in here.get("/account").text
    post(here, "/account/password", current=PASSWORD, password="five other words", again="five others")
    assert "The two passwords are not the same." in here.get("/account").text
    post(here, "/account/password", current=PASSWORD, password="short", again="short")
    assert "at least 12 characters" in here.get("/account").text
    assert is_in(there)
    post(here, "/account/password", current=PASSWORD, **new)
    assert is_in(here)
    assert not is_in(there)
    assert enter(app.test_client()).status_code == 401
    assert enter(app.test_client(), password=new["password"]).status_code == 303


def test_proving_oneself_is_slowed_too(app: Flask) -> None:
    client = app.test_client()
    enter(client)
    for _ in range(6):
        post(client, "/account/second-factor", current="wrong")
    post(client, "/account/second-factor", current=PASSWORD)
    assert "tried in vain too often" in client.get("/account").text


@pytest.fixture
def with_factor(app: Flask, clock: Clock) -> Factor:
    """Ella, with her app and her recovery codes."""
    client = app.test_client()
    enter(client)
    post(client, "/account/second-factor", current=PASSWORD)
    page = client.get("/account")
    assert "<svg" in page.text
    assert "style=" not in page.text
    key = re.search(r'class="code key">([^<]+)<', page.text)
    assert key
    totp = TOTP(key[1].replace(" ", "").strip())
    refused = client.post("/account/second-factor/confirm", data={"csrf_token": csrf_of(page), "code": "000000"})
    assert refused.status_code == 303
    code = totp.at(clock.now)
    done = client.post("/account/second-factor/confirm", data={"csrf_token": csrf_of(page), "code": code})
    codes = re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", done.text)
    assert len(codes) == 10
    return client, totp, codes


def half_way(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert enter(client).location == "/login"
    return client


def give_code(client: FlaskClient, code: str) -> TestResponse:
    return client.post("/login/code", data={"csrf_token": token_on(client), "code": code})


def test_with_a_second_factor_the_password_alone_opens_nothing(app: Flask, clock: Clock, with_factor: Factor) -> None:
    client = half_way(app)
    before = cookie(client)
    assert "Your code" in client.get("/login").text
    for address in ("/", "/account", "/cases/N-001"):
        assert client.get(address).status_code == 303
    assert post(client, "/logout", "/login").location == "/login"
    clock.pass_(seconds=30)
    client = half_way(app)
    assert give_code(client, with_factor[1].at(clock.now)).location == "/"
    assert is_in(client)
    thief = app.test_client()
    thief.set_cookie("tracker", before)
    assert not is_in(thief)


def test_a_code_counts_once_and_so_do_those_before_it(app: Flask, clock: Clock, with_factor: Factor) -> None:
    totp = with_factor[1]
    clock.pass_(seconds=30)
    used, earlier = totp.at(clock.now), totp.at(clock.now - timedelta(seconds=30))
    assert give_code(half_way(app), used).status_code == 303
    assert give_code(half_way(app), used).status_code == 401
    assert give_code(half_way(app), earlier).status_code == 401
    clock.pass_(seconds=30)
    assert give_code(half_way(app), f" {totp.at(clock.now)[:3]} {totp.at(clock.now)[3:]} ").status_code == 303


def test_a_clock_that_differs_by_half_a_minute_does_no_harm(app: Flask, clock: Clock, with_factor: Factor) -> None:
    clock.pass_(minutes=5)
    ahead, late = clock.now + timedelta(seconds=30), clock.now - timedelta(minutes=1)
    assert give_code(half_way(app), with_factor[1].at(late)).status_code == 401
    assert give_code(half_way(app), with_factor[1].at(ahead)).status_code == 303


def test_codes_cannot_be_guessed_fast(app: Flask, with_factor: Factor) -> None:
    client = half_way(app)
    assert [give_code(client, f"{n:06}").status_code for n in range(6)] == [401] * 5 + [429]
    assert give_code(half_way(app), with_factor[2][0]).status_code == 429


def test_a_recovery_code_counts_once(app: Flask, register: Register, with_factor: Factor) -> None:
    first, second = with_factor[2][:2]
    assert give_code(half_way(app), first.upper()).status_code == 303
    assert give_code(half_way(app), first).status_code == 401
    client = half_way(app)
    assert give_code(client, second.replace("-", " ")).status_code == 303
    assert "8 recovery codes left" in client.get("/account").text
    assert kinds(register).count("account:recovery-code") == 2


def test_new_recovery_codes_end_the_old_ones(app: Flask, with_factor: Factor) -> None:
    client, _, old = with_factor
    assert post(client, "/account/recovery-codes", current="wrong").status_code == 303
    made = re.findall(r"<li>([a-z0-9-]{11})</li>", post(client, "/account/recovery-codes", current=PASSWORD).text)
    assert len(made) == 10
    assert give_code(half_way(app), old[0]).status_code == 401
    assert give_code(half_way(app), made[0]).status_code == 303


def test_the_second_factor_is_turned_off_with_the_password(app: Flask, with_factor: Factor) -> None:
    client = with_factor[0]
    post(client, "/account/second-factor/off", current="wrong")
    assert "On: after the password" in client.get("/account").text
    post(client, "/account/second-factor", current=PASSWORD)  # begun anew: not while it is on
    assert "On: after the password" in client.get("/account").text
    post(client, "/account/second-factor/off", current=PASSWORD)
    assert enter(app.test_client()).location == "/"
    assert post(client, "/account/recovery-codes", current=PASSWORD).status_code == 404
    assert post(client, "/account/second-factor/confirm", code="000000").status_code == 303


def test_half_way_one_can_begin_again_as_somebody_else(app: Flask, register: Register, with_factor: Factor) -> None:
    client = half_way(app)
    assert post(client, "/login/again", "/login").location == "/login"
    assert "E-mail address" in client.get("/login").text
    assert post(client, "/login/again", "/login").location == "/login"
    assert post(client, "/login/code", "/login", code="123456").location == "/login"


def test_a_leaver_cannot_finish_half_a_sign_in(app: Flask, clock: Clock, with_factor: Factor) -> None:
    client = half_way(app)
    token = token_on(client)
    with desk(app).writing("test:people") as writing:
        accounts.disable(writing, accounts.of(writing.session, ELLA))
    answer = client.post("/login/code", data={"csrf_token": token, "code": with_factor[2][0]})
    assert answer.location == "/login"
    assert not is_in(client)


def test_the_database_alone_gives_no_codes(register: Register, with_factor: Factor) -> None:
    _, totp, codes = with_factor
    with register.database.reading() as session:
        account = accounts.of(session, ELLA)
        kept = str(account.model_dump())
    assert totp.secret not in kept
    assert codes[0] not in kept


# Links -----------------------------------------------------------------------------------------------------


def link_for(app: Flask, email: str) -> str:
    with desk(app).writing("test:people") as writing:
        return "/welcome/" + links.for_account(writing, desk(app).secret, accounts.of(writing.session, email))


def take(client: FlaskClient, link: str, password: str = "words that are quite new", **data: str) -> TestResponse:
    page = client.get(link)
    token = csrf_of(page) if page.status_code == 200 else token_on(client)
    return client.post(link, data={"csrf_token": token, "password": password, "again": password, **data})


def test_a_link_sets_a_password_once_and_ends_what_was(app: Flask) -> None:
    client, link = app.test_client(), link_for(app, ELLA)
    enter(client)
    assert "Choose a password" in app.test_client().get(link).text  # looked at by a mail filter: still good
    assert take(app.test_client(), link, "short").status_code == 422
    assert take(app.test_client(), link, again="other words").status_code == 422
    assert "Sign in with it." in take(app.test_client(), link).text
    assert not is_in(client)
    assert take(app.test_client(), link).status_code == 404
    assert enter(app.test_client(), password="words that are quite new").status_code == 303


def test_a_link_that_is_sent_again_leads_home_whoever_is_signed_in_by_then(app: Flask) -> None:
    client, link = app.test_client(), link_for(app, ELLA)
    assert "Sign in with it." in take(client, link).text
    again = {"password": "words that are quite new", "again": "words that are quite new"}
    assert client.post(link, data={"csrf_token": token_on(client)} | again).status_code == 404
    enter(client, password="words that are quite new")
    answer = client.post(link, data={"csrf_token": token_on(client, "/account")} | again)
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_link_is_over_after_a_day_and_after_the_next_one(app: Flask, clock: Clock) -> None:
    first = link_for(app, ELLA)
    second = link_for(app, ELLA)
    assert take(app.test_client(), first).status_code == 404
    clock.pass_(hours=24)
    assert app.test_client().get(second).status_code == 404


def test_a_leavers_link_is_worth_nothing(app: Flask) -> None:
    link = link_for(app, ELLA)
    with desk(app).writing("test:people") as writing:
        accounts.disable(writing, accounts.of(writing.session, ELLA))
    assert take(app.test_client(), link).status_code == 422
