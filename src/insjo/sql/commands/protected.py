"""Changes of tables with row filters and masks: what a caller may not see stays as it is, whatever the statement says.

Conditions and new values are worked out over the rows as the caller sees them; what is written are the rows as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Privilege
from insjo.sql.binding.bound import Given
from insjo.sql.binding.scan import FILE_MARK, ROW_MARK, scan
from insjo.sql.commands import feed
from insjo.sql.commands.hidden import protection_of
from insjo.sql.commands.writing import TARGET, cast, source_table
from insjo.sql.errors import RowsHidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.access.protection import Protection
    from insjo.catalog.service.writing import TableWrite
    from insjo.catalog.types import Column, DataFile, ResolvedTable
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution

RAW = "__insjo_raw"
"""Source with the rows as they are."""


def unmasked(protection: Protection, columns: Sequence[Column]) -> list[Column]:
    """Columns whose statistics in the log are those of what the caller sees."""
    return [column for column in columns if column.name.lower() not in protection.masks]


def marked(target: ResolvedTable, write: TableWrite, files: Sequence[DataFile], *, raw: bool = False) -> Given:
    """Files of a table as a source that also tells where each row lies; as the caller sees them, or as they are."""
    columns = target.table.columns
    sql = scan(target.table.full_name, write.snapshot, columns, files=files, marks=True)
    shape = {column.name: column.type_text for column in columns} | {FILE_MARK: "string", ROW_MARK: "bigint"}
    return Given(sql, shape, None if raw else target)


def hits(columns: Sequence[Column], condition: exp.Expr, changes: Mapping[str, exp.Expr], alias: str) -> exp.Select:
    """Query for the rows that the caller sees and for which the condition holds: where they lie, and what they get (`n<column>`)."""
    outputs = [exp.alias_(exp.column(mark, table=alias, quoted=True), name) for mark, name in ((FILE_MARK, "f"), (ROW_MARK, "r"))]
    outputs.append(exp.alias_(exp.Literal.string(feed.UPDATED if changes else feed.DELETED), "a"))
    for at, column in enumerate(columns):
        if column.name.lower() in changes:
            outputs.append(exp.alias_(cast(changes[column.name.lower()].copy(), column.type_text), f"n{at}"))
    return exp.Select(expressions=list(outputs), from_=exp.From(this=source_table(alias, TARGET)), where=exp.Where(this=condition.copy()))


def bind_hits(
    x: Execution,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[DataFile],
    condition: exp.Expr,
    changes: Mapping[str, exp.Expr],
    alias: str,
    more: Mapping[str, Given] | None = None,
) -> BoundQuery:
    """The rows of some files for which a condition holds."""
    query = hits(target.table.columns, condition, changes, alias)
    return x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given={TARGET: marked(target, write, files), **(more or {})})


def rewritten(
    x: Execution,
    target: ResolvedTable,
    write: TableWrite,
    files: Sequence[DataFile],
    condition: exp.Expr,
    changes: Mapping[str, exp.Expr],
    alias: str,
    more: Mapping[str, Given] | None = None,
) -> BoundQuery:
    """All rows of the files: with new values where the condition holds of what the caller sees, or without them if there are no changes.

    `more` are sources that the condition names.
    """
    hit = exp.Subquery(this=hits(target.table.columns, condition, changes, alias), alias=exp.TableAlias(this=exp.to_identifier("c")))
    given = {TARGET: marked(target, write, files), RAW: marked(target, write, files, raw=True), **(more or {})}
    query = _applied(target.table.columns, changes, hit)
    return x.tools.binder.bind(x.ctx, query, x.names, x.parameters, given=given)


def applied(
    x: Execution, target: ResolvedTable, write: TableWrite, files: Sequence[DataFile], changes: Mapping[str, exp.Expr], staged: Given
) -> BoundQuery:
    """The same from hits that were worked out before."""
    query = _applied(target.table.columns, changes, source_table("c", feed.STAGED))
    given = {feed.STAGED: staged, RAW: marked(target, write, files, raw=True)}
    return x.tools.binder.bind(x.ctx, query, x.names, given=given)


def new_values(columns: Sequence[Column], changes: Mapping[str, exp.Expr]) -> dict[str, exp.Expr]:
    """Value of each column of a row that is hit."""
    return {
        column.name: exp.column(f"n{at}", table="c") if column.name.lower() in changes else exp.column(column.name, table="t", quoted=True)
        for at, column in enumerate(columns)
    }


def _applied(columns: Sequence[Column], changes: Mapping[str, exp.Expr], hit: exp.Expr) -> exp.Select:
    """The rows as they are, with what happens to those that are hit."""
    missed = exp.Is(this=exp.column("f", table="c"), expression=exp.Null())
    kept: list[exp.Expr] = []
    for name, new in new_values(columns, changes).items():
        value: exp.Expr = exp.column(name, table="t", quoted=True)
        if name.lower() in changes:
            value = exp.Case(ifs=[exp.If(this=missed.copy(), true=value)], default=new)
        kept.append(exp.alias_(value, name, quoted=True))
    return exp.Select(
        expressions=kept,
        from_=exp.From(this=source_table("t", RAW)),
        joins=[exp.Join(this=hit, side="LEFT", on=feed.same_row())],
        where=None if changes else exp.Where(this=missed),
    )


def require_all_rows(x: Execution, target: ResolvedTable, doing: str) -> None:
    """Raise RowsHidden for what concerns the table as a whole, unless the caller sees all rows or manages the table.

    Whoever manages a table could drop its filter just as well.
    """
    if not protection_of(x, target).hides_rows:
        return
    if not x.tools.access.authority.decide(x.ctx, Privilege.MANAGE, target.table.id).allowed:
        message = f"`{doing}` concerns all rows of `{target.table.full_name}`, and its row filter may hide some of them."
        raise RowsHidden(message, hint="It needs MANAGE on the table.")
