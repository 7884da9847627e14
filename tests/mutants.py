"""Change the code in one place at a time, thousands of times, and see whether a test notices.

    python -m tests.mutants [outbox ledger ...] [--jobs 2] [--json FILE]

First all tests run once with coverage, so that each mutant is tried with the tests that come past it alone, the
quickest first. Then the tests are collected once, and every mutant is a forked process in which the code of one
function (or one statement of the module) is exchanged. Embedded database first; what survives there is tried on
PostgreSQL too. What was found is told in docs/mutants.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import coverage
import pytest

from tests.postgres import running_server
from tests.tracker import conftest
from tracker.db import connect
from tracker.secret import load

MODULES = ("scheduler", "reminders", "digests", "recall", "outbox", "leases", "tick", "ledger", "balance", "audit")
_ABOUT = (
    *("scheduler", "reminders", "digests", "recall", "outbox", "outbox_edges", "leases", "ledger", "balance", "audit"),
    *("who_hears", "quiet_days", "races", "alarms", "tallies", "planned"),
)
TESTS = [f"tests/tracker/test_{about}.py" for about in _ABOUT]
ROOT = Path(__file__).parent.parent
TOO_SLOW = 30.0
"""Seconds from which on a single test is left out."""

# Mutants ---------------------------------------------------------------------------------------------------

_SWAPPED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
}
_CLAUSES = {"where", "order_by", "limit", "with_for_update", "distinct", "group_by", "having", "execution_options"}
_PARTED = _CLAUSES | {"and_", "or_", "values", "join", "outerjoin", "add_job", "shutdown"}
"""Calls of which each argument says something by itself."""


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _without(sequence: list[Any], index: int) -> list[Any]:
    return [*sequence[:index], *sequence[index + 1 :]]


def _changed(node: ast.AST, **fields: Any) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield _changed(node, value=not value)
    elif isinstance(value, int | float):
        yield _changed(node, value=value + 1)
    elif isinstance(value, str):
        yield _changed(node, value="XX" + value)


def _call(node: ast.Call) -> Iterator[ast.AST]:
    name = _name(node)
    if name in _CLAUSES and isinstance(node.func, ast.Attribute):
        yield node.func.value
    if name in _PARTED:
        if len(node.args) > 1:
            yield from (_changed(node, args=_without(node.args, n)) for n in range(len(node.args)))
        yield from (_changed(node, keywords=_without(node.keywords, n)) for n in range(len(node.keywords)))
    elif len(node.args) > 1 and not any(isinstance(arg, ast.Starred) for arg in node.args[:2]):
        yield _changed(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if name in ("min", "max", "any", "all"):
        other = {"min": "max", "max": "min", "any": "all", "all": "any"}[name]
        yield _changed(node, func=ast.Name(other, ast.Load()))


def _operation(node: ast.AST) -> Iterator[ast.AST]:
    """What an operation may become instead."""
    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                for other in _SWAPPED[type(op)]:
                    yield _changed(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])
        case ast.BoolOp():
            yield _changed(node, op=_SWAPPED[type(node.op)][0]())
            yield from node.values
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd()):
            yield from (node.left, node.right)
        case ast.BinOp() if type(node.op) in _SWAPPED:
            yield _changed(node, op=_SWAPPED[type(node.op)][0]())
        case ast.UnaryOp():
            yield node.operand
        case ast.IfExp():
            yield from (node.body, node.orelse)


def _expression(node: ast.AST) -> Iterator[ast.AST]:
    """What another expression may become instead."""
    match node:
        case ast.Constant():
            yield from _constant(node)
        case ast.JoinedStr():
            yield ast.Constant("XX")
        case ast.Call():
            yield from _call(node)
        case ast.Dict() if all(isinstance(key, ast.Constant) for key in node.keys):
            for n in range(len(node.keys)):
                yield _changed(node, keys=_without(node.keys, n), values=_without(node.values, n))


def _statement(node: ast.AST) -> Iterator[ast.AST]:
    """What a statement may become instead."""
    match node:
        case ast.If() | ast.While() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            yield _changed(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.comprehension():
            yield from (_changed(node, ifs=_without(node.ifs, n)) for n in range(len(node.ifs)))
        case ast.Return(value=ast.expr()) if not isinstance(node.value, ast.Constant):
            yield _changed(node, value=ast.Constant(None))
        case ast.ExceptHandler() if not isinstance(node.body[-1], ast.Raise):
            yield _changed(node, body=[ast.Raise()])
        case ast.With(items=[ast.withitem(optional_vars=None)]):
            yield _changed(node, items=[ast.withitem(ast.Call(ast.Name("_nothing", ast.Load()), [], []))])
        case ast.Break() | ast.Continue():
            yield ast.Continue() if isinstance(node, ast.Break) else ast.Break()
        case ast.Raise() | ast.AugAssign() | ast.Delete():
            yield ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() | ast.Tuple(elts=[ast.Attribute(), *_]), *_]):
            yield ast.Pass()


@dataclass
class Mutant:
    """One change: in which statement of the module, of which node of it, and what it becomes."""

    module: str
    top: int
    node: int
    variant: int
    line: int
    lines: list[int]
    was: str = ""
    becomes: str = ""
    fate: str = ""
    by: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The same as long as the statement is the same, wherever it stands."""
        return f"{self.module} {self.was} {self.becomes} {self.node} {self.variant}"

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line} `{self.was}` → `{self.becomes}`"


