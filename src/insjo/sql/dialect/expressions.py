"""Expressions: from sqlglot's tree to typed fragments of the engine's SQL."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect import operators
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import implicit, unified
from insjo.sql.dialect.fragments import SUBQUERY, Constant, Fragment, boolean, fail, integer, made, name_of, null, select, string
from insjo.sql.dialect.functions.calls import call_function
from insjo.sql.dialect.functions.dates import interval_literal
from insjo.sql.dialect.functions.json_values import extract_path
from insjo.sql.dialect.functions.windows import over_clause
from insjo.sql.dialect.scopes import Scope, fields_of, part_names
from insjo.sql.dialect.types import (
    BIGINT,
    BINARY,
    BOOLEAN,
    DECIMAL_PRECISION_MAX,
    DOUBLE,
    INT,
    Kind,
    Type,
    decimal,
    parse_type,
    struct_of,
)
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnresolvedColumn, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from insjo.sql.dialect.session import SessionFacts

SQL_CHARS_MAX = 8_000_000
"""Longest text that an expression may grow to; the engine would take minutes to read more."""

_INT_MAX, _BIGINT_MAX = 2**31 - 1, 2**63 - 1


@dataclass(slots=True)
class Names:
    """Makes names that occur nowhere else in the statement."""

    count: int = 0

    def fresh(self, prefix: str) -> str:
        """A new name."""
        self.count += 1
        return f"{prefix}{self.count}"


NODE_TYPE = "insjo_type"
"""Key under which a compiled node carries its type."""

MEANS_OUTPUT = "insjo_means_output"
"""Key under which a column tells that it is the name of another output of the same SELECT, for other engines than Insjö's own."""


@dataclass(slots=True)
class Expressions:
    """Compiles expressions in one scope.

    Attributes:
        scope: What names mean here.
        session: Who asks, for `current_user()` and its kin.
        names: Makes new names.
        subquery: Compiles a query inside an expression; gives its SQL and the types of its columns.
        lambdas: Parameters of the lambdas around, innermost last.
        known: Keys of GROUP BY by their text, so that the same expression becomes the same text everywhere.
    """

    scope: Scope
    session: SessionFacts
    names: Names
    subquery: Callable[[exp.Expr, Scope], tuple[str, list[tuple[str, Type]]]]
    lambdas: list[dict[str, Fragment]] = field(default_factory=list)
    known: dict[str, Fragment] = field(default_factory=dict)

    def compile(self, node: exp.Expr) -> Fragment:
        """Fragment of a node.

        Raises:
            UnsupportedFeature, UnresolvedColumn, DatatypeMismatch, ...: It cannot be computed as Databricks computes it.
        """
        if self.known and not self.lambdas:
            known = self.known.get(node.sql(dialect="databricks"))
            if known is not None:
                note_type(node, known.type)
                return known
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise UnsupportedFeature(f"`{shorten(node)}` is not supported.")
        fragment = handler(self, node)
        if len(fragment.sql) > SQL_CHARS_MAX:
            message = "The statement grows too large when it is prepared for the engine."
            raise UnsupportedFeature(message, hint="Break it into several statements.")
        note_type(node, fragment.type)
        return fragment

    def compile_all(self, nodes: Sequence[exp.Expr]) -> list[Fragment]:
        """Fragments of several nodes."""
        return [self.compile(node) for node in nodes]

    def condition(self, node: exp.Expr, what: str) -> Fragment:
        """A node that has to be a boolean."""
        return implicit(self.compile(node), BOOLEAN, what)

    @contextlib.contextmanager
    def parameters(self, names: Sequence[str], values: Sequence[Fragment]) -> Iterator[None]:
        """Bind parameters of a lambda to what they stand for."""
        self.lambdas.append({name.lower(): value for name, value in zip(names, values, strict=True)})
        try:
            yield
        finally:
            self.lambdas.pop()

    def fresh(self, prefix: str) -> str:
        """A name that occurs nowhere else."""
        return self.names.fresh(prefix)

    def name(self, parts: Sequence[str]) -> Fragment:
        """Value of a name with dots."""
        for frame in reversed(self.lambdas):
            if parts[0].lower() in frame:
                return fields_of(frame[parts[0].lower()], parts[1:])
        return self.scope.resolve(parts)


