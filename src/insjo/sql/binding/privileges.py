"""Privileges as rows of `information_schema`: what the caller may know of who holds what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from insjo.access.service.facade import Access
    from insjo.catalog.service.information import Information
    from insjo.kernel.context import RequestContext

OBJECTS_MAX = 1_000
"""Objects of which one question shows the privileges; more are cut off."""


class PrivilegeRows:
    """Rows of the three tables of privileges."""

    def __init__(self, access: Access, information: Information) -> None:
        """Decisions about what may be shown are those of `Grants.effective`."""
        self._access = access
        self._information = information

    def of_tables(self, ctx: RequestContext, catalog: str) -> Iterator[Mapping[str, object]]:
        """`table_privileges`."""
        for table in self._information.survey(ctx, catalog)[:OBJECTS_MAX]:
            for row in self._rows(ctx, table.id):
                yield {"table_catalog": table.catalog, "table_schema": table.schema, "table_name": table.name, **row}

    def of_schemas(self, ctx: RequestContext, catalog: str) -> Iterator[Mapping[str, object]]:
        """`schema_privileges`."""
        for schema in self._information.schemata(ctx, catalog)[:OBJECTS_MAX]:
            names = {"catalog_name": schema["catalog_name"], "schema_name": schema["schema_name"]}
            found = self._access.securables.find(SecurableKind.SCHEMA, f"{names['catalog_name']}.{names['schema_name']}")
            for row in self._rows(ctx, found.id) if found else ():
                yield {**names, **row}

    def of_catalogs(self, ctx: RequestContext, catalog: str) -> Iterator[Mapping[str, object]]:
        """`catalog_privileges`."""
        for each in self._information.catalogs(ctx)[:OBJECTS_MAX]:
            if catalog not in ("", each["catalog_name"]):
                continue
            found = self._access.securables.find(SecurableKind.CATALOG, str(each["catalog_name"]))
            for row in self._rows(ctx, found.id) if found else ():
                yield {"catalog_name": each["catalog_name"], **row}

    def _rows(self, ctx: RequestContext, securable_id: str) -> Iterator[Mapping[str, object]]:
        """Direct and inherited grants on one object, as far as the caller may see them."""
        for grant in self._access.grants.effective(ctx, securable_id):
            yield {
                "grantor": None,
                "grantee": grant.principal,
                "privilege_type": grant.privilege.value,
                "is_grantable": "NO",
                "inherited_from": grant.inherited_from_kind.value if grant.inherited else "NONE",
            }
