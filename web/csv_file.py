"""The worklist as a file for a spreadsheet: streamed, harmless when opened, and noted before it leaves."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from flask import Response, stream_with_context

from tracker import audit
from web.access import viewer
from web.columns import COLUMNS
from web.desk import desk

_ALWAYS = ("Case", "Patient", "Patient's reference", "What", "Status", "Days overdue", "Booked for", "Put off until")


def answer(asking: Any, columns: Sequence[str], rows: Iterable[Any]) -> Response:
    """The file. Who took which part of the list is in the audit before the first line leaves."""
    with desk().writing() as writing:
        limits = {name: value for name, value in asking.question.parts.items() if name != "found"}
        data = {"limits": limits, "search": "found" in asking.question.parts, "columns": list(columns)}
        audit.note(writing, "worklist:exported", viewer().email, data)
    day = desk().now().date()
    return Response(
        stream_with_context(_lines(columns, rows)),
        mimetype="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="worklist-{day}.csv"'},
    )


def _lines(columns: Sequence[str], rows: Iterable[Any]) -> Iterator[str]:
    yield "\ufeff" + _line(
        [*_ALWAYS, *(COLUMNS[name].words for name in columns)]
    )  # the mark tells Excel that it is UTF-8
    for row in rows:
        due, cells = row.item.due, row.cells
        fixed = [
            due.place.ref,
            due.place.patient_name or "",
            due.place.patient_ref,
            row.label,
            due.status,
            due.days_overdue or "",
            due.booked_for or "",
            row.item.due.snoozed_until or "",
        ]
        yield _line([*fixed, *(_iso(row.item, name) or cells[name] for name in columns)])


def _iso(item: Any, name: str) -> str:
    """Dates as a spreadsheet sorts them."""
    days = {"due": item.due.due_on, "late": item.due.late_on, "since": item.since, "born": item.birth_date}
    return str(days[name]) if days.get(name) else ""


def _line(values: Iterable[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([harmless(str(value)) for value in values])
    return written.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula, whole or cut at semicolons, tabs and lines, as some do."""
    begins = text.lstrip(" ")[:1]
    cut = _CUT.sub(r"\1'", text)
    return f"'{cut}" if begins and begins in _BEGINS else cut


_FORMULA = "=+-@＝＋－＠"  # some spreadsheets take the wide ones for the same
_BEGINS = f"{_FORMULA}\t\r\n"
_CUT = re.compile(rf'([;\t\r\n][\s"]*)(?=[{re.escape(_FORMULA)}])')
"""After what a cell may be cut at, where the rest would be a formula."""
