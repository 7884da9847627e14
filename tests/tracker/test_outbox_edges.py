"""The outbox at its edges: exact moments, exact numbers, and whoever comes a step too late."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from tests.tracker.conftest import Installation
from tests.tracker.test_outbox import (
    DEFERRED,
    DOWN,
    MINUTE,
    OPENS,
    REJECTED,
    SENT,
    UNCERTAIN,
    Arrivals,
    Post,
    by_hand,
    claimed_by_somebody_else,
    crash,
    deliver,
    message,
    reminder,
    with_digests,
)
from tracker import outbox
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.models import AuditEntry, OutboxMessage

SECOND = timedelta(seconds=1)


def messages(place: Installation) -> list[OutboxMessage]:
    with place.database.reading() as session:
        return list(session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))))


def states(place: Installation) -> list[str]:
    return [row.state for row in messages(place)]


def change(place: Installation, number: int | None = None, **values: object) -> None:
    with place.database.writing() as session:
        which = update(OutboxMessage)
        session.execute((which if number is None else which.where(col(OutboxMessage.id) == number)).values(**values))


# Whoever comes too late ------------------------------------------------------------------------------------


def test_whoever_was_overtaken_while_the_message_left_does_not_settle_it(place: Installation) -> None:
    with_digests(place, 1)

    class Late(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            assert leave()
            claimed_by_somebody_else(place)
            return SENT

    assert deliver(place, Late()).sent == 0
    assert (message(place).state, reminder(place).status) == ("transmitting", "raised")


@pytest.mark.parametrize("answer", [REJECTED, SENT])
def test_what_was_settled_by_hand_while_it_was_on_its_way_stays_settled(place: Installation, answer: Outcome) -> None:
    with_digests(place, 1)

    class Slow(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            leave()
            outbox.recover(place.database, OPENS + outbox.LEASE + MINUTE)
            by_hand(place, outbox.settle_as_arrived)
            return answer

    done = deliver(place, Slow())
    assert (done.rejected, done.sent) == (0, 0)
    assert (message(place).state, message(place).settled_by) == ("sent", "ana@example.org")


@pytest.mark.parametrize("answer, state", [(REJECTED, "rejected"), (DEFERRED, "retry_wait")])
def test_a_refusal_that_comes_after_the_lease_ran_out_ends_the_doubt_too(
    place: Installation, answer: Outcome, state: str
) -> None:
    with_digests(place, 1)

    class Slow(Post):
        def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
            leave()
            outbox.recover(place.database, OPENS + outbox.LEASE + MINUTE)
            return answer

    deliver(place, Slow())
    assert message(place).state == state


def test_what_is_to_be_tried_later_is_not_taken_along(place: Installation) -> None:
    with_digests(place, 2)
    change(place, 2, next_try_at=OPENS + MINUTE)
    assert deliver(place, Post(SENT)).sent == 1
    assert states(place) == ["sent", "queued"]


def test_a_claim_that_somebody_put_back_is_not_sent_from_the_first_hand(place: Installation) -> None:
    """Between the claim and the look at what has changed it was put back: the second look finds it gone."""
    with_digests(place, 2)

    def put_back() -> None:
        post.before = None
        change(place, 2, state="queued", lease_until=None, stale=True)

    post = Post(SENT, before=put_back)
    assert deliver(place, post).sent == 2
    assert states(place) == ["sent", "sent"]


# Exact moments ---------------------------------------------------------------------------------------------


def test_a_claim_lasts_a_quarter_of_an_hour_and_counts(place: Installation) -> None:
    with_digests(place, 1)
    crash(place, after_leaving=False)
    row = message(place)
    assert (row.state, row.attempt, row.lease_until) == ("claimed", 1, OPENS + timedelta(minutes=15))


def test_the_lease_begins_anew_when_the_message_leaves(place: Installation) -> None:
    with_digests(place, 1)
    crash(place, after_leaving=True)
    assert (message(place).state, message(place).lease_until) == ("transmitting", OPENS + timedelta(minutes=15))


@pytest.mark.parametrize("after_leaving, later", [(False, "retry_wait"), (True, "uncertain")])
def test_a_lease_is_over_a_moment_after_its_end(place: Installation, after_leaving: bool, later: str) -> None:
    with_digests(place, 1)
    crash(place, after_leaving=after_leaving)
    held = message(place).state
    outbox.recover(place.database, OPENS + outbox.LEASE)
    assert message(place).state == held
    end = OPENS + outbox.LEASE + SECOND
    outbox.recover(place.database, end)
    row = message(place)
    assert (row.state, row.lease_until) == (later, None)
    assert row.doubted_at == (end if after_leaving else None)
    assert row.problem == ("the tracker stopped while the message was leaving" if after_leaving else None)
    assert (row.next_try_at == end) is not after_leaving


@pytest.mark.parametrize("ahead, taken", [(timedelta(0), False), (SECOND, True)])
def test_a_lease_further_ahead_than_any_can_be_is_over(place: Installation, ahead: timedelta, taken: bool) -> None:
    with_digests(place, 1)
    crash(place, after_leaving=False)
    outbox.recover(place.database, OPENS - ahead)
    assert (message(place).state == "retry_wait") is taken


@pytest.mark.parametrize("ahead, sent", [(timedelta(0), 0), (SECOND, 1)])
def test_a_try_further_ahead_than_any_can_be_is_due(place: Installation, ahead: timedelta, sent: int) -> None:
    with_digests(place, 1)
    change(place, next_try_at=OPENS + timedelta(hours=4) + ahead)
    assert deliver(place, Post(SENT)).sent == sent


@pytest.mark.parametrize("age, looked_at", [(timedelta(hours=12) - SECOND, False), (timedelta(hours=12), True)])
def test_a_message_of_half_a_day_ago_is_looked_at_again_before_it_leaves(
    place: Installation, age: timedelta, looked_at: bool
) -> None:
    with_digests(place, 1)
    change(place, content=b"as it was written")
    post = Post(SENT)
    assert deliver(place, post, OPENS + age).sent == 1
    assert (post.left[0].content != b"as it was written") is looked_at


def test_what_recovering_finds_leaves_other_messages_alone(place: Installation) -> None:
    with_digests(place, 5)
    held = OPENS + outbox.LEASE
    change(place, 1, state="claimed", lease_until=OPENS)
    change(place, 2, state="transmitting", lease_until=OPENS)
    change(place, 3, state="claimed", lease_until=held)
    change(place, 4, state="transmitting", lease_until=held)
    change(place, 5, state="rejected")
    outbox.recover(place.database, OPENS + SECOND)
    assert states(place) == ["retry_wait", "uncertain", "claimed", "transmitting", "rejected"]
    assert {row.lease_until for row in messages(place)} == {None, held}


def test_of_what_was_rejected_only_what_has_changed_is_tried_again(place: Installation) -> None:
    with_digests(place, 4)
    for number, (state, stale) in enumerate(
        [("rejected", False), ("rejected", True), ("uncertain", True), ("queued", True)], 1
    ):
        change(place, number, state=state, stale=stale)
    now = OPENS + timedelta(hours=2)
    outbox.recover(place.database, now)
    assert states(place) == ["rejected", "retry_wait", "uncertain", "queued"]
    assert [row.next_try_at == now for row in messages(place)] == [False, True, False, False]


# What one round does ---------------------------------------------------------------------------------------


def test_the_longest_waiting_goes_first_and_twenty_are_taken_at_a_time(place: Installation) -> None:
    with_digests(place, 22)
    for number in (3, 21):
        change(place, number, next_try_at=OPENS - timedelta(hours=number))
    held = []

    def look() -> None:
        held.append(states(place).count("claimed"))

    post = Post(SENT, before=look)
    assert deliver(place, post).sent == 22
    assert held == [*range(20, 0, -1), 2, 1]
    recipients = [parcel.recipient for parcel in post.left]
    first = {row.recipient for row in messages(place) if row.id in (3, 21)}
    assert first <= set(recipients[:20])
    assert recipients[20:] == [messages(place)[number - 1].recipient for number in (20, 22)]


def test_a_message_is_handed_over_as_it_was_written(place: Installation) -> None:
    with_digests(place, 1)
    row, post = message(place), Post(SENT)
    deliver(place, post)
    assert post.left == [Parcel(row.message_id, row.sender, row.recipient, row.content)]


def test_a_problem_is_forgotten_once_the_message_is_sent(place: Installation) -> None:
    with_digests(place, 1)
    deliver(place, Post(DEFERRED))
    assert message(place).problem == DEFERRED.reason
    deliver(place, Post(SENT), OPENS + MINUTE)
    assert message(place).problem is None


@pytest.mark.parametrize("result", [Result.DEFERRED, Result.REJECTED, Result.UNCERTAIN])
def test_a_long_reason_is_cut_to_what_is_kept(place: Installation, result: Result) -> None:
    with_digests(place, 1)
    deliver(place, Post(Outcome(result, "x" * 201)))
    row = message(place)
    assert (row.problem, row.lease_until) == ("x" * 200, None)


def test_a_long_reason_of_what_is_given_up_is_cut_too(place: Installation) -> None:
    with_digests(place, 1)
    deliver(place, Post(Outcome(Result.DEFERRED, "x" * 200)), OPENS + timedelta(days=5))
    problem = message(place).problem or ""
    assert (len(problem), problem[:25]) == (200, "given up after 5 days: xx")


def test_a_server_that_has_been_down_for_long_is_no_reason_to_give_a_message_up(place: Installation) -> None:
    with_digests(place, 1)
    assert deliver(place, Post(DOWN), OPENS + timedelta(days=9)).retrying == 1
    assert message(place).state == "retry_wait"


def test_what_was_put_back_untried_is_nobodys_by_then(place: Installation) -> None:
    with_digests(place, 3)
    change(place, 3, failures=2, state="retry_wait")
    deliver(place, Post(DOWN))
    assert [(row.state, row.failures, row.lease_until) for row in messages(place)] == [
        ("retry_wait", 1, None),
        ("queued", 0, None),
        ("retry_wait", 2, None),
    ]


def test_what_somebody_took_over_is_not_put_back(place: Installation) -> None:
    with_digests(place, 3)
    until = OPENS + timedelta(minutes=9)

    def take_over() -> None:
        change(place, 2, attempt=7)
        change(place, 3, state="transmitting", lease_until=until)

    deliver(place, Post(DOWN, before=take_over))
    assert states(place) == ["retry_wait", "claimed", "transmitting"]


def test_what_is_cancelled_is_settled_and_held_by_nobody(place: Installation) -> None:
    with_digests(place, 1)
    with place.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE reminder SET digest_id = NULL")
    change(place, stale=True)
    assert deliver(place, Post(SENT)).cancelled == 1
    row = message(place)
    assert (row.state, row.lease_until, row.settled_at) == ("cancelled", None, OPENS)


def test_each_way_in_which_messages_stand_is_counted(place: Installation) -> None:
    with_digests(place, 9)
    ways = ["queued", "retry_wait", "retry_wait", "claimed", "transmitting", "rejected", "uncertain", "uncertain"]
    for number, state in enumerate([*ways, "sent"], 1):
        held = OPENS if state in ("claimed", "transmitting") else None
        change(place, number, state=state, lease_until=held, settled_at=OPENS if state == "sent" else None)
    assert outbox.standing(place.database) == {
        "queued": 1,
        "retry_wait": 2,
        "claimed": 1,
        "transmitting": 1,
        "rejected": 1,
        "uncertain": 2,
    }


def test_where_nothing_waits_each_way_counts_nothing(place: Installation) -> None:
    ways = ["queued", "retry_wait", "claimed", "transmitting", "rejected", "uncertain"]
    assert outbox.standing(place.database) == dict.fromkeys(ways, 0)


# Doubts ----------------------------------------------------------------------------------------------------


def test_of_several_in_doubt_each_is_asked_for_and_settled_by_itself(place: Installation) -> None:
    with_digests(place, 3)
    deliver(place, Post(UNCERTAIN))
    change(place, 2, created_at=OPENS + MINUTE)
    found = messages(place)
    asked = []

    class Asked(Arrivals):
        def arrived(self, message_ids: object, since: object) -> set[str]:
            asked.append((list(message_ids), since))  # type: ignore[call-overload]
            return {found[1].message_id}

    outbox.reconcile(place.database, Asked(), OPENS + outbox.JOURNAL_PATIENCE)
    assert states(place) == ["retry_wait", "sent", "retry_wait"]
    assert asked == [([row.message_id for row in found], OPENS)]
    again = messages(place)[0]
    assert (again.repeat, again.stale, again.doubted_at) == (1, True, None)
    assert again.next_try_at == OPENS + timedelta(minutes=30)


def test_a_doubt_that_somebody_settled_while_the_journal_was_read_stays_settled(place: Installation) -> None:
    with_digests(place, 1)
    deliver(place, Post(UNCERTAIN))

    class Slow(Arrivals):
        def arrived(self, message_ids: object, since: object) -> set[str]:
            by_hand(place, outbox.settle_as_arrived)
            return set()

    outbox.reconcile(place.database, Slow(), OPENS + timedelta(days=1))
    assert (message(place).state, message(place).repeat) == ("sent", 0)


def test_a_message_taken_up_again_while_the_journal_was_read_is_left_to_whoever_has_it(place: Installation) -> None:
    with_digests(place, 1)
    deliver(place, Post(UNCERTAIN))

    class Slow(Arrivals):
        def arrived(self, message_ids: object, since: object) -> set[str]:
            change(place, attempt=2)
            return set()

    outbox.reconcile(place.database, Slow(), OPENS + timedelta(days=1))
    assert (message(place).state, message(place).repeat) == ("uncertain", 0)


# By hand ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state, action, kind, became",
    [
        ("rejected", outbox.send_again, "mail:sent-again", "retry_wait"),
        ("retry_wait", outbox.send_again, "mail:sent-again", "retry_wait"),
        ("uncertain", outbox.send_again, "mail:sent-again", "retry_wait"),
        ("uncertain", outbox.settle_as_arrived, "mail:arrived", "sent"),
        ("uncertain", outbox.tell_in_next, "mail:given-up", "cancelled"),
        ("rejected", outbox.tell_in_next, "mail:given-up", "cancelled"),
        ("retry_wait", outbox.tell_in_next, "mail:given-up", "cancelled"),
    ],
)
def test_what_is_decided_by_hand_is_done_and_noted(
    place: Installation, state: str, action: Callable[..., None], kind: str, became: str
) -> None:
    with_digests(place, 2)
    for number in (1, 2):
        change(place, number, state=state)
    by_hand(place, action, 2)
    now = OPENS + timedelta(hours=1)
    other, row = messages(place)
    assert (other.state, row.state) == (state, became)
    settled = became in ("sent", "cancelled")
    assert (row.settled_at, row.settled_by) == ((now, "ana@example.org") if settled else (None, None))
    if not settled:
        assert (row.stale, row.next_try_at, row.repeat) == (True, now, int(state == "uncertain"))
    with place.database.reading() as session:
        (entry,) = session.exec(select(AuditEntry))
    assert (entry.kind, entry.subject, entry.data) == (kind, "message 2", f'{{"was":"{state}","is":"{became}"}}')


@pytest.mark.parametrize(
    "state, action",
    [
        ("queued", outbox.send_again),
        ("claimed", outbox.send_again),
        ("transmitting", outbox.tell_in_next),
        ("queued", outbox.tell_in_next),
        ("rejected", outbox.settle_as_arrived),
        ("retry_wait", outbox.settle_as_arrived),
        ("cancelled", outbox.settle_as_arrived),
    ],
)
def test_what_is_not_in_question_is_not_decided_by_hand(
    place: Installation, state: str, action: Callable[..., None]
) -> None:
    with_digests(place, 1)
    held = OPENS if state in ("claimed", "transmitting") else None
    change(place, state=state, lease_until=held, settled_at=OPENS if state == "cancelled" else None)
    with pytest.raises(outbox.ChangeRefused, match=f"message 1 is {state.replace('_', ' ')} by now"):
        by_hand(place, action)
    assert message(place).state == state
