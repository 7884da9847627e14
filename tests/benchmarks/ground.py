"""Installations of any size, made quickly, and rounds measured in turn."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import bindparam, text
from sqlmodel import Session, SQLModel

from tests.tracker.conftest import Installation, installed, settings_in
from tests.tracker.histories import lanreotide
from tracker.models import Person

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ROUNDS = 7
FIRST_NAVIGATOR = 1000


@contextmanager
def installation(database_url: str = "") -> Iterator[Installation]:
    """An empty installation in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder, installed(settings_in(Path(folder), database_url)) as place:
        yield place


def multiply(place: Installation, cases: int, *, navigators: int = 1, rule: str = "") -> None:
    """One real case, and copies of its rows until there are so many, all with reminders far ahead.

    Works on both databases. ``rule`` keeps the open follow-up of one rule alone, for a million cases, and lets it be
    due far ahead as well: what is overdue in a real register is a small part of it.
    """
    place.replay(lanreotide("N-0"))
    with place.database.writing() as session:
        if rule:
            session.execute(text("DELETE FROM reminder WHERE follow_up_key NOT LIKE :rule"), {"rule": f"{rule}%"})
            only = "DELETE FROM follow_up WHERE key NOT LIKE :rule OR status <> 'open'"
            session.execute(text(only), {"rule": f"{rule}%"})
        for n in range(navigators):
            session.add(Person(id=FIRST_NAVIGATOR + n, email=f"nav{n}@example.org"))
    for table, own in (("patient", {"ref": "'N-' || i"}), ("patient_case", {"ref": "'N-' || i", "patient_id": "i"})):
        _copy(place, table, own | {"id": "i"}, "id = 1", cases)
    for table in ("follow_up", "reminder"):
        _copy(place, table, {"case_id": "i", "id": ""}, "case_id = 1", cases)
    with place.database.writing() as session:
        session.execute(text("UPDATE reminder SET status = 'pending', raised_at = NULL, remind_on = '2030-01-01'"))
        if rule:
            session.execute(text("UPDATE follow_up SET due_on = '2030-01-01', late_on = '2030-01-04'"))
            session.execute(text("UPDATE reminder SET due_on = '2030-01-01'"))
        for table in ("reminder", "follow_up"):
            spread = f"UPDATE {table} SET navigator_id = {FIRST_NAVIGATOR} + case_id % {navigators}"
            session.execute(text(spread))
        analyze(place, session)


def analyze(place: Installation, session: Session) -> None:
    """What PostgreSQL's own service does; the embedded database never counts what is in its tables."""
    if place.database.is_postgresql:
        session.execute(text("ANALYZE"))


def make_due(place: Installation, number: int, steps: int = 2) -> None:
    """So many reminders are due: ``steps`` of each of the first cases."""
    chosen = ("due", "overdue", "opens")[:steps]
    last = {"last": number // steps}
    with place.database.writing() as session:
        late = "UPDATE follow_up SET due_on = '2026-11-16', late_on = '2026-11-19' WHERE case_id <= :last"
        session.execute(text(late), last)
        session.execute(
            text(
                "UPDATE reminder SET status = 'pending', raised_at = NULL, digest_id = NULL, sent_at = NULL,"
                " due_on = '2026-11-16' WHERE case_id <= :last"
            ),
            last,
        )
        due = text("UPDATE reminder SET remind_on = '2026-11-20' WHERE case_id <= :last AND step IN :steps")
        session.execute(due.bindparams(bindparam("steps", expanding=True)), last | {"steps": chosen})
        session.execute(text("DELETE FROM outbox_message"))
        session.execute(text("DELETE FROM digest"))


def _copy(place: Installation, table: str, own: dict[str, str], which: str, cases: int) -> None:
    columns = [c.name for c in SQLModel.metadata.tables[table].columns if own.get(c.name) != ""]
    values = ", ".join(own.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {cases})"
    with place.database.writing() as session:
        session.execute(
            text(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n, {table} t WHERE t.{which}")
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
