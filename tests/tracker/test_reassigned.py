"""Who takes over a case hears of what is open in it: the complaint that reassigned items told nobody, as a test."""

from datetime import UTC, datetime, timedelta

from sqlmodel import select

from tests.tracker.conftest import Installation
from tests.tracker.histories import referred
from tracker import cases
from tracker.acts import Entry, Target, apply
from tracker.ledger import verify
from tracker.models import Case, FollowUpRow

ANA, BEA = "ana@example.org", "bea@example.org"
DAY = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)


def handed_over(place: Installation, at: datetime, to: str = BEA) -> None:
    with place.database.reading() as session:
        row = session.exec(select(FollowUpRow).join(Case).where(Case.ref == "N-001")).first()
        assert row is not None
        assert row.id is not None
    with place.writing(at) as writing:
        apply(
            writing,
            ref="N-001",
            targets=[Target(row.id)],
            make=lambda _: [Entry("case:handed_over", at.date(), {"navigator": to, "tell": True})],
            holds=bool,
            token="hand-over",
        )


def test_the_new_navigator_is_told_in_their_next_digest_of_what_was_told_to_the_former(place: Installation) -> None:
    place.replay(referred(), DAY)
    place.tick(DAY)
    assert [mail.to for mail in place.told()] == [ANA]
    handed_over(place, DAY + timedelta(hours=1))
    for hours in (1, 24, 25, 48):
        place.tick(DAY + timedelta(hours=hours))
    (told,) = place.told(BEA)
    assert told.cases == [1]
    assert [mail.to for mail in place.told()] == [ANA, BEA]
    assert any("Handed over to you" in heading for heading in told.headings)


def test_what_comes_due_later_goes_to_the_new_navigator_alone(place: Installation) -> None:
    place.replay(referred(), DAY)
    place.tick(DAY)
    handed_over(place, DAY + timedelta(hours=1))
    for day in range(1, 40):
        place.tick(DAY + timedelta(days=day))
    assert len(place.told(ANA)) == 1
    assert len(place.told(BEA)) >= 3
    later = DAY + timedelta(days=40)
    with place.database.reading() as session:
        found = verify(session, now=later, chain_key=place.secret.derive("event chain"))
    assert found.findings == []


def test_history_that_is_brought_in_tells_nobody(place: Installation) -> None:
    lines = referred()
    place.replay(lines, DAY)
    place.tick(DAY)
    with place.writing(DAY) as writing:
        cases.record(writing, ref="N-001", kind="case:handed_over", on=DAY.date(), data={"navigator": BEA})
    for hours in (1, 24):
        place.tick(DAY + timedelta(hours=hours))
    assert place.told(BEA) == []
