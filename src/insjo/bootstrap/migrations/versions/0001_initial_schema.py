"""Initial schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from insjo.kernel import database

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    op.create_table(
        "access_audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", database.UtcDateTime(), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=255), nullable=False),
        sa.Column("door", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("client", sa.String(length=255), nullable=False),
        sa.Column("object", sa.String(length=2000), nullable=False),
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=2000), nullable=False),
        sa.Column("destination", sa.String(length=500), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("content_hash", sa.String(length=128), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_access_audit")),
    )
    with op.batch_alter_table("access_audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_audit_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_audit_principal_id"), ["principal_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_audit_request_id"), ["request_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_audit_securable_id"), ["securable_id"], unique=False)

    op.create_table(
        "access_audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_audit_head")),
    )
    op.create_table(
        "access_clearances",
        sa.Column("destination", sa.String(length=500), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("zone", sa.String(length=16), nullable=False),
        sa.Column("keeps", sa.Boolean(), nullable=False),
        sa.Column("trains", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_access_clearances")),
    )
    op.create_table(
        "access_principals",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("display_name", sa.String(length=400), nullable=False),
        sa.Column("email", sa.String(length=400), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_principals")),
        sa.UniqueConstraint("name", name=op.f("uq_access_principals_name")),
    )
    op.create_table(
        "access_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_revision")),
    )
    op.create_table(
        "access_securables",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("full_name", sa.String(length=800), nullable=False),
        sa.Column("parent_id", sa.String(length=64), nullable=True),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["access_securables.id"], name=op.f("fk_access_securables_parent_id_access_securables"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_securables")),
        sa.UniqueConstraint("kind", "full_name", name=op.f("uq_access_securables_kind_full_name")),
    )
    with op.batch_alter_table("access_securables", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_securables_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_securables_parent_id"), ["parent_id"], unique=False)

    op.create_table(
        "access_signin_attempts",
        sa.Column("name_hash", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", database.UtcDateTime(), nullable=False),
        sa.Column("blocked_until", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name_hash", name=op.f("pk_access_signin_attempts")),
    )
    with op.batch_alter_table("access_signin_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_signin_attempts_last_at"), ["last_at"], unique=False)

    op.create_table(
        "agents_actions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("describes", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_actions")),
    )
    with op.batch_alter_table("agents_actions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_agents_actions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_agents_actions_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "agents_agents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("indexes", sa.JSON(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_agents")),
    )
    op.create_table(
        "agents_conversations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("indexes", sa.JSON(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("answering", sa.String(length=64), nullable=False),
        sa.Column("answering_until", database.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_conversations")),
    )
    with op.batch_alter_table("agents_conversations", schema=None) as batch_op:
        batch_op.create_index("ix_agents_conversations_owner_id_updated_at", ["owner_id", "updated_at"], unique=False)

    op.create_table(
        "catalog_catalogs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_catalogs")),
        sa.UniqueConstraint("name", name=op.f("uq_catalog_catalogs_name")),
    )
    op.create_table(
        "catalog_removals",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("removed_at", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_removals")),
    )
    op.create_table(
        "gateway_endpoints",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("served", sa.JSON(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_endpoints")),
        sa.UniqueConstraint("name", name=op.f("uq_gateway_endpoints_name")),
    )
    op.create_table(
        "gateway_usage",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("at", database.UtcDateTime(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=255), nullable=False),
        sa.Column("door", sa.String(length=32), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("served_by", sa.String(length=255), nullable=False),
        sa.Column("served_model", sa.String(length=255), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("task", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=1024), nullable=False),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("first_byte_ms", sa.Float(), nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_usage")),
    )
    with op.batch_alter_table("gateway_usage", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gateway_usage_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_gateway_usage_principal_id"), ["principal_id"], unique=False)

    op.create_table(
        "jobs_runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("owner_kind", sa.String(length=32), nullable=False),
        sa.Column("securable_id", sa.String(length=64), nullable=True),
        sa.Column("progress_done", sa.BigInteger(), nullable=False),
        sa.Column("progress_total", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.String(length=1000), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("error_code", sa.String(length=100), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.String(length=500), nullable=False),
        sa.Column("leased_until", database.UtcDateTime(), nullable=True),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("started_at", database.UtcDateTime(), nullable=True),
        sa.Column("ended_at", database.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs_runs")),
    )
    with op.batch_alter_table("jobs_runs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_runs_owner_id_id", ["owner_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_jobs_runs_securable_id"), ["securable_id"], unique=False)
        batch_op.create_index("ix_jobs_runs_state_id", ["state", "id"], unique=False)

    op.create_table(
        "retrieval_indexes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("embedding_endpoint", sa.String(length=255), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("synced_at", database.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrieval_indexes")),
    )
    op.create_table(
        "sql_copied_files",
        sa.Column("table_id", sa.String(length=64), nullable=False),
        sa.Column("path_hash", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", database.UtcDateTime(), nullable=False),
        sa.Column("copy_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("table_id", "path_hash", name=op.f("pk_sql_copied_files")),
    )
    op.create_table(
        "sql_functions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("full_name", sa.String(length=800), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("returns", sa.Text(), nullable=False),
        sa.Column("returns_columns", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sql_functions")),
        sa.UniqueConstraint("full_name", name=op.f("uq_sql_functions_full_name")),
    )
    op.create_table(
        "sql_history",
        sa.Column("statement_id", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.String(length=128), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=255), nullable=False),
        sa.Column("door", sa.String(length=32), nullable=False),
        sa.Column("warehouse_id", sa.String(length=64), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("queued_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("ended_at", database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_sql_history")),
    )
    with op.batch_alter_table("sql_history", schema=None) as batch_op:
        batch_op.create_index("ix_sql_history_user_id_statement_id", ["user_id", "statement_id"], unique=False)

    op.create_table(
        "sql_warehouses",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("size", sa.String(length=32), nullable=False),
        sa.Column("auto_stop_mins", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sql_warehouses")),
        sa.UniqueConstraint("name", name=op.f("uq_sql_warehouses_name")),
    )
    op.create_table(
        "access_ancestors",
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("ancestor_id", sa.String(length=64), nullable=False),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ancestor_id"], ["access_securables.id"], name=op.f("fk_access_ancestors_ancestor_id_access_securables"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["securable_id"], ["access_securables.id"], name=op.f("fk_access_ancestors_securable_id_access_securables"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("securable_id", "ancestor_id", name=op.f("pk_access_ancestors")),
    )
    with op.batch_alter_table("access_ancestors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_ancestors_ancestor_id"), ["ancestor_id"], unique=False)

    op.create_table(
        "access_declassifications",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("column_name", sa.String(length=255), nullable=False),
        sa.Column("covered", sa.JSON(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("signed_by", sa.String(length=64), nullable=False),
        sa.Column("signed_at", database.UtcDateTime(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=False),
        sa.Column("ended_at", database.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["securable_id"],
            ["access_securables.id"],
            name=op.f("fk_access_declassifications_securable_id_access_securables"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_declassifications")),
    )
    with op.batch_alter_table("access_declassifications", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_declassifications_securable_id"), ["securable_id"], unique=False)

    op.create_table(
        "access_fingerprints",
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("column_name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["securable_id"],
            ["access_securables.id"],
            name=op.f("fk_access_fingerprints_securable_id_access_securables"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("securable_id", "column_name", name=op.f("pk_access_fingerprints")),
    )
    op.create_table(
        "access_grants",
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("privilege", sa.String(length=32), nullable=False),
        sa.Column("granted_by", sa.String(length=64), nullable=False),
        sa.Column("granted_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["access_principals.id"], name=op.f("fk_access_grants_principal_id_access_principals"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["securable_id"], ["access_securables.id"], name=op.f("fk_access_grants_securable_id_access_securables"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("securable_id", "principal_id", "privilege", name=op.f("pk_access_grants")),
    )
    with op.batch_alter_table("access_grants", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_grants_principal_id"), ["principal_id"], unique=False)

    op.create_table(
        "access_labels",
        sa.Column("securable_id", sa.String(length=64), nullable=False),
        sa.Column("column_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["securable_id"], ["access_securables.id"], name=op.f("fk_access_labels_securable_id_access_securables"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("securable_id", "column_name", "source", name=op.f("pk_access_labels")),
    )
    op.create_table(
        "access_members",
        sa.Column("member_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["access_principals.id"], name=op.f("fk_access_members_group_id_access_principals"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["access_principals.id"], name=op.f("fk_access_members_member_id_access_principals"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("member_id", "group_id", name=op.f("pk_access_members")),
    )
    with op.batch_alter_table("access_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_members_group_id"), ["group_id"], unique=False)

    op.create_table(
        "access_passwords",
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=255), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["access_principals.id"], name=op.f("fk_access_passwords_principal_id_access_principals"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("principal_id", name=op.f("pk_access_passwords")),
    )
    op.create_table(
        "access_sessions",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["access_principals.id"], name=op.f("fk_access_sessions_principal_id_access_principals"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_access_sessions")),
    )
    with op.batch_alter_table("access_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_sessions_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_sessions_principal_id"), ["principal_id"], unique=False)

    op.create_table(
        "access_signin_links",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=False),
        sa.Column("used_at", database.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["access_principals.id"],
            name=op.f("fk_access_signin_links_principal_id_access_principals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_access_signin_links")),
    )
    with op.batch_alter_table("access_signin_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_signin_links_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_access_signin_links_principal_id"), ["principal_id"], unique=False)

    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("principal_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("comment", sa.String(length=1000), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(), nullable=True),
        sa.Column("last_used_at", database.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["access_principals.id"], name=op.f("fk_access_tokens_principal_id_access_principals"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_access_tokens_hash")),
    )
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_tokens_principal_id"), ["principal_id"], unique=False)

    op.create_table(
        "agents_messages",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("conversation_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("notices", sa.JSON(), nullable=False),
        sa.Column("model", sa.String(length=512), nullable=False),
        sa.Column("sql", sa.Text(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["agents_conversations.id"],
            name=op.f("fk_agents_messages_conversation_id_agents_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents_messages")),
        sa.UniqueConstraint("conversation_id", "number", name=op.f("uq_agents_messages_conversation_id_number")),
    )
    op.create_table(
        "catalog_schemas",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("catalog_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalog_catalogs.id"], name=op.f("fk_catalog_schemas_catalog_id_catalog_catalogs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_schemas")),
        sa.UniqueConstraint("catalog_id", "name", name=op.f("uq_catalog_schemas_catalog_id_name")),
    )
    op.create_table(
        "gateway_keys",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("served_name", sa.String(length=255), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["gateway_endpoints.id"], name=op.f("fk_gateway_keys_endpoint_id_gateway_endpoints"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "served_name", name=op.f("pk_gateway_keys")),
    )
    op.create_table(
        "retrieval_documents",
        sa.Column("index_id", sa.String(length=64), nullable=False),
        sa.Column("path_hash", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("volume_id", sa.String(length=64), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", database.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("indexed_at", database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["index_id"], ["retrieval_indexes.id"], name=op.f("fk_retrieval_documents_index_id_retrieval_indexes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("index_id", "path_hash", name=op.f("pk_retrieval_documents")),
    )
    with op.batch_alter_table("retrieval_documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retrieval_documents_volume_id"), ["volume_id"], unique=False)

    op.create_table(
        "agents_attached_texts",
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("origins", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["agents_messages.id"], name=op.f("fk_agents_attached_texts_message_id_agents_messages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", "number", name=op.f("pk_agents_attached_texts")),
    )
    op.create_table(
        "catalog_tables",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("schema_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("table_type", sa.String(length=16), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("partition_columns", sa.JSON(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("view_definition", sa.Text(), nullable=False),
        sa.Column("view_catalog", sa.String(length=255), nullable=False),
        sa.Column("view_schema", sa.String(length=255), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["schema_id"], ["catalog_schemas.id"], name=op.f("fk_catalog_tables_schema_id_catalog_schemas")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_tables")),
        sa.UniqueConstraint("schema_id", "name", name=op.f("uq_catalog_tables_schema_id_name")),
    )
    op.create_table(
        "catalog_volumes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("schema_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("volume_type", sa.String(length=16), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", database.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", database.UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["schema_id"], ["catalog_schemas.id"], name=op.f("fk_catalog_volumes_schema_id_catalog_schemas")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_volumes")),
        sa.UniqueConstraint("schema_id", "name", name=op.f("uq_catalog_volumes_schema_id_name")),
    )
    op.create_table(
        "catalog_file_labels",
        sa.Column("volume_id", sa.String(length=64), nullable=False),
        sa.Column("path_hash", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_id"], ["catalog_volumes.id"], name=op.f("fk_catalog_file_labels_volume_id_catalog_volumes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("volume_id", "path_hash", name=op.f("pk_catalog_file_labels")),
    )


def downgrade() -> None:
    """Change it back."""
    op.drop_table("catalog_file_labels")
    op.drop_table("catalog_volumes")
    op.drop_table("catalog_tables")
    op.drop_table("agents_attached_texts")
    with op.batch_alter_table("retrieval_documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_retrieval_documents_volume_id"))

    op.drop_table("retrieval_documents")
    op.drop_table("gateway_keys")
    op.drop_table("catalog_schemas")
    op.drop_table("agents_messages")
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_tokens_principal_id"))

    op.drop_table("access_tokens")
    with op.batch_alter_table("access_signin_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_signin_links_principal_id"))
        batch_op.drop_index(batch_op.f("ix_access_signin_links_expires_at"))

    op.drop_table("access_signin_links")
    with op.batch_alter_table("access_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_sessions_principal_id"))
        batch_op.drop_index(batch_op.f("ix_access_sessions_expires_at"))

    op.drop_table("access_sessions")
    op.drop_table("access_passwords")
    with op.batch_alter_table("access_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_members_group_id"))

    op.drop_table("access_members")
    op.drop_table("access_labels")
    with op.batch_alter_table("access_grants", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_grants_principal_id"))

    op.drop_table("access_grants")
    op.drop_table("access_fingerprints")
    with op.batch_alter_table("access_declassifications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_declassifications_securable_id"))

    op.drop_table("access_declassifications")
    with op.batch_alter_table("access_ancestors", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_ancestors_ancestor_id"))

    op.drop_table("access_ancestors")
    op.drop_table("sql_warehouses")
    with op.batch_alter_table("sql_history", schema=None) as batch_op:
        batch_op.drop_index("ix_sql_history_user_id_statement_id")

    op.drop_table("sql_history")
    op.drop_table("sql_functions")
    op.drop_table("sql_copied_files")
    op.drop_table("retrieval_indexes")
    with op.batch_alter_table("jobs_runs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_runs_state_id")
        batch_op.drop_index(batch_op.f("ix_jobs_runs_securable_id"))
        batch_op.drop_index("ix_jobs_runs_owner_id_id")

    op.drop_table("jobs_runs")
    with op.batch_alter_table("gateway_usage", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gateway_usage_principal_id"))
        batch_op.drop_index(batch_op.f("ix_gateway_usage_at"))

    op.drop_table("gateway_usage")
    op.drop_table("gateway_endpoints")
    op.drop_table("catalog_removals")
    op.drop_table("catalog_catalogs")
    with op.batch_alter_table("agents_conversations", schema=None) as batch_op:
        batch_op.drop_index("ix_agents_conversations_owner_id_updated_at")

    op.drop_table("agents_conversations")
    op.drop_table("agents_agents")
    with op.batch_alter_table("agents_actions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agents_actions_owner_id"))
        batch_op.drop_index(batch_op.f("ix_agents_actions_expires_at"))

    op.drop_table("agents_actions")
    with op.batch_alter_table("access_signin_attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_signin_attempts_last_at"))

    op.drop_table("access_signin_attempts")
    with op.batch_alter_table("access_securables", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_securables_parent_id"))
        batch_op.drop_index(batch_op.f("ix_access_securables_owner_id"))

    op.drop_table("access_securables")
    op.drop_table("access_revision")
    op.drop_table("access_principals")
    op.drop_table("access_clearances")
    op.drop_table("access_audit_head")
    with op.batch_alter_table("access_audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_audit_securable_id"))
        batch_op.drop_index(batch_op.f("ix_access_audit_request_id"))
        batch_op.drop_index(batch_op.f("ix_access_audit_principal_id"))
        batch_op.drop_index(batch_op.f("ix_access_audit_at"))

    op.drop_table("access_audit")
