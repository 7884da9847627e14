"""The tables. Schema changes need a migration; ``alembic check`` keeps them equal."""

from tracker.models.cases import Absence, Case, CaseEvent, Clinic, ImportRun, PathwayVersion, Patient, Person
from tracker.models.follow_ups import FollowUpRow, Reminder
from tracker.models.mail import (
    IN_HAND,
    IN_QUESTION,
    WAITING,
    AuditEntry,
    Digest,
    Heartbeat,
    Lease,
    LedgerCheck,
    OutboxMessage,
)

__all__ = [
    "IN_HAND",
    "IN_QUESTION",
    "WAITING",
    "Absence",
    "AuditEntry",
    "Case",
    "CaseEvent",
    "Clinic",
    "Digest",
    "FollowUpRow",
    "Heartbeat",
    "ImportRun",
    "Lease",
    "LedgerCheck",
    "OutboxMessage",
    "PathwayVersion",
    "Patient",
    "Person",
    "Reminder",
]
