"""Clinics and people: each change is checked, noted, and lets what waits be looked at again."""

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from tests.tracker.conftest import Installation, journal
from tests.tracker.histories import referred
from tests.tracker.test_cli import Shell
from tracker import cases, people
from tracker.errors import ChangeRefused, InputRefused, TrackerError, UnknownThing
from tracker.interchange.journal import dump
from tracker.ledger import verify
from tracker.models import AuditEntry, Case, Clinic, OutboxMessage, Person
from tracker.replay import export
from tracker.writing import Writing

Outage = Callable[[], AbstractContextManager[None]]
Change = Callable[[Writing], object]

ANA, BEA, CAS, LEAD = (f"{name}@example.org" for name in ("ana", "bea", "cas", "lead"))
NOW = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
TODAY = NOW.date()


def day(n: int) -> date:
    return TODAY + timedelta(days=n)


def change(place: Installation, *changes: Change, at: datetime = NOW) -> None:
    with place.writing(at) as writing:
        for one in changes:
            one(writing)


def noted(place: Installation) -> list[tuple[str, str, Any, Any]]:
    with place.database.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.seq))).all()
        key = place.secret.derive("event chain")
        assert verify(session, now=NOW, chain_key=key).findings == []
    found = [(entry, json.loads(entry.data)) for entry in entries]
    assert all(entry.actor == ANA for entry, _ in found)
    return [(entry.kind, entry.subject, data["was"], data["is"]) for entry, data in found]


@pytest.fixture
def north(place: Installation) -> Installation:
    """One clinic with one navigator, and what is raised by then told."""
    place.replay(referred(), now=NOW)
    place.tick(NOW)
    return place


# A clinic ---------------------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[Callable[[Writing, str, Any], object], Any, Any, Any]] = {
    "lead-email": (people.set_lead, LEAD, None, LEAD),
    "clinician-email": (people.set_clinician, "doc@example.org", None, "doc@example.org"),
    "mail-from": (people.set_mail_sender, "north@example.org", None, "north@example.org"),
    "digest-at": (people.set_digest_hour, time(9, 15), "07:30", "09:15"),
    "working-days": (people.set_working_days, "71234", "12345", "12347"),
    "holidays": (people.set_holidays, "GB-ENG", None, "GB-ENG"),
    "timezone": (people.set_timezone, "Pacific/Auckland", "Europe/London", "Pacific/Auckland"),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_each_way_of_a_clinic_is_set_and_noted_once(north: Installation, kind: str) -> None:
    setter, value, was, is_now = SETTINGS[kind]
    change(north, *[lambda writing: setter(writing, "North", value)] * 2)
    assert noted(north) == [(f"clinic:{kind}", "North", was, is_now)]
    with north.database.reading() as session:
        (clinic,) = people.clinics(session)
    kept = getattr(clinic, kind.replace("-", "_"))
    assert kept == (is_now if kind != "digest-at" else value)


@pytest.mark.parametrize("kind", ["lead-email", "clinician-email", "mail-from", "holidays"])
def test_what_may_be_nobody_can_be_taken_away_again(north: Installation, kind: str) -> None:
    setter, value, _, is_now = SETTINGS[kind]
    change(north, lambda writing: setter(writing, "North", value), lambda writing: setter(writing, "North", None))
    assert noted(north)[1] == (f"clinic:{kind}", "North", is_now, None)


