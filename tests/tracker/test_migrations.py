"""Every migration goes up on data, on both databases; there is one head; models and schema agree."""

from alembic import command
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from tests.tracker.conftest import Installation
from tests.tracker.histories import lanreotide
from tracker.db import alembic_config, schema_head


def test_there_is_one_head() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [schema_head()]


def test_models_and_schema_agree(place: Installation) -> None:
    assert SQLModel.metadata.tables
    with place.database.engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.check(config)


def test_migrating_what_is_up_to_date_keeps_the_data(place: Installation) -> None:
    place.replay(lanreotide())
    place.database.migrate()
    place.database.require_schema()
    with place.database.reading() as session:
        from tracker.cases import events_of, find

        assert len(events_of(session, find(session, "N-001"))) == 8


def test_an_older_or_newer_schema_is_refused(place: Installation) -> None:
    import pytest
    from sqlalchemy import text

    from tracker.errors import WrongSetting

    with place.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WrongSetting, match="at schema 9999"):
        place.database.require_schema()


def test_the_columns_of_lists_are_filled_for_cases_that_were_there_before(place: Installation) -> None:
    """A case whose events no longer fold stays blank and stops no other."""
    from importlib import import_module

    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from sqlalchemy import text

    place.replay([*lanreotide("N-001"), *lanreotide("N-002")])
    with place.database.writing() as session:
        session.execute(
            text("UPDATE patient_case SET treatments = NULL, grade = NULL, functional = NULL, sort_name = ''")
        )
        session.execute(text("UPDATE case_event SET data = '{}' WHERE seq = 1 AND case_id = 2"))
    with place.database.engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        import_module("migrations.0003_desk")._fill_columns_of_cases()
    with place.database.reading() as session:
        found = session.execute(
            text("SELECT treatments, grade, functional, sort_name FROM patient_case ORDER BY id")
        ).all()
    assert [tuple(row)[:2] for row in found] == [("lanreotide", "G1"), (None, None)]
    assert (bool(found[0].functional), found[0].sort_name) == (False, "canary surname")
