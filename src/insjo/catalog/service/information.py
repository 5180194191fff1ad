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
    from collections.abc import Iterable

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.types import Column, Key, Table
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

    def names_of(self, ctx: RequestContext, table_ids: Iterable[str]) -> dict[str, str]:
        """Full names of those tables that the caller may see."""
        wanted = [each for each in table_ids if each]
        if not wanted:
            return {}
        with self._parts.database.read() as connection:
            rows = store.fetch_visible_tables(connection, self._parts.visible(ctx, SecurableKind.TABLE), wanted)
        return {row["id"]: f"{row['catalog_name']}.{row['schema_name']}.{row['name']}" for row in rows}

    def table_constraints(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.table_constraints`."""
        return [
            {
                **_constraint(table, key),
                "table_catalog": table.catalog,
                "table_schema": table.schema,
                "table_name": table.name,
                "constraint_type": key.kind,
                "is_deferrable": "YES",
                "initially_deferred": "YES",
                "enforced": "NO",
                "comment": None,
            }
            for table in self.survey(ctx, catalog)
            for key in table.keys
        ]

    def key_column_usage(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.key_column_usage`."""
        tables = self.survey(ctx, catalog)
        parents = self._parents(ctx, tables)
        rows: Rows = []
        for table in tables:
            for key in table.keys:
                primary = _primary(parents.get(key.parent_id))
                for at, column in enumerate(key.columns, 1):
                    pointed = key.parent_columns[at - 1] if key.parent_columns else ""
                    place = primary.columns.index(pointed) + 1 if primary is not None and pointed in primary.columns else None
                    rows.append(
                        {
                            **_constraint(table, key),
                            "table_catalog": table.catalog,
                            "table_schema": table.schema,
                            "table_name": table.name,
                            "column_name": column,
                            "ordinal_position": at,
                            "position_in_unique_constraint": place,
                        },
                    )
        return rows

    def referential_constraints(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.referential_constraints`: foreign keys whose parent the caller may see."""
        tables = self.survey(ctx, catalog)
        parents = self._parents(ctx, tables)
        rows: Rows = []
        for table in tables:
            for key in table.keys:
                parent = parents.get(key.parent_id)
                primary = _primary(parent)
                if parent is not None and primary is not None:
                    rows.append(
                        {
                            **_constraint(table, key),
                            "unique_constraint_catalog": parent.catalog,
                            "unique_constraint_schema": parent.schema,
                            "unique_constraint_name": primary.name,
                            "match_option": "FULL",
                            "update_rule": "NO ACTION",
                            "delete_rule": "NO ACTION",
                        },
                    )
        return rows

    def constraint_columns(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.constraint_column_usage`: columns on which keys rest; those of a foreign key are its parent's."""
        tables = self.survey(ctx, catalog)
        parents = self._parents(ctx, tables)
        rows: Rows = []
        for table in tables:
            for key in table.keys:
                place = parents.get(key.parent_id) if key.parent_id else table
                for column in (key.parent_columns if key.parent_id else key.columns) if place is not None else ():
                    assert place is not None  # noqa: S101  # The line above.
                    names = {"table_catalog": place.catalog, "table_schema": place.schema, "table_name": place.name}
                    rows.append({**names, "column_name": column, **_constraint(table, key)})
        return rows

    def constraint_tables(self, ctx: RequestContext, catalog: str = "") -> Rows:
        """`information_schema.constraint_table_usage`."""
        found = {tuple((key, value) for key, value in row.items() if key != "column_name") for row in self.constraint_columns(ctx, catalog)}
        return [dict(row) for row in sorted(found, key=str)]

    def _parents(self, ctx: RequestContext, tables: Iterable[Table]) -> dict[str, Table]:
        """The tables to which foreign keys point, as far as the caller may see them."""
        wanted = {key.parent_id for table in tables for key in table.keys if key.parent_id}
        if not wanted:
            return {}
        with self._parts.database.read() as connection:
            rows = store.fetch_visible_tables(connection, self._parts.visible(ctx, SecurableKind.TABLE), sorted(wanted))
        return {row["id"]: table_of(row, "") for row in rows}

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
                "column_default": column.default or None,
                "is_nullable": "YES" if column.nullable else "NO",
                "full_data_type": column.type_text,
                "data_type": column.type_text.partition("(")[0].partition("<")[0].upper(),
                **_numbers(column.type_text),
                **_identity(column),
                "is_generated": "YES" if column.generated else "NO",
                "generation_expression": column.generated or None,
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
                "sql_path": f"{each.view_catalog}.{each.view_schema}" if each.view_catalog else None,
                "is_materialized": "NO",
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


_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "float": 24, "double": 53}
_BINARY = frozenset({"float", "double"})


def _numbers(type_text: str) -> dict[str, object]:
    """Precision and scale of a type of numbers, and the like of moments."""
    base = type_text.partition("(")[0]
    if base == "decimal":
        precision, _, scale = type_text[len("decimal(") : -1].partition(",")
        return {"numeric_precision": int(precision), "numeric_precision_radix": 10, "numeric_scale": int(scale or 0)}
    if base in _DIGITS:
        radix = 2 if base in _BINARY else 10
        return {"numeric_precision": _DIGITS[base], "numeric_precision_radix": radix, "numeric_scale": None if base in _BINARY else 0}
    if base in {"date", "timestamp", "timestamp_ntz"}:
        return {"datetime_precision": 0 if base == "date" else 6}
    return {}


def _identity(column: Column) -> dict[str, object]:
    """How a column is counted up."""
    if column.identity is None:
        return {"is_identity": "NO"}
    return {
        "is_identity": "YES",
        "identity_generation": "BY DEFAULT" if column.identity.explicit else "ALWAYS",
        "identity_start": str(column.identity.start),
        "identity_increment": str(column.identity.step),
        "identity_cycle": "NO",
    }


def _constraint(table: Table, key: Key) -> dict[str, object]:
    """Name of a key; it lies in the schema of its table."""
    return {"constraint_catalog": table.catalog, "constraint_schema": table.schema, "constraint_name": key.name}


def _primary(table: Table | None) -> Key | None:
    """The primary key of a table, if there is one."""
    return next((key for key in table.keys if key.kind == "PRIMARY KEY"), None) if table is not None else None
