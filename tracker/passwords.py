"""Passwords: which are taken, how they are kept, and whether one is right. Argon2id, as RFC 9106 has it for servers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tracker.errors import ChangeRefused

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 128
"""Characters. Length is what makes a password hard to guess; the end keeps hashing from becoming an attack."""

_OBVIOUS = (
    "123456789012", "1234567890123", "qwertyuiopas", "qwertyuiop123", "password1234", "passwordpassword",
    "letmeinplease", "changemeplease", "iloveyou1234", "administrator", "welcome12345", "abcdefghijkl",
)  # fmt: skip
_PRODUCT = ("net case tracker", "netcasetracker", "net-case-tracker", "case tracker", "tracker")
_SAME = 4
"""A password of fewer different characters than this is a pattern."""


def check(password: str, email: str, name: str = "") -> None:
    """Refuse a password that would be tried first; raises :class:`ChangeRefused` with every reason.

    There are no rules of composition: they make passwords alike.
    """
    reasons = []
    if len(password) < SHORTEST:
        reasons.append(f"a password has at least {SHORTEST} characters; a few words one after the other will do")
    if len(password) > LONGEST:
        reasons.append(f"a password has at most {LONGEST} characters")
    if _is_obvious(password.casefold(), email.casefold(), name.casefold()):
        reasons.append("this password would be among the first that somebody tries; choose other words")
    if reasons:
        raise ChangeRefused(*reasons)


def check_same(password: str, again: str) -> None:
    """Refuse a password that was not typed twice alike."""
    if password != again:
        raise ChangeRefused("the two passwords are not the same")


def _is_obvious(password: str, email: str, name: str) -> bool:
    known = {email, email.partition("@")[0], name, *_PRODUCT, *_OBVIOUS} - {""}
    bare = password.strip(" 0123456789!?.-_")
    return password in known or bare in known or len(set(password)) < _SAME


def hashed(password: str) -> str:
    """What is kept of a password."""
    return _hasher().hash(password)


def is_right(kept: str | None, given: str) -> bool:
    """Whether this is the password. Where none is kept the same work is done, for an answer that tells nothing."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(kept or _of_nobody(), given[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def is_dated(kept: str) -> bool:
    """Whether it was kept with other parameters than today's: it is kept anew when it is given next."""
    return _hasher().check_needs_rehash(kept)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _of_nobody() -> str:
    return hashed("the password of nobody")
