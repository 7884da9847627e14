"""What every page needs: the database, the time, and how the tracker itself stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import Flask, current_app, g

from tracker import heartbeats, messages
from tracker.access import May
from tracker.db import Database
from tracker.secret import Secret
from tracker.settings import Settings
from tracker.writing import Writing, writing

_KEY = "tracker"


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

    def masthead(self, clinics: frozenset[int] | None = None) -> Masthead:
        """How the tracker itself stands, from two rows; the messages are those of some clinics."""
        with self.database.reading() as session:
            trouble = heartbeats.silence(heartbeats.last(session, "tick"), self.now())
            return Masthead(trouble, messages.number_in_question(session, clinics))

    @contextmanager
    def writing(self, actor: str = "") -> Iterator[Writing]:
        """One transaction, made from a page by the person signed in; by somebody else only where it says so."""
        with self.database.writing() as session:
            yield writing(session, actor=actor or _person(), now=self.now(), secret=self.secret)


def _person() -> str:
    """The address of whoever is signed in; without anybody, nothing is written."""
    found = g.get("signed_in")
    if found is None or found.stage != "full":
        raise PermissionError("nobody is signed in")
    return str(found.viewer.email)


def desk(app: Flask | None = None) -> Desk:
    """The desk of an app, by default of the one that serves the request."""
    return cast(Desk, (app or current_app).extensions[_KEY])


def masthead() -> Masthead:
    """The top of the page that is being made, looked up once; a stranger is told nothing."""
    if "masthead" not in g:
        signed_in = g.get("signed_in")
        is_stranger = signed_in is None or signed_in.stage != "full"
        g.masthead = Masthead() if is_stranger else desk().masthead(signed_in.viewer.clinics(May.READ))
    return cast(Masthead, g.masthead)


def leave_masthead_empty() -> None:
    """For a page that must not ask the database, or not tell who asks."""
    g.masthead = Masthead()
