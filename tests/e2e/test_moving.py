"""A case moved in a browser: the way of a patient, two people at once, undoing; also narrow, and without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import serving, signed_in
from tests.e2e.looks import NARROW, WIDE, assert_sound
from tests.web.register import WORKED_UP, Register, empty_register
from tracker import cases

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@dataclass
class Site:
    """A served register, and a page in which Ana is signed in."""

    register: Register
    url: str
    page: Page
    open_other: Callable[[], Page]

    def state(self, ref: str) -> str:
        with self.register.database.reading() as session:
            return cases.find(session, ref).state

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)


@pytest.fixture(params=[(WIDE, True), (NARROW, True), (WIDE, False)], ids=["wide", "narrow", "no-scripts"])
def site(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Site]:
    width, scripts = request.param
    register = empty_register(tmp_path)
    register.open("N-001", "2026-01-05", "Grace Okafor", state="advanced.planning")
    register.facts("N-001", "2026-01-05", **WORKED_UP, stage="IV", m="1", cytoreduction_discussed=True)
    register.beat()
    served = serving(register)
    url = next(served)
    watch = PageWatch()
    watch.allow("status of 4(09|22)")
    options = {"viewport": {"width": width, "height": 844}, "java_script_enabled": scripts}
    with watched_context(browser, watch, **options) as context, watched_context(browser, watch, **options) as other:
        signed_in(context, url)

        def open_other() -> Page:
            signed_in(other, url, "ben@example.org")
            return other.new_page()

        for one in (context, other):
            one.set_default_timeout(40_000)  # three pages of a busy machine may take so long
        expect.set_options(timeout=20_000)
        yield Site(register, url, context.new_page(), open_other)
        expect.set_options(timeout=5_000)
    next(served, None)
    assert not watch.problems


def move(page: Page, trigger: str, typed: dict[str, str], *, check: bool = True) -> None:
    """From the case page: choose the step, fill in, look at what would change, record."""
    page.get_by_role("link", name=trigger, exact=True).click()
    for label, value in typed.items():
        fill(page, label, value)
    page.get_by_role("button", name="See what would change").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    if check:
        assert_sound(page)


def fill(page: Page, label: str, value: str) -> None:
    field = page.locator("main").get_by_label(label, exact=False).first
    if field.evaluate("one => one.tagName") == "SELECT":
        field.select_option(label=value)
    else:
        field.fill(value)


def record(page: Page) -> None:
    page.get_by_role("button", name="Record it").click()
    expect(page.get_by_text("Done.")).to_be_visible()


def test_recurrence_is_suspected_shown_and_recorded(site: Site) -> None:
    page = site.page
    site.go("/cases/N-001")
    move(page, "Suspect progression or recurrence", {"Date": "2027-03-01"})
    expect(page.get_by_text("Becomes due")).to_be_visible()
    record(page)
    assert site.state("N-001") == "restaging.suspected"
    page.get_by_role("link", name="Confirm progression", exact=True).click()
    expect(page.get_by_text("Still needed:")).to_be_visible()
    assert_sound(page)
    fill(page, "Progression shown on", "2027-03-02")
    fill(page, "Date", "2027-03-03")
    page.get_by_role("button", name="See what would change").click()
    record(page)
    assert site.state("N-001") == "advanced.planning"


def test_a_death_ends_everything_and_can_be_undone_at_once(site: Site) -> None:
    page = site.page
    site.go("/cases/N-001")
    lanreotide = {"Treatment": "Lanreotide", "Intent": "Disease control", "Start date": "2026-06-01"}
    step(page, "Start a treatment", lanreotide)
    move(page, "Record death", {"Date of death": "2027-03-01"})
    expect(page.get_by_text("Treatment ends: Lanreotide")).to_be_visible()
    expect(page.locator("#preview")).to_contain_text("will be withheld")
    record(page)
    assert site.state("N-001") == "closed.deceased"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert site.state("N-001") == "therapy.active"


def test_a_new_patient_goes_from_referral_to_surveillance(site: Site) -> None:
    page = site.page
    site.go("/cases/new")
    assert_sound(page)
    fill(page, "Name", "Hanna Lind")
    fill(page, "Referred on", "2026-01-05")
    page.get_by_role("button", name="Open the case").click()
    expect(page.get_by_role("heading", name="Hanna Lind")).to_be_visible()
    ref = page.url.rpartition("/")[2].partition("#")[0]
    step(page, "Confirm histology", {"Date": "2026-01-20", "Differentiation": "Well differentiated", "Ki-67": "2"})
    facts = {"Stage": "I", "Primary site": "Pancreas", "Hormone syndrome": "None (non-functional)"}
    step(page, "Refer to the team meeting", {"Date": "2026-02-01"} | facts)
    step(page, "Assign to localised disease", {"Date": "2026-02-10", "Reviewed by the team on": "2026-02-09"})
    surgery = {"Start date": "2026-03-02", "Treatment": "Distal pancreatectomy", "Intent": "Curative"}
    step(page, "Start a treatment", surgery)
    step(page, "End a treatment", {"End date": "2026-03-20", "End reason": "completed"})
    step(page, "Begin surveillance after curative treatment", {"Date": "2026-04-01", "Resection margin": "R0 (clear)"})
    assert site.state(ref) == "surveillance.post_curative"
    expect(page.locator("#journey")).to_contain_text("urveillance")


def step(page: Page, trigger: str, typed: dict[str, str]) -> None:
    """One step, with a reason for each warning that it meets."""
    move(page, trigger, typed, check=False)
    for box in page.get_by_label("Reason to go on").all():
        box.fill("Agreed with the team.")
    record(page)


def test_two_people_on_one_case_lose_nothing(site: Site) -> None:
    ana, ben = site.page, site.open_other()
    site.go("/cases/N-001/facts")
    ben.goto(site.url + "/cases/N-001/facts?fact=ki67_percent")
    fill(ben, "Ki-67", "5")
    ben.get_by_role("button", name="Record").click()
    fill(ana, "Ki-67", "9")
    fill(ana, "Tumour size", "30")
    ana.get_by_role("button", name="Record").click()
    expect(ana.get_by_role("heading", name="Somebody changed this case in the meantime")).to_be_visible()
    expect(ana.get_by_text("by Ben")).to_be_visible()
    assert_sound(ana)
    ana.get_by_label("Take theirs").check()
    ana.get_by_role("button", name="Go on with mine").click()
    expect(ana.get_by_text("The facts are recorded.")).to_be_visible()
    expect(ana.locator("#facts")).to_contain_text("30 mm")
    expect(ana.locator("#facts")).to_contain_text("5 %")