def note_type(node: exp.Expr, kind: Type) -> None:
    """Leave the type on the node, for those who write the same tree for another engine; None when it has several."""
    node.meta[NODE_TYPE] = kind if node.meta.get(NODE_TYPE, kind) == kind else None


def shorten(node: exp.Expr) -> str:
    """The node as the caller may have written it, for messages."""
    text = " ".join(node.sql(dialect="databricks").split())
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004  # A line of a message.


# ------------------------------------------------------------------------------------------------ literals and names


def _literal(_: Expressions, node: exp.Expr) -> Fragment:
    text = str(node.this)
    if node.args.get("is_string"):
        return string(text)
    if re.fullmatch(r"\d+", text):
        value = int(text)
        if value <= _INT_MAX:
            return integer(value)
        if value <= _BIGINT_MAX:
            return Fragment(text, BIGINT, constant=Constant(value))
        return _decimal_literal(text)
    if re.fullmatch(r"\d*\.\d*", text) and text != ".":
        return _decimal_literal(text)
    try:
        value_double = float(text)
    except ValueError:
        raise UnsupportedFeature(f"The number `{text}` is not supported.") from None
    return Fragment(f"CAST({text} AS DOUBLE)", DOUBLE, constant=Constant(value_double))


def _decimal_literal(text: str) -> Fragment:
    whole, _, fraction = text.partition(".")
    scale, precision = len(fraction), max(len(whole.lstrip("0")) + len(fraction), 1)
    if precision > DECIMAL_PRECISION_MAX:
        raise ArgumentInvalid(
            f"The number `{text}` has more than {DECIMAL_PRECISION_MAX} digits.", hint="Write it with an exponent to get a double."
        )
    of_type = decimal(max(precision, scale), scale)
    return Fragment(f"CAST('{text}' AS {of_type.engine})", of_type, constant=Constant(Decimal(text)))


def _raw_string(_: Expressions, node: exp.Expr) -> Fragment:
    return string(str(node.this))


def _hex_string(_: Expressions, node: exp.Expr) -> Fragment:
    digits = str(node.this)
    return made(f"unhex('{digits if len(digits) % 2 == 0 else '0' + digits}')", BINARY)


def _null(_: Expressions, __: exp.Expr) -> Fragment:
    return null()


def _boolean(_: Expressions, node: exp.Expr) -> Fragment:
    return boolean(value=bool(node.this))


def _column(compiler: Expressions, node: exp.Expr) -> Fragment:
    if isinstance(node.this, exp.Star):
        message = "`*` can stand in a select list and in `count(*)` only."
        raise UnsupportedFeature(message)
    found = compiler.name(part_names(node))
    if not node.args.get("table") and compiler.scope.aliases.get(node.name.lower()) is found:
        node.meta[MEANS_OUTPUT] = True
    return found


def _identifier(compiler: Expressions, node: exp.Expr) -> Fragment:
    return compiler.name([node.name])


def _dot(compiler: Expressions, node: exp.Expr) -> Fragment:
    parts: list[str] = []
    inner: exp.Expr = node
    while isinstance(inner, exp.Dot):
        if not isinstance(inner.expression, exp.Identifier):
            function = inner.expression
            path = ".".join([inner.this.sql(dialect="databricks"), function.name])
            raise UnsupportedFeature(f"The function `{path}` is not supported.")
        parts.append(inner.expression.name)
        inner = inner.this
    parts.reverse()
    if isinstance(inner, exp.Identifier):
        return compiler.name([inner.name, *parts])
    if isinstance(inner, exp.Column) and not isinstance(inner.this, exp.Star):
        return compiler.name([*part_names(inner), *parts])
    return fields_of(compiler.compile(inner), parts)


def _star(_: Expressions, __: exp.Expr) -> Fragment:
    message = "`*` can stand in a select list and in `count(*)` only."
    raise UnsupportedFeature(message)


# ------------------------------------------------------------------------------------------------ structure


def _paren(compiler: Expressions, node: exp.Expr) -> Fragment:
    return compiler.compile(node.this)


def _alias(compiler: Expressions, node: exp.Expr) -> Fragment:
    return compiler.compile(node.this)


def _tuple(compiler: Expressions, node: exp.Expr) -> Fragment:
    parts = [compiler.compile(each).seen() for each in node.expressions]
    of_type = struct_of(*((f"col{index}", part.type) for index, part in enumerate(parts, 1)))
    packed = ", ".join(f"{name_of(f'col{index}')} := {part.sql}" for index, part in enumerate(parts, 1))
    return made(f"struct_pack({packed})", of_type, *parts)


