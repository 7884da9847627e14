"""Every row of the follow-up rules, with dates worked out by hand: when it opens, is due and is late."""

import pytest

from tests.workflows.journeys import Journey


def recovering(**facts):
    """Surgery on 30 November 2025 and surveillance from 10 January 2026."""
    return Journey.resected("2025-11-30", "2026-01-10", **facts)


def staging(**facts):
    return Journey().opened("2026-01-21", "workup.staging").fact("2026-01-21", hereditary="none", **facts)


def awaiting_review():
    known = {"primary_site": "pancreas", "syndrome": "none", "m": "0"}
    return staging(**known).trigger("2026-01-28", "refer_to_mdt")


def suspected():
    return Journey.advanced("2026-01-05").trigger("2026-04-10", "suspect_progression")


def after_prrt():
    journey = Journey.treated("2026-01-12", "prrt")
    for day in ("2026-03-09", "2026-05-04", "2026-06-29"):
        journey.done(day, "prrt-cycle")
    return journey


def on_hold():
    journey = Journey.treated("2026-03-02", "lanreotide")
    return journey.trigger("2026-04-10", "hold_line", reason="cholecystitis", review_on="2026-05-11")


def monitored():
    return Journey.advanced("2026-01-05").trigger("2026-01-31", "monitor")


def supported():
    return Journey.advanced("2026-01-05").trigger("2026-01-31", "support")


def watched():
    journey = Journey().opened("2026-01-05", "localized.planning").fact("2026-01-05", tumour_size_mm=12)
    return journey.trigger("2026-01-15", "choose_active_surveillance")


def poor():
    return recovering(differentiation="poor")


def octreotide():
    return Journey.treated("2026-01-05", "octreotide-lar")


def midgut():
    return Journey.advanced("2026-01-20", primary_site="midgut")


def men1():
    return Journey.advanced("2026-01-20", hereditary="men1")


def booked_procedure():
    return Journey.advanced(syndrome="insulinoma").booked("2026-02-01", "procedure", "2026-03-12")


