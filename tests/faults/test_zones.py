"""Clocks that change, clinics that move, clocks that are wrong: each local day has one digest, at its hour, or none."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from tests.faults import ground
from tests.tracker.conftest import Installation, installed, settings_in
from tracker import cases, people
from tracker.clock import local_date
from tracker.ledger import verify
from tracker.mail.transport import Outcome, Parcel, Result
from tracker.models import Clinic, Digest, OutboxMessage, Reminder

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = 30 * MINUTE
USUAL = time(7, 30)
ZONES = (
    *("Europe/London", "Europe/Berlin", "Atlantic/Azores", "America/Nuuk", "Antarctica/Troll", "Africa/Casablanca"),
    *("America/New_York", "America/St_Johns", "America/Los_Angeles", "America/Havana", "America/Santiago"),
    *("Asia/Beirut", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Marquesas"),
    *("Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Norfolk", "Pacific/Auckland", "Pacific/Chatham"),
    *("Pacific/Apia", "Pacific/Kiritimati"),
)


# When clocks change -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edge:
    """A moment at which a zone's clocks go forward (or back, where ``by`` is negative)."""

    zone: str
    at: datetime
    by: timedelta

    @property
    def both_hours(self) -> tuple[time, time]:
        """The usual time of day, and one that does not exist on that day, or comes twice."""
        before = (self.at - MINUTE).astimezone(ZoneInfo(self.zone)).replace(tzinfo=None) + MINUTE
        return USUAL, (before + self.by / 2).time()


def offset(zone: str, moment: datetime) -> timedelta:
    found = moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert found is not None
    return found


def edges(zone: str, start: datetime, days: int) -> Iterator[Edge]:
    """Every change of a zone's clocks."""
    for half_hours in range(days * 48):
        before, after = (start + (half_hours + n) * TICK for n in (0, 1))
        by = offset(zone, after) - offset(zone, before)
        if by:
            yield Edge(zone, after, by)


@cache
def windows() -> list[list[Edge]]:
    """All changes of 2026, those within a day and a half of each other together."""
    found: list[list[Edge]] = []
    year = datetime(2026, 1, 1, tzinfo=UTC)
    for edge in sorted((e for zone in ZONES for e in edges(zone, year, 365)), key=lambda e: e.at):
        if found and edge.at - found[-1][0].at < 36 * HOUR:
            found[-1].append(edge)
        else:
            found.append([edge])
    return found


# Clinics that always have something to tell ------------------------------------------------------------------


@dataclass(eq=False)
class Place:
    """A clinic with one navigator, its zone and its hour."""

    name: str
    zone: str
    hour: time = USUAL
    opened: date | None = None

    @property
    def navigator(self) -> str:
        return re.sub(r"\W", "-", self.name.lower()) + "@example.org"


@dataclass
class World:
    """Clinics in which a case is opened on each local day, and something asked for in it on that very day."""

    place: Installation
    places: list[Place]
    numbers: Iterator[int] = field(default_factory=count)

    def open_cases(self, now: datetime) -> None:
        new = [p for p in self.places if p.opened != local_date(now, p.zone)]
        with self.place.writing(now) as writing:
            for p in new:
                day = p.opened = local_date(now, p.zone)
                ref = f"C-{next(self.numbers)}"
                data = {"clinic": p.name, "timezone": p.zone, "patient": {"ref": ref}, "navigator": p.navigator}
                cases.open_case(writing, ref=ref, on=day, data=data)

    def move(self, name: str, zone: str, now: datetime) -> None:
        with self.place.writing(now) as writing:
            people.set_timezone(writing, name, zone)
        next(p for p in self.places if p.name == name).zone = zone

    def begin(self, now: datetime) -> World:
        """Open the first cases, and let every day be a working day."""
        self.open_cases(now)
        with self.place.database.writing() as session:
            hours = {p.name: p.hour for p in self.places}
            for clinic in session.exec(select(Clinic)):
                clinic.working_days, clinic.digest_at = "1234567", hours[clinic.name]
        return self

    def live(
        self,
        start: datetime,
        end: datetime,
        before: Callable[[datetime], object] = lambda _: None,
        every: timedelta = TICK,
    ) -> None:
        """A tick every half an hour, or as often as is said."""
        now = start
        while now <= end:
            before(now)
            self.open_cases(now)
            self.place.tick(now)
            now += every

    def sent(self) -> dict[str, list[Sent]]:
        """What each clinic's navigator got: the clinic days of the digests, and when each left."""
        with self.place.database.reading() as session:
            rows = session.exec(
                select(Clinic.name, Digest.on, OutboxMessage.settled_at)
                .join(Digest, col(Digest.clinic_id) == Clinic.id)
                .join(OutboxMessage, col(OutboxMessage.digest_id) == Digest.id)
                .where(OutboxMessage.state == "sent")
                .order_by(col(OutboxMessage.settled_at))
            )
            found: dict[str, list[Sent]] = {}
            for name, on, at in rows:
                assert at is not None
                found.setdefault(name, []).append(Sent(on, at))
        return found


