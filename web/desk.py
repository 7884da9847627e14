"""What every page needs: the database and the time, kept as one extension of the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from flask import Flask, current_app

from tracker import queries
from tracker.db import Database
from tracker.secret import Secret
from tracker.settings import Settings

_KEY = "tracker"
STALE_AFTER = timedelta(minutes=5)
"""The tick comes every minute; five without one means that the scheduler has stopped."""


@dataclass(frozen=True, slots=True)
class Desk:
    """An open installation. ``now`` gives the present time, aware, in UTC."""

    settings: Settings
    secret: Secret
    database: Database
    now: Callable[[], datetime]

    def install(self, app: Flask) -> None:
        app.extensions[_KEY] = self

    def scheduler_trouble(self) -> str:
        """In words, why reminders may not be going out; empty while the scheduler does its work."""
        with self.database.reading() as session:
            return trouble(queries.last_tick(session), self.now())


def desk(app: Flask | None = None) -> Desk:
    """The desk of an app, by default of the one that serves the request."""
    return cast(Desk, (app or current_app).extensions[_KEY])


def trouble(last: datetime | None, now: datetime) -> str:
    """What is wrong with a scheduler that was last heard of then (a time ahead of now counts too)."""
    if last is None:
        return "The scheduler has never run on this database"
    silent = abs(now - last)
    if silent <= STALE_AFTER:
        return ""
    minutes = int(silent.total_seconds() // 60)
    if last > now:
        return f"The clock stands {_span(minutes)} before the scheduler's last run"
    return f"The scheduler was last heard of {_span(minutes)} ago"


def _span(minutes: int) -> str:
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}s"
    return f"{minutes} minutes"
