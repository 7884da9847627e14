"""Every trigger from every state: where it leads, what it requires, what it warns of, and what corrections undo."""

from datetime import date

import pytest

from tests.workflows.journeys import Journey, shipped
from workflows.errors import Refused
from workflows.events import checked_data, refuse_dates
from workflows.planning import plan_after

READY = {
    "differentiation": "well",
    "ki67_percent": 2.0,
    "primary_site": "pancreas",
    "syndrome": "none",
    "stage": "I",
    "hereditary": "none",
    "sstr_uptake": "high",
}
LANREOTIDE = {"treatment": "lanreotide", "intent": "disease-control"}
SURGERY = {"treatment": "distal-pancreatectomy", "intent": "curative"}
REASON = {"reason": "agreed"}
OPEN = (
    "workup.referred",
    "workup.histology",
    "workup.staging",
    "workup.mdt",
    "localized.planning",
    "localized.active_surveillance",
    "advanced.planning",
    "advanced.monitoring",
    "advanced.supportive",
    "therapy.scheduled",
    "therapy.active",
    "therapy.on_hold",
    "therapy.recovery",
    "surveillance.post_curative",
    "restaging.suspected",
)
CLOSED = ("closed.discharged", "closed.transferred", "closed.lost", "closed.deceased")
ADVANCED = ("advanced.planning", "advanced.monitoring", "advanced.supportive")
LOCALIZED = ("localized.planning", "localized.active_surveillance")


def entering(state, **facts):
    """A case that enters the register at a state, with the facts that triggers ask for and three attempts to call."""
    journey = Journey().opened("2026-01-05", state).fact("2026-01-05", **(READY | facts))
    return journey.called("2026-01-06").called("2026-01-07", "letter").called("2026-01-08")


def standing_in(state, **facts):
    """A case that has reached a state by 1 February 2026."""
    steps = {
        "therapy.scheduled": [("plan_line", LANREOTIDE | {"planned_on": "2026-02-01"})],
        "therapy.active": [("start_line", LANREOTIDE)],
        "therapy.on_hold": [("start_line", LANREOTIDE), ("hold_line", REASON | {"review_on": "2026-02-15"})],
        "therapy.recovery": [("start_line", SURGERY), ("end_line", REASON)],
        "surveillance.post_curative": [
            ("start_line", SURGERY),
            ("end_line", REASON),
            ("begin_surveillance", {"resection_margin": "R0"}),
        ],
        "restaging.suspected": [("suspect_progression", {})],
        "closed.discharged": [("discharge", REASON)],
        "closed.transferred": [("transfer", REASON)],
        "closed.lost": [("lose_contact", {})],
        "closed.deceased": [("record_death", {})],
    }
    journey = entering("advanced.planning" if state in steps else state, **facts)
    for trigger, data in steps.get(state, []):
        journey.trigger("2026-02-01", trigger, **data)
    assert journey.state == state
    return journey


