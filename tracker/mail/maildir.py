"""Delivery into a Maildir: a folder that any mail program reads. Writing a message twice leaves it once."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from tracker.mail.transport import Outcome, Parcel, Result

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._=-]{0,199}")
"""A name that no file system, reader of Maildirs or pattern of names takes for anything else."""


class Maildir:
    """A transport that puts each message into ``new`` under a name that follows from its Message-ID.

    It is its own journal: what stands in ``new``, or where its reader moved it in ``cur``, has arrived.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        """Store the message durably; deferred where the disk does not take it, in doubt where it may have."""
        name = _name_of(parcel.message_id)
        try:
            draft = self._drafted(name, parcel.content)
        except OSError as error:
            return _not_taken(error)
        try:
            if not leave():
                return Outcome(Result.WITHDRAWN)
            return self._put(draft, name)
        finally:
            _forget(draft)

    def check(self) -> Outcome:
        """Whether the folder takes a message."""
        try:
            self._drafted("check", b"").unlink()
        except OSError as error:
            return _not_taken(error)
        return Outcome(Result.SENT)

    def close(self) -> None:
        """There is nothing to let go of."""

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        """Those of the messages that were stored durably, at whatever time; OSError where that cannot be known."""
        _fsync(self._folder / "new")
        stored = self._stored()
        return {message_id for message_id in message_ids if _name_of(message_id) in stored}

    def _drafted(self, name: str, content: bytes) -> Path:
        """The message in ``tmp``, on the disk. What an attempt that was killed left there is cleared away."""
        for part in ("tmp", "new", "cur"):
            _make(self._folder / part)
        for left in (self._folder / "tmp").glob(f"{name},*"):
            left.unlink(missing_ok=True)
        draft = self._folder / "tmp" / f"{name},{secrets.token_hex(4)}"
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _put(self, draft: Path, name: str) -> Outcome:
        try:
            if name not in self._stored():
                draft.rename(self._folder / "new" / name)
        except OSError as error:
            return _not_taken(error)
        try:
            _fsync(self._folder / "new")
        except OSError as error:  # it can be read from now on, and a power cut may still take it away
            seen = "it stands in the Maildir, and perhaps not on the disk"
            return Outcome(Result.UNCERTAIN, f"{seen} ({type(error).__name__})", down=True)
        return Outcome(Result.SENT)

    def _stored(self) -> set[str]:
        """Names in ``new`` and ``cur``, without the flags that a reader puts behind a colon."""
        parts = (self._folder / "new", self._folder / "cur")
        return {stored.name.partition(":")[0] for part in parts for stored in part.iterdir()}


def _name_of(message_id: str) -> str:
    name = message_id.removeprefix("<").removesuffix(">")
    return name if _SAFE.fullmatch(name) else hashlib.sha256(message_id.encode()).hexdigest()


def _make(folder: Path) -> None:
    """A folder that is there after a power cut too."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _fsync(folder.parent)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(draft: Path) -> None:
    """Remove what was not put in its place; an outcome that is known is not lost over it."""
    try:
        draft.unlink(missing_ok=True)
    except OSError:
        return


def _not_taken(error: OSError) -> Outcome:
    return Outcome(Result.DEFERRED, f"the Maildir does not take it ({type(error).__name__})", down=True)
