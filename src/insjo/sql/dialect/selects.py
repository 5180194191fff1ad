"""SELECT: select list, grouping, windows, order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import did_you_mean
from insjo.sql.dialect.coercion import implicit
from insjo.sql.dialect.compiling import CompiledQuery, QueryColumn
from insjo.sql.dialect.fragments import AGGREGATE, VOLATILE, WINDOW, Fragment, name_of
from insjo.sql.dialect.functions.generators import is_generator
from insjo.sql.dialect.functions.ordering import check_sortable, direction, sort_key
from insjo.sql.dialect.labels import label
from insjo.sql.dialect.relations import From
from insjo.sql.dialect.scopes import fields_of, part_names
from insjo.sql.dialect.types import BIGINT, Kind
from insjo.sql.errors import ArgumentInvalid, PositionInvalid, UnresolvedColumn, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.sql.dialect.compiling import CommonTable, QueryCompiler
    from insjo.sql.dialect.expressions import Expressions
    from insjo.sql.dialect.scopes import Scope

_MODIFIERS = ("order", "limit", "offset", "sort", "cluster")


def has_modifiers(node: exp.Expr) -> bool:
    """Whether a query is sorted or cut."""
    return any(node.args.get(key) for key in _MODIFIERS)


@dataclass(slots=True)
class Item:
    """One column of a select list."""

    name: str
    fragment: Fragment
    explicit: bool = False


@dataclass(slots=True)
class Selection:
    """A SELECT under construction."""

    queries: QueryCompiler
    node: exp.Expr
    clause: From
    compiler: Expressions
    items: list[Item] = field(default_factory=list)
    where: str = ""

    @property
    def scope(self) -> Scope:
        """What its expressions see."""
        return self.clause.source.scope


STAR_NAMES = "insjo_star_names"
"""Key under which a star carries the names of its columns, for other engines than Insjö's own."""


def compile_select(queries: QueryCompiler, node: exp.Expr, parent: Scope | None, tables: Mapping[str, CommonTable]) -> CompiledQuery:
    """Compile one SELECT."""
    for key, words in (
        ("into", "SELECT INTO"),
        ("match", "MATCH_RECOGNIZE"),
        ("connect", "CONNECT BY"),
        ("prewhere", "PREWHERE"),
        ("sample", "TABLESAMPLE behind an alias"),
    ):
        if node.args.get(key):
            raise UnsupportedFeature(f"`{words}` is not supported.")
    clause = From(queries, parent, tables)
    clause.compile(node)
    scope = clause.source.scope
    scope.windows = {each.name.lower(): each for each in node.args.get("windows") or []}
    selection = Selection(queries, node, clause, queries.expressions(scope, tables))  # type: ignore[arg-type]  # The one implementation.
    condition = node.args.get("where")
    if condition is not None:
        selection.where = f" WHERE {_row_condition(selection, condition.this).sql}"
    _unfold_generators(selection)
    _select_list(selection)
    return _assembled(selection)


def _row_condition(selection: Selection, node: exp.Expr) -> Fragment:
    """The condition of WHERE, which sees single rows."""
    condition = selection.compiler.condition(node, "`WHERE`")
    if AGGREGATE in condition.flags:
        message = "An aggregate cannot stand in `WHERE`, which looks at single rows."
        raise ArgumentInvalid(message, hint="Put it into `HAVING`.")
    if WINDOW in condition.flags:
        message = "A window function cannot stand in `WHERE`."
        raise ArgumentInvalid(message, hint="Put it into `QUALIFY`.")
    return condition


# ------------------------------------------------------------------------------------------------ select list


def _unfold_generators(selection: Selection) -> None:
    """A generator in the select list becomes a lateral view behind the WHERE clause."""
    found = [node for node in selection.node.expressions if is_generator(_bare(node))]
    if len(found) > 1:
        message = "A select list can hold one generator only."
        raise UnsupportedFeature(message, hint="Use `LATERAL VIEW` for each of them.")
    for node in found:
        cells = selection.clause.add_lateral_view(_bare(node), None, where=selection.where)
        selection.where = ""
        relation = selection.scope.relations.pop()
        names = [column.name for column in relation.columns]
        if isinstance(node, exp.Aliases):
            names = [each.name for each in node.expressions]
        elif isinstance(node, exp.Alias):
            names = [node.alias]
        if len(names) != len(cells):
            raise UnsupportedFeature(f"The generator gives {len(cells)} columns, and {len(names)} names are given.")
        node.meta["insjo_cells"] = list(zip(names, cells, strict=True))


def _bare(node: exp.Expr) -> exp.Expr:
    return node.this if isinstance(node, exp.Alias | exp.Aliases) else node


