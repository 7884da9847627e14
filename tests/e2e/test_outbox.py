"""The outbox in a browser: with the keyboard alone, without scripts, on a telephone, and never from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import serving, signed_in
from tests.e2e.looks import assert_sound, open_everything
from tests.web.register import Register, opened, register_with_mail
from tracker.models import OutboxMessage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REFUSED, DOUBTED = 1, 2


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("posted")
    register_with_mail(home).database.close()
    return home


@pytest.fixture
def register(posted: Path, tmp_path: Path) -> Iterator[Register]:
    made = opened(copytree(posted, tmp_path / "site"))
    yield made
    made.database.close()


@pytest.fixture
def site(register: Register) -> Iterator[str]:
    yield from serving(register)


def state(register: Register, number: int) -> str:
    with register.database.reading() as session:
        return session.get_one(OutboxMessage, number).state


def tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and name in (focused.first.inner_text() or ""):
            return
    pytest.fail(f"no Tab leads to {name}")


def test_what_is_in_question_is_decided_with_the_keyboard_alone(page: Page, site: str, register: Register) -> None:
    page.goto(site + "/outbox")
    tab_to(page, "It arrived")
    page.keyboard.press("Enter")
    said = page.get_by_role("status")
    expect(said).to_contain_text("Done. The message counts as sent")
    expect(page).to_have_url(site + "/outbox#said")
    assert state(register, DOUBTED) == "sent"
    expect(page.get_by_role("link", name="Outbox 1 in question")).to_be_visible()
    tab_to(page, "Tell in the next digest")
    page.keyboard.press("Enter")
    expect(said).to_contain_text("The message is given up.")
    assert state(register, REFUSED) == "cancelled"
    expect(page.get_by_text("Nothing. Every message has either gone or waits for its turn.")).to_be_visible()


def test_each_button_says_which_message_it_is_about(page: Page, site: str) -> None:
    page.goto(site + "/outbox")
    names = [button.inner_text() for button in page.get_by_role("button").all()]
    assert len(names) == len(set(names)) > 5
    button = page.get_by_role("button", name="Send again (message 1 to ana@example.org)")
    expect(button).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_said_after_a_decision_is_accessible_and_fits(browser: Browser, site: str, width: int) -> None:
    watch = PageWatch()
    with watched_context(browser, watch, viewport={"width": width, "height": 844}) as context:
        page = signed_in(context, site).new_page()
        page.goto(site + "/outbox")
        page.get_by_role("button", name=re.compile(r"^Send again \(message 2 ")).click()
        expect(page.get_by_role("status")).to_contain_text("Done.")
        open_everything(page)
        assert_sound(page)
        expect(page.get_by_text("Sent again; before that: in doubt")).to_be_visible()
    assert not watch.problems


def test_nothing_needs_a_script(browser: Browser, site: str, register: Register) -> None:
    watch = PageWatch()
    with watched_context(browser, watch, java_script_enabled=False) as context:
        page = signed_in(context, site).new_page()
        page.goto(site + "/outbox")
        page.get_by_role("button", name=re.compile(r"^Send again \(message 1 ")).click()
        expect(page.get_by_role("status")).to_contain_text("sent again within a minute")
        assert state(register, REFUSED) == "retry_wait"
        page.go_back()
        page.reload()
        assert state(register, REFUSED) == "retry_wait"
    assert not watch.problems


def test_an_old_page_in_another_tab_changes_nothing(page: Page, site: str, register: Register) -> None:
    page.goto(site + "/outbox")
    other = page.context.new_page()
    other.goto(site + "/outbox")
    other.get_by_role("button", name=re.compile("^It arrived")).click()
    expect(other.get_by_role("status")).to_contain_text("Done.")
    page.get_by_role("button", name=re.compile(r"^Tell in the next digest \(message 2 ")).click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was changed. Message 2 is no longer")
    assert_sound(page)
    assert state(register, DOUBTED) == "sent"


def test_a_form_without_its_token_is_refused_in_words(
    page: Page, page_watch: PageWatch, site: str, register: Register
) -> None:
    page_watch.allow("status of 400")
    page.goto(site + "/outbox")
    page.locator("form[action$='/1/tell-in-next'] input[name=csrf_token]").evaluate("element => element.remove()")
    page.get_by_role("button", name=re.compile(r"^Tell in the next digest \(message 1 ")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This request was not understood")
    expect(page.get_by_text("Nothing was changed. Open the page again")).to_be_visible()
    assert_sound(page)
    assert state(register, REFUSED) == "rejected"


def test_a_form_on_another_site_decides_nothing(page: Page, site: str, register: Register) -> None:
    """localhost and 127.0.0.1 are two sites to a browser: the cookie stays at home, and whoever asks is a stranger.

    Nor does it sign anybody out: on the page to which a stranger is sent, the cookie is there again.
    """
    page.goto(site + "/outbox")
    token = page.locator("input[name=csrf_token]").first.input_value()
    seen = page.locator("form[action$='/1/tell-in-next'] input[name=seen]").input_value()
    prize = (
        f"<form method=post action='{site}/outbox/1/tell-in-next'><input name=csrf_token value='{token}'>"
        f"<input name=seen value='{seen}'><button>Win a prize</button></form>"
    )
    page.route("http://localhost:9/prize", lambda route: route.fulfill(content_type="text/html", body=prize))
    page.goto("http://localhost:9/prize")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overdue follow-ups")
    assert state(register, REFUSED) == "rejected"


def test_an_alarm_leads_to_where_it_is_mended(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.get_by_role("link", name="Go to the messages in question").first.click()
    expect(page).to_have_url(site + "/outbox#in-question")
    expect(page.get_by_role("heading", name="In question 2")).to_be_in_viewport()


def test_a_telephone_reads_the_outbox_without_sideways_scrolling(browser: Browser, site: str) -> None:
    watch = PageWatch()
    with watched_context(browser, watch, viewport={"width": 320, "height": 640}) as context:
        page = signed_in(context, site).new_page()
        page.goto(site + "/outbox")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        button = page.get_by_role("button", name=re.compile(r"^Tell in the next digest \(message 1 ")).bounding_box()
        assert button is not None
        assert button["height"] >= 24  # WCAG 2.2, target size
    assert not watch.problems