DATA = {
    "plan_line": LANREOTIDE | {"planned_on": "2026-03-10"},
    "start_line": LANREOTIDE | {"concurrent": True},
    "hold_line": REASON | {"review_on": "2026-03-10"},
    "end_line": REASON,
    "discharge": REASON,
    "transfer": REASON,
    "begin_surveillance": {"resection_margin": "R0"},
    "assign_localized": {"mdt_reviewed_on": "2026-02-20"},
    "assign_advanced": {"mdt_reviewed_on": "2026-02-20"},
    "confirm_progression": {"progression_on": "2026-02-20"},
}
LEADS_TO = {
    "request_histology": {"workup.referred": "workup.histology"},
    "confirm_histology": {"workup.referred": "workup.staging", "workup.histology": "workup.staging"},
    "refer_to_mdt": {"workup.staging": "workup.mdt"},
    "assign_localized": {"workup.mdt": "localized.planning"},
    "assign_advanced": {"workup.mdt": "advanced.planning", "localized.planning": "advanced.planning"},
    "choose_active_surveillance": {"localized.planning": "localized.active_surveillance"},
    "plan_line": dict.fromkeys((*LOCALIZED, *ADVANCED, "therapy.recovery", "restaging.suspected"), "therapy.scheduled"),
    "start_line": dict.fromkeys(
        (*LOCALIZED, *ADVANCED, "therapy.scheduled", "therapy.recovery", "therapy.active"), "therapy.active"
    ),
    "hold_line": {"therapy.active": "therapy.on_hold"},
    "resume_line": {"therapy.on_hold": "therapy.active"},
    "end_line": {"therapy.active": "advanced.planning", "therapy.on_hold": "advanced.planning"},
    "begin_surveillance": {"therapy.recovery": "surveillance.post_curative"},
    "monitor": {"advanced.planning": "advanced.monitoring", "therapy.recovery": "advanced.monitoring"},
    "support": dict.fromkeys(
        (*ADVANCED, "therapy.scheduled", "therapy.active", "therapy.on_hold", "therapy.recovery"),
        "advanced.supportive",
    ),
    "suspect_progression": dict.fromkeys(OPEN, "restaging.suspected"),
    "confirm_stable": {"restaging.suspected": "advanced.planning"},  # where this case came from
    "confirm_progression": {"restaging.suspected": "advanced.planning"},
    "confirm_recurrence": {"restaging.suspected": "advanced.planning"},
    "lose_contact": dict.fromkeys(OPEN, "closed.lost"),
    "discharge": dict.fromkeys(OPEN, "closed.discharged"),
    "transfer": dict.fromkeys(OPEN, "closed.transferred"),
    "return_to_care": dict.fromkeys(CLOSED[:3], "restaging.suspected"),
    "record_death": dict.fromkeys((*OPEN, *CLOSED[:3]), "closed.deceased"),
}


def test_the_table_knows_every_state_and_trigger():
    assert {state.name for state in shipped().states} == {*OPEN, *CLOSED}
    assert set(shipped().trigger_named) == set(LEADS_TO)


@pytest.mark.parametrize("trigger", LEADS_TO)
@pytest.mark.parametrize("state", [*OPEN, *CLOSED])
def test_trigger_leads_where_the_table_says_and_nowhere_else(state, trigger):
    journey = standing_in(state)
    tried = journey.copy().trigger("2026-03-01", trigger, **DATA.get(trigger, {}))
    leads_to = LEADS_TO[trigger].get(state)
    if leads_to is None:
        with pytest.raises(Refused, match=f"{trigger} (is not possible from {state}|needs: which)"):
            tried.history()
    else:
        assert tried.state == leads_to


@pytest.mark.parametrize("state", [*OPEN, *CLOSED])
def test_choices_are_the_triggers_that_leave_the_state(state):
    expected = {trigger for trigger, moves in LEADS_TO.items() if state in moves}
    history = standing_in(state).history()
    offered = history.choices(history.today)
    assert {choice.trigger.id for choice in offered if choice.trigger.id != "resume_line"} == expected - {"resume_line"}


