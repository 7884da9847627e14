"""Whether the machinery works: each part leaves the time at which it last finished."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from tracker.models import Heartbeat
from tracker.words import span

STALE_AFTER = timedelta(minutes=5)
"""The tick comes every minute; five without one mean that the scheduler has stopped."""

_DELIVERY_MAY_TAKE = timedelta(minutes=15)
"""A round of delivery ends within a minute; one message that waits for every time-out makes it longer."""


def last(session: Session, part: str) -> datetime | None:
    """When ``tick`` or ``delivery`` last finished, or None if it never has."""
    beat = session.get(Heartbeat, part)
    return beat.at if beat else None


def silence(last_tick: datetime | None, now: datetime) -> str:
    """What is wrong with a scheduler that last ticked then; empty while it does its work."""
    if last_tick is None:
        return "The scheduler has never run on this database"
    if abs(now - last_tick) <= STALE_AFTER:
        return ""
    if last_tick > now:
        return f"The clock stands {span(last_tick - now)} before the scheduler's last run"
    return f"The scheduler was last heard of {span(now - last_tick)} ago"


def silent_delivery(last_delivery: datetime | None, now: datetime) -> str:
    """What is wrong with the delivery of a scheduler that ticks, and of mail that is on; empty while it works."""
    if last_delivery is None:
        return "No round of delivery has ever been finished on this database"
    if now - last_delivery <= _DELIVERY_MAY_TAKE:
        return ""
    return f"No round of delivery has been finished for {span(now - last_delivery)}"
