"""tables know their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    with op.batch_alter_table("catalog_tables", schema=None) as batch_op:
        batch_op.add_column(sa.Column("keys", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    """Change it back."""
    with op.batch_alter_table("catalog_tables", schema=None) as batch_op:
        batch_op.drop_column("keys")
