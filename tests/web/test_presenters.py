"""Dates, urgency and sources in words."""

from datetime import UTC, date, datetime

import pytest

from tracker.pathways import shipped
from tracker.words import count
from web import presenters
from web.pathway import rule_row
from workflows.parts import Step

TODAY = date(2027, 3, 12)
STANDARD = shipped().reminders["standard"]
DOSES = shipped().reminders["doses"]


@pytest.mark.parametrize(
    "day, words",
    [
        ("2027-03-12", "today"),
        ("2027-03-13", "tomorrow"),
        ("2027-03-11", "yesterday"),
        ("2027-03-14", "in 2 days"),
        ("2027-03-07", "5 days ago"),
        ("2027-03-25", "in 13 days"),
        ("2027-03-26", "in 2 weeks"),
        ("2027-04-02", "in 3 weeks"),
        ("2027-02-26", "2 weeks ago"),
        ("2027-05-09", "in 8 weeks"),
        ("2027-05-12", "in 2 months"),
        ("2027-06-12", "in 3 months"),
        ("2026-09-12", "6 months ago"),
        ("2028-03-12", "in 12 months"),
        ("2029-02-12", "in 23 months"),
        ("2029-03-01", "in 2 years"),
        ("2029-03-12", "in 2 years"),
        ("2017-03-12", "10 years ago"),
    ],
)
def test_distance_is_told_in_the_unit_that_fits(day: str, words: str) -> None:
    assert presenters.distance(date.fromisoformat(day), TODAY) == words


def test_distance_never_grows_smaller_as_the_date_moves_away() -> None:
    scale = {"day": 1, "week": 7, "month": 30, "year": 365}
    spans = []
    for days in range(2, 4000):
        number, unit = presenters.distance(date.fromordinal(TODAY.toordinal() + days), TODAY).split()[1:]
        spans.append(int(number) * scale[unit.rstrip("s")])
    assert spans == sorted(spans)


def test_a_date_comes_with_its_distance() -> None:
    assert presenters.when(date(2027, 4, 2), TODAY) == "2 Apr 2027 (in 3 weeks)"


def test_a_moment_is_told_in_the_clinics_own_time() -> None:
    at = datetime(2027, 3, 12, 3, 30, tzinfo=UTC)
    assert presenters.moment(at, "America/New_York") == "11 Mar 2027, 22:30"


@pytest.mark.parametrize(
    "born, on, years",
    [
        ("1961-02-28", "2027-02-27", 65),
        ("1961-02-28", "2027-02-28", 66),
        ("1960-02-29", "2027-02-28", 66),
        ("1960-02-29", "2027-03-01", 67),
        ("2027-03-12", "2027-03-12", 0),
    ],
)
def test_age_turns_on_the_birthday(born: str, on: str, years: int) -> None:
    assert presenters.age(date.fromisoformat(born), date.fromisoformat(on)) == years


@pytest.mark.parametrize(
    "days, steps, band, label, escalation",
    [
        (1, STANDARD, "overdue", "1 day overdue", ""),
        (13, STANDARD, "overdue", "13 days overdue", ""),
        (14, STANDARD, "lead", "14 days overdue", "Escalate to clinic lead"),
        (29, STANDARD, "lead", "29 days overdue", "Escalate to clinic lead"),
        (30, STANDARD, "clinician", "30 days overdue", "Escalate to clinician"),
        (1234, STANDARD, "clinician", "1,234 days overdue", "Escalate to clinician"),
        (2, DOSES, "overdue", "2 days overdue", ""),
        (3, DOSES, "lead", "3 days overdue", "Escalate to clinic lead"),
        (7, DOSES, "clinician", "7 days overdue", "Escalate to clinician"),
        (40, (), "overdue", "40 days overdue", ""),
    ],
)
def test_urgency_follows_the_steps_of_the_rule(
    days: int, steps: tuple[Step, ...], band: str, label: str, escalation: str
) -> None:
    assert presenters.urgency("overdue", days, steps) == presenters.Urgency(band, label, escalation)


@pytest.mark.parametrize("status, label", [("due", "Due"), ("upcoming", "Upcoming")])
def test_what_is_not_overdue_says_so(status: str, label: str) -> None:
    assert presenters.urgency(status, 0, STANDARD) == presenters.Urgency(status, label)


@pytest.mark.parametrize("number, words", [(0, "0 cases"), (1, "1 case"), (2, "2 cases"), (12345, "12,345 cases")])
def test_numbers_agree_with_their_noun(number: int, words: str) -> None:
    assert count(number, "case") == words


RULE_WORDS = [
    ("treatment-visit", "3 months", "14 days before to 14 days after"),
    ("baseline-imaging", "once, on the same day", "the due date to 14 days after"),
    ("workup-cga", "once, after 14 days", "14 days before to 14 days after"),
    ("chd-echo", "12 months, the first on the same day", "the due date to 30 days after"),
    ("prrt-bloods", "once for each dose, 14 days before", "14 days before to the due date"),
    ("prrt-cycle", "56 days, 4 doses in all", "7 days before to 7 days after"),
    ("periop-octreotide", "once, 1 day before", "7 days before to the due date"),
    ("hold-review", "once, on the review date", "the due date alone"),
]


@pytest.mark.parametrize("rule, every, window", RULE_WORDS)
def test_how_often_and_within_which_window_is_said_in_words(rule: str, every: str, window: str) -> None:
    row = rule_row(shipped(), shipped().rule_named[rule])
    assert (row.every, row.window) == (every, window)


def test_sources_are_told_apart_in_words() -> None:
    found = presenters.badges(shipped(), ["S63", "G-who-mitoses", "P-record", "S63", "S999"])
    told = [(badge.id, badge.kind, badge.words) for badge in found]
    assert told == [
        ("S63", "S", "cited text"),
        ("G-who-mitoses", "G", "guideline"),
        ("P-record", "P", "our policy"),
    ]


def test_a_source_brings_its_caveat_and_that_of_its_document() -> None:
    (badge,) = presenters.badges(shipped(), ["S39"])
    assert badge.caveats == ("No dose is given.",)
    documents = presenters.document_caveats(shipped(), ["S39"])
    assert [text.partition(":")[0] for text in documents] == ["Document A", "Document B"]
    assert "human review is still pending" in documents[1]


def test_a_test_asked_for_by_name_keeps_it() -> None:
    assert presenters.activity_label(shipped(), "vitamin-d") == "Vitamin d"
    assert presenters.activity_label(shipped(), "sstr-imaging") == "Somatostatin-receptor imaging"
