"""Kill -9 at random points of the tick, thousands of times, and weigh what is left against the mail server's journal.

    python -m tests.faults.kills --kills 10000 --database sqlite|postgresql [--no-oracle] [--sabotage NAME]

Each round forks a process that ticks, and kills it after a random time. Days go by; each opens new cases.
FAULTS_DATABASE_URL names an empty database to use instead of one made here.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import update
from sqlmodel import col

from tests.faults.world import START, Account, account, environment, open_cases, smtp_server
from tests.postgres import running_server
from tests.tracker.conftest import Installation, installed
from tracker import outbox
from tracker.ledger import verify
from tracker.models import OutboxMessage
from tracker.settings import from_environment

NEW_CASES, NAVIGATORS = 12, 12
RUNS_A_DAY = 90
_MIDWEEK = (2, 3, 4)
"""When the day before was a working day too: nothing waits for a weekend to end."""


@dataclass
class Tally:
    """What a run came to."""

    kills: int = 0
    ticks: int = 0
    days: int = 0
    seconds: float = 0
    account: Account = field(default_factory=Account)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# How the protocol can be broken, so that the harness is seen to find it ------------------------------------


def _never_commit_leaving(monkey: Callable[[object, str, object], None]) -> None:
    """``transmitting`` is not committed: a crash after the payload looks like one before it."""

    def leave(self: outbox.Round, hand: Any) -> bool:
        return True

    monkey(outbox.Round, "_leave", leave)


def _retry_blindly(monkey: Callable[[object, str, object], None]) -> None:
    """What may have left is sent again without asking."""
    original = outbox.recover

    def recover(database: Any, now: datetime) -> None:
        original(database, now)
        with database.writing() as session:
            doubted = update(OutboxMessage).where(col(OutboxMessage.state) == "uncertain")
            session.execute(doubted.values(state="retry_wait", next_try_at=now, doubted_at=None))

    monkey(outbox, "recover", recover)


def _settle_first(monkey: Callable[[object, str, object], None]) -> None:
    """A message counts as sent before its first byte has left."""
    original = outbox.Round._leave

    def leave(self: outbox.Round, hand: Any) -> bool:
        may = original(self, hand)
        if may:
            outbox._sent(self.database, hand.row, {"settled_at": self.now, "settled_by": "system:delivery"})
        return may

    monkey(outbox.Round, "_leave", leave)


SABOTAGE = {
    "never-commit-leaving": _never_commit_leaving,
    "retry-blindly": _retry_blindly,
    "settle-first": _settle_first,
}


# The run ---------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One installation under fire."""

    place: Installation
    journal: Path
    kills_wanted: int
    random: random.Random
    sabotage: str | None = None
    until_found: bool = False
    tally: Tally = field(default_factory=Tally)
    usual: float = 0.2

    def until_killed_enough(self) -> Tally:
        start, moment = time.monotonic(), START
        (self.journal / "kept").mkdir(parents=True)
        open_cases(self.place, moment.date() - timedelta(days=3), NEW_CASES, NAVIGATORS)
        self.place.tick(moment - timedelta(days=3, hours=-2))  # in peace, so that what is forked is warm
        gc.freeze()  # and shares its memory with whom it came from
        while self.tally.kills < self.kills_wanted and not (self.until_found and self._found()):
            moment = self._day(moment)
        self._drain(moment)
        self.tally.seconds = round(time.monotonic() - start, 1)
        return self.tally

    def _found(self) -> bool:
        so_far = account(self.place, self.journal, START)
        return bool(so_far.duplicated or so_far.lost)

    def _day(self, moment: datetime) -> datetime:
        self.tally.days += 1
        open_cases(self.place, moment.date(), NEW_CASES, NAVIGATORS)
        now = moment + timedelta(minutes=40)
        for _ in range(RUNS_A_DAY):
            if self.tally.kills >= self.kills_wanted:
                break
            survived = self._tick(now, deadly=self.random.random() < 0.97)
            if survived and not self._unsettled():
                break
            # mostly until the leases are over, so that there is work again; sometimes another comes before
            now += timedelta(minutes=16 if self.random.random() < 0.8 else self.random.randint(1, 10))
        self._keep_old_mail()
        return moment + timedelta(days=1)

    def _tick(self, now: datetime, *, deadly: bool) -> bool:
        """Tick in a process of its own, and kill it after a random time; whether it came to its end."""
        self.place.database.engine.dispose()
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            os._exit(self._child(now))
        watched = os.pidfd_open(child)
        patience = self.random.random() * self.usual if deadly else None
        ended, _, _ = select.select([watched], [], [], patience)
        took = time.monotonic() - start
        os.close(watched)
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self.tally.ticks += 1
        if os.WIFSIGNALED(status):
            self.tally.kills += 1
            return False
        self.usual = 0.8 * self.usual + 0.2 * took
        assert os.WEXITSTATUS(status) == 0, "a tick failed"
        return True

    def _child(self, now: datetime) -> int:
        try:
            with Path(os.devnull).open("w") as nothing:
                os.dup2(nothing.fileno(), 1)
            if self.sabotage:
                SABOTAGE[self.sabotage](setattr)
            self.place.database.engine.dispose(close=False)
            self.place.tick(now)
        except Exception as error:  # noqa: BLE001  (the parent is told by the exit code)
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        return 0

    def _unsettled(self) -> int:
        found = outbox.standing(self.place.database)
        waits = found["queued"] + found["retry_wait"] + found["claimed"] + found["transmitting"]
        return waits + (found["uncertain"] if self.place.settings.journal else 0)

    def _keep_old_mail(self) -> None:
        """What is two days old is no longer asked for; the journal's folder stays small."""
        kept, limit = self.journal / "kept", time.time() - 1
        if self._unsettled():
            return
        for file in (self.journal / "new").iterdir():
            if file.stat().st_mtime < limit:
                file.rename(kept / file.name)

    def _drain(self, moment: datetime) -> None:
        """Let some days go by in peace, and weigh."""
        last = moment + timedelta(days=5)
        while moment <= last or moment.weekday() not in _MIDWEEK:
            for minutes in (0, 20, 40, 60, 80):
                now = moment + timedelta(hours=5, minutes=minutes)
                self._tick(now, deadly=False)
            moment += timedelta(days=1)
        self.tally.account = account(self.place, self.journal, now)
        with self.place.database.reading() as session:
            found = verify(session, now=now, chain_key=self.place.secret.derive("event chain"))
        self.tally.account.unexplained += found.findings


