"""The installations of the tests of the tracker, for those that break things."""

from tests.tracker.conftest import database_url, place, place_factory, template_home, template_url

__all__ = ["database_url", "place", "place_factory", "template_home", "template_url"]
