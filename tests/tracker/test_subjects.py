"""Accounts that are tied to whom an identity provider knows, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlmodel import select

from tests.tracker.conftest import NOW, Installation
from tracker import accounts, audit, subjects
from tracker.entrance import Entered, Entrance, Place
from tracker.models import AuditEntry, SignIn, Subject
from tracker.provider import Vouched
from tracker.subjects import Unfit

ELLA = "ella@example.org"
WHO = Vouched("https://login.example.org", "s-1", "Ella@Example.org", verified=True)
HOME = Place("192.0.2.1", "a browser")


@pytest.fixture
def entrance(place: Installation) -> Entrance:
    with place.writing() as writing:
        accounts.add(writing, ELLA)
    return Entrance(place.database, place.settings, place.secret)


def test_the_same_person_in_two_windows_at_once_is_tied_once(place: Installation, entrance: Entrance) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: entrance.by_provider(WHO, HOME, NOW), range(8)))
    assert all(isinstance(answer, Entered) for answer in answers)
    with place.database.reading() as session:
        assert len(session.exec(select(Subject)).all()) == 1
        assert len(session.exec(select(SignIn)).all()) == 8
        kinds = list(session.exec(select(AuditEntry.kind)))
        assert kinds.count("account:tied") == 1
        assert list(audit.broken(session, place.secret.derive("event chain"))) == []


def test_of_two_people_with_one_address_the_first_has_the_account(place: Installation, entrance: Entrance) -> None:
    people = [replace(WHO, subject=f"s-{number}") for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda who: entrance.by_provider(who, HOME, NOW), people))
    assert sum(isinstance(answer, Entered) for answer in answers) == 1
    assert answers.count(Unfit.ANOTHER) == 7


def test_what_is_kept_does_not_tell_who_it_is(place: Installation, entrance: Entrance) -> None:
    entrance.by_provider(WHO, HOME, NOW)
    with place.database.reading() as session:
        kept = session.exec(select(Subject)).one()
    assert b"s-1" not in kept.subject
    assert len(kept.subject) == 32


def test_the_same_subject_of_another_provider_is_somebody_else(place: Installation, entrance: Entrance) -> None:
    entrance.by_provider(WHO, HOME, NOW)
    elsewhere = replace(WHO, issuer="https://other.example.org", email="nobody@example.org")
    assert entrance.by_provider(elsewhere, HOME, NOW) is Unfit.UNKNOWN
    with place.writing() as writing:
        assert subjects.is_tied(writing.session, accounts.of(writing.session, ELLA))
