"""What is expected of the tracker for every fault at every stage, and the table of it in docs/mail-faults.md."""

from dataclasses import dataclass

from tests.faults.smtp_server import LOST, OUTCOMES, STAGES
from tracker.mail.transport import Result

STATES = {
    Result.SENT: "sent",
    Result.DEFERRED: "retry_wait",
    Result.REJECTED: "rejected",
    Result.UNCERTAIN: "uncertain",
}


@dataclass(frozen=True)
class Expected:
    """The outcome, whether leave() was asked, and whether the server has the message in the end."""

    result: Result
    down: bool = False
    left: bool = False
    accepted: bool = False

    def __str__(self) -> str:
        return STATES[self.result] + (", stop" if self.down else "")


SENT = Expected(Result.SENT, left=True, accepted=True)
DOWN = Expected(Result.DEFERRED, down=True)
LATER = Expected(Result.DEFERRED)
REFUSED = Expected(Result.REJECTED)
BROKEN_OFF = Expected(Result.DEFERRED, down=True, left=True)
LATER_AFTER_ALL = Expected(Result.DEFERRED, left=True)
REFUSED_AFTER_ALL = Expected(Result.REJECTED, left=True)
IN_DOUBT = Expected(Result.UNCERTAIN, down=True, left=True)
IN_DOUBT_BUT_THERE = Expected(Result.UNCERTAIN, down=True, left=True, accepted=True)

CANNOT_BE = {("connect", outcome) for outcome in ("4xx", "421", "5xx", "garbage", "drip")}
"""A network says nothing: whatever is said at once is the greeting."""


def expected(stage: str, outcome: str) -> Expected:
    """The rule behind the table."""
    if outcome == "ok":
        return SENT
    if stage in ("mail", "rcpt", "data"):
        return {"4xx": LATER, "5xx": REFUSED}.get(outcome, DOWN)
    if stage == "payload":
        return LATER_AFTER_ALL if outcome in ("4xx", "5xx") else BROKEN_OFF
    if stage == "dot":
        final = {"4xx": LATER_AFTER_ALL, "421": BROKEN_OFF, "5xx": REFUSED_AFTER_ALL}
        return IN_DOUBT_BUT_THERE if outcome in LOST else final.get(outcome, IN_DOUBT)
    return DOWN


MATRIX = {
    (stage, outcome): expected(stage, outcome)
    for stage in STAGES
    for outcome in (*OUTCOMES, *(LOST if stage == "dot" else ()))
    if (stage, outcome) not in CANNOT_BE
}


def tables() -> tuple[str, str]:
    """The two tables as the documentation has them."""
    rows = [["stage", *OUTCOMES[1:]]]
    rows += [[stage, *(str(MATRIX.get((stage, outcome), "–")) for outcome in OUTCOMES[1:])] for stage in STAGES]
    lost = [["at the dot", "the server has it", "the message is"]]
    lost += [[outcome, "yes" if (it := MATRIX["dot", outcome]).accepted else "no", str(it)] for outcome in LOST]
    return _markdown(rows), _markdown(lost)


def _markdown(rows: list[list[str]]) -> str:
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
