"""Years of virtual work with a fault every day; in the end the ledger balances to the last row.

    python -m tests.faults.soak --years 10 --cases 5000 --database sqlite|postgresql --seed N

Invented histories to begin with; then each day people record, change how they work, and something goes wrong. The
same seed draws the same days; when exactly a killed tick dies is up to the machine. SIGUSR1 ends the years early, and
what there has been is weighed. FAULTS_DATABASE_URL names an empty database to use instead of one made here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import structlog
from sqlalchemy import text
from sqlmodel import col, func, select

from tests.faults import trouble
from tests.faults.arrivals import Arrivals
from tests.faults.kills import SABOTAGE
from tests.faults.navigators import Navigators, cohort
from tests.faults.operator import settle
from tests.faults.steered import steered
from tests.faults.trouble import Site, Tick
from tests.faults.world import START, environment
from tests.postgres import running_server
from tests.tracker.conftest import Installation, installed
from tracker import balance, tick
from tracker.ledger import verify
from tracker.models import IN_QUESTION, AuditEntry, Digest, LedgerCheck, OutboxMessage, Reminder
from tracker.settings import Settings, from_environment
from workflows.pathway import load

HOURS = (2, 8, 13, 22)
"""UTC. Between them every zone's morning comes."""

EVENTS = 8
MONTH = 30
ENOUGH = threading.Event()
"""Set where the years are to end early."""
_MAILDIR_MONTHS = (10, 11, 12)
_MIDWEEK = (2, 3, 4)


@dataclass
class Tally:
    """What a run came to. ``night`` counts what the nightly balances said while things went wrong."""

    years: float = 0
    days: int = 0
    cases: int = 0
    events: int = 0
    recorded: dict[str, int] = field(default_factory=dict)
    ticks: int = 0
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    digests: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    settled_by_hand: int = 0
    expected: int = 0
    sent: int = 0
    withheld: int = 0
    pending: int = 0
    other: dict[str, int] = field(default_factory=dict)
    night: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Soak:
    """One installation over the years."""

    site: Site
    navigators: Navigators
    arrivals: Arrivals
    random: Random
    events: int = EVENTS
    tally: Tally = field(default_factory=Tally)
    seconds: Counter[str] = field(default_factory=Counter)

    @property
    def place(self) -> Installation:
        return self.site.place

    # The years -----------------------------------------------------------------------------------------------

    def begin(self, cases: int, seed: int) -> None:
        """Histories up to the day before the first, each clinic with a lead, and a first tick in peace."""
        with self._timed("histories"):
            moment = START - timedelta(days=1)
            self.place.replay(cohort(self.place, cases, seed, moment), now=moment)
        self.navigators.be_reachable(moment)
        self.site.use(smtp=True)
        self.site.tick(START - timedelta(hours=1))

    def live(self, days: int) -> date:
        """So many days, each with its trouble; the day after the last."""
        day, end, said = START.date(), START.date() + timedelta(days=days), time.monotonic()
        while day < end and not ENOUGH.is_set():
            name, cause = self._draw()
            self.site.lasts = 1
            with cause(self.site) as todays_tick:
                for _ in range(min(self.site.lasts, (end - day).days)):
                    self.tally.faults[name] = self.tally.faults.get(name, 0) + 1
                    self._day(day, todays_tick)
                    day += timedelta(days=1)
            self._change_season(day)
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{day} {sum(self.seconds.values()):.0f} s", file=sys.stderr, flush=True)
        return day

    def _draw(self) -> tuple[str, trouble.Trouble]:
        kinds = trouble.possible(self.site)
        name = self.random.choices(list(kinds), [weight for _, weight in kinds.values()])[0]
        return name, kinds[name][0]

    def _day(self, day: date, todays_tick: Tick) -> None:
        self.tally.days += 1
        for hour in HOURS:
            now = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            self.place.now = now
            with self._timed("recording"):
                self.record(now, self.events // len(HOURS))
            with self._timed("ticks"):
                todays_tick(now)
        with self._timed("the rest of the days"):
            self.navigators.change_their_ways(now)
            self._settle(now)
            if self.tally.days % MONTH == 0:
                self._look_through(now)

    def _settle(self, now: datetime) -> None:
        """Somebody decides about what is in question, hours after it came into question: by then it is known."""
        self.site.server.rest()
        settle(self.place, self.arrivals, self.random, now)
        self.arrivals.collect(self.place)

    def record(self, now: datetime, number: int = 1) -> None:
        for _ in range(number):
            self.navigators.record(now)

    def _look_through(self, now: datetime) -> None:
        """The nightly balance, and the housekeeping that a server does by itself."""
        tick.nightly(self.place.database, now)
        if self.place.database.is_postgresql:
            with self.place.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))

    def _change_season(self, day: date) -> None:
        """A quarter of each year mail goes into a Maildir. What is in doubt is settled where it went."""
        if (day.month in _MAILDIR_MONTHS) is not self.site.uses_smtp:
            return
        with self.place.database.reading() as session:
            doubted = session.exec(select(OutboxMessage.id).where(IN_QUESTION).limit(1)).first()
            leaving = OutboxMessage.state == "transmitting"
            if doubted is None and session.exec(select(OutboxMessage.id).where(leaving).limit(1)).first() is None:
                self.site.use(smtp=not self.site.uses_smtp)

    # The end -------------------------------------------------------------------------------------------------

    def drain(self, day: date) -> datetime:
        """Nothing goes wrong any more, everybody is there: in a week all is told that is to be."""
        self.navigators.be_reachable(datetime(day.year, day.month, day.day, tzinfo=UTC))
        last = day + timedelta(days=7)
        while day <= last or day.weekday() not in _MIDWEEK:
            for hour in range(0, 24, 3):
                now = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
                self.site.tick(now)
            self._settle(now)
            day += timedelta(days=1)
        return now

    def account(self, now: datetime) -> None:
        """Weigh everything."""
        tally = self.tally
        with self.place.database.reading() as session:
            verdict = verify(session, now=now, chain_key=self.place.secret.derive("event chain"))
            weighed = balance.balance(session, now)
            tally.findings += [*verdict.findings, *weighed.findings]
            tally.findings += self.arrivals.against(session)
            tally.findings += _untold(session, now)
            tally.digests = session.exec(select(func.count()).select_from(Digest)).one()
            state = select(OutboxMessage.state, func.count()).group_by(OutboxMessage.state)
            tally.messages = dict(session.exec(state).all())
            by_hand = col(AuditEntry.kind).startswith("mail:")
            tally.settled_by_hand = session.exec(select(func.count()).select_from(AuditEntry).where(by_hand)).one()
            for check in session.exec(select(LedgerCheck)):
                for words in json.loads(check.findings):
                    about = words.partition(" ")[2]
                    tally.night[about] = tally.night.get(about, 0) + 1
        tally.cases, tally.events = verdict.cases, verdict.events
        tally.expected, tally.sent = verdict.expected, verdict.sent
        tally.withheld, tally.pending = verdict.withheld, verdict.pending
        tally.findings += _off_balance(verdict, weighed)

    def sum_up(self) -> Tally:
        tally, counts = self.tally, self.site.counts
        tally.years = round(tally.days / 365.25, 1)
        tally.recorded = dict(self.navigators.done.most_common())
        tally.ticks, tally.kills = counts.pop("ticks"), counts.pop("kills")
        tally.accepted = self.arrivals.number
        tally.other = {name: number for name, number in counts.items() if number}
        tally.other["repeats accepted"] = self.arrivals.repeats
        tally.seconds = {name: round(spent, 1) for name, spent in self.seconds.items()}
        return tally

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - start