@pytest.mark.parametrize(
    "journey, rule, opens, due, late",
    [
        # S63, S65: a line active; 2 March + 3 and 6 months
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-visit", "2026-05-19", "2026-06-02", "2026-06-16"),
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-markers", "2026-08-19", "2026-09-02", "2026-09-16"),
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-imaging", "2026-08-12", "2026-09-02", "2026-09-23"),
        # on hold, they go on
        (on_hold(), "treatment-visit", "2026-05-19", "2026-06-02", "2026-06-16"),
        (on_hold(), "treatment-markers", "2026-08-19", "2026-09-02", "2026-09-16"),
        (on_hold(), "treatment-imaging", "2026-08-12", "2026-09-02", "2026-09-23"),
        (on_hold(), "hold-review", "2026-05-11", "2026-05-11", "2026-05-11"),
        # month ends: 30 November + 3 months = 28 February
        (Journey.treated("2025-11-30", "lanreotide"), "treatment-visit", "2026-02-14", "2026-02-28", "2026-03-14"),
        (Journey.treated("2025-11-30", "lanreotide"), "treatment-imaging", "2026-05-09", "2026-05-30", "2026-06-20"),
        # a leap year: 30 November 2027 + 3 months = 29 February 2028
        (Journey.treated("2027-11-30", "lanreotide"), "treatment-visit", "2028-02-15", "2028-02-29", "2028-03-14"),
        # no result in the 28 days before
        (
            Journey.advanced().starts("2026-03-02", "lanreotide"),
            "baseline-imaging", "2026-03-02", "2026-03-02", "2026-03-16",
        ),
        (
            Journey.advanced().starts("2026-03-02", "prrt"),
            "baseline-markers", "2026-03-02", "2026-03-02", "2026-03-16",
        ),
        # after surgery on 30 November: 6 months for G1 and G2, 3 for G3, NEC and unknown
        (recovering(ki67_percent=2.0), "post-curative-visit", "2026-04-30", "2026-05-30", "2026-06-29"),
        (recovering(ki67_percent=20), "post-curative-visit", "2026-04-30", "2026-05-30", "2026-06-29"),
        (recovering(ki67_percent=25), "post-curative-visit-high-grade", "2026-02-14", "2026-02-28", "2026-03-14"),
        (poor(), "post-curative-visit-high-grade", "2026-02-14", "2026-02-28", "2026-03-14"),
        (recovering(ki67_percent=None), "post-curative-visit-high-grade", "2026-02-14", "2026-02-28", "2026-03-14"),
        (recovering(ki67_percent=2.0), "post-curative-imaging", "2026-04-30", "2026-05-30", "2026-06-29"),
        (recovering(ki67_percent=25), "post-curative-imaging", "2026-01-29", "2026-02-28", "2026-03-30"),
        (recovering(ki67_percent=None), "post-curative-imaging", "2026-01-29", "2026-02-28", "2026-03-30"),
        (recovering(ki67_percent=2.0), "post-curative-markers", "2026-04-30", "2026-05-30", "2026-06-29"),
        (recovering(ki67_percent=25), "post-curative-markers", "2026-01-29", "2026-02-28", "2026-03-30"),
        # carcinoid heart: on the day of eligibility
        (midgut(), "chd-nt-probnp", "2026-01-20", "2026-01-20", "2026-02-19"),
        (midgut(), "chd-echo", "2026-01-20", "2026-01-20", "2026-02-19"),
        (Journey.advanced("2026-01-20", syndrome="carcinoid"), "chd-echo", "2026-01-20", "2026-01-20", "2026-02-19"),
        (
            Journey.advanced("2026-01-20", primary_site="midgut", chd_status="present"),
            "chd-confirmed-echo", "2026-07-06", "2026-07-20", "2026-08-19",
        ),
        # doses: 28 days; PRRT 56 days
        (Journey.treated("2026-03-02", "lanreotide"), "lanreotide-injection", "2026-03-27", "2026-03-30", "2026-04-02"),
        (octreotide(), "octreotide-injection", "2026-01-30", "2026-02-02", "2026-02-05"),
        (Journey.treated("2028-02-10", "lanreotide"), "lanreotide-injection", "2028-03-06", "2028-03-09", "2028-03-12"),
        (Journey.treated("2026-01-12", "prrt"), "prrt-cycle", "2026-03-02", "2026-03-09", "2026-03-16"),
        (Journey.treated("2026-01-12", "prrt"), "prrt-bloods", "2026-02-09", "2026-02-23", "2026-02-23"),
        (after_prrt(), "post-prrt-bloods", "2026-08-10", "2026-08-24", "2026-09-07"),
        # the day before the procedure of 12 March
        (booked_procedure(), "periop-octreotide", "2026-03-04", "2026-03-11", "2026-03-11"),
        # without treatment
        (watched(), "small-nf-surveillance", "2026-06-15", "2026-07-15", "2026-08-14"),
        (monitored(), "untreated-monitoring-visit", "2026-04-16", "2026-04-30", "2026-05-14"),
        (monitored(), "untreated-monitoring-imaging", "2026-07-10", "2026-07-31", "2026-08-21"),
        (supported(), "untreated-monitoring-visit", "2026-04-16", "2026-04-30", "2026-05-14"),
        # safety of drugs
        (Journey.treated("2026-01-05", "sunitinib"), "sunitinib-bloods", "2026-01-26", "2026-02-02", "2026-02-09"),
        (Journey.treated("2026-01-31", "everolimus"), "everolimus-bloods", "2026-02-21", "2026-02-28", "2026-03-07"),
        (
            Journey.treated("2026-01-05", "capecitabine-temozolomide"),
            "chemo-bloods", "2026-01-30", "2026-02-02", "2026-02-02",
        ),
        (Journey.treated("2026-01-05", "platinum-etoposide"), "chemo-bloods", "2026-01-23", "2026-01-26", "2026-01-26"),
        (Journey.treated("2026-01-05", "streptozocin-5fu"), "chemo-bloods", "2026-02-13", "2026-02-16", "2026-02-16"),
        (Journey.treated("2026-03-02", "lanreotide"), "ssa-safety", "2026-08-03", "2026-09-02", "2026-10-02"),
        (Journey.treated("2026-03-02", "octreotide-lar"), "ssa-safety", "2026-08-03", "2026-09-02", "2026-10-02"),
        # hereditary: 29 February + 12 months = 28 February
        (Journey.advanced("2028-02-29", hereditary="men1"), "men1-screen", "2029-01-29", "2029-02-28", "2029-03-30"),
        (Journey.advanced("2026-01-20", hereditary="vhl"), "vhl-screen", "2026-12-21", "2027-01-20", "2027-02-19"),
        # restaging: on the day
        (suspected(), "restaging-imaging", "2026-04-10", "2026-04-10", "2026-05-10"),
        (suspected(), "restaging-sstr-imaging", "2026-04-10", "2026-04-10", "2026-05-10"),
        (suspected(), "restaging-markers", "2026-04-10", "2026-04-10", "2026-05-10"),
        # workup: 14 days after the state that asks for it is entered
        (Journey().opened("2026-01-05"), "workup-histology", "2026-01-05", "2026-01-19", "2026-02-02"),
        (staging(), "workup-immunohistochemistry", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(), "workup-cga", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(), "workup-5-hiaa", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(), "workup-sstr-imaging", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(), "workup-ct", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(), "workup-mri", "2026-01-21", "2026-02-04", "2026-02-18"),
        (staging(primary_site="pancreas"), "workup-eus", "2026-01-21", "2026-02-04", "2026-02-18"),
        (awaiting_review(), "workup-mdt-review", "2026-01-28", "2026-02-11", "2026-02-25"),
        (staging().requested("2026-02-20", "pth"), "workup-requested", "2026-02-20", "2026-03-06", "2026-03-20"),
        # nobody falls through
        (Journey.advanced("2026-01-05"), "no-next-step", "2026-01-05", "2026-01-05", "2026-01-12"),
    ],
)  # fmt: skip
def test_first_item_of_each_rule_opens_is_due_and_is_late(journey, rule, opens, due, late):
    assert journey.window(rule) == (opens, due, late)


