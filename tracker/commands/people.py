"""Clinics and people: who hears of what, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import click
from sqlmodel import Session

from tracker import people, working_days
from tracker.commands.common import Day, desk, json_option, print_json, print_table
from tracker.errors import WrongSetting
from tracker.models import Clinic, Person
from tracker.writing import Writing
from workflows.dates import in_words, listed

_NONE = "none"
_LEAD = "the clinic's lead"


class Hour(click.ParamType[time]):
    """A time of day such as 07:30."""

    name = "hh:mm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> time:
        try:
            return working_days.hour(str(value))
        except WrongSetting as error:
            self.fail(str(error), param, ctx)


# Clinics ---------------------------------------------------------------------------------------------------


@click.group()
def clinic() -> None:
    """List clinics, or set who hears of theirs and when."""


@clinic.command("list")
@json_option
def list_clinics(as_json: bool) -> None:
    """Every clinic with its ways."""
    with desk() as d, d.database.reading() as session:
        found = people.clinics(session)
    if as_json:
        print_json({"clinics": [_clinic(one) for one in found]})
        return
    header = ("Clinic", "Zone", "Lead", "Clinician", "Digest", "Works on", "Holidays")
    print_table(header, [_clinic_row(one) for one in found])


@clinic.command("set")
@click.argument("name")
@click.option("--lead", metavar="EMAIL|none", help="Who hears of escalations.")
@click.option("--clinician", metavar="EMAIL|none", help="Who hears of what the lead has not settled.")
@click.option("--mail-from", metavar="EMAIL|none", help="Whom its digests come from.")
@click.option("--digest-at", type=Hour(), help="From when on, local time, the day's digests are written.")
@click.option("--working-days", metavar="DIGITS", help="12345 is Monday to Friday, 71234 Sunday to Thursday.")
@click.option("--holidays", metavar="CALENDAR|none", help="Public holidays: GB-ENG, DE-BY, US ...")
@click.option("--timezone", metavar="ZONE", help="An IANA zone such as Europe/London; no date on record changes.")
@json_option
def set_clinic(name: str, as_json: bool, **given: Any) -> None:
    """Set how a clinic works: all that is given, or nothing where a part is refused."""
    changes = {option: value for option, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("nothing to set is given")
    with desk() as d, d.writing() as writing:
        for option, value in changes.items():
            changed = _SETTERS[option](writing, name, None if option in _MAY_BE_NONE and value == _NONE else value)
    if as_json:
        print_json(_clinic(changed))
    else:
        click.echo(f"{name}: {listed([option.replace('_', ' ') for option in changes], 'and')} set.")


_SETTERS: dict[str, Callable[[Writing, str, Any], Clinic]] = {
    "lead": people.set_lead,
    "clinician": people.set_clinician,
    "mail_from": people.set_mail_sender,
    "digest_at": people.set_digest_hour,
    "working_days": people.set_working_days,
    "holidays": people.set_holidays,
    "timezone": people.set_timezone,
}
_MAY_BE_NONE = ("lead", "clinician", "mail_from", "holidays")


def _clinic(one: Clinic) -> dict[str, Any]:
    """The clinic as ``clinic list --json`` gives it."""
    return {
        "clinic": one.name,
        "timezone": one.timezone,
        "lead": one.lead_email,
        "clinician": one.clinician_email,
        "mail_from": one.mail_from,
        "digest_at": f"{one.digest_at:%H:%M}",
        "working_days": one.working_days,
        "holidays": one.holidays,
    }


def _clinic_row(one: Clinic) -> tuple[str, ...]:
    return (
        one.name,
        one.timezone,
        one.lead_email or "nobody",
        one.clinician_email or "nobody",
        f"{one.digest_at:%H:%M}",
        working_days.weekdays_in_words(one.working_days),
        one.holidays or "none",
    )


# People ----------------------------------------------------------------------------------------------------


@click.group()
def person() -> None:
    """List people, choose their digest days, say who is away and who is back."""


@person.command("list")
@json_option
def list_people(as_json: bool) -> None:
    """Everybody who hears of follow-ups, with their digest days and when they are away."""
    with desk() as d, d.database.reading() as session:
        found = [_person(session, one, d.now) for one in people.people(session)]
    if as_json:
        print_json({"people": found})
        return
    rows = [(one["person"], _digest_days(one["digest_days"]), "; ".join(map(_away, one["away"]))) for one in found]
    print_table(("Person", "Digest", "Away"), rows)


@person.command("set")
@click.argument("email")
@click.option("--digest-days", metavar="DIGITS|none", help="12345 is Monday to Friday; none: what is urgent, no more.")
@json_option
def set_person(email: str, digest_days: str | None, as_json: bool) -> None:
    """Choose the days on which somebody gets a digest. What is urgent comes on any day."""
    if digest_days is None:
        raise click.UsageError("nothing to set is given")
    with desk() as d, d.writing() as writing:
        changed = people.set_digest_days(writing, email, "" if digest_days == _NONE else digest_days)
        document = _person(writing.session, changed, d.now)
    _show(document, f"{email}: digest {_digest_days(changed.digest_days)}.", as_json=as_json)


@person.command()
@click.argument("email")
@click.option("--from", "from_on", type=Day(), required=True, help="The first day away.")
@click.option("--until", "until_on", type=Day(), required=True, help="The last day away.")
@click.option("--stand-in", metavar="EMAIL", help="Who hears instead; by default the clinic's lead.")
@json_option
def away(email: str, from_on: date, until_on: date, stand_in: str | None, as_json: bool) -> None:
    """Somebody is away; whoever stands in hears of what is theirs."""
    with desk() as d, d.writing() as writing:
        changed = people.set_away(writing, email, from_on, until_on, stand_in)
        document = _person(writing.session, changed, d.now)
    said = f"{email} is away from {in_words(from_on)} to {in_words(until_on)}; {stand_in or _LEAD} hears instead."
    _show(document, said, as_json=as_json)


@person.command()
@click.argument("email")
@click.option("--on", type=Day(), help="The first day back; by default today.")
@json_option
def back(email: str, on: date | None, as_json: bool) -> None:
    """Somebody is back before the absence ends, or stays after all."""
    with desk() as d, d.writing() as writing:
        changed, day = people.set_back(writing, email, on)
        document = _person(writing.session, changed, d.now)
    _show(document, f"{email} is back on {in_words(day)}.", as_json=as_json)


def _show(document: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(said)


def _person(session: Session, one: Person, now: datetime) -> dict[str, Any]:
    """The person as ``person list --json`` gives it."""
    today = people.today_of(session, one, now)
    return {
        "person": one.email,
        "digest_days": one.digest_days,
        "away": [people.span(absence) for absence in people.absences(session, one, today)],
    }


def _digest_days(digits: str) -> str:
    return f"on {working_days.weekdays_in_words(digits)}" if digits else "of what is urgent alone"


def _away(absence: dict[str, str | None]) -> str:
    return f"{absence['from']} to {absence['until']}, {absence['stand_in'] or _LEAD} stands in"
