"""Logs: one line an event on standard error, with ids and event names, never names or free text."""

from __future__ import annotations

import sys

import structlog


def configure() -> None:
    """Send every log line to standard error; standard output belongs to what a command prints."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
