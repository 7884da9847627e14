from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tracker.errors import InputRefused, WrongSetting
from tracker.interchange.cbioportal import PATIENT_FILE, SAMPLE_FILE, Cohort, read_cohort
from tracker.interchange.cbioportal_patient import NEEDED, SAMPLE_NEEDED
from tracker.interchange.journal import JournalLine, by_case
from workflows.events import Event, checked_data
from workflows.pathway import Pathway, load
from workflows.planning import Plan, plan

ANCHOR = date(2016, 1, 31)
REAL = Path(__file__).parents[4] / "shared" / "data" / "cohorts"

PATIENT = {
    "PATIENT_ID": "T-1",
    "SEX": "Female",
    "AGE": "61",
    "OS_MONTHS": "24.5",
    "OS_STATUS": "LIVING",
    "VITAL_STATUS": "Alive - Without Disease",
    "TIME_TO_LAST_FOLLOWUP": "24.5",
    "SURGICAL_MARGIN": "Clear",
    "CLINICAL_STAGE": "IB",
    "N_STAGE": "0",
    "M_STAGE": "0",
    "OVERALL_PATIENT_HISTOLOGY": "Neuroendocrine Tumour- Unspecified",
    "FAMILIAL_SYNDROME": "No",
}
SAMPLE = {
    "SAMPLE_ID": "S-1",
    "PATIENT_ID": "T-1",
    "FUNCTIONAL": "No",
    "WHO_GRADE": "2",
    "TUMOR_SIZE": "35",
    "ENETS_STAGING": "IIIa",
    "T_STAGE": "2",
    "ENETS_T_STAGING": "3",
    "ONCOTREE_CODE": "PANET",
}

Write = Callable[..., Path]


