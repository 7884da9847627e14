"""The numbers of a whole centre, counted as rows change and not when a page asks; docs/adr/0010-counters.md says why.

A change adds rows to ``follow_up_change`` and ``case_change``, which nobody else has to wait for. The tick adds them
up into ``tally``. Whoever reads takes both together, so that a number is right at any moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from tracker.db import Database
from tracker.models import IS_OPEN, Case, CaseChange, FollowUpChange, FollowUpRow, Tally

NOBODY = 0
"""Stands for no navigator: a key has no empty parts."""
NO_DAY = date(1900, 1, 1)
BATCH = 20_000
"""Changes that are added up in one transaction: a second or so, also after a million came in at once."""


class Cube(StrEnum):
    """What is counted by what, clinic by clinic.

    A cube of months beside one of days gives what is late before any day from a few rows: whole months, then days.
    """

    LATE = "late"
    ACTIVITY = "activity"
    ACTIVITY_MONTH = "activity-month"
    NAVIGATOR = "navigator"
    NAVIGATOR_MONTH = "navigator-month"
    DUE = "due"
    STATE = "state"
    CASELOAD = "caseload"
    NO_NEXT_STEP = "no-next-step"
    UNEXPLAINED = "unexplained"


class Key(NamedTuple):
    """One number of one cube."""

    cube: str
    clinic_id: int
    day: date = NO_DAY
    navigator_id: int = NOBODY
    what: str = ""


class Open(NamedTuple):
    """An open follow-up as it is counted."""

    clinic_id: int
    navigator_id: int
    activity: str
    late_on: date
    due_on: date

    def keys(self) -> list[Key]:
        clinic, month = self.clinic_id, self.late_on.replace(day=1)
        return [
            Key(Cube.LATE, clinic, self.late_on),
            Key(Cube.ACTIVITY, clinic, self.late_on, what=self.activity),
            Key(Cube.ACTIVITY_MONTH, clinic, month, what=self.activity),
            Key(Cube.NAVIGATOR, clinic, self.late_on, self.navigator_id),
            Key(Cube.NAVIGATOR_MONTH, clinic, month, self.navigator_id),
            Key(Cube.DUE, clinic, self.due_on),
        ]


class Standing(NamedTuple):
    """A case as it is counted; a closed one counts in its state alone."""

    clinic_id: int
    navigator_id: int
    state: str
    needs_plan: bool
    unexplained: bool

    def keys(self) -> list[Key]:
        clinic = self.clinic_id
        found = [Key(Cube.STATE, clinic, what=self.state)]
        if is_closed(self.state):
            return found
        found.append(Key(Cube.CASELOAD, clinic, navigator_id=self.navigator_id))
        found += [Key(Cube.NO_NEXT_STEP, clinic)] if self.needs_plan else []
        found += [Key(Cube.UNEXPLAINED, clinic)] if self.unexplained else []
        return found


def is_closed(state: str) -> bool:
    """Whether the phase of a state, the part before its dot, is that of closed cases."""
    return state.startswith("closed.")


# Written in the transaction that changes the rows ----------------------------------------------------------


def standing(case: Case) -> Standing:
    """A case, from its row."""
    unexplained = case.warnings_unexplained > 0
    return Standing(case.clinic_id, case.navigator_id or NOBODY, case.state, case.needs_plan, unexplained)


def note_follow_ups(session: Session, before: Iterable[Open], after: Iterable[Open]) -> None:
    """Open follow-ups of a case were these, and are these now."""
    _note(session, FollowUpChange, Counter(before), Counter(after))


def note_case(session: Session, before: Standing | None, after: Standing) -> None:
    """A case stood so, or was not there, and stands so now."""
    _note(session, CaseChange, Counter([before] if before else []), Counter([after]))


def _note(session: Session, table: Any, before: Counter[Any], after: Counter[Any]) -> None:
    after.subtract(before)
    rows = [thing._asdict() | {"number": number} for thing, number in after.items() if number]
    if rows:
        session.execute(insert(table), rows)


# Added up by the tick --------------------------------------------------------------------------------------


def add_up(database: Database, batch: int = BATCH) -> int:
    """Take the changes into the tallies, ``batch`` of them a transaction; returns how many there were.

    A change is deleted and added in one transaction: where two processes do this at once, each takes others.
    """
    taken = 0
    for table, thing in ((FollowUpChange, Open), (CaseChange, Standing)):
        while True:
            with database.writing() as session:
                number = _add_some(session, table, thing, batch)
            taken += number
            if number < batch:
                break
    return taken


def _add_some(session: Session, table: Any, thing: Any, batch: int) -> int:
    oldest = select(col(table.id)).order_by(col(table.id)).limit(batch)
    columns = [getattr(table, name) for name in thing._fields]
    gone = session.execute(delete(table).where(col(table.id).in_(oldest)).returning(*columns, table.number)).all()
    numbers: Counter[Key] = Counter()
    for *values, number in gone:
        for key in thing(*values).keys():  # noqa: SIM118  (the keys of a follow-up, not of a mapping)
            numbers[key] += number
    _add(session, numbers)
    return len(gone)


def _add(session: Session, numbers: Counter[Key]) -> None:
    rows = [key._asdict() | {"number": number} for key, number in sorted(numbers.items()) if number]
    if not rows:
        return
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    adding: Any = (postgresql.insert if on_postgresql else sqlite.insert)(Tally)
    more = {"number": col(Tally.number) + adding.excluded.number}
    session.execute(adding.on_conflict_do_update(index_elements=list(Key._fields), set_=more), rows)
    session.execute(delete(Tally).where(col(Tally.number) == 0))


def recount(session: Session) -> None:
    """Forget every number and count all rows anew; the next tick adds them up. Nothing else may write meanwhile."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().exec_driver_sql("LOCK TABLE follow_up_change, case_change IN SHARE ROW EXCLUSIVE MODE")
    for table in (Tally, FollowUpChange, CaseChange):
        session.execute(delete(table))
    session.execute(insert(FollowUpChange).from_select([*Open._fields, "number"], _all_open()))
    session.execute(insert(CaseChange).from_select([*Standing._fields, "number"], _all_cases()))


