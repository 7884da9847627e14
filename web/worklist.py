"""The worklist: what is open, limited and in order, with what can be done about each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from sqlmodel import Session, col, select
from werkzeug.wrappers import Response as Answer

from tracker import casebook, pathways, search, views, worklist
from tracker.access import May
from tracker.casebook import CaseSummary
from tracker.lanes import Filters
from tracker.models import IS_OPEN, Clinic, FollowUpRow, Person
from tracker.places import Scope
from tracker.worklist import COUNTED, Place, WorkItem, WorkPage
from web import acts, asked, csv_file, presenters
from web.access import needs, scope, viewer
from web.acts import Act
from web.asked import Question
from web.columns import COLUMNS, chosen_columns
from web.desk import desk
from web.presenters import Urgency
from workflows.pathway import Pathway

pages = Blueprint("worklist", __name__, url_prefix="/worklist")

PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A line in words, and what the person may do about it."""

    item: WorkItem
    label: str
    state: str
    treatment: str
    urgency: Urgency
    acts: list[Act]

    @property
    def by_moving(self) -> bool:
        return acts.by_moving(self.item.due.activity)

    @property
    def address(self) -> str:
        """The page of the case. What can be done about the line stands below it, and is not asked for each time."""
        return url_for("cases.show", ref=self.item.due.place.ref)

    @property
    def target(self) -> str:
        """The follow-up as a form names it: which one, and when it was due as the person saw it."""
        return f"{self.item.id}~{self.item.due.due_on.isoformat()}"

    @property
    def cells(self) -> dict[str, str]:
        """Every column in words, by its name."""
        return {name: column.tell(self.item, self.state, self.treatment) for name, column in COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class Asking:
    """A question with everything that had to be looked up for it."""

    question: Question
    filters: Filters
    scope: Scope
    pathway: Pathway
    people: dict[int, str]
    choices: dict[str, Any]
    words: str | None = None
    found: list[CaseSummary] | None = None


@pages.get("")
@needs(May.READ)
def index() -> Answer:
    """The list; for a script that only wants the lines again, those alone."""
    with desk().database.reading() as session:
        asking = ask(session, _question(session))
        page = _page(session, asking)
        known = {
            "asking": asking,
            "rows": present(session, page.items),
            "page": page,
            "number": worklist.number(session, now=desk().now(), scope=asking.scope, filters=asking.filters),
            "at_most": COUNTED,
            "chips": asked.chips(asking.question, asking.pathway, asking.people, asking.words),
            "views": views.views_of(session, viewer().account_id),
            "columns": chosen_columns(session, len(asking.choices["clinics"])),
            "all_columns": COLUMNS,
            "acts": list(acts.ACTS.values()),
            "back": here(asking.question),
            "choices": asking.choices,
            "pathway": asking.pathway,
        }
    part = request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    answer = make_response(render_template("worklist_list.html" if part else "worklist.html", **known))
    answer.headers["Vary"] = "HX-Request"
    return answer


def here(question: Question) -> str:
    """The address of this page, for a form that leads back to it."""
    places: dict[str, Any] = {name: request.args[name] for name in asked.PLACES if name in request.args}
    return url_for("worklist.index", **places, **question.address)


def _question(session: Session) -> Question:
    """What the address asks; without anything, the view that the person starts with, or what is theirs to do now."""
    if any(name in request.args for name in (*asked.NAMES, *asked.PLACES)):
        return asked.read(request.args)
    start = views.start_of(session, viewer().account_id)
    if start is not None:
        return asked.of_text(start.question)
    mine = {"who": "mine"} if _looks_after_cases(session) else {}
    return Question(mine | {"status": "now"})


def _looks_after_cases(session: Session) -> bool:
    """Whether the list begins with what is one's own: not for a lead with nothing open, who sees the whole clinic."""
    me = _myself(session)
    if me is None or not viewer().may(May.LEAD):
        return me is not None
    own = select(FollowUpRow.id).where(IS_OPEN, FollowUpRow.navigator_id == me).limit(1)
    return session.exec(own).first() is not None


def ask(session: Session, question: Question) -> Asking:
    """Look up what a question needs."""
    limits = scope(May.READ)
    choices = casebook.scope_choices(session, limits)
    numbers = {c.name: c.id or 0 for c in _clinics(session, limits)}
    words, found = _search(session, question, limits)
    cases = None if found is None else tuple(summary.place.ref for summary in found)
    filters = asked.filters(question, me=_myself(session), clinics=numbers, cases=cases)
    return Asking(
        question,
        filters,
        limits,
        pathway := pathways.latest(session),
        choices.navigators,
        asked.choices(pathway, choices, filters.who),
        words,
        found,
    )


def _clinics(session: Session, limits: Scope) -> list[Clinic]:
    return list(session.exec(select(Clinic).where(col(Clinic.id).in_(sorted(limits.clinics or ())))))


def _myself(session: Session) -> int | None:
    """The person signed in as somebody who looks after cases."""
    return session.exec(select(Person.id).where(Person.email == viewer().email)).first()


def _search(session: Session, question: Question, limits: Scope) -> tuple[str | None, list[CaseSummary] | None]:
    token = question.parts.get("found")
    if token is None:
        return None, None
    words = views.words_of(session, viewer().account_id, token, desk().now())
    return words, search.find(session, words, limits) if words else []


def _page(session: Session, asking: Asking) -> WorkPage:
    after, before = (_place(name, asking.question) for name in asked.PLACES)
    return worklist.page(
        session,
        now=desk().now(),
        scope=asking.scope,
        filters=asking.filters,
        order=asking.question.order,
        after=after,
        before=before,
        size=PAGE,
    )


def _place(name: str, question: Question) -> Place | None:
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        return worklist.place(text, question.order)
    except ValueError:
        abort(400, "The place in the list is not in the expected form. Start again from the top of the list.")


def present(session: Session, items: Iterable[WorkItem]) -> list[Row]:
    """Lines in the words of the pathway that each case runs on."""
    return [_row(pathways.pinned(session, item.due.place.pathway), item) for item in items]


def _row(pathway: Pathway, item: WorkItem) -> Row:
    due = item.due
    steps = presenters.steps_of(pathway, due.rule)
    may = viewer().may(May.WRITE, item.clinic_id)
    return Row(
        item,
        presenters.activity_label(pathway, due.activity),
        presenters.state_label(pathway, due.place.state),
        " + ".join(asked.treatment_words(pathway, code) for code in item.treatments),
        presenters.urgency(due.status, due.days_overdue, steps),
        acts.possible(due.activity) if may else [],
    )


# Search ----------------------------------------------------------------------------------------------------


@pages.post("/search")
@needs(May.READ)
def seek() -> Answer:
    """Keep the words that somebody looks for, and show what they find; the address carries a number alone."""
    words = request.form.get("words", "").strip()
    if not words:
        return redirect(url_for("worklist.index"), 303)
    with desk().writing() as writing:
        token = views.keep_words(writing, viewer().account_id, words)
    return redirect(url_for("worklist.index", who="anyone", found=token), 303)


# As a file -------------------------------------------------------------------------------------------------


@pages.get("/list.csv")
@needs(May.READ)
def as_file() -> Response:
    """Everything that the list would show, not only this page, with the columns shown. That is noted first."""
    with desk().database.reading() as session:
        asking = ask(session, _question(session))
        columns = chosen_columns(session, len(asking.choices["clinics"]))
    return csv_file.answer(asking, columns, _all_rows(asking))


def _all_rows(asking: Asking) -> Iterator[Row]:
    place = desk()
    with place.database.reading() as session:
        found = worklist.every(
            session, now=place.now(), scope=asking.scope, filters=asking.filters, order=asking.question.order
        )
        for item in found:
            yield _row(pathways.pinned(session, item.due.place.pathway), item)
