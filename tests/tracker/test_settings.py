"""A setting that cannot be used is refused by its name, before anything is done with it."""

import pytest

from tracker.errors import WrongSetting
from tracker.settings import from_environment


@pytest.mark.parametrize(
    "name, value",
    [
        ("TRACKER_MAIL_FROM", "tracker@localhost\nBcc: eve@example.org"),
        ("TRACKER_MAIL_FROM", "a@example.org, b@example.org"),
        ("TRACKER_MAIL_FROM", "tracker"),
        ("TRACKER_BASE_URL", "https://example.org/\nX"),
        ("TRACKER_BASE_URL", "javascript:alert(1)"),
        ("TRACKER_NOW", "2026-03-31"),
        ("TRACKER_NOW", "0001-01-01T00:00:00+14:00"),
        ("TRACKER_NOW", "9999-12-31T23:59:59-14:00"),
        ("TRACKER_DATABASE_URL", "mysql://localhost/x"),
        ("TRACKER_DATABASE_URL", "postgresql://localhost:port/x"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=name):
        from_environment({name: value})
