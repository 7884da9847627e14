"""The scheduler or the mail server is down, for an hour or a quarter of a year: each person hears once, of everything.

A twin that was never down, with the same events on record at the same times, says what was to be told and when.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import and_
from sqlmodel import col, select

from tests.faults import ground
from tests.faults.smtp_server import FaultyServer, free_port, running
from tests.tracker.conftest import Installation, installed, settings_in
from tests.tracker.histories import lanreotide
from tracker import balance, cases, pathways
from tracker.clock import local_date
from tracker.demo import demo_cohort
from tracker.ledger import verify
from tracker.mail.places import SmtpServer, Tls
from tracker.models import Case, Clinic, Digest, FollowUpRow, Person, Reminder
from tracker.outbox import standing

DOWN = datetime(2026, 4, 21, 19, 0, tzinfo=UTC)
"""A Tuesday evening in London, noon in Los Angeles, and Wednesday, just before the digest, in Auckland."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TICKS_AFTERWARDS = (0, 1, 3, 5, 7, 9, 12, 13, 16, 20, 21, 25, 27, 30)
"""In hours: after each clinic's hour, and never longer apart than a message that was refused waits."""
LATE = "Late: this should have reached you before today"
OUTAGES = {"1 hour": HOUR, "1 day": DAY, "30 days": 30 * DAY, "90 days": 90 * DAY}
PLACES = (
    ("North", "Europe/London", "ana"),
    ("East", "Pacific/Auckland", "cho"),
    ("Far West", "America/Los_Angeles", "dan"),
    ("Middle", "Asia/Kathmandu", "eve"),
)


Outage = Callable[[Installation, datetime], AbstractContextManager[Callable[[], list[bytes]]]]

# What is on record ------------------------------------------------------------------------------------------


def begin(place: Installation) -> None:
    """Cases in every stage, with three clinics of the demonstration and three of our own; all is told so far."""
    place.replay(demo_cohort(pathways.shipped(), 12, 7, DOWN.date() - DAY), now=DOWN - 2 * DAY)
    for clinic, zone, navigator in PLACES:
        for n in range(1, 4):
            lines = lanreotide(f"{clinic.replace(' ', '')}-{n}")
            lines[0].data.update(clinic=clinic, timezone=zone, navigator=f"{navigator}@example.org")
            lines[4] = replace(lines[4], on=date(2026, 3, 27 + n))  # the next injection opens 25 days later
            place.replay(lines, now=DOWN - 2 * DAY)
    with place.database.writing() as session:
        for clinic in session.exec(select(Clinic).where(Clinic.name != "East")):
            clinic.lead_email = f"lead-{clinic.id}@example.org"
    for hours in (24, 18, 10, 1):
        place.tick(DOWN - hours * HOUR)


def record(ref: str, kind: str, **data: Any) -> Callable[[Installation, datetime], None]:
    def now(place: Installation, moment: datetime) -> None:
        with place.writing(moment) as writing:
            zone = writing.session.get_one(Clinic, cases.find(writing.session, ref).clinic_id).timezone
            cases.record(writing, ref=ref, kind=kind, on=local_date(moment, zone), data=data)

    return now


def new_case(ref: str, number: int) -> Callable[[Installation, datetime], None]:
    clinic, zone, navigator = PLACES[number]

    def now(place: Installation, moment: datetime) -> None:
        data = {"clinic": clinic, "timezone": zone, "patient": {"ref": ref}, "navigator": f"{navigator}@example.org"}
        with place.writing(moment) as writing:
            cases.open_case(writing, ref=ref, on=local_date(moment, zone), data=data)

    return now


def in_days(days: int) -> str:
    return (DOWN + days * DAY).date().isoformat()


