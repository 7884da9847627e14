"""APScheduler, and nothing but APScheduler: it wakes the tick every minute and knows nothing of what is due."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

_log = structlog.get_logger()


def start(wake: Callable[[], object], seconds: int = 60) -> Callable[[], None]:
    """Call ``wake`` now and every minute from a thread; returns what stops it.

    A call that raises is logged and the next one comes all the same. Calls never overlap, and one that was
    missed is made up for once.
    """
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        _guarded(wake), "interval", seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None
    )
    scheduler.add_job(_guarded(wake), misfire_grace_time=None)
    scheduler.start()
    return lambda: scheduler.shutdown(wait=True)


def _guarded(wake: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        try:
            wake()
        except Exception as error:  # noqa: BLE001  (a tick that fails must not stop the ones after it)
            _log.error("tick.failed", kind=type(error).__name__)

    return call
