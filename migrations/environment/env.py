"""Alembic's way into this project: it is handed a connection, and knows the tables."""

from __future__ import annotations

from alembic import context

from tracker.models import Case

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Case.metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
