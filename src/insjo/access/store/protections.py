"""SQL on row filters and column masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from insjo.access.protection import Argument
from insjo.access.store.tables import protections, securables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

ROW_FILTER = ""
"""Column name under which a table's row filter stands."""


class PlacedProtection(NamedTuple):
    """A row filter (no column) or a column mask of a table, with the names of both objects."""

    securable_id: str
    full_name: str
    column: str
    function_id: str
    function_name: str
    arguments: tuple[Argument, ...]


def put(
    connection: sa.Connection,
    securable_id: str,
    column: str,
    function_id: str,
    arguments: Sequence[Argument],
    by: str,
    now: datetime,
) -> None:
    """Set or replace the row filter or the mask of a column."""
    delete(connection, securable_id, column)
    listed = [each.as_json() for each in arguments]
    values = {"function_id": function_id, "arguments": listed, "changed_by": by, "changed_at": now}
    connection.execute(sa.insert(protections).values(securable_id=securable_id, column_name=column, **values))


def delete(connection: sa.Connection, securable_id: str, column: str) -> bool:
    """Take it away; false when there was none."""
    here = sa.and_(protections.c.securable_id == securable_id, protections.c.column_name == column)
    return connection.execute(sa.delete(protections).where(here)).rowcount > 0


def fetch(connection: sa.Connection, visible: sa.Select[tuple[str]] | None = None, limit: int | None = None) -> list[PlacedProtection]:
    """All of them by table and column, or those of some tables."""
    function = securables.alias("function")
    query = (
        sa.select(
            protections.c.securable_id,
            securables.c.full_name,
            protections.c.column_name,
            protections.c.function_id,
            function.c.full_name,
            protections.c.arguments,
        )
        .join(securables, securables.c.id == protections.c.securable_id)
        .outerjoin(function, function.c.id == protections.c.function_id)
        .order_by(securables.c.full_name, protections.c.column_name)
    )
    if visible is not None:
        query = query.where(protections.c.securable_id.in_(visible))
    rows = connection.execute(query.limit(limit) if limit is not None else query)
    return [PlacedProtection(*row[:4], row[4] or "", tuple(Argument.from_json(each) for each in row[5])) for row in rows]


def rename_column(connection: sa.Connection, securable_id: str, column: str, new: str) -> None:
    """Let the masks and arguments of a table follow the new name of a column."""
    query = sa.select(protections.c.column_name, protections.c.arguments).where(protections.c.securable_id == securable_id)
    for name, arguments in connection.execute(query).all():
        changed = [{"column": new} if each.get("column", "").lower() == column else each for each in arguments]
        renamed = new.lower() if name == column else name
        here = sa.and_(protections.c.securable_id == securable_id, protections.c.column_name == name)
        connection.execute(sa.update(protections).where(here).values(column_name=renamed, arguments=changed))


def count_uses(connection: sa.Connection, function_id: str) -> int:
    """How many filters and masks call a function."""
    query = sa.select(sa.func.count()).select_from(protections).where(protections.c.function_id == function_id)
    return int(connection.execute(query).scalar_one())
