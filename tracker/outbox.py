"""The outbox: each message leaves once. What is not known to have arrived is never sent again in silence.

A message goes ``queued → claimed → transmitting → sent``. ``transmitting`` is committed when the receiver is ready and
before the first byte: a crash while ``claimed`` has provably sent nothing, one while ``transmitting`` leaves a doubt.
Every change names the attempt that it belongs to, so that whoever was overtaken changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from tracker import audit, digests
from tracker.db import Database
from tracker.digests import Sender
from tracker.errors import ChangeRefused, UnknownThing
from tracker.mail.transport import Journal, Outcome, Parcel, Result, Transport
from tracker.models import IN_HAND, IN_QUESTION, WAITING, OutboxMessage
from tracker.writing import Writing

_log = structlog.get_logger()

LEASE = timedelta(minutes=15)
"""Longer than one message can take with every time-out of a transport."""

GIVE_UP_AFTER = timedelta(days=5)
JOURNAL_PATIENCE = timedelta(minutes=30)
"""How long a journal of arrivals is asked before a message that is not in it is sent once more."""

_BACK_OFF = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 30, 60, 120, 240)]
_CLAIM = 20
_ROUND_SECONDS = 45
_OLD = timedelta(hours=12)
_TRIES = 3
_BREATH = 0.2
_UNSETTLED = ("queued", "retry_wait", "claimed", "transmitting", "rejected", "uncertain")


@dataclass(slots=True)
class Delivered:
    """What one round came to, in messages."""

    sent: int = 0
    retrying: int = 0
    rejected: int = 0
    uncertain: int = 0
    cancelled: int = 0

    def count(self, state: str) -> None:
        """One more message that ended in this state."""
        name = "retrying" if state == "retry_wait" else state
        if name in self.__slots__:
            setattr(self, name, getattr(self, name) + 1)


@dataclass(slots=True)
class _Hand:
    """A message that this round has claimed, and what has become of it so far."""

    row: Row[Any]
    gone: bool = False
    changed: bool = False

    @property
    def mine(self) -> ColumnElement[bool]:
        return and_(col(OutboxMessage.id) == self.row.id, col(OutboxMessage.attempt) == self.row.attempt)


@dataclass(slots=True)
class Round:
    """One round of delivery: where messages come from, how they leave, and what time it is."""

    database: Database
    transport: Transport
    sender: Sender
    now: datetime
    done: Delivered = field(default_factory=Delivered)

    def run(self) -> Delivered:
        """Hand over what waits, as long as the round may last; what is left waits for the next tick."""
        recover(self.database, self.now)
        end = time.monotonic() + _ROUND_SECONDS
        while time.monotonic() < end:
            hands = [_Hand(row) for row in _claim(self.database, self.now)]
            if not hands or not self._deliver(hands):
                break
        return self.done

    def _deliver(self, hands: Sequence[_Hand]) -> bool:
        """Messages one after the other; False where the receiver is down, and then the others wait untried."""
        for position, hand in enumerate(hands):
            outcome = self._deliver_one(hand)
            if outcome.down:
                self._put_back(hands[position + 1 :])
                return False
        return True

    def _deliver_one(self, hand: _Hand) -> Outcome:
        outcome = Outcome(Result.WITHDRAWN)
        for _ in range(_TRIES):
            if not self._is_fit(hand):
                return outcome
            outcome = self._hand_over(hand)
            if outcome.result is not Result.WITHDRAWN:
                break
        self.done.count(self._settle(hand, outcome))
        return outcome

    def _is_fit(self, hand: _Hand) -> bool:
        """Look again where what is told has changed, or may have with the day; False where nothing is to be sent."""
        if not hand.row.stale and self.now - hand.row.created_at < _OLD and not hand.changed:
            return True
        with self.database.writing() as session:
            row = session.execute(select(OutboxMessage).where(hand.mine).with_for_update()).scalar_one_or_none()
            if row is None or row.state != "claimed":
                return False
            fit = digests.look_again(session, self.sender, row, self.now)
            if fit:
                hand.row = session.execute(_columns().where(hand.mine)).one()
            else:
                row.state, row.lease_until, row.settled_at = "cancelled", None, self.now
                row.problem = "nothing of it was left to tell"
                self.done.cancelled += 1
        hand.changed = False
        return fit

    def _hand_over(self, hand: _Hand) -> Outcome:
        row = hand.row
        parcel = Parcel(row.message_id, row.sender, row.recipient, row.content)
        try:
            outcome = self.transport.send(parcel, lambda: self._leave(hand))
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (one message that cannot be handled must not stop the others)
            _log.error("mail.failed", message=row.id, kind=type(error).__name__)
            result = Result.UNCERTAIN if hand.gone else Result.DEFERRED
            outcome = Outcome(result, f"the message could not be handled ({type(error).__name__})")
        hand.changed = outcome.result is Result.WITHDRAWN
        return outcome

    def _leave(self, hand: _Hand) -> bool:
        """The point of no return, committed; False where somebody else has the message, or it has changed."""
        with self.database.transaction() as connection:
            held = {"message": hand.row.id, "held": hand.row.attempt, "until": self.now + LEASE}
            hand.gone = connection.execute(_LEAVE, held).rowcount == 1
        return hand.gone

    # What became of it ---------------------------------------------------------------------------------

    def _settle(self, hand: _Hand, outcome: Outcome) -> str:
        """Record an outcome; what it is called, or nothing where somebody else has the message by now."""
        values = self._values_of(hand, outcome)
        state = str(values["state"])
        recorded = self._record(hand, values)
        level = 30 if state in ("rejected", "uncertain") else 20
        _log.log(level, "mail.settled", message=hand.row.id, state=state, reason=outcome.reason, recorded=recorded)
        return state if recorded else ""

    def _record(self, hand: _Hand, values: dict[str, Any]) -> bool:
        for _ in range(_TRIES - 1):
            try:
                return self._try_to_record(hand, values)
            except OperationalError:  # a deadlock with somebody who changes a case, or a database that is away
                time.sleep(_BREATH)
        return self._try_to_record(hand, values)

    def _try_to_record(self, hand: _Hand, values: dict[str, Any]) -> bool:
        if values["state"] == "sent":
            return _sent(self.database, hand.row, values)
        known = ("transmitting", "uncertain") if hand.gone else ("claimed",)
        return _settled(self.database, and_(hand.mine, col(OutboxMessage.state).in_(known)), values)

    def _values_of(self, hand: _Hand, outcome: Outcome) -> dict[str, Any]:
        common: dict[str, Any] = {"lease_until": None, "problem": outcome.reason[:200] or None}
        if outcome.result is Result.SENT:
            return common | {"state": "sent", "settled_at": self.now, "settled_by": "system:delivery"}
        if outcome.result is Result.REJECTED:
            return common | {"state": "rejected"}
        if outcome.result is Result.UNCERTAIN:
            return common | {"state": "uncertain", "doubted_at": self.now}
        failures = hand.row.failures + 1
        if self.now - hand.row.created_at >= GIVE_UP_AFTER and not outcome.down:
            return common | {"state": "rejected", "problem": f"given up after 5 days: {outcome.reason}"[:200]}
        wait = _BACK_OFF[min(failures, len(_BACK_OFF)) - 1]
        return common | {"state": "retry_wait", "failures": failures, "next_try_at": self.now + wait}

    def _put_back(self, hands: Sequence[_Hand]) -> None:
        """What was claimed and not tried waits for the next minute, and it is not held against it."""
        with self.database.writing() as session:
            for hand in hands:
                mine = and_(hand.mine, col(OutboxMessage.state) == "claimed")
                state = "retry_wait" if hand.row.failures else "queued"
                _changed(session, mine, state=state, lease_until=None, next_try_at=self.now + _BACK_OFF[0])


def deliver(database: Database, transport: Transport, sender: Sender, now: datetime) -> Delivered:
    """One round of delivery; any number of processes may run one at a time."""
    return Round(database, transport, sender, now).run()


def standing(database: Database) -> dict[str, int]:
    """How many messages there are in each state that is not the end of it."""
    counted = select(col(OutboxMessage.state), func.count()).group_by(col(OutboxMessage.state))
    with database.reading() as session:
        found = [row for part in (WAITING, IN_HAND, IN_QUESTION) for row in session.execute(counted.where(part))]
    return dict.fromkeys(_UNSETTLED, 0) | {row[0]: row[1] for row in found}


def _columns() -> Any:
    return select(
        col(OutboxMessage.id),
        col(OutboxMessage.attempt),
        col(OutboxMessage.digest_id),
        col(OutboxMessage.message_id),
        col(OutboxMessage.sender),
        col(OutboxMessage.recipient),
        col(OutboxMessage.content),
        col(OutboxMessage.stale),
        col(OutboxMessage.failures),
        col(OutboxMessage.created_at),
    )


def _claim(database: Database, now: datetime) -> Sequence[Row[Any]]:
    """The next messages to try, for this process alone. A try set further ahead than any can be is due too."""
    is_due = or_(col(OutboxMessage.next_try_at) <= now, col(OutboxMessage.next_try_at) > now + _BACK_OFF[-1])
    waiting = (
        select(col(OutboxMessage.id))
        .where(WAITING, is_due)
        .order_by(col(OutboxMessage.next_try_at), col(OutboxMessage.id))
        .limit(_CLAIM)
        .with_for_update(skip_locked=True)
    )
    claimed = (
        update(OutboxMessage)
        .where(col(OutboxMessage.id).in_(waiting))
        .values(state="claimed", attempt=col(OutboxMessage.attempt) + 1, lease_until=now + LEASE)
        .returning(*_columns().selected_columns)
    )
    if not _something_waits(database, is_due):
        return []
    with database.writing() as session:
        return sorted(session.execute(digests.quietly(claimed)).all(), key=lambda row: row.id)


def _something_waits(database: Database, is_due: ColumnElement[bool]) -> bool:
    """Asked without the writer's lock, which a tick with nothing to send leaves to others."""
    with database.reading() as session:
        waiting = select(col(OutboxMessage.id)).where(WAITING, is_due)
        return session.execute(waiting.limit(1)).first() is not None


