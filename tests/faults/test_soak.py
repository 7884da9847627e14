"""A virtual month with a fault every day: in the end the ledger balances to the last row.

The long version is ``make faults``; its figures are in docs/faults.md.
"""

import json
import os
import subprocess
import sys


def test_after_a_month_of_faults_the_ledger_balances(database_url: str) -> None:
    command = [sys.executable, "-m", "tests.faults.soak", "--days", "30", "--cases", "40"]
    environment = os.environ | {"FAULTS_DATABASE_URL": database_url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.startswith("{"), done.stderr[-2000:]
    tally = json.loads(done.stdout)
    assert tally["findings"] == []
    assert (tally["days"], sum(tally["faults"].values())) == (30, 30)
    assert tally["expected"] == tally["sent"] + tally["withheld"] + tally["pending"]
    assert tally["messages"]["sent"] == tally["accepted"] > 40
    assert tally["kills"] > 0
