"""The audit chain: each event carries a keyed digest of itself and of the event before it in its case."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, date, datetime

START = bytes(32)


def link(
    key: bytes,
    previous: bytes,
    case: str,
    seq: int,
    ref: str,
    kind: str,
    on: date,
    recorded_at: datetime,
    actor: str,
    data: str,
) -> bytes:
    """The digest (32 bytes) of one event after ``previous``; ``data`` is the text exactly as stored."""
    record = [case, seq, ref, kind, on.isoformat(), recorded_at.astimezone(UTC).isoformat(), actor, data]
    message = previous + json.dumps(record, ensure_ascii=False).encode()
    return hmac.digest(key, message, hashlib.sha256)
