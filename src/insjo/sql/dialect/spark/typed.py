"""Nodes with their types: what the rewrites for Spark Connect are made of."""

from __future__ import annotations

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
