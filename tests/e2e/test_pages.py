"""The pages in a browser: readable by everybody, at every width, with the keyboard alone, under the strict policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from sqlmodel import select

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import APPS, serving, signed_in
from tests.e2e.looks import assert_sound_everywhere
from tests.web.people import ANA, account, person
from tests.web.register import NOW, empty_register, register_with_mail
from tracker import cases, links, merging
from tracker.access import Role
from tracker.models import FollowUpRow
from web.desk import desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ELLA, ADA, NOBODY = "ella@example.org", "ada@example.org", ""

PAGES = {
    "dashboard": "/",
    "dashboard of one clinic": "/?clinic=South",
    "dashboard of nobody": "/?navigator=0",
    "worklist": "/worklist?who=anyone",
    "worklist, empty": "/worklist?who=mine&grade=NEC",
    "views of the worklist": "/worklist/views",
    "cases": "/cases",
    "cases in want": "/cases?needs=next-step",
    "cases in a state": "/cases?state=therapy.on_hold",
    "case on treatment": "/cases/N-001",
    "case after surgery": "/cases/N-002",
    "case in work-up": "/cases/N-005",
    "case without a next step": "/cases/N-007",
    "case with hostile text": "/cases/X-001",
    "closed case": "/cases/N-009",
    "case merged into another": "/cases/N-010",
    "case in the past": "/cases/N-001?on=2026-02-15",
    "act on a follow-up": "/cases/N-002/acts/done?item={item}",
    "move": "/cases/N-001/move/end_line",
    "move that something is missing for": "/cases/N-005/move/refer_to_mdt",
    "loss of contact": "/cases/N-001/move/lose_contact",
    "facts": "/cases/N-001/facts",
    "something done": "/cases/N-001/record/done",
    "contact": "/cases/N-001/record/contact",
    "correction": "/cases/N-001/correct/{event}",
    "carry over": "/cases/N-002/carry/N-010/{merged}",
    "merge": "/cases/N-001/merge",
    "new patient": "/cases/new",
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
    "pathway of a version": "/pathway/{digest}",
    "account": "/account",
}
"""What Ana sees, by the address that she asks for; what is in braces is looked up."""
OF_OTHERS = {
    ELLA: {"audit": "/audit", "audit of entries": "/audit?what=entries"},
    ADA: {
        "administration": "/admin",
        "administration of an account": "/admin/accounts/1",
        "administration of a clinic": "/admin/clinics/1",
    },
    NOBODY: {"sign-in": "/login", "welcome": "/welcome/{token}", "welcome, over": "/welcome/over"},
}
TOO_LONG = ("pathway", "pathway of a version")
"""Each rule folds away the same kind of reason as on a case; of hundreds of them axe takes half a minute."""
ERRORS = {"missing": "/cases/none", "misunderstood": "/cases/N-001?on=soon", "not for this": "/logout"}
NO_PAGES = {
    "bootstrap.static",
    "dashboard.go",
    "health.healthz",
    "health.readyz",
    "htmx.static",
    "metrics.metrics",
    "provider.come_back",
    "provider.begin",
    "static",
    "worklist.as_file",
}
"""What answers with a file, a number, or the way to a page."""

BY_NAME = {name: address for some in (PAGES, *OF_OTHERS.values(), ERRORS) for name, address in some.items()}


def who_sees(name: str) -> str:
    return next((who for who, some in OF_OTHERS.items() if name in some), ANA)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With mail in each state, so that the pages have alarms too, and with a patient who was on record twice."""
    register = register_with_mail(tmp_path_factory.mktemp("site"))
    register.open("N-010", "2026-01-05", "Wei Zhang", state="workup.staging", navigator=None)
    register.tell("N-010", "2026-01-07", "note:added", text="Comes with an interpreter.")
    with register.database.writing() as session:
        merging.merge(register.write(session), "N-010", "N-002", on=NOW.date(), reason="the same number")
    yield from serving(register)


@pytest.fixture(scope="module")
def names(site: str) -> dict[str, object]:
    """What stands in braces in an address."""
    place = desk(APPS[site])
    person(place, ELLA, {"North": {Role.NAVIGATOR, Role.AUDITOR}})
    person(place, ADA, {}, administrator=True)
    with place.writing("test:pages") as writing:
        session = writing.session
        case, merged = (cases.find(session, ref) for ref in ("N-002", "N-010"))
        item = select(FollowUpRow.id).where(FollowUpRow.case_id == case.id, FollowUpRow.status == "open")
        return {
            "item": session.exec(item).first(),
            "event": cases.events_of(session, cases.find(session, "N-001"))[1].id,
            "merged": cases.events_of(session, merged)[1].id,
            "digest": case.pathway_digest,
            "token": links.for_account(writing, place.secret, account(writing, ANA)),
        }


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Without cases, and with a scheduler that never ran: the banner shows."""
    yield from serving(empty_register(tmp_path_factory.mktemp("empty")))


@pytest.mark.parametrize("name", BY_NAME)
def test_pages_are_accessible_and_fit_their_window(
    browser: Browser, site: str, names: dict[str, object], name: str
) -> None:
    watch, who = PageWatch(), who_sees(name)
    watch.allow("status of 40[045]")
    with watched_context(browser, watch) as context:
        page = (signed_in(context, site, who) if who else context).new_page()
        page.goto(site + BY_NAME[name].format_map(names))
        assert_sound_everywhere(page, unfolded=name not in TOO_LONG)
    assert not watch.problems


def test_every_page_is_among_those_looked_at(site: str) -> None:
    rules = APPS[site].url_map
    where = rules.bind("localhost")
    seen = {where.match(address.partition("?")[0])[0] for name, address in BY_NAME.items() if name not in ERRORS}
    assert seen | NO_PAGES == {rule.endpoint for rule in rules.iter_rules() if "GET" in (rule.methods or ())}


@pytest.mark.parametrize("address", ["/", "/cases", "/outbox"])
def test_an_empty_register_and_its_banner_are_accessible(browser: Browser, empty_site: str, address: str) -> None:
    watch = PageWatch()
    with watched_context(browser, watch) as context:
        page = signed_in(context, empty_site).new_page()
        page.goto(empty_site + address)
        expect(page.get_by_text("Reminders are not going out.")).to_be_visible()
        assert_sound_everywhere(page)
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
    expect(page.locator(".track [aria-current=step]")).to_contain_text("Localised disease")


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
