"""Two people at once: what the other did matters or not, and what of one's own still applies."""

from tests.workflows.journeys import Journey
from tracker.conflicts import contested, matters


def changed() -> Journey:
    """A case at version 2, on which a colleague has then recorded two facts and a note."""
    journey = Journey.advanced("2026-01-05")
    journey.fact("2026-02-01", ki67_percent=5.0, stage="IV")
    return journey.add("2026-02-02", "note:added", text="called")


def test_each_value_is_told_as_it_was_as_it_is_and_as_one_wants_it() -> None:
    yours = {"ki67_percent": 9, "stage": "IV", "tumour_size_mm": 30, "differentiation": None}
    found = {one.name: one for one in contested(changed().events, 2, yours)}
    ki67 = found["ki67_percent"]
    assert (ki67.before, ki67.theirs, ki67.yours, ki67.differs) == (2.0, 5.0, 9, True)
    assert (found["stage"].known_before, found["stage"].same) == (False, True)
    assert found["tumour_size_mm"].untouched
    assert not found["tumour_size_mm"].known_now
    assert found["differentiation"].untouched
    assert found["differentiation"].known_now


def test_a_correction_of_the_other_is_a_change_too() -> None:
    journey = Journey.advanced("2026-01-05").fact("2026-02-01", ki67_percent=5.0)
    wrong = journey.last_id
    journey.corrected("2026-02-02", wrong)
    (one,) = contested(journey.events, 3, {"ki67_percent": 5})
    assert (one.before, one.theirs, one.same) == (5.0, 2.0, False)
    assert one.differs


def test_what_plans_nothing_does_not_matter() -> None:
    events = changed().events
    assert not matters([])
    assert not matters(events[-1:])
    assert matters(events[-2:])
