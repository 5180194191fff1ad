"""Columns that go, get another name, type or place, or may no longer be NULL.

A table of Insjö has no second layer of column names, so that every reader of Delta understands it; DROP, RENAME and TYPE write the data
files again, in one commit.  Older versions keep their own columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.service.tags import GOVERNED
from insjo.access.types import Privilege
from insjo.catalog.errors import ColumnAlreadyExists, InvalidColumn
from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import scan
from insjo.sql.commands.constraints import check_expressions, refuse_nulls, refuse_users
from insjo.sql.commands.execution import Outcome, nothing
from insjo.sql.commands.tables import CLUSTERING, clustering_of, clustering_property
from insjo.sql.commands.writing import SOURCE, cast, discarding, export, source_table
from insjo.sql.dialect.types import Kind, parse_type
from insjo.sql.errors import ColumnInUse, UnresolvedColumn, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column
    from insjo.sql.commands.execution import Execution
    from insjo.sql.dialect.types import Type
    from insjo.sql.parsing.nodes import AlterColumn, ClusterBy, DropColumns, RenameColumn

_WIDER = {
    "tinyint": ("smallint", "int", "bigint", "double", "decimal"),
    "smallint": ("int", "bigint", "double", "decimal"),
    "int": ("bigint", "double", "decimal"),
    "bigint": ("decimal",),
    "float": ("double",),
    "date": ("timestamp_ntz",),
}
"""Types that hold every value of another one (type widening of Delta)."""

_WHOLE_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}


def found(columns: Sequence[Column], name: str, table: str) -> Column:
    """A column by name; raises UnresolvedColumn."""
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    message = f"The table `{table}` has no column `{name}`."
    raise UnresolvedColumn(message, hint=did_you_mean(name, (column.name for column in columns)))


def drop_columns(x: Execution, command: DropColumns) -> Outcome:
    """ALTER TABLE DROP COLUMNS."""
    name = x.names.table(command.name)
    with x.tools.catalog.tables.begin_write(x.ctx, name) as write:
        table, columns = x.tools.catalog.tables.get(x.ctx, name), write.snapshot.columns
        known = {column.name.lower() for column in columns}
        gone = {each.lower() for each in command.columns if not (command.if_exists and each.lower() not in known)}
        for each in gone:
            column = found(columns, each, table.full_name)
            refuse_users(table, write, column.name)
            _refuse_layout(write, table.properties, column.name)
            _refuse_guarded(x, write, column.name)
        kept = [column for column in columns if column.name.lower() not in gone]
        if not kept:
            message = "A table needs at least one column."
            raise InvalidColumn(message)
        if gone:
            _write_again(x, write, kept, {column.name: column.name for column in kept}, "DROP COLUMNS", {"columns": ",".join(sorted(gone))})
    return nothing()


def rename_column(x: Execution, command: RenameColumn) -> Outcome:
    """ALTER TABLE RENAME COLUMN; its label follows."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name, Privilege.MANAGE) as write:
        table, columns = tables.get(x.ctx, name), write.snapshot.columns
        old = found(columns, command.column, table.full_name)
        refuse_users(table, write, old.name)
        _refuse_layout(write, table.properties, old.name)
        _refuse_guarded(x, write, old.name)
        if command.new_name.lower() in {each.name.lower() for each in columns if each is not old}:
            message = f"The table `{table.full_name}` has a column `{command.new_name}` already."
            raise ColumnAlreadyExists(message)
        renamed = [replace(each, name=command.new_name) if each is old else each for each in columns]
        label = x.tools.access.labels.effective(write.table.id, old.name)
        if label != x.tools.access.labels.effective(write.table.id):  # The old name keeps its own: older versions have that column.
            x.tools.access.labels.raise_derived(x.ctx, write.table.id, label, command.new_name)
        sources = {new.name: each.name for new, each in zip(renamed, columns, strict=True)}
        _write_again(x, write, renamed, sources, "RENAME COLUMN", {"oldColumnPath": old.name, "newColumnPath": command.new_name})
    return nothing()


def _refuse_layout(write: TableWrite, properties: Mapping[str, str], column: str) -> None:
    """The columns by which a table is laid out stay."""
    if column.lower() in {each.lower() for each in write.snapshot.partition_columns}:
        message = f"The table is partitioned by `{column}`."
        raise ColumnInUse(message, hint="Make the table anew with `CREATE TABLE ... AS SELECT`.")
    if column.lower() in {each.lower() for each in clustering_of(properties)}:
        message = f"The table is clustered by `{column}`."
        raise ColumnInUse(message, hint="Write first `ALTER TABLE ... CLUSTER BY NONE`.")


def _refuse_guarded(x: Execution, write: TableWrite, column: str) -> None:
    """A column on which a filter, a mask or a tag rests keeps its name: older versions of the table are guarded by that name too."""
    names = [each.name for each in write.snapshot.columns]
    guards = x.tools.access.protections.of(x.ctx, write.table.id, names)
    own = x.tools.access.protections.own(write.table.id)
    _, tagged = x.tools.access.tags.effective(write.table.id)
    folded = column.lower()
    words = [key for key in tagged.get(folded, {}) if not key.startswith(GOVERNED)]  # A label stays on both names anyway.
    if folded in guards.columns() | own.columns() or folded in guards.masks or folded in own.masks or words:
        message = f"A row filter, a column mask or a tag rests on the column `{column}`."
        raise ColumnInUse(message, hint="Take it off first.")