def _all_open() -> Any:
    nobody = func.coalesce(col(FollowUpRow.navigator_id), NOBODY)
    columns = (
        col(FollowUpRow.clinic_id), nobody, col(FollowUpRow.activity), col(FollowUpRow.late_on), col(FollowUpRow.due_on)
    )  # fmt: skip
    return select(*columns, func.count()).where(IS_OPEN).group_by(*columns)


def _all_cases() -> Any:
    nobody = func.coalesce(col(Case.navigator_id), NOBODY)
    unexplained = col(Case.warnings_unexplained) > 0
    columns = (col(Case.clinic_id), nobody, col(Case.state), col(Case.needs_plan), unexplained)
    return select(*columns, func.count()).group_by(*columns)


# Proof -----------------------------------------------------------------------------------------------------


def wrong(session: Session) -> list[str]:
    """The cubes whose numbers are not what the rows say, in words; empty when all are right.

    The session must see one state of the database throughout, as one for reading does.
    """
    told = Counter({Key(*key): number for *key, number in session.execute(_told())})
    for table, thing in ((FollowUpChange, Open), (CaseChange, Standing)):
        columns = [getattr(table, name) for name in thing._fields]
        changes = select(*columns, func.sum(table.number)).group_by(*columns)
        _count_into(told, thing, session.execute(changes))
    told.subtract(_counted(session))
    off = Counter(key.cube for key, number in told.items() if number)
    return [f"{number} counts by {cube} are not what the rows say" for cube, number in sorted(off.items())]


def _told() -> Any:
    return select(*(getattr(Tally, name) for name in Key._fields), col(Tally.number))


def _counted(session: Session) -> Counter[Key]:
    counted: Counter[Key] = Counter()
    _count_into(counted, Open, session.execute(_all_open()))
    _count_into(counted, Standing, session.execute(_all_cases()))
    return counted


def _count_into(numbers: Counter[Key], thing: Any, rows: Iterable[Any]) -> None:
    for *values, number in rows:
        for key in thing(*values).keys():  # noqa: SIM118
            numbers[key] += int(number)


# Read ------------------------------------------------------------------------------------------------------

Days = Mapping[int, date]
"""The clinics that are asked about, each with its local date."""


def late_by_activity(session: Session, before: Days) -> Counter[tuple[int, str]]:
    """Open follow-ups whose late day is before each clinic's date, by clinic and activity."""
    return _late(session, before, Cube.ACTIVITY, Cube.ACTIVITY_MONTH, col(Tally.what), col(FollowUpChange.activity))


def late_by_navigator(session: Session, before: Days) -> Counter[tuple[int, int]]:
    """The same by clinic and navigator; :data:`NOBODY` where nobody is responsible."""
    who, changed = col(Tally.navigator_id), col(FollowUpChange.navigator_id)
    return _late(session, before, Cube.NAVIGATOR, Cube.NAVIGATOR_MONTH, who, changed)


