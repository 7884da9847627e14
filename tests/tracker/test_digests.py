"""Digests that cannot be written, or not now: nobody else's is kept back by it, and nothing of it is lost."""

import errno
import hashlib
import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import or_, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide, referred
from tracker import cases, digests
from tracker.ledger import verify
from tracker.mail import maildir
from tracker.models import Clinic, Digest, FollowUpRow, OutboxMessage, Person, Reminder
from tracker.reminders import sweep

Outage = Callable[[], AbstractContextManager[None]]
MONDAY = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAIR = ("ana", "bea")


def states(place: Installation) -> list[str]:
    with place.database.reading() as session:
        return list(session.exec(select(OutboxMessage.state).order_by(col(OutboxMessage.id))))


def findings(place: Installation, now: datetime) -> list[str]:
    with place.database.reading() as session:
        return verify(session, now=now, chain_key=place.secret.derive("event chain")).findings


def said(logs: list[EventDict]) -> list[str]:
    """What is on record of digests that were not written."""
    return [entry["event"] for entry in logs if entry["event"].startswith("digest.")]


def disk_is_full(*_: object) -> None:
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


def test_a_database_that_cannot_write_digests_is_no_matter_of_one_person(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(referred("N-1") + referred("N-2", navigator="bea@example.org"), now=MONDAY)
    with monkeypatch.context() as patch:
        patch.setattr(digests, "_to_tell", disk_is_full)
        with pytest.raises(OperationalError, match="disk is full"):
            place.tick(MONDAY)
    assert states(place) == []
    assert place.tick(MONDAY + HOUR).sent == 2


def test_a_database_that_fails_while_a_message_is_looked_at_again_ends_the_round(
    place: Installation, server_down: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(referred(), now=MONDAY)
    with server_down():
        place.tick(MONDAY)
    monkeypatch.setattr(digests, "_hold", disk_is_full)
    with pytest.raises(OperationalError, match="disk is full"):
        place.tick(MONDAY + 13 * HOUR)
    assert states(place) == ["claimed"]
    monkeypatch.undo()
    assert place.tick(MONDAY + 14 * HOUR).sent == 1


def test_a_digest_that_a_deliverer_has_just_taken_is_not_taken_back(
    place: Installation, server_down: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what waits and the change of it; what is new is told at the next tick."""
    place.replay(referred("N-1"), now=MONDAY)
    with server_down():
        place.tick(MONDAY)
    place.replay(referred("N-2", on="2026-05-12"), now=MONDAY + DAY)
    place.replay(referred("N-3", on="2026-05-12", navigator="bea@example.org"), now=MONDAY + DAY)
    hold = digests._hold

    def taken_first(session: Session, digest_id: int) -> None:
        taken = update(OutboxMessage).where(col(OutboxMessage.digest_id) == digest_id)
        session.execute(taken.values(state="claimed", lease_until=MONDAY + DAY + HOUR))
        hold(session, digest_id)

    with monkeypatch.context() as patch, server_down(), capture_logs() as logs:
        patch.setattr(digests, "_hold", taken_first)
        assert place.tick(MONDAY + DAY).digests == 1  # the other person's
    assert said(logs) == ["digest.later"]  # no failure
    place.tick(MONDAY + DAY + HOUR)
    told = sorted((mail.to, mail.cases) for mail in place.told())
    assert told == [("ana@example.org", [1, 2]), ("bea@example.org", [3])]
    assert findings(place, MONDAY + DAY + HOUR) == []


def test_whoever_had_a_digest_today_is_left_for_tomorrow_and_that_is_no_failure(place: Installation) -> None:
    place.replay(referred("N-1"), now=MONDAY)
    place.tick(MONDAY)
    place.replay(referred("N-2"), now=MONDAY + HOUR)
    with capture_logs() as logs:
        assert place.tick(MONDAY + HOUR).digests == 0
    assert said(logs) == []
    assert place.tick(MONDAY + DAY).digests == 1


def test_a_clinic_whose_hour_has_not_come_waits_while_another_is_told(place: Installation) -> None:
    place.replay(referred("N-1") + referred("S-1", clinic="South"), now=MONDAY)
    with place.database.writing() as session:
        session.exec(select(Clinic).where(Clinic.name == "South")).one().digest_at = time(15, 0)
    assert place.tick(MONDAY).digests == 1
    assert place.tick(MONDAY + 6 * HOUR).digests == 1


def test_where_nobody_is_there_to_tell_the_next_clinic_is_told_all_the_same(place: Installation) -> None:
    nobody = [referred(f"{name}-1", clinic=name, navigator=None) for name in ("East", "West")]
    place.replay(nobody[0] + referred("N-1") + nobody[1], now=MONDAY)
    assert place.tick(MONDAY).digests == 1


def test_what_a_refused_message_holds_is_not_told_by_the_next(place: Installation, server_down: Outage) -> None:
    """It is for a person to decide; until then it is neither lost nor told twice."""
    place.replay(referred("N-1"), now=MONDAY)
    with server_down():
        place.tick(MONDAY)
    with place.database.writing() as session:
        session.exec(select(OutboxMessage)).one().state = "rejected"
    place.replay(referred("N-2", on="2026-05-12"), now=MONDAY + DAY)
    place.tick(MONDAY + DAY)
    assert [mail.cases for mail in place.told()] == [[2]]


def test_what_stands_in_the_maildir_counts_as_told_though_its_disk_was_full(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader has seen it: to take it back with the case that ended would leave a mail that nothing knows of."""
    place.replay(referred("N-1"), now=MONDAY)
    place.tick(MONDAY)
    place.replay(referred("N-2", on="2026-05-12"), now=MONDAY + DAY)

    def no_space(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(maildir, "_fsync", no_space)
        place.tick(MONDAY + DAY)
    assert states(place) == ["sent", "uncertain"]
    with place.writing(MONDAY + DAY) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-2", kind="state:changed", on=(MONDAY + DAY).date(), data=death)
    place.tick(MONDAY + DAY + HOUR)
    assert states(place) == ["sent", "sent"]
    assert [mail.cases for mail in place.told()] == [[1], [2]]
    assert findings(place, MONDAY + DAY + HOUR) == []


def test_where_nothing_stands_any_more_that_could_be_told_no_digest_is_written(place: Installation) -> None:
    """Between two looks a follow-up may have ended; its reminders are withheld by whoever ended it."""
    place.replay(referred("N-1") + referred("N-2", navigator="bea@example.org"), now=MONDAY)
    with place.database.writing() as session:
        sweep(session, MONDAY)
        session.execute(
            update(FollowUpRow).where(col(FollowUpRow.case_id) == 1).values(status="done", ended_on=MONDAY.date())
        )
    assert place.tick(MONDAY).digests == 1
    assert [mail.cases for mail in place.told()] == [[2]]
    with place.database.writing() as session:
        session.execute(update(OutboxMessage).values(state="cancelled"))
    assert place.tick(MONDAY + HOUR).digests == 0


def test_each_reminder_tells_of_its_own_follow_up_though_another_of_the_case_is_due_on_the_same_day(
    place: Installation,
) -> None:
    place.replay(lanreotide(), now=MONDAY)
    with place.database.writing() as session:
        session.execute(update(FollowUpRow).where(col(FollowUpRow.status) == "open").values(due_on=MONDAY.date()))
        session.execute(update(Reminder).values(status="raised", due_on=MONDAY.date(), raised_at=MONDAY))
        rows = session.execute(digests._reminder_rows()).all()
        keys = {row.id: row.follow_up_key for row in session.exec(select(Reminder))}
        follow_ups = {row.id: row.key for row in session.exec(select(FollowUpRow))}
    assert len({row.activity for row in rows}) > 2
    assert len(rows) == len({row.id for row in rows})
    assert all(keys[row.id] == follow_ups[row.follow_up_id] for row in rows)


def test_a_reminder_of_a_day_that_no_longer_holds_is_not_told(place: Installation) -> None:
    place.replay(referred(), now=MONDAY)
    with place.database.writing() as session:
        sweep(session, MONDAY)
        session.execute(update(FollowUpRow).values(due_on=(MONDAY + DAY).date()))
    assert place.tick(MONDAY).digests == 0


def test_each_person_is_told_what_goes_to_them_and_not_what_only_looks_like_it(place: Installation) -> None:
    """Ana hears as navigator and the lead of Bea's; a step for the lead of Ana's is not among them today."""
    place.replay(referred("N-1") + referred("N-2", navigator="bea@example.org"), now=MONDAY)
    with place.database.writing() as session:
        for_lead = update(Reminder).where(or_(col(Reminder.case_id) == 2, col(Reminder.step) == "overdue"))
        session.execute(for_lead.values(audience="lead"))
        session.execute(update(Reminder).values(status="raised", raised_at=MONDAY))
        clinic = session.exec(select(Clinic)).one()
        ana, bea = (session.exec(select(Person.id).where(Person.email == f"{who}@example.org")).one() for who in PAIR)
        groups = {"ana": digests._Group(ana, "navigator"), "lead": digests._Group(bea, "lead")}
        ready = [digests._Recipient(clinic, to, MONDAY.date(), True, [group]) for to, group in groups.items()]
        told = digests._to_tell(session, ready)
    assert {(row.case_id, row.audience) for row in told["ana"]} == {(1, "navigator")}
    assert {(row.case_id, row.audience) for row in told["lead"]} == {(2, "lead")}


def test_the_identity_of_a_digest_follows_from_the_key_file_clinic_person_and_day(place: Installation) -> None:
    """A later version finds by it what an earlier one has written, and does not write it again."""
    place.replay(referred(), now=MONDAY)
    place.tick(MONDAY)
    key = hmac.new(place.secret.derive("mail"), b"1|ana@example.org|digest|2026-05-11", hashlib.sha256).hexdigest()
    with place.database.reading() as session:
        row = session.exec(select(OutboxMessage)).one()
        assert session.exec(select(Digest.key)).all() == [key]
    assert (row.sender, row.recipient) == (place.settings.mail_from, "ana@example.org")
    assert (row.key, row.message_id) == (key, f"<{key}@net-case-tracker.invalid>")


def test_a_row_without_a_number_is_not_taken_for_one() -> None:
    with pytest.raises(LookupError, match="has not been stored"):
        digests._id(None)
    assert digests._id(7) == 7
