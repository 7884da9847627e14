"""The worklist in a browser: several lines at once, keys, two windows, filters, views; narrow, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import serving, signed_in
from tests.e2e.looks import assert_sound
from tests.web.register import Register, opened, seeded_register
from tracker import cases

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PATIENCE = 30_000
"""Milliseconds: on a machine that is busy with other tests a page takes its time."""
WAYS = {"wide": (1280, True), "narrow": (390, True), "no-scripts": (1280, False), "narrow-no-scripts": (390, False)}


@dataclass
class Desk:
    """A served register, and a page in which Ana is signed in."""

    register: Register
    url: str
    page: Page
    scripts: bool
    other: Page

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def kinds(self, ref: str) -> list[str]:
        with self.register.database.reading() as session:
            return [event.kind for event in cases.events_of(session, cases.find(session, ref))]

    def line(self, what: str, ref: str, page: Page | None = None) -> Locator:
        lines = (page or self.page).locator("tbody.wl-line")
        return lines.filter(has_text=what).filter(has_text=ref).first

    def press(self, what: str, ref: str, act: str) -> Locator:
        """Choose an act in a line; returns its form, in the line or on a page of its own."""
        line = self.line(what, ref)
        line.get_by_role("link", name=re.compile(f"^{act} ")).click()
        form = self.page.locator("form.wl-form")
        expect(form).to_be_visible()
        return form


@pytest.fixture(scope="module")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("morning")
    seeded_register(home).database.close()
    return home


def at_desk(browser: Browser, home: Path, width: int, scripts: bool) -> Iterator[Desk]:
    register = opened(home)
    served = serving(register)
    url = next(served)
    watch = PageWatch()
    options = {"viewport": {"width": width, "height": 844}, "java_script_enabled": scripts}
    with watched_context(browser, watch, **options) as context, watched_context(browser, watch, **options) as other:
        for each in (context, other):
            each.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        signed_in(context, url)
        signed_in(other, url, "ben@example.org")
        yield Desk(register, url, context.new_page(), scripts, other.new_page())
    next(served, None)
    assert not watch.problems


@pytest.fixture(params=WAYS)
def at(request: pytest.FixtureRequest, browser: Browser, seeded_home: Path, tmp_path: Path) -> Iterator[Desk]:
    yield from at_desk(browser, copytree(seeded_home, tmp_path / "home"), *WAYS[request.param])


@pytest.fixture
def wide(browser: Browser, seeded_home: Path, tmp_path: Path) -> Iterator[Desk]:
    yield from at_desk(browser, copytree(seeded_home, tmp_path / "home"), *WAYS["wide"])


def test_several_lines_at_once(at: Desk) -> None:
    at.go("/worklist?who=anyone&state=workup.staging")
    for what in ("Chromogranin A", "Immunohistochemistry"):
        at.line(what, "N-005").get_by_role("checkbox").check()
    at.page.get_by_role("button", name="Waive").click()
    expect(at.page.get_by_role("heading", level=1)).to_have_text("Waive this one: 2 follow-ups")
    at.page.get_by_label("Reason").fill("Done elsewhere, report on file")
    if at.scripts:
        assert_sound(at.page)
    at.page.get_by_role("button", name="Waive this one").click()
    expect(at.page.get_by_role("heading", name="Waived")).to_be_visible()
    assert at.kinds("N-005")[-2:] == ["activity:waived", "activity:waived"]
    at.page.get_by_role("button", name="Undo").click()
    expect(at.line("Chromogranin A", "N-005")).to_be_visible()


def test_the_line_stays_in_view_above_its_form(wide: Desk) -> None:
    wide.go("/worklist?who=anyone")
    line = wide.page.locator("tbody.wl-line").nth(5)
    line.get_by_role("link", name=re.compile("^Call ")).click()
    expect(wide.page.locator("form.wl-form")).to_be_visible()
    wide.page.wait_for_load_state("networkidle")
    expect(line.locator("a[data-first]")).to_be_in_viewport(ratio=1)


def test_the_keyboard_alone_does_a_line_and_goes_to_the_next(wide: Desk) -> None:
    wide.go("/worklist?who=mine&status=now")
    keys = wide.page.keyboard
    keys.press("j")
    expect(wide.page.locator("tbody.wl-line").first.locator("[data-first]")).to_be_focused()
    keys.press("x")
    expect(wide.page.locator("tbody.wl-line").first.get_by_role("checkbox")).to_be_checked()
    keys.press("d")
    expect(wide.page.get_by_label("Result", exact=True)).to_be_focused()
    assert_sound(wide.page)
    keys.type("Stable")
    keys.press("Enter")
    told = wide.page.locator(".wl-told .said")
    expect(told).to_be_focused()
    expect(wide.page.locator("#told")).to_have_text(re.compile("Recorded as done"))
    assert_sound(wide.page)
    keys.press("j")
    expect(wide.page.locator("tbody.wl-line").nth(1).locator("[data-first]")).to_be_focused()
    keys.press("n")
    expect(wide.page.get_by_role("textbox", name="Note")).to_be_focused()
    keys.press("Escape")
    expect(wide.page.locator("form.wl-form")).to_have_count(0)
    expect(wide.page.locator("tbody.wl-line").nth(1).locator("[data-first]")).to_be_focused()


def test_what_one_window_completes_the_other_says_kindly(wide: Desk) -> None:
    for page in (wide.page, wide.other):
        page.goto(wide.url + "/worklist?who=anyone&clinic=North&activity=visit")
    form = wide.press("Visit", "N-002", "Done")
    form.get_by_role("button", name="Record as done").click()
    expect(wide.page.locator(".wl-told")).to_contain_text("Recorded as done")
    late = wide.line("Visit", "N-002", wide.other)
    late.get_by_role("link", name=re.compile("^Done ")).click()
    expect(wide.other.locator(".wl-told")).to_contain_text("recorded by ana@example.org; nothing is left to do here")


def test_filters_change_the_list_in_place_and_the_address_with_it(wide: Desk) -> None:
    wide.go("/worklist?who=anyone")
    wide.page.get_by_role("combobox", name="Clinic", exact=True).select_option("South")
    expect(wide.page.get_by_role("link", name=re.compile("^Clinic South"))).to_be_visible()
    expect(wide.page).to_have_url(re.compile("clinic=South"))
    expect(wide.page.locator("#told")).to_have_text(re.compile("follow-ups?$"))
    expect(wide.line("Imaging", "N-002")).to_have_count(0)
    wide.page.go_back()
    expect(wide.line("Imaging", "N-002")).to_be_visible()


def test_a_search_a_view_and_its_place_at_the_start(at: Desk) -> None:
    at.go("/worklist")
    find = at.page.get_by_role("search", name="Search the worklist")
    find.get_by_role("searchbox").fill("rosa")
    find.get_by_role("button", name="Find").click()
    assert "rosa" not in at.page.url.lower()
    expect(at.line("Imaging", "S-001")).to_be_visible()
    at.go("/worklist?who=anyone&clinic=South")
    at.page.get_by_text("Keep these filters as a view").click()
    at.page.get_by_label("Name of the view").fill("South")
    at.page.get_by_label("Open the worklist with it").check()
    at.page.get_by_role("button", name="Save").click()
    at.go("/worklist")
    expect(at.page.get_by_role("link", name=re.compile("^Clinic South"))).to_be_visible()
    at.go("/worklist/views")
    if at.scripts:
        assert_sound(at.page)
    at.page.get_by_role("button", name="Delete South").click()
    expect(at.page.get_by_text("You have no views yet.")).to_be_visible()
