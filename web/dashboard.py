"""The first page: what is overdue, longest first, what comes, and what is in want of somebody; in numbers too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from sqlmodel import Session, col, select
from werkzeug.wrappers import Response

from tracker import alarms, casebook, heartbeats, overdue, pathways, places
from tracker.access import May
from tracker.alarms import Alarm, Look
from tracker.casebook import CaseSummary, ScopeChoices
from tracker.models import Clinic
from tracker.overdue import Only, Standing
from tracker.places import Scope
from tracker.queries import DueItem
from web import acts, arguments, numbers, pictures, presenters
from web.access import case_number_for, needs, scope, viewer
from web.acts import Act
from web.desk import desk
from web.presenters import Badge, Urgency
from workflows.pathway import Pathway

pages = Blueprint("dashboard", __name__)

PAGE = 12
SHORT = 8
"""Cases or follow-ups of each kind on this page; the lists behind it have the others."""
NOBODY = 0
"""Stands in an address for "nobody responsible", where other numbers are people."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the page is limited to, as its address says it. ``mine``: to the person signed in, who said nothing."""

    clinic: str | None
    navigator: int | None
    scope: Scope
    mine: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        return {"clinic": self.clinic, "navigator": self.navigator}

    @property
    def own(self) -> dict[str, Any]:
        """What the address of the page itself needs: nothing names the person who sees their own anyway."""
        return {"clinic": self.clinic} if self.mine else self.arguments


