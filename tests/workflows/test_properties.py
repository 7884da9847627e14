"""What holds for every history that the pathway allows."""

import os
import random
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.workflows.histories import histories
from tests.workflows.journeys import Journey, shipped
from workflows.dates import Interval, in_words
from workflows.events import effective
from workflows.pathway import from_canonical
from workflows.planning import Planner, plan

ANEW = from_canonical(shipped().canonical)


@given(histories(), st.randoms(use_true_random=False))
def test_the_plan_depends_on_nothing_but_pathway_and_history(journey: Journey, order: random.Random):
    events = list(journey.events)
    order.shuffle(events)
    again = plan(journey.pathway, list(journey.events)).follow_ups
    assert plan(ANEW, events).follow_ups == again == journey.plan().follow_ups


@given(histories())
def test_planning_event_by_event_ends_where_planning_at_once_does(journey: Journey):
    planner = Planner(journey.pathway)
    events = effective(journey.events)
    for count, event in enumerate(events, start=1):
        planner.apply(event)
        assert planner.plan().follow_ups == plan(journey.pathway, events[:count]).follow_ups
    assert planner.plan().follow_ups == journey.plan().follow_ups


@given(histories())
def test_what_was_done_or_waived_stays_done_or_waived(journey: Journey):
    planner = Planner(journey.pathway)
    settled: dict[str, tuple[object, ...]] = {}
    for event in effective(journey.events):
        planner.apply(event)
        now = planner.plan().follow_ups
        found = {
            key: (i.status, i.ended_on, i.window.due_on) for key, i in now.items() if i.status in ("done", "waived")
        }
        assert settled.items() <= found.items()
        settled = found


@given(histories())
def test_a_correction_of_the_last_event_gives_the_previous_plan_back(journey: Journey):
    before = journey.copy()
    last = before.events.pop()
    if last.kind == "case:opened":
        return
    journey.corrected(last.on, last.id)
    assert journey.plan().follow_ups == before.plan().follow_ups
    assert journey.state == before.state


@given(histories())
def test_an_open_case_has_a_next_step_and_a_closed_one_has_none(journey: Journey):
    made = journey.plan()
    assert bool(made.open_items) is made.history.is_open


@given(histories())
def test_no_two_items_of_one_series_are_open(journey: Journey):
    made = journey.plan()
    open_series = [s.name for s in made.series if s.item is not None and s.item.is_open]
    assert len(open_series) == len(set(open_series)) == len(made.open_items)
    assert all(s.live for s in made.series if s.item is not None and s.item.is_open)
    hung_on = [(item.rule, item.anchor_on, item.key.partition("@")[0]) for item in made.open_items]
    assert len(hung_on) == len(set(hung_on))


@given(histories())
def test_one_rule_of_the_whole_case_has_at_most_one_open_item(journey: Journey):
    several = {"line", "request", "dose", "hold"}  # one for each line, test, dose and hold
    rules = [i.rule for i in journey.plan().open_items if shipped().rule_named[i.rule].per not in several]
    assert len(rules) == len(set(rules))


@given(histories())
def test_every_item_has_its_own_key_a_window_in_order_and_an_end_if_it_has_ended(journey: Journey):
    for key, item in journey.plan().follow_ups.items():
        assert item.key == key
        assert item.window.opens_on <= item.window.due_on <= item.window.late_on
        assert item.anchor_on <= item.window.due_on
        assert item.is_open is (item.ended_on is None) is (item.ended_by == "")


@given(histories())
def test_every_item_explains_itself(journey: Journey):
    for item in journey.plan().follow_ups.values():
        assert item.why.sources
        assert set(item.why.sources) <= set(shipped().source_named)
        assert item.why.because
        assert item.why.ends_when
        assert item.why.arithmetic.endswith(in_words(item.window.due_on))
        assert in_words(item.window.opens_on) in item.why.window
        assert in_words(item.window.late_on) in item.why.window


@given(histories())
def test_an_item_that_was_not_moved_stands_on_a_place_of_its_series(journey: Journey):
    for item in journey.plan().follow_ups.values():
        rule = shipped().rule_named[item.rule]
        if isinstance(rule.every, Interval) and rule.then is None and item.moved_from is None:
            assert item.window.due_on == rule.every.after(item.anchor_on, item.occurrence)


@given(histories())
def test_what_is_forecast_lies_behind_the_open_items(journey: Journey):
    made = journey.plan()
    until = made.history.today.replace(day=1, year=made.history.today.year + 2)
    for later in made.forecast(made.history.today, until):
        assert made.history.today < later.window.due_on <= until
        assert later.why.arithmetic.endswith(in_words(later.window.due_on))


_SEEDED = """
from tests.workflows.journeys import Journey
journey = Journey.treated("2026-03-02", "lanreotide", primary_site="midgut", hereditary="men1")
journey.starts("2026-04-01", "prrt", concurrent=True).requested("2026-04-02", "pth").requested("2026-04-02", "calcium")
journey.trigger("2026-05-01", "suspect_progression").done("2026-05-02", "cga")
print(list(journey.plan().follow_ups.values()), journey.history().known_facts())
"""


def test_the_plan_is_the_same_in_another_process():
    """The seed of Python's hashes decides the order of sets: nothing may follow from it."""
    told = [
        subprocess.run(
            [sys.executable, "-c", _SEEDED],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] != ""
