"""The arithmetic that is the same for every rule, told as journeys with dates worked out by hand."""

from datetime import date

import pytest

from tests.workflows.journeys import Journey, shipped
from workflows.errors import Refused
from workflows.planning import plan_after


def on_lanreotide():
    """First injection on 2 March 2026: visit 2 June, markers and imaging 2 September, injection 30 March."""
    return Journey.treated("2026-03-02", "lanreotide")


def recovering(**facts):
    """Surgery on 1 February 2026, G1, surveillance from 1 March: everything is due on 1 August."""
    return Journey.resected("2026-02-01", "2026-03-01", **facts)


# Done early, in time, late -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "done, next_due",
    [
        ("2026-05-19", "2026-08-19"),  # the day on which it opens
        ("2026-05-20", "2026-08-20"),  # early
        ("2026-06-02", "2026-09-02"),  # on its day
        ("2026-06-16", "2026-09-16"),  # the last day
        ("2026-06-17", "2026-09-17"),  # overdue
        ("2026-11-30", "2027-02-28"),  # half a year late, at a month's end
    ],
)
def test_doing_an_item_counts_the_next_from_that_day(done, next_due):
    journey = on_lanreotide().done(done, "visit")
    assert journey.ended("treatment-visit") == [("2026-06-02", "done", done)]
    assert journey.due("treatment-visit") == next_due


def test_an_act_before_the_item_opens_is_an_extra():
    journey = on_lanreotide().done("2026-05-18", "visit")
    assert journey.ended("treatment-visit") == []
    assert journey.due("treatment-visit") == "2026-06-02"


def test_an_act_before_the_item_opens_completes_the_rule_that_it_names():
    journey = on_lanreotide().done("2026-05-18", "visit", completes="treatment-visit")
    assert journey.ended("treatment-visit") == [("2026-06-02", "done", "2026-05-18")]
    assert journey.due("treatment-visit") == "2026-08-18"


def test_an_act_on_the_anchor_day_that_names_its_rule_is_kept_beside_the_next_item():
    journey = on_lanreotide().done("2026-03-02", "injection", completes="lanreotide-injection")
    assert [item.status for item in journey.all("lanreotide-injection")] == ["done", "open"]
    assert journey.due("lanreotide-injection") == "2026-03-30"


def test_naming_a_rule_without_an_open_item_has_no_effect():
    journey = on_lanreotide().done("2026-05-18", "visit", completes="chd-echo")
    assert journey.plan().history.without_effect == [("e6", "no open item of rule chd-echo to complete")]


def test_one_act_completes_every_open_item_of_its_activity():
    journey = on_lanreotide().trigger("2026-08-20", "suspect_progression").done("2026-08-25", "ct")
    assert journey.ended("restaging-imaging") == [("2026-08-20", "done", "2026-08-25")]
    assert journey.ended("treatment-imaging") == [("2026-09-02", "done", "2026-08-25")]
    assert journey.due("treatment-imaging") == "2027-02-25"


def test_one_blood_test_serves_two_rules():
    journey = Journey.treated("2026-01-05", "lanreotide").starts("2026-04-20", "prrt", concurrent=True)
    assert (journey.due("ssa-safety"), journey.due("prrt-bloods")) == ("2026-07-05", "2026-06-01")
    journey.done("2026-06-05", "bloods")  # ssa-safety opens on this day
    assert journey.due("ssa-safety") == "2026-12-05"
    assert journey.ended("prrt-bloods") == [("2026-06-01", "done", "2026-06-05")]


def test_a_blood_test_completes_only_what_has_opened():
    journey = Journey.treated("2026-01-05", "lanreotide").starts("2026-04-20", "prrt", concurrent=True)
    journey.done("2026-06-04", "bloods")
    assert journey.due("ssa-safety") == "2026-07-05"
    assert journey.due("prrt-bloods") is None


def test_a_missed_item_stays_open_and_nothing_piles_up_on_it():
    journey = on_lanreotide().done("2026-03-30", "injection").fact("2027-12-01", tumour_size_mm=12)
    assert journey.due("treatment-visit") == "2026-06-02"
    assert journey.due("lanreotide-injection") == "2026-04-27"
    assert journey.open("treatment-visit").window.status_on(date(2027, 12, 1)) == "overdue"
    assert journey.ended("treatment-visit") == []


