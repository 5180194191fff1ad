"""Catalogs: the first level of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.errors import CatalogNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import CatalogAlreadyExists, CatalogNotEmpty
from insjo.catalog.service.parts import catalog_of, checked_comment, checked_name, checked_properties, refuse_reserved
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.schemas import Schemas
    from insjo.catalog.types import Catalog
    from insjo.kernel.context import RequestContext

DEFAULT_SCHEMA = "default"
"""Every new catalog has a schema of this name, as in Databricks."""


class Catalogs:
    """Creates, lists, changes and deletes catalogs."""

    def __init__(self, parts: Parts, schemas: Schemas) -> None:
        self._parts = parts
        self._schemas = schemas

    def create(self, ctx: RequestContext, name: str, comment: str = "", properties: Mapping[str, str] | None = None) -> Catalog:
        """New catalog with the schema `default`; needs CREATE CATALOG on the metastore.

        Raises:
            CatalogAlreadyExists, InvalidName, PermissionDenied: As they say.
        """
        parts = self._parts
        name = checked_name("catalog", name)
        refuse_reserved(ctx, name)
        metastore = parts.access.securables.metastore()
        parts.access.authority.authorize(ctx, Privilege.CREATE_CATALOG, metastore.id)
        values = {
            "name": name,
            "comment": checked_comment(comment),
            "properties": checked_properties(properties or {}),
            **parts.stamps(ctx),
        }
        with parts.database.write() as connection:
            with parts.unless_taken(CatalogAlreadyExists, "catalog", name):
                securable = parts.access.securables.register(ctx, SecurableKind.CATALOG, name, metastore.id, connection=connection)
            store.insert(connection, store.catalogs, {"id": securable.id, **values})
            self._schemas.insert(ctx, f"{name}.{DEFAULT_SCHEMA}", securable.id, connection=connection)
        return self.get(ctx, name)

    def get(self, ctx: RequestContext, name: str) -> Catalog:
        """Catalog by name; not found for those who may not see it."""
        securable = self._parts.resolve(ctx, SecurableKind.CATALOG, name)
        with self._parts.database.read() as connection:
            row = store.fetch_catalog(connection, securable.id)
        if row is None:  # Deleted between the two reads.
            message = f"The catalog `{name}` does not exist."
            raise CatalogNotFound(message)
        return catalog_of(row, self._parts.owner_names([securable.id]).get(securable.id, ""))

    def list(self, ctx: RequestContext, page: PageRequest | None = None) -> Page[Catalog]:
        """Catalogs that the caller may see, by name."""
        wanted = page or PageRequest()
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.CATALOG)
            rows = store.list_catalogs(connection, visible, wanted.after(), wanted.size + 1)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return page_of([catalog_of(row, owners.get(row["id"], "")) for row in rows], wanted.size, lambda each: each.name)

    def update(
        self,
        ctx: RequestContext,
        name: str,
        *,
        new_name: str | None = None,
        comment: str | None = None,
        owner: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Catalog:
        """Change what is given; needs ownership or MANAGE."""
        parts = self._parts
        securable = parts.resolve(ctx, SecurableKind.CATALOG, name, Privilege.MANAGE)
        refuse_reserved(ctx, securable.full_name)
        values: dict[str, object] = parts.touched(ctx)
        if comment is not None:
            values["comment"] = checked_comment(comment)
        if properties is not None:
            values["properties"] = checked_properties(properties)
        current = securable.full_name
        with parts.database.write() as connection:
            if new_name is not None and checked_name("catalog", new_name) != current:
                current = values["name"] = checked_name("catalog", new_name)
                refuse_reserved(ctx, current)
                with parts.unless_taken(CatalogAlreadyExists, "catalog", current):
                    parts.access.securables.rename(ctx, securable.id, current, connection=connection)
            store.update(connection, store.catalogs, securable.id, values)
            if owner is not None:
                parts.set_owner(ctx, securable.id, owner, connection=connection)
            parts.changed(ctx, "catalog.update", current, securable.id, connection=connection)
        return self.get(ctx, current)

    def delete(self, ctx: RequestContext, name: str, *, force: bool = False) -> None:
        """Delete a catalog; without `force` only one whose schemas are empty.  Needs ownership or MANAGE.

        Raises:
            CatalogNotEmpty: It holds something and `force` is false.
        """
        parts = self._parts
        securable = parts.resolve(ctx, SecurableKind.CATALOG, name, Privilege.MANAGE)
        refuse_reserved(ctx, securable.full_name)
        with parts.database.write() as connection:
            schemas = store.ids_of_schemas(connection, securable.id)
            for schema_id, schema_name in schemas:
                self._schemas.forget_dropped(ctx, connection, schema_id)
                empty = self._schemas.is_empty(connection, schema_id)
                if not force and (schema_name != DEFAULT_SCHEMA or not empty):
                    message = f"The catalog `{securable.full_name}` is not empty."
                    raise CatalogNotEmpty(message, hint="Drop its schemas first, or drop it with CASCADE (`force`).")
                self._schemas.empty_out(ctx, connection, schema_id)
                store.delete(connection, store.schemas, schema_id)
            store.delete(connection, store.catalogs, securable.id)
            parts.access.securables.remove(ctx, securable.id, connection=connection)
        self._schemas.after_removal()
