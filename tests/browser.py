"""Chromium for tests of the pages, and a watch over what the pages do there."""

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    sync_playwright,
)

OWN_HOSTS = {"127.0.0.1", "localhost"}
WITHIN_THE_PAGE = {"about", "blob", "data"}

ARGUMENTS = [
    "--no-sandbox",  # root, as in a container, may not have one
    "--disable-gpu",
    # a browser for tests asks nothing of its maker
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

CONTEXT = {
    "viewport": {"width": 1280, "height": 800},
    "locale": "en-GB",
    "timezone_id": "Europe/London",
    "reduced_motion": "reduce",  # a colour half way to the next is none of the page's, but axe would weigh it
}

PATIENCE = 300.0
"""Seconds that a profile may live. A busy machine needs one minute for the longest test; only a hang needs five."""

_without_scripts: WeakSet[BrowserContext] = WeakSet()


class NoBrowserError(Exception):
    """There is no Chromium on this machine, and how to get one."""


class TookTooLongError(Exception):
    """A test was still in the browser after all this time, so the browser was ended."""


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Give a Chromium for as long as the block lasts: the one that CHROMIUM names, or the machine's own.

    Raises NoBrowserError.
    """
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(executable).exists():
        raise NoBrowserError(f"no Chromium at {executable}: 'make browser' installs Debian's, CHROMIUM names another")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class PageWatch:
    """Collects what a page must not do: write errors to the console, raise, or ask another host.

    A test that provokes such a thing says so, with a part of the text or a pattern:
    `page_watch.allow("status of 422")`.
    """

    seen: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        self.allowed.append(re.compile(pattern))

    @property
    def problems(self) -> list[str]:
        return [text for text in self.seen if not any(pattern.search(text) for pattern in self.allowed)]

    def over(self, context: BrowserContext) -> BrowserContext:
        """Watch everything that the pages of this context do."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        return context

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.seen.append(f"page error: {error.error}")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in WITHIN_THE_PAGE and url.hostname not in OWN_HOSTS:
            self.seen.append(f"request to another host: {request.url}")


class Watchdog:
    """Ends the browser when a block takes longer, so that whatever waits for an answer of it fails.

    Playwright's own time-outs do not cover evaluate, which waits for ever for a promise that a page never keeps, nor
    opening and closing a profile. Where the browser's end does not help (it may come while a page opens), Playwright's
    driver is ended too.
    """

    GRACE = 20.0

    def __init__(self, browser: Browser, seconds: float) -> None:
        self.ended = False
        process = _process_of(browser)
        self._timers = [
            Timer(seconds, self._end, [process]),
            Timer(seconds + self.GRACE, self._end, [_parent_of(process)]),
        ]
        for timer in self._timers:
            timer.daemon = True
            timer.start()

    def _end(self, process: int) -> None:
        self.ended = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()


def _process_of(browser: Browser) -> int:
    asking = browser.new_browser_cdp_session()
    processes = asking.send("SystemInfo.getProcessInfo")["processInfo"]
    asking.detach()
    return next(int(process["id"]) for process in processes if process["type"] == "browser")


def _parent_of(process: int) -> int:
    """Playwright's driver, which started the browser."""
    told = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in told if line.startswith("PPid:")).split()[1])


@contextlib.contextmanager
def within(seconds: float, browser: Browser) -> Iterator[None]:
    """A block that is at an end after this time, one way or another. Raises TookTooLongError."""
    watchdog = Watchdog(browser, seconds)
    try:
        yield
    finally:
        watchdog.stop()
        if watchdog.ended:
            raise TookTooLongError(f"still in the browser after {seconds:.0f} s")


@contextlib.contextmanager
def watched_context(
    browser: Browser, watch: PageWatch, *, patience: float = PATIENCE, **options: Any
) -> Iterator[BrowserContext]:
    """Give a fresh browser profile under watch; options as of Browser.new_context, say for a phone.

    Raises TookTooLongError, and then there is no browser any more.
    """
    with within(patience, browser):
        context = watch.over(browser.new_context(**{**CONTEXT, **options}))
        if options.get("java_script_enabled") is False:
            _without_scripts.add(context)
        context.set_default_timeout(10_000)
        try:
            yield context
        finally:
            context.close()


def runs_scripts(page: Page) -> bool:
    """Whether pages of this profile run scripts. Where they do not, no timer of a page ever rings, nor axe's."""
    return page.context not in _without_scripts
