"""DESCRIBE of tables, views, schemas, catalogs, volumes and functions; history and detail of tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from insjo.access.types import Privilege
from insjo.catalog.errors import WrongTableType
from insjo.catalog.service.properties import CONSTRAINTS
from insjo.catalog.types import INFORMATION_SCHEMA, TableType
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding.binder import table_provenance
from insjo.sql.binding.needs import Need
from insjo.sql.commands.execution import Outcome, table_outcome
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.rules import checks_of
from insjo.sql.commands.tables import clustering_of
from insjo.sql.dialect.types import Kind, parse_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from insjo.catalog.types import Column, Table
    from insjo.sql.commands.execution import Execution
    from insjo.sql.dialect.types import Type
    from insjo.sql.parsing.nodes import Describe
    from insjo.sql.types import TemporaryView

_COLUMNS = [("col_name", "string"), ("data_type", "string"), ("comment", "string")]
_HISTORY = [
    ("version", "bigint"),
    ("timestamp", "timestamp"),
    ("userId", "string"),
    ("userName", "string"),
    ("operation", "string"),
    ("operationParameters", "map<string,string>"),
    ("job", "struct<jobId:string,jobName:string,jobRunId:string,runId:string,jobOwnerId:string,triggerType:string>"),
    ("notebook", "struct<notebookId:string>"),
    ("clusterId", "string"),
    ("readVersion", "bigint"),
    ("isolationLevel", "string"),
    ("isBlindAppend", "boolean"),
    ("operationMetrics", "map<string,string>"),
    ("userMetadata", "string"),
    ("engineInfo", "string"),
]
_DETAIL = [
    ("format", "string"),
    ("id", "string"),
    ("name", "string"),
    ("description", "string"),
    ("location", "string"),
    ("createdAt", "timestamp"),
    ("lastModified", "timestamp"),
    ("partitionColumns", "array<string>"),
    ("clusteringColumns", "array<string>"),
    ("numFiles", "bigint"),
    ("sizeInBytes", "bigint"),
    ("properties", "map<string,string>"),
    ("minReaderVersion", "int"),
    ("minWriterVersion", "int"),
    ("tableFeatures", "array<string>"),
    ("statistics", "map<string,bigint>"),
]


def describe(x: Execution, command: Describe) -> Outcome:
    """One DESCRIBE."""
    describers: dict[str, Callable[[Execution, Describe], Outcome]] = {
        "TABLE": _table,
        "SCHEMA": _schema,
        "CATALOG": _catalog,
        "VOLUME": _volume,
        "FUNCTION": _function,
        "HISTORY": _history,
        "DETAIL": _detail,
    }
    return describers[command.kind](x, command)


def _table(x: Execution, command: Describe) -> Outcome:
    """Columns of a table or view, and with EXTENDED what else is known about it."""
    temporary = x.names.temporary_views.get(command.name[-1].lower()) if len(command.name) == 1 else None
    if temporary is not None:
        return _temporary(temporary, command)
    name = x.names.table(command.name)
    if name.schema == INFORMATION_SCHEMA:
        virtual = x.tools.virtual.information_schema(name.catalog, name.name)
        if virtual is not None:
            x.tools.catalog.catalogs.get(x.ctx, name.catalog)
            return table_outcome(_COLUMNS, [(column.name, column.type_text, column.comment or None) for column in virtual.columns])
    table = x.tools.catalog.tables.get(x.ctx, name)
    if command.column:
        return _column(table, command.column)
    if command.as_json:
        return table_outcome([("json_metadata", "string")], [(json.dumps(_as_json(x, table), ensure_ascii=False),)])
    rows: list[tuple[object, ...]] = [(column.name, column.type_text, column.comment or None) for column in table.columns]
    if table.partition_columns:
        rows += [("# Partition Information", "", ""), ("# col_name", "data_type", "comment")]
        rows += [(column.name, column.type_text, column.comment or None) for column in _partitions(table)]
    if command.extended:
        rows += [("", "", ""), ("# Detailed Table Information", "", "")]
        rows += [(key, value, "") for key, value in _details(x, table)]
    return table_outcome(_COLUMNS, rows)


def _temporary(view: TemporaryView, command: Describe) -> Outcome:
    """A temporary view, which is its session's own."""
    if command.as_json:
        columns = [{"name": name, "type": _type_json(parse_type(kind)), "nullable": True} for name, kind in view.columns]
        told = {"table_name": view.name, "columns": columns, "type": "VIEW", "view_text": view.definition, "comment": view.comment}
        return table_outcome([("json_metadata", "string")], [(json.dumps(told, ensure_ascii=False),)])
    if command.column:
        kinds = {name.lower(): (name, kind) for name, kind in view.columns}
        if command.column.lower() not in kinds:
            message = f"The temporary view `{view.name}` has no column `{command.column}`."
            raise InvalidArgument(message, hint=did_you_mean(command.column, kinds))
        name, kind = kinds[command.column.lower()]
        rows = [("col_name", name), ("data_type", kind), ("comment", "NULL")]
        return table_outcome([("info_name", "string"), ("info_value", "string")], rows)
    return table_outcome(_COLUMNS, [(name, kind, None) for name, kind in view.columns])


