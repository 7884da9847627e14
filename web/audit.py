"""The audit: who looked at which case, who changed accounts and settings, who signed in. For reading and export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, abort, render_template, request, stream_with_context
from sqlmodel import Session, select

from tracker import audit, hindsight
from tracker.access import May
from tracker.hindsight import Question, SeenLook
from tracker.models import Clinic
from web import arguments
from web.access import needs, viewer
from web.csv_file import harmless
from web.desk import desk

pages = Blueprint("audit", __name__, url_prefix="/audit")

PAGE = 50
_PAGES = {
    "cases.show": "Case page",
    "dashboard.go": "Link of a mail",
    "acting.form": "Form: a follow-up",
    "acting.one": "Form: a follow-up",
    "changes.move": "Form: moving the case",
    "changes.facts": "Form: facts",
    "changes.record": "Form: something to record",
    "changes.correct": "Form: striking out",
    "changes.carry": "Form: carrying over",
    "changes.undo": "Undo",
    "merging.merge": "Merging records",
    "merging.separate": "Merging records",
    "meeting.index": "Team meeting",
    "meeting.add": "Team meeting",
    "meeting.decide": "Team meeting",
    "new_patient.new": "New patient: may be the same",
}


@pages.get("")
@needs(May.AUDIT)
def index() -> str:
    """Looks at cases, or the entries of the chain, the latest first."""
    place, after = desk(), arguments.number("after")
    what = arguments.one_of("what", ["looks", "entries"]) or "looks"
    with place.database.reading() as database:
        asked = _asked(database)
        page: hindsight.Page[hindsight.SeenLook] | hindsight.Page[hindsight.SeenEntry]
        if what == "looks":
            page = hindsight.looks(database, place.secret, asked, after, PAGE)
        else:
            page = hindsight.entries(database, asked, after, PAGE)
    given = {name: request.args.get(name, "") for name in ("person", "case", "since", "until")}
    return render_template(
        "audit.html", what=what, items=page.items, after=page.after, first_part=after is None, given=given, pages=_PAGES
    )


@pages.post("/looks.csv")
@needs(May.AUDIT)
def export() -> Response:
    """Every look that is asked for, as a table for a spreadsheet. That it was exported is an entry too."""
    place = desk()
    with place.writing() as writing:
        asked = _asked(writing.session)
        audit.note(writing, "audit:exported", viewer().email, {"since": request.args.get("since", "")})
    answer = Response(stream_with_context(_lines(asked)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = "attachment; filename=looks.csv"
    return answer


def _asked(database: Session) -> Question:
    clinics = viewer().clinics(May.AUDIT)
    since, until = arguments.day("since"), arguments.day("until")
    if since is not None and until is not None and until < since:
        abort(400, "The last day is before the first.")
    return Question(
        clinics,
        every=clinics >= {number for number in database.exec(select(Clinic.id)) if number is not None},
        person=arguments.text("person"),
        case=arguments.text("case"),
        since=since,
        until=until,
    )


def _lines(asked: Question) -> Iterator[str]:
    place = desk()
    with place.database.reading() as database:
        yield _line(("at (UTC)", "person", "case", "clinic", "page", "as it was written"))
        for look in hindsight.all_looks(database, place.secret, asked):
            yield _line(_cells(look))


def _cells(look: SeenLook) -> Iterable[str]:
    page = _PAGES.get(look.page, look.page)
    return (look.at.isoformat(), look.person, look.case, look.clinic, page, "yes" if look.sound else "no")


def _line(cells: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([harmless(cell) for cell in cells])
    return written.getvalue()
