"""Bulk input: a whole journal, or a cohort from elsewhere, applied all or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from itertools import chain
from typing import Any

from sqlmodel import Session, col, select

from tracker import cases, pathways
from tracker.clock import local_date
from tracker.errors import ChangeRefused, InputRefused, LineProblem
from tracker.interchange.journal import JournalLine, by_case
from tracker.models import Case, CaseEvent, Clinic, ImportRun
from tracker.writing import Writing
from workflows.errors import Refused
from workflows.events import Event, checked_data, effective, refuse_dates, refuse_name
from workflows.limits import quoted
from workflows.pathway import Pathway
from workflows.planning import Plan, Planner


@dataclass(slots=True)
class Report:
    """What an input came to. ``created`` and ``unchanged`` count cases."""

    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    events: int = 0
    warnings: list[LineProblem] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)


_LINE = re.compile(r"(?:line\s*)?([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a correction can point at: the ids of the case so far, and those of this file by line."""

    ids: set[str]
    by_number: dict[int, str]

    def meant_by(self, named: str | int) -> str:
        """The event that is named: by its id, or by the line of the same file (``12`` or ``line 12``)."""
        text = str(named).strip()
        line = _LINE.fullmatch(text)
        if text in self.ids or line is None:
            return text
        return self.by_number.get(int(line[1]), text)


@dataclass(slots=True)
class CaseInput:
    """One case's lines, turned into events and planned, with what is wrong with them."""

    ref: str
    lines: list[JournalLine]
    pathway: Pathway
    case: Case | None
    before: list[Event]
    events: list[Event] = field(default_factory=list)
    line_of: dict[str, JournalLine] = field(default_factory=dict)
    problems: list[LineProblem] = field(default_factory=list)
    warnings: list[LineProblem] = field(default_factory=list)
    plan: Plan | None = None


def replay(
    writing: Writing, lines: Sequence[JournalLine], *, kind: str, content: str = "", dry_run: bool = False
) -> Report:
    """Apply a journal; raises :class:`InputRefused` with every problem, and then nothing has been applied.

    ``content`` identifies what was read, for the record of imports; by default it follows from the lines.
    """
    inputs = list(_prepared(writing, lines))
    zones = _zones(writing.session, inputs)
    for one in inputs:
        _check_dates(writing, one, zones)
    problems = [problem for one in inputs for problem in one.problems]
    problems += [*_same_patient_twice(inputs), *_of_another_zone(writing.session, inputs, zones)]
    if problems:
        raise InputRefused(sorted(problems, key=lambda p: (p.file, p.line)))
    report = Report(rows=len(lines), warnings=[w for one in inputs for w in one.warnings])
    for one in inputs:
        report.events += len(one.events)
        report.created += one.case is None
        report.changed += one.case is not None
        if not dry_run:
            _store(writing, one, zones)
    if not dry_run:
        _keep_record(writing, kind, content or _digest(lines), report)
    return report


def import_cases(
    writing: Writing, lines: Sequence[JournalLine], *, kind: str, content: str, dry_run: bool = False
) -> Report:
    """Apply a cohort whose cases come whole: one that is already on record with these events is left alone.

    ``content`` identifies the files: the same ones are never applied twice, whatever has happened since.
    """
    if _came_before(writing.session, kind, content):
        return Report(unchanged=sum(1 for _ in by_case(lines)))
    new: list[JournalLine] = []
    problems: list[LineProblem] = []
    unchanged = 0
    for ref, of_case in by_case(lines):
        known = _is_known(writing, ref, of_case)
        if known is None:
            new.extend(of_case)
        elif known:
            unchanged += 1
        else:
            problems.append(of_case[0].problem(f"case {ref} is on record with another history; it is left as it is"))
    if problems:
        raise InputRefused(problems)
    report = replay(writing, new, kind=kind, content=content, dry_run=dry_run) if new else Report()
    report.unchanged = unchanged
    return report


