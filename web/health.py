"""Whether the process is up, and whether it can do its work. For machines; nothing of a patient."""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from tracker.db import schema_head
from web.access import public
from web.desk import desk

pages = Blueprint("health", __name__)
_log = structlog.get_logger()


@pages.get("/healthz")
@public
def healthz() -> Response:
    """The process is up and answers."""
    return jsonify(status="ok")


@pages.get("/readyz")
@public
def readyz() -> tuple[Response, int]:
    """Database reachable, schema at this program's head, scheduler heard of; 503 with the reasons otherwise."""
    found = reasons()
    return jsonify(status="unready" if found else "ready", reasons=found), 503 if found else 200


def reasons() -> list[str]:
    """Why the tracker cannot do its work; empty when it can."""
    try:
        schema, head = desk().database.schema(), schema_head()
        if schema != head:
            return [f"the database is at schema {schema}, this program at {head}"]
        trouble = desk().masthead().trouble
    except SQLAlchemyError as error:
        _log.error("ready.database", kind=type(error).__name__)
        return ["the database cannot be reached"]
    return [trouble] if trouble else []