def test_two_acts_on_one_day_complete_one_item():
    journey = on_lanreotide().done("2026-06-02", "visit").done("2026-06-02", "visit")
    assert journey.ended("treatment-visit") == [("2026-06-02", "done", "2026-06-02")]
    assert journey.due("treatment-visit") == "2026-09-02"


# Waived, rescheduled, booked ----------------------------------------------------------------------------------


def test_waiving_takes_the_following_place_of_the_same_series():
    journey = Journey.treated("2025-11-30", "lanreotide").waived("2026-02-20", "visit")
    assert journey.ended("treatment-visit") == [("2026-02-28", "waived", "2026-02-20")]
    assert journey.due("treatment-visit") == "2026-05-30"  # 30 November + 6 months, not 28 February + 3
    assert journey.waived("2026-05-30", "visit").due("treatment-visit") == "2026-08-30"


def test_waiving_leaves_the_anchor_where_it_was():
    journey = on_lanreotide().waived("2026-06-20", "visit")
    item = journey.open("treatment-visit")
    assert (str(item.anchor_on), item.occurrence, str(item.window.due_on)) == ("2026-03-02", 2, "2026-09-02")


def test_rescheduling_moves_one_item_with_its_window():
    journey = on_lanreotide().rescheduled("2026-04-02", "imaging", "2026-10-01")
    assert journey.window("treatment-imaging") == ("2026-09-10", "2026-10-01", "2026-10-22")
    assert str(journey.open("treatment-imaging").moved_from) == "2026-09-02"
    assert journey.due("treatment-markers") == "2026-09-02"


def test_a_moved_item_says_where_it_was_moved_to():
    why = on_lanreotide().rescheduled("2026-04-02", "imaging", "2026-10-01").open("treatment-imaging").why
    assert why.arithmetic.endswith("= 2 Sep 2026, moved to 1 Oct 2026")
    assert why.window == "opens 10 Sep 2026, late after 22 Oct 2026"


def test_doing_a_moved_item_in_its_old_window_alone_is_an_extra():
    journey = on_lanreotide().rescheduled("2026-04-02", "imaging", "2026-10-01").done("2026-09-09", "ct")
    assert journey.due("treatment-imaging") == "2026-10-01"
    assert journey.done("2026-09-10", "ct").due("treatment-imaging") == "2027-03-10"


def test_waiving_a_moved_item_takes_the_following_place_of_the_series():
    journey = on_lanreotide().rescheduled("2026-04-02", "imaging", "2026-10-01").waived("2026-10-02", "imaging")
    assert journey.due("treatment-imaging") == "2027-03-02"


def test_moving_twice_remembers_the_first_place():
    journey = on_lanreotide().rescheduled("2026-04-02", "visit", "2026-06-10")
    journey.rescheduled("2026-04-03", "visit", "2026-06-20")
    item = journey.open("treatment-visit")
    assert (str(item.window.due_on), str(item.moved_from)) == ("2026-06-20", "2026-06-02")


def test_an_item_can_be_moved_up_to_the_day_from_which_it_counts():
    assert on_lanreotide().rescheduled("2026-03-02", "visit", "2026-03-02").due("treatment-visit") == "2026-03-02"


def test_moving_to_before_the_anchor_has_no_effect():
    journey = on_lanreotide().rescheduled("2026-04-02", "visit", "2026-03-01")
    assert journey.due("treatment-visit") == "2026-06-02"
    assert [event for event, _ in journey.plan().history.without_effect] == ["e6"]


def test_booking_is_shown_and_changes_nothing():
    journey = on_lanreotide().booked("2026-04-02", "imaging", "2026-08-20")
    item = journey.open("treatment-imaging")
    assert (str(item.window.due_on), str(item.booked_for)) == ("2026-09-02", "2026-08-20")
    assert journey.done("2026-08-20", "mri").due("treatment-imaging") == "2027-02-20"


def test_waiving_names_a_rule_where_two_items_of_one_activity_are_open():
    journey = on_lanreotide().trigger("2026-08-20", "suspect_progression")
    assert journey.copy().waived("2026-08-21", "imaging").due("restaging-imaging") is None
    journey.waived("2026-08-21", "imaging", rule="treatment-imaging")
    assert (journey.due("restaging-imaging"), journey.due("treatment-imaging")) == ("2026-08-20", "2027-03-02")


