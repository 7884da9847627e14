"""A new patient: who it is, whether they are on record already, and then the case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from flask import Blueprint, abort, flash, make_response, render_template, request, url_for
from sqlmodel import Session, col, select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from tracker import cases, hand_overs, once, pathways
from tracker.access import May, Role
from tracker.clock import local_date
from tracker.duplicates import Candidate, Newcomer, candidates, find_alone
from tracker.errors import ChangeRefused
from tracker.models import Case, Clinic
from tracker.writing import Writing
from web import fields, presenters
from web.access import needs, shows, viewer
from web.desk import desk
from web.fields import Answers, Field
from workflows.limits import checked_name
from workflows.pathway import Pathway

pages = Blueprint("new_patient", __name__, url_prefix="/cases")

_SEXES = (("female", "Female"), ("male", "Male"), ("other", "Other"), ("unknown", "Not known"))


@dataclass(frozen=True, slots=True)
class Desk:
    """What the form needs to know: the clinics in which the person may open a case, and the pathway."""

    clinics: dict[str, Clinic]
    pathway: Pathway
    today: date
    proposal: str


@pages.route("/new", methods=["GET", "POST"])
@needs(May.WRITE)
def new() -> Response:
    """The form; then whoever may be the same patient; then the case."""
    with desk().database.reading() as session:
        place = _place(session)
        if request.method == "GET":
            return _page(place, _fields(place))
        answers = _read(place)
        if answers.problems:
            return _page(place, answers.fields, status=422)
    return _open(place, answers)


def _place(session: Session) -> Desk:
    may = viewer().clinics(May.WRITE)
    rows = session.exec(select(Clinic).where(col(Clinic.id).in_(sorted(may))).order_by(col(Clinic.name)))
    clinics = {clinic.name: clinic for clinic in rows}
    if not clinics:
        abort(403)
    zone = next(iter(clinics.values())).timezone
    return Desk(clinics, pathways.latest(session), local_date(desk().now(), zone), propose(session))


def propose(session: Session) -> str:
    """A reference that no case has yet."""
    number = (session.exec(select(Case.id).order_by(col(Case.id).desc()).limit(1)).first() or 0) + 1
    while session.exec(select(Case.id).where(Case.ref == f"C-{number:04}")).first() is not None:
        number += 1
    return f"C-{number:04}"


def _fields(place: Desk) -> tuple[Field, ...]:
    clinics = tuple((name, name) for name in place.clinics)
    states = tuple((state.name, state.title) for state in place.pathway.states if state.entry)
    only = clinics[0][0] if len(clinics) == 1 else ""
    return (
        Field("name", "Name", "text", required=True, help="First and family name, in any order."),
        Field("birth_date", "Born on", "date", high=place.today.isoformat()),
        Field("sex", "Sex", "choice", _SEXES),
        Field("mrn", "Record number", "text"),
        Field("clinic", "Clinic", "choice", clinics, required=True, value=only),
        fields.of_day(place.today, "Referred on"),
        Field("state", "Where on the pathway", "choice", states, required=True, value=place.pathway.initial),
        Field("navigator", "Navigator", "text", value=_me(), help="E-mail address. Blank: nobody is responsible yet."),
        Field("ref", "Case reference", "text", required=True, value=place.proposal),
    )


def _me() -> str:
    """Whoever is a navigator opens cases for themselves."""
    roles = {role for of_clinic in viewer().roles.values() for role in of_clinic}
    return viewer().email if Role.NAVIGATOR in roles else ""


def _read(place: Desk) -> Answers:
    answers = fields.read(place.pathway, _fields(place), request.form)
    wrong = {
        "name": _wrong_name(answers.data.get("name", "")),
        "ref": _wrong_reference(answers.data.get("ref", "")),
        "navigator": _wrong_navigator(place, answers.data),
    }
    marked = (replace(f, problem=wrong[f.name]) if f.value and wrong.get(f.name) else f for f in answers.fields)
    return Answers(tuple(marked), answers.data)


def _wrong_name(name: str) -> str:
    try:
        checked_name(name)
    except ValueError as error:
        return f"{presenters.sentence(str(error))}."
    return ""


def _wrong_reference(ref: str) -> str:
    try:
        cases.check_reference(ref)
    except ChangeRefused as refusal:
        return f"{presenters.sentence(refusal.reasons[0])}."
    return ""


def _wrong_navigator(place: Desk, data: dict[str, Any]) -> str:
    """Reminders to a mistyped address, or to another clinic's people, would reach nobody who can act on them."""
    clinic, email = place.clinics.get(data.get("clinic", "")), data.get("navigator")
    if clinic is None or clinic.id is None or not email:
        return ""
    with desk().database.reading() as session:
        fit = hand_overs.may_take(session, email, clinic.id)
    return "" if fit else f"Nobody with this address may look after cases of {clinic.name}."


