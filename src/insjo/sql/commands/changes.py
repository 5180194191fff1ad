"""UPDATE, DELETE and TRUNCATE: only files with rows that change are written again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import join_all
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding.binder import table_provenance
from insjo.sql.binding.bound import Given
from insjo.sql.binding.pruning import conditions, prune
from insjo.sql.binding.references import Reference
from insjo.sql.binding.scan import FILE_MARK, ROW_MARK, scan
from insjo.sql.commands import feed
from insjo.sql.commands.execution import Outcome, counted, nothing
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.protected import applied, bind_hits, marked, new_values, rewritten, unmasked
from insjo.sql.commands.rules import default_of, recomputed
from insjo.sql.commands.writing import (
    TARGET,
    cast,
    discarding,
    export,
    is_default,
    raise_label,
    refuse_volatile,
    resolve_target,
    source_table,
)
from insjo.sql.errors import UnresolvedColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column, DataFile, ResolvedTable
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import Delete, Truncate, Update

_HIT = "__insjo_hit"


def path_of(node: exp.Expr, place: str) -> tuple[tuple[str, ...], str]:
    """Name and alias of the table that a statement changes."""
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        message = f"`{place}` changes a table, and this is none."
        raise InvalidArgument(message)
    if node.args.get("version") is not None:
        message = f"`{place}` changes a table as it is now, not an older version."
        raise InvalidArgument(message)
    parts = tuple(part.name for part in node.parts)
    return parts, node.alias or parts[-1]


def localised(tree: exp.Expr, path: tuple[str, ...], alias: str) -> None:
    """Let columns that are written with the table's full name use its alias."""
    written = tuple(part.lower() for part in path)
    for column in tree.find_all(exp.Column):
        if not column.args.get("db"):
            continue
        parts = tuple(part.lower() for part in (column.catalog, column.db, column.table) if part)
        if written[-len(parts) :] == parts and alias.lower() == written[-1]:
            column.set("table", exp.to_identifier(alias, quoted=True))
            column.set("db", None)
            column.set("catalog", None)


def delete(x: Execution, command: Delete) -> Outcome:
    """Remove the rows for which the condition holds."""
    tree = command.tree.copy()
    path, alias = path_of(tree.this, "DELETE")
    localised(tree, path, alias)
    where = tree.args.get("where")
    condition = where.this if where is not None else None
    if condition is None:
        return _remove_all(x, path, "DELETE")
    refuse_volatile(condition, "DELETE")
    return _rewrite(x, path, alias, condition, {}, "DELETE")


def truncate(x: Execution, command: Truncate) -> Outcome:
    """Remove all rows."""
    _remove_all(x, command.target, "TRUNCATE")
    return nothing()


def update(x: Execution, command: Update) -> Outcome:
    """Change columns of the rows for which the condition holds."""
    tree = command.tree.copy()
    path, alias = path_of(tree.this, "UPDATE")
    localised(tree, path, alias)
    where = tree.args.get("where")
    condition = where.this if where is not None else exp.Boolean(this=True)
    refuse_volatile(condition, "UPDATE")
    changes: dict[str, exp.Expr] = {}
    for each in tree.expressions:
        if not isinstance(each, exp.EQ) or not isinstance(each.this, exp.Column):
            message = "An `UPDATE` sets columns: `SET a = 1, b = 2`."
            raise InvalidArgument(message)
        name = each.this.name
        if each.this.table and each.this.table.lower() not in {alias.lower(), path[-1].lower()}:
            message = f"`UPDATE` sets whole columns; a part of the column `{each.this.table}` cannot be set alone."
            raise InvalidArgument(message, hint="Set the whole struct with `named_struct`.")
        if name.lower() in changes:
            message = f"The column `{name}` is set twice."
            raise InvalidArgument(message)
        changes[name.lower()] = each.expression
    return _rewrite(x, path, alias, condition, changes, "UPDATE")


def _remove_all(x: Execution, path: tuple[str, ...], operation: str) -> Outcome:
    """Remove every file; the rows are counted from the log."""
    name = x.names.table(path)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=operation == "DELETE")
        hides = protection_of(x, target).hides_rows
        rows = write.snapshot.rows or 0
        if write.snapshot.files and not hides:
            tables.commit(write, (), write.snapshot.files, operation, {"predicate": "[]"}, blind=False)
    if hides:
        return _rewrite(x, path, path[-1], exp.Boolean(this=True), {}, operation)
    return counted(provenance=table_provenance(target, ()), num_affected_rows=rows)


