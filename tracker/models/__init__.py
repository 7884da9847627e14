"""The tables. Schema changes need a migration; ``alembic check`` keeps them equal."""

from tracker.models.cases import Case, CaseEvent, Clinic, ImportRun, PathwayVersion, Patient, Person
from tracker.models.follow_ups import FollowUpRow, Reminder
from tracker.models.mail import Digest, Heartbeat, OutboxMessage

__all__ = [
    "Case",
    "CaseEvent",
    "Clinic",
    "Digest",
    "FollowUpRow",
    "Heartbeat",
    "ImportRun",
    "OutboxMessage",
    "PathwayVersion",
    "Patient",
    "Person",
    "Reminder",
]
