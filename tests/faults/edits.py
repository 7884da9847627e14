"""Many people edit few cases at once: every success is in the history, every refusal is not, and the chain holds.

    python -m tests.faults.edits --edits 10000 --clients 50 --database sqlite|postgresql --seed N

Each client is signed in and sends forms over the web application, in a thread of its own, on one real database. A form
carries the version that its client saw last, which is often an old one; some forms are sent twice, as by a double
click. FAULTS_DATABASE_URL names an empty database to use instead of one made here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from random import Random

import structlog
from flask import Flask, session
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf

from tests.postgres import running_server
from tests.tracker.conftest import Installation, installed
from tests.web.people import sign_in
from tracker import cases
from tracker.ledger import verify
from tracker.once import event_id
from tracker.settings import from_environment
from web import create_app
from web.desk import desk

CASES = 20
OPENED = date(2026, 1, 5)
DOUBLE_CLICKS = 0.1
_RECORDED, _STALE, _REFUSED, _BUSY = 303, 409, 422, 503
_VERSION = re.compile(r'name="version" value="(\d+)"')


@dataclass
class Tally:
    """What a run came to. ``attempts`` are forms; a double click is a second sending of one of them."""

    edits: int
    clients: int
    database: str
    attempts: int = 0
    recorded: int = 0
    stale: int = 0
    refused: int = 0
    busy: int = 0
    other: dict[str, int] = field(default_factory=dict)
    sent_twice: int = 0
    in_history: int = 0
    lost: list[str] = field(default_factory=list)
    uncalled_for: list[str] = field(default_factory=list)
    chain: str = ""
    projections_wrong: int = 0
    seconds: float = 0

    @property
    def balances(self) -> bool:
        """Successes and refusals make the attempts, and every success is in the history once."""
        answered = self.recorded + self.stale + self.refused + self.busy
        whole = answered == self.attempts == self.edits and not self.other
        return whole and self.in_history == self.recorded and not (self.lost or self.uncalled_for) and self._is_sound

    @property
    def _is_sound(self) -> bool:
        return self.chain == "intact" and self.projections_wrong == 0


# The clients -------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """A form that was sent, and how it was answered."""

    ref: str
    token: str
    answers: list[int]


class Client:
    """Somebody who edits, with what they saw last of each case."""

    def __init__(self, app: Flask, number: int, seed: int) -> None:
        self.rng = Random(f"{seed}/{number}")
        self.http: FlaskClient = sign_in(app.test_client(), f"client{number}@example.org")
        self.csrf = _csrf(self.http)
        self.seen: dict[str, int] = {}
        self.number = number

    def work(self, edits: int) -> list[Sent]:
        return [self.edit(turn) for turn in range(edits)]

    def edit(self, turn: int) -> Sent:
        ref = f"E-{self.rng.randrange(CASES):02}"
        path, typed = self._form(turn)
        token = f"{self.number:04}-{turn:06}-{self.rng.randrange(10**6):06}"
        data = typed | {"csrf_token": self.csrf, "token": token, "version": str(self._version(ref))}
        data["on"] = (OPENED + timedelta(days=self.rng.randrange(300))).isoformat()
        times = 2 if self.rng.random() < DOUBLE_CLICKS else 1
        answers = [self._send(ref, f"/cases/{ref}/{path}", data) for _ in range(times)]
        return Sent(ref, token, answers)

    def _form(self, turn: int) -> tuple[str, dict[str, str]]:
        """Mostly facts, which depend on what the case was like; some calls and notes, which do not; some nonsense."""
        drawn = self.rng.random()
        if drawn < 0.1:
            return "record/note", {"text": f"note {turn} of {self.number}"}
        if drawn < 0.2:
            return "record/contact", {"channel": "phone", "outcome": self.rng.choice(("reached", "no-answer"))}
        if drawn < 0.25:
            return "facts", {"ki67_percent": "120"}
        return "facts", {"ki67_percent": f"{self.rng.randrange(1000) / 10}", "tumour_size_mm": f"{turn + 1}"}

    def _version(self, ref: str) -> int:
        if ref not in self.seen:
            self._look(self.http.get(f"/cases/{ref}/facts?fact=stage").text, ref)
        return self.seen[ref]

    def _send(self, ref: str, path: str, data: dict[str, str]) -> int:
        answer = self.http.post(path, data=data)
        if answer.status_code == _STALE:
            self._look(answer.text, ref)
        elif self.rng.random() < 0.5:
            self.seen.pop(ref, None)
        return answer.status_code

    def _look(self, page: str, ref: str) -> None:
        found = _VERSION.search(page)
        self.seen[ref] = int(found[1]) if found else 1


def _csrf(client: FlaskClient) -> str:
    with client.session_transaction() as kept:
        before = dict(kept)
    with client.application.test_request_context():
        session.update(before)
        token = str(generate_csrf())
        made = dict(session)
    with client.session_transaction() as kept:
        kept.update(made)
    return token


# The run -----------------------------------------------------------------------------------------------------


def fill(place: Installation) -> None:
    """A few cases, so that clients meet."""
    for number in range(CASES):
        ref = f"E-{number:02}"
        data = {"clinic": "North", "timezone": "Europe/London", "patient": {"ref": ref}, "state": "advanced.planning"}
        with place.writing() as writing:
            cases.open_case(writing, ref=ref, on=OPENED, data=data)


def compete(place: Installation, tally: Tally, seed: int) -> list[Sent]:
    """All clients at once, each with its share of the edits."""
    app = create_app(place.settings, lambda: place.now)
    try:
        people = [Client(app, number, seed) for number in range(tally.clients)]
        share, rest = divmod(tally.edits, tally.clients)
        begun = time.monotonic()
        with ThreadPoolExecutor(tally.clients) as pool:
            work = [pool.submit(one.work, share + (one.number < rest)) for one in people]
            sent = [form for done in work for form in done.result()]
        tally.seconds = round(time.monotonic() - begun, 1)
    finally:
        desk(app).database.close()
    return sent


def weigh(place: Installation, sent: list[Sent], tally: Tally) -> None:
    """Compare how each form was answered with what is in the histories."""
    counted = Counter(form.answers[0] for form in sent)
    tally.attempts, tally.sent_twice = len(sent), sum(len(form.answers) > 1 for form in sent)
    tally.recorded = sum(_RECORDED in form.answers for form in sent)
    late = tally.recorded - counted[_RECORDED]  # the first sending found the database busy, the second did not
    tally.stale, tally.refused, tally.busy = counted[_STALE], counted[_REFUSED], counted[_BUSY] - late
    tally.other = {str(code): n for code, n in counted.items() if code not in (_RECORDED, _STALE, _REFUSED, _BUSY)}
    with place.database.reading() as session:
        told = {f"E-{n:02}": cases.events_of(session, cases.find(session, f"E-{n:02}")) for n in range(CASES)}
        proof = verify(session, now=place.now, chain_key=place.secret.derive("event chain")).as_json()
    forms = {(ref, event.id) for ref, events in told.items() for event in events[1:]}
    expected = {(form.ref, event_id(form.token)) for form in sent if _RECORDED in form.answers}
    tally.in_history = sum(len(events) - 1 for events in told.values())
    tally.lost = sorted(f"{ref} {name}" for ref, name in expected - forms)
    tally.uncalled_for = sorted(f"{ref} {name}" for ref, name in forms - expected)
    tally.chain, tally.projections_wrong = proof["chain"], proof["projections"]["wrong"]


@contextmanager
def home(database: str) -> Iterator[Installation]:
    """An installation of its own."""
    given = os.environ.get("FAULTS_DATABASE_URL", "")
    with ExitStack() as stack:
        server = stack.enter_context(running_server()) if database == "postgresql" and not given else None
        url = server.create_database() if server else given
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="net-edits-"))
        told = {"TRACKER_HOME": folder, "TRACKER_DATABASE_URL": url}
        yield stack.enter_context(installed(from_environment(told)))
        if server:
            stack.callback(server.drop_database, url)


def run(place: Installation, edits: int, clients: int, database: str, seed: int) -> Tally:
    """One run on an empty installation."""
    tally = Tally(edits, clients, database)
    fill(place)
    weigh(place, compete(place, tally, seed), tally)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(40), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    with home(wanted.database) as place:
        tally = run(place, wanted.edits, wanted.clients, wanted.database, wanted.seed)
    print(json.dumps(asdict(tally) | {"balances": tally.balances}, indent=2))
    sys.exit(0 if tally.balances else 1)


if __name__ == "__main__":
    main()
