"""What the people of the virtual clinics do all day: they record, are away, hand over, change how they work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session, col, func, select

from tests.tracker.conftest import Installation
from tracker import cases, pathways, people
from tracker.clock import local_date
from tracker.demo import demo_cohort
from tracker.errors import ChangeRefused, UnknownThing
from tracker.interchange.journal import JournalLine
from tracker.models import Case, Clinic, FollowUpRow
from tracker.writing import Writing
from workflows.machine import machine_of
from workflows.pathway import Pathway

_WAYS = {"imaging": ("ct", "mri"), "markers": ("cga", "5-hiaa"), "requested": ("pth",)}
_ZONES = (
    *("Europe/London", "America/New_York", "Australia/Melbourne", "Asia/Kathmandu", "America/St_Johns"),
    *("Pacific/Auckland", "America/Sao_Paulo", "Africa/Nairobi", "Pacific/Honolulu", "Europe/Lisbon"),
)
_CALENDARS = (None, "GB-ENG", "DE-BY", "US", "AU-VIC")
_DAYS = ("1234567", "12345", "135", "24", "1", "")
_TREATMENTS = ("lanreotide", "everolimus", "prrt", "capecitabine-temozolomide", "distal-pancreatectomy")


def cohort(place: Installation, number: int, seed: int, now: datetime) -> list[JournalLine]:
    """Invented histories, each of the demonstration's clinics cut in two, so that more people share the work."""
    with place.database.reading() as session:
        pathway = pathways.latest(session)
    return [_moved(line) for line in demo_cohort(pathway, number, seed, now.date())]


def _moved(line: JournalLine) -> JournalLine:
    half = int(line.case.rpartition("-")[2]) % 2
    if half and "clinic" in line.data:
        line.data["clinic"] += " Two"
    if half and "navigator" in line.data:
        line.data["navigator"] = "second." + line.data["navigator"]
    return line