def test_waiving_what_is_not_open_is_refused_live_and_kept_without_effect():
    journey = on_lanreotide()
    waiver = journey.copy().waived("2026-04-01", "echocardiogram").events[-1]
    with pytest.raises(Refused, match="no open echocardiogram"):
        plan_after(shipped(), journey.events, waiver)


# Hold and resume -------------------------------------------------------------------------------------------------


def held(since="2026-04-10", review="2026-05-11"):
    """Injections on 2 and 30 March; the next would be due on 27 April."""
    return on_lanreotide().done("2026-03-30", "injection").trigger(since, "hold_line", reason="fever", review_on=review)


def test_a_hold_stops_the_doses_and_nothing_else():
    journey = held()
    assert journey.ended("lanreotide-injection")[-1] == ("2026-04-27", "superseded", "2026-04-10")
    assert journey.due("lanreotide-injection") is None
    assert journey.due("treatment-visit") == "2026-06-02"
    assert journey.due("treatment-imaging") == "2026-09-02"
    assert journey.window("hold-review") == ("2026-05-11", "2026-05-11", "2026-05-11")


def test_a_dose_that_fell_into_the_hold_is_due_on_the_day_of_the_return():
    journey = held().trigger("2026-05-04", "resume_line")
    assert journey.due("lanreotide-injection") == "2026-05-04"
    assert journey.ended("hold-review") == [("2026-05-11", "superseded", "2026-05-04")]
    assert journey.done("2026-05-05", "injection").due("lanreotide-injection") == "2026-06-02"


@pytest.mark.parametrize("resumed", ["2026-04-20", "2026-04-27"])
def test_a_dose_that_lies_behind_the_hold_keeps_its_place(resumed):
    assert held().trigger(resumed, "resume_line").due("lanreotide-injection") == "2026-04-27"


def test_holding_and_resuming_on_one_day_changes_nothing():
    before = on_lanreotide().done("2026-03-30", "injection")
    after = held("2026-04-10").trigger("2026-04-10", "resume_line")
    assert after.due("lanreotide-injection") == before.due("lanreotide-injection") == "2026-04-27"
    assert after.due("hold-review") is None


def test_an_injection_given_during_the_hold_in_its_window_counts():
    journey = held().done("2026-04-24", "injection").trigger("2026-05-04", "resume_line")
    assert journey.due("lanreotide-injection") == "2026-05-22"


def test_a_visit_during_the_hold_is_an_ordinary_visit():
    assert held().done("2026-06-02", "visit").due("treatment-visit") == "2026-09-02"


def test_the_review_of_a_hold_is_done_once():
    journey = held().done("2026-05-11", "hold-review")
    assert journey.due("hold-review") is None
    assert journey.ended("hold-review") == [("2026-05-11", "done", "2026-05-11")]


def test_a_second_hold_has_its_own_review():
    journey = held().trigger("2026-05-04", "resume_line")
    journey.trigger("2026-05-20", "hold_line", reason="surgery", review_on="2026-06-30")
    assert journey.due("hold-review") == "2026-06-30"


# Periods of treatment ---------------------------------------------------------------------------------------------


def test_a_concurrent_line_starts_no_second_series():
    journey = on_lanreotide().starts("2026-04-01", "prrt", concurrent=True)
    assert journey.due("treatment-visit") == "2026-06-02"
    journey.trigger("2026-04-15", "end_line", line="lanreotide", reason="toxicity")
    assert journey.due("treatment-visit") == "2026-06-02"
    assert journey.due("treatment-imaging") == "2026-09-02"


def test_a_new_line_after_the_last_has_ended_starts_the_series_anew():
    journey = on_lanreotide().trigger("2026-05-01", "end_line", reason="progression")
    assert journey.ended("treatment-visit") == [("2026-06-02", "superseded", "2026-05-01")]
    journey.starts("2026-05-20", "everolimus")
    assert journey.due("treatment-visit") == "2026-08-20"
    assert journey.due("treatment-imaging") == "2026-11-20"


def test_a_new_line_on_the_day_on_which_the_last_ended_starts_the_series_anew():
    journey = on_lanreotide().trigger("2026-05-01", "end_line", reason="progression")
    assert journey.starts("2026-05-01", "everolimus").due("treatment-visit") == "2026-08-01"


@pytest.mark.parametrize("result, due", [("2026-02-02", None), ("2026-03-02", None), ("2026-02-01", "2026-03-02")])
def test_a_result_up_to_28_days_before_serves_as_the_baseline(result, due):
    journey = Journey.advanced().done(result, "ct").done(result, "cga").starts("2026-03-02", "lanreotide")
    assert (journey.due("baseline-imaging"), journey.due("baseline-markers")) == (due, due)
    assert journey.due("treatment-imaging") == "2026-09-02"


