"""Addresses of lists, for whatever shows how long they are."""

from __future__ import annotations

from typing import Any

from flask import current_app, url_for


def worklist(**filters: Any) -> str:
    """The worklist, limited as its own form limits it; what is None or blank limits nothing."""
    if "worklist.index" not in current_app.view_functions:
        return url_for("dashboard.index")
    return url_for("worklist.index", **{name: value for name, value in filters.items() if value not in (None, "")})


def overdue(**limits: Any) -> str:
    """The overdue part of the dashboard, limited."""
    return url_for("dashboard.index", _anchor="overdue", **limits)