def type_of(node: exp.Expr) -> Type:
    """Type that a DataType node stands for."""
    text = node.sql(dialect="databricks")
    if text.upper() == "NULL":
        text = "void"
    return parse_type(text)


def _cast(compiler: Expressions, node: exp.Expr) -> Fragment:
    target = type_of(node.args["to"])
    source = compiler.compile(node.this)
    if node.args.get("format"):
        message = "`CAST ... FORMAT` is not supported."
        raise UnsupportedFeature(message)
    return cast(source, target, safe=isinstance(node, exp.TryCast))


def _case(compiler: Expressions, node: exp.Expr) -> Fragment:
    whens = node.args.get("ifs") or []
    default = node.args.get("default")
    results = compiler.compile_all([each.args["true"] for each in whens])
    if default is not None:
        results.append(compiler.compile(default))
    values, common = unified(results, "`CASE`")
    if node.this is not None:
        subject = compiler.compile(node.this)
        conditions = [operators.compare("=", subject, compiler.compile(each.this)) for each in whens]
    else:
        conditions = [compiler.condition(each.this, "`CASE WHEN`") for each in whens]
    arms = " ".join(f"WHEN {condition.sql} THEN {value.sql}" for condition, value in zip(conditions, values, strict=False))
    last = f" ELSE {values[-1].sql}" if default is not None else ""
    return made(f"CASE {arms}{last} END", common, *conditions, *values)


def _if(compiler: Expressions, node: exp.Expr) -> Fragment:
    condition = compiler.condition(node.this, "`if`")
    otherwise = node.args.get("false")
    branches = [compiler.compile(node.args["true"]), compiler.compile(otherwise) if otherwise is not None else null()]
    (yes, no), common = unified(branches, "`if`")
    return made(f"CASE WHEN {condition.sql} THEN {yes.sql} ELSE {no.sql} END", common, condition, yes, no)


def _bracket(compiler: Expressions, node: exp.Expr) -> Fragment:
    if len(node.expressions) != 1:
        raise UnsupportedFeature(f"`{shorten(node)}` is not supported.")
    return element(compiler.compile(node.this), compiler.compile(node.expressions[0]))


def element(container: Fragment, index: Fragment) -> Fragment:
    """`array[i]` counted from 0 (an error outside), `map[key]` (NULL for a missing key), `struct['field']`, `variant['key']`."""
    owner = container.type
    if owner.kind is Kind.ARRAY:
        place = implicit(index, INT, "The index of an array")
        outside = fail("INVALID_ARRAY_INDEX", "The index is outside of the array: ", owner.item, tail=f"CAST({place.sql} AS VARCHAR)")
        sql = (
            f"CASE WHEN {place.sql} < 0 OR {place.sql} >= len({container.sql}) THEN {outside} "
            f"ELSE list_extract({container.sql}, {place.sql} + 1) END"
        )
        return made(sql, owner.item, container, place)
    if owner.kind is Kind.MAP and owner.key is not None and owner.value is not None:
        key = implicit(index, owner.key, "The key of a map")
        return made(f"({container.sql})[{key.sql}]", owner.value, container, key)
    if owner.kind is Kind.STRUCT and index.text is not None:
        return fields_of(container, [index.text])
    if owner.kind is Kind.VARIANT:
        path = f"$[{index.whole}]" if index.whole is not None else None
        if index.text is not None:
            path = f"$['{index.text}']"
        if path is not None:
            from insjo.sql.dialect.functions.json_values import variant_at

            return variant_at(container, path)
    raise DatatypeMismatch(f"A value of type `{owner.text}` has no elements to take by `[]`.")


def _variant_path(compiler: Expressions, node: exp.Expr) -> Fragment:
    return extract_path(compiler.compile(node.this), node.expression)


def _interval(compiler: Expressions, node: exp.Expr) -> Fragment:
    return interval_literal(compiler, node)


# ------------------------------------------------------------------------------------------------ predicates


def _in(compiler: Expressions, node: exp.Expr) -> Fragment:
    query = node.args.get("query")
    if query is not None:
        return _in_query(compiler, node.this, query)
    if node.args.get("unnest") is not None or node.args.get("field") is not None:
        raise UnsupportedFeature(f"`{shorten(node)}` is not supported.")
    subject = compiler.compile(node.this)
    values, _ = unified([subject, *compiler.compile_all(node.expressions)], "`IN`")
    return made(f"({values[0].sql} IN ({', '.join(value.sql for value in values[1:])}))", BOOLEAN, *values)


