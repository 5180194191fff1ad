"""warehouses have engines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("sql_warehouses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("engine", sa.String(length=16), server_default="duckdb", nullable=False))
        batch_op.add_column(sa.Column("url", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Change it back."""
    with op.batch_alter_table("sql_warehouses", schema=None) as batch_op:
        batch_op.drop_column("url")
        batch_op.drop_column("engine")
