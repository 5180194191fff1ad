"""Virtual tables: rows that a room computes when a statement reads them, as small Arrow streams for the engine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pyarrow as pa

from insjo.access.types import SecurableKind
from insjo.catalog.types import INFORMATION_SCHEMA, SYSTEM_CATALOG, Column
from insjo.kernel.errors import ResourceExhausted
from insjo.sql.dialect.types import parse_type, to_arrow_type
from insjo.sql.types import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from insjo.catalog.service.information import Information
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.governance import GovernanceRows
    from insjo.sql.binding.privileges import PrivilegeRows

ROWS_MAX = 200_000
"""Rows that a virtual table may give to one statement."""


class VirtualTables:
    """Registry of virtual tables, with `information_schema` of every catalog built in."""

    def __init__(self, information: Information, privileges: PrivilegeRows, governance: GovernanceRows) -> None:
        """`information` tells what a catalog holds, `privileges` who holds rights on it, `governance` what protects and describes it."""
        self._lock = threading.Lock()
        self._tables: dict[str, VirtualTable] = {}
        self._information = information
        self._privileges = privileges
        self._governance = governance

    def register(
        self,
        full_name: str,
        columns: Sequence[Column],
        rows: Callable[[RequestContext], pa.Table | Iterable[Mapping[str, object]]],
    ) -> None:
        """Give a system table its rows; a second registration takes the place of the first."""
        with self._lock:
            self._tables[full_name.lower()] = VirtualTable(full_name.lower(), tuple(columns), rows)

    def find(self, full_name: str) -> VirtualTable | None:
        """The registered table of a name, or None."""
        with self._lock:
            return self._tables.get(full_name.lower())

    def names(self) -> tuple[str, ...]:
        """Full names of the registered tables."""
        with self._lock:
            return tuple(sorted(self._tables))

    def information_schema(self, catalog: str, name: str) -> VirtualTable | None:
        """A table of the `information_schema` of a catalog; that of `system` tells about all catalogs."""
        shape = _INFORMATION.get(name.lower())
        if shape is None:
            return None
        wanted = "" if catalog.lower() == SYSTEM_CATALOG else catalog.lower()
        columns = tuple(Column(column, kind, position=place) for place, (column, kind) in enumerate(shape))
        rows = self._information_rows(name.lower(), wanted)
        return VirtualTable(f"{catalog.lower()}.{INFORMATION_SCHEMA}.{name.lower()}", columns, rows)

    def _information_rows(self, name: str, catalog: str) -> Callable[[RequestContext], Iterable[Mapping[str, object]]]:
        """What gives the rows of one table."""
        information = self._information
        sources: dict[str, Callable[[RequestContext], Iterable[Mapping[str, object]]]] = {
            "catalogs": lambda ctx: [row for row in information.catalogs(ctx) if catalog in ("", row["catalog_name"])],
            "information_schema_catalog_name": lambda _: [{"catalog_name": catalog or SYSTEM_CATALOG}],
            "schemata": lambda ctx: information.schemata(ctx, catalog),
            "tables": lambda ctx: information.tables(ctx, catalog),
            "columns": lambda ctx: information.columns(ctx, catalog),
            "views": lambda ctx: information.views(ctx, catalog),
            "volumes": lambda ctx: information.volumes(ctx, catalog),
            "table_constraints": lambda ctx: information.table_constraints(ctx, catalog),
            "key_column_usage": lambda ctx: information.key_column_usage(ctx, catalog),
            "referential_constraints": lambda ctx: information.referential_constraints(ctx, catalog),
            "constraint_column_usage": lambda ctx: information.constraint_columns(ctx, catalog),
            "constraint_table_usage": lambda ctx: information.constraint_tables(ctx, catalog),
            "routines": lambda ctx: self._governance.routines(ctx, catalog),
            "parameters": lambda ctx: self._governance.parameters(ctx, catalog),
            "routine_columns": lambda ctx: self._governance.routine_columns(ctx, catalog),
            "row_filters": lambda ctx: self._governance.row_filters(ctx, catalog),
            "column_masks": lambda ctx: self._governance.column_masks(ctx, catalog),
            "catalog_tags": lambda ctx: self._governance.tags(ctx, catalog, SecurableKind.CATALOG),
            "schema_tags": lambda ctx: self._governance.tags(ctx, catalog, SecurableKind.SCHEMA),
            "table_tags": lambda ctx: self._governance.tags(ctx, catalog, SecurableKind.TABLE),
            "column_tags": lambda ctx: self._governance.tags(ctx, catalog, SecurableKind.TABLE, columns=True),
            "volume_tags": lambda ctx: self._governance.tags(ctx, catalog, SecurableKind.VOLUME),
            "table_privileges": lambda ctx: self._privileges.of_tables(ctx, catalog),
            "schema_privileges": lambda ctx: self._privileges.of_schemas(ctx, catalog),
            "catalog_privileges": lambda ctx: self._privileges.of_catalogs(ctx, catalog),
        }
        return sources.get(name, lambda _: [])

    @staticmethod
    def information_names() -> tuple[str, ...]:
        """Names of the tables in every `information_schema`."""
        return tuple(sorted(_INFORMATION))


def arrow_table(table: VirtualTable, ctx: RequestContext) -> pa.Table:
    """The rows that this caller may see."""
    schema = pa.schema([pa.field(column.name, to_arrow_type(parse_type(column.type_text))) for column in table.columns])
    rows = table.rows(ctx)
    if isinstance(rows, pa.Table):
        return rows.select(schema.names).cast(schema)
    listed: list[Mapping[str, object]] = []
    for row in rows:
        if len(listed) >= ROWS_MAX:
            message = f"`{table.full_name}` has more than {ROWS_MAX} rows for this statement."
            raise ResourceExhausted(message)
        listed.append(row)
    arrays = [pa.array([row.get(field.name) for row in listed], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def stream_bytes(table: pa.Table) -> bytes:
    """An Arrow table as an IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _shape(text: str) -> tuple[tuple[str, str], ...]:
    """Columns from `name type, name type`; texts where no type stands."""
    return tuple((parts[0], parts[1] if len(parts) > 1 else "string") for parts in (each.split() for each in text.split(",")))


