"""Alarms: everything that keeps a reminder from somebody is said, in words, and where it is mended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlmodel import select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import accounts, cases, people, untold
from tracker.alarms import Alarm, Look, Severity, alarms
from tracker.models import Account, Clinic, Heartbeat, LedgerCheck, OutboxMessage, Person, Reminder
from tracker.settings import Settings, from_environment
from tracker.tick import nightly

# The injection opens on Friday 24 April 2026; the digest is written at 07:30 London time, which is 06:30 UTC.
FRIDAY = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def found(place: Installation, now: datetime, settings: Settings | None = None) -> dict[str, Alarm]:
    with place.database.reading() as session:
        return {alarm.id: alarm for alarm in alarms(session, settings or place.settings, now)}


def beat(place: Installation, at: datetime, *parts: str) -> None:
    with place.database.writing() as session:
        for part in parts or ("tick", "delivery"):
            session.merge(Heartbeat(part=part, at=at))


def change(place: Installation, statement: str, **values: Any) -> None:
    with place.database.writing() as session:
        session.execute(text(statement), values)


def a_message(place: Installation, state: str, **values: Any) -> None:
    """The day's message, as if that had become of it."""
    with place.database.writing() as session:
        row = session.exec(select(OutboxMessage)).one()
        row.state, row.settled_at, row.settled_by = state, None, None
        for name, value in values.items():
            setattr(row, name, value)


@pytest.fixture
def working(place: Installation) -> Installation:
    """One case whose reminder of Friday was told in time; everything works."""
    place.replay(lanreotide(), now=FRIDAY - 5 * DAY)
    with place.database.writing() as session:
        clinic = session.exec(select(Clinic)).one()
        clinic.lead_email, clinic.clinician_email = "lead@example.org", "doctor@example.org"
    place.tick(FRIDAY)
    nightly(place.database, FRIDAY)
    return place


def test_where_everything_works_there_is_no_alarm(working: Installation) -> None:
    assert found(working, FRIDAY + MINUTE) == {}


def test_a_new_installation_has_one_alarm_for_its_scheduler(place: Installation) -> None:
    alarm = found(place, FRIDAY)["scheduler"]
    assert alarm.severity is Severity.NOW
    assert alarm.sentence == (
        "The scheduler has never run on this database: no reminder is raised. "
        "Ask whoever looks after the tracker to start `tracker run` or `tracker scheduler`."
    )
    assert alarm.look is Look.MACHINERY


# The machinery ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("silent, said", [(5, ""), (6, "6 minutes ago"), (150, "2 hours ago"), (4000, "2 days ago")])
def test_a_scheduler_is_silent_after_five_minutes(working: Installation, silent: int, said: str) -> None:
    alarm = found(working, FRIDAY + silent * MINUTE).get("scheduler")
    assert (alarm is None) if not said else (alarm is not None and said in alarm.wrong)


def test_a_clock_before_the_last_tick_is_said_so(working: Installation) -> None:
    alarm = found(working, FRIDAY - 3 * HOUR)["clock"]
    assert "3 hours before the scheduler's last run" in alarm.wrong
    assert "clock right" in alarm.mend


def test_a_tick_without_delivery_is_an_alarm_of_its_own(working: Installation) -> None:
    later = FRIDAY + 20 * MINUTE
    beat(working, later, "tick")
    assert "No round of delivery has been finished for 20 minutes" in found(working, later)["delivery"].wrong


def test_delivery_that_never_finished_is_an_alarm(place: Installation) -> None:
    beat(place, FRIDAY, "tick")
    assert "ever been finished" in found(place, FRIDAY)["delivery"].wrong


def test_a_silent_scheduler_delivers_nothing_and_that_is_said_once(working: Installation) -> None:
    assert set(found(working, FRIDAY + 30 * MINUTE)) == {"scheduler"}


# Mail ------------------------------------------------------------------------------------------------------


def without_mail(place: Installation) -> Settings:
    return replace(place.settings, mail_off=True)


def test_mail_that_is_off_says_how_many_reminders_nobody_was_told(place: Installation) -> None:
    place.settings = without_mail(place)
    place.replay(lanreotide(), now=FRIDAY - 5 * DAY)
    place.tick(FRIDAY)
    nightly(place.database, FRIDAY)
    quiet = found(place, FRIDAY)
    assert set(quiet) == {"mail-off"}
    assert "Mail is off: 1 reminder is raised and told to nobody." in quiet["mail-off"].wrong
    assert quiet["mail-off"].severity is Severity.NOW


def test_mail_that_is_off_is_said_before_anybody_misses_it(working: Installation) -> None:
    alarm = found(working, FRIDAY, without_mail(working))["mail-off"]
    assert (alarm.severity, "nobody is told anything" in alarm.wrong) == (Severity.SOON, True)


