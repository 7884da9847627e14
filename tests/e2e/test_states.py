"""What only follows a form: refusals, previews, conflicts, reports, codes, errors; looked at like any other page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, NoReturn

import pytest
from flask import template_rendered
from playwright.sync_api import expect
from pyotp import TOTP

from tests.e2e.looks import assert_sound_everywhere
from tests.e2e.steps import BEN, Site, Somebody, opened_site
from tests.e2e.test_pages import BY_NAME, ERRORS, who_sees
from tests.web.people import ANA, PASSWORD, account, sign_in
from tests.web.register import NOW, opened, seeded_register
from tracker import accounts, links
from tracker.access import Role
from web.access import public
from web.desk import desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ADA, ELLA = "ada@example.org", "ella@example.org"
Way = Callable[[Site], Iterator[Somebody]]
WAYS: dict[str, tuple[Way, tuple[str, ...]]] = {}
"""Each leads to some states, one after the other; with the page that each of them shows, by its template."""


def shows(*templates: str) -> Callable[[Way], Way]:
    def keep(way: Way) -> Way:
        WAYS[way.__name__] = way, templates
        return way

    return keep


# Coming in -------------------------------------------------------------------------------------------------


@shows("login.html", "login.html")
def a_password_that_is_not_right(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_door()
    ana.when_they_sign_in(ANA, "not the right one")
    ana.then_they_read("The address or the password is not right.")
    yield ana
    for _ in range(12):
        ana.when_they_sign_in(ANA, "not the right one")
        if ana.page.get_by_text("tried in vain too often").count():
            break
    ana.then_they_read("tried in vain too often")
    yield ana


@shows("welcome.html", "login.html")
def a_link_that_sets_a_password(site: Site) -> Iterator[Somebody]:
    place = desk(site.app)
    with place.writing("test:states") as writing:
        token = links.for_account(writing, place.secret, account(writing, ANA))
    ana = site.at_the_door()
    ana.when_they_go_to(f"/welcome/{token}")
    ana.when_they_fill_in({"Password": "one two three four", "The same password again": "five six seven eight"})
    ana.when_they_press("Set the password")
    ana.then_they_read("Nothing was changed.")
    yield ana
    ana.when_they_fill_in({"Password": PASSWORD, "The same password again": PASSWORD})
    ana.when_they_press("Set the password")
    ana.then_they_read("The password is set.")
    yield ana


@shows("account.html", "account.html", "account_codes.html", "account.html", "login_code.html", "login_code.html")
def a_second_factor(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/account")
    ana.page.locator("#begin-current").fill("not the right one")
    ana.when_they_press("Set it up")
    ana.then_they_read("Nothing was changed.")
    yield ana
    ana.page.locator("#begin-current").fill(PASSWORD)
    ana.when_they_press("Set it up")
    expect(ana.page.get_by_role("img", name="as a picture")).to_be_visible()
    yield ana
    totp = TOTP((ana.page.locator(".code.key").text_content() or "").replace(" ", "").strip())
    ana.when_they_fill_in({"The six digits": totp.at(NOW)})
    ana.when_they_press("Turn it on")
    expect(ana.page.locator(".codes li").first).to_be_visible()
    yield ana
    ana.when_they_go_to("/account")
    ana.then_they_read("Make new recovery codes")
    yield ana
    again = site.at_the_door()
    again.when_they_sign_in(ANA)
    again.then_the_title_is("Your code")
    yield again
    again.when_they_fill_in({"The six digits": "000000"})
    again.when_they_press("Go on")
    again.then_they_read("This code is not right")
    yield again


# Administration --------------------------------------------------------------------------------------------


@shows("admin_link.html", "admin.html", "admin_account.html")
def a_new_account(site: Site) -> Iterator[Somebody]:
    site.given_an_account(ADA, {}, administrator=True)
    ada = site.at_the_desk(ADA)
    for _ in ("made", "there already"):
        ada.when_they_go_to("/admin")
        ada.when_they_fill_in({"E-mail address": "nora@example.org", "Name": "Nora"})
        ada.when_they_press("Make the account and a link")
        yield ada
    ada.when_they_follow("nora@example.org")
    ada.when_they_press("Disable")
    ada.then_it_is_said("Done.")
    yield ada


# A case ----------------------------------------------------------------------------------------------------


@shows("sheet.html", "sheet.html", "case.html", "case.html")
def a_move(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/N-004/move/start_line")
    when_the_browser_checks_nothing(ana)
    ana.when_they_fill_in({"Start date": ""})
    ana.when_they_press("See what would change")
    expect(ana.page.locator(".problem").first).to_be_visible()
    yield ana
    ana.when_they_fill_in({"Treatment": "Everolimus", "Intent": "Disease control", "Start date": "2027-03-10"})
    ana.when_they_press("See what would change")
    ana.then_they_read("Nothing is recorded yet.")
    assert ana.page.get_by_label("Reason to go on").count(), "this preview was to have a warning"
    yield ana
    ana.when_they_record_it()
    yield ana
    ana.when_they_undo()
    yield ana


@shows("sheet.html", "changed.html", "changed.html")
def a_change_that_came_between(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/N-004/facts")
    ana.when_they_press("Record")
    ana.then_they_read("Nothing was recorded.")
    yield ana
    site.register.facts("N-004", "2027-03-10", ki67_percent=5.0)
    ana.when_they_fill_in({"Ki-67": "9", "Tumour size": "30"})
    ana.when_they_press("Record")
    ana.then_the_title_is("Somebody changed this case in the meantime")
    yield ana
    ana.when_they_go_to("/cases/N-004/move/start_line")
    site.register.step("N-004", "2027-03-11", "record_death")
    ana.when_they_fill_in({"Treatment": "Everolimus", "Intent": "Disease control", "Start date": "2027-03-10"})
    ana.when_they_press("See what would change")
    ana.then_they_read("this cannot be recorded as it stands")
    yield ana


@shows("new_patient.html", "new_patient.html", "new_patient.html", "case.html")
def a_new_patient_who_may_be_on_record(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/new")
    when_the_browser_checks_nothing(ana)
    ana.when_they_fill_in({"Born on": "2027-01-01", "Case reference": "?"})
    ana.when_they_press("Open the case")
    expect(ana.page.locator(".problem").first).to_be_visible()
    yield ana
    ana.when_they_go_to("/cases/new")
    ana.when_they_fill_in({"Name": "Zhang Wei", "Born on": "1961-02-28", "Clinic": "North"})
    ana.when_they_press("Open the case")
    ana.then_they_read("Is it one of these?")
    yield ana
    when_the_browser_checks_nothing(ana)
    ana.when_they_press("Open a new case anyway")
    ana.then_they_read("This is needed to open a second record.")
    yield ana
    ana.page.get_by_label("If it is none of these").fill("Another address")
    ana.when_they_press("Open a new case anyway")
    ana.then_it_is_said("is open.")
    yield ana


@shows("merge.html", "merge.html", "case.html", "case.html")
def a_merger(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/N-005/merge")
    into = ana.page.get_by_label("Reference of the record that goes on")
    into.fill("none")
    ana.when_they_press("Put them side by side")
    ana.then_they_read("Nothing was recorded.")
    yield ana
    into.fill("N-002")
    ana.when_they_press("Put them side by side")
    ana.then_they_read("Are these one patient?")
    yield ana
    ana.page.get_by_label("How do you know").fill("The same number")
    ana.when_they_press("Merge them")
    ana.then_it_is_said("N-005 ended and leads to N-002.")
    yield ana
    ana.when_they_go_to("/cases/N-005")
    yield ana


# Lists -----------------------------------------------------------------------------------------------------


@shows("act.html", "acts.html", "acts.html", "acts_report.html", "worklist.html")
def several_lines(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/cases/N-002")
    ana.when_they_follow(re.compile("^Waive\\W+Visit"))
    when_the_browser_checks_nothing(ana)
    ana.when_they_press("Waive this one")
    expect(ana.page.locator(".problem, #refused").first).to_be_visible()
    yield ana
    ana.when_they_go_to("/worklist?who=anyone&state=workup.staging")
    for what in ("Chromogranin A", "Immunohistochemistry"):
        ana.line(what, "N-005").get_by_role("checkbox").check()
    ana.when_they_press("Waive")
    ana.then_the_title_is("2 follow-ups")
    yield ana
    when_the_browser_checks_nothing(ana)
    ana.when_they_press("Waive this one")
    expect(ana.page.locator(".problem, #refused").first).to_be_visible()
    yield ana
    ana.when_they_fill_in({"Reason": "Done elsewhere"})
    ana.when_they_press("Waive this one")
    expect(ana.page.get_by_role("heading", name="Waived")).to_be_visible()
    yield ana
    ana.when_they_press("Undo")
    ana.then_it_is_said("Undone")
    yield ana


@shows("search.html", "search.html", "worklist.html", "worklist.html")
def a_search(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    for words in ("zhang", "nobody of that name"):
        ana.when_they_go_to("/search")
        ana.page.locator("#text").fill(words)
        ana.when_they_press("Search")
        expect(ana.page.locator("#found-title")).to_be_visible()
        yield ana
    for words in ("zhang", "nobody of that name"):
        ana.when_they_go_to("/worklist?who=anyone")
        ana.page.locator("#words").fill(words)
        ana.when_they_press("Find")
        expect(ana.page.locator("#words")).to_have_value(words)
        yield ana


@shows("hand_over.html", "hand_over_preview.html", "hand_over_report.html", "hand_over.html")
def a_hand_over(site: Site) -> Iterator[Somebody]:
    site.given_an_account(BEN, {"North": {Role.NAVIGATOR}})
    ana = site.at_the_desk()
    ana.when_they_go_to("/hand-over")
    when_the_browser_checks_nothing(ana)
    ana.when_they_press("Look at what would go")
    ana.then_they_read("Nothing was changed.")
    yield ana
    ana.when_they_fill_in({"Taken over by": BEN})
    ana.when_they_press("Look at what would go")
    ana.then_they_read("Nothing has been changed yet.")
    yield ana
    ana.when_they_press("Hand over")
    ana.then_the_title_is("handed over")
    yield ana
    ana.when_they_go_to("/hand-over")
    yield ana


@shows("meeting.html", "meeting.html")
def a_meeting(site: Site) -> Iterator[Somebody]:
    ana = site.at_the_desk()
    ana.when_they_go_to("/team-meeting")
    ana.when_they_fill_in({"Reference of the case": "N-001", "What the team is asked": "Go on?"})
    ana.when_they_press("Put on the list")
    ana.then_it_is_said("N-001 is on the list")
    yield ana
    ana.when_they_fill_in({"What the team decided about N-001": "Go on after the gallstones."})
    ana.when_they_press("Record the decision")
    ana.then_it_is_said("Done.")
    yield ana


# Errors ----------------------------------------------------------------------------------------------------


@shows("error.html", "error.html", "error.html", "login.html")
def errors(site: Site) -> Iterator[Somebody]:
    site.watch.allow("status of (40[03]|500)")
    site.app.add_url_rule("/broken", "broken", public(_broken))
    site.given_an_account(ELLA, {"North": {Role.AUDITOR}})
    ella = site.at_the_desk(ELLA)
    for path, title in (("/cases/N-001/facts", "not yours to do"), ("/broken", "Something went wrong")):
        ella.when_they_go_to(path)
        ella.then_the_title_is(title)
        yield ella
    ana = site.at_the_desk()
    ana.when_they_go_to("/search")
    ana.page.locator("main input[name=csrf_token]").evaluate("field => field.remove()")
    ana.when_they_press("Search")
    ana.then_the_title_is("This request was not understood")
    yield ana
    ana.when_they_go_to("/account")
    with desk(site.app).writing("test:states") as writing:
        accounts.end_sign_ins(writing.session, account(writing, ANA))
    ana.when_they_press("Set the days")
    ana.then_they_read("You are no longer signed in.")
    yield ana


def _broken() -> NoReturn:
    raise ValueError("a fault that nobody thought of")


def when_the_browser_checks_nothing(who: Somebody) -> None:
    """So that the tracker has to say what is wrong with a form."""
    who.page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true })")


# Looking ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("states")
    seeded_register(home).database.close()
    return home


@pytest.fixture
def site(browser: Browser, seeded_home: Path, tmp_path: Path) -> Iterator[Site]:
    with opened_site(browser, opened(copytree(seeded_home, tmp_path / "home"))) as made:
        made.given_an_account(ANA, {})
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_what_follows_a_form_is_accessible_and_fits(site: Site, way: str) -> None:
    lead, templates = WAYS[way]
    for who, template in zip(lead(site), templates, strict=True):
        assert template in site.shown, f"{template} was not shown, but {site.shown}"
        assert_sound_everywhere(who.page)
        site.shown.clear()


def test_every_page_that_can_be_shown_is_looked_at(site: Site) -> None:
    """Asked for in test_pages, or shown after a form here."""
    folder = Path(site.app.root_path) / "templates"
    whole = {page.name for page in folder.glob("*.html") if '{% extends "base.html" %}' in page.read_text()}
    assert whole == asked_for(site) | {template for _, templates in WAYS.values() for template in templates}


def asked_for(site: Site) -> set[str]:
    """The templates of the pages of test_pages; what an address names need not be there."""
    names = dict.fromkeys(("item", "event", "merged", "digest", "token"), "1")
    seen: set[str] = set()

    def note(_: object, template: object, **__: object) -> None:
        seen.add(str(getattr(template, "name", "")))

    site.given_an_account(ADA, {}, administrator=True)
    site.given_an_account(ELLA, {"North": {Role.AUDITOR}})
    with template_rendered.connected_to(note, site.app):
        for name, address in BY_NAME.items():
            client, who = site.app.test_client(), who_sees(name)
            if name not in ERRORS:
                (sign_in(client, who) if who else client).get(address.format_map(names))
    return seen
