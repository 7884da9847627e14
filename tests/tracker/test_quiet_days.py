"""On which days and from which hour people are told, what is muted, and what counts as late."""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide, referred
from tracker import cases, people, working_days
from tracker.errors import WrongSetting
from tracker.ledger import verify
from tracker.models import Clinic, OutboxMessage, Reminder
from tracker.quiet import Away, Muted, Quiet, Snoozed, quiet
from tracker.writing import Writing

Outage = Callable[[], AbstractContextManager[None]]

ANA, BEA, LEAD = (f"{name}@example.org" for name in ("ana", "bea", "lead"))
MONDAY = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
LATE = "Late: this should have reached you before today"
OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
"""A Friday: the injection of ``lanreotide()`` opens. It is urgent on Monday the 27th, on 1 May, and on Sunday 3 May."""

# When a clinic writes, as tables ---------------------------------------------------------------------------


def clinic(days: str = "12345", calendar: str | None = None, at: time = time(7, 30), zone: str = "UTC") -> Clinic:
    return Clinic(id=1, name="North", timezone=zone, working_days=days, holidays=calendar, digest_at=at)


@pytest.mark.parametrize(
    "calendar, day, works",
    [
        (None, "2026-04-03", True),
        ("GB-ENG", "2026-04-02", True),
        ("GB-ENG", "2026-04-03", False),  # Good Friday
        ("GB-ENG", "2026-04-06", False),  # Easter Monday
        ("GB-SCT", "2026-04-06", True),
        ("GB-ENG", "2026-12-28", False),  # Boxing Day is a Saturday: the Monday after
        ("DE-BY", "2026-01-06", False),  # Epiphany
        ("DE-BE", "2026-01-06", True),
        ("DE-BY", "2026-06-04", False),  # Corpus Christi
        ("US", "2026-11-26", False),
    ],
)
def test_a_clinic_does_not_work_on_its_holidays(calendar: str | None, day: str, works: bool) -> None:
    assert working_days.works(clinic(calendar=calendar), date.fromisoformat(day)) is works


@pytest.mark.parametrize(
    "zone, at, day, expected",
    [
        ("Europe/London", "07:30", "2026-05-11", "2026-05-11T06:30"),
        ("Europe/London", "07:30", "2026-01-12", "2026-01-12T07:30"),
        ("Europe/London", "01:30", "2026-03-29", "2026-03-29T01:30"),  # skipped: 02:30, the hour after the gap
        ("Europe/London", "01:30", "2026-10-25", "2026-10-25T00:30"),  # comes twice: the first
        ("Pacific/Auckland", "07:30", "2026-05-11", "2026-05-10T19:30"),
        ("America/Santiago", "00:00", "2026-09-06", "2026-09-06T04:00"),  # midnight is skipped
        ("Asia/Kathmandu", "07:30", "2026-05-11", "2026-05-11T01:45"),
    ],
)
def test_the_hour_of_the_digest_is_the_clinics_own(zone: str, at: str, day: str, expected: str) -> None:
    found = working_days.writes_at(clinic(zone=zone, at=time.fromisoformat(at)), date.fromisoformat(day))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "calendar, wanted, start, urgent, expected",
    [
        (None, "1234567", "2026-05-11", False, "2026-05-11"),
        (None, "1234567", "2026-05-09", False, "2026-05-11"),  # a Saturday
        (None, "1234567", "2026-05-09", True, "2026-05-09"),
        (None, "3", "2026-05-14", False, "2026-05-20"),
        ("GB-ENG", "1234567", "2026-04-03", False, "2026-04-07"),
        ("GB-ENG", "1", "2026-12-22", False, "2027-01-04"),
        ("GB-ENG", "1", "2028-12-19", False, "2029-01-08"),  # Christmas and New Year's Day are Mondays
        (None, "", "2026-05-11", False, None),
        (None, "", "2026-05-11", True, "2026-05-11"),
        (None, "67", "2026-05-11", False, None),  # days on which the clinic does not work
    ],
)
def test_the_first_day_on_which_somebody_hears(
    calendar: str | None,
    wanted: str,
    start: str,
    urgent: bool,
    expected: str | None,
) -> None:
    found = working_days.first_writing_day(
        clinic(calendar=calendar), lambda _: wanted, date.fromisoformat(start), urgent=urgent
    )
    assert found == (date.fromisoformat(expected) if expected else None)


