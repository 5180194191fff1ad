"""Casts that are computed alike everywhere."""

from __future__ import annotations

import re

from sqlglot import exp

from insjo.sql.dialect.spark.moments import unix_seconds
from insjo.sql.dialect.spark.readings import can_read, read
from insjo.sql.dialect.spark.typed import cast, refused, type_of
from insjo.sql.dialect.types import Kind

_TRUNCATED = re.compile(r"([+-]?[0-9]{1,18})\.[0-9]*")


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
    if source.kind is Kind.STRING and not isinstance(node.this, exp.Literal) and can_read(target):
        return read(node.this, target, safe=isinstance(node, exp.TryCast) or bool(node.args.get("safe")))
    if source.kind is Kind.TIMESTAMP and target.kind is Kind.BIGINT:
        return unix_seconds(node.this)
    if doubtful and not (source.kind is Kind.STRING and target.is_datetime and isinstance(node.this, exp.Literal)):
        raise refused(node, f"the cast from `{source.text}` to `{target.text}`")
    return node
