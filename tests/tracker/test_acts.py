"""What is done about follow-ups: all of it or nothing, once, and whoever was slower is told who was faster."""

from datetime import UTC, date, datetime
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlmodel import select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import cases
from tracker.acts import Applied, Entry, Target, apply, take_back
from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import Case, FollowUpRow

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)
DONE = Entry("activity:done", TODAY, {"activity": "injection"})
BEN = "ben@example.org"


@pytest.fixture
def case(place: Installation) -> Installation:
    place.replay(lanreotide())
    return place


def target(place: Installation, activity: str, ref: str = "N-001") -> Target:
    with place.database.reading() as session:
        row = session.exec(
            select(FollowUpRow)
            .join(Case)
            .where(Case.ref == ref, FollowUpRow.activity == activity, FollowUpRow.status == "open")
        ).one()
        return Target(row.id or 0, row.due_on)


def act(
    place: Installation, on: Target, *entries: Entry, token: str = "the-token", holds: Any = None, actor: str = BEN
) -> Applied:
    with place.writing(NOW, actor) as writing:
        return apply(writing, ref="N-001", targets=[on], make=lambda _: list(entries), holds=holds, token=token)


def kinds(place: Installation) -> list[str]:
    with place.database.reading() as session:
        return [event.kind for event in cases.events_of(session, cases.find(session, "N-001"))]


def test_several_events_are_recorded_together_and_once(case: Installation) -> None:
    on, note = target(case, "injection"), Entry("note:added", TODAY, {"text": "120 mg"})
    first = act(case, on, DONE, note)
    assert kinds(case)[-2:] == ["activity:done", "note:added"]
    again = act(case, on, DONE, note)
    assert (again.events, again.repeated) == (first.events, True)
    assert kinds(case)[-2:] == ["activity:done", "note:added"]
    assert target(case, "injection").due_on == date(2026, 12, 19)


def test_a_form_that_was_changed_after_it_was_recorded_is_refused(case: Installation) -> None:
    on, note = target(case, "injection"), Entry("note:added", TODAY, {"text": "120 mg"})
    act(case, on, DONE, note)
    before = kinds(case)
    for other in ([DONE, Entry("note:added", TODAY, {"text": "90 mg"})], [DONE], [DONE, note, note]):
        with pytest.raises(ChangeRefused, match="said something else then"):
            act(case, on, *other)
    assert kinds(case) == before


def test_a_form_that_comes_again_after_it_was_undone_is_no_double_click(case: Installation) -> None:
    on = target(case, "injection")
    done = act(case, on, DONE)
    with case.writing(NOW) as writing:
        take_back(writing, ref="N-001", events=done.events, reason="undone", token="undo-token")
    with pytest.raises(ChangeRefused, match="has been undone since"):
        act(case, on, DONE)
    assert act(case, on, DONE, token="another-token").repeated is False


def test_where_one_is_refused_none_is_recorded(case: Installation) -> None:
    before = kinds(case)
    with pytest.raises(ChangeRefused, match="ki67_percent"):
        act(case, target(case, "injection"), DONE, Entry("fact:recorded", TODAY, {"ki67_percent": 400}))
    assert kinds(case) == before


def test_whoever_is_slower_is_told_who_was_faster(case: Installation) -> None:
    on = target(case, "injection")
    act(case, on, DONE)
    with pytest.raises(ChangeRefused, match=r"done already on 21 Nov 2026, recorded by ben@example\.org"):
        act(case, on, DONE, token="another-token", actor="ana@example.org")


def test_what_somebody_has_moved_is_not_moved_unseen(case: Installation) -> None:
    on = target(case, "visit")
    told = {"activity": "visit", "to": "2026-12-01", "reason": "Holiday", "rule": "treatment-visit"}
    move = Entry("activity:rescheduled", TODAY, told)
    act(case, on, move, holds=lambda row: row.due_on == date(2026, 12, 1))
    with pytest.raises(ChangeRefused, match="due on 1 Dec 2026 now, no longer on"):
        act(case, on, move, token="another-token", holds=bool)


def test_an_act_that_settles_nothing_is_refused(case: Installation) -> None:
    before = kinds(case)
    with pytest.raises(ChangeRefused, match="does not settle it"):
        act(case, target(case, "injection"), Entry("activity:done", date(2026, 4, 1), {"activity": "injection"}))
    note = Entry("note:added", TODAY, {"text": "x"})
    with pytest.raises(ChangeRefused, match="another follow-up of the same kind"):
        act(case, target(case, "visit"), note, holds=lambda row: row.status != "open")
    assert kinds(case) == before


def test_another_cases_follow_up_is_unknown_here(case: Installation) -> None:
    case.replay(lanreotide("N-002"))
    with pytest.raises(UnknownThing):
        act(case, target(case, "injection", "N-002"), DONE)
    with pytest.raises(ChangeRefused, match="no longer planned"):
        act(case, Target(999_999), DONE)


def test_what_was_recorded_together_is_taken_back_together(case: Installation) -> None:
    on = target(case, "injection")
    done = act(case, on, DONE, Entry("note:added", TODAY, {"text": "120 mg"}))
    with case.writing(NOW) as writing:
        take_back(writing, ref="N-001", events=done.events, reason="undone", token="undo-token")
    assert kinds(case)[-2:] == ["event:corrected", "event:corrected"]
    assert target(case, "injection") == on
    with pytest.raises(ChangeRefused, match="corrected already"), case.writing(NOW) as writing:
        take_back(writing, ref="N-001", events=done.events, reason="undone", token="undo-again")


@pytest.mark.parametrize("late", ["activity:waived", "activity:booked", "activity:rescheduled"])
def test_what_a_colleague_has_built_on_is_not_undone_unseen(case: Installation, late: str) -> None:
    """Their act is about the occurrence that is open then; with the earlier one open again it would be about that."""
    done = act(case, target(case, "injection"), DONE)
    following = target(case, "injection")
    told = {"activity": "injection", "rule": "lanreotide-injection"}
    more = {"booked": {"for": "2026-12-19"}, "rescheduled": {"to": "2026-12-22", "reason": "away"}}
    extra = more.get(late.partition(":")[2], {"reason": "away"})
    act(case, following, Entry(late, TODAY, told | extra), token="token-of-ana", holds=bool, actor="ana@example.org")
    with pytest.raises(ChangeRefused, match="rests on it"), case.writing(NOW) as writing:
        take_back(writing, ref="N-001", events=done.events, reason="undone", token="undo-token")


def test_what_else_a_colleague_records_stops_no_undo(case: Installation) -> None:
    on = target(case, "injection")
    done = act(case, on, DONE)
    note = Entry("note:added", TODAY, {"text": "rang"})
    visit = Entry("activity:done", TODAY, {"activity": "visit"})
    act(case, target(case, "visit"), note, visit, token="token-of-ana", actor="ana@example.org")
    with case.writing(NOW) as writing:
        take_back(writing, ref="N-001", events=done.events, reason="undone", token="undo-token")
    assert target(case, "injection") == on


def test_of_two_at_the_same_moment_one_is_told_that_the_other_was_faster(case: Installation) -> None:
    on, start, outcomes = target(case, "injection"), Barrier(2), list[object]()

    def complete(name: str) -> None:
        start.wait()
        try:
            outcomes.append(act(case, on, DONE, token=f"token-of-{name}", actor=f"{name}@example.org"))
        except ChangeRefused as refusal:
            outcomes.append(refusal)

    threads = [Thread(target=complete, args=(name,)) for name in ("ana", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Applied", "ChangeRefused"]
    assert kinds(case).count("activity:done") == 4
