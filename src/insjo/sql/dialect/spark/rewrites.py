"""Rewrites of typed nodes, and the refusal of those that Spark Connect computes differently.

Integers are computed one size up and cast back, because not every server of Spark Connect raises on overflow; casts do raise.  Where
Databricks casts by itself, the cast is written down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.coercion import common_type
from insjo.sql.dialect.expressions import NODE_TYPE
from insjo.sql.dialect.names import is_aggregate
from insjo.sql.dialect.selects import STAR_NAMES
from insjo.sql.dialect.spark.calls import rewritten_call
from insjo.sql.dialect.spark.casts import checked_cast
from insjo.sql.dialect.spark.moments import shifted_date
from insjo.sql.dialect.spark.outputs import plain_outputs
from insjo.sql.dialect.spark.percentiles import within_group
from insjo.sql.dialect.spark.relations import plain_relations
from insjo.sql.dialect.spark.typed import WIDE, cast, refused, shared_type, type_of
from insjo.sql.dialect.types import BIGINT, BOOLEAN, DECIMAL_PRECISION_MAX, STRING, Kind, Type, decimal

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.sql.dialect.session import SessionFacts

_FORMS = frozenset(
    {
        "Select", "From", "Where", "Group", "Having", "Order", "Ordered", "Limit", "Offset", "Join", "Subquery", "CTE", "With", "Union",
        "Intersect", "Except", "Table", "TableAlias", "Identifier", "Column", "Star", "Alias", "Aliases", "Paren", "Literal", "Null",
        "Boolean", "And", "Or", "Not", "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "NullSafeEQ", "Is", "In", "Between", "Like", "Case", "If",
        "Cast", "TryCast", "Add", "Sub", "Mul", "Div", "Mod", "IntDiv", "Neg", "Anonymous", "Window", "WindowSpec", "Distinct", "Exists",
        "Tuple", "Values", "DPipe", "Interval", "Extract", "Substring", "Qualify", "DataType", "DataTypeParam", "Var", "Cube", "Rollup",
        "GroupingSets", "Bracket", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "Lambda", "Filter", "WithinGroup", "Trim",
        "Lateral", "ColumnDef", "RegexpLike", "ILike",  "Dot", "IntervalSpan", "CurrentDate",
        "CurrentTimestamp", "Escape", "HexString", "NullSafeNEQ", "Any", "All", "IgnoreNulls", "Concat",
    },
)  # fmt: skip
"""Classes of nodes that may be sent."""

_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second", "quarter", "yearofweek", "week", "years", "months", "days"})
_WORD = re.compile(r"\^?[A-Za-z0-9 ]+")
"""Patterns that every engine of regular expressions reads alike."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_SKIPS_NULL = frozenset({"sum", "count", "min", "max", "avg", "mean", "collect_list", "array_agg", "collect_set"})
"""Aggregates that leave NULL out."""

_UNSUITED = frozenset({Kind.VARIANT})


def rewrite(tree: exp.Expr, session: SessionFacts) -> exp.Expr:
    """The tree with every node made safe; it is changed."""
    plain_relations(tree)
    plain_outputs(tree)
    for node in list(tree.walk()):
        _check(node)
    found = tree
    for node in reversed(list(tree.walk(bfs=False))):
        made = _rewritten(node, session)
        if isinstance(made, exp.TryCast):
            made.set("safe", True)  # noqa: FBT003  # sqlglot writes TRY_CAST only then; `?::` does not say so.
        if made is not node:
            made.meta.setdefault(NODE_TYPE, type_of(node))
            if node is found:
                found = made
            elif node.parent is not None:
                node.replace(made)
    return found


def _check(node: exp.Expr) -> None:
    if type(node).__name__ not in _FORMS:
        raise refused(node)
    kind = type_of(node)
    if kind is not None and (kind.kind in _UNSUITED or (kind.kind is Kind.INTERVAL and not isinstance(node, exp.Interval))):
        raise refused(node, f"values of type `{kind.text}`")
    if isinstance(node, exp.With) and node.args.get("recursive"):
        raise refused(node, "WITH RECURSIVE")


def _rewritten(node: exp.Expr, session: SessionFacts) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        return rewritten_call(node, session)
    for classes, change in _CHANGES:
        if isinstance(node, classes):
            return change(node)
    return node


