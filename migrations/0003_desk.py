"""The navigator's desk: accounts and sessions, saved views, what the pages count, team meetings.

Revision: 0003; follows: 0002
"""

import json

import sqlalchemy as sa
import sqlmodel
from alembic import op

from tracker import terms
from tracker.projection import list_values
from workflows.events import Event
from workflows.history import fold
from workflows.pathway import Pathway, from_canonical

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UTC = sqlmodel.sql.sqltypes.UTCDateTime


def _text(length: int) -> sa.String:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def _exact(length: int) -> sa.String:
    """Compared letter by letter, whatever the language of the database."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    _accounts()
    _worklist()
    _case_page()
    _rooms()


def downgrade() -> None:
    _without_rooms()
    _without_case_page()
    _without_worklist()
    _without_accounts()


# Accounts and sessions -------------------------------------------------------------------------------------


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", _text(254), nullable=False),
        sa.Column("login", _text(254), nullable=False),
        sa.Column("name", _text(120), nullable=False),
        sa.Column("password", _text(200), nullable=True),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.Column("totp_nonce", sa.LargeBinary(length=16), nullable=True),
        sa.Column("totp_on", sa.Boolean(), nullable=False),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("created_at", _UTC(), nullable=False),
        sa.Column("disabled_at", _UTC(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_table(
        "membership",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("role", _text(16), nullable=False),
        sa.CheckConstraint(
            "role IN ('navigator', 'clinician', 'lead', 'auditor')", name=op.f("ck_membership_role_known")
        ),
        _of_account("membership"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_membership_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("account_id", "clinic_id", "role", name=op.f("pk_membership")),
    )
    op.create_index("ix_membership_clinic_id", "membership", ["clinic_id"])
    _ways_in()
    op.create_table(
        "case_look",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("at", _UTC(), nullable=False),
        sa.Column("page", _text(64), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        _of_account("case_look"),
        sa.ForeignKeyConstraint(["case_id"], ["patient_case.id"], name=op.f("fk_case_look_case_id_patient_case")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_case_look_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_look")),
    )
    for column in ("case_id", "account_id", "clinic_id"):
        op.create_index(f"ix_case_look_{column}", "case_look", [column, "id"])


def _ways_in() -> None:
    op.create_table(
        "sign_in",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("stage", _text(8), nullable=False),
        *(sa.Column(moment, _UTC(), nullable=False) for moment in ("made_at", "active_at")),
        sa.Column("address", _text(64), nullable=False),
        sa.Column("browser", _text(200), nullable=False),
        sa.CheckConstraint("stage IN ('code', 'full')", name=op.f("ck_sign_in_stage_known")),
        _of_account("sign_in"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
        sa.UniqueConstraint("token", name=op.f("uq_sign_in_token")),
    )
    op.create_index(op.f("ix_sign_in_account_id"), "sign_in", ["account_id"])
    op.create_table(
        "subject",
        sa.Column("subject", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("issuer", _text(255), nullable=False),
        sa.Column("tied_at", _UTC(), nullable=False),
        _of_account("subject"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_subject")),
        sa.UniqueConstraint("account_id", "issuer", name=op.f("uq_subject_account_id_issuer")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("code", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        _of_account("recovery_code"),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_recovery_code")),
    )
    op.create_index(op.f("ix_recovery_code_account_id"), "recovery_code", ["account_id"])
    op.create_table(
        "one_time_link",
        sa.Column("token", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("made_at", _UTC(), nullable=False),
        sa.Column("until", _UTC(), nullable=False),
        _of_account("one_time_link"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_one_time_link")),
    )
    op.create_index(op.f("ix_one_time_link_account_id"), "one_time_link", ["account_id"])
    op.create_table(
        "failed_tries",
        sa.Column("about", sa.LargeBinary(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("last_at", _UTC(), nullable=False),
        sa.Column("next_at", _UTC(), nullable=False),
        sa.PrimaryKeyConstraint("about", name=op.f("pk_failed_tries")),
    )
    op.create_index(op.f("ix_failed_tries_last_at"), "failed_tries", ["last_at"])
    op.create_table(
        "known_place",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.LargeBinary(length=32), nullable=False),
        sa.Column("last_at", _UTC(), nullable=False),
        _of_account("known_place"),
        sa.PrimaryKeyConstraint("account_id", "place", name=op.f("pk_known_place")),
    )


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f(f"fk_{table}_account_id_account"))


def _without_accounts() -> None:
    of_ways_in = ("known_place", "failed_tries", "one_time_link", "recovery_code", "subject", "sign_in")
    for table in (*of_ways_in, "case_look", "membership", "account"):
        op.drop_table(table)


# The worklist ----------------------------------------------------------------------------------------------


def _worklist() -> None:
    _columns_of_cases()
    with op.batch_alter_table("follow_up") as table:
        table.create_index("ix_follow_up_open_due", ["clinic_id", "due_on", "id"], **_where("status = 'open'"))
        table.create_index(
            "ix_follow_up_open_activity", ["clinic_id", "activity", "late_on", "id"], **_where("status = 'open'")
        )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("name", _text(60), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("starts", sa.Boolean(), nullable=False),
        _of_account("saved_view"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_saved_view_account_id_name")),
    )
    op.create_table(
        "chosen_columns",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("names", _text(200), nullable=False),
        _of_account("chosen_columns"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_chosen_columns")),
    )
    op.create_table(
        "search_words",
        sa.Column("token", _text(32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("words", _text(120), nullable=False),
        sa.Column("at", _UTC(), nullable=False),
        _of_account("search_words"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_search_words")),
    )
    op.create_index(op.f("ix_search_words_account_id"), "search_words", ["account_id"])


def _columns_of_cases() -> None:
    with op.batch_alter_table("patient_case") as table:
        table.add_column(sa.Column("treatments", _text(120), nullable=True))
        table.add_column(sa.Column("grade", _text(8), nullable=True))
        table.add_column(sa.Column("functional", sa.Boolean(), nullable=True))
        table.add_column(sa.Column("sort_name", _exact(80), nullable=False, server_default=""))
    _fill_columns_of_cases()
    op.drop_index("ix_patient_case_clinic_state", table_name="patient_case")
    with op.batch_alter_table("patient_case") as table:
        table.create_index("ix_patient_case_clinic_state", ["clinic_id", "state", "id"])
        table.create_index("ix_patient_case_clinic_waiting", ["clinic_id", "state", "since"])
        table.create_index("ix_patient_case_clinic_ref", ["clinic_id", "ref"])
        of_open = _where("phase <> 'closed'")
        table.create_index("ix_patient_case_clinic_name", ["clinic_id", "sort_name", "id"], **of_open)
        for column in ("treatments", "grade", "functional", "phase"):
            table.create_index(f"ix_patient_case_clinic_{column}", ["clinic_id", column], **of_open)
        table.create_index("ix_patient_case_clinic_warned", ["clinic_id"], **_where("warnings_unexplained > 0"))


def _fill_columns_of_cases() -> None:
    """Fold every case once; one whose events no longer fold stays blank, and `tracker verify` says so."""
    connection = op.get_bind()
    documents = connection.execute(sa.text("SELECT digest, document FROM pathway_version")).all()
    pathways = {digest: from_canonical(document) for digest, document in documents}
    last = 0
    while True:
        some = sa.text("SELECT id, pathway_digest FROM patient_case WHERE id > :last ORDER BY id LIMIT 500")
        cases = connection.execute(some, {"last": last}).all()
        if not cases:
            return
        filled = [
            {"case": case_id, **values}
            for case_id, digest in cases
            if (values := _columns_of(connection, case_id, pathways[digest])) is not None
        ]
        if filled:
            connection.execute(_FILL, filled)
        last = cases[-1][0]


_EVENTS = sa.text("SELECT ref, seq, kind, true_on, data FROM case_event WHERE case_id = :case ORDER BY seq").columns(
    true_on=sa.Date()
)
_FILL = sa.text(
    "UPDATE patient_case SET treatments = :treatments, grade = :grade, functional = :functional,"
    " sort_name = :sort_name WHERE id = :case"
).bindparams(sa.bindparam("functional", type_=sa.Boolean()))


def _columns_of(connection: sa.Connection, case_id: int, pathway: Pathway) -> dict[str, object] | None:
    rows = connection.execute(_EVENTS, {"case": case_id})
    events = [Event(row.ref, row.seq, row.kind, row.true_on, json.loads(row.data)) for row in rows]
    try:
        return list_values(fold(pathway, events))
    except Exception:  # noqa: BLE001  (whatever is wrong with one case, the others are filled)
        return None


def _where(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _without_worklist() -> None:
    for table in ("search_words", "chosen_columns", "saved_view"):
        op.drop_table(table)
    for index in ("ix_follow_up_open_due", "ix_follow_up_open_activity"):
        op.drop_index(index, table_name="follow_up")
    for index in ("waiting", "ref", "warned", "phase", "functional", "grade", "treatments", "name", "state"):
        op.drop_index(f"ix_patient_case_clinic_{index}", table_name="patient_case")
    op.create_index("ix_patient_case_clinic_state", "patient_case", ["clinic_id", "state"])
    with op.batch_alter_table("patient_case") as table:
        for column in ("treatments", "grade", "functional", "sort_name"):
            table.drop_column(column)


# The case page ---------------------------------------------------------------------------------------------


def _case_page() -> None:
    """Whoever is new may be on record already: looked up by birth date."""
    op.create_index("ix_patient_birth_date", "patient", ["birth_date"])


def _without_case_page() -> None:
    op.drop_index("ix_patient_birth_date", table_name="patient")


# Dashboard and rooms ---------------------------------------------------------------------------------------


def _rooms() -> None:
    _tallies()
    op.create_table(
        "case_term",
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("term", _exact(80), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["patient_case.id"], name=op.f("fk_case_term_case_id_patient_case")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_case_term_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("case_id", "term", name=op.f("pk_case_term")),
    )
    op.create_index("ix_case_term_clinic", "case_term", ["clinic_id", "term", "case_id"])
    op.create_table(
        "meeting_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("meets_on", sa.Date(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("added_by", _text(254), nullable=False),
        sa.Column("added_at", _UTC(), nullable=False),
        sa.CheckConstraint("added_by <> ''", name=op.f("ck_meeting_item_has_actor")),
        sa.ForeignKeyConstraint(["case_id"], ["patient_case.id"], name=op.f("fk_meeting_item_case_id_patient_case")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name=op.f("fk_meeting_item_clinic_id_clinic")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_item")),
        sa.UniqueConstraint("case_id", "meets_on", name=op.f("uq_meeting_item_case_id_meets_on")),
    )
    op.create_index("ix_meeting_item_clinic_day", "meeting_item", ["clinic_id", "meets_on"])
    op.create_table(
        "planned_hand_over",
        sa.Column("case_id", sa.Integer(), nullable=False),
        sa.Column("from_id", sa.Integer(), nullable=False),
        sa.Column("to_email", _text(254), nullable=False),
        sa.Column("goes_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("token", _text(64), nullable=False),
        sa.Column("actor", _text(254), nullable=False),
        sa.Column("refused", _text(300), nullable=False),
        sa.CheckConstraint("actor <> ''", name=op.f("ck_planned_hand_over_has_actor")),
        sa.ForeignKeyConstraint(
            ["case_id"], ["patient_case.id"], name=op.f("fk_planned_hand_over_case_id_patient_case")
        ),
        sa.ForeignKeyConstraint(["from_id"], ["person.id"], name=op.f("fk_planned_hand_over_from_id_person")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_planned_hand_over")),
    )
    op.create_index(op.f("ix_planned_hand_over_from_id"), "planned_hand_over", ["from_id"])
    booked = _where("status = 'open' AND booked_for IS NOT NULL")
    op.create_index("ix_follow_up_booked", "follow_up", ["clinic_id", "booked_for", "id"], **booked)
    _count_what_is_there()
    _index_what_is_there()


def _tallies() -> None:
    op.create_table(
        "tally",
        sa.Column("cube", _text(16), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("navigator_id", sa.Integer(), nullable=False),
        sa.Column("what", _text(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cube", "clinic_id", "day", "navigator_id", "what", name=op.f("pk_tally")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "follow_up_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("navigator_id", sa.Integer(), nullable=False),
        sa.Column("activity", _text(64), nullable=False),
        sa.Column("late_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follow_up_change")),
    )
    op.create_table(
        "case_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clinic_id", sa.Integer(), nullable=False),
        sa.Column("navigator_id", sa.Integer(), nullable=False),
        sa.Column("state", _text(64), nullable=False),
        sa.Column("needs_plan", sa.Boolean(), nullable=False),
        sa.Column("unexplained", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_change")),
    )


def _count_what_is_there() -> None:
    """Everything there is counts as a change; the first tick adds it up."""
    op.execute(
        "INSERT INTO follow_up_change (clinic_id, navigator_id, activity, late_on, due_on, number)"
        " SELECT clinic_id, coalesce(navigator_id, 0), activity, late_on, due_on, count(*)"
        " FROM follow_up WHERE status = 'open' GROUP BY 1, 2, 3, 4, 5"
    )
    op.execute(
        "INSERT INTO case_change (clinic_id, navigator_id, state, needs_plan, unexplained, number)"
        " SELECT clinic_id, coalesce(navigator_id, 0), state, needs_plan, warnings_unexplained > 0, count(*)"
        " FROM patient_case GROUP BY 1, 2, 3, 4, 5"
    )


_AT_ONCE = 1000


def _index_what_is_there() -> None:
    """The words by which each case is found, read from the names and numbers that are on record."""
    connection, last = op.get_bind(), 0
    named = sa.text(
        "SELECT c.id, c.clinic_id, p.name, p.ref, p.mrn, c.ref FROM patient_case c"
        " JOIN patient p ON p.id = c.patient_id"
        " WHERE c.id > :last ORDER BY c.id LIMIT :at_once"
    )
    adding = sa.text("INSERT INTO case_term (case_id, clinic_id, term) VALUES (:case_id, :clinic_id, :term)")
    while rows := connection.execute(named, {"last": last, "at_once": _AT_ONCE}).all():
        found = [
            {"case_id": case_id, "clinic_id": clinic_id, "term": term}
            for case_id, clinic_id, name, *numbers in rows
            for term in sorted(terms.terms(name, *numbers))
        ]
        if found:
            connection.execute(adding, found)
        last = rows[-1][0]


def _without_rooms() -> None:
    op.drop_index("ix_follow_up_booked", table_name="follow_up")
    for table in ("planned_hand_over", "meeting_item", "case_term", "case_change", "follow_up_change", "tally"):
        op.drop_table(table)
