"""Handing over a caseload: which cases go to whom from when, after a look at it; or a stand-in for a while.

What goes today goes at once. What goes later, or is more than somebody can wait for, is noted, and the tick does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from sqlmodel import Session, col, select
from werkzeug.wrappers import Response

from tracker import casebook, hand_overs, overdue, pathways, people, planned
from tracker.access import May
from tracker.errors import ChangeRefused, UnknownThing
from tracker.hand_overs import Burden, Handed
from tracker.models import Absence, Person
from tracker.places import Scope
from tracker.planned import Intent
from tracker.words import count
from web import arguments, presenters
from web.access import case_unseen, needs, scope, viewer
from web.desk import desk
from web.recording import new_token
from workflows.dates import in_words
from workflows.limits import iso_day

pages = Blueprint("hand_over", __name__, url_prefix="/hand-over")

_LONGEST = 2000
_FARTHEST = timedelta(days=731)


@dataclass(frozen=True, slots=True)
class Giver:
    """Whose cases are looked at: their number and address, their cases, and who could take them or stand in.

    ``burdens`` are the first so many of ``total`` cases. An absence is one of every clinic: ``stand_ins`` are those
    who can open whatever they would hear of.
    """

    number: int
    email: str
    burdens: list[Burden]
    total: int
    states: dict[str, str]
    takers: list[str]
    stand_ins: list[str]
    absences: list[Absence]
    intents: list[Intent]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the form asks for; ``everything``: the cases that the page has no room for too."""

    to: str
    on: date
    reason: str
    refs: tuple[str, ...]
    everything: bool = False

    def number(self, giver: Giver) -> int:
        """How many cases would go."""
        return giver.total if self.everything else len(self.refs)

    def is_for_the_tick(self, today: date) -> bool:
        """Whether it is noted and done later."""
        return self.everything or self.on > today


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
        gone = _gone_before(session, wish, going)
    if gone and not going:
        return _report(giver, wish, gone)
    if problems:
        return _form(givers, giver, today, wish, problems)
    if request.form.get("sure") != "1":
        return render_template(
            "hand_over_preview.html",
            giver=giver,
            wish=wish,
            going=going,
            number=wish.number(giver),
            later=wish.is_for_the_tick(today),
            today=today,
            token=new_token(),
        )
    if wish.is_for_the_tick(today):
        return _plan(giver, wish, going)
    return _report(giver, wish, gone + _hand_over(wish, going))


@pages.post("/<int(max=2147483647):number>/call-off")
@needs(May.WRITE)
def call_off(number: int) -> Response:
    """What was noted for a later day does not happen."""
    with desk().database.reading() as session:
        givers = _givers(session)
    if number not in givers:
        abort(404)
    try:
        on = iso_day(request.form.get("on", ""))
    except ValueError:
        abort(400)
    with desk().writing() as writing:
        giver = writing.session.get_one(Person, number)
        to, limits = request.form.get("to", ""), _scope_of(giver.email)
        stay = planned.call_off(writing, giver=giver, to=to, on=on, scope=limits)
    flash(f"Called off: {count(stay, 'case stays', 'cases stay')} with {givers[number]}.", "done")
    return redirect(url_for("hand_over.index", person=number), 303)


@pages.post("/<int(max=2147483647):number>/absence")
@needs(May.WRITE)
def absence(number: int) -> Response:
    """Somebody is away, and somebody else hears of their reminders; the cases stay theirs."""
    with desk().database.reading() as session:
        givers = _givers(session)
        if number not in givers:
            abort(404)
        stand_ins = _giver(session, number, givers[number], _today(session)).stand_ins
    given, back = request.form, redirect(url_for("hand_over.index", person=number), 303)
    if given.get("stand_in") and given["stand_in"] not in stand_ins:
        flash("Choose somebody of the list to stand in.", "refused")
        return back
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
    return back


