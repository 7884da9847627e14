"""Search, team meetings and hand-overs, on both databases."""

from __future__ import annotations

from datetime import date

import pytest
from sqlmodel import select

from tests.tracker.conftest import NOW, Installation
from tests.tracker.histories import lanreotide
from tracker import cases, hand_overs, meetings, search, terms
from tracker.errors import ChangeRefused, UnknownThing
from tracker.ledger import verify
from tracker.models import Case, FollowUpRow, Reminder
from tracker.places import ANY, Scope

TODAY = date(2026, 11, 21)


def opened(place: Installation, ref: str, name: str | None, clinic: str = "North", **patient: str) -> None:
    data = {
        "clinic": clinic,
        "timezone": "Europe/London",
        "navigator": "ana@example.org",
        "patient": {"ref": f"P-{ref}", "name": name} | patient,
        "state": "advanced.monitoring",
    }
    with place.writing() as writing:
        cases.open_case(writing, ref=ref, on=date(2026, 3, 1), data=data)


def found(place: Installation, text: str, scope: Scope = ANY) -> list[str]:
    with place.database.reading() as session:
        return [summary.place.ref for summary in search.find(session, text, scope)]


@pytest.fixture
def names(place: Installation) -> Installation:
    opened(place, "N-001", "José Núñez-Ødegård", mrn="77 123/4")
    opened(place, "N-002", "Łucja O’Brien")
    opened(place, "N-010", None)
    opened(place, "S-001", "José Smith", clinic="South")
    return place


@pytest.mark.parametrize(
    "text, refs",
    [
        ("jose", ["N-001", "S-001"]),
        ("JOSÉ nun", ["N-001"]),
        ("nunez-odegard", ["N-001"]),
        ("ode jos", ["N-001"]),
        ("nez", []),
        ("lucja", ["N-002"]),
        ("o'brien", ["N-002"]),
        ("obr", ["N-002"]),
        ("77123", ["N-001"]),
        ("77 123/4", []),  # numbers are one word: blanks part words
        ("n-0", ["N-001", "N-002", "N-010"]),
        ("P-N-010", ["N-010"]),
        ("%", []),
        ("", []),
        ("zzz", []),
    ],
)
def test_a_case_is_found_by_the_beginning_of_any_part(names: Installation, text: str, refs: list[str]) -> None:
    assert found(names, text) == refs


def test_a_search_stays_in_the_clinics_of_whoever_asks(names: Installation) -> None:
    with names.database.reading() as session:
        north = session.exec(select(Case.clinic_id).where(Case.ref == "N-001")).one()
    assert found(names, "jose", Scope(clinics=frozenset({north}))) == ["N-001"]
    assert found(names, "jose", Scope(clinics=frozenset())) == []


def test_a_whole_number_leads_to_its_case(names: Installation) -> None:
    with names.database.reading() as session:
        assert search.exact(session, "n001", ANY) == "N-001"
        assert search.exact(session, "p-n-010", ANY) == "N-010"
        assert search.exact(session, "77 1234", ANY) == "N-001"
        assert search.exact(session, "77 123", ANY) is None
        assert search.exact(session, "n001", Scope(clinics=frozenset())) is None
        assert search.exact(session, "-", ANY) is None
        assert search.exact(session, "jose", ANY) is None


def test_words_that_are_not_those_of_the_patient_are_found_by_verify(names: Installation) -> None:
    with names.writing() as writing:
        case = cases.find(writing.session, "N-010")
        for wrong in ("other", "words"):
            writing.session.add(terms.CaseTerm(case_id=case.id or 0, clinic_id=case.clinic_id, term=wrong))
    with names.database.reading() as session:
        wrong = verify(session, now=NOW, chain_key=names.secret.derive("event chain")).wrong
    assert [line for line in wrong if "the words by which it is found" in line]


# Team meetings ---------------------------------------------------------------------------------------------


def test_a_case_is_on_the_list_once_and_can_be_taken_off(names: Installation) -> None:
    for question in ("Surgery?", "", "Surgery or not?"):
        with names.writing() as writing:
            meetings.add(writing, "N-001", TODAY, TODAY, question)
    with names.database.reading() as session:
        (listed,) = meetings.on_list(session, TODAY, ANY)
        assert (listed.ref, listed.question, listed.added_by) == ("N-001", "Surgery or not?", "ana@example.org")
        assert meetings.dates(session, ANY, TODAY) == [TODAY]
        assert meetings.on_list(session, TODAY, Scope(clinics=frozenset())) == []
    with names.writing() as writing:
        meetings.take_off(writing, "N-001", TODAY)
    with pytest.raises(UnknownThing), names.writing() as writing:
        meetings.take_off(writing, "N-001", TODAY)


def test_a_list_takes_no_past_date_no_closed_case_and_no_long_question(names: Installation) -> None:
    for ref, day, question, words in (
        ("N-001", date(2026, 11, 20), "", "has passed"),
        ("N-001", TODAY, "?" * 501, "longer than 500"),
    ):
        with pytest.raises(ChangeRefused, match=words), names.writing() as writing:
            meetings.add(writing, ref, day, TODAY, question)
    with names.writing() as writing:
        data = {"trigger": "record_death"}
        cases.record(writing, ref="N-002", kind="state:changed", on=date(2026, 11, 1), data=data)
    with pytest.raises(ChangeRefused, match="closed case"), names.writing() as writing:
        meetings.add(writing, "N-002", TODAY, TODAY)


def test_a_suspected_progression_waits_for_the_team_until_it_is_on_a_list(names: Installation) -> None:
    with names.writing() as writing:
        data = {"trigger": "suspect_progression"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 11, 1), data=data)
    assert _waiting(names) == ["N-001"]
    with names.writing() as writing:
        meetings.add(writing, "N-001", date(2026, 11, 25), TODAY)
    assert _waiting(names) == []


def _waiting(place: Installation) -> list[str]:
    with place.database.reading() as session:
        clinics = sorted({case.clinic_id for case in session.exec(select(Case))})
        return [case.ref for case, _ in meetings.waiting(session, TODAY, clinics)]


# Handing over ----------------------------------------------------------------------------------------------


def test_a_caseload_goes_case_by_case_and_says_which_stayed(place: Installation) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"))
    place.tick()
    wish = {"to": "ben@example.org", "on": TODAY, "reason": "leave", "token": "0123456789abcdef"}
    refs = ["N-001", "N-404", "N-002"]
    for _ in range(2):  # a double click hands nothing over twice
        done = hand_overs.hand_over(place.writing, refs=refs, **wish)  # type: ignore[arg-type]
        assert [(one.ref, bool(one.reasons)) for one in done] == [
            ("N-001", False), ("N-404", True), ("N-002", False),
        ]  # fmt: skip
    with place.database.reading() as session:
        assert {case.version for case in session.exec(select(Case))} == {9}
        new = {row.navigator_id for row in session.exec(select(FollowUpRow)) if row.status == "open"}
        assert new == {case.navigator_id for case in session.exec(select(Case))}
        untold = [row for row in session.exec(select(Reminder)) if row.status == "raised" and not row.digest_id]
        assert {row.navigator_id for row in untold} <= new


def test_a_hand_over_before_the_case_began_is_refused_in_words(place: Installation) -> None:
    place.replay(lanreotide("N-001"))
    (one,) = hand_overs.hand_over(
        place.writing, refs=["N-001"], to="ben@example.org", on=date(2020, 1, 1), reason="", token="0123456789abcdef"
    )
    assert one.reasons
