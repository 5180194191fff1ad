"""Names of result columns that have no alias, in the form that Databricks gives them: `count(1)`, `(a + b)`, `upper(name)`."""

from __future__ import annotations

from sqlglot import exp

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
    simple = _simple(node)
    if simple is not None:
        return simple
    operator = _BINARY.get(type(node))
    if operator is not None:
        return f"({shown(node.this)} {operator} {shown(node.expression)})"
    if isinstance(node, exp.Anonymous):
        return f"{str(node.this).lower()}({_arguments(node)})"
    if isinstance(node, exp.Dot):
        last = node.expression
        return last.name if isinstance(last, exp.Identifier) else shown(last)
    if isinstance(node, exp.Cast):
        start = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
        return f"{start}({shown(node.this)} AS {node.to.sql(dialect='databricks')})"
    if isinstance(node, exp.Bracket):
        return f"{shown(node.this)}[{', '.join(shown(each) for each in node.expressions)}]"
    if isinstance(node, exp.DPipe):
        return f"concat({shown(node.this)}, {shown(node.expression)})"
    if isinstance(node, exp.If):
        return f"(IF({shown(node.this)}, {shown(node.args['true'])}, {shown(node.args['false']) if node.args.get('false') else 'NULL'}))"
    if isinstance(node, exp.JSONExtract):
        path = node.expression
        keys = [each for each in path.expressions if isinstance(each, exp.JSONPathKey)] if isinstance(path, exp.JSONPath) else []
        return str(keys[-1].this) if keys else shown(node.this)
    return str(node.sql(dialect="databricks"))


def _arguments(node: exp.Anonymous) -> str:
    """Arguments of a call; the star of `count(*)` counts ones."""
    if str(node.this).lower() == "count" and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Star):
        return "1"
    return ", ".join(shown(each) for each in node.expressions)


def _simple(node: exp.Expr) -> str | None:
    """Nodes without an operator in the middle."""
    if isinstance(node, exp.Column):
        return str(node.name)
    if isinstance(node, exp.Literal | exp.RawString):
        return str(node.this)
    if isinstance(node, exp.Null):
        return "NULL"
    if isinstance(node, exp.Boolean):
        return str(bool(node.this)).lower()
    if isinstance(node, exp.Paren):
        return shown(node.this)
    if isinstance(node, exp.Neg):
        return f"-{shown(node.this)}" if isinstance(node.this, exp.Literal) else f"(- {shown(node.this)})"
    if isinstance(node, exp.Not):
        if isinstance(node.this, exp.Is):
            return f"({shown(node.this.this)} IS NOT {shown(node.this.expression)})"
        return f"(NOT {shown(node.this)})"
    if isinstance(node, exp.Is):
        return f"({shown(node.this)} IS {shown(node.expression)})"
    if isinstance(node, exp.In) and node.expressions:
        return f"({shown(node.this)} IN ({', '.join(shown(each) for each in node.expressions)}))"
    if isinstance(node, exp.Distinct):
        return "DISTINCT " + ", ".join(shown(each) for each in node.expressions)
    if isinstance(node, exp.Placeholder):
        return f":{node.name}"
    if isinstance(node, exp.Subquery):
        return "scalarsubquery()"
    if isinstance(node, exp.CurrentDate | exp.CurrentTimestamp | exp.CurrentUser):
        return f"{node.sql_name().lower()}()"
    return None
