"""Schemas: the second level of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.errors import SchemaNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import SchemaAlreadyExists, SchemaNotEmpty
from insjo.catalog.service.parts import (
    checked_comment,
    checked_name,
    checked_properties,
    refuse_reserved,
    schema_of,
    split_schema,
)
from insjo.kernel.errors import AlreadyExists
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.removals import Removals
    from insjo.catalog.types import Schema
    from insjo.kernel.context import RequestContext


class Schemas:
    """Creates, lists, changes and deletes schemas."""

    def __init__(self, parts: Parts, removals: Removals) -> None:
        self._parts = parts
        self._removals = removals

    def create(
        self,
        ctx: RequestContext,
        full_name: str,
        comment: str = "",
        properties: Mapping[str, str] | None = None,
    ) -> Schema:
        """New schema, named `catalog.schema`; needs CREATE SCHEMA on the catalog.

        Raises:
            SchemaAlreadyExists, InvalidName, PermissionDenied: As they say; the catalog may be not found.
        """
        catalog, name = split_schema(full_name)
        name = checked_name("schema", name)
        parent = self._parts.resolve(ctx, SecurableKind.CATALOG, catalog, Privilege.CREATE_SCHEMA)
        refuse_reserved(ctx, catalog, name)
        with self._parts.database.write() as connection:
            self.insert(ctx, f"{catalog}.{name}", parent.id, comment, properties, connection=connection)
        return self.get(ctx, f"{catalog}.{name}")

    def insert(
        self,
        ctx: RequestContext,
        full_name: str,
        catalog_id: str,
        comment: str = "",
        properties: Mapping[str, str] | None = None,
        *,
        connection: sa.Connection,
    ) -> str:
        """New schema in a transaction, after names were checked; gives its identifier."""
        parts = self._parts
        try:
            securable = parts.access.securables.register(ctx, SecurableKind.SCHEMA, full_name, catalog_id, connection=connection)
        except AlreadyExists as error:
            message = f"The schema `{full_name}` exists already."
            raise SchemaAlreadyExists(message) from error
        values = {
            "id": securable.id,
            "catalog_id": catalog_id,
            "name": full_name.rpartition(".")[2],
            "comment": checked_comment(comment),
            "properties": checked_properties(properties or {}),
            **parts.stamps(ctx),
        }
        store.insert(connection, store.schemas, values)
        return securable.id

    def get(self, ctx: RequestContext, full_name: str) -> Schema:
        """Schema by `catalog.schema`; not found for those who may not see it."""
        catalog, name = split_schema(full_name)
        securable = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{name}")
        with self._parts.database.read() as connection:
            row = store.fetch_schema(connection, securable.id)
        if row is None:  # Deleted between the two reads.
            message = f"The schema `{full_name}` does not exist."
            raise SchemaNotFound(message)
        return schema_of(row, self._parts.owner_names([securable.id]).get(securable.id, ""))

    def list(self, ctx: RequestContext, catalog: str, page: PageRequest | None = None) -> Page[Schema]:
        """Schemas of a catalog that the caller may see, by name."""
        wanted = page or PageRequest()
        parent = self._parts.resolve(ctx, SecurableKind.CATALOG, catalog)
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.SCHEMA)
            rows = store.list_schemas(connection, visible, parent.id, wanted.after(), wanted.size + 1)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return page_of([schema_of(row, owners.get(row["id"], "")) for row in rows], wanted.size, lambda each: each.name)

    def update(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        new_name: str | None = None,
        comment: str | None = None,
        owner: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Schema:
        """Change what is given; `new_name` is the last part of the name.  Needs ownership or MANAGE."""
        parts = self._parts
        catalog, name = split_schema(full_name)
        securable = parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{name}", Privilege.MANAGE)
        refuse_reserved(ctx, catalog, name)
        values: dict[str, object] = parts.touched(ctx)
        if comment is not None:
            values["comment"] = checked_comment(comment)
        if properties is not None:
            values["properties"] = checked_properties(properties)
        with parts.database.write() as connection:
            if new_name is not None and checked_name("schema", new_name) != name:
                name = checked_name("schema", new_name)
                values["name"] = name
                refuse_reserved(ctx, catalog, name)
                with parts.unless_taken(SchemaAlreadyExists, "schema", f"{catalog}.{name}"):
                    parts.access.securables.rename(ctx, securable.id, f"{catalog}.{name}", connection=connection)
            store.update(connection, store.schemas, securable.id, values)
            if owner is not None:
                parts.set_owner(ctx, securable.id, owner, connection=connection)
            parts.changed(ctx, "schema.update", f"{catalog}.{name}", securable.id, connection=connection)
        return self.get(ctx, f"{catalog}.{name}")

    def delete(self, ctx: RequestContext, full_name: str, *, force: bool = False) -> None:
        """Delete a schema; without `force` only an empty one.  Needs ownership or MANAGE.

        Raises:
            SchemaNotEmpty: It holds something and `force` is false.
        """
        parts = self._parts
        catalog, name = split_schema(full_name)
        securable = parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{name}", Privilege.MANAGE)
        refuse_reserved(ctx, catalog, name)
        with parts.database.write() as connection:
            self.forget_dropped(ctx, connection, securable.id)
            if not force and not self.is_empty(connection, securable.id):
                message = f"The schema `{securable.full_name}` is not empty."
                raise SchemaNotEmpty(message, hint="Drop what it holds first, or drop it with CASCADE (`force`).")
            self.empty_out(ctx, connection, securable.id)
            store.delete(connection, store.schemas, securable.id)
            parts.access.securables.remove(ctx, securable.id, connection=connection)
        self.after_removal()

    def forget_dropped(self, ctx: RequestContext, connection: sa.Connection, schema_id: str) -> None:
        """Give up the dropped tables of a schema that goes, before it is asked whether it is empty."""
        self._removals.forget_dropped(ctx, connection, store.dropped_of_schema(connection, schema_id))

    def is_empty(self, connection: sa.Connection, schema_id: str) -> bool:
        """Whether nothing is in a schema, neither of this room nor of others (indexes, agents)."""
        inside, folders = store.contents_of_schema(connection, schema_id)
        return not inside and not folders and not self._parts.access.securables.has_children(schema_id, connection=connection)

    def empty_out(self, ctx: RequestContext, connection: sa.Connection, schema_id: str) -> None:
        """Delete the rows of all tables, volumes and models of a schema and note their folders for deletion."""
        inside, folders = store.contents_of_schema(connection, schema_id)
        for row in inside:
            self._removals.remove_table(ctx, connection, row)
        for row in folders:
            self._removals.remove_volume(ctx, connection, row)
        for row in store.models_of_schema(connection, schema_id):
            self._removals.remove_model(ctx, connection, row)

    def after_removal(self) -> None:
        """Delete folders after the transaction that dropped what was in them."""
        self._removals.sweep_noted()
