"""INSERT: append, overwrite, replace where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.errors import CommitConflict
from insjo.kernel.errors import InvalidArgument
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import FILE_MARK, ROW_MARK, scan
from insjo.sql.commands.changes import hit_files, kept_rows
from insjo.sql.commands.execution import Outcome, counted
from insjo.sql.commands.writing import (
    SOURCE,
    TARGET,
    as_source,
    assigned,
    discarding,
    export,
    is_default,
    positions,
    raise_label,
    refuse_volatile,
    resolve_target,
    row_count,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import DataFile, NewFile, ResolvedTable, TableName
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Insert


def insert(x: Execution, command: Insert) -> Outcome:
    """Add rows to a table, or put them in the place of others."""
    name = x.names.table(command.target)
    target = resolve_target(x, name, reads=False)
    bound = _fitted(x, command, target)
    if command.overwrite or command.replace_where is not None:
        return _replace(x, command, name, bound)
    files = export(x, bound, target.table.columns, target.table.location, target.table.partition_columns)
    with discarding(target.table.location, files):
        append(x, name, target, bound, files, "WRITE", {"mode": "Append"})
    return _counted(files, bound)


def append(
    x: Execution,
    name: TableName,
    target: ResolvedTable,
    bound: BoundQuery,
    files: Sequence[NewFile],
    operation: str,
    parameters: dict[str, str],
) -> int | None:
    """Commit new files to a table; gives the version, or None when there was nothing to commit."""
    if not files:
        return None
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        if write.table.id != target.table.id or write.snapshot.columns != target.table.columns:
            message = f"The table `{name.full_name}` was changed while the statement ran."
            raise CommitConflict(message, hint="Run the statement again.")
        raise_label(x, write.table.id, target.label, bound.provenance)
        return tables.commit(write, files, (), operation, parameters)


def _fitted(x: Execution, command: Insert, target: ResolvedTable) -> BoundQuery:
    """The query with the columns of the table, in their types."""
    tree = command.tree.copy()
    for row in tree.find_all(exp.Values):
        _replace_defaults(row)
    bound = x.tools.binder.bind(x.ctx, tree, x.names, x.parameters)
    fixed = {column: value for column, value in command.partition.items() if value is not None}
    places = positions(command.columns, bound, target.table.columns, table=target.table.full_name, by_name=command.by_name, fixed=fixed)
    query = assigned(places, target.table.columns)
    fitted = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={SOURCE: as_source(bound)})
    return fitted.resting_on(bound)


def _replace_defaults(values: exp.Values) -> None:
    """DEFAULT in VALUES is NULL: columns have no other default here."""
    for row in values.expressions:
        for value in row.expressions if isinstance(row, exp.Tuple) else [row]:
            if is_default(value):
                value.replace(exp.Null())


def _replace(x: Execution, command: Insert, name: TableName, bound: BoundQuery) -> Outcome:
    """INSERT OVERWRITE and INSERT INTO ... REPLACE WHERE: rows go and come in one commit."""
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=command.replace_where is not None)
        if write.table.id != target.table.id or write.snapshot.version != target.version:
            message = f"The table `{name.full_name}` was changed while the statement ran."
            raise CommitConflict(message, hint="Run the statement again.")
        if command.replace_where is not None:
            removes, kept, checked = _where(x, command.replace_where, target, write, bound)
        else:
            removes, kept, checked = _overwritten(command, write), [], bound
        with discarding(write.location, kept):
            files = export(x, checked, target.table.columns, write.location, target.table.partition_columns)
        with discarding(write.location, [*files, *kept]):
            raise_label(x, write.table.id, target.label, bound.provenance)
            mode = "Overwrite"
            tables.commit(write, [*files, *kept], removes, "WRITE", {"mode": mode}, blind=False)
    return _counted(files, bound)


def _overwritten(command: Insert, write: TableWrite) -> Sequence[DataFile]:
    """The files that INSERT OVERWRITE replaces: all, or those of the partition that it names."""
    fixed = {column.lower(): value for column, value in command.partition.items() if value is not None}
    if not fixed:
        return write.snapshot.files
    partitions = {name.lower() for name in write.snapshot.partition_columns}
    if set(fixed) - partitions:
        message = f"`{min(set(fixed) - partitions)}` is not a partition column."
        raise InvalidArgument(message)
    wanted: dict[str, str] = {}
    for column, value in fixed.items():
        if not isinstance(value, exp.Literal):
            message = "The value of a partition must be a constant here."
            raise InvalidArgument(message)
        wanted[column] = str(value.this)

    def belongs(file: DataFile) -> bool:
        values = {key.lower(): value for key, value in file.partition_values.items()}
        return all(values.get(column) is not None and str(values[column]) == value for column, value in wanted.items())

    return [file for file in write.snapshot.files if belongs(file)]


def _where(
    x: Execution,
    condition: exp.Expr,
    target: ResolvedTable,
    write: TableWrite,
    bound: BoundQuery,
) -> tuple[Sequence[DataFile], list[NewFile], BoundQuery]:
    """Files with rows that go, new files with what stays of them, and the new rows behind a check that they fit the condition."""
    refuse_volatile(condition, "REPLACE WHERE")
    columns = target.table.columns
    hits = hit_files(x, target, condition, "t", write.snapshot.files)
    removes = [file for file in write.snapshot.files if file.path in hits]
    kept: list[NewFile] = []
    if removes:
        marked = scan(target.table.full_name, write.snapshot, columns, files=removes, marks=True)
        shape = {column.name: column.type_text for column in columns} | {FILE_MARK: "string", ROW_MARK: "bigint"}
        query = kept_rows(columns, condition, "t")
        rest = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={TARGET: Given(marked, shape)})
        kept = export(x, rest, columns, write.location, target.table.partition_columns)
    given = {SOURCE: Given(bound.sql, {column.name: column.type_text for column in columns})}
    outside = exp.Select(
        expressions=[exp.alias_(exp.Anonymous(this="count", expressions=[exp.Star()]), "n")],
        from_=exp.From(this=exp.Table(this=exp.to_identifier(SOURCE), alias=exp.TableAlias(this=exp.to_identifier("t")))),
        where=exp.Where(this=exp.Not(this=exp.Anonymous(this="coalesce", expressions=[condition.copy(), exp.Boolean(this=False)]))),
    )
    with discarding(write.location, kept):
        check = x.tools.binder.bind(x.ctx, outside, x.names, x.parameters, given=given)
        if any(int(str(row["n"])) for row in x.rows(check.sql, {**bound.tables, **check.tables})):
            message = "Some of the new rows do not fulfil the condition of `REPLACE WHERE`."
            raise InvalidArgument(message)
    return removes, kept, bound


def _counted(files: Sequence[NewFile], bound: BoundQuery) -> Outcome:
    rows = row_count(files)
    return counted(provenance=bound.provenance, hidden=bound.hidden, num_affected_rows=rows, num_inserted_rows=rows)
