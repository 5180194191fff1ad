"""Percentiles: approximate ones are computed exactly, because each server approximates in its own way."""

from __future__ import annotations

from sqlglot import exp

from insjo.sql.dialect.spark.typed import cast, refused, type_of
from insjo.sql.dialect.types import DOUBLE, STRING, Kind, Type

EXACT = frozenset({"percentile"})
CHOSEN = frozenset({"percentile_approx", "approx_percentile"})
ORDERED = frozenset({"percentile_cont", "percentile_disc"})
_TAKES_ACCURACY = 3


def percentile(node: exp.Anonymous) -> exp.Expr:
    """`percentile` and `percentile_approx`; those of WITHIN GROUP wait for their sort key."""
    name, arguments = str(node.this).lower(), node.expressions
    if name in ORDERED:
        return node if isinstance(node.parent, exp.WithinGroup) else _unable(node)
    most = _TAKES_ACCURACY if name in CHOSEN else 2
    if isinstance(node.parent, exp.Window | exp.Filter) or not 1 < len(arguments) <= most or isinstance(arguments[0], exp.Distinct):
        return _unable(node)
    value, share = arguments[0], arguments[1]
    if isinstance(share, exp.Anonymous) and str(share.this).lower() == "array" and share.expressions:
        return exp.Anonymous(this="array", expressions=[_one(node, name, value, each) for each in share.expressions])
    return _one(node, name, value, share)


def within_group(node: exp.Expr) -> exp.Expr:
    """`percentile_cont(p) WITHIN GROUP (ORDER BY x)` and `percentile_disc`; other aggregates stay as they are."""
    call = node.this
    if not isinstance(call, exp.Anonymous) or str(call.this).lower() not in ORDERED:
        return node
    keys = node.expression.expressions if isinstance(node.expression, exp.Order) else []
    if len(keys) != 1 or len(call.expressions) != 1 or isinstance(node.parent, exp.Window | exp.Filter):
        return _unable(call)
    descending = isinstance(keys[0], exp.Ordered) and bool(keys[0].args.get("desc"))
    value = keys[0].this if isinstance(keys[0], exp.Ordered) else keys[0]
    share = call.expressions[0]
    if str(call.this).lower() == "percentile_disc":
        return _chosen(call, value, _share(call, share), descending=descending)
    if descending:
        share = exp.Literal.number(f"{1 - _share(call, share):.17g}")
    return _interpolated(call, value, share)


def _one(node: exp.Anonymous, name: str, value: exp.Expr, share: exp.Expr) -> exp.Expr:
    if name in EXACT:
        return _interpolated(node, value, share)
    return _chosen(node, value, _share(node, share), descending=False)


def _share(node: exp.Anonymous, share: exp.Expr) -> float:
    """A constant between 0 and 1."""
    inner = share.this if isinstance(share, exp.Cast) else share
    if not isinstance(inner, exp.Literal) or inner.is_string:
        raise refused(node, f"the function `{str(node.this).lower()}` with a share that is no constant")
    found = float(inner.this)
    if not 0 <= found <= 1:
        _unable(node)
    return found


def _interpolated(node: exp.Anonymous, value: exp.Expr, share: exp.Expr) -> exp.Expr:
    """Between the two values beside the place."""
    if not (type_of(value) or STRING).is_numeric:
        return _unable(node)
    return exp.Anonymous(this="percentile", expressions=[_double(value), _number(_share(node, share))])


def _chosen(node: exp.Anonymous, value: exp.Expr, share: float, *, descending: bool) -> exp.Expr:
    """The first value with that share of all values at or before it; NULL when there is no value."""
    kind = type_of(value)
    if kind is None or not _sorts_alike(kind):
        return _unable(node)
    gathered = exp.Anonymous(this="collect_list", expressions=[value.copy()])
    order = exp.Boolean(this=not descending)
    ordered = exp.Anonymous(this="sort_array", expressions=[gathered, order])
    count = exp.Anonymous(this="count", expressions=[value.copy()])
    rank = exp.Anonymous(this="ceil", expressions=[exp.Mul(this=_number(share), expression=_double(count))])
    place = exp.Cast(this=exp.Anonymous(this="greatest", expressions=[_double(rank), _number(1.0)]), to=exp.DataType.build("int"))
    return exp.Anonymous(this="try_element_at", expressions=[ordered, place])


def _sorts_alike(kind: Type) -> bool:
    return kind.is_numeric or kind.is_datetime or kind.kind is Kind.STRING


def _double(node: exp.Expr) -> exp.Expr:
    return cast(node, DOUBLE)


def _number(value: float) -> exp.Expr:
    return exp.Cast(this=exp.Literal.number(f"{value:.17g}"), to=exp.DataType.build("double"))


def _unable(node: exp.Anonymous) -> exp.Expr:
    raise refused(node, f"the function `{str(node.this).lower()}` in this form")