@pytest.mark.parametrize(
    "journey, rule",
    [
        (recovering(ki67_percent=2.0), "post-curative-visit-high-grade"),
        (recovering(ki67_percent=25), "post-curative-visit"),
        (Journey.advanced(syndrome="none"), "chd-echo"),  # a pancreatic tumour without carcinoid syndrome
        (Journey.advanced(syndrome="none"), "chd-nt-probnp"),
        (Journey.advanced(primary_site="midgut", chd_status="present"), "chd-echo"),
        (Journey.advanced(primary_site="midgut", chd_status="absent"), "chd-confirmed-echo"),
        (Journey.advanced(syndrome="none").booked("2026-02-01", "procedure", "2026-03-12"), "periop-octreotide"),
        (Journey.advanced(syndrome=None).booked("2026-02-01", "procedure", "2026-03-12"), "periop-octreotide"),
        (Journey.advanced(syndrome="insulinoma"), "periop-octreotide"),  # no procedure booked
        (supported(), "untreated-monitoring-imaging"),
        (on_hold(), "lanreotide-injection"),
        (on_hold(), "ssa-safety"),
        (after_prrt(), "prrt-cycle"),
        (after_prrt(), "prrt-bloods"),
        (Journey.treated("2026-01-12", "prrt"), "post-prrt-bloods"),
        (Journey.treated("2026-03-02", "lanreotide"), "octreotide-injection"),
        (Journey.treated("2026-03-02", "lanreotide"), "baseline-imaging"),
        (Journey.advanced().starts("2026-03-02", "tace"), "baseline-imaging"),  # a procedure has no baseline item
        (Journey.advanced(hereditary="nf1"), "men1-screen"),
        (Journey.advanced(hereditary="not_assessed"), "vhl-screen"),
        (staging(primary_site="midgut"), "workup-eus"),
        (staging(), "workup-eus"),  # the site is not known yet
        (staging(sstr_uptake="high"), "workup-sstr-imaging"),
        (staging(immunohistochemistry="done"), "workup-immunohistochemistry"),
        (Journey.treated("2026-03-02", "lanreotide"), "no-next-step"),
    ],
)
def test_rule_is_silent_where_its_condition_does_not_hold(journey, rule):
    assert journey.due(rule) is None