def alter_column(x: Execution, command: AlterColumn) -> Outcome:
    """ALTER TABLE ALTER COLUMN."""
    name = x.names.table(command.name)
    tables = x.tools.catalog.tables
    with tables.begin_write(x.ctx, name) as write:
        columns = write.snapshot.columns
        old = found(columns, command.column, name.full_name)
        if command.change == "TYPE":
            return _retype(x, command, write, old)
        if command.change == "PLACE":
            others = [each for each in columns if each is not old]
            after = found(others, command.value, name.full_name) if command.value else None
            others.insert(others.index(after) + 1 if after is not None else 0, old)
            tables.commit(write, operation="CHANGE COLUMN", parameters={"column": old.name}, new_columns=others)
            return nothing()
        if command.change == "SET NOT NULL":
            refuse_nulls(x, write, name, old.name)
            new = replace(old, nullable=False)
        elif command.change == "DROP NOT NULL":
            if any(key.kind == "PRIMARY KEY" and old.name in key.columns for key in tables.get(x.ctx, name).keys):
                message = f"The column `{old.name}` belongs to the primary key and may not be NULL."
                raise ColumnInUse(message, hint="Write first `ALTER TABLE ... DROP PRIMARY KEY`.")
            new = replace(old, nullable=True)
        else:
            new = replace(old, default=command.value)
        check_expressions(x, [new])
        changed = [new if each is old else each for each in columns]
        tables.commit(write, operation="CHANGE COLUMN", parameters={"column": old.name}, new_columns=changed)
    return nothing()


def _retype(x: Execution, command: AlterColumn, write: TableWrite, old: Column) -> Outcome:
    """A wider type; no value changes."""
    before, after = parse_type(old.type_text), parse_type(command.value)
    if before.text == after.text:
        return nothing()
    if not _holds(before, after):
        message = f"`{before.text}` does not become `{after.text}`: not every value would stay what it is."
        hint = "Make the table anew with `CREATE OR REPLACE TABLE ... AS SELECT CAST(...)`."
        raise UnsupportedFeature(message, hint=hint, details={"feature": "ALTER COLUMN TYPE to a narrower type"})
    table = x.tools.catalog.tables.get(x.ctx, x.names.table(command.name))
    refuse_users(table, write, old.name)
    _refuse_layout(write, {}, old.name)
    if old.identity is not None or old.generated:
        message = f"The type of the computed column `{old.name}` cannot be changed."
        raise ColumnInUse(message)
    columns = [replace(each, type_text=after.text) if each is old else each for each in write.snapshot.columns]
    _write_again(x, write, columns, {each.name: each.name for each in columns}, "CHANGE COLUMN", {"column": old.name, "type": after.text})
    return nothing()


def _holds(before: Type, after: Type) -> bool:
    """Whether a type holds every value of another one."""
    if before.kind is Kind.DECIMAL and after.kind is Kind.DECIMAL:
        return after.scale >= before.scale and after.precision - after.scale >= before.precision - before.scale
    wider = _WIDER.get(before.text, ())
    if after.kind is Kind.DECIMAL:
        return "decimal" in wider and after.precision - after.scale >= _WHOLE_DIGITS[before.text]
    return after.text in wider


def _write_again(
    x: Execution, write: TableWrite, columns: Sequence[Column], sources: Mapping[str, str], operation: str, parameters: Mapping[str, str]
) -> None:
    """All rows in new files with other columns; `sources` tells for each of them which one it was."""
    snapshot = write.snapshot
    if not snapshot.files:
        x.tools.catalog.tables.commit(write, operation=operation, parameters=parameters, new_columns=columns)
        return
    sql = scan(write.table.full_name, snapshot, snapshot.columns)
    outputs: list[exp.Expr] = [
        exp.alias_(cast(exp.column(sources[column.name], table="s", quoted=True), column.type_text), column.name, quoted=True)
        for column in columns
    ]
    query = exp.Select(expressions=outputs, from_=exp.From(this=source_table("s")))
    given = {SOURCE: Given(sql, {each.name: each.type_text for each in snapshot.columns})}
    bound = x.tools.binder.bind(x.ctx, query, x.names, given=given)
    files = export(x, bound, columns, write.location, snapshot.partition_columns)
    with discarding(write.location, files):
        x.tools.catalog.tables.commit(write, files, snapshot.files, operation, parameters, new_columns=columns, blind=False)


def cluster_by(x: Execution, command: ClusterBy) -> Outcome:
    """ALTER TABLE CLUSTER BY: `OPTIMIZE` sorts by these columns from now on."""
    name = x.names.table(command.name)
    table = x.tools.catalog.tables.get(x.ctx, name)
    if table.partition_columns and command.columns:
        message = "A table that is partitioned cannot be clustered."
        raise InvalidArgument(message)
    kept = {key: value for key, value in table.properties.items() if key != CLUSTERING}
    x.tools.catalog.tables.update(x.ctx, name, properties={**kept, **clustering_property(table.columns, command.columns)})
    return nothing()