@dataclass(frozen=True, slots=True)
class Row:
    """A follow-up in words."""

    item: DueItem
    label: str
    state: str
    urgency: Urgency
    badges: list[Badge]
    acts: list[Act]

    @property
    def by_moving(self) -> bool:
        """Whether moving the case settles it, and the person may do that."""
        return bool(self.acts) and acts.by_moving(self.item.activity)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case of a short list."""

    summary: CaseSummary
    state: str


@dataclass(frozen=True, slots=True)
class Want:
    """A kind of case that needs somebody, with the first of them."""

    needs: str
    title: str
    advice: str
    number: int
    cases: list[CaseRow]


@pages.get("/go/<int(max=2147483647):case_id>")  # no row has a larger number
@needs(May.READ)
def go(case_id: int) -> Response:
    """Where a mail's link leads: it carries a row's number, because a reference may say who is meant."""
    with desk().database.reading() as session:
        return redirect(url_for("cases.show", ref=case_number_for(session, case_id, May.READ).ref))


@pages.get("/")
@needs(May.READ)
def index() -> str:
    """The dashboard, limited to a clinic or a navigator where the address says so."""
    now = desk().now()
    with desk().database.reading() as session:
        choices = casebook.scope_choices(session, scope())
        chosen = choose(choices, mine=True)
        pathway = pathways.latest(session)
        sooner = overdue.lead_after(pathway)
        only, only_words = _only(sooner)
        after = arguments.place("after")
        page = overdue.overdue_page(session, now=now, scope=chosen.scope, only=only, after=after, size=PAGE)
        standing = overdue.standing(session, now=now, scope=chosen.scope, sooner=sooner)
        today = _today(session, now, standing, chosen.clinic)
        return render_template(
            "dashboard.html",
            alarms=_alarms(session, now),
            seen_at=_SEEN_AT,
            rows=present(session, page.items),
            after=arguments.place_text(page.after),
            first_part=after is None,
            only=only_words,
            shown=_shown(standing, only),
            limits=chosen.own | _kept(),
            standing=standing,
            coming=present(session, overdue.coming(session, now=now, scope=chosen.scope, size=SHORT)),
            soon=numbers.soon(standing, today),
            tiles=numbers.tiles(standing, chosen.arguments, today),
            drawn=numbers.drawn(standing, pathway, choices, chosen.arguments, today),
            wants=_wants(session, chosen.scope, standing),
            loads=numbers.loads(session, standing, choices),
            choices=choices,
            chosen=chosen,
            any_case=casebook.is_within(session, scope()),
            today=today,
            days=places.local_dates(session, now),
            last_tick=heartbeats.last(session, "tick"),
            now=now,
            nobody=NOBODY,
        )


def choose(choices: ScopeChoices, *, mine: bool = False) -> Chosen:
    """The clinic and the navigator that the address names; answers 400 for one that there is not.

    ``mine``: whoever looks after cases and leads no clinic sees their own where the address says nothing.
    """
    clinic = arguments.one_of("clinic", choices.clinics)
    person = arguments.number("navigator")
    if person is not None and person != NOBODY and person not in choices.navigators:
        abort(400, "“navigator” names nobody who is responsible for a case.")
    own = _own_number(choices) if mine and "navigator" not in request.args else None
    email = choices.navigators.get(person or own or NOBODY)
    limited = scope(clinic=clinic, navigator=email, unassigned=person == NOBODY)
    return Chosen(clinic, own if person is None else person, limited, mine=own is not None)


def _own_number(choices: ScopeChoices) -> int | None:
    """The number of the person signed in among the navigators; None for a lead, who sees the whole clinic."""
    who = viewer()
    if who.may(May.LEAD):
        return None
    return next((number for number, email in choices.navigators.items() if email == who.email), None)


def _only(sooner: dict[str, int]) -> tuple[Only | None, str]:
    """Which of the overdue the address asks for, and in words."""
    if arguments.text("escalated") == "1":
        return Only(lead_after=sooner), "to be escalated"
    chosen = arguments.one_of("age", list(pictures.ages_by_code()))
    if chosen is None:
        return None, ""
    first, last = pictures.ages_by_code()[chosen]
    return Only(first, last), f"overdue for {pictures.age_words(first, last).lower()}"


def _kept() -> dict[str, str]:
    """What of the address stays while one goes through the list."""
    return {name: request.args[name] for name in ("age", "escalated") if request.args.get(name)}


def _shown(standing: Standing, only: Only | None) -> int:
    """How many there are of what the list shows."""
    if only is None:
        return standing.overdue
    if only.lead_after is not None:
        return standing.escalated
    return sum(n for days, n in standing.by_age.items() if only.first <= days and (only.last or days) >= days)


_SEEN_AT = {
    Look.IN_QUESTION: "Go to the messages in question",
    Look.WAITING: "Go to what waits",
    Look.QUIET: "See who hears less",
    Look.MACHINERY: "See how the machinery stands",
    Look.WITHOUT_NAVIGATOR: "Go to the cases with nobody responsible",
    Look.HAND_OVER: "Hand them over",
    Look.OVERDUE: "Go to the longest overdue in all your clinics",
}
_IN_THE_BANNER = ("scheduler", "clock")


def _alarms(session: Session, now: datetime) -> list[Alarm]:
    """What the banner at the top does not say already."""
    found = alarms.alarms(session, desk().settings, now, viewer().clinics(May.READ))
    return [alarm for alarm in found if alarm.id not in _IN_THE_BANNER]


def present(session: Session, items: Iterable[DueItem]) -> list[Row]:
    """Follow-ups in the words of the pathway that each case runs on."""
    may = set(session.scalars(select(Clinic.name).where(col(Clinic.id).in_(viewer().clinics(May.WRITE)))))
    return [_row(pathways.pinned(session, item.place.pathway), item, item.place.clinic in may) for item in items]


def _row(pathway: Pathway, item: DueItem, may: bool) -> Row:
    steps = presenters.steps_of(pathway, item.rule)
    return Row(
        item,
        presenters.activity_label(pathway, item.activity),
        presenters.state_label(pathway, item.place.state),
        presenters.urgency(item.status, item.days_overdue, steps),
        presenters.badges(pathway, item.why.sources),
        _acts(item) if may else [],
    )


def _acts(item: DueItem) -> list[Act]:
    """What is done most often about a follow-up; the worklist and the case page have the rest."""
    return [act for act in acts.possible(item.activity) if act.name in _OFTEN]


_OFTEN = ("done", "call", "booked")


def case_rows(session: Session, summaries: Iterable[CaseSummary]) -> list[CaseRow]:
    """Cases of a list, with the state in the words of the pathway that each runs on."""
    return [
        CaseRow(s, presenters.state_label(pathways.pinned(session, s.place.pathway), s.place.state)) for s in summaries
    ]


def _wants(session: Session, scope: Scope, standing: Standing) -> list[Want]:
    found = {
        "next-step": standing.without_next_step,
        "explanation": standing.unexplained,
        "navigator": standing.without_navigator,
    }
    return [
        Want(kind, *WANTS[kind], number, _first(session, kind, scope, standing) if number else [])
        for kind, number in found.items()
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


def _first(session: Session, wants: str, scope: Scope, standing: Standing) -> list[CaseRow]:
    return case_rows(session, overdue.in_want(session, wants, scope, standing.days, SHORT))


def _today(session: Session, now: datetime, standing: Standing, clinic: str | None) -> date:
    """The clinic's local date; without one, the date in most clinics."""
    if clinic is not None:
        return places.local_dates(session, now)[clinic]
    return overdue.today_of(standing.days, now)
