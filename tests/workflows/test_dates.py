"""Calendar arithmetic: month ends, leap days, and the edges of a window."""

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from workflows.dates import DueWindow, Interval, in_words, listed

CASES = Path(__file__).parents[2] / "../shared/data/dates/date_arithmetic_cases.csv"


@pytest.mark.parametrize(
    "anchor, interval, times, expected",
    [
        ("2025-11-30", "3 months", 1, "2026-02-28"),
        ("2025-11-30", "3 months", 2, "2026-05-30"),  # counted from the anchor, not from 28 February
        ("2027-11-30", "3 months", 1, "2028-02-29"),
        ("2027-11-30", "3 months", 2, "2028-05-30"),
        ("2025-11-30", "6 months", 1, "2026-05-30"),
        ("2026-01-31", "1 month", 1, "2026-02-28"),
        ("2026-01-31", "1 month", 2, "2026-03-31"),
        ("2028-01-31", "1 month", 1, "2028-02-29"),
        ("2026-08-31", "6 months", 1, "2027-02-28"),
        ("2027-08-31", "6 months", 1, "2028-02-29"),
        ("2026-03-31", "6 months", 1, "2026-09-30"),
        (
            "2026-02-28",
            "6 months",
            1,
            "2026-08-28",
        ),  # the last of February does not become the last of August
        ("2028-02-29", "12 months", 1, "2029-02-28"),
        ("2028-02-29", "12 months", 4, "2032-02-29"),
        ("2028-02-29", "1 year", 1, "2029-02-28"),
        ("2026-12-15", "1 month", 1, "2027-01-15"),
        ("2026-03-02", "28 days", 1, "2026-03-30"),
        ("2026-03-02", "28 days", 2, "2026-04-27"),
        ("2028-02-10", "28 days", 1, "2028-03-09"),  # a February of 29 days
        ("2026-02-10", "28 days", 1, "2026-03-10"),
        ("2026-01-01", "8 weeks", 1, "2026-02-26"),
        ("2028-01-10", "56 days", 1, "2028-03-06"),
        ("2026-01-12", "0 days", 1, "2026-01-12"),
        ("2026-01-12", "3 months", 0, "2026-01-12"),
    ],
)
def test_place_is_counted_from_the_anchor_and_clamped_to_the_month(anchor, interval, times, expected):
    place = Interval.parse(interval).after(date.fromisoformat(anchor), times)
    assert place == date.fromisoformat(expected)


@pytest.mark.parametrize(
    "day, interval, expected",
    [
        ("2026-03-30", "28 days", "2026-03-02"),
        ("2026-03-31", "1 month", "2026-02-28"),
        ("2028-03-31", "1 month", "2028-02-29"),
        ("2028-02-29", "1 year", "2027-02-28"),
    ],
)
def test_an_interval_counts_backwards_too(day, interval, expected):
    assert Interval.parse(interval).before(date.fromisoformat(day)) == date.fromisoformat(expected)


@pytest.mark.parametrize("text", ["", "3", "months", "1.5 months", "3 moons", "three months", "3 months 2 days"])
def test_what_is_not_an_interval_is_refused(text):
    with pytest.raises(ValueError, match="is not an interval"):
        Interval.parse(text)


@pytest.mark.parametrize("text", ["28 days", "1 day", "8 weeks", "1 month", "12 months", "1 year"])
def test_an_interval_is_written_as_it_is_read(text):
    assert str(Interval.parse(text)) == text


@pytest.mark.parametrize(
    "on, status",
    [
        ("2026-05-18", "upcoming"),  # the day before it opens
        ("2026-05-19", "due"),  # opens
        ("2026-06-01", "due"),
        ("2026-06-02", "due"),  # the due day
        ("2026-06-03", "due"),
        ("2026-06-16", "due"),  # late
        ("2026-06-17", "overdue"),  # the day after
        ("2027-06-17", "overdue"),
    ],
)
def test_status_at_every_edge_of_a_window(on, status):
    window = DueWindow.around(date(2026, 6, 2), 14, 14)
    assert (window.opens_on, window.late_on) == (date(2026, 5, 19), date(2026, 6, 16))
    assert window.status_on(date.fromisoformat(on)) == status


@pytest.mark.parametrize("on, status", [(10, "upcoming"), (11, "due"), (12, "overdue")])
def test_a_window_of_one_day_is_due_on_that_day_alone(on, status):
    assert DueWindow.around(date(2026, 5, 11), 0, 0).status_on(date(2026, 5, on)) == status


def test_window_reaches_over_the_leap_day():
    window = DueWindow.around(date(2028, 3, 10), 14, 14)
    assert (window.opens_on, window.late_on) == (date(2028, 2, 25), date(2028, 3, 24))


def test_status_follows_the_local_date_of_the_clinic():
    """One instant, just behind the edge in Auckland and still before it in Los Angeles."""
    window = DueWindow.around(date(2026, 6, 2), 14, 14)
    instant = datetime(2026, 6, 16, 23, 30, tzinfo=UTC)
    auckland = instant.astimezone(ZoneInfo("Pacific/Auckland")).date()
    los_angeles = instant.astimezone(ZoneInfo("America/Los_Angeles")).date()
    assert (auckland, los_angeles) == (date(2026, 6, 17), date(2026, 6, 16))
    assert window.status_on(auckland) == "overdue"
    assert window.status_on(los_angeles) == "due"


def test_opening_follows_the_local_date_of_the_clinic():
    window = DueWindow.around(date(2026, 6, 2), 14, 14)
    instant = datetime(2026, 5, 19, 5, 0, tzinfo=UTC)
    assert window.status_on(instant.astimezone(ZoneInfo("Pacific/Auckland")).date()) == "due"
    assert window.status_on(instant.astimezone(ZoneInfo("America/Los_Angeles")).date()) == "upcoming"


def test_dates_and_lists_in_words():
    assert in_words(date(2027, 3, 12)) == "12 Mar 2027"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], "and") == "a, b and c"
    assert listed([]) == ""


def test_agrees_with_published_date_arithmetic():
    """Cases of immunisation schedules and of HL7; where those roll forward we clamp to the month's end."""
    if not CASES.exists():
        pytest.skip("the published cases are not beside this checkout")
    with CASES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rolls_forward = [row["id"] for row in rows if row["agrees_with_clamp"] == "NO"]
    assert rolls_forward == ["CALCDT-5a", "CALCDT-5b"]
    for row in rows:
        interval = Interval(int(row["op"] + row["qty"]), row["unit"])
        expected = row["dateutil_relativedelta"] if row["id"] in rolls_forward else row["expected"]
        assert interval.after(date.fromisoformat(row["base"])) == date.fromisoformat(expected), row["id"]