REFUSED: dict[str, tuple[Change, str]] = {
    "lead": (lambda w: people.set_lead(w, "North", "lead"), "'lead' is not an e-mail address"),
    "header": (
        lambda w: people.set_lead(w, "North", "a@example.org\r\nBcc: b@example.org"),
        "is not an e-mail address",
    ),
    "nobody": (lambda w: people.set_clinician(w, "North", ""), "'' is not an e-mail address"),
    "sender": (lambda w: people.set_mail_sender(w, "North", "Ana <ana@example.org>"), "is not an e-mail address"),
    "hour": (lambda w: people.set_digest_hour(w, "North", time(7, 30, 1)), "is not an hour and a minute"),
    "aware": (lambda w: people.set_digest_hour(w, "North", time(7, tzinfo=UTC)), "is not an hour and a minute"),
    "no day": (lambda w: people.set_working_days(w, "North", ""), "works on at least one day"),
    "day": (lambda w: people.set_working_days(w, "North", "Mon"), "is not a choice of weekdays"),
    "holidays": (lambda w: people.set_holidays(w, "North", "GB-XX"), "is not a holiday calendar"),
    "zone": (lambda w: people.set_timezone(w, "North", "Europe/Nowhere"), "is not an IANA time zone"),
    "zone of this machine": (lambda w: people.set_timezone(w, "North", "localtime"), "is not an IANA time zone"),
    "zone that is none": (lambda w: people.set_timezone(w, "North", "Factory"), "is not an IANA time zone"),
    "zone of a rule": (lambda w: people.set_timezone(w, "North", "posixrules"), "is not an IANA time zone"),
    "zone without an end": (lambda w: people.set_timezone(w, "North", "z" * 8000), "…' is not an IANA time zone"),
    "clinic": (lambda w: people.set_lead(w, "Nord", LEAD), "there is no clinic 'Nord'"),
    "person": (lambda w: people.set_digest_days(w, BEA, "1"), "there is nobody with the address"),
    "days": (lambda w: people.set_digest_days(w, ANA, "weekdays"), "is not a choice of weekdays"),
    "days off": (lambda w: people.set_digest_days(w, ANA, "67"), "no clinic of ana@example.org works on any"),
    "away who": (lambda w: people.set_away(w, BEA, day(0), day(1)), "there is nobody with the address"),
    "order": (lambda w: people.set_away(w, ANA, day(2), day(1)), "the last day, 12 May 2026, is before the first"),
    "past": (lambda w: people.set_away(w, ANA, day(-9), day(-1)), "10 May 2026 has passed"),
    "beyond": (lambda w: people.set_away(w, ANA, day(0), date(9999, 1, 1)), "between 1900 and 2199"),
    "self": (lambda w: people.set_away(w, ANA, day(0), day(1), ANA), "cannot stand in for themselves"),
    "stand-in": (lambda w: people.set_away(w, ANA, day(0), day(1), "bea"), "'bea' is not an e-mail address"),
    "back": (lambda w: people.set_back(w, ANA), "is not away on 11 May 2026"),
    "back when": (lambda w: people.set_back(w, ANA, day(5)), "is not away on 16 May 2026"),
}


def test_what_cannot_be_is_refused_in_words_and_changes_nothing(north: Installation) -> None:
    for wrong, (attempt, words) in REFUSED.items():
        with pytest.raises((ChangeRefused, UnknownThing)) as refusal:
            change(north, lambda writing: people.set_working_days(writing, "North", "1"), attempt)
        assert words in str(refusal.value), wrong
    assert noted(north) == []
    assert absent(north) == []


def test_a_lead_becomes_known_and_can_choose_days_and_be_away(north: Installation) -> None:
    change(north, lambda writing: people.set_lead(writing, "North", LEAD))
    change(
        north,
        lambda writing: people.set_digest_days(writing, LEAD, "1"),
        lambda writing: people.set_away(writing, LEAD, day(0), day(3), BEA),
    )
    with north.database.reading() as session:
        assert [person.email for person in people.people(session)] == [ANA, BEA, LEAD]


def test_a_lead_from_before_people_were_known_becomes_known_when_asked_for(north: Installation) -> None:
    with north.database.writing() as session:
        session.get_one(Clinic, 1).lead_email = LEAD
    change(north, lambda writing: people.set_digest_days(writing, LEAD, "1"))
    assert noted(north) == [("person:digest-days", LEAD, "1234567", "1")]


# A person ---------------------------------------------------------------------------------------------------


def absent(place: Installation, email: str = ANA) -> list[tuple[date, date, str | None]]:
    with place.database.reading() as session:
        person = session.exec(select(Person).where(Person.email == email)).one()
        return [(a.from_on, a.until_on, a.stand_in) for a in people.absences(session, person, day(-99))]


def test_digest_days_are_chosen_and_noted_once(north: Installation) -> None:
    change(north, *[lambda writing: people.set_digest_days(writing, ANA, "31")] * 2)
    assert noted(north) == [("person:digest-days", ANA, "1234567", "13")]


def test_an_absence_is_kept_and_noted(north: Installation) -> None:
    change(north, lambda writing: people.set_away(writing, ANA, day(0), day(4), BEA))
    assert absent(north) == [(day(0), day(4), BEA)]
    kept = {"from": "2026-05-11", "until": "2026-05-15", "stand_in": BEA}
    assert noted(north) == [("person:away", ANA, None, kept)]


