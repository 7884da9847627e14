"""What users of other trackers reported of their reminders, each as a test that this one does it right.

Each test names the report that it answers.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests.faults.smtp_server import Fault, FaultyServer, free_port, running
from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tests.tracker.test_races import at_once
from tracker import cases, queries
from tracker.alarms import alarms
from tracker.balance import balance
from tracker.errors import StaleVersion
from tracker.ledger import verify
from tracker.mail.places import SmtpServer, Tls
from tracker.models import Digest, FollowUpRow, Reminder

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# The injection of lanreotide() opens on Friday 24 April 2026, is due on Monday the 27th and late after the 30th.
OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
EMBEDDED = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tables of moments: what the databases do at each is the same, and shown on both elsewhere."""

STEPS = ["opens", "due", "overdue", "escalate-lead", "escalate-clinician"]


def begin(place: Installation, *refs: str) -> Installation:
    """Cases of lanreotide, each with a navigator of its own if there are several."""
    for n, ref in enumerate(refs or ("N-001",)):
        lines = lanreotide(ref)
        lines[0].data["navigator"] = "ana@example.org" if not n else f"nav{n}@example.org"
        place.replay(lines, now=OPENS - 5 * DAY)
    return place


def record(place: Installation, ref: str, kind: str, now: datetime, **data: Any) -> None:
    with place.writing(now) as writing:
        cases.record(writing, ref=ref, kind=kind, on=now.date(), data=data)


def steps(place: Installation, *, occurrence: int = 0, status: str = "sent") -> list[str]:
    """The steps of the injections that are sent, or stand otherwise, in their order."""
    with place.database.reading() as session:
        rows = session.exec(
            select(Reminder)
            .where(Reminder.status == status, col(Reminder.follow_up_key).startswith("lanreotide"))
            .order_by(col(Reminder.remind_on), col(Reminder.id))
        ).all()
    dues = sorted({row.due_on for row in rows})
    return [row.step for row in rows if row.due_on == dues[occurrence]]


def alarmed(place: Installation, now: datetime) -> set[str]:
    with place.database.reading() as session:
        return {alarm.id for alarm in alarms(session, place.settings, now)}


def change(place: Installation, statement: str, **values: Any) -> None:
    with place.database.writing() as session:
        session.execute(text(statement), values)


def findings(place: Installation, now: datetime) -> list[str]:
    with place.database.reading() as session:
        found = verify(session, now=now, chain_key=place.secret.derive("event chain")).findings
        return [*found, *balance(session, now).findings]


# Too often --------------------------------------------------------------------------------------------------


def test_the_same_reminder_does_not_come_every_hour(place: Installation) -> None:
    """openemr#11477: the check for what had been sent read another column, and patients were texted each hour."""
    begin(place)
    for hours in (*range(24), *range(70, 94)):
        place.tick(OPENS + hours * HOUR)
    assert steps(place) == ["opens", "due"]
    assert [mail.at.date() for mail in place.told()] == [date(2026, 4, 24), date(2026, 4, 27)]


def test_each_occurrence_of_a_series_is_told_once_and_then_counts_as_told(place: Installation) -> None:
    """openemr#11480: what recurs was never marked as sent, and went out at every run."""
    begin(place)
    for weeks in range(4):
        for days in range(0, 28, 3):
            place.tick(OPENS + (28 * weeks + days) * DAY)
        record(place, "N-001", "activity:done", OPENS + (28 * weeks + 27) * DAY, activity="injection")
    sent = [steps(place, occurrence=n) for n in range(3)]
    assert all(of_one == list(dict.fromkeys(of_one)) for of_one in sent)
    assert all(of_one[0] == "opens" for of_one in sent)
    with place.database.reading() as session:
        told = session.exec(select(Reminder.digest_id).where(Reminder.status == "sent")).all()
        assert None not in told
        raised = select(Reminder).where(Reminder.status == "raised")
        assert session.exec(raised).all() == []
    assert findings(place, OPENS + 112 * DAY) == []


