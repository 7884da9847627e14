"""The outbox: what becomes of a message, whatever its transport says, and whoever else has a hand on it."""

import threading
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import cases, digests, outbox
from tracker.digests import Sender
from tracker.errors import ChangeRefused, UnknownThing
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.models import AuditEntry, OutboxMessage, Reminder
from tracker.reminders import sweep

OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DEFERRED = Outcome(Result.DEFERRED, "RCPT was refused (450)")
DOWN = Outcome(Result.DEFERRED, "no connection", down=True)
REJECTED = Outcome(Result.REJECTED, "RCPT was refused (550)")
UNCERTAIN = Outcome(Result.UNCERTAIN, "no answer to the end of the message")
SENT = Outcome(Result.SENT)


class Post:
    """A transport that answers as it is told, first to last; the last answer stands for all that follow.

    An answer before the message has left does not call ``leave``; an exception is raised.
    """

    def __init__(self, *answers: Outcome | Exception, before: Callable[[], object] | None = None) -> None:
        self.answers = list(answers) or [SENT]
        self.parcels: list[Parcel] = []
        self.left: list[Parcel] = []
        self.before = before

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        self.parcels.append(parcel)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.before is not None:
            self.before()
        if isinstance(answer, Outcome) and answer.result in (Result.SENT, Result.UNCERTAIN):
            if not leave():
                return Outcome(Result.WITHDRAWN)
            self.left.append(parcel)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def check(self) -> Outcome:
        return SENT

    def close(self) -> None:
        pass


class Arrivals:
    """A journal that knows some messages."""

    def __init__(self, *known: str, readable: bool = True) -> None:
        self.known, self.readable = set(known), readable

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        assert since.tzinfo is not None
        if not self.readable:
            raise OSError("no such folder")
        return self.known.intersection(message_ids)


def sender(place: Installation) -> Sender:
    return Sender("tracker@example.org", "http://127.0.0.1:5000", place.secret.derive("mail"))


@pytest.fixture
def waiting(place: Installation) -> Installation:
    """One digest that waits to be delivered, on Friday 24 April."""
    return with_digests(place, 1)


def with_digests(place: Installation, number: int) -> Installation:
    for n in range(number):
        lines = lanreotide(f"N-{n:03}")
        lines[0].data["navigator"] = f"nav{n:03}@example.org"
        place.replay(lines, now=OPENS - timedelta(days=5))
    with place.database.writing() as session:
        sweep(session, OPENS)
    assert digests.compose_digests(place.database, sender(place), OPENS) == number
    return place


def deliver(place: Installation, post: Post, now: datetime = OPENS) -> outbox.Delivered:
    return outbox.deliver(place.database, post, sender(place), now)


def message(place: Installation) -> OutboxMessage:
    with place.database.reading() as session:
        return session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))).first()  # type: ignore[return-value]


def reminder(place: Installation) -> Reminder:
    with place.database.reading() as session:
        return session.exec(
            select(Reminder).where(Reminder.step == "opens", col(Reminder.raised_at).is_not(None))
        ).one()


def claimed_by_somebody_else(place: Installation) -> None:
    with place.database.writing() as session:
        row = session.exec(select(OutboxMessage)).one()
        row.attempt += 1


def die(place: Installation, ref: str = "N-000") -> None:
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref=ref, kind="state:changed", on=date(2026, 4, 20), data=death)


# What the transport says -----------------------------------------------------------------------------------


def test_what_is_accepted_is_sent_with_its_reminders_and_never_again(waiting: Installation) -> None:
    post = Post(SENT)
    assert deliver(waiting, post).sent == 1
    assert deliver(waiting, post, OPENS + timedelta(days=1)).sent == 0
    assert len(post.left) == 1
    row = message(waiting)
    assert (row.state, row.settled_at, row.settled_by, row.lease_until) == ("sent", OPENS, "system:delivery", None)
    assert (reminder(waiting).status, reminder(waiting).sent_at) == ("sent", OPENS)


