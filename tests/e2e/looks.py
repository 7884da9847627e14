"""What holds of every page, at every width: axe finds nothing, and nothing has to be scrolled sideways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

from tests.browser import runs_scripts

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDE, ZOOMED, NARROW, NARROWEST = 1280, 640, 390, 320
"""Pixels: a window, the same at 200 %, a telephone, and a window at 400 %."""
WIDTHS = [WIDE, NARROW]
ONLY_WHAT_FAILS = {"resultTypes": ["violations"]}
"""All rules are run; to describe the hundreds of places that satisfy them takes axe longer than to look."""
_BUT_CONTRAST = ONLY_WHAT_FAILS | {"rules": {"color-contrast": {"enabled": False}}}
"""Colours do not depend on the width, and are nine tenths of axe's work: of a page they are looked at once."""


def assert_sound(page: Page, *, colours: bool = True) -> None:
    """No violation of any of axe's rules (WCAG 2.2 AA and its own), nothing to scroll sideways.

    Where pages run no scripts axe cannot run either: then the second alone.
    """
    if runs_scripts(page):
        found = Axe().run(page, options=ONLY_WHAT_FAILS if colours else _BUT_CONTRAST)
        assert found.violations_count == 0, found.generate_report()
    assert_fits(page)


def assert_fits(page: Page) -> None:
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{page.url} scrolls sideways by {wider} px: {page.evaluate(_STICKING_OUT)}"


def assert_sound_everywhere(page: Page, *, unfolded: bool = True) -> None:
    """The same at both widths, with all that is folded away unfolded; at 200 % and 400 % the page fits."""
    if unfolded:
        open_everything(page)
    for width in WIDTHS:
        at_width(page, width)
        assert_sound(page, colours=width == WIDE)
    for width in (ZOOMED, NARROWEST):
        at_width(page, width)
        assert_fits(page)
    at_width(page, WIDE)


def at_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})


def open_everything(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")


_STICKING_OUT = """() => [...document.querySelectorAll("body *")]
  .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(one => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`).slice(0, 8)"""
