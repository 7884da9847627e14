from collections import Counter
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from tracker.demo import CLINICS, demo_cohort, tumours
from tracker.interchange.journal import JournalLine, by_case, dump, parse
from workflows.events import KINDS, Event, checked_data
from workflows.pathway import Pathway, load
from workflows.planning import Plan, plan

TODAY = date(2026, 11, 21)
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture(scope="module")
def pathway() -> Pathway:
    return load()


@pytest.fixture(scope="module")
def lines(pathway: Pathway) -> list[JournalLine]:
    return demo_cohort(pathway, 120, 1, TODAY)


@pytest.fixture(scope="module")
def plans(pathway: Pathway, lines: list[JournalLine]) -> dict[str, Plan]:
    return {case: folded(pathway, told) for case, told in by_case(lines)}


def folded(pathway: Pathway, told: list[JournalLine]) -> Plan:
    events = [
        Event(line.id or f"line {n}", n, line.event, line.on, checked_data(pathway, line.event, line.data))
        for n, line in enumerate(told)
    ]
    return plan(pathway, events)


def worst_delay(found: Plan) -> int:
    """Days by which the most overdue open item is late today; 0 where nothing is."""
    return max((max((TODAY - item.window.late_on).days, 0) for item in found.open_items), default=0)


def test_same_arguments_give_the_same_lines(pathway: Pathway, lines: list[JournalLine]):
    assert demo_cohort(pathway, 120, 1, TODAY) == lines
    assert demo_cohort(pathway, 120, 2, TODAY) != lines


@pytest.mark.parametrize("patients", [0, 1, 7])
def test_small_cohorts_have_as_many_cases_as_asked(pathway: Pathway, patients: int):
    found = list(by_case(demo_cohort(pathway, patients, 3, TODAY)))
    assert len(found) == patients
    assert all(folded(pathway, told).history.opened_on for _, told in found)


@pytest.mark.parametrize("seed", range(2, 8))
@pytest.mark.parametrize("today", [date(2024, 2, 29), date(2025, 1, 1), date(2026, 3, 31)])
def test_every_line_is_possible_whatever_the_seed_and_the_day(pathway: Pathway, seed: int, today: date):
    for _, told in by_case(demo_cohort(pathway, 12, seed, today)):
        assert folded(pathway, told).history.without_effect == []


def test_every_line_has_its_effect(lines: list[JournalLine], plans: dict[str, Plan]):
    assert len(plans) == 120
    assert [found.history.without_effect for found in plans.values() if found.history.without_effect] == []
    assert len({line.case for line in lines if line.event == "case:opened"}) == 120


def test_no_date_is_in_the_future_or_before_birth_or_out_of_order(lines: list[JournalLine]):
    for _, told in by_case(lines):
        dates = [line.on for line in told]
        assert dates == sorted(dates)
        assert dates[-1] <= YESTERDAY
        born = date.fromisoformat(told[0].data["patient"]["birth_date"])
        assert timedelta(days=18 * 365) < dates[0] - born < timedelta(days=100 * 366)


def test_age_at_diagnosis_fits_the_birth_date(lines: list[JournalLine]):
    for _, (opened, age, *_rest) in by_case(lines):
        born = date.fromisoformat(opened.data["patient"]["birth_date"])
        assert 0 <= (opened.on - born).days - age.data["age_at_diagnosis"] * 365.25 < 368


def test_lines_survive_writing_and_reading_as_a_journal(lines: list[JournalLine]):
    for line in lines[:500]:
        again = parse(dump(line), line.file, line.number)
        assert again == line


# The mix -----------------------------------------------------------------------------------------------------


def test_every_phase_and_every_way_to_close_is_there(plans: dict[str, Plan]):
    states = Counter(found.history.state for found in plans.values())
    wanted = {
        "workup.staging",
        "localized.active_surveillance",
        "advanced.monitoring",
        "advanced.supportive",
        "therapy.active",
        "therapy.on_hold",
        "surveillance.post_curative",
        "restaging.suspected",
        "closed.discharged",
        "closed.transferred",
        "closed.lost",
        "closed.deceased",
    }
    assert wanted <= states.keys()
    assert states["surveillance.post_curative"] > states["closed.deceased"] > states["closed.lost"]


def test_most_cases_have_nothing_overdue_and_some_have_much(plans: dict[str, Plan]):
    delays = [worst_delay(found) for found in plans.values() if found.history.is_open]
    assert 0.58 <= sum(delay == 0 for delay in delays) / len(delays) <= 0.75
    assert sum(0 < delay < 15 for delay in delays) >= 3
    assert sum(15 <= delay < 60 for delay in delays) >= 3
    assert sum(delay >= 60 for delay in delays) >= 3
    assert 1 <= sum(delay > 365 for delay in delays) <= len(delays) * 0.06


def test_open_items_are_partly_overdue_partly_due_mostly_upcoming(plans: dict[str, Plan]):
    items = [item for found in plans.values() for item in found.open_items]
    status = Counter(item.window.status_on(TODAY) for item in items)
    assert 0.12 <= status["overdue"] / len(items) <= 0.25
    assert status["upcoming"] > status["due"] > 20
    assert sum(TODAY <= item.window.due_on <= TODAY + timedelta(days=7) for item in items) >= 10


def test_what_was_done_was_mostly_done_on_time(plans: dict[str, Plan]):
    done = [item for found in plans.values() for item in found.follow_ups.values() if item.status == "done"]
    late = sum(item.ended_on is not None and item.ended_on > item.window.late_on for item in done)
    assert 0.03 <= late / len(done) <= 0.12


