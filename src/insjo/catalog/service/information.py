"""What a catalog tells about itself: rows of `information_schema`, filtered by what the caller may see, one query a table.

Source of the columns: Databricks SQL language reference, "Information schema".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import SecurableKind
from insjo.catalog import store
from insjo.catalog.service.parts import schema_of, table_of, volume_of
from insjo.catalog.types import TableType

if TYPE_CHECKING:
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.types import Table
    from insjo.kernel.context import RequestContext

    Rows = list[dict[str, object]]

ROWS_MAX = 100_000
"""Objects that one question may bring; more are cut off."""


class Information:
    """Everything that a caller may see, of one catalog or of all (an empty name)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def catalogs(self, ctx: RequestContext) -> Rows:
        """`information_schema.catalogs`."""
        with self._parts.database.read() as connection:
            rows = store.list_catalogs(connection, self._parts.visible(ctx, SecurableKind.CATALOG), "", ROWS_MAX)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return [
            {
                "catalog_name": row["name"],
                "catalog_owner": owners[row["id"]],
                "comment": row["comment"] or None,
                "created": row["created_at"],
                "created_by": row["created_by"],
                "last_altered": row["updated_at"],
                "last_altered_by": row["updated_by"],
            }
            for row in rows
        ]

    def schemata(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.schemata`."""
        with self._parts.database.read() as connection:
            rows = store.survey_schemas(connection, self._parts.visible(ctx, SecurableKind.SCHEMA), catalog.lower(), ROWS_MAX)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return [
            {
                "catalog_name": each.catalog_name,
                "schema_name": each.name,
                "schema_owner": each.owner,
                "comment": each.comment or None,
                "created": each.created_at,
                "created_by": each.created_by,
                "last_altered": each.updated_at,
                "last_altered_by": each.updated_by,
            }
            for each in (schema_of(row, owners[row["id"]]) for row in rows)
        ]

    def survey(self, ctx: RequestContext, catalog: str = "", schema: str = "") -> list[Table]:
        """Tables and views with their columns, for completion and for the tables below."""
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.TABLE)
            rows = store.survey_tables(connection, visible, catalog.lower(), schema.lower(), ROWS_MAX)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return [table_of(row, owners[row["id"]]) for row in rows]

    def tables(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.tables`."""
        return [
            {
                "table_catalog": each.catalog,
                "table_schema": each.schema,
                "table_name": each.name,
                "table_type": each.table_type.value,
                "is_insertable_into": "YES" if each.has_files else "NO",
                "commit_action": "PRESERVE",
                "table_owner": each.owner,
                "comment": each.comment or None,
                "created": each.created_at,
                "created_by": each.created_by,
                "last_altered": each.updated_at,
                "last_altered_by": each.updated_by,
                "data_source_format": "DELTA" if each.has_files else "UNKNOWN_DATA_SOURCE_FORMAT",
                "storage_sub_directory": None,
            }
            for each in self.survey(ctx, catalog)
        ]

    def columns(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.columns`."""
        return [
            {
                "table_catalog": table.catalog,
                "table_schema": table.schema,
                "table_name": table.name,
                "column_name": column.name,
                "ordinal_position": column.position,
                "column_default": None,
                "is_nullable": "YES" if column.nullable else "NO",
                "full_data_type": column.type_text,
                "data_type": column.type_text.partition("(")[0].partition("<")[0].upper(),
                "is_identity": "NO",
                "is_updatable": "YES" if table.has_files else "NO",
                "partition_index": table.partition_columns.index(column.name) + 1 if column.name in table.partition_columns else None,
                "comment": column.comment or None,
            }
            for table in self.survey(ctx, catalog)
            for column in table.columns
        ]

    def views(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.views`; the text of a view is shown to its owner only, as in Databricks."""
        return [
            {
                "table_catalog": each.catalog,
                "table_schema": each.schema,
                "table_name": each.name,
                "view_definition": each.view_definition if each.owner == ctx.principal.name else None,
                "check_option": "NONE",
                "is_updatable": "NO",
                "is_insertable_into": "NO",
            }
            for each in self.survey(ctx, catalog)
            if each.table_type is TableType.VIEW
        ]

    def volumes(self, ctx: RequestContext, catalog: str = "", schema: str = "") -> Rows:
        """`information_schema.volumes`."""
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.VOLUME)
            rows = store.survey_volumes(connection, visible, catalog.lower(), schema.lower(), ROWS_MAX)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return [
            {
                "volume_catalog": each.catalog,
                "volume_schema": each.schema,
                "volume_name": each.name,
                "volume_type": each.volume_type.value,
                "volume_owner": each.owner,
                "comment": each.comment or None,
                "storage_location": each.path,
                "created": each.created_at,
                "created_by": each.created_by,
                "last_altered": each.updated_at,
                "last_altered_by": each.updated_by,
            }
            for each in (volume_of(row, owners[row["id"]]) for row in rows)
        ]
