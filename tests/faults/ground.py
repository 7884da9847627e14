"""Where the tests that need thousands of commits keep their data: in memory, where the disk need not be asked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.tracker.conftest import Installation, installed, settings_in

_MEMORY = Path("/dev/shm")


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder for as long as the block lasts, in memory where the machine offers that."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="net-faults-", dir=where) as name:
        yield Path(name)


@contextmanager
def copies() -> Iterator[Callable[[], AbstractContextManager[Installation]]]:
    """Makes new installations on the embedded database, each a copy of one that was made ready once."""
    with folder() as ground:
        with installed(settings_in(ground / "ready")):
            pass

        @contextmanager
        def copy() -> Iterator[Installation]:
            with folder() as home:
                shutil.copytree(ground / "ready", home, dirs_exist_ok=True)
                with installed(settings_in(home)) as place:
                    yield place

        yield copy
