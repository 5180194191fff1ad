"""SHOW, with the columns that Databricks gives and, for the drivers' forms, those that they read (clients.md, 1e)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.types import TableName, TableType
from insjo.kernel.patterns import Wildcard
from insjo.kernel.patterns import fits as fits_pattern
from insjo.sql.commands.constraints import FOREIGN, PRIMARY
from insjo.sql.commands.execution import Outcome, query_outcome, table_outcome
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.rules import checks_of
from insjo.sql.commands.tables import CLUSTERING, clustering_of
from insjo.sql.dialect.names import all_functions
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import UnsupportedFeature
from insjo.sql.parsing.rows import table_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from insjo.catalog.types import Column, Table
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Show

_DROPPED_MAX = 50
"""Dropped tables that are shown without LIMIT, as on Databricks."""

_TABLES_OF_DRIVERS = ("namespace", "tableName", "isTemporary", "information", "catalogName", "tableType", "remarks")
_COLUMNS_OF_DRIVERS = (
    ("col_name", "string"),
    ("catalogName", "string"),
    ("namespace", "string"),
    ("tableName", "string"),
    ("columnType", "string"),
    ("columnSize", "int"),
    ("decimalDigits", "int"),
    ("radix", "int"),
    ("isNullable", "string"),
    ("remarks", "string"),
    ("ordinalPosition", "int"),
    ("isAutoIncrement", "string"),
    ("isGenerated", "string"),
)
_KEYS_OF_DRIVERS = ("col_name", "catalogName", "namespace", "tableName", "keySeq", "constraintName")
_WILDCARDS = {"*": Wildcard.MANY, "%": Wildcard.MANY, ".": Wildcard.ONE}
_SIZES = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19, "float": 7, "double": 15, "date": 10, "timestamp": 29, "boolean": 1}


def show(x: Execution, command: Show) -> Outcome:
    """One SHOW."""
    shower = _SHOWERS.get(command.what)
    if shower is None:
        message = f"`SHOW {command.what}` is not supported."
        raise UnsupportedFeature(message, details={"feature": f"SHOW {command.what}"})
    return shower(x, command)


def matcher(pattern: str | None) -> Callable[[str], bool]:
    """Whether a name fits a pattern: `*` and `%` stand for any text, `.` for one character, `|` parts alternatives.

    Case makes no difference.  Drivers write the `_` of their own patterns as `.`, since on Databricks a pattern is a regular expression
    in which only `*` and `|` have another meaning.
    """
    if pattern is None:
        return lambda _: True
    parts = [[_WILDCARDS.get(each, each) for each in part.strip()] for part in pattern.split("|")]
    return lambda name: any(fits_pattern(part, name) for part in parts)


def _texts(*names: str) -> list[tuple[str, str]]:
    return [(name, "string") for name in names]


def _catalogs(x: Execution, command: Show) -> Outcome:
    fits = matcher(command.pattern)
    rows = [(row["catalog_name"],) for row in x.tools.catalog.information.catalogs(x.ctx)]
    return table_outcome(_texts("catalog"), [row for row in rows if fits(str(row[0]))])


def _schemas(x: Execution, command: Show) -> Outcome:
    fits = matcher(command.pattern)
    if command.scope_kind == "ALL CATALOGS":
        rows = x.tools.catalog.information.schemata(x.ctx)
        found = [(row["schema_name"], row["catalog_name"]) for row in rows if fits(str(row["schema_name"]))]
        return table_outcome(_texts("databaseName", "catalog"), found)
    catalog = command.scope[0].lower() if command.scope else x.names.catalog
    x.tools.catalog.catalogs.get(x.ctx, catalog)
    rows = x.tools.catalog.information.schemata(x.ctx, catalog)
    names = sorted({str(row["schema_name"]) for row in rows} | {"information_schema"})
    return table_outcome(_texts("databaseName"), [(name,) for name in names if fits(name)])


def _tables(x: Execution, command: Show) -> Outcome:
    """SHOW TABLES: three columns, or seven when whole catalogs are asked for."""
    if command.scope_kind in {"CATALOG", "ALL CATALOGS"} or command.patterns:
        return _tables_of_catalogs(x, command)
    catalog, schema = _schema_of(x, command)
    fits = matcher(command.pattern)
    rows: list[tuple[object, ...]] = [(schema, each.name, False) for each in _survey(x, catalog, schema) if fits(each.name)]
    if not command.scope or (catalog, schema) == (x.names.catalog, x.names.schema):
        rows += [("", name, True) for name in sorted(x.names.temporary_views) if fits(name)]
    return table_outcome([("database", "string"), ("tableName", "string"), ("isTemporary", "boolean")], rows)


_DROPPED = (
    ("catalogName", "string"),
    ("schemaName", "string"),
    ("tableName", "string"),
    ("tableId", "string"),
    ("tableType", "string"),
    ("deletedAt", "timestamp"),
    ("createdAt", "timestamp"),
    ("updatedAt", "timestamp"),
    ("createdBy", "string"),
    ("owner", "string"),
    ("comment", "string"),
)


def _dropped(x: Execution, command: Show) -> Outcome:
    """SHOW TABLES DROPPED: those that the caller may bring back."""
    catalog, schema = _schema_of(x, command)
    limit = int(command.key) if command.key else _DROPPED_MAX
    rows = [
        (each.catalog, each.schema, each.name, each.id, each.table_type, each.dropped_at, each.created_at, each.updated_at,
         each.created_by, each.owner, each.comment or None)
        for each in x.tools.catalog.dropped.list(x.ctx, catalog, schema, limit)
    ]  # fmt: skip
    return table_outcome(_DROPPED, rows)


def _extended(x: Execution, command: Show) -> Outcome:
    """SHOW TABLE EXTENDED: what is known about each table in one text, as Spark writes it."""
    catalog, schema = _schema_of(x, command)
    fits = matcher(command.pattern)
    shape = [("database", "string"), ("tableName", "string"), ("isTemporary", "boolean"), ("information", "string")]
    found = [each for each in _survey(x, catalog, schema) if fits(each.name)]
    rows: list[tuple[object, ...]] = [(schema, each.name, False, _information(each)) for each in found]
    rows += [("", name, True, "Type: VIEW\n") for name in sorted(x.names.temporary_views) if fits(name)]
    return table_outcome(shape, rows)


def _information(table: Table) -> str:
    """Facts about a table, a line each, and its columns as a tree."""
    lines = [f"Catalog: {table.catalog}", f"Database: {table.schema}", f"Table: {table.name}", f"Owner: {table.owner}"]
    lines += [f"Created By: {table.created_by}", f"Type: {table.table_type.value}"]
    lines += ["Provider: delta"] if table.has_files else []
    lines += [f"Partition Columns: [{', '.join(table.partition_columns)}]"] if table.partition_columns else []
    # The comment stands last, because dbt takes all up to the last line that looks like a heading.
    lines += [f"Comment: {' '.join(table.comment.splitlines())}"] if table.comment else []
    lines.append("Schema: root")
    for column in table.columns:
        kind = _SPARK_NAMES.get(column.type_text, column.type_text)
        lines.append(f" |-- {column.name}: {kind} (nullable = {'true' if column.nullable else 'false'})")
    return "\n".join(lines) + "\n"


_SPARK_NAMES = {"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long"}


def _tables_of_catalogs(x: Execution, command: Show) -> Outcome:
    fits, schema_fits = matcher(command.pattern), matcher(command.patterns.get("SCHEMA"))
    catalog = command.scope[0].lower() if command.scope else ""
    rows = [
        (each.schema, each.name, False, None, each.catalog, _wire_type(each), each.comment or None)
        for each in x.tools.catalog.information.survey(x.ctx, catalog)
        if fits(each.name) and schema_fits(each.schema)
    ]
    shape = [(name, "boolean" if name == "isTemporary" else "string") for name in _TABLES_OF_DRIVERS]
    return table_outcome(shape, rows)


def _wire_type(table: Table) -> str:
    """Kind of a table as the drivers name it."""
    return {TableType.VIEW: "VIEW", TableType.SYSTEM: "SYSTEM TABLE"}.get(table.table_type, "TABLE")


def _views(x: Execution, command: Show) -> Outcome:
    catalog, schema = _schema_of(x, command)
    fits = matcher(command.pattern)
    rows: list[tuple[object, ...]] = [
        (schema, each.name, False) for each in _survey(x, catalog, schema) if each.is_view and fits(each.name)
    ]
    rows += [("", name, True) for name in sorted(x.names.temporary_views) if fits(name)]
    return table_outcome([("namespace", "string"), ("viewName", "string"), ("isTemporary", "boolean")], rows)


def _columns(x: Execution, command: Show) -> Outcome:
    """SHOW COLUMNS of a table, or of whole catalogs for the drivers."""
    if command.scope_kind in {"CATALOG", "ALL CATALOGS"}:
        return _columns_of_catalogs(x, command)
    name = x.names.table(command.scope)
    fits = matcher(command.pattern)
    columns = _shape_of(x, name)
    return table_outcome(_texts("col_name"), [(each,) for each in columns if fits(each)])


def _shape_of(x: Execution, name: TableName) -> list[str]:
    """Columns of a table, or of a table that is computed."""
    virtual = x.tools.virtual.information_schema(name.catalog, name.name) if name.schema == "information_schema" else None
    if virtual is not None:
        return [column.name for column in virtual.columns]
    return [column.name for column in x.tools.catalog.tables.get(x.ctx, name).columns]


def _columns_of_catalogs(x: Execution, command: Show) -> Outcome:
    fits = matcher(command.pattern)
    schema_fits, table_fits = matcher(command.patterns.get("SCHEMA")), matcher(command.patterns.get("TABLE"))
    catalog = command.scope[0].lower() if command.scope else ""
    rows: list[tuple[object, ...]] = []
    for table in x.tools.catalog.information.survey(x.ctx, catalog):
        if not schema_fits(table.schema) or not table_fits(table.name):
            continue
        for column in table.columns:
            if fits(column.name):
                size, digits, radix = _measures(column.type_text)
                nullable = "true" if column.nullable else "false"
                place = column.position + 1
                head = (column.name, table.catalog, table.schema, table.name, column.type_text.upper())
                rows.append((*head, size, digits, radix, nullable, column.comment or None, place, "NO", "NO"))
    return table_outcome(_COLUMNS_OF_DRIVERS, rows)


def _measures(type_text: str) -> tuple[int | None, int | None, int | None]:
    """Size, digits behind the point and base of a type as drivers want them."""
    base = type_text.partition("(")[0].partition("<")[0]
    if base == "decimal":
        kind = parse_type(type_text)
        return kind.precision, kind.scale, 10
    number = base in {"tinyint", "smallint", "int", "bigint", "float", "double"}
    return _SIZES.get(base, 255 if base == "string" else None), 0 if number else None, 10 if number else None


def _volumes(x: Execution, command: Show) -> Outcome:
    catalog, schema = _schema_of(x, command)
    fits = matcher(command.pattern)
    found = x.tools.catalog.information.volumes(x.ctx, catalog, schema)
    rows = [(schema, row["volume_name"]) for row in found if fits(str(row["volume_name"]))]
    return table_outcome(_texts("database", "volume_name"), rows)


def _functions(x: Execution, command: Show) -> Outcome:
    """SHOW [USER | SYSTEM | ALL] FUNCTIONS; for the drivers, of a whole catalog."""
    if command.scope_kind in {"CATALOG", "ALL CATALOGS"}:
        shape = _texts("functionName", "catalogName", "namespace", "remarks", "functionType", "specificName")
        return table_outcome(shape, [])
    fits = matcher(command.pattern)
    names: list[str] = []
    if command.what in {"FUNCTIONS", "USER FUNCTIONS", "ALL FUNCTIONS"}:
        catalog, schema = _schema_of(x, command)
        names += [each.name.full_name for each in x.tools.functions.list(x.ctx, catalog, schema) if fits(each.name.name)]
    if command.what in {"SYSTEM FUNCTIONS", "ALL FUNCTIONS"} or (command.what == "FUNCTIONS" and not command.scope):
        names += [name for name in all_functions() if fits(name)]
    return table_outcome(_texts("function"), [(name,) for name in names])


def _properties(x: Execution, command: Show) -> Outcome:
    table = x.tools.catalog.tables.get(x.ctx, x.names.table(command.scope))
    rows = sorted(table.properties.items())
    if command.key:
        missing = f"Table {table.full_name} does not have property: {command.key}"
        rows = [(command.key, table.properties.get(command.key, missing))]
    return table_outcome(_texts("key", "value"), rows)


def _partitions(x: Execution, command: Show) -> Outcome:
    """Values of the partition columns that occur."""
    (found,) = x.tools.catalog.tables.resolve_many(x.ctx, [x.names.table(command.scope)])
    if found.snapshot is None or not found.snapshot.partition_columns:
        message = f"`{found.table.full_name}` has no partitions."
        raise UnsupportedFeature(message, details={"feature": "SHOW PARTITIONS of a table without partitions"})
    names = found.snapshot.partition_columns
    if protection_of(x, found):
        return _partitions_seen(x, command, names)
    values = {
        tuple(None if value is None else str(value) for value in _partition(file.partition_values, names)) for file in found.snapshot.files
    }
    rows = sorted(values, key=lambda row: tuple(("" if value is None else value) for value in row))
    from insjo.sql.binding.binder import table_provenance

    columns = [column for column in found.table.columns if column.name in names]
    return table_outcome(_texts(*names), rows, provenance=table_provenance(found, columns))


def _partitions_seen(x: Execution, command: Show, names: Sequence[str]) -> Outcome:
    """The same of a table with a row filter or masks: values in the rows that the caller sees, as the caller sees them."""
    texts = [exp.Cast(this=exp.column(name, quoted=True), to=exp.DataType.build("string", dialect="databricks")) for name in names]
    outputs = [exp.alias_(each, name, quoted=True) for each, name in zip(texts, names, strict=True)]
    order = exp.Order(expressions=[exp.Ordered(this=exp.column(name, quoted=True), nulls_first=True) for name in names])
    query = exp.Select(expressions=outputs, distinct=exp.Distinct(), from_=exp.From(this=table_node(command.scope)), order=order)
    bound = x.tools.binder.bind(x.ctx, query, x.names)
    return query_outcome(x.query(bound), bound)


def _partition(values: object, names: Iterable[str]) -> list[object]:
    folded = {str(key).lower(): value for key, value in values.items()} if isinstance(values, dict) else dict(values)  # type: ignore[call-overload]  # A mapping.
    return [folded.get(name.lower()) for name in names]


def _create_table(x: Execution, command: Show) -> Outcome:
    table = x.tools.catalog.tables.get(x.ctx, x.names.table(command.scope))
    own = table.owner == x.ctx.principal.name
    return table_outcome(_texts("createtab_stmt"), [(create_statement(table, _constraint_lines(x, table), own=own),)])


def _constraint_lines(x: Execution, table: Table) -> list[str]:
    """Keys and checks as CREATE TABLE has them; a foreign key to a table that the caller may not see is left out."""
    if not table.has_files:
        return []
    lines = [
        f"CONSTRAINT {_quoted(name)} CHECK ({condition})"
        for name, condition in checks_of(x.tools.catalog.tables.snapshot(table.id).properties).items()
    ]
    parents = x.tools.catalog.information.names_of(x.ctx, [key.parent_id for key in table.keys if key.kind == FOREIGN])
    for key in table.keys:
        columns = ", ".join(_quoted(name) for name in key.columns)
        tail = " RELY" if key.rely else ""
        if key.kind == PRIMARY:
            lines.append(f"CONSTRAINT {_quoted(key.name)} PRIMARY KEY ({columns}){tail}")
        elif key.parent_id in parents:
            pointed = f"{parents[key.parent_id]} ({', '.join(_quoted(name) for name in key.parent_columns)})"
            lines.append(f"CONSTRAINT {_quoted(key.name)} FOREIGN KEY ({columns}) REFERENCES {pointed}{tail}")
    return lines


def _nature(column: Column) -> str:
    """What stands behind the type of a column."""
    text = "" if column.nullable else " NOT NULL"
    if column.generated:
        text += f" GENERATED ALWAYS AS ({column.generated})"
    if column.default:
        text += f" DEFAULT {column.default}"
    if column.identity is not None:
        kind = "BY DEFAULT" if column.identity.explicit else "ALWAYS"
        text += f" GENERATED {kind} AS IDENTITY (START WITH {column.identity.start} INCREMENT BY {column.identity.step})"
    return text


def create_statement(table: Table, constraints: Sequence[str] = (), *, own: bool) -> str:
    """The statement that would make the table; the query of a view is for its owner."""
    lines = []
    for column in table.columns:
        parts = [f"  {_quoted(column.name)}"]
        if not table.is_view:
            parts.append(column.type_text.upper() + _nature(column))
        if column.comment:
            parts.append(f"COMMENT {_literal(column.comment)}")
        lines.append(" ".join(parts))
    lines += [f"  {each}" for each in constraints]
    kind = "VIEW" if table.is_view else "TABLE"
    text = f"CREATE {kind} {table.full_name} (\n" + ",\n".join(lines) + ")"
    if not table.is_view:
        text += "\nUSING delta"
    if table.partition_columns:
        text += f"\nPARTITIONED BY ({', '.join(_quoted(name) for name in table.partition_columns)})"
    if clustering := clustering_of(table.properties):
        text += f"\nCLUSTER BY ({', '.join(_quoted(name) for name in clustering)})"
    if table.comment:
        text += f"\nCOMMENT {_literal(table.comment)}"
    shown = {key: value for key, value in table.properties.items() if key != CLUSTERING}
    if shown:
        listed = ",\n".join(f"  {_literal(key)} = {_literal(value)}" for key, value in sorted(shown.items()))
        text += f"\nTBLPROPERTIES (\n{listed})"
    if table.is_view and own:
        text += f"\nAS {table.view_definition}"
    return text + "\n"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _principals(x: Execution, command: Show) -> Outcome:
    """SHOW USERS and SHOW GROUPS."""
    fits = matcher(command.pattern)
    found = x.tools.access.principals.list(x.ctx, "user" if command.what == "USERS" else "group")
    return table_outcome(_texts("name"), [(each.name,) for each in found.items if fits(each.name)])


def _keys(x: Execution, command: Show) -> Outcome:
    """SHOW KEYS and SHOW FOREIGN KEYS, for the drivers."""
    kind = FOREIGN if command.what.startswith("FOREIGN") else PRIMARY
    catalog = command.scope[0].lower() if command.scope else ""
    schema_fits, table_fits = matcher(command.patterns.get("SCHEMA")), matcher(command.patterns.get("TABLE"))
    rows = [
        (column, table.catalog, table.schema, table.name, at, key.name)
        for table in x.tools.catalog.information.survey(x.ctx, catalog)
        for key in table.keys
        if key.kind == kind and schema_fits(table.schema) and table_fits(table.name)
        for at, column in enumerate(key.columns, 1)
    ]
    return table_outcome([(name, "int" if name == "keySeq" else "string") for name in _KEYS_OF_DRIVERS], rows)


def _schema_of(x: Execution, command: Show) -> tuple[str, str]:
    """Catalog and schema that are listed; not found for those who may not see them."""
    catalog, schema = x.names.schema_name(command.scope)
    if schema != "information_schema":
        x.tools.catalog.schemas.get(x.ctx, f"{catalog}.{schema}")
    return catalog, schema


def _survey(x: Execution, catalog: str, schema: str) -> Sequence[Table]:
    return x.tools.catalog.information.survey(x.ctx, catalog, schema)


_SHOWERS: dict[str, Callable[[Execution, Show], Outcome]] = {
    "CATALOGS": _catalogs,
    "SCHEMAS": _schemas,
    "TABLES": _tables,
    "TABLE EXTENDED": _extended,
    "TABLES DROPPED": _dropped,
    "VIEWS": _views,
    "COLUMNS": _columns,
    "VOLUMES": _volumes,
    "FUNCTIONS": _functions,
    "USER FUNCTIONS": _functions,
    "SYSTEM FUNCTIONS": _functions,
    "ALL FUNCTIONS": _functions,
    "TBLPROPERTIES": _properties,
    "PARTITIONS": _partitions,
    "CREATE TABLE": _create_table,
    "USERS": _principals,
    "GROUPS": _principals,
    "KEYS": _keys,
    "PRIMARY KEYS": _keys,
    "FOREIGN KEYS": _keys,
}