def test_days_are_those_of_whoever_hears_on_that_day() -> None:
    """Somebody with Mondays is away from Wednesday on, and who stands in wants every day."""
    wednesday = date(2026, 5, 13)
    found = working_days.first_writing_day(
        clinic(), lambda day: "1" if day < wednesday else "12345", date(2026, 5, 12), urgent=False
    )
    assert found == wednesday


_DAYS = st.sets(st.sampled_from("1234567")).map(lambda digits: "".join(sorted(digits)))


@given(_DAYS, _DAYS, st.sampled_from([None, "GB-ENG", "DE-BY", "US"]), st.dates(date(2026, 1, 1), date(2040, 12, 31)))
def test_the_first_day_is_one_and_the_first(works_on: str, wanted: str, calendar: str | None, start: date) -> None:
    of = clinic(works_on, calendar)
    found = working_days.first_writing_day(of, lambda _: wanted, start, urgent=False)
    until = found or start + timedelta(days=31)
    before = [start + timedelta(days=n) for n in range((until - start).days)]
    assert not any(working_days.tells_on(of, wanted, day) for day in before)
    assert found is None or working_days.tells_on(of, wanted, found)
    assert (found is None) <= (not set(works_on) & set(wanted) or calendar is not None)


def test_known_calendars_are_those_of_countries_and_their_parts() -> None:
    for name in ("GB-ENG", "DE-BY", "US", "CH-ZH", "AU-NSW", "IL"):
        assert working_days.known_calendar(name) == name
    countries = holidays.list_supported_countries(include_aliases=True)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    accepted = {a + b for a in letters for b in letters if _is_calendar(a + b)}
    assert accepted <= countries.keys()


@pytest.mark.parametrize(
    "name",
    ["", "-", "XX", "gb", "GB-XX", "GB-", "GB-ENG-X", "NYSE", "ECB", "HolidayBase", "__doc__", "GB ENG", "A" * 99],
)
def test_what_is_no_holiday_calendar_is_refused(name: str) -> None:
    assert not _is_calendar(name)


def _is_calendar(name: str) -> bool:
    try:
        working_days.known_calendar(name)
    except WrongSetting:
        return False
    return True


@pytest.mark.parametrize("digits, known", [("51", "15"), ("", ""), ("1122", "12"), ("1234567", "1234567")])
def test_weekdays_are_digits_each_once_and_in_order(digits: str, known: str) -> None:
    assert working_days.known_weekdays(digits) == known


@pytest.mark.parametrize("digits", ["0", "8", "12x", "1,2", "mon", "١"])
def test_other_weekdays_are_refused(digits: str) -> None:
    with pytest.raises(WrongSetting, match="is not a choice of weekdays"):
        working_days.known_weekdays(digits)


# The hour and the days -------------------------------------------------------------------------------------


def day(n: int, start: datetime = MONDAY) -> datetime:
    return start + timedelta(days=n)


def daily(place: Installation, days: Iterable[int], start: datetime = MONDAY) -> None:
    for n in days:
        place.tick(day(n, start))


def sets(place: Installation, change: Callable[[Writing], object], at: datetime = MONDAY) -> None:
    with place.writing(at) as writing:
        change(writing)


def written(place: Installation, to: str = ANA) -> list[date]:
    return [mail.at.date() for mail in place.told(to)]


def findings(place: Installation, at: datetime) -> list[str]:
    with place.database.reading() as session:
        return verify(session, now=at, chain_key=place.secret.derive("event chain")).findings


def test_the_digest_is_written_at_half_past_seven_and_not_before(place: Installation) -> None:
    place.replay(referred(), now=MONDAY.replace(hour=5))
    early = place.tick(MONDAY.replace(hour=6, minute=29))
    assert (early.raised, early.digests) == (1, 0)
    assert place.tick(MONDAY.replace(hour=6, minute=30)).sent == 1
    assert place.tick(MONDAY.replace(hour=6, minute=31)).digests == 0


def test_a_clinic_has_its_own_hour(place: Installation) -> None:
    place.replay(referred(), now=MONDAY.replace(hour=5))
    sets(place, lambda writing: people.set_digest_hour(writing, "North", time(16, 5)), MONDAY.replace(hour=5))
    assert place.tick(MONDAY.replace(hour=15, minute=4)).digests == 0
    assert place.tick(MONDAY.replace(hour=15, minute=5)).digests == 1