def _in_query(compiler: Expressions, subject_node: exp.Expr, query: exp.Expr) -> Fragment:
    sql, columns = compiler.subquery(query, compiler.scope)
    nodes = subject_node.expressions if isinstance(subject_node, exp.Tuple) else [subject_node]
    subjects = compiler.compile_all(nodes)
    if len(subjects) != len(columns):
        raise DatatypeMismatch(f"`IN` compares {len(subjects)} values with a query of {len(columns)} columns.")
    pairs = [
        unified([subject, Fragment(f"q_.{name_of(name)}", of_type)], "`IN`")[0]
        for subject, (name, of_type) in zip(subjects, columns, strict=True)
    ]
    inner = select(", ".join(right.sql for _, right in pairs), f"({sql}) AS q_")
    left = pairs[0][0].sql if len(pairs) == 1 else f"({', '.join(each.sql for each, _ in pairs)})"
    return made(f"({left} IN ({inner}))", BOOLEAN, *(each for each, _ in pairs), flags=(SUBQUERY,))


def _exists(compiler: Expressions, node: exp.Expr) -> Fragment:
    sql, _ = compiler.subquery(node.this, compiler.scope)
    return made(f"EXISTS ({sql})", BOOLEAN, flags=(SUBQUERY,))


def _scalar_query(compiler: Expressions, node: exp.Expr) -> Fragment:
    sql, columns = compiler.subquery(node, compiler.scope)
    if len(columns) != 1:
        raise DatatypeMismatch(f"A query used as a value must have one column, and this one has {len(columns)}.")
    return made(f"({sql})", columns[0][1], flags=(SUBQUERY,))


def _is(compiler: Expressions, node: exp.Expr) -> Fragment:
    subject = compiler.compile(node.this)
    right = node.expression
    if isinstance(right, exp.Null):
        return made(f"({subject.sql} IS NULL)", BOOLEAN, subject)
    if isinstance(right, exp.Boolean):
        truth = implicit(subject, BOOLEAN, "`IS TRUE`")
        return made(f"({truth.sql} IS NOT DISTINCT FROM {'TRUE' if right.this else 'FALSE'})", BOOLEAN, truth)
    if isinstance(right, exp.Not) and isinstance(right.this, exp.Null):
        return made(f"({subject.sql} IS NOT NULL)", BOOLEAN, subject)
    raise UnsupportedFeature(f"`{shorten(node)}` is not supported.")


def _between(compiler: Expressions, node: exp.Expr) -> Fragment:
    subject = compiler.compile(node.this)
    low = operators.compare(">=", subject, compiler.compile(node.args["low"]))
    high = operators.compare("<=", subject, compiler.compile(node.args["high"]))
    return made(f"({low.sql} AND {high.sql})", BOOLEAN, low, high)


def _not(compiler: Expressions, node: exp.Expr) -> Fragment:
    inner = compiler.condition(node.this, "`NOT`")
    return made(f"(NOT {inner.sql})", BOOLEAN, inner)


def _connector(compiler: Expressions, node: exp.Expr) -> Fragment:
    """A chain of AND or OR, however long, without going deeper for each link."""
    kind = type(node)
    word = "AND" if kind is exp.And else "OR"
    operands: list[exp.Expr] = []
    stack: list[exp.Expr] = [node]
    while stack:
        each = stack.pop()
        if type(each) is kind:
            stack.extend((each.expression, each.this))
        else:
            operands.append(each)
    parts = [compiler.condition(each, f"`{word}`") for each in operands]
    return made("(" + f" {word} ".join(part.sql for part in parts) + ")", BOOLEAN, *parts)


def _comparison(compiler: Expressions, node: exp.Expr) -> Fragment:
    return operators.compare(_COMPARISONS[type(node)], compiler.compile(node.this), compiler.compile(node.expression))


_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}


def _like(compiler: Expressions, node: exp.Expr) -> Fragment:
    return operators.like(compiler, node)


def _regexp(compiler: Expressions, node: exp.Expr) -> Fragment:
    from insjo.sql.dialect.functions.regex import matches

    return matches(compiler.compile(node.this), compiler.compile(node.expression))


