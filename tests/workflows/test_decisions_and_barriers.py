"""Decisions of the team, barriers to care, and records that were merged."""

import pytest

from tests.workflows.journeys import Journey, day
from workflows.errors import Refused
from workflows.parts import MERGED


def test_a_decision_is_kept_with_its_meeting_and_moves_nothing() -> None:
    journey = Journey.advanced("2026-01-05")
    before = journey.plan()
    journey.add("2026-01-12", "decision:recorded", meeting_on="2026-01-09", text="PRRT to be planned.")
    after = journey.plan()
    decision = after.history.decisions[0]
    assert (decision.meeting_on, decision.text) == (day("2026-01-09"), "PRRT to be planned.")
    assert after.follow_ups == before.follow_ups
    assert after.history.state == before.history.state


def test_a_decision_comes_after_its_meeting() -> None:
    journey = Journey.advanced("2026-01-05")
    journey.add("2026-01-12", "decision:recorded", meeting_on="2026-01-12", text="on the day itself")
    journey.plan()
    journey.add("2026-01-12", "decision:recorded", meeting_on="2026-01-13", text="the day after")
    with pytest.raises(Refused, match="13 Jan 2026 is after 12 Jan 2026"):
        journey.plan()


def test_a_barrier_stands_until_it_is_resolved_and_may_come_back() -> None:
    journey = Journey.advanced("2026-01-05").add("2026-01-06", "barrier:noted", barrier="transport", text="no car")
    journey.add("2026-01-07", "barrier:noted", barrier="transport", text="no train either")
    (barrier,) = journey.plan().history.barriers
    assert (barrier.since, barrier.resolved_on, barrier.texts) == (
        day("2026-01-06"), None, ["no car", "no train either"],
    )  # fmt: skip
    journey.add("2026-01-08", "barrier:resolved", barrier="transport", text="voucher")
    journey.add("2026-01-09", "barrier:noted", barrier="transport")
    first, second = journey.plan().history.barriers
    assert first.resolved_on == day("2026-01-08")
    assert second.resolved_on is None


def test_a_barrier_that_does_not_stand_cannot_be_resolved() -> None:
    journey = Journey.advanced("2026-01-05").add("2026-01-06", "barrier:resolved", barrier="cost")
    assert journey.plan().history.without_effect == [(journey.last_id, "no such barrier stood then")]


def test_what_is_said_of_decisions_and_barriers_plans_nothing() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    before = journey.plan().follow_ups
    journey.add("2026-02-01", "barrier:noted", barrier="fear").add("2026-02-02", "barrier:resolved", barrier="fear")
    journey.add("2026-02-03", "case:joined", case="N-002", reason="same patient")
    assert journey.plan().follow_ups == before
    assert journey.plan().history.joined == ["N-002"]


def test_a_merged_record_ends_all_that_was_open_and_goes_nowhere() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    journey.add("2026-02-01", "case:merged", into="N-002", reason="same patient")
    plan = journey.plan()
    assert plan.open_items == []
    assert {item.end_reason for item in plan.follow_ups.values() if item.status == "cancelled"} == {
        "case closed: merged into another record"
    }
    history = plan.history
    assert (history.state, history.phase, history.is_open, history.merged_into) == (
        MERGED.name, "closed", False, "N-002",
    )  # fmt: skip
    assert [line.end_reason for line in history.lines] == ["merged"]
    assert history.choices(day("2026-02-02")) == []
    for kind, data in (("state:changed", {"trigger": "record_death"}), ("case:merged", {"into": "N-3", "reason": "x"})):
        again = journey.copy().add("2026-02-02", kind, **data)
        with pytest.raises(Refused, match="merged into"):
            again.plan()


def test_a_merger_that_is_corrected_brings_everything_back() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    before = journey.plan()
    journey.add("2026-02-01", "case:merged", into="N-002", reason="same patient")
    after = journey.corrected("2026-02-02", journey.last_id).plan()
    assert after.history.state == "therapy.active"
    assert after.follow_ups == before.follow_ups
