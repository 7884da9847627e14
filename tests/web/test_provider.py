"""Signing in through an identity provider: a real one, over HTTP, and everything that it could do wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import OctKey, RSAKey
from pyotp import TOTP
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.provider import CLIENT_SECRET, Faults, RunningProvider, running_provider
from tests.web.forms import send, words
from tests.web.people import ANA, person, sign_in
from tests.web.register import NOW, Register, opened, seeded_register
from tracker import accounts, second_factor, subjects
from tracker.access import Role
from tracker.errors import WrongSetting
from tracker.models import Account, AuditEntry, Membership, SignIn, Subject
from tracker.provider import Provider, Vouched
from tracker.settings import from_environment
from tracker.subjects import Unfit
from web import create_app
from web.desk import desk

ELLA = "ella@example.org"
ELLAS = {"email": ELLA, "email_verified": True, "name": "Canary Surname"}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("provider")
    seeded_register(home).database.close()
    return home


@pytest.fixture
def register(seeded: Path, tmp_path: Path) -> Iterator[Register]:
    made = opened(copytree(seeded, tmp_path / "copy"))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def running() -> Iterator[RunningProvider]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider's own, which is not reached over TLS here
        with running_provider() as provider:
            yield provider


@pytest.fixture
def provider(running: RunningProvider) -> RunningProvider:
    running.faults = Faults()
    running.people = {"s-ella": dict(ELLAS)}
    return running


@pytest.fixture
def app(register: Register, provider: RunningProvider) -> Iterator[Flask]:
    settings = replace(register.settings, provider=from_environment(provider.environment()).provider)
    made = create_app(settings, lambda: NOW)
    person(desk(made), ELLA, {"North": {Role.NAVIGATOR}})
    yield made
    desk(made).database.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def there(client: FlaskClient) -> str:
    """Follow the link on the page of sign-in to the provider's address."""
    page = client.get("/login")
    link = re.search(r'href="(/login/provider)"[^>]*>Sign in with Clinic &lt;login&gt;<', page.text)
    assert link, page.text
    answer = client.get(link[1])
    assert answer.status_code == 303
    return answer.location


def choose(address: str, subject: str) -> str:
    """Say at the provider who one is; returns where it sends the browser."""
    assert "Who are you?" in requests.get(address, timeout=5).text
    answer = requests.post(address, data={"subject": subject}, allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith("http://127.0.0.1:5000/login/provider/back?")
    return answer.headers["Location"]


def back(client: FlaskClient, address: str) -> TestResponse:
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}")


def come(client: FlaskClient, subject: str = "s-ella") -> TestResponse:
    return back(client, choose(there(client), subject))


def is_in(client: FlaskClient) -> bool:
    return client.get("/account").status_code == 200


def noted(register: Register) -> list[tuple[str, str, str]]:
    with register.database.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(AuditEntry.seq))  # type: ignore[arg-type]
        return [(entry.kind, entry.subject, entry.data) for entry in entries]


# Coming in -------------------------------------------------------------------------------------------------


def test_whoever_the_provider_vouches_for_is_in_and_it_is_on_record(client: FlaskClient, register: Register) -> None:
    client.get("/cases/N-001")
    answer = come(client)
    assert (answer.status_code, answer.location) == (303, "/cases/N-001")
    assert is_in(client)
    (tied, _, _), (begun, whose, _) = noted(register)[-2:]
    assert (tied, begun, whose) == ("account:tied", "sign-in:begun", ELLA)
    with register.database.reading() as session:
        assert session.exec(select(SignIn)).one().stage == "full"


