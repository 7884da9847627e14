"""The pages as somebody signed in gets them, at any number of cases, against an equally signed-in empty page.

``python -m tests.benchmarks.pages --cases 1000000 --database postgresql`` measures one size.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from flask import render_template_string
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlmodel import Session
from werkzeug.test import TestResponse

from tests.benchmarks.django_page import django_page
from tests.benchmarks.ground import FIRST_NAVIGATOR, NOW, analyze, installation, multiply, ratio, report
from tests.tracker.conftest import Installation
from tests.web.people import sign_in
from tracker import overdue, tallies
from tracker.models import Heartbeat
from tracker.places import Scope
from web import create_app
from web.access import needs

SIZES = (10_000, 100_000)
ROUNDS = 40
LINES = 50
CASES_OF_ONE = 200
RULE = "lanreotide-injection"
SPREAD = 400
"""Days over which what is due is spread: a third of a year back, the rest ahead."""
_MIX = {
    "patient_case SET grade": ("id % 1000", {0: "G3"}, "CASE WHEN id % 3 = 0 THEN 'G2' ELSE 'G1' END"),
    "patient_case SET treatments": (
        "id % 10",
        {0: "lanreotide", 1: "octreotide", 2: "everolimus", 3: "lanreotide", 4: "everolimus+lanreotide"},
        "NULL",
    ),
    "patient_case SET state": (
        "id % 50",
        dict(enumerate(("workup.mdt", "workup.staging", "advanced.planning", "therapy.recovery", "therapy.on_hold"))),
        "state",
    ),
    "follow_up SET activity": (
        "case_id % 12",
        {0: "imaging", 1: "markers", 2: "visit", 3: "echocardiogram", 4: "nt-probnp", 5: "mdt-review", 6: "cga"},
        "activity",
    ),
}
MIXED = [
    f"UPDATE {what} = CASE {by} "
    + " ".join(f"WHEN {n} THEN '{code}'" for n, code in some.items())
    + f" ELSE {others} END"
    for what, (by, some, others) in _MIX.items()
]
"""What is open and in which state, so that a filter lets through about as much as it would in a real register."""
PAGES = {
    "dashboard of a navigator": f"/?navigator={FIRST_NAVIGATOR}",
    "dashboard of the whole centre": "/",
    "worklist of a navigator": f"/worklist?who={FIRST_NAVIGATOR}&status=overdue",
    "worklist of the whole centre": "/worklist?who=anyone&status=overdue",
    "worklist, one grade in a thousand": "/worklist?who=anyone&grade=G3",
    "worklist, a third of the cases": "/worklist?who=anyone&grade=G2&status=overdue",
    "worklist, one treatment, by name": "/worklist?who=anyone&treatment=lanreotide&sort=patient",
    "open cases": "/cases",
    "cases in one state": "/cases?state=workup.mdt",
    "case page": "/cases/N-0",
    "calendar of the whole centre": "/calendar",
    "team meeting": "/team-meeting",
}
SEARCHES = {"search by parts of a name": "fam777 giv", "search by the start of a number and of a name": "n-77 fam"}


@dataclass(frozen=True)
class Measured:
    """One page: milliseconds, of which this process worked ``cpu``; the share of an empty page; and its bytes.

    On a machine that others use too, the work of the process is what can be compared.
    """

    p50: float
    p95: float
    cpu: float
    share: float
    size: int


def pages_at_any_size(sizes: tuple[int, ...] = SIZES, databases: tuple[str, ...] = ("sqlite", "postgresql")) -> None:
    """A table for each database, and how the largest stands to the smallest."""
    with ExitStack() as stack:
        for database in databases:
            url = _database(stack, database)
            if url is None:
                print("pages: there is no PostgreSQL server here; not measured")
                continue
            found = {cases: _at(url(), cases, database, is_first=cases == sizes[0]) for cases in sizes}
            for name in found[sizes[0]]:
                first, last = found[sizes[0]][name], found[sizes[-1]][name]
                work, time_ = last.cpu / first.cpu, last.p50 / first.p50
                span = f"from {sizes[0]:,} to {sizes[-1]:,} cases"
                print(f"{database}: {name}: {work:.2f} × the work, {time_:.2f} × the time, {span}")


def _database(stack: ExitStack, name: str) -> Callable[[], str] | None:
    if name == "sqlite":
        return lambda: ""
    from tests.postgres import NoServerError, running_server

    try:
        return stack.enter_context(running_server()).create_database
    except NoServerError:
        return None


def _at(url: str, cases: int, database: str, *, is_first: bool) -> dict[str, Measured]:
    with installation(url) as place:
        fill(place, cases)
        with _reader(place) as client:
            found = {name: _measure(client, partial(client.get, address)) for name, address in PAGES.items()}
            found |= {name: _measure(client, _search(client, words)) for name, words in SEARCHES.items()}
            for name, one in found.items():
                print(
                    f"{database} {cases:>9,} cases  {name:46} p50 {one.p50:7.1f} ms  p95 {one.p95:7.1f} ms"
                    f"  work {one.cpu:6.1f} ms  {one.size:>7,} bytes  {one.share:.2f} of an empty page"
                )
            if is_first and url:
                _against_django(client, url)
        _queries(place, database, cases)
    return found


def _against_django(client: FlaskClient, url: str) -> None:
    """Once in a process, which Django asks for; a page of 50 lines hardly depends on how many there are."""
    if find_spec("django") is None:
        print("pages: Django is not here; not compared")
        return

    def ours() -> None:
        assert client.get(PAGES["worklist of a navigator"]).data.count(b"data-row") == LINES

    page = django_page(url, FIRST_NAVIGATOR, NOW.date(), LINES)

    def theirs() -> None:
        assert page() == LINES

    report("the list as a Django page to the worklist of a navigator", "goal ≥ 8", ratio(theirs, ours, ROUNDS))


def fill(place: Installation, cases: int) -> None:
    """So many cases with one open follow-up each, due on different days, 200 with each navigator."""
    multiply(place, cases, navigators=max(1, cases // CASES_OF_ONE), rule=RULE)
    on_sqlite = "date('{0}', '+' || (case_id * 7 % {1}) || ' days')"
    spread = "date '{0}' + (case_id * 7 % {1})::int" if place.database.is_postgresql else on_sqlite
    with place.database.writing() as session:
        late, due = spread.format("2026-07-20", SPREAD), spread.format("2026-07-17", SPREAD)
        session.execute(text(f"UPDATE follow_up SET late_on = {late}, due_on = {due}, opens_on = {due}"))
        owner = f"UPDATE patient_case SET navigator_id = {FIRST_NAVIGATOR} + id % {max(1, cases // CASES_OF_ONE)}"
        session.execute(text(owner))
        for change in MIXED:
            session.execute(text(change))
        _name(session)
        session.merge(Heartbeat(part="tick", at=NOW))
        analyze(place, session)
    with place.database.writing() as session:
        tallies.recount(session)
    tallies.add_up(place.database)


def _name(session: Session) -> None:
    """Names that differ, and the words by which they are found: a family of each 5,000 cases, a number for each."""
    session.execute(text("UPDATE patient_case SET sort_name = 'fam' || (id % 5000)"))
    session.execute(text("DELETE FROM case_term"))
    for term in ("'fam' || (id % 5000)", "'giv' || (id % 300)", "'n' || id"):
        session.execute(
            text(f"INSERT INTO case_term (case_id, clinic_id, term) SELECT id, clinic_id, {term} FROM patient_case")
        )


@contextmanager
def _reader(place: Installation) -> Iterator[FlaskClient]:
    """A browser in which the lead of every clinic is signed in, and an empty page beside the others."""
    app = create_app(place.settings, lambda: NOW)
    app.add_url_rule("/nothing", "nothing", needs()(_empty))
    yield sign_in(app.test_client())


def _empty() -> str:
    return render_template_string('{% extends "base.html" %}')


def _search(client: FlaskClient, words: str) -> Callable[[], TestResponse]:
    """The form of the search, sent with its token."""
    token = re.search(r'name="?csrf_token"? value="?([^" >]+)', client.get("/search").text)
    assert token
    return partial(client.post, "/search", data={"text": words, "csrf_token": token[1]})


def _measure(client: FlaskClient, ask: Callable[[], TestResponse]) -> Measured:
    nothing = partial(client.get, "/nothing")
    answer = ask()
    assert answer.status_code == 200, (answer.request.path, answer.status_code)
    nothing()
    times, work, shares = [], [], []
    for _ in range(ROUNDS):
        (_, empty), (took, worked) = _milliseconds(nothing), _milliseconds(ask)
        times.append(took)
        work.append(worked)
        shares.append(empty / worked)
    p95 = statistics.quantiles(times, n=20)[-1]
    return Measured(statistics.median(times), p95, statistics.median(work), statistics.median(shares), len(answer.data))


def _milliseconds(ask: Callable[[], TestResponse]) -> tuple[float, float]:
    start, worked = time.perf_counter(), time.process_time()
    ask()
    return (time.perf_counter() - start) * 1000, (time.process_time() - worked) * 1000


def _queries(place: Installation, database: str, cases: int) -> None:
    """The lists and numbers alone, without a page around them."""
    one = Scope(navigator="nav0@example.org")
    for name, scope in {"a navigator": one, "a clinic": Scope(clinic="North"), "everybody": Scope()}.items():
        lists, counts = [], []
        for _ in range(ROUNDS):
            with place.database.reading() as session:
                start = time.process_time()
                page = overdue.overdue_page(session, now=NOW, scope=scope)
                middle = time.process_time()
                overdue.standing(session, now=NOW, scope=scope, sooner={"injection": 3})
                lists.append((middle - start) * 1000)
                counts.append((time.process_time() - middle) * 1000)
            assert page.items
        print(
            f"{database} {cases:>9,} cases  overdue page of {name}: {statistics.median(lists):.1f} ms,"
            f" numbers {statistics.median(counts):.1f} ms"
        )


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, action="append")
    options.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    given = options.parse_args()
    pages_at_any_size(tuple(given.cases or SIZES), tuple(given.database or ("sqlite", "postgresql")))
