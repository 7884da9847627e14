"""The installation's secret: one key file, mode 0600, from which every other key is derived."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import WrongSetting

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secret:
    """The root key. It is never shown: not in logs, not in a repr."""

    _root: bytes

    def __repr__(self) -> str:
        return "Secret(…)"

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose."""
        return hmac.digest(self._root, purpose.encode(), hashlib.sha256)


def load(path: Path) -> Secret:
    """The secret in the key file; raises :class:`WrongSetting` where it is missing, open to others, or damaged."""
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise WrongSetting(f"the key file {path.name} cannot be read; run `tracker init`") from error
    except UnicodeDecodeError:
        raise _damaged(path) from None
    if mode & 0o077:
        raise WrongSetting(f"the key file {path.name} can be read by others (mode {mode:04o}); run chmod 600 on it")
    if re.fullmatch(f"[0-9a-f]{{{_BYTES * 2}}}", text) is None:
        raise _damaged(path)
    return Secret(bytes.fromhex(text))


def _damaged(path: Path) -> WrongSetting:
    return WrongSetting(f"the key file {path.name} is damaged: {_BYTES * 2} hexadecimal digits were expected")


def create(path: Path) -> Secret:
    """Make the key file, readable by its owner alone, or load the one that is there."""
    try:
        if not path.exists():
            _write_new(path)
    except OSError as error:
        raise WrongSetting(f"the key file {path.name} cannot be made: {error.strerror}") from error
    return load(path)


def _write_new(path: Path) -> None:
    """Whole or not at all, and never over a key that somebody else has made meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