def test_two_sessions_that_record_the_same_make_no_twins(place: Installation) -> None:
    """cht-core#6389: two sessions on one document generated the same task twice."""
    begin(place)
    now = OPENS + HOUR
    with place.database.reading() as session:
        version = cases.find(session, "N-001").version

    def done() -> None:
        with place.writing(now) as writing:
            injection = {"activity": "injection"}
            cases.record(writing, ref="N-001", kind="activity:done", on=now.date(), data=injection, version=version)

    raised = at_once(done, done, lambda: place.tick(now), lambda: place.tick(now))
    assert [type(error) for error in raised] == [StaleVersion]
    for days in range(0, 40, 3):
        place.tick(now + days * DAY)
    with place.database.reading() as session:
        items = session.exec(select(FollowUpRow.case_id, FollowUpRow.key)).all()
        reminders = session.exec(select(Reminder.follow_up_key, Reminder.due_on, Reminder.step)).all()
        days_of = session.exec(select(Digest.recipient, Digest.on)).all()
    assert all(len(rows) == len(set(rows)) for rows in (items, reminders, days_of))
    assert findings(place, now + 40 * DAY) == []


# Never ------------------------------------------------------------------------------------------------------


@EMBEDDED
@pytest.mark.parametrize("missed", [timedelta(minutes=2), HOUR, DAY, 3 * DAY, 30 * DAY])
def test_a_missed_run_delays_a_reminder_and_drops_nothing(place: Installation, missed: timedelta) -> None:
    """openemr#11913: what fell into the window of a run that did not take place was never sent."""
    begin(place).tick(OPENS - 10 * HOUR)
    place.tick(OPENS + missed)
    place.tick(OPENS + missed + 4 * DAY)
    assert steps(place)[0] == "opens"
    assert steps(place, status="pending") == STEPS[len(steps(place)) :]


@EMBEDDED
@pytest.mark.parametrize("day", [0, 3, 13])
def test_a_step_whose_very_day_had_no_run_is_told_on_the_next(place: Installation, day: int) -> None:
    """DHIS2: a notice went out where the due date equalled today's, so a day without the job lost it."""
    begin(place)
    for days in range(17):
        if days != day:
            place.tick(OPENS + days * DAY)
    assert steps(place) == STEPS
    assert findings(place, OPENS + 17 * DAY) == []


@EMBEDDED
@pytest.mark.parametrize("gap", [9 * MINUTE, 11 * MINUTE, 3 * HOUR, 26 * HOUR])
def test_what_came_due_longer_ago_than_any_look_back_is_found(place: Installation, gap: timedelta) -> None:
    """SORMAS: follow-ups were looked for in the last ten minutes, and older ones not at all."""
    begin(place)
    midnight = datetime(2026, 4, 26, 23, 0, tzinfo=UTC)  # in London, where the 27th begins
    assert place.tick(midnight - MINUTE).raised == 1
    assert place.tick(midnight + gap).raised == 1
    place.tick(midnight + gap + 10 * HOUR)
    assert steps(place) == ["opens", "due"]


@EMBEDDED
@pytest.mark.parametrize("late", [365, 366, 2000])
def test_what_is_more_than_a_year_late_is_still_told_and_listed(place: Installation, late: int) -> None:
    """Simple: patients overdue for more than 365 days vanished from the list, with 61 % of them lost to care."""
    begin(place)
    now = datetime(2026, 4, 30, 8, 0, tzinfo=UTC) + late * DAY
    now += (7 - now.weekday()) % 7 * DAY if now.weekday() > 4 else timedelta(0)
    assert place.tick(now).sent == 1
    (mail,) = place.told("ana@example.org")
    injection = (now.date() - date(2026, 4, 30)).days
    assert f"due 27 Apr 2026, {injection} days late" in mail.text
    with place.database.reading() as session:
        listed = {item.rule: item.days_overdue for item in queries.due(session, now=now)}
    assert listed["lanreotide-injection"] == injection
    assert "backlog" in alarmed(place, now)


# Said to be sent --------------------------------------------------------------------------------------------


