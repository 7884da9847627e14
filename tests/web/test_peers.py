"""What users of other trackers complained of, on the pages: each complaint as a test that it is right here.

Its counterparts below the pages are tests/tracker/test_reassigned.py and tests/faults/test_peers_bugs.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlmodel import select
from werkzeug.test import TestResponse

from tests.tracker.conftest import Installation
from tests.tracker.histories import referred
from tests.web.forms import send, words
from tests.web.people import SignedInClient, person
from tracker import cases
from tracker.access import Role
from tracker.models import FollowUpRow, Person
from web import create_app
from web.desk import desk

BEA = "bea@example.org"
REFERRED = date(2026, 5, 11)  # a Monday: histology opens on that day, is due on the 25th, and late after 8 June
DUE, LATE = date(2026, 5, 25), date(2026, 6, 8)
MORNING = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
EMBEDDED = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tables of moments: what the databases do at each is the same, and shown on both elsewhere."""


@dataclass
class Pages:
    """The pages of an installation, at a time that a test sets."""

    place: Installation
    client: Callable[..., FlaskClient]

    def at(self, moment: datetime) -> Pages:
        self.place.now = moment
        return self

    def follow_up(self) -> FollowUpRow:
        """The histology of the one case."""
        with self.place.database.reading() as session:
            row = session.exec(select(FollowUpRow).where(FollowUpRow.activity == "histology")).one()
            session.expunge(row)
            return row

    def target(self) -> str:
        row = self.follow_up()
        return f"{row.id}~{row.due_on}"

    def events(self) -> list[str]:
        with self.place.database.reading() as session:
            return [event.kind for event in cases.events_of(session, cases.find(session, "N-001"))]


@pytest.fixture
def pages(place: Installation) -> Iterator[Pages]:
    """One case that was referred on 11 May 2026 in London, and everything open in it told to Ana."""
    app = create_app(place.settings, lambda: place.now)
    app.test_client_class = SignedInClient
    yield Pages(place, app.test_client)
    desk(app).database.close()


def begun(pages: Pages, zone: str = "Europe/London") -> Pages:
    pages.place.replay(referred(timezone=zone), datetime(2026, 5, 11, 12, 0, tzinfo=UTC))
    return pages


# Whoever takes over a case hears of what is due in it --------------------------------------------------------


def from_the_worklist(ana: FlaskClient, pages: Pages) -> TestResponse:
    form = ana.get(f"/cases/N-001/acts/hand-over?item={pages.target()}")
    return send(ana, form, "/acts/hand-over", navigator=BEA)


def from_the_case(ana: FlaskClient, _: Pages) -> TestResponse:
    path = "/cases/N-001/record/hand-over"
    return send(ana, ana.get(path), path, navigator=BEA)


def with_the_whole_caseload(ana: FlaskClient, pages: Pages) -> TestResponse:
    with pages.place.database.reading() as session:
        number = session.exec(select(Person.id).where(Person.email == "ana@example.org")).one()
    path = f"/hand-over/{number}"
    form = ana.get(f"/hand-over?person={number}")
    look = send(ana, form, path, to=BEA, case="N-001")
    return send(ana, look, path)


@pytest.mark.parametrize("way", [from_the_worklist, from_the_case, with_the_whole_caseload])
def test_a_case_that_is_handed_over_is_told_to_its_new_navigator(
    pages: Pages, way: Callable[[FlaskClient, Pages], TestResponse]
) -> None:
    begun(pages).at(MORNING).place.tick(MORNING)
    ana = pages.client()
    with desk(ana.application).writing("test:peers") as writing:
        assert writing.session.exec(select(Person).where(Person.email == BEA)).first() is None
    person(desk(ana.application), BEA, {"North": {Role.NAVIGATOR}})
    assert way(ana, pages).status_code in (200, 303)
    assert pages.events().count("case:handed_over") == 1
    for hours in (1, 24, 25, 48):
        pages.place.tick(MORNING + timedelta(hours=hours))
    (told,) = pages.place.told(BEA)
    assert any("Handed over to you" in heading for heading in told.headings)
    assert len(pages.place.told("ana@example.org")) == 1


