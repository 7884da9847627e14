"""Who hears of a reminder: the navigator, the lead, the clinician, whoever stands in; and what that changes later."""

import dataclasses
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select
from structlog.testing import capture_logs

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide, referred
from tracker import cases, people
from tracker.addressees import Addressees
from tracker.interchange.journal import JournalLine
from tracker.ledger import verify
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.models import Absence, Clinic, OutboxMessage, Reminder
from tracker.outbox import tell_in_next

Outage = Callable[[], AbstractContextManager[None]]

ANA, BEA, CAS, LEAD, DOC = (f"{name}@example.org" for name in ("ana", "bea", "cas", "lead", "doc"))
DAY = date(2026, 5, 11)

# Addressees, as a table ------------------------------------------------------------------------------------


def clinic(lead: str | None = LEAD, clinician: str | None = DOC) -> Clinic:
    return Clinic(id=1, name="North", timezone="Europe/London", lead_email=lead, clinician_email=clinician)


def away(*names: tuple[str, str | None], on: date = DAY) -> Addressees:
    """Everybody, with absences of a single day: who, and who stands in."""
    found = Addressees({1: ANA, 2: BEA, 3: CAS}, {})
    for email, stand_in in names:
        found.absences.setdefault(email, []).append(Absence(person_id=0, from_on=on, until_on=on, stand_in=stand_in))
    return found


def hears(found: Addressees, audience: str = "navigator", who: int | None = 1, of: Clinic | None = None) -> str | None:
    named = found.of(of or clinic(), who, audience, DAY)
    return named.email if named else None


@pytest.mark.parametrize(
    "audience, navigator, lead, clinician, expected",
    [
        ("navigator", 1, LEAD, DOC, (ANA, True)),
        ("navigator", None, LEAD, DOC, (LEAD, False)),
        ("navigator", None, None, DOC, None),
        ("navigator", 99, LEAD, DOC, (LEAD, False)),
        ("lead", 1, LEAD, DOC, (LEAD, True)),
        ("lead", 1, None, DOC, (ANA, False)),
        ("lead", None, None, DOC, None),
        ("clinician", 1, LEAD, DOC, (DOC, True)),
        ("clinician", 1, LEAD, None, (LEAD, False)),
        ("clinician", 1, None, None, (ANA, False)),
        ("clinician", None, None, None, None),
        ("clinician", None, None, DOC, (DOC, True)),
    ],
)
def test_a_step_goes_to_whom_it_names_or_to_the_nearest_who_is_named(
    audience: str, navigator: int | None, lead: str | None, clinician: str | None, expected: tuple[str, bool] | None
) -> None:
    named = away().of(clinic(lead, clinician), navigator, audience, DAY)
    assert (named and (named.email, named.as_named)) == expected


@pytest.mark.parametrize(
    "absences, expected",
    [
        ([(ANA, BEA)], BEA),
        ([(ANA, BEA), (BEA, CAS)], CAS),
        ([(ANA, None)], LEAD),
        ([(ANA, BEA), (BEA, None)], LEAD),
        ([(ANA, None), (LEAD, BEA)], BEA),
        # whoever is away with nobody left is written to
        ([(ANA, None), (LEAD, None)], ANA),
        ([(ANA, BEA), (BEA, None), (LEAD, None)], ANA),
        # who name each other leave it to the lead, and the lead to nobody
        ([(ANA, BEA), (BEA, ANA)], LEAD),
        ([(ANA, BEA), (BEA, CAS), (CAS, BEA)], LEAD),
        ([(ANA, BEA), (BEA, ANA), (LEAD, ANA)], ANA),
        ([(ANA, LEAD), (LEAD, ANA)], ANA),
    ],
)
def test_who_is_away_is_stood_in_for(absences: list[tuple[str, str | None]], expected: str) -> None:
    assert hears(away(*absences)) == expected


def test_an_absence_holds_on_its_first_and_last_day_alone() -> None:
    found = away()
    found.absences[ANA] = [Absence(person_id=1, from_on=DAY, until_on=DAY + timedelta(days=2), stand_in=BEA)]
    told = [found.of(clinic(), 1, "navigator", DAY + timedelta(days=n)) for n in (-1, 0, 2, 3)]
    assert [named and named.email for named in told] == [ANA, BEA, BEA, ANA]