# What is required ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "journey, trigger, data, reason",
    [
        (standing_in("workup.referred", differentiation=None), "confirm_histology", {}, "needs: differentiation"),
        (
            standing_in("workup.histology", ki67_percent=None),
            "confirm_histology",
            {},
            "needs: Ki-67, mitoses or a reported grade",
        ),
        (standing_in("workup.staging", stage=None), "refer_to_mdt", {}, "needs: stage or M category"),
        (standing_in("workup.staging", primary_site=None), "refer_to_mdt", {}, "needs: primary site"),
        (standing_in("workup.staging", syndrome=None), "refer_to_mdt", {}, "hormone syndrome answered"),
        (standing_in("workup.mdt"), "assign_localized", {}, "date of the team's review"),
        (standing_in("workup.mdt"), "assign_advanced", {}, "date of the team's review"),
        (standing_in("workup.mdt", m="1"), "assign_localized", DATA["assign_localized"], "not recorded as metastatic"),
        (standing_in("workup.mdt", m="1b"), "assign_localized", DATA["assign_localized"], "not recorded as metastatic"),
        (standing_in("advanced.planning"), "plan_line", {}, "treatment, intent and planned date"),
        (standing_in("advanced.planning"), "start_line", {"treatment": "prrt"}, "intent"),
        (standing_in("advanced.planning"), "start_line", {"intent": "palliative"}, "treatment"),
        (standing_in("therapy.active"), "start_line", LANREOTIDE, "no other anti-tumour line open"),
        (standing_in("therapy.active"), "hold_line", {"review_on": "2026-03-10"}, "reason"),
        (standing_in("therapy.active"), "hold_line", REASON, "review date"),
        (standing_in("therapy.active"), "end_line", {}, "end reason"),
        (standing_in("therapy.recovery"), "begin_surveillance", {}, "resection margin"),
        (standing_in("restaging.suspected"), "confirm_progression", {}, "date of the imaging"),
        (standing_in("advanced.planning"), "discharge", {}, "reason"),
        (standing_in("advanced.planning"), "transfer", {}, "reason"),
        (Journey.advanced().called("2026-02-01").called("2026-02-02"), "lose_contact", {}, "three documented"),
        (
            Journey.advanced().called("2026-02-01").called("2026-02-02").called("2026-02-03"),
            "lose_contact",
            {},
            "two channels",
        ),
        (
            entering("advanced.planning").called("2026-02-01", outcome="reached"),
            "lose_contact",
            {},
            "three documented",
        ),
    ],
)
def test_what_is_missing_is_refused_in_words(journey, trigger, data, reason):
    with pytest.raises(Refused, match=reason):
        journey.trigger("2026-03-01", trigger, **data).history()


def test_surveillance_needs_curative_intent():
    journey = entering("advanced.planning").starts("2026-02-01", "debulking", "cytoreductive")
    journey.trigger("2026-02-10", "end_line", reason="completed")
    with pytest.raises(Refused, match="curative intent"):
        journey.trigger("2026-03-01", "begin_surveillance", resection_margin="R0").history()


def test_a_procedure_that_ends_leads_to_recovery():
    journey = entering("advanced.planning").starts("2026-02-01", "tace", "palliative")
    assert journey.trigger("2026-02-10", "end_line", reason="completed").state == "therapy.recovery"


@pytest.mark.parametrize(
    "resectability, to", [("resectable", "localized.planning"), ("borderline", "advanced.planning")]
)
def test_a_recurrence_leads_by_resectability(resectability, to):
    journey = standing_in("restaging.suspected")
    assert journey.trigger("2026-03-01", "confirm_recurrence", resectability=resectability).state == to


def test_progression_ends_the_open_line():
    journey = standing_in("therapy.active").trigger("2026-03-01", "suspect_progression")
    line = journey.trigger("2026-03-10", "confirm_progression", progression_on="2026-03-08").history().lines[0]
    assert (str(line.ended_on), line.end_reason) == ("2026-03-10", "progression")


@pytest.mark.parametrize("state", [state for state in OPEN if state != "restaging.suspected"])
def test_stable_disease_leads_back_to_where_the_case_came_from(state):
    journey = standing_in(state).trigger("2026-03-01", "suspect_progression").trigger("2026-03-10", "confirm_stable")
    assert journey.state == state


def test_suspecting_twice_still_leads_back():
    journey = standing_in("advanced.monitoring").trigger("2026-03-01", "suspect_progression")
    journey.trigger("2026-03-05", "suspect_progression").trigger("2026-03-10", "confirm_stable")
    assert journey.state == "advanced.monitoring"


