"""The first page: what is overdue, longest first, and which cases are in want of something else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import alarms, casebook, pathways, places, queries, words
from tracker.alarms import Alarm, Look
from tracker.casebook import CaseSummary, ScopeChoices
from tracker.places import Scope
from tracker.queries import DueItem, OverdueCount, Totals
from web import arguments, presenters
from web.desk import desk
from web.presenters import Badge, Urgency
from workflows.pathway import Pathway

pages = Blueprint("dashboard", __name__)

PAGE = 25
SHORT = 8
"""Cases of each kind on this page; the list of cases has the others."""
NOBODY = 0
"""Stands in an address for "nobody responsible", where other numbers are people."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the page is limited to, as its address says it."""

    clinic: str | None
    navigator: int | None
    scope: Scope

    @property
    def arguments(self) -> dict[str, Any]:
        return {"clinic": self.clinic, "navigator": self.navigator}


@dataclass(frozen=True, slots=True)
class Row:
    """An overdue follow-up in words."""

    item: DueItem
    label: str
    state: str
    urgency: Urgency
    badges: list[Badge]


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case of a short list."""

    summary: CaseSummary
    state: str


@dataclass(frozen=True, slots=True)
class Load:
    """How much is overdue with one navigator of one clinic."""

    count: OverdueCount
    person: int | None
    waiting: str


@dataclass(frozen=True, slots=True)
class Want:
    """A kind of case that needs somebody, with the first of them."""

    needs: str
    title: str
    advice: str
    number: int
    cases: list[CaseRow]


@pages.get("/go/<int(max=2147483647):case_id>")  # no row has a larger number
def go(case_id: int) -> Response:
    """Where a mail's link leads: it carries a row's number, because a reference may say who is meant."""
    with desk().database.reading() as session:
        return redirect(url_for("cases.show", ref=casebook.reference_of(session, case_id)))


@pages.get("/")
def index() -> str:
    """The dashboard, limited to a clinic or a navigator where the address says so."""
    now = desk().now()
    with desk().database.reading() as session:
        choices = casebook.scope_choices(session)
        chosen = choose(choices)
        after = arguments.place("after")
        page = queries.overdue_page(session, now=now, scope=chosen.scope, after=after, size=PAGE)
        totals = queries.totals(session, chosen.scope)
        loads = _loads(session, now, choices, chosen.scope)
        return render_template(
            "dashboard.html",
            alarms=_alarms(session, now),
            seen_at=_SEEN_AT,
            rows=present(session, page.items),
            after=arguments.place_text(page.after),
            first_part=after is None,
            overdue=sum(load.count.items for load in loads),
            totals=totals,
            wants=_wants(session, chosen.scope, totals),
            loads=loads,
            choices=choices,
            chosen=chosen,
            any_case=_any_case(session),
            today=_today(session, now, chosen.clinic),
            nobody=NOBODY,
        )


def choose(choices: ScopeChoices) -> Chosen:
    """The clinic and the navigator that the address names; answers 400 for one that there is not."""
    clinic = arguments.one_of("clinic", choices.clinics)
    person = arguments.number("navigator")
    if person is not None and person != NOBODY and person not in choices.navigators:
        abort(400, "“navigator” names nobody who is responsible for a case.")
    email = choices.navigators.get(person) if person else None
    return Chosen(clinic, person, Scope(clinic=clinic, navigator=email, unassigned=person == NOBODY))


_SEEN_AT = {
    Look.IN_QUESTION: "Go to the messages in question",
    Look.WAITING: "Go to what waits",
    Look.QUIET: "See who hears less",
    Look.MACHINERY: "See how the machinery stands",
    Look.WITHOUT_NAVIGATOR: "Go to the cases with nobody responsible",
    Look.OVERDUE: "Go to the longest overdue",
}
_IN_THE_BANNER = ("scheduler", "clock")


def _alarms(session: Session, now: datetime) -> list[Alarm]:
    """What the banner at the top does not say already."""
    return [alarm for alarm in alarms.alarms(session, desk().settings, now) if alarm.id not in _IN_THE_BANNER]


def present(session: Session, items: Iterable[DueItem]) -> list[Row]:
    """Overdue follow-ups in the words of the pathway that each case runs on."""
    return [_row(pathways.pinned(session, item.place.pathway), item) for item in items]


def _row(pathway: Pathway, item: DueItem) -> Row:
    steps = presenters.steps_of(pathway, item.rule)
    return Row(
        item,
        presenters.activity_label(pathway, item.activity),
        presenters.state_label(pathway, item.place.state),
        presenters.urgency(item.status, item.days_overdue, steps),
        presenters.badges(pathway, item.why.sources),
    )


def case_rows(session: Session, summaries: Iterable[CaseSummary]) -> list[CaseRow]:
    """Cases of a list, with the state in the words of the pathway that each runs on."""
    return [
        CaseRow(s, presenters.state_label(pathways.pinned(session, s.place.pathway), s.place.state)) for s in summaries
    ]


def _wants(session: Session, scope: Scope, totals: Totals) -> list[Want]:
    numbers = {
        "next-step": totals.without_next_step,
        "explanation": totals.unexplained,
        "navigator": totals.without_navigator,
    }
    return [
        Want(needs, *WANTS[needs], number, _first(session, needs, scope) if number else [])
        for needs, number in numbers.items()
    ]


WANTS = {
    "next-step": (
        "Cases without a next step",
        "Nothing is planned for these patients. Agree on a next step with the team, or close the case.",
    ),
    "explanation": (
        "Cases with unexplained warnings",
        "The record differs from the cited texts or contradicts itself. Open the case; explain or correct it.",
    ),
    "navigator": (
        "Cases with nobody responsible",
        "No navigator is named, so reminders reach nobody. Hand the case over to somebody.",
    ),
}


def _first(session: Session, needs: str, scope: Scope) -> list[CaseRow]:
    return case_rows(session, casebook.cases_page(session, needs=needs, scope=scope, size=SHORT).items)


def _loads(session: Session, now: datetime, choices: ScopeChoices, scope: Scope) -> list[Load]:
    ids = {email: person for person, email in choices.navigators.items()}
    today = places.local_dates(session, now)
    return [
        Load(count, ids.get(count.navigator or "", NOBODY), _waiting(count, today[count.clinic]))
        for count in queries.overdue_counts(session, now=now)
        if _within(count, scope)
    ]


def _within(count: OverdueCount, scope: Scope) -> bool:
    return (
        scope.clinic in (None, count.clinic)
        and scope.navigator in (None, count.navigator)
        and not (scope.unassigned and count.navigator)
    )


def _waiting(count: OverdueCount, today: date) -> str:
    return words.count((today - count.oldest_late_on).days, "day")


def _today(session: Session, now: datetime, clinic: str | None) -> date:
    """The clinic's local date; without one, the date in most clinics."""
    days = places.local_dates(session, now)
    if clinic is not None:
        return days[clinic]
    return max(days.values(), key=list(days.values()).count, default=now.date())


def _any_case(session: Session) -> bool:
    return bool(casebook.cases_page(session, with_closed=True, size=1).items)
