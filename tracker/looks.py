"""Who looked at which case, and when: one small row for each, which is never changed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from tracker.models import CaseLook
from tracker.secret import Secret


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looked at a case of a clinic, on a page. ``at`` is aware."""

    account_id: int
    case_id: int
    clinic_id: int
    at: datetime
    page: str


def record(session: Session, secret: Secret, looks: Iterable[Look]) -> None:
    """Add a row for each look, sealed with a key that the database does not hold."""
    key = key_from(secret.derive("event chain"))
    for look in looks:
        session.add(
            CaseLook(
                account_id=look.account_id,
                case_id=look.case_id,
                clinic_id=look.clinic_id,
                at=look.at,
                page=look.page,
                mac=seal(key, look),
            )
        )


def key_from(chain_key: bytes) -> bytes:
    """The key of the looks, from that of the chains."""
    return hmac.digest(chain_key, b"looks at cases", hashlib.sha256)


def broken(session: Session, chain_key: bytes) -> Iterator[str]:
    """Rows that are not as they were written."""
    key = key_from(chain_key)
    for row in session.scalars(select(CaseLook).order_by(col(CaseLook.id)).execution_options(yield_per=1000)):
        look = Look(row.account_id, row.case_id, row.clinic_id, row.at, row.page)
        if not hmac.compare_digest(seal(key, look), row.mac):
            yield f"case_look row {row.id}: its content is not what was recorded"


def seal(key: bytes, look: Look) -> bytes:
    """The keyed digest of a look."""
    parts = [look.account_id, look.case_id, look.clinic_id, look.at.astimezone(UTC).isoformat(), look.page]
    return hmac.digest(key, json.dumps(parts).encode(), hashlib.sha256)