def test_with_two_lines_open_the_one_that_ends_must_be_named():
    journey = standing_in("therapy.active").starts("2026-02-10", "prrt", concurrent=True)
    with pytest.raises(Refused, match="which line ended"):
        journey.copy().trigger("2026-03-01", "end_line", reason="completed").history()
    ended = journey.trigger("2026-03-01", "end_line", line="prrt", reason="completed").history()
    assert ended.state == "therapy.active"
    assert [line.treatment for line in ended.open_lines] == ["lanreotide"]


def test_a_line_may_be_named_by_its_number():
    journey = standing_in("therapy.active").starts("2026-02-10", "prrt", concurrent=True)
    held = journey.trigger("2026-03-01", "hold_line", line=2, **DATA["hold_line"]).history()
    assert held.state == "therapy.active"  # lanreotide goes on
    assert [line.on_hold for line in held.lines] == [False, True]


def test_an_analogue_for_symptoms_is_no_other_anti_tumour_line():
    journey = entering("advanced.planning").starts("2026-02-01", "octreotide-lar", "symptom-control")
    assert journey.starts("2026-02-10", "everolimus").state == "therapy.active"


def test_review_and_plan_dates_do_not_lie_in_the_past():
    with pytest.raises(Refused, match="review_on 2026-02-28 is before"):
        standing_in("therapy.active").trigger("2026-03-01", "hold_line", reason="x", review_on="2026-02-28").history()


def test_a_refused_trigger_leaves_no_fact_behind():
    journey = standing_in("workup.mdt")
    refused = journey.copy().trigger("2026-03-01", "assign_localized", stage="IV")
    history = journey.history()
    with pytest.raises(Refused):
        history.apply(refused.events[-1])
    assert history.fact("stage") == "I"
    assert history.state == "workup.mdt"


def test_facts_in_a_state_change_count_for_its_own_requirements():
    journey = Journey().opened("2026-01-05")
    journey.trigger("2026-01-20", "confirm_histology", differentiation="well", ki67_percent=2.5)
    assert journey.state == "workup.staging"
    assert journey.history().known_facts()["grade"] == "G1"


@pytest.mark.parametrize(
    "kind, data, reason",
    [
        ("state:changed", {"trigger": "cure"}, "unknown trigger 'cure'"),
        ("state:changed", {"trigger": "start_line", "treatment": "aspirin"}, "unknown treatment 'aspirin'"),
        ("state:changed", {"trigger": "start_line", "intent": "hope"}, "unknown intent 'hope'"),
        ("state:changed", {"trigger": "monitor", "colour": "red"}, "unknown fact 'colour'"),
        ("state:changed", {"trigger": "monitor", "review_on": "soon"}, "review_on"),
        ("fact:recorded", {"grade": "G1"}, "grade is derived"),
        ("fact:recorded", {"functional": False}, "functional is derived"),
        ("fact:recorded", {"syndrome": "NA"}, "'NA' is not one of"),
        ("fact:recorded", {"syndrome": ""}, "'' is not one of"),
        ("fact:recorded", {"immunohistochemistry": "not documented"}, "leave out what is not known"),
        ("fact:recorded", {"ki67_percent": 101}, "out of range"),
        ("fact:recorded", {"ki67_percent": -1}, "out of range"),
        ("fact:recorded", {"ki67_percent": "2"}, "is not a number"),
        ("fact:recorded", {"tumour_size_mm": 0}, "out of range"),
        ("fact:recorded", {"liver_metastases": "no"}, "is not true or false"),
        ("fact:recorded", {"mdt_reviewed_on": "2026-02-30"}, "is not a date"),
        ("fact:recorded", {}, "no fact is given"),
        ("case:opened", {"clinic": "N", "timezone": "Mars/Base", "patient": {"ref": "1"}}, "IANA time zone"),
        ("activity:done", {"activity": "visit", "completes": "no-rule"}, "unknown follow-up rule"),
        ("activity:done", {}, "activity is missing"),
        ("activity:forgotten", {}, "unknown event"),
    ],
)
def test_data_that_is_not_understood_is_refused_in_words(kind, data, reason):
    with pytest.raises(Refused, match=reason):
        checked_data(shipped(), kind, data)


