"""CREATE TABLE and what changes a table as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.access.errors import TableNotFound
from insjo.catalog.errors import ColumnAlreadyExists, WrongTableType
from insjo.catalog.types import Column, Identity
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.commands import constraints, traces
from insjo.sql.commands.computing import bind_source
from insjo.sql.commands.execution import Outcome, counted, nothing
from insjo.sql.commands.writing import as_source, assigned, discarding, export, row_count
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy as sa

    from insjo.catalog.types import TableName
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.definitions import ColumnDefinition
    from insjo.sql.parsing.nodes import AddColumns, AlterProperties, CreateTable, NamePath

    Guard = Callable[[Sequence[Column]], Callable[[str, sa.Connection | None], None]]


_SOURCE = "__insjo_source"

CLUSTERING = "clusteringColumns"
"""Property that tells by which columns a table is clustered, written as Databricks does."""


def create_table(x: Execution, command: CreateTable, guard: Guard | None = None) -> Outcome:
    """CREATE TABLE with columns, LIKE another table, or AS a query; `guard` gives for its columns what sets its filter and masks."""
    name = x.names.table(command.name)
    if command.clone is not None:
        return _from_query(x, _with_nature(x, command), name, like=command.clone)
    if command.tree is not None:
        return _from_query(x, command, name, guard=guard)
    columns = tuple(column_of(each, at) for at, each in enumerate(command.columns))
    if command.like is not None:
        like = x.tools.catalog.tables.get(x.ctx, x.names.table(command.like))
        columns = like.columns
    if command.location and guard:
        message = "`CREATE TABLE ... LOCATION` with a row filter or a mask is not supported."
        raise UnsupportedFeature(
            message, hint="Set them with `ALTER TABLE`.", details={"feature": "CREATE TABLE ... LOCATION with a filter"}
        )
    if command.location:
        return _in_volume(x, command, name, columns)
    if not columns:
        message = "A table needs at least one column."
        raise InvalidArgument(message, hint="`CREATE TABLE t (id INT, name STRING)`, or `CREATE TABLE t AS SELECT ...`.")
    if command.if_not_exists and _exists(x, name):
        return nothing()
    checks, keys = constraints.of_new_table(x, name, columns, command.constraints)
    columns = constraints.with_key_columns(columns, keys)
    x.tools.catalog.tables.create(
        x.ctx,
        name,
        columns,
        comment=command.comment,
        properties={**command.properties, **clustering_property(columns, command.clustering)},
        partition_columns=command.partition_columns,
        if_not_exists=command.if_not_exists,
        replace=command.or_replace,
        checks=checks,
        keys=keys,
        protect=guard(columns) if guard else None,
    )
    return nothing()


def _in_volume(x: Execution, command: CreateTable, name: TableName, columns: tuple[Column, ...]) -> Outcome:
    """CREATE TABLE ... LOCATION: a table over a directory of a volume."""
    if command.or_replace or command.constraints or command.properties or any(each.is_computed or each.default for each in columns):
        message = "`CREATE TABLE ... LOCATION` takes plain columns only."
        raise UnsupportedFeature(message, details={"feature": "CREATE TABLE ... LOCATION with more than columns"})
    x.tools.catalog.tables.create_external(
        x.ctx,
        name,
        command.location,
        columns,
        comment=command.comment,
        partition_columns=command.partition_columns,
        if_not_exists=command.if_not_exists,
    )
    return nothing()


def column_of(definition: ColumnDefinition, position: int) -> Column:
    """Column of the catalog from its definition; the type is put into its one form."""
    kind = parse_type(definition.type_text).text
    counter = definition.counter
    identity = Identity(counter.start, counter.step, counter.explicit) if counter is not None else None
    if identity is not None and kind != "bigint":
        message = f"The identity column `{definition.name}` must be a BIGINT."
        raise InvalidArgument(message)
    nullable = definition.nullable and identity is None
    return Column(
        definition.name,
        kind,
        nullable,
        definition.comment,
        position,
        default=definition.default,
        generated=definition.generated,
        identity=identity,
    )


def clustering_property(columns: Sequence[Column], names: Sequence[str]) -> dict[str, str]:
    """The property under which a table keeps the columns by which `OPTIMIZE` sorts it."""
    if not names:
        return {}
    return {CLUSTERING: json.dumps([[name] for name in _partitioning(columns, names)])}


def clustering_of(properties: Mapping[str, str]) -> list[str]:
    """Columns by which a table is sorted."""
    try:
        return [str(each[0]) for each in json.loads(properties.get(CLUSTERING, "[]"))]
    except (ValueError, TypeError, IndexError, KeyError):
        return []  # Somebody set the property by hand to something else; it only is a hint.


def _with_nature(x: Execution, command: CreateTable) -> CreateTable:
    """A clone that has what the other table has beside its rows."""
    assert command.clone is not None  # noqa: S101  # The caller looked.
    source = x.tools.catalog.tables.get(x.ctx, x.names.table(command.clone))
    if not source.has_files:
        message = f"`{source.full_name}` is a {source.table_type.lower()} and cannot be cloned."
        raise WrongTableType(message, hint="Use `CREATE TABLE ... AS SELECT * FROM ...`.")
    properties = {**source.properties, **command.properties}
    return replace(command, comment=source.comment, properties=properties, partition_columns=source.partition_columns)


def _natures(x: Execution, columns: tuple[Column, ...], like: NamePath) -> tuple[Column, ...]:
    """Columns that may be NULL and are commented as in the other table."""
    known = {column.name.lower(): column for column in x.tools.catalog.tables.get(x.ctx, x.names.table(like)).columns}
    same = [known.get(column.name.lower(), column) for column in columns]
    return tuple(replace(each, name=column.name, position=at) for at, (column, each) in enumerate(zip(columns, same, strict=True)))


def _from_query(x: Execution, command: CreateTable, name: TableName, like: NamePath | None = None, guard: Guard | None = None) -> Outcome:
    """CREATE TABLE AS: the table appears together with its rows, or not at all."""
    tables = x.tools.catalog.tables
    if command.if_not_exists and _exists(x, name):
        return counted(num_affected_rows=0, num_inserted_rows=0)
    assert command.tree is not None  # noqa: S101  # The caller looked.
    bound = bind_source(x, command.tree)
    columns = tuple(Column(each, _storable(each, kind), position=at) for at, (each, kind) in enumerate(bound.columns))
    columns = _natures(x, columns, like) if like else columns
    checks, keys = constraints.of_clone(x, like) if like else constraints.of_new_table(x, name, columns, command.constraints)
    protect = guard(columns) if guard else None
    plain = [replace(column, generated="", identity=None) for column in columns]
    query = assigned({column.name.lower(): at for at, column in enumerate(columns)}, plain)
    fitted = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={_SOURCE: as_source(bound)}).resting_on(bound)
    with tables.stage(x.ctx, name, replace=command.or_replace) as staged:
        files = export(x, fitted, columns, staged.location, _partitioning(columns, command.partition_columns))
        with discarding(staged.location, files):
            made = tables.create(
                x.ctx,
                name,
                columns,
                comment=command.comment,
                properties={**command.properties, **clustering_property(columns, command.clustering)},
                partition_columns=command.partition_columns,
                replace=command.or_replace,
                staged=staged,
                adds=files,
                label=bound.provenance.label if bound.provenance.origins else None,
                checks=checks,
                keys=keys,
                protect=protect,
            )
    names = [column.name for column in columns]
    traces.record(x, made.id, bound, traces.in_order(bound, names), "CREATE TABLE AS SELECT", replaces=command.or_replace)
    size = sum(each.size_bytes for each in files)
    rows = row_count(files)
    if like:
        return counted(provenance=bound.provenance, hidden=bound.hidden, num_copied_files=len(files), copied_files_size=size)
    return counted(provenance=bound.provenance, hidden=bound.hidden, num_affected_rows=rows, num_inserted_rows=rows)


def _exists(x: Execution, name: TableName) -> bool:
    """Whether the caller sees a table of that name."""
    try:
        x.tools.catalog.tables.get(x.ctx, name)
    except TableNotFound:
        return False
    return True


def _storable(name: str, kind: str) -> str:
    """Type of a column that a query gives, if a table can hold it."""
    if kind == "void":
        message = f"The column `{name}` is always NULL and has no type."
        raise InvalidArgument(message, hint=f"Write for example `CAST(NULL AS STRING) AS {name}`.")
    return kind


def _partitioning(columns: Sequence[Column], names: Sequence[str]) -> tuple[str, ...]:
    """Partition columns as the table spells them."""
    known = {column.name.lower(): column.name for column in columns}
    for name in names:
        if name.lower() not in known:
            message = f"The partition column `{name}` is not a column of the table."
            raise InvalidArgument(message, hint=did_you_mean(name, known.values()))
    return tuple(known[name.lower()] for name in names)


def add_columns(x: Execution, command: AddColumns) -> Outcome:
    """ALTER TABLE ADD COLUMNS, at the end or at a place."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    present = {column.name.lower() for column in tables.get(x.ctx, name).columns}
    placed = [each for each in command.columns if not (command.if_not_exists and each.column.name.lower() in present)]
    added = [column_of(each.column, 0) for each in placed]
    if any(column.default or column.generated or column.identity is not None for column in added):
        message = "`ADD COLUMNS` takes no `DEFAULT` and no `GENERATED`: the rows that are there would have no value."
        raise UnsupportedFeature(
            message, hint="Add the column, then `ALTER COLUMN ... SET DEFAULT`.", details={"feature": "ADD COLUMNS ... DEFAULT"}
        )
    if not added:
        return nothing()
    if all(each.after is None for each in placed):
        tables.add_columns(x.ctx, name, added)
        return nothing()
    with tables.begin_write(x.ctx, name) as write:
        order = list(write.snapshot.columns)
        for each, column in zip(placed, added, strict=True):
            if column.name.lower() in {present.name.lower() for present in order}:
                message = f"The table `{name.full_name}` has a column `{column.name}` already."
                raise ColumnAlreadyExists(message)
            if not column.nullable and write.snapshot.files:
                message = f"The new column `{column.name}` cannot be NOT NULL: the rows that are there have no value for it."
                raise InvalidArgument(message)
            order.insert(len(order) if each.after is None else _place_after(order, each.after), column)
        names = ",".join(column.name for column in added)
        tables.commit(write, operation="ADD COLUMNS", parameters={"columns": names}, new_columns=order)
    return nothing()


