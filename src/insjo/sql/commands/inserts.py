"""INSERT: append, overwrite, replace where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from insjo.catalog.errors import CommitConflict
from insjo.catalog.types import Column
from insjo.kernel.errors import InvalidArgument
from insjo.sql.binding.bound import Given
from insjo.sql.commands import feed, traces
from insjo.sql.commands.changes import bind_target, hit_files, kept_rows, staged_files
from insjo.sql.commands.computing import bind_source
from insjo.sql.commands.execution import Outcome, counted
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.protected import applied, bind_hits, marked, rewritten
from insjo.sql.commands.rules import counted_up, default_of
from insjo.sql.commands.writing import (
    SOURCE,
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
    source_table,
)
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import DataFile, NewFile, ResolvedTable, TableName
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Insert


_REPLACING = "__insjo_replacing"

Removal: TypeAlias = "tuple[Sequence[DataFile], list[NewFile], list[NewFile]]"
"""Files with rows that go, new files with what stays of them, and files that tell which rows went if the table tells its changes."""


@dataclass(frozen=True, slots=True)
class _Matching:
    """What the rows of a table are compared with by `REPLACE ON`, and what the condition calls the table."""

    alias: str
    source: BoundQuery


def insert(x: Execution, command: Insert) -> Outcome:
    """Add rows to a table, or put them in the place of others."""
    name = x.names.table(command.target)
    target = resolve_target(x, name, reads=False)
    if command.evolves or any(column.identity is not None for column in target.table.columns):
        with x.tools.catalog.tables.begin_write(x.ctx, name) as write:
            target = resolve_target(x, name, reads=False)
            return _alone(x, command, name, target, write)
    fitted = _fitted(x, command, target)
    if command.overwrite or command.replaces:
        with x.tools.catalog.tables.begin_write(x.ctx, name) as write:
            return _replace(x, command, name, fitted, write)
    properties = _properties(target)
    files = export(x, fitted.bound, target.table.columns, target.table.location, target.table.partition_columns, properties=properties)
    with discarding(target.table.location, files):
        append(x, name, target, fitted.bound, files, "WRITE", {"mode": "Append"})
    return _counted(x, target, files, fitted)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The rows that come, with all columns that the table will have, and those whose values the statement gives."""

    bound: BoundQuery
    columns: Sequence[Column]
    given: frozenset[str]
    source: BoundQuery
    places: Mapping[str, int | exp.Expr]


def _properties(target: ResolvedTable) -> Mapping[str, str]:
    return target.snapshot.properties if target.snapshot is not None else {}


def _alone(x: Execution, command: Insert, name: TableName, target: ResolvedTable, write: TableWrite) -> Outcome:
    """An INSERT that also changes the columns or their counters, so that no other writer may come between."""
    fitted = _fitted(x, command, target)
    if command.overwrite or command.replaces:
        return _replace(x, command, name, fitted, write)
    files = export(x, fitted.bound, fitted.columns, write.location, target.table.partition_columns, properties=_properties(target))
    with discarding(write.location, files):
        if files:
            raise_label(x, write.table.id, target.label, fitted.bound.provenance)
            new = _after(fitted, target, files)
            x.tools.catalog.tables.commit(write, files, (), "WRITE", {"mode": "Append"}, new_columns=new, blind=False)
    return _counted(x, target, files, fitted)


def _after(fitted: _Fitted, target: ResolvedTable, files: Sequence[NewFile]) -> Sequence[Column] | None:
    """The columns after the statement, or None when they stay."""
    counted = counted_up(fitted.columns, fitted.given, row_count(files))
    if counted is not None:
        return counted
    return fitted.columns if len(fitted.columns) != len(target.table.columns) else None


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


def _fitted(x: Execution, command: Insert, target: ResolvedTable) -> _Fitted:
    """The query with the columns of the table, in their types."""
    tree = command.tree.copy()
    fixed = {column: value for column, value in command.partition.items() if value is not None}
    columns = target.table.columns
    left_out = _put_defaults(tree, command, columns, {name.lower() for name in fixed})
    bound = bind_source(x, tree)
    if command.evolves:
        columns = evolved(columns, bound, by_name=command.by_name, listed=command.columns)
    places = positions(command.columns, bound, columns, table=target.table.full_name, by_name=command.by_name, fixed=fixed)
    places = {name: place for name, place in places.items() if name not in left_out}
    query = assigned(places, columns)
    fitted = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={SOURCE: as_source(bound)})
    return _Fitted(fitted.resting_on(bound), columns, frozenset(places), bound, places)


