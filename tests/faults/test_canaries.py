"""Nothing personal and nothing clinical leaves: canaries in every field, looked for in all that anybody else may read.

Looked through are mails, logs, answers of machines, addresses, errors, the outbox, the audit and the ledger's findings.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from html import unescape
from typing import Any, Never
from urllib.parse import unquote

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.faults.smtp_server import Fault, FaultyServer, running
from tests.tracker.conftest import Installation
from tests.web.people import sign_in
from tracker import cases, cli, logs, outbox, pathways, people, scheduler
from tracker.alarms import alarms
from tracker.errors import ChangeRefused
from tracker.mail.places import SmtpServer, Tls
from tracker.models import AuditEntry, LedgerCheck, OutboxMessage, Patient
from tracker.tick import nightly
from web import create_app
from web.desk import desk
from workflows import events

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 31, 8, 0, tzinfo=UTC)
CASE = "CANARYCASE-1"

# Every field, with its canary -------------------------------------------------------------------------------

PATIENT = {
    "ref": "CANARYPATIENT-1",
    "name": "Canaryname O’Canary-Şurname",
    "birth_date": "1961-02-28",
    "sex": "female",
    "mrn": "MRN-CANARY-77",
}
BIRTH = ("1961", "28 feb", "february 28", "28.02.", "28/02/", "02/28/", "19610228", "610228")

MERGER = "e17"
HISTORY: list[tuple[str, str, dict[str, Any]]] = [
    ("2026-01-05", "case:opened", {"clinic": "North", "timezone": "Europe/London", "patient": PATIENT,
                                   "navigator": "ana@example.org", "state": "advanced.planning"}),
    ("2026-01-20", "fact:recorded", {"differentiation": "well", "ki67_percent": 13.37, "primary_site": "pancreas",
                                     "syndrome": "none", "m": "1", "mdt_reviewed_on": "2026-01-19",
                                     "hereditary": "none", "cytoreduction_discussed": True, "tumour_size_mm": 47.11,
                                     "immunohistochemistry": "canary antibodies"}),
    ("2026-03-02", "state:changed", {"trigger": "start_line", "treatment": "lanreotide", "intent": "disease-control",
                                     "reason": "canary reason of a change"}),
    ("2026-03-10", "state:changed", {"trigger": "start_line", "treatment": "everolimus", "intent": "disease-control",
                                     "concurrent": True,
                                     "reasons": {"targeted-without-progression": "canary reason of a warning"}}),
    ("2026-03-30", "activity:done", {"activity": "injection", "result": "canary result", "note": "canary note"}),
    ("2026-03-30", "activity:waived", {"activity": "ct", "reason": "canary reason of a waiver"}),
    ("2026-03-30", "activity:rescheduled", {"activity": "injection", "to": "2026-04-28",
                                            "reason": "canary reason of a move"}),
    ("2026-03-30", "activity:booked", {"activity": "injection", "for": "2026-04-28"}),
    ("2026-03-30", "activity:snoozed", {"activity": "visit", "until": "2026-04-20",
                                        "reason": "canary reason of a snooze"}),
    ("2026-03-30", "test:requested", {"activity": "canary-test", "reason": "canary reason of a test"}),
    ("2026-03-30", "contact:attempted", {"channel": "canary-channel", "outcome": "canary-outcome",
                                         "note": "canary note of a call"}),
    ("2026-03-30", "note:added", {"text": "canary note of a nurse"}),
    ("2026-03-30", "decision:recorded", {"meeting_on": "2026-03-27", "text": "canary decision"}),
    ("2026-03-30", "barrier:noted", {"barrier": "canary-barrier", "text": "canary words on a barrier"}),
    ("2026-03-30", "barrier:resolved", {"barrier": "canary-barrier", "text": "canary words on its end"}),
    ("2026-03-30", "case:joined", {"case": "CANARY-2", "reason": "canary reason of a merger"}),
    ("2026-03-30", "case:merged", {"into": "CANARY-2", "reason": "canary reason of a second record"}),
    ("2026-03-30", "event:corrected", {"event": MERGER, "reason": "canary reason of one record"}),
    ("2026-03-30", "warning:explained", {"warning": "line-before-team-review", "reason": "canary explanation"}),
    ("2026-03-30", "case:handed_over", {"navigator": "ben@example.org", "reason": "canary reason of a hand-over"}),
    ("2026-03-30", "event:corrected", {"event": "e12", "reason": "canary reason of a correction"}),
]  # fmt: skip

WORDS_OF_THE_PATHWAY = {
    *("clinic", "timezone", "navigator", "state", "trigger", "treatment", "intent", "warning", "rule", "completes"),
    *("line", "concurrent", "event", "tell"),
}
"""Fields that hold yes, no, or a name of the pathway or the clinic, which are looked for as clinical words below."""
NOT_TEXT = {
    *(("case:opened", "patient"), ("patient", "sex"), ("patient", "birth_date")),
    *((f"activity:{done}", "activity") for done in ("done", "waived", "rescheduled", "booked", "snoozed")),
}
"""An object, values of their own forms that are looked for below, and names of the pathway."""
DATES = {"to", "for", "until", "planned_on", "review_on", "meeting_on"}
"""Dates become due dates, and those a digest tells."""
CLINICAL = (
    "lanreotide",
    "injection",
    "pancrea",
    "advanced.planning",
    "13.37",
    "47.11",
    "disease-control",
    "somatostatin",
)


def fields() -> Iterator[tuple[str, str]]:
    """Each field of each kind of event."""
    for kind, model in events._KINDS.items():
        for name, info in model.model_fields.items():
            yield kind, info.alias or name
    for name in events.PatientData.model_fields:
        yield "patient", name
    for fact in pathways.shipped().facts:
        if fact.derived is None and fact.type == "text" and not fact.pattern:
            yield "fact:recorded", fact.name


def test_every_field_has_a_canary() -> None:
    """A new field needs one in HISTORY, or has to be said to hold no more than a name of the pathway."""
    without = {(kind, name) for kind, name in fields() if not _has_canary(kind, name)}
    assert without == set()


def _has_canary(kind: str, name: str) -> bool:
    if name in WORDS_OF_THE_PATHWAY | DATES or (kind, name) in NOT_TEXT:
        return True
    data = [PATIENT] if kind == "patient" else [data for _, of_kind, data in HISTORY if of_kind == kind]
    return any("canary" in json.dumps(one[name]).lower() for one in data if name in one)


def test_every_column_of_a_patient_is_a_field_with_a_canary() -> None:
    assert set(Patient.model_fields) - {"id"} == set(PATIENT) == set(events.PatientData.model_fields)


# What others may read ------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """Texts that left, or that others than a case's own people read, by what they are."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, what: str, *found: str | bytes | None) -> None:
        self.texts += [(what, one.decode("utf-8", "replace") if isinstance(one, bytes) else one or "") for one in found]

    def leaks(self) -> list[str]:
        forbidden = ("canary", "female", *BIRTH, *CLINICAL)
        return [
            f"{what}: {word!r} in {plain[max(plain.find(word) - 60, 0) :][:160]!r}"
            for what, found in self.texts
            for plain in [unquote(unescape(re.sub(r"\s+", " ", found))).lower()]
            for word in forbidden
            if re.search(_whole(word), plain)
        ]


