"""Run every benchmark. Ratios travel between machines; milliseconds do not."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import date

import structlog
from sqlalchemy import text

from tests.benchmarks.ground import NOW, Installation, installation, multiply, ratio, report
from tests.benchmarks.mail import mail_against_peers
from tests.benchmarks.pages import pages_at_any_size
from tests.benchmarks.ticks import against_a_job_for_each_reminder, ticks_of_any_size
from tracker import pathways
from tracker.demo import demo_cohort
from tracker.overdue import overdue_page
from tracker.places import Scope
from tracker.replay import replay


def overdue_page_is_flat() -> None:
    with installation() as small, installation() as large:
        multiply(small, 10_000)
        multiply(large, 100_000)
        _overdue_page_is_flat(small, large)


def _overdue_page_is_flat(small: Installation, large: Installation) -> None:
    def page(place: Installation) -> None:
        with place.database.reading() as session:
            assert len(overdue_page(session, now=NOW, scope=Scope(clinic="North")).items) == 50

    report(
        "first overdue page, 100,000 cases to 10,000 (SQLite)",
        "goal ≤ 1.5, to 1,000,000",
        ratio(lambda: page(large), lambda: page(small)),
    )


def replay_against_the_bare_driver() -> None:
    """The same rows: read, checked, folded, planned and written, against an executemany of what came out."""
    lines = demo_cohort(pathways.shipped(), 60, 1, date(2026, 11, 20))

    def ours() -> None:
        with installation() as place, place.writing() as writing:
            replay(writing, lines, kind="journal")

    with installation() as place:
        with place.writing() as writing:
            replay(writing, lines, kind="journal")
        tables = ("patient", "patient_case", "case_event", "follow_up", "reminder")
        with place.database.reading() as session:
            rows = {name: [tuple(r) for r in session.execute(text(f"SELECT * FROM {name}"))] for name in tables}

    def bare() -> None:
        with installation() as place:
            connection = place.database.engine.raw_connection()
            connection.cursor().execute("PRAGMA foreign_keys = OFF")
            connection.cursor().execute("BEGIN IMMEDIATE")
            for name, found in rows.items():
                marks = ", ".join("?" * len(found[0]))
                connection.cursor().executemany(f"INSERT INTO {name} VALUES ({marks})", found)
            connection.commit()
            connection.close()

    report(
        f"replay of {len(lines):,} events to the bare driver writing the same rows", "measured", ratio(ours, bare, 5)
    )


def start_up() -> None:
    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    help_text = "from tracker.cli import tracker; tracker(['--help'], standalone_mode=False)"
    report("tracker --help to python -c pass", "goal ≤ 5", ratio(lambda: run(help_text), lambda: run("pass")))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    overdue_page_is_flat()
    pages_at_any_size()
    ticks_of_any_size()
    against_a_job_for_each_reminder()
    mail_against_peers()
    replay_against_the_bare_driver()
    start_up()
