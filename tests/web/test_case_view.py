"""A case as its page shows it."""

from dataclasses import replace
from datetime import date

from tests.web.register import NOW, Register
from tests.workflows.journeys import Journey
from tracker import casebook
from web import case_view, checklists, contacts, reminder_rows, timeline
from workflows.events import Event


def file_of(register: Register, ref: str, on: str | None = None) -> casebook.CaseFile:
    with register.database.reading() as session:
        return casebook.case_file(session, ref, now=NOW, on=date.fromisoformat(on) if on else None)


def test_track_says_where_the_case_is_where_it_was_and_where_it_never_was() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    stops = case_view.track(journey.plan().history)
    assert [(stop.title, stop.place, stop.words) for stop in stops] == [
        ("Work-up", "ahead", "not reached"),
        ("Advanced disease", "passed", "on 5 Jan 2026"),
        ("Therapy", "now", "the case is here, since 5 Jan 2026"),
        ("Surveillance", "ahead", "not reached"),
    ]


def test_track_tells_the_last_time_of_a_phase_to_which_the_case_came_back() -> None:
    journey = Journey.treated("2026-01-05", "lanreotide")
    journey.trigger("2026-03-01", "end_line", reason="toxicity").starts("2026-04-01", "everolimus")
    words = {stop.title: stop.words for stop in case_view.track(journey.plan().history)}
    assert words["Advanced disease"] == "the last time 1 Mar 2026 to 1 Apr 2026"
    assert words["Therapy"] == "the case is here, since 1 Apr 2026"


def test_track_names_restaging_only_while_the_case_stands_there() -> None:
    journey = Journey.advanced().trigger("2026-02-01", "suspect_progression")
    stops = case_view.track(journey.plan().history)
    assert [(stop.title, stop.place) for stop in stops][-1] == ("Restaging", "now")
    journey.trigger("2026-03-01", "confirm_stable")
    assert "Restaging" not in [stop.title for stop in case_view.track(journey.plan().history)]


def test_staging_systems_stand_side_by_side_and_say_that_they_differ() -> None:
    journey = Journey.advanced()
    journey.fact("2026-01-06", stage="III", m="0", staging_system="enets")
    journey.fact("2026-01-07", stage="IV", m="1a", staging_system="ajcc8")
    found = case_view.staging(journey.plan().history)
    assert found is not None
    assert found.systems == ["ENETS", "AJCC, 8th edition"]
    assert dict(found.rows)["Stage"] == ["III", "IV"]
    assert dict(found.rows)["M category"] == ["M0", "M1a"]
    assert dict(found.rows)["T category"] == ["not recorded", "not recorded"]
    assert found.conflict
    assert found.latest == "AJCC, 8th edition"


def test_the_extent_keeps_what_it_was_before_in_each_system() -> None:
    journey = Journey.advanced().fact("2026-01-06", t="2", m="0", staging_system="enets")
    journey.fact("2026-02-07", t="3", m="0", staging_system="enets").fact("2026-03-07", t="2", staging_system="ajcc8")
    found = case_view.staging(journey.plan().history)
    assert found is not None
    assert found.earlier == [("T category, ENETS", "T2", date(2026, 1, 6))]


def test_one_staging_system_is_no_conflict() -> None:
    journey = Journey.advanced().fact("2026-01-06", stage="IV", staging_system="enets")
    found = case_view.staging(journey.plan().history)
    assert found is not None
    assert not found.conflict


def test_what_was_reported_stands_beside_what_follows_from_the_facts() -> None:
    journey = Journey.advanced().fact("2026-01-06", reported_grade="G3")
    (grades,) = case_view.differing(journey.plan().history)
    assert grades.told == [("Grade as reported", "G3 NET"), ("Grade by measurement", "G1")]
    assert grades.used == "G1"
    journey.fact("2026-01-07", reported_grade="G1", reported_functional=True)
    (function,) = case_view.differing(journey.plan().history)
    assert function.told == [("Functional as reported", "yes"), ("Functional", "no")]
    journey.fact("2026-01-08", reported_functional=False)
    assert case_view.differing(journey.plan().history) == []


def test_why_something_is_due_says_what_must_be_known_of_its_source(register: Register) -> None:
    caveats = [text for item in case_view.open_items(file_of(register, "N-001")) for text in item.caveats]
    assert any("human review is still pending" in text for text in caveats)


def test_a_fact_keeps_what_it_was_before() -> None:
    journey = Journey.advanced("2026-01-05").fact("2026-02-01", ki67_percent=5.0).fact("2026-03-01", ki67_percent=None)
    rows = {row.label: row for row in case_view.facts(journey.plan().history)}
    assert "Ki-67" not in rows
    assert "Ki-67" in case_view.unknown_facts(journey.plan().history)
    journey.fact("2026-04-01", ki67_percent=7.0)
    row = {row.label: row for row in case_view.facts(journey.plan().history)}["Ki-67"]
    assert row.value == "7 %"
    assert [value for value, _ in row.earlier] == ["not known", "5 %", "2 %"]


