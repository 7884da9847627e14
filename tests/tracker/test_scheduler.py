"""The scheduler only wakes: at once, again, never twice at a time, and whatever the call comes to."""

import threading
from collections.abc import Callable
from datetime import timedelta

from sqlmodel import select

from tests.tracker.conftest import Installation
from tracker import scheduler
from tracker import tick as ticking
from tracker.models import Heartbeat, LedgerCheck


def until(reached: threading.Event) -> None:
    assert reached.wait(timeout=10)


def called(times: int, work: Callable[[], None] = lambda: None) -> tuple[Callable[[], None], threading.Event]:
    """A function that tells when it has been called so often."""
    calls, reached = [], threading.Event()

    def wake() -> None:
        calls.append(1)
        if len(calls) == times:
            reached.set()
        work()

    return wake, reached


def test_it_wakes_at_once_and_not_only_after_the_interval() -> None:
    wake, reached = called(1)
    stop = scheduler.start({wake: 3600})
    until(reached)
    stop()


def test_it_wakes_again_after_a_call_that_failed() -> None:
    def fail() -> None:
        raise OSError("disk full")

    wake, reached = called(2, fail)
    stop = scheduler.start({wake: 1})
    until(reached)
    stop()


def test_a_call_that_takes_longer_than_the_interval_is_not_overlapped() -> None:
    running, together = [], []

    def slow() -> None:
        running.append(1)
        together.append(len(running))
        threading.Event().wait(1.2)
        running.pop()

    wake, reached = called(2, slow)
    stop = scheduler.start({wake: 1})
    until(reached)
    stop()
    assert set(together) == {1}


def test_what_is_woken_ticks_and_weighs_the_ledger(place: Installation) -> None:
    for wake in ticking.wakes(place.database, place.settings, place.secret, lambda: place.now):
        wake()
    with place.database.reading() as session:
        assert {beat.part for beat in session.exec(select(Heartbeat))} == {"tick", "delivery"}
        assert session.exec(select(LedgerCheck.on)).all() == [place.now.date()]


def test_the_ledger_is_weighed_once_a_night(place: Installation) -> None:
    weighed = [ticking.nightly(place.database, place.now + timedelta(hours=hours)) for hours in (0, 1, 14, 15, 16, 39)]
    assert weighed == [True, False, False, True, False, True]
