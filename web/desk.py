"""What every page needs: the database, the time, and how the tracker itself stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Flask, current_app, g

from tracker import heartbeats, messages
from tracker.db import Database
from tracker.secret import Secret
from tracker.settings import Settings
from tracker.writing import Writing, writing

_KEY = "tracker"
ACTOR = "web:local"
"""Until there is sign-in: somebody at this machine, for which alone the pages are."""


@dataclass(frozen=True, slots=True)
class Masthead:
    """What every page says at its top: why reminders may not go out, and how many messages are in question."""

    trouble: str = ""
    in_question: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """An open installation. ``now`` gives the present time, aware, in UTC."""

    settings: Settings
    secret: Secret
    database: Database
    now: Callable[[], datetime]

    def install(self, app: Flask) -> None:
        app.extensions[_KEY] = self

    def masthead(self) -> Masthead:
        """How the tracker itself stands, from two rows."""
        with self.database.reading() as session:
            trouble = heartbeats.silence(heartbeats.last(session, "tick"), self.now())
            return Masthead(trouble, messages.number_in_question(session))

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """One transaction, made from a page."""
        with self.database.writing() as session:
            yield writing(session, actor=ACTOR, now=self.now(), secret=self.secret)


def desk(app: Flask | None = None) -> Desk:
    """The desk of an app, by default of the one that serves the request."""
    return cast(Desk, (app or current_app).extensions[_KEY])


def masthead() -> Masthead:
    """The top of the page that is being made, looked up once."""
    if "masthead" not in g:
        g.masthead = desk().masthead()
    return cast(Masthead, g.masthead)


def leave_masthead_empty() -> None:
    """For a page that must not ask the database, or not tell who asks."""
    g.masthead = Masthead()
