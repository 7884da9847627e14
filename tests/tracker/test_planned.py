"""Hand-overs from a day on: noted now, carried out once when the day has come at the clinic."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.tracker.conftest import NOW, Installation
from tests.tracker.histories import lanreotide
from tracker import accounts, cases, planned
from tracker.access import Role
from tracker.errors import ChangeRefused
from tracker.ledger import verify
from tracker.models import AuditEntry, Case, CaseEvent, Clinic, Person, PlannedHandOver
from tracker.places import ANY, Scope
from tracker.writing import Writing

ANA, BEN, LEA = "ana@example.org", "ben@example.org", "lea@example.org"
DAY, TOKEN = date(2026, 12, 1), "0123456789abcdef"
EVE = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
MORNING = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)


@pytest.fixture
def caseload(place: Installation) -> Installation:
    """Three cases of Ana's; Ben may take them, and Lea, who leads the clinic, may hand them over."""
    place.replay(lanreotide("N-001") + lanreotide("N-002") + lanreotide("N-003"))
    for email, role in ((ANA, Role.NAVIGATOR), (BEN, Role.NAVIGATOR), (LEA, Role.LEAD)):
        with place.writing() as writing:
            accounts.add(writing, email)
        give(place, email, role)
    return place


def give(place: Installation, email: str, *roles: Role) -> None:
    """These roles and no other."""
    with place.writing() as writing:
        for clinic in writing.session.exec(select(Clinic)):
            accounts.set_roles(writing, accounts.of(writing.session, email), clinic.name, set(roles))


def ana(writing: Writing) -> Person:
    return writing.session.exec(select(Person).where(Person.email == ANA)).one()


def plan(place: Installation, *refs: str, to: str = BEN, on: date = DAY, token: str = TOKEN, actor: str = LEA) -> None:
    with place.writing(actor=actor) as writing:
        ids = [cases.find(writing.session, ref).id or 0 for ref in refs]
        planned.plan(writing, giver=ana(writing), case_ids=ids, to=to, on=on, reason="leave", token=token)


def navigators(place: Installation) -> dict[str, str]:
    with place.database.reading() as session:
        found = select(Case.ref, Person.email).join(Person, Person.id == Case.navigator_id)  # type: ignore[arg-type]
        return {ref: email.partition("@")[0] for ref, email in session.exec(found)}


def intents(place: Installation, scope: Scope = ANY) -> list[tuple[str, date, int, str]]:
    with place.writing() as writing:
        found = planned.intents(writing.session, ana(writing).id or 0, scope)
    return [(one.to, one.on, one.cases, one.refused) for one in found]


def test_cases_go_when_the_day_has_come_and_no_second_time(caseload: Installation) -> None:
    plan(caseload, "N-001", "N-002")
    assert intents(caseload) == [(BEN, DAY, 2, "")]
    caseload.tick(EVE)
    assert set(navigators(caseload).values()) == {"ana"}
    for _ in range(2):
        caseload.tick(MORNING)
        assert navigators(caseload) == {"N-001": "ben", "N-002": "ben", "N-003": "ana"}
    assert intents(caseload) == []
    with caseload.database.reading() as session:
        told = list(session.exec(select(CaseEvent).where(CaseEvent.kind == "case:handed_over")))
        assert [(event.on, event.actor) for event in told] == [(DAY, LEA)] * 2
        assert '"reason":"leave"' in told[0].data
        assert verify(session, now=MORNING, chain_key=caseload.secret.derive("event chain")).wrong == []


def test_what_is_due_is_told_to_whoever_takes_over(caseload: Installation) -> None:
    caseload.tick(NOW)
    before = len(caseload.told(BEN))
    plan(caseload, "N-001", on=date(2026, 11, 24))
    caseload.tick(datetime(2026, 11, 24, 9, 0, tzinfo=UTC))
    assert len(caseload.told(BEN)) == before + 1


def test_a_case_that_went_elsewhere_or_ended_meanwhile_is_left_alone(caseload: Installation) -> None:
    plan(caseload, "N-001", "N-002", "N-003")
    with caseload.writing() as writing:
        zoe = {"navigator": "zoe@example.org"}
        cases.record(writing, ref="N-001", kind="case:handed_over", on=date(2026, 11, 21), data=zoe)
        died = {"trigger": "record_death"}
        cases.record(writing, ref="N-002", kind="state:changed", on=date(2026, 11, 21), data=died)
    caseload.tick(MORNING)
    assert navigators(caseload) == {"N-001": "zoe", "N-002": "ana", "N-003": "ben"}
    assert intents(caseload) == []


def test_who_has_no_role_any_more_takes_nothing_and_it_is_said(caseload: Installation) -> None:
    plan(caseload, "N-001")
    with caseload.writing() as writing:
        accounts.disable(writing, accounts.of(writing.session, BEN))
    for _ in range(2):
        caseload.tick(MORNING)
    assert intents(caseload) == [(BEN, DAY, 1, f"{BEN} has no role in this clinic any more")]
    assert navigators(caseload)["N-001"] == "ana"


