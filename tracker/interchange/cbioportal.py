"""Resected pancreatic neuroendocrine tumours from a cBioPortal study, as journal lines.

The files hold no calendar dates. A case enters the register on the anchor date, which stands for diagnosis
and resection alike, in planning: the files do not say when a team reviewed it, so its work-up would be
invented. What they do not know stays unknown, and what they say twice in different ways is kept twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tracker.errors import LineProblem
from tracker.interchange.cbioportal_patient import NEEDED, SAMPLE_NEEDED, Patient, read_patient
from tracker.interchange.cbioportal_table import Row, Table, read_table
from tracker.interchange.journal import JournalLine
from workflows.dates import Interval, in_words

PATIENT_FILE = "data_clinical_patient.txt"
SAMPLE_FILE = "data_clinical_sample.txt"
_DAYS_A_MONTH = Decimal("30.4375")  # 365.25 / 12: the files give months as decimals


@dataclass(frozen=True, slots=True)
class Cohort:
    """What the files say, as journal lines in patient order, and what a person must know about them.

    ``problems`` are refused rows: where there are any, nothing must be applied. ``ignored_columns`` are
    ``file: COLUMN``.
    """

    lines: list[JournalLine] = field(default_factory=list)
    rows: int = 0
    warnings: list[LineProblem] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the files do not say: the date that stands for diagnosis, and who follows the cases."""

    anchor: date
    clinic: str
    timezone: str
    navigator: str | None
    today: date | None

    def after(self, months: Decimal) -> date:
        """Whole calendar months after the anchor, then the fraction as days."""
        whole = int(months)
        days = round((months - whole) * _DAYS_A_MONTH)
        return Interval(whole, "month").after(self.anchor) + timedelta(days=days)


def read_cohort(
    folder: Path, anchor: date, clinic: str, timezone: str, navigator: str | None, today: date | None = None
) -> Cohort:
    """The cohort in a study's folder; raises WrongSetting or InputRefused where a file cannot be read at all.

    ``anchor`` is the local date that stands for every patient's diagnosis and resection; ``timezone`` is the
    clinic's IANA name; ``navigator`` is an e-mail address. A last visit
    later than ``today`` is left out with a warning (it has not happened); a death or a loss never is.
    """
    patients = read_table(folder / PATIENT_FILE, NEEDED)
    samples = read_table(folder / SAMPLE_FILE, SAMPLE_NEEDED)
    cohort = Cohort(rows=len(patients.rows), ignored_columns=_ignored(patients, samples))
    cohort.problems.extend([*patients.problems, *samples.problems])
    entry = _Entry(anchor, clinic, timezone, navigator, today)
    if any(not table.rows and table.problems for table in (patients, samples)):
        return cohort
    cohort.problems.extend(_misplaced(patients, samples))
    sample_of = {row.cells["PATIENT_ID"].strip(): row for row in samples.rows}
    for row in patients.rows:
        _take(cohort, entry, row, sample_of.get(row.cells["PATIENT_ID"].strip()))
    return cohort


def _take(cohort: Cohort, entry: _Entry, row: Row, sample: Row | None) -> None:
    patient, problems = read_patient(row, sample)
    cohort.problems.extend(problems)
    cohort.warnings.extend(row.problem(words) for words in patient.warnings())
    not_yet = None if problems else _not_yet(patient, entry)
    if not_yet:
        cohort.warnings.append(
            row.problem(f"the last follow-up would be on {in_words(not_yet)}, in the future: left out")
        )
    if not problems:
        for event in _events(patient, entry):
            cohort.lines.append(JournalLine(patient.ref, *event, file=row.file, number=row.number))


def _ignored(patients: Table, samples: Table) -> list[str]:
    return [
        f"{table.file}: {column}"
        for table, used in ((patients, NEEDED), (samples, SAMPLE_NEEDED))
        for column in table.columns
        if column not in used
    ]


def _misplaced(patients: Table, samples: Table) -> Iterator[LineProblem]:
    """Rows whose identifiers do not fit together: each stands once, one sample a patient."""
    yield from _repeated(patients, "PATIENT_ID", "stands on an earlier line too")
    yield from _repeated(samples, "SAMPLE_ID", "stands on an earlier line too")
    yield from _repeated(samples, "PATIENT_ID", "has an earlier sample; which describes the tumour is not clear")
    known = {row.cells["PATIENT_ID"].strip() for row in patients.rows}
    for row in samples.rows:
        ref = row.cells["PATIENT_ID"].strip()
        if ref not in known:
            yield row.problem(f"PATIENT_ID {ref!r} is not in {patients.file}")


def _repeated(table: Table, column: str, words: str) -> Iterator[LineProblem]:
    seen: Counter[str] = Counter()
    for row in table.rows:
        value = row.cells[column].strip()
        if seen[value]:
            yield row.problem(f"{column} {value!r} {words}")
        seen[value] += 1


# What happened, in the order in which it is told -----------------------------------------------------------

_Event = tuple[date, str, dict[str, Any]]


def _events(patient: Patient, entry: _Entry) -> Iterator[_Event]:
    yield entry.anchor, "case:opened", _opening(patient, entry)
    for facts in (patient.facts(), patient.staging("enets"), patient.staging("ajcc8")):
        if facts:
            yield entry.anchor, "fact:recorded", facts
    yield from _resection(patient, entry.anchor)
    yield from _last_news(patient, entry)


def _opening(patient: Patient, entry: _Entry) -> dict[str, Any]:
    data: dict[str, Any] = {
        "clinic": entry.clinic,
        "timezone": entry.timezone,
        "patient": {"ref": patient.ref, **({"sex": patient.sex} if patient.sex else {})},
        "state": "advanced.planning" if patient.metastatic else "localized.planning",
    }
    return data | ({"navigator": entry.navigator} if entry.navigator else {})


def _resection(patient: Patient, on: date) -> Iterator[_Event]:
    intent = "cytoreductive" if patient.metastatic else "curative"
    yield on, "state:changed", {"trigger": "start_line", "treatment": "pancreatectomy", "intent": intent}
    yield on, "state:changed", {"trigger": "end_line", "reason": "completed"}
    if patient.metastatic:
        yield on, "state:changed", {"trigger": "monitor"}
    elif patient.ready_for_surveillance:
        yield on, "state:changed", {"trigger": "begin_surveillance"}


def _last_news(patient: Patient, entry: _Entry) -> Iterator[_Event]:
    if patient.status == "deceased":
        yield entry.after(patient.survived or Decimal(0)), "state:changed", {"trigger": "record_death"}
        return
    if patient.last_seen is None and patient.status == "alive":
        return
    if _not_yet(patient, entry) is not None:
        return
    seen_on = entry.after(patient.last_seen or Decimal(0))
    if patient.status == "alive" and seen_on > entry.anchor:
        yield seen_on, "activity:done", {"activity": "visit"}
    yield seen_on, "fact:recorded", {"vital_status": patient.status}


def _not_yet(patient: Patient, entry: _Entry) -> date | None:
    """The day of a living patient's last follow-up where it lies in the future: it has not happened."""
    if entry.today is None or patient.status != "alive":
        return None
    seen_on = entry.after(patient.last_seen or Decimal(0))
    return seen_on if seen_on > entry.today else None


def content_of(folder: Path, anchor: date) -> str:
    """What identifies a study under an anchor: a digest of both files and the date."""
    content = hashlib.sha256(anchor.isoformat().encode())
    for name in (PATIENT_FILE, SAMPLE_FILE):
        content.update((folder / name).read_bytes())
    return content.hexdigest()