def test_a_case_goes_to_nobody_who_could_not_see_it(pages: Pages) -> None:
    begun(pages).at(MORNING)
    ana = pages.client()
    path = "/cases/N-001/record/hand-over"
    assert "Nobody else may look after a case of this clinic." in words(ana.get(path))
    person(desk(ana.application), BEA, {"North": {Role.NAVIGATOR}})
    refused = send(ana, ana.get(path), path, navigator="bea@exmaple.org")
    assert refused.status_code == 422
    assert "case:handed_over" not in pages.events()


# What is long overdue stays in sight -------------------------------------------------------------------------

LISTS = [
    "/?navigator=",
    "/?navigator=&age=366-",
    "/?navigator=&escalated=1",
    "/worklist",
    "/worklist?who=anyone",
    "/worklist?who=anyone&late=365",
    "/worklist?who=anyone&sort=due",
    "/cases/N-001",
    "/worklist/list.csv",
]


@pytest.mark.parametrize("late", [366, 2000])
def test_what_is_more_than_a_year_late_stays_on_every_list(pages: Pages, late: int) -> None:
    now = datetime.combine(LATE, time(9), UTC) + timedelta(days=late)
    ana = begun(pages).at(now).client()
    for address in LISTS:
        page = ana.get(address)
        assert page.status_code == 200, address
        assert "Histology" in page.text, address
        assert f"{late:,} days overdue" in words(page) or "csv" in address, address
    board = words(ana.get("/?navigator="))
    assert "More than a year: 1 follow-up" in board


def test_what_is_more_than_a_year_late_is_in_each_days_digest_of_what_is_overdue(pages: Pages) -> None:
    now = datetime.combine(LATE, time(9), UTC) + timedelta(days=400)
    begun(pages).place.tick(now)
    (mail,) = pages.place.told("ana@example.org")
    assert "400 days late" in mail.text


# An item due today is due all day, in the clinic's zone ------------------------------------------------------

ZONES = ["Pacific/Kiritimati", "Pacific/Auckland", "Asia/Kolkata", "Europe/London", "America/Los_Angeles",
         "Pacific/Pago_Pago"]  # fmt: skip
HOURS = [time(0, 5), time(12, 0), time(23, 55)]


def standing(pages: Pages, moment: datetime) -> dict[str, str]:
    """How the histology stands on the dashboard, on the worklist and on its case page."""
    ana = pages.at(moment).client()
    board = ana.get("/?navigator=").text
    overdue, _, rest = board.partition('id="coming"')
    coming = rest.partition("</section>")[0]
    return {
        "overdue": _first(r"<strong class=\"num\">([^<]*)</strong> overdue\s", overdue),
        "coming": _first(r"<span class=\"num soon-on\">[^<]*<span class=\"since\">([^<]*)</span>", coming),
        "worklist": _first(r"urgency urgency-\w+\">([^<]*)<", ana.get("/worklist?who=anyone&activity=histology").text),
        "case": _first(r"urgency urgency-\w+\">([^<]*)<", ana.get("/cases/N-001").text.partition('id="next"')[2]),
    }


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


@EMBEDDED
@pytest.mark.parametrize("zone", ZONES)
def test_what_is_due_today_is_due_from_the_first_minute_to_the_last(pages: Pages, zone: str) -> None:
    begun(pages, zone)
    for hour in HOURS:
        seen = standing(pages, datetime.combine(DUE, hour, ZoneInfo(zone)).astimezone(UTC))
        assert seen == {"overdue": "", "coming": "today", "worklist": "Due", "case": "Due"}, hour