def test_a_refused_message_is_an_alarm(working: Installation) -> None:
    a_message(working, "rejected", problem="RCPT was refused (550)")
    alarm = found(working, FRIDAY)["rejected"]
    assert alarm.wrong == "1 message was refused: what it tells has reached nobody."
    assert alarm.look is Look.IN_QUESTION


@pytest.mark.parametrize(
    "smtp, minutes, severity",
    [("", 10, Severity.SOON), ("", 61, Severity.NOW), ("smtp://mail.example.org", 10, Severity.NOW)],
)  # fmt: skip
def test_a_message_in_doubt_is_pressing_where_the_tracker_cannot_find_out(
    working: Installation, smtp: str, minutes: int, severity: Severity
) -> None:
    a_message(working, "uncertain", doubted_at=FRIDAY)
    later = FRIDAY + minutes * MINUTE
    beat(working, later)
    settings = from_environment({"TRACKER_HOME": str(working.settings.home), "TRACKER_SMTP_URL": smtp})
    assert found(working, later, settings)["in-doubt"].severity is severity


@pytest.mark.parametrize("minutes, alarmed", [(60, False), (61, True)])
def test_a_message_that_waits_longer_than_an_hour_is_an_alarm(
    working: Installation, minutes: int, alarmed: bool
) -> None:
    a_message(working, "retry_wait", failures=3)
    later = FRIDAY + minutes * MINUTE
    beat(working, later)
    assert ("waiting" in found(working, later)) is alarmed


# Reminders that nobody hears of ----------------------------------------------------------------------------


def test_reminders_that_there_is_nobody_to_tell_are_counted(place: Installation) -> None:
    for ref in ("N-001", "N-002"):
        lines = lanreotide(ref)
        del lines[0].data["navigator"]
        place.replay(lines, now=FRIDAY - 5 * DAY)
    place.tick(FRIDAY)
    alarm = found(place, FRIDAY)["nobody-to-tell"]
    assert alarm.wrong == (
        "2 reminders are raised, and there is nobody to tell: 2 cases without a navigator, in a clinic without a lead."
    )
    assert alarm.look is Look.WITHOUT_NAVIGATOR
    change(place, "UPDATE clinic SET lead_email = 'lead@example.org'")
    assert "nobody-to-tell" not in found(place, FRIDAY)


def untell(place: Installation, since: datetime) -> None:
    """As if the reminder had been raised then, and no digest could be written."""
    with place.database.writing() as session:
        row = session.exec(select(Reminder).where(Reminder.status == "sent")).one()
        row.status, row.digest_id, row.sent_at, row.raised_at = "raised", None, None, since


# Raised on Friday morning after the digest: Monday's and Tuesday's could tell it.
@pytest.mark.parametrize(
    "now, alarmed",
    [
        (datetime(2026, 4, 27, 8, 0, tzinfo=UTC), False),
        (datetime(2026, 4, 28, 6, 0, tzinfo=UTC), False),
        (datetime(2026, 4, 28, 7, 31, tzinfo=UTC), True),
    ],
)
def test_a_reminder_that_two_digests_passed_over_is_an_alarm(
    working: Installation, now: datetime, alarmed: bool
) -> None:
    untell(working, FRIDAY)
    beat(working, now)
    seen = found(working, now)
    assert ("untold" in seen) is alarmed
    if alarmed:
        assert "1 reminder is raised, the first on 24 Apr 2026, and no digest has told them" in seen["untold"].wrong


@pytest.mark.parametrize("days, alarmed", [("", False), ("3", False), ("1", False), ("1234567", True)])
def test_who_wants_few_digests_or_none_is_not_passed_over(working: Installation, days: str, alarmed: bool) -> None:
    untell(working, FRIDAY)
    with working.database.writing() as session:
        session.exec(select(Person).where(Person.email == "ana@example.org")).one().digest_days = days
    tuesday = datetime(2026, 4, 28, 12, 0, tzinfo=UTC)
    beat(working, tuesday)
    assert ("untold" in found(working, tuesday)) is alarmed


def test_who_has_just_asked_for_digests_is_not_passed_over_yet(working: Installation) -> None:
    with working.writing(FRIDAY - HOUR) as writing:
        people.set_digest_days(writing, "ana@example.org", "")
    untell(working, FRIDAY)
    tuesday, thursday = datetime(2026, 4, 28, 12, 0, tzinfo=UTC), datetime(2026, 4, 30, 12, 0, tzinfo=UTC)
    with working.writing(tuesday) as writing:
        people.set_digest_days(writing, "ana@example.org", "12345")
    for now, alarmed in ((tuesday, False), (thursday, True)):
        beat(working, now)
        assert ("untold" in found(working, now)) is alarmed


