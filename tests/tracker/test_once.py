"""A form is recorded once, whatever happens to it on the way, on both databases."""

from datetime import date
from threading import Thread
from typing import Any

import pytest

from tests.tracker.conftest import Installation
from tracker import cases, once
from tracker.errors import ChangeRefused
from tracker.once import Done, Outcome, Refused, Repeated, Stale

ON = date(2026, 1, 5)
OPENED = {"clinic": "North", "timezone": "Europe/London", "patient": {"ref": "P-1"}}
TOKEN = "0123456789abcdef"


@pytest.fixture
def case(place: Installation) -> Installation:
    with place.writing() as writing:
        cases.open_case(writing, ref="P-1", on=ON, data=OPENED)
    return place


def note(place: Installation, text: str, token: str = TOKEN, version: int | None = None) -> Outcome:
    return record(place, "note:added", {"text": text}, token, version)


def record(place: Installation, kind: str, data: dict[str, Any], token: str, version: int | None = None) -> Outcome:
    with place.writing() as writing:
        return once.record_once(writing, ref="P-1", kind=kind, on=ON, data=data, version=version, token=token)


def notes(place: Installation) -> list[str]:
    with place.database.reading() as session:
        events = cases.events_of(session, cases.find(session, "P-1"))
    return [event.data["text"] for event in events if event.kind == "note:added"]


def test_the_form_of_a_token_is_recorded_under_its_id(case: Installation) -> None:
    assert note(case, "hello") == Done("f-" + TOKEN, 2)
    assert notes(case) == ["hello"]


def test_a_double_click_records_once_and_is_answered_alike(case: Installation) -> None:
    first, second = note(case, "hello"), note(case, " hello ")
    assert isinstance(first, Done)
    assert second == Repeated(first.event_id, first.version)
    assert notes(case) == ["hello"]


def test_what_was_undone_since_is_no_double_click_and_undoing_it_twice_is(case: Installation) -> None:
    note(case, "hello")
    correction = {"event": "f-" + TOKEN, "reason": "undone"}
    first, second = (record(case, "event:corrected", correction, "undo-token") for _ in range(2))
    assert (type(first), type(second)) == (Done, Repeated)
    again = note(case, "hello")
    assert isinstance(again, Refused)
    assert "undone since" in again.reasons[0]


def test_a_form_that_was_changed_after_it_was_recorded_is_no_double_click(case: Installation) -> None:
    note(case, "hello")
    again = note(case, "hello again")
    assert isinstance(again, Refused)
    assert "said something else" in again.reasons[0]
    assert notes(case) == ["hello"]


def test_a_stale_form_is_told_what_happened_since(case: Installation) -> None:
    note(case, "from Ben", token="ben-was-first")
    stale = note(case, "from Ana", version=1)
    assert isinstance(stale, Stale)
    assert [event.data["text"] for event in stale.since] == ["from Ben"]
    assert stale.version == 2
    assert notes(case) == ["from Ben"]


def test_what_was_recorded_is_not_stale_when_its_form_comes_again(case: Installation) -> None:
    assert isinstance(note(case, "hello", version=1), Done)
    assert isinstance(note(case, "hello", version=1), Repeated)


def test_a_form_without_a_number_is_refused(case: Installation) -> None:
    for token in ("", "short", "../../../etc", "x" * 65):
        assert isinstance(note(case, "hello", token=token), Refused)
    with pytest.raises(ChangeRefused):
        once.event_id("")
    assert notes(case) == []


def test_a_refusal_writes_nothing_and_its_form_can_be_sent_again(case: Installation) -> None:
    refused = record(case, "activity:done", {"activity": "unheard-of"}, TOKEN)
    assert isinstance(refused, Refused)
    assert isinstance(note(case, "hello"), Done)


def test_a_repeat_that_is_no_longer_understood_is_refused(case: Installation) -> None:
    note(case, "hello")
    assert isinstance(record(case, "note:added", {}, TOKEN), Refused)


def test_what_was_undone_is_not_undone_twice_but_can_be_brought_back(case: Installation) -> None:
    done = note(case, "hello")
    assert isinstance(done, Done)
    undoing = record(case, "event:corrected", {"event": done.event_id, "reason": "slip"}, "undo-by-ana")
    assert isinstance(undoing, Done)
    second = record(case, "event:corrected", {"event": done.event_id, "reason": "slip"}, "undo-by-ben")
    assert second == Refused(("this entry has been corrected already",))
    back = record(case, "event:corrected", {"event": undoing.event_id, "reason": "it was right"}, "redo-by-ana")
    assert isinstance(back, Done)


def test_of_clicks_at_the_same_moment_one_is_recorded(case: Installation) -> None:
    found: list[Outcome] = []
    threads = [Thread(target=lambda: found.append(note(case, "hello", version=1))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in found) == ["Done", *["Repeated"] * 5]
    assert notes(case) == ["hello"]
