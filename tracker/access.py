"""Who may do what: roles by clinic, and what each allows. Nothing is allowed that is not said here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is: in a clinic, or (the administrator) of the installation."""

    NAVIGATOR = "navigator"
    CLINICIAN = "clinician"
    LEAD = "lead"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class May(StrEnum):
    """What can be allowed."""

    READ = "read"
    """See cases."""
    WRITE = "write"
    """Record what happened to cases."""
    LEAD = "lead"
    """Hand over other people's caseloads, see everybody's."""
    AUDIT = "audit"
    """See and export who did and looked at what."""
    ADMINISTER = "administer"
    """Accounts, roles and clinics' settings; no patients."""


IN_A_CLINIC = (Role.NAVIGATOR, Role.CLINICIAN, Role.LEAD, Role.AUDITOR)
"""Roles that somebody has in one clinic and not in another."""

_GRANTS: Mapping[Role, frozenset[May]] = {
    Role.NAVIGATOR: frozenset({May.READ, May.WRITE}),
    Role.CLINICIAN: frozenset({May.READ, May.WRITE}),
    Role.LEAD: frozenset({May.READ, May.WRITE, May.LEAD}),
    Role.AUDITOR: frozenset({May.READ, May.AUDIT}),
    Role.ADMINISTRATOR: frozenset({May.ADMINISTER}),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is signed in; ``roles`` by the number of the clinic. ``email`` is who did what they do."""

    account_id: int
    email: str
    name: str
    roles: Mapping[int, frozenset[Role]]
    administrator: bool

    def clinics(self, may: May) -> frozenset[int]:
        """In which clinics they may."""
        return frozenset(clinic for clinic, roles in self.roles.items() if any(may in _GRANTS[role] for role in roles))

    def may(self, may: May, clinic_id: int | None = None) -> bool:
        """Whether they may in a clinic; without one, whether they may at all."""
        if may in _GRANTS[Role.ADMINISTRATOR]:
            return self.administrator
        allowed = self.clinics(may)
        return bool(allowed) if clinic_id is None else clinic_id in allowed
