"""Metrics: a few gauges for whoever watches the machinery, and nothing of anybody."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.web.register import NOW, Register
from tracker.db import schema_head
from web.desk import desk

MakeApp = Callable[..., Flask]
LATER = NOW + timedelta(minutes=90)


def gauges(app: Flask) -> dict[str, float]:
    """Every sample under its name and labels."""
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert {family.type for family in families} == {"gauge"}
    return {
        f"{sample.name}{sorted(sample.labels.items()) if sample.labels else ''}": sample.value
        for family in families
        for sample in family.samples
    }


def test_what_waits_what_is_in_question_and_since_when(outbox_register: Register, make_app: MakeApp) -> None:
    found = gauges(make_app(outbox_register, LATER))
    states = {name: value for name, value in found.items() if name.startswith("tracker_messages")}
    assert states == {
        f"tracker_messages[('state', '{state}')]": number
        for state, number in (("queued", 1), ("retry_wait", 1), ("claimed", 0), ("transmitting", 1),
                              ("rejected", 1), ("uncertain", 1))
    }  # fmt: skip
    assert found["tracker_seconds_since_tick"] == found["tracker_seconds_since_delivery"] == 90 * 60
    assert found["tracker_seconds_since_ledger_check"] == 90 * 60
    assert found["tracker_ledger_findings"] == 0
    assert found["tracker_reminders_untold"] == 2
    assert found["tracker_oldest_waiting_message_seconds"] > 9 * 86_400
    (build,) = (name for name in found if name.startswith("tracker_build_info"))
    assert f"('schema', '{schema_head()}'), ('version', '0." in build


def test_what_has_never_happened_has_no_age(fresh_register: Register, make_app: MakeApp) -> None:
    found = gauges(make_app(fresh_register))
    assert not [name for name in found if "seconds_since" in name or "findings" in name]
    assert found["tracker_oldest_waiting_message_seconds"] == 0
    assert found["tracker_reminders_untold"] == 0


def test_each_request_looks_anew(outbox_register: Register, make_app: MakeApp) -> None:
    app = make_app(outbox_register)
    before = gauges(app)
    with outbox_register.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox_message SET state = 'queued' WHERE state = 'rejected'")
    after = gauges(app)
    assert after["tracker_messages[('state', 'queued')]"] == before["tracker_messages[('state', 'queued')]"] + 1
    assert after["tracker_messages[('state', 'rejected')]"] == 0


def test_no_patient_and_no_address_is_in_a_metric_or_its_log(
    outbox_register: Register, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    said = make_app(outbox_register).test_client().get("/metrics").text + "".join(capsys.readouterr())
    for secret in ("@", "example.org", "okafor", "zhang", "n-001", "x-001", "north", "south", "<b>", "550", "alert("):
        assert secret not in said.lower(), secret
    labels = set(re.findall(r'(\w+)="', said))
    assert labels == {"state", "version", "schema"}


def test_metrics_read_no_whole_table(outbox_register: Register, make_app: MakeApp) -> None:
    app = make_app(outbox_register)
    asked: list[tuple[str, Any]] = []
    event.listen(desk(app).database.engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    gauges(app)
    large = {f"SCAN {name}" for name in ("reminder", "outbox_message", "digest", "follow_up", "patient_case")}
    with outbox_register.database.engine.connect() as connection:
        for words, values in [one for one in asked if one[0].startswith("SELECT")]:
            plan = {row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)}
            assert not plan & large, (words, plan)


def test_without_a_database_there_are_no_metrics(
    fresh_register: Register, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    app = make_app(fresh_register)
    monkeypatch.setattr(type(desk(app).database), "schema", gone)
    assert app.test_client().get("/metrics").status_code == 503


def test_metrics_are_for_this_machine_alone(fresh_register: Register, make_app: MakeApp) -> None:
    answer = make_app(fresh_register).test_client().get("/metrics", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "tracker_messages" not in answer.text
