"""Alarms: what stands in the way of reminders, in plain words. Read on every visit, so each costs next to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select
from sqlmodel import Session, col

from tracker import heartbeats, messages, outbox, untold
from tracker.clock import local_date
from tracker.models import Account, Case, Clinic, FollowUpRow, LedgerCheck, Person, Reminder
from tracker.settings import Settings
from tracker.untold import Untold
from tracker.words import count, span
from workflows.dates import in_words, listed

WAITS_TOO_LONG = timedelta(hours=1)
BACKLOG = timedelta(days=90)
CHECK_EVERY = timedelta(days=2)
"""The ledger is weighed each night; after two days without it, nobody would notice a difference."""

_AT_MOST = 1_000
_NAMED = 3
_LONGEST = 100
"""If any overdue follow-up of a clinic was to be escalated, one is among so many of the longest overdue."""

_MAINTAINER = "Ask whoever looks after the tracker"


class Severity(StrEnum):
    """How soon somebody must act."""

    NOW = "now"
    """Somebody may not be hearing what they must hear."""
    SOON = "soon"


class Look(StrEnum):
    """The page on which an alarm is seen or mended."""

    IN_QUESTION = "/outbox#in-question"
    WAITING = "/outbox#waiting"
    QUIET = "/outbox#quiet"
    MACHINERY = "/outbox#machinery"
    WITHOUT_NAVIGATOR = "/cases?needs=navigator"
    HAND_OVER = "/hand-over"
    OVERDUE = "/?navigator=#overdue"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong, what is to be done about it, and where; two sentences with nothing of a patient."""

    id: str
    severity: Severity
    wrong: str
    mend: str
    look: Look

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in one."""
        return f"{self.wrong} {self.mend}"


@dataclass(frozen=True, slots=True)
class _Scene:
    """What alarms are judged by."""

    session: Session
    settings: Settings
    now: datetime
    clinics: Sequence[Clinic]
    silence: str
    only: frozenset[int] | None = None


def alarms(
    session: Session, settings: Settings, now: datetime, only: frozenset[int] | None = None
) -> list[Alarm]:  # fmt: skip
    """Everything that is wrong now, the most pressing first; empty when all is well.

    ``only``: the clinics, by the numbers of their rows, that it is about, besides the machinery that all share.
    """
    of_these = select(Clinic).order_by(col(Clinic.name))
    if only is not None:
        of_these = of_these.where(col(Clinic.id).in_(sorted(only)))
    clinics = session.execute(of_these).scalars().all()
    silence = heartbeats.silence(heartbeats.last(session, "tick"), now)
    scene = _Scene(session, settings, now, clinics, silence, only)
    found = [alarm for look in _ALL for alarm in look(scene)]
    return sorted(found, key=lambda alarm: alarm.severity is not Severity.NOW)


# The machinery ---------------------------------------------------------------------------------------------


def _scheduler(scene: _Scene) -> Iterator[Alarm]:
    if not scene.silence:
        return
    last = heartbeats.last(scene.session, "tick")
    if last and last > scene.now:
        mend = f"{_MAINTAINER} to set this machine's clock right and to see that the scheduler runs."
        yield Alarm("clock", Severity.NOW, f"{scene.silence}.", mend, Look.MACHINERY)
    else:
        mend = f"{_MAINTAINER} to start `tracker run` or `tracker scheduler`."
        yield Alarm("scheduler", Severity.NOW, f"{scene.silence}: no reminder is raised.", mend, Look.MACHINERY)


def _delivery(scene: _Scene) -> Iterator[Alarm]:
    """A scheduler that is silent delivers nothing either; that is said once."""
    if scene.silence or scene.settings.mail_off:
        return
    trouble = heartbeats.silent_delivery(heartbeats.last(scene.session, "delivery"), scene.now)
    if trouble:
        mend = f"{_MAINTAINER} to run `tracker doctor`: it tries the way that mail takes."
        yield Alarm("delivery", Severity.NOW, f"{trouble}: mail may be standing still.", mend, Look.MACHINERY)


def _ledger(scene: _Scene) -> Iterator[Alarm]:
    check = last_check(scene.session)
    if check is None or check.at < scene.now - CHECK_EVERY:
        when = f"since {in_words(check.on)}" if check else "yet"
        wrong = f"The ledger of reminders has not been weighed {when}."
        mend = f"{_MAINTAINER} to keep the scheduler running: it does so each night."
        yield Alarm("ledger-unchecked", Severity.SOON, wrong, mend, Look.MACHINERY)
    findings = findings_of(check)
    if check and findings:
        wrong = f"The ledger of reminders did not balance on {in_words(check.on)}: {'; '.join(findings[:3])}."
        mend = f"{_MAINTAINER} to run `tracker verify`, which names the rows."
        yield Alarm("ledger", Severity.NOW, wrong, mend, Look.MACHINERY)


def last_check(session: Session) -> LedgerCheck | None:
    """The count of the ledger that was made last, whatever day the clock said it was."""
    return session.execute(select(LedgerCheck).order_by(col(LedgerCheck.id).desc()).limit(1)).scalar_one_or_none()


def findings_of(check: LedgerCheck | None) -> list[str]:
    """What a count of the ledger found, each a clause; empty where it balanced."""
    return [str(finding) for finding in json.loads(check.findings)] if check else []


# Messages --------------------------------------------------------------------------------------------------


def _messages(scene: _Scene) -> Iterator[Alarm]:
    numbers = messages.numbers_in_question(scene.session, scene.only)
    if numbers.get("rejected"):
        yield _rejected(numbers["rejected"])
    if numbers.get("uncertain"):
        yield _in_doubt(scene, numbers["uncertain"])
    oldest = messages.oldest_waiting(scene.session, scene.only)
    if oldest and not scene.settings.mail_off and scene.now - oldest > WAITS_TOO_LONG:
        wrong = f"A message has been waiting to leave for {span(scene.now - oldest)}."
        mend = "See why on the page of the outbox; it is tried again by itself for five days."
        yield Alarm("waiting", Severity.NOW, wrong, mend, Look.WAITING)


def _rejected(number: int) -> Alarm:
    refused = count(number, "message was", "messages were")
    wrong = f"{refused} refused: what {'it tells' if number == 1 else 'they tell'} has reached nobody."
    mend = "Put right what is wrong and send again, or let the next digest tell it."
    return Alarm("rejected", Severity.NOW, wrong, mend, Look.IN_QUESTION)


def _in_doubt(scene: _Scene, number: int) -> Alarm:
    """With a journal of arrivals the tracker finds out by itself, unless that takes too long."""
    wrong = f"It is not known whether {count(number, 'message has', 'messages have')} arrived."
    since = messages.oldest_doubt(scene.session, scene.only)
    settles_itself = since is not None and scene.now - since < 2 * outbox.JOURNAL_PATIENCE
    if settles_itself and _has_journal(scene.settings):
        mend = "The tracker is looking in the journal of arrivals. Nothing needs to be done for now."
        return Alarm("in-doubt", Severity.SOON, wrong, mend, Look.IN_QUESTION)
    mend = "Ask whoever was to get it, then say on the page of the outbox what is to be done."
    return Alarm("in-doubt", Severity.NOW, wrong, mend, Look.IN_QUESTION)


def _has_journal(settings: Settings) -> bool:
    """A journal that the settings name, or the Maildir, which is its own; with mail off nobody looks."""
    return not settings.mail_off and (settings.journal is not None or settings.smtp is None)


# Reminders that nobody hears of ----------------------------------------------------------------------------


def _mail_off(scene: _Scene) -> Iterator[Alarm]:
    if not scene.settings.mail_off:
        return
    number = untold.number(scene.session, scene.only)
    told = f"{_up_to(number, untold.AT_MOST)} raised and told to nobody" if number else "nobody is told anything"
    mend = f"The lists here are right all the same. {_MAINTAINER} to set TRACKER_SMTP_URL."
    severity = Severity.NOW if number else Severity.SOON
    yield Alarm("mail-off", severity, f"Mail is off: {told}.", mend, Look.MACHINERY)


def _untold(scene: _Scene) -> Iterator[Alarm]:
    """Where mail is off, that is all there is to say."""
    if scene.settings.mail_off:
        return
    found = untold.weigh(scene.session, scene.now, scene.only)
    if found.of_nobody:
        cases = count(found.cases_of_nobody, "case")
        raised = f"{_up_to(found.of_nobody, untold.AT_MOST)} raised"
        wrong = f"{raised}, and there is nobody to tell: {cases} without a navigator, in a clinic without a lead."
        mend = f"Hand the cases over to somebody, or {_MAINTAINER.lower()} to name a lead with `tracker clinic set`."
        yield Alarm("nobody-to-tell", Severity.NOW, wrong, mend, Look.WITHOUT_NAVIGATOR)
    if found.unusable:
        wrong = f"No mail can be written to {listed(found.unusable[:_NAMED], 'and')}: that is no address."
        mend = "Hand the cases over to the right address, or name another lead or clinician."
        yield Alarm("address", Severity.NOW, wrong, mend, Look.MACHINERY)
    if found.unheard:
        who = listed(found.deaf[:_NAMED], "and")
        wrong = f"{_up_to(found.unheard, untold.AT_MOST)} raised for {who}, who gets no digest on any working day."
        mend = f"{_MAINTAINER} to set other days with `tracker person set`, or to name somebody else."
        yield Alarm("unheard", Severity.NOW, wrong, mend, Look.QUIET)
    yield from _passed_over(scene, found)


def _passed_over(scene: _Scene, found: Untold) -> Iterator[Alarm]:
    if scene.silence or found.passed_over_since is None:
        return
    since = in_words(found.passed_over_since.date())
    wrong = f"{_up_to(found.passed_over, untold.AT_MOST)} raised, the first on {since}, and no digest has told them."
    mend = f"{_MAINTAINER} to look for “digest.failed” in the log."
    yield Alarm("untold", Severity.NOW, wrong, mend, Look.MACHINERY)


def _gone(scene: _Scene) -> Iterator[Alarm]:
    """Whose account is disabled, and who looks after open cases all the same."""
    theirs = (
        select(col(Case.id))
        .where(col(Case.navigator_id) == col(Person.id), col(Case.phase) != "closed")
        .where(col(Case.clinic_id).in_([clinic.id for clinic in scene.clinics]))
    )
    found = (
        select(col(Person.email))
        .join(Account, col(Account.email) == col(Person.email))
        .where(col(Account.disabled_at).is_not(None), theirs.exists())
        .order_by(col(Person.email))
        .limit(_NAMED)
    )
    people = list(scene.session.scalars(found))
    if people:
        wrong = f"Open cases are with {listed(people, 'and')}, who may not sign in any more: mail goes on to them."
        mend = "Hand the cases over to somebody who looks after them."
        yield Alarm("gone", Severity.NOW, wrong, mend, Look.HAND_OVER)


def _up_to(number: int, limit: int) -> str:
    return f"{limit:,} reminders or more are" if number >= limit else count(number, "reminder is", "reminders are")


# What is overdue -------------------------------------------------------------------------------------------


def _backlog(scene: _Scene) -> Iterator[Alarm]:
    late = [(_late_before(scene, clinic, BACKLOG).limit(_AT_MOST).subquery()) for clinic in scene.clinics]
    found = [
        scene.session.execute(select(func.count(), func.min(part.c.late_on)).select_from(part)).one() for part in late
    ]
    number, oldest = sum(row[0] for row in found), min((row[1] for row in found if row[1]), default=None)
    if oldest is None:
        return
    many = (
        f"{_AT_MOST:,} follow-ups or more have"
        if number >= _AT_MOST
        else count(number, "follow-up has", "follow-ups have")
    )
    wrong = f"{many} been overdue for more than {BACKLOG.days} days, the oldest since {in_words(oldest)}."
    mend = "Record what was done, waive what is no longer needed, or book what is."
    yield Alarm("backlog", Severity.SOON, wrong, mend, Look.OVERDUE)


def _late_before(scene: _Scene, clinic: Clinic, age: timedelta) -> Any:
    """Open follow-ups of a clinic whose window ended so long ago, the longest overdue first, along their index."""
    still_open: BindParameter[str] = bindparam("open", "open", literal_execute=True)
    ended = local_date(scene.now, clinic.timezone) - age
    return (
        select(col(FollowUpRow.case_id), col(FollowUpRow.key), col(FollowUpRow.due_on), col(FollowUpRow.late_on))
        .where(col(FollowUpRow.status) == still_open, col(FollowUpRow.clinic_id) == clinic.id)
        .where(col(FollowUpRow.late_on) < ended)
        .order_by(col(FollowUpRow.late_on), col(FollowUpRow.id))
    )


def _escalations(scene: _Scene) -> Iterator[Alarm]:
    for audience in ("lead", "clinician"):
        unnamed = [clinic for clinic in scene.clinics if getattr(clinic, f"{audience}_email") is None]
        names = [clinic.name for clinic in unnamed if _is_escalated(scene, clinic, audience)]
        if names:
            where = listed(names if len(names) <= _NAMED else [*names[:_NAMED], f"{len(names) - _NAMED} more"], "and")
            wrong = f"Overdue follow-ups are to be escalated to the {audience}, and none is named in {where}."
            mend = f"{_MAINTAINER} to name one with `tracker clinic set`; until then nobody else hears of them."
            yield Alarm(f"no-{audience}", Severity.SOON, wrong, mend, Look.OVERDUE)


def _is_escalated(scene: _Scene, clinic: Clinic, audience: str) -> bool:
    late = _late_before(scene, clinic, timedelta(0)).limit(_LONGEST).subquery()
    told = (
        select(col(Reminder.id))
        .join(late, (late.c.case_id == Reminder.case_id) & (late.c.key == Reminder.follow_up_key))
        .where(late.c.due_on == Reminder.due_on, col(Reminder.audience) == audience)
        .where(col(Reminder.status).in_(("raised", "sent")))
    )
    return scene.session.execute(told.limit(1)).first() is not None


_ALL: tuple[Callable[[_Scene], Iterator[Alarm]], ...] = (
    _scheduler,
    _delivery,
    _mail_off,
    _messages,
    _untold,
    _gone,
    _ledger,
    _backlog,
    _escalations,
)
