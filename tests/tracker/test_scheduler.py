"""The scheduler only wakes: at once, again, never twice at a time, and whatever the call comes to."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select
from structlog.testing import capture_logs

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import leases, scheduler
from tracker import tick as ticking
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.models import Heartbeat, LedgerCheck, OutboxMessage, Reminder


def until(reached: threading.Event) -> None:
    assert reached.wait(timeout=10)


def called(times: int, work: Callable[[], None] = lambda: None) -> tuple[Callable[[], None], threading.Event]:
    """A function that tells when it has been called so often."""
    calls, reached = [], threading.Event()

    def wake() -> None:
        calls.append(1)
        if len(calls) == times:
            reached.set()
        work()

    return wake, reached


def test_it_wakes_at_once_and_not_only_after_the_interval() -> None:
    wake, reached = called(1)
    stop = scheduler.start({wake: 3600})
    until(reached)
    stop()


def test_it_wakes_again_after_a_call_that_failed() -> None:
    def fail() -> None:
        raise OSError("disk full")

    wake, reached = called(2, fail)
    stop = scheduler.start({wake: 1})
    until(reached)
    stop()


def test_a_call_that_takes_longer_than_the_interval_is_not_overlapped() -> None:
    running, together = [], []

    def slow() -> None:
        running.append(1)
        together.append(len(running))
        threading.Event().wait(1.2)
        running.pop()

    wake, reached = called(2, slow)
    stop = scheduler.start({wake: 1})
    until(reached)
    stop()
    assert set(together) == {1}


def test_a_call_that_fails_is_logged_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("the name of a patient")

    wake, reached = called(2, fail)
    with capture_logs() as logs:
        stop = scheduler.start({wake: 1})
        until(reached)
        stop()
    assert logs[0] == {"event": "tick.failed", "kind": "OSError", "log_level": "error"}
    assert "patient" not in caplog.text


def test_who_stops_it_waits_for_the_call_that_runs() -> None:
    begun, ended = threading.Event(), []

    def slow() -> None:
        begun.set()
        threading.Event().wait(0.5)
        ended.append(1)

    stop = scheduler.start({slow: 3600})
    until(begun)
    stop()
    assert ended == [1]


def test_it_may_be_stopped_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while it has begun to call and is not done with its own lists; whatever its thread raised is an error."""
    submit = ThreadPoolExecutor.submit_job

    def slowly(executor: ThreadPoolExecutor, *given: object) -> None:
        submit(executor, *given)
        threading.Event().wait(0.3)

    monkeypatch.setattr(ThreadPoolExecutor, "submit_job", slowly)
    wake, reached = called(1)
    stop = scheduler.start({wake: 3600})
    until(reached)
    stop()


def test_a_call_that_was_missed_is_made_up_for_once_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    made = BackgroundScheduler(timezone="UTC")
    monkeypatch.setattr(made, "start", lambda: None)
    monkeypatch.setattr(scheduler, "BackgroundScheduler", lambda **_: made)
    scheduler.start({lambda: None: 60})
    (job,) = made.get_jobs()
    assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)
    first = job.trigger.get_next_fire_time(None, datetime.now(UTC))
    second = job.trigger.get_next_fire_time(first, first)
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=1) <= second - first < timedelta(minutes=2)


def test_what_is_woken_ticks_and_weighs_the_ledger(place: Installation) -> None:
    wakes = ticking.wakes(place.database, place.settings, place.secret, lambda: place.now)
    assert list(wakes.values()) == [60, 3600]
    for wake in wakes:
        wake()
    with place.database.reading() as session:
        assert {beat.part for beat in session.exec(select(Heartbeat))} == {"tick", "delivery"}
        assert session.exec(select(LedgerCheck.on)).all() == [place.now.date()]


def test_the_ledger_is_weighed_once_a_night(place: Installation) -> None:
    weighed = [ticking.nightly(place.database, place.now + timedelta(hours=hours)) for hours in (0, 1, 14, 15, 16, 39)]
    assert weighed == [True, False, False, True, False, True]