def as_text(rows: list[dict[str, str]], extra: str = "") -> str:
    header = [*rows[0], *([extra] if extra else [])]
    lines = ["#names", "#descriptions", "#STRING", "#1", "\t".join(header)]
    lines += ["\t".join([*row.values(), *(["ignored"] if extra else [])]) for row in rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """One patient with one sample, each changed as told."""

    def _write(**changed: str) -> Path:
        assert changed.keys() <= PATIENT.keys() | SAMPLE.keys()
        patient = PATIENT | {k: v for k, v in changed.items() if k in PATIENT}
        sample = SAMPLE | {k: v for k, v in changed.items() if k in SAMPLE}
        (tmp_path / PATIENT_FILE).write_text(as_text([patient]), encoding="utf-8")
        (tmp_path / SAMPLE_FILE).write_text(as_text([sample]), encoding="utf-8")
        return tmp_path

    return _write


@pytest.fixture(scope="module")
def pathway() -> Pathway:
    return load()


def read(folder: Path, navigator: str | None = "ana@example.org") -> Cohort:
    return read_cohort(folder, ANCHOR, "North", "Europe/London", navigator)


def folded(pathway: Pathway, lines: list[JournalLine]) -> Plan:
    events = [
        Event(str(n), n, line.event, line.on, checked_data(pathway, line.event, line.data))
        for n, line in enumerate(lines)
    ]
    return plan(pathway, events)


def told(cohort: Cohort) -> list[tuple[str, str]]:
    """The events by date and kind, a trigger in place of its kind."""
    return [(line.on.isoformat(), line.data.get("trigger", line.event)) for line in cohort.lines]


def reasons(cohort: Cohort) -> list[str]:
    return [problem.reason for problem in cohort.problems]


# What a row says --------------------------------------------------------------------------------------------


def test_resected_patient_enters_surveillance_and_is_seen_last(write: Write):
    cohort = read(write())
    assert cohort.problems == []
    assert cohort.warnings == []
    assert told(cohort) == [
        ("2016-01-31", "case:opened"),
        ("2016-01-31", "fact:recorded"),
        ("2016-01-31", "fact:recorded"),
        ("2016-01-31", "fact:recorded"),
        ("2016-01-31", "start_line"),
        ("2016-01-31", "end_line"),
        ("2016-01-31", "begin_surveillance"),
        ("2018-02-15", "activity:done"),  # 24 months, then half a month of 30.4375 days
        ("2018-02-15", "fact:recorded"),
    ]
    assert {line.number for line in cohort.lines} == {6}
    assert {line.file for line in cohort.lines} == {PATIENT_FILE}


def test_case_opens_in_planning_with_what_is_known_of_the_patient(write: Write):
    assert read(write()).lines[0].data == {
        "clinic": "North",
        "timezone": "Europe/London",
        "patient": {"ref": "T-1", "sex": "female"},
        "state": "localized.planning",
        "navigator": "ana@example.org",
    }
    bare = read(write(SEX="Not documented"), navigator=None).lines[0].data
    assert bare["patient"] == {"ref": "T-1"}
    assert "navigator" not in bare


def test_facts_of_the_tumour_are_recorded_with_both_stagings(write: Write):
    facts, enets, ajcc = (line.data for line in read(write()).lines[1:4])
    assert facts == {
        "age_at_diagnosis": 61,
        "primary_site": "pancreas",
        "differentiation": "well",
        "reported_grade": "G2",
        "tumour_size_mm": 35,
        "syndrome": "none",
        "reported_functional": False,
        "hereditary": "none",
        "resection_margin": "R0",
    }
    assert enets == {"staging_system": "enets", "t": "3", "stage": "IIIa"}
    assert ajcc == {"staging_system": "ajcc8", "t": "2", "n": "0", "m": "0", "stage": "IB"}


def test_metastatic_patient_is_followed_as_advanced(write: Write, pathway: Pathway):
    cohort = read(write(M_STAGE="1", CLINICAL_STAGE="IV"))
    assert cohort.lines[0].data["state"] == "advanced.planning"
    assert cohort.lines[4].data["intent"] == "cytoreductive"
    assert folded(pathway, cohort.lines).history.state == "advanced.monitoring"


def test_stage_iv_says_metastatic_where_m_is_not_documented(write: Write):
    cohort = read(write(M_STAGE="NA", CLINICAL_STAGE="IV"))
    assert cohort.lines[0].data["state"] == "advanced.planning"
    assert "m" not in cohort.lines[3].data


def test_unknown_m_waits_in_recovery_with_a_warning(write: Write, pathway: Pathway):
    cohort = read(write(M_STAGE="Not documented"))
    assert folded(pathway, cohort.lines).history.state == "therapy.recovery"
    assert "M_STAGE is not known" in cohort.warnings[0].reason


def test_m0_with_stage_iv_is_pointed_out(write: Write):
    assert "the stage is IV" in read(write(CLINICAL_STAGE="IV")).warnings[0].reason


def test_unknown_margin_keeps_surveillance_waiting(write: Write, pathway: Pathway):
    cohort = read(write(SURGICAL_MARGIN="Not documented"))
    found = folded(pathway, cohort.lines)
    assert found.history.state == "therapy.recovery"
    assert found.history.fact("resection_margin") is None
    assert [item.rule for item in found.open_items] == ["no-next-step"]
    assert "SURGICAL_MARGIN" in cohort.warnings[0].reason


def test_involved_margin_is_r1(write: Write):
    assert read(write(SURGICAL_MARGIN="Involved")).lines[1].data["resection_margin"] == "R1"


@pytest.mark.parametrize(
    "histology, functional, kept, warned",
    [
        ("Neuroendocrine Tumour- Insulinoma", "Yes", ("insulinoma", True), ""),
        ("Neuroendocrine Tumour- Gastrinoma", "Yes", ("gastrinoma", True), ""),
        ("Neuroendocrine Tumour- VIPoma", "Yes", ("vipoma", True), ""),
        ("Neuroendocrine Tumour- Glucagonoma", "Yes", ("glucagonoma", True), ""),
        ("Neuroendocrine Tumour- Somatostatinoma", "Yes", ("somatostatinoma", True), ""),
        ("Neuroendocrine Tumour- PPoma", "Yes", ("other", True), ""),
        ("Neuroendocrine Tumour- PPoma", "No", ("other", False), "FUNCTIONAL is No"),
        ("Neuroendocrine Tumour- Insulinoma", "No", ("insulinoma", False), "FUNCTIONAL is No"),
        ("Neuroendocrine Tumour- Insulinoma", "Not documented", ("insulinoma", None), ""),
        ("Neuroendocrine Tumour- Unspecified", "No", ("none", False), ""),
        ("Neuroendocrine Tumour- Clear cell", "No", ("none", False), ""),
        ("Neuroendocrine Tumour- Unspecified", "Yes", ("other", True), "names no hormone"),
        ("Neuroendocrine Tumour- Unspecified", "", (None, None), ""),
        ("", "No", ("none", False), ""),
    ],
)
def test_function_is_read_from_histology_and_column(
    write: Write, histology: str, functional: str, kept: tuple[str | None, bool | None], warned: str
):
    cohort = read(write(OVERALL_PATIENT_HISTOLOGY=histology, FUNCTIONAL=functional))
    facts = cohort.lines[1].data
    assert (facts.get("syndrome"), facts.get("reported_functional")) == kept
    assert len(cohort.warnings) == bool(warned)
    assert warned in "".join(warning.reason for warning in cohort.warnings)


def test_mixed_differentiation_is_pointed_out(write: Write):
    cohort = read(write(OVERALL_PATIENT_HISTOLOGY="Neuroendocrine Carcinoma - Well/Poorly Differentiated"))
    assert cohort.lines[1].data["differentiation"] == "well"
    assert "check it" in cohort.warnings[0].reason


@pytest.mark.parametrize("word, value, warnings", [("No", "none", 0), ("Yes", "not_assessed", 1), ("NA", None, 0)])
def test_familial_syndrome_asks_the_hereditary_question(write: Write, word: str, value: str | None, warnings: int):
    cohort = read(write(FAMILIAL_SYNDROME=word))
    assert cohort.lines[1].data.get("hereditary") == value
    assert len(cohort.warnings) == warnings


@pytest.mark.parametrize("unknown", ["", "Not documented", "NA", "n/a"])
def test_unknown_is_left_out(write: Write, unknown: str):
    asked = ("SEX", "AGE", "CLINICAL_STAGE", "N_STAGE", "OVERALL_PATIENT_HISTOLOGY", "FAMILIAL_SYNDROME")
    tumour = [name for name in SAMPLE_NEEDED if not name.endswith("_ID")]
    cohort = read(write(**dict.fromkeys([*asked, *tumour], unknown)))
    assert cohort.problems == []
    assert [line.data for line in cohort.lines if line.event == "fact:recorded"] == [
        {"primary_site": "pancreas", "resection_margin": "R0"},
        {"staging_system": "ajcc8", "m": "0"},
        {"vital_status": "alive"},
    ]


def test_death_is_recorded_at_survival_time(write: Write, pathway: Pathway):
    cohort = read(write(OS_STATUS="DECEASED", VITAL_STATUS="Deceased - Of Disease", OS_MONTHS="1"))
    assert told(cohort)[-1] == ("2016-02-29", "record_death")  # 31 January + 1 month is clamped
    found = folded(pathway, cohort.lines)
    assert (found.history.state, found.open_items) == ("closed.deceased", [])


@pytest.mark.parametrize(
    "os_status, vital",
    [("", "Lost at follow up"), ("LIVING", "Lost at follow up"), ("", "Alive - With Disease"), ("", "")],
)
def test_not_known_to_be_alive_stays_open_and_flagged(write: Write, pathway: Pathway, os_status: str, vital: str):
    cohort = read(write(OS_STATUS=os_status, VITAL_STATUS=vital))
    assert told(cohort)[-1] == ("2018-02-15", "fact:recorded")
    assert "activity:done" not in {line.event for line in cohort.lines}
    found = folded(pathway, cohort.lines).history
    assert found.is_open
    assert found.fact("vital_status") == "lost"
    assert "reported-lost" in {warning.id for warning in found.unexplained()}
    assert "trace the patient" in cohort.warnings[0].reason


@pytest.mark.parametrize(
    "months, seen",
    [
        ("0.5", "2016-02-15"),
        ("0.9", "2016-02-27"),
        ("1.0", "2016-02-29"),
        ("1.5", "2016-03-15"),
        ("12", "2017-01-31"),
    ],
)
def test_months_are_calendar_months_and_then_days(write: Write, months: str, seen: str):
    assert told(read(write(TIME_TO_LAST_FOLLOWUP=months)))[-1][0] == seen


def test_no_visit_is_invented_on_the_day_of_surgery(write: Write):
    cohort = read(write(TIME_TO_LAST_FOLLOWUP="0"))
    assert told(cohort)[-2:] == [("2016-01-31", "begin_surveillance"), ("2016-01-31", "fact:recorded")]


def test_unknown_last_follow_up_records_no_visit(write: Write):
    cohort = read(write(TIME_TO_LAST_FOLLOWUP="NA"))
    assert told(cohort)[-1] == ("2016-01-31", "begin_surveillance")
    assert "TIME_TO_LAST_FOLLOWUP" in cohort.warnings[0].reason


def test_last_visit_in_the_future_has_not_happened(write: Write):
    folder = write()
    cohort = read_cohort(folder, ANCHOR, "North", "Europe/London", None, today=date(2018, 2, 14))
    assert told(cohort)[-1] == ("2016-01-31", "begin_surveillance")
    assert cohort.warnings[0].reason == "the last follow-up would be on 15 Feb 2018, in the future: left out"
    on_the_day = read_cohort(folder, ANCHOR, "North", "Europe/London", None, today=date(2018, 2, 15))
    assert told(on_the_day)[-1] == ("2018-02-15", "fact:recorded")
    assert on_the_day.warnings == []


def test_death_in_the_future_is_not_left_out(write: Write):
    folder = write(OS_STATUS="DECEASED", VITAL_STATUS="Deceased - Of Disease")
    cohort = read_cohort(folder, ANCHOR, "North", "Europe/London", None, today=date(2017, 1, 1))
    assert told(cohort)[-1] == ("2018-02-15", "record_death")


def test_patient_without_sample_is_warned_of(write: Write):
    folder = write()
    (folder / SAMPLE_FILE).write_text("\t".join(SAMPLE_NEEDED) + "\n")
    cohort = read(folder)
    assert cohort.problems == []
    assert "differentiation" not in cohort.lines[1].data
    assert "no row for this patient" in cohort.warnings[0].reason


def test_columns_that_are_not_used_are_listed(write: Write):
    folder = write()
    (folder / PATIENT_FILE).write_text(as_text([PATIENT], extra="SMOKER"))
    assert read(folder).ignored_columns == [f"{PATIENT_FILE}: SMOKER"]


def test_byte_order_mark_windows_lines_and_blank_lines_change_nothing(write: Write):
    folder = write()
    plain = read(folder)
    for name in (PATIENT_FILE, SAMPLE_FILE):
        text = (folder / name).read_text() + "\n\n"
        (folder / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read(folder) == plain


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column, value, reason",
    [
        ("AGE", "sixty", "not a number"),
        ("AGE", "-3", "not a number"),
        ("AGE", "130", "not between 0 and 120"),
        ("AGE", "nan", "not a number"),
        ("TUMOR_SIZE", "1e3", "not a number"),
        ("TUMOR_SIZE", "12 mm", "not a number"),
        ("TUMOR_SIZE", "0", "not a size"),
        ("TIME_TO_LAST_FOLLOWUP", "12,5", "not a number"),
        ("OS_MONTHS", "5000", "not between 0 and 1200"),
        ("SEX", "M", "is not one of Female, Male"),
        ("WHO_GRADE", "4", "is not one of 1, 2, 3"),
        ("SURGICAL_MARGIN", "Close", "is not one of Clear, Involved"),
        ("FUNCTIONAL", "Perhaps", "is not one of Yes, No"),
        ("FAMILIAL_SYNDROME", "MEN1", "is not one of Yes, No"),
        ("ONCOTREE_CODE", "PAAD", "is not one of PANET"),
        ("OS_STATUS", "ALIVE?", "is not one of LIVING"),
        ("VITAL_STATUS", "Missing", "is not one of Alive"),
        ("CLINICAL_STAGE", "2", "is not written as expected"),
        ("ENETS_STAGING", "V", "is not written as expected"),
        ("T_STAGE", "T2", "is not written as expected"),
        ("ENETS_T_STAGING", "5", "is not written as expected"),
        ("N_STAGE", "3", "is not written as expected"),
        ("M_STAGE", "2", "is not written as expected"),
    ],
)
def test_a_value_that_is_not_understood_is_refused(write: Write, column: str, value: str, reason: str):
    cohort = read(write(**{column: value}))
    assert [problem.line for problem in cohort.problems] == [6]
    assert reason in reasons(cohort)[0]
    assert column in reasons(cohort)[0]
    assert cohort.lines == []


def test_alive_and_deceased_at_once_is_refused(write: Write):
    assert "alive or deceased?" in reasons(read(write(VITAL_STATUS="Deceased - Of Other Cause")))[0]


def test_death_without_a_date_is_refused(write: Write):
    cohort = read(write(OS_STATUS="DECEASED", VITAL_STATUS="Deceased - Of Disease", OS_MONTHS="NA"))
    assert "OS_MONTHS is not known" in reasons(cohort)[0]


@pytest.mark.parametrize("ref", ["", "T 1", "../etc", "T" * 65])
def test_identifier_that_cannot_be_a_reference_is_refused(write: Write, ref: str):
    assert any("cannot be a reference" in reason for reason in reasons(read(write(PATIENT_ID=ref))))


@pytest.mark.parametrize(
    "file, rows, line, reason",
    [
        (PATIENT_FILE, [PATIENT, PATIENT], 7, "PATIENT_ID 'T-1' stands on an earlier line too"),
        (SAMPLE_FILE, [SAMPLE, SAMPLE], 7, "SAMPLE_ID 'S-1' stands on an earlier line too"),
        (SAMPLE_FILE, [SAMPLE, SAMPLE | {"SAMPLE_ID": "S-2"}], 7, "has an earlier sample"),
        (
            SAMPLE_FILE,
            [SAMPLE, SAMPLE | {"SAMPLE_ID": "S-2", "PATIENT_ID": "T-2"}],
            7,
            f"not in {PATIENT_FILE}",
        ),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(
    write: Write, file: str, rows: list[dict[str, str]], line: int, reason: str
):
    folder = write()
    (folder / file).write_text(as_text(rows))
    cohort = read(folder)
    assert any(p.file == file and p.line == line and reason in p.reason for p in cohort.problems)


def test_row_with_too_few_fields_is_refused(write: Write):
    folder = write()
    with (folder / PATIENT_FILE).open("a") as file:
        file.write("T-2\tMale\n")
    cohort = read(folder)
    assert reasons(cohort) == [f"has 2 fields, the header has {len(NEEDED)}"]
    assert cohort.problems[0].line == 7


@pytest.mark.parametrize("file, column", [(PATIENT_FILE, "M_STAGE"), (SAMPLE_FILE, "FUNCTIONAL")])
def test_missing_column_is_named(write: Write, file: str, column: str):
    folder = write()
    row = PATIENT if file == PATIENT_FILE else SAMPLE
    (folder / file).write_text(as_text([{k: v for k, v in row.items() if k != column}]))
    cohort = read(folder)
    assert [(p.file, p.line, p.reason) for p in cohort.problems] == [(file, 5, f"column {column} is missing")]
    assert cohort.lines == []


def test_column_that_stands_twice_is_refused(write: Write):
    folder = write()
    (folder / PATIENT_FILE).write_text(as_text([PATIENT], extra="AGE"))
    assert reasons(read(folder)) == ["column AGE stands there twice"]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"PATIENT_ID\xff\n", "not UTF-8"),
        (b"PATIENT_ID\0\n", "NUL"),
        (b"", "no header line"),
        (b"#only\n#comments\n", "no header line"),
    ],
)
def test_file_that_is_no_table_is_refused(write: Write, content: bytes, reason: str):
    folder = write()
    (folder / PATIENT_FILE).write_bytes(content)
    with pytest.raises(InputRefused, match=reason):
        read(folder)


