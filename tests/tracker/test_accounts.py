"""Accounts, roles, links, throttling and looks, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from importlib.util import find_spec, module_from_spec

import pytest
from argon2 import PasswordHasher
from pyotp import TOTP
from sqlmodel import col, select

from tests.tracker.conftest import NOW, Installation
from tests.tracker.histories import lanreotide
from tracker import accounts, audit, hindsight, links, looks, passwords, people, second_factor, sign_ins
from tracker.access import May, Role, Viewer
from tracker.demo import accounts as made_up
from tracker.entrance import Entered, Entrance, Place, Wait, Wrong
from tracker.errors import ChangeRefused, UnknownThing, WrongSetting
from tracker.hindsight import Question
from tracker.looks import Look
from tracker.models import Account, AuditEntry, CaseLook, FailedTries, SignIn
from tracker.settings import from_environment
from tracker.throttle import FORGOTTEN_AFTER, HERE, Throttle

WORDS = "four quite usual words"
HOME = Place("192.0.2.1", "a browser")


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", lambda: cheap)
    passwords._of_nobody.cache_clear()
    yield
    passwords._of_nobody.cache_clear()


@pytest.fixture
def clinics(place: Installation) -> None:
    with place.writing() as writing:
        for name in ("North", "South"):
            people.add_clinic(writing, name, "Europe/London")


def made(place: Installation, email: str = "ella@example.org", **options: bool) -> Account:
    with place.writing() as writing:
        return accounts.add(writing, email, password=WORDS, **options)


def entrance(place: Installation) -> Entrance:
    return Entrance(place.database, place.settings, place.secret)


def kinds(place: Installation) -> list[str]:
    with place.database.reading() as session:
        assert list(audit.broken(session, place.secret.derive("event chain"))) == []
        return list(session.exec(select(AuditEntry.kind).order_by(col(AuditEntry.seq))))


# What a role allows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "role, mays",
    [
        (Role.NAVIGATOR, {May.READ, May.WRITE}),
        (Role.CLINICIAN, {May.READ, May.WRITE}),
        (Role.LEAD, {May.READ, May.WRITE, May.LEAD}),
        (Role.AUDITOR, {May.READ, May.AUDIT}),
    ],
)
def test_a_role_allows_what_it_says_in_its_own_clinic(role: Role, mays: set[May]) -> None:
    who = Viewer(1, "a@example.org", "", {7: frozenset({role})}, administrator=False)
    for may in May:
        assert who.may(may) == who.may(may, 7) == (may in mays)
        assert not who.may(may, 8)
        assert who.clinics(may) == (frozenset({7}) if may in mays else frozenset())


def test_an_administrator_sees_no_patients() -> None:
    who = Viewer(1, "a@example.org", "", {}, administrator=True)
    assert [may for may in May if who.may(may) or who.may(may, 7)] == [May.ADMINISTER]


# Accounts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password, reason",
    [
        ("eleven char", "at least 12"),
        ("x" * 129, "at most 128"),
        ("ella@example.org", "among the first"),
        ("ELLA@example.org!", "among the first"),
        ("net case tracker", "among the first"),
        ("Password1234", "among the first"),
        ("aaaaaaaaaabb", "among the first"),
        ("ella ward-navigator", "among the first"),
    ],
)
def test_a_password_that_would_be_tried_first_is_refused(password: str, reason: str) -> None:
    with pytest.raises(ChangeRefused, match=reason):
        passwords.check(password, "ella@example.org", "Ella Ward-Navigator")


@pytest.mark.parametrize("password", ["four quite usual words", "ÄÖÜ 漢字 and spaces", "123456789012 three"])
def test_any_other_password_will_do(password: str) -> None:
    passwords.check(password, "ella@example.org")
    assert passwords.is_right(passwords.hashed(password), password)


def test_a_damaged_hash_lets_nobody_in() -> None:
    assert not passwords.is_right("not a hash", "not a hash")
    assert not passwords.is_right(None, "the password of nobody")


def test_the_real_hash_is_argon2id_with_its_recommended_parameters() -> None:
    spec = find_spec("tracker.passwords")  # as it is, and not as tests have made it for the sake of speed
    assert spec is not None
    assert spec.loader is not None
    real = module_from_spec(spec)
    spec.loader.exec_module(real)
    kept = real.hashed(WORDS)
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert real.is_right(kept, WORDS)
    assert not real.is_dated(kept)
    assert real.is_dated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(WORDS))


@pytest.mark.parametrize(
    "email, name, reason",
    [
        ("nobody", "", "e-mail"),
        ("ELLA@example.org", "", "already"),
        ("x@y.org", "x" * 121, "120"),
        ("x@y.org", "\x00", "text"),
    ],
)
def test_an_account_that_cannot_be_is_refused(place: Installation, email: str, name: str, reason: str) -> None:
    made(place)
    with pytest.raises(ChangeRefused, match=reason), place.writing() as writing:
        accounts.add(writing, email, name=name)


def test_roles_are_what_was_set_last_and_each_change_is_on_record(place: Installation, clinics: None) -> None:
    account = made(place)
    with place.writing() as writing:
        accounts.set_roles(writing, account, "North", {Role.LEAD, Role.NAVIGATOR})
        accounts.set_roles(writing, account, "North", {Role.NAVIGATOR, Role.LEAD})
        accounts.set_roles(writing, account, "South", {Role.AUDITOR})
        accounts.set_roles(writing, account, "North", {Role.NAVIGATOR})
        for refused in ({Role.ADMINISTRATOR}, {Role.LEAD, Role.ADMINISTRATOR}):
            with pytest.raises(ChangeRefused):
                accounts.set_roles(writing, account, "North", refused)
        with pytest.raises(UnknownThing):
            accounts.set_roles(writing, account, "Nowhere", {Role.LEAD})
        who = accounts.viewer_of(writing.session, account)
    assert {tuple(roles) for roles in who.roles.values()} == {(Role.NAVIGATOR,), (Role.AUDITOR,)}
    assert kinds(place).count("account:roles") == 3
    with place.database.reading() as session:
        assert accounts.everybody(session)[0].roles == {"North": [Role.NAVIGATOR], "South": [Role.AUDITOR]}


def test_the_last_administrator_stays(place: Installation) -> None:
    first = made(place, administrator=True)
    for change in (lambda w: accounts.disable(w, first), lambda w: accounts.set_administrator(w, first, False)):
        with pytest.raises(ChangeRefused, match="only administrator"), place.writing() as writing:
            change(writing)
    second = made(place, "zoe@example.org", administrator=True)
    with place.writing() as writing:
        accounts.set_administrator(writing, second, True)
        accounts.set_administrator(writing, first, False)
        accounts.set_administrator(writing, first, True)
        accounts.disable(writing, second)
        accounts.disable(writing, second)
        accounts.enable(writing, second)
        accounts.enable(writing, second)
    assert [k for k in kinds(place) if k in ("account:disabled", "account:enabled")] == [
        "account:disabled",
        "account:enabled",
    ]


@pytest.mark.parametrize(
    "name, zone, reason", [("", "UTC", "name"), ("North", "UTC", "already"), ("East", "Mars/X", "zone")]
)
def test_a_clinic_that_cannot_be_is_refused(
    place: Installation, clinics: None, name: str, zone: str, reason: str
) -> None:
    with pytest.raises(ChangeRefused, match=reason), place.writing() as writing:
        people.add_clinic(writing, name, zone)


# Coming in -------------------------------------------------------------------------------------------------


def test_a_password_lets_in_and_is_noted(place: Installation) -> None:
    made(place)
    way = entrance(place)
    entered = way.by_password("ella@example.org", WORDS, HOME, NOW)
    assert isinstance(entered, Entered)
    assert isinstance(way.by_password("ella@example.org", "wrong", HOME, NOW), Wrong)
    assert isinstance(way.by_password("nobody@example.org", WORDS, HOME, NOW), Wrong)
    assert kinds(place) == ["account:added", "sign-in:begun", "sign-in:failed", "sign-in:failed"]
    with place.database.reading() as session:
        found = sign_ins.find(session, place.settings, place.secret, entered.token, NOW)
        assert found is not None
        assert found.viewer.email == "ella@example.org"
        assert sign_ins.find(session, place.settings, place.secret, "another", NOW) is None


def test_a_password_that_changes_while_it_is_looked_at_lets_nobody_in(place: Installation) -> None:
    account = made(place)
    way = entrance(place)
    with place.writing() as writing:
        links.change_password(writing, accounts.of(writing.session, account.email), "quite other words now")
    with place.writing() as writing:
        assert isinstance(way._let_in(writing, account, WORDS, HOME), Wrong)


def test_tries_at_the_same_time_get_no_further_than_tries_in_a_row(place: Installation) -> None:
    made(place)
    way = entrance(place)

    def guess(number: int) -> object:
        return way.by_password("ella@example.org", f"guess number {number}", HOME, NOW)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(24)))
    assert sum(isinstance(answer, Wrong) for answer in answers) == HERE.free
    assert sum(isinstance(answer, Wait) for answer in answers) == 24 - HERE.free


def test_half_a_sign_in_is_finished_once_and_not_by_a_leaver(place: Installation) -> None:
    account, way = made(place), entrance(place)
    with place.writing() as writing:
        half = sign_ins.start(writing, place.secret, account, "code", "192.0.2.1", "")
        found = sign_ins.find(writing.session, place.settings, place.secret, half, NOW)
        assert found is not None
    with place.writing() as writing:
        assert way._take_code(writing, found.id + 1, "000000", HOME) is None, "another tab has finished it"
        accounts.disable(writing, accounts.of(writing.session, account.email))
        again = sign_ins.start(writing, place.secret, account, "code", "192.0.2.1", "")
        number = writing.session.exec(select(SignIn.id)).one()
        assert way._take_code(writing, number or 0, "000000", HOME) is None
        assert sign_ins.find(writing.session, place.settings, place.secret, again, NOW) is None
    assert isinstance(way.by_code(number or 0, "000000", HOME, NOW), Wrong)


def test_a_link_that_two_use_at_once_counts_for_one(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    account = made(place)
    with place.writing() as writing:
        token = links.for_account(writing, place.secret, account)
        row = links.find(writing.session, place.secret, token, NOW)
    monkeypatch.setattr(links, "find", lambda *_: row)  # both have looked before either used it
    with place.writing() as writing:
        links.set_password(writing, place.secret, token, "words that are quite new")
    with pytest.raises(ChangeRefused), place.writing() as writing:
        links.set_password(writing, place.secret, token, "words of somebody else")
    with place.database.reading() as session:
        kept = accounts.of(session, account.email).password
    assert passwords.is_right(kept, "words that are quite new")


def test_what_was_tried_in_vain_is_forgotten_after_a_day(place: Installation) -> None:
    def throttle(session: object, address: str) -> Throttle:
        return Throttle(session, place.secret, "ella@example.org", address)  # type: ignore[arg-type]

    with place.database.writing() as session:
        for _ in range(60):
            throttle(session, "::ffff:192.0.2.1").count(NOW)
        assert throttle(session, "192.0.2.1").wait(None, NOW) == HERE.longest
        assert throttle(session, "not an address").wait(None, NOW) == timedelta(minutes=1)
        throttle(session, "192.0.2.9").count(NOW + FORGOTTEN_AFTER + timedelta(seconds=1))
        assert len(session.exec(select(FailedTries)).all()) == 3


def test_success_takes_back_what_it_counted(place: Installation) -> None:
    account = made(place)
    with place.database.writing() as session:
        throttle = Throttle(session, place.secret, account.login, "192.0.2.1")
        throttle.count(NOW)
        throttle.succeeded(accounts.row_id(account), NOW)
        throttle.succeeded(accounts.row_id(account), NOW + timedelta(days=1))
        assert [row.number for row in session.exec(select(FailedTries)) if row.number > 0] == []


def test_a_count_that_somebody_removes_meanwhile_is_begun_anew(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two statements of PostgreSQL: the row was there, and was gone when it was asked for."""
    add, calls = Throttle._add, []

    def late(self: Throttle, table: type, **values: object) -> None:
        calls.append(table)
        if len(calls) % 2 == 0:
            add(self, table, **values)

    monkeypatch.setattr(Throttle, "_add", late)
    with place.database.writing() as session:
        Throttle(session, place.secret, "ella@example.org", "192.0.2.1").count(NOW)
        assert [row.number for row in session.exec(select(FailedTries))] == [1, 1, 1]


