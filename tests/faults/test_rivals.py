"""Four schedulers at once on one database: nothing is sent twice, nothing is lost.

The long version is ``make faults``; its figures are in docs/faults.md.
"""

import json
import os
import subprocess
import sys


def test_four_schedulers_share_the_work_of_one_and_double_nothing(database_url: str) -> None:
    database = "postgresql" if database_url else "sqlite"
    command = [sys.executable, "-m", "tests.faults.rivals", "--occurrences", "2000", "--navigators", "60"]
    done = subprocess.run(
        [*command, "--database", database, "--only"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"FAULTS_DATABASE_URL": database_url},
    )
    assert done.stdout.startswith("{"), done.stderr[-2000:]
    (arm,) = json.loads(done.stdout)["arms"]
    assert (arm["twice"], arm["lost"]) == ([], [])
    assert (arm["processes"], arm["told"], arm["accepted"]) == (4, 2000, 121)
    assert sum(arm["by_process"]) <= 121  # one that waited in vain for the database says nothing of what it had sent
