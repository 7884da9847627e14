"""A small register of made-up patients in a real database, for the tests of the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from tracker import cases, db, pathways, secret
from tracker.balance import check_nightly
from tracker.db import Database
from tracker.models import Case, CaseLook, Heartbeat, OutboxMessage, Reminder
from tracker.secret import Secret
from tracker.settings import Settings, from_environment
from tracker.tick import tick
from tracker.writing import Writing, writing

NOW = datetime(2027, 3, 12, 9, 0, tzinfo=UTC)
SCRIPT = "<script>alert('x')</script>"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"
SOUTH = {"clinic": "South", "timezone": "America/New_York", "navigator": "ben@example.org"}
WORKED_UP = {
    "differentiation": "well",
    "ki67_percent": 2.0,
    "primary_site": "pancreas",
    "syndrome": "none",
    "hereditary": "none",
    "mdt_reviewed_on": "2025-09-20",
}


@dataclass
class Register:
    """An open installation of its own, and ways to tell what happened in it."""

    settings: Settings
    secret: Secret
    database: Database

    def write(self, session: Any, actor: str = "test:register", now: datetime = NOW) -> Writing:
        return writing(session, actor=actor, now=now, secret=self.secret)

    def open(self, ref: str, on: str, name: str | None = None, **data: Any) -> Register:
        patient = {"ref": f"P-{ref}", "name": name, "birth_date": "1961-02-28", "sex": "female"}
        told = {"clinic": "North", "timezone": "Europe/London", "navigator": "ana@example.org"}
        with self.database.writing() as session:
            opened = told | {"patient": patient} | data
            cases.open_case(self.write(session), ref=ref, on=date.fromisoformat(on), data=opened)
        return self

    def tell(self, ref: str, on: str, kind: str, **data: Any) -> Register:
        with self.database.writing() as session:
            day = date.fromisoformat(on)
            cases.record(self.write(session), ref=ref, kind=kind, on=day, data=data)
        return self

    def facts(self, ref: str, on: str, **facts: Any) -> Register:
        return self.tell(ref, on, "fact:recorded", **facts)

    def step(self, ref: str, on: str, trigger: str, **data: Any) -> Register:
        return self.tell(ref, on, "state:changed", trigger=trigger, **data)

    def done(self, ref: str, on: str, activity: str, **data: Any) -> Register:
        return self.tell(ref, on, "activity:done", activity=activity, **data)

    def looks(self) -> list[tuple[str, str]]:
        """The looks on record, the earliest first: at which case, on which page."""
        with self.database.reading() as session:
            found = select(Case.ref, CaseLook.page).join(CaseLook, col(CaseLook.case_id) == col(Case.id))
            return [(ref, page) for ref, page in session.exec(found.order_by(col(CaseLook.id)))]

    def beat(self, at: datetime = NOW) -> Register:
        with self.database.writing() as session:
            session.merge(Heartbeat(part="tick", at=at))
        return self


def empty_register(home: Path) -> Register:
    """A register without any case, on a fresh database."""
    settings = from_environment({"TRACKER_HOME": str(home)})
    key = secret.create(settings.secret_file)
    database = db.connect(settings, key)
    database.migrate()
    register = Register(settings, key, database)
    with database.writing() as session:
        pathways.publish(register.write(session), pathways.shipped())
    return register


def opened(home: Path) -> Register:
    """A register that is there already."""
    settings = from_environment({"TRACKER_HOME": str(home)})
    key = secret.load(settings.secret_file)
    return Register(settings, key, db.connect(settings, key))


def seeded_register(home: Path) -> Register:
    """A dozen cases in two clinics, from the day of referral to years after surgery."""
    register = empty_register(home)
    _on_lanreotide(register)
    _after_surgery(register)
    _advanced(register)
    _workup(register)
    _hostile(register)
    _closed(register)
    return register.beat()


def register_with_mail(home: Path) -> Register:
    """The same cases, ten days of digests, and among these one of each state; the ledger was weighed in between."""
    register = seeded_register(home)
    for hours in range(240, -1, -4):
        tick(register.database, register.settings, register.secret, NOW - timedelta(hours=hours))
    with register.database.writing() as session:
        rows = list(session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))))
        for row, (state, values) in zip(rows, _FATES.items(), strict=False):
            row.state, row.settled_at, row.settled_by = state, None, None
            for name, value in values.items():
                setattr(row, name, value)
            told = "sent" if state in ("sent", "cancelled") else "raised"
            for reminder in session.exec(select(Reminder).where(Reminder.digest_id == row.digest_id)):
                reminder.status, reminder.sent_at = told, None if told == "raised" else reminder.sent_at
        check_nightly(session, NOW)
    return register


_FATES: dict[str, dict[str, Any]] = {
    "rejected": {"problem": "RCPT was refused (550)"},
    "uncertain": {"problem": "no answer to the end of the message", "doubted_at": NOW - timedelta(hours=3)},
    "retry_wait": {"problem": "no connection", "failures": 3, "next_try_at": NOW + timedelta(minutes=5)},
    "queued": {"created_at": NOW},
    "transmitting": {"lease_until": NOW + timedelta(minutes=10)},
}


def _on_lanreotide(r: Register) -> None:
    r.open("N-001", "2026-01-05", "Grace Okafor", state="advanced.planning", clinic="North")
    r.facts("N-001", "2026-01-05", **WORKED_UP, stage="IV", m="1a", staging_system="ajcc8", liver_metastases=True)
    r.facts("N-001", "2026-01-06", stage="III", m="0", staging_system="enets")
    r.facts(
        "N-001",
        "2026-02-01",
        cytoreduction_discussed=True,
        sstr_uptake="high",
        stage="IV",
        m="1a",
        staging_system="ajcc8",
    )
    r.done("N-001", "2026-02-10", "ct").done("N-001", "2026-02-10", "cga", result="88 µg/L")
    r.step("N-001", "2026-03-02", "start_line", treatment="lanreotide", intent="disease-control")
    for day in ("2026-03-30", "2026-04-27", "2026-05-25"):
        r.done("N-001", day, "injection", result="120 mg")
    r.done("N-001", "2026-06-02", "visit").done("N-001", "2026-09-03", "ct")
    r.tell("N-001", "2027-02-20", "activity:booked", activity="visit", **{"for": "2027-03-25"})
    r.tell("N-001", "2026-07-01", "note:added", text="Prefers mornings.\nDaughter drives.")
    r.tell("N-001", "2026-07-02", "note:added", text="Belongs to another patient.")
    with r.database.reading() as session:
        last = cases.events_of(session, cases.find(session, "N-001"))[-1].id
    r.tell("N-001", "2026-07-03", "event:corrected", event=last, reason="entered in the wrong case")
    r.tell("N-001", "2027-03-01", "contact:attempted", channel="phone", outcome="no-answer")
    r.step("N-001", "2027-02-25", "hold_line", reason="gallstones", review_on="2027-03-04")


def _after_surgery(r: Register) -> None:
    r.open("N-002", "2025-10-01", "Wei Zhang", state="localized.planning")
    r.facts("N-002", "2025-10-01", **WORKED_UP, reported_grade="G2", tumour_size_mm=24)
    r.step("N-002", "2025-10-20", "start_line", treatment="distal-pancreatectomy", intent="curative")
    r.step("N-002", "2025-11-10", "end_line", reason="completed")
    r.step("N-002", "2025-11-20", "begin_surveillance", resection_margin="R0")
    r.done("N-002", "2026-05-02", "visit")
    r.open("S-001", "2026-06-01", "Rosa Martín", state="localized.planning", **SOUTH)
    r.facts("S-001", "2026-06-01", **WORKED_UP, tumour_size_mm=12)
    r.step("S-001", "2026-06-02", "choose_active_surveillance")


def _advanced(r: Register) -> None:
    for number, day in enumerate(("2026-09-01", "2026-11-20", "2026-12-15"), start=2):
        ref = f"S-{number:03}"
        r.open(ref, day, f"Patient South {number}", state="advanced.monitoring", **SOUTH)
    r.open("N-003", "2026-12-01", "Ola Nordmann", state="advanced.supportive", navigator=None)
    r.open("N-004", "2027-03-01", "Idris Bello", state="advanced.planning")
    r.facts("N-004", "2027-03-01", **(WORKED_UP | {"primary_site": "midgut", "syndrome": "carcinoid"}))


def _workup(r: Register) -> None:
    r.open("N-005", "2027-03-05", "Hanna Lind", state="workup.staging")
    r.done("N-005", "2027-03-08", "ct")
    r.open("N-007", "2027-03-01", "Tomas Novak", state="localized.planning")


def _hostile(r: Register) -> None:
    r.open(
        "X-001", "2026-08-01", SCRIPT, state="advanced.monitoring", clinic='East "<b>&', navigator="eve+x@example.org"
    )
    r.tell("X-001", "2026-08-02", "note:added", text=TEMPLATE + SCRIPT)
    r.open("X-002", "2026-08-01", TEMPLATE, state="advanced.monitoring", navigator="eve+x@example.org")


def _closed(r: Register) -> None:
    r.open("N-009", "2025-01-10", "Ada Byrne", state="advanced.monitoring")
    r.step("N-009", "2026-01-15", "record_death")
