"""Alembic runs this for every migration; the connection is the caller's, and so is its transaction."""

from __future__ import annotations

from alembic import context

from sweeper.record.migrations import VERSION_TABLE
from sweeper.record.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=lambda name, kind, parents: kind != "table" or str(name).startswith("sweeper_"),
)
with context.begin_transaction():
    context.run_migrations()