def evolved(
    columns: Sequence[Column], bound: BoundQuery, *, by_name: bool, listed: Sequence[str] | None = None, among: frozenset[str] = frozenset()
) -> tuple[Column, ...]:
    """The columns of a table with those that a query gives besides, at the end.

    Args:
        columns: Those that are there.
        bound: The query.
        by_name: New columns are those with new names; otherwise those behind the last one.
        listed: The list after the table, whose new names become columns.
        among: When not empty, only these names may become columns.
    """
    known = {column.name.lower() for column in columns}
    found = list(columns)
    outputs = list(zip(listed, (kind for _, kind in bound.columns), strict=False)) if listed is not None else list(bound.columns)
    if not by_name and listed is None:
        outputs = outputs[len(columns) :]
    for name, kind in outputs:
        if name.lower() in known or (among and name.lower() not in among):
            continue
        if kind == "void":
            message = f"The new column `{name}` is always NULL and has no type."
            raise InvalidArgument(message, hint=f"Write for example `CAST(NULL AS STRING) AS {name}`.")
        found.append(Column(name, kind, position=len(found)))
        known.add(name.lower())
    return tuple(found)


def _put_defaults(tree: exp.Expr, command: Insert, columns: Sequence[Column], fixed: set[str]) -> set[str]:
    """Put the default of its column in the place of each DEFAULT in VALUES; gives columns that the table computes for every row."""
    order = [name.lower() for name in command.columns or ()] or [each.name.lower() for each in columns if each.name.lower() not in fixed]
    by_name = {column.name.lower(): column for column in columns}
    computed: dict[str, int] = {}
    for values in tree.find_all(exp.Values):
        for row in values.expressions:
            for at, value in enumerate(list(row.expressions) if isinstance(row, exp.Tuple) else [row]):
                if not is_default(value):
                    continue
                column = by_name.get(order[at]) if at < len(order) else None
                if column is not None and (column.identity is not None or column.generated):
                    computed[order[at]] = computed.get(order[at], 0) + 1
                value.replace(default_of(column) if column is not None else exp.Null())
        for name, times in computed.items():
            if times != len(values.expressions):
                message = f"`DEFAULT` for the column `{name}` in some rows only is not supported."
                raise UnsupportedFeature(message, hint="Insert those rows by a statement of their own.", details={"feature": "DEFAULT"})
    return set(computed)


def _replace(x: Execution, command: Insert, name: TableName, fitted: _Fitted, write: TableWrite) -> Outcome:
    """INSERT OVERWRITE and INSERT INTO ... REPLACE: rows go and come in one commit."""
    tables, bound = x.tools.catalog.tables, fitted.bound
    target = resolve_target(x, name, reads=command.replaces)
    if write.table.id != target.table.id or write.snapshot.version != target.version:
        message = f"The table `{name.full_name}` was changed while the statement ran."
        raise CommitConflict(message, hint="Run the statement again.")
    told: Sequence[NewFile] = ()
    if command.replace_where is not None:
        removes, kept, told = _where(x, command.replace_where, target, write, bound)
    elif command.matches:
        # `USING` names columns of the table; the condition of `ON` names those of the query as it is written.
        removes, kept, told = _matched(x, command, target, write, fitted.bound if command.replace_using else fitted.source)
    elif protection_of(x, target).hides_rows:
        removes, kept, told = _removed(x, exp.Boolean(this=True), target, write, _overwritten(command, write))
    else:
        removes, kept = _overwritten(command, write), []
    properties = _properties(target)
    with discarding(write.location, [*kept, *told]):
        files = export(x, bound, fitted.columns, write.location, target.table.partition_columns, properties=properties)
        if told:
            # Once a version tells its changes by files, it tells all of them so.
            told = [*told, *feed.record(x, target, write, fitted.columns, feed.Changed(inserted=files))]
    with discarding(write.location, [*files, *kept, *told]):
        raise_label(x, write.table.id, target.label, bound.provenance)
        new = _after(fitted, target, files)
        tables.commit(write, [*files, *kept], removes, "WRITE", {"mode": "Overwrite"}, new_columns=new, blind=False, changes=told)
    return _counted(x, target, files, fitted)