@pytest.mark.parametrize("missing", [PATIENT_FILE, SAMPLE_FILE])
def test_missing_file_is_named(write: Write, missing: str):
    folder = write()
    (folder / missing).unlink()
    with pytest.raises(WrongSetting, match=missing):
        read(folder)


def test_folder_in_place_of_a_file_cannot_be_read(write: Write):
    folder = write()
    (folder / SAMPLE_FILE).unlink()
    (folder / SAMPLE_FILE).mkdir()
    with pytest.raises(WrongSetting, match="cannot be read"):
        read(folder)


# A published cohort -----------------------------------------------------------------------------------------


def shared(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"the cohort {name} is not beside the checkout; it is not part of the project")
    return REAL / name


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return read(shared("panet_arcnet_2017"))


@pytest.fixture(scope="module")
def plans(cohort: Cohort, pathway: Pathway) -> dict[str, Plan]:
    return {case: folded(pathway, lines) for case, lines in by_case(cohort.lines)}


def test_published_cohort_is_read_whole(cohort: Cohort, plans: dict[str, Plan]):
    assert cohort.problems == []
    assert cohort.rows == len(plans) == 98
    assert all(not found.history.without_effect for found in plans.values())
    assert read(shared("panet_arcnet_2017")) == cohort


def test_published_cohort_has_its_metastatic_patients_in_the_advanced_phase(cohort: Cohort, plans: dict[str, Plan]):
    entered = [line.case for line in cohort.lines if line.data.get("state") == "advanced.planning"]
    assert len(entered) == 18
    living = [plans[case].history for case in entered if plans[case].history.is_open]
    assert {history.phase for history in living} == {"advanced"}