def _came_before(session: Session, kind: str, content: str) -> bool:
    found = select(ImportRun.id).where(ImportRun.kind == kind, ImportRun.content == content)
    return session.exec(found).first() is not None


def _is_known(writing: Writing, ref: str, lines: list[JournalLine]) -> bool | None:
    """None for a new case; else whether its history begins with exactly these lines."""
    case = writing.session.exec(select(Case).where(Case.ref == ref)).first()
    if case is None:
        return None
    pathway = pathways.pinned(writing.session, case.pathway_digest)
    stored = [(e.kind, e.on, e.data) for e in cases.events_of(writing.session, case)[: len(lines)]]
    try:
        return stored == [(line.event, line.on, checked_data(pathway, line.event, line.data)) for line in lines]
    except Refused:
        return False


# Lines to events -------------------------------------------------------------------------------------------


def _prepared(writing: Writing, lines: Iterable[JournalLine]) -> Iterator[CaseInput]:
    newest = pathways.latest(writing.session)
    for ref, of_case in by_case(lines):
        case = writing.session.exec(select(Case).where(Case.ref == ref).with_for_update()).first()
        pathway = pathways.pinned(writing.session, case.pathway_digest) if case else newest
        before = cases.events_of(writing.session, case) if case else []
        one = CaseInput(ref, of_case, pathway, case, before)
        _read_events(writing, one)
        _plan(one)
        yield one


def _read_events(writing: Writing, one: CaseInput) -> None:
    try:
        cases.check_reference(one.ref)
    except ChangeRefused as refusal:
        one.problems.extend(one.lines[0].problem(reason) for reason in refusal.reasons)
    taken = {event.id for event in one.before} | {line.id for line in one.lines if line.id}
    seq = len(one.before)
    ids = {event.id for event in one.before}
    by_number: dict[int, str] = {}
    for line in one.lines:
        seq += 1
        event_id = line.id or cases.free_id(seq, taken)
        taken.add(event_id)
        if event_id in ids:
            one.problems.append(line.problem(f"the id {quoted(event_id)} is already used in this case"))
            continue
        one.line_of[event_id] = line
        _read_event(writing, one, line, event_id, seq, Earlier(ids, by_number))
        ids.add(event_id)
        by_number[line.number] = event_id


def _read_event(writing: Writing, one: CaseInput, line: JournalLine, event_id: str, seq: int, earlier: Earlier) -> None:
    try:
        data = checked_data(one.pathway, line.event, line.data)
        if line.at is None:  # recorded now; what was recorded before keeps its name
            refuse_name(line.event, data)
        if line.event == "event:corrected":
            data["event"] = earlier.meant_by(data["event"])
        event = Event(event_id, seq, line.event, line.on, data, line.at or writing.now, line.by or writing.actor)
        _check_recorded(line, writing)
        cases.check_correction(chain(one.before, one.events), event)
    except Refused as refusal:
        one.problems.extend(line.problem(reason) for reason in refusal.reasons)
    else:
        one.events.append(event)


def _check_recorded(line: JournalLine, writing: Writing) -> None:
    if line.at is not None and line.at > writing.now:
        raise Refused(f"at: {line.at.isoformat()} is in the future")


def _check_dates(writing: Writing, one: CaseInput, zones: dict[str, str]) -> None:
    opening = next((e for e in (*one.before, *one.events) if e.kind == "case:opened"), None)
    if opening is None:
        return
    today = local_date(writing.now, zones[opening.data["clinic"]])
    birth = opening.data["patient"].get("birth_date")
    for event in one.events:
        try:
            refuse_dates(event.on, today, None, date.fromisoformat(birth) if birth else None)
        except Refused as refusal:
            one.problems.extend(one.line_of[event.id].problem(reason) for reason in refusal.reasons)