def _select_list(selection: Selection) -> None:
    for node in selection.node.expressions:
        cells = node.meta.pop("insjo_cells", None)
        if cells is not None:
            selection.items.extend(Item(name, fragment, explicit=True) for name, fragment in cells)
        elif node.is_star and isinstance(node, exp.Star | exp.Column):
            star = node if isinstance(node, exp.Star) else node.this
            shown = _star(star, selection.scope.visible() if star is node else _qualified_star(selection, node))
            node.meta[STAR_NAMES] = tuple(item.name for item in shown)
            selection.items.extend(shown)
        elif isinstance(node, exp.Alias):
            _add_alias(selection, node.alias, selection.compiler.compile(node.this))
        else:
            selection.items.append(Item(label(node), selection.compiler.compile(node)))


def _add_alias(selection: Selection, name: str, fragment: Fragment) -> None:
    """A named item; later items may use the name if no column has it."""
    selection.items.append(Item(name, fragment, explicit=True))
    if VOLATILE not in fragment.flags:
        selection.scope.aliases.setdefault(name.lower(), fragment)


def _qualified_star(selection: Selection, node: exp.Expr) -> Iterable[tuple[str, Fragment]]:
    """`t.*` of a relation, or `s.*` of a struct."""
    parts = part_names(node)[:-1]
    relation = selection.scope.relation(parts)
    if relation is not None:
        return [(column.name, column.fragment) for column in relation.columns]
    value = selection.compiler.name(parts)
    if value.type.kind is not Kind.STRUCT:
        raise UnresolvedColumn(f"`{'.'.join(parts)}.*` names neither a table nor a struct.")
    return [(each.name, fields_of(value, [each.name])) for each in value.type.fields]


def _star(star: exp.Expr, columns: Iterable[tuple[str, Fragment]]) -> list[Item]:
    """Columns of a star without those of EXCEPT."""
    for key in ("replace", "rename", "ilike"):
        if star.args.get(key):
            raise UnsupportedFeature(f"`* {key.upper()}` is not supported.")
    items = [Item(name, fragment) for name, fragment in columns]
    left_out = [each.name for each in star.args.get("except_") or []]
    names = [item.name.lower() for item in items]
    for name in left_out:
        if name.lower() not in names:
            raise UnresolvedColumn(f"`EXCEPT` names `{name}`, and there is no such column.", hint=did_you_mean(name, names))
    folded = {name.lower() for name in left_out}
    return [item for item in items if item.name.lower() not in folded]


def unique_keys(names: Sequence[str]) -> list[str]:
    """Names made unique, as the engine needs them in a subquery."""
    taken: set[str] = set()
    keys = []
    for name in names:
        key, count = name or "_", 1
        while key.lower() in taken:
            key, count = f"{name}_{count}", count + 1
        taken.add(key.lower())
        keys.append(key)
    return keys


# ------------------------------------------------------------------------------------------------ the whole


def _assembled(selection: Selection) -> CompiledQuery:
    node, items = selection.node, selection.items
    if not items:
        message = "The select list is empty."
        raise UnsupportedFeature(message)
    group = _group_by(selection)
    having = _having(selection)
    qualify = node.args.get("qualify")
    qualified = ""
    if qualify is not None:
        qualified = f" QUALIFY {selection.compiler.condition(qualify.this, '`QUALIFY`').sql}"
    keys = unique_keys([item.name for item in items])
    listed = ", ".join(f"{item.fragment.seen().sql} AS {name_of(key)}" for item, key in zip(items, keys, strict=True))
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on"):
        message = "`DISTINCT ON` is not supported."
        raise UnsupportedFeature(message)
    origin = f" FROM {selection.clause.source.sql}" if selection.clause.source.sql else ""
    if not origin and selection.where:
        origin = " FROM (SELECT 1) AS one_"
    tail = modifiers(selection.compiler, node, [(item.name, item.fragment) for item in items])
    sql = f"SELECT {'DISTINCT ' if distinct is not None else ''}{listed}{origin}{selection.where}{group}{having}{qualified}{tail}"
    columns = tuple(QueryColumn(item.name, item.fragment.type, key) for item, key in zip(items, keys, strict=True))
    return CompiledQuery(sql, columns)


def _group_by(selection: Selection) -> str:
    group = selection.node.args.get("group")
    if group is None:
        return ""
    if group.args.get("all"):
        keys = [item.fragment for item in selection.items if AGGREGATE not in item.fragment.flags and item.fragment.constant is None]
        return f" GROUP BY {', '.join(_key_text(key) for key in keys)}" if keys else ""
    texts = [text for node in group.expressions for text in _grouping_element(selection, node)]
    for key, word in (("rollup", "ROLLUP"), ("cube", "CUBE")):
        wanted = group.args.get(key)
        if wanted:  # `GROUP BY a, b WITH ROLLUP`.
            texts = [f"{word} ({', '.join(texts)})"]
    for sets in group.args.get("grouping_sets") or []:
        texts.extend(_grouping_element(selection, sets))
    return f" GROUP BY {', '.join(texts)}" if texts else " GROUP BY ()"


