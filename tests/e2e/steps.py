"""What people do at their desk, and what they then see: the steps of the journeys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, template_rendered
from playwright.sync_api import expect

from tests.browser import PageWatch, watched_context
from tests.e2e.conftest import APPS, serving, signed_in
from tests.e2e.looks import assert_sound
from tests.web.people import ANA, PASSWORD, person
from tests.web.register import Register
from tracker import cases
from web.desk import desk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

    from tracker.access import Role

BEN = "ben@example.org"
PATIENT = 30_000
"""Milliseconds: on a machine that is busy with other tests a page takes its time."""
EXCUSED = r"status of 4(01|09|22|29)"
"""What a browser writes to its console when a form is refused or somebody else was quicker."""


@dataclass
class Site:
    """A served register, to which people come with browsers of their own."""

    register: Register
    url: str
    browser: Browser
    open: ExitStack
    width: int
    scripts: bool
    watch: PageWatch = field(default_factory=PageWatch)
    shown: list[str | None] = field(default_factory=list)
    """The templates that were filled in so far."""

    @property
    def app(self) -> Flask:
        return APPS[self.url]

    def given_an_account(self, email: str, roles: dict[str, set[Role]], *, administrator: bool = False) -> None:
        """With exactly these roles, and the password of all of them."""
        person(desk(self.app), email, roles, administrator=administrator)

    def at_the_door(self) -> Somebody:
        """Somebody with a browser, who is not signed in."""
        options = {"viewport": {"width": self.width, "height": 844}, "java_script_enabled": self.scripts}
        context = self.open.enter_context(watched_context(self.browser, self.watch, **options))
        context.set_default_timeout(PATIENT)
        return Somebody(self, context.new_page())

    def at_the_desk(self, email: str = ANA) -> Somebody:
        """Somebody who is signed in already."""
        found = self.at_the_door()
        signed_in(found.page.context, self.url, email)
        return found

    def kinds(self, ref: str) -> list[str]:
        """The kinds of the entries of a case."""
        with self.register.database.reading() as session:
            return [event.kind for event in cases.events_of(session, cases.find(session, ref))]

    def state(self, ref: str) -> str:
        with self.register.database.reading() as session:
            return cases.find(session, ref).state


@contextmanager
def opened_site(browser: Browser, register: Register, *, width: int = 1280, scripts: bool = True) -> Iterator[Site]:
    """Serve a register while the block lasts; fails where a page did what it must not."""
    with ExitStack() as server:
        url = server.enter_context(contextmanager(serving)(register))
        with ExitStack() as browsers:
            site = Site(register, url, browser, browsers, width, scripts)
            site.watch.allow(EXCUSED)
            note = partial(_note, site)
            server.enter_context(template_rendered.connected_to(note, site.app))
            expect.set_options(timeout=PATIENT)
            yield site
        expect.set_options(timeout=5_000)
    assert not site.watch.problems, site.watch.problems


def _note(site: Site, _: object, template: Any, **__: object) -> None:
    site.shown.append(template.name)


@dataclass
class Somebody:
    """A person at a browser: what they do there is a ``when_``, what they see a ``then_``."""

    site: Site
    page: Page

    def when_they_go_to(self, path: str) -> None:
        self.page.goto(self.site.url + path)

    def then_the_page_is_sound(self) -> None:
        assert_sound(self.page)

    def then_they_read(self, words: str | re.Pattern[str]) -> None:
        expect(self.page.locator("main").get_by_text(words).last).to_be_visible()

    def then_the_title_is(self, words: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(words)

    def when_they_follow(self, name: str | re.Pattern[str], where: str = "main") -> None:
        self.page.locator(where).get_by_role("link", name=name).first.click()

    def when_they_press(self, name: str | re.Pattern[str]) -> None:
        self.page.locator("main").get_by_role("button", name=name).first.click()

    def when_they_fill_in(self, typed: dict[str, str]) -> None:
        """Fields by the beginning of their labels; of a choice, the words."""
        for label, value in typed.items():
            one = self.page.locator("main").get_by_label(label).first
            if one.evaluate("one => one.tagName") == "SELECT":
                one.select_option(label=value)
            else:
                one.fill(value)

    # the door

    def when_they_sign_in(self, email: str, password: str = PASSWORD) -> None:
        self.when_they_go_to("/login")
        self.when_they_fill_in({"E-mail address": email, "Password": password})
        self.when_they_press("Sign in")

    # the worklist

    def line(self, what: str, ref: str) -> Locator:
        lines = self.page.locator("tbody.wl-line")
        return lines.filter(has_text=what).filter(has_text=ref).first

    def when_they_act(self, act: str, what: str, ref: str, typed: dict[str, str]) -> None:
        """Choose an act in a line of the worklist, or on the case page, and fill in its form."""
        here = self.line(what, ref) if "/worklist" in self.page.url else self.page.locator("main")
        here.get_by_role("link", name=re.compile(f"^{act}\\W+{re.escape(what)}")).first.click()
        form = self.page.locator("form.wl-form")
        expect(form).to_be_visible()
        self.when_they_fill_in(typed)
        form.locator("button[type=submit]").click()

    def then_it_is_said(self, words: str) -> None:
        expect(self.page.locator(".said").filter(has_text=words).last).to_be_visible()

    def when_they_undo(self, said: str = "") -> None:
        self.page.locator(".said").filter(has_text=said).get_by_role("button", name="Undo").first.click()
        self.then_it_is_said("Undone")

    # a case

    def when_they_look_at(self, trigger: str, typed: dict[str, str]) -> None:
        """From the case page: choose a step, fill in its form, and look at what would change."""
        self.page.get_by_role("link", name=trigger, exact=True).first.click()
        self.when_they_fill_in(typed)
        self.when_they_press("See what would change")
        expect(self.page.get_by_role("heading", name="What would change")).to_be_visible()

    def when_they_record_it(self, reason: str = "Agreed with the team.") -> None:
        """With a reason for each warning that the step meets."""
        for box in self.page.get_by_label("Reason to go on").all():
            box.fill(reason)
        self.when_they_press("Record it")
        self.then_it_is_said("Done.")

    def when_they_move(self, trigger: str, typed: dict[str, str]) -> None:
        self.when_they_look_at(trigger, typed)
        self.when_they_record_it()

    # with keys alone

    def when_they_tab_to(self, words: str, most: int = 120) -> None:
        """Press Tab until what has the focus is named like that."""
        pattern = re.compile(words)
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if pattern.search(self.page.evaluate(_NAME_OF_FOCUS)):
                return
        raise AssertionError(f"no Tab leads to {words}")

    def when_they_type(self, *keys: str) -> None:
        """Keys by their names; anything longer that is no name is typed."""
        for key in keys:
            if len(key) == 1 or key in ("Tab", "Enter", "Escape", "Space", "ArrowDown"):
                self.page.keyboard.press(key)
            else:
                self.page.keyboard.type(key)


_NAME_OF_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return "";
  const labels = [...(one.labels ?? [])].map(label => label.textContent).join(" ");
  return (one.ariaLabel || labels || one.textContent || "").replace(/\\s+/g, " ").trim();
}"""
