"""Every fault at every stage of a conversation with a mail server: what becomes of the message."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.smtp_server import Fault, FaultyServer, FullPort
from tests.faults.smtp_server import fault as fault_from
from tests.tracker.mail.conftest import PASSWORD, Leave, Make, ids, parcel, recovers
from tests.tracker.mail.matrix import MATRIX, tables
from tracker.mail import smtp as smtp_module
from tracker.mail.journals import MaildirJournal
from tracker.mail.places import SmtpServer, Tls
from tracker.mail.smtp import Smtp
from tracker.mail.transport import Result

SLOW = ("timeout", "drip", "lost-silence")
LONG = b"A line of a message that does not fit into the buffers of two machines.\r\n" * 80_000


@contextmanager
def fault(server: FaultyServer, stage: str, outcome: str) -> Iterator[dict[str, int]]:
    """The fault, for as long as the block lasts; what a transport has to be told beyond it."""
    if (stage, outcome) == ("connect", "timeout"):
        with FullPort() as port:
            yield {"port": port}
        return
    server.faults = [Fault(stage, outcome)]
    yield {}
    server.faults = []


@pytest.mark.parametrize("stage, outcome", [pytest.param(*cell, id="-".join(cell)) for cell in MATRIX])
def test_every_stage_and_every_outcome(
    server: FaultyServer,
    smtp: Make,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    outcome: str,
) -> None:
    monkeypatch.setattr(smtp_module, "_PATIENCE", 1)
    expected, leave = MATRIX[stage, outcome], Leave()
    message = parcel(body=LONG if stage == "payload" else b"Two follow-ups.\r\n")
    late = stage in ("payload", "dot")
    seconds = (1.0 if late else 0.4) if outcome in SLOW else 20.0
    with fault(server, stage, outcome) as place:
        transport = smtp(Tls.STARTTLS, seconds=seconds, **place)
        got = transport.send(message, leave)
    assert (got.result, got.down) == (expected.result, expected.down), got
    assert leave.asked == expected.left
    assert ids(server) == [message.message_id] * expected.accepted
    assert bool(got.reason) == (outcome != "ok")
    for private in ("example", "dear", "tracker", "ana", PASSWORD):
        assert private not in got.reason
    if not place:
        transport._server = replace(transport._server, seconds=20.0)
        recovers(server, transport)


def test_the_table_in_the_documentation_says_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs" / "mail-faults.md").read_text(encoding="utf-8")
    for table in tables():
        assert f"\n\n{table}\n" in page


def test_the_server_of_the_tests_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    journal, port_file = tmp_path / "journal", tmp_path / "port"
    command = [sys.executable, "-m", "tests.faults.smtp_server", "--port-file", port_file, "--journal", journal]
    server = subprocess.Popen([*command, "--fault", "dot=lost-disconnect", "--times", "1"])
    try:
        deadline = time.monotonic() + 30
        while not port_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        transport = Smtp(SmtpServer("127.0.0.1", int(port_file.read_text()), Tls.NONE))
        assert [transport.send(parcel(n), Leave()).result for n in (1, 2)] == [Result.UNCERTAIN, Result.SENT]
        transport.close()
    finally:
        server.kill()
        server.wait()
    both = {parcel(1).message_id, parcel(2).message_id}
    assert MaildirJournal(journal).arrived({*both, "<other@x>"}, datetime.now(UTC)) == both


@pytest.mark.parametrize("text", ["dot", "dot=", "end=ok", "dot=maybe", "dot=150"])
def test_a_fault_that_is_misspelt_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        fault_from(text)