def test_the_message_is_on_record_as_leaving_before_its_first_byte_does(waiting: Installation) -> None:
    seen = []

    class Watching(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            seen.append(message(waiting).state)
            leave()
            seen.append(message(waiting).state)
            return SENT

    deliver(waiting, Watching())
    assert seen == ["claimed", "transmitting"]


def test_one_deferred_waits_longer_each_time_with_the_same_identity(waiting: Installation) -> None:
    post, now, waits = Post(DEFERRED), OPENS, []
    for _ in range(10):
        assert deliver(waiting, post, now).retrying == 1
        row = message(waiting)
        waits.append(int((row.next_try_at - now) / MINUTE))
        assert deliver(waiting, post, row.next_try_at - timedelta(seconds=1)).retrying == 0
        now = row.next_try_at
    assert waits == [1, 2, 5, 15, 30, 60, 120, 240, 240, 240]
    assert (row.state, row.failures, row.problem) == ("retry_wait", 10, "RCPT was refused (450)")
    assert len({parcel.message_id for parcel in post.parcels}) == 1
    assert reminder(waiting).status == "raised"


def test_what_could_not_be_delivered_for_five_days_is_given_up_and_shown(waiting: Installation) -> None:
    deliver(waiting, Post(DEFERRED), OPENS + timedelta(days=5) - MINUTE)
    assert message(waiting).state == "retry_wait"
    assert deliver(waiting, Post(DEFERRED), OPENS + timedelta(days=5)).rejected == 1
    row = message(waiting)
    assert (row.state, row.problem) == ("rejected", "given up after 5 days: RCPT was refused (450)")


def test_one_refused_for_good_is_not_tried_again(waiting: Installation) -> None:
    post = Post(REJECTED)
    assert deliver(waiting, post).rejected == 1
    deliver(waiting, post, OPENS + timedelta(days=2))
    assert (len(post.parcels), message(waiting).state, message(waiting).problem) == (1, "rejected", REJECTED.reason)
    assert reminder(waiting).status == "raised"


def test_one_without_an_answer_is_in_doubt_and_not_sent_again(waiting: Installation) -> None:
    post = Post(UNCERTAIN)
    assert deliver(waiting, post).uncertain == 1
    deliver(waiting, post, OPENS + timedelta(days=2))
    row = message(waiting)
    assert (len(post.left), row.state, row.doubted_at) == (1, "uncertain", OPENS)


def test_a_server_that_is_down_is_asked_once_a_round_and_nothing_is_held_against_the_others(
    place: Installation,
) -> None:
    with_digests(place, 3)
    post = Post(DOWN)
    deliver(place, post)
    assert len(post.parcels) == 1
    with place.database.reading() as session:
        rows = session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))).all()
    assert [(row.state, row.failures) for row in rows] == [("retry_wait", 1), ("queued", 0), ("queued", 0)]
    assert {row.next_try_at for row in rows} == {OPENS + MINUTE}
    assert deliver(place, Post(SENT), OPENS + MINUTE).sent == 3


def test_what_waited_before_waits_as_a_retry_when_the_server_is_down_again(place: Installation) -> None:
    with_digests(place, 2)
    deliver(place, Post(DEFERRED))
    deliver(place, Post(DOWN), OPENS + MINUTE)
    with place.database.reading() as session:
        found = session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))).all()
    assert [(row.state, row.failures) for row in found] == [("retry_wait", 2), ("retry_wait", 1)]


def test_a_message_that_cannot_be_handled_does_not_stop_the_queue(place: Installation) -> None:
    with_digests(place, 3)
    done = deliver(place, Post(ValueError("a line break in a header"), SENT))
    assert (done.sent, done.retrying) == (2, 1)
    assert message(place).problem == "the message could not be handled (ValueError)"


def test_a_fault_after_the_message_left_leaves_a_doubt(waiting: Installation) -> None:
    class Broken(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            assert leave()
            raise ValueError("unexpected")

    assert deliver(waiting, Broken()).uncertain == 1


def test_a_database_that_goes_away_in_the_middle_leaves_the_message_to_its_lease(waiting: Installation) -> None:
    gone = OperationalError("SELECT 1", {}, Exception("gone"))
    with pytest.raises(OperationalError):
        deliver(waiting, Post(gone))
    assert message(waiting).state == "claimed"


def test_an_outcome_that_the_database_did_not_take_at_first_is_recorded_all_the_same(
    waiting: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, original = [], outbox._sent

    def deadlocked(*given: object) -> bool:
        tries.append(given)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, Exception("deadlock detected"))
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox, "_sent", deadlocked)
    monkeypatch.setattr(outbox, "_BREATH", 0)
    assert deliver(waiting, Post(SENT)).sent == 1


