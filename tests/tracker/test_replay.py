"""A journal goes in whole or not at all, and comes out as it went in."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlmodel import func, select

from tests.tracker.conftest import Installation, journal
from tests.tracker.histories import LANREOTIDE, lanreotide
from tracker import cases, pathways
from tracker.demo import demo_cohort
from tracker.errors import InputRefused
from tracker.interchange.journal import dump, read
from tracker.ledger import verify
from tracker.models import Case, CaseEvent, FollowUpRow
from tracker.projection import case_values
from tracker.replay import export, import_cases, replay
from workflows.events import checked_data

OPEN = (
    '{"case":"N-1","on":"2026-01-05","event":"case:opened",'
    '"data":{"clinic":"North","timezone":"Europe/London","patient":{"ref":"N-1"}}}'
)


def exported(place: Installation) -> list[str]:
    with place.database.reading() as session:
        return [dump(line) for line in export(session)]


def refused(place: Installation, text: str) -> list[tuple[int, str]]:
    with pytest.raises(InputRefused) as caught:
        place.replay(journal(text))
    with place.database.reading() as session:
        assert session.exec(select(func.count()).select_from(Case)).one() == 0
    return [(problem.line, problem.reason) for problem in caught.value.problems]


def test_export_and_replay_give_the_same_journal_and_rows(
    place: Installation, place_factory: Callable[[str], Installation]
) -> None:
    place.replay(lanreotide("N-001") + lanreotide("N-002"))
    lines = exported(place)
    other = place_factory("other")
    other.replay(journal("\n".join(lines)))
    assert exported(other) == lines
    assert follow_ups(other) == follow_ups(place)


def follow_ups(place: Installation) -> list[tuple[str, ...]]:
    with place.database.reading() as session:
        rows = session.exec(select(Case.ref, FollowUpRow).join(Case).order_by(Case.ref, FollowUpRow.key))
        return [(ref, row.key, str(row.due_on), row.status, row.why) for ref, row in rows]


def test_one_go_and_event_by_event_give_the_same_rows(
    place: Installation, place_factory: Callable[[str], Installation]
) -> None:
    lines = lanreotide()
    place.replay(lines)
    other = place_factory("stepwise")
    for line in lines:
        other.replay([line])
    assert follow_ups(other) == follow_ups(place)
    for here in (place, other):
        with here.database.reading() as session:
            case = cases.find(session, "N-001")
            planned = cases.view(session, case)
            assert all(getattr(case, name) == value for name, value in case_values(planned).items())
            assert verify(session, now=here.now, chain_key=here.secret.derive("event chain")).findings == []


def test_what_is_not_understood_is_refused_line_by_line_and_nothing_is_applied(place: Installation) -> None:
    found = refused(
        place,
        "\n".join(
            [
                OPEN,
                '{"case":"N-1","on":"2026-01-06","event":"fact:recorded","data":{"grade":"G1","ki67_percent":"many"}}',
                '{"case":"N-1","on":"2026-01-07","event":"state:changed","data":{"trigger":"confirm_histology"}}',
                '{"case":"N-1","on":"2027-01-07","event":"note:added","data":{"text":"x"}}',
                '{"case":"N-1","on":"2026-01-08","event":"note:added","data":{"txt":"x"}}',
                '{"case":"N-1","on":"2026-01-09","event":"state:changed","data":{"trigger":"fly"}}',
                '{"case":"N-2","on":"2026-01-09","event":"note:added","data":{"text":"x"}}',
            ]
        ),
    )
    assert [line for line, _ in found] == [2, 2, 3, 4, 5, 5, 6, 7]
    reasons = dict(found)
    assert "needs: differentiation" in reasons[3]
    assert "in the future" in reasons[4]
    assert "unknown trigger 'fly'" in reasons[6]
    assert "has not been opened" in reasons[7]


def test_unknown_words_are_never_taken_for_no(place: Installation) -> None:
    for value in ("Not documented", "NA", ""):
        line = {"case": "N-1", "on": "2026-01-06", "event": "fact:recorded", "data": {"syndrome": value}}
        ((number, reason),) = refused(place, OPEN + "\n" + json.dumps(line))
        assert number == 2
        assert "is not one of" in reason


def test_a_dry_run_reports_and_writes_nothing(place: Installation) -> None:
    with place.writing() as writing:
        report = replay(writing, lanreotide(), kind="journal", dry_run=True)
    assert (report.created, report.events) == (1, 8)
    with place.database.reading() as session:
        assert session.exec(select(CaseEvent)).all() == []


@pytest.mark.parametrize("target", ['"death"', "3", '"line 3"', '"3"'])
def test_a_correction_points_by_id_or_by_line(place: Installation, target: str) -> None:
    text = "\n".join(
        [
            OPEN,
            '{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"}}',
            '{"case":"N-1","on":"2026-02-01","event":"state:changed","data":{"trigger":"record_death"},"id":"death"}',
            f'{{"case":"N-1","on":"2026-02-02","event":"event:corrected","data":{{"event":{target},"reason":"mistaken"}}}}',
        ]
    )
    place.replay(journal(text))
    with place.database.reading() as session:
        assert cases.find(session, "N-1").state == "workup.referred"


@pytest.mark.parametrize("target", ["\u00b2", "line \u00b2", "1" * 5000, "line", "", "0", "-1", "4", "line 4"])
def test_a_correction_that_points_at_nothing_is_refused_in_words(place: Installation, target: str) -> None:
    data = json.dumps({"event": target, "reason": "mistaken"})
    note = '{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"}}'
    line = f'{{"case":"N-1","on":"2026-01-06","event":"event:corrected","data":{data}}}'
    found = refused(place, "\n".join([OPEN, note, line, note]))
    assert [number for number, _ in found] == [3]
    assert "has no event" in found[0][1]
    assert len(found[0][1]) < 200


def test_an_id_on_record_means_that_event_and_not_a_line_of_the_file(place: Installation) -> None:
    first = '{"case":"N-1","on":"2026-02-01","event":"state:changed","data":{"trigger":"record_death"},"id":"1"}'
    place.replay(journal(f"{OPEN}\n{first}"))
    note = '{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"}}'
    undo = '{"case":"N-1","on":"2026-02-02","event":"event:corrected","data":{"event":"1","reason":"mistaken"}}'
    place.replay(journal(f"{note}\n{undo}"))
    with place.database.reading() as session:
        assert cases.find(session, "N-1").state == "workup.referred"


def test_the_opening_may_stand_behind_a_later_event_in_the_file(place: Installation) -> None:
    note = '{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"}}'
    place.replay(journal(f"{note}\n{OPEN}"))
    with place.writing() as writing:
        cases.record(writing, ref="N-1", kind="note:added", on=place.now.date(), data={"text": "y"})
    with place.database.reading() as session:
        assert cases.find(session, "N-1").opened_on == date(2026, 1, 5)
        assert verify(session, now=place.now, chain_key=place.secret.derive("event chain")).findings == []


def test_ids_of_a_journal_never_stand_in_the_way_of_what_is_recorded_later(place: Installation) -> None:
    place.replay(journal(OPEN.replace('"data"', '"id":"e2","data"')))
    with place.writing() as writing:
        done = cases.record(writing, ref="N-1", kind="note:added", on=place.now.date(), data={"text": "x"})
    assert done.event.id != "e2"


def test_a_warning_never_refuses_history_and_stays_on_the_case_as_unexplained(place: Installation) -> None:
    lines = lanreotide()
    del lines[1].data["mdt_reviewed_on"]
    place.replay(lines)
    with place.database.reading() as session:
        case = cases.find(session, "N-001")
        assert case.state == "therapy.active"
        assert case.warnings_unexplained == 1
    with place.writing() as writing:
        reason = {"warning": "line-before-team-review", "reason": "Reviewed elsewhere."}
        done = cases.record(writing, ref="N-001", kind="warning:explained", on=place.now.date(), data=reason)
    assert done.case.warnings_unexplained == 0


def test_waiving_nothing_is_kept_with_a_warning_because_history_has_happened(place: Installation) -> None:
    text = (
        OPEN + '\n{"case":"N-1","on":"2026-01-06","event":"activity:waived","data":{"activity":"visit","reason":"x"}}'
    )
    report = place.replay(journal(text))
    assert [(w.line, w.reason) for w in report.warnings] == [
        (2, "no open visit on 2026-01-06: kept, it changes nothing")
    ]


def test_recorded_at_is_kept_and_may_not_lie_in_the_future(place: Installation) -> None:
    at = '"at":"2026-01-06T08:30:00+01:00"'
    text = OPEN + '\n{"case":"N-1","on":"2026-01-06","event":"note:added","data":{"text":"x"},%s}'
    assert "in the future" in refused(place, text % '"at":"2027-01-06T08:30:00+00:00"')[0][1]
    place.replay(journal(text % at))
    assert '"at":"2026-01-06T07:30:00+00:00"' in exported(place)[1]


@pytest.mark.parametrize(
    "raw, reason",
    [
        (b'{"case":"N-1"', "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"case":"N-1","on":"2026-02-30","event":"x","data":{}}', "is not a date"),
        (b'{"case":"N-1","on":"2026-02-03","event":"x","data":{},"x":1}', "'x' is not understood"),
        (b'{"case":"N-1","on":"2026-02-03","event":"x"}', "data is missing"),
        (b'{"case":"N-1","on":"2026-02-03","event":"x","data":{},"at":"2026-02-03T01:00"}', "offset"),
        (b'{"case":"N-1","on":"2026-02-03","event":"x","data":{"a":NaN}}', "not a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"case":"N-1","on":"9999-12-31","event":"x","data":{}}', "does not lie between 1900 and 2199"),
        (b'{"case":"N-1","on":"2026-02-03","event":"x","data":{},"at":"0001-01-01T00:00:00+14:00"}', "does not lie"),
        (b'{"case":"N-1","on":' + b"[" * 900 + b"]" * 900 + b"}", "a list is not a date"),
        (b'{"case":"\\u0000","on":"2026-02-03","event":"x","data":{}}', "case is missing or not a short text"),
        (b'{"case":"N-1","on":"2026-02-03","event":"\\ud800","data":{}}', "event is missing or not a short text"),
        (
            b'{"case":"N-1","on":"2026-02-03","event":"x","data":{},"id":"a\\u0000"}',
            "id is missing or not a short text",
        ),
        (b'{"case":"N-1","on":"2026-02-03","event":"x","data":{},"by":"\\udfff"}', "by is missing or not a short text"),
    ],
)
def test_a_file_that_is_not_a_journal_is_refused_by_line(tmp_path: Path, raw: bytes, reason: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(LANREOTIDE.strip().encode() + b"\n" + raw + b"\n")
    with pytest.raises(InputRefused) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [9]
    assert reason in caught.value.problems[0].reason


def test_a_byte_order_mark_and_empty_lines_are_harmless(tmp_path: Path, place: Installation) -> None:
    path = tmp_path / "bom.jsonl"
    path.write_bytes(b"\xef\xbb\xbf\n" + OPEN.encode() + b"\r\n\n")
    place.replay(read(path))
    with place.database.reading() as session:
        assert cases.find(session, "N-1").version == 1


def test_importing_again_changes_nothing_and_another_history_is_left_alone(place: Installation) -> None:
    lines = lanreotide()
    with place.writing() as writing:
        assert import_cases(writing, lines, kind="cohort", content="a").created == 1
    with place.writing() as writing:
        again = import_cases(writing, lines, kind="cohort", content="b")
    assert (again.created, again.unchanged) == (0, 1)
    lines[4].data["result"] = "90 mg"
    with pytest.raises(InputRefused, match="another history"), place.writing() as writing:
        import_cases(writing, lines, kind="cohort", content="c")
    with place.writing() as writing:
        assert import_cases(writing, lines, kind="cohort", content="a").unchanged == 1


def test_a_clinic_has_one_time_zone_and_a_patient_one_case(place: Installation) -> None:
    first, second = lanreotide("N-001"), lanreotide("N-002")
    second[0].data["timezone"] = "Asia/Tokyo"
    with pytest.raises(InputRefused, match="is in Europe/London"):
        place.replay(first + second)
    second = lanreotide("N-002")
    second[0].data["patient"]["ref"] = "N-001"
    with pytest.raises(InputRefused, match="has a case already"):
        place.replay(first + second)


def test_a_name_that_cannot_be_read_is_refused_of_a_new_record_and_kept_of_an_old_one(place: Installation) -> None:
    text = OPEN.replace('"ref":"N-1"', '"ref":"N-1","name":"\u202e\u200b"')
    told = refused(place, text)
    assert told == [(1, "'\\u202e\\u200b' is not a name: it holds no letter and no digit")]
    place.replay(journal(text.replace('"on"', '"at":"2026-01-05T08:30:00+00:00","on"')))
    lines = exported(place)
    assert json.loads(lines[0])["data"]["patient"]["name"] == "\u202e\u200b"


def test_hostile_strings_are_kept_as_text(place: Installation) -> None:
    nasty = "Robert'); DROP TABLE patient_case;-- <script>alert(1)</script> {{7*7}} \u202e ﷽ 𝕏"
    lines = journal(OPEN.replace('"on"', '"at":"2026-01-05T08:30:00+00:00","on"'))
    lines[0].data["patient"]["name"] = nasty
    place.replay(lines)
    assert json.loads(exported(place)[0])["data"]["patient"]["name"] == nasty


def test_a_made_up_cohort_goes_round_unchanged(
    place: Installation, place_factory: Callable[[str], Installation]
) -> None:
    place.replay(demo_cohort(pathways.shipped(), 25, 3, date(2026, 11, 20)))
    place.tick()
    lines = exported(place)
    other = place_factory("other")
    other.replay(journal("\n".join(lines)))
    assert exported(other) == lines
    assert follow_ups(other) == follow_ups(place)
    for here in (place, other):
        with here.database.reading() as session:
            assert verify(session, now=here.now, chain_key=here.secret.derive("event chain")).findings == []


def test_the_contracts_sample_lines_are_understood() -> None:
    for kind, data in (
        ("activity:done", {"activity": "injection", "result": "120 mg"}),
        ("activity:waived", {"activity": "visit", "reason": "…"}),
        ("activity:rescheduled", {"activity": "imaging", "to": "2026-05-01", "reason": "…"}),
        ("activity:booked", {"activity": "imaging", "for": "2026-04-20"}),
        ("contact:attempted", {"channel": "phone", "outcome": "no-answer"}),
        ("note:added", {"text": "…"}),
        ("state:changed", {"trigger": "start_line", "treatment": "lanreotide", "intent": "disease-control"}),
    ):
        assert checked_data(pathways.shipped(), kind, data) == data