def test_a_weekend_and_a_holiday_wait_for_the_next_working_day(place: Installation) -> None:
    easter = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
    place.replay(referred(on="2026-04-02"), now=easter)
    sets(place, lambda writing: people.set_holidays(writing, "North", "GB-ENG"), easter)
    place.tick(easter)
    with place.writing(easter) as writing:
        asked = {"activity": "pth", "reason": "suspicion"}
        cases.record(writing, ref="N-001", kind="test:requested", on=easter.date(), data=asked)
    daily(place, range(1, 6), easter)
    assert written(place) == [date(2026, 4, 2), date(2026, 4, 7)]
    # nothing was late: no digest was to be written on Good Friday, at the weekend and on Easter Monday
    assert LATE not in place.told()[1].text


def test_a_clinic_that_works_from_sunday_to_thursday(place: Installation) -> None:
    friday = day(4)
    place.replay(referred(on="2026-05-15", timezone="Asia/Amman"), now=friday)
    sets(place, lambda writing: people.set_working_days(writing, "North", "71234"), friday)
    daily(place, range(4, 8))
    assert written(place) == [date(2026, 5, 17)]


def test_a_calendar_that_is_no_longer_known_stops_nobody(place: Installation) -> None:
    place.replay(referred("N-001") + referred("S-001", clinic="South", navigator=BEA), now=MONDAY)
    with place.database.writing() as session:
        session.get_one(Clinic, 1).holidays = "ZZ-OLD"
    assert place.tick(MONDAY).sent == 2


def test_what_is_urgent_goes_out_on_a_weekend_and_nothing_else_does(place: Installation) -> None:
    saturday = day(8, OPENS)
    place.replay(lanreotide("N-001"), now=day(-5, OPENS))
    daily(place, range(8), OPENS)
    place.replay(referred("N-002", on="2026-05-02"), now=saturday)
    sets(place, lambda writing: people.set_lead(writing, "North", ANA), saturday)
    daily(place, (8, 9), OPENS)
    assert written(place)[-1:] == [date(2026, 5, 3)]
    assert place.told()[-1].cases == [1]
    place.tick(day(10, OPENS))
    assert place.told()[-1].cases == [2]


def test_each_person_chooses_days_and_what_is_urgent_comes_on_any(place: Installation) -> None:
    place.replay(lanreotide("N-001") + referred("N-002", on="2026-04-20"), now=day(-4, OPENS))
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "2"), day(-4, OPENS))
    daily(place, range(-4, 12), OPENS)
    told = [(mail.at.date(), mail.cases) for mail in place.told()]
    assert told == [
        (date(2026, 4, 21), [2]),
        (date(2026, 4, 27), [1]),  # the dose is due
        (date(2026, 4, 28), [1]),  # that it opened, on the Friday before, waited for Tuesday
        (date(2026, 5, 1), [1]),  # the dose is overdue
        (date(2026, 5, 3), [1]),  # the escalation, with nobody else named
        (date(2026, 5, 5), [2]),
    ]


def test_who_wants_none_hears_of_what_is_urgent_alone(place: Installation) -> None:
    place.replay(lanreotide("N-001") + referred("N-002", on="2026-04-20"), now=day(-4, OPENS))
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""), day(-4, OPENS))
    daily(place, range(-4, 9), OPENS)
    assert [(mail.at.date(), mail.cases) for mail in place.told()] == [
        (date(2026, 4, 27), [1]),
        (date(2026, 5, 1), [1]),
    ]
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "12345"), day(10, OPENS))
    place.tick(day(10, OPENS))
    assert place.told()[-1].cases == [1, 2]
    assert findings(place, day(10, OPENS)) == []


def test_who_mutes_while_a_digest_waits_does_not_get_it(place: Installation, server_down: Outage) -> None:
    place.replay(referred(), now=MONDAY)
    with server_down():
        place.tick(MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""))
    place.tick(MONDAY + timedelta(hours=1))
    assert place.told() == []
    assert findings(place, MONDAY) == []