def test_a_code_is_taken_once_even_at_the_same_time(place: Installation) -> None:
    account = made(place)
    with place.writing() as writing:
        second_factor.begin(writing, account)
        totp = TOTP(second_factor.secret_of(place.secret, account))
        codes = second_factor.confirm(writing, place.secret, account, totp.at(NOW))
    later = NOW + timedelta(minutes=1)
    way = entrance(place)
    for code in (totp.at(later), codes[0]):
        halves = []
        for _ in range(3):
            entered = way.by_password("ella@example.org", WORDS, HOME, later)
            assert isinstance(entered, Entered)
            with place.database.reading() as session:
                half = sign_ins.find(session, place.settings, place.secret, entered.token, later)
            assert half is not None
            assert half.stage == "code"
            halves.append(half.id)
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda half, code=code: way.by_code(half, code, HOME, later), halves))
        assert sum(isinstance(answer, Entered) for answer in answers) == 1
    assert isinstance(way.by_code(2147483647, "123456", HOME, later), Wrong)


def test_there_is_no_second_factor_to_speak_of_before_it_was_begun(place: Installation) -> None:
    account = made(place)
    with place.writing() as writing:
        with pytest.raises(ChangeRefused):
            second_factor.secret_of(place.secret, account)
        with pytest.raises(ChangeRefused):
            second_factor.confirm(writing, place.secret, account, "123456")
        second_factor.begin(writing, account)
        with pytest.raises(ChangeRefused, match="clock"):
            second_factor.confirm(writing, place.secret, account, "12345x")
        assert "ella%40example.org" in second_factor.address_of(place.secret, account)


