"""Chromium for tests of the pages, and a watch over what the pages do there."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request, WebError, sync_playwright

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

CONTEXT = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "timezone_id": "Europe/London"}


class NoBrowserError(Exception):
    """There is no Chromium on this machine, and how to get one."""


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


@contextlib.contextmanager
def watched_context(browser: Browser, watch: PageWatch, **options: Any) -> Iterator[BrowserContext]:
    """Give a fresh browser profile under watch; options as of Browser.new_context, say for a phone."""
    context = watch.over(browser.new_context(**{**CONTEXT, **options}))
    context.set_default_timeout(10_000)
    try:
        yield context
    finally:
        context.close()
