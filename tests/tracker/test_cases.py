"""Cases opened, recorded, moved, corrected and handed over, on both databases."""

from datetime import UTC, date, datetime

import pytest
from sqlmodel import select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import casebook, cases
from tracker.errors import ChangeRefused, StaleVersion, UnknownThing
from tracker.models import Case, CaseEvent, FollowUpRow

OPENED = {
    "clinic": "North",
    "timezone": "Europe/London",
    "patient": {"ref": "P-1", "birth_date": "1961-02-28"},
    "navigator": "ana@example.org",
}
ON = date(2026, 1, 5)


def open_one(place: Installation, **data: object) -> None:
    with place.writing() as writing:
        cases.open_case(writing, ref="P-1", on=ON, data=OPENED | data)


def record(place: Installation, kind: str, on: str, *, version: int | None = None, **data: object) -> cases.Recorded:
    with place.writing() as writing:
        return cases.record(writing, ref="P-1", kind=kind, on=date.fromisoformat(on), data=dict(data), version=version)


def rows(place: Installation) -> dict[str, str]:
    with place.database.reading() as session:
        return {row.key: row.status for row in session.exec(select(FollowUpRow))}


def test_opened_case_stands_at_the_start_with_its_first_follow_up(place: Installation) -> None:
    open_one(place)
    with place.database.reading() as session:
        case = cases.find(session, "P-1")
        row = session.exec(select(FollowUpRow)).one()
    assert (case.state, case.version, case.needs_plan) == ("workup.referred", 1, False)
    assert (row.rule, row.due_on, row.status) == ("workup-histology", date(2026, 1, 19), "open")
    assert row.navigator_id == case.navigator_id is not None


def test_every_event_has_an_actor_and_two_times(place: Installation) -> None:
    open_one(place)
    with place.database.reading() as session:
        event = session.exec(select(CaseEvent)).one()
    assert event.actor == "ana@example.org"
    assert event.on == ON
    assert event.recorded_at == place.now


def test_a_missing_hard_requirement_refuses_with_what_is_missing(place: Installation) -> None:
    open_one(place)
    with pytest.raises(ChangeRefused, match="differentiation and Ki-67, mitoses or a reported grade"):
        record(place, "state:changed", "2026-01-10", trigger="confirm_histology")
    with place.database.reading() as session:
        assert cases.find(session, "P-1").version == 1


def test_a_live_change_that_meets_a_warning_needs_a_reason(place: Installation) -> None:
    open_one(place, state="advanced.planning")
    start = {"trigger": "start_line", "treatment": "lanreotide", "intent": "disease-control"}
    with pytest.raises(ChangeRefused, match="line-before-team-review needs a reason"):
        record(place, "state:changed", "2026-01-10", **start)
    reasons = {"line-before-team-review": "Started elsewhere before referral."}
    done = record(place, "state:changed", "2026-01-10", **start, reasons=reasons)
    assert done.case.state == "therapy.active"
    assert done.case.warnings_unexplained == 0


def test_a_stale_version_is_refused_and_nothing_is_lost(place: Installation) -> None:
    open_one(place)
    record(place, "note:added", "2026-01-06", version=1, text="first")
    with pytest.raises(StaleVersion):
        record(place, "note:added", "2026-01-06", version=1, text="second")
    with place.database.reading() as session:
        assert [e.data for e in cases.events_of(session, cases.find(session, "P-1"))][1:] == [{"text": "first"}]


@pytest.mark.parametrize(
    "on, reason",
    [("2026-11-22", "in the future"), ("1961-02-27", "before the patient's birth"), ("2026-01-04", "before the case")],
)
def test_an_impossible_date_is_refused(place: Installation, on: str, reason: str) -> None:
    open_one(place)
    with pytest.raises(ChangeRefused, match=reason):
        record(place, "note:added", on, text="x")


@pytest.mark.parametrize("name", ["\u202e\u200b", "Ana\u202eCosta"])
def test_a_name_that_cannot_be_read_is_refused(place: Installation, name: str) -> None:
    with pytest.raises(ChangeRefused, match="is not a name: it holds"):
        open_one(place, patient={"ref": "P-1", "name": name})
    assert rows(place) == {}


