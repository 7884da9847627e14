"""Kill -9 in the middle of the tick: nothing is lost, nothing is sent twice, nothing is left unexplained.

The long version is ``make faults``; its figures are in docs/faults.md.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.faults.kills import SABOTAGE

KILLS = 100  # on each database


def killed(database_url: str, *options: str, kills: int = KILLS) -> dict[str, Any]:
    """The harness in a process of its own, which may fork as it likes."""
    command = [sys.executable, "-m", "tests.faults.kills", "--kills", str(kills), *options]
    environment = os.environ | {"FAULTS_DATABASE_URL": database_url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "{\n" in done.stdout, done.stderr[-2000:]
    tally: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{\n") :])
    return tally


def faults(tally: dict[str, Any]) -> list[str]:
    account = tally["account"]
    return [*account["duplicated"], *account["lost"], *account["unexplained"]]


def test_with_a_journal_nothing_is_lost_doubled_or_left_unexplained(database_url: str) -> None:
    tally = killed(database_url)
    assert faults(tally) == []
    assert tally["kills"] >= KILLS
    assert tally["account"]["waiting"] == 0
    # killed twice between the commit and the payload, it has been sent again once, and is for a person to decide
    assert tally["account"]["parked"] == tally["account"]["doubted_twice"]
    assert tally["account"]["accepted"] > 20


def test_without_a_journal_what_is_in_doubt_is_parked_and_nothing_else() -> None:
    tally = killed("", "--no-oracle", kills=60)
    assert faults(tally) == []
    assert tally["account"]["waiting"] == 0


@pytest.mark.parametrize("step", sorted(SABOTAGE))
def test_a_protocol_with_a_broken_step_is_found_out(step: str) -> None:
    tally = killed("", "--sabotage", step, "--until-found", kills=2000)
    assert [*tally["account"]["duplicated"], *tally["account"]["lost"]]