def _rewrite(
    x: Execution,
    path: tuple[str, ...],
    alias: str,
    condition: exp.Expr,
    changes: Mapping[str, exp.Expr],
    operation: str,
) -> Outcome:
    """UPDATE (with changes) and DELETE (without)."""
    name = x.names.table(path)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        target = resolve_target(x, name, reads=True)
        columns = target.table.columns
        _check_columns(target, changes)
        changes = _with_computed(changes, columns, alias)
        protection = protection_of(x, target)
        candidates = candidate_files(condition, alias, unmasked(protection, columns), write.snapshot.files)
        if feed.is_fed(write):
            return _rewrite_fed(x, target, write, candidates, Change(condition, alias, changes, operation))
        hits = hit_files(x, target, condition, alias, candidates)
        provenance = table_provenance(target, columns)
        if not hits:
            return counted(provenance=provenance, num_affected_rows=0)
        touched = [file for file in write.snapshot.files if file.path in hits]
        if protection:
            bound = rewritten(x, target, write, touched, condition, changes, alias)
        else:
            query = changed_rows(columns, condition, changes, alias) if changes else kept_rows(columns, condition, alias)
            bound = bind_target(x, query, target, write, touched)
        files = export(x, bound, columns, write.location, target.table.partition_columns, properties=write.snapshot.properties)
        with discarding(write.location, files):
            _raise_column_labels(x, target, changes)
            raise_label(x, write.table.id, target.label, bound.provenance)
            predicate = condition.sql(dialect="databricks")[:1000]
            tables.commit(write, files, touched, operation, {"predicate": predicate}, blind=False)
    return counted(provenance=provenance.join(bound.provenance), hidden=bound.hidden, num_affected_rows=sum(hits.values()))


@dataclass(frozen=True, slots=True)
class Change:
    """An UPDATE, or a DELETE when it sets nothing."""

    condition: exp.Expr
    alias: str
    sets: Mapping[str, exp.Expr]
    operation: str


def _rewrite_fed(x: Execution, target: ResolvedTable, write: TableWrite, candidates: Sequence[DataFile], change: Change) -> Outcome:
    """UPDATE and DELETE of a table that tells its changes."""
    columns = target.table.columns
    bound = bind_hits(x, target, write, candidates, change.condition, change.sets, change.alias)
    provenance = table_provenance(target, columns).join(bound.provenance)
    with feed.staged(x, bound, write) as staged:
        hits = staged_files(x, staged)
        touched = [file for file in write.snapshot.files if file.path in hits]
        if touched:
            rest = applied(x, target, write, touched, change.sets, staged).resting_on(bound)
            values = new_values(columns, change.sets) if change.sets else {}
            changed = feed.Changed(staged, marked(target, write, touched, raw=True), values)
            files = export(x, rest, columns, write.location, target.table.partition_columns, properties=write.snapshot.properties)
            with discarding(write.location, files), feed.recorded(x, target, write, columns, changed) as told:
                _raise_column_labels(x, target, change.sets)
                raise_label(x, write.table.id, target.label, bound.provenance)
                predicate = {"predicate": change.condition.sql(dialect="databricks")[:1000]}
                x.tools.catalog.tables.commit(write, files, touched, change.operation, predicate, blind=False, changes=told)
    return counted(provenance=provenance, hidden=bound.hidden, num_affected_rows=sum(hits.values()))


def staged_files(x: Execution, staged: Given) -> dict[str, int]:
    """Files with rows that are staged, and how many."""
    sql = f'SELECT "f" AS file, count(*) AS hits FROM ({staged.sql}) GROUP BY ALL'  # noqa: S608  # Written here.
    return {str(row["file"]): int(str(row["hits"])) for row in x.rows(sql)}


def _with_computed(changes: Mapping[str, exp.Expr], columns: Sequence[Column], alias: str) -> Mapping[str, exp.Expr]:
    """The changes with defaults in place of the word DEFAULT, and with the columns that are computed from those that are set."""
    by_name = {column.name.lower(): column for column in columns}
    given = {name: value for name, value in changes.items() if not (is_default(value) and by_name[name].generated)}
    named = {name: default_of(by_name[name]) if is_default(value) else value for name, value in given.items()}
    return recomputed(named, columns, alias) if named else changes


def _check_columns(target: ResolvedTable, changes: Mapping[str, exp.Expr]) -> None:
    """Every column that is set exists."""
    known = [column.name for column in target.table.columns]
    for name in changes:
        if name not in {each.lower() for each in known}:
            message = f"The table `{target.table.full_name}` has no column `{name}`."
            raise UnresolvedColumn(message, hint=did_you_mean(name, known))


