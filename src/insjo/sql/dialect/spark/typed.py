"""Nodes with their types: what the rewrites for Spark Connect are made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.coercion import common_type
from insjo.sql.dialect.expressions import NODE_TYPE, shorten
from insjo.sql.dialect.types import DECIMAL_PRECISION_MAX, Kind, Type, decimal
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = decimal(DECIMAL_PRECISION_MAX, 0)
"""In which 64 bits are computed: nothing overflows there, and the cast back raises."""

_TRUNCATED = re.compile(r"([+-]?[0-9]{1,18})\.[0-9]*")


def type_of(node: exp.Expr | None) -> Type | None:
    """The type that the compiler found."""
    found = node.meta.get(NODE_TYPE) if node is not None else None
    return found if isinstance(found, Type) else None


def refused(node: exp.Expr, what: str = "") -> UnsupportedFeature:
    """The error for something that would not be computed as Databricks computes it."""
    name = f"{what[0].upper()}{what[1:]}" if what else f"`{shorten(node)}`"
    message = f"{name} is not supported by warehouses on Spark."
    return UnsupportedFeature(message, hint="Run the statement on a warehouse on DuckDB.", details={"feature": what or shorten(node)})


def data_type(kind: Type) -> exp.DataType:
    """A type as a node."""
    return exp.DataType.build(kind.text, dialect="databricks")


def cast(node: exp.Expr, kind: Type) -> exp.Expr:
    """An explicit cast; none where the type is known to be that already."""
    if type_of(node) == kind and not isinstance(node, exp.Literal | exp.Null | exp.Neg):
        return node
    made = exp.Cast(this=node.copy(), to=data_type(kind))
    made.meta[NODE_TYPE] = kind
    return made


def shared_type(nodes: Iterable[exp.Expr]) -> Type | None:
    """The type in which values are compared; None where it is not certain, or where engines compare differently."""
    found: Type | None = None
    for node in nodes:
        kind = type_of(node)
        if kind is None:
            return None
        if found is None or found.kind is Kind.VOID:
            found = kind
        elif kind.kind is not Kind.VOID and kind != found:
            found = common_type(found, kind)
            if found is None:
                return None
    return found


def checked_cast(node: exp.Expr) -> exp.Expr:
    """A cast that is computed alike everywhere, or UnsupportedFeature."""
    source, target = type_of(node.this), type_of(node)
    if source is None or target is None:
        raise refused(node)
    if source == target or source.kind is Kind.VOID:
        return node
    doubtful = (
        (target.kind is Kind.STRING and (source.kind in {Kind.FLOAT, Kind.DOUBLE, Kind.BINARY} or source.is_nested))
        or (target.kind is Kind.DECIMAL and source.kind in {Kind.FLOAT, Kind.DOUBLE, Kind.STRING})
        or (source.is_datetime and target.is_numeric)
        or (target.is_datetime and source.is_numeric)
        or (source.kind is Kind.STRING and (target.is_datetime or target.kind in {Kind.FLOAT, Kind.DOUBLE, Kind.BOOLEAN}))
        or (source.kind is Kind.STRING and target.is_numeric and not isinstance(node.this, exp.Literal))
        or source.is_nested
        or target.is_nested
    )
    if source.kind is Kind.STRING and target.is_integral and isinstance(node.this, exp.Literal):
        cut = _TRUNCATED.fullmatch(str(node.this.this).strip())
        return cast(exp.Literal.string(cut[1]), target) if cut else node
    if doubtful and not (source.kind is Kind.STRING and target.is_datetime and isinstance(node.this, exp.Literal)):
        raise refused(node, f"the cast from `{source.text}` to `{target.text}`")
    return node
