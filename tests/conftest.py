"""Fixtures that every test may ask for. A fixture for one room lives in the conftest.py of its folder."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Never

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser import PageWatch
    from tests.postgres import Postgres


def unavailable(requirement: str, reason: str) -> Never:
    """Skip a test for want of something, unless the variable says that it must be there (as .ci/run does)."""
    if os.environ.get(requirement) == "1":
        pytest.fail(f"{requirement}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by fixture, so that `-m "not browser"` and `-m postgres` need no care in each test."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        for marker in ("postgres", "browser"):
            if marker in names:
                item.add_marker(marker)


# --- PostgreSQL ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Postgres]":
    """A PostgreSQL server, one for each test process: create_database(template), drop_database(url)."""
    from tests.postgres import NoServerError, running_server

    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_server())
        except NoServerError as error:
            unavailable("REQUIRE_POSTGRES", str(error))
        yield running


# --- Browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless Chromium, one for each test process."""
    from tests.browser import NoBrowserError, running_browser

    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_browser())
        except NoBrowserError as error:
            unavailable("REQUIRE_BROWSER", str(error))
        yield running


@pytest.fixture
def page_watch() -> "PageWatch":
    """What the pages of this test did wrong so far; page_watch.allow("…") excuses what a test provokes."""
    from tests.browser import PageWatch

    return PageWatch()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: "Browser", page_watch: "PageWatch") -> "Iterator[Page]":
    """An empty page of 1280 x 800 in a fresh profile.

    After the test it fails on errors in the console, errors in scripts and requests to other hosts.
    """
    from tests.browser import watched_context

    if "site" in request.fixturenames:
        request.getfixturevalue("site")  # began before the page, so ends after it: not under a picture still loading
    with watched_context(browser, page_watch) as context:
        yield context.new_page()
    if page_watch.problems:
        pytest.fail("the page did what it must not:\n" + "\n".join(page_watch.problems), pytrace=False)
