"""Reminders are raised once, on the clinic's local date, and a digest tells nothing personal."""

from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from sqlmodel import col, func, select

from tests.tracker.conftest import Installation, journal
from tests.tracker.histories import lanreotide
from tracker import cases
from tracker.ledger import verify
from tracker.models import Digest, OutboxMessage, Reminder

# The injection after 30 March is due on 27 April: it opens on the 24th and is late after the 30th.
# The 24th is a Friday.
OPENS = datetime(2026, 4, 24, 8, 0, tzinfo=UTC)
MONDAY = datetime(2026, 4, 27, 8, 0, tzinfo=UTC)


def steps(place: Installation, *statuses: str, rule: str = "lanreotide-injection") -> list[str]:
    """The steps that have been raised, and by now sent (or stand otherwise), earliest first."""
    with place.database.reading() as session:
        wanted = statuses or ("raised", "sent")
        found = select(Reminder).where(col(Reminder.status).in_(wanted)).order_by(col(Reminder.remind_on))
        return [row.step for row in session.exec(found) if row.follow_up_key.startswith(rule)]


def test_the_day_before_nothing_is_raised_and_on_the_day_it_is_once(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS - timedelta(days=1))
    assert steps(place) == []
    assert place.tick(OPENS).raised == 1
    assert steps(place) == ["opens"]
    assert place.tick(OPENS + timedelta(minutes=1)).raised == 0


def test_steps_follow_the_window_and_escalate(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    for days, expected in ((0, 1), (3, 2), (6, 2), (7, 3), (9, 4), (13, 5), (60, 5)):
        place.tick(OPENS + timedelta(days=days))
        assert len(steps(place)) == expected, days
    assert steps(place) == ["opens", "due", "overdue", "escalate-lead", "escalate-clinician"]


def test_after_a_long_silence_each_step_is_raised_once_in_one_digest(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    report = place.tick(OPENS + timedelta(days=90))
    assert len(steps(place)) == 5
    assert (report.digests, report.sent) == (1, 1)
    assert place.tick(OPENS + timedelta(days=90, hours=1)).digests == 0


def test_done_in_time_is_never_reminded_of(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.writing(OPENS + timedelta(days=3)) as writing:
        cases.record(writing, ref="N-001", kind="activity:done", on=date(2026, 4, 27), data={"activity": "injection"})
    place.tick(OPENS + timedelta(days=10))
    assert steps(place) == ["opens"]
    # the step of the due day had come and was not raised before the dose was recorded
    assert steps(place, "withheld") == ["due"]


def test_nothing_goes_out_about_a_patient_who_died(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 20), data=death)
    report = place.tick(OPENS + timedelta(days=400))
    assert (report.raised, report.digests, report.sent) == (0, 0, 0)


def test_reminders_raised_after_a_death_that_was_learned_late_are_marked(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.writing(OPENS + timedelta(days=2)) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 10), data=death)
    with place.database.reading() as session:
        sent = session.exec(select(Reminder).where(Reminder.status == "sent")).all()
    assert [row.reason for row in sent] == ["sent after the death on 2026-04-10"]


def test_a_digest_that_waits_is_cancelled_by_a_death(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))

    def disk_full(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", disk_full)
        assert place.tick(OPENS).retrying == 1
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 24), data=death)
    assert place.tick(OPENS + timedelta(hours=1)).sent == 0
    assert place.mails() == []
    with place.database.reading() as session:
        assert session.exec(select(OutboxMessage.state)).one() == "cancelled"


def disk_full(*_: object) -> None:
    raise OSError("no space")


def test_a_digest_that_waits_leaves_out_who_died_meanwhile(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"), now=OPENS - timedelta(days=5))
    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", disk_full)
        place.tick(OPENS)
    with place.writing(OPENS) as writing:
        death = {"trigger": "record_death"}
        cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 24), data=death)
    assert place.tick(OPENS + timedelta(hours=1)).sent == 1
    (mail,) = place.mails()
    assert b"/go/1\r\n" not in mail
    assert b"/go/2\r\n" in mail
    assert b": 1 to look at" in mail


def test_what_a_waiting_digest_did_not_tell_is_told_after_all_when_the_death_was_mistaken(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", disk_full)
        place.tick(OPENS)
    with place.writing(OPENS) as writing:
        mistaken = {"trigger": "record_death"}
        death = cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 24), data=mistaken)
    assert place.tick(OPENS + timedelta(hours=1)).sent == 0
    with place.writing(OPENS + timedelta(hours=2)) as writing:
        undo = {"event": death.event.id, "reason": "another patient"}
        cases.record(writing, ref="N-001", kind="event:corrected", on=date(2026, 4, 24), data=undo)
    assert place.tick(MONDAY).sent == 1
    assert len(place.mails()) == 1


def test_the_mark_of_a_death_goes_with_the_death(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.writing(OPENS + timedelta(days=1)) as writing:
        mistaken = {"trigger": "record_death"}
        death = cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 10), data=mistaken)
        undo = {"event": death.event.id, "reason": "another patient"}
        cases.record(writing, ref="N-001", kind="event:corrected", on=date(2026, 4, 25), data=undo)
    with place.database.reading() as session:
        assert set(session.exec(select(Reminder.reason).where(Reminder.status == "sent"))) == {None}


