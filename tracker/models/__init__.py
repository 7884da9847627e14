"""The tables. Schema changes need a migration; ``alembic check`` keeps them equal."""

from tracker.models.accounts import (
    Account,
    CaseLook,
    FailedTries,
    KnownPlace,
    Membership,
    OneTimeLink,
    RecoveryCode,
    SignIn,
    Subject,
)
from tracker.models.cases import Absence, Case, CaseEvent, Clinic, ImportRun, PathwayVersion, Patient, Person
from tracker.models.follow_ups import IS_OPEN, FollowUpRow, Reminder
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
from tracker.models.rooms import CaseChange, CaseTerm, FollowUpChange, MeetingItem, PlannedHandOver, Tally
from tracker.models.views import ChosenColumns, SavedView, SearchWords

__all__ = [
    "IN_HAND",
    "IN_QUESTION",
    "IS_OPEN",
    "WAITING",
    "Absence",
    "Account",
    "AuditEntry",
    "Case",
    "CaseChange",
    "CaseEvent",
    "CaseLook",
    "CaseTerm",
    "ChosenColumns",
    "Clinic",
    "Digest",
    "FailedTries",
    "FollowUpChange",
    "FollowUpRow",
    "Heartbeat",
    "ImportRun",
    "KnownPlace",
    "Lease",
    "LedgerCheck",
    "MeetingItem",
    "Membership",
    "OneTimeLink",
    "OutboxMessage",
    "PathwayVersion",
    "Patient",
    "Person",
    "PlannedHandOver",
    "RecoveryCode",
    "Reminder",
    "SavedView",
    "SearchWords",
    "SignIn",
    "Subject",
    "Tally",
]