def _newcomer(data: dict[str, Any]) -> Newcomer:
    birth = date.fromisoformat(data["birth_date"]) if data.get("birth_date") else None
    return Newcomer(data["name"], birth, tuple(filter(None, [data.get("mrn")])))


def _opening(data: dict[str, Any], ref: str, zone: str) -> dict[str, Any]:
    patient = {"ref": ref} | {name: data[name] for name in ("name", "birth_date", "sex", "mrn") if name in data}
    opening: dict[str, Any] = {"clinic": data["clinic"], "timezone": zone, "patient": patient}
    return opening | {name: data[name] for name in ("navigator", "state") if name in data}


def _open(place: Desk, answers: Answers) -> Response:
    """Open the case, unless this form has done so: a double click. Or ask, where somebody may be the same."""
    found: list[Candidate] = []
    try:
        with desk().writing() as writing:
            find_alone(writing.session)
            ref = _opened_before(writing.session, place, answers.data)
            if not ref:
                found = candidates(writing.session, _newcomer(answers.data), viewer().clinics(May.WRITE))
            if not ref and _answered(found):
                ref = _write(writing, place, answers.data, found)
    except ChangeRefused as refusal:
        return _page(place, answers.fields, found=found, reasons=refusal.reasons, status=422)
    if not ref:
        return _page(place, answers.fields, found=found)
    flash(f"The case {ref} is open. What is due first stands below.", "done")
    return redirect(url_for("cases.show", ref=ref, _anchor="said"), 303)


def _opened_before(session: Session, place: Desk, data: dict[str, Any]) -> str:
    """The case that this very form has opened; with something else in it, it is the form of another patient."""
    zone = place.clinics[data["clinic"]].timezone
    for case in once.opened_with(session, _token()):
        first = cases.events_of(session, case)[0]
        same = first.on.isoformat() == data["on"] and first.data == _opening(data, case.ref, zone)
        if same and first.actor == viewer().email:
            return case.ref
    return ""


def _token() -> str:
    return request.form.get("token", "")


def _reason() -> str:
    return request.form.get("anyway", "").strip()


def _answered(found: list[Candidate]) -> bool:
    """Whether it is said of each that it is another patient, by somebody who was shown them all."""
    shown = request.form.get("shown", "").split()
    return not found or (bool(_reason()) and all(one.place.ref in shown for one in found))


def _write(writing: Writing, place: Desk, data: dict[str, Any], found: list[Candidate]) -> str:
    """A proposed reference that somebody has taken meanwhile is replaced by the next."""
    ref, on = str(data["ref"]), date.fromisoformat(data["on"])
    if request.form.get("proposed") == ref:
        ref = _free(writing.session, ref)
    opening = _opening(data, ref, place.clinics[data["clinic"]].timezone)
    cases.open_case(writing, ref=ref, on=on, data=opening, event_id=once.event_id(_token()))
    if found:
        refs = ", ".join(one.place.ref for one in found)
        note = {"text": f"Opened although similar records stand ({refs}): {_reason()}"}
        cases.record(writing, ref=ref, kind="note:added", on=on, data=note)
    return ref


def _free(session: Session, ref: str) -> str:
    taken = session.exec(select(Case.id).where(Case.ref == ref)).first() is not None
    return propose(session) if taken else ref


def _page(
    place: Desk,
    shown: tuple[Field, ...],
    *,
    found: list[Candidate] | None = None,
    reasons: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    by_name = {field.name: field for field in shown}
    for one in found or []:
        shows(one.case_id, one.clinic_id)
    page = render_template(
        "new_patient.html",
        first=[by_name[name] for name in ("name", "birth_date", "sex", "mrn")],
        rest=[by_name[name] for name in ("clinic", "on", "state", "navigator", "ref")],
        proposal=request.form.get("proposed") or place.proposal,
        found=found or [],
        refused=reasons,
        reason=_reason(),
        asked="anyway" in request.form and not _reason(),
        token=_token() or once.new_token(),
        today=place.today,
        pathway=place.pathway,
    )
    return make_response(page, status)
