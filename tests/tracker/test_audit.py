"""What is noted of changes that belong to no case is one chain: a changed, missing or moved entry is named."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests.tracker.conftest import NOW, Installation
from tracker import audit
from tracker.ledger import verify
from tracker.models import AuditEntry


def note(place: Installation, number: int, actor: str = "ana@example.org") -> None:
    with place.writing(actor=actor) as writing:
        audit.note(writing, f"kind-{number}", f"subject {number}", {"was": None, "is": f"größer {number}"})


@pytest.fixture
def noted(place: Installation) -> Installation:
    for number in (1, 2, 3, 4):
        note(place, number)
    return place


def broken(place: Installation, purpose: str = "event chain") -> list[str]:
    with place.database.reading() as session:
        return list(audit.broken(session, place.secret.derive(purpose)))


def tamper(place: Installation, *statements: str) -> None:
    with place.database.writing() as session:
        for statement in statements:
            session.execute(text(statement))


def test_an_entry_says_who_changed_what_when_and_from_what_to_what(place: Installation) -> None:
    note(place, 7)
    with place.database.reading() as session:
        entry = session.exec(select(AuditEntry)).one()
    assert (entry.seq, entry.at, entry.actor) == (1, NOW, "ana@example.org")
    assert (entry.kind, entry.subject) == ("kind-7", "subject 7")
    assert entry.data == '{"was":null,"is":"größer 7"}'


def test_an_untouched_chain_is_whole_and_its_entries_are_counted_from_one(noted: Installation) -> None:
    assert broken(noted) == []
    with noted.database.reading() as session:
        assert list(session.exec(select(col(AuditEntry.seq)).order_by(col(AuditEntry.seq)))) == [1, 2, 3, 4]


def test_what_an_earlier_version_has_sealed_is_still_whole(place: Installation) -> None:
    """The seal is a promise across versions: it changes for no reason, or every chain there is would be broken."""
    key = bytes(range(32))
    with place.writing() as writing:
        for number in (1, 2):
            audit.note(replace(writing, chain_key=key), "clinic:lead-email", "North", {"is": f"größer {number}"})
    with place.database.reading() as session:
        sealed = [mac.hex() for mac in session.exec(select(AuditEntry.mac).order_by(col(AuditEntry.seq)))]
        assert list(audit.broken(session, key)) == []
    assert sealed == [
        "9658ca5568e9266754ad4762111223f6be8a3d9c3de0ac20a7c8beb192c3880f",
        "c818791776d090ef99e4f50e3f61351d3b094a86af91175376cd49f5664a4bdc",
    ]


def test_an_empty_chain_is_whole(place: Installation) -> None:
    assert broken(place) == []


@pytest.mark.parametrize(
    "change",
    [
        "data = replace(data, 'größer', 'kleiner')",
        "actor = 'eve@example.org'",
        "kind = 'kind-1'",
        "subject = 'subject 1'",
        "at = '2026-11-21 09:00:01'",
        "mac = (SELECT mac FROM audit_entry WHERE seq = 2)",
    ],
)
def test_a_changed_entry_is_named_and_it_alone(noted: Installation, change: str) -> None:
    tamper(noted, f"UPDATE audit_entry SET {change} WHERE seq = 3")
    kind = "kind-1" if change.startswith("kind") else "kind-3"
    assert broken(noted) == [f"audit_entry row 3 ({kind}): its content is not what was recorded"]


@pytest.mark.parametrize("missing, named", [(1, 2), (2, 3), (3, 4)])
def test_a_missing_entry_is_noticed_at_the_one_after_it(noted: Installation, missing: int, named: int) -> None:
    tamper(noted, f"DELETE FROM audit_entry WHERE seq = {missing}")
    assert broken(noted) == [f"audit_entry row {named} (kind-{named}): an entry before it is missing"]


def test_a_missing_entry_is_noticed_where_the_numbers_were_closed_up_too(noted: Installation) -> None:
    tamper(noted, "DELETE FROM audit_entry WHERE seq = 2", "UPDATE audit_entry SET seq = seq - 1 WHERE seq = 3")
    assert broken(noted) == ["audit_entry row 2 (kind-3): its content is not what was recorded"]


def test_entries_that_changed_places_are_named(noted: Installation) -> None:
    swap = [f"UPDATE audit_entry SET seq = {to} WHERE seq = {of}" for of, to in ((2, 99), (3, 2), (99, 3))]
    tamper(noted, *swap)
    assert broken(noted) == ["audit_entry row 2 (kind-3): its content is not what was recorded"]


def test_an_entry_made_up_without_the_key_is_named(noted: Installation) -> None:
    columns = "at, actor, kind, subject, data, mac"
    tamper(noted, f"INSERT INTO audit_entry (seq, {columns}) SELECT 5, {columns} FROM audit_entry WHERE seq = 4")
    assert broken(noted) == ["audit_entry row 5 (kind-4): its content is not what was recorded"]


def test_another_key_finds_the_first_entry_broken(noted: Installation) -> None:
    assert len(broken(noted, "another purpose")) == 1


def test_verify_tells_of_a_broken_chain(noted: Installation) -> None:
    tamper(noted, "UPDATE audit_entry SET actor = 'eve@example.org' WHERE seq = 2")
    with noted.database.reading() as session:
        found = verify(session, now=NOW, chain_key=noted.secret.derive("event chain"))
    assert found.as_json()["chain"] == "broken"
    assert found.findings == ["audit_entry row 2 (kind-2): its content is not what was recorded"]


def test_several_who_note_at_once_make_one_chain(place: Installation) -> None:
    start, refused = threading.Barrier(6), []

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            start.wait()
            try:
                for _ in range(5):
                    note(place, number)
            except Exception as error:  # noqa: BLE001  (whatever it is, the test tells it)
                refused.append(error)

        return run

    threads = [threading.Thread(target=work(number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    assert broken(place) == []
    with place.database.reading() as session:
        assert sorted(session.exec(select(col(AuditEntry.seq)))) == list(range(1, 31))
