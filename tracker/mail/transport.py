"""What carries mail: a transport takes one message and says what became of it; a journal tells what has arrived."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Result(StrEnum):
    """What became of a message that was handed to a transport."""

    SENT = "sent"
    DEFERRED = "deferred"
    """Provably not accepted; the same message may be tried again later."""
    REJECTED = "rejected"
    """Refused for good, this message or this recipient."""
    UNCERTAIN = "uncertain"
    """The whole message left, and no answer came back."""
    WITHDRAWN = "withdrawn"
    """``leave`` said no: not a byte of the message was handed over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result with its reason in words: the stage and the server's code, never an address or a server's text.

    ``down``: it is not this message's fault, so the next one would fare no better just now.
    """

    result: Result
    reason: str = ""
    down: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one recipient; ``message_id`` with its angle brackets, as the header has it."""

    message_id: str
    sender: str
    recipient: str
    content: bytes


class Transport(Protocol):
    """Carries messages. One transport serves one thread and may keep a connection open between messages."""

    def send(self, parcel: Parcel, leave: Callable[[], bool]) -> Outcome:
        """Hand one message over. Never raises for what a server or a disk does.

        ``leave`` is called once, at the point of no return: when the receiver is ready and before the first
        byte of the message. Where it answers False, nothing of the message is sent. What it raises passes
        through, after the connection was closed.
        """
        ...

    def check(self) -> Outcome:
        """Whether a message could be handed over now: everything but a message (for ``doctor``)."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Journal(Protocol):
    """A record, kept by the receiving side, of what it accepted. Presence proves; absence does not."""

    def arrived(self, message_ids: Collection[str], since: datetime) -> set[str]:
        """Those of the messages that are there; ``since`` (aware) is when the earliest of them was written.

        Raises OSError where the journal cannot be read just now.
        """
        ...
