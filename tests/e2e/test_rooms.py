"""The rooms in a browser: keys, pictures, a meeting, a hand-over; narrow too, and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import APPS, serving, signed_in
from tests.e2e.looks import assert_sound
from tests.web.people import token_for
from tests.web.register import seeded_register

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    yield from serving(seeded_register(tmp_path))


@pytest.fixture(params=[(1280, True), (390, True), (1280, False)], ids=["wide", "narrow", "no-scripts"])
def desk(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    width, scripts = request.param
    watch = PageWatch()
    options = {"viewport": {"width": width, "height": 844}, "java_script_enabled": scripts}
    with watched_context(browser, watch, **options) as context:
        signed_in(context, site)
        page = context.new_page()
        page.goto(site + "/")
        yield page
    assert not watch.problems


def test_a_meeting_is_prepared_and_its_decision_recorded(desk: Page, site: str) -> None:
    desk.get_by_role("link", name="Team meeting").click()
    desk.get_by_label("Reference of the case").fill("N-001")
    desk.get_by_label("What the team is asked").fill("Go on with lanreotide?")
    desk.get_by_role("button", name="Put on the list").click()
    expect(desk.get_by_role("status")).to_contain_text("N-001 is on the list")
    desk.get_by_label("What the team decided about N-001").fill("Go on after the gallstones.")
    desk.get_by_role("button", name="Record the decision").click()
    expect(desk.get_by_role("button", name="Undo")).to_be_visible()
    expect(desk.get_by_role("article")).to_contain_text("Go on after the gallstones.")
    desk.get_by_label("What the team decided about N-001").fill("Look for progression.")
    desk.get_by_label("What follows for N-001").select_option("suspect_progression")
    desk.get_by_role("button", name="Record the decision").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Suspect progression or recurrence")
    desk.get_by_role("button", name="See what would change").click()
    for reason in desk.get_by_label("Reason to go on").all():
        reason.fill("Agreed with the team.")
    desk.get_by_role("button", name="Record it").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("Team meeting")
    expect(desk.get_by_role("article")).to_contain_text("Progression or recurrence suspected")


def test_a_caseload_is_handed_over(desk: Page, site: str) -> None:
    token_for(APPS[site], "ben@example.org")
    desk.goto(site + "/hand-over")
    desk.get_by_label("Taken over by").select_option("ben@example.org")
    desk.get_by_label("Wei Zhang").uncheck()
    desk.get_by_role("button", name="Look at what would go").click()
    expect(desk.get_by_text("Nothing has been changed yet.")).to_be_visible()
    desk.get_by_role("button", name="Hand over").click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("handed over")
    desk.get_by_role("link", name="What is left with ana@example.org").click()
    expect(desk.get_by_label("Wei Zhang")).to_be_visible()


def test_a_caseload_is_noted_for_a_later_day_and_called_off(desk: Page, site: str) -> None:
    token_for(APPS[site], "ben@example.org")
    desk.goto(site + "/hand-over")
    desk.get_by_label("Taken over by").select_option("ben@example.org")
    desk.get_by_label("From", exact=True).fill("2027-04-01")
    desk.get_by_role("button", name="Look at what would go").click()
    expect(desk.get_by_text("This is noted now")).to_be_visible()
    desk.get_by_role("button", name="Note it").click()
    expect(desk.get_by_role("heading", name="Noted for a later day")).to_be_visible()
    assert_sound(desk)
    desk.get_by_role("button", name="Call it off").click()
    expect(desk.get_by_role("status")).to_contain_text("Called off")


def test_an_absence_is_noted_and_ended(desk: Page, site: str) -> None:
    desk.goto(site + "/hand-over")
    noted = desk.get_by_role("listitem").filter(has_text="Away from 15 Mar 2027 to 19 Mar 2028")
    desk.get_by_label("First day away").fill("2027-03-15")
    desk.get_by_label("Last day away").fill("2028-03-19")
    desk.get_by_role("button", name="Note the absence").click()
    expect(noted).to_be_visible()
    assert_sound(desk)
    desk.get_by_role("button", name="End this absence").click()
    expect(desk.get_by_role("status")).to_contain_text("is ended")
    expect(noted).to_have_count(0)


def test_a_name_is_searched_from_every_page(desk: Page, site: str) -> None:
    desk.get_by_label("Name, number or reference").fill("martin")
    desk.get_by_role("search").get_by_role("button", name="Search").click()
    expect(desk.get_by_role("link", name="Rosa Martín")).to_be_visible()
    assert "martin" not in desk.url.lower()


def test_a_bar_leads_to_the_list_behind_it(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.get_by_role("link", name="91 to 365 days").first.click()
    expect(page.get_by_role("heading", name="Follow-ups overdue for 91 to 365 days")).to_be_visible()
    for how_late in page.locator(".how-late strong").all_inner_texts():
        assert 91 <= int(how_late.partition(" ")[0]) <= 365


def test_keys_lead_to_the_search_the_list_of_keys_and_the_rooms(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.keyboard.press("/")
    expect(page.locator("#seek")).to_be_focused()
    page.keyboard.type("?g")  # no shortcut while somebody types
    expect(page.locator("#seek")).to_have_value("?g")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_sound(page)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", level=1)).to_have_text("March 2027")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("April 2027")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_have_text("March 2027")


def test_single_keys_can_be_turned_off(page: Page, site: str) -> None:
    page.goto(site + "/")
    page.keyboard.press("?")
    page.get_by_label("Single keys are on in this browser").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).not_to_be_visible()


def test_paper_has_a_page_for_each_case_of_a_meeting_and_no_forms(page: Page, site: str) -> None:
    page.goto(site + "/team-meeting")
    page.get_by_label("Reference of the case").fill("N-001")
    page.get_by_role("button", name="Put on the list").click()
    page.emulate_media(media="print")
    expect(page.get_by_role("article")).to_contain_text("Grace Okafor")
    expect(page.get_by_role("button", name="Record the decision")).not_to_be_visible()
    assert page.locator("article").evaluate("element => getComputedStyle(element).borderTopWidth") == "1px"
