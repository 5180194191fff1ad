"""From a node of the tree to the definition of its function."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import did_you_mean
from insjo.sql.dialect.functions.registry import Call, Definition
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from insjo.sql.dialect.compiling import Compiler
    from insjo.sql.dialect.fragments import Fragment

_WORDY: dict[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.Substring: ("substring", ("this", "start", "length")),
    exp.StrPosition: ("position", ("substr", "this", "position")),
    exp.Overlay: ("overlay", ("this", "expression", "from_", "for_")),
    exp.Extract: ("extract", ("this", "expression")),
    exp.CurrentDate: ("current_date", ()),
    exp.CurrentTimestamp: ("current_timestamp", ()),
    exp.CurrentUser: ("current_user", ()),
    exp.SessionUser: ("session_user", ()),
    exp.Localtimestamp: ("localtimestamp", ()),
    exp.Any: ("any", ("this",)),
}
"""Nodes of functions with a grammar of their own: name, and the arguments in the order of the definition."""


@functools.cache
def definitions() -> dict[str, Definition]:
    """Every function by each of its names."""
    from insjo.sql.dialect.functions import catalogue

    found: dict[str, Definition] = {}
    for each in catalogue.DEFINITIONS:
        for name in each.names:
            if name in found:
                raise AssertionError(f"`{name}` is defined twice.")  # A mistake in this program.
            found[name] = each
    return found


def find(name: str) -> Definition | None:
    """The function of that name, or None."""
    return definitions().get(name.lower())


def unsupported(name: str) -> UnsupportedFeature:
    """Error for a function that is not defined here."""
    return UnsupportedFeature(f"The function `{name}` is not supported.", hint=did_you_mean(name.lower(), definitions()))


def call_function(
    compiler: Compiler, node: exp.Expr, *, over: Fragment | None = None, windowed: bool = False, where: Fragment | None = None
) -> Fragment:
    """Fragment of a call, with what stands around it: FILTER, WITHIN GROUP, IGNORE NULLS, OVER.

    Args:
        compiler: Compiles the arguments.
        node: The call.
        over: The OVER clause.
        windowed: Whether there is one.
        where: A FILTER in place of the call's own (PIVOT).
    """
    call = _read_call(compiler, node)
    call.over = over
    call.filter = where or call.filter
    definition = find(call.name)
    if definition is None:
        raise unsupported(call.name)
    _check_surroundings(definition, call, windowed=windowed)
    definition.check(call)
    return definition.compile(call)


def _check_surroundings(definition: Definition, call: Call, *, windowed: bool) -> None:
    if definition.kind == "window" and not windowed:
        raise UnsupportedFeature(f"{call.label} needs an `OVER` clause.")
    if definition.kind == "scalar" and (windowed or call.filter or call.distinct or call.order or call.ignore_nulls):
        raise UnsupportedFeature(f"{call.label} is no aggregate: `OVER`, `FILTER`, `DISTINCT` and `ORDER BY` do not go with it.")
    if definition.kind == "generator":
        raise UnsupportedFeature(f"{call.label} makes rows: it can stand alone in a select list, in `LATERAL VIEW` and in `FROM` only.")
    if windowed and call.distinct:
        raise UnsupportedFeature(f"`DISTINCT` in the window function {call.label} is not supported.")


def _read_call(compiler: Compiler, node: exp.Expr) -> Call:
    """Peel off what stands around the call."""
    ignore_nulls = False
    order: list[exp.Expr] = []
    condition: Fragment | None = None
    while isinstance(node, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
        if isinstance(node, exp.Filter):
            condition = compiler.condition(node.expression.this, "`FILTER`")
        elif isinstance(node, exp.WithinGroup):
            order = list(node.expression.expressions)
        else:
            ignore_nulls = isinstance(node, exp.IgnoreNulls)
        node = node.this
    name, arguments = _name_and_arguments(node)
    distinct = False
    if arguments and isinstance(arguments[0], exp.Distinct):
        distinct = True
        arguments = [*arguments[0].expressions, *arguments[1:]]
    if arguments and isinstance(arguments[-1], exp.Order):
        ordered = arguments[-1]
        order = list(ordered.expressions)
        arguments = [*arguments[:-1], *([ordered.this] if ordered.this is not None else [])]
    if any(isinstance(each, exp.Kwarg) for each in arguments):
        arguments = _positional(name, arguments)
    return Call(compiler, name, arguments, distinct=distinct, order=order, filter=condition, ignore_nulls=ignore_nulls)


def _name_and_arguments(node: exp.Expr) -> tuple[str, list[exp.Expr]]:
    if isinstance(node, exp.Anonymous):
        return node.name.lower(), list(node.expressions)
    if isinstance(node, exp.Trim):
        side = str(node.args.get("position") or "BOTH").lower()
        extra = node.args.get("expression")
        return f"trim_{side}", [node.this, *([extra] if extra is not None else [])]
    wordy = _WORDY.get(type(node))
    if wordy is None:
        raise UnsupportedFeature(f"`{type(node).__name__}` is not supported.")
    name, keys = wordy
    return name, [node.args[key] for key in keys if node.args.get(key) is not None]


_PARAMETERS: dict[str, tuple[tuple[str, str | int | None], ...]] = {
    "make_interval": tuple((name, 0) for name in ("years", "months", "weeks", "days", "hours", "mins", "secs")),
    "make_dt_interval": tuple((name, 0) for name in ("days", "hours", "mins", "secs")),
    "make_ym_interval": tuple((name, 0) for name in ("years", "months")),
    "mask": (("str", None), ("upperchar", "X"), ("lowerchar", "x"), ("digitchar", "n"), ("otherchar", None)),
    "explode": (("collection", None),),
}
"""Parameters and their defaults, for the functions that are commonly called with `name => value`."""


def _positional(name: str, arguments: list[exp.Expr]) -> list[exp.Expr]:
    """Named arguments in their places, defaults in the gaps."""
    parameters = _PARAMETERS.get(name)
    if parameters is None:
        raise UnsupportedFeature(f"Named arguments of `{name}` are not supported.", hint="Give them by position.")
    names = [each for each, _ in parameters]
    placed: list[exp.Expr] = []
    for each in arguments:
        if not isinstance(each, exp.Kwarg):
            placed.append(each)
            continue
        key = each.this.name.lower()
        if key not in names:
            raise UnsupportedFeature(f"`{name}` has no parameter `{key}`.", hint=did_you_mean(key, names))
        index = names.index(key)
        placed.extend(_constant(default) for _, default in parameters[len(placed) : index + 1])
        placed[index] = each.expression
    return placed


def _constant(value: str | int | None) -> exp.Expr:
    if value is None:
        return exp.Null()
    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value)