def test_nothing_counts_as_sent_while_mail_is_off(place: Installation) -> None:
    """openemr#9064: with no mail server set, every reminder was marked as sent."""
    begin(place)
    settings = place.settings
    place.settings = replace(settings, mail_off=True)
    for days in range(5):
        report = place.tick(OPENS + days * DAY)
        assert (report.sent, report.digests) == (0, 0)
    assert steps(place, status="raised") == ["opens", "due"]
    assert "mail-off" in alarmed(place, OPENS + 4 * DAY)
    place.settings = settings
    assert place.tick(OPENS + 5 * DAY).sent == 1
    assert steps(place) == ["opens", "due"]


def test_nothing_counts_as_sent_while_the_mail_server_cannot_be_reached(place: Installation) -> None:
    """openemr#9064, where a server is set and does not answer."""
    begin(place)
    place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", free_port(), Tls.NONE, seconds=5))
    for hours in range(0, 30, 6):
        assert place.tick(OPENS + hours * HOUR).sent == 0
    assert steps(place, status="raised") == ["opens"]
    assert "waiting" in alarmed(place, OPENS + DAY)
    assert findings(place, OPENS + 2 * DAY) == []


@pytest.mark.parametrize("outcome, alarm", [("4xx", "waiting"), ("5xx", "rejected"), ("lost-disconnect", "in-doubt")])
def test_nothing_counts_as_sent_that_the_mail_server_did_not_say_it_took(
    place: Installation, outcome: str, alarm: str
) -> None:
    """openemr#9064, where a server answers, and does not say yes."""
    begin(place)
    with running(FaultyServer(place.settings.home / "accepted", [Fault("dot", outcome)])) as server:
        place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", server.port, Tls.NONE, seconds=5))
        for hours in (0, 2):
            assert place.tick(OPENS + hours * HOUR).sent == 0
    assert steps(place, status="raised") == ["opens"]
    assert alarm in alarmed(place, OPENS + 2 * HOUR)


# One for all ------------------------------------------------------------------------------------------------

POISON: dict[str, str] = {
    "an event": "UPDATE case_event SET data = '{' WHERE case_id = 1",
    "a pathway": "UPDATE patient_case SET state = 'no.such.state', phase = '' WHERE id = 1",
    "what explains a follow-up": "UPDATE follow_up SET why = 'poison' WHERE case_id = 1",
    "what a follow-up asks for": "UPDATE follow_up SET activity = '{{ 7 * 7 }}%s' WHERE case_id = 1",
    "the step of a reminder": "UPDATE reminder SET step = '\x1b<b>{{' WHERE case_id = 1 AND step = 'opens'",
    "whom a reminder is for": "UPDATE reminder SET audience = 'nobody' WHERE case_id = 1",
    "a due date": "UPDATE reminder SET due_on = '9999-12-31' WHERE case_id = 1",
    "an address": "UPDATE person SET email = 'ana@example.org\r\nBcc: all@example.org' WHERE id = 1",
    "a missing follow-up": "DELETE FROM follow_up WHERE case_id = 1",
    "the zone of a clinic": "UPDATE clinic SET timezone = 'Mars/Olympus' WHERE id = 1",
    "the hour of a clinic": "UPDATE clinic SET working_days = '', holidays = 'XX-YY' WHERE id = 1",
}


@pytest.mark.parametrize("statement", POISON.values(), ids=POISON)
def test_one_bad_row_stops_nobody_elses_reminders(place: Installation, statement: str) -> None:
    """commcare-hq#30744: one case that could not be handled ended each night's run, for a year."""
    begin(place, "N-001", "N-002")
    lines = lanreotide("S-001")
    lines[0].data.update(clinic="South", navigator="sue@example.org")
    place.replay(lines, now=OPENS - 5 * DAY)
    change(place, statement)
    place.tick(OPENS)
    place.tick(OPENS + 3 * DAY)
    others = [("sue", 3)] if "UPDATE clinic" in statement else [("nav1", 2), ("sue", 3)]
    for navigator, case in others:
        assert [mail.cases for mail in place.told(f"{navigator}@example.org")] == [[case], [case]]