def _partitions(table: Table) -> list[Column]:
    return [column for name in table.partition_columns for column in table.columns if column.name == name]


def _details(x: Execution, table: Table) -> list[tuple[str, str]]:
    """Facts about a table by the names that Databricks gives them."""
    found = [
        ("Catalog", table.catalog),
        ("Database", table.schema),
        ("Table", table.name),
        ("Created Time", _shown(table.created_at)),
        ("Last Access", "UNKNOWN"),
        ("Created By", table.created_by),
        ("Type", table.table_type.value),
    ]
    if table.comment:
        found.append(("Comment", table.comment))
    if table.is_view:
        if table.owner == x.ctx.principal.name:
            found.append(("View Text", table.view_definition))
        found.append(("View Catalog and Namespace", f"{table.view_catalog}.{table.view_schema}"))
    elif table.has_files:
        found.append(("Provider", "delta"))
    found.append(("Owner", table.owner))
    listed = ",".join(f"{key}={value}" for key, value in sorted(table.properties.items()))
    found.append(("Table Properties", f"[{listed}]"))
    return found + _guards(x, table)


def _guards(x: Execution, table: Table) -> list[tuple[str, str]]:
    """Row filter and masks, by functions that the caller may see."""
    shown = x.tools.access.protections.described(x.ctx, table.id)
    found = [("Row Filter", f"{each.function_name} ON ({', '.join(part.text() for part in each.arguments)})") for each in shown.filters]
    for mask in shown.masks.values():
        using = ", ".join(part.text() for part in mask.arguments[1:])
        found.append(("Column Mask", f"{mask.column}: {mask.function_name}" + (f" USING COLUMNS ({using})" if using else "")))
    return found


def _shown(moment: datetime) -> str:
    """A moment as Databricks prints it."""
    return moment.strftime("%a %b %d %H:%M:%S UTC %Y")


def _column(table: Table, name: str) -> Outcome:
    """One column."""
    found = next((column for column in table.columns if column.name.lower() == name.lower()), None)
    if found is None:
        message = f"The table `{table.full_name}` has no column `{name}`."
        raise InvalidArgument(message, hint=did_you_mean(name, (column.name for column in table.columns)))
    rows = [("col_name", found.name), ("data_type", found.type_text), ("comment", found.comment or "NULL")]
    return table_outcome([("info_name", "string"), ("info_value", "string")], rows)


def _as_json(x: Execution, table: Table) -> dict[str, object]:
    """DESCRIBE TABLE EXTENDED ... AS JSON."""
    found: dict[str, object] = {
        "table_name": table.name,
        "catalog_name": table.catalog,
        "schema_name": table.schema,
        "namespace": [table.schema],
        "columns": [
            {
                "name": column.name,
                "type": _type_json(parse_type(column.type_text)),
                "nullable": column.nullable,
                **({"comment": column.comment} if column.comment else {}),
                **({"default": column.default} if column.default else {}),
                **({"generation_expression": column.generated} if column.generated else {}),
            }
            for column in table.columns
        ],
        "created_time": table.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_by": table.created_by,
        "type": table.table_type.value,
        "owner": table.owner,
        "table_properties": dict(table.properties),
    }
    if table.has_files:
        found["provider"] = "delta"
    if table.comment:
        found["comment"] = table.comment
    if table.partition_columns:
        found["partition_provider"] = "Catalog"
        found["partition_columns"] = list(table.partition_columns)
    if table.is_view and table.owner == x.ctx.principal.name:
        found["view_text"] = table.view_definition
    return found


def _type_json(kind: Type) -> dict[str, object]:
    """A type as Databricks writes it in JSON."""
    if kind.kind is Kind.DECIMAL:
        return {"name": "decimal", "precision": kind.precision, "scale": kind.scale}
    if kind.kind is Kind.ARRAY:
        return {"name": "array", "element_type": _type_json(kind.item), "element_nullable": True}
    if kind.kind is Kind.MAP and kind.key is not None and kind.value is not None:
        return {"name": "map", "key_type": _type_json(kind.key), "value_type": _type_json(kind.value), "value_nullable": True}
    if kind.kind is Kind.STRUCT:
        fields = [{"name": field.name, "type": _type_json(field.type), "nullable": True} for field in kind.fields]
        return {"name": "struct", "fields": fields}
    if kind.kind is Kind.STRING:
        return {"name": "string", "collation": "UTF8_BINARY"}
    return {"name": kind.kind.value}


def _schema(x: Execution, command: Describe) -> Outcome:
    schema = x.tools.catalog.schemas.get(x.ctx, ".".join(x.names.schema_name(command.name)))
    rows = [
        ("Catalog Name", schema.catalog_name),
        ("Namespace Name", schema.name),
        ("Comment", schema.comment),
        ("Location", ""),
        ("Owner", schema.owner),
    ]
    if command.extended:
        listed = ", ".join(f"({key},{value})" for key, value in sorted(schema.properties.items()))
        rows.append(("Properties", f"({listed})" if listed else ""))
    return table_outcome([("database_description_item", "string"), ("database_description_value", "string")], rows)