@pytest.mark.parametrize(
    "journey, rule, done, activity, next_due",
    [
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-visit", "2026-06-02", "visit", "2026-09-02"),
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-imaging", "2026-08-31", "mri", "2027-02-28"),
        (Journey.treated("2026-03-02", "lanreotide"), "treatment-markers", "2026-09-10", "cga", "2027-03-10"),
        (Journey.treated("2026-03-02", "lanreotide"), "lanreotide-injection", "2026-03-31", "injection", "2026-04-28"),
        (Journey.treated("2026-03-02", "lanreotide"), "ssa-safety", "2026-08-31", "bloods", "2027-02-28"),
        (Journey.treated("2026-01-12", "prrt"), "prrt-cycle", "2026-03-12", "prrt-cycle", "2026-05-07"),
        (Journey.treated("2026-01-05", "sunitinib"), "sunitinib-bloods", "2026-02-03", "bloods", "2026-03-03"),
        (Journey.treated("2026-01-31", "everolimus"), "everolimus-bloods", "2026-02-28", "bloods", "2026-03-28"),
        (Journey.treated("2026-01-05", "platinum-etoposide"), "chemo-bloods", "2026-01-26", "bloods", "2026-02-16"),
        (recovering(ki67_percent=2.0), "post-curative-visit", "2026-05-30", "visit", "2026-11-30"),
        (recovering(ki67_percent=25), "post-curative-imaging", "2026-03-01", "ct", "2026-06-01"),
        (watched(), "small-nf-surveillance", "2026-07-20", "mri", "2027-01-20"),
        (watched(), "small-nf-surveillance", "2026-07-20", "eus", "2027-01-20"),
        (recovering(ki67_percent=2.0), "post-curative-imaging", "2026-05-30", "sstr-imaging", "2026-11-30"),
        (monitored(), "untreated-monitoring-visit", "2026-05-02", "visit", "2026-08-02"),
        (midgut(), "chd-echo", "2026-02-03", "echocardiogram", "2027-02-03"),
        (midgut(), "chd-nt-probnp", "2026-01-20", "nt-probnp", "2027-01-20"),
        (men1(), "men1-screen", "2027-02-01", "hereditary-screen", "2028-02-01"),
    ],
)  # fmt: skip
def test_next_item_counts_from_the_day_on_which_the_last_was_done(journey, rule, done, activity, next_due):
    assert journey.done(done, activity).due(rule) == next_due


@pytest.mark.parametrize("activity", ["eus", "sstr-imaging"])
def test_imaging_during_treatment_is_ct_or_mri(activity):
    assert (
        Journey.treated("2026-03-02", "lanreotide").done("2026-09-02", activity).due("treatment-imaging")
        == "2026-09-02"
    )


@pytest.mark.parametrize(
    "journey, rule, activity",
    [
        (staging(), "workup-ct", "ct"),
        (staging(), "workup-cga", "cga"),
        (staging(), "workup-immunohistochemistry", "immunohistochemistry"),
        (staging().requested("2026-01-25", "pth"), "workup-requested", "pth"),
        (staging().requested("2026-01-25", "a-rare-test"), "workup-requested", "a-rare-test"),
    ],
)
def test_workup_item_is_done_once(journey, rule, activity):
    journey.done("2026-01-30", activity)
    assert journey.due(rule) is None
    assert [ended[1:] for ended in journey.ended(rule)] == [("done", "2026-01-30")]


def test_workup_item_done_before_staging_is_not_asked_for_again():
    journey = Journey().opened("2026-01-05").done("2026-01-10", "ct").fact("2026-01-20", reported_grade="G1")
    journey.trigger("2026-01-21", "confirm_histology", differentiation="well")
    assert journey.due("workup-ct") is None
    assert journey.due("workup-mri") == "2026-02-04"


