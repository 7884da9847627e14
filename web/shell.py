"""What stands around every page: the rooms that the person may enter, the keys, and the script that is not ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import js_lib_htmx
from flask import Blueprint, Flask, Response, current_app, g, render_template, request, send_from_directory, url_for

from tracker import colleagues
from tracker.access import May, Viewer
from web.access import needs, public, somebody
from web.desk import desk

pages = Blueprint("shell", __name__)
files = Blueprint("htmx", __name__)

HTMX = f"htmx-{js_lib_htmx.__version__}.js"
_FOLDER = Path(js_lib_htmx.__file__).parent / "static" / "htmx"


@dataclass(frozen=True, slots=True)
class Room:
    """A part of the tracker: its page, what it is called, and the letter that leads there after ``g``."""

    endpoint: str
    words: str
    key: str
    may: May | None

    @property
    def href(self) -> str:
        return url_for(self.endpoint)

    @property
    def is_here(self) -> bool:
        return request.endpoint == self.endpoint


_ROOMS = (
    Room("dashboard.index", "Overdue", "o", May.READ),
    Room("worklist.index", "Worklist", "w", May.READ),
    Room("calendar.index", "Calendar", "c", May.READ),
    Room("meeting.index", "Team meeting", "m", May.READ),
    Room("cases.index", "Cases", "a", May.READ),
    Room("outbox.index", "Outbox", "x", May.READ),
    Room("pathway.latest", "Pathway", "p", None),
)
_OWN = (
    Room("account.index", "Your account", "", None),
    Room("hand_over.index", "Hand over cases", "", May.WRITE),
    Room("audit.index", "Audit", "", May.AUDIT),
    Room("admin.index", "Administration", "", May.ADMINISTER),
    Room("shell.keys", "Shortcuts", "", None),
)


def rooms(who: Viewer) -> list[Room]:
    """The rooms that somebody may enter."""
    return [room for room in _ROOMS if _is_open(room, who)]


def own_rooms(who: Viewer) -> list[Room]:
    """What is in the menu of the person's own name."""
    return [room for room in _OWN if _is_open(room, who)]


def _is_open(room: Room, who: Viewer) -> bool:
    return room.endpoint in current_app.view_functions and (room.may is None or who.may(room.may))


@pages.get("/help")
@needs()
def keys() -> str:
    """The shortcuts as a page, for a browser that shows no dialogs."""
    return render_template("help.html")


@files.get(f"/{HTMX}")
@public
def static() -> Response:
    """The script as its package has it. Its name has the version, so that a browser keeps it as long as it is right."""
    return send_from_directory(_FOLDER, "htmx.min.js", max_age=31_536_000)


def install(app: Flask) -> None:
    """Tell the templates which rooms there are, and what people are called."""
    app.context_processor(_shared)
    app.jinja_env.globals["name_of"] = name_of


def _shared() -> dict[str, Any]:
    who = somebody() if g.get("signed_in") else None
    return {"rooms": rooms(who) if who else [], "own_rooms": own_rooms(who) if who else []}


def name_of(address: str) -> str:
    """What a person is called; the address where no name is known. Asked once for a page."""
    if "names" not in g:
        with desk().database.reading() as session:
            g.names = colleagues.names(session)
    return str(g.names.get(address, address))