def _untold(session: Any, now: datetime) -> Iterator[str]:
    """What has come before yesterday and has been told to nobody."""
    waits = col(Reminder.status).in_(("pending", "raised"))
    long_ago = Reminder.remind_on < now.date() - timedelta(days=1)
    number = session.exec(select(func.count()).select_from(Reminder).where(waits, long_ago)).one()
    if number:
        yield f"{number} reminders have come and were told to nobody"


def _off_balance(verdict: Any, weighed: balance.Balance) -> Iterator[str]:
    """Two ways to count, one along the events and one along the rows: each balances, and both say the same."""
    ones = (verdict.expected, verdict.sent, verdict.withheld, verdict.pending)
    others = (weighed.expected, weighed.sent, weighed.withheld, weighed.pending)
    for expected, sent, withheld, pending in (ones, others):
        if expected != sent + withheld + pending:
            yield f"{expected} expected, but {sent} sent, {withheld} withheld and {pending} pending"
    if ones != others:
        yield f"along the events {ones}, along the rows {others}"


def run(folder: Path, database_url: str, days: int, cases: int, *, events: int = EVENTS, seed: int = 1) -> Tally:
    """So many days with so many cases on one database, and what became of everything."""
    start, random, journal = time.monotonic(), Random(seed), folder / "accepted"
    with ExitStack() as stack:
        server = stack.enter_context(steered(journal, seed))
        settings = _impatient(from_environment(environment(folder, database_url, server.port, journal)))
        place = stack.enter_context(installed(settings))
        site = Site(place, server, random, settings)
        soak = Soak(site, Navigators(place, load(), random), Arrivals(journal, settings.mail_dir), random, events)
        site.meanwhile = soak.record
        soak.begin(cases, seed)
        now = soak.drain(soak.live(days))
        with soak._timed("the account"):
            soak.account(now)
        tally = soak.sum_up()
    tally.seconds["in all"] = round(time.monotonic() - start, 1)
    return tally


def _impatient(settings: Settings) -> Settings:
    """A virtual day has not the time to wait 30 seconds for a silent server."""
    assert settings.smtp is not None
    return replace(settings, smtp=replace(settings.smtp, seconds=0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=float, default=10)
    parser.add_argument("--days", type=int, help="instead of years")
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--events", type=int, default=EVENTS, help="recorded a day")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sabotage", choices=sorted(SABOTAGE), help="break a step of the protocol, to be found out")
    wanted = parser.parse_args()
    signal.signal(signal.SIGUSR1, lambda *_: ENOUGH.set())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="net-soak-")))
        url = os.environ.get("FAULTS_DATABASE_URL", "")
        if wanted.database == "postgresql" and not url:
            url = stack.enter_context(running_server()).create_database()
        days = wanted.days or round(wanted.years * 365.25)
        if wanted.sabotage:
            SABOTAGE[wanted.sabotage](setattr)
        tally = run(folder, url, days, wanted.cases, events=wanted.events, seed=wanted.seed)
    print(json.dumps(tally.as_json(), indent=2))
    sys.exit(1 if tally.findings else 0)


if __name__ == "__main__":
    main()
