"""What the auditor of a clinic reads of what was changed: every kind of entry that there is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlmodel import select

import tracker
import web
from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker import accounts, audit, hindsight, meetings, people, planned
from tracker.access import Role
from tracker.hindsight import Question
from tracker.models import Clinic, Person
from tracker.places import ANY

DAY, TOKEN = date(2026, 12, 1), "0123456789abcdef"
MEMBER, NAVIGATOR = "ella@example.org", "ana@example.org"

OF_NO_CLINIC: frozenset[str] = frozenset()
"""Kinds that only who reads the audit of every clinic sees; any other must be seen by the auditor of a clinic."""


@pytest.fixture
def two(place: Installation) -> Installation:
    """A case of Ana's and a message about it in one clinic, where Ella works; another clinic, of which nothing is."""
    place.replay(lanreotide())
    place.tick()
    with place.writing() as writing:
        clinic = writing.session.exec(select(Clinic.name)).one()
        people.add_clinic(writing, "Elsewhere", "Europe/London")
        accounts.set_roles(writing, accounts.add(writing, MEMBER), clinic, {Role.NAVIGATOR})
    return place


def read(place: Installation, clinic: int, actor: str) -> set[tuple[str, str]]:
    """What somebody did, as the auditor of a clinic sees it."""
    with place.database.reading() as session:
        page = hindsight.entries(session, Question(frozenset({clinic})), None, 999)
    return {(entry.kind, entry.subject) for entry in page.items if entry.person == actor}


def test_an_auditor_sees_planned_hand_overs_and_lists_of_meetings(two: Installation) -> None:
    lea = "lea@example.org"
    with two.writing(actor=lea) as writing:
        ana = writing.session.exec(select(Person).where(Person.email == NAVIGATOR)).one()
        planned.plan(writing, giver=ana, case_ids=[1], to=MEMBER, on=DAY, reason="", token=TOKEN)
        planned.call_off(writing, giver=ana, to=MEMBER, on=DAY, scope=ANY)
        meetings.add(writing, "N-001", DAY, DAY)
        meetings.take_off(writing, "N-001", DAY)
    assert read(two, 1, lea) == {
        ("caseload:planned", NAVIGATOR),
        ("caseload:called-off", NAVIGATOR),
        ("meeting:listed", "N-001"),
        ("meeting:taken_off", "N-001"),
    }
    assert read(two, 2, lea) == set()


def test_every_kind_of_entry_is_one_of_a_clinic_or_declared_to_be_of_none(two: Installation) -> None:
    kinds = {kind for package in (tracker, web) for path in _modules(package.__file__) for kind in _noted(path)}
    assert len(kinds) > 20
    with two.writing(actor="test:kinds") as writing:
        clinic = writing.session.get_one(Clinic, 1).name
        for kind in sorted(kinds):
            for subject in ["message 1"] if kind.startswith("mail:") else [clinic, MEMBER, NAVIGATOR, "N-001"]:
                audit.note(writing, kind, subject, {})
    assert {kind for kind, _ in read(two, 1, "test:kinds")} == kinds - OF_NO_CLINIC
    assert read(two, 2, "test:kinds") == set()


# Kinds, as the source has them -----------------------------------------------------------------------------


def _modules(package: str | None) -> list[Path]:
    return sorted(Path(package or "").parent.rglob("*.py"))


def _noted(path: Path) -> Iterator[str]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef):
            for call in _calls(function, "note"):
                if ast.unparse(call.func) == "audit.note":
                    yield from _words(call.args[1], function, module)


def _calls(within: ast.AST, name: str) -> list[ast.Call]:
    found = [node for node in ast.walk(within) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).rpartition(".")[2] == name]


def _words(node: ast.expr, function: ast.FunctionDef, module: ast.Module) -> Iterator[str]:
    """What an argument can be: a word, one with something at its end, or a name for what was given to the function."""
    if isinstance(node, ast.JoinedStr):
        yield ast.literal_eval(node.values[0]) + "anything"
        return
    if not isinstance(node, ast.Name):
        yield ast.literal_eval(node)
        return
    for step in ast.walk(function):
        if isinstance(step, ast.Assign) and ast.unparse(step.targets[0]) == node.id:
            yield from _words(step.value, function, module)
    given = [argument.arg for argument in function.args.args]
    if node.id in given:
        for call in _calls(module, function.name):
            yield from _words(call.args[given.index(node.id)], function, module)
