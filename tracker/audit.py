"""What is changed and belongs to no case: who, when, what. Entries are only ever added, in one keyed chain."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from tracker.db import one_at_a_time
from tracker.models import AuditEntry
from tracker.writing import Writing

_START = bytes(32)
_LOCK = 0x61756469  # any number, as long as every process takes the same


def note(writing: Writing, kind: str, subject: str, data: dict[str, Any]) -> None:
    """Add an entry; ``data`` says what was and what is. Nothing personal of a patient belongs here."""
    session = writing.session
    one_at_a_time(session, _LOCK)  # the chain has one end
    last = session.execute(select(AuditEntry).order_by(col(AuditEntry.seq).desc()).limit(1)).scalar_one_or_none()
    entry = AuditEntry(
        seq=last.seq + 1 if last else 1,
        at=writing.now.astimezone(UTC),
        actor=writing.actor,
        kind=kind,
        subject=subject,
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
        mac=b"",
    )
    entry.mac = _link(writing.chain_key, last.mac if last else _START, entry)
    session.add(entry)
    session.flush()


def broken(session: Session, key: bytes) -> Iterator[str]:
    """Entries that are not as they were written, or missing."""
    previous = _START
    for position, entry in enumerate(session.execute(select(AuditEntry).order_by(col(AuditEntry.seq))).scalars(), 1):
        where = f"audit_entry row {entry.seq} ({entry.kind})"
        if entry.seq != position:
            yield f"{where}: an entry before it is missing"
            return
        if _link(key, previous, entry) != entry.mac:
            yield f"{where}: its content is not what was recorded"
            return
        previous = entry.mac


def _link(key: bytes, previous: bytes, entry: AuditEntry) -> bytes:
    record = [entry.seq, entry.at.astimezone(UTC).isoformat(), entry.actor, entry.kind, entry.subject, entry.data]
    return hmac.digest(key, previous + json.dumps(record, ensure_ascii=False).encode(), hashlib.sha256)
