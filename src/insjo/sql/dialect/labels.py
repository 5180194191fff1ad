"""Names of columns that the caller did not name: `sum(v)`, `(a + 1)`, `CAST(x AS INT)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Callable

_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.IntDiv: "div",
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.And: "AND",
    exp.Or: "OR",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
}
_DEPTH_MAX = 40


def label(node: exp.Expr, depth: int = 0) -> str:
    """Name of a column from its expression, close to what Databricks shows."""
    if depth > _DEPTH_MAX:
        return "…"
    if type(node) in _BINARY:
        return f"({label(node.this, depth + 1)} {_BINARY[type(node)]} {label(node.expression, depth + 1)})"
    writer = _WRITERS.get(type(node))
    if writer is not None:
        return writer(node, depth + 1)
    return " ".join(node.sql(dialect="databricks").split())


def _call(node: exp.Expr, depth: int) -> str:
    name = node.name.lower()
    parts = ["1" if isinstance(each, exp.Star) else label(each, depth) for each in node.expressions]
    return f"{name}({', '.join(parts)})"


def _around(node: exp.Expr, depth: int) -> str:
    """A call with what stands behind it: OVER, WITHIN GROUP, IGNORE NULLS."""
    whole, inner = " ".join(node.sql(dialect="databricks").split()), " ".join(node.this.sql(dialect="databricks").split())
    rest = whole[len(inner) :] if whole.startswith(inner) else ""
    return label(node.this, depth) + rest


def _cast(node: exp.Expr, depth: int) -> str:
    inner = node.this
    if isinstance(inner, exp.JSONExtract):
        return _json_path(inner, depth)
    text = node.args["to"].sql(dialect="databricks")
    plain = isinstance(inner, exp.Literal) and inner.args.get("is_string") and not isinstance(node, exp.TryCast)
    if plain and text in {"DATE", "TIMESTAMP", "TIMESTAMP_NTZ"}:
        return f"{text} '{inner.this}'"
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return f"{word}({label(inner, depth)} AS {text})"


def _case(node: exp.Expr, depth: int) -> str:
    subject = f" {label(node.this, depth)}" if node.this is not None else ""
    arms = " ".join(f"WHEN {label(each.this, depth)} THEN {label(each.args['true'], depth)}" for each in node.args.get("ifs") or [])
    default = node.args.get("default")
    return f"CASE{subject} {arms}{f' ELSE {label(default, depth)}' if default is not None else ''} END"


def _if(node: exp.Expr, depth: int) -> str:
    parts = [node.this, node.args["true"], node.args.get("false") or exp.Null()]
    return f"(IF({', '.join(label(each, depth) for each in parts)}))"


def _bracket(node: exp.Expr, depth: int) -> str:
    return f"{label(node.this, depth)}[{', '.join(label(each, depth) for each in node.expressions)}]"


def _dot(node: exp.Expr, depth: int) -> str:
    return f"{label(node.this, depth)}.{node.expression.name}" if isinstance(node.this, exp.Anonymous) else str(node.expression.name)


def _neg(node: exp.Expr, depth: int) -> str:
    inner = label(node.this, depth)
    return f"-{inner}" if isinstance(node.this, exp.Literal) else f"(- {inner})"


def _not(node: exp.Expr, depth: int) -> str:
    if isinstance(node.this, exp.Is) and isinstance(node.this.expression, exp.Null):
        return f"({label(node.this.this, depth)} IS NOT NULL)"
    return f"(NOT {label(node.this, depth)})"


def _is(node: exp.Expr, depth: int) -> str:
    return f"({label(node.this, depth)} IS {label(node.expression, depth)})"


def _distinct(node: exp.Expr, depth: int) -> str:
    return "DISTINCT " + ", ".join(label(each, depth) for each in node.expressions)


def _filter(node: exp.Expr, depth: int) -> str:
    return f"{label(node.this, depth)} FILTER (WHERE {label(node.expression.this, depth)})"


def _json_path(node: exp.Expr, depth: int) -> str:
    """The last key of a path after `:`."""
    keys = [part.this for part in node.expression.expressions if isinstance(part, exp.JSONPathKey) and isinstance(part.this, str)]
    return keys[-1] if keys else label(node.this, depth)


def _literal(node: exp.Expr, _: int) -> str:
    return str(node.this)


def _substring(node: exp.Expr, depth: int) -> str:
    parts = [node.this, node.args.get("start"), node.args.get("length")]
    return f"substring({', '.join(label(each, depth) for each in parts if each is not None)})"


_WRITERS: dict[type[exp.Expr], Callable[[exp.Expr, int], str]] = {
    exp.Column: lambda node, _: str(node.name),
    exp.Identifier: lambda node, _: str(node.name),
    exp.Literal: _literal,
    exp.RawString: _literal,
    exp.Null: lambda _, __: "NULL",
    exp.Boolean: lambda node, _: "true" if node.this else "false",
    exp.Paren: lambda node, depth: label(node.this, depth),
    exp.Alias: lambda node, _: str(node.alias),
    exp.Anonymous: _call,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Case: _case,
    exp.If: _if,
    exp.Bracket: _bracket,
    exp.Dot: _dot,
    exp.Neg: _neg,
    exp.Not: _not,
    exp.Is: _is,
    exp.Distinct: _distinct,
    exp.Filter: _filter,
    exp.Window: _around,
    exp.WithinGroup: _around,
    exp.IgnoreNulls: _around,
    exp.JSONExtract: _json_path,
    exp.Substring: _substring,
    exp.DPipe: lambda node, depth: f"concat({label(node.this, depth)}, {label(node.expression, depth)})",
    exp.CurrentDate: lambda _, __: "current_date()",
    exp.CurrentTimestamp: lambda _, __: "current_timestamp()",
    exp.CurrentUser: lambda _, __: "current_user()",
    exp.Subquery: lambda _, __: "scalarsubquery()",
}
