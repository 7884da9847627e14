"""The worklist: what it holds, how it is limited and ordered, its pages, and that an index serves them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import casebook, cases, lanes, meetings, overdue, worklist
from tracker.lanes import Filters, Order
from tracker.ledger import verify
from tracker.models import Case, Clinic, FollowUpRow, MeetingItem, Patient, Person
from tracker.places import Scope
from tracker.worklist import WorkItem

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def opened(place: Installation, ref: str, on: str, name: str | None = None, **data: Any) -> None:
    patient = {"ref": f"P-{ref}", "name": name, "mrn": f"M{ref}"}
    told = {"clinic": "North", "timezone": "Europe/London", "navigator": "ana@example.org", "patient": patient}
    with place.writing() as writing:
        cases.open_case(writing, ref=ref, on=date.fromisoformat(on), data=told | data)


def record(place: Installation, ref: str, on: str, kind: str, **data: Any) -> None:
    with place.writing() as writing:
        cases.record(writing, ref=ref, kind=kind, on=date.fromisoformat(on), data=data)


def shown(place: Installation, order: Order = Order.URGENCY, now: datetime = NOW, **filters: Any) -> list[WorkItem]:
    with place.database.reading() as session:
        limits = Filters(**filters)
        found = worklist.page(session, now=now, filters=limits, order=order, size=200).items
        assert worklist.number(session, now=now, filters=limits) == len(found)
        return found


def cases_in(found: list[WorkItem]) -> set[str]:
    return {item.due.place.ref for item in found}


SOUTH = {"clinic": "South", "timezone": "America/New_York", "navigator": "ben@example.org"}


@pytest.fixture
def full(place: Installation) -> Installation:
    """Cases of two clinics: on treatment, in work-up, without a next step, without a navigator, closed."""
    place.replay(lanreotide("N-001"))
    record(place, "N-001", "2026-11-20", "activity:done", activity="markers")
    opened(place, "N-002", "2026-10-01", "Zoë Abel", navigator=None)
    opened(place, "N-003", "2026-11-10", "Émile Brandt", state="localized.planning")
    opened(place, "S-001", "2026-06-01", "abel, Wim", state="advanced.monitoring", **SOUTH)
    record(place, "S-001", "2026-06-02", "fact:recorded", ki67_percent=30, differentiation="well", syndrome="carcinoid")
    opened(place, "N-004", "2026-01-10", "Gone", state="advanced.monitoring")
    record(place, "N-004", "2026-02-10", "state:changed", trigger="record_death")
    return place


def people(place: Installation) -> dict[str, int]:
    with place.database.reading() as session:
        return {email: id_ or 0 for id_, email in session.exec(select(Person.id, Person.email))}


def clinics(place: Installation) -> dict[str, int]:
    with place.database.reading() as session:
        return {name: id_ or 0 for id_, name in session.exec(select(Clinic.id, Clinic.name))}


# What it holds and how it is limited -----------------------------------------------------------------------


def test_every_open_follow_up_is_there_longest_overdue_first(full: Installation) -> None:
    found = shown(full)
    assert cases_in(found) == {"N-001", "N-002", "N-003", "S-001"}
    late = [item.due.late_on for item in found]
    assert late == sorted(late)
    with full.database.reading() as session:
        in_all = session.exec(select(FollowUpRow.id).where(FollowUpRow.status == "open")).all()
    assert sorted(item.id for item in found) == sorted(id_ for id_ in in_all if id_)


def test_a_person_sees_theirs_and_nobodys_are_apart(full: Installation) -> None:
    ids = people(full)
    assert cases_in(shown(full, who=ids["ana@example.org"])) == {"N-001", "N-003"}
    assert cases_in(shown(full, who=ids["ben@example.org"])) == {"S-001"}
    assert cases_in(shown(full, who=lanes.NOBODY)) == {"N-002"}


def test_a_rule_that_asks_for_what_was_requested_shows_it(full: Installation) -> None:
    record(full, "N-002", "2026-10-02", "test:requested", activity="pth", reason="calcium")
    assert [item.due.activity for item in shown(full, rule="workup-requested")] == ["pth"]


def test_each_filter_keeps_what_it_says(full: Installation) -> None:
    south = clinics(full)["South"]
    assert cases_in(shown(full, clinic=south)) == {"S-001"}
    assert cases_in(shown(full, phase="workup")) == {"N-002"}
    assert cases_in(shown(full, state="localized.planning")) == {"N-003"}
    assert cases_in(shown(full, treatment="lanreotide")) == {"N-001"}
    assert cases_in(shown(full, treatment=lanes.NONE)) == {"N-002", "N-003", "S-001"}
    assert cases_in(shown(full, grade="G1")) == {"N-001"}
    assert cases_in(shown(full, grade="G3")) == {"S-001"}
    assert cases_in(shown(full, grade=lanes.UNKNOWN)) == {"N-002", "N-003"}
    assert cases_in(shown(full, functional="yes")) == {"S-001"}
    assert cases_in(shown(full, functional="no")) == {"N-001"}
    assert cases_in(shown(full, functional="unknown")) == {"N-002", "N-003"}
    assert cases_in(shown(full, next_step=True)) == {"N-003"}
    assert cases_in(shown(full, cases=("N-002", "S-001", "X-9"))) == {"N-002", "S-001"}
    assert {item.due.activity for item in shown(full, activity="injection")} == {"injection"}
    assert {item.due.rule for item in shown(full, rule="treatment-visit")} == {"treatment-visit"}
    assert shown(full, cases=()) == []


def test_statuses_and_lateness_are_those_of_the_day(full: Installation) -> None:
    everything = shown(full)
    for status in ("overdue", "due", "upcoming"):
        assert {item.due.status for item in shown(full, status=status)} == {status}
    assert [i.id for i in shown(full, status="now")] == [i.id for i in everything if i.due.status != "upcoming"]
    late = [item for item in everything if item.due.days_overdue >= 30]
    assert late
    assert [item.id for item in shown(full, late_by=30)] == [item.id for item in late]


def test_warned_cases_are_kept_apart(full: Installation) -> None:
    assert cases_in(shown(full, warned=True)) == {i.due.place.ref for i in shown(full) if i.warnings}


def test_what_is_booked_or_put_off_is_not_to_do(full: Installation) -> None:
    record(full, "N-001", "2026-11-20", "activity:booked", activity="injection", **{"for": "2026-11-25"})
    record(full, "N-001", "2026-11-20", "activity:snoozed", activity="visit", until="2026-11-24")
    left = {item.due.activity for item in shown(full, to_do=True, treatment="lanreotide")}
    assert "injection" not in left
    assert "visit" not in left
    after = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
    left = {item.due.activity for item in shown(full, now=after, to_do=True, treatment="lanreotide")}
    assert {"injection", "visit"} <= left


def test_filters_together_leave_what_all_of_them_keep(full: Installation) -> None:
    ana = people(full)["ana@example.org"]
    assert cases_in(shown(full, who=ana, treatment="lanreotide", grade="G1", status="overdue")) == {"N-001"}
    assert shown(full, who=ana, treatment="lanreotide", grade="G2") == []


def test_a_treatment_is_found_beside_others(full: Installation) -> None:
    for code in ("prrt", "everolimus", "sunitinib"):
        record(
            full, "N-001", "2026-05-01", "state:changed", trigger="start_line", treatment=code,
            intent="disease-control", concurrent=True, reasons=dict.fromkeys(_WARNED[code], "because"),
        )  # fmt: skip
        assert cases_in(shown(full, treatment="lanreotide")) == {"N-001"}
        assert cases_in(shown(full, treatment=code)) == {"N-001"}
    with full.database.reading() as session:
        assert cases.find(session, "N-001").treatments == "many"
        assert verify(session, now=NOW, chain_key=full.secret.derive("event chain")).wrong == []


_WARNED = {
    "prrt": ["prrt-without-high-uptake"],
    "everolimus": ["targeted-without-progression"],
    "sunitinib": ["targeted-without-progression"],
}


def test_a_scope_is_never_left(full: Installation) -> None:
    north = Scope(clinics=frozenset({clinics(full)["North"]}))
    with full.database.reading() as session:
        for filters in (Filters(), Filters(cases=("S-001",)), Filters(who=people(full)["ben@example.org"])):
            for order in Order:
                found = worklist.page(session, now=NOW, scope=north, filters=filters, order=order)
                assert "S-001" not in cases_in(found.items)
        assert worklist.page(session, now=NOW, scope=Scope(clinics=frozenset())).items == []
        assert worklist.number(session, now=NOW, scope=Scope(clinics=frozenset())) == 0
        everybody = [item.id for item in shown(full)]
        assert cases_in(worklist.items(session, NOW, north, everybody)) == {"N-001", "N-002", "N-003"}


def test_verify_notices_a_wrong_column(full: Installation) -> None:
    for column, value in (("treatments", "prrt"), ("grade", "G2"), ("functional", True), ("sort_name", "x")):
        with full.database.writing() as session:
            was = session.execute(text(f"SELECT {column} FROM patient_case WHERE ref = 'N-001'")).scalar()
            session.execute(text(f"UPDATE patient_case SET {column} = :v WHERE ref = 'N-001'"), {"v": value})
        with full.database.reading() as session:
            wrong = verify(session, now=NOW, chain_key=full.secret.derive("event chain")).wrong
        assert len(wrong) == 1, column
        assert column in wrong[0]
        with full.database.writing() as session:
            session.execute(
                text(f"UPDATE patient_case SET {column} = :v WHERE ref = 'N-001'"), {"v": _bool(was, column)}
            )


def _bool(value: Any, column: str) -> Any:
    return bool(value) if column == "functional" else value


# Complaints of the users of other trackers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "zone, last_minute",
    [
        ("Pacific/Kiritimati", datetime(2026, 11, 21, 9, 59, tzinfo=UTC)),
        ("Europe/London", datetime(2026, 11, 21, 23, 59, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 11, 22, 7, 59, tzinfo=UTC)),
    ],
)
def test_what_is_due_today_stays_due_all_day_in_its_clinics_own_zone(
    place: Installation, zone: str, last_minute: datetime
) -> None:
    """The last day of the window is 21 November, wherever the clinic is."""
    place.now = last_minute
    opened(place, "Z-1", "2026-10-24", clinic="Z", timezone=zone)
    first_minute = last_minute - timedelta(hours=23, minutes=59)
    for moment in (first_minute, last_minute):
        (item,) = [i for i in shown(place, now=moment, status="due") if i.due.late_on == date(2026, 11, 21)]
        assert (item.today, item.due.status) == (date(2026, 11, 21), "due")
        assert shown(place, now=moment, status="overdue") == []
    (item,) = shown(place, now=last_minute + timedelta(minutes=1), status="overdue")
    assert item.due.days_overdue == 1


def test_what_is_years_late_stays_in_the_list_and_at_its_top(place: Installation) -> None:
    opened(place, "Old-1", "2019-05-01")
    opened(place, "New-1", "2026-10-01")
    found = shown(place, status="overdue")
    assert found[0].due.place.ref == "Old-1"
    assert found[0].due.days_overdue > 7 * 365
    assert cases_in(shown(place, late_by=365)) == {"Old-1"}


# Pages ------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(place: Installation) -> Installation:
    """2,400 cases of three clinics with two follow-ups each, many on the same day; written without histories."""
    opened(place, "A-0", "2026-10-01", "Zz")
    opened(place, "B-0", "2026-10-01", "Zz", clinic="South", timezone="America/New_York", navigator="ben@example.org")
    opened(place, "C-0", "2026-10-01", "Zz", clinic="West", timezone="Europe/Lisbon", navigator="ben@example.org")
    with place.database.writing() as session:
        for case in session.exec(select(Case).order_by(Case.ref)).all():
            _copy(session, case)
    if place.database.is_postgresql:
        with place.database.engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    return place


_STATES = ("advanced.monitoring", "workup.staging", "therapy.active", "localized.planning")
EACH = 800


def _copy(session: Session, model: Case) -> None:
    """Cases like this one, each in another state and with another name."""
    first = (model.id or 0) * 10_000
    numbers = range(first + 1, first + EACH + 1)
    session.execute(insert(Patient), [{"id": n, "ref": f"M-{n}", "name": f"Name {n % 97}"} for n in numbers])
    session.execute(insert(Case), [model.model_dump() | _case(n) for n in numbers])
    session.execute(insert(FollowUpRow), [_row(model, n, k) for n in numbers for k in (0, 1)])


def _case(n: int) -> dict[str, Any]:
    state = _STATES[n % 4]
    return {
        "id": n,
        "ref": f"M-{n}",
        "patient_id": n,
        "state": state,
        "phase": state.partition(".")[0],
        "sort_name": f"name {n % 97}",
        "treatments": "lanreotide" if n % 4 == 2 else None,
        "grade": f"G{n % 3 + 1}",
    }


def _row(model: Case, n: int, k: int) -> dict[str, Any]:
    due = date(2025, 1, 1) + timedelta(days=(n * 7 + k * 311) % 900)
    return {
        "case_id": n, "clinic_id": model.clinic_id, "navigator_id": model.navigator_id, "key": f"k{k}",
        "rule": "treatment-visit", "activity": "visit" if k else "imaging", "occurrence": 1, "anchor_on": due,
        "opens_on": due - timedelta(days=14), "due_on": due, "late_on": due + timedelta(days=14 if k else 21),
        "status": "open", "created_on": due, "why": _WHY,
    }  # fmt: skip


_WHY = (
    '{"rule":"treatment-visit","title":"t","because":"b","arithmetic":"a","window":"w","ends_when":"e","note":"",'
    '"sources":["S63"]}'
)


def walk(place: Installation, order: Order, filters: Filters, size: int, **scope: Any) -> list[list[WorkItem]]:
    """Every page from the top to the end."""
    found, after = [], None
    with place.database.reading() as session:
        while True:
            page = worklist.page(
                session, now=NOW, filters=filters, order=order, after=after, size=size, scope=Scope(**scope)
            )
            found.append(page.items)
            if page.after is None:
                return found
            after = worklist.place(page.after.text(), order)


_SORTED_BY = {
    Order.URGENCY: lambda item: (item.due.late_on, item.id),
    Order.DUE: lambda item: (item.due.due_on, item.id),
    Order.PATIENT: lambda item: (item.due.place.patient_name, item.case_id, item.id),
    Order.STATE: lambda item: (item.due.place.state, item.case_id, item.id),
}


def test_pages_hold_each_line_once_in_order_both_ways(many: Installation) -> None:
    for order in Order:
        _page_through(many, order)


def _page_through(many: Installation, order: Order) -> None:
    filters = Filters(phase="workup", status="overdue")
    with many.database.reading() as session:
        whole = list(worklist.every(session, now=NOW, filters=filters, order=order, at_a_time=97))
    assert len(whole) > 500
    keys = [_SORTED_BY[order](item) for item in whole]
    assert all(one < other for one, other in pairwise(keys))
    pages = walk(many, order, filters, 100)
    assert [item.id for page in pages for item in page] == [item.id for item in whole]
    with many.database.reading() as session:
        last = worklist.page(session, now=NOW, filters=filters, order=order, size=100)
        forth = [last]
        while last.after:
            last = worklist.page(session, now=NOW, filters=filters, order=order, after=last.after, size=100)
            forth.append(last)
        assert forth[0].before is None
        back = [last]
        while back[-1].before:
            back.append(worklist.page(session, now=NOW, filters=filters, order=order, before=back[-1].before, size=100))
    assert {i.id for page in back for i in page.items} == {item.id for item in whole}
    assert [i.id for i in back[1].items] == [i.id for i in forth[-2].items]


def test_a_page_goes_on_where_it_ended_though_lines_before_it_are_done(many: Installation) -> None:
    with many.database.reading() as session:
        first = worklist.page(session, now=NOW, size=50)
        second = worklist.page(session, now=NOW, after=first.after, size=50)
    with many.database.writing() as session:
        for item in (*first.items[-5:], second.items[0]):
            session.execute(
                text("UPDATE follow_up SET status = 'done', ended_on = '2026-11-21' WHERE id = :id"), {"id": item.id}
            )
    with many.database.reading() as session:
        again = worklist.page(session, now=NOW, after=first.after, size=49)
    assert [item.id for item in again.items] == [item.id for item in second.items[1:]]


def test_more_than_a_thousand_are_not_counted(many: Installation) -> None:
    with many.database.reading() as session:
        assert worklist.number(session, now=NOW) == worklist.COUNTED + 1
        assert worklist.number(session, now=NOW, filters=Filters(grade="G1", activity="visit")) == 800


def test_a_place_of_another_order_is_refused() -> None:
    for text_, order in (("x", Order.DUE), ("2026-01-01~1~2", Order.DUE), ("5~5", Order.STATE), ("a~b", Order.PATIENT)):
        with pytest.raises(ValueError, match=r".+"):
            worklist.place(text_, order)


def test_a_place_in_a_list_by_names_tells_no_name(full: Installation) -> None:
    with full.database.reading() as session:
        page = worklist.page(session, now=NOW, order=Order.PATIENT, size=1)
    assert page.after is not None
    assert [part.isdigit() for part in page.after.text().split("~")] == [True, True]


# Indexes ----------------------------------------------------------------------------------------------------

PLANS: dict[str, tuple[Order, dict[str, Any], str]] = {
    "most urgent": (Order.URGENCY, {}, "ix_follow_up_open_clinic"),
    "overdue": (Order.URGENCY, {"status": "overdue"}, "ix_follow_up_open_clinic"),
    "overdue, of a phase and grade": (Order.URGENCY, {"phase": "workup", "grade": "G1"}, "ix_follow_up_open_clinic"),
    "of an activity": (Order.URGENCY, {"activity": "visit"}, "ix_follow_up_open_activity"),
    "by due date": (Order.DUE, {"status": "now"}, "ix_follow_up_open_due"),
    "mine": (Order.URGENCY, {"who": 1}, "ix_follow_up_open_navigator"),
    "mine, overdue": (Order.URGENCY, {"who": 1, "status": "overdue"}, "ix_follow_up_open_navigator"),
    "nobody's": (Order.URGENCY, {"who": 0, "status": "overdue"}, "ix_follow_up_open_navigator"),
    "of a rule": (Order.URGENCY, {"rule": "treatment-visit"}, "ix_follow_up_open_activity"),
    "nobody's, by patient": (Order.PATIENT, {"who": 0}, "ix_patient_case_clinic_name"),
    "by patient": (Order.PATIENT, {}, "ix_patient_case_clinic_name"),
    "by patient, of a treatment": (Order.PATIENT, {"treatment": "none"}, "ix_patient_case_clinic_name"),
    "by patient, of a phase": (Order.PATIENT, {"phase": "workup", "grade": "G1"}, "ix_patient_case_clinic_name"),
    "by state, of a grade": (Order.STATE, {"grade": "G1"}, "ix_patient_case_clinic_state"),
    "by state": (Order.STATE, {"status": "overdue"}, "ix_patient_case_clinic_state"),
}


_AS_OF_MANY = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "sort", "hashjoin", "mergejoin"))
"""A few thousand rows PostgreSQL rightly reads as a whole and sorts; asked is how it goes about a million."""


def explained(place: Installation, order: Order, filters: Filters, beyond: tuple[Any, ...] | None) -> Iterator[str]:
    """How the database goes about each lane."""
    dialect = postgresql.dialect() if place.database.is_postgresql else sqlite.dialect()
    with place.database.reading() as session:
        rows = session.exec(select(Clinic.id))
        asked = lanes.asked(session, filters, {id_ or 0: NOW.date() for id_ in rows}, order)
        limits = replace(asked, beyond=beyond)
        for walk_ in lanes.walks(limits):
            compiled = walk_.limit(51).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
            prefix = "EXPLAIN " if place.database.is_postgresql else "EXPLAIN QUERY PLAN "
            if place.database.is_postgresql:
                session.execute(text(_AS_OF_MANY))
            plan = session.connection().exec_driver_sql(prefix + str(compiled).replace("%%", "%"))
            yield "\n".join(str(row[-1]) for row in plan)


def test_the_lines_of_few_cases_are_looked_up_by_these_cases(many: Installation) -> None:
    for plan in explained(many, Order.URGENCY, Filters(phase="workup", grade="G1", who=None), None):
        assert "(case_id" in plan, plan
        assert "ix_follow_up_open" not in plan


def test_a_page_walks_along_an_index_and_sorts_nothing_big(many: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FEW", 5)
    for name in PLANS:
        for further in (False, True):
            _assert_walks(many, name, further)


def _assert_walks(many: Installation, name: str, further: bool) -> None:
    order, filters, index = PLANS[name]
    beyond: dict[Order, tuple[Any, ...]] = {
        Order.URGENCY: (date(2026, 3, 1), 1000),
        Order.DUE: (date(2026, 3, 1), 1000),
        Order.PATIENT: ("name 4", 1000, 1000),
        Order.STATE: ("localized.planning", 1000, 1000),
    }
    for plan in explained(many, order, Filters(**filters), beyond[order] if further else None):
        assert index in plan, plan
        if name == "nobody's" and many.database.is_postgresql:
            continue  # to PostgreSQL, rows without a navigator have no order: it sorts those that nobody looks after
        allowed = ("Incremental Sort", "LAST TERM OF ORDER BY", "LAST 2 TERMS OF ORDER BY")
        sorts = [line for line in plan.splitlines() if ("Sort  (" in line or "TEMP B-TREE" in line)]
        assert all(any(word in line for word in allowed) for line in sorts), plan


def test_few_cases_are_looked_up_first(many: Installation) -> None:
    for plan in explained(many, Order.URGENCY, Filters(cases=("A-5", "B-7")), None):
        assert "Seq Scan on follow_up" not in plan
        assert "SCAN follow_up" not in plan


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "open": ({}, {}, "ix_patient_case_clinic_ref"),
    "open, of one clinic": ({}, {"clinic": "South"}, "ix_patient_case_clinic_ref"),
    "open, nobody's": ({}, {"unassigned": True}, "ix_patient_case_clinic_ref"),
    "all": ({"with_closed": True}, {"clinics": frozenset({1, 2})}, "ix_patient_case_clinic_ref"),
    "in a state": ({"state": "workup.staging"}, {}, "ix_patient_case_clinic_state"),
}


def test_the_list_of_cases_is_read_along_an_index_and_in_order(many: Installation) -> None:
    for kind, limits, index in CASES.values():
        plans = _plans(many, partial(casebook.cases_page, scope=Scope(**limits), size=20, **kind))
        assert index in plans or (many.database.is_postgresql and "uq_patient_case_ref" in plans), plans
        _page_through_cases(many, Scope(**limits), kind)


def test_the_numbers_of_one_person_are_counted_from_what_is_theirs(many: Installation) -> None:
    theirs = Scope(navigator="ben@example.org", clinics=frozenset({1, 2, 3}))
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    plans = _plans(many, lambda session: overdue.standing(session, now=now, scope=theirs, sooner={}))
    assert "ix_follow_up_open_navigator" in plans
    assert "ix_patient_case_navigator_state" in plans
    assert "ix_follow_up_open_clinic" not in plans


def test_what_is_named_by_number_is_looked_up_by_it_and_not_among_all_of_the_clinics(many: Installation) -> None:
    clinics = Scope(clinics=frozenset({1, 2, 3}))
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    with many.database.writing() as session:
        session.add(MeetingItem(on=now.date(), clinic_id=1, case_id=1, question="", added_by="test:x", added_at=now))
    looked_up: dict[str, Callable[[Session], object]] = {
        "lines": lambda session: worklist.items(session, now, clinics, range(1, 40)),
        "cases": lambda session: casebook.cases_page(session, scope=clinics, state="workup.mdt"),
        "meeting": lambda session: meetings.on_list(session, now.date(), clinics),
    }
    for what, work in looked_up.items():
        steps = _plans(many, work).splitlines()
        assert not [step for step in steps if step.endswith("(clinic_id=?)")], (what, steps)


def _plans(place: Installation, work: Callable[[Session], object]) -> str:
    """How the database goes about all that some work asks of it."""
    asked: list[Any] = []
    with place.database.reading() as session:
        original = session.execute
        session.execute = lambda statement, *a, **k: (asked.append(statement), original(statement, *a, **k))[1]  # type: ignore[method-assign,assignment]
        work(session)
    dialect = postgresql.dialect() if place.database.is_postgresql else sqlite.dialect()
    prefix = "EXPLAIN " if place.database.is_postgresql else "EXPLAIN QUERY PLAN "
    with place.database.reading() as session:
        if place.database.is_postgresql:
            session.execute(text(_AS_OF_MANY))
        plain = [str(one.compile(dialect=dialect, compile_kwargs={"literal_binds": True})) for one in asked]
        found = [session.connection().exec_driver_sql(prefix + one.replace("%%", "%")) for one in plain]
        return "\n".join(str(row[-1]) for rows in found for row in rows)


def _page_through_cases(place: Installation, scope: Scope, kind: dict[str, Any]) -> None:
    with place.database.reading() as session:
        whole = [item.place.ref for item in casebook.cases_page(session, scope=scope, size=5000, **kind).items]
        parts: list[str] = []
        after: str | int | None = None
        while True:
            page = casebook.cases_page(session, scope=scope, size=333, after=after, **kind)
            parts += [item.place.ref for item in page.items]
            if page.after is None:
                break
            after = int(page.after) if "state" in kind else page.after
    assert parts == whole
    assert len(set(whole)) == len(whole)
    assert whole or scope.unassigned


def test_so_many_people_are_offered_and_always_the_one_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(casebook, "OFFERED", 2)
    choices = casebook.ScopeChoices(["North"], {7: "ana", 3: "ben", 5: "carl"})
    assert choices.offered() == {7: "ana", 3: "ben"}
    assert choices.offered(5) == {7: "ana", 3: "ben", 5: "carl"}
    assert choices.offered(0) == {7: "ana", 3: "ben"}