def test_an_outcome_that_cannot_be_recorded_is_not_swallowed(
    waiting: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise OperationalError("UPDATE", {}, Exception("away"))

    monkeypatch.setattr(outbox, "_sent", away)
    monkeypatch.setattr(outbox, "_BREATH", 0)
    with pytest.raises(OperationalError):
        deliver(waiting, Post(SENT))
    assert message(waiting).state == "transmitting"


def test_a_round_ends_in_time_and_the_next_one_goes_on(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    with_digests(place, 5)
    monkeypatch.setattr(outbox, "_CLAIM", 2)
    clock = iter([0.0, 0.0, 100.0])
    monkeypatch.setattr("tracker.outbox.time.monotonic", lambda: next(clock))
    assert deliver(place, Post(SENT)).sent == 2
    monkeypatch.undo()
    assert deliver(place, Post(SENT)).sent == 3


# Somebody else -----------------------------------------------------------------------------------------------


def test_whoever_was_overtaken_before_the_message_left_sends_nothing(waiting: Installation) -> None:
    post = Post(SENT, before=lambda: claimed_by_somebody_else(waiting))
    done = deliver(waiting, post)
    assert (post.left, done.sent, done.retrying) == ([], 0, 0)
    assert message(waiting).state == "claimed"


def test_whoever_was_overtaken_changes_nothing_afterwards(waiting: Installation) -> None:
    post = Post(DEFERRED, before=lambda: claimed_by_somebody_else(waiting))
    assert deliver(waiting, post).retrying == 0
    assert (message(waiting).state, message(waiting).failures) == ("claimed", 0)


def test_an_answer_that_comes_after_the_lease_ran_out_still_ends_the_doubt(waiting: Installation) -> None:
    class Slow(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            leave()
            outbox.recover(waiting.database, OPENS + outbox.LEASE + MINUTE)
            assert message(waiting).state == "uncertain"
            return SENT

    assert deliver(waiting, Slow()).sent == 1
    assert message(waiting).state == "sent"


def test_several_deliverers_share_what_waits_and_send_each_once(place: Installation) -> None:
    with_digests(place, 40)
    posts = [Post(SENT) for _ in range(4)]
    threads = [threading.Thread(target=deliver, args=(place, post)) for post in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [parcel.message_id for post in posts for parcel in post.left]
    assert (len(sent), len(set(sent))) == (40, 40)


# After a crash ---------------------------------------------------------------------------------------------


def crash(place: Installation, *, after_leaving: bool) -> None:
    class Killed(BaseException):
        pass

    class Crashing(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            if after_leaving:
                leave()
            raise Killed

    with pytest.raises(Killed):
        deliver(place, Crashing())


def test_a_crash_before_the_message_left_is_simply_tried_again_once_the_lease_is_over(waiting: Installation) -> None:
    crash(waiting, after_leaving=False)
    assert deliver(waiting, Post(SENT), OPENS + outbox.LEASE).sent == 0
    assert deliver(waiting, Post(SENT), OPENS + outbox.LEASE + MINUTE).sent == 1


def test_a_crash_after_the_message_left_is_a_doubt_that_is_shown(waiting: Installation) -> None:
    crash(waiting, after_leaving=True)
    post = Post(SENT)
    deliver(waiting, post, OPENS + outbox.LEASE + MINUTE)
    row = message(waiting)
    assert (post.parcels, row.state, row.problem) == (
        [],
        "uncertain",
        "the tracker stopped while the message was leaving",
    )
    assert outbox.standing(waiting.database)["uncertain"] == 1


@pytest.mark.parametrize("after_leaving", [False, True])
def test_a_clock_set_back_does_not_hold_a_lease_for_ever(waiting: Installation, after_leaving: bool) -> None:
    crash(waiting, after_leaving=after_leaving)
    post = Post(SENT)
    deliver(waiting, post, OPENS - timedelta(days=30))
    assert message(waiting).state == ("uncertain" if after_leaving else "sent")


def test_a_clock_set_back_does_not_put_off_a_retry_for_ever(waiting: Installation) -> None:
    deliver(waiting, Post(DEFERRED))
    assert deliver(waiting, Post(SENT), OPENS - timedelta(days=30)).sent == 1


# The journal -----------------------------------------------------------------------------------------------


@pytest.fixture
def doubted(waiting: Installation) -> Installation:
    deliver(waiting, Post(UNCERTAIN))
    return waiting


def ask(place: Installation, journal: Arrivals, after: timedelta) -> str:
    outbox.reconcile(place.database, journal, OPENS + after)
    return message(place).state


def test_presence_in_the_journal_proves(doubted: Installation) -> None:
    assert ask(doubted, Arrivals(message(doubted).message_id), MINUTE) == "sent"
    assert message(doubted).settled_by == "system:journal"
    assert reminder(doubted).status == "sent"


def test_absence_from_the_journal_does_not_prove_at_once(doubted: Installation) -> None:
    assert ask(doubted, Arrivals(), outbox.JOURNAL_PATIENCE - MINUTE) == "uncertain"


def test_what_stays_away_is_sent_once_more_and_says_that_it_may_be_a_repeat(doubted: Installation) -> None:
    first = message(doubted)
    assert ask(doubted, Arrivals(), outbox.JOURNAL_PATIENCE) == "retry_wait"
    post = Post(SENT)
    assert deliver(doubted, post, OPENS + timedelta(hours=1)).sent == 1
    (parcel,) = post.left
    assert parcel.message_id == first.message_id.replace("@", ".1@")
    assert b"Subject: Perhaps once more: " in parcel.content
    assert b"You may have received this before" in parcel.content


def test_a_repeat_in_doubt_is_for_a_person_to_decide(doubted: Installation) -> None:
    ask(doubted, Arrivals(), outbox.JOURNAL_PATIENCE)
    later = OPENS + timedelta(hours=1)
    deliver(doubted, Post(UNCERTAIN), later)
    outbox.reconcile(doubted.database, Arrivals(), later + timedelta(days=3))
    assert (message(doubted).state, message(doubted).repeat) == ("uncertain", 1)


def test_the_first_message_turning_up_late_ends_the_doubt_of_the_repeat(doubted: Installation) -> None:
    first = message(doubted).message_id
    ask(doubted, Arrivals(), outbox.JOURNAL_PATIENCE)
    later = OPENS + timedelta(hours=1)
    deliver(doubted, Post(UNCERTAIN), later)
    outbox.reconcile(doubted.database, Arrivals(first), later + MINUTE)
    assert message(doubted).state == "sent"


def test_a_journal_that_cannot_be_read_decides_nothing(doubted: Installation) -> None:
    assert ask(doubted, Arrivals(readable=False), timedelta(days=3)) == "uncertain"


def test_without_doubts_the_journal_is_not_asked(waiting: Installation) -> None:
    outbox.reconcile(waiting.database, Arrivals(readable=False), OPENS)
    assert message(waiting).state == "queued"


# Changed while it waits ------------------------------------------------------------------------------------


def test_a_death_recorded_just_before_the_payload_stops_the_message(waiting: Installation) -> None:
    post = Post(SENT, before=lambda: die(waiting))
    done = deliver(waiting, post)
    assert (post.left, done.sent, done.cancelled) == ([], 0, 1)
    assert (message(waiting).state, message(waiting).problem) == ("cancelled", "nothing of it was left to tell")


def test_what_a_clock_that_ran_ahead_raised_leaves_its_message_when_its_follow_up_ends_before_its_day(
    waiting: Installation,
) -> None:
    before = OPENS - timedelta(days=1)
    waived = {"activity": "injection", "reason": "done elsewhere"}
    with waiting.writing(before) as writing:
        cases.record(writing, ref="N-000", kind="activity:waived", on=before.date(), data=waived)
    post = Post(SENT)
    assert deliver(waiting, post).cancelled == 1
    assert post.left == []


def test_a_message_that_loses_one_of_its_items_just_before_the_payload_goes_out_without_it(
    place: Installation,
) -> None:
    for ref in ("N-000", "N-001"):
        place.replay(lanreotide(ref), now=OPENS - timedelta(days=5))
    with place.database.writing() as session:
        sweep(session, OPENS)
    digests.compose_digests(place.database, sender(place), OPENS)

    def dies_once() -> None:
        post.before = None
        die(place)

    post = Post(SENT, before=dies_once)
    assert deliver(place, post).sent == 1
    (parcel,) = post.left
    assert len(post.parcels) == 2
    assert b"/go/1" not in parcel.content
    assert b"/go/2" in parcel.content


def test_a_message_that_changes_under_each_try_waits_for_the_next_round(waiting: Installation) -> None:
    def change() -> None:
        with waiting.database.writing() as session:
            digests.mark_stale_to(session, "nav000@example.org")

    post = Post(SENT, before=change)
    assert deliver(waiting, post).retrying == 1
    assert (len(post.parcels), post.left) == (3, [])


def test_a_message_that_somebody_put_back_meanwhile_is_claimed_anew(waiting: Installation) -> None:
    def lost() -> None:
        post.before = None
        with waiting.database.writing() as session:
            row = session.exec(select(OutboxMessage)).one()
            row.state, row.lease_until = "retry_wait", None

    post = Post(SENT, before=lost)
    assert deliver(waiting, post).sent == 1
    assert len(post.parcels) == 2


def test_a_rejected_message_that_has_changed_is_tried_once_more(waiting: Installation) -> None:
    deliver(waiting, Post(REJECTED))
    die(waiting)
    assert deliver(waiting, Post(SENT), OPENS + MINUTE).cancelled == 1


# By hand ---------------------------------------------------------------------------------------------------


def by_hand(place: Installation, action: Callable[..., None], message_id: int = 1) -> None:
    with place.writing(OPENS + timedelta(hours=1)) as writing:
        action(writing, message_id)


def test_a_rejected_message_can_be_sent_again(waiting: Installation) -> None:
    deliver(waiting, Post(REJECTED))
    by_hand(waiting, outbox.send_again)
    post = Post(SENT)
    assert deliver(waiting, post, OPENS + timedelta(hours=1)).sent == 1
    assert b"Perhaps once more" not in post.left[0].content


def test_one_in_doubt_that_is_sent_again_is_marked(doubted: Installation) -> None:
    by_hand(doubted, outbox.send_again)
    post = Post(SENT)
    deliver(doubted, post, OPENS + timedelta(hours=1))
    assert b"Perhaps once more" in post.left[0].content


def test_somebody_who_has_seen_it_settles_the_doubt(doubted: Installation) -> None:
    by_hand(doubted, outbox.settle_as_arrived)
    assert (message(doubted).state, message(doubted).settled_by) == ("sent", "ana@example.org")
    assert reminder(doubted).status == "sent"


def test_what_is_given_up_is_told_in_the_next_digest(doubted: Installation) -> None:
    by_hand(doubted, outbox.tell_in_next)
    assert (message(doubted).state, reminder(doubted).digest_id) == ("cancelled", None)
    assert digests.compose_digests(doubted.database, sender(doubted), OPENS + timedelta(days=3)) == 1


def test_each_settlement_is_on_record_with_who_made_it(doubted: Installation) -> None:
    by_hand(doubted, outbox.tell_in_next)
    with doubted.database.reading() as session:
        entry = session.exec(select(AuditEntry)).one()
    assert (entry.actor, entry.kind, entry.subject) == ("ana@example.org", "mail:given-up", "message 1")


@pytest.mark.parametrize("action", [outbox.send_again, outbox.settle_as_arrived, outbox.tell_in_next])
def test_what_is_settled_by_now_is_refused_in_words(waiting: Installation, action: Callable[..., None]) -> None:
    deliver(waiting, Post(SENT))
    with pytest.raises(ChangeRefused, match="message 1 is sent by now"):
        by_hand(waiting, action)
    with pytest.raises(UnknownThing):
        by_hand(waiting, action, 99)


def test_two_who_settle_one_message_at_once_settle_it_once(doubted: Installation) -> None:
    with doubted.writing(OPENS) as writing:
        row = outbox._in_question(writing, 1, ("uncertain",))
        row_before = OutboxMessage(**row.model_dump())
        outbox.settle_as_arrived(writing, 1)
    with doubted.writing(OPENS) as writing, pytest.raises(ChangeRefused, match="by somebody else"):
        outbox._settle_by_hand(writing, row_before, "mail:given-up", {"state": "cancelled", "settled_at": OPENS})
