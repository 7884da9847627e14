"""The proof: events folded again and compared with every row, the audit chain, and the ledger of reminders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from tracker import audit, cases, chain, looks, pathways, tallies, terms
from tracker.balance import last_sweep, told_wrongly
from tracker.clock import local_date
from tracker.models import (
    Case,
    CaseEvent,
    Clinic,
    FollowUpRow,
    PathwayVersion,
    Patient,
    Person,
    Reminder,
)
from tracker.projection import case_values, follow_up_values, patient_values, reminder_values
from workflows.errors import Refused
from workflows.history import as_of
from workflows.planning import Plan, plan


@dataclass(slots=True)
class Verdict:
    """What verification found; every finding names the row."""

    cases: int = 0
    events: int = 0
    broken: list[str] = field(default_factory=list)
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    expected: int = 0
    raised: int = 0
    sent: int = 0
    withheld: int = 0
    pending: int = 0
    missing: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        return [*self.broken, *self.wrong, *self.missing, *self.duplicate]

    def as_json(self) -> dict[str, Any]:
        """The verdict as ``verify --json`` gives it."""
        return {
            "cases": self.cases,
            "events": self.events,
            "chain": "broken" if self.broken else "intact",
            "projections": {"checked": self.checked, "wrong": len(self.wrong)},
            "reminders": {
                "expected": self.expected,
                "raised": self.raised,
                "sent": self.sent,
                "pending": self.pending,
                "withheld": self.withheld,
                "missing": len(self.missing),
                "duplicate": len(self.duplicate),
            },
            "findings": self.findings,
        }


@dataclass(frozen=True, slots=True)
class Swept:
    """When the sweep last passed over what is on record, and what day it is in the clinic's ``zone``."""

    zone: str
    now: datetime
    at: datetime | None

    @property
    def today(self) -> date:
        return local_date(self.now, self.zone)

    def passed_over(self, remind_on: date, planned_at: datetime) -> bool:
        """Whether a reminder of a plan made then was there to be raised, on an earlier day than today."""
        if self.at is None or planned_at >= self.at:
            return False
        return remind_on <= local_date(self.at, self.zone) < self.today


def verify(session: Session, *, now: datetime, chain_key: bytes) -> Verdict:
    """Check every case, event, follow-up and reminder against the events."""
    verdict = Verdict()
    verdict.wrong.extend(_changed_pathways(session))
    swept_at = last_sweep(session)
    zones = {clinic.id: clinic.timezone for clinic in session.exec(select(Clinic))}
    for case in session.exec(select(Case).order_by(col(Case.id))).all():
        _verify_case(session, verdict, case, chain_key, Swept(zones[case.clinic_id], now, swept_at))
    orphans = session.exec(select(func.count()).select_from(CaseEvent).where(~_has_case())).one()
    if orphans:
        verdict.broken.append(f"{orphans} event rows belong to no case")
    verdict.broken.extend(audit.broken(session, chain_key))
    verdict.broken.extend(looks.broken(session, chain_key))
    verdict.missing.extend(told_wrongly(session, now))
    verdict.wrong.extend(tallies.wrong(session))
    return verdict


def _changed_pathways(session: Session) -> Iterator[str]:
    """A published document is what its digest says, or cases are explained by a text that they did not run on."""
    for row in session.exec(select(PathwayVersion)):
        if hashlib.sha256(row.document.encode()).hexdigest() != row.digest:
            yield f"pathway_version row {row.digest[:12]}…: its document is not the one that was published"


def _has_case() -> Any:
    return select(Case.id).where(col(Case.id) == col(CaseEvent.case_id)).exists()


def _verify_case(session: Session, verdict: Verdict, case: Case, key: bytes, swept: Swept) -> None:
    verdict.cases += 1
    rows = list(session.exec(select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(col(CaseEvent.seq))))
    verdict.events += len(rows)
    broken = list(_broken_links(case, rows, key))
    verdict.broken.extend(broken)
    if broken:
        return
    try:
        pathway = pathways.pinned(session, case.pathway_digest)
        planned = plan(pathway, as_of([cases.to_event(row) for row in rows]))
    except Exception as problem:  # noqa: BLE001  (whatever is wrong with one case, the others are verified)
        reason = problem if isinstance(problem, Refused) else type(problem).__name__
        verdict.wrong.append(f"case {case.ref}: its events no longer fold: {reason}")
        return
    _verify_rows(session, verdict, case, planned)
    _verify_reminders(session, verdict, case, planned, swept)


