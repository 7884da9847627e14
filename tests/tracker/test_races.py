"""Several at once, on one database: nothing is lost, nothing happens twice, nobody sees an internal error."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlmodel import col, func, select
from structlog.testing import capture_logs

from tests.tracker.conftest import Installation, settings_in
from tests.tracker.histories import lanreotide
from tracker import accounts, cases, follow_ups, meetings, planned, views
from tracker import secret as secrets
from tracker.commands.common import prepare
from tracker.db import connect
from tracker.errors import ChangeRefused
from tracker.ledger import verify
from tracker.models import Case, CaseEvent, Digest, Person, PlannedHandOver, Reminder
from tracker.places import ANY
from tracker.reminders import sweep
from workflows.planning import Plan

if TYPE_CHECKING:
    from tests.postgres import Postgres

OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)


def at_once(*works: Callable[[], object]) -> list[BaseException]:
    """Start all of them together; what they raised."""
    start, raised = threading.Barrier(len(works)), []

    def call(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (whatever it is, the test tells it)
            raised.append(error)

    threads = [threading.Thread(target=call, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def number(place: Installation, table: type[Digest | CaseEvent | Person]) -> int:
    with place.database.reading() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def findings(place: Installation, now: datetime) -> list[str]:
    with place.database.reading() as session:
        return verify(session, now=now, chain_key=place.secret.derive("event chain")).findings


def test_schedulers_that_tick_at_once_write_one_digest_a_day(place: Installation) -> None:
    for name in "ABCD":
        place.replay(lanreotide(f"N-{name}"), now=OPENS - timedelta(days=5))
    for day in (0, 3, 7):
        now = OPENS + timedelta(days=day)
        assert at_once(*[lambda now=now: place.tick(now) for _ in range(6)]) == []
    assert number(place, Digest) == 3
    assert len(place.mails()) == 3
    assert findings(place, OPENS + timedelta(days=7)) == []


def test_what_is_recorded_while_the_sweep_runs_is_neither_lost_nor_refused(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    before = number(place, CaseEvent)

    def record(day: int, index: int) -> None:
        now = OPENS + timedelta(days=day, hours=1)
        with place.writing(now) as writing:
            moved = {"activity": "injection", "to": f"2026-05-{day + index + 1:02}", "reason": "away"}
            cases.record(writing, ref="N-001", kind="activity:rescheduled", on=now.date(), data=moved)

    for day in range(6):
        now = OPENS + timedelta(days=day, hours=1)
        works = [lambda day=day, index=index: record(day, index) for index in range(3)]
        assert at_once(*works, *[lambda now=now: place.tick(now) for _ in range(3)]) == []
    assert number(place, CaseEvent) == before + 18
    assert findings(place, OPENS + timedelta(days=6)) == []


def test_a_reminder_that_is_raised_while_its_follow_up_ends_stays_whole(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep comes exactly between reading the reminders of a case and changing them."""
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    sweeps = [threading.Thread(target=lambda: place.tick(OPENS))]
    wanted = follow_ups._wanted

    def interrupted(planned: Plan) -> object:
        sweeps[0].start()
        sweeps[0].join(timeout=1)  # done by then, or waiting for this very transaction
        return wanted(planned)

    monkeypatch.setattr(follow_ups, "_wanted", interrupted)
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 23), data=death)
    sweeps[0].join()
    assert findings(place, OPENS + timedelta(days=1)) == []
    with place.database.reading() as session:
        waiting = select(Reminder.id).where(Reminder.status == "pending")
        assert session.exec(waiting).all() == []


def test_two_who_name_the_same_new_navigator_at_once_name_one_person(place: Installation) -> None:
    for name in "ABCD":
        place.replay(lanreotide(f"N-{name}"))

    def hand_over(ref: str, to: str) -> None:
        with place.writing() as writing:
            data = {"navigator": f"{to}@example.org"}
            cases.record(writing, ref=ref, kind="case:handed_over", on=place.now.date(), data=data)

    for to in ("bo", "cy", "di"):
        assert at_once(*[lambda name=name, to=to: hand_over(f"N-{name}", to) for name in "ABCD"]) == []
    assert number(place, Person) == 4