def test_workup_items_keep_their_date_when_the_case_goes_on_to_the_team():
    journey = staging(primary_site="pancreas", syndrome="none", m="0").trigger("2026-01-28", "refer_to_mdt")
    assert journey.due("workup-ct") == "2026-02-04"


def test_leaving_the_workup_supersedes_what_was_not_done():
    journey = staging(primary_site="pancreas", syndrome="none", m="0").trigger("2026-01-28", "refer_to_mdt")
    journey.fact("2026-02-02", mdt_reviewed_on="2026-02-02").trigger("2026-02-03", "assign_localized")
    assert journey.ended("workup-mri") == [("2026-02-04", "superseded", "2026-02-03")]


def test_every_requested_test_is_an_item_of_its_own():
    journey = staging().requested("2026-01-25", "pth").requested("2026-01-26", "calcium")
    dues = {item.activity: str(item.window.due_on) for item in journey.all("workup-requested")}
    assert dues == {"pth": "2026-02-08", "calcium": "2026-02-09"}


# PRRT --------------------------------------------------------------------------------------------------------


def test_prrt_counts_from_the_last_dose_actually_given_and_stops_after_four():
    journey = Journey.treated("2026-01-12", "prrt")
    assert journey.due("prrt-cycle") == "2026-03-09"
    assert journey.done("2026-03-16", "prrt-cycle").due("prrt-cycle") == "2026-05-11"
    assert journey.done("2026-05-11", "prrt-cycle").due("prrt-cycle") == "2026-07-06"
    assert journey.done("2026-07-06", "prrt-cycle").due("prrt-cycle") is None
    assert journey.due("post-prrt-bloods") == "2026-08-31"
    assert journey.history().lines[0].doses == 4


def test_the_start_of_prrt_is_its_first_dose_and_is_not_counted_twice():
    journey = Journey.treated("2026-01-12", "prrt").done("2026-01-12", "prrt-cycle")
    assert journey.history().lines[0].doses == 1
    assert journey.due("prrt-cycle") == "2026-03-09"


def test_forecast_of_prrt_stops_after_the_fourth_dose():
    plan = Journey.treated("2026-01-12", "prrt").plan()
    later = plan.forecast(plan.history.today, plan.history.today.replace(year=2028))
    assert [str(f.window.due_on) for f in later if f.rule == "prrt-cycle"] == ["2026-05-04", "2026-06-29"]


def test_bloods_are_due_before_each_prrt_dose():
    journey = Journey.treated("2026-01-12", "prrt")
    assert journey.window("prrt-bloods") == ("2026-02-09", "2026-02-23", "2026-02-23")
    journey.done("2026-02-20", "bloods")
    assert journey.due("prrt-bloods") is None
    journey.done("2026-03-09", "prrt-cycle")
    assert journey.window("prrt-bloods") == ("2026-04-06", "2026-04-20", "2026-04-20")


def test_bloods_not_done_are_superseded_when_the_dose_is_given():
    journey = Journey.treated("2026-01-12", "prrt").done("2026-03-09", "prrt-cycle")
    assert journey.ended("prrt-bloods") == [("2026-02-23", "superseded", "2026-03-09")]


def test_bloods_move_with_the_dose():
    journey = Journey.treated("2026-01-12", "prrt").rescheduled("2026-02-16", "prrt-cycle", "2026-03-20")
    assert journey.window("prrt-bloods") == ("2026-02-20", "2026-03-06", "2026-03-06")


def test_bloods_before_a_dose_are_not_overdue_from_a_hold():
    journey = Journey.treated("2026-01-12", "prrt")
    journey.trigger("2026-02-16", "hold_line", reason="platelets", review_on="2026-03-02")
    journey.trigger("2026-03-02", "resume_line")
    assert journey.due("prrt-cycle") == "2026-03-09"
    assert journey.due("prrt-bloods") == "2026-03-02"  # 23 February fell into the hold


