"""Addresses that nobody was given lead to a page in words."""

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize("number", ["0", "2147483647", "2147483648", "9223372036854775808", "9" * 30, "-1", "x"])
def test_a_mails_link_to_no_case_leads_nowhere(client: FlaskClient, number: str) -> None:
    assert client.get(f"/go/{number}").status_code == 404
