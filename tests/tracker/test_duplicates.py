"""Who may be on record already, and what becomes of two records of one patient."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tracker import cases, duplicates, merging, search
from tracker.chain import START
from tracker.duplicates import Newcomer, alike, slips
from tracker.errors import ChangeRefused
from tracker.models import Case, Clinic, FollowUpRow
from tracker.places import ANY

BORN = date(1961, 2, 28)


@pytest.fixture
def register(place: Installation) -> Installation:
    people = {
        "N-1": ("North", "Grace Okafor", BORN, "4711"),
        "N-2": ("North", "José María García-López", date(1950, 12, 1), "4712"),
        "N-3": ("North", "Wei Zhang", None, None),
        "S-1": ("South", "Grace Okafor", BORN, "4711"),
    }
    for ref, (clinic, name, born, mrn) in people.items():
        patient = {"ref": f"P-{ref}", "name": name} | ({"birth_date": born.isoformat()} if born else {})
        patient |= {"mrn": mrn} if mrn else {}
        data = {"clinic": clinic, "timezone": "Europe/London", "patient": patient, "state": "advanced.planning"}
        with place.writing() as writing:
            cases.open_case(writing, ref=ref, on=date(2026, 1, 5), data=data)
    return place


def found(place: Installation, newcomer: Newcomer, clinic: str = "North") -> dict[str, str]:
    with place.database.reading() as session:
        clinics = frozenset(session.exec(select(Clinic.id).where(Clinic.name == clinic)))
        seen = duplicates.candidates(session, newcomer, frozenset(c for c in clinics if c is not None))
    return {one.place.ref: one.why for one in seen}


def test_the_same_number_is_found_whatever_the_name(register: Installation) -> None:
    assert found(register, Newcomer("Somebody Else", None, ("47-11",))) == {"N-1": "The same number"}


@pytest.mark.parametrize(
    "name, born",
    [
        ("Grace Okafor", BORN),
        ("OKAFOR, Grace", BORN),
        ("Grace Okafur", BORN),
        ("G. Okafor", BORN),
        ("Grace Mary Okafor", BORN),
        ("Grace Okafor", date(1961, 2, 27)),
        ("Grace Okafor", date(1916, 2, 28)),
        ("Grace Okafor", date(1961, 2, 23)),
        ("Grace Okafor", None),
    ],
)
def test_the_same_person_is_found_in_spite_of_slips(register: Installation, name: str, born: date | None) -> None:
    assert list(found(register, Newcomer(name, born))) == ["N-1"]


def test_day_and_month_may_be_swapped_and_accents_left_out(register: Installation) -> None:
    assert list(found(register, Newcomer("Jose Maria Garcia Lopez", date(1950, 1, 12)))) == ["N-2"]


@pytest.mark.parametrize(
    "name, born",
    [("Grace Okafor", date(1975, 6, 3)), ("Peter Miller", BORN), ("Grace Miller", date(1961, 2, 27)), ("", BORN)],
)
def test_others_are_not_taken_for_the_same(register: Installation, name: str, born: date) -> None:
    assert found(register, Newcomer(name, born)) == {}


def test_a_record_without_birth_date_is_found_by_its_name(register: Installation) -> None:
    assert list(found(register, Newcomer("Zhang Wei", date(1980, 1, 1)))) == ["N-3"]


def opened(place: Installation, name: str, born: dict[str, date | None]) -> None:
    for ref, day in born.items():
        patient = {"ref": f"P-{ref}", "name": name} | ({"birth_date": day.isoformat()} if day else {})
        with place.writing() as writing:
            data = {"clinic": "North", "timezone": "Europe/London", "patient": patient}
            cases.open_case(writing, ref=ref, on=date(2026, 1, 6), data=data)


def test_many_with_a_slip_of_the_birth_date_keep_back_none_with_the_very_date(
    register: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_SAME_DAY", 3)
    opened(register, "Ida Falk", {f"F-{n}": day for n, day in enumerate(slips(date(1970, 5, 5))[:6])})
    opened(register, "Ida Falk", {"F-right": date(1970, 5, 5)})
    opened(register, "Ida Falk", {f"G-{n}": day for n, day in enumerate(slips(date(1970, 5, 5))[6:12])})
    seen = found(register, Newcomer("Ida Falk", date(1970, 5, 5)))
    assert next(iter(seen.items())) == ("F-right", "A similar name, and the same birth date")


def test_many_of_the_name_with_other_birth_dates_keep_back_none_without_one(
    register: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "MOST", 3)
    opened(register, "Ida Falk", {f"F-{n}": date(1950, 1, n + 1) for n in range(5)})
    opened(register, "Ida Falk", {"F-none": None})
    opened(register, "Ida Falk", {f"G-{n}": date(1951, 1, n + 1) for n in range(5)})
    assert list(found(register, Newcomer("Ida Falk", date(1980, 6, 3)))) == ["F-none"]


def test_not_every_case_of_the_clinic_is_read_to_find_one_patient(register: Installation) -> None:
    """All others who write wait meanwhile."""
    if register.database.is_postgresql:
        pytest.skip("a planner with statistics rightly reads a small table as a whole")
    asked: list[tuple[str, Any]] = []
    event.listen(register.database.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    found(register, Newcomer("Grace Okafor", BORN, ("4711",)))
    looked = [one for one in asked if "FROM patient_case" in one[0]]
    assert len(looked) == 4
    with register.database.engine.connect() as connection:
        for words, values in looked:
            steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)]
            assert not [step for step in steps if "ix_patient_case_clinic" in step or step.startswith("SCAN")], words


def test_nothing_is_told_of_another_clinic(register: Installation) -> None:
    assert list(found(register, Newcomer("Grace Okafor", BORN), "South")) == ["S-1"]
    with register.database.reading() as session:
        assert duplicates.candidates(session, Newcomer("Grace Okafor", BORN), frozenset()) == []


def test_names_are_alike_in_any_order() -> None:
    assert alike("Müller, Jürgen", "Jurgen Muller")
    assert not alike("Okafor", "Grace Okafor")
    assert not alike("", "Grace Okafor")


def test_slips_of_a_date_are_dates_and_not_the_date_itself() -> None:
    made = slips(BORN)
    assert BORN not in made
    assert {date(1961, 2, 27), date(1961, 2, 8), date(1951, 2, 28)} <= set(made)


# Merging -----------------------------------------------------------------------------------------------------


def standing(place: Installation, ref: str) -> tuple[str, int]:
    with place.database.reading() as session:
        case = cases.find(session, ref)
        rows = session.exec(
            select(FollowUpRow).where(FollowUpRow.case_id == case.id, col(FollowUpRow.status) == "open")
        )
        return case.state, len(list(rows))


def test_of_two_records_one_ends_and_the_other_goes_on(register: Installation) -> None:
    before = standing(register, "N-3")
    with register.writing() as writing:
        merging.merge(writing, "N-3", "N-1", on=date(2026, 11, 20), reason="same patient")
    assert standing(register, "N-3") == ("closed.merged", 0)
    assert standing(register, "N-1")[0] == "advanced.planning"
    with register.writing() as writing:
        assert merging.separate(writing, "N-3", on=date(2026, 11, 21), reason="two patients after all") == "N-1"
    assert standing(register, "N-3") == before
    with register.database.reading() as session:
        kinds = [event.kind for event in cases.events_of(session, cases.find(session, "N-1"))]
        assert kinds == ["case:opened", "case:joined", "event:corrected"]
        assert all(case.head_mac != START for case in session.exec(select(Case)))


def of_kind(place: Installation, ref: str, kind: str) -> str:
    with place.database.reading() as session:
        return next(e.id for e in reversed(cases.events_of(session, cases.find(session, ref))) if e.kind == kind)


def test_a_merger_is_taken_back_on_both_records_or_not_at_all(register: Installation) -> None:
    def strike_out(ref: str, kind: str) -> None:
        data = {"event": of_kind(register, ref, kind), "reason": "slip"}
        with pytest.raises(ChangeRefused, match="stands on two records"), register.writing() as writing:
            cases.record(writing, ref=ref, kind="event:corrected", on=date(2026, 11, 21), data=data)

    with register.writing() as writing:
        merging.merge(writing, "N-3", "N-1", on=date(2026, 11, 20), reason="same patient")
    strike_out("N-3", "case:merged")
    strike_out("N-1", "case:joined")
    with register.writing() as writing:
        merging.separate(writing, "N-3", on=date(2026, 11, 21), reason="two patients after all")
    strike_out("N-3", "event:corrected")
    strike_out("N-1", "event:corrected")
    with register.writing() as writing:
        merging.merge(writing, "N-3", "N-1", on=date(2026, 11, 21), reason="the same after all")
    assert standing(register, "N-3") == ("closed.merged", 0)


def test_merged_records_are_found_by_either_name_and_by_either_number(register: Installation) -> None:
    with register.writing() as writing:
        merging.merge(writing, "N-2", "N-1", on=date(2026, 11, 20), reason="married, same number on the card")
    for text, ref in (("okafor", "N-1"), ("garcia", "N-2"), ("4712", "N-2")):
        with register.database.reading() as session:
            assert ref in [one.place.ref for one in search.find(session, text, ANY)]
    assert found(register, Newcomer("García José", BORN, ("4712",))) == {"N-2": "The same number"}


def close(place: Installation, ref: str, trigger: str) -> None:
    more = {"reason": "moved away"} if trigger == "discharge" else {}
    with place.writing() as writing:
        cases.record(writing, ref=ref, kind="state:changed", on=date(2026, 11, 1), data={"trigger": trigger} | more)


@pytest.mark.parametrize(
    "closed, by, ref, into, why",
    [
        ("N-3", "record_death", "N-3", "N-1", "record the death there first"),
        ("N-1", "record_death", "N-3", "N-1", "record the death there first"),
        ("N-1", "discharge", "N-3", "N-1", "merge N-1 into N-3"),
    ],
)
def test_no_merger_forgets_a_death_or_an_open_case(
    register: Installation, closed: str, by: str, ref: str, into: str, why: str
) -> None:
    close(register, closed, by)
    before = standing(register, "N-1"), standing(register, "N-3")
    with pytest.raises(ChangeRefused, match=why), register.writing() as writing:
        merging.merge(writing, ref, into, on=date(2026, 11, 20), reason="same patient")
    assert (standing(register, "N-1"), standing(register, "N-3")) == before


def test_two_records_of_one_death_and_a_closed_one_into_an_open_one_are_merged(register: Installation) -> None:
    for ref in ("N-1", "N-2"):
        close(register, ref, "record_death")
    close(register, "N-3", "discharge")
    with register.writing() as writing:
        merging.merge(writing, "N-1", "N-2", on=date(2026, 11, 20), reason="same patient")
    with register.writing() as writing:
        cases.open_case(
            writing,
            ref="N-4",
            on=date(2026, 11, 2),
            data={"clinic": "North", "timezone": "Europe/London", "patient": {"ref": "P-4"}},
        )
        merging.merge(writing, "N-3", "N-4", on=date(2026, 11, 20), reason="same patient")
    assert standing(register, "N-3") == ("closed.merged", 0)


def test_a_step_is_taken_on_the_record_that_goes_on_though_it_be_dated_before_the_merger(
    register: Installation,
) -> None:
    with register.writing() as writing:
        merging.merge(writing, "N-3", "N-1", on=date(2026, 11, 20), reason="same patient")
    with pytest.raises(ChangeRefused, match="on the record that goes on"):
        close(register, "N-3", "record_death")


def test_a_merger_that_leads_nowhere_is_refused(register: Installation) -> None:
    with register.writing() as writing:
        merging.merge(writing, "N-3", "N-1", on=date(2026, 11, 20), reason="same patient")
    for ref, into in (("N-1", "N-1"), ("N-2", "N-3"), ("N-3", "N-2")):
        with pytest.raises(ChangeRefused), register.writing() as writing:
            merging.merge(writing, ref, into, on=date(2026, 11, 20), reason="x")
    with pytest.raises(ChangeRefused), register.writing() as writing:
        merging.separate(writing, "N-2", on=date(2026, 11, 20), reason="x")
