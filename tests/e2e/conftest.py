"""The pages of a register on a real server, and browsers in which somebody is signed in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.web.people import ANA, cookie_for
from tests.web.register import NOW, Register
from web import create_app
from web.desk import desk

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

APPS: dict[str, Flask] = {}
"""The pages that are served now, by their address."""


def serving(register: Register) -> Iterator[str]:
    """The address of the pages of a register, while the block lasts."""
    app = create_app(register.settings, lambda: NOW)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site = f"http://127.0.0.1:{server.port}"
    APPS[site] = app
    yield site
    del APPS[site]
    server.shutdown()
    thread.join()
    server.server_close()
    desk(app).database.close()
    register.database.close()


def signed_in(context: BrowserContext, site: str, email: str = ANA) -> BrowserContext:
    """Sign somebody in, in every page of a browser's profile."""
    cookie = cookie_for(APPS[site], email)
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": site}])
    return context


@pytest.fixture
def page(page: Page, request: pytest.FixtureRequest) -> Page:
    """The page of every test, signed in as Ana where the test has a site."""
    for name in ("site", "empty_site"):
        if name in request.fixturenames:
            signed_in(page.context, request.getfixturevalue(name))
    return page