def _plan(one: CaseInput) -> None:
    planner = Planner(one.pathway)
    for event in effective([*one.before, *one.events]):
        try:
            planner.apply(event)
        except Refused as refusal:
            line = one.line_of.get(event.id)
            later = "" if line else f"{event.kind} of {event.on} would no longer be possible: "
            one.problems.extend((line or one.lines[0]).problem(later + reason) for reason in refusal.reasons)
    one.plan = planner.plan()
    for event_id, reason in one.plan.history.without_effect:
        if event_id in one.line_of:
            one.warnings.append(one.line_of[event_id].problem(f"{reason}: kept, it changes nothing"))


def _openings(inputs: list[CaseInput]) -> Iterator[tuple[JournalLine, dict[str, Any]]]:
    """The lines that open new cases, with what they say."""
    for one in inputs:
        opening = next((e for e in one.events if e.kind == "case:opened" and one.case is None), None)
        if opening is not None:
            yield one.line_of[opening.id], opening.data


def _zones(session: Session, inputs: list[CaseInput]) -> dict[str, str]:
    """The zone of each clinic: as on record, or of a new one as it was when the last of its cases was recorded."""
    zones: dict[str, str] = {}
    recorded = []
    for line, opened in _openings(inputs):
        zones.setdefault(opened["clinic"], opened["timezone"])
        if line.at is not None:
            recorded.append((line.at, opened["clinic"], opened["timezone"]))
    zones.update((clinic, zone) for _, clinic, zone in sorted(recorded))
    return zones | _known_zones(session)


def _known_zones(session: Session) -> dict[str, str]:
    return dict(session.exec(select(Clinic.name, Clinic.timezone)).all())


def _of_another_zone(session: Session, inputs: list[CaseInput], zones: dict[str, str]) -> Iterator[LineProblem]:
    """A clinic is in one zone; only a record that is brought in again may tell of one in which it was before."""
    known = _known_zones(session)
    for line, opened in _openings(inputs):
        clinic, zone = opened["clinic"], opened["timezone"]
        if zone != zones[clinic] and (clinic in known or line.at is None):
            yield line.problem(f"clinic {clinic!r} is in {zones[clinic]}, not in {zone}")


def _same_patient_twice(inputs: list[CaseInput]) -> Iterator[LineProblem]:
    seen = set()
    for line, opened in _openings(inputs):
        patient = opened["patient"]["ref"]
        if patient in seen:
            yield line.problem(f"patient {patient!r} has a case already")
        seen.add(patient)


# Storing ---------------------------------------------------------------------------------------------------


def _store(writing: Writing, one: CaseInput, zones: dict[str, str]) -> None:
    if one.plan is None:
        raise ValueError("an input is stored after it has been planned")
    try:
        if one.case is None:
            zone = zones[cases.opening_of(one.events)["clinic"]]
            cases.write_new(writing, one.ref, one.pathway, one.events, one.plan, zone=zone)
        else:
            cases.write_change(writing, one.case, one.pathway, one.events, one.plan)
    except ChangeRefused as refusal:
        raise InputRefused([one.lines[0].problem(reason) for reason in refusal.reasons]) from refusal


def _digest(lines: Sequence[JournalLine]) -> str:
    content = hashlib.sha256()
    for line in lines:
        content.update(json.dumps([line.case, str(line.on), line.event, line.data], sort_keys=True).encode())
    return content.hexdigest()


def _keep_record(writing: Writing, kind: str, content: str, report: Report) -> None:
    writing.session.add(
        ImportRun(
            kind=kind,
            content=content,
            actor=writing.actor,
            at=writing.now,
            cases=report.created + report.changed,
            events=report.events,
        )
    )


# Out -------------------------------------------------------------------------------------------------------


def export(session: Session) -> Iterator[JournalLine]:
    """Every event of every case, by case reference, in the order of recording."""
    rows = select(Case.ref, CaseEvent).join(Case).order_by(Case.ref, col(CaseEvent.seq))
    for ref, row in session.exec(rows.execution_options(yield_per=1000)):
        recorded_at = row.recorded_at.astimezone(UTC)
        data: dict[str, Any] = json.loads(row.data)
        yield JournalLine(ref, row.on, row.kind, data, id=row.ref, at=recorded_at, by=row.actor)
