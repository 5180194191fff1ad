"""Primary and foreign keys of tables, as Unity Catalog's API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insjo.catalog.types import Key, Table
    from insjo.web.types import Call


def key_body(key: Key, parent: str) -> dict[str, object]:
    """A key on the wire; `parent` is the table to which a foreign key points."""
    body: dict[str, object] = {"name": key.name, "child_columns": list(key.columns), "rely": key.rely}
    if key.kind == "PRIMARY KEY":
        return {"primary_key_constraint": body}
    return {"foreign_key_constraint": body | {"parent_table": parent, "parent_columns": list(key.parent_columns)}}


async def key_bodies(call: Call, table: Table) -> list[dict[str, object]]:
    """The keys of a table; one that points to a table that the caller may not see is left out, since it would tell its name."""
    parents = await call.run(call.services.catalog.information.names_of, call.ctx, [key.parent_id for key in table.keys if key.parent_id])
    return [key_body(key, parents.get(key.parent_id, "")) for key in table.keys if not key.parent_id or key.parent_id in parents]
