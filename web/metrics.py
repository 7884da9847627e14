"""How the tracker does, in numbers, as Prometheus reads them. Labels are states and versions, never a name."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.metadata import version

from flask import Blueprint, Response, abort
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlmodel import Session

from tracker import alarms, heartbeats, messages, outbox, untold
from web import security
from web.access import public
from web.desk import desk

pages = Blueprint("metrics", __name__)


@pages.get("/metrics")
@public
def metrics() -> Response:
    """A page of gauges, looked up anew each time: any process may answer, and none has to remember anything.

    It is for this machine alone: under the names that a front server is asked by, there is no such page.
    """
    if not security.names_this_machine():
        abort(404)
    place = desk()
    registry = CollectorRegistry()
    build = {"version": _version(), "schema": place.database.schema() or ""}
    _gauge(registry, "build_info", "The program and the schema of its database", list(build)).labels(**build).set(1)
    waiting = _gauge(registry, "messages", "Messages that have not come to their end, by state", ["state"])
    for state, number in outbox.standing(place.database).items():
        waiting.labels(state=state).set(number)
    with place.database.reading() as session:
        _ages(registry, session, place.now())
        _gauge(registry, "reminders_untold", "Reminders raised that nobody has been told").set(untold.number(session))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _ages(registry: CollectorRegistry, session: Session, now: datetime) -> None:
    """What has never happened has no age, and is left out."""
    for part in ("tick", "delivery"):
        _age(
            registry,
            f"seconds_since_{part}",
            f"Since the last {part} was finished",
            heartbeats.last(session, part),
            now,
        )
    oldest = messages.oldest_waiting(session)
    waited = (now - oldest).total_seconds() if oldest else 0
    _gauge(registry, "oldest_waiting_message_seconds", "How long the oldest message has waited to leave").set(waited)
    check = alarms.last_check(session)
    if check:
        _age(registry, "seconds_since_ledger_check", "Since the ledger of reminders was weighed", check.at, now)
        found = len(alarms.findings_of(check))
        _gauge(registry, "ledger_findings", "What the last weighing of the ledger found").set(found)


def _age(registry: CollectorRegistry, name: str, words: str, at: datetime | None, now: datetime) -> None:
    if at:
        _gauge(registry, name, words).set((now - at).total_seconds())


def _gauge(registry: CollectorRegistry, name: str, words: str, labels: list[str] | None = None) -> Gauge:
    """A gauge of the tracker's own."""
    return Gauge(f"tracker_{name}", words, labels or [], registry=registry)


@cache
def _version() -> str:
    return version("net-case-tracker")
