"""The tables of the room."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from insjo.kernel.database import UtcDateTime, metadata

_ID = sa.String(64)
_NAME = sa.String(255)
_FULL_NAME = sa.String(800)
_HASH = sa.String(64)

principals: Final = sa.Table(
    "access_principals",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("name", _NAME, nullable=False, unique=True),
    sa.Column("display_name", sa.String(400), nullable=False),
    sa.Column("email", sa.String(400), nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

members: Final = sa.Table(
    "access_members",
    metadata,
    sa.Column("member_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("group_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), primary_key=True, index=True),
)

passwords: Final = sa.Table(
    "access_passwords",
    metadata,
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("hash", sa.String(255), nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

attempts: Final = sa.Table(
    "access_signin_attempts",
    metadata,
    sa.Column("name_hash", _HASH, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False, index=True),
    sa.Column("blocked_until", UtcDateTime, nullable=False),
)

tokens: Final = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("hash", _HASH, nullable=False, unique=True),
    sa.Column("comment", sa.String(1000), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("last_used_at", UtcDateTime),
)

client_secrets: Final = sa.Table(
    "access_client_secrets",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("hash", _HASH, nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

sessions: Final = sa.Table(
    "access_sessions",
    metadata,
    sa.Column("hash", _HASH, primary_key=True),
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

signin_links: Final = sa.Table(
    "access_signin_links",
    metadata,
    sa.Column("hash", _HASH, primary_key=True),
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    sa.Column("used_at", UtcDateTime),
)

securables: Final = sa.Table(
    "access_securables",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("full_name", _FULL_NAME, nullable=False),
    sa.Column("parent_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), index=True),
    sa.Column("owner_id", _ID, nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", _ID, nullable=False),
    sa.UniqueConstraint("kind", "full_name"),
)

# Every ancestor of every securable, itself included, so that neither a decision nor a list has to walk the tree.
ancestors: Final = sa.Table(
    "access_ancestors",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("ancestor_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("distance", sa.Integer, nullable=False),
)

grants: Final = sa.Table(
    "access_grants",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("principal_id", _ID, sa.ForeignKey("access_principals.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("privilege", sa.String(32), primary_key=True),
    sa.Column("granted_by", _ID, nullable=False),
    sa.Column("granted_at", UtcDateTime, nullable=False),
)

# `source` is `set` for what people said and `derived` for what the platform computed: people cannot lower the second.
labels: Final = sa.Table(
    "access_labels",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("column_name", _NAME, primary_key=True),
    sa.Column("source", sa.String(16), primary_key=True),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("changed_by", _ID, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

declassifications: Final = sa.Table(
    "access_declassifications",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("column_name", _NAME, nullable=False),
    sa.Column("covered", sa.JSON, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("reason", sa.String(2000), nullable=False),
    sa.Column("signed_by", _ID, nullable=False),
    sa.Column("signed_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("signature", _HASH, nullable=False),
    sa.Column("ended_at", UtcDateTime),
)

clearances: Final = sa.Table(
    "access_clearances",
    metadata,
    sa.Column("destination", sa.String(500), primary_key=True),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("categories", sa.JSON, nullable=False),
    sa.Column("zone", sa.String(16), nullable=False),
    sa.Column("keeps", sa.Boolean, nullable=False),
    sa.Column("trains", sa.Boolean, nullable=False),
    sa.Column("changed_by", _ID, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

fingerprints: Final = sa.Table(
    "access_fingerprints",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("column_name", _NAME, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

audit: Final = sa.Table(
    "access_audit",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("action", sa.String(100), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("principal_id", _ID, nullable=False, index=True),
    sa.Column("principal", _NAME, nullable=False),
    sa.Column("on_behalf_of", _NAME, nullable=False),
    sa.Column("door", sa.String(32), nullable=False),
    sa.Column("request_id", _ID, nullable=False, index=True),
    sa.Column("client", sa.String(255), nullable=False),
    sa.Column("object", sa.String(2000), nullable=False),
    sa.Column("securable_id", _ID, nullable=False, index=True),
    sa.Column("label", sa.String(2000), nullable=False),
    sa.Column("destination", sa.String(500), nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
    sa.Column("reason", sa.String(2000), nullable=False),
    sa.Column("content_hash", sa.String(128), nullable=False),
    sa.Column("policy_version", sa.BigInteger, nullable=False),
    sa.Column("hash", _HASH, nullable=False),
)

# One row: where the chain ends.  Whoever appends locks it first, so that several servers write one chain.
audit_head: Final = sa.Table(
    "access_audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", _HASH, nullable=False),
)

# One row: counts the changes of everything that decides, so that other processes notice them.
revision: Final = sa.Table(
    "access_revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("value", sa.BigInteger, nullable=False),
)

# What hides rows and columns; an empty column name is the table's row filter.  The function is named by identifier and not by a
# foreign key: when it is gone the table must become unreadable, not open.
protections: Final = sa.Table(
    "access_protections",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("column_name", _NAME, primary_key=True),
    sa.Column("function_id", _ID, nullable=False, index=True),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("changed_by", _ID, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

tags: Final = sa.Table(
    "access_tags",
    metadata,
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("column_name", _NAME, primary_key=True),
    sa.Column("tag_key", sa.String(255), primary_key=True),
    sa.Column("tag_value", sa.String(1000), nullable=False),
    sa.Column("changed_by", _ID, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

# `definition` holds the principals, the conditions on tags and the arguments as JSON (insjo.access.policies).
policies: Final = sa.Table(
    "access_policies",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("securable_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("function_id", _ID, nullable=False, index=True),
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("comment", sa.String(2000), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", _ID, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("updated_by", _ID, nullable=False),
    sa.UniqueConstraint("securable_id", "name"),
)

# One row an edge from a column (or, with empty columns, from a table) to what was computed from it, with the last statement that did so.
lineage: Final = sa.Table(
    "access_lineage",
    metadata,
    sa.Column("source_id", _ID, sa.ForeignKey("access_securables.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("source_column", _NAME, primary_key=True),
    sa.Column("target_id", _ID, primary_key=True, index=True),
    sa.Column("target_column", _NAME, primary_key=True),
    sa.Column("statement_id", _ID, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("by_id", _ID, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
)

# Calls above a clearance that somebody was asked about; their content is kept nowhere, only its hash.
approvals: Final = sa.Table(
    "access_approvals",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("principal_id", _ID, nullable=False, index=True),
    sa.Column("principal", _NAME, nullable=False),
    sa.Column("asks", sa.String(16), nullable=False),
    sa.Column("purpose", sa.String(100), nullable=False),
    sa.Column("destination", sa.String(500), nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
    sa.Column("content_hash", sa.String(128), nullable=False),
    sa.Column("reason", sa.String(2000), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    sa.Column("decided_by", _NAME, nullable=False),
    sa.Column("decided_at", UtcDateTime, nullable=True),
    sa.Column("note", sa.String(1000), nullable=False),
)
