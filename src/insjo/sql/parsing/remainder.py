"""USE, SET, RESET, DECLARE, and the upkeep of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid
from insjo.sql.parsing.columns import names, refuse
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.nodes import (
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
        if cursor.looks_at("("):
            raise refuse("SET VAR (a, b) = (...)")
        name = cursor.path()[-1]
        cursor.expect("=")
        return SetVariable(name, _expression(cursor))
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
    """EXECUTE IMMEDIATE text [USING value [AS name], ...]."""
    cursor.expect("EXECUTE", "IMMEDIATE")
    text = cursor.until("INTO", "USING")
    if cursor.looks_at("INTO"):
        raise refuse("EXECUTE IMMEDIATE ... INTO")
    (statement,) = _values(text) or (None,)
    if statement is None or statement[1]:
        message = "`EXECUTE IMMEDIATE` takes one text."
        raise SyntaxInvalid(message)
    if not cursor.accept("USING"):
        return ExecuteImmediate(statement[0])
    return ExecuteImmediate(statement[0], _values(cursor.rest()))


def _values(text: str) -> tuple[tuple[exp.Expr, str], ...]:
    """Expressions with their names, as they stand in a SELECT."""
    tree = parse_tree("SELECT " + text)
    if isinstance(tree, exp.Select) and len(tree.expressions) == 1 and isinstance(tree.expressions[0], exp.Tuple | exp.Paren):
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