def test_published_deaths_close_their_cases_with_nothing_open(plans: dict[str, Plan]):
    states = Counter(found.history.state for found in plans.values())
    assert states["closed.deceased"] == 15
    assert all(not p.open_items for p in plans.values() if p.history.state == "closed.deceased")


def test_published_lost_patient_is_flagged_and_not_alive(cohort: Cohort, plans: dict[str, Plan]):
    lost = [found.history for found in plans.values() if found.history.fact("vital_status") == "lost"]
    assert len(lost) == 1
    assert lost[0].is_open
    assert "reported-lost" in {warning.id for warning in lost[0].unexplained()}
    assert sum("trace the patient" in warning.reason for warning in cohort.warnings) == 1


def test_published_contradictions_on_function_are_kept_and_warned_of(cohort: Cohort, plans: dict[str, Plan]):
    warned = [warning for warning in cohort.warnings if "FUNCTIONAL is" in warning.reason]
    assert len(warned) == 4
    line_of = {line.number: line.case for line in cohort.lines}
    for warning in warned:
        history = plans[line_of[warning.line]].history
        told_twice = (history.fact("functional"), history.fact("reported_functional"))
        assert told_twice == (True, "FUNCTIONAL is Yes" in warning.reason)


def test_published_unknowns_are_left_out(plans: dict[str, Plan]):
    histories = [found.history for found in plans.values()]
    assert sum(history.fact("n") is None for history in histories) == 2
    assert sum(history.fact("resection_margin") is None for history in histories) == 1
    assert all(history.fact("ki67_percent") is None for history in histories)


def test_published_columns_that_are_not_used_are_listed(cohort: Cohort):
    assert f"{PATIENT_FILE}: PERSONAL_HISTORY" in cohort.ignored_columns
    assert f"{SAMPLE_FILE}: VASCULAR_INVASION" in cohort.ignored_columns
    assert len(cohort.ignored_columns) == 8


def test_cohort_of_samples_alone_is_refused_by_the_missing_files_name():
    with pytest.raises(WrongSetting, match=PATIENT_FILE):
        read(shared("panet_jhu_2011"))