def _place_after(order: Sequence[Column], after: str) -> int:
    """Position behind a column; the first one for an empty name."""
    if not after:
        return 0
    for at, column in enumerate(order):
        if column.name.lower() == after.lower():
            return at + 1
    message = f"The table has no column `{after}`."
    raise InvalidArgument(message, hint=did_you_mean(after, (column.name for column in order)))


def alter_properties(x: Execution, command: AlterProperties) -> Outcome:
    """SET and UNSET TBLPROPERTIES."""
    if command.kind not in {"TABLE", "VIEW"}:
        return _alter_other_properties(x, command)
    name = x.names.table(command.name)
    try:
        table = x.tools.catalog.tables.get(x.ctx, name)
    except TableNotFound:
        if command.if_exists:
            return nothing()
        raise
    properties = {**table.properties, **{key: value for key, value in command.changes.items() if value is not None}}
    for key, value in command.changes.items():
        if value is None:
            properties.pop(key, None)
    comment = properties.pop("comment", None)
    x.tools.catalog.tables.update(x.ctx, name, properties=properties, comment=comment)
    return nothing()


def _alter_other_properties(x: Execution, command: AlterProperties) -> Outcome:
    """Properties of a schema or a catalog."""
    changes = {key: value for key, value in command.changes.items() if value is not None}
    if command.kind == "SCHEMA":
        full_name = ".".join(x.names.schema_name(command.name))
        schema = x.tools.catalog.schemas.get(x.ctx, full_name)
        x.tools.catalog.schemas.update(x.ctx, full_name, properties={**schema.properties, **changes})
        return nothing()
    if command.kind == "CATALOG":
        catalog = x.tools.catalog.catalogs.get(x.ctx, command.name[0])
        x.tools.catalog.catalogs.update(x.ctx, command.name[0], properties={**catalog.properties, **changes})
        return nothing()
    message = f"`ALTER {command.kind} SET PROPERTIES` is not supported."
    raise UnsupportedFeature(message, details={"feature": f"ALTER {command.kind} SET PROPERTIES"})