def test_a_lead_who_is_away_and_names_nobody_is_written_to() -> None:
    assert hears(away((LEAD, None)), "lead") == LEAD
    assert hears(away((LEAD, BEA)), "lead") == BEA


def test_without_a_lead_who_is_away_is_written_to() -> None:
    assert hears(away((ANA, None)), of=clinic(lead=None)) == ANA


_NAMES = st.sampled_from([ANA, BEA, CAS, LEAD, DOC])


@given(
    st.dictionaries(_NAMES, st.none() | _NAMES),
    st.sampled_from(["navigator", "lead", "clinician"]),
    st.sampled_from([1, 2, 3, None]),
    st.none() | _NAMES,
    st.none() | _NAMES,
)
def test_whoever_is_there_is_found_before_anybody_who_is_away(
    absences: dict[str, str | None], audience: str, navigator: int | None, lead: str | None, clinician: str | None
) -> None:
    """Stand-ins may name each other in any way: it ends, with somebody present where the lead or a stand-in is."""
    found, of = away(*absences.items()), clinic(lead, clinician)
    named = found.of(of, navigator, audience, DAY)
    nobody = {"navigator": not lead, "lead": not lead, "clinician": not (clinician or lead)}[audience]
    assert (named is None) == (navigator is None and nobody)
    if named is not None and named.email in absences:
        assert lead is None or lead in absences


# Steps and escalations, day by day -------------------------------------------------------------------------

HOURS = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
"""Monday 11 May 2026, 09:00 in London; the case of ``referred()`` opens on that day."""

OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
"""Friday 24 April 2026: the injection of ``lanreotide()`` opens. It is due on Monday, late after Thursday 30 April."""


def day(n: int, start: datetime = HOURS) -> datetime:
    return start + timedelta(days=n)


def daily(place: Installation, days: Iterable[int], start: datetime = HOURS) -> None:
    for n in days:
        place.tick(day(n, start))


def names(place: Installation, lead: str | None = LEAD, clinician: str | None = DOC, at: datetime = HOURS) -> None:
    with place.writing(at) as writing:
        people.set_lead(writing, "North", lead)
        people.set_clinician(writing, "North", clinician)


def written(place: Installation, to: str) -> list[date]:
    return [mail.at.date() for mail in place.told(to)]


def record(place: Installation, at: datetime, kind: str, ref: str = "N-001", **data: object) -> str:
    with place.writing(at) as writing:
        return cases.record(writing, ref=ref, kind=kind, on=at.date(), data=data).event.id


def findings(place: Installation, at: datetime) -> list[str]:
    with place.database.reading() as session:
        return verify(session, now=at, chain_key=place.secret.derive("event chain")).findings


def standing(place: Installation, *steps: str) -> list[tuple[str, str]]:
    """Each of the steps and how it stands, by the day on which it is told."""
    with place.database.reading() as session:
        rows = session.exec(select(Reminder).order_by(col(Reminder.remind_on), col(Reminder.id))).all()
    return [(row.step, row.status) for row in rows if row.step in steps]


