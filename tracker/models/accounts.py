"""Who may sign in, in which roles, from where they are signed in, and which cases they looked at."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field

from tracker.models.base import Table


class Account(Table, table=True):
    """Somebody who may sign in. ``login`` is the address in small letters; no ``password``: none has been set yet.

    ``totp_nonce`` makes the secret of the second factor together with the key file; ``totp_on`` from its confirmation;
    ``totp_step`` is the last time step of which a code was used.
    """

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(max_length=254)
    login: str = Field(unique=True, max_length=254)
    name: str = Field(default="", max_length=120)
    password: str | None = Field(default=None, max_length=200)
    administrator: bool = False
    totp_nonce: bytes | None = Field(default=None, sa_column=Column(LargeBinary(16), nullable=True))
    totp_on: bool = False
    totp_step: int = 0
    created_at: datetime
    disabled_at: datetime | None = None


class Membership(Table, table=True):
    """A role that somebody has in a clinic."""

    __table_args__ = (
        CheckConstraint("role IN ('navigator', 'clinician', 'lead', 'auditor')", name="role_known"),
        Index("ix_membership_clinic_id", "clinic_id"),
    )

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    clinic_id: int = Field(primary_key=True, foreign_key="clinic.id")
    role: str = Field(primary_key=True, max_length=16)


class SignIn(Table, table=True):
    """A browser in which somebody is signed in; the row is gone when that ends.

    ``token`` is a digest of what the browser's cookie holds. ``stage`` is ``code`` while the second factor is awaited.
    ``active_at`` is the last time that the person did something.
    """

    __tablename__ = "sign_in"
    __table_args__ = (CheckConstraint("stage IN ('code', 'full')", name="stage_known"),)

    id: int | None = Field(default=None, primary_key=True)
    token: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False, unique=True))
    account_id: int = Field(foreign_key="account.id", index=True)
    stage: str = Field(max_length=8)
    made_at: datetime
    active_at: datetime
    address: str = Field(max_length=64)
    browser: str = Field(max_length=200)


class Subject(Table, table=True):
    """As whom an identity provider knows the owner of an account; ``subject`` is a keyed digest."""

    __table_args__ = (UniqueConstraint("account_id", "issuer"),)

    subject: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    account_id: int = Field(foreign_key="account.id")
    issuer: str = Field(max_length=255)
    tied_at: datetime


class RecoveryCode(Table, table=True):
    """A code that replaces the second factor once; kept as a keyed digest, gone when it was used."""

    __tablename__ = "recovery_code"

    code: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    account_id: int = Field(foreign_key="account.id", index=True)


class OneTimeLink(Table, table=True):
    """A link with which somebody sets a password once: a new account, a forgotten password, the very first start.

    Without ``account_id`` it makes the first account.
    """

    __tablename__ = "one_time_link"

    token: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    account_id: int | None = Field(default=None, foreign_key="account.id", index=True)
    made_at: datetime
    until: datetime


class FailedTries(Table, table=True):
    """How often something was tried in vain, and from when on it may be tried again.

    ``about`` is a keyed digest: of an account and where from, of an account, or of where from.
    """

    __tablename__ = "failed_tries"

    about: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    number: int
    last_at: datetime = Field(index=True)
    next_at: datetime


class KnownPlace(Table, table=True):
    """From where somebody has signed in before: there, what others try in vain does not slow them down."""

    __tablename__ = "known_place"

    account_id: int = Field(primary_key=True, foreign_key="account.id")
    place: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    last_at: datetime


class CaseLook(Table, table=True):
    """Somebody looked at a case. Rows are only ever added; each carries a keyed digest of itself."""

    __tablename__ = "case_look"
    __table_args__ = (
        Index("ix_case_look_case_id", "case_id", "id"),
        Index("ix_case_look_account_id", "account_id", "id"),
        Index("ix_case_look_clinic_id", "clinic_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id")
    case_id: int = Field(foreign_key="patient_case.id")
    clinic_id: int = Field(foreign_key="clinic.id")
    at: datetime
    page: str = Field(max_length=64)
    mac: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