def test_steps_put_what_is_possible_first_and_what_closes_the_case_last() -> None:
    history = Journey.advanced().plan().history
    found = case_view.steps(history, history.today)
    closing = [step.closes for step in found]
    assert closing == sorted(closing)
    lost = next(step for step in found if step.title == "Close as lost to follow-up")
    assert lost.standing == "missing"


def test_doses_are_counted_where_the_pathway_plans_a_number() -> None:
    prrt = Journey.treated("2026-01-05", "prrt").done("2026-03-02", "prrt-cycle")
    assert [card.doses for card in case_view.lines(prrt.plan().history)] == ["2 of 4 doses given"]
    lanreotide = Journey.treated("2026-01-05", "lanreotide")
    assert [card.doses for card in case_view.lines(lanreotide.plan().history)] == [""]


def test_a_follow_up_that_ended_says_how_in_words_that_do_not_repeat() -> None:
    journey = Journey.advanced("2026-01-05").starts("2026-01-10", "lanreotide")
    journey.trigger("2026-03-01", "end_line", reason="toxicity")
    told = {case_view.how_it_ended(item.status, item.end_reason) for item in journey.plan().follow_ups.values()}
    assert "No longer tracked, as this has ended: the lanreotide line is active" in told
    assert case_view.how_it_ended("waived", "patient abroad") == "Waived: patient abroad"
    assert case_view.how_it_ended("done", "") == "Done"


def test_checklist_shows_what_the_record_has_as_done(register: Register) -> None:
    history = file_of(register, "N-005").plan.history
    (workup,) = (found for found in checklists.checklists(history) if found.title == "Work-up")
    ticks = {tick.text: tick for tick in workup.items}
    assert ticks["CT of the primary tumour and metastases"].done_on == date(2027, 3, 8)
    assert ticks["MRI of the primary tumour and metastases"].done_on is None


def test_guidance_comes_with_its_source_and_the_caveat_of_the_document(register: Register) -> None:
    found = checklists.guidance(file_of(register, "N-001").plan.history)
    assert found.notes
    assert all(note.badges for note in found.notes)
    assert any("human review" in text for text in found.caveats)


def test_the_checklist_of_a_work_up_that_is_over_says_what_the_record_lacks(register: Register) -> None:
    (past,) = (found for found in checklists.checklists(file_of(register, "N-001").plan.history) if not found.shown)
    assert past.title == "Work-up"
    assert past.done == 2
    assert "Histopathological confirmation on file" in past.missing
    assert "PTH, on clinical suspicion" not in past.missing


def test_timeline_is_newest_first_and_strikes_out_what_was_corrected(register: Register) -> None:
    entries = timeline.entries(file_of(register, "N-001"))
    assert [entry.on for entry in entries] == sorted((entry.on for entry in entries), reverse=True)
    struck = [entry for entry in entries if entry.correction]
    assert [entry.detail for entry in struck] == ["Belongs to another patient."]
    assert struck[0].correction == "Corrected on 3 Jul 2026 by test:register: entered in the wrong case"
    assert entries[-1].title == "Case opened"


def test_timeline_tells_every_kind_of_event() -> None:
    journey = Journey.advanced()
    journey.requested("2026-01-06", "vitamin-d").done("2026-01-07", "vitamin-d", result="low")
    journey.trigger("2026-01-08", "monitor").called("2026-01-09").add("2026-01-09", "note:added", text="hello")
    journey.booked("2026-01-10", "visit", "2026-04-01").rescheduled("2026-01-11", "visit", "2026-04-20")
    journey.waived("2026-01-12", "imaging").add("2026-01-13", "case:handed_over", navigator="ben@example.org")
    journey.add("2026-01-14", "warning:explained", warning="grade-conflict", reason="seen by the team")
    journey.corrected("2026-01-15", journey.last_id)
    plan = journey.plan()
    teller = timeline._Teller(plan.history.pathway, {m.event: m for m in plan.history.moves}, journey.events)
    told = [teller.words(event) for event in journey.events]
    assert told[2] == ("Test requested: Vitamin d", "")
    assert told[3] == ("Done: Vitamin d", "low")
    assert told[4] == (
        "Monitor without treatment",
        "Advanced disease, planning → Monitoring without treatment",
    )
    assert [title for title, _ in told[5:]] == [
        "Contact (phone): no answer",
        "Note",
        "Booked for 1 Apr 2026: Visit",
        "Moved to 20 Apr 2026: Visit",
        "Waived: Imaging (CT or MRI)",
        "Handed over to ben@example.org",
        "Warning explained",
        "Correction of an entry of 14 Jan 2026",
    ]