def test_what_is_late_is_escalated_to_the_lead_and_then_to_the_clinician(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    names(place)
    daily(place, range(80))
    assert written(place, ANA) == [date(2026, 5, 11), date(2026, 5, 25), date(2026, 6, 9)]
    assert written(place, LEAD) == [date(2026, 6, 22)]  # 14 days after the overdue one would be the 23rd: 28 + 14 days
    assert written(place, DOC) == [date(2026, 7, 8)]
    assert place.told(LEAD)[0].headings == ["Overdue, escalated to the clinic lead (1)"]
    assert place.told(DOC)[0].headings == ["Overdue, escalated to the clinician (1)"]


def test_a_dose_is_escalated_sooner_and_on_any_day(place: Installation) -> None:
    place.replay(lanreotide(), now=day(-5, OPENS))
    names(place, at=day(-5, OPENS))
    daily(place, range(20), OPENS)
    assert written(place, LEAD) == [date(2026, 5, 3)]  # a Sunday, three days after the last day of the window
    assert written(place, DOC) == [date(2026, 5, 7)]


def test_where_nobody_is_named_the_navigator_is_told_so(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    daily(place, range(80))
    assert written(place, ANA)[-2:] == [date(2026, 6, 22), date(2026, 7, 8)]
    for mail in place.told(ANA)[-2:]:
        assert mail.headings == ["Overdue, and the clinic names nobody to escalate to (1)"]


def test_without_a_clinician_the_lead_hears_twice(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    names(place, clinician=None)
    daily(place, range(80))
    assert [mail.headings for mail in place.told(LEAD)] == [
        ["Overdue, escalated to the clinic lead (1)"],
        ["Overdue, and the clinic names nobody to escalate to (1)"],
    ]


def test_without_a_navigator_the_lead_hears_of_each_step(place: Installation) -> None:
    place.replay(referred(navigator=None), now=day(0))
    names(place)
    daily(place, range(80))
    expected = ["Of cases that no navigator looks after (1)"] * 3 + ["Overdue, escalated to the clinic lead (1)"]
    assert [heading for mail in place.told(LEAD) for heading in mail.headings] == expected
    assert len(place.told(DOC)) == 1


def test_where_there_is_nobody_to_write_to_reminders_stay_untold_and_can_be_counted(place: Installation) -> None:
    place.replay(referred(navigator=None), now=day(0))
    daily(place, range(80))
    assert place.told() == []
    with place.database.reading() as session:
        untold = select(Reminder.step).where(Reminder.status == "raised", col(Reminder.digest_id).is_(None))
        assert len(session.exec(untold).all()) == 5
    names(place, at=day(80))
    place.tick(day(80))
    assert [len(place.told(to)) for to in (LEAD, DOC)] == [1, 1]


def test_a_person_in_two_clinics_gets_a_digest_of_each(place: Installation) -> None:
    place.replay(referred("N-001") + referred("W-001", clinic="West"), now=day(0))
    place.tick(day(0))
    assert [mail.cases for mail in place.told(ANA)] in ([[1], [2]], [[2], [1]])


def test_a_recipient_whose_digest_cannot_be_written_does_not_stop_the_others(place: Installation) -> None:
    place.replay(referred("N-001") + referred("N-002", navigator=BEA) + referred("N-003", navigator=None), now=day(0))
    with place.database.writing() as session:
        session.get_one(Clinic, 1).lead_email = "Lead <lead@example.org>\r\nBcc: all@example.org"
    with capture_logs() as logs:
        assert place.tick(day(0)).sent == 2
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["digest.failed"]
    assert {mail.to for mail in place.told()} == {ANA, BEA}
    names(place, at=day(1))
    assert place.tick(day(1)).sent == 1


# What is overdue in all -------------------------------------------------------------------------------------


def overdue_in_all(place: Installation) -> list[tuple[str, list[int], str]]:
    """Of each mail to whom it is, its cases, and the number in its line about what is overdue in all."""
    lines = [[line for line in mail.text.splitlines() if line.startswith("Overdue in all")] for mail in place.told()]
    said = [line[0].rpartition(" ")[2].rstrip(".") if line else "" for line in lines]
    return sorted((mail.to, mail.cases, number) for mail, number in zip(place.told(), said, strict=True))


def overdue_cases() -> list[JournalLine]:
    """Four of Ana's, the third not overdue on day 29; one of Bea's; one of Ana's elsewhere; and one who died."""
    died = referred("N-6")
    died.append(
        dataclasses.replace(died[0], on=date(2026, 5, 20), event="state:changed", data={"trigger": "record_death"})
    )
    here = referred("N-1") + referred("N-2") + referred("N-3", on="2026-05-12") + referred("N-4", navigator=BEA)
    return here + referred("S-1", clinic="South") + died + referred("N-7")


def test_a_navigator_is_told_how_much_is_overdue_in_a_clinic(place: Installation) -> None:
    place.replay(overdue_cases(), now=day(20))
    place.tick(day(29))
    assert overdue_in_all(place) == [(ANA, [1, 2, 3, 7], "3"), (ANA, [5], "1"), (BEA, [4], "1")]


def test_a_stand_in_is_told_how_much_is_overdue_of_both(place: Installation) -> None:
    place.replay(overdue_cases(), now=day(20))
    is_away(place, ANA, 29, 29, BEA, day(28))
    place.tick(day(29))
    assert overdue_in_all(place) == [(BEA, [1, 2, 3, 4, 7], "4"), (BEA, [5], "1")]


def test_a_lead_is_told_of_escalations_and_no_number(place: Installation) -> None:
    place.replay(referred("N-1"), now=day(20))
    names(place, at=day(20))
    place.tick(day(29))
    place.tick(day(42))
    assert overdue_in_all(place) == [(ANA, [1], "1"), (LEAD, [1], "")]


def test_what_is_overdue_is_counted_anew_when_a_message_is_written_anew(
    place: Installation, server_down: Outage
) -> None:
    place.replay(overdue_cases(), now=day(20))
    with server_down():
        place.tick(day(29))
    with place.writing(day(29)) as writing:
        cases.record(writing, ref="N-2", kind="state:changed", on=day(29).date(), data={"trigger": "record_death"})
    place.tick(day(29) + timedelta(hours=1))
    assert overdue_in_all(place)[0] == (ANA, [1, 3, 7], "2")
    assert all("may have received" not in mail.text for mail in place.told())


# Away ------------------------------------------------------------------------------------------------------


def is_away(place: Installation, email: str, first: int, last: int, stand_in: str | None, at: datetime) -> None:
    with place.writing(at) as writing:
        people.set_away(writing, email, day(first).date(), day(last).date(), stand_in)


def test_a_stand_in_gets_one_digest_of_both(place: Installation) -> None:
    place.replay(referred("N-001") + referred("N-002", navigator=BEA), now=day(0))
    is_away(place, ANA, 0, 3, BEA, day(0))
    place.tick(day(0))
    assert [mail.cases for mail in place.told(BEA)] == [[1, 2]]
    assert place.told(ANA) == []


def test_without_a_stand_in_the_lead_hears_and_after_the_absence_the_navigator(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    names(place)
    is_away(place, ANA, 0, 14, None, day(0))
    daily(place, range(30))
    assert written(place, LEAD) == [date(2026, 5, 11), date(2026, 5, 25)]
    assert written(place, ANA) == [date(2026, 6, 9)]


def test_an_absence_that_is_set_while_a_digest_waits_sends_it_to_the_stand_in(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred(), now=day(0))
    with server_down():
        place.tick(day(0))
    is_away(place, ANA, 0, 3, BEA, day(0))
    place.tick(day(0) + timedelta(hours=1))
    place.tick(day(0) + timedelta(hours=1, minutes=1))
    assert [(mail.to, mail.cases) for mail in place.told()] == [(BEA, [1])]
    assert findings(place, day(0)) == []


def test_who_is_back_while_the_digest_of_the_stand_in_waits_hears_in_person(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred("N-001") + referred("N-002", navigator=CAS), now=day(0))
    is_away(place, ANA, 0, 9, BEA, day(0))
    is_away(place, BEA, 0, 9, CAS, day(0))
    with server_down():
        place.tick(day(0))
    with place.writing(day(0)) as writing:
        people.set_back(writing, ANA)
    place.tick(day(0) + timedelta(hours=1))
    place.tick(day(0) + timedelta(hours=1, minutes=1))
    assert sorted((mail.to, mail.cases) for mail in place.told()) == [(ANA, [1]), (CAS, [2])]


# Between queue and send ------------------------------------------------------------------------------------


def test_who_is_back_hears_in_person_what_a_digest_of_the_stand_in_held_that_has_more_to_tell_by_now(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred("N-1") + referred("N-2", navigator=BEA), now=day(0))
    is_away(place, ANA, 0, 0, BEA, day(0))
    with server_down():
        place.tick(day(0))
    place.replay(referred("N-3", on="2026-05-12", navigator=BEA), now=day(1))
    place.tick(day(1))
    assert sorted((mail.to, mail.cases) for mail in place.told()) == [(ANA, [1]), (BEA, [2, 3])]
    assert findings(place, day(1)) == []


def test_what_a_lead_was_to_hear_waits_for_the_next_when_there_is_none(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred("N-1", navigator=None) + referred("N-2"), now=day(0))
    names(place, lead=ANA, clinician=None)
    with server_down():
        place.tick(day(0))
    names(place, lead=None, clinician=None, at=day(1))
    place.replay(referred("N-3", on="2026-05-12"), now=day(1))
    place.tick(day(1))
    assert [(mail.to, mail.cases) for mail in place.told()] == [(ANA, [2, 3])]
    names(place, at=day(2))
    place.tick(day(2))
    assert [(mail.to, mail.cases) for mail in place.told(LEAD)] == [(LEAD, [1])]


def test_a_case_handed_over_while_a_digest_waits_is_told_to_the_new_navigator_alone(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred("N-001") + referred("N-002"), now=day(0))
    with server_down():
        place.tick(day(0))
    record(place, day(0), "case:handed_over", navigator=BEA)
    for minutes in (60, 61):
        place.tick(day(0) + timedelta(minutes=minutes))
    assert sorted((mail.to, mail.cases) for mail in place.told()) == [(ANA, [2]), (BEA, [1])]
    assert findings(place, day(0)) == []


def test_an_escalation_stays_with_the_lead_when_the_case_is_handed_over(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred(), now=day(0))
    names(place)
    daily(place, range(42))
    with server_down():
        place.tick(day(42))
    record(place, day(42), "case:handed_over", navigator=BEA)
    place.tick(day(42) + timedelta(hours=1))
    assert written(place, LEAD) == [day(42).date()]


def test_reminders_that_were_told_before_a_hand_over_are_as_the_case_is(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    place.tick(day(0))
    record(place, day(1), "case:handed_over", navigator=BEA)
    assert findings(place, day(1)) == []
    daily(place, range(1, 15))
    assert written(place, BEA) == [date(2026, 5, 25)]


ENDINGS = {
    "hold": ("state:changed", {"trigger": "hold_line", "reason": "toxicity", "review_on": "2026-05-30"}),
    "discharge": ("state:changed", {"trigger": "discharge", "reason": "well"}),
    "transfer": ("state:changed", {"trigger": "transfer", "reason": "moved"}),
    "death": ("state:changed", {"trigger": "record_death"}),
    "done": ("activity:done", {"activity": "injection"}),
    "waived": ("activity:waived", {"activity": "injection", "reason": "declined"}),
    "rescheduled": ("activity:rescheduled", {"activity": "injection", "to": "2026-05-11", "reason": "holiday"}),
    "booked": ("activity:booked", {"activity": "injection", "for": "2026-04-28"}),
    "snoozed": ("activity:snoozed", {"activity": "injection", "until": "2026-04-28"}),
}


@pytest.mark.parametrize("kind, data", ENDINGS.values(), ids=ENDINGS)
def test_what_ends_or_is_put_off_between_queue_and_send_is_not_told(
    place: Installation, server_down: Outage, kind: str, data: dict[str, object]
) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=day(-5, OPENS))
    with server_down():
        assert place.tick(OPENS).retrying == 1
    record(place, OPENS, kind, **data)
    place.tick(OPENS + timedelta(hours=1))
    assert [mail.cases for mail in place.told(ANA)] == [[2]]
    assert findings(place, OPENS) == []


@pytest.mark.parametrize("kind, data", ENDINGS.values(), ids=ENDINGS)
def test_a_digest_with_nothing_left_to_tell_is_not_sent(
    place: Installation, server_down: Outage, kind: str, data: dict[str, object]
) -> None:
    place.replay(lanreotide(), now=day(-5, OPENS))
    with server_down():
        place.tick(OPENS)
    record(place, OPENS, kind, **data)
    assert place.tick(OPENS + timedelta(hours=1)).sent == 0
    assert place.told() == []
    assert findings(place, OPENS) == []


class Wire:
    """A server that has taken the message when something happens, and then answers."""

    def __init__(self, meanwhile: Callable[[], object], answer: Outcome) -> None:
        self.meanwhile, self.answer = meanwhile, answer

    def __call__(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        assert leave()
        self.meanwhile()
        return self.answer


@pytest.mark.parametrize("kind", ["death", "rescheduled"])
def test_what_ends_while_the_message_is_on_the_wire_is_not_in_it_when_it_is_tried_again(
    place: Installation, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=day(-5, OPENS))
    event, data = ENDINGS[kind]
    wire = Wire(lambda: record(place, OPENS, event, **data), Outcome(Result.DEFERRED, "end of data (451)"))
    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", wire)
        assert place.tick(OPENS).retrying == 1
    place.tick(OPENS + timedelta(hours=1))
    assert [mail.cases for mail in place.told()] == [[2]]
    assert findings(place, OPENS + timedelta(hours=1)) == []


def in_doubt(place: Installation, monkeypatch: pytest.MonkeyPatch) -> int:
    """A digest of which nobody knows whether it arrived; the number of its message."""
    for part in ("new", "cur"):
        (place.settings.mail_dir / part).mkdir(parents=True)
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=day(-5, OPENS))
    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", Wire(lambda: None, Outcome(Result.UNCERTAIN, "no answer")))
        assert place.tick(OPENS).uncertain == 1
    with place.database.reading() as session:
        return session.exec(select(OutboxMessage.id)).one() or 0


@pytest.mark.parametrize("kind", ["death", "done", "rescheduled"])
def test_what_ended_while_a_message_was_in_doubt_is_not_told_by_the_next(
    place: Installation, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    message = in_doubt(place, monkeypatch)
    event, data = ENDINGS[kind]
    record(place, OPENS, event, **data)
    with place.writing(OPENS) as writing:
        tell_in_next(writing, message)
    assert ("opens", "withheld") in standing(place, "opens")
    place.tick(day(3, OPENS))
    assert [mail.cases for mail in place.told()] == [[2]]
    assert findings(place, day(3, OPENS)) == []


def test_what_ended_while_a_message_was_in_doubt_is_not_in_its_repeat(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_doubt(place, monkeypatch)
    kind, data = ENDINGS["death"]
    record(place, OPENS, kind, **data)
    place.tick(OPENS + timedelta(hours=1))  # the journal has not seen it: it is to be sent once more
    place.tick(OPENS + timedelta(hours=1, minutes=1))
    (mail,) = place.told()
    assert mail.subject.startswith("Perhaps once more")
    assert mail.cases == [2]
    assert findings(place, OPENS + timedelta(hours=2)) == []


def test_a_message_in_doubt_of_a_case_that_was_handed_over_is_told_to_the_new_navigator(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = in_doubt(place, monkeypatch)
    record(place, OPENS, "case:handed_over", navigator=BEA)
    with place.writing(OPENS) as writing:
        tell_in_next(writing, message)
    place.tick(day(3, OPENS))
    assert sorted((mail.to, mail.cases) for mail in place.told()) == [(ANA, [2]), (BEA, [1])]
    assert findings(place, day(3, OPENS)) == []


# Booked and snoozed ----------------------------------------------------------------------------------------


def test_what_is_booked_is_not_nagged_about_before_the_day_after_and_then_is(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    place.tick(day(0))
    record(place, day(1), "activity:booked", activity="histology", **{"for": "2026-06-11"})
    daily(place, range(1, 40))
    assert written(place, ANA) == [date(2026, 5, 11), date(2026, 6, 12)]
    assert place.told(ANA)[1].headings == ["The appointment has passed, and nothing is recorded (1)"]


def test_an_appointment_made_when_all_was_told_brings_it_back_too(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    daily(place, range(31))
    assert len(place.told(ANA)) == 3
    record(place, day(31), "activity:booked", activity="histology", **{"for": day(35).date().isoformat()})
    daily(place, range(31, 40))
    assert written(place, ANA)[3:] == [day(36).date()]
    assert findings(place, day(40)) == []


def test_what_is_booked_and_done_is_not_brought_back(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    place.tick(day(0))
    record(place, day(1), "activity:booked", activity="histology", **{"for": day(20).date().isoformat()})
    record(place, day(20), "activity:done", activity="histology")
    daily(place, range(1, 40))
    told = [mail for mail in place.told(ANA) if "The appointment" in mail.text]
    assert told == []
    assert findings(place, day(40)) == []


def test_escalations_wait_for_no_booking_and_no_snooze(place: Installation) -> None:
    place.replay(referred("N-001") + referred("N-002"), now=day(0))
    names(place)
    daily(place, range(30))
    record(place, day(30), "activity:booked", activity="histology", **{"for": day(70).date().isoformat()})
    record(place, day(30), "activity:snoozed", ref="N-002", activity="histology", until=day(70).date().isoformat())
    daily(place, range(30, 70))
    assert [mail.cases for mail in place.told(LEAD)] == [[1, 2]]
    assert [mail.cases for mail in place.told(DOC)] == [[1, 2]]


def test_an_appointment_for_another_day_takes_the_place_of_the_first(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    daily(place, range(31))
    for booked_on, booked_for in ((31, 35), (36, 37)):
        appointment = {"for": day(booked_for).date().isoformat()}
        record(place, day(booked_on), "activity:booked", activity="histology", **appointment)
        assert findings(place, day(booked_on)) == []
    daily(place, range(36, 41))
    assert written(place, ANA)[3:] == [day(38).date()]
    assert findings(place, day(41)) == []


@pytest.mark.parametrize(
    "kind, data",
    [
        ("activity:booked", {"for": "2026-06-30"}),
        ("activity:snoozed", {"until": "2026-06-30", "reason": "patient away"}),
    ],
)
def test_a_booking_or_snooze_that_is_corrected_away_brings_the_reminders_back_at_once(
    place: Installation, kind: str, data: dict[str, str]
) -> None:
    place.replay(referred(), now=day(0))
    place.tick(day(0))
    event = record(place, day(1), kind, activity="histology", **data)
    daily(place, range(1, 17))
    record(place, day(17), "event:corrected", event=event, reason="another patient")
    assert findings(place, day(17)) == []
    place.tick(day(18))
    assert written(place, ANA) == [day(0).date(), day(18).date()]
    # nothing was late: until yesterday it was not known that it was to be told
    assert place.told(ANA)[1].headings == ["Due (1)"]
    assert findings(place, day(19)) == []


def test_what_is_snoozed_comes_back_on_its_day_though_all_was_told(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    daily(place, range(31))
    record(place, day(31), "activity:snoozed", activity="histology", until=day(36).date().isoformat())
    daily(place, range(31, 40))
    assert written(place, ANA)[3:] == [day(36).date()]
    assert place.told(ANA)[3].headings == ["Put off until now (1)"]


def test_what_is_snoozed_again_comes_back_again(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    daily(place, range(31))
    for n in (31, 36):
        record(place, day(n), "activity:snoozed", activity="histology", until=day(n + 1).date().isoformat())
        daily(place, range(n, n + 5))
    assert written(place, ANA)[3:] == [day(32).date(), day(37).date()]


def test_a_snoozed_dose_comes_back_on_a_sunday(place: Installation) -> None:
    place.replay(lanreotide(), now=day(-5, OPENS))
    place.tick(OPENS)
    record(place, OPENS, "activity:snoozed", activity="injection", until="2026-05-03")
    daily(place, range(10), OPENS)
    assert written(place, ANA)[1:] == [date(2026, 5, 3)]


@pytest.mark.parametrize("until, fits", [(0, False), (1, True), (92, True), (93, False)])
def test_a_snooze_lasts_from_a_day_to_a_quarter(place: Installation, until: int, fits: bool) -> None:
    place.replay(referred(), now=day(0))
    limit = day(until).date().isoformat()
    if fits:
        record(place, day(0), "activity:snoozed", activity="histology", until=limit)
    else:
        with pytest.raises(cases.ChangeRefused, match="is not within 92 days"):
            record(place, day(0), "activity:snoozed", activity="histology", until=limit)


def test_a_snooze_needs_something_to_put_off(place: Installation) -> None:
    place.replay(referred(), now=day(0))
    with pytest.raises(cases.ChangeRefused, match="no open ct"):
        record(place, day(0), "activity:snoozed", activity="ct", until=day(5).date().isoformat())
