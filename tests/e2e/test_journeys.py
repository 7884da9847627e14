"""Days at the desk, from the sign-in form on: wide, on a telephone, with keys alone, and without scripts.

The ways of a single case are in test_moving, meetings and hand-overs in test_rooms, more of the list in test_worklist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.looks import NARROW, WIDE
from tests.e2e.steps import BEN, Site, opened_site
from tests.web.people import ANA, PASSWORD
from tests.web.register import opened, seeded_register
from tracker.access import Role

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LEA = "lea@example.org"
WAYS = {"wide": (WIDE, True), "narrow": (NARROW, True), "no scripts": (WIDE, False)}
with_scripts_or_not = pytest.mark.parametrize("site", WAYS, indirect=True)
with_scripts = pytest.mark.parametrize("site", ["wide", "narrow"], indirect=True)


@pytest.fixture(scope="module")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("journeys")
    seeded_register(home).database.close()
    return home


@pytest.fixture
def site(request: pytest.FixtureRequest, browser: Browser, seeded_home: Path, tmp_path: Path) -> Iterator[Site]:
    width, scripts = WAYS[request.param]
    with opened_site(browser, opened(copytree(seeded_home, tmp_path / "home")), width=width, scripts=scripts) as made:
        made.given_an_account(ANA, {"North": {Role.NAVIGATOR}})
        yield made


@with_scripts_or_not
def test_a_navigators_morning(site: Site) -> None:
    """Sign in, the longest overdue, a call, a booking, something done and taken back, and the next patient."""
    ana = site.at_the_door()
    ana.when_they_sign_in(ANA)
    ana.then_the_title_is("Overdue follow-ups")
    ana.when_they_follow("Wei Zhang", "#overdue")
    ana.then_the_title_is("Wei Zhang")
    ana.when_they_act("Call", "Tumour markers", "N-002", {"Outcome": "No answer"})
    ana.then_it_is_said("The call is recorded: Tumour markers for Wei Zhang.")

    ana.when_they_follow("Worklist", "header")
    ana.when_they_act(
        "Call", "Tumour markers", "N-001", {"Outcome": "Asked to be called later", "Remind me again": "In a week"}
    )
    ana.then_it_is_said("The call is recorded: Tumour markers for Grace Okafor.")
    expect(ana.line("Tumour markers", "N-001")).to_contain_text("Put off until 19 Mar 2027")
    ana.when_they_act("Book", "Visit", "N-002", {"Appointment on": "2027-03-20"})
    expect(ana.line("Visit", "N-002")).to_contain_text("Booked for 20 Mar 2027")
    ana.when_they_act("Done", "Imaging", "N-002", {"What was done": "CT", "Result": "No new lesion"})
    ana.then_it_is_said("Recorded as done: Imaging (CT or MRI) for Wei Zhang.")
    ana.then_the_page_is_sound()
    assert site.kinds("N-002")[-4:] == ["contact:attempted", "activity:snoozed", "activity:booked", "activity:done"]

    ana.when_they_undo("Recorded as done")
    assert site.kinds("N-002")[-1] == "event:corrected"
    expect(ana.line("Imaging", "N-002")).to_be_visible()
    ana.when_they_follow("Grace Okafor", "tbody.wl-line")
    ana.then_the_title_is("Grace Okafor")


@with_scripts
def test_a_morning_with_keys_alone(site: Site) -> None:
    """No pointer is touched from the sign-in form on: a follow-up is completed, and a case is moved."""
    ana = site.at_the_door()
    ana.when_they_go_to("/login")
    ana.when_they_type(ANA, "Tab", PASSWORD, "Enter")
    ana.then_the_title_is("Overdue follow-ups")
    ana.when_they_tab_to("^Wei Zhang")
    ana.when_they_type("Enter")
    ana.then_the_title_is("Wei Zhang")
    ana.when_they_tab_to("^Done\\W+Visit")
    ana.when_they_type("Enter")
    ana.then_the_title_is("Record as done")
    ana.when_they_tab_to("^Result")
    ana.when_they_type("Well, no complaints", "Enter")
    ana.then_it_is_said("Recorded as done: Visit for Wei Zhang.")

    ana.when_they_tab_to("^Suspect progression or recurrence")
    ana.when_they_type("Enter")
    ana.then_the_title_is("Suspect progression or recurrence")
    ana.when_they_tab_to("^See what would change")
    ana.when_they_type("Enter")
    expect(ana.page.get_by_role("heading", name="What would change")).to_be_visible()
    ana.when_they_tab_to("^Record it")
    ana.when_they_type("Enter")
    ana.then_it_is_said("Done.")
    assert site.state("N-002") == "restaging.suspected"
    ana.when_they_type("g", "w")
    ana.then_the_title_is("Worklist")


@with_scripts
def test_a_lead_sees_what_escalated_whose_it_is_and_who_hears_less(site: Site) -> None:
    """Escalations, another navigator's list, what is muted, and a caseload evened out."""
    site.given_an_account(LEA, {"North": {Role.LEAD}, "South": {Role.LEAD}})
    site.given_an_account(BEN, {"North": {Role.NAVIGATOR}, "South": {Role.NAVIGATOR}})
    ana, lea = site.at_the_desk(ANA), site.at_the_door()
    ana.when_they_go_to("/account")
    ana.page.get_by_label("Fri").uncheck()
    ana.page.locator("#digest").get_by_role("button").click()
    ana.then_it_is_said("Done.")

    lea.when_they_sign_in(LEA)
    lea.then_the_title_is("Overdue follow-ups")
    lea.when_they_follow(re.compile("to be escalated$"))
    lea.then_they_read("Escalate to clinician")
    for said in lea.page.locator("ol.due > li .how-late").all_inner_texts():
        assert "Escalate" in said
    lea.when_they_follow("ben@example.org", "#loads")
    expect(lea.page.locator("#overdue").get_by_text("ana@example.org")).to_have_count(0)
    expect(lea.page.locator("#overdue").get_by_text("ben@example.org").first).to_be_visible()
    lea.when_they_follow("Outbox", "header")
    expect(lea.page.locator("#quiet").get_by_role("row").filter(has_text="ana@example.org")).to_contain_text(
        "Mon, Tue, Wed, Thu only"
    )
    lea.then_the_page_is_sound()

    lea.when_they_go_to("/hand-over")
    lea.page.locator("#person").select_option(label=ANA)
    lea.when_they_press("Show")
    lea.page.get_by_label("Grace Okafor").uncheck()
    lea.when_they_fill_in({"Taken over by": BEN})
    lea.when_they_press("Look at what would go")
    lea.then_they_read("Nothing has been changed yet.")
    lea.when_they_press(re.compile("^Hand over"))
    lea.then_the_title_is("handed over")
    ana.when_they_go_to("/worklist?who=mine")
    expect(ana.line("", "N-001")).to_be_visible()
    expect(ana.line("", "N-002")).to_have_count(0)