def test_one_case_opened_twice_at_once_is_opened_once_and_refused_once_in_words(place: Installation) -> None:
    def open_case(ref: str) -> None:
        with place.writing() as writing:
            data = {"clinic": f"Clinic of {ref}", "timezone": "Europe/London", "patient": {"ref": ref}}
            cases.open_case(writing, ref=ref, on=place.now.date(), data=data)

    for ref in ("N-1", "N-2", "N-3"):
        raised = at_once(*[lambda ref=ref: open_case(ref) for _ in range(3)])
        assert [type(error) for error in raised] == [ChangeRefused, ChangeRefused]
    with place.database.reading() as session:
        assert list(session.exec(select(col(CaseEvent.seq)))) == [1, 1, 1]


def test_a_case_that_several_put_on_one_list_at_once_stands_there_once(place: Installation) -> None:
    place.replay(lanreotide("N-A"))

    def put(day: date, question: str) -> None:
        with place.writing() as writing:
            meetings.add(writing, "N-A", day, place.now.date(), question)

    for days in (3, 4, 5):
        day = place.now.date() + timedelta(days=days)
        assert at_once(*[lambda day=day, name=name: put(day, f"{name}?") for name in "ABCD"]) == []
        with place.database.reading() as session:
            assert len(meetings.on_list(session, day, ANY)) == 1


def test_hand_overs_of_the_same_cases_planned_at_once_count_once(place: Installation) -> None:
    place.replay(lanreotide("N-A") + lanreotide("N-B"))

    def plan(day: date) -> None:
        with place.writing() as writing:
            ids = list(writing.session.exec(select(Case.id)))
            giver = writing.session.exec(select(Person)).one()
            to, token = "ben@example.org", "0123456789abcdef"
            planned.plan(writing, giver=giver, case_ids=ids, to=to, on=day, reason="leave", token=token)

    days = [place.now.date() + timedelta(days=days) for days in range(2, 6)]
    assert at_once(*[lambda day=day: plan(day) for day in days]) == []
    assert at_once(*[lambda day=day: plan(day) for day in days]) == []
    with place.database.reading() as session:
        assert len({row.on for row in session.exec(select(PlannedHandOver))}) == 1, "the last word counts for both"


def test_one_account_added_twice_at_once_is_added_once_and_refused_once_in_words(place: Installation) -> None:
    def add(email: str) -> None:
        with place.writing() as writing:
            accounts.add(writing, email)

    for name in ("bo", "cy", "di"):
        raised = at_once(*[lambda name=name: add(f"{name}@example.org") for _ in range(3)])
        assert [type(error) for error in raised] == [ChangeRefused, ChangeRefused]


def test_a_view_saved_twice_at_once_is_kept_once(place: Installation) -> None:
    with place.writing() as writing:
        number = accounts.row_id(accounts.add(writing, "ana@example.org"))

    def save(name: str, question: str) -> None:
        with place.writing() as writing:
            views.save(writing, number, name, question)
            views.choose_columns(writing, number, [question])

    for name in ("Mine", "Late", "New"):
        assert at_once(*[lambda name=name, who=who: save(name, who) for who in "ABCD"]) == []
    with place.database.reading() as session:
        assert sorted(view.name for view in views.views_of(session, number)) == ["Late", "Mine", "New"]


def test_of_two_administrators_who_disable_each_other_at_once_one_stays(place: Installation) -> None:
    emails = ["ana@example.org", "ben@example.org"]
    with place.writing() as writing:
        for email in emails:
            accounts.add(writing, email, administrator=True)

    def disable(email: str) -> None:
        with place.writing() as writing:
            accounts.disable(writing, accounts.of(writing.session, email))

    for _ in range(5):
        raised = at_once(*[lambda email=email: disable(email) for email in emails])
        assert [type(error) for error in raised] == [ChangeRefused]
        with place.writing() as writing:
            for email in emails:
                accounts.enable(writing, accounts.of(writing.session, email))