def test_bloods_after_prrt_every_eight_weeks_for_a_year_then_every_six_months():
    journey = after_prrt()  # the last dose on 29 June 2026
    places = ["2026-08-24", "2026-10-19", "2026-12-14", "2027-02-08", "2027-04-05", "2027-05-31"]
    for place in places:
        assert journey.due("post-prrt-bloods") == place
        journey.done(place, "bloods")
    assert journey.due("post-prrt-bloods") == "2027-11-30"  # 31 May + 8 weeks is past 29 June 2027
    assert journey.done("2027-11-30", "bloods").due("post-prrt-bloods") == "2028-05-30"


def test_bloods_after_prrt_keep_eight_weeks_up_to_the_day_of_the_year():
    journey = after_prrt().done("2027-05-04", "bloods")
    assert journey.due("post-prrt-bloods") == "2027-06-29"  # 12 months after the last dose, to the day


def test_bloods_after_prrt_that_ended_early_count_from_the_last_dose():
    journey = Journey.treated("2026-01-12", "prrt").done("2026-03-09", "prrt-cycle")
    journey.done("2026-04-13", "bloods")  # before the third dose, which is then dropped
    journey.trigger("2026-05-04", "end_line", reason="toxicity")
    assert journey.due("post-prrt-bloods") == "2026-05-04"  # 9 March + 8 weeks; the window opens on 20 April


def test_bloods_in_the_window_after_the_last_dose_count_for_it():
    journey = Journey.treated("2026-01-12", "prrt").done("2026-03-09", "prrt-cycle").done("2026-04-22", "bloods")
    journey.trigger("2026-05-04", "end_line", reason="toxicity")
    assert journey.due("post-prrt-bloods") == "2026-06-17"  # 22 April + 8 weeks


# Carcinoid heart disease ----------------------------------------------------------------------------------------


def test_confirmed_carcinoid_heart_disease_replaces_the_yearly_echo():
    journey = midgut().done("2026-02-03", "echocardiogram")
    journey.fact("2026-02-10", chd_status="present")
    assert journey.due("chd-echo") is None
    assert journey.ended("chd-echo")[-1] == ("2027-02-03", "superseded", "2026-02-10")
    assert journey.due("chd-confirmed-echo") == "2026-08-10"
    assert journey.due("chd-nt-probnp") == "2026-01-20"


def test_carcinoid_syndrome_once_is_enough_for_screening():
    journey = Journey.advanced("2026-01-20", syndrome="carcinoid").fact("2026-03-01", syndrome="none")
    assert journey.due("chd-echo") == "2026-01-20"


def test_an_echo_on_the_day_of_eligibility_serves():
    journey = Journey().opened("2026-01-05", "advanced.planning").done("2026-01-20", "echocardiogram")
    assert journey.fact("2026-01-20", primary_site="midgut").due("chd-echo") == "2027-01-20"


def test_two_lines_begun_on_one_day_share_one_baseline():
    journey = Journey.advanced().trigger("2026-02-10", "start_line", treatment="prrt", intent="disease-control")
    journey.trigger("2026-02-10", "start_line", treatment="lanreotide", intent="disease-control", concurrent=True)
    assert [item.rule for item in journey.plan().open_items].count("baseline-imaging") == 1
    assert journey.trigger("2026-02-12", "end_line", line="prrt", reason="x").due("baseline-imaging") == "2026-02-10"


# Planned treatments ----------------------------------------------------------------------------------------------


def planned(treatment: str, **facts: object) -> Journey:
    journey = Journey.advanced(**facts)
    return journey.trigger("2026-02-10", "plan_line", treatment=treatment, intent="palliative", planned_on="2026-03-12")


def test_a_planned_treatment_is_the_next_step_until_it_starts():
    journey = planned("everolimus")
    assert journey.window("planned-start") == ("2026-03-05", "2026-03-12", "2026-03-15")
    assert journey.due("no-next-step") is None
    journey.trigger("2026-03-14", "start_line", treatment="everolimus", intent="palliative")
    assert journey.ended("planned-start") == [("2026-03-12", "done", "2026-03-14")]


def test_a_planned_operation_moves_with_its_booking_and_ends_with_it():
    journey = planned("liver-resection").rescheduled("2026-02-20", "procedure", "2026-03-20")
    assert journey.due("planned-start") == "2026-03-20"
    journey.waived("2026-03-01", "procedure")
    assert (journey.due("planned-start"), journey.due("no-next-step")) == (None, "2026-03-01")