# ---------------------------------------------------------------------------------------------------------------- operators


def _arithmetic(node: exp.Expr) -> exp.Expr:
    kind, left, right = type_of(node), type_of(node.this), type_of(node.expression)
    if kind is None or left is None or right is None:
        raise refused(node)
    if (shifted := shifted_date(node)) is not None:
        return shifted
    if kind.is_integral and _countable(node.this, left) and _countable(node.expression, right):
        wide = WIDE if kind.kind is Kind.BIGINT else BIGINT
        made = type(node)(this=cast(node.this, wide), expression=cast(node.expression, wide))
        return cast(exp.Paren(this=made), kind)
    if kind.kind is Kind.DECIMAL:
        if kind.precision >= DECIMAL_PRECISION_MAX:
            raise refused(node, "arithmetic on decimals that needs all 38 digits")
        made = type(node)(
            this=cast(node.this, _decimal_of(node.this, left)), expression=cast(node.expression, _decimal_of(node.expression, right))
        )
        return cast(exp.Paren(this=made), kind)
    if kind.kind in {Kind.DOUBLE, Kind.FLOAT} and left.is_numeric and right.is_numeric:
        return type(node)(this=cast(node.this, kind), expression=cast(node.expression, kind))
    if kind.kind in {Kind.DATE, Kind.TIMESTAMP} and Kind.INTERVAL in {left.kind, right.kind}:
        moment, other = (node.this, node.expression) if left.is_datetime else (node.expression, node.this)
        if isinstance(other, exp.Interval):
            return type(node)(this=cast(moment, kind), expression=other.copy())
    raise refused(node)


def _countable(node: exp.Expr, kind: Type) -> bool:
    """Whether an operand is a number, or a text that is one."""
    return kind.is_numeric or (isinstance(node, exp.Literal) and _WHOLE.fullmatch(str(node.this)) is not None)


def _decimal_of(node: exp.Expr, kind: Type) -> Type:
    """Type with which an operand takes part in arithmetic on decimals; a whole number takes as many digits as it has."""
    if kind.kind is Kind.DECIMAL:
        return kind
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return decimal(len(str(node.this)), 0)
    digits = {Kind.TINYINT: 3, Kind.SMALLINT: 5, Kind.INT: 10, Kind.BIGINT: 20}.get(kind.kind)
    if digits is None:
        raise refused(node)
    return decimal(digits, 0)


def _division(node: exp.Expr) -> exp.Expr:
    kind, left, right = type_of(node), type_of(node.this), type_of(node.expression)
    if kind is None or left is None or right is None or kind.kind is Kind.DECIMAL or not (left.is_numeric and right.is_numeric):
        raise refused(node, "division of decimals" if kind is not None and kind.kind is Kind.DECIMAL else "")
    if isinstance(node, exp.IntDiv) and Kind.DECIMAL in {left.kind, right.kind}:
        raise refused(node)
    common = kind if isinstance(node, exp.Div) else common_type(left, right)
    if common is None:
        raise refused(node)
    made = type(node)(**{**node.args, "this": cast(node.this, common), "expression": cast(node.expression, common)})
    return cast(exp.Paren(this=made), kind) if kind.is_integral else made


def _negative(node: exp.Expr) -> exp.Expr:
    kind = type_of(node)
    if kind is None or not kind.is_numeric:
        raise refused(node)
    if isinstance(node.this, exp.Literal) or not kind.is_integral:
        return node
    return cast(exp.Paren(this=exp.Neg(this=cast(node.this, WIDE if kind.kind is Kind.BIGINT else BIGINT))), kind)


def _comparison(node: exp.Expr) -> exp.Expr:
    if isinstance(node.this, exp.Tuple) or isinstance(node.expression, exp.Tuple | exp.Subquery):
        return node
    common = shared_type([node.this, node.expression])
    if common is None:
        raise refused(node)
    made = type(node)(this=cast(node.this, common), expression=cast(node.expression, common))
    made.meta[NODE_TYPE] = BOOLEAN
    return made if not isinstance(node, exp.NullSafeEQ) or node.find_ancestor(exp.Join) else null_safe(made)