@EMBEDDED
@pytest.mark.parametrize("zone", ZONES)
def test_what_is_in_time_today_is_late_from_the_first_minute_of_tomorrow(pages: Pages, zone: str) -> None:
    begun(pages, zone)
    for hour in HOURS:
        seen = standing(pages, datetime.combine(LATE, hour, ZoneInfo(zone)).astimezone(UTC))
        assert seen == {"overdue": "", "coming": "", "worklist": "Due", "case": "Due"}, hour
    midnight = datetime.combine(LATE + timedelta(days=1), time(0, 0), ZoneInfo(zone)).astimezone(UTC)
    late = {"overdue": "1 day", "coming": "", "worklist": "1 day overdue", "case": "1 day overdue"}
    assert standing(pages, midnight) == late


def test_it_is_so_on_both_databases(pages: Pages) -> None:
    begun(pages, "Pacific/Auckland")
    for day, told in ((LATE, "Due"), (LATE + timedelta(days=1), "1 day overdue")):
        seen = standing(pages, datetime.combine(day, time(0, 5), ZoneInfo("Pacific/Auckland")).astimezone(UTC))
        assert (seen["worklist"], seen["case"]) == (told, told)


def test_today_is_that_of_each_clinic_on_a_list_of_several(pages: Pages) -> None:
    begun(pages).place.replay(referred("S-001", clinic="South", timezone="Pacific/Auckland"), MORNING)
    evening = datetime(2026, 5, 24, 20, 0, tzinfo=UTC)  # a Sunday in London, and Monday morning in Auckland
    board = words(pages.at(evening).client().get("/?navigator="))
    assert "25 May 2026 today Histology for S-001" in board
    assert "25 May 2026 tomorrow Histology for N-001" in board


# What is done in one window is done in the other --------------------------------------------------------------


def done_in(window: FlaskClient, form: TestResponse) -> TestResponse:
    return send(window, form, "/acts/done", on="2026-06-15")


def test_what_is_done_in_one_window_is_done_in_the_other(pages: Pages) -> None:
    begun(pages).at(MORNING)
    one, other = pages.client(), pages.client()
    address = f"/cases/N-001/acts/done?item={pages.target()}"
    forms = [one.get(address), other.get(address)]
    assert done_in(one, forms[0]).status_code == 303
    assert "Histology" not in other.get("/worklist?who=anyone&activity=histology").text.partition("<tbody")[2]
    assert "Nothing is overdue" in words(other.get("/?navigator="))
    late = done_in(other, forms[1])
    told = words(other.get(late.location))
    assert "done already on 15 Jun 2026, recorded by ana@example.org; nothing is left to do here" in told
    assert pages.events().count("activity:done") == 1


def test_a_colleague_whose_window_is_behind_is_told_who_was_faster(pages: Pages) -> None:
    begun(pages).at(MORNING)
    ana, ben = pages.client(), pages.client(email="ben@example.org")
    target = pages.target()
    behind = ben.get("/worklist?who=anyone&activity=histology")
    done_in(ana, ana.get(f"/cases/N-001/acts/done?item={target}"))
    for act in ("done", "call", "booked", "rescheduled", "waived"):
        answer = ben.get(f"/cases/N-001/acts/{act}?item={target}")
        told = words(ben.get(answer.location))
        assert "Histology" in told
        assert "ana@example.org" in told
    form = send(ben, behind, "/worklist/acts/done", item=target)
    assert "no longer open" in words(form)
    assert pages.events().count("activity:done") == 1


def test_a_double_click_in_either_window_records_it_once(pages: Pages) -> None:
    begun(pages).at(MORNING)
    ana = pages.client()
    form = ana.get(f"/cases/N-001/acts/done?item={pages.target()}")
    assert [done_in(ana, form).status_code for _ in range(3)] == [303, 303, 303]
    assert pages.events().count("activity:done") == 1


def test_what_is_undone_in_one_window_is_open_again_in_the_other(pages: Pages) -> None:
    begun(pages).at(MORNING)
    one, other = pages.client(), pages.client()
    report = done_in(one, one.get(f"/cases/N-001/acts/done?item={pages.target()}"))
    send(one, one.get(report.location), "/worklist/undo")
    assert "Histology" in other.get("/worklist?who=anyone&activity=histology").text.partition("<tbody")[2]