def _is_left_alone(node: ast.AST) -> bool:
    """Log lines and docstrings say nothing that the tests are to hold, the decorator of a record neither."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="_log")))):
            return True
    return isinstance(node, ast.Import | ast.ImportFrom)


def _nodes(top: ast.stmt) -> Iterator[tuple[ast.AST, ast.AST, str, int | None, ast.AST]]:
    """Every node of a statement with its parent, its place there, and the statement whose line it is on."""

    def inside(parent: ast.AST, stmt: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, int | None, ast.AST]]:
        for name, value in ast.iter_fields(parent):
            if name in ("annotation", "returns", "decorator_list", "type_params", "op", "ops", "ctx"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST) and not _is_left_alone(child):
                    at = child if isinstance(child, ast.stmt | ast.ExceptHandler) else stmt
                    yield child, parent, name, index, at
                    if not isinstance(child, ast.JoinedStr):
                        yield from inside(child, at)

    yield from inside(ast.Module([top], []), top)


def _lines(tree: ast.Module, top: ast.stmt, at: ast.AST) -> list[int]:
    """The lines of a statement; of one with a body, those of its head; of a constant, those where it is used."""
    if isinstance(top, ast.Assign | ast.AnnAssign):
        names = _names(getattr(top, "target", None) or top.targets[0])  # type: ignore[union-attr]
        for later in tree.body:
            if isinstance(later, ast.Assign | ast.AnnAssign) and later.lineno > top.lineno and names & _names(later):
                names |= _names(getattr(later, "target", None) or later.targets[0])  # type: ignore[union-attr]
        functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
        used = [one for of in functions for part in of.body for one in ast.walk(part) if isinstance(one, ast.Name)]
        return sorted({one.lineno for one in used if one.id in names})
    assert isinstance(at, ast.stmt | ast.ExceptHandler)
    body = getattr(at, "body", None)
    last = body[0].lineno - 1 if body else at.end_lineno or at.lineno
    return list(range(at.lineno, max(last, at.lineno) + 1))


def _variants(node: ast.AST) -> list[ast.AST]:
    return [*_statement(node), *_operation(node), *_expression(node)]


def mutants_of(module: str) -> Iterator[Mutant]:
    tree = ast.parse((ROOT / "tracker" / f"{module}.py").read_text())
    for top, statement in enumerate(tree.body):
        if _is_left_alone(statement) or "__all__" in ast.unparse(statement):
            continue
        for position, (node, _, _, _, at) in enumerate(_nodes(statement)):
            for variant, instead in enumerate(_variants(node)):
                line = getattr(node, "lineno", getattr(at, "lineno", 0))
                found = Mutant(module, top, position, variant, line, _lines(tree, statement, at))
                found.was, found.becomes = _told(node, ast.fix_missing_locations(instead))
                yield found


def _told(node: ast.AST, instead: ast.AST) -> tuple[str, str]:
    """What was there and what is there instead, from shortly before the place where they part."""
    was, becomes = _text(node), _text(instead)
    parts = next((n for n, (old, new) in enumerate(zip(was, becomes, strict=False)) if old != new), len(becomes))
    start = was.rfind(" ", 0, max(parts - 30, 0)) + 1
    cut = "… " if start else ""
    return cut + was[start : start + 130], cut + becomes[start : start + 130]


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.comprehension):
        return " ".join(["for …", *(f"if {ast.unparse(test)}" for test in node.ifs)])
    text = ast.unparse(node)
    if isinstance(node, ast.ExceptHandler | ast.With):
        return " ".join(text.split())
    return " ".join((text.partition("\n")[0] if hasattr(node, "body") else text).split())


# Exchanging the code of a running program ------------------------------------------------------------------


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def install(mutant: Mutant) -> None:
    """Exchange the code; only ever done in a process of its own."""
    module = importlib.import_module(f"tracker.{mutant.module}")
    tree = ast.parse(Path(module.__file__ or "").read_text())
    statement = tree.body[mutant.top]
    node, parent, name, index, _ = list(_nodes(statement))[mutant.node]
    instead = _variants(node)[mutant.variant]
    if parent.__class__ is ast.Module:
        statement = instead
    elif index is None:
        setattr(parent, name, instead)
    else:
        getattr(parent, name)[index] = instead
    vars(module)["_nothing"] = _nothing
    changed = _execute(module, statement, str(mutant.line))
    for later in tree.body[mutant.top + 1 :]:  # what was built from it when the module was imported
        if isinstance(later, ast.Assign | ast.AnnAssign) and changed & _names(later):
            changed |= _execute(module, later, "later")


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _execute(module: types.ModuleType, statement: ast.AST, name: str) -> set[str]:
    here = vars(module)
    before = dict(here)
    whole = ast.fix_missing_locations(ast.Module([statement], []))  # type: ignore[list-item]
    future = __import__("__future__").annotations.compiler_flag
    exec(compile(whole, f"<mutant of line {name}>", "exec", flags=future), here)
    changed = {key for key, value in here.items() if key not in before or value is not before[key]} - {"__builtins__"}
    for key in changed & before.keys():
        old, new = before[key], here[key]
        if isinstance(old, types.FunctionType):
            _transplant(old, new)
            here[key] = old
        elif isinstance(old, type):
            _transplant_class(old, new)
            here[key] = old
        else:
            for other in list(sys.modules.values()):
                if other.__name__.partition(".")[0] in ("tracker", "tests", "web") and vars(other).get(key) is old:
                    setattr(other, key, new)
    return changed


def _transplant(old: types.FunctionType, new: types.FunctionType) -> None:
    while hasattr(old, "__wrapped__"):
        old, new = old.__wrapped__, new.__wrapped__  # type: ignore[attr-defined]
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _transplant_class(old: type, new: type) -> None:
    for name, value in vars(new).items():
        if isinstance(value, types.FunctionType | property | classmethod | staticmethod):
            setattr(old, name, value)


# Which tests come past a line, and how long they take ------------------------------------------------------


@dataclass
class Knowledge:
    """Of each module's lines, the tests that come past; of each test, its seconds."""

    past: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, mutant: Mutant, most: int) -> list[str]:
        """So many of the tests that come past, PostgreSQL last.

        First the module's own; first those that come past what few come past; first the quickest.
        """
        by_line = self.past[mutant.module]
        found = set().union(*(by_line.get(line, set()) for line in mutant.lines))
        if not found:  # executed when the module is imported, or in the head of a class
            found = set().union(*by_line.values())
        known = [test for test in found if self.seconds.get(test, TOO_SLOW) < TOO_SLOW]
        rarest = {test: len(found) for test in found}
        for line in mutant.lines:
            for test in by_line.get(line, set()):
                rarest[test] = min(rarest[test], len(by_line[line]))
        own = f"test_{mutant.module}"
        known.sort(key=lambda test: (own not in test, rarest[test], self.seconds[test], test))
        embedded = _mixed([test for test in known if "postgresql" not in test])
        on_postgresql = _mixed([test for test in known if "postgresql" in test])
        return [*embedded[:most], *on_postgresql[: most // 4 if embedded else most]]


def _mixed(tests: Sequence[str]) -> list[str]:
    """Of each table of cases the first, then of each the second, and so on."""
    seen: Counter[str] = Counter()
    turn = {}
    for test in tests:
        function = test.partition("[")[0]
        seen[function] += 1
        turn[test] = seen[function]
    return sorted(tests, key=turn.__getitem__)


def learn(folder: Path, jobs: int, tests: Sequence[str]) -> Knowledge:
    """Run the tests once; what an earlier run has left in the folder is taken as it is."""
    report, data = folder / "junit.xml", folder / "coverage"
    if not report.exists():
        _run_with_coverage(report, data, jobs, tests)
    known = Knowledge()
    for case in ET.parse(report).iter("testcase"):
        test = case.get("classname", "").replace(".", "/") + ".py::" + case.get("name", "")
        known.seconds[test] = float(case.get("time", "0"))
    read = coverage.CoverageData(basename=str(data))
    read.read()
    for module in MODULES:
        lines = read.contexts_by_lineno(str(ROOT / "tracker" / f"{module}.py"))
        known.past[module] = {line: {c.partition("|")[0] for c in of if c} for line, of in lines.items()}
    return known


def _run_with_coverage(report: Path, data: Path, jobs: int, tests: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(jobs), *tests]
    command += ["--cov=tracker", "--cov-branch", "--cov-context=test", "--cov-report=", f"--junitxml={report}"]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(data)})