def _catalog(x: Execution, command: Describe) -> Outcome:
    catalog = x.tools.catalog.catalogs.get(x.ctx, command.name[0])
    rows = [("Catalog Name", catalog.name), ("Comment", catalog.comment), ("Owner", catalog.owner)]
    if command.extended:
        rows += [
            ("Catalog Type", "Managed"),
            ("Created By", catalog.created_by),
            ("Created At", catalog.created_at.isoformat()),
            ("Updated By", catalog.updated_by),
            ("Updated At", catalog.updated_at.isoformat()),
        ]
    return table_outcome([("info_name", "string"), ("info_value", "string")], rows)


def _volume(x: Execution, command: Describe) -> Outcome:
    volume = x.tools.catalog.volumes.get(x.ctx, x.names.table(command.name).full_name)
    shape = [(each, "string") for each in ("name", "catalog", "database", "owner", "storageLocation", "volumeType", "comment")]
    row = (volume.name, volume.catalog, volume.schema, volume.owner, volume.path, volume.volume_type.value, volume.comment or None)
    return table_outcome(shape, [row])


def _function(x: Execution, command: Describe) -> Outcome:
    found = x.tools.functions.get(x.ctx, x.names.table(command.name))
    inputs = ", ".join(f"{each.name} {each.type_text.upper()}" for each in found.parameters)
    returns = (
        found.returns.upper() if found.returns else f"TABLE ({', '.join(f'{c.name} {c.type_text.upper()}' for c in found.returns_columns)})"
    )
    lines = [
        f"Function: {found.name.full_name}",
        f"Type:     {'TABLE' if found.is_table else 'SCALAR'}",
        f"Input:    {inputs}",
        f"Returns:  {returns}",
    ]
    if command.extended:
        lines += [f"Comment:  {found.comment}", f"Owner:    {found.owner.name}"]
        if found.owner.id == x.ctx.principal.id:
            lines.append(f"Body:     {found.body}")
    return table_outcome([("function_desc", "string")], [(line,) for line in lines])


def _history(x: Execution, command: Describe) -> Outcome:
    """Commits of a table, newest first; they tell about its rows, so they have its label."""
    name = x.names.table(command.name)
    entries = x.tools.catalog.tables.history(x.ctx, name, 1000)
    (found,) = x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.SELECT)
    guarded = bool(protection_of(x, found))  # Numbers and conditions of changes tell of rows that the caller may not see.
    rows = [
        (
            entry.version,
            entry.timestamp,
            None,
            entry.user or None,
            entry.operation,
            [] if guarded else sorted(entry.parameters.items()),
            None,
            None,
            None,
            entry.version - 1 if entry.version else None,
            "WriteSerializable",
            None,
            [] if guarded else sorted(entry.metrics.items()),
            None,
            "Insjo",
        )
        for entry in entries
    ]
    provenance = table_provenance(found, found.table.columns)
    return table_outcome(_HISTORY, rows, provenance=provenance, needs=(Need(Privilege.SELECT, found.table.id),))


def schema_features(columns: Sequence[Column]) -> set[str]:
    """Features of Delta that the columns of a table use."""
    found = {"timestampNtz"} if any("timestamp_ntz" in column.type_text for column in columns) else set()
    for column in columns:
        found |= {"allowColumnDefaults"} if column.default else set()
        found |= {"generatedColumns"} if column.generated else set()
        found |= {"identityColumns"} if column.identity is not None else set()
    return found


def _detail(x: Execution, command: Describe) -> Outcome:
    """Size and form of a table; its location is Insjö's own business."""
    name = x.names.table(command.name)
    (found,) = x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.SELECT)
    table, snapshot = found.table, found.snapshot
    if snapshot is None or table.table_type not in {TableType.MANAGED, TableType.EXTERNAL}:
        message = f"`{table.full_name}` is not a table with files."
        raise WrongTableType(message)
    guarded = bool(protection_of(x, found))
    natures, checks = schema_features(table.columns), checks_of(snapshot.properties)
    features = sorted({*natures, *(("checkConstraints",) if checks else ())})
    row: Sequence[object] = (
        "delta",
        table.id,
        table.full_name,
        table.comment or None,
        "",
        table.created_at,
        snapshot.timestamp,
        list(snapshot.partition_columns),
        clustering_of(table.properties),
        None if guarded else len(snapshot.files),
        None if guarded else snapshot.size_bytes,
        sorted({**table.properties, **{CONSTRAINTS + name: text for name, text in checks.items()}}.items()),
        1,
        7 if features else 2,
        features,
        sorted({"numRows": snapshot.rows}.items()) if snapshot.rows is not None and not guarded else [],
    )
    needs = (Need(Privilege.SELECT, table.id),)
    return table_outcome(_DETAIL, [row], provenance=table_provenance(found, ()), needs=needs)
