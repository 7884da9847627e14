"""A lease: one at a time, given back, and not for ever where its holder dies or the clock is set back."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest

from tests.tracker.conftest import NOW, Installation
from tracker import leases

Factory = Callable[[str], Installation]
SECOND, TWO_MINUTES = timedelta(seconds=1), timedelta(minutes=2)


def is_free(place: Installation, name: str = "sweep", after: timedelta = timedelta(0)) -> bool:
    with leases.held(place.database, name, NOW + after) as got:
        return got


def test_one_has_it_and_nobody_else_until_it_is_given_back(place: Installation) -> None:
    with leases.held(place.database, "sweep", NOW) as got:
        assert got
        assert [is_free(place), is_free(place)] == [False, False]  # who did not get it gives nothing back
        assert not is_free(place, after=TWO_MINUTES - SECOND)
    assert is_free(place)
    assert is_free(place)


def test_work_of_another_name_has_a_lease_of_its_own(place: Installation) -> None:
    with leases.held(place.database, "sweep", NOW):
        with leases.held(place.database, "nightly", NOW) as got:
            assert got
            assert not is_free(place, "nightly")
        assert is_free(place, "nightly")
        assert not is_free(place, "sweep")


def test_work_that_fails_gives_it_back_at_once(place: Installation) -> None:
    with pytest.raises(OSError, match="disk full"), leases.held(place.database, "sweep", NOW):
        raise OSError("disk full")
    assert is_free(place)


_TAKE_AND_DIE = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from tracker import leases, secret
from tracker.db import connect
from tracker.settings import from_environment
settings = from_environment({"TRACKER_HOME": sys.argv[1], "TRACKER_DATABASE_URL": sys.argv[2]})
database = connect(settings, secret.load(settings.secret_file))
with leases.held(database, "sweep", datetime.fromisoformat(sys.argv[3])) as got:
    if got:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_it_is_free_within_two_minutes_and_on_postgresql_at_once(
    place: Installation, database_url: str
) -> None:
    told = [str(place.settings.home), database_url, NOW.isoformat()]
    died = subprocess.run([sys.executable, "-c", _TAKE_AND_DIE, *told], check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    if place.database.is_postgresql:
        assert is_free(place)
    else:
        assert not is_free(place, after=TWO_MINUTES - SECOND)
        assert is_free(place, after=TWO_MINUTES)


def test_a_clock_that_is_set_back_does_not_keep_it(place_factory: Factory) -> None:
    place = place_factory("embedded")
    assert leases._take(place.database, "sweep", "somebody", NOW)
    assert not is_free(place)
    assert is_free(place, after=-SECOND)


def test_who_was_overtaken_takes_it_from_nobody(place_factory: Factory) -> None:
    place = place_factory("embedded")
    with ExitStack() as second:
        with leases.held(place.database, "sweep", NOW) as got:
            assert got
            later = leases.held(place.database, "sweep", NOW + TWO_MINUTES)
            assert second.enter_context(later)
        assert not is_free(place, after=TWO_MINUTES)
        assert not is_free(place, after=2 * TWO_MINUTES - SECOND)
    assert is_free(place, after=TWO_MINUTES)
