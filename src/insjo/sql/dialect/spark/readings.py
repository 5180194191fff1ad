"""Texts of columns read as numbers, dates and booleans.

Servers agree on the plain forms only.  So the form is looked at first: a plain one is read, what can be no value at all raises (or gives
NULL, where that was asked for), and a form in between ends the statement with a refusal instead of a guess.
"""

from __future__ import annotations

from sqlglot import exp

from insjo.sql.dialect.spark.typed import data_type
from insjo.sql.dialect.types import Kind, Type

ODD_TEXT = "[INSJO_ODD_TEXT]"
"""Stands in the error of a statement that met a text in a form that servers read differently."""

_WHOLE = "^[+-]?[0-9]{1,18}([.][0-9]*)?$"
_NUMBER = "^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DATE = "^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ].*)?$"
_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
_TRUE_OR_FALSE = ("true", "t", "yes", "y", "1", "false", "f", "no", "n", "0")
_INFINITE = {"infinity": "Infinity", "+infinity": "Infinity", "-infinity": "-Infinity", "inf": "Infinity", "+inf": "Infinity",
             "-inf": "-Infinity", "nan": "NaN"}  # fmt: skip


def can_read(target: Type) -> bool:
    """Whether texts of a column are read as this type."""
    return target.is_integral or target.kind in {Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP, Kind.BOOLEAN}


def read(source: exp.Expr, target: Type, *, safe: bool) -> exp.Expr:
    """The value of a text; `safe` gives NULL for what is none."""
    text = _call("btrim", source.copy())
    branches = [exp.If(this=exp.Is(this=source.copy(), expression=exp.Null()), true=exp.Null())]
    if target.is_integral:
        branches.append(
            _when(_like(text, _WHOLE), _cast(_call("split_part", text, _literal("."), exp.Literal.number(1)), target, safe=safe))
        )
    elif target.kind is Kind.DOUBLE:
        branches.append(_when(_like(text, _NUMBER), _cast(text, target, safe=safe)))
        branches += [_when(_equal(text, word), _cast(_literal(value), target, safe=False)) for word, value in _INFINITE.items()]
    elif target.kind is Kind.DATE:
        day = _call(
            "substring_index", _call("substring_index", text, _literal("T"), exp.Literal.number(1)), _literal(" "), exp.Literal.number(1)
        )
        branches.append(_when(_like(text, _DATE), _cast(day, target, safe=safe)))
    elif target.kind is Kind.TIMESTAMP:
        branches.append(_when(_like(text, _MOMENT), _cast(text, target, safe=safe)))
    else:
        known = exp.In(this=_call("lower", text), expressions=[_literal(word) for word in _TRUE_OR_FALSE])
        branches.append(_when(known, _cast(_call("lower", text), target, safe=False)))
    if target.kind is not Kind.BOOLEAN:
        branches.append(_when(_like(text, "[0-9]"), _raised(ODD_TEXT, target)))
    return exp.Case(ifs=branches, default=exp.Null() if safe else _raised("[CAST_INVALID_INPUT]", target))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[each.copy() for each in arguments])


def _literal(value: str) -> exp.Expr:
    return exp.Literal.string(value)


def _like(text: exp.Expr, pattern: str) -> exp.Expr:
    return exp.RegexpLike(this=text.copy(), expression=_literal(pattern))


def _equal(text: exp.Expr, word: str) -> exp.Expr:
    return exp.EQ(this=_call("lower", text), expression=_literal(word))


def _when(condition: exp.Expr, value: exp.Expr) -> exp.If:
    return exp.If(this=condition, true=value)


def _cast(node: exp.Expr, target: Type, *, safe: bool) -> exp.Expr:
    if safe:
        return exp.TryCast(this=node.copy(), to=data_type(target), safe=True)
    return exp.Cast(this=node.copy(), to=data_type(target))


def _raised(mark: str, target: Type) -> exp.Expr:
    return exp.Cast(this=_call("raise_error", _literal(mark)), to=data_type(target))