def _grouping_element(selection: Selection, node: exp.Expr) -> list[str]:
    if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets):
        word = {exp.Rollup: "ROLLUP", exp.Cube: "CUBE", exp.GroupingSets: "GROUPING SETS"}[type(node)]
        inner = []
        for each in node.expressions:
            texts = _grouping_element(selection, each)
            grouped = isinstance(each, exp.Tuple | exp.Paren) or len(texts) != 1
            inner.append(f"({', '.join(texts)})" if grouped else texts[0])
        return [f"{word} ({', '.join(inner)})"]
    if isinstance(node, exp.Tuple):
        return [text for each in node.expressions for text in _grouping_element(selection, each)]
    if isinstance(node, exp.Paren):
        return _grouping_element(selection, node.this)
    return [_key_text(_group_key(selection, node))]


def _group_key(selection: Selection, node: exp.Expr) -> Fragment:
    """A key: an expression, an alias of the select list, or a position in it."""
    if isinstance(node, exp.Literal) and not node.args.get("is_string"):
        position = int(str(node.this)) if str(node.this).isdigit() else 0
        return _at_position(selection.items, position, "GROUP BY").fragment
    key = selection.compiler.compile(node)
    selection.compiler.known[node.sql(dialect="databricks")] = key
    return key


def _at_position(items: Sequence[Item], position: int, clause: str) -> Item:
    if not 1 <= position <= len(items):
        raise PositionInvalid(f"`{clause} {position}` is outside of the select list, which has {len(items)} columns.")
    return items[position - 1]


def _key_text(key: Fragment) -> str:
    """A constant is cast, since the engine reads a bare number as a position."""
    return f"CAST({key.sql} AS {key.type.engine})" if key.constant is not None and key.type.kind is not Kind.VOID else key.sql


def _having(selection: Selection) -> str:
    having = selection.node.args.get("having")
    if having is None:
        return ""
    scope = selection.scope
    aliases = dict(scope.aliases)
    grouped = {key.sql for key in selection.compiler.known.values()}
    for name in list(scope.aliases):
        column = [each.fragment.sql for relation in scope.relations for each in relation.find(name)]
        if column and column[0] in grouped:
            del scope.aliases[name]
    scope.aliases_first = True
    try:
        return f" HAVING {selection.compiler.condition(having.this, '`HAVING`').sql}"
    finally:
        scope.aliases_first = False
        scope.aliases = aliases


# ------------------------------------------------------------------------------------------------ order and limit


def modifiers(compiler: Expressions, node: exp.Expr, columns: Sequence[tuple[str, Fragment]]) -> str:
    """ORDER BY, LIMIT and OFFSET of a query with these columns."""
    parts = []
    ordered = node.args.get("order") or node.args.get("sort")
    keys = list(ordered.expressions) if ordered is not None else []
    cluster = node.args.get("cluster")
    if cluster is not None and not keys:
        keys = [each if isinstance(each, exp.Ordered) else exp.Ordered(this=each, nulls_first=True) for each in cluster.expressions]
    if keys:
        parts.append(f" ORDER BY {', '.join(text for key in keys for text in _order_key(compiler, key, columns))}")
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if limit is not None and not (isinstance(limit.expression, exp.Var) and limit.expression.name.upper() == "ALL"):
        parts.append(f" LIMIT {_row_count(compiler, limit.expression, 'LIMIT')}")
    if offset is not None:
        parts.append(f" OFFSET {_row_count(compiler, offset.expression, 'OFFSET')}")
    return "".join(parts)


def _row_count(compiler: Expressions, node: exp.Expr, word: str) -> str:
    count = implicit(compiler.compile(node), BIGINT, f"`{word}`")
    if count.whole is not None and count.whole < 0:
        raise UnsupportedFeature(f"`{word}` takes a number that is not negative.")
    return count.sql


def _order_key(compiler: Expressions, node: exp.Expr, columns: Sequence[tuple[str, Fragment]]) -> list[str]:
    """A sort key: all columns, a position, a name of the select list, or an expression."""
    inner = node.this
    if isinstance(inner, exp.Var) and inner.name.upper() == "ALL":
        return [f"{place}{direction(node)}" for place in range(1, len(columns) + 1)]
    if isinstance(inner, exp.Literal) and not inner.args.get("is_string") and str(inner.this).isdigit():
        items = [Item(name, fragment) for name, fragment in columns]
        check_sortable(_at_position(items, int(str(inner.this)), "ORDER BY").fragment)
        return [f"{int(str(inner.this))}{direction(node)}"]
    if isinstance(inner, exp.Column) and len(inner.parts) == 1:
        places = [place for place, (name, _) in enumerate(columns, 1) if name.lower() == inner.name.lower()]
        if places and (len(places) == 1 or len({columns[place - 1][1].sql for place in places}) == 1):
            check_sortable(columns[places[0] - 1][1])
            return [f"{places[0]}{direction(node)}"]
    aliases, first = dict(compiler.scope.aliases), compiler.scope.aliases_first
    compiler.scope.aliases.update({name.lower(): fragment for name, fragment in columns})
    compiler.scope.aliases_first = True
    try:
        key = sort_key(compiler, node)
    finally:
        compiler.scope.aliases, compiler.scope.aliases_first = aliases, first
    return [key.sql]