# The run ---------------------------------------------------------------------------------------------------


class Run:
    """A pytest plugin: instead of the tests, each mutant with its tests in a process of its own."""

    def __init__(
        self, mutants: list[Mutant], known: Knowledge, folder: Path, jobs: int, most: Sequence[int], told: Path | None
    ) -> None:
        self.mutants, self.known, self.folder, self.jobs, self.most, self.told = (
            mutants,
            known,
            folder,
            jobs,
            most,
            told,
        )
        self.running: dict[int, tuple[Mutant, float, float]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        for most in self.most:
            waiting = [mutant for mutant in reversed(self.mutants) if mutant.fate in ("", "survived")]
            while waiting or self.running:
                while waiting and len(self.running) < self.jobs:
                    mutant = waiting.pop()
                    mutant.fate = ""
                    tests = [items[test] for test in self.known.of(mutant, most) if test in items]
                    limit = 20 + 4 * sum(self.known.seconds[test.nodeid] for test in tests)
                    self.running[self._start(mutant, tests)] = (mutant, time.monotonic(), limit)
                self._wait(len(waiting))
        return True

    def write(self) -> None:
        if self.told:
            self.told.write_text(json.dumps([vars(one) | {"name": one.name} for one in self.mutants], indent=1))

    def _start(self, mutant: Mutant, tests: Sequence[pytest.Item]) -> int:
        child = os.fork()
        if child:
            return child
        os.setpgid(0, 0)
        place = self.folder / str(os.getpid())
        place.mkdir()
        killed_by = 0
        try:
            self._try(mutant, tests, place)
        except _Noticed as noticed:
            (self.folder / f"{os.getpid()}.by").write_text(str(noticed))
            killed_by = 1
        except BaseException as error:  # noqa: BLE001  (a mutant that cannot even be installed is noticed)
            (self.folder / f"{os.getpid()}.by").write_text(f"{type(error).__name__}: {error}"[:200])
            killed_by = 1
        os._exit(killed_by)

    def _try(self, mutant: Mutant, tests: Sequence[pytest.Item], place: Path) -> None:
        if not tests:
            return
        tests[0].session.config._tmp_path_factory._basetemp = place  # type: ignore[attr-defined]
        install(mutant)
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            test.ihook.pytest_runtest_protocol(item=test, nextitem=following)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            raise _Noticed(report.nodeid)

    def _wait(self, left: int) -> None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in self.running:
            mutant, start, _ = self.running.pop(pid)
            mutant.seconds = round(time.monotonic() - start, 1)
            code = os.waitstatus_to_exitcode(status)
            mutant.fate = mutant.fate or {0: "survived", 1: "killed"}.get(code, "killed")
            told = self.folder / f"{pid}.by"
            mutant.by = told.read_text() if told.exists() else ""
            shutil.rmtree(self.folder / str(pid), ignore_errors=True)
            self.write()
            if mutant.fate != "killed":
                print(f"\n{left:5} to go  {mutant.fate}: {mutant}", file=sys.__stderr__, flush=True)
            return
        for pid, (mutant, start, limit) in self.running.items():
            if not mutant.fate and time.monotonic() - start > limit:
                mutant.fate = "timed out"
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


class _Noticed(BaseException):
    """A test failed: the mutant is noticed."""


def from_template(template: Path, original: Callable[..., Any]) -> Callable[..., Any]:
    """Installations on the embedded database as copies of one, which is four times as quick."""

    @contextmanager
    def installed(settings: Any) -> Iterator[conftest.Installation]:
        if not settings.is_sqlite:
            with original(settings) as place:
                yield place
            return
        shutil.copytree(template, settings.home, dirs_exist_ok=True)
        key = load(settings.secret_file)
        database = connect(settings, key)
        try:
            yield conftest.Installation(settings, key, database)
        finally:
            database.close()

    return installed


def summary(mutants: Sequence[Mutant]) -> str:
    lines = ["| module | mutants | killed | timed out | survived | score |", "|---|---|---|---|---|---|"]
    for module in [*MODULES, "all"]:
        fates = Counter(one.fate for one in mutants if module in (one.module, "all"))
        if total := sum(fates.values()):
            score = 100 * (total - fates["survived"]) / total
            numbers = [total, fates["killed"], fates["timed out"], fates["survived"]]
            lines.append(f"| {module} | {' | '.join(str(number) for number in numbers)} | {score:.1f} % |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="where to write what became of each mutant")
    parser.add_argument("--again", type=Path, help="only those that survived in such a file")
    parser.add_argument(
        "--most", type=int, nargs="+", default=[24, 1000], help="so many tests for each, then for survivors"
    )
    parser.add_argument("--learned", type=Path, help="a folder that keeps what was learned from running the tests")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="the tests to try them with")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="net-mutants-") as name, running_server() as server:
        folder = Path(name)
        os.environ["TEST_DATABASE_URL"] = server.admin_url.render_as_string(hide_password=False)
        known = learn(wanted.learned or folder, wanted.jobs, wanted.tests)
        mutants = [mutant for module in wanted.modules for mutant in mutants_of(module)]
        if wanted.again:
            survived = {one["name"] for one in json.loads(wanted.again.read_text()) if one["fate"] == "survived"}
            mutants = [mutant for mutant in mutants if mutant.name in survived]
        with conftest.installed(conftest.settings_in(folder / "template")):
            pass
        conftest.installed = from_template(folder / "template", conftest.installed)
        run = Run(mutants, known, folder, wanted.jobs, wanted.most, wanted.json)
        pytest.main(["-q", "-p", "no:cacheprovider", *wanted.tests], plugins=[run])
        print(summary(mutants))
    sys.exit(0 if all(mutant.fate for mutant in mutants) else 1)


if __name__ == "__main__":
    main()