def test_a_result_recorded_after_the_start_on_the_same_day_serves():
    journey = Journey.advanced().starts("2026-03-02", "lanreotide").done("2026-03-02", "mri")
    assert journey.due("baseline-imaging") is None


def test_baselines_are_told_apart():
    journey = Journey.advanced().done("2026-02-20", "5-hiaa").starts("2026-03-02", "everolimus")
    assert journey.due("baseline-markers") is None
    assert journey.due("baseline-imaging") == "2026-03-02"


def test_a_late_baseline_leaves_the_series_that_runs_from_the_start():
    journey = Journey.advanced().starts("2026-03-02", "lanreotide").done("2026-03-20", "ct")
    assert journey.ended("baseline-imaging") == [("2026-03-02", "done", "2026-03-20")]
    assert journey.due("treatment-imaging") == "2026-09-02"


def test_every_systemic_line_has_its_own_baseline():
    journey = on_lanreotide().starts("2026-06-01", "prrt", concurrent=True)
    assert journey.due("baseline-imaging") == "2026-06-01"
    assert journey.due("baseline-markers") == "2026-06-01"


# Surveillance, restaging and grade ------------------------------------------------------------------------------------


def test_surveillance_counts_from_surgery_and_not_from_its_own_beginning():
    journey = recovering()
    assert journey.due("post-curative-visit") == "2026-08-01"
    assert str(journey.open("post-curative-visit").anchor_on) == "2026-02-01"


def test_surveillance_that_begins_late_is_late():
    journey = Journey.resected("2026-02-01", "2026-10-01")
    assert journey.due("post-curative-visit") == "2026-08-01"


def test_a_visit_after_surgery_before_the_window_of_surveillance_is_an_extra():
    journey = Journey().opened("2026-02-01", "localized.planning").fact("2026-02-01", ki67_percent=2)
    journey.starts("2026-02-01", "enucleation", "curative").done("2026-04-28", "visit")
    journey.trigger("2026-05-05", "end_line", reason="completed")
    journey.trigger("2026-05-10", "begin_surveillance", resection_margin="R0")
    assert journey.due("post-curative-visit") == "2026-08-01"


def test_suspicion_supersedes_surveillance_and_asks_for_restaging():
    journey = recovering().trigger("2026-07-20", "suspect_progression")
    for rule in ("post-curative-visit", "post-curative-imaging", "post-curative-markers"):
        assert journey.due(rule) is None
        assert journey.ended(rule) == [("2026-08-01", "superseded", "2026-07-20")]
    assert journey.due("restaging-imaging") == journey.due("restaging-markers") == "2026-07-20"
    assert journey.due("restaging-sstr-imaging") == "2026-07-20"


@pytest.mark.parametrize(
    "stable, due", [("2026-07-28", "2026-08-01"), ("2026-08-01", "2026-08-01"), ("2026-08-05", "2026-08-05")]
)
def test_what_fell_into_restaging_is_due_on_the_return(stable, due):
    journey = recovering().trigger("2026-07-20", "suspect_progression").trigger(stable, "confirm_stable")
    assert journey.state == "surveillance.post_curative"
    assert journey.due("post-curative-visit") == due
    assert journey.due("restaging-imaging") is None


@pytest.mark.parametrize("done", ["2026-07-25", "2026-08-05"])
def test_restaging_imaging_in_the_window_counts_for_surveillance(done):
    journey = recovering().trigger("2026-07-20", "suspect_progression").done(done, "ct")
    journey.trigger("2026-08-05", "confirm_stable")
    assert journey.due("post-curative-imaging") == {"2026-07-25": "2027-01-25", "2026-08-05": "2027-02-05"}[done]
    assert journey.due("post-curative-visit") == "2026-08-05"


def test_restaging_imaging_long_before_the_window_leaves_surveillance_where_it_was():
    journey = recovering().trigger("2026-04-20", "suspect_progression").done("2026-04-25", "ct")
    journey.trigger("2026-05-05", "confirm_stable")
    assert journey.due("post-curative-imaging") == "2026-08-01"


