"""Signing in, accounts, administration and audit in a browser: with the keyboard, for everybody, on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from pyotp import TOTP

from tests.browser import PageWatch
from tests.e2e.conftest import APPS, serving, signed_in
from tests.e2e.looks import assert_sound
from tests.provider import running_provider
from tests.web.people import PASSWORD, person
from tests.web.register import NOW, seeded_register
from tracker.access import Role
from tracker.settings import from_environment
from web.desk import desk

if TYPE_CHECKING:
    from playwright.sync_api import Page

ELLA, ADA, FINN = "ella@example.org", "ada@example.org", "finn@example.org"


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Nobody is signed in here unless a test does it; hence another name than ``site``."""
    for address in serving(seeded_register(tmp_path_factory.mktemp("entrance"))):
        place = desk(APPS[address])
        person(place, ELLA, {"North": {Role.NAVIGATOR, Role.AUDITOR}})
        person(place, ADA, {}, administrator=True)
        yield address


def test_whoever_knows_the_password_comes_in_with_the_keyboard_and_goes_where_they_wanted(
    page: Page, entrance: str
) -> None:
    page.goto(entrance + "/cases/N-001")
    expect(page).to_have_url(entrance + "/login")
    assert_sound(page)
    page.keyboard.type(ELLA)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(entrance + "/cases/N-001", timeout=30_000)
    page.get_by_text("ella@example.org").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_second_factor_is_set_up_and_asked(page: Page, entrance: str, page_watch: PageWatch) -> None:
    page_watch.allow("status of 401")
    signed_in(page.context, entrance, ELLA)
    page.goto(entrance + "/account")
    assert_sound(page)
    page.locator("#begin-current").fill(PASSWORD)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="as a picture")).to_be_visible(timeout=30_000)
    assert_sound(page)
    totp = TOTP((page.locator(".code.key").text_content() or "").replace(" ", "").strip())
    page.get_by_label("The six digits").fill(totp.at(NOW))
    page.get_by_role("button", name="Turn it on").click()
    code = page.locator(".codes li").first.text_content() or ""
    assert_sound(page)
    page.context.clear_cookies()
    page.goto(entrance + "/login")
    page.get_by_label("E-mail address").fill(ELLA)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your code")).to_be_visible(timeout=30_000)
    page.get_by_label("The six digits").fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("This code is not right", timeout=30_000)
    assert_sound(page)
    page.get_by_label("The six digits").fill(code)
    page.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(entrance + "/", timeout=30_000)


def test_signing_in_through_a_provider_keeps_to_the_policy(
    page: Page, entrance: str, page_watch: PageWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form whose answer leads to another origin would be stopped by form-action; the link is not."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    page_watch.allow("status of 401|favicon")
    app = APPS[entrance]
    place = desk(app)
    person(place, FINN, {"North": {Role.NAVIGATOR}})
    with running_provider() as provider:
        provider.people = {"Finn": {"email": FINN, "email_verified": True}}
        provider.returns_to = f"{entrance}/login/provider/back"
        known = from_environment(provider.environment()).provider
        replace(place, settings=replace(place.settings, provider=known, base_url=entrance)).install(app)
        page.goto(entrance + "/cases/N-001")
        assert_sound(page)
        page.get_by_role("link", name="Sign in with Clinic <login>").click()
        page.get_by_role("button", name="No").click()
        expect(page.get_by_role("alert")).to_contain_text("did not sign you in", timeout=30_000)
        assert_sound(page)
        page.get_by_role("link", name="Sign in with Clinic <login>").press("Enter")
        page.get_by_role("button", name="Finn").click()
        expect(page).to_have_url(entrance + "/cases/N-001", timeout=30_000)
    place.install(app)