def test_a_digest_that_waits_over_the_weekend_still_leaves(place: Installation, server_down: Outage) -> None:
    """It was wanted on its own day; that the server takes it on a Saturday makes no difference."""
    place.replay(referred(on="2026-05-15"), now=day(4))
    with server_down():
        place.tick(day(4))
    place.tick(day(5))
    assert [mail.cases for mail in place.told()] == [[1]]


def test_what_is_urgent_stays_in_a_message_that_is_looked_at_again(place: Installation, server_down: Outage) -> None:
    place.replay(lanreotide(), now=day(-4, OPENS))
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""), day(-4, OPENS))
    with server_down():
        assert place.tick(day(3, OPENS)).digests == 1
    assert place.tick(day(3, OPENS) + timedelta(hours=13)).sent == 1
    assert [mail.cases for mail in place.told()] == [[1]]


def test_a_message_to_a_lead_whom_nobody_follows_is_not_sent(place: Installation, server_down: Outage) -> None:
    place.replay(referred(navigator=None), now=MONDAY)
    sets(place, lambda writing: people.set_lead(writing, "North", ANA))
    with server_down():
        assert place.tick(MONDAY).digests == 1
    sets(place, lambda writing: people.set_lead(writing, "North", None))
    assert place.tick(MONDAY + timedelta(hours=1)).sent == 0
    assert [state for state, _ in states(place)] == ["cancelled"]
    sets(place, lambda writing: people.set_lead(writing, "North", BEA), day(1))
    place.tick(day(1))
    assert [(mail.to, mail.cases) for mail in place.told()] == [(BEA, [1])]


def test_a_new_holiday_lets_what_waits_for_that_day_go_to_the_next(place: Installation, server_down: Outage) -> None:
    friday = datetime(2026, 4, 3, 8, 0, tzinfo=UTC)
    place.replay(referred(on="2026-04-03"), now=friday)
    with server_down():
        place.tick(friday)
    sets(place, lambda writing: people.set_holidays(writing, "North", "GB-ENG"), friday)
    daily(place, range(1, 5), friday)
    assert written(place) == [date(2026, 4, 7)]


# After an outage -------------------------------------------------------------------------------------------


def states(place: Installation) -> list[tuple[str, str | None]]:
    with place.database.reading() as session:
        rows = session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))).all()
    return [(row.state, row.problem) for row in rows]


def test_an_outage_of_some_days_ends_in_one_digest_with_what_is_late_in_it(
    place: Installation, server_down: Outage
) -> None:
    for n in range(3):
        place.replay(referred(f"N-{n}", on=day(n).date().isoformat()), now=day(n).replace(hour=5))
        with server_down():
            place.tick(day(n))
    place.replay(referred("N-3", on="2026-05-14"), now=day(3))
    place.tick(day(3))
    (mail,) = place.told()
    assert mail.cases == [1, 2, 3, 4]
    assert mail.headings == [f"{LATE} (3)", "New: may be done from now on (1)"]
    assert states(place) == [("cancelled", "told in a later digest")] * 3 + [("sent", None)]
    assert findings(place, day(3)) == []


def test_what_an_earlier_digest_told_of_others_is_in_the_later_one_too(
    place: Installation, server_down: Outage
) -> None:
    """The lead's digest of Monday tells of one navigator's cases, Tuesday's of another's."""
    ana, bea = referred("N-1", on="2026-05-11"), referred("N-2", on="2026-05-12", navigator=BEA)
    place.replay(ana, now=MONDAY)
    place.replay(bea, now=day(1))
    sets(place, lambda writing: people.set_lead(writing, "North", LEAD))
    daily(place, (1, 14, 15, 29, 30))
    with server_down():
        place.tick(day(42))
    place.tick(day(43))
    assert [mail.cases for mail in place.told(LEAD)] == [[1, 2]]
    assert findings(place, day(43)) == []


def test_what_is_urgent_on_a_weekend_goes_with_the_digest_that_waits(place: Installation, server_down: Outage) -> None:
    """Friday's digest waits until Sunday; that something urgent came in between neither delays nor doubles it."""
    place.replay(lanreotide("N-001"), now=day(-5, OPENS))
    daily(place, range(7), OPENS)
    place.replay(referred("N-002", on="2026-05-01"), now=day(7, OPENS))
    with server_down():
        place.tick(day(7, OPENS))
        place.tick(day(8, OPENS))
    place.tick(day(9, OPENS))
    assert [mail.cases for mail in place.told()[2:]] == [[1, 2]]
    assert findings(place, day(9, OPENS)) == []
    place.tick(day(10, OPENS))
    assert len(place.told()) == 3