def test_imaging_on_the_day_of_the_suspicion_is_the_restaging_imaging():
    journey = recovering().done("2026-07-20", "ct").trigger("2026-07-20", "suspect_progression")
    assert journey.due("restaging-imaging") is None
    assert journey.ended("restaging-imaging") == [("2026-07-20", "done", "2026-07-20")]
    assert journey.due("restaging-markers") == "2026-07-20"


def test_surveillance_after_a_second_operation_counts_from_that_one():
    journey = recovering().trigger("2026-07-20", "suspect_progression")
    journey.trigger("2026-08-05", "confirm_recurrence", resectability="resectable")
    journey.starts("2026-09-10", "liver-resection", "curative")
    journey.trigger("2026-10-01", "end_line", reason="completed").trigger("2026-10-20", "begin_surveillance")
    assert journey.due("post-curative-visit") == "2027-03-10"


def test_recurrence_ends_surveillance():
    journey = recovering().trigger("2026-07-20", "suspect_progression").trigger("2026-08-05", "confirm_recurrence")
    assert journey.state == "advanced.planning"
    assert journey.due("post-curative-visit") is None
    assert journey.due("no-next-step") == "2026-08-05"


def test_treatment_goes_on_while_progression_is_suspected():
    journey = on_lanreotide().trigger("2026-03-20", "suspect_progression")
    assert journey.due("lanreotide-injection") == "2026-03-30"
    assert journey.due("treatment-visit") == "2026-06-02"
    journey.trigger("2026-04-01", "confirm_stable")
    assert journey.due("lanreotide-injection") == "2026-03-30"


def test_a_higher_grade_halves_the_interval_from_the_last_visit():
    journey = recovering().done("2026-08-03", "visit")
    assert journey.due("post-curative-visit") == "2027-02-03"
    journey.fact("2026-09-15", ki67_percent=25)
    assert journey.ended("post-curative-visit")[-1] == ("2027-02-03", "superseded", "2026-09-15")
    assert journey.due("post-curative-visit-high-grade") == "2026-11-03"
    assert len(journey.all("post-curative-visit-high-grade")) == 1  # the visit of August is not told twice


def test_a_higher_grade_makes_nothing_overdue():
    journey = recovering().fact("2026-07-15", ki67_percent=25)
    assert journey.due("post-curative-visit-high-grade") == "2026-07-15"  # 1 May fell before the grade was known
    assert journey.due("post-curative-imaging") == "2026-07-15"


def test_a_higher_grade_before_the_first_place_counts_from_surgery():
    journey = recovering().fact("2026-03-15", ki67_percent=25)
    assert journey.due("post-curative-visit-high-grade") == "2026-05-01"


def test_a_lower_grade_doubles_the_interval_from_the_last_visit():
    journey = recovering(ki67_percent=25).done("2026-05-04", "visit").fact("2026-06-01", ki67_percent=10)
    assert journey.due("post-curative-visit") == "2026-11-04"


# Back-dated and corrected -----------------------------------------------------------------------------------------


def test_an_act_entered_late_counts_from_the_day_on_which_it_was_done():
    journey = on_lanreotide().done("2026-06-20", "injection").done("2026-03-30", "injection")
    assert journey.ended("lanreotide-injection") == [
        ("2026-03-30", "done", "2026-03-30"),
        ("2026-04-27", "done", "2026-06-20"),
    ]
    assert journey.due("lanreotide-injection") == "2026-07-18"


def test_a_corrected_act_gives_its_item_back():
    journey = on_lanreotide().done("2026-06-02", "visit")
    journey.corrected("2026-06-05", journey.last_id)
    assert journey.due("treatment-visit") == "2026-06-02"


def test_a_superseded_item_never_opens():
    journey = held()
    item = next(item for item in journey.all("lanreotide-injection") if item.status == "superseded")
    assert not item.is_open
    assert item.key not in {open_item.key for open_item in journey.plan().open_items}


# Closing, death, coming back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["discharge", "transfer"])
def test_closing_cancels_everything(trigger):
    journey = on_lanreotide().trigger("2026-04-10", trigger, reason="moved away")
    assert journey.plan().open_items == []
    assert journey.ended("treatment-visit") == [("2026-06-02", "cancelled", "2026-04-10")]
    line = journey.history().lines[0]
    assert (str(line.ended_on), line.end_reason) == ("2026-04-10", "closed")


