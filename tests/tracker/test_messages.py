"""The outbox as people see it, and two people who decide about one message at once; on both databases."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import casebook, heartbeats, messages, outbox
from tracker.errors import ChangeRefused, UnknownThing
from tracker.mail import ways
from tracker.models import AuditEntry, OutboxMessage, Reminder
from tracker.settings import from_environment
from tracker.words import count, span
from tracker.writing import Writing

FRIDAY = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STATES = ("sent", "rejected", "uncertain", "queued", "retry_wait", "claimed", "cancelled")


@pytest.fixture
def posted(place: Installation) -> Installation:
    """One message in each of the states, for as many navigators."""
    for n in range(len(STATES)):
        lines = lanreotide(f"N-{n:03}")
        lines[0].data["navigator"] = f"nav{n}@example.org"
        place.replay(lines, now=FRIDAY - timedelta(days=5))
    place.tick(FRIDAY)
    with place.database.writing() as session:
        rows = session.exec(select(OutboxMessage).order_by(col(OutboxMessage.recipient))).all()
        for row, state in zip(rows, STATES, strict=True):
            row.state = state
            row.settled_at = FRIDAY if state in ("sent", "cancelled") else None
            row.lease_until = FRIDAY if state == "claimed" else None
            row.doubted_at = FRIDAY if state == "uncertain" else None
            row.next_try_at = FRIDAY - MINUTE if state == "queued" else FRIDAY
            told = "sent" if state == "sent" else "raised"
            for reminder in session.exec(select(Reminder).where(Reminder.digest_id == row.digest_id)):
                reminder.status, reminder.sent_at = told, FRIDAY if told == "sent" else None
    return place


def number_of(place: Installation, state: str) -> int:
    with place.database.reading() as session:
        return session.exec(select(OutboxMessage.id).where(OutboxMessage.state == state)).one() or 0


def seen(place: Installation, number: int) -> str:
    with place.database.reading() as session:
        return next(one.seen for one in messages.in_question(session, 9).items if one.id == number)


def test_each_message_is_in_one_list(posted: Installation) -> None:
    with posted.database.reading() as session:
        question, waiting = messages.in_question(session, 9), messages.waiting(session, 9)
        settled = messages.settled(session, None, 9)
        assert {one.state for one in question.items} == {"rejected", "uncertain"}
        assert [one.state for one in waiting.items] == ["claimed", "queued", "retry_wait"]
        assert {one.state for one in settled.items} == {"sent", "cancelled"}
        assert (question.number, waiting.number, settled.after) == (2, 3, None)
        assert messages.number_in_question(session) == 2
        assert messages.oldest_waiting(session) == messages.oldest_doubt(session) == FRIDAY
    one = question.items[0]
    assert (one.clinic, one.timezone, one.on, one.items, one.reminders) == (
        "North", "Europe/London", FRIDAY.date(), 1, 1,
    )  # fmt: skip


def test_a_short_list_says_how_many_there_are_in_all(posted: Installation) -> None:
    with posted.database.reading() as session:
        assert (len(messages.in_question(session, 1).items), messages.in_question(session, 1).number) == (1, 2)
        first = messages.settled(session, None, 1)
        second = messages.settled(session, first.after, 1)
        assert [one.id for one in first.items] > [one.id for one in second.items]
        assert (first.after, second.after) == (first.items[0].id, None)
        assert messages.settled(session, second.items[0].id, 1).items == []


def test_an_empty_outbox_has_no_oldest(place: Installation) -> None:
    with place.database.reading() as session:
        assert messages.oldest_waiting(session) is None
        assert messages.oldest_doubt(session) is None
        assert messages.number_in_question(session) == 0


def test_a_message_that_has_changed_cannot_be_decided_about(posted: Installation) -> None:
    number = number_of(posted, "rejected")
    shown = seen(posted, number)
    with posted.writing(FRIDAY) as writing:
        messages.require_unchanged(writing.session, number, shown)
        outbox.send_again(writing, number)
    with posted.writing(FRIDAY) as writing, pytest.raises(ChangeRefused, match="no longer as this page showed it"):
        messages.require_unchanged(writing.session, number, shown)
    with posted.writing(FRIDAY) as writing, pytest.raises(UnknownThing):
        messages.require_unchanged(writing.session, 999, shown)


Decide = Callable[[Writing, int], None]


@pytest.mark.parametrize(
    "one, other",
    [
        (outbox.settle_as_arrived, outbox.settle_as_arrived),
        (outbox.send_again, outbox.send_again),
        (outbox.settle_as_arrived, outbox.tell_in_next),
        (outbox.tell_in_next, outbox.send_again),
    ],
)
def test_of_two_who_decide_at_once_one_does(posted: Installation, one: Decide, other: Decide) -> None:
    number = number_of(posted, "uncertain")
    shown = seen(posted, number)
    start, said = threading.Barrier(2), []

    def decide(act: Decide) -> None:
        start.wait()
        try:
            with posted.writing(FRIDAY) as writing:
                messages.require_unchanged(writing.session, number, shown)
                act(writing, number)
        except ChangeRefused as refusal:
            said.append(str(refusal))
        else:
            said.append("done")

    both = [threading.Thread(target=decide, args=(act,)) for act in (one, other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert said.count("done") == 1
    assert sum("changed" in words or "no longer" in words for words in said) == 1
    with posted.database.reading() as session:
        assert len(session.exec(select(AuditEntry)).all()) == 1
        assert len(messages.settled_by_hand(session, 9)) == 1


def test_the_reminders_of_a_case_say_who_was_told_and_what_waits(posted: Installation) -> None:
    with posted.database.reading() as session:
        told = {
            case.ref: casebook.reminders_of(session, case.id)[0]
            for case in session.exec(select(casebook.Case).order_by(casebook.Case.ref))
        }
    assert (told["N-000"].told_to, told["N-000"].waits) == ("nav0@example.org", False)
    assert (told["N-001"].told_to, told["N-001"].waits) == (None, True)
    assert told["N-000"].sent_at == FRIDAY


# Words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "minutes, words",
    [(0, "0 minutes"), (1, "1 minute"), (119, "119 minutes"), (120, "2 hours"), (47 * 60 + 59, "47 hours"),
     (48 * 60, "2 days"), (60 * 24 * 1000, "1000 days")],
)  # fmt: skip
def test_a_span_of_time_is_in_the_largest_unit_of_which_there_are_two(minutes: int, words: str) -> None:
    assert span(minutes * MINUTE) == words


def test_numbers_have_a_noun() -> None:
    assert (count(1, "case"), count(1200, "case"), count(2, "entry", "entries")) == (
        "1 case",
        "1,200 cases",
        "2 entries",
    )


@pytest.mark.parametrize("minutes, silent", [(-6, True), (-5, False), (0, False), (5, False), (6, True)])
def test_a_scheduler_is_silent_on_either_side_of_now(minutes: int, silent: bool) -> None:
    assert bool(heartbeats.silence(FRIDAY, FRIDAY + minutes * MINUTE)) is silent


@pytest.mark.parametrize(
    "url, journal, out, back",
    [
        ("", "", "into the Maildir of this installation", "in the Maildir of this installation"),
        ("none", "", "nowhere: mail is off", "nowhere: a message in doubt is for a person to decide"),
        ("smtp://u:secret@mail.example.org", "postfix:/var/log/mail.log",
         "to the mail server mail.example.org, port 587, with STARTTLS", "in the log of Postfix"),
        ("smtps://mail.example.org", "maildir:/home/copies",
         "to the mail server mail.example.org, port 465, over TLS", "in a Maildir of copies"),
        ("smtp://mail.example.org?tls=none", "imaps://u:secret@imap.example.org/INBOX",
         "to the mail server mail.example.org, port 25, in the clear", "in a mailbox on imap.example.org"),
    ],
)  # fmt: skip
def test_the_ways_of_mail_are_told_without_account_and_password(url: str, journal: str, out: str, back: str) -> None:
    settings = from_environment({"TRACKER_SMTP_URL": url, "TRACKER_MAIL_JOURNAL": journal})
    assert (ways.way_out(settings), ways.way_back(settings)) == (out, back)