def test_who_wants_mondays_alone_does_not_lose_a_week_to_an_urgent_item(
    place: Installation, server_down: Outage
) -> None:
    place.replay(lanreotide("N-001") + referred("N-002", on="2026-04-24"), now=OPENS)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "1"), OPENS)
    with server_down():
        daily(place, range(3, 7), OPENS)
    place.tick(day(7, OPENS))  # Friday 1 May, when the dose is overdue
    assert [mail.cases for mail in place.told()] == [[1, 2]]


# What counts as late ---------------------------------------------------------------------------------------


def test_a_history_that_comes_in_is_not_late(place: Installation) -> None:
    place.replay(referred(on="2026-03-02"), now=MONDAY)
    place.tick(MONDAY)
    (mail,) = place.told()
    assert LATE not in mail.text
    assert "did not work" not in mail.text


def test_what_comes_in_after_the_hour_of_the_digest_is_not_late_the_day_after(place: Installation) -> None:
    place.replay(referred("N-001"), now=MONDAY)
    place.tick(MONDAY)
    place.replay(referred("N-002", on="2026-03-02"), now=MONDAY)
    place.tick(MONDAY)
    place.tick(day(1))
    assert LATE not in place.told()[1].text


def test_a_day_on_which_the_tracker_did_not_run_makes_it_late(place: Installation) -> None:
    place.replay(referred(), now=MONDAY.replace(hour=5))
    place.tick(day(1))
    (mail,) = place.told()
    assert mail.headings == [f"{LATE} (1)"]
    assert "the tracker or the mail server did not work" in mail.text


@pytest.mark.parametrize("minute, first_of_the_next", [(30, False), (31, True)])
def test_what_comes_in_up_to_the_hour_belongs_to_that_days_digest(
    place: Installation, minute: int, first_of_the_next: bool
) -> None:
    place.replay(referred(), now=MONDAY.replace(hour=6, minute=minute))
    place.tick(day(1))
    assert (LATE not in place.told()[0].text) == first_of_the_next


def test_what_misses_the_first_digest_that_it_could_be_in_is_late(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    place.tick(day(2))
    assert LATE in place.told()[0].text


@pytest.mark.parametrize("n, late", [(0, []), (14, []), (29, ["1 day late"]), (42, ["14 days late"])])
def test_the_days_are_counted_from_the_day_on_which_it_is_late(place: Installation, n: int, late: list[str]) -> None:
    place.replay(referred(), now=MONDAY)
    place.tick(day(n))
    assert re.findall(r"\d+ days? late", place.told()[0].text) == late


def test_a_lead_who_is_named_later_is_not_told_late(place: Installation) -> None:
    place.replay(referred(navigator=None), now=MONDAY)
    daily(place, (0, 1, 14, 15))
    sets(place, lambda writing: people.set_lead(writing, "North", LEAD), day(16))
    place.tick(day(16))
    assert place.told(LEAD)[0].headings == ["Of cases that no navigator looks after (1)"]


def test_who_wants_digests_again_is_not_told_late(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""))
    daily(place, (0, 1, 14, 15))
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "12345"), day(16))
    place.tick(day(16))
    assert place.told()[0].headings == ["Due (1)"]


def test_a_navigator_who_is_given_a_case_is_not_told_late(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""))
    daily(place, (0, 1, 14, 15))
    with place.writing(day(16)) as writing:
        handed = {"navigator": BEA}
        cases.record(writing, ref="N-001", kind="case:handed_over", on=day(16).date(), data=handed)
    place.tick(day(16))
    assert place.told(BEA)[0].headings == ["Due (1)"]


def test_a_stand_in_with_other_days_is_not_told_late(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "5"))
    sets(place, lambda writing: people.set_away(writing, ANA, day(2).date(), day(9).date(), BEA))
    daily(place, range(3))
    assert place.told(BEA)[0].headings == ["New: may be done from now on (1)"]