class Sent(NamedTuple):
    on: date
    at: datetime


@pytest.fixture
def empty() -> Iterator[Installation]:
    with ground.folder() as folder, installed(settings_in(folder)) as place:
        yield place


# Summer time ------------------------------------------------------------------------------------------------


NO_30TH = [Edge("Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC), DAY)]
"""Samoa went over the date line, and had no 30 December."""


@pytest.mark.parametrize("changes", [*windows(), NO_30TH], ids=lambda changes: f"{changes[0].at:%d-%b-%Y}")
def test_each_local_day_has_one_digest_at_its_hour_when_clocks_change(empty: Installation, changes: list[Edge]) -> None:
    """Also where the hour of the digest is one that the clocks leave out, or show twice."""
    start, end = changes[0].at - 26 * HOUR, changes[-1].at + 26 * HOUR
    places = [Place(f"{edge.zone} at {hour:%H:%M}", edge.zone, hour) for edge in changes for hour in edge.both_hours]
    if changes == windows()[0]:
        places += [Place(zone, zone) for zone in ZONES if not any(zone == e.zone for w in windows() for e in w)]
    world = World(empty, places).begin(start)
    world.live(start, end)
    for p in places:
        one_digest_each_day_at_its_hour(p, world.sent()[p.name], start, end)


def one_digest_each_day_at_its_hour(p: Place, sent: list[Sent], start: datetime, end: datetime) -> None:
    days = [one.on for one in sent]
    assert len(days) == len(set(days)), p
    at = dict(sent)
    wanted = {day: moment for day, moment in hours(p, start, end).items() if start < moment < end - 2 * HOUR}
    assert len(wanted) >= 2
    for day, moment in wanted.items():
        skipped = offset(p.zone, moment) - offset(p.zone, moment - MINUTE)  # what of the clock that minute left out
        assert moment <= at[day] <= moment + max(skipped, timedelta(0)) + TICK, (p, day, at[day], moment)
    assert all(local_date(one.at, p.zone) == one.on for one in sent)


def hours(p: Place, start: datetime, end: datetime) -> dict[date, datetime]:
    """On each local date, the first moment at which a clock on the wall has reached the hour."""
    found: dict[date, datetime] = {}
    for minutes in range(0, int((end - start) / MINUTE), 5):
        wall = (start + minutes * MINUTE).astimezone(ZoneInfo(p.zone))
        if wall.time() >= p.hour:
            found.setdefault(wall.date(), start + minutes * MINUTE)
    return found


# A clinic moves -----------------------------------------------------------------------------------------------

MOVES = (
    ("Europe/London", "America/New_York"),
    ("America/New_York", "Europe/London"),
    ("Asia/Kolkata", "Asia/Kathmandu"),
    ("Pacific/Apia", "Pacific/Pago_Pago"),
    ("Pacific/Pago_Pago", "Pacific/Apia"),
    ("Pacific/Kiritimati", "Etc/GMT+12"),
    ("Etc/GMT+12", "Pacific/Kiritimati"),
)
"""West, east, a little, and over the date line, by up to 26 hours."""


def test_a_clinic_that_changes_its_zone_at_any_hour_has_one_digest_a_day_at_most_and_misses_nothing(
    empty: Installation,
) -> None:
    """Some of them for good, and some back again nine hours later."""
    start = datetime(2026, 6, 2, 0, 0, tzinfo=UTC)
    moved, end = start + DAY, start + 3 * DAY + 12 * HOUR
    places = {
        Place(f"{old} to {new} at {hour}", old): {moved + hour * HOUR: new}
        | ({} if hour % 2 else {moved + (hour + 9) * HOUR: old})
        for old, new in MOVES
        for hour in (1, 6, 9, 14, 17, 22)
    }
    world = World(empty, list(places)).begin(start)

    def move(now: datetime) -> None:
        for p, moves in places.items():
            if now in moves:
                world.move(p.name, moves[now], now)

    world.live(start, end, move, every=HOUR)
    quiet(empty, end, end + 3 * DAY)
    for p, moves in places.items():
        sent = world.sent()[p.name]
        assert len({one.on for one in sent}) == len(sent), p
        for one in sent:
            assert one.on == local_date(one.at, zone_at(p, moves, one.at)), p
    nothing_waits(empty, end + 3 * DAY)


def zone_at(p: Place, moves: dict[datetime, str], moment: datetime) -> str:
    """The zone that a clinic was in."""
    past = [at for at in moves if at <= moment]
    return moves[max(past)] if past else p.name.partition(" to ")[0]


def quiet(place: Installation, start: datetime, end: datetime) -> None:
    """Nothing new is recorded, and the clock goes on."""
    while start <= end:
        place.tick(start)
        start += 5 * HOUR


def nothing_waits(place: Installation, now: datetime) -> None:
    """All that was to be told has been told, and every account says so."""
    with place.database.reading() as session:
        untold = select(Reminder).where(Reminder.status != "sent", Reminder.remind_on < (now - DAY).date())
        assert session.exec(untold).all() == []
        assert verify(session, now=now, chain_key=place.secret.derive("event chain")).findings == []


# A clock that is wrong ----------------------------------------------------------------------------------------


class Post:
    """A mail server that is up or down, and keeps what it took."""

    def __init__(self) -> None:
        self.up = True
        self.taken: list[Parcel] = []

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        if not self.up:
            return Outcome(Result.DEFERRED, "no connection", down=True)
        if not leave():
            return Outcome(Result.WITHDRAWN)
        self.taken.append(parcel)
        return Outcome(Result.SENT)

    def close(self) -> None:
        pass


class Moment(NamedTuple):
    """Something happens, and the tick comes: the clock has gone on (or back) by so much since the last one."""

    by: timedelta
    server_up: bool
    opens_case: bool
    moves_to: str | None


JUMPS = st.one_of(
    st.integers(min_value=0, max_value=36 * 60).map(lambda minutes: minutes * MINUTE),
    st.sampled_from([-400 * DAY, -3 * DAY, -DAY, -HOUR, -MINUTE, 2 * DAY, 9 * DAY, 100 * DAY, 400 * DAY]),
)
MOMENTS = st.lists(
    st.builds(
        Moment, JUMPS, st.booleans(), st.booleans(), st.sampled_from([None, None, None, "Pacific/Apia", "Etc/GMT+12"])
    ),
    min_size=4,
    max_size=14,
)
EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 12


@pytest.fixture(scope="module")
def copies() -> Iterator[Callable[[], AbstractContextManager[Installation]]]:
    with ground.copies() as copy:
        yield copy


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(moments=MOMENTS)
def test_whatever_the_clock_says_each_reminder_is_told_once_and_nobody_gets_two_digests_of_one_day(
    copies: Callable[[], AbstractContextManager[Installation]], moments: list[Moment]
) -> None:
    post, now, zone = Post(), datetime(2026, 6, 1, 12, 0, tzinfo=UTC), "Europe/London"
    latest = now
    with copies() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tracker.tick.transport_of", lambda _: post)
        world = World(place, [Place("North", zone)]).begin(now)
        for moment in moments:
            now += moment.by
            latest = max(latest, now)
            post.up = moment.server_up
            if moment.moves_to:
                world.move("North", moment.moves_to, now)
            if moment.opens_case:
                world.open_cases(now)
            place.tick(now)
        post.up = True
        quiet(place, latest, latest + 5 * DAY)
        each_message_was_taken_once(post)
        nothing_waits(place, latest + 5 * DAY)
        sent = world.sent()["North"]
        assert len({one.on for one in sent}) == len(sent) == len(post.taken)


def each_message_was_taken_once(post: Post) -> None:
    assert set(Counter(parcel.message_id for parcel in post.taken).values()) == {1}