def test_a_correction_that_was_itself_corrected_strikes_out_nothing() -> None:
    journey = Journey.advanced().add("2026-01-06", "note:added", text="right after all")
    noted = journey.last_id
    journey.corrected("2026-01-07", noted)
    undoing = journey.last_id
    journey.corrected("2026-01-08", undoing)
    assert list(timeline.corrections(journey.events)) == [undoing]


# Contacts and notes ----------------------------------------------------------------------------------------


def test_contacts_and_notes_say_who_and_what_and_leave_out_what_was_struck_out(register: Register) -> None:
    file = file_of(register, "N-001")
    assert [(row.channel, row.outcome) for row in contacts.contacts(file)] == [("Phone", "No answer")]
    (note,) = contacts.notes(file)
    assert (note.text, note.by) == ("Prefers mornings.\nDaughter drives.", "test:register")


def test_a_contact_keeps_what_was_said(register: Register) -> None:
    file = file_of(register, "N-002")
    said = {"channel": "by-pigeon", "outcome": "call-later", "note": "after six"}
    told = replace(file, events=[*file.events, Event("e", 99, "contact:attempted", date(2027, 3, 1), said)])
    (row,) = contacts.contacts(told)
    assert (row.channel, row.outcome, row.note) == ("By pigeon", "Asked to be called later", "after six")


# Reminders -------------------------------------------------------------------------------------------------


def told_of(register: Register, ref: str) -> list[reminder_rows.ReminderRow]:
    with register.database.reading() as session:
        file = casebook.case_file(session, ref, now=NOW)
        found = casebook.reminders_of(session, file.row.id)
    return reminder_rows.reminders(file.plan.history, file.plan, found)


def test_reminders_say_of_what_which_step_and_what_became_of_them(outbox_register: Register) -> None:
    rows = told_of(outbox_register, "X-001")
    assert {(row.label, row.step) for row in rows} >= {("Imaging (CT or MRI)", "Overdue"), ("Visit", "Due")}
    assert {row.standing for row in rows} == {"Told", "In a message on its way"}
    for row in rows:
        assert (row.told_to == "eve+x@example.org") is (row.standing == "Told")
        assert row.at is not None


def test_what_went_out_stands_in_the_timeline_once_for_each_message(outbox_register: Register) -> None:
    file = file_of(outbox_register, "X-001")
    told = timeline.with_reminders(timeline.entries(file), told_of(outbox_register, "X-001"), file.clinic.timezone)
    assert [entry.on for entry in told] == sorted((entry.on for entry in told), reverse=True)
    sent = [entry for entry in told if not entry.id]
    assert sent
    assert {entry.title for entry in sent} == {"Reminder to eve+x@example.org"}
    assert len({entry.recorded_at for entry in sent}) == len(sent)
    assert "Imaging (CT or MRI): overdue, for the clinic lead" in [entry.detail for entry in sent]
    assert [entry for entry in told if entry.id] == timeline.entries(file)


def test_a_reminder_that_nobody_was_told_says_why(outbox_register: Register) -> None:
    rows = [row for row in told_of(outbox_register, "N-002") if row.standing == "Not told"]
    assert rows
    assert all(row.reason and row.at is None for row in rows)


def test_a_reminder_that_there_is_nobody_to_tell_waits_for_the_next_digest(outbox_register: Register) -> None:
    assert {row.standing for row in told_of(outbox_register, "N-003")} == {"Raised, to be told in the next digest"}


def test_a_reminder_that_went_out_after_a_death_is_marked(outbox_register: Register) -> None:
    outbox_register.step("X-001", "2027-03-01", "record_death")
    rows = told_of(outbox_register, "X-001")
    late = [row for row in rows if row.after_death]
    assert {row.reason for row in late} == {"sent after the death on 1 Mar 2027"}
    assert {row.standing for row in rows if not row.after_death} == {"Not told"}


def test_a_reminder_after_an_appointment_says_so() -> None:
    plan = Journey.treated("2026-01-05", "lanreotide").plan()
    key = next(iter(plan.follow_ups))
    steps = ("booked-2026-05-06", "snoozed-2026-05-06", "overdue")
    day = date(2026, 5, 6)
    found = [
        casebook.ToldReminder(key, step, day, day, "pending", None, None, None, None, waits=False) for step in steps
    ]
    rows = reminder_rows.reminders(plan.history, plan, found)
    assert [row.step for row in rows] == ["The appointment has passed", "Put off until then", "Overdue"]
