"""The tick without delivery: what is due is raised, told in digests, and written into the outbox."""

from __future__ import annotations

import statistics
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlmodel import select

from tests.benchmarks.ground import NOW, Installation, installation, make_due, multiply, report, seconds
from tracker.digests import Sender, compose_digests
from tracker.models import Reminder
from tracker.reminders import sweep

MONDAY = NOW + timedelta(days=2)
NAVIGATORS = 500
RULE = "lanreotide-injection"
ROUNDS = 5
SENDER = Sender("t@example.org", "http://127.0.0.1:5000", b"k" * 32)


def tick(place: Installation, due: int) -> None:
    """Sweep and compose, as the tick does; asserts how many reminders are told."""
    with place.database.writing() as session:
        assert sweep(session, MONDAY) == due
    assert compose_digests(place.database, SENDER, MONDAY) == min(due // 2, NAVIGATORS)


def paired(
    one: Callable[[], object], other: Callable[[], object], before: Callable[[], object] = lambda: None
) -> tuple[float, float, float]:
    """The median of the per-round ratios one/other with both medians in ms; ``before`` each of them, not timed."""
    pairs = []
    for turn in range(ROUNDS + 1):
        before()
        took = seconds(one)
        before()
        pair = (took, seconds(other))
        pairs += [pair] if turn else []
    middle = statistics.median(a / b for a, b in pairs)
    ones, others = zip(*pairs, strict=True)
    return middle, statistics.median(ones) * 1000, statistics.median(others) * 1000


def ticks_of_any_size(urls: tuple[str, str] = ("", ""), *, large: int = 1_000_000, due: int = 20_000) -> None:
    """With nothing due, and with much, however many cases there are."""
    name = "PostgreSQL" if urls[0] else "SQLite"
    with ExitStack() as stack:
        few, many = (stack.enter_context(installation(url)) for url in urls)
        multiply(few, 10_000, navigators=NAVIGATORS, rule=RULE)
        multiply(many, large, navigators=NAVIGATORS, rule=RULE)
        idle = paired(lambda: tick(many, 0), lambda: tick(few, 0))
        report(f"tick with nothing due, {large:,} cases to 10,000 ({name})", "goal ≤ 2", idle)

        def reset() -> None:
            make_due(few, due)
            make_due(many, due)

        size = paired(lambda: tick(many, due), lambda: tick(few, due), reset)
        report(f"tick with {due:,} due, {large:,} cases to 10,000 ({name})", "goal ≤ 2.5", size)
        reset()
        tick(few, due)
        written = rows_of(few)
        writing = paired(lambda: tick(few, due), lambda: write_bare(few, written), reset)
        report(f"tick with {due:,} due, to writing the same rows ({name})", "goal ≤ 3", writing)


def rows_of(place: Installation) -> dict[str, list[tuple[Any, ...]]]:
    """What a tick has written."""
    connection = place.database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        found = {}
        for table in ("digest", "outbox_message"):
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            found[table] = [tuple(row) for row in cursor.fetchall()]
        cursor.execute("SELECT raised_at, digest_id, id FROM reminder WHERE status = 'raised' ORDER BY id")
        found["reminder"] = [tuple(row) for row in cursor.fetchall()]
        return found
    finally:
        connection.close()


def write_bare(place: Installation, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    """The same rows with the bare driver in one transaction, as many a statement as it takes."""
    connection = place.database.engine.raw_connection()
    mark = "%s" if place.database.is_postgresql else "?"
    try:
        cursor = connection.cursor()
        if not place.database.is_postgresql:
            cursor.execute("BEGIN IMMEDIATE")
        for table in ("digest", "outbox_message"):
            marks = ", ".join([mark] * len(rows[table][0]))
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])
        raised = f"UPDATE reminder SET status = 'raised', raised_at = {mark}, digest_id = {mark} WHERE id = {mark}"
        cursor.executemany(raised, rows["reminder"])
        connection.commit()
    finally:
        connection.close()


def against_a_job_for_each_reminder(*, cases: int = 100_000, due: int = 1_000) -> None:
    """APScheduler's own store with a job for each reminder that is due, and a loop over models."""
    with ExitStack() as stack:
        place = stack.enter_context(installation())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        multiply(place, cases, navigators=NAVIGATORS, rule=RULE)

        def swept() -> None:
            with place.database.writing() as session:
                assert sweep(session, MONDAY) == due

        def reset() -> None:
            make_due(place, due)

        loop = paired(lambda: _by_loop(place, due), swept, reset)
        report(f"{due:,} due among {cases:,} cases: a loop over models to the sweep", "goal ≥ 100", loop)
        jobs = paired(lambda: _by_jobs(folder, due), swept, reset)
        report(f"{due:,} due among {cases:,} cases: APScheduler's store to the sweep", "goal ≥ 30", jobs)


def _by_loop(place: Installation, due: int) -> None:
    with place.database.writing() as session:
        wanted = select(Reminder).where(Reminder.status == "pending", Reminder.remind_on <= MONDAY.date())
        found = session.exec(wanted).all()
        assert len(found) == due
        for row in found:
            row.status, row.raised_at = "raised", MONDAY
            session.add(row)


_FIRED = threading.Semaphore(0)


def fire() -> None:
    """What a job does: nothing but to have been called."""
    _FIRED.release()


def _by_jobs(folder: Path, due: int) -> None:
    """A job a reminder, stored, fired and removed; the store is plain SQLite without full sync, to its advantage."""
    store = SQLAlchemyJobStore(url=f"sqlite:///{folder / 'jobs.db'}")
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone="UTC")
    scheduler.start(paused=True)
    for _ in range(due):
        scheduler.add_job(fire, misfire_grace_time=None)
    scheduler.resume()
    for _ in range(due):
        assert _FIRED.acquire(timeout=60)
    scheduler.shutdown()
