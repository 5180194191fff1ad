"""Rows of retrieval in the metadata database: indexes, and what became of each of their documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from insjo.kernel.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Row: TypeAlias = "Mapping[str, Any]"

indexes = sa.Table(
    "retrieval_indexes",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("sources", sa.JSON, nullable=False),
    sa.Column("embedding_endpoint", sa.String(255), nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("state_reason", sa.Text, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("synced_at", UtcDateTime, nullable=True),
)

documents = sa.Table(
    "retrieval_documents",
    metadata,
    sa.Column("index_id", sa.String(64), sa.ForeignKey("retrieval_indexes.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("path_hash", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("volume_id", sa.String(64), nullable=False, index=True),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("modified_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("pages", sa.Integer, nullable=False),
    sa.Column("passages", sa.Integer, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("indexed_at", UtcDateTime, nullable=False),
)


def insert_index(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New index."""
    connection.execute(sa.insert(indexes).values(**values))


def update_index(connection: sa.Connection, index_id: str, values: Mapping[str, object]) -> None:
    """Change some columns of an index."""
    connection.execute(sa.update(indexes).where(indexes.c.id == index_id).values(**values))


def delete_index(connection: sa.Connection, index_id: str) -> None:
    """Remove an index and its documents."""
    connection.execute(sa.delete(documents).where(documents.c.index_id == index_id))
    connection.execute(sa.delete(indexes).where(indexes.c.id == index_id))


def fetch_index(connection: sa.Connection, index_id: str) -> Row | None:
    """One index."""
    row = connection.execute(sa.select(indexes).where(indexes.c.id == index_id)).mappings().first()
    return dict(row) if row else None


def fetch_indexes(connection: sa.Connection, visible: sa.Select[tuple[str]], limit: int) -> Sequence[Row]:
    """The indexes among those visible."""
    query = sa.select(indexes).where(indexes.c.id.in_(visible)).order_by(indexes.c.id).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def fetch_sources(connection: sa.Connection) -> list[tuple[str, list[str], str]]:
    """Identifier, sources and last run of every index."""
    query = sa.select(indexes.c.id, indexes.c.sources, indexes.c.run_id)
    return [(row.id, list(row.sources), row.run_id) for row in connection.execute(query)]


def count_documents(
    connection: sa.Connection, index_ids: Iterable[str], visible_volumes: sa.Select[tuple[str]]
) -> dict[str, tuple[int, int]]:
    """Number of documents and passages of each index, counting only those in visible volumes."""
    query = (
        sa.select(documents.c.index_id, sa.func.count(), sa.func.coalesce(sa.func.sum(documents.c.passages), 0))
        .where(documents.c.index_id.in_(list(index_ids)), documents.c.volume_id.in_(visible_volumes))
        .group_by(documents.c.index_id)
    )
    return {str(index_id): (int(count), int(passages)) for index_id, count, passages in connection.execute(query)}


def fetch_documents(connection: sa.Connection, index_id: str, visible_volumes: sa.Select[tuple[str]] | None = None) -> Sequence[Row]:
    """Documents of an index by path; only those in visible volumes, unless that is None."""
    query = sa.select(documents).where(documents.c.index_id == index_id).order_by(documents.c.path)
    if visible_volumes is not None:
        query = query.where(documents.c.volume_id.in_(visible_volumes))
    return [dict(row) for row in connection.execute(query).mappings()]


def fetch_volumes(connection: sa.Connection, index_id: str, visible_volumes: sa.Select[tuple[str]]) -> list[str]:
    """Visible volumes from which an index holds passages."""
    query = (
        sa.select(documents.c.volume_id)
        .where(documents.c.index_id == index_id, documents.c.passages > 0, documents.c.volume_id.in_(visible_volumes))
        .distinct()
        .order_by(documents.c.volume_id)
    )
    return [str(row[0]) for row in connection.execute(query)]


def fetch_document(connection: sa.Connection, index_id: str, path_hash: str) -> Row | None:
    """One document."""
    query = sa.select(documents).where(documents.c.index_id == index_id, documents.c.path_hash == path_hash)
    row = connection.execute(query).mappings().first()
    return dict(row) if row else None


def put_documents(connection: sa.Connection, index_id: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write documents in place of what was known of them."""
    delete_documents(connection, index_id, [str(row["path_hash"]) for row in rows])
    if rows:
        connection.execute(sa.insert(documents), [{"index_id": index_id, **row} for row in rows])


def delete_documents(connection: sa.Connection, index_id: str, path_hashes: Sequence[str]) -> None:
    """Forget documents."""
    for start in range(0, len(path_hashes), 500):
        chunk = path_hashes[start : start + 500]
        connection.execute(sa.delete(documents).where(documents.c.index_id == index_id, documents.c.path_hash.in_(chunk)))