def test_a_plan_put_aside_for_restaging_comes_back_with_stable_disease():
    journey = planned("everolimus").trigger("2026-03-01", "suspect_progression")
    assert journey.due("planned-start") is None
    assert journey.trigger("2026-03-20", "confirm_stable").due("planned-start") == "2026-03-12"


def test_surveillance_looks_at_the_curative_line_whatever_started_after_it():
    journey = Journey.advanced(resection_margin="R0")
    journey.trigger("2026-02-10", "start_line", treatment="liver-resection", intent="curative")
    journey.trigger("2026-02-12", "start_line", treatment="lanreotide", intent="symptom-control", concurrent=True)
    journey.trigger("2026-02-20", "end_line", line="lanreotide", reason="settled")
    journey.trigger("2026-02-21", "end_line", reason="completed").trigger("2026-03-01", "begin_surveillance")
    assert journey.due("post-curative-visit") == "2026-08-10"


# Procedures in functional disease --------------------------------------------------------------------------------


def test_perioperative_checklist_moves_when_the_procedure_is_booked_again():
    journey = booked_procedure().booked("2026-03-01", "procedure", "2026-04-09")
    assert journey.window("periop-octreotide") == ("2026-04-01", "2026-04-08", "2026-04-08")
    assert journey.ended("periop-octreotide") == [("2026-03-11", "superseded", "2026-03-01")]


def test_perioperative_checklist_moves_when_the_procedure_is_rescheduled():
    journey = booked_procedure().rescheduled("2026-03-01", "procedure", "2026-04-09")
    assert journey.due("periop-octreotide") == "2026-04-08"
    assert journey.history().without_effect == []


def test_perioperative_checklist_ends_with_a_cancelled_procedure():
    journey = booked_procedure().waived("2026-03-01", "procedure")
    assert journey.due("periop-octreotide") is None
    assert journey.plan().history.without_effect == []


def test_a_planned_operation_is_a_booked_procedure():
    journey = Journey.advanced(syndrome="vipoma")
    journey.trigger("2026-02-01", "plan_line", treatment="debulking", intent="cytoreductive", planned_on="2026-03-12")
    assert journey.due("periop-octreotide") == "2026-03-11"
    assert journey.starts("2026-03-12", "debulking", "cytoreductive").due("periop-octreotide") is None


def test_a_booked_procedure_outlasts_the_start_of_another_treatment():
    journey = Journey.advanced(syndrome="vipoma").booked("2026-02-01", "procedure", "2026-03-12")
    plan = {"treatment": "lanreotide", "intent": "symptom-control"}
    journey.trigger("2026-02-02", "plan_line", planned_on="2026-02-09", **plan)
    journey.trigger("2026-02-09", "start_line", **plan)
    assert journey.due("periop-octreotide") == "2026-03-11"


def test_a_procedure_tomorrow_asks_for_the_checklist_today():
    journey = Journey.advanced(syndrome="vipoma").booked("2026-02-01", "procedure", "2026-02-01")
    assert journey.due("periop-octreotide") == "2026-02-01"


# No next step ---------------------------------------------------------------------------------------------------


def test_a_next_step_ends_the_need_for_a_plan():
    journey = Journey.advanced("2026-01-05").trigger("2026-01-12", "monitor")
    assert journey.due("no-next-step") is None
    assert journey.ended("no-next-step") == [("2026-01-05", "superseded", "2026-01-12")]


def test_ending_the_last_line_leaves_a_case_without_a_next_step():
    journey = Journey.treated("2026-03-02", "lanreotide").trigger("2026-05-01", "end_line", reason="toxicity")
    assert journey.window("no-next-step") == ("2026-05-01", "2026-05-01", "2026-05-08")


def test_agreeing_on_nothing_leaves_the_case_on_the_list():
    journey = Journey.advanced("2026-01-05").done("2026-01-12", "plan-needed")
    assert journey.due("no-next-step") == "2026-01-12"
