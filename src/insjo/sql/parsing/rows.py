"""Statements that read or change rows; their queries keep sqlglot's tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from insjo.sql.errors import SyntaxInvalid, UnsupportedFeature
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.nodes import Delete, Insert, Merge, Parsed, Query, Truncate, Update

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.nodes import NamePath

QUERY_NODES = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values)
"""What a query may be at its root."""


def checked_query(tree: exp.Expr) -> exp.Expr:
    """The tree, if it is a query; a bare VALUES becomes a SELECT from it."""
    if not isinstance(tree, QUERY_NODES):
        message = "This is not a query."
        raise SyntaxInvalid(message, hint="A query begins with `SELECT`, `WITH`, `FROM` or `VALUES`.")
    if isinstance(tree, exp.Values):
        return _selected(tree)
    if isinstance(tree, exp.Subquery) and not tree.args.get("alias"):
        return _selected(_aliased(tree))
    return tree


def _selected(tree: exp.Expr) -> exp.Expr:
    """All rows of a source; what stands behind it (ORDER BY, LIMIT) is about the query, and so moves out."""
    around = {key: tree.args[key] for key in ("with_", "order", "limit", "offset") if tree.args.get(key) is not None}
    for key in around:
        tree.set(key, None)
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=tree), **around)


def _aliased(tree: exp.Subquery) -> exp.Subquery:
    """A parenthesised query as a source."""
    tree.set("alias", exp.TableAlias(this=exp.to_identifier("__insjo_q")))
    return tree


def whole_table(cursor: Cursor) -> exp.Expr:
    """The query of `TABLE t`."""
    path = cursor.path()
    cursor.end()
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=table_node(path)))


def table_node(path: NamePath, alias: str = "") -> exp.Table:
    """Table with the parts of a name."""
    parts = [exp.to_identifier(each, quoted=True) for each in path]
    node = exp.Table(this=parts[-1])
    if len(parts) > 1:
        node.set("db", parts[-2])
    if len(parts) > 2:  # noqa: PLR2004  # Catalog, schema, table.
        node.set("catalog", parts[-3])
    if alias:
        node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return node


def behind_with(tree: exp.Expr) -> Parsed | None:
    """INSERT, UPDATE, DELETE or MERGE that follows `WITH ...`, or None for a query."""
    if isinstance(tree, exp.Insert):
        query = tree.expression
        with_ = tree.args.get("with_")
        if not isinstance(query, QUERY_NODES) or tree.args.get("returning") or tree.args.get("where") or tree.args.get("partition"):
            message = "`INSERT` behind `WITH` is only supported with a plain query."
            raise UnsupportedFeature(message, details={"feature": "WITH ... INSERT"})
        query = checked_query(query)
        if with_ is not None:
            if query.args.get("with_") is not None:
                message = "`INSERT` with two `WITH` clauses is not supported."
                raise UnsupportedFeature(message, details={"feature": "WITH ... INSERT ... WITH"})
            query.set("with_", with_)
        target = tree.this
        columns = None
        if isinstance(target, exp.Schema):
            columns = tuple(each.name for each in target.expressions)
            target = target.this
        path = tuple(part.name for part in target.parts)
        overwrite, by_name = bool(tree.args.get("overwrite")), bool(tree.args.get("by_name"))
        return Parsed("INSERT", Insert(path, query, columns, by_name=by_name, overwrite=overwrite))
    if isinstance(tree, exp.Update | exp.Delete | exp.Merge):
        message = "`WITH` before `UPDATE`, `DELETE` and `MERGE` is not supported."
        raise UnsupportedFeature(message, hint="Put the query into a subquery.", details={"feature": "WITH ... DML"})
    return None


def insert(cursor: Cursor) -> Insert:
    """INSERT [WITH SCHEMA EVOLUTION] {INTO | OVERWRITE} [TABLE] name [PARTITION (...)] [(columns)] [BY NAME] query.

    Or INTO name [AS alias] REPLACE {WHERE condition | ON condition | USING (columns)} query [AS alias].
    """
    cursor.expect("INSERT")
    evolves = cursor.accept("WITH", "SCHEMA", "EVOLUTION")
    overwrite = cursor.one_of(("INTO", "OVERWRITE")) == "OVERWRITE"
    if overwrite and cursor.looks_at("DIRECTORY"):
        message = "`INSERT OVERWRITE DIRECTORY` is not supported."
        raise UnsupportedFeature(message, details={"feature": "INSERT OVERWRITE DIRECTORY"})
    cursor.accept("TABLE")
    target = cursor.path()
    alias = cursor.name() if cursor.accept("AS") else ""
    replacing = _Replacing()
    partition: dict[str, exp.Expr | None] = {}
    columns: tuple[str, ...] | None = None
    replace_where: exp.Expr | None = None
    by_name = False
    while True:
        if cursor.accept("PARTITION"):
            partition = _partition(cursor)
        elif cursor.accept("BY", "NAME"):
            by_name = True
        elif columns is None and cursor.looks_at("(") and not _query_in_parenthesis(cursor):
            columns = _names(cursor)
        elif not overwrite and cursor.accept("REPLACE", "WHERE"):
            replace_where = _condition_before_query(cursor)
        elif not overwrite and cursor.accept("REPLACE", "USING"):
            replacing.using = _names(cursor)
        elif not overwrite and cursor.accept("REPLACE", "ON"):
            replacing.on = _condition_before_query(cursor)
        else:
            break
    evolves = cursor.accept("WITH", "SCHEMA", "EVOLUTION") or evolves
    if cursor.accept("TABLE"):
        tree = whole_table(cursor)
    elif cursor.accept("DEFAULT", "VALUES"):
        message = "`INSERT ... DEFAULT VALUES` is not supported."
        raise UnsupportedFeature(message, details={"feature": "DEFAULT VALUES"})
    else:
        tree, replacing.alias = _aliased_query(cursor)
    return Insert(
        target, tree, columns, by_name, overwrite, partition, replace_where, evolves, replacing.on, replacing.using, alias, replacing.alias
    )


@dataclass(slots=True)
class _Replacing:
    """What REPLACE ON and REPLACE USING say, and the name of the query."""

    on: exp.Expr | None = None
    using: tuple[str, ...] = ()
    alias: str = ""


def _aliased_query(cursor: Cursor) -> tuple[exp.Expr, str]:
    """A query, which may stand in a parenthesis and have a name then."""
    start = cursor.index
    if cursor.looks_at("("):
        text = cursor.parenthesised()
        named = cursor.accept("AS") or (cursor.at_name() and cursor.peek(1) is None)
        if named:
            return checked_query(parse_tree(text)), cursor.name()
        cursor.index = start
    return checked_query(cursor.rest_tree()), ""


def _query_in_parenthesis(cursor: Cursor) -> bool:
    """Whether the parenthesis that comes next holds a query and not a list of columns."""
    ahead = 0
    while cursor.word(ahead) == "(":
        ahead += 1
    return cursor.word(ahead) in {"SELECT", "WITH", "VALUES", "FROM", "TABLE"} and cursor.word(ahead + 1) not in {",", ")"}


def _names(cursor: Cursor) -> tuple[str, ...]:
    """Names in parenthesis."""
    cursor.expect("(")
    names = [cursor.name()]
    while cursor.accept(","):
        names.append(cursor.name())
    cursor.expect(")")
    return tuple(names)


def _partition(cursor: Cursor) -> dict[str, exp.Expr | None]:
    """`(p = 1, q)` after PARTITION."""
    cursor.expect("(")
    found: dict[str, exp.Expr | None] = {}
    while True:
        name = cursor.name()
        found[name] = parse_tree("SELECT " + cursor.until()).expressions[0] if cursor.accept("=") else None
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def _condition_before_query(cursor: Cursor) -> exp.Expr:
    """The condition that ends where a query begins."""
    start = cursor.peek()
    whole = _parenthesised_condition(cursor)
    if whole is not None:
        return whole
    depth = 0
    while (token := cursor.peek()) is not None:
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        elif depth == 0 and cursor.word() in {"SELECT", "VALUES", "FROM", "WITH", "TABLE"}:
            break
        cursor.index += 1
    end = cursor.peek()
    if start is None or end is None or start is end:
        raise cursor.error("a condition and a query")
    where = parse_tree("SELECT 1 WHERE " + cursor.text[start.start : end.start])
    return where.args["where"].this  # type: ignore[no-any-return]  # sqlglot's args are untyped.


def _parenthesised_condition(cursor: Cursor) -> exp.Expr | None:
    """A condition that stands in a parenthesis right before the query, or None."""
    begin = cursor.index
    if not cursor.looks_at("("):
        return None
    text = cursor.parenthesised()
    following = cursor.word()
    if following in {"SELECT", "VALUES", "FROM", "WITH", "TABLE"} or (following == "(" and _query_in_parenthesis(cursor)):
        return parse_tree("SELECT 1 WHERE " + text).args["where"].this  # type: ignore[no-any-return]  # sqlglot's args are untyped.
    cursor.index = begin
    return None


def update(cursor: Cursor) -> Update:
    """UPDATE."""
    return Update(_change(cursor.rest_tree(), exp.Update, "UPDATE", ("from_", "with_", "returning", "limit", "order")))


def delete(cursor: Cursor) -> Delete:
    """DELETE."""
    return Delete(_change(cursor.rest_tree(), exp.Delete, "DELETE", ("using", "with_", "returning", "limit", "order", "tables")))


def merge(cursor: Cursor) -> Merge:
    """MERGE [WITH SCHEMA EVOLUTION] INTO."""
    evolves = cursor.looks_at("MERGE", "WITH", "SCHEMA", "EVOLUTION")
    if evolves:
        cursor.index += 4
        start = cursor.peek()
        if start is None:
            raise cursor.error("`INTO`")
        tree = parse_tree("MERGE " + cursor.rest(), offset_in=cursor.text, offset=start.start - len("MERGE "))
    else:
        tree = cursor.rest_tree()
    return Merge(_change(tree, exp.Merge, "MERGE", ("with_", "returning", "using_cond")), evolves)


def _change(tree: exp.Expr, kind: type[exp.Expr], name: str, refused: tuple[str, ...]) -> exp.Expr:
    """The tree of a change, without clauses that Databricks does not have."""
    if not isinstance(tree, kind):
        message = f"This `{name}` cannot be read."
        raise SyntaxInvalid(message)
    for clause in refused:
        if tree.args.get(clause):
            message = f"`{name} ... {clause.rstrip('_').upper()}` is not supported."
            raise UnsupportedFeature(message, details={"feature": f"{name} {clause}"})
    return tree


def truncate(cursor: Cursor) -> Truncate:
    """TRUNCATE TABLE name."""
    cursor.expect("TRUNCATE", "TABLE")
    target = cursor.path()
    if cursor.looks_at("PARTITION"):
        message = "`TRUNCATE TABLE ... PARTITION` is not supported."
        raise UnsupportedFeature(message, hint="Use `DELETE FROM ... WHERE`.", details={"feature": "TRUNCATE PARTITION"})
    return Truncate(target)


def as_query(tree: exp.Expr) -> Query:
    """A tree as a query."""
    return Query(checked_query(tree))
