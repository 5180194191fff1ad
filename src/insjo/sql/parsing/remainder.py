"""USE, SET, RESET, DECLARE, and the upkeep of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid
from insjo.sql.parsing.columns import names, refuse
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.nodes import (
    AssignVariables,
    DeclareVariable,
    ExecuteImmediate,
    Optimize,
    Refresh,
    ResetSetting,
    Restore,
    SetSetting,
    SetVariable,
    Use,
    Vacuum,
)
from insjo.sql.parsing.rows import checked_query

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.nodes import Command


def use(cursor: Cursor) -> Use:
    """USE [CATALOG | SCHEMA] name."""
    cursor.expect("USE")
    named = cursor.word() in {"CATALOG", "SCHEMA", "DATABASE"} and cursor.peek(1) is not None and cursor.word(1) != "."
    if named and cursor.accept("CATALOG"):
        if cursor.at_string():
            return Use("CATALOG", (cursor.string(),))
        return Use("CATALOG", cursor.path(parts_max=1))
    if named:
        cursor.one_of(("SCHEMA", "DATABASE"))
        return Use("SCHEMA", cursor.path(parts_max=2))
    return Use("", cursor.path(parts_max=2))


def set_(cursor: Cursor) -> Command:
    """SET, SET key, SET key = value, SET TIME ZONE z, SET VAR name = expression."""
    cursor.expect("SET")
    if cursor.at_end:
        return SetSetting()
    if cursor.accept_any("VAR", "VARIABLE"):
        return _variables(cursor)
    if cursor.accept("TIME", "ZONE"):
        if cursor.looks_at("INTERVAL"):
            raise refuse("SET TIME ZONE INTERVAL")
        return SetSetting("timezone", "UTC" if cursor.accept("LOCAL") else cursor.string())
    if cursor.word() in {"RECIPIENT", "TAG"}:
        raise refuse(f"SET {cursor.word()}")
    parts = [cursor.name()]
    while cursor.accept("."):
        parts.append(cursor.name())
    key = ".".join(parts).lower()
    if cursor.peek() is None:
        return SetSetting(key)
    cursor.expect("=")
    value = cursor.string() if cursor.at_string() else cursor.rest()
    return SetSetting(key, value)


def _variables(cursor: Cursor) -> SetVariable | AssignVariables:
    """SET VAR name = expression, ..., or (name, ...) = (query)."""
    if cursor.looks_at("("):
        given = names(cursor)
        cursor.expect("=")
        return AssignVariables(given, checked_query(parse_tree(cursor.parenthesised())))
    name = cursor.path()[-1]
    cursor.expect("=")
    token = cursor.peek()
    if token is None:
        raise cursor.error("an expression")
    outputs = [each for each, _ in _values(cursor.rest(), one=True)]
    if any(_is_default(each) for each in outputs):
        raise refuse("SET VAR ... = DEFAULT")
    if len(outputs) == 1:
        return SetVariable(name, outputs[0])
    if not all(isinstance(each, exp.EQ) and isinstance(each.this, exp.Column) for each in outputs[1:]):
        message = "`SET VAR` takes `name = value` pairs."
        raise SyntaxInvalid(message)
    values = [outputs[0], *(each.expression for each in outputs[1:])]
    return AssignVariables((name, *(each.this.name for each in outputs[1:])), exp.Select(expressions=values))


def _is_default(node: exp.Expr) -> bool:
    """Whether a value is the word DEFAULT."""
    value = node.expression if isinstance(node, exp.EQ) else node
    return isinstance(value, exp.Column) and not value.table and value.name.upper() == "DEFAULT" and not value.this.args.get("quoted")


def reset(cursor: Cursor) -> ResetSetting:
    """RESET [key]."""
    cursor.expect("RESET")
    return ResetSetting("" if cursor.at_end else cursor.rest().strip("`").lower())


def declare(cursor: Cursor) -> DeclareVariable:
    """DECLARE [OR REPLACE] [VARIABLE] name [type] [DEFAULT | = expression]."""
    cursor.expect("DECLARE")
    or_replace = cursor.accept("OR", "REPLACE")
    cursor.accept_any("VARIABLE", "VAR")
    name = cursor.path()[-1]
    type_text = "" if cursor.at_end or cursor.word() in {"DEFAULT", "="} else cursor.until("DEFAULT", "=")
    default = _expression(cursor) if cursor.accept("DEFAULT") or cursor.accept("=") else None
    if not type_text and default is None:
        raise cursor.error("a type or `DEFAULT`")
    return DeclareVariable(name, type_text, default, or_replace)


def _expression(cursor: Cursor) -> exp.Expr:
    """The expression that is all the rest."""
    token = cursor.peek()
    if token is None:
        raise cursor.error("an expression")
    text = "SELECT " + cursor.rest()
    tree = parse_tree(text, offset_in=cursor.text, offset=max(0, token.start - len("SELECT ")))
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from_"):
        message = "One expression is expected here."
        raise SyntaxInvalid(message)
    return tree.expressions[0].unalias()  # type: ignore[no-any-return]  # sqlglot's lists are untyped.


def execute(cursor: Cursor) -> ExecuteImmediate:
    """EXECUTE IMMEDIATE text [INTO variable, ...] [USING value [AS name], ...]."""
    cursor.expect("EXECUTE", "IMMEDIATE")
    text = cursor.until("INTO", "USING")
    into = _targets(cursor) if cursor.accept("INTO") else ()
    (statement,) = _values(text) or (None,)
    if statement is None or statement[1]:
        message = "`EXECUTE IMMEDIATE` takes one text."
        raise SyntaxInvalid(message)
    if not cursor.accept("USING"):
        return ExecuteImmediate(statement[0], into=into)
    return ExecuteImmediate(statement[0], _values(cursor.rest()), into)


def _targets(cursor: Cursor) -> tuple[str, ...]:
    """Names of variables with commas between them, with or without a parenthesis around them."""
    if cursor.looks_at("("):
        return names(cursor)
    found = [cursor.path()[-1]]
    while cursor.accept(","):
        found.append(cursor.path()[-1])
    return tuple(found)


def _values(text: str, *, one: bool = False) -> tuple[tuple[exp.Expr, str], ...]:
    """Expressions with their names, as they stand in a SELECT; with `one` a parenthesis around them is that of an expression."""
    tree = parse_tree("SELECT " + text)
    if not one and isinstance(tree, exp.Select) and len(tree.expressions) == 1 and isinstance(tree.expressions[0], exp.Tuple | exp.Paren):
        tree = exp.Select(expressions=tree.expressions[0].expressions or [tree.expressions[0].this])
    if not isinstance(tree, exp.Select) or any(key not in {"expressions", "kind", "hint"} for key, value in tree.args.items() if value):
        message = "Values are expected here."
        raise SyntaxInvalid(message)
    return tuple((each.unalias(), each.alias) for each in tree.expressions)


def restore(cursor: Cursor) -> Restore:
    """RESTORE [TABLE] name [TO] {VERSION | TIMESTAMP} AS OF value."""
    cursor.expect("RESTORE")
    cursor.accept("TABLE")
    name = cursor.path()
    cursor.accept("TO")
    if cursor.accept("VERSION", "AS", "OF"):
        return Restore(name, version=cursor.number())
    if cursor.accept("TIMESTAMP", "AS", "OF"):
        return Restore(name, timestamp=_expression(cursor))
    raise cursor.error("`TO VERSION AS OF` or `TO TIMESTAMP AS OF`")


def optimize(cursor: Cursor) -> Optimize:
    """OPTIMIZE name [FULL] [WHERE condition]."""
    cursor.expect("OPTIMIZE")
    name = cursor.path()
    full = cursor.accept("FULL")
    where = None
    if cursor.accept("WHERE"):
        where = parse_tree("SELECT 1 WHERE " + cursor.before("ZORDER")).args["where"].this
    zorder: tuple[str, ...] = ()
    if cursor.accept("ZORDER", "BY"):
        zorder = names(cursor)
    return Optimize(name, where, zorder, full=full)


def vacuum(cursor: Cursor) -> Vacuum:
    """VACUUM name [FULL | LITE] [RETAIN n HOURS] [DRY RUN]."""
    cursor.expect("VACUUM")
    name = cursor.path()
    cursor.accept_any("FULL", "LITE")
    hours = None
    if cursor.accept("RETAIN"):
        hours = cursor.number()
        cursor.expect("HOURS")
    return Vacuum(name, hours, dry_run=cursor.accept("DRY", "RUN"))


def refresh(cursor: Cursor) -> Refresh:
    """REFRESH [TABLE] name, ANALYZE TABLE name ..., MSCK REPAIR TABLE name."""
    word = cursor.one_of(("REFRESH", "ANALYZE", "MSCK"))
    if word == "MSCK":
        raise refuse("MSCK REPAIR TABLE")
    if word == "ANALYZE":
        if cursor.looks_at("TABLES"):
            raise refuse("ANALYZE TABLES")
        cursor.expect("TABLE")
        name = cursor.path()
        cursor.expect("COMPUTE")
        cursor.rest()
        return Refresh(name)
    if (
        cursor.word() in {"MATERIALIZED", "STREAMING", "FOREIGN", "POLICY", "FUNCTION"}
        and cursor.peek(1) is not None
        and cursor.word(1) != "."
    ):
        raise refuse(f"REFRESH {cursor.word()}")
    if cursor.at_string():
        raise refuse("REFRESH '<path>'")
    if cursor.looks_at("TABLE") and cursor.peek(1) is not None and cursor.word(1) != ".":
        cursor.index += 1
    return Refresh(cursor.path())
