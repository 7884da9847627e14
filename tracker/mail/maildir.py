"""Delivery into a Maildir: a folder that any mail program reads. Writing a message twice leaves it once."""

from __future__ import annotations

import os
from pathlib import Path


class Maildir:
    """A transport that puts each message into ``new`` under a name that follows from its key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, key: str, content: bytes) -> None:
        """Store the message durably; OSError where the disk does not take it."""
        for part in ("tmp", "new", "cur"):
            (self._folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        if any((self._folder / "cur").glob(f"{key}*")):
            return
        draft = self._folder / "tmp" / key
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / "new" / key)