@pytest.mark.parametrize(
    "first, last, fits",
    [(-3, -1, True), (-3, 0, False), (1, 2, False), (-9, 9, False), (4, 6, False), (5, 6, True)],
)
def test_absences_do_not_overlap(north: Installation, first: int, last: int, fits: bool) -> None:
    change(north, lambda writing: people.set_away(writing, ANA, day(0), day(4)), at=NOW - timedelta(days=5))

    def again() -> None:
        change(north, lambda w: people.set_away(w, ANA, day(first), day(last)), at=NOW - timedelta(days=5))

    if fits:
        again()
        assert len(absent(north)) == 2
    else:
        with pytest.raises(ChangeRefused, match="is away from 11 May 2026 to 15 May 2026 already"):
            again()


@pytest.mark.parametrize(
    "back_on, left",
    [(0, []), (1, [(0, 0)]), (4, [(0, 3)])],
)
def test_who_is_back_sooner_is_away_until_the_day_before(
    north: Installation, back_on: int, left: list[tuple[int, int]]
) -> None:
    change(north, lambda writing: people.set_away(writing, ANA, day(0), day(4), BEA))
    change(north, lambda writing: people.set_back(writing, ANA, day(back_on)))
    assert absent(north) == [(day(first), day(last), BEA) for first, last in left]
    was = {"from": "2026-05-11", "until": "2026-05-15", "stand_in": BEA}
    is_now = was | {"until": day(left[0][1]).isoformat()} if left else None
    assert noted(north)[1] == ("person:back", ANA, was, is_now)


@pytest.mark.parametrize(
    "zones, today",
    [(["Pacific/Auckland"], 1), (["America/Los_Angeles"], 0), (["Pacific/Auckland", "Europe/London"], 0)],
)
def test_today_is_the_earliest_in_the_clinics_of_a_person(place: Installation, zones: list[str], today: int) -> None:
    """At 20:00 UTC it is tomorrow in Auckland."""
    evening = NOW.replace(hour=20)
    for n, zone in enumerate(zones):
        place.replay(referred(f"N-{n}", clinic=zone, timezone=zone), now=evening)
    change(place, lambda writing: people.set_away(writing, ANA, day(-5), day(5)), at=evening)
    change(place, lambda writing: people.set_back(writing, ANA), at=evening)
    assert absent(place) == [(day(-5), day(today - 1), None)]


def test_two_absences_entered_at_once_do_not_overlap(north: Installation) -> None:
    start, outcomes = threading.Barrier(2), list[str]()

    def enter() -> None:
        start.wait()
        try:
            change(north, lambda writing: people.set_away(writing, ANA, day(0), day(4)))
            outcomes.append("kept")
        except TrackerError as refusal:
            outcomes.append(str(refusal).partition(" already")[2] and "refused")

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "refused"]
    assert len(absent(north)) == 1


# What waits is looked at again ------------------------------------------------------------------------------


def waiting(place: Installation, server_down: Outage) -> None:
    """A message for each of two navigators of one clinic and for one of another."""
    lines = referred("N-001") + referred("N-002", navigator=BEA) + referred("S-001", clinic="South", navigator=CAS)
    place.replay(lines, now=NOW)
    with server_down():
        assert place.tick(NOW).digests == 3


def stale(place: Installation) -> set[str]:
    with place.database.reading() as session:
        return set(session.exec(select(OutboxMessage.recipient).where(OutboxMessage.stale)))


@pytest.mark.parametrize("kind", SETTINGS)
def test_another_way_of_a_clinic_lets_all_that_waits_in_it_be_looked_at(
    place: Installation, server_down: Outage, kind: str
) -> None:
    waiting(place, server_down)
    setter, value, _, _ = SETTINGS[kind]
    change(place, lambda writing: setter(writing, "North", value))
    assert stale(place) == {ANA, BEA}


def test_another_choice_of_days_lets_what_waits_for_that_person_be_looked_at(
    place: Installation, server_down: Outage
) -> None:
    waiting(place, server_down)
    change(place, lambda writing: people.set_digest_days(writing, ANA, "1"))
    assert stale(place) == {ANA}


