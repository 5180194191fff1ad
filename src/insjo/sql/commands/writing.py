"""What all statements that write rows have in common: fitting a query to a table, writing its files, committing them with their label."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Privilege
from insjo.catalog.types import NewFile
from insjo.kernel.errors import did_you_mean
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.bound import Given
from insjo.sql.errors import ColumnCountMismatch, NonDeterministic, NotNullViolated, StatementFailed, UnresolvedColumn
from insjo.sql.parsing.constants import parse_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from insjo.access.types import Label, Provenance
    from insjo.catalog.types import Column, ResolvedTable, TableName
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.ports import WrittenFile

SOURCE = "__insjo_source"
TARGET = "__insjo_target"
_NOT_NULL_CODE = "DELTA_NOT_NULL_CONSTRAINT_VIOLATED"
_VOLATILE = frozenset({"rand", "random", "randn", "uuid", "shuffle", "monotonically_increasing_id"})


def resolve_target(x: Execution, name: TableName, *, reads: bool) -> ResolvedTable:
    """The table that a statement changes; changing rows that are there needs SELECT besides MODIFY."""
    (found,) = x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.MODIFY)
    if reads:
        x.tools.catalog.tables.resolve_many(x.ctx, [name], Privilege.SELECT)
    return found


def as_source(bound: BoundQuery) -> Given:
    """A bound query as a source whose columns are called c0, c1, ... whatever they were called before."""
    names = [f"c{at}" for at in range(len(bound.columns))]
    sql = text.select(["*"], text.nested(bound.sql, "__insjo_q", names))
    return Given(sql, dict(zip(names, (kind for _, kind in bound.columns), strict=True)))


def assigned(places: Mapping[str, int | exp.Expr | None], columns: Sequence[Column]) -> exp.Select:
    """Query that gives every column of a table from the source's columns.

    Args:
        places: For a column in lower case the position in the source, a constant, or None for NULL; columns left out are NULL.
        columns: Those of the table.
    """
    outputs: list[exp.Expr] = []
    for column in columns:
        place = places.get(column.name.lower())
        value: exp.Expr
        if place is None:
            value = exp.Null()
        elif isinstance(place, int):
            value = exp.column(f"c{place}", table="s", quoted=True)
        else:
            value = place.copy()
        outputs.append(exp.alias_(cast(value, column.type_text), column.name, quoted=True))
    return exp.Select(expressions=outputs, from_=exp.From(this=source_table("s")))


def cast(value: exp.Expr, type_text: str) -> exp.Expr:
    """A value in the type of the column that takes it; what does not fit is an error (ANSI)."""
    return exp.Cast(this=value, to=parse_type(type_text))


def source_table(alias: str, name: str = SOURCE) -> exp.Table:
    """The source of a command as a table of its query."""
    return exp.Table(this=exp.to_identifier(name), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def positions(
    given: Sequence[str] | None,
    bound: BoundQuery,
    columns: Sequence[Column],
    *,
    table: str,
    by_name: bool,
    fixed: Mapping[str, exp.Expr] | None = None,
) -> dict[str, int | exp.Expr | None]:
    """Which column of the table takes which column of the query.

    Raises:
        ColumnCountMismatch, UnresolvedColumn: They do not fit.
    """
    fixed = {name.lower(): value for name, value in (fixed or {}).items()}
    known = {column.name.lower() for column in columns}
    for name in (*(given or ()), *fixed):
        if name.lower() not in known:
            raise _no_column(name, table, columns)
    outputs = [name for name, _ in bound.columns]
    found: dict[str, int | exp.Expr | None] = dict(fixed)
    if by_name:
        return found | _by_name(outputs, columns, table)
    wanted = (
        [name.lower() for name in given] if given is not None else [each.name.lower() for each in columns if each.name.lower() not in fixed]
    )
    if len(set(wanted)) != len(wanted):
        message = f"A column of `{table}` is named twice."
        raise ColumnCountMismatch(message)
    if len(wanted) != len(outputs):
        message = (
            f"`{table}` takes {len(wanted)} columns ({', '.join(f'`{each}`' for each in wanted[:10])}), and the query gives {len(outputs)}."
        )
        hint = "Name the columns after the table: `INSERT INTO t (a, b) ...`." if given is None and len(outputs) < len(wanted) else ""
        raise ColumnCountMismatch(message, hint=hint)
    return found | {name: at for at, name in enumerate(wanted)}


def _by_name(outputs: Sequence[str], columns: Sequence[Column], table: str) -> dict[str, int | exp.Expr | None]:
    """Positions by equal names."""
    known = {column.name.lower() for column in columns}
    found: dict[str, int | exp.Expr | None] = {}
    for at, name in enumerate(outputs):
        if name.lower() not in known:
            raise _no_column(name, table, columns)
        if name.lower() in found:
            message = f"The query gives the column `{name}` twice."
            raise ColumnCountMismatch(message)
        found[name.lower()] = at
    return found


def _no_column(name: str, table: str, columns: Sequence[Column]) -> UnresolvedColumn:
    message = f"The table `{table}` has no column `{name}`."
    return UnresolvedColumn(message, hint=did_you_mean(name, (column.name for column in columns)))


def guarded(sql: str, columns: Sequence[Column]) -> str:
    """The query with an error for a NULL where the table allows none."""
    strict = [column for column in columns if not column.nullable]
    if not strict:
        return sql
    outputs = []
    for column in columns:
        name = text.name(column.name)
        if column.nullable:
            outputs.append(name)
            continue
        message = text.literal(f"[{_NOT_NULL_CODE}] {column.name}")
        outputs.append(f"CASE WHEN {name} IS NULL THEN error({message}) ELSE {name} END AS {name}")
    return text.select(outputs, text.nested(sql, "__insjo_strict"))


def export(x: Execution, bound: BoundQuery, columns: Sequence[Column], location: str, partition_columns: Sequence[str]) -> list[NewFile]:
    """Write the rows of a query whose columns are those of the table."""
    try:
        written = x.export(guarded(bound.sql, columns), location, partition_columns, bound.tables)
    except StatementFailed as error:
        if error.details.get("engine_code") == _NOT_NULL_CODE:
            message = f"The column `{error.message.strip()}` may not be NULL."
            raise NotNullViolated(message) from error
        raise
    return [new_file(each) for each in written]


def new_file(written: WrittenFile) -> NewFile:
    """A written file as the catalog commits it."""
    return NewFile(written.path, written.rows, written.size_bytes, dict(written.partition_values), dict(written.stats))


@contextlib.contextmanager
def discarding(location: str, files: Sequence[NewFile]) -> Iterator[None]:
    """Delete written files again when the block fails before they are committed."""
    try:
        yield
    except BaseException:
        for file in files:
            with contextlib.suppress(OSError):
                (Path(location) / file.path).unlink(missing_ok=True)
        raise


def row_count(files: Iterable[NewFile]) -> int:
    """Rows in new files."""
    return sum(file.rows or 0 for file in files)


def raise_label(x: Execution, table_id: str, present: Label, source: Provenance) -> None:
    """Let a table take the label of what is written to it, before it is committed."""
    if source.origins and not present.covers(source.label):
        x.tools.catalog.tables.raise_label(x.ctx, table_id, source.label)


def refuse_volatile(tree: exp.Expr | None, place: str) -> None:
    """A condition that decides which rows change is worked out more than once."""
    for node in tree.walk() if tree is not None else ():
        if isinstance(node, exp.Anonymous) and str(node.this).lower() in _VOLATILE:
            message = f"`{str(node.this).lower()}()` cannot stand in the condition of `{place}`: it gives another value each time."
            raise NonDeterministic(message)


def is_default(value: exp.Expr) -> bool:
    """Whether a value is the word DEFAULT; columns have no other default than NULL."""
    if isinstance(value, exp.Var):
        return str(value.this).upper() == "DEFAULT"
    return isinstance(value, exp.Column) and not value.table and value.name.upper() == "DEFAULT" and not value.this.args.get("quoted")