@pytest.mark.parametrize("in_the_way", ["mail", "mail/new"])
def test_a_mail_folder_that_cannot_be_used_keeps_the_mail_waiting(place: Installation, in_the_way: str) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    obstacle = place.settings.home / in_the_way
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file where a folder should be")
    assert place.tick(OPENS).retrying == 1
    obstacle.unlink()
    assert place.tick(OPENS + timedelta(minutes=1)).sent == 1


def test_what_a_full_disk_kept_back_is_sent_later_and_once(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))

    def disk_full(*_: object) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr("tracker.mail.maildir.Maildir.send", disk_full)
        place.tick(OPENS)
    assert place.tick(OPENS + timedelta(minutes=1)).sent == 1
    assert place.tick(OPENS + timedelta(minutes=2)).sent == 0
    assert len(place.mails()) == 1


def test_a_moved_occurrence_is_reminded_of_again_at_its_new_date(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.writing(OPENS) as writing:
        moved = {"activity": "injection", "to": "2026-05-04", "reason": "holiday"}
        cases.record(writing, ref="N-001", kind="activity:rescheduled", on=date(2026, 4, 24), data=moved)
    place.tick(OPENS + timedelta(days=4))
    assert steps(place) == ["opens"]
    place.tick(datetime(2026, 5, 1, 8, 0, tzinfo=UTC))
    assert steps(place) == ["opens", "opens"]


def test_each_clinic_is_reminded_on_its_own_date(place: Installation) -> None:
    """One instant: 24 April in Auckland, still the 23rd in London and in Los Angeles."""
    for ref, clinic, zone in (("E-1", "East", "Pacific/Auckland"), ("W-1", "West", "America/Los_Angeles")):
        lines = lanreotide(ref)
        lines[0].data.update(clinic=clinic, timezone=zone)
        place.replay(lines, now=OPENS - timedelta(days=5))
    place.replay(lanreotide("N-001"), now=OPENS - timedelta(days=5))
    edge = datetime(2026, 4, 23, 13, 0, tzinfo=UTC)
    assert [place.tick(edge + timedelta(hours=h)).raised for h in (0, 9, 10, 17, 18)] == [1, 0, 1, 0, 1]


def test_one_digest_for_a_navigator_and_clinic_day(place: Installation) -> None:
    for ref in ("N-001", "N-002", "N-003"):
        place.replay(lanreotide(ref), now=OPENS - timedelta(days=5))
    assert place.tick(OPENS).digests == 1
    with place.writing(OPENS + timedelta(hours=1)) as writing:
        request = {"activity": "pth", "reason": "suspicion"}
        cases.record(writing, ref="N-001", kind="test:requested", on=date(2026, 4, 24), data=request)
    later = place.tick(OPENS + timedelta(hours=2))
    assert (later.raised, later.digests) == (1, 0)
    next_working_day = place.tick(MONDAY)
    assert next_working_day.digests == 1
    with place.database.reading() as session:
        assert session.exec(select(func.count()).select_from(Digest)).one() == 2


def test_a_digest_carries_nothing_personal_and_nothing_clinical(place: Installation) -> None:
    place.replay(lanreotide("CANARYREF-7"), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    (mail,) = place.mails()
    message = message_from_bytes(mail, policy=default)
    assert message["To"] == "ana@example.org"
    assert "1 to look at" in message["Subject"]
    text = mail.decode().lower()
    for secret in (
        "canary",
        "1961-02-28",
        "feb 1961",
        "lanreotide",
        "injection",
        "female",
        "pancrea",
        "mrn",
        "private",
    ):
        assert secret not in text, secret
    assert "http://127.0.0.1:5000/go/" in text


def test_a_case_that_nobody_looks_after_is_not_silent(place: Installation) -> None:
    lines = lanreotide()
    del lines[0].data["navigator"]
    place.replay(lines, now=OPENS - timedelta(days=5))
    report = place.tick(OPENS)
    assert (report.raised, report.digests) == (1, 0)
    with place.database.writing() as session:
        clinic = session.get_one(cases.Clinic, 1)
        clinic.lead_email = "lead@example.org"
    assert place.tick(OPENS + timedelta(minutes=1)).digests == 1


def test_an_item_more_than_a_year_late_is_still_told(place: Installation) -> None:
    lines = journal(
        '{"case":"N-9","on":"2020-01-05","event":"case:opened","data":{"clinic":"North","timezone":"UTC",'
        '"patient":{"ref":"N-9"},"navigator":"ana@example.org"}}'
    )
    place.replay(lines)
    assert place.tick(place.now + timedelta(days=2)).digests == 1
    assert b"days late" in place.mails()[0]


def test_a_follow_up_that_comes_back_brings_its_later_steps_too(place: Installation) -> None:
    place.replay(lanreotide(), now=OPENS - timedelta(days=5))
    place.tick(OPENS)
    with place.writing(OPENS + timedelta(days=1)) as writing:
        mistaken = {"trigger": "record_death"}
        death = cases.record(writing, ref="N-001", kind="state:changed", on=date(2026, 4, 25), data=mistaken)
    with place.writing(OPENS + timedelta(days=2)) as writing:
        undo = {"event": death.event.id, "reason": "another patient"}
        cases.record(writing, ref="N-001", kind="event:corrected", on=date(2026, 4, 26), data=undo)
    for days in (2, 3, 7, 9, 13):
        place.tick(OPENS + timedelta(days=days))
    assert steps(place) == ["opens", "due", "overdue", "escalate-lead", "escalate-clinician"]
    with place.database.reading() as session:
        key = place.secret.derive("event chain")
        assert verify(session, now=OPENS + timedelta(days=14), chain_key=key).findings == []
