"""The scripted mail server as a process of its own, which is told over a pipe what is to go wrong from now on.

    python -m tests.faults.steered JOURNAL SEED

writes its port in one line; then each line that it reads is answered with one line: a JSON list of faults, or null to
let it come to the end of what it has in hand.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import IO

from tests.faults.smtp_server import Fault, FaultyServer, running


class Steered:
    """The near end of the pipe."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server
        self.port = int(self._answer())

    def does(self, *faults: Fault) -> None:
        """From now on these go wrong, and nothing else; who is connected just now is cut off."""
        print(json.dumps([astuple(fault) for fault in faults]), file=_pipe(self._server.stdin), flush=True)
        self._answer()

    def rest(self) -> None:
        """Wait until it is known what becomes of each message that is on its way.

        Virtual hours go by in milliseconds, and a server that is given none of them would be late by days.
        """
        print("null", file=_pipe(self._server.stdin), flush=True)
        self._answer()

    def _answer(self) -> str:
        answer = _pipe(self._server.stdout).readline()
        assert answer, "the mail server is gone"
        return answer


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


@contextmanager
def steered(journal: Path, seed: int = 1) -> Iterator[Steered]:
    """A mail server that keeps what it accepts in ``journal`` and does wrong what it is told to."""
    command = [sys.executable, "-m", "tests.faults.steered", str(journal), str(seed)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Steered(server)
    finally:
        server.kill()
        server.communicate()


def main() -> None:
    random.seed(sys.argv[2])
    server = FaultyServer(Path(sys.argv[1]))
    server.silence = 2.0
    with running(server):
        print(server.port, flush=True)
        for line in sys.stdin:
            told = json.loads(line)
            if told is None:
                server.rest()
            else:
                server.faults = [Fault(*parts) for parts in told]
                server.heard.clear()
                server.hang_up()
            print("ok", flush=True)


if __name__ == "__main__":
    main()