# ------------------------------------------------------------------------------------------------ arithmetic


def _arithmetic(compiler: Expressions, node: exp.Expr) -> Fragment:
    return operators.arithmetic(_ARITHMETIC[type(node)], compiler.compile(node.this), compiler.compile(node.expression))


_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}


def _negative(compiler: Expressions, node: exp.Expr) -> Fragment:
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Literal) and not inner.args.get("is_string"):
        positive = _literal(compiler, inner)
        if positive.constant is not None and positive.constant.value == _BIGINT_MAX + 1:
            return Fragment(f"(-{inner.this})", BIGINT, constant=Constant(-_BIGINT_MAX - 1))
        if positive.constant is not None and positive.constant.value == _INT_MAX + 1:
            return Fragment(f"CAST(-{inner.this} AS BIGINT)", BIGINT, constant=Constant(-_INT_MAX - 1))
    return operators.negative(compiler.compile(node.this))


def _bitwise_not(compiler: Expressions, node: exp.Expr) -> Fragment:
    inner = compiler.compile(node.this)
    if not inner.type.is_integral:
        raise DatatypeMismatch(f"`~` takes a whole number, and not `{inner.type.text}`.")
    return made(f"(~{inner.sql})", inner.type, inner)


def _concat_operator(compiler: Expressions, node: exp.Expr) -> Fragment:
    return operators.concat([compiler.compile(node.this), compiler.compile(node.expression)], "`||`")


def _concat_literals(compiler: Expressions, node: exp.Expr) -> Fragment:
    """Texts side by side are one text."""
    if all(isinstance(each, exp.Literal) for each in node.expressions):
        return string("".join(str(each.this) for each in node.expressions))
    return operators.concat(compiler.compile_all(node.expressions), "`concat`")


def _call(compiler: Expressions, node: exp.Expr) -> Fragment:
    return call_function(compiler, node)


def _window(compiler: Expressions, node: exp.Expr) -> Fragment:
    return call_function(compiler, node.this, over=over_clause(compiler, node), windowed=True)


def _unresolved_placeholder(_: Expressions, node: exp.Expr) -> Fragment:
    raise UnresolvedColumn(f"The parameter `{shorten(node)}` has no value.")


_HANDLERS: dict[type[exp.Expr], Callable[[Expressions, exp.Expr], Fragment]] = {
    exp.Literal: _literal,
    exp.RawString: _raw_string,
    exp.HexString: _hex_string,
    exp.Null: _null,
    exp.Boolean: _boolean,
    exp.Column: _column,
    exp.Identifier: _identifier,
    exp.Dot: _dot,
    exp.Star: _star,
    exp.Paren: _paren,
    exp.Alias: _alias,
    exp.Tuple: _tuple,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Case: _case,
    exp.If: _if,
    exp.Bracket: _bracket,
    exp.JSONExtract: _variant_path,
    exp.Interval: _interval,
    exp.In: _in,
    exp.Exists: _exists,
    exp.Subquery: _scalar_query,
    exp.Select: _scalar_query,
    exp.Union: _scalar_query,
    exp.Intersect: _scalar_query,
    exp.Except: _scalar_query,
    exp.Is: _is,
    exp.Between: _between,
    exp.Not: _not,
    exp.And: _connector,
    exp.Or: _connector,
    **dict.fromkeys(_COMPARISONS, _comparison),
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
    exp.Like: _like,
    exp.ILike: _like,
    exp.Escape: _like,
    exp.RegexpLike: _regexp,
    exp.Neg: _negative,
    exp.BitwiseNot: _bitwise_not,
    exp.DPipe: _concat_operator,
    exp.Concat: _concat_literals,
    exp.Anonymous: _call,
    exp.Filter: _call,
    exp.WithinGroup: _call,
    exp.IgnoreNulls: _call,
    exp.RespectNulls: _call,
    exp.Any: _call,
    exp.Trim: _call,
    exp.Substring: _call,
    exp.StrPosition: _call,
    exp.Overlay: _call,
    exp.Extract: _call,
    exp.CurrentDate: _call,
    exp.CurrentTimestamp: _call,
    exp.CurrentUser: _call,
    exp.Localtimestamp: _call,
    exp.SessionUser: _call,
    exp.Window: _window,
    exp.Placeholder: _unresolved_placeholder,
    exp.Parameter: _unresolved_placeholder,
}