def test_an_escalation_to_somebody_who_wants_no_digests_is_an_alarm(working: Installation) -> None:
    with working.writing(FRIDAY) as writing:
        people.set_lead(writing, "North", "lead@example.org")
        people.set_digest_days(writing, "lead@example.org", "")
    untell(working, FRIDAY)
    change(working, "UPDATE reminder SET audience = 'lead' WHERE status = 'raised'")
    alarm = found(working, FRIDAY)["unheard"]
    assert alarm.wrong == "1 reminder is raised for lead@example.org, who gets no digest on any working day."
    change(working, "UPDATE reminder SET urgent = :urgent WHERE status = 'raised'", urgent=True)
    assert "unheard" not in found(working, FRIDAY)


def test_a_stand_in_who_wants_no_digests_is_an_alarm_and_a_navigator_is_not(working: Installation) -> None:
    untell(working, FRIDAY)
    with working.writing(FRIDAY) as writing:
        people.set_away(writing, "ana@example.org", FRIDAY.date(), FRIDAY.date() + 9 * DAY, "ben@example.org")
        people.set_digest_days(writing, "ben@example.org", "")
    assert "ben@example.org" in found(working, FRIDAY)["unheard"].wrong
    with working.writing(FRIDAY + HOUR) as writing:
        people.set_back(writing, "ana@example.org", FRIDAY.date())
        people.set_digest_days(writing, "ana@example.org", "")
    assert "unheard" not in found(working, FRIDAY)


def test_digest_days_on_which_the_clinic_no_longer_works_are_an_alarm(working: Installation) -> None:
    untell(working, FRIDAY)
    with working.writing(FRIDAY) as writing:
        people.set_digest_days(writing, "ana@example.org", "1")
        people.set_working_days(writing, "North", "23")
    assert "unheard" in found(working, FRIDAY)


def test_an_address_that_is_none_is_an_alarm(working: Installation) -> None:
    untell(working, FRIDAY)
    change(working, "UPDATE person SET email = 'ana at example'")
    assert "No mail can be written to ana at example" in found(working, FRIDAY)["address"].wrong


def test_open_cases_of_somebody_who_may_not_sign_in_any_more_are_an_alarm(working: Installation) -> None:
    with working.writing(FRIDAY) as writing:
        account = accounts.add(writing, "ana@example.org", name="Ana")
    assert "gone" not in found(working, FRIDAY)
    with working.writing(FRIDAY) as writing:
        accounts.disable(writing, writing.session.get_one(Account, account.id))
    alarm = found(working, FRIDAY)["gone"]
    assert alarm.wrong == "Open cases are with ana@example.org, who may not sign in any more: mail goes on to them."
    assert (alarm.severity, alarm.look) == (Severity.NOW, Look.HAND_OVER)
    with working.writing(FRIDAY) as writing:
        cases.record(writing, ref="N-001", kind="case:handed_over", on=FRIDAY.date(), data={"navigator": "ben@x.org"})
    assert "gone" not in found(working, FRIDAY)


