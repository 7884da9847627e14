"""The installation's secret: one key file, mode 0600, from which every other key is derived."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
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
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"the key file {path.name} cannot be read; run `tracker init`") from error
    if mode & 0o077:
        raise WrongSetting(f"the key file {path.name} can be read by others (mode {mode:04o}); run chmod 600 on it")
    if len(text) != _BYTES * 2:
        raise WrongSetting(f"the key file {path.name} is damaged: {_BYTES * 2} hexadecimal digits were expected")
    return Secret(bytes.fromhex(text))


def create(path: Path) -> Secret:
    """Make the key file, readable by its owner alone, or load the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return load(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return load(path)
