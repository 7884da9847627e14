"""Delivery: leases, retries, working days, absences, the audit of settings, and the nightly count of the ledger.

A digest that has not left yet is taken back: its reminders are told by the next one, in the new form.

Revision: 0002; follows: 0001
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_UTC = sqlmodel.sql.sqltypes.UTCDateTime
_STATES = "'queued', 'claimed', 'transmitting', 'sent', 'retry_wait', 'rejected', 'cancelled', 'uncertain'"


def _text(length: int) -> sa.String:
    return sqlmodel.sql.sqltypes.AutoString(length=length)


def upgrade() -> None:
    _new_tables()
    with op.batch_alter_table("clinic") as table:
        table.add_column(sa.Column("mail_from", _text(254), nullable=True))
        table.add_column(sa.Column("digest_at", sa.Time(), nullable=False, server_default="07:30:00"))
        table.add_column(sa.Column("working_days", _text(7), nullable=False, server_default="12345"))
        table.add_column(sa.Column("holidays", _text(16), nullable=True))
    with op.batch_alter_table("person") as table:
        table.add_column(sa.Column("digest_days", _text(7), nullable=False, server_default="1234567"))
    with op.batch_alter_table("follow_up") as table:
        table.add_column(sa.Column("snoozed_until", sa.Date(), nullable=True))
    with op.batch_alter_table("digest") as table:
        table.add_column(sa.Column("reminders", sa.Integer(), nullable=False, server_default="0"))
    _outbox()
    _reminders()


def _new_tables() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", _UTC(), nullable=False),
        sa.Column("actor", _text(254), nullable=False),
        sa.Column("kind", _text(32), nullable=False),
        sa.Column("subject", _text(254), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("actor <> ''", name=op.f("ck_audit_entry_has_actor")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "lease",
        sa.Column("name", _text(32), nullable=False),
        sa.Column("holder", _text(64), nullable=False),
        sa.Column("until", _UTC(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "ledger_check",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("checked_on", sa.Date(), nullable=False),
        sa.Column("at", _UTC(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_check")),
        sa.UniqueConstraint("checked_on", name=op.f("uq_ledger_check_checked_on")),
    )
    op.create_table(
        "absence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("stand_in", _text(254), nullable=True),
        sa.CheckConstraint("from_on <= until_on", name=op.f("ck_absence_in_order")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_absence_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absence")),
    )
    op.create_index(op.f("ix_absence_person_id"), "absence", ["person_id"])


def _outbox() -> None:
    op.execute(
        "UPDATE reminder SET digest_id = NULL"
        " WHERE digest_id IN (SELECT digest_id FROM outbox_message WHERE state = 'queued')"
    )
    op.execute("DELETE FROM outbox_message WHERE state = 'queued'")
    op.execute("DELETE FROM digest WHERE id NOT IN (SELECT digest_id FROM outbox_message)")
    with op.batch_alter_table("outbox_message") as table:
        table.add_column(sa.Column("sender", _text(254), nullable=False, server_default=""))
        for counter in ("attempt", "failures", "repeat"):
            table.add_column(sa.Column(counter, sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("next_try_at", _UTC(), nullable=True))
        table.add_column(sa.Column("lease_until", _UTC(), nullable=True))
        table.add_column(sa.Column("doubted_at", _UTC(), nullable=True))
        table.add_column(sa.Column("problem", _text(200), nullable=True))
        table.add_column(sa.Column("settled_by", _text(254), nullable=True))
    op.execute("UPDATE outbox_message SET next_try_at = created_at")
    _drop_check("outbox_message", "state_known")
    waiting, in_hand, in_question = (
        sa.text(f"state IN ({states})")
        for states in ("'queued', 'retry_wait'", "'claimed', 'transmitting'", "'rejected', 'uncertain'")
    )
    op.drop_index("ix_outbox_message_waiting", table_name="outbox_message")
    with op.batch_alter_table("outbox_message", recreate="auto") as table:
        table.alter_column("next_try_at", existing_type=_UTC(), nullable=False)
        table.drop_index("ix_outbox_message_digest_id")
        table.create_unique_constraint(op.f("uq_outbox_message_digest_id"), ["digest_id"])
        table.create_check_constraint(op.f("ck_outbox_message_state_known"), f"state IN ({_STATES})")
        table.create_check_constraint(
            op.f("ck_outbox_message_in_hand_has_lease"),
            "(state IN ('claimed', 'transmitting')) = (lease_until IS NOT NULL)",
        )
        table.create_check_constraint(
            op.f("ck_outbox_message_settled_has_time"),
            "(state IN ('sent', 'cancelled')) = (settled_at IS NOT NULL)",
        )
        table.create_index("ix_outbox_message_waiting", ["next_try_at", "id"], **_where(waiting))
        table.create_index("ix_outbox_message_in_hand", ["lease_until", "id"], **_where(in_hand))
        table.create_index("ix_outbox_message_in_question", ["id"], **_where(in_question))


def _reminders() -> None:
    with op.batch_alter_table("reminder") as table:
        table.add_column(sa.Column("navigator_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("urgent", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("planned_at", _UTC(), nullable=True))
        table.add_column(sa.Column("sent_at", _UTC(), nullable=True))
    _drop_check("reminder", "status_known")
    _drop_check("reminder", "raised_has_time")
    op.execute(
        "UPDATE reminder SET"
        " navigator_id = (SELECT navigator_id FROM patient_case WHERE id = reminder.case_id),"
        " planned_at = (SELECT max(recorded_at) FROM case_event WHERE case_id = reminder.case_id)"
    )
    untold = sa.text("status = 'raised' AND digest_id IS NULL")
    in_a_digest = sa.text("digest_id IS NOT NULL")
    op.drop_index("ix_reminder_to_digest", table_name="reminder")
    op.drop_index("ix_reminder_digest_id", table_name="reminder")
    with op.batch_alter_table("reminder") as table:
        table.alter_column("planned_at", existing_type=_UTC(), nullable=False)
        table.create_foreign_key(op.f("fk_reminder_navigator_id_person"), "person", ["navigator_id"], ["id"])
        table.create_check_constraint(
            op.f("ck_reminder_status_known"), "status IN ('pending', 'raised', 'sent', 'withheld')"
        )
        table.create_check_constraint(
            op.f("ck_reminder_raised_has_time"), "(status IN ('raised', 'sent')) = (raised_at IS NOT NULL)"
        )
        table.create_check_constraint(op.f("ck_reminder_sent_has_time"), "(status = 'sent') = (sent_at IS NOT NULL)")
        table.create_index(
            "ix_reminder_to_digest", ["clinic_id", "navigator_id", "audience", "urgent"], **_where(untold)
        )
        table.create_index("ix_reminder_digest_id", ["digest_id"], **_where(in_a_digest))
    op.execute(
        "UPDATE reminder SET status = 'sent', sent_at = m.settled_at FROM outbox_message m"
        " WHERE m.digest_id = reminder.digest_id AND m.state = 'sent' AND reminder.status = 'raised'"
    )
    op.execute("UPDATE digest SET reminders = (SELECT count(*) FROM reminder WHERE digest_id = digest.id)")


def _where(condition: sa.TextClause) -> dict[str, sa.TextClause]:
    return {"sqlite_where": condition, "postgresql_where": condition}


def _drop_check(table: str, name: str) -> None:
    """The embedded database leaves such constraints out when it writes a table anew."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")


def downgrade() -> None:
    raise NotImplementedError("a schema is not taken back: restore the backup that was made before")