def test_untold_reminders_are_counted_up_to_a_limit(working: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    untell(working, FRIDAY)
    with working.database.reading() as session:
        assert untold.number(session) == 1
    monkeypatch.setattr(untold, "AT_MOST", 1)
    alarm = found(working, FRIDAY, without_mail(working))["mail-off"]
    assert "1 reminders or more are raised and told to nobody" in alarm.wrong


# The ledger ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days, alarmed", [(2, False), (3, True)])
def test_a_ledger_that_nobody_weighs_is_an_alarm(working: Installation, days: int, alarmed: bool) -> None:
    later = FRIDAY + days * DAY
    beat(working, later)
    seen = found(working, later)
    assert ("ledger-unchecked" in seen) is alarmed
    assert not alarmed or "since 24 Apr 2026" in seen["ledger-unchecked"].wrong


def test_a_ledger_that_does_not_balance_is_an_alarm(working: Installation) -> None:
    with working.database.writing() as session:
        session.exec(select(LedgerCheck)).one().findings = json.dumps(["3 reminders of clinic 1 are not raised"])
    alarm = found(working, FRIDAY)["ledger"]
    assert alarm.wrong == (
        "The ledger of reminders did not balance on 24 Apr 2026: 3 reminders of clinic 1 are not raised."
    )
    assert "tracker verify" in alarm.mend


# What is overdue -------------------------------------------------------------------------------------------


# The treatment's first visit is due on 2 June 2026, and late after the 23rd; the injection after 30 April.
@pytest.mark.parametrize("day, alarmed", [(date(2026, 7, 29), False), (date(2026, 7, 30), True)])
def test_what_is_overdue_for_more_than_90_days_is_an_alarm(working: Installation, day: date, alarmed: bool) -> None:
    now = datetime.combine(day, time(12), UTC)
    seen = found(working, now)
    assert ("backlog" in seen) is alarmed
    if alarmed:
        assert seen["backlog"].wrong == (
            "1 follow-up has been overdue for more than 90 days, the oldest since 30 Apr 2026."
        )
        assert (seen["backlog"].severity, seen["backlog"].look) == (Severity.SOON, Look.OVERDUE)


@pytest.mark.parametrize("audience, days", [("lead", 9), ("clinician", 13)])
def test_an_escalation_to_nobody_is_an_alarm_from_its_day_on(working: Installation, audience: str, days: int) -> None:
    change(working, f"UPDATE clinic SET {audience}_email = NULL")
    for day in range(days + 1):
        now = FRIDAY + day * DAY
        working.tick(now)
        assert (f"no-{audience}" in found(working, now)) is (day == days), day
    assert f"escalated to the {audience}, and none is named in North" in found(working, now)[f"no-{audience}"].wrong


def test_what_was_escalated_and_is_done_is_no_alarm(working: Installation) -> None:
    change(working, "UPDATE clinic SET lead_email = NULL")
    working.tick(FRIDAY + 9 * DAY)
    with working.writing(FRIDAY + 9 * DAY) as writing:
        cases.record(writing, ref="N-001", kind="activity:done", on=date(2026, 5, 2), data={"activity": "injection"})
    assert "no-lead" not in found(working, FRIDAY + 9 * DAY)


# What holds for all of them --------------------------------------------------------------------------------


@contextmanager
def everything_wrong(place: Installation) -> Iterator[datetime]:
    """As much as can go wrong at once, in a clinic of a long name, for patients whose names must not show."""
    for n, ref in enumerate(("CANARYREF-1", "CANARYREF-2", "CANARYREF-3")):
        lines = lanreotide(ref)
        lines[0].data["navigator"] = ("ana@example.org", "ben@example.org", None)[n]
        if n == 2:
            del lines[0].data["navigator"]
        place.replay(lines, now=FRIDAY - 5 * DAY)
    for day in range(14):
        place.tick(FRIDAY + day * DAY)
    change(place, "UPDATE outbox_message SET state = 'rejected', settled_at = NULL WHERE id = 1")
    change(
        place,
        "UPDATE outbox_message SET state = 'uncertain', settled_at = NULL, doubted_at = :at WHERE id = 2",
        at="2026-04-24 08:00:00+00:00" if place.database.is_postgresql else "2026-04-24 08:00:00.000000",
    )
    change(place, "UPDATE outbox_message SET state = 'queued', settled_at = NULL WHERE id = 3")
    yield FRIDAY + 120 * DAY


def test_all_alarms_together_hold_nothing_of_a_patient_and_the_pressing_ones_come_first(place: Installation) -> None:
    with everything_wrong(place) as now, place.database.reading() as session:
        seen = alarms(session, place.settings, now)
    assert {"scheduler", "rejected", "in-doubt", "waiting", "nobody-to-tell", "ledger-unchecked", "backlog",
            "no-lead", "no-clinician"} == {alarm.id for alarm in seen}  # fmt: skip
    pressing = [alarm.severity is Severity.NOW for alarm in seen]
    assert pressing == sorted(pressing, reverse=True)
    said = json.dumps([[a.id, a.sentence, a.look] for a in seen]).lower()
    for secret in ("canary", "1961", "lanreotide", "injection", "mrn", "private"):
        assert secret not in said, secret


LARGE = ("reminder", "outbox_message", "follow_up", "patient_case", "digest", "case_event", "patient")


def test_no_alarm_reads_a_whole_table(place: Installation) -> None:
    if place.database.is_postgresql:
        pytest.skip("a planner with statistics rightly reads a small table as a whole")
    asked: list[tuple[str, Any]] = []
    with everything_wrong(place) as now:
        event.listen(place.database.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
        beat(place, now)
        found(place, now)
        found(place, now, without_mail(place))
    selects = [(words, values) for words, values in asked if words.startswith("SELECT")]
    assert len(selects) > 20
    with place.database.engine.connect() as connection:
        for words, values in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)
            steps = [row[3] for row in plan]
            bad = [step for step in steps if step in {f"SCAN {table}" for table in LARGE}]
            bad += [step for step in steps if "ix_reminder_digest_id" in step]
            assert not bad, (words, steps)