@pages.post("/<int(max=2147483647):number>/end-absence")
@needs(May.WRITE)
def end_absence(number: int) -> Response:
    """Somebody is back before an absence ends, or stays after all."""
    with desk().database.reading() as session:
        givers = _givers(session)
    if number not in givers:
        abort(404)
    try:
        first = iso_day(request.form.get("from", ""))
    except ValueError:
        abort(400)
    with desk().writing() as writing:
        ended = people.end_absence(writing, givers[number], first)
    if ended is None:
        flash("That absence is not noted any more.", "refused")
    else:
        flash(f"The absence of {givers[number]} from {in_words(first)} to {in_words(ended)} is ended.", "done")
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
    limits = _scope_of(email)
    burdens = hand_overs.burdens(session, number, limits, today)
    total = len(burdens) if len(burdens) < hand_overs.AT_ONCE else len(hand_overs.numbers(session, number, limits))
    states = {b.state: presenters.state_label(pathways.pinned(session, b.pathway), b.state) for b in burdens}
    clinics = {burden.clinic_id for burden in burdens} or scope(May.WRITE).clinics or ()
    person = session.exec(select(Person).where(col(Person.id) == number)).one()
    takers = hand_overs.successors(session, clinics, email)
    heard_of = [clinic.id for clinic in people.clinics_of(session, person) if clinic.id is not None]
    return Giver(
        number=number,
        email=email,
        burdens=burdens,
        total=total,
        states=states,
        takers=takers,
        stand_ins=hand_overs.at_home_in_each(session, takers, heard_of),
        absences=people.absences(session, person, today),
        intents=planned.intents(session, number, limits),
    )


def _today(session: Session) -> date:
    now = desk().now()
    return overdue.today_of(overdue.days_of(session, now, scope(May.WRITE)), now)


def _read(giver: Giver, today: date) -> tuple[Wish, list[str]]:
    form, problems = request.form, []
    try:
        on = iso_day(form.get("on", ""))
    except ValueError:
        on, problems = today, ["Give the day from which on somebody else looks after the cases."]
    if on > today + _FARTHEST:
        problems.append("Nobody knows who works here in more than two years. Choose an earlier day.")
    refs = tuple(b.ref for b in giver.burdens if b.ref in set(form.getlist("case")))
    everything = form.get("everything") == "1" and giver.total > len(giver.burdens)
    wish = Wish(form.get("to", ""), on, form.get("reason", "").strip()[:_LONGEST], refs, everything)
    problems += [] if wish.to in giver.takers else ["Choose who takes the cases over."]
    problems += [] if refs or everything else ["Choose at least one case."]
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


def _gone_before(session: Session, wish: Wish, going: list[Burden]) -> list[Handed]:
    """The cases that this very form has handed over already: a double click, or a page that was sent anew."""
    left = set(request.form.getlist("case")[: hand_overs.AT_ONCE]) - {burden.ref for burden in going}
    token = request.form.get("token", "")
    if not left or not token or wish.everything:
        return []
    try:
        return [Handed(ref) for ref in hand_overs.gone_with(session, left, token, scope(May.WRITE))]
    except ChangeRefused:
        return []


def _plan(giver: Giver, wish: Wish, going: list[Burden]) -> Response:
    back, given = redirect(url_for("hand_over.index", person=giver.number), 303), request.form.get("token", "")
    try:
        with desk().writing() as writing:
            person = writing.session.get_one(Person, giver.number)
            ids = [burden.case_id for burden in going]
            if wish.everything:
                ids = hand_overs.numbers(writing.session, giver.number, _scope_of(giver.email))
            planned.plan(writing, giver=person, case_ids=ids, to=wish.to, on=wish.on, reason=wish.reason, token=given)
    except ChangeRefused as refusal:
        flash(f"{presenters.sentence('; '.join(refusal.reasons))}.", "refused")
        return back
    words = f"{count(len(ids), 'case goes', 'cases go')} to {wish.to} from {in_words(wish.on)} on."
    flash(f"Noted: {words} Until then it can be called off below.", "done")
    return back


def _hand_over(wish: Wish, going: list[Burden]) -> list[Handed]:
    with desk().database.reading() as session:
        for burden in going:
            case_unseen(session, burden.ref, May.WRITE)
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
