"""The clinical files of a cBioPortal study as tables, and their cells as values.

A file is UTF-8 text, tab separated, with lines that begin with # above its header (usually four).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from tracker.errors import InputRefused, LineProblem, WrongSetting

_UNKNOWN = {"", "na", "n/a", "not documented", "not available", "unknown", "[not available]"}
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file, its cells by column; ``number`` counts the lines of the file from 1."""

    file: str
    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str | None:
        """A cell; None where the file does not know ("Not documented", blank, NA)."""
        value = self.cells.get(column, "").strip()
        return None if value.lower() in _UNKNOWN else value

    def problem(self, reason: str) -> LineProblem:
        return LineProblem(self.file, self.number, reason)


@dataclass(frozen=True, slots=True)
class Table:
    """A clinical file that could be read; ``problems`` are the lines that are not rows of it."""

    file: str
    columns: tuple[str, ...]
    rows: list[Row]
    problems: list[LineProblem]


class Cells:
    """Reads the cells of one row as values, and keeps what is wrong with them."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.problems: list[LineProblem] = []

    def choice(self, column: str, known: Mapping[str, T]) -> T | None:
        """The value that a word stands for, in any case of its letters; None where it is not documented."""
        word = self.row.text(column)
        if word is None:
            return None
        by_word = {key.lower(): value for key, value in known.items()}
        if word.lower() not in by_word:
            self._refuse(column, word, f"is not one of {', '.join(known)}")
        return by_word.get(word.lower())

    def matching(self, column: str, pattern: str, example: str) -> str | None:
        """A text of a given form; None where it is not documented."""
        word = self.row.text(column)
        if word is not None and re.fullmatch(pattern, word) is None:
            self._refuse(column, word, f"is not written as expected, such as {example}")
        return word

    def number(self, column: str, low: int, high: int) -> Decimal | None:
        """A number from ``low`` to ``high``; None where it is not documented."""
        word = self.row.text(column)
        if word is None:
            return None
        if _NUMBER.fullmatch(word) is None:
            self._refuse(column, word, "is not a number such as 12 or 12.5")
            return None
        if not low <= Decimal(word) <= high:
            self._refuse(column, word, f"is not between {low} and {high}")
        return Decimal(word)

    def _refuse(self, column: str, word: str, reason: str) -> None:
        self.problems.append(self.row.problem(f"{column}: {word[:60]!r} {reason}"))


def read_table(path: Path, needed: Sequence[str]) -> Table:
    """A clinical file; raises WrongSetting or InputRefused where it is no such file at all.

    Where a column of ``needed`` is missing, the table has problems and no rows.
    """
    lines = _text(path).split("\n")
    header = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if header is None:
        raise InputRefused([LineProblem(path.name, 1, "there is no header line with the columns' names")])
    columns = tuple(name.strip() for name in lines[header].rstrip("\r").split("\t"))
    problems = _column_problems(columns, needed)
    if problems:
        return Table(path.name, columns, [], [LineProblem(path.name, header + 1, words) for words in problems])
    return _Reader(path.name, columns).read(lines, header + 1)


def _column_problems(columns: Sequence[str], needed: Sequence[str]) -> list[str]:
    missing = [f"column {name} is missing" for name in needed if name not in columns]
    twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
    return missing + [f"column {name} stands there twice" for name in twice]


@dataclass(slots=True)
class _Reader:
    file: str
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)

    def read(self, lines: list[str], start: int) -> Table:
        for number, line in enumerate(lines[start:], start + 1):
            if line.strip():
                self._take(number, line.rstrip("\r").split("\t"))
        return Table(self.file, self.columns, self.rows, self.problems)

    def _take(self, number: int, cells: list[str]) -> None:
        if len(cells) != len(self.columns):
            reason = f"has {len(cells)} fields, the header has {len(self.columns)}"
            self.problems.append(LineProblem(self.file, number, reason))
            return
        self.rows.append(Row(self.file, number, dict(zip(self.columns, cells, strict=True))))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise WrongSetting(
            f"{path.parent.name} has no {path.name}: a cohort needs its patient file and its sample file"
        ) from None
    except OSError as error:
        raise WrongSetting(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputRefused([_unreadable(path, raw, error.start, "this is not UTF-8 text")]) from None
    if "\0" in text:
        raise InputRefused([_unreadable(path, raw, raw.index(b"\0"), "a NUL character: this is not text")])
    return text


def _unreadable(path: Path, raw: bytes, position: int, reason: str) -> LineProblem:
    return LineProblem(path.name, raw[:position].count(b"\n") + 1, reason)