_AUDIT = "created timestamp, created_by, last_altered timestamp, last_altered_by"
_INFORMATION: dict[str, tuple[tuple[str, str], ...]] = {
    "catalogs": _shape(f"catalog_name, catalog_owner, comment, {_AUDIT}"),
    "information_schema_catalog_name": _shape("catalog_name"),
    "schemata": _shape(f"catalog_name, schema_name, schema_owner, comment, {_AUDIT}"),
    "tables": _shape(
        "table_catalog, table_schema, table_name, table_type, is_insertable_into, commit_action, table_owner, comment, "
        f"{_AUDIT}, data_source_format, storage_sub_directory",
    ),
    "columns": _shape(
        "table_catalog, table_schema, table_name, column_name, ordinal_position int, column_default, is_nullable, full_data_type, "
        "data_type, character_maximum_length bigint, character_octet_length bigint, numeric_precision int, numeric_precision_radix int, "
        "numeric_scale int, datetime_precision int, interval_type, interval_precision int, maximum_cardinality bigint, is_identity, "
        "identity_generation, identity_start, identity_increment, identity_maximum, identity_minimum, identity_cycle, is_generated, "
        "generation_expression, is_system_time_period_start, is_system_time_period_end, system_time_period_timestamp_generation, "
        "is_updatable, partition_index int, comment",
    ),
    "views": _shape("table_catalog, table_schema, table_name, view_definition, check_option, is_updatable, is_insertable_into, sql_path, "
                    "is_materialized"),
    "check_constraints": _shape("constraint_catalog, constraint_schema, constraint_name, check_clause, sql_path"),
    "constraint_column_usage": _shape("table_catalog, table_schema, table_name, column_name, constraint_catalog, constraint_schema, "
                                      "constraint_name"),
    "constraint_table_usage": _shape("table_catalog, table_schema, table_name, constraint_catalog, constraint_schema, constraint_name"),
    "volumes": _shape(
        f"volume_catalog, volume_schema, volume_name, volume_type, volume_owner, comment, storage_location, {_AUDIT}",
    ),
    "table_privileges": _shape("grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, inherited_from"),
    "schema_privileges": _shape("grantor, grantee, catalog_name, schema_name, privilege_type, is_grantable, inherited_from"),
    "catalog_privileges": _shape("grantor, grantee, catalog_name, privilege_type, is_grantable"),
    "routines": _shape("specific_catalog, specific_schema, specific_name, routine_catalog, routine_schema, routine_name, routine_type, "
                       "routine_owner, data_type, full_data_type, routine_body, routine_definition, parameter_style, is_deterministic, "
                       "sql_data_access, security_type, comment, created timestamp, created_by"),
    "parameters": _shape("specific_catalog, specific_schema, specific_name, ordinal_position int, parameter_mode, parameter_name, "
                         "data_type, full_data_type, parameter_default, comment"),
    "routine_columns": _shape("specific_catalog, specific_schema, specific_name, column_name, ordinal_position int, data_type, "
                              "full_data_type, comment"),
    "table_constraints": _shape("constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, "
                                "constraint_type, is_deferrable, initially_deferred, enforced, comment"),
    "key_column_usage": _shape("constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, "
                               "column_name, ordinal_position int, position_in_unique_constraint int"),
    "referential_constraints": _shape("constraint_catalog, constraint_schema, constraint_name, unique_constraint_catalog, "
                                      "unique_constraint_schema, unique_constraint_name, match_option, update_rule, delete_rule"),
    "row_filters": _shape("table_catalog, table_schema, table_name, filter_name, target_columns, catalog_name, schema_name"),
    "column_masks": _shape("table_catalog, table_schema, table_name, column_name, mask_name, using_columns, catalog_name, schema_name"),
    "catalog_tags": _shape("catalog_name, tag_name, tag_value"),
    "schema_tags": _shape("catalog_name, schema_name, tag_name, tag_value"),
    "volume_tags": _shape("catalog_name, schema_name, volume_name, tag_name, tag_value"),
    "table_tags": _shape("catalog_name, schema_name, table_name, tag_name, tag_value"),
    "column_tags": _shape("catalog_name, schema_name, table_name, column_name, tag_name, tag_value"),
}  # fmt: skip
"""Tables of `information_schema` and their columns."""
