"""SQL on lineage: which table or column was computed from which."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from insjo.access.store.tables import lineage, principals, securables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Edge(NamedTuple):
    """One step from a source to what was computed from it; tables alone have empty columns."""

    source_id: str
    source_column: str
    target_id: str
    target_column: str


class PlacedEdge(NamedTuple):
    """An edge with the names of both ends, and the last statement that made it."""

    source_id: str
    source: str
    source_column: str
    target_id: str
    target: str
    target_column: str
    statement_id: str
    kind: str
    by: str
    at: datetime


def put(connection: sa.Connection, edges: Iterable[Edge], *, statement_id: str, kind: str, by: str, now: datetime) -> None:
    """Keep edges; one that is known gets the new statement."""
    values = {"statement_id": statement_id, "kind": kind, "by_id": by, "at": now}
    for edge in edges:
        here = sa.and_(
            lineage.c.source_id == edge.source_id,
            lineage.c.source_column == edge.source_column,
            lineage.c.target_id == edge.target_id,
            lineage.c.target_column == edge.target_column,
        )
        if connection.execute(sa.update(lineage).where(here).values(**values)).rowcount == 0:
            connection.execute(sa.insert(lineage).values(**edge._asdict(), **values))


def delete_target(connection: sa.Connection, target_id: str) -> None:
    """Forget what an object was computed from: a view that has another query now."""
    connection.execute(sa.delete(lineage).where(lineage.c.target_id == target_id))


def fetch(
    connection: sa.Connection,
    *,
    columns: bool,
    source_id: str | None = None,
    target_id: str | None = None,
    column: str | None = None,
    limit: int,
) -> list[PlacedEdge]:
    """Edges between tables, or between columns; the newest first."""
    source, target = securables.alias("source"), securables.alias("target")
    query = (
        sa.select(
            lineage.c.source_id,
            source.c.full_name,
            lineage.c.source_column,
            lineage.c.target_id,
            target.c.full_name,
            lineage.c.target_column,
            lineage.c.statement_id,
            lineage.c.kind,
            sa.func.coalesce(principals.c.name, ""),
            lineage.c.at,
        )
        .join(source, source.c.id == lineage.c.source_id)
        .join(target, target.c.id == lineage.c.target_id)
        .outerjoin(principals, principals.c.id == lineage.c.by_id)
        .where(lineage.c.source_column != "" if columns else lineage.c.source_column == "")
        .order_by(lineage.c.at.desc(), source.c.full_name, target.c.full_name)
        .limit(limit)
    )
    if source_id is not None:
        query = query.where(lineage.c.source_id == source_id)
        query = query.where(lineage.c.source_column == column) if column is not None else query
    if target_id is not None:
        query = query.where(lineage.c.target_id == target_id)
        query = query.where(lineage.c.target_column == column) if column is not None else query
    return [PlacedEdge._make(row) for row in connection.execute(query)]