def test_an_absence_lets_what_waits_for_either_be_looked_at(place: Installation, server_down: Outage) -> None:
    waiting(place, server_down)
    change(place, lambda writing: people.set_away(writing, ANA, day(0), day(1), BEA))
    assert stale(place) == {ANA, BEA}


def test_who_is_back_lets_be_looked_at_what_waits_for_any_who_stood_in(
    place: Installation, server_down: Outage
) -> None:
    place.replay(referred("N-001"), now=NOW)
    change(place, lambda writing: people.set_away(writing, ANA, day(0), day(1), BEA))
    change(place, lambda writing: people.set_away(writing, BEA, day(0), day(1), CAS))
    waiting_of = referred("N-002", navigator=CAS)
    place.replay(waiting_of, now=NOW)
    with server_down():
        place.tick(NOW)
    change(place, lambda writing: people.set_back(writing, ANA))
    assert stale(place) == {CAS}


def test_another_sender_writes_what_waits_anew(place: Installation, server_down: Outage) -> None:
    place.replay(referred(), now=NOW)
    with server_down():
        place.tick(NOW)
    change(place, lambda writing: people.set_mail_sender(writing, "North", "north@example.org"))
    place.tick(NOW + timedelta(hours=1))
    (mail,) = place.mails()
    assert mail.startswith(b"From: north@example.org\r\n") or b"\nFrom: north@example.org\r\n" in mail


# The zone of a clinic ---------------------------------------------------------------------------------------


def moved(place: Installation, zone: str = "Pacific/Auckland") -> None:
    change(place, lambda writing: people.set_timezone(writing, "North", zone))


def test_after_a_change_of_zone_new_cases_are_opened_in_the_new_one(north: Installation) -> None:
    moved(north)
    with pytest.raises(ChangeRefused, match="is in Pacific/Auckland, not in Europe/London"):
        opened(north, "N-002", "Europe/London")
    opened(north, "N-002", "Pacific/Auckland")
    assert noted(north)[0][0] == "clinic:timezone"


def opened(place: Installation, ref: str, zone: str, at: datetime = NOW) -> None:
    data = referred(ref, timezone=zone)[0].data | {"patient": {"ref": ref}}
    with place.writing(at) as writing:
        cases.open_case(writing, ref=ref, on=TODAY, data=data)


def test_what_happens_to_an_older_case_is_dated_in_the_new_zone(north: Installation) -> None:
    """At 20:00 in London it is the 12th in Auckland."""
    moved(north)
    evening = NOW.replace(hour=20)
    tomorrow = '{"case":"N-001","on":"2026-05-12","event":"note:added","data":{"text":"by journal"}}'
    north.replay(journal(tomorrow), now=evening)
    change(
        north,
        lambda w: cases.record(w, ref="N-001", kind="note:added", on=day(1), data={"text": "by hand"}),
        at=evening,
    )
    with north.database.reading() as session:
        assert session.exec(select(Case.version)).one() == 3


def test_the_journal_of_a_clinic_whose_zone_changed_can_be_brought_in_again(
    north: Installation, place_factory: Callable[[str], Installation]
) -> None:
    moved(north)
    opened(north, "N-002", "Pacific/Auckland", at=NOW + timedelta(days=1))
    evening = NOW.replace(hour=20) + timedelta(days=1)
    with north.writing(evening) as writing:
        cases.record(writing, ref="N-001", kind="note:added", on=day(2), data={"text": "in the new zone"})
    with north.database.reading() as session:
        text = "\n".join(dump(line) for line in export(session))
    again = place_factory("again")
    again.replay(journal(text), now=evening)
    with again.database.reading() as session:
        assert [(c.name, c.timezone) for c in people.clinics(session)] == [("North", "Pacific/Auckland")]
        assert len(session.exec(select(Case)).all()) == 2
        key = again.secret.derive("event chain")
        assert verify(session, now=evening, chain_key=key).findings == []


def test_a_list_that_puts_one_clinic_in_two_zones_is_refused(place: Installation) -> None:
    """Without the times of recording nobody could know which of them came later."""
    lines = referred("N-001") + referred("N-002", timezone="Pacific/Auckland")
    with pytest.raises(InputRefused, match="clinic 'North' is in Europe/London, not in Pacific/Auckland"):
        place.replay(lines, now=NOW)


