"""Whether an installation can do its work: each part looked at, and for what is wrong, how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from tracker import alarms, clock, db, heartbeats, pathways, secret
from tracker.alarms import Severity
from tracker.db import Database
from tracker.errors import TrackerError, UnknownThing, WrongSetting
from tracker.mail import ways
from tracker.mail.posts import journal_of, transport_of
from tracker.mail.transport import Result
from tracker.settings import Settings, from_environment
from workflows.dates import in_words

_PROBE = "<doctor@net-case-tracker.invalid>"
"""A message that there is not: to look for it shows whether a journal can be read."""

_OWN_CHECK = ("scheduler", "clock", "delivery", "ledger", "ledger-unchecked")
"""Alarms that a check of their own says already."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part of an installation: whether it is as it should be, in words, and if not, how to mend it."""

    id: str
    ok: bool
    words: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """The check as ``doctor --json`` gives it."""
        return {"id": self.id, "ok": self.ok, "words": self.words, "mend": self.mend}


def examine(environment: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Every check in turn. Nothing is sent, no database is made; what depends on something broken is left out."""
    try:
        settings = from_environment(environment)
    except WrongSetting as wrong:
        yield Check("settings", False, _reasons(wrong), "Put the setting right; docs/deploy.md has them all.")
        return
    now = clock.now(settings)
    fixed = f"; the time is fixed at {settings.now.isoformat()}" if settings.now else ""
    yield Check("settings", True, f"data is kept in {settings.home}{fixed}")
    yield from _data(settings, now)
    yield from _mail(settings, now)


# The data --------------------------------------------------------------------------------------------------


def _data(settings: Settings, now: datetime) -> Iterator[Check]:
    try:
        key = secret.load(settings.secret_file)
    except WrongSetting as wrong:
        yield Check("key", False, _reasons(wrong), "Put the key file back from its copy, with mode 0600.")
        return
    yield Check("key", True, "the key file is there, and its owner's alone")
    if settings.is_sqlite and not Path(make_url(settings.database_url).database or "").is_file():
        yield Check("database", False, "there is no database yet", "Run `tracker init`, or bring back a backup.")
        return
    try:
        database = db.connect(settings, key)
    except WrongSetting as wrong:
        yield Check("database", False, _reasons(wrong), "See that it runs, and that TRACKER_DATABASE_URL names it.")
        return
    try:
        yield from _database(database, settings, now)
    finally:
        database.close()


def _database(database: Database, settings: Settings, now: datetime) -> Iterator[Check]:
    kind = "PostgreSQL" if database.is_postgresql else "the embedded database"
    try:
        yield Check("database", True, f"{kind} answers")
        found, head = database.schema(), db.schema_head()
        if found != head:
            where = f"at schema {found}" if found else "empty"
            mend = "Make a backup, stop everything else, and run `tracker init`."
            yield Check("schema", False, f"the database is {where}, this program at {head}", mend)
            return
        yield Check("schema", True, f"the schema is {head}, as this program wants it")
        with database.reading() as session:
            yield _pathway(session)
            yield from _machinery(session, settings, now)
            yield _ledger(session, now)
            yield from _alarms(session, settings, now)
    except SQLAlchemyError as error:
        yield Check("database", False, f"the database does not answer ({type(error).__name__})", "See that it runs.")


def _pathway(session: Session) -> Check:
    try:
        newest = pathways.latest(session)
    except UnknownThing:
        return Check("pathway", False, "no pathway is published", "Run `tracker init`.")
    return Check("pathway", True, f"{newest.id}, version {newest.version}, is published")


def _machinery(session: Session, settings: Settings, now: datetime) -> Iterator[Check]:
    last = heartbeats.last(session, "tick")
    ahead = last is not None and last > now and bool(heartbeats.silence(last, now))
    silence = heartbeats.silence(last, now)
    if ahead:
        yield Check("clock", False, _clause(silence), "Set the clock of this machine right.")
    else:
        yield Check("clock", True, f"it is {now:%Y-%m-%d %H:%M} UTC, and nothing on record is ahead of that")
    if silence and not ahead:
        yield Check("scheduler", False, _clause(silence), "Start `tracker run` or `tracker scheduler`.")
    elif last:
        yield Check("scheduler", True, f"it last ticked at {last:%Y-%m-%d %H:%M} UTC")
    if silence or settings.mail_off:
        return
    delivery = heartbeats.silent_delivery(heartbeats.last(session, "delivery"), now)
    mend = "Look for “tick.failed” in the log of the scheduler."
    yield Check("delivery", not delivery, _clause(delivery) or "the last round was finished in time", delivery and mend)


def _ledger(session: Session, now: datetime) -> Check:
    check = alarms.last_check(session)
    if check is None or check.at < now - alarms.CHECK_EVERY:
        words = f"it was last weighed on {in_words(check.on)}" if check else "it has never been weighed"
        return Check("ledger", False, words, "Keep the scheduler running: it does so each night.")
    findings = alarms.findings_of(check)
    if findings:
        return Check("ledger", False, "; ".join(findings), "Run `tracker verify`, which names the rows.")
    sums = f"{check.expected} expected = {check.sent} sent + {check.withheld} withheld + {check.pending} to come"
    return Check("ledger", True, f"it balanced on {in_words(check.on)}: {sums}")


def _alarms(session: Session, settings: Settings, now: datetime) -> Iterator[Check]:
    """What must be acted on now is wrong; the rest is said and does not count."""
    found = [alarm for alarm in alarms.alarms(session, settings, now) if alarm.id not in _OWN_CHECK]
    for alarm in found:
        yield Check(f"alarm:{alarm.id}", alarm.severity is not Severity.NOW, alarm.wrong, alarm.mend)
    if not found:
        yield Check("alarms", True, "there are none")


# Mail ------------------------------------------------------------------------------------------------------


def _mail(settings: Settings, now: datetime) -> Iterator[Check]:
    transport = transport_of(settings)
    if transport is None:
        yield Check("mail", True, "mail is off: digests are not sent to anybody")
        return
    try:
        outcome = transport.check()
        if outcome.result is Result.SENT:
            yield Check("mail", True, f"mail goes {ways.way_out(settings)}, which would take a message now")
        else:
            words = f"mail goes {ways.way_out(settings)}, which does not take it: {outcome.reason}"
            yield Check("mail", False, words, "docs/mail.md says what each setting means.")
        journal = journal_of(settings, transport)
        if journal is None:
            yield Check("journal", True, f"arrivals are looked up {ways.way_back(settings)}")
            return
        try:
            journal.arrived([_PROBE], now)
        except OSError as error:
            words = f"arrivals are looked up {ways.way_back(settings)}, which cannot be read ({type(error).__name__})"
            yield Check("journal", False, words, "See that TRACKER_MAIL_JOURNAL names it, and that it may be read.")
        else:
            yield Check("journal", True, f"arrivals are looked up {ways.way_back(settings)}, which can be read")
    finally:
        transport.close()


def _reasons(error: TrackerError) -> str:
    return "; ".join(error.reasons)


def _clause(sentence: str) -> str:
    """With a small first letter."""
    return sentence[:1].lower() + sentence[1:]