def run(
    folder: Path,
    database_url: str,
    kills: int,
    *,
    seed: int = 1,
    oracle: bool = True,
    sabotage: str | None = None,
    until_found: bool = False,
) -> Tally:
    """Kill so often, on one database, and tell what became of everything."""
    journal = folder / "accepted"
    with ExitStack() as stack:
        port = stack.enter_context(smtp_server(journal, "--jitter-ms", "3"))
        told = environment(folder, database_url, port, journal if oracle else None)
        place = stack.enter_context(installed(from_environment(told)))
        return Run(place, journal, kills, random.Random(seed), sabotage, until_found).until_killed_enough()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-oracle", action="store_true")
    parser.add_argument("--sabotage", choices=sorted(SABOTAGE))
    parser.add_argument("--until-found", action="store_true", help="stop at the first loss or duplicate")
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="net-kills-")))
        url = os.environ.get("FAULTS_DATABASE_URL", "")
        if wanted.database == "postgresql" and not url:
            url = stack.enter_context(running_server()).create_database()
        tally = run(
            folder,
            url,
            wanted.kills,
            seed=wanted.seed,
            oracle=not wanted.no_oracle,
            sabotage=wanted.sabotage,
            until_found=wanted.until_found,
        )
    print(json.dumps(tally.as_json(), indent=2))
    sys.exit(1 if tally.account.faults else 0)


if __name__ == "__main__":
    main()
