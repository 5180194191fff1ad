"""The change data feed, written.

A statement that changes rows of a table which tells its changes works them out once, keeps them in files, and makes both the new data
files and the files of changes of it, so that the two can never tell different things.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.service.properties import keeps_changes
from insjo.catalog.types import DataFile
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.bound import Given
from insjo.sql.binding.feed import CHANGE_TYPE
from insjo.sql.binding.scan import FILE_MARK, ROW_MARK, scan
from insjo.sql.commands.writing import discarding, new_file, source_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column, NewFile, ResolvedTable
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution

FOLDER = "_change_data"
"""Where files of changes lie below a table's folder (protocol)."""

STAGED = "__insjo_staged"
_BEFORE, _NEW = "__insjo_before", "__insjo_new_rows"
UPDATED, DELETED = "U", "D"


def is_fed(write: TableWrite) -> bool:
    """Whether the table tells its changes."""
    return keeps_changes(write.snapshot.properties)


@contextlib.contextmanager
def staged(x: Execution, bound: BoundQuery, write: TableWrite) -> Iterator[Given]:
    """The rows of a query, worked out once and kept in files until the block ends."""
    folder = Path(write.location) / FOLDER
    written = [new_file(each) for each in x.export(bound.sql, str(folder), (), bound.tables)]
    kinds = dict(bound.columns)
    sql = text.empty_rows(kinds)
    if written:
        casts = (f"{text.cast(text.name(name), kind)} AS {text.name(name)}" for name, kind in kinds.items())
        sql = text.select(casts, f"read_parquet({text.literals(str(folder / each.path) for each in written)}, hive_partitioning = false)")
    try:
        yield Given(sql, kinds)
    finally:
        # What a killed server leaves here is no file that a version names, so VACUUM takes it away.
        for each in written:
            with contextlib.suppress(OSError):
                (folder / each.path).unlink(missing_ok=True)


def same_row() -> exp.Expr:
    """The condition that a staged row `c` is the row `t` of a data file."""
    return exp.And(
        this=exp.EQ(this=exp.column(FILE_MARK, table="t", quoted=True), expression=exp.column("f", table="c")),
        expression=exp.EQ(this=exp.column(ROW_MARK, table="t", quoted=True), expression=exp.column("r", table="c")),
    )


@dataclass(frozen=True, slots=True)
class Changed:
    """What a statement did to rows.

    Attributes:
        staged: Gives `f` and `r`, where a row lay, and `a`: UPDATED or DELETED, and what `values` name.
        before: The rows as they were in the files that were touched, with marks.
        values: What each column of an updated row is now, over `t` (before) and `c` (staged).
        inserted: New data files with rows that came.
    """

    staged: Given | None = None
    before: Given | None = None
    values: Mapping[str, exp.Expr] = field(default_factory=dict)
    inserted: Sequence[NewFile] = ()


def record(x: Execution, target: ResolvedTable, write: TableWrite, columns: Sequence[Column], changed: Changed) -> list[NewFile]:
    """Write the files of changes of one statement.

    Args:
        x: The statement.
        target: Its table.
        write: The right to write to it.
        columns: Those of the table after the statement.
        changed: What it did.
    """
    parts: list[exp.Select] = []
    given: dict[str, Given] = {}
    if changed.staged is not None and changed.before is not None:
        given |= {STAGED: changed.staged, _BEFORE: changed.before}
        kind = exp.Case(ifs=[exp.If(this=_happened(UPDATED), true=exp.Literal.string("update_preimage"))],
                        default=exp.Literal.string("delete"))  # fmt: skip
        old = {column.name: exp.column(column.name, table="t", quoted=True) for column in columns}
        # A row that MERGE deletes may match several rows of the source, and is told once all the same.
        marks: list[exp.Expr] = [exp.column(each) for each in ("f", "r", "a")]
        once = exp.Select(expressions=marks, distinct=exp.Distinct(), from_=exp.From(this=source_table("s", STAGED)))
        parts.append(_images(columns, old, kind, exp.Subquery(this=once, alias=exp.TableAlias(this=exp.to_identifier("c")))))
        if changed.values:
            after = _images(columns, changed.values, exp.Literal.string("update_postimage"), source_table("c", STAGED))
            after.set("where", exp.Where(this=_happened(UPDATED)))
            parts.append(after)
    if changed.inserted:
        given[_NEW] = new_rows(target, write, columns, changed.inserted)
        outputs: list[exp.Expr] = [exp.alias_(exp.column(each.name, table="t", quoted=True), each.name, quoted=True) for each in columns]
        outputs.append(exp.alias_(exp.Literal.string("insert"), CHANGE_TYPE, quoted=True))
        parts.append(exp.Select(expressions=outputs, from_=exp.From(this=source_table("t", _NEW))))
    if not parts:
        return []
    query: exp.Expr = parts[0]
    for part in parts[1:]:
        query = exp.Union(this=query, expression=part, distinct=False)
    bound = x.tools.binder.bind(x.ctx, query, x.names, given=given)
    written = x.export(bound.sql, f"{write.location}/{FOLDER}", target.table.partition_columns, bound.tables)
    return [replace(new_file(each), path=f"{FOLDER}/{each.path}") for each in written]


def _happened(what: str) -> exp.Expr:
    return exp.EQ(this=exp.column("a", table="c"), expression=exp.Literal.string(what))


def _images(columns: Sequence[Column], values: Mapping[str, exp.Expr], kind: exp.Expr, changes: exp.Expr) -> exp.Select:
    """The rows that are staged, with some values and the kind of their change."""
    outputs: list[exp.Expr] = [exp.alias_(values[column.name].copy(), column.name, quoted=True) for column in columns]
    outputs.append(exp.alias_(kind, CHANGE_TYPE, quoted=True))
    join = exp.Join(this=changes, kind="INNER", on=same_row())
    return exp.Select(expressions=outputs, from_=exp.From(this=source_table("t", _BEFORE)), joins=[join])


def new_rows(target: ResolvedTable, write: TableWrite, columns: Sequence[Column], files: Sequence[NewFile]) -> Given:
    """The rows of data files that are not committed yet."""
    made = [DataFile(f"{write.location}/{each.path}", each.rows, each.size_bytes, each.partition_values, None) for each in files]
    sql = scan(target.table.full_name, write.snapshot, columns, files=made)
    return Given(sql, {column.name: column.type_text for column in columns})


@contextlib.contextmanager
def recorded(
    x: Execution, target: ResolvedTable, write: TableWrite, columns: Sequence[Column], changed: Changed
) -> Iterator[list[NewFile]]:
    """The files of changes of one statement, which go again when the block fails."""
    files = record(x, target, write, columns, changed)
    with discarding(write.location, files):
        yield files