def test_some_cases_have_no_next_step(plans: dict[str, Plan]):
    idle = [p for p in plans.values() if [item.rule for item in p.open_items] == ["no-next-step"]]
    assert 3 <= len(idle) <= 15


def test_holds_have_a_review_and_losses_their_attempts(plans: dict[str, Plan]):
    held = [p for p in plans.values() if p.history.state == "therapy.on_hold"]
    assert held
    assert all("hold-review" in {i.rule for i in p.follow_ups.values()} for p in held)
    lost = [p.history for p in plans.values() if p.history.state == "closed.lost"]
    assert all(len(history.contact_attempts()) >= 3 for history in lost)
    returned = [m for p in plans.values() for m in p.history.moves if m.trigger == "return_to_care"]
    assert returned


def test_every_kind_of_event_and_most_triggers_are_told(pathway: Pathway, lines: list[JournalLine]):
    assert {line.event for line in lines} == set(KINDS) - {"case:merged", "case:joined"}  # nobody is there twice
    triggers = {line.data["trigger"] for line in lines if line.event == "state:changed"}
    assert triggers == set(pathway.trigger_named)


def test_treatments_of_every_category_are_given(pathway: Pathway, plans: dict[str, Plan]):
    given = {line.treatment for found in plans.values() for line in found.history.lines}
    categories = {category for code in given for category in pathway.treatment_categories(code)}
    assert categories == {c for treatment in pathway.treatments for c in treatment.categories}
    assert any(line.doses == 4 for p in plans.values() for line in p.history.lines if line.treatment == "prrt")


def test_most_warnings_are_explained_and_a_few_are_not(plans: dict[str, Plan]):
    warned = [w for found in plans.values() for w in found.history.warned]
    explained = sum(w.reason is not None for w in warned)
    assert 0.7 <= explained / len(warned) < 1
    flagged = sum(bool(found.history.unexplained()) for found in plans.values())
    assert 3 <= flagged <= 20


def test_heart_screening_is_followed_where_the_pathway_asks_for_it(plans: dict[str, Plan]):
    screened = {c for c, p in plans.items() if any(i.rule == "chd-echo" for i in p.follow_ups.values())}
    midgut = {c for c, p in plans.items() if p.history.fact("primary_site") == "midgut"}
    assert midgut
    assert midgut <= screened


# Who -----------------------------------------------------------------------------------------------------------


def test_three_clinics_lie_on_both_sides_of_the_meridian(lines: list[JournalLine]):
    noon = [datetime(2026, 11, 21, 12, tzinfo=ZoneInfo(clinic.timezone)) for clinic in CLINICS]
    offsets = [time.utcoffset() or timedelta(0) for time in noon]
    assert min(offsets) < timedelta(0) < max(offsets)
    opened = [line.data for line in lines if line.event == "case:opened"]
    assert {data["clinic"] for data in opened} == {clinic.name for clinic in CLINICS}


def test_six_navigators_share_the_cases(lines: list[JournalLine]):
    emails = {navigator.email for clinic in CLINICS for navigator in clinic.navigators}
    assert len(emails) == 6
    assert {line.data["navigator"] for line in lines if line.event == "case:opened"} == emails
    assert all(email.endswith("@example.org") for email in emails)
    assert {line.by for line in lines} == emails


# The tumours ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thousand() -> list[tumours.Tumour]:
    return tumours.invent(Random(1), 1000)


def test_grades_and_sites_are_in_the_documented_shares(thousand: list[tumours.Tumour]):
    grades, sites = Counter(t.grade for t in thousand), Counter(t.site for t in thousand)
    assert {grade: count / 1000 for grade, count in grades.items()} == pytest.approx(tumours.GRADES)
    assert {site: count / 1000 for site, count in sites.items()} == pytest.approx(tumours.SITES)


def test_two_fifths_are_metastatic_and_a_fifth_functional(thousand: list[tumours.Tumour]):
    assert sum(t.metastatic for t in thousand) / 1000 == pytest.approx(0.4, abs=0.05)
    assert sum(t.syndrome != "none" for t in thousand) / 1000 == pytest.approx(0.2, abs=0.04)
    by_grade = {g: [t.metastatic for t in thousand if t.grade == g] for g in ("G1", "G3")}
    assert sum(by_grade["G1"]) / len(by_grade["G1"]) < sum(by_grade["G3"]) / len(by_grade["G3"])


def test_syndromes_come_in_their_usual_order(thousand: list[tumours.Tumour]):
    pancreas = Counter(t.syndrome for t in thousand if t.site == "pancreas")
    assert pancreas["insulinoma"] > pancreas["gastrinoma"] > pancreas["glucagonoma"]
    assert {t.syndrome for t in thousand if t.site == "midgut"} == {"none", "carcinoid"}
    assert all(t.syndrome == "none" for t in thousand if t.grade == "NEC")


def test_men1_is_found_in_one_of_twelve_and_vhl_in_few(thousand: list[tumours.Tumour]):
    hereditary = Counter(t.hereditary for t in thousand)
    assert hereditary["men1"] / 1000 == pytest.approx(0.08, abs=0.025)
    assert 0 < hereditary["vhl"] < 30


def test_ki67_lies_in_the_band_of_its_grade(thousand: list[tumours.Tumour]):
    low = {"G1": 0, "G2": 3, "G3": 20.1, "NEC": 20.1}
    high = {"G1": 2.9, "G2": 20, "G3": 100, "NEC": 100}
    assert all(low[t.grade] <= t.ki67_percent <= high[t.grade] for t in thousand)