def test_a_death_entered_late_cancels_from_the_date_of_death():
    journey = on_lanreotide().done("2026-03-30", "injection").done("2026-04-27", "injection")
    journey.trigger("2026-05-10", "suspect_progression").trigger("2026-04-12", "record_death")
    history = journey.history()
    assert (history.state, str(history.since)) == ("closed.deceased", "2026-04-12")
    assert journey.plan().open_items == []
    assert journey.ended("lanreotide-injection") == [
        ("2026-03-30", "done", "2026-03-30"),
        ("2026-04-27", "cancelled", "2026-04-12"),
    ]
    assert journey.ended("treatment-visit") == [("2026-06-02", "cancelled", "2026-04-12")]
    assert journey.all("restaging-imaging") == []
    assert [event for event, _ in history.without_effect] == ["e8"]


def test_a_corrected_death_gives_everything_back():
    alive = on_lanreotide().done("2026-03-30", "injection").trigger("2026-05-10", "suspect_progression")
    before = alive.plan().follow_ups
    dead = alive.copy().trigger("2026-04-12", "record_death")
    assert dead.plan().open_items == []
    restored = dead.corrected("2026-05-12", dead.last_id)
    assert restored.plan().follow_ups == before
    assert restored.state == "restaging.suspected"


def test_lost_and_returned():
    journey = recovering().called("2026-05-01").called("2026-05-08", "letter").called("2026-05-15")
    journey.trigger("2026-05-20", "lose_contact")
    assert journey.plan().open_items == []
    journey.trigger("2026-10-10", "return_to_care")
    assert journey.due("restaging-imaging") == "2026-10-10"
    assert journey.due("post-curative-visit") is None
    journey.trigger("2026-10-25", "confirm_stable")
    assert journey.state == "surveillance.post_curative"
    assert journey.due("post-curative-visit") == "2026-10-25"  # 1 August fell into the time away


def test_returning_on_treatment_returns_without_a_line():
    journey = on_lanreotide().trigger("2026-04-10", "transfer", reason="moved")
    journey.trigger("2026-09-01", "return_to_care").trigger("2026-09-15", "confirm_stable")
    assert journey.state == "advanced.planning"
    assert journey.history().open_lines == []
    assert journey.due("treatment-visit") is None


def test_screening_that_fell_due_while_the_case_was_closed_is_due_on_the_return():
    journey = Journey.advanced("2026-01-20", primary_site="midgut").done("2026-02-03", "echocardiogram")
    journey.trigger("2026-03-01", "transfer", reason="moved").trigger("2027-06-01", "return_to_care")
    assert journey.due("chd-echo") == "2027-06-01"


# What every item says ------------------------------------------------------------------------------------------------


def test_an_item_explains_itself():
    why = on_lanreotide().open("treatment-visit").why
    assert why.arithmetic == "treatment began 2 Mar 2026 + 1 × 3 months = 2 Jun 2026"
    assert why.window == "opens 19 May 2026, late after 16 Jun 2026"
    assert why.sources == ("S63",)
    assert "Lanreotide" in why.because
    assert "S63" in why.sentence()


def test_an_item_names_the_lines_that_are_open_when_it_appears():
    journey = on_lanreotide().starts("2026-04-01", "prrt", concurrent=True).done("2026-06-02", "visit")
    assert "PRRT" in journey.open("treatment-visit").why.because


def test_the_forecast_follows_the_open_item():
    plan = on_lanreotide().plan()
    later = plan.forecast(date(2026, 3, 2), date(2027, 6, 2))
    visits = [str(f.window.due_on) for f in later if f.rule == "treatment-visit"]
    assert visits == ["2026-09-02", "2026-12-02", "2027-03-02", "2027-06-02"]


def test_an_open_item_is_explained_by_the_facts_as_they_are_now() -> None:
    journey = Journey().opened("2026-01-05", state="advanced.planning").fact("2026-01-05", ki67_percent=2.0)
    journey.trigger("2026-01-10", "start_line", treatment="lanreotide", intent="disease-control")
    reasons = []
    for trigger, data in (("hold_line", {"reason": "rest", "review_on": "2026-03-01"}), ("resume_line", {})):
        (visit,) = [item for item in journey.plan().open_items if item.rule == "treatment-visit"]
        reasons.append(visit.why.because)
        journey.trigger("2026-02-01", trigger, **data)
    (visit,) = [item for item in journey.plan().open_items if item.rule == "treatment-visit"]
    assert [", on hold" in reason for reason in reasons] == [False, True]
    assert visit.why.because == reasons[0]
