"""Fixtures for the tests of the pages."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from shutil import copytree

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from tests.tracker.conftest import database_url, place, template_home, template_url
from tests.web.people import SignedInClient
from tests.web.register import NOW, Register, empty_register, opened, register_with_mail, seeded_register
from web import create_app
from web.desk import desk

__all__ = ["database_url", "place", "template_home", "template_url"]
"""Installations on either database, as the tests of the tracker have them."""


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Passwords are kept in a thousandth of the time; that they are kept well is tested where they are."""
    from tracker import passwords

    patch = pytest.MonkeyPatch()
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    patch.setattr(passwords, "_hasher", lambda: cheap)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """A dozen cases in a database that the tests only read."""
    made = seeded_register(tmp_path_factory.mktemp("seeded"))
    yield made
    made.database.close()


@pytest.fixture
def fresh_register(tmp_path: Path) -> Iterator[Register]:
    """A register without cases, for a test to fill or to break."""
    made = empty_register(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    """Makes apps at a fixed time and closes their databases. Their browsers are signed in; see people.py."""
    made: list[Flask] = []

    def make(register: Register, now: datetime = NOW) -> Flask:
        made.append(create_app(register.settings, lambda: now))
        made[-1].test_client_class = SignedInClient
        return made[-1]

    yield make
    for app in made:
        desk(app).database.close()


@pytest.fixture
def seeded_app(register: Register, make_app: Callable[..., Flask]) -> Flask:
    return make_app(register)


@pytest.fixture
def client(seeded_app: Flask) -> FlaskClient:
    return seeded_app.test_client()


@pytest.fixture(scope="session")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with ten days of mail, to be copied by each test that writes."""
    home = tmp_path_factory.mktemp("posted")
    register_with_mail(home).database.close()
    return home


@pytest.fixture
def outbox_register(posted: Path, tmp_path: Path) -> Iterator[Register]:
    """A register with a message in each state, for a test to decide about."""
    made = opened(copytree(posted, tmp_path / "outbox"))
    yield made
    made.database.close()
