"""Every fault at every stage of a conversation with a mail server: what becomes of the message."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.smtp_server import Fault, FaultyServer, FullPort
from tests.tracker.mail.conftest import PASSWORD, Leave, Make, ids, parcel, send
from tests.tracker.mail.matrix import MATRIX, tables
from tracker.mail import smtp as smtp_module
from tracker.mail.places import Tls
from tracker.mail.transport import Result

SLOW = ("timeout", "drip", "lost-silence")
LONG = b"A line of a message that does not fit into the buffers of two machines.\r\n" * 160_000


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
        assert send(transport, 2).result is Result.SENT
        assert ids(server)[-1] == parcel(2).message_id


def test_the_table_in_the_documentation_says_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs" / "mail-faults.md").read_text(encoding="utf-8")
    for table in tables():
        assert f"\n\n{table}\n" in page