def test_old_sign_ins_are_removed(place: Installation) -> None:
    account = made(place)
    with place.writing() as writing:
        sign_ins.start(writing, place.secret, account, "full", "x" * 99, "y\n" * 300)
    with place.writing(NOW + timedelta(hours=12)) as writing:
        sign_ins.forget_old(writing.session, place.settings, writing.now)
        sign_ins.touch(writing.session, 1, NOW)
        assert writing.session.exec(select(SignIn)).all() == []


# Links -----------------------------------------------------------------------------------------------------


def test_the_first_link_makes_the_first_account_and_no_other(place: Installation) -> None:
    with place.writing() as writing:
        over = links.for_first(writing, place.secret)
        token = links.for_first(writing, place.secret)
    assert token
    assert over
    new = {"email": "ada@example.org", "name": "Ada", "password": WORDS}
    for wrong in (over, "another"):
        with pytest.raises(ChangeRefused), place.writing() as writing:
            links.make_first(writing, place.secret, wrong, **new)
    with place.writing() as writing:
        assert links.make_first(writing, place.secret, token, **new).administrator
        assert links.for_first(writing, place.secret) is None
    with pytest.raises(ChangeRefused), place.writing() as writing:
        links.make_first(writing, place.secret, token, **new)


def test_the_first_link_is_over_after_an_hour_or_once_there_is_an_account(place: Installation) -> None:
    new = {"email": "ada@example.org", "name": "Ada", "password": WORDS}
    with place.writing() as writing:
        token = links.for_first(writing, place.secret) or ""
    with pytest.raises(ChangeRefused), place.writing(NOW + timedelta(hours=1)) as writing:
        links.make_first(writing, place.secret, token, **new)
    made(place)
    with pytest.raises(ChangeRefused), place.writing() as writing:
        links.make_first(writing, place.secret, token, **new)
    with pytest.raises(ChangeRefused), place.writing() as writing:
        links.set_password(writing, place.secret, token, WORDS)