# The command line -------------------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path: Any) -> Shell:
    tracker = Shell(tmp_path / "var")
    tracker("replay", str(tracker.journal))
    return tracker


def test_clinics_are_set_and_listed_by_command(filled: Shell) -> None:
    document = filled.json(
        *("clinic", "set", "North", "--lead", LEAD, "--digest-at", "08:05", "--working-days", "71234"),
        *("--holidays", "GB-ENG", "--mail-from", "north@example.org", "--timezone", "Europe/Dublin"),
    )
    assert document == {
        "clinic": "North",
        "timezone": "Europe/Dublin",
        "lead": LEAD,
        "clinician": None,
        "mail_from": "north@example.org",
        "digest_at": "08:05",
        "working_days": "12347",
        "holidays": "GB-ENG",
    }
    assert "lead and mail from set" in filled("clinic", "set", "North", "--lead", "none", "--mail-from", "none").stdout
    (listed,) = filled.json("clinic", "list")["clinics"]
    assert listed == document | {"lead": None, "mail_from": None}
    assert "Mon, Tue, Wed, Thu, Sun" in filled("clinic", "list").stdout


def test_people_are_set_and_listed_by_command(filled: Shell) -> None:
    chosen = filled.json("person", "set", ANA, "--digest-days", "135")
    assert chosen == {"person": ANA, "digest_days": "135", "away": []}
    said = filled("person", "away", ANA, "--from", "2026-11-21", "--until", "2026-11-30", "--stand-in", BEA).stdout
    assert said == f"{ANA} is away from 21 Nov 2026 to 30 Nov 2026; {BEA} hears instead.\n"
    span = {"from": "2026-11-21", "until": "2026-11-30", "stand_in": BEA}
    everybody = filled.json("person", "list")["people"]
    assert everybody == [chosen | {"away": [span]}, {"person": BEA, "digest_days": "1234567", "away": []}]
    table = filled("person", "list").stdout
    assert "on Mon, Wed, Fri" in table
    assert f"2026-11-21 to 2026-11-30, {BEA} stands in" in table
    assert filled.json("person", "back", ANA, "--on", "2026-11-25")["away"] == [span | {"until": "2026-11-24"}]
    assert "is back on 21 Nov 2026" in filled("person", "back", ANA).stdout
    assert "of what is urgent alone" in filled("person", "set", ANA, "--digest-days", "none").stdout
    assert filled.json("verify")["findings"] == []


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("clinic", "set", "Nord", "--lead", LEAD), 1, "tracker: there is no clinic 'Nord'"),
        (("clinic", "set", "North", "--lead", "lead"), 1, "is not an e-mail address"),
        (("clinic", "set", "North", "--holidays", "__doc__"), 1, "is not a holiday calendar"),
        (("clinic", "set", "North", "--timezone", "Mars"), 1, "is not an IANA time zone"),
        (("clinic", "set", "North"), 2, "nothing to set is given"),
        (("clinic", "set", "North", "--digest-at", "7.30"), 2, "is not a time of day such as 07:30"),
        (("clinic", "set", "North", "--digest-at", "24:00"), 2, "is not a time of day such as 07:30"),
        (("person", "set", ANA), 2, "nothing to set is given"),
        (("person", "set", BEA, "--digest-days", "1"), 1, "there is nobody with the address"),
        (("person", "away", ANA, "--from", "2026-12-01"), 2, "Missing option '--until'"),
        (("person", "away", ANA, "--from", "1 Dec", "--until", "2026-12-01"), 2, "is not a date"),
        (("person", "away", ANA, "--from", "2026-12-02", "--until", "2026-12-01"), 1, "is before the first"),
        (("person", "back", ANA), 1, "is not away on 21 Nov 2026"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_is_refused_in_words(refusing: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in refusing(*words, code=code).stderr


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An installation that is only asked for what it refuses."""
    tracker = Shell(tmp_path_factory.mktemp("refusing") / "var")
    tracker("replay", str(tracker.journal))
    return tracker


def test_a_command_that_is_refused_in_part_changes_nothing(filled: Shell) -> None:
    filled("clinic", "set", "North", "--lead", LEAD, "--holidays", "GB-XX", code=1)
    (listed,) = filled.json("clinic", "list")["clinics"]
    assert listed["lead"] is None