def late_by_day(session: Session, before: Days) -> Counter[tuple[int, date]]:
    """The same by clinic and late day."""
    return _late(session, before, Cube.LATE, None, col(Tally.day), col(FollowUpChange.late_on))


def _late(session: Session, before: Days, days: str, months: str | None, by: Any, changed: Any) -> Counter[Any]:
    parts: list[_Part] = []
    for day, clinics in _by_day(before).items():
        first = day.replace(day=1) if months else NO_DAY
        where = [_of(days, clinics, col(Tally.day) >= first, col(Tally.day) < day)]
        where += [_of(months, clinics, col(Tally.day) < first)] if months else []
        parts += [(col(Tally.clinic_id), by, col(Tally.number), condition) for condition in where]
        since = col(FollowUpChange.clinic_id).in_(clinics) & (col(FollowUpChange.late_on) < day)
        parts.append((col(FollowUpChange.clinic_id), changed, col(FollowUpChange.number), since))
    return _sum(session, parts)


def due_by_day(session: Session, clinics: Iterable[int], first: date, last: date) -> Counter[date]:
    """Open follow-ups that are due on each day from ``first`` to ``last``."""
    chosen = sorted(clinics)
    days = _of(Cube.DUE, chosen, col(Tally.day).between(first, last))
    due_on = col(FollowUpChange.due_on)
    since = col(FollowUpChange.clinic_id).in_(chosen) & due_on.between(first, last)
    parts: list[_Part] = [
        (col(Tally.cube), col(Tally.day), col(Tally.number), days),
        (literal(Cube.DUE.value), due_on, col(FollowUpChange.number), since),
    ]
    return Counter({day: number for (_, day), number in _sum(session, parts).items()})


def cases_by_state(session: Session, clinics: Iterable[int]) -> Counter[tuple[int, str]]:
    """Cases by clinic and state, closed ones too."""
    return _cases(session, clinics, Cube.STATE, col(Tally.what), col(CaseChange.state))


def caseload(session: Session, clinics: Iterable[int]) -> Counter[tuple[int, int]]:
    """Open cases by clinic and navigator."""
    still_open = ~col(CaseChange.state).startswith("closed.")
    who, changed = col(Tally.navigator_id), col(CaseChange.navigator_id)
    return _cases(session, clinics, Cube.CASELOAD, who, changed, still_open)


def cases_in_want(session: Session, clinics: Iterable[int]) -> tuple[int, int]:
    """Open cases without a next step, and those with a warning that nobody has explained."""
    chosen, still_open = sorted(clinics), ~col(CaseChange.state).startswith("closed.")
    numbers = []
    for cube, wants in ((Cube.NO_NEXT_STEP, CaseChange.needs_plan), (Cube.UNEXPLAINED, CaseChange.unexplained)):
        found = _cases(session, chosen, cube, col(Tally.what), literal(""), still_open, col(wants).is_(True))
        numbers.append(sum(found.values()))
    return numbers[0], numbers[1]


def _cases(
    session: Session, clinics: Iterable[int], cube: str, by: Any, changed: Any, *which: ColumnElement[bool]
) -> Counter[Any]:
    chosen = sorted(clinics)
    since = and_(col(CaseChange.clinic_id).in_(chosen), *which)
    parts: list[_Part] = [
        (col(Tally.clinic_id), by, col(Tally.number), _of(cube, chosen)),
        (col(CaseChange.clinic_id), changed, col(CaseChange.number), since),
    ]
    return _sum(session, parts)


def _of(cube: str, clinics: list[int], *which: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(col(Tally.cube) == cube, col(Tally.clinic_id).in_(clinics), *which)


_Part = tuple[Any, Any, Any, ColumnElement[bool]]
"""By which two columns a sum is made, of which numbers, and where."""


def _sum(session: Session, parts: list[_Part]) -> Counter[Any]:
    """What several sums come to together, in one statement; what comes to nothing is left out."""
    found: Counter[Any] = Counter()
    selects = [
        select(one.label("one"), two.label("two"), func.sum(number)).where(which).group_by("one", "two")
        for one, two, number, which in parts
    ]
    for first, second, total in session.execute(union_all(*selects)) if selects else ():
        found[first, second] += int(total)
    return +found


def _by_day(before: Days) -> dict[date, list[int]]:
    found: dict[date, list[int]] = {}
    for clinic, day in sorted(before.items()):
        found.setdefault(day, []).append(clinic)
    return found
