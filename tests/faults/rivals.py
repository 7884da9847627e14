"""Several schedulers at once on one database with very much to do, against one alone: nothing twice, nothing lost.

    python -m tests.faults.rivals --occurrences 100000 --processes 4 --database sqlite|postgresql

First one process, then so many at once, each time on a fresh database with a fresh mail server. All the reminders
are due at one moment; a process ticks until nothing is left to do. FAULTS_DATABASE_URL names an empty database to use
with ``--only`` instead of one made here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel, col, func, select

from tests.faults.arrivals import Arrivals
from tests.faults.world import environment, smtp_server
from tests.postgres import running_server
from tests.tracker.conftest import Installation, installed
from tests.tracker.histories import lanreotide
from tracker import balance, outbox
from tracker import tick as ticking
from tracker.models import Digest, OutboxMessage, Reminder
from tracker.settings import from_environment

MORNING = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
CLINICS = 5

_BREATH = 0.05


@dataclass
class Arm:
    """What so many processes made of it, and how long each part of the work took on the clock.

    ``waited_in_vain``: ticks that gave up because another process was writing.
    """

    processes: int
    occurrences: int
    digests: int = 0
    accepted: int = 0
    told: int = 0
    by_process: list[int] = field(default_factory=list)
    waited_in_vain: int = 0
    twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


# Much to do ------------------------------------------------------------------------------------------------


def fill(place: Installation, occurrences: int, navigators: int) -> None:
    """One real case, and copies of its rows: in each one follow-up is open, and its reminder due this morning.

    Each navigator has cases in two clinics, so that there are twice as many digests, and one of the first case's own.
    """
    place.replay(lanreotide("N-0"), now=MORNING - timedelta(days=5))
    with place.database.writing() as session:
        one = session.exec(
            select(Reminder.id).where(Reminder.step == "opens").order_by(col(Reminder.id)).limit(1)
        ).one()
        session.execute(text(f"DELETE FROM reminder WHERE id <> {one}"))
        session.execute(text(f"UPDATE reminder SET remind_on = '{MORNING.date()}', status = 'pending'"))
        key = "(SELECT follow_up_key FROM reminder)"
        session.execute(text(f"DELETE FROM follow_up WHERE key <> {key}"))
    navigator = f"2 + i % {navigators}"
    clinic = f"1 + (i % {navigators} + i / {navigators} % 2) % {CLINICS}"
    _copy(place, "clinic", {"id": "i", "name": "'C-' || i"}, CLINICS)
    _copy(place, "person", {"id": "i", "email": "'nav' || i || '@example.org'"}, navigators + 1)
    _copy(place, "patient", {"id": "i", "ref": "'N-' || i"}, occurrences)
    whose = {"clinic_id": clinic, "navigator_id": navigator}
    _copy(place, "patient_case", {"id": "i", "ref": "'N-' || i", "patient_id": "i", **whose}, occurrences)
    for table in ("follow_up", "reminder"):
        _copy(place, table, {"case_id": "i", **whose}, occurrences)
    if place.database.is_postgresql:
        with place.database.writing() as session:
            session.execute(text("ANALYZE"))


def _copy(place: Installation, table: str, own: dict[str, str], until: int) -> None:
    """The only row of a table with numbers from 2 on; an id that is not given is found by the database."""
    columns = [c.name for c in SQLModel.metadata.tables[table].columns if c.name != "id" or "id" in own]
    values = ", ".join(own.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {until})"
    first = f"(SELECT * FROM {table} ORDER BY id LIMIT 1)"
    with place.database.writing() as session:
        session.execute(text(f"INSERT INTO {table} ({names}) {numbers} SELECT {values} FROM n, {first} t"))


# The rivals ------------------------------------------------------------------------------------------------


@dataclass
class Stopwatch:
    """When a process began which part of its ticks; the parts are told apart by what the tick calls in turn."""

    marks: list[tuple[str, float, float]] = field(default_factory=list)
    part: str = "rest"
    since: float = field(default_factory=time.monotonic)

    def begins(self, part: str) -> None:
        now = time.monotonic()
        self.marks.append((self.part, self.since, now))
        self.part, self.since = part, now

    def watch(self, module: Any, name: str, part: str) -> None:
        called: Callable[..., Any] = getattr(module, name)

        def watched(*args: Any, **options: Any) -> Any:
            self.begins(part)
            return called(*args, **options)

        setattr(module, name, watched)


def _rival(place: Installation, report: Path) -> int:
    """One scheduler: tick until nothing is left, and write down when it did what."""
    place.database.engine.dispose(close=False)
    watch, sent, in_vain, start = Stopwatch(), 0, 0, time.monotonic()
    for name, part in (
        ("sweep", "sweep"),
        ("compose_digests", "composing"),
        ("_beat", "rest"),
        ("_deliver", "delivery"),
    ):
        watch.watch(ticking, name, part)
    while True:
        watch.begins("rest")
        try:
            done = place.tick(MORNING + timedelta(seconds=time.monotonic() - start))
        except OperationalError:  # another one has the database for longer than one waits: the next minute will do
            in_vain += 1
            continue
        sent += done.sent
        if not done.sent and _nothing_left(place):
            break
        watch.begins("rest")
        if not done.sent:
            time.sleep(_BREATH)
    watch.begins("rest")
    report.write_text(json.dumps({"sent": sent, "in_vain": in_vain, "marks": watch.marks}))
    return 0


def _nothing_left(place: Installation) -> bool:
    waits = outbox.standing(place.database)
    if waits["queued"] + waits["retry_wait"] + waits["claimed"] + waits["transmitting"]:
        return False
    with place.database.reading() as session:
        return session.exec(select(Reminder.id).where(Reminder.status == "pending").limit(1)).first() is None and (
            session.exec(select(Reminder.id).where(Reminder.status == "raised").limit(1)).first() is None
        )


def compete(place: Installation, folder: Path, processes: int, occurrences: int) -> Arm:
    """Let so many processes at it at once."""
    arm = Arm(processes, occurrences)
    place.database.engine.dispose()
    start, children = time.monotonic(), []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(Exception):
                code = _rival(place, folder / f"rival-{number}.json")
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not any(codes), f"a scheduler failed: {codes}"
    arm.seconds["in all"] = time.monotonic() - start
    _add_up(arm, [json.loads((folder / f"rival-{number}.json").read_text()) for number in range(processes)])
    return arm


def _add_up(arm: Arm, reports: list[dict[str, Any]]) -> None:
    """Each part as it shows on the clock: delivery lasts until the last process has nothing more to deliver."""
    arm.by_process = [report["sent"] for report in reports]
    arm.waited_in_vain = sum(report["in_vain"] for report in reports)
    marks = [mark for report in reports for mark in report["marks"]]
    for part in ("sweep", "composing"):
        spans = sorted(end - begin for name, begin, end in marks if name == part)
        arm.seconds[part] = spans[-1] if spans else 0.0
    composed = max(((end - begin, end) for name, begin, end in marks if name == "composing"), default=(0.0, 0.0))[1]
    last = max((end for name, begin, end in marks if name == "delivery" and end - begin > _BREATH), default=composed)
    arm.seconds["delivery"] = max(last - composed, 0.0)
    arm.seconds = {name: round(spent, 2) for name, spent in arm.seconds.items()}


def weigh(place: Installation, journal: Path, arm: Arm) -> None:
    """What the mail server has against what the database has."""
    arrivals = Arrivals(journal, place.settings.mail_dir)
    arrivals.collect(place)
    arm.accepted = arrivals.number
    arm.told = sum(one.items for some in arrivals.found.values() for one in some)
    arm.twice = [f"{key}: accepted {len(some)} times" for key, some in arrivals.found.items() if len(some) > 1]
    with place.database.reading() as session:
        arm.digests = session.exec(select(func.count()).select_from(Digest)).one()
        messages = session.exec(select(func.count()).select_from(OutboxMessage)).one()
        sent = session.exec(select(func.count()).select_from(Reminder).where(Reminder.status == "sent")).one()
        findings = [*balance.balance(session, MORNING).findings, *arrivals.against(session)]
    arm.twice += [words for words in findings if "second" in words]
    arm.lost = [words for words in findings if "second" not in words]
    if not arm.occurrences == sent == arm.told:
        (arm.twice if arm.told > sent else arm.lost).append(f"{sent} count as sent, {arm.told} were told")
    if not arm.digests == messages == arm.accepted:
        arm.lost.append(f"{arm.digests} digests, {messages} messages, {arm.accepted} accepted")


@dataclass(frozen=True)
class Race:
    """What there is to do, and how mail leaves."""

    occurrences: int = 100_000
    navigators: int = 500
    mail: str = "smtp"


def run(folder: Path, url: str, race: Race, processes: int) -> Arm:
    """One arm on a fresh database."""
    journal = folder / "accepted"
    with ExitStack() as stack:
        pace = race.mail.partition("+")[2] or "0"
        port = 0 if race.mail == "maildir" else stack.enter_context(smtp_server(journal, "--jitter-ms", pace))
        told = environment(folder, url, port, journal if port else None)
        place = stack.enter_context(installed(from_environment(told)))
        fill(place, race.occurrences, race.navigators)
        arm = compete(place, folder, processes, race.occurrences)
        weigh(place, journal, arm)
    return arm


def arms(database: str, race: Race, numbers: Sequence[int]) -> Iterator[Arm]:
    """So many processes, and then so many, each on an installation of its own."""
    given = os.environ.get("FAULTS_DATABASE_URL", "")
    with ExitStack() as stack:
        server = stack.enter_context(running_server()) if database == "postgresql" and not given else None
        for number in numbers:
            url = server.create_database() if server else given
            with tempfile.TemporaryDirectory(prefix="net-rivals-") as folder:
                arm = run(Path(folder), url, race, number)
            print(f"{number}: {arm.seconds}", file=sys.stderr, flush=True)
            yield arm
            if server:
                server.drop_database(url)


def times_as_fast(found: Sequence[Arm]) -> list[float]:
    """How long one took, divided by how long several did, round by round."""
    pairs = zip(found[::2], found[1::2], strict=False)
    return [round(one.seconds["in all"] / several.seconds["in all"], 2) for one, several in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--occurrences", type=int, default=100_000)
    parser.add_argument("--navigators", type=int, default=500)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--mail", default="smtp", help="smtp, smtp+MS (each answer takes up to so long) or maildir")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="store_true", help="the several, without the one to compare them with")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    numbers = (wanted.processes,) if wanted.only else (1, wanted.processes)
    race = Race(wanted.occurrences, wanted.navigators, wanted.mail)
    found = list(arms(wanted.database, race, numbers * wanted.rounds))
    told = {"database": wanted.database, "mail": wanted.mail, "cores": os.cpu_count()}
    times = {} if wanted.only else {"times as fast": times_as_fast(found)}
    print(json.dumps(told | times | {"arms": [asdict(arm) for arm in found]}, indent=2))
    sys.exit(1 if any(arm.twice or arm.lost for arm in found) else 0)


if __name__ == "__main__":
    main()
