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
from insjo.sql.commands.rules import CHECK_CODE, GENERATED_CODE, completed, conditions_of, typed
from insjo.sql.errors import (
    ColumnCountMismatch,
    ComputedColumn,
    ConstraintViolated,
    NonDeterministic,
    NotNullViolated,
    StatementFailed,
    UnresolvedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from insjo.access.types import Label, Provenance
    from insjo.catalog.types import Column, ResolvedTable, TableName
    from insjo.kernel.errors import InsjoError
    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.ports import WrittenFile

SOURCE = "__insjo_source"
TARGET = "__insjo_target"
_FULFILLED = "__insjo_ok"
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


def assigned(places: Mapping[str, int | exp.Expr], columns: Sequence[Column]) -> exp.Select:
    """Query that gives every column of a table from the source's columns.

    Args:
        places: For a column in lower case the position in the source, or a constant; columns left out are what the table puts for them.
        columns: Those of the table.

    Raises:
        ComputedColumn: See `completed`.
    """
    given = {
        name: exp.column(f"c{place}", table="s", quoted=True) if isinstance(place, int) else place.copy() for name, place in places.items()
    }
    values = completed(given, columns)
    outputs = [exp.alias_(cast(values[column.name.lower()], column.type_text), column.name, quoted=True) for column in columns]
    return exp.Select(expressions=list(outputs), from_=exp.From(this=source_table("s")))


def cast(value: exp.Expr, type_text: str) -> exp.Expr:
    """A value in the type of the column that takes it; what does not fit is an error (ANSI)."""
    return typed(value, type_text)


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
) -> dict[str, int | exp.Expr]:
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
    found: dict[str, int | exp.Expr] = dict(fixed)
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


def _by_name(outputs: Sequence[str], columns: Sequence[Column], table: str) -> dict[str, int | exp.Expr]:
    """Positions by equal names."""
    known = {column.name.lower() for column in columns}
    found: dict[str, int | exp.Expr] = {}
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


def guarded(sql: str, columns: Sequence[Column], conditions: Sequence[str] = ()) -> str:
    """The query with an error for a NULL where the table allows none, and for a row that does not fulfil a condition.

    Args:
        sql: Gives the columns, and for each condition a boolean column `__insjo_ok<n>`.
        columns: Those of the table.
        conditions: Message of each condition.
    """
    if not conditions and all(column.nullable for column in columns):
        return sql
    outputs = []
    for at, column in enumerate(columns):
        name = text.name(column.name)
        whens = [f"WHEN {name} IS NULL THEN error({text.literal(f'[{_NOT_NULL_CODE}] {column.name}')})"] if not column.nullable else []
        if at == 0:
            whens += [f"WHEN NOT {text.name(f'{_FULFILLED}{n}')} THEN error({text.literal(each)})" for n, each in enumerate(conditions)]
        outputs.append(f"CASE {' '.join(whens)} ELSE {name} END AS {name}" if whens else name)
    return text.select(outputs, text.nested(sql, "__insjo_strict"))


def export(
    x: Execution,
    bound: BoundQuery,
    columns: Sequence[Column],
    location: str,
    partition_columns: Sequence[str],
    *,
    properties: Mapping[str, str] | None = None,
) -> list[NewFile]:
    """Write the rows of a query whose columns are those of the table.

    Raises:
        NotNullViolated, ConstraintViolated, ComputedColumn: A row is not what the columns and the properties of the table ask for.
    """
    conditions = conditions_of(columns, properties or {})
    if conditions:
        bound = _with_marks(x, bound, columns, [each for _, _, each in conditions])
    try:
        sql = guarded(bound.sql, columns, [f"[{code}] {name}" for code, name, _ in conditions])
        written = x.export(sql, location, partition_columns, bound.tables)
    except StatementFailed as error:
        meant = _violation(error)
        if meant is None:
            raise
        raise meant from error
    return [new_file(each) for each in written]


def _with_marks(x: Execution, bound: BoundQuery, columns: Sequence[Column], conditions: Sequence[exp.Expr]) -> BoundQuery:
    """The rows with a column for each condition that tells whether it is fulfilled."""
    outputs = [exp.alias_(exp.column(column.name, quoted=True), column.name, quoted=True) for column in columns]
    for at, condition in enumerate(conditions):
        holds = exp.Anonymous(this="coalesce", expressions=[condition.copy(), exp.Boolean(this=False)])
        outputs.append(exp.alias_(holds, f"{_FULFILLED}{at}", quoted=True))
    query = exp.Select(expressions=list(outputs), from_=exp.From(this=source_table("t")))
    given = {SOURCE: Given(bound.sql, {column.name: column.type_text for column in columns})}
    return x.tools.binder.bind(x.ctx, query, x.names, given=given).resting_on(bound)


def _violation(error: StatementFailed) -> InsjoError | None:
    """What an error of the guards means; None for any other error."""
    code, name = error.details.get("engine_code"), error.message.strip()
    if code == _NOT_NULL_CODE:
        return NotNullViolated(f"The column `{name}` may not be NULL.")
    if code == CHECK_CODE:
        return ConstraintViolated(f"A row does not fulfil the constraint `{name}`.")
    if code == GENERATED_CODE:
        return ComputedColumn(f"A value for the column `{name}` is not what the table computes for it.", hint="Leave the column out.")
    return None


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
    """Whether a value is the word DEFAULT."""
    if isinstance(value, exp.Var):
        return str(value.this).upper() == "DEFAULT"
    return isinstance(value, exp.Column) and not value.table and value.name.upper() == "DEFAULT" and not value.this.args.get("quoted")
