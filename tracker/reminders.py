"""The sweep: reminders whose local date has come are raised, all at once and each once."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CursorResult, and_, select, update
from sqlmodel import Session, col

from tracker.clock import local_date
from tracker.models import Clinic, Reminder


def sweep(session: Session, now: datetime) -> int:
    """Raise every pending reminder whose date has come in its clinic; returns how many. Idempotent.

    One statement for each local date (there are at most three in the world at a time), along the index of
    pending reminders; a unique key holds each to once.
    """
    by_day: dict[date, list[int]] = {}
    for clinic_id, zone in session.execute(select(col(Clinic.id), col(Clinic.timezone))):
        by_day.setdefault(local_date(now, zone), []).append(clinic_id)
    return sum(_raise(session, now, day, clinics) for day, clinics in by_day.items())


def _raise(session: Session, now: datetime, day: date, clinics: list[int]) -> int:
    has_come = and_(
        col(Reminder.status) == "pending",
        col(Reminder.clinic_id).in_(clinics),
        col(Reminder.remind_on) <= day,
    )
    # What somebody is changing just now is left for the next sweep: to wait for it could end in a deadlock.
    free = select(col(Reminder.id)).where(has_come).with_for_update(skip_locked=True)
    raised = update(Reminder).where(col(Reminder.id).in_(free)).values(status="raised", raised_at=now)
    result = session.execute(raised.execution_options(synchronize_session=False))
    return result.rowcount if isinstance(result, CursorResult) else 0