def test_a_reset_signs_out_and_turns_the_second_factor_off_only_where_asked(place: Installation) -> None:
    account = made(place)
    with place.writing() as writing:
        second_factor.begin(writing, account)
        totp = TOTP(second_factor.secret_of(place.secret, account))
        second_factor.confirm(writing, place.secret, account, totp.at(NOW))
    with place.writing() as writing:
        links.reset(writing, place.secret, accounts.of(writing.session, account.email))
        assert accounts.of(writing.session, account.email).totp_on
        token = links.reset(writing, place.secret, accounts.of(writing.session, account.email), with_second_factor=True)
        assert not accounts.of(writing.session, account.email).totp_on
    with place.writing() as writing:
        assert links.set_password(writing, place.secret, token, WORDS).login == account.login


# The demonstration -----------------------------------------------------------------------------------------


def test_the_demonstration_has_an_account_of_every_kind_and_a_new_password_at_each_start(place: Installation) -> None:
    place.replay(lanreotide())
    with place.writing() as writing:
        assert not made_up.are_there(writing.session)
        first = made_up.make(writing)
        second = made_up.renew(writing)
        assert made_up.are_there(writing.session)
        north = people.clinics(writing.session)[0]
        assert (north.lead_email, north.clinician_email) == (made_up.LEAD, made_up.CLINICIAN)
    assert first != second
    way = entrance(place)
    for one in made_up.demo_accounts():
        assert isinstance(way.by_password(one.email, second, HOME, NOW), Entered)
    assert isinstance(way.by_password(made_up.LEAD, first, HOME, NOW), Wrong)


# Hindsight -------------------------------------------------------------------------------------------------