@pytest.mark.parametrize("state", ["therapy.active", "closed.lost", "restaging.suspected"])
def test_a_case_enters_only_where_nothing_that_came_before_is_needed(state):
    with pytest.raises(Refused, match="cannot enter the register"):
        Journey().opened("2026-01-05", state)


# Warnings -------------------------------------------------------------------------------------------------------


def reviewed(**facts):
    return Journey.advanced(mdt_reviewed_on="2026-01-05", **facts)


def fully_tested():
    journey = standing_in("workup.staging")
    for test in ("cga", "5-hiaa", "sstr-imaging", "ct", "mri", "eus"):
        journey.done("2026-02-01", test)
    return journey


def with_cover():
    return reviewed(syndrome="insulinoma").done("2026-02-27", "perioperative-octreotide")


def midgut(*tests, **facts):
    journey = reviewed(primary_site="midgut", **facts)
    for test in tests:
        journey.done("2026-02-01", test)
    return journey


def localized(**facts):
    return standing_in("localized.planning", **facts)


def start(treatment, intent="disease-control"):
    return "start_line", {"treatment": treatment, "intent": intent}


def assign(extent):
    return f"assign_{extent}", DATA[f"assign_{extent}"]


WATCH = ("choose_active_surveillance", {})
REFER = ("refer_to_mdt", {})


def warnings_met(journey, change):
    trigger, data = change
    return {w.warning.id for w in journey.trigger("2026-03-01", trigger, **data).history().warned}