died = {"trigger": "record_death"}
EVENTS: dict[timedelta, Callable[[Installation, datetime], None]] = {
    HOUR / 3: record("North-2", "state:changed", **died),
    12 * HOUR: record("East-2", "test:requested", activity="pth", reason="suspicion"),
    2 * DAY: new_case("New-1", 1),
    4 * DAY: record("Middle-1", "activity:done", activity="injection"),
    5 * DAY: new_case("New-2", 0),
    6 * DAY: record("North-3", "activity:rescheduled", activity="injection", to=in_days(12), reason="away"),
    7 * DAY: record("FarWest-2", "activity:snoozed", activity="injection", until=in_days(45)),
    8 * DAY: record("Middle-2", "activity:snoozed", activity="injection", until=in_days(20)),
    10 * DAY: record("FarWest-1", "state:changed", **died),
    15 * DAY: record("North-1", "case:handed_over", navigator="ben@example.org"),
    27 * DAY: new_case("New-3", 3),
    40 * DAY: record("New-1", "state:changed", **died),
    50 * DAY: record("East-1", "activity:done", activity="injection"),
    60 * DAY: record("Middle-3", "activity:waived", activity="injection", reason="stopped elsewhere"),
    88 * DAY: new_case("New-4", 2),
}


def live(place: Installation, days: Iterable[int], end: datetime) -> None:
    """What the pages record until ``end``, and two ticks on each of the days, counted from the beginning.

    At one of them or the other each clinic's digest of the day has become due.
    """

    def tick(place: Installation, moment: datetime) -> None:
        place.tick(moment)

    moments = [(DOWN + after, event) for after, event in EVENTS.items()]
    moments += [(DOWN + day * DAY + hours * HOUR, tick) for day in days for hours in (1, 7)]
    for moment, act in sorted(moments, key=lambda pair: pair[0]):
        if moment < end:
            act(place, moment)


class Step(NamedTuple):
    """A reminder, by what it is about."""

    case: int
    key: str
    due_on: date
    step: str


class Telling(NamedTuple):
    """When a step was told: by which digest, sent on which of the clinic's days."""

    digest: Digest
    on: date


def told(place: Installation) -> dict[Step, Telling]:
    """Every reminder that was sent."""
    with place.database.reading() as session:
        rows = session.exec(
            select(Reminder, Digest, Clinic)
            .join(Digest, col(Digest.id) == Reminder.digest_id)
            .join(Clinic, col(Clinic.id) == Reminder.clinic_id)
            .where(Reminder.status == "sent")
            .order_by(col(Reminder.remind_on), col(Reminder.id))
        )
        return {
            Step(row.case_id, row.follow_up_key, row.due_on, row.step): Telling(
                digest, local_date(row.sent_at or DOWN, clinic.timezone)
            )
            for row, digest, clinic in rows
        }


Twin = dict[Step, date]
"""The clinic day on which each step was told where nothing was ever down."""


@pytest.fixture(scope="module")
def begun_home() -> Iterator[Path]:
    """An installation on the embedded database that has begun, to copy."""
    with ground.folder() as folder:
        with installed(settings_in(folder)) as place:
            begin(place)
        yield folder


@pytest.fixture(scope="module")
def twin(begun_home: Path) -> Twin:
    with ground.folder() as folder:
        shutil.copytree(begun_home, folder, dirs_exist_ok=True)
        with installed(settings_in(folder)) as place:
            live(place, range(93), DOWN + 93 * DAY)
            return {step: telling.on for step, telling in told(place).items()}


@pytest.fixture
def begun(tmp_path: Path, database_url: str, begun_home: Path) -> Iterator[Installation]:
    """An installation that was up until now."""
    if not database_url:
        shutil.copytree(begun_home, tmp_path, dirs_exist_ok=True)
    with installed(settings_in(tmp_path, database_url)) as place:
        if database_url:
            begin(place)
        yield place


# The outages ------------------------------------------------------------------------------------------------


@contextmanager
def no_scheduler(place: Installation, back: datetime) -> Iterator[Callable[[], list[bytes]]]:
    """No tick at all until then; gives what has arrived since."""
    before = place.mails()
    live(place, [], back)
    yield lambda: [mail for mail in place.mails() if mail not in before]


