"""APScheduler, and nothing but APScheduler: it wakes work at intervals and knows nothing of what is due."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

_log = structlog.get_logger()


def start(wakes: dict[Callable[[], object], int]) -> Callable[[], None]:
    """Call each function now and again after its seconds, from threads; returns what stops them all.

    A call that raises is logged and the next one comes all the same. Calls of one function never overlap, and one
    that was missed is made up for once.
    """
    scheduler = BackgroundScheduler(timezone="UTC")
    for wake, seconds in wakes.items():
        # One job: of two, the one that is over would be taken off the list just when somebody stops the scheduler.
        now_and_again = OrTrigger([DateTrigger(timezone="UTC"), IntervalTrigger(seconds=seconds, timezone="UTC")])
        scheduler.add_job(_guarded(wake), now_and_again, coalesce=True, max_instances=1, misfire_grace_time=None)
    scheduler.start()
    return lambda: scheduler.shutdown(wait=True)


def _guarded(wake: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        try:
            wake()
        except Exception as error:  # noqa: BLE001  (a tick that fails must not stop the ones after it)
            _log.error("tick.failed", kind=type(error).__name__)

    return call