def _overwritten(command: Insert, write: TableWrite) -> Sequence[DataFile]:
    """The files that INSERT OVERWRITE replaces: all, or those of the partition that it names."""
    fixed = {column.lower(): value for column, value in command.partition.items() if value is not None}
    if not fixed:
        return write.snapshot.files  # Also with `PARTITION (p)`: partitions are overwritten as a whole table is (the static mode).
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
) -> Removal:
    """Files with rows that go; the new rows are checked to fit the condition."""
    refuse_volatile(condition, "REPLACE WHERE")
    columns = target.table.columns
    removes, kept, told = _removed(x, condition, target, write, write.snapshot.files)
    given = {SOURCE: Given(bound.sql, {column.name: column.type_text for column in columns})}
    outside = exp.Select(
        expressions=[exp.alias_(exp.Anonymous(this="count", expressions=[exp.Star()]), "n")],
        from_=exp.From(this=exp.Table(this=exp.to_identifier(SOURCE), alias=exp.TableAlias(this=exp.to_identifier("t")))),
        where=exp.Where(this=exp.Not(this=exp.Anonymous(this="coalesce", expressions=[condition.copy(), exp.Boolean(this=False)]))),
    )
    with discarding(write.location, [*kept, *told]):
        check = x.tools.binder.bind(x.ctx, outside, x.names, x.parameters, given=given)
        if any(int(str(row["n"])) for row in x.rows(check.sql, {**bound.tables, **check.tables})):
            message = "Some of the new rows do not fulfil the condition of `REPLACE WHERE`."
            raise InvalidArgument(message)
    return removes, kept, told


def _removed(
    x: Execution,
    condition: exp.Expr,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[DataFile],
    matching: _Matching | None = None,
) -> Removal:
    """Those of the files with rows for which a condition holds, and what takes their place."""
    alias = matching.alias if matching else "t"
    more = {_REPLACING: Given(matching.source.sql, dict(matching.source.columns))} if matching else {}
    columns = target.table.columns
    if feed.is_fed(write):
        return _removed_fed(x, condition, target, write, files, matching)
    hits = hit_files(x, target, condition, alias, files, more, matching.source.tables if matching else None)
    removes = [file for file in files if file.path in hits]
    if not removes:
        return removes, [], []
    if protection_of(x, target):
        rest = rewritten(x, target, write, removes, condition, {}, alias, more)
    else:
        rest = bind_target(x, kept_rows(columns, condition, alias), target, write, removes, more)
    rest = rest.resting_on(matching.source) if matching else rest
    return removes, export(x, rest, columns, write.location, target.table.partition_columns), []


def _removed_fed(
    x: Execution,
    condition: exp.Expr,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[DataFile],
    matching: _Matching | None,
) -> Removal:
    """The same for a table that tells its changes: also files that tell which rows went."""
    alias = matching.alias if matching else "t"
    more = {_REPLACING: Given(matching.source.sql, dict(matching.source.columns))} if matching else {}
    bound = bind_hits(x, target, write, files, condition, {}, alias, more)
    bound = bound.resting_on(matching.source) if matching else bound
    columns = target.table.columns
    with feed.staged(x, bound, write) as staged:
        hits = staged_files(x, staged)
        removes = [file for file in files if file.path in hits]
        if not removes:
            return removes, [], []
        rest = applied(x, target, write, removes, {}, staged).resting_on(bound)
        kept = export(x, rest, columns, write.location, target.table.partition_columns)
        with discarding(write.location, kept):
            changed = feed.Changed(staged, marked(target, write, removes, raw=True))
            return removes, kept, feed.record(x, target, write, columns, changed)


def _matched(x: Execution, command: Insert, target: ResolvedTable, write: TableWrite, source: BoundQuery) -> Removal:
    """REPLACE ON and REPLACE USING: rows go that match a row of the query.

    Which rows match is asked of what the caller sees, so that nobody finds out what is hidden by replacing it.
    """
    refuse_volatile(command.tree, "REPLACE ON")
    alias, other = command.alias or target.table.name, command.source_alias or "__insjo_new"
    condition = command.replace_on
    for name in command.replace_using:
        same = exp.EQ(this=exp.column(name, table=alias, quoted=True), expression=exp.column(name, table=other, quoted=True))
        condition = same if condition is None else exp.And(this=condition, expression=same)
    inner = exp.Select(
        expressions=[exp.Literal.number(1)],
        from_=exp.From(this=source_table(other, _REPLACING)),
        where=exp.Where(this=condition),
    )
    return _removed(x, exp.Exists(this=inner), target, write, write.snapshot.files, _Matching(alias, source))


def _counted(x: Execution, target: ResolvedTable, files: Sequence[NewFile], fitted: _Fitted) -> Outcome:
    """How many rows came, and from where."""
    rows, bound = row_count(files), fitted.bound
    if rows:
        places = {name: place for name, place in fitted.places.items() if isinstance(place, int)}
        traces.record(x, target.table.id, fitted.source, traces.by_position(fitted.source, places), "INSERT")
    return counted(provenance=bound.provenance, hidden=bound.hidden, num_affected_rows=rows, num_inserted_rows=rows)
