"""Handing over a caseload: which cases go to whom from when, after a look at it; or a stand-in for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlmodel import Session, col, select
from werkzeug.wrappers import Response

from tracker import casebook, hand_overs, overdue, pathways, people
from tracker.access import May
from tracker.errors import ChangeRefused, UnknownThing
from tracker.hand_overs import Burden, Handed
from tracker.models import Absence, Person
from tracker.places import Scope
from web import arguments, presenters
from web.access import case_for, needs, scope, viewer
from web.desk import desk
from web.recording import new_token
from workflows.dates import in_words
from workflows.limits import iso_day

pages = Blueprint("hand_over", __name__, url_prefix="/hand-over")

_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Giver:
    """Whose cases are looked at: their number and address, their cases, and who could take them."""

    number: int
    email: str
    burdens: list[Burden]
    states: dict[str, str]
    takers: list[str]
    absences: list[Absence]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the form asks for."""

    to: str
    on: date
    reason: str
    refs: tuple[str, ...]


@pages.get("")
@needs(May.WRITE)
def index() -> str:
    """Whose cases, and the form for all or some of them."""
    with desk().database.reading() as session:
        today, givers = _today(session), _givers(session)
        number = arguments.number("person")
        if number is None:
            number = next((n for n, email in givers.items() if email == viewer().email), None)
        if number is not None and number not in givers:
            abort(404)
        giver = _giver(session, number, givers[number], today) if number is not None else None
    wish = Wish("", today, "", tuple(b.ref for b in giver.burdens) if giver else ())
    return _form(givers, giver, today, wish)


@pages.post("/<int(max=2147483647):number>")
@needs(May.WRITE)
def act(number: int) -> str | Response:
    """A look at what would go, and then the hand-over itself."""
    with desk().database.reading() as session:
        today, givers = _today(session), _givers(session)
        if number not in givers:
            abort(404)
        giver = _giver(session, number, givers[number], today)
        wish, problems = _read(giver, today)
        going = [burden for burden in giver.burdens if burden.ref in wish.refs]
        problems += _of_cases(session, wish, going)
    if problems:
        return _form(givers, giver, today, wish, problems)
    if request.form.get("sure") != "1":
        return render_template(
            "hand_over_preview.html", giver=giver, wish=wish, going=going, today=today, token=new_token()
        )
    return _report(giver, wish, _hand_over(wish, going))


@pages.post("/<int(max=2147483647):number>/absence")
@needs(May.WRITE)
def absence(number: int) -> Response:
    """Somebody is away, and somebody else hears of their reminders; the cases stay theirs."""
    with desk().database.reading() as session:
        givers = _givers(session)
    if number not in givers:
        abort(404)
    given = request.form
    try:
        first, last = iso_day(given.get("from", "")), iso_day(given.get("until", ""))
        with desk().writing() as writing:
            people.set_away(writing, givers[number], first, last, given.get("stand_in") or None)
    except ValueError:
        flash("Give the first and the last day of the absence.", "refused")
    except (ChangeRefused, UnknownThing) as refusal:
        flash(f"{presenters.sentence('; '.join(refusal.reasons))}.", "refused")
    else:
        flash(f"{givers[number]} is away from {in_words(first)} to {in_words(last)}.", "done")
    return redirect(url_for("hand_over.index", person=number), 303)


# Who and what ----------------------------------------------------------------------------------------------


def _givers(session: Session) -> dict[int, str]:
    """Whose cases may be handed over: one's own, and in the clinics that one leads everybody's."""
    led = casebook.scope_choices(session, scope(May.LEAD)).navigators if viewer().may(May.LEAD) else {}
    own = select(Person).where(Person.email == viewer().email)
    return {person.id: person.email for person in session.exec(own) if person.id is not None} | led


def _scope_of(email: str) -> Scope:
    return scope(May.WRITE if email == viewer().email else May.LEAD)


def _giver(session: Session, number: int, email: str, today: date) -> Giver:
    burdens = hand_overs.burdens(session, number, _scope_of(email), today)
    states = {b.state: presenters.state_label(pathways.pinned(session, b.pathway), b.state) for b in burdens}
    clinics = {burden.clinic_id for burden in burdens} or scope(May.WRITE).clinics or ()
    person = session.exec(select(Person).where(col(Person.id) == number)).one()
    away = people.absences(session, person, today)
    return Giver(number, email, burdens, states, hand_overs.successors(session, clinics, email), away)


def _today(session: Session) -> date:
    now = desk().now()
    return overdue.today_of(overdue.days_of(session, now, scope(May.WRITE)), now)


def _read(giver: Giver, today: date) -> tuple[Wish, list[str]]:
    form, problems = request.form, []
    try:
        on = iso_day(form.get("on", ""))
    except ValueError:
        on, problems = today, ["Give the day from which on somebody else looks after the cases."]
    if on > today:
        problems.append("A hand-over is recorded on its day or later. Until then, name a stand-in below.")
    refs = tuple(b.ref for b in giver.burdens if b.ref in set(form.getlist("case")))
    wish = Wish(form.get("to", ""), on, form.get("reason", "").strip()[:_LONGEST], refs)
    problems += [] if wish.to in giver.takers else ["Choose who takes the cases over."]
    problems += [] if refs else ["Choose at least one case."]
    return wish, problems


def _of_cases(session: Session, wish: Wish, going: list[Burden]) -> list[str]:
    """Cases that cannot go like this, in words."""
    problems = [
        f"{b.ref} was opened on {in_words(b.opened_on)}, after {in_words(wish.on)}."
        for b in going
        if b.opened_on > wish.on
    ]
    clinics = {b.clinic_id: b.clinic for b in going}
    strangers = [
        name for number, name in clinics.items() if wish.to and not hand_overs.may_take(session, wish.to, number)
    ]
    return problems + [f"{wish.to} has no role in {name}." for name in strangers]


def _hand_over(wish: Wish, going: list[Burden]) -> list[Handed]:
    with desk().database.reading() as session:
        for burden in going:
            case_for(session, burden.ref, May.WRITE)
    refs, token = [burden.ref for burden in going], request.form.get("token", "")
    return hand_overs.hand_over(desk().writing, refs=refs, to=wish.to, on=wish.on, reason=wish.reason, token=token)


def _form(
    givers: dict[int, str], giver: Giver | None, today: date, wish: Wish, problems: list[str] | None = None
) -> str:
    return render_template(
        "hand_over.html", givers=givers, giver=giver, today=today, wish=wish, problems=problems or []
    )


def _report(giver: Giver, wish: Wish, handed: list[Handed]) -> str:
    gone = [one for one in handed if not one.reasons]
    stayed = [one for one in handed if one.reasons]
    return render_template("hand_over_report.html", giver=giver, wish=wish, gone=gone, stayed=stayed)
