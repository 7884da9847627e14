"""The browser of the tests itself: nothing that it waits for makes a run stand still."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.browser import PageWatch, runs_scripts, watched_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HANGING = """
from tests.browser import PageWatch, Watchdog, running_browser, watched_context

Watchdog.GRACE = 2
with running_browser() as browser, watched_context(browser, PageWatch(), patience={patience}) as context:
    page = context.new_page()
    page.evaluate("new Promise(() => {{}})")
"""


@pytest.mark.parametrize("patience", [0.01, 3], ids=["while it opens a page", "while a page answers"])
def test_what_never_answers_fails_and_says_so(browser: Browser, patience: float) -> None:
    """In a process of its own: the end of a browser may be the end of Playwright there."""
    script = HANGING.format(patience=patience)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    assert "TookTooLongError" in ended.stderr


def test_a_profile_without_scripts_says_so(browser: Browser) -> None:
    for scripts in (True, False):
        with watched_context(browser, PageWatch(), java_script_enabled=scripts) as context:
            assert runs_scripts(context.new_page()) == scripts


def test_a_profile_asks_for_no_motion_so_that_no_colour_is_on_its_way_to_another(browser: Browser) -> None:
    with watched_context(browser, PageWatch()) as context:
        page = context.new_page()
        page.set_content(
            "<style>button { transition: color 60s } @media (prefers-reduced-motion: reduce) "
            "{ button { transition: none } } button:hover { color: red }</style><button>Undo</button>"
        )
        page.hover("button")
        assert page.evaluate("getComputedStyle(document.querySelector('button')).color") == "rgb(255, 0, 0)"