@dataclass
class Navigators:
    """Everybody at once. What is refused is tried no further; what else goes wrong is not caught here."""

    place: Installation
    pathway: Pathway
    random: Random
    done: Counter[str] = field(default_factory=Counter)
    deaths: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0

    def record(self, now: datetime) -> None:
        """One thing that somebody records."""
        weights = [weight for _, weight in _RECORDED]
        what = self.random.choices([act for act, _ in _RECORDED], weights)[0]
        self._try(what.__name__.strip("_"), what, now)

    def change_their_ways(self, now: datetime) -> None:
        """Now and then somebody is away, or a clinic is run in another way."""
        for what, share in _CHANGED:
            if self.random.random() < share:
                self._try(what.__name__.strip("_"), what, now)

    def _try(self, name: str, what: Callable[[Navigators, Writing], object], now: datetime) -> None:
        try:
            with self.place.writing(now, actor="somebody@example.org") as writing:
                what(self, writing)
        except (ChangeRefused, UnknownThing):
            name = "refused"
        self.done[name] += 1

    # What is recorded ----------------------------------------------------------------------------------------

    def _tell(self, writing: Writing, ref: str, kind: str, **data: Any) -> cases.Recorded:
        today = min(local_date(writing.now, zone) for zone in writing.session.exec(select(Clinic.timezone)))
        late = self.random.choice((0, 0, 0, 0, 1, 3))
        return cases.record(writing, ref=ref, kind=kind, on=today - timedelta(days=late), data=data)

    def _item(self, writing: Writing) -> tuple[str, FollowUpRow]:
        """An open item that may be done by now, and its case."""
        last = writing.session.exec(select(func.max(Case.id))).one() or 0
        found = (
            select(Case.ref, FollowUpRow)
            .join(Case)
            .where(FollowUpRow.status == "open", FollowUpRow.opens_on <= writing.now.date())
            .where(col(FollowUpRow.case_id) >= self.random.randint(0, last))
            .order_by(col(FollowUpRow.case_id), col(FollowUpRow.id))
        )
        item = writing.session.exec(found.limit(1)).first()
        if item is None:
            raise ChangeRefused("nothing is open behind that")
        return item

    def _case(self, session: Session) -> Row[Any] | Case:
        last = session.exec(select(func.max(Case.id))).one() or 0
        behind = select(Case).where(col(Case.id) >= self.random.randint(0, last), Case.phase != "closed")
        case = session.exec(behind.order_by(col(Case.id)).limit(1)).first()
        if case is None:
            raise ChangeRefused("no case is open behind that")
        return case

    def do(self, writing: Writing) -> None:
        ref, item = self._item(writing)
        way = self.random.choice(_WAYS.get(item.activity, (item.activity,)))
        self._tell(writing, ref, "activity:done", activity=way)

    def waive(self, writing: Writing) -> None:
        ref, item = self._item(writing)
        self._tell(writing, ref, "activity:waived", activity=item.activity, rule=item.rule, reason="done elsewhere")

    def reschedule(self, writing: Writing) -> None:
        ref, item = self._item(writing)
        to = self._ahead(writing, 40)
        about = {"activity": item.activity, "rule": item.rule, "reason": "away"}
        self._tell(writing, ref, "activity:rescheduled", to=to, **about)

    def book(self, writing: Writing) -> None:
        ref, item = self._item(writing)
        about = {"activity": item.activity, "rule": item.rule, "for": self._ahead(writing, 30)}
        self._tell(writing, ref, "activity:booked", **about)

    def snooze(self, writing: Writing) -> None:
        ref, item = self._item(writing)
        until = self._ahead(writing, 14)
        self._tell(writing, ref, "activity:snoozed", activity=item.activity, rule=item.rule, until=until)

    def hand_over(self, writing: Writing) -> None:
        to = self._somebody(writing.session)
        self._tell(writing, self._case(writing.session).ref, "case:handed_over", navigator=to)

    def move_on(self, writing: Writing) -> None:
        """A change of state, whichever may follow, with a reason for all that is warned of."""
        case = self._case(writing.session)
        machine = machine_of(self.pathway)
        trigger = self.random.choice([t for t in machine.triggers_from(case.state) if t != "record_death"])
        self._tell(writing, case.ref, "state:changed", **self._asked(writing, trigger))

    def _asked(self, writing: Writing, trigger: str) -> dict[str, Any]:
        given = {
            "treatment": self.random.choice(_TREATMENTS),
            "intent": "disease-control",
            "planned_on": self._ahead(writing, 30),
            "review_on": self._ahead(writing, 30),
            "reason": "agreed",
        }
        asked = {ask.name: given[ask.name] for ask in self.pathway.trigger_named[trigger].asks if ask.name in given}
        reasons = {warning.id: "the team knows" for warning in self.pathway.warnings if trigger in warning.on}
        return {"trigger": trigger, **asked, **({"reasons": reasons} if reasons else {})}

    def die(self, writing: Writing) -> None:
        recorded = self._tell(writing, self._case(writing.session).ref, "state:changed", trigger="record_death")
        if self.random.random() < 0.5:
            self.deaths.append((recorded.case.ref, recorded.event.id))

    def correct_a_death(self, writing: Writing) -> None:
        if not self.deaths:
            raise ChangeRefused("nobody was taken for dead")
        ref, event = self.deaths.pop(self.random.randrange(len(self.deaths)))
        self._tell(writing, ref, "event:corrected", event=event, reason="another patient")

    def note(self, writing: Writing) -> None:
        self._tell(writing, self._case(writing.session).ref, "note:added", text="Prefers calls after 16:00.")

    def call(self, writing: Writing) -> None:
        ref = self._case(writing.session).ref
        channel = self.random.choice(("phone", "letter"))
        self._tell(writing, ref, "contact:attempted", channel=channel, outcome="no-answer")

    def open(self, writing: Writing) -> None:
        clinic = self._clinic(writing.session)
        self.opened += 1
        data = {
            "clinic": clinic.name,
            "timezone": clinic.timezone,
            "patient": {"ref": f"New-{self.opened}", "name": "Canary Surname"},
            "navigator": self._somebody(writing.session),
        }
        on = local_date(writing.now, clinic.timezone)
        cases.open_case(writing, ref=f"New-{self.opened}", on=on, data=data)

    def _ahead(self, writing: Writing, days: int) -> str:
        return (writing.now.date() + timedelta(days=self.random.randint(1, days))).isoformat()

    # How the work is done ------------------------------------------------------------------------------------

    def _clinic(self, session: Session) -> Clinic:
        return self.random.choice(people.clinics(session))

    def _somebody(self, session: Session) -> str:
        return self.random.choice([person.email for person in people.people(session)])

    def _day(self, writing: Writing, ahead: int) -> date:
        return writing.now.date() + timedelta(days=self.random.randint(0, ahead))

    def go_away(self, writing: Writing) -> None:
        one, other = self._somebody(writing.session), self._somebody(writing.session)
        first = self._day(writing, 5)
        until = first + timedelta(days=self.random.choice((0, 2, 7, 21)))
        people.set_away(writing, one, first, until, self.random.choice((None, other)))

    def come_back(self, writing: Writing) -> None:
        people.set_back(writing, self._somebody(writing.session))

    def choose_days(self, writing: Writing) -> None:
        people.set_digest_days(writing, self._somebody(writing.session), self.random.choice(_DAYS))

    def choose_all_days(self, writing: Writing) -> None:
        people.set_digest_days(writing, self._somebody(writing.session), _DAYS[0])

    def lead(self, writing: Writing) -> None:
        clinic, somebody = self._clinic(writing.session), self._somebody(writing.session)
        people.set_lead(writing, clinic.name, self.random.choice((f"lead.{_id(clinic)}@example.org", somebody, None)))

    def clinician(self, writing: Writing) -> None:
        clinic = self._clinic(writing.session)
        email = self.random.choice((f"clinician.{_id(clinic)}@example.org", None))
        people.set_clinician(writing, clinic.name, email)

    def move_clock_zone(self, writing: Writing) -> None:
        people.set_timezone(writing, self._clinic(writing.session).name, self.random.choice(_ZONES))

    def choose_holidays(self, writing: Writing) -> None:
        people.set_holidays(writing, self._clinic(writing.session).name, self.random.choice(_CALENDARS))

    def choose_hour(self, writing: Writing) -> None:
        at = time(self.random.choice((6, 7, 7, 8, 12)), 30)
        people.set_digest_hour(writing, self._clinic(writing.session).name, at)

    def choose_working_days(self, writing: Writing) -> None:
        days = self.random.choice(("12345", "12345", "1234567", "1234"))
        people.set_working_days(writing, self._clinic(writing.session).name, days)

    def be_reachable(self, now: datetime) -> None:
        """In the end everybody is there and wants to hear, each clinic has a lead and works on usual days."""
        with self.place.writing(now, actor="somebody@example.org") as writing:
            for clinic in people.clinics(writing.session):
                people.set_lead(writing, clinic.name, f"lead.{_id(clinic)}@example.org")
                people.set_working_days(writing, clinic.name, "12345")
                people.set_holidays(writing, clinic.name, None)
        with self.place.writing(now, actor="somebody@example.org") as writing:
            for person in people.people(writing.session):
                people.set_digest_days(writing, person.email, _DAYS[0])


def _id(clinic: Clinic) -> int:
    assert clinic.id is not None
    return clinic.id


_RECORDED = (
    (Navigators.do, 52),
    (Navigators.waive, 4),
    (Navigators.reschedule, 6),
    (Navigators.book, 8),
    (Navigators.snooze, 7),
    (Navigators.hand_over, 4),
    (Navigators.move_on, 7),
    (Navigators.die, 1),
    (Navigators.correct_a_death, 1),
    (Navigators.note, 3),
    (Navigators.call, 4),
    (Navigators.open, 3),
)
_CHANGED = (
    (Navigators.go_away, 0.2),
    (Navigators.come_back, 0.1),
    (Navigators.choose_days, 0.03),
    (Navigators.choose_all_days, 0.1),
    (Navigators.lead, 0.03),
    (Navigators.clinician, 0.02),
    (Navigators.move_clock_zone, 0.01),
    (Navigators.choose_holidays, 0.01),
    (Navigators.choose_hour, 0.02),
    (Navigators.choose_working_days, 0.01),
)
