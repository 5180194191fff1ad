"""What the rows of a table must be: defaults, computed columns, counters and conditions, for every statement that writes rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.catalog.service.properties import CONSTRAINTS
from insjo.kernel.errors import InvalidArgument
from insjo.sql.errors import ComputedColumn, UnsupportedFeature
from insjo.sql.parsing.constants import parse_type
from insjo.sql.parsing.grammar import parse_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from insjo.catalog.types import Column, Identity

_UNSTEADY = frozenset(
    {"rand", "random", "randn", "uuid", "shuffle", "monotonically_increasing_id", "current_timestamp", "now", "current_date", "curdate",
     "current_user", "session_user", "user", "current_catalog", "current_database", "current_schema", "is_account_group_member",
     "is_member", "unix_timestamp", "localtimestamp", "current_timezone", "version", "input_file_name"},
)  # fmt: skip
"""Functions that may not decide about stored rows: they give another answer tomorrow, or to somebody else."""


def expression_of(text: str) -> exp.Expr:
    """A stored expression as a tree."""
    tree = parse_tree("SELECT " + text)
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or any(tree.args.get(key) for key in ("from_", "where", "limit")):
        message = f"`{text}` is not one expression."
        raise InvalidArgument(message)
    return tree.expressions[0].unalias()  # type: ignore[no-any-return]  # sqlglot's lists are untyped.


def columns_in(tree: exp.Expr) -> set[str]:
    """Columns that an expression names, in lower case."""
    return {node.name.lower() for node in tree.find_all(exp.Column)}


def refuse_unsteady(tree: exp.Expr, place: str) -> None:
    """Refuse what would not give the same answer for the same row for ever."""
    for node in tree.walk():
        name = str(node.this).lower() if isinstance(node, exp.Anonymous) else node.key if isinstance(node, exp.Func) else ""
        if name in _UNSTEADY or name.replace("current", "current_") in _UNSTEADY:
            message = f"`{name}()` cannot stand in {place}: it does not give the same answer each time."
            raise InvalidArgument(message)
        if isinstance(node, exp.Subquery | exp.Select | exp.Window):
            message = f"A query cannot stand in {place}."
            raise UnsupportedFeature(message, details={"feature": f"subquery in {place}"})


def filled(tree: exp.Expr, values: Mapping[str, exp.Expr], columns: Sequence[Column], alias: str = "") -> exp.Expr:
    """An expression over the columns of a table with the values that they will have; other columns keep what they have."""
    kinds = {column.name.lower(): column.type_text for column in columns}
    tree = exp.Paren(this=tree.copy())
    for node in list(tree.find_all(exp.Column)):
        name = node.name.lower()
        if name in values:
            node.replace(typed(values[name].copy(), kinds[name]))
        elif name in kinds:
            node.replace(exp.column(node.name, table=alias or None, quoted=True))
    return tree


def typed(value: exp.Expr, type_text: str) -> exp.Expr:
    """A value in a type; what does not fit is an error (ANSI)."""
    return exp.Cast(this=value, to=parse_type(type_text))


def default_of(column: Column) -> exp.Expr:
    """The value of a column for which a statement gives none."""
    return expression_of(column.default) if column.default else exp.Null()


def next_value(identity: Identity) -> int:
    """The value that comes next."""
    return identity.start if identity.last is None else identity.last + identity.step


def count_up(identity: Identity) -> exp.Expr:
    """Values for the rows of a query, one after the other."""
    number = exp.Window(this=exp.Anonymous(this="row_number"), order=exp.Order(expressions=[exp.Ordered(this=exp.Literal.number(1))]))
    steps = exp.Mul(this=_whole(identity.step), expression=exp.Paren(this=exp.Sub(this=number, expression=_whole(1))))
    return exp.Add(this=_whole(next_value(identity)), expression=steps)


def _whole(number: int) -> exp.Expr:
    literal = exp.Literal.string(str(number))
    return exp.Cast(this=literal, to=parse_type("bigint"))


def completed(values: Mapping[str, exp.Expr], columns: Sequence[Column]) -> dict[str, exp.Expr]:
    """The values of a new row: those that are given (by column in lower case), and what the table itself puts for the others.

    Raises:
        ComputedColumn: A value is given for a column that the table counts up by itself.
    """
    found = dict(values)
    for column in columns:
        name = column.name.lower()
        if name in values:
            if column.identity is not None and not column.identity.explicit:
                message = f"The column `{column.name}` is `GENERATED ALWAYS AS IDENTITY`: no statement may give its values."
                raise ComputedColumn(message, hint="Leave the column out.")
        elif column.identity is not None:
            found[name] = count_up(column.identity)
        elif not column.generated:
            found[name] = default_of(column)
    for column in columns:
        if column.generated and column.name.lower() not in values:
            found[column.name.lower()] = filled(expression_of(column.generated), found, columns)
    return found


def recomputed(changes: Mapping[str, exp.Expr], columns: Sequence[Column], alias: str) -> dict[str, exp.Expr]:
    """The values that an UPDATE sets, with those of the columns that are computed from them."""
    found = dict(changes)
    for column in columns:
        name = column.name.lower()
        if name in changes and column.identity is not None:
            message = f"The column `{column.name}` is an identity column, whose values cannot be changed."
            raise ComputedColumn(message)
        if column.generated and name not in changes:
            tree = expression_of(column.generated)
            if columns_in(tree) & set(changes):
                found[name] = filled(tree, changes, columns, alias)
    return found


def counted_up(columns: Sequence[Column], given: Collection[str], rows: int) -> tuple[Column, ...] | None:
    """The columns after rows were added, or None when no counter moved; `given` are the columns whose values the statement gave."""
    moved = False
    after: list[Column] = []
    for column in columns:
        if column.identity is not None and rows and column.name.lower() not in given:
            last = next_value(column.identity) + column.identity.step * (rows - 1)
            after.append(replace(column, identity=replace(column.identity, last=last)))
            moved = True
        else:
            after.append(column)
    return tuple(after) if moved else None


def checks_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Conditions of a table by name."""
    return {key.removeprefix(CONSTRAINTS): value for key, value in properties.items() if key.startswith(CONSTRAINTS)}


def conditions_of(columns: Sequence[Column], properties: Mapping[str, str]) -> list[tuple[str, str, exp.Expr]]:
    """Code, name and condition of all that a row must fulfil besides NOT NULL; a condition that is NULL is not fulfilled (Delta)."""
    found: list[tuple[str, str, exp.Expr]] = [
        (CHECK_CODE, f"{name} ({text})", expression_of(text)) for name, text in sorted(checks_of(properties).items())
    ]
    for column in columns:
        if column.generated:
            value = typed(expression_of(column.generated), column.type_text)
            same = exp.NullSafeEQ(this=exp.column(column.name, quoted=True), expression=value)
            found.append((GENERATED_CODE, column.name, same))
    return found


CHECK_CODE = "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"
GENERATED_CODE = "DELTA_GENERATED_COLUMNS_EXPR_MISMATCH"
