"""APScheduler, and nothing but APScheduler: it wakes work at intervals and knows nothing of what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

_log = structlog.get_logger()


def start(wakes: dict[Callable[[], object], int]) -> Callable[[], None]:
    """Call each function now and again after its seconds, from threads; returns what stops them all.

    A call that raises is logged and the next one comes all the same. Calls of one function never overlap, and one
    that was missed is made up for once.
    """
    scheduler = BackgroundScheduler(timezone="UTC")
    for wake, seconds in wakes.items():
        call = _guarded(wake)
        scheduler.add_job(call, "interval", seconds=seconds, coalesce=True, max_instances=1, misfire_grace_time=None)
        scheduler.add_job(call, misfire_grace_time=None)
    scheduler.start()
    return lambda: scheduler.shutdown(wait=True)


def _guarded(wake: Callable[[], object]) -> Callable[[], None]:
    busy = threading.Lock()

    def call() -> None:
        if not busy.acquire(blocking=False):
            return
        try:
            wake()
        except Exception as error:  # noqa: BLE001  (a tick that fails must not stop the ones after it)
            _log.error("tick.failed", kind=type(error).__name__)
        finally:
            busy.release()

    return call
