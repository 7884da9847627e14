"""One patient of a cBioPortal cohort of resected pancreatic tumours: what each column means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from tracker.errors import LineProblem
from tracker.interchange.cbioportal_table import Cells, Row
from workflows.events import PatientData

Status = Literal["alive", "deceased", "lost"]

NEEDED = (
    "PATIENT_ID",
    "SEX",
    "AGE",
    "OS_MONTHS",
    "OS_STATUS",
    "VITAL_STATUS",
    "TIME_TO_LAST_FOLLOWUP",
    "SURGICAL_MARGIN",
    "CLINICAL_STAGE",
    "N_STAGE",
    "M_STAGE",
    "OVERALL_PATIENT_HISTOLOGY",
    "FAMILIAL_SYNDROME",
)
SAMPLE_NEEDED = (
    "SAMPLE_ID",
    "PATIENT_ID",
    "FUNCTIONAL",
    "WHO_GRADE",
    "TUMOR_SIZE",
    "ENETS_STAGING",
    "T_STAGE",
    "ENETS_T_STAGING",
    "ONCOTREE_CODE",
)

_YES_NO = {"Yes": True, "No": False}
_GRADES = {"1": "G1", "2": "G2", "3": "G3"}
_MARGINS = {"Clear": "R0", "Involved": "R1"}
_SEXES = {"Female": "female", "Male": "male"}
_LIVING: dict[str, Status] = {
    "LIVING": "alive",
    "DECEASED": "deceased",
    "0:LIVING": "alive",
    "1:DECEASED": "deceased",
}
_VITAL: dict[str, Status] = {"Alive": "alive", "Deceased": "deceased", "Lost at follow up": "lost"}
_T, _N, _M, _STAGE = r"[0-4][abc]?|X|is", "[012X]", "0|1[abc]?|X", "(I{1,3}|IV)[A-Da-d]?"
_HORMONES = {
    "insulinoma": "insulinoma",
    "gastrinoma": "gastrinoma",
    "glucagonoma": "glucagonoma",
    "vipoma": "vipoma",
    "somatostatinoma": "somatostatinoma",
    "acthoma": "acthoma",
    "pthrpoma": "pthrpoma",
    "ghrhoma": "ghrhoma",
    "calcitoninoma": "calcitoninoma",
    "ppoma": "other",  # pancreatic polypeptide: a hormone is named, and the register has no word for it
}


@dataclass(frozen=True, slots=True)
class Patient:
    """One row of the patient file with its sample, in the register's words; None is unknown.

    ``last_seen`` and ``survived`` are months from the anchor; ``size_mm`` is the largest diameter.
    """

    ref: str
    sex: str | None
    age: Decimal | None
    histology: str
    familial: bool | None
    margin: str | None
    ajcc: dict[str, str]
    enets: dict[str, str]
    functional: bool | None
    grade: str | None
    size_mm: Decimal | None
    differentiation: str | None
    status: Status
    last_seen: Decimal | None
    survived: Decimal | None
    has_sample: bool

    @property
    def hormone(self) -> str | None:
        """The syndrome whose hormone the histology names."""
        return next((hormone for word, hormone in _HORMONES.items() if word in self.histology.lower()), None)

    @property
    def syndrome(self) -> str | None:
        if self.hormone is not None or self.functional is None:
            return self.hormone
        return "other" if self.functional else "none"

    @property
    def m(self) -> str:
        """0, 1, or empty where the M category is not known; stage IV says M1 where it is not stated."""
        stated = self.ajcc.get("m", "X")
        if stated != "X":
            return stated[0]
        return "1" if self._stage_iv else ""

    @property
    def _stage_iv(self) -> bool:
        return any(categories.get("stage", "").startswith("IV") for categories in (self.ajcc, self.enets))

    @property
    def metastatic(self) -> bool:
        return self.m == "1"

    @property
    def ready_for_surveillance(self) -> bool:
        """Whether the file says all that surveillance after a curative resection rests on."""
        return self.m == "0" and self.margin is not None

    def facts(self) -> dict[str, Any]:
        """What was true at diagnosis, staging apart; unknown things are left out."""
        found = {
            "age_at_diagnosis": _plain(self.age),
            "primary_site": "pancreas",
            "differentiation": self.differentiation,
            "reported_grade": self.grade,
            "tumour_size_mm": _plain(self.size_mm),
            "syndrome": self.syndrome,
            "reported_functional": self.functional,
            "hereditary": None if self.familial is None else "not_assessed" if self.familial else "none",
            "resection_margin": self.margin,
        }
        return {name: value for name, value in found.items() if value is not None}

    def staging(self, system: Literal["enets", "ajcc8"]) -> dict[str, str]:
        """The categories of one staging system, with its name; empty where none is known."""
        known = self.enets if system == "enets" else self.ajcc
        return {"staging_system": system, **known} if known else {}

    def warnings(self) -> Iterator[str]:
        """What a person should look at, though it refuses nothing."""
        if not self.has_sample:
            yield "the sample file has no row for this patient: grade, size and function stay unknown"
        if "well/poorly" in self.histology.lower():
            yield f"{self.histology!r}: recorded as well differentiated, by its OncoTree code; check it"
        yield from self._function_warnings()
        if self.familial:
            yield "FAMILIAL_SYNDROME is Yes without saying which: ask, and record the hereditary syndrome"
        yield from self._extent_warnings()
        if self.status == "lost":
            yield "not known to be alive (OS_STATUS blank, or lost): the case stays open; trace the patient"
        elif self.status == "alive" and self.last_seen is None:
            yield "TIME_TO_LAST_FOLLOWUP is not known: no last visit is recorded"

    def _function_warnings(self) -> Iterator[str]:
        if self.hormone and self.functional is False:
            yield f"the histology names a hormone ({self.histology}), and FUNCTIONAL is No: both are kept"
        if not self.hormone and self.functional:
            yield "FUNCTIONAL is Yes, and the histology names no hormone: both are kept (syndrome: another)"

    def _extent_warnings(self) -> Iterator[str]:
        if not self.m:
            yield "M_STAGE is not known: the case enters as localised and waits in recovery; record it"
        elif not self.metastatic and self.margin is None:
            yield "SURGICAL_MARGIN is not known: surveillance does not begin until it is recorded"
        if self.m == "0" and self._stage_iv:
            yield "M_STAGE is 0, and the stage is IV: both are kept, and the case enters as localised"


def _plain(number: Decimal | None) -> float | int | None:
    if number is None:
        return None
    return int(number) if number == int(number) else float(number)


def read_patient(row: Row, sample: Row | None) -> tuple[Patient, list[LineProblem]]:
    """A patient as far as the rows can be read, and why they cannot."""
    cells = Cells(row)
    tumour = Cells(sample or Row(row.file, row.number, {}))
    months = {name: cells.number(name, 0, 1200) for name in ("TIME_TO_LAST_FOLLOWUP", "OS_MONTHS")}
    status, problems = _status(cells, months["OS_MONTHS"])
    patient = Patient(
        ref=row.cells["PATIENT_ID"].strip(),
        sex=cells.choice("SEX", _SEXES),
        age=cells.number("AGE", 0, 120),
        histology=row.text("OVERALL_PATIENT_HISTOLOGY") or "",
        familial=cells.choice("FAMILIAL_SYNDROME", _YES_NO),
        margin=cells.choice("SURGICAL_MARGIN", _MARGINS),
        ajcc=_ajcc(cells, tumour),
        enets=_enets(tumour),
        functional=tumour.choice("FUNCTIONAL", _YES_NO),
        grade=tumour.choice("WHO_GRADE", _GRADES),
        size_mm=_size(tumour),
        differentiation=tumour.choice("ONCOTREE_CODE", {"PANET": "well"}),
        status=status,
        last_seen=months["TIME_TO_LAST_FOLLOWUP"],
        survived=months["OS_MONTHS"],
        has_sample=sample is not None,
    )
    return patient, [*_reference_problems(row), *cells.problems, *tumour.problems, *problems]


def _ajcc(cells: Cells, tumour: Cells) -> dict[str, str]:
    return _known(
        t=tumour.matching("T_STAGE", _T, "2"),
        n=cells.matching("N_STAGE", _N, "0"),
        m=cells.matching("M_STAGE", _M, "0"),
        stage=cells.matching("CLINICAL_STAGE", _STAGE, "IIB"),
    )


def _enets(tumour: Cells) -> dict[str, str]:
    return _known(t=tumour.matching("ENETS_T_STAGING", _T, "2"), stage=tumour.matching("ENETS_STAGING", _STAGE, "IIb"))


def _known(**found: str | None) -> dict[str, str]:
    return {name: value for name, value in found.items() if value is not None}


def _size(tumour: Cells) -> Decimal | None:
    size = tumour.number("TUMOR_SIZE", 0, 1000)
    if size == 0:
        tumour.problems.append(tumour.row.problem("TUMOR_SIZE: 0 mm is not a size"))
    return size


def _status(cells: Cells, survived: Decimal | None) -> tuple[Status, list[LineProblem]]:
    """Alive only where the file says so: a blank OS_STATUS is not alive, whatever the other column says."""
    living = cells.choice("OS_STATUS", _LIVING)
    vital = _vital(cells)
    if {living, vital} == {"alive", "deceased"}:
        return "lost", [cells.row.problem("OS_STATUS and VITAL_STATUS disagree: alive or deceased?")]
    if "deceased" in (living, vital):
        missing = "OS_MONTHS is not known: a death is recorded with its date"
        return "deceased", [] if survived is not None else [cells.row.problem(missing)]
    return ("alive" if living == "alive" and vital != "lost" else "lost"), []


def _vital(cells: Cells) -> Status | None:
    """What stands before the dash of "Alive - With Disease"."""
    word = (cells.row.text("VITAL_STATUS") or "").partition(" - ")[0]
    row = Row(cells.row.file, cells.row.number, {"VITAL_STATUS": word})
    read = Cells(row)
    status = read.choice("VITAL_STATUS", _VITAL)
    cells.problems.extend(read.problems)
    return status


def _reference_problems(row: Row) -> list[LineProblem]:
    ref = row.cells["PATIENT_ID"].strip()
    try:
        PatientData(ref=ref)
    except ValidationError:
        words = "letters, digits, dots, hyphens and underscores, at most 64, beginning with a letter or digit"
        return [row.problem(f"PATIENT_ID {ref[:80]!r} cannot be a reference: {words}")]
    return []