@with_scripts_or_not
def test_nothing_is_open_after_a_death_and_undo_brings_it_back(site: Site) -> None:
    """On the case, on the worklist and on the dashboard; of a death, no reminder goes out any more."""
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/N-002")
    ana.when_they_look_at("Record death", {"Date of death": "2027-03-10"})
    ana.then_they_read("Surveillance after curative treatment")
    ana.when_they_record_it()
    assert site.state("N-002") == "closed.deceased"
    expect(ana.page.get_by_role("link", name=re.compile("^(Done|Call|Book)\\W+(Visit|Imaging|Tumour)"))).to_have_count(
        0
    )
    for path in ("/worklist?who=anyone", "/?navigator="):
        ana.when_they_go_to(path)
        expect(ana.page.get_by_role("link", name="Grace Okafor").first).to_be_visible()
        expect(ana.page.get_by_role("link", name="Wei Zhang")).to_have_count(0)
    ana.when_they_go_to("/cases/N-002")
    ana.when_they_follow(re.compile("^Strike out"), "#timeline li >> nth=0")
    ana.when_they_fill_in({"What is wrong with it": "Another patient"})
    ana.when_they_press("See what would change")
    ana.when_they_record_it()
    assert site.state("N-002") == "surveillance.post_curative"
    expect(ana.page.get_by_role("link", name=re.compile("^Done\\W+Visit"))).to_be_visible()