def candidate_files(condition: exp.Expr, alias: str, columns: Sequence[Column], files: Sequence[DataFile]) -> Sequence[DataFile]:
    """Files that may hold a row for which the condition holds."""
    node = source_table(alias, TARGET)
    select = exp.Select(expressions=[exp.Star()], from_=exp.From(this=node), where=exp.Where(this=condition.copy()))
    return prune(files, conditions(Reference(node, select, (alias,)), columns))


def bind_target(
    x: Execution,
    query: exp.Expr,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[DataFile],
    more: Mapping[str, Given] | None = None,
) -> BoundQuery:
    """A query over some files of the table that is changed."""
    return x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={TARGET: marked(target, write, files), **(more or {})})


def hit_files(
    x: Execution,
    target: ResolvedTable,
    condition: exp.Expr,
    alias: str,
    files: Sequence[DataFile],
    more: Mapping[str, Given] | None = None,
    tables: Mapping[str, bytes] | None = None,
) -> dict[str, int]:
    """Files with rows for which the condition holds, and how many; `more` are sources that it names, which read the streams `tables`."""
    if not files or target.snapshot is None:
        return {}
    mark = exp.column(FILE_MARK, quoted=True)
    query = exp.Select(
        expressions=[exp.alias_(mark, "file"), exp.alias_(exp.Anonymous(this="count", expressions=[exp.Star()]), "hits")],
        from_=exp.From(this=source_table(alias, TARGET)),
        where=exp.Where(this=condition.copy()),
        group=exp.Group(expressions=[mark.copy()]),
    )
    columns = target.table.columns
    sql = scan(target.table.full_name, target.snapshot, columns, files=files, marks=True)
    shape = {column.name: column.type_text for column in columns} | {FILE_MARK: "string", ROW_MARK: "bigint"}
    bound = x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={TARGET: Given(sql, shape, target), **(more or {})})
    return {str(row["file"]): int(str(row["hits"])) for row in x.rows(bound.sql, {**(tables or {}), **bound.tables})}


def _with_hit(condition: exp.Expr, alias: str) -> exp.Subquery:
    """The rows of the target with a mark that tells for which the condition holds."""
    holds = exp.Anonymous(this="coalesce", expressions=[condition.copy(), exp.Boolean(this=False)])
    star = exp.Column(this=exp.Star(), table=exp.to_identifier(alias, quoted=True))
    inner = exp.Select(
        expressions=[star, exp.alias_(holds, _HIT)],
        from_=exp.From(this=source_table(alias, TARGET)),
    )
    return exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def kept_rows(columns: Sequence[Column], condition: exp.Expr, alias: str) -> exp.Select:
    """Query for the rows for which the condition does not hold."""
    outputs = [exp.alias_(exp.column(column.name, table=alias, quoted=True), column.name, quoted=True) for column in columns]
    where = exp.Where(this=exp.Not(this=exp.column(_HIT, table=alias, quoted=True)))
    return exp.Select(expressions=list(outputs), from_=exp.From(this=_with_hit(condition, alias)), where=where)


def changed_rows(columns: Sequence[Column], condition: exp.Expr, changes: Mapping[str, exp.Expr], alias: str) -> exp.Select:
    """Query for all rows, with new values where the condition holds."""
    outputs: list[exp.Expr] = []
    for column in columns:
        old = exp.column(column.name, table=alias, quoted=True)
        value: exp.Expr = old
        if column.name.lower() in changes:
            new = cast(changes[column.name.lower()].copy(), column.type_text)
            hit = exp.column(_HIT, table=alias, quoted=True)
            value = exp.Case(ifs=[exp.If(this=hit, true=new)], default=old)
        outputs.append(exp.alias_(value, column.name, quoted=True))
    return exp.Select(expressions=outputs, from_=exp.From(this=_with_hit(condition, alias)))


def _raise_column_labels(x: Execution, target: ResolvedTable, changes: Mapping[str, exp.Expr]) -> None:
    """A column that is set from a labelled column of the same table takes its label."""
    labelled = {name.lower(): label for name, label in target.column_labels.items()}
    for column, value in changes.items():
        named = {node.name.lower() for node in value.find_all(exp.Identifier)}
        label = join_all(labelled[name] for name in named if name in labelled)
        if named & set(labelled) and not target.column_label(column).covers(label):
            x.tools.access.labels.raise_derived(x.ctx, target.table.id, label, column)