def _whole(word: str) -> str:
    """A number is one only where no digit stands beside it: an ETag tells of a file's age in some twenty of them."""
    before, after = r"(?<!\d)" * word[0].isdigit(), r"(?!\d)" * word[-1].isdigit()
    return before + re.escape(word) + after


def mail(content: bytes) -> Iterator[str]:
    """Everything of a message: as it is, its headers decoded, and each part decoded."""
    yield content.decode("utf-8", "replace")
    message = message_from_bytes(content, policy=default)
    yield from (f"{name}: {value}" for name, value in message.items())
    for part in message.walk():
        if part.get_content_maintype() == "text":
            yield str(part.get_content())


@contextmanager
def logged(seen: Seen) -> Iterator[None]:
    """Whatever is written to standard error, by our logs or anybody else's, on standard output too."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with redirect_stderr(stream):
            logs.configure()
            yield
    finally:
        logging.getLogger().removeHandler(handler)
        structlog.reset_defaults()
    seen.add("log", *stream.getvalue().splitlines())


# A life with everything in it -------------------------------------------------------------------------------------


def history(place: Installation) -> None:
    for on, kind, data in HISTORY:
        day = date.fromisoformat(on)
        now = max(datetime(day.year, day.month, day.day, 9, 0, tzinfo=UTC), START - 2 * DAY)
        with place.writing(now) as writing:
            if kind == "case:opened":
                cases.open_case(writing, ref=CASE, on=day, data=data)
            else:
                cases.record(writing, ref=CASE, kind=kind, on=day, data=data, separates=data.get("event") == MERGER)
    with place.writing(START) as writing:
        people.set_lead(writing, "North", "lead@example.org")
        people.set_away(writing, "ben@example.org", date(2026, 4, 20), date(2026, 4, 24))
        people.set_digest_days(writing, "ben@example.org", "12345")


def tell(place: Installation, now: datetime, kind: str, **data: Any) -> None:
    with place.writing(now) as writing:
        cases.record(writing, ref=CASE, kind=kind, on=now.date(), data=data)


def everything_is_told(place: Installation, seen: Seen) -> datetime:
    """Every step of everything that is open, up to the clinician, for a month and a half."""
    now = START
    for _ in range(46):
        place.tick(now)
        now += DAY
    for content in place.mails():
        seen.add("mail", *mail(content))
    assert {mail_.to for mail_ in place.told()} >= {"ben@example.org", "lead@example.org"}
    return now


def mail_fails_in_every_way(place: Installation, seen: Seen, now: datetime) -> datetime:
    """Put off, refused, in doubt, unreachable; then decided by hand, and sent."""
    usual = place.settings
    ways = (("rcpt", "4xx"), ("rcpt", "5xx"), ("dot", "lost-disconnect"), ("connect", "disconnect"))
    with running(FaultyServer(usual.home / "accepted")) as server:
        place.settings = replace(usual, smtp=SmtpServer("127.0.0.1", server.port, Tls.NONE, seconds=5))
        for n, (stage, outcome) in enumerate(ways):
            server.faults = [Fault(stage, outcome)]
            tell(place, now, "test:requested", activity=f"canary-test-{n}", reason="canary reason of another test")
            place.tick(now)
            now += DAY
        server.faults = []
        decide(place, now)
        tell(place, now, "note:added", text="canary note of a nurse")
        for hours in range(0, 24, 4):
            place.tick(now + hours * HOUR)
        for accepted in server.journal.arrivals():
            seen.add("mail", *mail(accepted.content), accepted.sender, accepted.recipient)
        assert server.journal.arrivals()
        seen.add("smtp", *(heard.line for heard in server.heard))
    place.settings = usual
    return now + DAY


def decide(place: Installation, now: datetime) -> None:
    decisions = {
        "rejected": outbox.send_again,
        "uncertain": outbox.settle_as_arrived,
        "retry_wait": outbox.tell_in_next,
    }
    with place.writing(now) as writing:
        for row in writing.session.exec(select(OutboxMessage)).all():
            if row.state in decisions:
                decisions[row.state](writing, row.id or 0)
        assert writing.session.exec(select(AuditEntry).where(AuditEntry.kind == "mail:arrived")).all()


def changes_are_refused(place: Installation, now: datetime) -> None:
    """With what was refused in the words of the refusal, which are for whoever asked, and nobody else."""
    for kind, data in (
        ("activity:done", {"activity": "Canary, no slug"}),
        ("fact:recorded", {"stage": "canary stage", "canary_fact": "canary"}),
        ("state:changed", {"trigger": "canary-trigger", "reason": "canary"}),
        ("event:corrected", {"event": "canary-event", "reason": "canary"}),
    ):
        with pytest.raises(ChangeRefused):
            tell(place, now, kind, **data)
    opened = HISTORY[0][2]
    with pytest.raises(ChangeRefused), place.writing(now) as writing:
        cases.open_case(writing, ref="CANARYCASE-2", on=now.date(), data=opened)


def the_books_do_not_balance(place: Installation, now: datetime) -> None:
    with place.database.writing() as session:
        session.execute(text("UPDATE reminder SET sent_at = NULL, status = 'raised' WHERE status = 'sent'"))
    assert nightly(place.database, now)


def the_machinery_fails(place: Installation, now: datetime, patch: pytest.MonkeyPatch) -> None:
    """With errors whose text carries what must not be told."""
    tell(place, now, "test:requested", activity="canary-test", reason="canary reason")
    with patch.context() as broken:
        broken.setattr("tracker.digests.compose", raising(ValueError("Canaryname")))
        place.tick(now)
        broken.setattr("tracker.tick.sweep", raising(RuntimeError("Canaryname")))
        scheduler._guarded(lambda: place.tick(now))()
        command(broken, "tick")


def records(place: Installation, seen: Seen, now: datetime) -> None:
    """What the machinery has put on record of itself."""
    with place.database.reading() as session:
        for row in session.exec(select(OutboxMessage)):
            seen.add("message", *mail(row.content), row.message_id, row.problem, row.settled_by, row.sender)
        for entry in session.exec(select(AuditEntry)):
            seen.add("audit", entry.kind, entry.subject, entry.data, entry.actor)
        checks = session.exec(select(LedgerCheck)).all()
        assert any(check.findings != "[]" for check in checks)
        seen.add("ledger", *(check.findings for check in checks))
        found = alarms(session, place.settings, now)
        assert found
        seen.add("alarm", *(f"{alarm.sentence} {alarm.look}" for alarm in found))


# The pages ------------------------------------------------------------------------------------------------------

OF_MACHINES = {"health.healthz", "health.readyz", "metrics.metrics", "outbox.index", "outbox.decide"}
"""Pages that are not about a case: nothing of one is on them. The others are for the case's own people."""