@contextmanager
def no_mail_server(place: Installation, back: datetime) -> Iterator[Callable[[], list[bytes]]]:
    """Ticks, and nobody who takes mail, until then; gives what the server has accepted since, twice if twice."""
    settings, port, days = place.settings, free_port(), (back - DOWN).days
    place.settings = replace(settings, smtp=SmtpServer("127.0.0.1", port, Tls.NONE, seconds=5))
    live(place, {*range(min(4, days)), *range(4, days, 10), *range(max(days - 2, 0), days)}, back)
    with running(FaultyServer(settings.home / "accepted", port=port)) as server:
        yield lambda: [accepted.content for accepted in server.journal.arrivals()]
    place.settings = settings


@dataclass
class Return:
    """What came of an outage: the mails since, and what they told."""

    place: Installation
    back: datetime
    mails: list[EmailMessage]
    before: dict[Step, Telling]
    told: dict[Step, Telling]

    def told_by(self) -> dict[str, list[Step]]:
        """The steps that each digest told, by its key, in the order of their days."""
        found: dict[str, list[Step]] = {}
        for step, telling in self.told.items():
            found.setdefault(telling.digest.key, []).append(step)
        return found

    def text_of(self, key: str) -> str:
        """The plain text of a digest's mail."""
        (mail,) = [mail for mail in self.mails if f"<{key}@" in mail["Message-ID"]]
        return str(mail.get_body(("plain",)).get_content())


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def after(place: Installation, outage: Outage, length: timedelta) -> Return:
    """Live through an outage, and thirty hours after it."""
    before, back = told(place), DOWN + length
    with outage(place, back) as arrived:
        for hours in TICKS_AFTERWARDS:
            place.tick(back + hours * HOUR)
        mails = [read(content) for content in arrived()]
    since = {step: telling for step, telling in told(place).items() if step not in before}
    return Return(place, back, mails, before, since)


def on(sqlite: Iterable[str] = OUTAGES, postgresql: Iterable[str] = ()) -> pytest.MarkDecorator:
    """Lengths of outages by the database that is tried with them."""
    pairs = [(name, length) for name, some in (("sqlite", sqlite), ("postgresql", postgresql)) for length in some]
    return pytest.mark.parametrize("database_url, length", pairs, indirect=["database_url"])


@on(postgresql=["1 day", "90 days"])
def test_a_scheduler_that_comes_back_tells_each_person_everything_once_and_marks_what_is_late(
    begun: Installation, twin: Twin, length: str
) -> None:
    each_thing_is_told_once_late_or_in_time(after(begun, no_scheduler, OUTAGES[length]), twin)


@on(postgresql=["30 days"])
def test_a_mail_server_that_comes_back_gets_one_digest_for_each_person_not_one_for_each_day(
    begun: Installation, twin: Twin, length: str
) -> None:
    each_thing_is_told_once_late_or_in_time(after(begun, no_mail_server, OUTAGES[length]), twin)


def each_thing_is_told_once_late_or_in_time(returned: Return, twin: Twin) -> None:
    each_hears_once_a_day(returned)
    no_mail_looks_older_than_it_is(returned)
    all_is_told_and_soon(returned, twin)
    what_is_late_is_marked(returned, twin)
    nothing_is_told_of_the_dead(returned)
    the_ledger_balances(returned)


def each_hears_once_a_day(returned: Return) -> None:
    digests = {telling.digest.key: telling.digest for telling in returned.told.values()}
    ids = Counter(mail["Message-ID"].strip() for mail in returned.mails)
    assert ids == Counter(f"<{key}@net-case-tracker.invalid>" for key in digests)
    days = Counter((digest.clinic_id, digest.recipient, digest.on) for digest in digests.values())
    assert set(days.values()) <= {1}
    zones = dict(zones_of(returned.place))
    before = [d for d in digests.values() if d.on < local_date(returned.back, zones[d.clinic_id])]
    assert set(Counter((digest.clinic_id, digest.recipient) for digest in before).values()) <= {1}


def zones_of(place: Installation) -> list[tuple[int, str]]:
    with place.database.reading() as session:
        return [(clinic.id or 0, clinic.timezone) for clinic in session.exec(select(Clinic))]