def _broken_links(case: Case, rows: list[CaseEvent], key: bytes) -> Iterator[str]:
    previous = chain.START
    for position, row in enumerate(rows, 1):
        where = f"case_event row {row.id} (case {case.ref}, event {row.ref}, seq {row.seq})"
        if row.seq != position:
            yield f"{where}: an event before it is missing"
            return
        mac = chain.link(
            key, previous, case.ref, row.seq, row.ref, row.kind, row.on, row.recorded_at, row.actor, row.data
        )
        if mac != row.mac:
            yield f"{where}: its content is not what was recorded"
            return
        previous = mac
    if previous != case.head_mac or case.version != len(rows):
        yield f"patient_case row {case.id} (case {case.ref}): {len(rows)} of {case.version} events are there"


def _not_as_told(session: Session, case: Case, planned: Plan) -> Iterator[str]:
    where = f"patient_case row {case.id} (case {case.ref})"
    for name, value in case_values(planned).items():
        if getattr(case, name) != value:
            yield f"{where}: {name} is not what its events say"
    opened = planned.history.opened
    navigator = session.get_one(Person, case.navigator_id).email if case.navigator_id else None
    if navigator != planned.history.navigator:
        yield f"{where}: its navigator is not what its events say"
    if session.get_one(Clinic, case.clinic_id).name != opened["clinic"]:
        yield f"{where}: its clinic is not what its events say"
    patient = session.get_one(Patient, case.patient_id)
    for name, value in patient_values(opened["patient"]).items():
        if getattr(patient, name) != value:
            yield f"patient row {patient.id} (case {case.ref}): {name} is not what its events say"
    if terms.stored(session, case) != terms.of_case(case, patient):
        yield f"{where}: the words by which it is found are not those of its patient"


def _verify_rows(session: Session, verdict: Verdict, case: Case, planned: Plan) -> None:
    verdict.checked += 2
    verdict.wrong.extend(_not_as_told(session, case, planned))
    stored = {row.key: row for row in session.exec(select(FollowUpRow).where(FollowUpRow.case_id == case.id))}
    place = {"clinic_id": case.clinic_id, "navigator_id": case.navigator_id}
    for key in sorted(stored.keys() | planned.follow_ups.keys()):
        verdict.checked += 1
        row, item = stored.get(key), planned.follow_ups.get(key)
        if row is None:
            verdict.wrong.append(f"case {case.ref}: follow-up {key} has no row")
        elif item is None:
            verdict.wrong.append(f"follow_up row {row.id} (case {case.ref}): {key} is not in the plan")
        else:
            wrong = [n for n, v in (place | follow_up_values(item)).items() if getattr(row, n) != v]
            if wrong:
                verdict.wrong.append(f"follow_up row {row.id} (case {case.ref}): {', '.join(wrong)} is not as planned")


def _verify_reminders(session: Session, verdict: Verdict, case: Case, planned: Plan, swept: Swept) -> None:
    stored = list(session.exec(select(Reminder).where(Reminder.case_id == case.id)))
    keys = [(row.follow_up_key, row.due_on, row.step) for row in stored]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        verdict.duplicate.append(f"case {case.ref}: reminder {key} is there more than once")
    expected = {
        (values["follow_up_key"], values["due_on"], values["step"]): values
        for item in planned.open_items
        for values in reminder_values(planned.history.pathway, item)
    }
    for key in sorted(expected.keys() - set(keys)):
        verdict.expected += expected[key]["remind_on"] <= swept.today
        verdict.missing.append(f"case {case.ref}: reminder {key[2]} of {key[0]} is not in the ledger")
    for row in stored:
        _count(verdict, row, swept)
        _weigh(verdict, case, row, expected.get((row.follow_up_key, row.due_on, row.step)), swept)


def _count(verdict: Verdict, row: Reminder, swept: Swept) -> None:
    has_come = row.status != "pending" or row.remind_on <= swept.today
    verdict.expected += has_come
    verdict.raised += row.status in ("raised", "sent")
    verdict.sent += row.status == "sent"
    verdict.withheld += row.status == "withheld"
    verdict.pending += has_come and row.status in ("pending", "raised")


def _weigh(verdict: Verdict, case: Case, row: Reminder, values: dict[str, Any] | None, swept: Swept) -> None:
    where = f"reminder row {row.id} (case {case.ref}, {row.step} of {row.follow_up_key})"
    if row.navigator_id != case.navigator_id:
        verdict.wrong.append(f"{where}: its navigator is not the case's")
    if row.status == "withheld" and values is not None:
        verdict.missing.append(f"{where}: it is withheld, and its follow-up is open")
    if row.status != "pending":
        return
    planned_on = values["remind_on"] if values else None
    if planned_on != row.remind_on:
        verdict.wrong.append(f"{where}: it waits for {row.remind_on}, the plan says {planned_on}")
    elif swept.passed_over(row.remind_on, row.planned_at):
        verdict.missing.append(f"{where}: it was due on {row.remind_on} and has not been raised")