def test_one_bad_message_stops_no_other(place: Installation) -> None:
    """commcare-hq#30744, on the way out: messages that cannot be sent as they are, at the head of the queue."""
    begin(place, "N-001", "N-002", "N-003", "N-004")
    place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", free_port(), Tls.NONE, seconds=5))
    place.tick(OPENS)
    change(place, "UPDATE outbox_message SET recipient = 'a@example.org>\r\nRCPT TO:<all@example.org' WHERE id = 1")
    change(place, "UPDATE outbox_message SET sender = 'nobody at all', content = :none WHERE id = 2", none=b"")
    change(place, "UPDATE outbox_message SET message_id = '../../etc/passwd' WHERE id = 3")
    with running(FaultyServer(place.settings.home / "accepted")) as server:
        place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", server.port, Tls.NONE, seconds=5))
        place.tick(OPENS + HOUR)
        arrived = [accepted.recipient for accepted in server.journal.arrivals()]
    assert "nav3@example.org" in arrived
    assert "all@example.org" not in arrived


@pytest.mark.parametrize("kind", ["event:corrected", "activity:done"])
def test_a_case_that_cannot_be_read_is_refused_in_itself_and_named_by_verify(place: Installation, kind: str) -> None:
    """commcare-hq#30744: the case itself must not go unnoticed either."""
    begin(place, "N-001", "N-002")
    change(place, POISON["an event"])
    record(place, "N-002", "activity:done", OPENS, activity="injection")
    with pytest.raises(ValueError, match="Expecting property name"):
        record(place, "N-001", kind, OPENS, activity="injection")
    assert [finding for finding in findings(place, OPENS) if "N-001" in finding]


# To nobody ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement, alarm",
    [
        ("UPDATE person SET email = 'ana, at home' WHERE id = 1", "address"),
        ("UPDATE patient_case SET navigator_id = NULL", "nobody-to-tell"),
    ],
)
def test_a_navigator_without_an_address_is_an_alarm_and_no_silence(
    place: Installation, statement: str, alarm: str
) -> None:
    """SORMAS#3273: a task for somebody without an address was saved, and nobody was told or warned."""
    begin(place)
    change(place, statement)
    if "patient_case" in statement:
        change(place, "UPDATE reminder SET navigator_id = NULL")
    assert place.tick(OPENS).sent == 0
    assert alarm in alarmed(place, OPENS)


# The dead, and the unsent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("died_on, told", [("2026-04-20", 0), ("2026-04-25", 1)])
def test_no_reminder_of_the_dead_from_the_day_on_which_it_is_known(
    place: Installation, died_on: str, told: int
) -> None:
    """In the field: thousands of invitations and letters to patients who had died."""
    begin(place)
    day = date.fromisoformat(died_on)
    known = datetime(day.year, day.month, day.day, 12, 0, tzinfo=UTC)
    ticks = [OPENS + days * DAY for days in range(-6, 40, 2)]
    for now in ticks:
        if now - 2 * DAY < known <= now:
            record(place, "N-001", "state:changed", known, trigger="record_death")
        place.tick(now)
    assert len(place.mails()) == told
    assert steps(place, status="pending") == [] == steps(place, status="raised")


def test_reminders_that_do_not_leave_are_noticed_within_the_hour(place: Installation) -> None:
    """In the field: 411,000 letters lay unsent for seven years, and nobody noticed."""
    begin(place)
    settings = place.settings
    place.settings = replace(settings, smtp=SmtpServer("127.0.0.1", free_port(), Tls.NONE, seconds=5))
    place.tick(OPENS)
    place.tick(OPENS + 61 * MINUTE)
    assert "waiting" in alarmed(place, OPENS + 61 * MINUTE)
    assert "scheduler" in alarmed(place, OPENS + 70 * MINUTE)
    assert "ledger-unchecked" in alarmed(place, OPENS + 3 * DAY)
