"""A Maildir as the way that mail takes: each message is there once, whole and on the disk, or not at all."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

import pytest

from tests.tracker.mail.conftest import Leave, parcel
from tracker.mail.maildir import Maildir
from tracker.mail.transport import Outcome, Parcel, Result

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def send(maildir: Maildir, number: int = 1, answer: bool = True) -> Outcome:
    return maildir.send(parcel(number), Leave(answer))


def test_a_message_is_stored_under_a_name_that_follows_from_its_id(tmp_path: Path) -> None:
    maildir, leave = Maildir(tmp_path / "a" / "mail"), Leave()
    assert maildir.send(parcel(), leave) == Outcome(Result.SENT)
    assert leave.asked == 1
    assert files(tmp_path / "a" / "mail") == ["new/digest-1@net-case-tracker.invalid"]
    assert (tmp_path / "a" / "mail" / "new" / "digest-1@net-case-tracker.invalid").read_bytes() == parcel().content
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    maildir.close()


@pytest.mark.parametrize("moved", ["new/{}", "cur/{}", "cur/{}:2,", "cur/{}:2,RS"])
def test_a_message_that_is_written_twice_is_there_once(tmp_path: Path, moved: str) -> None:
    maildir = Maildir(tmp_path)
    send(maildir)
    (stored,) = files(tmp_path)
    (tmp_path / stored).rename(tmp_path / moved.format("digest-1@net-case-tracker.invalid"))
    leave = Leave()
    assert maildir.send(parcel(), leave) == Outcome(Result.SENT)
    assert leave.asked == 1
    assert files(tmp_path) == [moved.format("digest-1@net-case-tracker.invalid")]


def test_a_longer_name_is_another_message(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    send(maildir, 12)
    send(maildir, 1)
    assert len(files(tmp_path / "new")) == 2


def test_what_was_withdrawn_leaves_nothing_behind(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path)
    assert send(maildir, answer=False) == Outcome(Result.WITHDRAWN)
    assert files(tmp_path) == []


def test_the_decision_is_asked_once_the_message_is_on_the_disk_and_before_it_is_seen(tmp_path: Path) -> None:
    seen: list[str] = []
    Maildir(tmp_path).send(parcel(), Leave(effect=lambda: seen.extend(files(tmp_path))))
    (draft,) = seen
    assert draft.startswith("tmp/digest-1@")


@pytest.mark.parametrize("kind", [RuntimeError, OSError, KeyboardInterrupt])
def test_what_the_decision_raises_passes_through(tmp_path: Path, kind: type[BaseException]) -> None:
    def fail() -> Never:
        raise kind

    with pytest.raises(kind):
        Maildir(tmp_path).send(parcel(), fail)
    assert files(tmp_path) == []


def test_what_an_attempt_that_was_killed_left_is_cleared_away(tmp_path: Path) -> None:
    def die() -> Never:
        raise KeyboardInterrupt

    maildir = Maildir(tmp_path)
    send(maildir, 2)
    (tmp_path / "tmp" / "digest-1@net-case-tracker.invalid,0123abcd").write_bytes(b"half a mess")
    (tmp_path / "tmp" / "of-somebody-else").write_bytes(b"")
    send(maildir)
    assert files(tmp_path / "tmp") == ["of-somebody-else"]
    assert maildir.arrived({parcel().message_id}, LONG_AGO) == {parcel().message_id}


@pytest.mark.parametrize(
    "message_id", ["<a/../../b@x>", "<.hidden@x>", "<a:2,S@x>", "<a b@x>", "<*@x>", "", f"<{'x' * 300}@x>"]
)
def test_no_id_leads_out_of_the_folder_or_is_taken_for_another(tmp_path: Path, message_id: str) -> None:
    maildir = Maildir(tmp_path / "mail")
    for each in (message_id, "<other@x>"):
        assert maildir.send(Parcel(each, "", "", b"x"), Leave()).result is Result.SENT
    assert files(tmp_path / "mail" / "new")[-1] != files(tmp_path / "mail" / "new")[0]
    assert len(files(tmp_path)) == 2
    assert maildir.arrived([message_id, "<third@x>"], LONG_AGO) == {message_id}


def breaking(name: str, number: int) -> Callable[[pytest.MonkeyPatch], None]:
    """A call of the system that fails from a certain time on."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        owner = Path if name in ("rename", "mkdir") else os
        real, calls = getattr(owner, name), [0]

        def fails(*args: object, **kind: object) -> object:
            calls[0] += 1
            if calls[0] >= number:
                raise OSError(28, "No space left on device")
            return real(*args, **kind)

        monkeypatch.setattr(owner, name, fails)

    return apply


@pytest.mark.parametrize("name, number", [("mkdir", 1), ("fsync", 1), ("fsync", 4), ("rename", 1)])
def test_a_disk_that_does_not_take_it_keeps_the_message_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    maildir = Maildir(tmp_path)
    with monkeypatch.context() as patch:
        breaking(name, number)(patch)
        outcome = send(maildir)
    assert (outcome.result, outcome.down) == (Result.DEFERRED, True)
    assert outcome.reason == "the Maildir does not take it (OSError)"
    assert send(maildir) == Outcome(Result.SENT)
    assert files(tmp_path) == ["new/digest-1@net-case-tracker.invalid"]


def test_what_is_seen_but_perhaps_not_on_the_disk_is_in_doubt_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the folder has it; to call it untaken would tell it once more, or not count it as told."""
    maildir = Maildir(tmp_path)
    send(maildir, 2)
    with monkeypatch.context() as patch:
        breaking("fsync", 2)(patch)
        outcome = send(maildir)
        assert "new/digest-1@net-case-tracker.invalid" in files(tmp_path)
        with pytest.raises(OSError, match="No space"):
            maildir.arrived({parcel().message_id}, LONG_AGO)
    assert (outcome.result, outcome.down) == (Result.UNCERTAIN, True)
    assert outcome.reason == "it stands in the Maildir, and perhaps not on the disk (OSError)"
    assert maildir.arrived({parcel().message_id}, LONG_AGO) == {parcel().message_id}


def test_an_outcome_is_not_lost_over_a_draft_that_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object, **__: object) -> Never:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", stuck)
    assert send(Maildir(tmp_path)) == Outcome(Result.SENT)


def test_a_check_tells_whether_the_folder_takes_a_message(tmp_path: Path) -> None:
    assert Maildir(tmp_path / "mail").check() == Outcome(Result.SENT)
    assert files(tmp_path) == []
    (tmp_path / "file").write_text("in the way")
    checked = Maildir(tmp_path / "file").check()
    assert (checked.result, checked.down) == (Result.DEFERRED, True)


def test_a_folder_that_is_not_there_says_nothing_of_arrivals(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Maildir(tmp_path / "mail").arrived({"<1@x>"}, LONG_AGO)
