"""Leaving out files that cannot hold a row that the statement wants, by the statistics in the table's log."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.catalog.types import Column, DataFile
    from insjo.sql.binding.references import Reference

FILES_MIN = 3
"""Below this number of files looking costs more than opening them."""

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
_OPERATORS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_NUMBERS = ("tinyint", "smallint", "int", "bigint")

Bound = int | str
"""Whole numbers and texts (also dates, written year first) compare as they stand in the log."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`column operator value`, one of several that must all hold; the operator is one of `=`, `<`, `<=`, `>`, `>=`, `in`."""

    column: str
    operator: str
    values: tuple[Bound, ...]


def conditions(reference: Reference, columns: Sequence[Column]) -> tuple[Condition, ...]:
    """The simple conditions in the WHERE of a source's own SELECT.

    A source on the outer side of a join is left alone: its rows count even where the condition fails later.
    """
    select = reference.select
    where = select.args.get("where") if select is not None else None
    if select is None or where is None or select.args.get("joins") or select.args.get("laterals") or reference.node.args.get("joins"):
        return ()
    if reference.node.args.get("pivots") or reference.node.args.get("sample"):
        return ()
    kinds = {column.name.lower(): column.type_text for column in columns}
    found: list[Condition] = []
    for part in _conjuncts(where.this):
        condition = _simple(part, reference.alias, kinds)
        if condition is not None:
            found.append(condition)
    return tuple(found)


def prune(files: Sequence[DataFile], wanted: Iterable[Condition]) -> Sequence[DataFile]:
    """The files that may hold a row for which all conditions hold."""
    wanted = tuple(wanted)
    if not wanted or len(files) < FILES_MIN:
        return files
    return [file for file in files if all(_may_hold(file, condition) for condition in wanted)]


def _conjuncts(tree: exp.Expr) -> Iterable[exp.Expr]:
    """Parts joined by AND."""
    if isinstance(tree, exp.And):
        yield from _conjuncts(tree.left)
        yield from _conjuncts(tree.right)
    elif isinstance(tree, exp.Paren):
        yield from _conjuncts(tree.this)
    else:
        yield tree


def _simple(part: exp.Expr, alias: str, kinds: Mapping[str, str]) -> Condition | None:
    """A comparison of one column with constants, or None."""
    operator = _OPERATORS.get(type(part))
    if operator is not None:
        for side, other, sign in ((part.this, part.expression, operator), (part.expression, part.this, _MIRRORED[operator])):
            column = _column(side, alias, kinds)
            if column:
                value = _constant(other, kinds[column])
                return None if value is None else Condition(column, sign, (value,))
        return None
    if isinstance(part, exp.Between) and not part.args.get("symmetric"):
        return None
    if isinstance(part, exp.In) and not part.args.get("query") and not part.args.get("unnest"):
        column = _column(part.this, alias, kinds)
        values = [_constant(each, kinds[column]) for each in part.expressions] if column else []
        if values and all(value is not None for value in values):
            return Condition(column, "in", tuple(value for value in values if value is not None))
    return None


def _column(node: exp.Expr, alias: str, kinds: Mapping[str, str]) -> str:
    """Name of the source's column, or an empty text."""
    if not isinstance(node, exp.Column) or node.args.get("db") or (node.table and node.table.lower() != alias):
        return ""
    name = node.name.lower()
    return name if name in kinds else ""


def _constant(node: exp.Expr, kind: str) -> Bound | None:
    """Value that can be compared with statistics of a column of this type, or None."""
    negative = isinstance(node, exp.Neg)
    inner = node.this if negative else node
    if isinstance(inner, exp.Literal) and not inner.is_string and (kind in _NUMBERS or _whole_digits(kind) >= len(str(inner.this))):
        try:
            return -int(inner.this) if negative else int(inner.this)
        except ValueError:
            return None
    if negative:
        return None
    if isinstance(inner, exp.Literal) and inner.is_string and kind == "string":
        return str(inner.this)
    if kind == "date":
        if isinstance(inner, exp.Cast | exp.TsOrDsToDate | exp.Date):
            inner = inner.this
        if isinstance(inner, exp.Literal) and inner.is_string and re.fullmatch(r"\d{4}-\d\d-\d\d", str(inner.this)):
            try:
                return date.fromisoformat(str(inner.this)).isoformat()
            except ValueError:
                return None
    return None


def _whole_digits(kind: str) -> int:
    """Digits before the point of a decimal type: a whole number of as many has the same value in it.  -1 for other types."""
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return int(found[1]) - int(found[2]) if found else -1


def _may_hold(file: DataFile, condition: Condition) -> bool:
    """Whether a row of the file may fulfil the condition."""
    for key, value in file.partition_values.items():
        if key.lower() == condition.column:
            return _fulfils(value, condition)
    stats = file.stats or {}
    low, high = _stat(stats.get("minValues"), condition.column), _stat(stats.get("maxValues"), condition.column)
    first = condition.values[0]
    if low is not None and isinstance(low, type(first)):
        if condition.operator in {"=", "in"} and all(_less(value, low) for value in condition.values):
            return False
        if (condition.operator == "<" and not _less(low, first)) or (condition.operator == "<=" and _less(first, low)):
            return False
    if high is not None and isinstance(high, type(first)):
        if condition.operator in {"=", "in"} and all(_less(high, value) for value in condition.values):
            return False
        if (condition.operator == ">" and not _less(first, high)) or (condition.operator == ">=" and _less(high, first)):
            return False
    return True


def _fulfils(value: object, condition: Condition) -> bool:
    """Whether one known value fulfils the condition; NULL fulfils none."""
    if value is None:
        return False
    known: Bound = value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value  # type: ignore[assignment]  # Compared only where the types agree.
    if any(not isinstance(known, type(each)) or isinstance(known, bool) for each in condition.values):
        return True
    first = condition.values[0]
    if condition.operator in {"=", "in"}:
        return known in condition.values
    holds = {"<": _less(known, first), ">": _less(first, known), "<=": not _less(first, known), ">=": not _less(known, first)}
    return holds[condition.operator]


def _stat(values: object, column: str) -> Bound | None:
    """Minimum or maximum of a column, if the log has one that can be compared."""
    if not isinstance(values, dict):
        return None
    for key, value in values.items():
        if str(key).lower() == column:
            if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
                return None
            return value if isinstance(value, int | str) else None
    return None


def _less(one: Bound, other: Bound) -> bool:
    """Order of values of one kind; texts in the order of their bytes, as the engine and Delta have it."""
    if isinstance(one, str) and isinstance(other, str):
        return one.encode() < other.encode()
    return one < other  # type: ignore[operator]  # Both are numbers here.