def pages(place: Installation, seen: Seen, now: datetime) -> None:
    app = create_app(place.settings, lambda: now)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    try:
        visit(place, seen, app)
    finally:
        desk(app).database.close()


def visit(place: Installation, seen: Seen, app: Flask) -> None:
    client, adapter = sign_in(app.test_client()), app.url_map.bind("127.0.0.1")
    with place.database.reading() as session:
        digest = cases.find(session, CASE).pathway_digest
    fill = {"ref": CASE, "case_id": 1, "number": 1, "act": "send-again", "digest": digest, "filename": "tracker.css"}
    fill |= {"what": "rename", "event": "none", "other": "none", "trigger": "record_death", "token": "none"}
    assert b"Canaryname" in client.get(f"/cases/{CASE}").get_data(), "it is there to be found"
    for rule in app.url_map.iter_rules():
        address = adapter.build(rule.endpoint, {name: fill[name] for name in rule.arguments})
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            answer(seen, client, rule.endpoint, address, method)
    for address in (f"/cases/{CASE}-canary", "/go/99", "/outbox?after=canary", f"/cases/{CASE}?on=canary", "/canary"):
        answer(seen, client, "error", address)
    answer(seen, client, "error", "/metrics", "POST")
    for error in (
        ValueError("Canaryname"),
        OperationalError("SELECT 'canary'", {"name": "canary"}, Exception("canary")),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tracker.casebook.case_file", raising(error))
            assert answer(seen, client, "error", f"/cases/{CASE}") >= 500


def raising(error: Exception) -> Callable[..., Never]:
    def fail(*_: object, **__: object) -> Never:
        raise error

    return fail


def answer(seen: Seen, client: FlaskClient, endpoint: str, address: str, method: str = "GET") -> int:
    """An answer: its headers, and its body where it is not a page about cases."""
    given = client.open(address, method=method)
    headers = dict(given.headers)
    if endpoint == "dashboard.go":
        # behind the door: a mail's link holds the number of a row, the page that it leads to has its reference
        assert headers.pop("Location") == f"/cases/{CASE}"
    seen.add(f"header of {address}", *(f"{name}: {value}" for name, value in headers.items()))
    if endpoint in OF_MACHINES or (given.status_code >= 300 and endpoint != "dashboard.go"):
        seen.add(f"answer to {endpoint}", given.get_data())
    given.close()
    return given.status_code


# The command line -----------------------------------------------------------------------------------------------


def environment(place: Installation, now: datetime, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("TRACKER_HOME", str(place.settings.home))
    patch.setenv("TRACKER_DATABASE_URL", place.settings.database_url)
    patch.setenv("TRACKER_NOW", now.isoformat())


def command_line(place: Installation, seen: Seen, patch: pytest.MonkeyPatch) -> None:
    for words in (["tick"], ["tick", "--json"], ["doctor"], ["doctor", "--json"], ["verify"], ["verify", "--json"]):
        seen.add(f"tracker {words[0]}", command(patch, *words))
    with place.database.writing() as session:
        session.execute(text("UPDATE case_event SET data = replace(data, 'canary', 'kanary')"))
        session.execute(text("UPDATE patient SET name = 'Canaryname the Second'"))
    named = command(patch, "verify")
    assert CASE in named
    seen.add("tracker verify", named.replace(CASE, "…"))  # it names the case, to the operator who asked


def command(patch: pytest.MonkeyPatch, *words: str) -> str:
    """What a command prints; what it logs is in the log."""
    patch.setattr(sys, "argv", ["tracker", *words])
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
        cli.main()
    return out.getvalue()


def test_nothing_of_a_patient_is_found_in_what_leaves_or_what_others_read(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Seen()
    history(place)
    with logged(seen):
        now = everything_is_told(place, seen)
        now = mail_fails_in_every_way(place, seen, now)
        environment(place, now, monkeypatch)
        the_machinery_fails(place, now, monkeypatch)
        changes_are_refused(place, now)
        tell(place, now, "state:changed", trigger="record_death", reason="canary cause of death")
        place.tick(now)
        the_books_do_not_balance(place, now)
        records(place, seen, now)
        pages(place, seen, now)
        command_line(place, seen, monkeypatch)
    kinds = {what.split()[0] for what, found in seen.texts if found}
    assert kinds >= {"log", "mail", "smtp", "message", "audit", "ledger", "alarm", "header", "answer", "tracker"}
    assert seen.leaks() == []


def test_digits_in_a_longer_number_are_no_canary() -> None:
    seen = Seen()
    seen.add("header", 'ETag: "1795291961.5297174-50387-1567563761"')
    assert not seen.leaks()
    seen.add("header", "X: born in 1961.")
    assert seen.leaks()


@pytest.mark.parametrize(
    "told",
    [
        "Subject: =?utf-8?q?C=41naryname?=\n\nx",
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nQ2FuYXJ5bmFtZQ==\n",
        "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>28 =46eb=\n 1961",
        "To: a@example.org\n\nhttp://127.0.0.1:5000/cases/%43ANARYCASE-1",
        "To: a@example.org\n\n<b>&#67;anary</b>",
    ],
)
def test_a_canary_is_found_however_it_is_written(told: str) -> None:
    seen = Seen()
    seen.add("mail", *mail(told.encode()))
    assert seen.leaks()