def test_an_empty_database_made_ready_by_several_at_once_is_made_ready_once(
    postgres: "Postgres", tmp_path: Path
) -> None:
    url = postgres.create_database()
    settings = settings_in(tmp_path, url)
    key = secrets.create(settings.secret_file)
    databases = [connect(settings, key) for _ in range(4)]
    try:
        works = [lambda database=database: prepare(settings, key, database) for database in databases]
        assert at_once(*works) == []
        databases[0].require_schema()
    finally:
        for database in databases:
            database.close()
        postgres.drop_database(url)


@contextmanager
def being_changed(place: Installation, ref: str) -> Iterator[None]:
    """Somebody has the reminders of a case in hand and is not done yet; on PostgreSQL others need not wait."""
    with place.database.writing() as session:
        of_case = select(Reminder.id).join(Case).where(Case.ref == ref)
        session.exec(of_case.with_for_update(of=Reminder)).all()
        yield


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_postgresql
def test_a_digest_waits_for_a_case_that_is_being_changed_and_then_tells_it(place: Installation) -> None:
    """Without it the case would be told a day later, or after the weekend."""
    place.replay(lanreotide("N-A") + lanreotide("N-B"), now=OPENS - timedelta(days=5))
    others = lanreotide("N-C")
    others[0].data["navigator"] = "bea@example.org"
    place.replay(others, now=OPENS - timedelta(days=5))
    with place.database.writing() as session:
        sweep(session, OPENS)
    with being_changed(place, "N-A"), capture_logs() as logs:
        assert place.tick(OPENS).digests == 1
    assert [log["event"] for log in logs if log["event"].startswith("digest.")] == ["digest.later"]
    assert place.tick(OPENS + timedelta(minutes=1)).digests == 1
    assert sorted((mail.to, mail.cases) for mail in place.told()) == [
        ("ana@example.org", [1, 2]),
        ("bea@example.org", [3]),
    ]


@on_postgresql
def test_a_message_does_not_leave_without_a_case_that_is_being_changed(
    place: Installation, server_down: Callable[[], AbstractContextManager[None]]
) -> None:
    """It would count as told, and nobody would have heard of it."""
    place.replay(lanreotide("N-A") + lanreotide("N-B") + lanreotide("N-C"), now=OPENS - timedelta(days=5))
    with server_down():
        place.tick(OPENS)
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-C", kind="state:changed", on=OPENS.date(), data=death)
    with being_changed(place, "N-A"):
        assert place.tick(OPENS + timedelta(hours=1)).sent == 0
    assert place.tick(OPENS + timedelta(hours=2)).sent == 1
    assert [mail.cases for mail in place.told()] == [[1, 2]]
    assert findings(place, OPENS + timedelta(hours=2)) == []


@on_postgresql
def test_an_old_message_does_not_leave_unlooked_at_while_one_of_its_cases_is_being_changed(
    place: Installation, server_down: Callable[[], AbstractContextManager[None]]
) -> None:
    place.replay(lanreotide("N-A") + lanreotide("N-B"), now=OPENS - timedelta(days=5))
    with server_down():
        place.tick(OPENS)
    with being_changed(place, "N-A"):
        assert place.tick(OPENS + timedelta(hours=13)).sent == 0
    assert place.tick(OPENS + timedelta(hours=14)).sent == 1


@on_postgresql
def test_the_sweep_does_not_wait_for_a_case_that_is_being_changed(place: Installation) -> None:
    """It raises what is free; the other one is raised by the next sweep."""
    place.replay(lanreotide("N-A") + lanreotide("N-B"), now=OPENS - timedelta(days=5))
    with being_changed(place, "N-A"), place.database.writing() as session:
        assert sweep(session, OPENS) == 1
    with place.database.writing() as session:
        assert sweep(session, OPENS) == 1
