"""The command line: contract documents, exit codes, and no traceback for anything a user can cause."""

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tracker.histories import LANREOTIDE

NOW = "2026-11-21T09:00:00+00:00"


class Shell:
    """`tracker`, run as a person would, in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.journal = home.parent / "journal.jsonl"
        self.journal.write_text(LANREOTIDE.strip() + "\n")

    def __call__(self, *words: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from tracker.cli import main; main()", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"TRACKER_HOME": str(self.home), "TRACKER_NOW": NOW, "PATH": "/usr/bin:/bin"} | env,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        return done

    def json(self, *words: str, code: int = 0, **env: str) -> Any:
        return json.loads(self(*words, "--json", code=code, **env).stdout)


@pytest.fixture
def tracker(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "var")


@pytest.fixture
def filled(tracker: Shell) -> Shell:
    tracker("replay", str(tracker.journal))
    return tracker


def test_init_makes_a_key_that_only_its_owner_can_read_and_an_encrypted_database(tracker: Shell) -> None:
    tracker("init")
    tracker("init")
    key = tracker.home / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (tracker.home / "tracker.db").read_bytes().startswith(b"SQLite format 3")
    key.chmod(0o644)
    assert "can be read by others" in tracker("due", code=1).stderr


def test_another_key_does_not_open_the_database(filled: Shell) -> None:
    (filled.home / "secret.key").write_text("ab" * 32)
    assert "belongs to another installation" in filled("due", code=1).stderr


def test_due_gives_the_contract_document_most_overdue_first(filled: Shell) -> None:
    document = filled.json("due")
    assert document["on"] == "2026-11-21"
    first = document["items"][0]
    assert set(first) >= {
        *("case", "patient_ref", "clinic", "state", "activity", "rule", "occurrence", "anchor_on"),
        *("opens_on", "due_on", "late_on", "status", "days_overdue", "source", "why"),
    }
    assert (first["rule"], first["due_on"], first["late_on"]) == ("lanreotide-injection", "2026-04-27", "2026-04-30")
    assert (first["status"], first["days_overdue"]) == ("overdue", 205)
    assert "30 Mar 2026 + 1 × 28 days = 27 Apr 2026" in first["why"]
    overdue = [item["days_overdue"] for item in document["items"]]
    assert overdue == sorted(overdue, reverse=True)


def test_due_on_a_past_date_shows_the_world_as_it_was_then(filled: Shell) -> None:
    items = {item["rule"]: item for item in filled.json("due", "--on", "2026-03-29")["items"]}
    assert items["lanreotide-injection"]["due_on"] == "2026-03-30"
    assert items["lanreotide-injection"]["status"] == "due"
    assert filled.json("due", "--on", "2026-01-04")["items"] == []


def test_forecast_follows_with_its_own_status(filled: Shell) -> None:
    items = filled.json("due", "--case", "N-001", "--forecast", "12m")["items"]
    visits = [i["due_on"] for i in items if i["rule"] == "treatment-visit" and i["status"] == "forecast"]
    assert visits == ["2026-12-02", "2027-03-02", "2027-06-02", "2027-09-02"]


def test_case_show_and_list_give_the_contract_documents(filled: Shell) -> None:
    shown = filled.json("case", "show", "N-001")
    assert set(shown) >= {
        *("case", "state", "phase", "since", "pathway", "version", "facts"),
        *("lines", "choices", "follow_ups", "events"),
    }
    assert (shown["state"], shown["phase"], shown["facts"]["grade"]) == ("therapy.active", "therapy", "G1")
    hold = next(choice for choice in shown["choices"] if choice["trigger"] == "hold_line")
    assert (hold["to"], hold["allowed"], hold["missing"]) == ("therapy.on_hold", True, [])
    assert filled.json("case", "show", "N-001", "--on", "2026-01-10")["state"] == "advanced.planning"
    (listed,) = filled.json("case", "list")["cases"]
    assert set(listed) == {
        *("case", "clinic", "state", "phase", "since", "navigator", "lines_open", "warnings_unexplained"),
    }


def test_case_show_reads_from_the_navigator_to_what_can_happen_next(filled: Shell) -> None:
    shown = filled("case", "show", "N-001").stdout
    parts = ["Navigator: ana@example.org", "Lines of therapy\n  1. Lanreotide, started", "\nOpen\n", "\nPossible\n"]
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)


def test_known_shows_the_record_as_it_was_known(filled: Shell) -> None:
    gone = filled("case", "show", "N-001", "--known", "2026-11-20T00:00:00+00:00", code=1)
    assert "was not open then" in gone.stderr


def test_tick_and_verify_give_the_contract_documents(filled: Shell) -> None:
    ticked = filled.json("tick", "--now", NOW)
    assert ticked["reminders"]["raised"] > 0
    assert (ticked["digests"], ticked["sent"]) == (1, 1)
    assert len(list((filled.home / "mail" / "new").iterdir())) == 1
    proof = filled.json("verify")
    assert (proof["cases"], proof["events"], proof["chain"]) == (1, 8, "intact")
    assert proof["projections"]["wrong"] == proof["reminders"]["missing"] == proof["reminders"]["duplicate"] == 0


def test_the_journal_is_exported_to_a_file_or_to_standard_output(filled: Shell, tmp_path: Path) -> None:
    printed = filled("export", "journal").stdout
    filled("export", "journal", str(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").read_text() == printed
    assert len(printed.splitlines()) == 8


def test_coverage_is_72_of_72(tracker: Shell) -> None:
    document = tracker.json("pathway", "coverage")
    assert (document["of"], document["carried"]) == (72, 72)
    assert len(document["items"]) == 72
    assert all(item["carried_by"] for item in document["items"])


def test_refused_lines_are_reported_and_exit_is_1(tracker: Shell) -> None:
    tracker.journal.write_text('{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"}}\n')
    document = tracker.json("replay", str(tracker.journal), code=1)
    assert document["refused"] == [{"file": "journal.jsonl", "line": 1, "reason": "the case has not been opened"}]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("due",), 1, "run `tracker init`"),
        (("nonsense",), 2, "No such command"),
        (("due", "--on", "yesterday"), 2, "is not a date"),
        (("due", "--forecast", "soon"), 2, "is not a span"),
        (("replay", "no-such-file"), 2, "does not exist"),
        (("import", "cbioportal", "/"), 2, "--anchor"),
        (("tick", "--now", "2026-01-01"), 2, "offset"),
    ],
)
def test_what_a_user_can_cause_ends_in_words(tracker: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    assert said in tracker(*words, code=code).stderr


@pytest.mark.parametrize(
    "words, said",
    [
        (("case", "show", "X"), "no case 'X'"),
        (("due", "--clinic", "X"), "no clinic 'X'"),
        (("case", "list", "--clinic", "X"), "no clinic 'X'"),
        (("demo",), "there are cases"),
    ],
)
def test_unknown_things_are_named(filled: Shell, words: tuple[str, ...], said: str) -> None:
    assert said in filled(*words, code=1).stderr


@pytest.mark.parametrize("service", ["run", "web", "scheduler"])
def test_a_service_does_not_live_at_a_fixed_time(filled: Shell, service: str) -> None:
    assert "TRACKER_REHEARSAL=1" in filled(service, code=1).stderr


@pytest.mark.parametrize(
    "name, value",
    [
        ("TRACKER_NOW", "noon"),
        ("TRACKER_DATABASE_URL", "mysql://x"),
        ("TRACKER_DATABASE_URL", "postgresql://127.0.0.1:1/x"),
    ],
)
def test_a_wrong_setting_is_named(filled: Shell, name: str, value: str) -> None:
    assert "tracker: " in filled("due", code=1, **{name: value}).stderr


def test_the_pathway_is_published_and_sound(tracker: Shell) -> None:
    tracker("init")
    (published,) = tracker.json("pathway", "list")["pathways"]
    assert tracker.json("pathway", "check")["findings"] == []
    assert tracker.json("pathway", "publish")["digest"] == published["digest"]
    assert tracker.json("pathway", "show")["id"] == "pannet"


def test_a_broken_pathway_is_found_wanting(tracker: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "pathway.yaml").write_text("id: x\n")
    wrong = tracker("pathway", "check", "--folder", str(folder), code=1).stderr
    assert "broken is not a pathway: states is missing" in wrong
    assert "pydantic" not in wrong
    (folder / "pathway.yaml").write_text("id: [x\n")
    assert "is not a pathway" in tracker("pathway", "check", "--folder", str(folder), code=1).stderr
    (folder / "pathway.yaml").unlink()
    assert "holds no .yaml file" in tracker("pathway", "check", "--folder", str(folder), code=1).stderr


@pytest.mark.parametrize("service", ["run", "web"])
def test_a_port_that_is_taken_is_refused_before_anything_is_made(tracker: Shell, service: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = tracker(service, "--port", str(port), code=1, TRACKER_NOW="")
    assert f"port {port} is taken by another program" in refused.stderr
    assert not tracker.home.exists()


def test_help_does_not_import_the_database() -> None:
    code = "import sys; from tracker.cli import tracker; tracker(['--help'], standalone_mode=False); "
    code += "assert not {'sqlalchemy', 'sqlmodel', 'pydantic'} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", [("case", "show", "\udcff"), ("due", "--clinic", "a\udcff"), ("due", "--case", "\x1b[2J")]
)
def test_an_argument_that_is_not_text_is_wrong_usage(filled: Shell, words: tuple[str, ...]) -> None:
    assert "not text" in filled(*words, code=2).stderr


@pytest.mark.parametrize("words", [("--on", "9999-12-31", "--forecast", "999y"), ("--on", "0001-01-01")])
def test_a_date_beyond_reckoning_is_wrong_usage(filled: Shell, words: tuple[str, ...]) -> None:
    assert "between 1900 and 2199" in filled("due", *words, code=2).stderr


@pytest.mark.parametrize("name", ["", "a\udcffb", "x" * 300])
def test_whoever_sits_at_the_terminal_has_a_name_that_can_be_recorded(tracker: Shell, name: str) -> None:
    tracker("replay", str(tracker.journal), LOGNAME=name)
    assert tracker.json("verify")["findings"] == []


def test_a_full_disk_behind_the_output_is_told_in_words(filled: Shell) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "from tracker.cli import main; main()" export journal >/dev/full'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"TRACKER_HOME": str(filled.home), "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (
        1,
        "tracker: a file could not be read or written: No space left on device\n",
    )


def test_output_is_utf_8_whatever_the_terminal_says(tracker: Shell) -> None:
    tracker.journal.write_text(LANREOTIDE.strip().replace("baseline", "Łódź ﷽"))
    tracker("replay", str(tracker.journal))
    shown = tracker("export", "journal", PYTHONIOENCODING="ascii").stdout
    assert "Łódź ﷽" in shown


def test_a_home_that_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for home in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        here = Shell(tmp_path / "var")
        here.home = home
        assert "key file secret.key cannot be made" in here("init", code=1).stderr
        assert "something went wrong" not in here("due", code=1).stderr


def test_a_database_folder_that_cannot_be_made_is_refused_in_words(tracker: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    elsewhere = f"sqlite:///{tmp_path}/file/tracker.db"
    assert "cannot be reached or opened" in tracker("init", code=1, TRACKER_DATABASE_URL=elsewhere).stderr


@pytest.mark.parametrize("content", ["", "z" * 64, "0" * 63, "é" * 64])
def test_a_damaged_key_file_is_refused_in_words(tracker: Shell, content: str) -> None:
    tracker.home.mkdir()
    key = tracker.home / "secret.key"
    key.write_text(content)
    key.chmod(0o600)
    assert "is damaged" in tracker("init", code=1).stderr
    assert key.read_text() == content


# Accounts ------------------------------------------------------------------------------------------------------


def test_accounts_are_added_listed_and_disabled(filled: Shell) -> None:
    made = filled.json(
        "user", "add", "zoe@example.org", "--name", "Zoe", "--role", "North:lead", "--role", "North:auditor"
    )
    assert made["user"] == "zoe@example.org"
    assert made["link"].startswith("http://127.0.0.1:5000/welcome/")
    assert "sets a password here, once, within 24 hours" in filled("user", "reset-password", "zoe@example.org").stdout
    listed = filled.json("user", "list")["users"]
    assert listed == [
        {
            "user": "zoe@example.org",
            "name": "Zoe",
            "administrator": False,
            "roles": {"North": ["auditor", "lead"]},
            "second_factor": False,
            "password": False,
            "disabled": False,
        }
    ]
    assert "was tied to nobody" in filled("user", "untie", "zoe@example.org").stdout
    assert filled.json("user", "untie", "zoe@example.org") == {"user": "zoe@example.org", "was_tied": False}
    assert filled.json("user", "disable", "ZOE@example.org") == {"user": "zoe@example.org", "disabled": True}
    assert "no, disabled" in filled("user", "list").stdout
    assert "is disabled" in filled("user", "reset-password", "zoe@example.org", code=1).stderr


def test_an_account_that_cannot_be_is_refused_in_words(filled: Shell) -> None:
    assert "there is no account" in filled("user", "disable", "nobody@example.org", code=1).stderr
    assert "there is no clinic" in filled("user", "add", "a@example.org", "--role", "Nowhere:lead", code=1).stderr
    assert "such as North:navigator" in filled("user", "add", "a@example.org", "--role", "lead", code=2).stderr
    assert filled.json("user", "list") == {"users": []}


def test_the_demonstration_says_how_to_sign_in(tracker: Shell) -> None:
    made = tracker.json("demo", "--patients", "3")
    assert {"user": "lead@example.org", "is": "lead of every clinic: see everything"} in made["accounts"]
    assert len(made["password"]) > 20
    listed = tracker.json("user", "list")["users"]
    assert {one["user"] for one in listed} == {one["user"] for one in made["accounts"]}