def _changed(session: Session, which: ColumnElement[bool], **values: Any) -> int:
    result = session.execute(digests.quietly(update(OutboxMessage).where(which).values(**values)))
    return int(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE gives a CursorResult


# The two statements that every message needs are built once: building them takes longer than executing them.

_TABLES = OutboxMessage.metadata.tables
_MESSAGE, _REMINDER = _TABLES["outbox_message"], _TABLES["reminder"]
_IS_MINE = and_(_MESSAGE.c.id == bindparam("message"), _MESSAGE.c.attempt == bindparam("held"))
_LEAVE = (
    update(_MESSAGE)
    .where(_IS_MINE, _MESSAGE.c.state == "claimed", _MESSAGE.c.stale.is_(False))
    .values(state="transmitting", lease_until=bindparam("until"))
)
_SENT = (
    update(_MESSAGE)
    .where(_IS_MINE, _MESSAGE.c.state.in_(("transmitting", "uncertain")))
    .values(state="sent", settled_at=bindparam("now"), settled_by=bindparam("by"), lease_until=None, problem=None)
)
_TOLD = (
    select(_REMINDER.c.id)
    .where(_REMINDER.c.digest_id == bindparam("digest"), _REMINDER.c.status == "raised")
    .order_by(_REMINDER.c.id)  # locked in order, and before the message is, as everywhere
    .with_for_update()
)
_TELL = update(_REMINDER).where(_REMINDER.c.id.in_(_TOLD)).values(status="sent", sent_at=bindparam("now"))


class _Overtaken(Exception):
    """Somebody else has the message by now."""


def _sent(database: Database, row: Row[Any] | OutboxMessage, values: dict[str, Any]) -> bool:
    """Record that a message has left, with its reminders; False, and nothing, where it is not in our hands."""
    now = values["settled_at"]
    mine = {"message": row.id, "held": row.attempt, "now": now, "by": values["settled_by"]}
    try:
        with database.transaction() as connection:
            connection.execute(_TELL, {"digest": row.digest_id, "now": now})
            _require_one(connection.execute(_SENT, mine).rowcount)
    except _Overtaken:
        return False
    return True


def _settled(database: Database, which: ColumnElement[bool], values: dict[str, Any]) -> bool:
    """Record another outcome; False where the message is no longer as expected."""
    with database.transaction() as connection:
        return int(connection.execute(update(_MESSAGE).where(which).values(**values)).rowcount) == 1


def _require_one(changed: int) -> None:
    if changed != 1:
        raise _Overtaken


def _tell(session: Session, digest_id: int, now: datetime) -> None:
    """The reminders of a digest that has arrived are sent."""
    session.execute(digests.quietly(_TELL), {"digest": digest_id, "now": now})


# After a crash ---------------------------------------------------------------------------------------------


def recover(database: Database, now: datetime) -> None:
    """Take over what somebody claimed and did not finish in time. What may have left is in doubt, not sent again."""
    over = or_(col(OutboxMessage.lease_until) < now, col(OutboxMessage.lease_until) > now + LEASE)
    left = and_(IN_HAND, over)
    rejected_and_changed = and_(IN_QUESTION, col(OutboxMessage.state) == "rejected", col(OutboxMessage.stale))
    with database.reading() as session:
        one = select(col(OutboxMessage.id)).limit(1)
        if not any(session.execute(one.where(which)).first() for which in (left, rejected_and_changed)):
            return
    doubt = {"doubted_at": now, "problem": "the tracker stopped while the message was leaving"}
    with database.writing() as session:
        claimed = and_(left, col(OutboxMessage.state) == "claimed")
        _changed(session, claimed, state="retry_wait", lease_until=None, next_try_at=now)
        transmitting = and_(left, col(OutboxMessage.state) == "transmitting")
        _changed(session, transmitting, state="uncertain", lease_until=None, **doubt)
        # One that was refused and has changed since is tried once more as it is now, or has nothing left to tell.
        _changed(session, rejected_and_changed, state="retry_wait", next_try_at=now)


def reconcile(database: Database, journal: Journal, now: datetime) -> None:
    """Ask the journal of arrivals about messages in doubt: what is there was sent.

    What has not turned up in time is sent once more, marked as a possible repeat; if that is in doubt as well, it is
    for a person to decide.
    """
    with database.reading() as session:
        doubted = select(OutboxMessage).where(IN_QUESTION, col(OutboxMessage.state) == "uncertain")
        rows = session.execute(doubted.order_by(col(OutboxMessage.id))).scalars().all()
    if not rows:
        return
    ids = {row.id: [digests.message_id(row.key, n) for n in range(row.repeat + 1)] for row in rows}
    wanted = [one for of_row in ids.values() for one in of_row]
    try:
        arrived = journal.arrived(wanted, min(row.created_at for row in rows))
    except OSError as error:
        _log.warning("journal.unreadable", kind=type(error).__name__)
        return
    for row in rows:
        _reconcile_one(database, row, arrived.intersection(ids[row.id]), now)


def _reconcile_one(database: Database, row: OutboxMessage, arrived: set[str], now: datetime) -> None:
    if arrived:
        _sent(database, row, {"settled_at": now, "settled_by": "system:journal"})
    elif row.repeat == 0 and now - (row.doubted_at or now) >= JOURNAL_PATIENCE:
        doubted = and_(
            col(OutboxMessage.id) == row.id,
            col(OutboxMessage.attempt) == row.attempt,
            col(OutboxMessage.state) == "uncertain",
        )
        _settled(database, doubted, _once_more(row, now))
    else:
        return
    _log.info("mail.reconciled", message=row.id, arrived=bool(arrived))


def _once_more(row: OutboxMessage, now: datetime) -> dict[str, Any]:
    """Send again what may have arrived: written anew, and said to be a possible repeat."""
    return {
        "state": "retry_wait",
        "repeat": row.repeat + 1,
        "message_id": digests.message_id(row.key, row.repeat + 1),
        "stale": True,
        "next_try_at": now,
        "doubted_at": None,
    }


# By hand ---------------------------------------------------------------------------------------------------


def send_again(writing: Writing, message_id: int) -> None:
    """Send a rejected message again, or one in doubt, which is then marked as a possible repeat."""
    row = _in_question(writing, message_id, ("rejected", "uncertain", "retry_wait"))
    if row.state == "uncertain":
        values = _once_more(row, writing.now)
    else:
        values = {"state": "retry_wait", "next_try_at": writing.now, "stale": True}
    _settle_by_hand(writing, row, "mail:sent-again", values)


def settle_as_arrived(writing: Writing, message_id: int) -> None:
    """Somebody knows that a message in doubt has arrived."""
    row = _in_question(writing, message_id, ("uncertain",))
    _tell(writing.session, row.digest_id, writing.now)
    values = {"state": "sent", "settled_at": writing.now, "settled_by": writing.actor}
    _settle_by_hand(writing, row, "mail:arrived", values)


def tell_in_next(writing: Writing, message_id: int) -> None:
    """Give a message up; what it would have told is told in the next digest, to whoever is to hear of it then."""
    row = _in_question(writing, message_id, ("rejected", "uncertain", "retry_wait"))
    digests.release(writing.session, row.digest_id)
    values = {"state": "cancelled", "settled_at": writing.now, "settled_by": writing.actor}
    _settle_by_hand(writing, row, "mail:given-up", values)


def _in_question(writing: Writing, message_id: int, states: tuple[str, ...]) -> OutboxMessage:
    row = writing.session.get(OutboxMessage, message_id)
    if row is None:
        raise UnknownThing(f"there is no message {message_id}")
    if row.state not in states:
        raise ChangeRefused(f"message {message_id} is {row.state.replace('_', ' ')} by now: nothing was changed")
    return row


def _settle_by_hand(writing: Writing, row: OutboxMessage, kind: str, values: dict[str, Any]) -> None:
    mine = and_(
        col(OutboxMessage.id) == row.id,
        col(OutboxMessage.attempt) == row.attempt,
        col(OutboxMessage.state) == row.state,
    )
    if _changed(writing.session, mine, **values) != 1:
        raise ChangeRefused(f"message {row.id} was changed by somebody else just now: nothing was changed")
    audit.note(writing, kind, f"message {row.id}", {"was": row.state, "is": values["state"]})