def test_today_is_the_clinics_today(place: Installation) -> None:
    """At 02:00 UTC on 21 November it is still the 20th in Los Angeles and already the 21st in Auckland."""
    night = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    for ref, zone, allowed in (("W-1", "America/Los_Angeles", False), ("E-1", "Pacific/Auckland", True)):
        data = OPENED | {"clinic": zone, "timezone": zone, "patient": {"ref": ref}}
        with place.writing(night) as writing:
            cases.open_case(writing, ref=ref, on=ON, data=data)
            if allowed:
                cases.record(writing, ref=ref, kind="note:added", on=date(2026, 11, 21), data={"text": "x"})
            else:
                with pytest.raises(ChangeRefused, match="future"):
                    cases.record(writing, ref=ref, kind="note:added", on=date(2026, 11, 21), data={"text": "x"})


def test_a_case_is_opened_once(place: Installation) -> None:
    open_one(place)
    with pytest.raises(ChangeRefused, match="already is a case"):
        open_one(place)
    with pytest.raises(UnknownThing), place.writing() as writing:
        cases.record(writing, ref="nobody", kind="note:added", on=ON, data={"text": "x"})


def test_a_correction_names_what_it_undoes_and_stays_in_the_record(place: Installation) -> None:
    open_one(place)
    before = rows(place)
    record(place, "state:changed", "2026-02-01", trigger="record_death")
    assert set(rows(place).values()) == {"cancelled"}
    done = record(place, "event:corrected", "2026-02-02", event="e2", reason="Another patient was meant.")
    assert done.case.state == "workup.referred"
    assert done.case.died_on is None
    assert rows(place) == before
    with place.database.reading() as session:
        kinds = [e.kind for e in cases.events_of(session, cases.find(session, "P-1"))]
    assert kinds == ["case:opened", "state:changed", "event:corrected"]


@pytest.mark.parametrize("event, reason", [("e9", "no event"), ("e1", "opening of a case")])
def test_a_correction_of_nothing_or_of_the_opening_is_refused(place: Installation, event: str, reason: str) -> None:
    open_one(place)
    with pytest.raises(ChangeRefused, match=reason):
        record(place, "event:corrected", "2026-02-02", event=event, reason="x")


def test_a_correction_that_later_events_rest_on_is_refused(place: Installation) -> None:
    open_one(place)
    record(place, "fact:recorded", "2026-01-08", differentiation="well", ki67_percent=4)
    record(place, "state:changed", "2026-01-09", trigger="confirm_histology")
    with pytest.raises(ChangeRefused, match=r"state:changed of 9 Jan 2026 would no longer be possible"):
        record(place, "event:corrected", "2026-01-10", event="e2", reason="wrong patient")


def test_a_back_dated_event_plans_again_from_its_date(place: Installation) -> None:
    place.replay(lanreotide("P-1"))
    record(place, "activity:done", "2026-06-01", activity="visit")
    record(place, "activity:done", "2026-05-28", activity="visit")
    with place.database.reading() as session:
        wanted = select(FollowUpRow).where(FollowUpRow.rule == "treatment-visit", FollowUpRow.status == "open")
        assert session.exec(wanted).one().due_on == date(2026, 8, 28)


def test_waiving_what_is_not_open_is_refused(place: Installation) -> None:
    open_one(place)
    with pytest.raises(ChangeRefused, match="no open imaging"):
        record(place, "activity:waived", "2026-01-10", activity="imaging", reason="x")


def test_handing_over_moves_the_case_and_its_open_items(place: Installation) -> None:
    open_one(place)
    done = record(place, "case:handed_over", "2026-01-10", navigator="ben@example.org", reason="leave")
    with place.database.reading() as session:
        row = session.exec(select(FollowUpRow)).one()
        assert row.navigator_id == session.exec(select(Case.navigator_id)).one() == done.case.navigator_id


def test_a_write_without_an_actor_is_not_made(place: Installation) -> None:
    with pytest.raises(ValueError, match="actor"), place.writing(actor="") as writing:
        cases.open_case(writing, ref="P-1", on=ON, data=OPENED)


@pytest.mark.parametrize("ref", ["", "a/b", "a b", "../x", "a\0b", "x" * 65, "<b>"])
def test_a_reference_that_an_address_could_not_hold_is_refused(place: Installation, ref: str) -> None:
    with pytest.raises(ChangeRefused, match="case reference"), place.writing() as writing:
        cases.open_case(writing, ref=ref, on=ON, data=OPENED)


def test_old_knowledge_is_judged_on_the_day_on_which_it_was_known(place: Installation) -> None:
    with place.writing(datetime(2026, 1, 10, 9, 0, tzinfo=UTC)) as writing:
        cases.open_case(writing, ref="P-1", on=ON, data=OPENED)
    with place.database.reading() as session:
        file = casebook.case_file(session, "P-1", now=place.now, known=datetime(2026, 1, 20, 9, 0, tzinfo=UTC))
    assert file.today == date(2026, 1, 20)
