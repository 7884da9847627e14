"""Installations of any size, made quickly, and rounds measured in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from tests.tracker.conftest import Installation, installed, settings_in
from tests.tracker.histories import lanreotide

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ROUNDS = 7


@contextmanager
def installation() -> Iterator[Installation]:
    """An empty installation in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder, installed(settings_in(Path(folder))) as place:
        yield place


def multiply(place: Installation, cases: int) -> None:
    """One real case, and copies of its rows until there are so many, all with reminders far ahead."""
    place.replay(lanreotide("N-0"))
    numbers = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < :cases)"
    for table, own in (("patient", {"ref": "'N-' || i"}), ("patient_case", {"ref": "'N-' || i", "patient_id": "i"})):
        _copy(place, numbers, table, own | {"id": "i"}, "id = 1", cases)
    for table in ("follow_up", "reminder"):
        _copy(place, numbers, table, {"case_id": "i", "id": "NULL"}, "case_id = 1", cases)
    with place.database.writing() as session:
        session.execute(text("UPDATE reminder SET status = 'pending', raised_at = NULL, remind_on = '2030-01-01'"))


def _copy(place: Installation, numbers: str, table: str, own: dict[str, str], which: str, cases: int) -> None:
    with place.database.writing() as session:
        columns = [row[1] for row in session.execute(text(f"PRAGMA table_info({table})"))]
        values = ", ".join(own.get(column, f't."{column}"') for column in columns)
        names = ", ".join(f'"{column}"' for column in columns)
        session.execute(
            text(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n, {table} t WHERE t.{which}"),
            {"cases": cases},
        )


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(one: Callable[[], object], other: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """The median of the per-round ratios one/other, and both medians in milliseconds; measured in turn."""
    one(), other()
    pairs = [(seconds(one), seconds(other)) for _ in range(rounds)]
    ones, others = zip(*pairs, strict=True)
    middle = statistics.median(a / b for a, b in pairs)
    return middle, statistics.median(ones) * 1000, statistics.median(others) * 1000


def report(name: str, goal: str, measured: tuple[float, float, float]) -> None:
    """One line of the table."""
    print(f"{name:64} {measured[0]:8.2f} ×   {measured[1]:9.2f} ms / {measured[2]:9.2f} ms   ({goal})")
