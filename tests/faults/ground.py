"""Where the tests that need thousands of commits keep their data: in memory, where the disk need not be asked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder for as long as the block lasts, in memory where the machine offers that."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="net-faults-", dir=where) as name:
        yield Path(name)
