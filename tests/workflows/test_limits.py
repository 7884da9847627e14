"""What a record cannot hold is refused in words, before anything is computed from it."""

import json
from datetime import date
from typing import Any

import pytest

from tests.workflows.journeys import Journey, shipped
from workflows.errors import Refused
from workflows.events import checked_data, refuse_name
from workflows.limits import checked_day, checked_email, quoted

OPENING = {"clinic": "North", "timezone": "Europe/London", "patient": {"ref": "N-1"}}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "kind, data, words",
    [
        ("note:added", {"text": "a\0b"}, "'text' holds a character that is not text"),
        ("note:added", {"text": "\ud800"}, "'text' holds a character that is not text"),
        ("note:added", {"text": "\x1b[2J"}, "'text' holds a character that is not text"),
        ("note:added", {"\ud800": "x"}, "holds a character that is not text"),
        ("fact:recorded", {"immunohistochemistry": "\udfff"}, "holds a character that is not text"),
        ("state:changed", {"trigger": "monitor", "reasons": {"\ud800": "x"}}, "holds a character that is not text"),
        ("case:opened", OPENING | {"patient": {"ref": "N-1", "name": "a\0b"}}, "'name' holds a character"),
        ("fact:recorded", {"ki67_percent": nested(900)}, "'ki67_percent' is nested too deeply"),
        ("state:changed", {"trigger": "monitor", "m": nested(300)}, "'m' is nested too deeply"),
        ("note:added", {"text": {"a": {"b": {}}}}, "is nested too deeply"),
        ("fact:recorded", {"ki67_percent": 10**400}, "is out of range"),
        ("fact:recorded", {"tumour_size_mm": 10**4000}, "is out of range"),
        ("fact:recorded", {"tumour_size_mm": 1e308}, "is out of range"),
        ("fact:recorded", {"mdt_reviewed_on": "0001-01-01"}, "does not lie between 1900 and 2199"),
        ("activity:rescheduled", {"activity": "visit", "to": "9999-12-31", "reason": "x"}, "does not lie between"),
        ("activity:booked", {"activity": "procedure", "for": "0001-01-01"}, "does not lie between"),
        ("state:changed", {"trigger": "hold_line", "reason": "x", "review_on": "9999-12-31"}, "does not lie between"),
        ("state:changed", {"trigger": "plan_line", "planned_on": "2200-01-01"}, "does not lie between"),
        ("case:opened", OPENING | {"patient": {"ref": "N-1", "birth_date": "1899-12-31"}}, "does not lie between"),
        ("case:opened", OPENING | {"navigator": "a(b@example.org"}, "is not an e-mail address"),
        ("case:handed_over", {"navigator": "a@b..org"}, "is not an e-mail address"),
    ],
)
def test_what_cannot_be_kept_or_reckoned_with_is_refused_in_words(kind: str, data: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        checked_data(shipped(), kind, data)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["Zoë\tO'Neil\n", "\u202e﷽ 𝕏 👩🏽‍⚕️", "<script>alert(1)</script>", "a\u0085b\u2028c"])
def test_any_other_text_is_kept(text: str) -> None:
    assert checked_data(shipped(), "note:added", {"text": text})["text"] == text.strip()


@pytest.mark.parametrize("name", ["text", "x" * 10_000])
@pytest.mark.parametrize("kind", ["note:added", "fact:recorded", "state:changed", "x" * 10_000])
def test_a_refusal_is_short_however_long_the_input_was(kind: str, name: str) -> None:
    with pytest.raises(Refused) as caught:
        checked_data(shipped(), kind, {"trigger": "y" * 100_000, name: "z" * 100_000})
    assert all(len(reason) < 2500 for reason in caught.value.reasons)
    json.dumps(caught.value.reasons, ensure_ascii=False).encode()


@pytest.mark.parametrize("day", [date(1900, 1, 1), date(2026, 2, 28), date(2199, 12, 31)])
def test_three_centuries_can_be_reckoned_with(day: date) -> None:
    assert checked_day(day) == day


@pytest.mark.parametrize("day", [date(1, 1, 1), date(1899, 12, 31), date(2200, 1, 1), date(9999, 12, 31)])
def test_dates_beyond_them_are_refused(day: date) -> None:
    with pytest.raises(ValueError, match="does not lie between 1900 and 2199"):
        checked_day(day)


@pytest.mark.parametrize("text", ["ana@example.org", "a.b+c@x-y.example.org", "o'neil@localhost", "tracker@localhost"])
def test_a_plain_address_is_taken(text: str) -> None:
    assert checked_email(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "ana", "@example.org", "ana@", "a@b@c", "a b@c", ".a@b", "a.@b", "a..b@c", "a@.b", "a@b.", "a@b..c", "a@-b",
        "(x)a@b", "a(x)@b", '"a"@b', "a@[127.0.0.1]", "g:a@b", "g:a@b;", "a@b,c@d", "<a@b>", "a\\b@c", "a@b\n", "a\0@b",
        "=?utf-8?q?x?=@y.org", "é@example.org", "a@é.org", "\ud800@x", "a" * 250 + "@b.org",
    ],
)  # fmt: skip
def test_an_address_that_a_mail_header_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        checked_email(text)


@pytest.mark.parametrize(
    "value, words",
    [("a", "'a'"), (1.5, "1.5"), (nested(900), "a list"), ({"a": 1}, "an object"), ("x" * 100, f"'{'x' * 75}…'")],
)
def test_a_refused_value_is_named_briefly(value: object, words: str) -> None:
    assert quoted(value) == words


def test_a_series_ends_in_words_before_the_calendar_does() -> None:
    journey = Journey().opened("2199-01-05", state="advanced.planning").trigger("2199-01-06", "monitor")
    for _ in range(2):  # April, July
        journey.add("2199-01-07", "activity:waived", activity="visit", reason="moved away")
    assert journey.plan().open_items
    journey.add("2199-01-07", "activity:waived", activity="visit", reason="moved away")
    with pytest.raises(Refused, match="would next be due on 6 Jan 2200"):
        journey.plan()


@pytest.mark.parametrize(
    "name", ["Zoë O'Neil", "Ng", "王秀英", "عائشة", "می\u200cنا", "ശ്രീ\u200d", "Patient 7", "<script>", "J.\u00a0Doe"]
)
def test_a_name_that_can_be_read_is_taken(name: str) -> None:
    refuse_name("case:opened", {"patient": {"ref": "N-1", "name": name}})


@pytest.mark.parametrize(
    "name, words",
    [
        ("\u202e\u200b", "'\\u202e\\u200b' is not a name: it holds no letter and no digit"),
        ("\u200d", "holds no letter and no digit"),
        ("-", "holds no letter and no digit"),
        ("Ana\u202e Costa", "'Ana\\u202e Costa' is not a name: it holds a character that cannot be seen"),
        ("Ana\u2066Costa", "holds a character that cannot be seen"),
        ("Ana\u200bCosta", "holds a character that cannot be seen"),
        ("Ana\tCosta", "holds a character that cannot be seen"),
        ("Ana\nCosta", "holds a character that cannot be seen"),
    ],
)
def test_a_name_that_cannot_be_read_as_it_is_kept_is_refused(name: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse_name("case:opened", {"patient": {"ref": "N-1", "name": name}})
    assert words in str(caught.value)


def test_who_has_no_name_yet_and_what_is_no_opening_is_not_asked_for_one() -> None:
    refuse_name("case:opened", {"patient": {"ref": "N-1"}})
    refuse_name("note:added", {"text": "-"})
