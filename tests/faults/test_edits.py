"""Many people edit few cases at once; the long version is ``make faults``, its figures are in docs/faults.md."""

from tests.faults import edits
from tests.tracker.conftest import Installation


def test_every_success_is_in_the_history_and_every_refusal_is_not(place: Installation) -> None:
    database = "postgresql" if place.database.is_postgresql else "sqlite"
    tally = edits.run(place, edits=90, clients=6, database=database, seed=7)
    assert tally.balances, tally
    assert tally.recorded > 0
    assert tally.stale > 0
    assert tally.refused > 0
    assert tally.sent_twice > 0
