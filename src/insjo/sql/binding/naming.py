"""Names of result columns that have no alias, in the form that Databricks gives them: `count(1)`, `(a + b)`, `upper(name)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.parsing.constants import POSITIONAL

if TYPE_CHECKING:
    from collections.abc import Callable

GENERATORS = frozenset(
    {"explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack", "json_tuple", "variant_explode"},
)
"""Functions that give several columns or rows; the dialect names their columns."""

_NAME_CHARS_MAX = 1000
_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.IntDiv: "div",
    exp.Mod: "%",
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.And: "AND",
    exp.Or: "OR",
    exp.NullSafeEQ: "<=>",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
}


def name_outputs(tree: exp.Expr) -> None:
    """Give every nameless output of every SELECT in the tree its name."""
    outermost = _outermost(tree)
    for select in list(tree.find_all(exp.Select)):
        for place, output in enumerate(select.expressions):
            name = _output_name(output, outermost=select in outermost)
            if name:
                alias = exp.alias_(output.copy(), exp.to_identifier(name[:_NAME_CHARS_MAX], quoted=True), copy=False)
                select.expressions[place].replace(alias)


def _outermost(tree: exp.Expr) -> list[exp.Expr]:
    """The SELECT whose names are those of the result."""
    while isinstance(tree, exp.SetOperation | exp.Subquery):
        tree = tree.this
    return [tree]


def _output_name(output: exp.Expr, *, outermost: bool) -> str:
    """Name for an output, or an empty text when it has one already."""
    if isinstance(output, exp.Alias | exp.Aliases | exp.Star) or output.is_star or not isinstance(output, exp.Expr):
        return ""
    if isinstance(output, exp.Column):
        return output.name if outermost else ""
    if isinstance(output, exp.Anonymous) and str(output.this).lower() in GENERATORS:
        return ""
    if isinstance(output, exp.Cast) and isinstance(output.this, exp.Column):
        return str(output.this.name)
    return shown(output)


def shown(node: exp.Expr) -> str:
    """An expression as Databricks shows it in a column's name."""
    operator = _BINARY.get(type(node))
    if operator is not None:
        return f"({shown(node.this)} {operator} {shown(node.expression)})"
    for kind, show in _SHOWN:
        if isinstance(node, kind):
            return show(node)
    return str(node.sql(dialect="databricks"))


def _call(node: exp.Expr) -> str:
    """A call; the star of `count(*)` counts ones."""
    name = str(node.this).lower()
    if name == "count" and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Star):
        return "count(1)"
    return f"{name}({_listed(node)})"


def _listed(node: exp.Expr) -> str:
    return ", ".join(shown(each) for each in node.expressions)


def _dot(node: exp.Expr) -> str:
    last = node.expression
    return str(last.name) if isinstance(last, exp.Identifier) else shown(last)


def _cast(node: exp.Expr) -> str:
    start = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return f"{start}({shown(node.this)} AS {node.args['to'].sql(dialect='databricks')})"


def _if(node: exp.Expr) -> str:
    otherwise = node.args.get("false")
    return f"(IF({shown(node.this)}, {shown(node.args['true'])}, {shown(otherwise) if otherwise is not None else 'NULL'}))"


def _json_path(node: exp.Expr) -> str:
    path = node.expression
    keys = [each for each in path.expressions if isinstance(each, exp.JSONPathKey)] if isinstance(path, exp.JSONPath) else []
    return str(keys[-1].this) if keys else shown(node.this)


def _negative(node: exp.Expr) -> str:
    return f"-{shown(node.this)}" if isinstance(node.this, exp.Literal) else f"(- {shown(node.this)})"


def _not(node: exp.Expr) -> str:
    inner = node.this
    return f"({shown(inner.this)} IS NOT {shown(inner.expression)})" if isinstance(inner, exp.Is) else f"(NOT {shown(inner)})"


def _in(node: exp.Expr) -> str:
    return f"({shown(node.this)} IN ({_listed(node)}))" if node.expressions else str(node.sql(dialect="databricks"))


_SHOWN: tuple[tuple[type[exp.Expr], Callable[[exp.Expr], str]], ...] = (
    (exp.Column, lambda node: str(node.name)),
    (exp.Literal, lambda node: str(node.this)),
    (exp.RawString, lambda node: str(node.this)),
    (exp.Null, lambda _: "NULL"),
    (exp.Boolean, lambda node: str(bool(node.this)).lower()),
    (exp.Paren, lambda node: shown(node.this)),
    (exp.Neg, _negative),
    (exp.Not, _not),
    (exp.Is, lambda node: f"({shown(node.this)} IS {shown(node.expression)})"),
    (exp.In, _in),
    (exp.Distinct, lambda node: "DISTINCT " + _listed(node)),
    (exp.Placeholder, lambda node: "?" if node.name.startswith(POSITIONAL) else f":{node.name}"),
    (exp.Subquery, lambda _: "scalarsubquery()"),
    (exp.CurrentDate, lambda _: "current_date()"),
    (exp.CurrentTimestamp, lambda _: "current_timestamp()"),
    (exp.CurrentUser, lambda _: "current_user()"),
    (exp.Anonymous, _call),
    (exp.Dot, _dot),
    (exp.Cast, _cast),
    (exp.Bracket, lambda node: f"{shown(node.this)}[{_listed(node)}]"),
    (exp.DPipe, lambda node: f"concat({shown(node.this)}, {shown(node.expression)})"),
    (exp.If, _if),
    (exp.JSONExtract, _json_path),
)
"""How the other nodes are shown; the first kind that fits counts."""
