"""An identity provider with whose accounts people may sign in too: OpenID Connect, from three settings."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tracker.errors import WrongSetting

_ISSUER, _ID, _SECRET, _NAME = (f"TRACKER_OIDC_{part}" for part in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "NAME"))
_PRINTABLE = re.compile("[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Provider:
    """Where people sign in, and as whom the tracker asks there. ``name`` stands on the button."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who somebody is, as the provider has signed it. ``email`` may be empty; ``verified``: the provider looked."""

    issuer: str
    subject: str
    email: str
    verified: bool


def provider(environment: Mapping[str, str]) -> Provider | None:
    """The provider of the settings, None where there is none; raises :class:`WrongSetting`, which repeats no secret."""
    given = {name: environment.get(name, "") for name in (_ISSUER, _ID, _SECRET)}
    if not any(given.values()):
        return None
    for name, text in given.items():
        if _PRINTABLE.fullmatch(text) is None:
            raise WrongSetting(f"{name} is missing or holds spaces; {', '.join(given)} belong together")
    host = _host(given[_ISSUER])
    name = environment.get(_NAME, "").strip() or host
    if len(name) > 40 or not name.isprintable():
        raise WrongSetting(f"{_NAME} has at most 40 characters, all of them text")
    return Provider(given[_ISSUER], given[_ID], given[_SECRET], name)


def _host(issuer: str) -> str:
    """The host of an issuer. Without TLS anybody on the way could answer in its place, but for this very machine."""
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.query or parts.fragment or parts.scheme not in ("https", "http"):
        raise WrongSetting(f"{_ISSUER} must be an address such as https://login.example.org/realms/clinic")
    if parts.scheme == "http" and not _is_loopback(host):
        raise WrongSetting(f"{_ISSUER} must begin with https://")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