@pytest.mark.parametrize("actor, now", [(LEA, Role.NAVIGATOR), (LEA, Role.AUDITOR), (ANA, Role.AUDITOR)])
def test_nothing_goes_in_the_name_of_somebody_who_may_not_hand_it_over_any_more(
    caseload: Installation, actor: str, now: Role
) -> None:
    plan(caseload, "N-001", actor=actor)
    give(caseload, actor, now)
    caseload.tick(MORNING)
    assert intents(caseload) == [(BEN, DAY, 1, f"{actor}, who planned it, may not hand over this case any more")]
    assert navigators(caseload)["N-001"] == "ana"


@pytest.mark.parametrize("actor", [LEA, ANA])
def test_nothing_goes_in_the_name_of_an_account_that_is_disabled(caseload: Installation, actor: str) -> None:
    plan(caseload, "N-001", actor=actor)
    with caseload.writing() as writing:
        accounts.disable(writing, accounts.of(writing.session, actor))
    caseload.tick(MORNING)
    assert "any more" in intents(caseload)[0][3]
    assert navigators(caseload)["N-001"] == "ana"


def test_nothing_goes_in_the_name_of_nobody(caseload: Installation) -> None:
    plan(caseload, "N-001", actor="gone@example.org")
    caseload.tick(MORNING)
    assert "gone@example.org, who planned it" in intents(caseload)[0][3]


def test_a_navigator_hands_over_their_own_without_leading_anybody(caseload: Installation) -> None:
    plan(caseload, "N-001", actor=ANA)
    caseload.tick(MORNING)
    assert navigators(caseload)["N-001"] == "ben"


def test_a_day_before_the_case_began_is_refused_in_words(caseload: Installation) -> None:
    plan(caseload, "N-001", on=date(2020, 1, 1))
    caseload.tick(NOW)
    assert intents(caseload)[0][3] != ""


def test_the_last_word_counts_and_can_be_taken_back(caseload: Installation) -> None:
    plan(caseload, "N-001", "N-002")
    plan(caseload, "N-001", to="zoe@example.org", token="another-token-1")
    assert intents(caseload) == [(BEN, DAY, 1, ""), ("zoe@example.org", DAY, 1, "")]
    with caseload.writing() as writing:
        nowhere = Scope(clinics=frozenset())
        assert planned.call_off(writing, giver=ana(writing), to=BEN, on=DAY, scope=nowhere) == 0
        here = Scope(clinics=frozenset(writing.session.exec(select(Clinic.id))))  # type: ignore[arg-type]
        assert planned.call_off(writing, giver=ana(writing), to=BEN, on=DAY, scope=here) == 1
    assert intents(caseload, Scope(clinics=frozenset())) == []
    assert [one[0] for one in intents(caseload)] == ["zoe@example.org"]
    with caseload.database.reading() as session:
        kinds = [entry.kind for entry in session.exec(select(AuditEntry))]
    assert kinds[-3:] == ["caseload:planned", "caseload:planned", "caseload:called-off"]


def test_a_form_without_its_number_plans_nothing(caseload: Installation) -> None:
    with pytest.raises(ChangeRefused, match="lost its number"):
        plan(caseload, "N-001", token="")


def test_a_case_with_which_something_is_wrong_keeps_back_no_other_and_no_reminder(
    caseload: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(caseload, "N-001", "N-002")
    real = planned._carry_out

    def breaks(session: object, secret: object, number: int, now: datetime) -> bool:
        if number == 1:
            raise KeyError("canary of a name")
        return real(session, secret, number, now)  # type: ignore[arg-type]

    monkeypatch.setattr(planned, "_carry_out", breaks)
    assert caseload.tick(MORNING).swept
    assert navigators(caseload)["N-002"] == "ben"
    assert "tracker verify says what" in intents(caseload)[0][3]
    assert caseload.tick(MORNING).swept


def test_a_busy_database_is_tried_again(caseload: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(caseload, "N-001")

    def busy(*_: object) -> bool:
        raise OperationalError("", {}, Exception("locked"))

    with monkeypatch.context() as patch:
        patch.setattr(planned, "_carry_out", busy)
        assert planned.carry_out(caseload.database, caseload.secret, MORNING) == 0
    assert planned.carry_out(caseload.database, caseload.secret, MORNING) == 1


def test_two_ticks_at_once_hand_over_once(caseload: Installation) -> None:
    plan(caseload, "N-001")
    assert planned._try(caseload.database, caseload.secret, 1, MORNING)
    assert not planned._try(caseload.database, caseload.secret, 1, MORNING)
    with caseload.database.writing() as session:
        session.add(PlannedHandOver(case_id=1, from_id=1, to=BEN, on=DAY, token=TOKEN, actor="x", refused="no"))
    assert not planned._try(caseload.database, caseload.secret, 1, MORNING)


def test_many_go_in_parts(caseload: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned, "AT_ONCE", 2)
    plan(caseload, "N-001", "N-002", "N-003")
    caseload.tick(MORNING)
    assert list(navigators(caseload).values()).count("ben") == 2
    caseload.tick(MORNING)
    assert set(navigators(caseload).values()) == {"ben"}
