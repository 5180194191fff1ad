"""What Alembic runs for each migration: on the connection that `insjo.bootstrap.migrate` hands over."""

from __future__ import annotations

from alembic import context

from insjo.kernel.database import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, user_module_prefix="database.")
with context.begin_transaction():
    context.run_migrations()
