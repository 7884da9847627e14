"""What a digest says."""

from datetime import UTC, date, datetime

from tracker.mail.digest import DigestItem, compose

DAY = date(2026, 4, 24)


def text(items: list[DigestItem]) -> str:
    now = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
    return compose(items, "t@example.org", "a@example.org", "<k@x>", "http://127.0.0.1:5000", DAY, now).decode()


def test_the_most_urgent_heading_comes_first() -> None:
    said = text([DigestItem(1, "opens", DAY, 0), DigestItem(2, "overdue", date(2026, 4, 1), 9)])
    assert said.index("Overdue (1)") < said.index("May be done from now on (1)")
    assert "due 1 Apr 2026, 9 days late: http://127.0.0.1:5000/go/2" in said


def test_a_long_list_is_read_on_the_dashboard() -> None:
    said = text([DigestItem(n, "due", DAY, 0) for n in range(25)])
    assert said.count("/go/") == 20
    assert "and 5 more" in said


def test_the_same_digest_is_the_same_bytes() -> None:
    items = [DigestItem(1, "due", DAY, 0)]
    assert text(items) == text(items)