def test_an_item_that_waited_for_its_day_alone_is_not_late(place: Installation) -> None:
    place.replay(referred(on="2026-05-12"), now=day(1))
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "1"), day(1))
    daily(place, range(1, 8))
    assert place.told()[0].headings == ["New: may be done from now on (1)"]


# The clinic's zone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_zone_that_changes_dates_nothing_anew_and_each_local_day_has_one_digest(
    place: Installation, zone: str
) -> None:
    place.replay(referred("N-001"), now=MONDAY)
    daily(place, range(2))

    def dates() -> list[date]:
        with place.database.reading() as session:
            return list(session.exec(select(Reminder.remind_on).order_by(col(Reminder.id))))

    before = dates()
    sets(place, lambda writing: people.set_timezone(writing, "North", zone), day(1))
    assert dates() == before
    for hours in range(0, 24 * 15, 8):
        place.tick(day(1) + timedelta(hours=hours))
    assert len(place.told()) == 2
    with place.database.reading() as session:
        sent = session.exec(select(Reminder).where(Reminder.status == "sent")).all()
    assert [row.step for row in sent] == ["opens", "due"]
    assert findings(place, day(16)) == []


# What is muted, for the lead to see ------------------------------------------------------------------------


def seen(place: Installation, at: datetime = MONDAY) -> Quiet:
    with place.database.reading() as session:
        return quiet(session, at)


def test_where_nobody_chose_anything_nothing_is_muted(place: Installation) -> None:
    assert seen(place) == Quiet([], [], [])
    place.replay(referred("N-001") + referred("S-001", clinic="South"), now=MONDAY)
    assert seen(place) == Quiet([], [], [])


def test_who_leaves_out_working_days_is_seen_and_who_leaves_out_a_weekend_is_not(place: Installation) -> None:
    place.replay(referred("N-001") + referred("N-002", navigator=BEA), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, "135"))
    sets(place, lambda writing: people.set_digest_days(writing, BEA, "12345"))
    assert seen(place).muted == [Muted("North", ANA, "135", "24")]
    sets(place, lambda writing: people.set_working_days(writing, "North", "71234"))
    assert seen(place).muted == [Muted("North", ANA, "13", "247"), Muted("North", BEA, "1234", "7")]
    sets(place, lambda writing: people.set_digest_days(writing, BEA, ""))
    assert seen(place).muted[1] == Muted("North", BEA, "", "12347")


def test_a_stand_in_who_is_muted_is_seen(place: Installation) -> None:
    place.replay(referred("N-001") + referred("S-001", clinic="South", navigator=BEA), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, BEA, ""))
    assert [muted.clinic for muted in seen(place).muted] == ["South"]
    sets(place, lambda writing: people.set_away(writing, ANA, MONDAY.date(), day(3).date(), BEA))
    assert [muted.clinic for muted in seen(place).muted] == ["North", "South"]


def test_who_is_away_today_is_seen_with_whoever_hears(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    first, last = day(1).date(), day(3).date()
    sets(place, lambda writing: people.set_away(writing, ANA, first, last))
    assert seen(place).away == []
    assert seen(place, day(1)).away == [Away("North", ANA, first, last, None, ANA)]
    sets(place, lambda writing: people.set_lead(writing, "North", LEAD))
    assert seen(place, day(3)).away == [Away("North", ANA, first, last, None, LEAD)]
    assert seen(place, day(4)).away == []


def test_who_has_no_open_case_in_a_clinic_is_not_seen_there(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    sets(place, lambda writing: people.set_digest_days(writing, ANA, ""))
    with place.writing(MONDAY) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=MONDAY.date(), data=death)
    assert seen(place).muted == []


def test_what_is_snoozed_is_counted_by_clinic_until_it_comes_back(place: Installation) -> None:
    place.replay(referred("N-001") + referred("N-002") + referred("S-001", clinic="South"), now=MONDAY)
    for ref, until in (("N-001", 10), ("N-002", 20)):
        with place.writing(MONDAY) as writing:
            data = {"activity": "histology", "until": day(until).date().isoformat()}
            cases.record(writing, ref=ref, kind="activity:snoozed", on=MONDAY.date(), data=data)
    assert seen(place).snoozed == [Snoozed("North", 2, day(20).date())]
    assert seen(place, day(10)).snoozed == [Snoozed("North", 1, day(20).date())]
    assert seen(place, day(20)).snoozed == []
