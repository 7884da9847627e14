"""What a digest says."""

from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default

from tracker.mail.digest import DigestItem, Letter, compose

DAY = date(2026, 4, 24)


def item(number: int, step: str, due_on: date = DAY, days_late: int = 0) -> DigestItem:
    return DigestItem(number, "visit", step, due_on, days_late)


def said(items: list[DigestItem]) -> bytes:
    now = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
    return compose(Letter("t@example.org", "a@example.org", "<k@x>", "http://127.0.0.1:5000", DAY, now, items))


def text(items: list[DigestItem]) -> str:
    message = message_from_bytes(said(items), policy=default)
    return str(message.get_body(("plain",)).get_content())


def test_the_most_urgent_heading_comes_first() -> None:
    told = text([item(1, "opens"), item(2, "overdue", date(2026, 4, 1), 9)])
    assert told.index("Overdue (1)") < told.index("New: may be done from now on (1)")
    assert "due 1 Apr 2026, 9 days late: http://127.0.0.1:5000/go/2" in told


def test_a_long_list_is_read_on_the_dashboard() -> None:
    told = text([item(n, "due") for n in range(25)])
    assert told.count("/go/") == 20
    assert "and 5 more" in told


def test_the_same_digest_is_the_same_bytes() -> None:
    items = [item(1, "due")]
    assert said(items) == said(items)


def test_no_header_is_folded_so_that_a_message_is_found_by_its_identity_everywhere() -> None:
    now = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
    identity = f"<{'0123456789abcdef' * 4}@net-case-tracker.invalid>"
    mail = compose(Letter("t@example.org", "a@example.org", identity, "http://x", DAY, now, [item(1, "due")]))
    assert f"\r\nMessage-ID: {identity}\r\n".encode() in mail


def test_a_step_of_a_clinics_own_pathway_may_be_named_in_any_letters() -> None:
    told = text([item(1, "spät – 晩")])
    assert "spät – 晩 (1)" in told
