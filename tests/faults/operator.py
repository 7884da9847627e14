"""Somebody at the outbox page, once a day: what is in question is settled by what the mail server has on record."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from sqlmodel import col, select

from tests.faults.arrivals import Arrivals
from tests.tracker.conftest import Installation
from tracker import outbox
from tracker.errors import ChangeRefused
from tracker.models import IN_QUESTION, OutboxMessage

_PATIENCE = timedelta(hours=1)


def settle(place: Installation, arrivals: Arrivals, random: Random, now: datetime) -> None:
    """Decide about each message that was refused, or that not even the journal could settle in time."""
    arrivals.collect(place)
    with place.database.reading() as session:
        rows = session.exec(select(OutboxMessage).where(IN_QUESTION).order_by(col(OutboxMessage.id))).all()
    for row in rows:
        if row.state == "uncertain" and abs(now - (row.doubted_at or now)) < _PATIENCE:
            continue
        if arrivals.found.get(row.key):
            by = outbox.settle_as_arrived
        else:
            by = random.choice((outbox.send_again, outbox.tell_in_next))
        with place.writing(now, actor="lead@example.org") as writing:
            try:
                by(writing, row.id or 0)
            except ChangeRefused:
                continue