@pytest.mark.parametrize(
    "journey, change, warning",
    [
        (localized(tumour_size_mm=20), WATCH, "surveillance-large-or-functional"),
        (localized(syndrome="insulinoma"), WATCH, "surveillance-large-or-functional"),
        (reviewed(), start("prrt"), "prrt-without-high-uptake"),
        (reviewed(sstr_uptake="low"), start("prrt"), "prrt-without-high-uptake"),
        (reviewed(), start("sunitinib"), "targeted-without-progression"),
        (reviewed(), start("everolimus"), "targeted-without-progression"),
        (reviewed(differentiation="poor"), start("everolimus"), "targeted-in-nec"),
        (reviewed(differentiation="poor"), start("sunitinib"), "targeted-in-nec"),
        (reviewed(ki67_percent=2.9), start("platinum-etoposide"), "platinum-in-low-grade"),
        (reviewed(ki67_percent=20), start("platinum-etoposide"), "platinum-in-low-grade"),
        (reviewed(differentiation="poor"), start("lanreotide"), "analogue-alone-in-nec"),
        (reviewed(), start("streptozocin-5fu"), "streptozocin-conflict"),
        (reviewed(), start("streptozocin"), "streptozocin-conflict"),
        (reviewed(syndrome="insulinoma"), start("enucleation", "curative"), "procedure-without-prophylaxis"),
        (Journey.advanced(), start("lanreotide"), "line-before-team-review"),
        (standing_in("workup.staging"), REFER, "baseline-tests-missing"),
        (standing_in("workup.mdt", hereditary=None), assign("localized"), "hereditary-not-assessed"),
        (standing_in("workup.mdt", hereditary="not_assessed"), assign("advanced"), "hereditary-not-assessed"),
        (midgut(), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (midgut("echocardiogram"), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (midgut("nt-probnp"), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (reviewed(syndrome="carcinoid"), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (reviewed(m="1"), start("lanreotide"), "cytoreduction-not-discussed"),
        (reviewed(stage="IV"), start("lanreotide"), "cytoreduction-not-discussed"),
    ],
)
def test_warning_is_met_where_its_condition_holds(journey, change, warning):
    assert warning in warnings_met(journey, change)


@pytest.mark.parametrize(
    "journey, change, warning",
    [
        (localized(tumour_size_mm=19.9), WATCH, "surveillance-large-or-functional"),
        (localized(syndrome="none"), WATCH, "surveillance-large-or-functional"),
        (reviewed(sstr_uptake="high"), start("prrt"), "prrt-without-high-uptake"),
        (reviewed(progression_on="2026-01-02"), start("everolimus"), "targeted-without-progression"),
        (reviewed(), start("everolimus"), "targeted-in-nec"),
        (reviewed(ki67_percent=21), start("platinum-etoposide"), "platinum-in-low-grade"),
        (reviewed(differentiation="poor"), start("platinum-etoposide"), "platinum-in-low-grade"),
        (reviewed(), start("lanreotide"), "analogue-alone-in-nec"),
        (reviewed(), start("temozolomide"), "streptozocin-conflict"),
        (with_cover(), start("enucleation", "curative"), "procedure-without-prophylaxis"),
        (reviewed(syndrome="none"), start("enucleation", "curative"), "procedure-without-prophylaxis"),
        (reviewed(syndrome="insulinoma"), start("lanreotide"), "procedure-without-prophylaxis"),
        (reviewed(), start("lanreotide"), "line-before-team-review"),
        (fully_tested(), REFER, "baseline-tests-missing"),
        (standing_in("workup.mdt", hereditary="none"), assign("localized"), "hereditary-not-assessed"),
        (midgut("echocardiogram", "nt-probnp"), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (reviewed(), start("lanreotide"), "carcinoid-heart-baseline-missing"),
        (reviewed(m="1", cytoreduction_discussed=True), start("lanreotide"), "cytoreduction-not-discussed"),
        (reviewed(m="1"), start("debulking", "cytoreductive"), "cytoreduction-not-discussed"),
        (reviewed(m="0"), start("lanreotide"), "cytoreduction-not-discussed"),
        (reviewed(), start("lanreotide"), "cytoreduction-not-discussed"),
    ],
)
def test_warning_is_silent_where_its_condition_does_not_hold(journey, change, warning):
    assert warning not in warnings_met(journey, change)


def test_a_warning_refuses_nothing_and_waits_for_a_reason():
    history = Journey.advanced().starts("2026-03-01", "prrt").history()
    assert history.state == "therapy.active"
    assert {w.id for w in history.unexplained()} == {"prrt-without-high-uptake", "line-before-team-review"}
    assert all(w.found and w.sources for w in history.unexplained())


def test_a_reason_given_with_the_change_is_kept():
    journey = Journey.advanced().starts(
        "2026-03-01",
        "prrt",
        reasons={"prrt-without-high-uptake": "uptake high abroad", "line-before-team-review": "urgent"},
    )
    kept = {w.warning.id: (w.reason, w.event) for w in journey.history().warned}
    assert kept["prrt-without-high-uptake"] == ("uptake high abroad", journey.last_id)
    assert journey.history().unexplained() == []


def test_a_reason_given_later_is_kept():
    journey = reviewed().starts("2026-03-01", "prrt")
    journey.add("2026-03-02", "warning:explained", warning="prrt-without-high-uptake", reason="uptake high abroad")
    assert journey.history().unexplained() == []


def test_metastatic_disease_on_a_localized_case_stands_on_the_case():
    journey = standing_in("localized.planning").fact("2026-02-01", m="1", stage="IV")
    assert [w.id for w in journey.history().standing_warnings()] == ["metastatic-on-localized"]
    assert journey.trigger("2026-02-02", "assign_advanced", mdt_reviewed_on="2026-02-02").history().unexplained() == []


# Derived facts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts, grade",
    [
        ({"ki67_percent": 0}, "G1"),
        ({"ki67_percent": 2.99}, "G1"),
        ({"ki67_percent": 3}, "G2"),
        ({"ki67_percent": 20}, "G2"),
        ({"ki67_percent": 20.01}, "G3"),
        ({"ki67_percent": 100}, "G3"),
        ({"mitoses_per_2mm2": 0}, "G1"),
        ({"mitoses_per_2mm2": 1}, "G1"),
        ({"mitoses_per_2mm2": 2}, "G2"),
        ({"mitoses_per_2mm2": 20}, "G2"),
        ({"mitoses_per_2mm2": 21}, "G3"),
        ({"ki67_percent": 2, "mitoses_per_2mm2": 2}, "G2"),  # the higher of the two
        ({"ki67_percent": 25, "mitoses_per_2mm2": 1}, "G3"),
        ({"ki67_percent": 1, "mitoses_per_2mm2": 1, "differentiation": "poor"}, "NEC"),
        ({"differentiation": "poor"}, "NEC"),
        ({"differentiation": "well"}, None),
        ({"differentiation": "well", "reported_grade": "G2"}, "G2"),
        ({"reported_grade": "NEC"}, "NEC"),
        ({"ki67_percent": 2, "reported_grade": "G3"}, "G1"),  # what was measured counts; both are kept
        ({"differentiation": "poor", "reported_grade": "G3"}, "NEC"),
        ({"tumour_size_mm": 10}, None),
    ],
)
def test_grade_follows_from_what_was_measured_else_from_the_report(facts, grade):
    assert Journey().opened("2026-01-05").fact("2026-01-20", **facts).history().fact("grade") == grade


def test_grades_that_differ_are_both_kept_and_warned_of():
    journey = Journey().opened("2026-01-05").fact("2026-01-20", ki67_percent=2, reported_grade="G2")
    history = journey.history()
    assert (history.fact("grade"), history.fact("reported_grade")) == ("G1", "G2")
    assert [w.id for w in history.standing_warnings()] == ["grade-conflict"]
    assert journey.fact("2026-02-01", ki67_percent=3).history().standing_warnings() == ()


@pytest.mark.parametrize("syndrome, functional", [(None, None), ("none", False), ("insulinoma", True), ("other", True)])
def test_unknown_function_is_not_no(syndrome, functional):
    assert (
        Journey().opened("2026-01-05").fact("2026-01-20", syndrome=syndrome).history().fact("functional") is functional
    )


@pytest.mark.parametrize(
    "facts, metastatic",
    [
        ({"tumour_size_mm": 10}, None),
        ({"m": "X"}, None),
        ({"m": "0"}, False),
        ({"m": "1"}, True),
        ({"m": "1c"}, True),
        ({"stage": "IV"}, True),
        ({"stage": "IVA"}, True),
        ({"stage": "III"}, False),
    ],
)
def test_metastatic_follows_from_m_and_stage(facts, metastatic):
    assert Journey().opened("2026-01-05").fact("2026-01-20", **facts).history().fact("metastatic") is metastatic


# Back-dated and corrected ------------------------------------------------------------------------------------


def test_the_latest_value_on_a_date_holds_whatever_the_order_of_entry():
    journey = Journey().opened("2026-01-05").fact("2026-03-01", ki67_percent=25).fact("2026-02-01", ki67_percent=2)
    assert journey.history().fact("grade") == "G3"


def test_a_corrected_fact_gives_the_earlier_value_back():
    journey = Journey().opened("2026-01-05").fact("2026-02-01", ki67_percent=2).fact("2026-03-01", ki67_percent=25)
    journey.corrected("2026-03-02", journey.last_id)
    assert journey.history().fact("grade") == "G1"


def test_a_corrected_correction_counts_again():
    journey = Journey().opened("2026-01-05").fact("2026-02-01", ki67_percent=25)
    journey.corrected("2026-03-02", journey.last_id)
    assert journey.history().fact("grade") is None
    assert journey.corrected("2026-03-03", journey.last_id).history().fact("grade") == "G3"


def test_a_fact_can_become_unknown_again():
    journey = Journey().opened("2026-01-05").fact("2026-02-01", syndrome="insulinoma").fact("2026-03-01", syndrome=None)
    assert journey.history().fact("functional") is None


def test_a_back_dated_change_takes_its_place_in_the_history():
    journey = Journey().opened("2026-01-05").fact("2026-01-06", **READY)
    journey.trigger("2026-03-01", "refer_to_mdt")
    with pytest.raises(Refused, match=r"is not possible from workup\.referred"):
        journey.history()
    assert journey.trigger("2026-02-01", "confirm_histology").state == "workup.mdt"


def test_a_back_dated_change_that_makes_later_ones_impossible_is_refused_with_its_reason():
    journey = standing_in("advanced.monitoring").starts("2026-03-01", "lanreotide")
    late = journey.copy().trigger("2026-02-15", "discharge", reason="moved").events[-1]
    with pytest.raises(Refused, match=r"state:changed of 1 Mar 2026 would no longer be possible: start_line"):
        plan_after(shipped(), journey.events, late)


def test_a_correction_that_makes_later_changes_impossible_is_refused():
    journey = standing_in("therapy.active").trigger("2026-03-01", "end_line", reason="toxicity")
    start = next(e for e in journey.events if e.data.get("trigger") == "start_line")
    fix = journey.copy().corrected("2026-03-02", start.id).events[-1]
    with pytest.raises(Refused, match="would no longer be possible"):
        plan_after(shipped(), journey.events, fix)


def test_after_a_death_nothing_moves():
    with pytest.raises(Refused, match=r"not possible from closed\.deceased; possible are none"):
        standing_in("closed.deceased").trigger("2026-03-01", "monitor").history()


def test_a_death_is_undone_only_by_a_correction():
    journey = standing_in("closed.deceased")
    with pytest.raises(Refused, match="return_to_care is not possible"):
        journey.copy().trigger("2026-03-01", "return_to_care").history()
    assert journey.corrected("2026-03-01", journey.last_id).state == "advanced.planning"


def test_the_correction_of_a_death_can_be_corrected():
    journey = standing_in("closed.deceased")
    journey.corrected("2026-03-01", journey.last_id)
    assert journey.corrected("2026-03-02", journey.last_id).state == "closed.deceased"


def test_what_was_recorded_before_a_death_was_known_has_no_effect_after_it():
    journey = standing_in("therapy.active").trigger("2026-03-01", "hold_line", **DATA["hold_line"])
    journey.trigger("2026-02-20", "record_death")
    history = journey.history()
    assert history.state == "closed.deceased"
    assert [reason for _, reason in history.without_effect] == [
        "recorded before it was known that the patient had died"
    ]


def test_the_day_before_the_opening_is_refused():
    with pytest.raises(Refused, match="has not been opened"):
        Journey().opened("2026-01-05").fact("2026-01-04", ki67_percent=2).history()


def test_a_fact_cannot_name_a_date_after_the_day_on_which_it_was_recorded():
    with pytest.raises(Refused, match="mdt_reviewed_on 2026-03-01 is after 2026-02-01"):
        Journey().opened("2026-01-05").fact("2026-02-01", mdt_reviewed_on="2026-03-01").history()


TODAY, OPENED, BORN = date(2026, 3, 1), date(2026, 1, 5), date(1961, 2, 28)


@pytest.mark.parametrize(
    "on, reason",
    [
        (date(2026, 3, 2), "2 Mar 2026 is in the future"),
        (date(2026, 1, 4), "before the case opened on 5 Jan 2026"),
        (date(1961, 2, 27), "before the patient's birth"),
    ],
)
def test_dates_that_cannot_be_are_refused(on, reason):
    with pytest.raises(Refused, match=reason):
        refuse_dates(on, TODAY, OPENED, BORN)


@pytest.mark.parametrize("on", [TODAY, OPENED, date(2026, 2, 1)])
def test_dates_from_the_opening_to_today_are_taken(on):
    refuse_dates(on, TODAY, OPENED, BORN)


def test_an_opening_may_be_back_dated_to_the_day_of_birth():
    refuse_dates(BORN, TODAY, None, BORN)
