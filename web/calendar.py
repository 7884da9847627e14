"""The calendar: what is due and booked, month by month, week by week or on one day, and how much that is."""

from __future__ import annotations

import calendar as months
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, render_template, url_for
from sqlmodel import Session, col, select

from tracker import casebook, overdue, words, working_days
from tracker.access import May
from tracker.models import Clinic
from web import arguments
from web.access import needs, scope
from web.dashboard import NOBODY, Chosen, Row, choose, present
from web.desk import desk
from workflows.dates import in_words
from workflows.limits import checked_day

pages = Blueprint("calendar", __name__, url_prefix="/calendar")

VIEWS = ("month", "week", "day")
OF_A_DAY = 8
"""Follow-ups of a day that a week shows."""
OF_A_PAGE = 100
"""Appointments that the day itself shows, and as many that are due."""
_WEEK = 7
_NAMED = 3
_HEAVY = (0, 2, 5, 10)
"""From how many on a day is drawn as fuller; the number stands beside it."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a month or week. ``closed`` says in words why no clinic of the selection works, or which does not."""

    on: date
    due: int
    booked: int
    today: bool
    outside: bool
    closed: str
    all_closed: bool

    @property
    def fullness(self) -> int:
        """From 0 to 4."""
        return sum(self.due + self.booked > least for least in _HEAVY)

    @property
    def words(self) -> str:
        """The loads of the day, for whoever does not see its place."""
        loads = [f"{self.due} due", f"{self.booked} booked"] if self.due or self.booked else ["nothing"]
        return ", ".join([in_words(self.on), *loads, *([self.closed] if self.closed else [])])


@dataclass(frozen=True, slots=True)
class Busy:
    """A day of a week with what is on it."""

    day: Day
    booked: list[Row]
    due: list[Row]

    @property
    def more(self) -> int:
        return self.day.due + self.day.booked - len(self.booked) - len(self.due)


@pages.get("")
@needs(May.READ)
def index() -> str:
    """A month, a week or a day around the date that the address names, by default today."""
    now = desk().now()
    view = arguments.one_of("view", list(VIEWS)) or "month"
    with desk().database.reading() as session:
        choices = casebook.scope_choices(session, scope())
        chosen = choose(choices, mine=True)
        days = overdue.days_of(session, now, chosen.scope)
        today = overdue.today_of(days, now)
        on = arguments.day("day") or today
        first, last = _span(view, on)
        grid = _grid(session, chosen, list(days), first, last, today, on if view == "month" else None)
        shown = {"choices": choices, "chosen": chosen, "today": today, "on": on, "view": view, "nobody": NOBODY}
        return render_template(
            "calendar.html",
            title=_title(view, on, first, last),
            weeks=[grid[start : start + _WEEK] for start in range(0, len(grid), _WEEK)],
            days=grid,
            busy=list(_busy(session, now, chosen, grid)) if view == "week" else [],
            whole=_whole_day(session, now, chosen, grid[0]) if view == "day" else None,
            before=_link(view, _step(view, on, -1), chosen),
            after=_link(view, _step(view, on, 1), chosen),
            views=[(name, _link(name, on, chosen)) for name in VIEWS],
            back=_link(view, today, chosen),
            day_link=lambda day: _link("day", day, chosen),
            **shown,
        )


def _span(view: str, on: date) -> tuple[date, date]:
    """The first and the last day that are drawn: whole weeks from Monday, or the day."""
    if view == "day":
        return on, on
    start, end = on, on
    if view == "month":
        start, end = on.replace(day=1), on.replace(day=months.monthrange(on.year, on.month)[1])
    return start - timedelta(days=start.weekday()), end + timedelta(days=_WEEK - 1 - end.weekday())


def _step(view: str, on: date, steps: int) -> date | None:
    """The same view, one on or one back; None beyond the years that the tracker knows."""
    if view == "month":
        month = on.month - 1 + steps
        there = date(on.year + month // 12, month % 12 + 1, 1)
    else:
        there = on + timedelta(days=steps * (_WEEK if view == "week" else 1))
    try:
        return checked_day(there)
    except ValueError:
        return None


def _title(view: str, on: date, first: date, last: date) -> str:
    if view == "month":
        return f"{on:%B} {on.year}"
    return f"{on:%A}, {in_words(on)}" if view == "day" else f"{in_words(first)} to {in_words(last)}"


def _link(view: str, day: date | None, chosen: Chosen) -> str | None:
    if day is None:
        return None
    limits = chosen.arguments if not chosen.mine else {}
    return url_for("calendar.index", view=view, day=day.isoformat(), **limits)


# Days ------------------------------------------------------------------------------------------------------


def _grid(
    session: Session, chosen: Chosen, clinics: list[int], first: date, last: date, today: date, month: date | None
) -> list[Day]:
    due, booked = (
        count(session, scope=chosen.scope, clinics=clinics, first=first, last=last)
        for count in (overdue.due_by_day, overdue.booked_by_day)
    )
    rows = list(session.exec(select(Clinic).where(col(Clinic.id).in_(clinics)).order_by(col(Clinic.name))))
    return [_day(day, due, booked, rows, today, month) for day in _days(first, last)]


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=1)


def _day(
    day: date,
    due: Counter[date],
    booked: Counter[date],
    clinics: Sequence[Clinic],
    today: date,
    month: date | None,
) -> Day:
    resting = [clinic for clinic in clinics if not working_days.works(clinic, day)]
    outside = month is not None and (day.year, day.month) != (month.year, month.month)
    closed, all_closed = _why_closed(resting, clinics, day), bool(clinics) and len(resting) == len(clinics)
    return Day(day, due[day], booked[day], day == today, outside, closed, all_closed)


def _why_closed(resting: Sequence[Clinic], clinics: Sequence[Clinic], day: date) -> str:
    """``holiday``, ``not a working day``, or of several clinics which one has one of them."""
    holidays = [clinic.name for clinic in resting if str(day.isoweekday()) in clinic.working_days]
    if not resting:
        return ""
    if len(resting) == len(clinics):
        return "holiday" if len(holidays) == len(resting) else "not a working day"
    names = ", ".join(clinic.name for clinic in resting)
    where = names if len(resting) <= _NAMED else words.count(len(resting), "clinic")
    return f"{'holiday' if holidays else 'not a working day'} in {where}"


# What is on them -------------------------------------------------------------------------------------------


def _busy(session: Session, now: datetime, chosen: Chosen, grid: Iterable[Day]) -> Iterator[Busy]:
    for day in grid:
        booked = _on(session, now, chosen, "booked_for", day.on, OF_A_DAY) if day.booked else []
        room = OF_A_DAY - len(booked)
        yield Busy(day, booked, _on(session, now, chosen, "due_on", day.on, room) if day.due and room else [])


def _whole_day(session: Session, now: datetime, chosen: Chosen, day: Day) -> Busy:
    booked, due = (_on(session, now, chosen, by, day.on, OF_A_PAGE) for by in ("booked_for", "due_on"))
    return Busy(day, booked, due)


def _on(session: Session, now: datetime, chosen: Chosen, by: str, day: date, size: int) -> list[Row]:
    page = overdue.between(session, now=now, scope=chosen.scope, by=by, first=day, last=day, size=size)
    return present(session, page.items)