def null_safe(node: exp.Expr) -> exp.Expr:
    """Whether two values are equal or both NULL: the servers' own operator loses its way inside of aggregates."""
    equal = exp.EQ(this=node.this.copy(), expression=node.expression.copy())
    nulls = exp.And(
        this=exp.Is(this=node.this.copy(), expression=exp.Null()), expression=exp.Is(this=node.expression.copy(), expression=exp.Null())
    )
    made = exp.Anonymous(this="coalesce", expressions=[equal, nulls])
    made.meta[NODE_TYPE] = BOOLEAN
    return made


def _in(node: exp.Expr) -> exp.Expr:
    if not node.expressions:
        return node
    common = shared_type([node.this, *node.expressions])
    if common is None:
        raise refused(node)
    return exp.In(this=cast(node.this, common), expressions=[cast(each, common) for each in node.expressions])


def _between(node: exp.Expr) -> exp.Expr:
    common = shared_type([node.this, node.args["low"], node.args["high"]])
    if common is None:
        raise refused(node)
    low, high = cast(node.args["low"], common), cast(node.args["high"], common)
    return exp.Between(this=cast(node.this, common), low=low, high=high)


def _choice(node: exp.Expr) -> exp.Expr:
    """CASE: every branch in the type of the whole."""
    kind = type_of(node)
    if kind is None or kind.is_nested:
        raise refused(node)
    if node.this is not None and shared_type([node.this, *(each.this for each in node.args.get("ifs") or ())]) is None:
        raise refused(node)
    made = node.copy()
    for each in made.args.get("ifs") or ():
        each.set("true", cast(each.args["true"], kind))
    if made.args.get("default") is not None:
        made.set("default", cast(made.args["default"], kind))
    return made


def _if(node: exp.Expr) -> exp.Expr:
    """A branch of CASE stays; the function of that name gets both values in the type of the whole."""
    if isinstance(node.parent, exp.Case):
        return node
    kind = type_of(node)
    if kind is None or kind.is_nested:
        raise refused(node)
    otherwise = node.args.get("false")
    made = {"this": node.this.copy(), "true": cast(node.args["true"], kind), "false": cast(otherwise, kind) if otherwise else exp.Null()}
    return exp.If(**made)


def _joined(node: exp.Expr) -> exp.Expr:
    """`||` on texts, and on what is written as a text alike everywhere."""
    return exp.DPipe(this=_text(node.this), expression=_text(node.expression), safe=True)


def _text(node: exp.Expr) -> exp.Expr:
    kind = type_of(node)
    if kind is None or not (kind.kind in {Kind.STRING, Kind.VOID, Kind.BOOLEAN, Kind.DATE} or kind.is_integral):
        raise refused(node)
    return cast(node, STRING)


def _extract(node: exp.Expr) -> exp.Expr:
    if str(node.this.name or node.this).lower() not in _PARTS or not (type_of(node.expression) or STRING).is_datetime:
        raise refused(node)
    return node


def _interval(node: exp.Expr) -> exp.Expr:
    if not isinstance(node.this, exp.Literal):
        raise refused(node)
    return node


def _plain_text(node: exp.Expr) -> exp.Expr:
    """LIKE and TRIM take texts."""
    if any((type_of(each) or STRING).kind not in {Kind.STRING, Kind.VOID} for each in node.iter_expressions()):
        raise refused(node)
    return node


def _like(node: exp.Expr) -> exp.Expr:
    """LIKE with one pattern, or with several of which any or all must fit."""
    if not isinstance(node.expression, exp.Any | exp.All):
        return _plain_text(node)
    inner = node.expression.this
    patterns = inner.expressions if isinstance(inner, exp.Tuple) else [inner.this if isinstance(inner, exp.Paren) else inner]
    if not patterns or node.args.get("negate") or (type_of(node.this) or BIGINT).kind is not Kind.STRING:
        raise refused(node)
    folded = isinstance(node, exp.ILike)
    tests: list[exp.Expr] = []
    for pattern in patterns:
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise refused(node)
        text = exp.Anonymous(this="lower", expressions=[node.this.copy()]) if folded else node.this.copy()
        tests.append(exp.Like(this=text, expression=exp.Literal.string(str(pattern.this).lower() if folded else str(pattern.this))))
    join = exp.Or if isinstance(node.expression, exp.Any) else exp.And
    found = tests[0]
    for test in tests[1:]:
        found = join(this=found, expression=test)
    return exp.Paren(this=found)


