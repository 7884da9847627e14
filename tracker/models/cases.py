"""Clinics, people, patients, cases, and the events that are the truth about them."""

from datetime import date, datetime, time

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.base import EXACT, Table

_OPEN = text("phase <> 'closed'")
_WARNED = text("warnings_unexplained > 0")


class Clinic(Table, table=True):
    """A clinic: the zone in which its dates are local, who hears of escalations, and when it writes.

    ``working_days`` are digits of ISO weekdays (1 is Monday); ``holidays`` names a calendar such as ``GB-ENG``.
    """

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, max_length=120)
    timezone: str = Field(max_length=64)
    lead_email: str | None = Field(default=None, max_length=254)
    clinician_email: str | None = Field(default=None, max_length=254)
    mail_from: str | None = Field(default=None, max_length=254)
    digest_at: time = time(7, 30)
    working_days: str = Field(default="12345", max_length=7)
    holidays: str | None = Field(default=None, max_length=16)


class Person(Table, table=True):
    """Somebody who looks after cases or hears of them.

    ``digest_days``: digits of the ISO weekdays on which a digest is wanted; none means urgent items only.
    """

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, max_length=254)
    digest_days: str = Field(default="1234567", max_length=7)


class Absence(Table, table=True):
    """When somebody is away, first and last day included, and who stands in; nobody named means the clinic's lead."""

    __table_args__ = (CheckConstraint("from_on <= until_on", name="in_order"),)

    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", index=True)
    from_on: date
    until_on: date
    stand_in: str | None = Field(default=None, max_length=254)


class PathwayVersion(Table, table=True):
    """A published pathway document, under the digest of its content. It is never changed."""

    __tablename__ = "pathway_version"

    digest: str = Field(primary_key=True, max_length=64)
    pathway: str = Field(max_length=64)
    version: str = Field(max_length=64)
    document: str = Field(sa_column=Column(Text, nullable=False))
    published_at: datetime
    published_by: str = Field(max_length=254)


class Patient(Table, table=True):
    """Who a case is about. Everything but the reference may be unknown."""

    id: int | None = Field(default=None, primary_key=True)
    ref: str = Field(unique=True, max_length=64)
    name: str | None = Field(default=None, max_length=200)
    birth_date: date | None = Field(default=None, index=True)
    sex: str | None = Field(default=None, max_length=16)
    mrn: str | None = Field(default=None, max_length=64)


def _of_open(name: str, *columns: str) -> Index:
    """What the worklist is limited to or put in order by: looked up clinic by clinic among the cases that are open."""
    return Index(f"ix_patient_case_clinic_{name}", "clinic_id", *columns, sqlite_where=_OPEN, postgresql_where=_OPEN)


class Case(Table, table=True):
    """A projection of a case's events: where it stands. ``version`` is the number of events.

    ``treatments``: the codes of the lines that are open, see :func:`tracker.projection.treatments_value`; ``grade`` and
    ``functional`` are the facts of these names, None while unknown. ``sort_name`` puts lists in the order of names.
    """

    __tablename__ = "patient_case"
    __table_args__ = (
        Index("ix_patient_case_clinic_state", "clinic_id", "state", "id"),
        Index("ix_patient_case_clinic_waiting", "clinic_id", "state", "since"),
        Index("ix_patient_case_clinic_ref", "clinic_id", "ref"),
        Index("ix_patient_case_navigator_state", "navigator_id", "state"),
        _of_open("name", "sort_name", "id"),
        *(_of_open(column, column) for column in ("treatments", "grade", "functional", "phase")),
        Index("ix_patient_case_clinic_warned", "clinic_id", sqlite_where=_WARNED, postgresql_where=_WARNED),
    )

    id: int | None = Field(default=None, primary_key=True)
    ref: str = Field(unique=True, max_length=64)
    patient_id: int = Field(foreign_key="patient.id", index=True)
    clinic_id: int = Field(foreign_key="clinic.id")
    navigator_id: int | None = Field(default=None, foreign_key="person.id")
    pathway_digest: str = Field(foreign_key="pathway_version.digest", max_length=64)
    state: str = Field(max_length=64)
    phase: str = Field(max_length=32)
    since: date
    opened_on: date
    closed_on: date | None = None
    died_on: date | None = None
    lines_open: int = 0
    treatments: str | None = Field(default=None, max_length=120)
    grade: str | None = Field(default=None, max_length=8)
    functional: bool | None = None
    sort_name: str = Field(default="", sa_column=Column(EXACT, nullable=False, server_default=""))
    needs_plan: bool = False
    warnings_unexplained: int = 0
    version: int
    head_mac: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


class CaseEvent(Table, table=True):
    """One event, as recorded. Rows are only ever added; each carries a keyed digest of itself and its predecessor."""

    __tablename__ = "case_event"
    __table_args__ = (
        UniqueConstraint("case_id", "seq"),
        UniqueConstraint("case_id", "ref"),
        CheckConstraint("seq > 0", name="seq_positive"),
        CheckConstraint("actor <> ''", name="has_actor"),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="patient_case.id")
    seq: int
    ref: str = Field(max_length=120)
    kind: str = Field(max_length=32)
    on: date = Field(sa_column_kwargs={"name": "true_on"})
    recorded_at: datetime
    actor: str = Field(max_length=254)
    data: str = Field(sa_column=Column(Text, nullable=False))
    mac: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))


class ImportRun(Table, table=True):
    """What came in from a file: which content, by whom, when, and how much of it."""

    __tablename__ = "import_run"

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=32)
    content: str = Field(max_length=64)
    actor: str = Field(max_length=254)
    at: datetime
    cases: int
    events: int