def test_what_is_asked_carries_state_nonce_and_pkce(client: FlaskClient) -> None:
    asked = parse_qs(urlsplit(there(client)).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid email"]
    assert all(len(asked[name][0]) >= 20 for name in ("state", "nonce", "code_challenge"))
    again = parse_qs(urlsplit(there(client)).query)
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


def test_the_cookie_does_not_grow_with_each_try(client: FlaskClient) -> None:
    sizes = []
    for _ in range(4):
        there(client)
        cookie = client.get_cookie("tracker")
        assert cookie is not None
        sizes.append(len(cookie.value))
    assert max(sizes) < sizes[0] + 40


def test_a_second_factor_is_asked_all_the_same(app: Flask, client: FlaskClient) -> None:
    place = desk(app)
    with place.writing("test:people") as writing:
        account = accounts.of(writing.session, ELLA)
        second_factor.begin(writing, account)
        totp = TOTP(second_factor.secret_of(place.secret, account))
        second_factor.confirm(writing, place.secret, account, totp.at(NOW.timestamp() - 30))
    assert come(client).location == "/login"
    assert client.get("/login/provider").location == "/login"
    assert "Your code" in client.get("/login").text
    send(client, client.get("/login"), "/login/code", code=totp.at(NOW))
    assert is_in(client)


def test_who_has_no_password_here_is_told_how_to_get_one(
    app: Flask, client: FlaskClient, provider: RunningProvider
) -> None:
    with desk(app).writing("test:people") as writing:
        accounts.add(writing, "finn@example.org")
    provider.people["s-finn"] = {"email": "finn@example.org", "email_verified": True}
    come(client, "s-finn")
    page = client.get("/account")
    assert "You have none here: you sign in through the identity provider." in words(page)
    assert 'name="current"' not in page.text


def test_signing_out_ends_our_own_and_says_that_the_providers_goes_on(client: FlaskClient) -> None:
    come(client)
    send(client, client.get("/account"), "/logout")
    assert not is_in(client)
    assert "With Clinic <login> you may still be signed in." in client.get("/login").text.replace("&lt;", "<").replace(
        "&gt;", ">"
    )


def test_the_page_of_the_way_back_may_be_opened_anew(client: FlaskClient) -> None:
    address = choose(there(client), "s-ella")
    back(client, address)
    assert back(client, address).location == "/login"
    assert client.get("/login/provider").location == "/login"
    assert is_in(client)


@pytest.mark.parametrize("verified", [True, "true"])
def test_the_address_may_be_told_apart_from_the_token(
    client: FlaskClient, provider: RunningProvider, verified: object
) -> None:
    provider.faults.thin = True
    provider.people["s-ella"]["email_verified"] = verified
    come(client)
    assert is_in(client)


def test_a_provider_may_want_the_secret_in_the_form(client: FlaskClient, provider: RunningProvider) -> None:
    provider.faults.method = "client_secret_post"
    come(client)
    assert is_in(client)


def test_keys_that_the_provider_has_changed_are_looked_up_anew(client: FlaskClient, provider: RunningProvider) -> None:
    come(client)
    before, provider.key = provider.key, RSAKey.generate_key(2048, {"kid": "one"})
    try:
        other = client.application.test_client()
        come(other)
        assert is_in(other)
    finally:
        provider.key = before


def test_without_a_provider_there_is_no_button_and_no_way(register: Register) -> None:
    app = create_app(register.settings, lambda: NOW)
    client = app.test_client()
    assert "Sign in with" not in client.get("/login").text
    assert client.get("/login/provider").status_code == 404
    assert client.get("/login/provider/back?code=x&state=y").status_code == 404
    desk(app).database.close()


# Whose account it is ---------------------------------------------------------------------------------------


def test_the_subject_counts_from_the_first_time_on_and_the_address_no_more(
    client: FlaskClient, app: Flask, provider: RunningProvider
) -> None:
    come(client)
    provider.people["s-ella"] = {"email": "ella.married@example.org", "email_verified": False}
    other = app.test_client()
    come(other)
    assert is_in(other)


def test_an_address_that_was_given_to_somebody_new_opens_nothing(
    client: FlaskClient, app: Flask, provider: RunningProvider, register: Register
) -> None:
    come(client)
    provider.people["s-new"] = dict(ELLAS)
    other = app.test_client()
    answer = come(other, "s-new")
    assert answer.status_code == 403
    assert "belongs to somebody whom Clinic &lt;login&gt; knew as another person" in answer.text
    assert not is_in(other)
    assert "tied to another subject" in noted(register)[-1][2]


def test_an_administrator_can_loosen_the_tie(client: FlaskClient, app: Flask, provider: RunningProvider) -> None:
    person(desk(app), "ada@example.org", {}, administrator=True)
    admin = sign_in(app.test_client(), "ada@example.org")
    with desk(app).database.reading() as session:
        page = f"/admin/accounts/{accounts.of(session, ELLA).id}"
    assert "Loosen the tie" not in admin.get(page).text
    come(client)
    send(admin, admin.get(page), "/untie")
    assert "Loosen the tie" not in admin.get(page).text
    provider.people["s-new"] = dict(ELLAS)
    other = app.test_client()
    come(other, "s-new")
    assert is_in(other)
    assert come(app.test_client()).status_code == 403


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"email": "nobody@example.org", "email_verified": True}, "Nobody here has the e-mail address"),
    "not verified": ({"email": ELLA, "email_verified": False}, "does not say that your e-mail address was verified"),
    "not said": ({"email": ELLA}, "does not say that your e-mail address was verified"),
    "said oddly": ({"email": ELLA, "email_verified": "yes"}, "does not say that your e-mail address was verified"),
    "no address": ({"email": "", "email_verified": True}, "does not say that your e-mail address was verified"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_known_is_told_so_and_nothing_is_made(
    client: FlaskClient, provider: RunningProvider, register: Register, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.people["s-ella"], said = REFUSED[case]
    before = _rows(register)
    answer = come(client)
    assert answer.status_code == 403
    assert said in words(answer)
    assert 'role="alert"' in answer.text
    assert not is_in(client)
    assert _rows(register) == before
    kind, whose, data = noted(register)[-1]
    assert (kind, whose) == ("sign-in:failed", "no account")
    assert "example.org" not in data + "".join(capsys.readouterr())


def _rows(register: Register) -> list[int]:
    with register.database.reading() as session:
        return [len(session.exec(select(table)).all()) for table in (Account, Membership, SignIn, Subject)]


def test_a_disabled_account_stays_shut_before_the_first_time_and_after_it(
    client: FlaskClient, app: Flask, register: Register
) -> None:
    def switch(change: Callable[..., None]) -> None:
        with desk(app).writing("test:people") as writing:
            change(writing, accounts.of(writing.session, ELLA))

    switch(accounts.disable)
    for _ in range(2):
        answer = come(client)
        assert answer.status_code == 403
        assert "your account here may not sign in any more" in words(answer)
        assert not is_in(client)
        switch(accounts.enable)
        come(client)
        assert is_in(client)
        switch(accounts.disable)
        assert not is_in(client)
    assert ("sign-in:failed", ELLA) in [entry[:2] for entry in noted(register)]


def test_two_first_times_at_once_make_one_tie(app: Flask) -> None:
    place, who = desk(app), Vouched("https://i.example", "s", ELLA, verified=True)
    for _ in range(2):
        with place.writing("test:people") as writing:
            account, unfit = subjects.account_of(writing, place.secret, who)
            assert account is not None
            assert unfit is None
    with place.writing("test:people") as writing:
        another = replace(who, issuer="https://j.example", subject="t")
        assert subjects.account_of(writing, place.secret, another)[1] is None
        assert subjects.account_of(writing, place.secret, replace(who, subject="t"))[1] is Unfit.ANOTHER
        assert subjects.untie(writing, accounts.of(writing.session, ELLA))
        assert not subjects.untie(writing, accounts.of(writing.session, ELLA))


# What must not be believed ---------------------------------------------------------------------------------


FORGED: dict[str, Faults] = {
    "another nonce": Faults(claims={"nonce": "of-somebody-else"}),
    "no nonce": Faults(without={"nonce"}),
    "expired": Faults(claims={"iat": 1_700_000_000, "exp": 1_700_000_300}),
    "without an end": Faults(without={"exp"}),
    "another key": Faults(key=RSAKey.generate_key(2048, {"kid": "one"})),
    "a key made of the public secret": Faults(key=OctKey.import_key(CLIENT_SECRET), algorithm="HS256"),
    "not signed": Faults(algorithm="none"),
    "for another client": Faults(claims={"aud": ["another-app"]}),
    "of another issuer": Faults(claims={"iss": "https://evil.example"}),
    "without a subject": Faults(without={"sub"}),
    "a subject that is a number": Faults(claims={"sub": 7}),
    "an address that is a list": Faults(claims={"email": [ELLA]}),
    "another person's address": Faults(thin=True, of_somebody_else=True),
}


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_token_that_cannot_be_trusted_lets_nobody_in(
    client: FlaskClient,
    provider: RunningProvider,
    register: Register,
    forged: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    provider.faults = FORGED[forged]
    answer = come(client)
    assert answer.status_code == 401
    assert "could not be trusted, so nobody was let in" in words(answer)
    assert not is_in(client)
    assert noted(register)[-1][:2] == ("sign-in:failed", "no account")
    assert ELLA not in noted(register)[-1][2] + "".join(capsys.readouterr())


def test_a_state_from_another_browser_is_refused(app: Flask, register: Register) -> None:
    mine, victim = app.test_client(), app.test_client()
    there(victim)
    before = noted(register)
    answer = back(victim, choose(there(mine), "s-ella"))
    assert answer.status_code == 400
    assert "was not begun in this browser" in words(answer)
    assert not is_in(victim)
    assert noted(register) == before


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=", "?state=y", "?code=x&state=y&state=z"])
def test_a_made_up_way_back_is_refused(client: FlaskClient, query: str) -> None:
    there(client)
    assert client.get(f"/login/provider/back{query}").status_code == 400
    assert not is_in(client)


def test_a_code_counts_once(client: FlaskClient, app: Flask) -> None:
    address = choose(there(client), "s-ella")
    with client.session_transaction() as session:
        kept = dict(session)
    back(client, address)
    thief = app.test_client()
    with thief.session_transaction() as session:
        session.update(kept)
    answer = back(thief, address)
    assert answer.status_code == 401
    assert "did not sign you in" in words(answer)


def test_the_verifier_is_what_a_stolen_code_lacks(client: FlaskClient) -> None:
    address = choose(there(client), "s-ella")
    with client.session_transaction() as session:
        for key in [key for key in session if key.startswith("_state_")]:
            session[key]["data"]["code_verifier"] = "x" * 48
            session.modified = True
    assert back(client, address).status_code == 401
    assert not is_in(client)


def test_whoever_says_no_at_the_provider_comes_back_to_words(client: FlaskClient) -> None:
    answer = come(client, "")
    assert answer.status_code == 401
    assert "did not sign you in" in words(answer)
    assert "Password" in answer.text


def test_a_provider_under_another_name_is_not_believed(
    client: FlaskClient, provider: RunningProvider, register: Register
) -> None:
    before = noted(register)
    provider.faults.metadata = {"issuer": "https://evil.example"}
    for address in ("/login/provider", "/login/provider/back?code=x&state=y"):
        assert "could not be trusted" in words(client.get(address))
    assert noted(register) == before  # nobody fills the audit by asking


@pytest.mark.parametrize("metadata", [{"authorization_endpoint": None}, {"authorization_endpoint": 7}])
def test_a_provider_that_makes_no_sense_is_said_in_words(
    client: FlaskClient, provider: RunningProvider, metadata: dict[str, Any]
) -> None:
    provider.faults.metadata = metadata
    assert client.get("/login/provider").status_code == 401


@pytest.mark.parametrize("status, text", [(500, ""), (503, "<html>"), (200, "<html>"), (200, "[]"), (400, "{}")])
def test_a_token_that_does_not_come_lets_nobody_in(
    client: FlaskClient, provider: RunningProvider, status: int, text: str
) -> None:
    provider.faults.token_status, provider.faults.token_text = status, text
    answer = come(client)
    assert answer.status_code in (401, 503)
    assert "Not signed in." in answer.text
    assert not is_in(client)


def test_a_provider_that_is_down_is_said_and_the_password_goes_on(register: Register) -> None:
    gone = Provider("http://127.0.0.1:9", "x", "y", "Clinic")
    app = create_app(replace(register.settings, provider=gone), lambda: NOW)
    client = app.test_client()
    for address in ("/login/provider", "/login/provider/back?code=x&state=y"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert "Clinic cannot be reached at the moment. Sign in with your password" in words(answer)
    sign_in(client, ANA)
    assert is_in(client)
    desk(app).database.close()


# Settings --------------------------------------------------------------------------------------------------

GIVEN = {
    "TRACKER_OIDC_ISSUER": "https://login.example.org/realms/clinic",
    "TRACKER_OIDC_CLIENT_ID": "tracker",
    "TRACKER_OIDC_CLIENT_SECRET": "canary",
}


@pytest.mark.parametrize(
    "change, name",
    [
        ({"TRACKER_OIDC_ISSUER": ""}, "TRACKER_OIDC_ISSUER"),
        ({"TRACKER_OIDC_CLIENT_ID": ""}, "TRACKER_OIDC_CLIENT_ID"),
        ({"TRACKER_OIDC_CLIENT_SECRET": ""}, "TRACKER_OIDC_CLIENT_SECRET"),
        ({"TRACKER_OIDC_CLIENT_SECRET": "a b"}, "TRACKER_OIDC_CLIENT_SECRET"),
        ({"TRACKER_OIDC_ISSUER": "http://login.example.org"}, "must begin with https"),
        ({"TRACKER_OIDC_ISSUER": "http://10.0.0.1"}, "must begin with https"),
        ({"TRACKER_OIDC_ISSUER": "ftp://login.example.org"}, "must be an address"),
        ({"TRACKER_OIDC_ISSUER": "https://[::"}, "must be an address"),
        ({"TRACKER_OIDC_ISSUER": "https://login.example.org/?x=1"}, "must be an address"),
        ({"TRACKER_OIDC_NAME": "x" * 41}, "TRACKER_OIDC_NAME"),
        ({"TRACKER_OIDC_NAME": "a\nb"}, "TRACKER_OIDC_NAME"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_the_secret(change: dict[str, str], name: str) -> None:
    with pytest.raises(WrongSetting, match=name) as refusal:
        from_environment(GIVEN | change)
    assert "canary" not in str(refusal.value)


def test_the_button_is_named_by_the_host_unless_it_has_a_name() -> None:
    named = from_environment(GIVEN).provider
    assert named is not None
    assert named.name == "login.example.org"
    assert "canary" not in repr(named)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert from_environment(GIVEN | {"TRACKER_OIDC_ISSUER": f"http://{host}:8080"}).provider


def test_a_provider_without_the_extra_is_refused_at_the_start(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "authlib.integrations.flask_client", None)
    settings = replace(register.settings, provider=from_environment(GIVEN).provider)
    with pytest.raises(WrongSetting, match=r"requirements/oidc\.txt"):
        create_app(settings, lambda: NOW)