def _distinct(node: exp.Expr) -> exp.Expr:
    """`IS DISTINCT FROM`."""
    made = exp.NullSafeEQ(this=node.this.copy(), expression=node.expression.copy())
    for part, given in ((made.this, node.this), (made.expression, node.expression)):
        part.meta[NODE_TYPE] = type_of(given)
    return exp.Not(this=exp.Paren(this=_comparison(made)))


def _any(node: exp.Expr) -> exp.Expr:
    """The aggregate of that name; behind LIKE it is something else."""
    if isinstance(node.parent, exp.Like | exp.ILike):
        return node
    inner = node.this.this if isinstance(node.this, exp.Paren) else node.this
    if isinstance(node.parent, exp.Binary) or (type_of(inner) or STRING) != BOOLEAN:
        raise refused(node)
    return exp.Anonymous(this="bool_or", expressions=[inner.copy()])


def _all(node: exp.Expr) -> exp.Expr:
    if isinstance(node.parent, exp.Like | exp.ILike):
        return node
    raise refused(node)


def _ignoring(node: exp.Expr) -> exp.Expr:
    """`first(x) IGNORE NULLS`, also as an argument of the function."""
    call = node.this
    names = {"first", "last", "any_value", "first_value", "last_value"}
    if not isinstance(call, exp.Anonymous) or str(call.this).lower() not in names or len(call.expressions) != 1:
        raise refused(node)
    if isinstance(node.parent, exp.Window | exp.Filter):
        raise refused(node, "IGNORE NULLS in a window")
    return exp.Anonymous(
        this="last" if "last" in str(call.this).lower() else "first", expressions=[call.expressions[0].copy(), exp.Boolean(this=True)]
    )


def _concatenated(node: exp.Expr) -> exp.Expr:
    """Texts that stand one behind the other."""
    if not all(isinstance(each, exp.Literal) and each.is_string for each in node.expressions):
        raise refused(node)
    made = exp.Literal.string("".join(str(each.this) for each in node.expressions))
    made.meta[NODE_TYPE] = STRING
    return made


def _substring(node: exp.Expr) -> exp.Expr:
    """A start that is counted from the end may lie before the beginning, which is then cut off what was asked for."""
    start, length = node.args.get("start"), node.args.get("length")
    if (type_of(node.this) or BIGINT).kind is not Kind.STRING or (length is not None and not isinstance(length, exp.Literal)):
        raise refused(node)
    if isinstance(start, exp.Literal) and not start.is_string:
        return node
    if not (isinstance(start, exp.Neg) and isinstance(start.this, exp.Literal)):
        raise refused(node)
    size = exp.Anonymous(this="char_length", expressions=[node.this.copy()])
    back = start.this.copy()
    if length is None:
        early: exp.Expr = node.this.copy()
    else:
        kept = exp.Add(this=exp.Sub(this=length.copy(), expression=back.copy()), expression=size.copy())
        count = exp.Anonymous(this="greatest", expressions=[kept, exp.Literal.number(0)])
        early = exp.Substring(this=node.this.copy(), start=exp.Literal.number(1), length=count)
    long_enough = exp.GTE(this=size, expression=back)
    return exp.Case(ifs=[exp.If(this=long_enough, true=node.copy())], default=early)


def _regexp(node: exp.Expr) -> exp.Expr:
    """Only patterns that every engine reads alike."""
    if not isinstance(node.expression, exp.Literal) or not _WORD.fullmatch(str(node.expression.this)):
        raise refused(node, "a regular expression")
    return node


def _ilike(node: exp.Expr) -> exp.Expr:
    """The same in small letters."""
    if isinstance(node.expression, exp.Any | exp.All):
        return _like(node)
    if not isinstance(node.expression, exp.Literal):
        raise refused(node)
    lower = exp.Anonymous(this="lower", expressions=[_plain_text(node).this.copy()])
    return exp.Like(this=lower, expression=exp.Literal.string(str(node.expression.this).lower()))