def test_what_another_process_is_weighing_is_not_weighed_again(place: Installation) -> None:
    with leases.held(place.database, "nightly", place.now):
        assert not ticking.nightly(place.database, place.now)
    assert ticking.nightly(place.database, place.now)


OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)


def beats(place: Installation) -> dict[str, datetime]:
    with place.database.reading() as session:
        return {beat.part: beat.at for beat in session.exec(select(Heartbeat))}


def test_while_another_process_sweeps_a_tick_delivers_what_waits(place: Installation) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=OPENS - timedelta(days=5))
    with leases.held(place.database, "sweep", OPENS):
        report = place.tick(OPENS)
        assert (report.swept, report.raised, report.digests, report.sent) == (False, 0, 0, 0)
        assert beats(place) == {"delivery": OPENS}
    report = place.tick(OPENS + timedelta(minutes=1))
    assert report.as_json() == {
        "now": "2026-04-24T08:01:00+00:00",
        "swept": True,
        "reminders": {"raised": 2},
        "digests": 1,
        "sent": 1,
        "retrying": 0,
        "uncertain": 0,
        "rejected": 0,
    }
    assert set(beats(place).values()) == {OPENS + timedelta(minutes=1)}


def test_a_tick_tells_how_many_messages_stand_in_each_way(place: Installation) -> None:
    for number, navigator in enumerate("abcdef"):
        lines = lanreotide(f"N-{number}")
        lines[0].data["navigator"] = f"{navigator}@example.org"
        place.replay(lines, now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.database.writing() as session:
        rows = session.exec(select(OutboxMessage).order_by(col(OutboxMessage.id))).all()
        for row, state in zip(
            rows, ["retry_wait", "uncertain", "uncertain", "rejected", "rejected", "rejected"], strict=True
        ):
            row.state, row.settled_at, row.next_try_at = state, None, OPENS + timedelta(hours=1)
    report = ticking.tick(place.database, replace(place.settings, mail_off=True), place.secret, OPENS)
    assert (report.retrying, report.uncertain, report.rejected) == (1, 2, 3)


def test_where_mail_is_off_reminders_are_raised_and_told_in_one_digest_later(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    off = replace(place.settings, mail_off=True)
    report = ticking.tick(place.database, off, place.secret, OPENS)
    assert (report.raised, report.digests, report.sent) == (1, 0, 0)
    assert beats(place) == {"tick": OPENS}
    monday = OPENS + timedelta(days=3)
    report = place.tick(monday)
    assert (report.raised, report.digests, report.sent) == (1, 1, 1)
    with place.database.reading() as session:
        assert len(session.exec(select(Reminder).where(Reminder.status == "sent")).all()) == 2


class Post:
    """A transport of another kind than a folder: it is no journal, and it remembers whether it was let go."""

    def __init__(self, answer: Outcome | Exception) -> None:
        self.answer, self.closed = answer, 0

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        if isinstance(self.answer, Exception):
            raise self.answer
        leave()
        return self.answer

    def close(self) -> None:
        self.closed += 1


def test_without_a_journal_what_is_in_doubt_stays_so(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    post = Post(Outcome(Result.UNCERTAIN, "no answer"))
    monkeypatch.setattr(ticking, "transport_of", lambda _: post)
    assert place.tick(OPENS).uncertain == 1
    assert place.tick(OPENS + timedelta(days=1)).uncertain == 1
    assert post.closed == 2
    assert set(beats(place).values()) == {OPENS + timedelta(days=1)}


def test_a_transport_is_let_go_where_the_delivery_fails_and_no_beat_is_heard(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    post = Post(OperationalError("SELECT 1", {}, Exception("gone")))
    monkeypatch.setattr(ticking, "transport_of", lambda _: post)
    with pytest.raises(OperationalError):
        place.tick(OPENS)
    assert post.closed == 1
    assert beats(place) == {"tick": OPENS}
