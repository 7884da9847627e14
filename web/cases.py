"""The list of cases, and one case in full, as it stands or as it stood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, render_template
from sqlmodel import Session
from werkzeug.wrappers import Response

from tracker import casebook, overdue, pathways
from tracker.access import May
from tracker.casebook import CaseFile, CasePage, ToldReminder
from tracker.places import Scope
from web import arguments, case_view, charts, checklists, contacts, markers, presenters, reminder_rows, sheets, timeline
from web.access import case_for, looked_at, needs, scope, viewer
from web.dashboard import NOBODY, WANTS, case_rows, choose
from web.desk import desk
from workflows.errors import Refused
from workflows.events import effective

pages = Blueprint("cases", __name__, url_prefix="/cases")

PAGE = 100
FOLD = 25
"""Entries of a timeline that show at once; the earlier ones unfold."""


@pages.get("")
@needs(May.READ)
def index() -> str | Response:
    """Cases by reference; ``needs`` lists those in want of something, ``state`` those in one state, as they came."""
    with desk().database.reading() as session:
        choices = casebook.scope_choices(session, scope())
        chosen = choose(choices)
        kind = _kind(session)
        after = arguments.text("after") if kind.by_reference else arguments.number("after")
        page = _page_of(session, chosen.scope, kind, after)
        return render_template(
            "cases.html",
            rows=case_rows(session, page.items),
            after=page.after,
            first_part=after is None,
            kind=kind,
            limits=kind.address | chosen.arguments,
            title=_title(session, kind),
            wants=WANTS,
            choices=choices,
            chosen=chosen,
            nobody=NOBODY,
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """Which cases the list is about: what they want, the state they are in, or all, the closed ones too or not."""

    needs: str | None = None
    state: str | None = None
    closed: bool = False

    @property
    def by_reference(self) -> bool:
        return self.needs is None and self.state is None

    @property
    def address(self) -> dict[str, str | None]:
        """The same as arguments of an address."""
        return {"needs": self.needs, "state": self.state, "closed": "1" if self.closed else None}


def _kind(session: Session) -> Kind:
    needs = arguments.one_of("needs", list(overdue.WANTING))
    state = arguments.one_of("state", _states(session)) if arguments.text("state") and not needs else None
    return Kind(needs, state, closed=needs is None and state is None and arguments.text("closed") == "1")


def _states(session: Session) -> list[str]:
    return [name for pathway in pathways.ever(session) for name in pathway.state_named]


def _title(session: Session, kind: Kind) -> str:
    if kind.state is not None:
        return f"Cases in “{presenters.state_label(pathways.latest(session), kind.state)}”"
    return WANTS[kind.needs][0] if kind.needs else "All cases" if kind.closed else "Open cases"


def _page_of(session: Session, limits: Scope, kind: Kind, after: str | int | None) -> CasePage:
    if kind.needs is None:
        return casebook.cases_page(
            session, scope=limits, with_closed=kind.closed, state=kind.state, after=after, size=PAGE
        )
    clinics = overdue.days_of(session, desk().now(), limits)
    return overdue.page_in_want(session, kind.needs, limits, clinics, after=int(after or 0), size=PAGE)


@pages.get("/<ref>")
@needs(May.READ)
def show(ref: str) -> str:
    """One case; ``on`` shows what was true on a date, ``known`` what was known at a time."""
    now = desk().now()
    with desk().database.reading() as session:
        case_for(session, ref, May.READ)
        zone = casebook.timezone_of(session, ref)
        on, known = arguments.day("on"), arguments.moment("known", zone)
        try:
            file = casebook.case_file(session, ref, now=now, on=on, known=known)
        except Refused:
            abort(400, "What was known at that time does not make a whole account. Choose another time.")
        newest = pathways.latest(session).digest
        past = on is not None or known is not None
        told = [] if past else casebook.reminders_of(session, file.row.id)
        extra = {
            "may_write": not past and viewer().may(May.WRITE, file.row.clinic_id),
            "may_lead": not past and viewer().may(May.LEAD, file.row.clinic_id),
            "joined": _joined(session, file),
            "numbers": {} if past else casebook.open_numbers(session, file.row.id),
        }
    return _page(file, past, known, newest, told, extra)


@dataclass(frozen=True, slots=True)
class Joined:
    """Another record of the patient, and its entries that can be carried over."""

    ref: str
    entries: list[timeline.Entry]


def _joined(session: Session, file: CaseFile) -> list[Joined]:
    """The records that were merged into this one, as far as the person may see them."""
    found = []
    for ref in file.plan.history.joined:
        if not casebook.is_within(session, replace(scope(), case=ref)):
            continue
        other = casebook.case_file(session, ref, now=desk().now())
        standing = {event.id for event in effective(other.events) if sheets.can_be_carried(event)}
        carried = {event.id for event in file.events}
        looked_at(other.row)
        entries = [e for e in timeline.entries(other) if e.id in standing]
        found.append(Joined(ref, [e for e in entries if f"f-{sheets.carried_token(ref, e.id)}" not in carried]))
    return found


def _page(
    file: CaseFile,
    past: bool,
    known: datetime | None,
    newest: str,
    told: list[ToldReminder],
    extra: dict[str, Any],
) -> str:
    history = file.plan.history
    birth = file.patient.birth_date
    pathway = history.pathway
    reminders = reminder_rows.reminders(history, file.plan, told)
    return render_template(
        "case.html",
        file=file,
        history=history,
        pathway=pathway,
        pathway_digest=None if pathway.digest == newest else pathway.digest,
        today=file.today,
        printed_at=desk().now(),
        past=past,
        known=known,
        age=presenters.age(birth, history.died_on or file.today) if birth else None,
        state=pathway.state_named[history.state],
        track=case_view.track(history),
        items=case_view.open_items(file),
        past_items=case_view.past_items(file),
        forecast=case_view.forecast(file),
        warnings=case_view.warnings(history),
        steps=case_view.steps(history, file.today),
        facts=case_view.facts(history),
        differing=case_view.differing(history),
        unknown=case_view.unknown_facts(history),
        staging=case_view.staging(history),
        lines=case_view.lines(history),
        checklists=checklists.checklists(history),
        guidance=checklists.guidance(history),
        contacts=contacts.contacts(file),
        notes=contacts.notes(file),
        reminders=reminders,
        entries=timeline.with_reminders(timeline.entries(file), reminders, file.clinic.timezone),
        fold=FOLD,
        planned=history.planned,
        **extra,
        way=charts.way(history, file.today),
        therapy=charts.therapy(history, file.today),
        doses=charts.dose_list(history, file.events),
        plots=markers.plots(history, file.events),
        loose=markers.loose(history, file.events),
        barriers=case_view.barriers(history),
        decisions=sorted(history.decisions, key=lambda d: d.meeting_on, reverse=True),
    )