def _filtered(node: exp.Expr) -> exp.Expr:
    """`sum(x) FILTER (WHERE c)` counts x where c holds, and NULL elsewhere."""
    call = node.this
    inner = call.this if isinstance(call, exp.Cast) else call
    if not isinstance(inner, exp.Anonymous) or str(inner.this).lower() not in _SKIPS_NULL or len(inner.expressions) != 1:
        raise refused(node, "FILTER on this aggregate")
    argument = inner.expressions[0]
    if isinstance(argument, exp.Distinct):
        raise refused(node, "FILTER on a DISTINCT aggregate")
    value = exp.Literal.number(1) if isinstance(argument, exp.Star) else argument.copy()
    inner.set("expressions", [exp.Case(ifs=[exp.If(this=node.expression.this.copy(), true=value)])])
    made: exp.Expr = call.copy()
    return made


def _window(node: exp.Expr) -> exp.Expr:
    """The cast back of a sum stands around its window."""
    inner = node.this
    if isinstance(inner, exp.Cast) and isinstance(inner.this, exp.Anonymous):
        made = node.copy()
        made.set("this", inner.this.copy())
        return exp.Cast(this=made, to=inner.args["to"].copy())
    return node


def _grouped(node: exp.Expr) -> exp.Expr:
    """`GROUP BY ALL` as the positions of what is no aggregate."""
    if not node.args.get("all"):
        return node
    outputs = node.parent.expressions if isinstance(node.parent, exp.Select) else []
    if any(isinstance(each, exp.Star) or (isinstance(each, exp.Column) and isinstance(each.this, exp.Star)) for each in outputs):
        raise refused(node, "GROUP BY ALL with a star")
    keys = [exp.Literal.number(at) for at, each in enumerate(outputs, 1) if not _aggregates(each)]
    return exp.Group(expressions=keys) if keys else exp.Group(expressions=[exp.Tuple(expressions=[])])


def _ordered(node: exp.Expr) -> exp.Expr:
    """`ORDER BY ALL` as all positions."""
    (only, *more) = node.expressions
    key = only.this if isinstance(only, exp.Ordered) else only
    is_column = isinstance(key, exp.Column) and not key.table and not key.this.args.get("quoted")
    if more or not (isinstance(key, exp.Var) or is_column) or key.name.upper() != "ALL":
        return node
    query = node.parent
    if not isinstance(query, exp.Select) or any(each.is_star and STAR_NAMES not in each.meta for each in query.expressions):
        raise refused(node, "ORDER BY ALL with a star")
    keys = []
    for at in range(1, sum(len(each.meta.get(STAR_NAMES, "1")) for each in query.expressions) + 1):
        made = only.copy()
        if isinstance(made, exp.Ordered):
            made.set("this", exp.Literal.number(at))
        keys.append(made if isinstance(made, exp.Ordered) else exp.Literal.number(at))
    return exp.Order(expressions=keys)


def _aggregates(node: exp.Expr) -> bool:
    return any(isinstance(each, exp.Anonymous) and is_aggregate(str(each.this).lower()) for each in node.walk())


_CHANGES: tuple[tuple[type | tuple[type, ...], Callable[[exp.Expr], exp.Expr]], ...] = (
    ((exp.Add, exp.Sub, exp.Mul), _arithmetic),
    ((exp.Div, exp.IntDiv, exp.Mod), _division),
    (exp.Neg, _negative),
    ((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ), _comparison),
    (exp.NullSafeNEQ, _distinct),
    (exp.Any, _any),
    (exp.All, _all),
    (exp.IgnoreNulls, _ignoring),
    (exp.Concat, _concatenated),
    (exp.In, _in),
    (exp.Between, _between),
    (exp.Case, _choice),
    (exp.If, _if),
    (exp.Cast, checked_cast),
    (exp.DPipe, _joined),
    (exp.Extract, _extract),
    (exp.Interval, _interval),
    (exp.Like, _like),
    (exp.Trim, _plain_text),
    (exp.Substring, _substring),
    (exp.RegexpLike, _regexp),
    (exp.ILike, _ilike),
    (exp.Filter, _filtered),
    (exp.WithinGroup, within_group),
    (exp.Window, _window),
    (exp.Group, _grouped),
    (exp.Order, _ordered),
)