def test_looks_are_read_by_person_case_and_day_a_page_at_a_time(place: Installation) -> None:
    place.replay(lanreotide())
    ella, zoe = made(place), made(place, "zoe@example.org")
    with place.database.writing() as session:
        days = [NOW - timedelta(days=number) for number in (3, 2, 1, 0)]
        who = [accounts.row_id(ella), accounts.row_id(zoe)]
        looks.record(session, place.secret, [Look(who[n % 2], 1, 1, day, "cases.show") for n, day in enumerate(days)])

    def seen(after: int | None = None, size: int = 9, **limits: object) -> list[str]:
        asked = Question(frozenset({1}), **limits)  # type: ignore[arg-type]
        with place.database.reading() as session:
            page = hindsight.looks(session, place.secret, asked, after, size)
            assert all(look.sound for look in page.items)
            return [f"{look.person[0]}{look.at.day}" for look in page.items] + (["more"] if page.after else [])

    assert seen() == ["z21", "e20", "z19", "e18"]
    assert seen(size=2) == ["z21", "e20", "more"]
    assert seen(after=3, size=2) == ["z19", "e18"]
    assert seen(person="ELLA@example.org") == ["e20", "e18"]
    assert seen(case="N-001") == ["z21", "e20", "z19", "e18"]
    assert seen(case="N-002") == []
    assert seen(since=date(2026, 11, 19), until=date(2026, 11, 20)) == ["e20", "z19"]
    with place.database.reading() as session:
        everything = hindsight.all_looks(session, place.secret, Question(frozenset({1})), size=3)
        assert [look.at.day for look in everything] == [21, 20, 19, 18]
        assert hindsight.looks(session, place.secret, Question(frozenset({2})), None, 9).items == []


def test_a_look_that_was_changed_is_noticed(place: Installation) -> None:
    place.replay(lanreotide())
    account = made(place)
    with place.database.writing() as session:
        looks.record(session, place.secret, [Look(accounts.row_id(account), 1, 1, NOW, "cases.show")] * 2)
    with place.database.writing() as session:
        session.get_one(CaseLook, 2).at = NOW - timedelta(days=1)
    with place.database.reading() as session:
        assert [row[:15] for row in looks.broken(session, place.secret.derive("event chain"))] == ["case_look row 2"]


def test_an_auditor_reads_the_entries_of_their_own_clinics(place: Installation, clinics: None) -> None:
    north, south = made(place), made(place, "zoe@example.org")
    with place.writing() as writing:
        accounts.set_roles(writing, north, "North", {Role.NAVIGATOR})
        accounts.set_roles(writing, south, "South", {Role.NAVIGATOR})
        people.set_lead(writing, "North", "ella@example.org")
        people.set_lead(writing, "South", "zoe@example.org")
        audit.note(writing, "mail:arrived", "message 1", {"was": "uncertain", "is": ["a", {"b": None}], "sure": True})
    entrance(place).by_password("nobody@example.org", WORDS, HOME, NOW)

    def read(**limits: object) -> set[tuple[str, str]]:
        with place.database.reading() as session:
            mine = people.clinics(session)[0].id
            page = hindsight.entries(session, Question(frozenset({mine or 0}), **limits), None, 99)  # type: ignore[arg-type]
            return {(entry.kind, entry.subject) for entry in page.items}

    assert {subject for _, subject in read()} == {"North", "ella@example.org"}
    everything = read(every=True)
    assert ("sign-in:failed", "no account") in everything
    assert ("mail:arrived", "message 1") in everything
    assert {subject for _, subject in read(every=True, person="zoe@example.org")} == {"zoe@example.org"}


# Settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value",
    [
        ("TRACKER_SESSION_IDLE_MINUTES", "0"),
        ("TRACKER_SESSION_IDLE_MINUTES", "soon"),
        ("TRACKER_SESSION_MINUTES", "99999"),
        ("TRACKER_HOSTS", "https://tracker.example.org"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=name):
        from_environment({name: value})


def test_settings_of_sign_in_are_read() -> None:
    env = {"TRACKER_SESSION_IDLE_MINUTES": "5", "TRACKER_SESSION_MINUTES": "60", "TRACKER_HOSTS": "A.org, b.org"}
    settings = from_environment({**env, "TRACKER_BEHIND_PROXY": "1", "TRACKER_BASE_URL": "https://a.org"})
    assert (settings.session_idle, settings.session_length) == (timedelta(minutes=5), timedelta(hours=1))
    assert settings.hosts == {"a.org", "b.org"}
    assert settings.behind_proxy
    assert settings.is_https
