"""Dropped tables: for a week their owner can see them and bring them back, with rows, grants, labels, filters and history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from insjo.access.errors import TableNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.service.creation import taken
from insjo.catalog.service.parts import refuse_reserved
from insjo.catalog.service.removals import KEPT_S
from insjo.catalog.types import TableName
from insjo.kernel.errors import AlreadyExists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.service.parts import Parts
    from insjo.kernel.context import RequestContext

LISTED_MAX = 1000


@dataclass(frozen=True, slots=True)
class DroppedTable:
    """A table that can be brought back."""

    id: str
    catalog: str
    schema: str
    name: str
    table_type: str
    comment: str
    owner: str
    dropped_at: datetime
    dropped_by: str
    created_at: datetime
    created_by: str
    updated_at: datetime


class Dropped:
    """Lists dropped tables and brings them back."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(self, ctx: RequestContext, catalog: str, schema: str, limit: int = LISTED_MAX) -> Sequence[DroppedTable]:
        """Tables of a schema that were dropped within the last week and that the caller manages, the last one first."""
        parent = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}")
        rows = self._rows(ctx, parent.id, limit=min(limit, LISTED_MAX))
        owners = self._parts.owner_names(row["id"] for row in rows)
        return [_told(row, owners.get(row["id"], "")) for row in rows]

    def bring_back(self, ctx: RequestContext, name: TableName | None, table_id: str = "") -> TableName:
        """Undo the drop of a table, by its name (the one that was dropped last) or its identifier; gives its name.

        Needs ownership of the table or MANAGE on it, and CREATE_TABLE on its schema.

        Raises:
            TableNotFound: The caller manages no such dropped table, or its week is over.
            TableAlreadyExists: Another table has the name now.
        """
        schema_id = ""
        if name is not None:
            refuse_reserved(ctx, name.catalog, name.schema)
            schema_id = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}").id
        rows = self._rows(ctx, schema_id, name=name.name if name is not None else "", limit=1, table_id=table_id)
        if not rows:
            called = name.full_name if name is not None else table_id[:64]
            message = f"No table `{called}` that you manage was dropped within the last {KEPT_S // 86_400} days."
            raise TableNotFound(message, hint="`SHOW TABLES DROPPED` tells which can be brought back.")
        row = rows[0]
        back = TableName(row["catalog_name"], row["schema_name"], row["name"])
        with self._parts.database.write() as connection:
            try:
                self._parts.access.securables.bring_back(ctx, row["id"], back.full_name, connection=connection)
            except AlreadyExists as error:
                raise taken(back) from error
            store.bring_table_back(connection, row)
        return back

    def _rows(self, ctx: RequestContext, schema_id: str, *, limit: int, name: str = "", table_id: str = "") -> Sequence[store.Row]:
        """Dropped tables that the caller manages."""
        managed = self._parts.access.authority.visible(ctx, SecurableKind.DROPPED_TABLE, Privilege.MANAGE)
        since = self._parts.clock.now() - timedelta(seconds=KEPT_S)
        with self._parts.database.read() as connection:
            return store.list_dropped(connection, managed, since, limit, schema_id=schema_id, name=name, table_id=table_id)


def _told(row: store.Row, owner: str) -> DroppedTable:
    kept = row["kept"]
    return DroppedTable(
        id=row["id"],
        catalog=row["catalog_name"],
        schema=row["schema_name"],
        name=row["name"],
        table_type=kept["table_type"],
        comment=kept["comment"],
        owner=owner,
        dropped_at=row["dropped_at"],
        dropped_by=row["dropped_by"],
        created_at=datetime.fromisoformat(kept["created_at"]),
        created_by=kept["created_by"],
        updated_at=datetime.fromisoformat(kept["updated_at"]),
    )