def no_mail_looks_older_than_it_is(returned: Return) -> None:
    """A mailbox sorts by the date in the mail: one of three weeks ago would never be seen."""
    for mail in returned.mails:
        assert parsedate_to_datetime(mail["Date"]) > returned.back - DAY / 2


def expected(returned: Return, twin: Twin) -> dict[Step, date]:
    """What the twin had told by now and still holds: with the day on which it is to be told at the latest."""
    with returned.place.database.reading() as session:
        same = (col(FollowUpRow.case_id) == Reminder.case_id, FollowUpRow.key == Reminder.follow_up_key)
        found = (
            select(Reminder, Clinic)
            .join(FollowUpRow, and_(*same, FollowUpRow.due_on == Reminder.due_on))
            .join(Clinic, col(Clinic.id) == Reminder.clinic_id)
            .where(FollowUpRow.status == "open")
        )
        wanted: dict[Step, date] = {}
        for row, clinic in session.exec(found):
            step = Step(row.case_id, row.follow_up_key, row.due_on, row.step)
            first, last = (digest_day(clinic, returned.back + hours * HOUR) for hours in (24, TICKS_AFTERWARDS[-1]))
            if step in twin and max(twin[step], row.remind_on) <= last:
                wanted[step] = max(twin[step], first)
        return wanted


def digest_day(clinic: Clinic, now: datetime) -> date:
    """The last of the clinic's days whose digest is due by then; it is written at half past seven."""
    return local_date(now - timedelta(hours=7, minutes=30), clinic.timezone)


def all_is_told_and_soon(returned: Return, twin: Twin) -> None:
    wanted = expected(returned, twin)
    assert returned.told.keys() == wanted.keys() - returned.before.keys()
    assert [(step, telling.on) for step, telling in returned.told.items() if telling.on > wanted[step]] == []


def what_is_late_is_marked(returned: Return, twin: Twin) -> None:
    for key, steps in returned.told_by().items():
        last = {(step.case, step.key): step for step in steps}
        late = sum(twin[step] < returned.told[step].on for step in last.values())
        text = returned.text_of(key)
        assert re.findall(rf"^{LATE} \((\d+)\)", text, re.MULTILINE) == ([str(late)] if late else []), text
        assert ("Some of this comes late" in text) is bool(late)


def nothing_is_told_of_the_dead(returned: Return) -> None:
    with returned.place.database.reading() as session:
        dead = session.exec(select(Case.id).where(col(Case.died_on).is_not(None))).all()
    assert dead
    linked = {number for mail in returned.mails for number in re.findall(r"/go/(\d+)", mail.as_string())}
    assert not linked.intersection(map(str, dead))


def the_ledger_balances(returned: Return) -> None:
    place, now = returned.place, returned.back + TICKS_AFTERWARDS[-1] * HOUR
    with place.database.reading() as session:
        assert verify(session, now=now, chain_key=place.secret.derive("event chain")).findings == []
        assert balance.balance(session, now).findings == []
    assert set(standing(place.database).values()) == {0}


def test_a_weekly_digest_outlasts_a_mail_server_that_is_down_for_longer_than_one_message_is_tried(
    place: Installation,
) -> None:
    """It is not given up after five days: that would leave it to a person to send, once for each week."""
    monday, port = datetime(2026, 5, 4, 15, 0, tzinfo=UTC), free_port()
    place.replay(demo_cohort(pathways.shipped(), 1, 7, DOWN.date()), now=monday - DAY)
    with place.database.writing() as session:
        for person in session.exec(select(Person)):
            person.digest_days = "1"
    place.settings = replace(place.settings, smtp=SmtpServer("127.0.0.1", port, Tls.NONE, seconds=5))
    for days in range(21):
        assert place.tick(monday + days * DAY).rejected == 0
    with running(FaultyServer(place.settings.home / "accepted", port=port)) as server:
        place.tick(monday + 21 * DAY)
        assert len(server.journal.arrivals()) == 1
    assert set(standing(place.database).values()) == {0}
