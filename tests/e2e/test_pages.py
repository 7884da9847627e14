"""The pages in a browser: readable by everybody, at every width, with the keyboard alone, under the strict policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import serving, signed_in
from tests.web.register import empty_register, register_with_mail

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = [1280, 390]
PAGES = {
    "dashboard": "/",
    "dashboard of one clinic": "/?clinic=South",
    "dashboard of nobody": "/?navigator=0",
    "worklist": "/worklist?who=anyone",
    "worklist, empty": "/worklist?who=mine&grade=NEC",
    "views of the worklist": "/worklist/views",
    "cases": "/cases",
    "cases in want": "/cases?needs=next-step",
    "case on treatment": "/cases/N-001",
    "case after surgery": "/cases/N-002",
    "case in work-up": "/cases/N-005",
    "case without a next step": "/cases/N-007",
    "case with hostile text": "/cases/X-001",
    "closed case": "/cases/N-009",
    "case in the past": "/cases/N-001?on=2026-02-15",
    "calendar, month": "/calendar?day=2027-03-12",
    "calendar, week": "/calendar?view=week&day=2027-03-25",
    "calendar, day": "/calendar?view=day&day=2027-03-25",
    "team meeting": "/team-meeting",
    "hand-over": "/hand-over",
    "search": "/search",
    "shortcuts": "/help",
    "outbox": "/outbox",
    "outbox, continued": "/outbox?after=7",
    "pathway": "/pathway",
}
ERRORS = {"missing": "/cases/none", "misunderstood": "/cases/N-001?on=soon"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With mail in each state, so that the pages have alarms too."""
    yield from serving(register_with_mail(tmp_path_factory.mktemp("site")))


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Without cases, and with a scheduler that never ran: the banner shows."""
    yield from serving(empty_register(tmp_path_factory.mktemp("empty")))


@pytest.fixture(params=WIDTHS)
def sized_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    watch = PageWatch()
    watch.allow("status of 40[04]")
    with watched_context(browser, watch, viewport={"width": request.param, "height": 844}) as context:
        for name in {"site", "empty_site"} & set(request.fixturenames):
            signed_in(context, request.getfixturevalue(name))
        yield context.new_page()
    assert not watch.problems


def open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")


def assert_sound(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider == 0, f"the page scrolls sideways by {wider} px"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible_and_fit_their_window(sized_page: Page, site: str, name: str) -> None:
    sized_page.goto(site + PAGES[name])
    assert_sound(sized_page)
    if name != "pathway":
        open_everything(sized_page)
        assert_sound(sized_page)


@pytest.mark.parametrize("name", ERRORS)
def test_error_pages_are_accessible_and_fit_their_window(sized_page: Page, site: str, name: str) -> None:
    sized_page.goto(site + ERRORS[name])
    assert_sound(sized_page)


@pytest.mark.parametrize("address", ["/", "/cases", "/outbox"])
def test_an_empty_register_and_its_banner_are_accessible(sized_page: Page, empty_site: str, address: str) -> None:
    sized_page.goto(empty_site + address)
    expect(sized_page.get_by_text("Reminders are not going out.")).to_be_visible()
    assert_sound(sized_page)


def test_a_window_of_320_px_or_400_percent_needs_no_sideways_scrolling(browser: Browser, site: str) -> None:
    watch = PageWatch()
    with watched_context(browser, watch, viewport={"width": 320, "height": 640}) as context:
        page = signed_in(context, site).new_page()
        for address in PAGES.values():
            page.goto(site + address)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, address
    assert not watch.problems


def test_the_keyboard_reaches_content_links_and_reasons(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    first = page.locator("ol.due > li").first
    _tab_until(page, "details.why > summary")
    page.keyboard.press("Enter")
    expect(first.locator("details.why")).to_have_attribute("open", "")
    expect(first.get_by_text("20 Oct 2025 + 1 × 6 months = 20 Apr 2026")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(site + "/pathway#source-S66")


def _tab_until(page: Page, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(":focus").evaluate("(element, selector) => element.matches(selector)", selector):
            return
    pytest.fail(f"no Tab leads to {selector}")


def test_a_navigator_limits_the_list_and_opens_a_case(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.get_by_label("Clinic", exact=True).select_option("South")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="Wei Zhang")).to_have_count(0)
    page.get_by_role("link", name="Rosa Martín").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rosa Martín")
    expect(page.locator("[aria-current=step]")).to_contain_text("Localised disease")


def test_a_case_is_looked_back_upon(page: Page, site: str) -> None:
    page.goto(site + "/cases/N-001")
    page.get_by_label("How the case stood on").fill("2026-02-15")
    page.get_by_role("button", name="Look back").click()
    expect(page.get_by_text("You are looking back.")).to_be_visible()
    page.get_by_role("link", name="Back to the present").click()
    expect(page.get_by_text("You are looking back.")).to_have_count(0)


def test_paper_shows_the_reasons_that_the_screen_folds_away(page: Page, site: str) -> None:
    page.goto(site + "/cases/N-001")
    reason = page.get_by_text("Treatment began 2 Mar 2026 + 1 × 6 months").first
    expect(reason).not_to_be_visible()
    page.emulate_media(media="print")
    expect(reason).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).not_to_be_visible()
