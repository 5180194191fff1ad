"""calls above a clearance can be approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from insjo.kernel import database

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "access_approvals",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("asks", sa.String(length=16), nullable=False),
        sa.Column("purpose", sa.String(length=100), nullable=False),
        sa.Column("destination", sa.String(length=500), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", database.UtcDateTime(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=False),
        sa.Column("decided_at", database.UtcDateTime(), nullable=True),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_approvals")),
    )
    with op.batch_alter_table("access_approvals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_approvals_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_approvals_principal_id"), ["principal_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_approvals_state"), ["state"], unique=False)


def downgrade() -> None:
    """Change it back."""
    with op.batch_alter_table("access_approvals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_approvals_state"))
        batch_op.drop_index(batch_op.f("ix_access_approvals_principal_id"))
        batch_op.drop_index(batch_op.f("ix_access_approvals_expires_at"))

    op.drop_table("access_approvals")
