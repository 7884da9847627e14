"""The journal: JSON Lines, one event a line. It is the interchange and the test-scenario format.

    {"case":"N-001","on":"2026-01-05","event":"case:opened","data":{...},"id":"...","at":"...","by":"..."}

``id`` names a line so that a correction can point at it, ``at`` gives the time of recording (aware ISO), ``by``
who recorded it. Lines of one date apply in file order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tracker.errors import InputRefused, LineProblem, WrongSetting
from workflows.limits import is_fit, iso_day, iso_time, quoted

_KEYS = {"case", "on", "event", "data", "id", "at", "by"}


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One event of one case as an input gives it; ``file`` and ``number`` say where it stands."""

    case: str
    on: date
    event: str
    data: dict[str, Any]
    id: str | None = None
    at: datetime | None = None
    by: str | None = None
    file: str = ""
    number: int = 0

    def problem(self, reason: str) -> LineProblem:
        return LineProblem(self.file, self.number, reason)


def read(path: Path) -> list[JournalLine]:
    """All lines of a journal file; raises :class:`InputRefused` with every line that is not one."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise WrongSetting(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputRefused([LineProblem(path.name, line, "this is not UTF-8 text")]) from None
    lines, problems = [], []
    for number, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        try:
            lines.append(parse(raw, path.name, number))
        except ValueError as error:
            problems.append(LineProblem(path.name, number, str(error)))
    if problems:
        raise InputRefused(problems)
    return lines


def parse(raw: str, file: str, number: int) -> JournalLine:
    """One line; raises ValueError in words."""
    try:
        line = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("this is not a JSON object on one line") from None
    if not isinstance(line, dict):
        raise ValueError("this is not a JSON object on one line")
    unknown = sorted(line.keys() - _KEYS)
    if unknown:
        raise ValueError(
            f"{', '.join(map(quoted, unknown[:3]))} is not understood; known are {', '.join(sorted(_KEYS))}"
        )
    return JournalLine(
        case=_short_text(line, "case"),
        on=_date(line.get("on")),
        event=_short_text(line, "event"),
        data=_object(line.get("data")),
        id=_text(line, "id"),
        at=_time(line.get("at")),
        by=_text(line, "by"),
        file=file,
        number=number,
    )


def dump(line: JournalLine) -> str:
    """One line of a journal, without the line feed."""
    plain: dict[str, Any] = {
        "case": line.case,
        "on": line.on.isoformat(),
        "event": line.event,
        "data": line.data,
    }
    if line.id is not None:
        plain["id"] = line.id
    if line.at is not None:
        plain["at"] = line.at.isoformat()
    if line.by is not None:
        plain["by"] = line.by
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def by_case(lines: Iterable[JournalLine]) -> Iterator[tuple[str, list[JournalLine]]]:
    """The lines of each case in file order, cases in the order of their first line."""
    cases: dict[str, list[JournalLine]] = {}
    for line in lines:
        cases.setdefault(line.case, []).append(line)
    yield from cases.items()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("data is missing or not an object")
    return value


def _date(value: Any) -> date:
    try:
        return iso_day(value)
    except ValueError as error:
        raise ValueError(f"on: {error}") from None


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return iso_time(value)
    except ValueError as error:
        raise ValueError(f"at: {error}") from None


def _text(line: dict[str, Any], name: str) -> str | None:
    value = line.get(name)
    return None if value is None else _short_text(line, name)


def _short_text(line: dict[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not value or len(value) > 120 or not is_fit(value):
        raise ValueError(f"{name} is missing or not a short text")
    return value
