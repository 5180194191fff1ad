"""Outputs that another engine would compute differently: it gives what they are computed from, and the workers here compute the rest.

This is done for the outputs of the outermost SELECT only, because they are worked out row by row, behind everything that makes a
statement large: scans, joins, filters, groups and windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import InsjoError
from insjo.sql.binding import engine_text as text
from insjo.sql.dialect.expressions import NODE_TYPE
from insjo.sql.dialect.names import is_aggregate
from insjo.sql.dialect.spark.render import is_sent, render
from insjo.sql.dialect.translate import bind_table, translate
from insjo.sql.dialect.types import Kind, Type, parse_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot.expressions import Query

    from insjo.sql.dialect.session import SessionFacts
    from insjo.sql.dialect.translate import OutputColumn

RECEIVED = "__insjo_received"
"""Name under which the rows of the other engine are read here."""

_PART = "insjo_part_"
_QUERIES = (exp.Subquery, exp.Exists, exp.Select, exp.SetOperation)
_WHOLE = (exp.Window, exp.Filter, exp.WithinGroup)


@dataclass(frozen=True, slots=True)
class Finish:
    """What is left to do here.

    Attributes:
        sql: The outputs in the words of Insjö's engine, over `RECEIVED`.
        columns: Names and Databricks types of what the other engine gives.
    """

    sql: str
    columns: tuple[tuple[str, str], ...]


class _Unable(Exception):  # Never leaves this module.
    """The statement cannot be parted."""


def part(tree: exp.Expr, facts: SessionFacts, outputs: Sequence[OutputColumn]) -> tuple[str, Finish] | None:
    """The statement for the other engine and the rest for this one; None where it cannot be parted.

    Args:
        tree: The outermost query, compiled.
        facts: Who asks.
        outputs: All columns of its result, also those of a star.
    """
    if not isinstance(tree, exp.Select) or tree.args.get("distinct") is not None:
        return None
    try:
        sent, rest, columns = _parted(tree, facts, outputs)
        words = render(sent, facts)
        received = f"({text.select(text.typed_columns(dict(columns)), text.name(RECEIVED))})"
        source = bind_table(exp.Table(this=exp.to_identifier(RECEIVED, quoted=True)), received, columns)
        finished = translate(exp.Select(expressions=rest, from_=exp.From(this=source)), session=facts)
    except (_Unable, InsjoError):
        return None
    return words, Finish(finished.sql, tuple(columns))


def _parted(tree: exp.Select, facts: SessionFacts, outputs: Sequence[OutputColumn]) -> tuple[Query, list[exp.Expr], list[tuple[str, str]]]:
    sent: list[exp.Expr] = []
    rest: list[exp.Expr] = []
    columns: list[tuple[str, str]] = []
    moved: dict[int, str] = {}
    keys = _group_keys(tree)
    for at, output in enumerate(tree.expressions):
        name, inner = output.alias_or_name, output.unalias()
        if output.is_star:
            starred = _starred(tree, at, outputs)
            rest += [
                exp.alias_(exp.column(f"{_PART}{len(columns) + n}", quoted=True), each.name, quoted=True) for n, each in enumerate(starred)
            ]
            columns += [(f"{_PART}{len(columns) + n}", each.type_text) for n, each in enumerate(starred)]
            sent.append(output.copy())
            continue
        if not name or isinstance(output, exp.Aliases):
            raise _Unable
        here = is_sent(inner, facts)
        replaced = inner.copy()
        parts = [replaced] if here else _leaves(replaced, keys)
        if not here:
            moved[at] = name.lower()
        for each in parts:
            column = f"{_PART}{len(columns)}"
            kind = _type(each)
            sent.append(exp.alias_(each.copy(), column if not here else name, quoted=True))
            columns.append((column, kind.text))
            reference = exp.column(column, quoted=True)
            if each is replaced:
                replaced = reference
            else:
                each.replace(reference)
        rest.append(exp.alias_(replaced, name, quoted=True))
    _check_names(tree, moved)
    query = tree.copy()
    query.set("expressions", sent)
    _renumber(query, tree, sent, moved)
    return query, rest, columns


def _starred(tree: exp.Select, at: int, outputs: Sequence[OutputColumn]) -> Sequence[OutputColumn]:
    """The columns of the only star: those that no other output gives."""
    others = len(tree.expressions) - 1
    positions = [key.this if isinstance(key, exp.Ordered) else key for clause in ("group", "order") for key in _keys(tree.args.get(clause))]
    if any(isinstance(each, exp.Literal) for each in positions) or sum(each.is_star for each in tree.expressions) > 1:
        raise _Unable
    found = outputs[at : len(outputs) - (others - at)]
    for each in found:
        if parse_type(each.type_text).kind in {Kind.VARIANT, Kind.INTERVAL, Kind.VOID}:
            raise _Unable
    return found


def _keys(clause: exp.Expr | None) -> list[exp.Expr]:
    return clause.expressions if clause is not None else []


def _type(node: exp.Expr) -> Type:
    kind = node.meta.get(NODE_TYPE)
    if not isinstance(kind, Type) or kind.kind in {Kind.VARIANT, Kind.INTERVAL, Kind.VOID}:
        raise _Unable
    return kind


def _group_keys(tree: exp.Select) -> frozenset[str] | None:
    """Texts of the expressions by which is grouped; None when nothing is."""
    group = tree.args.get("group")
    if group is None:
        return None
    if group.args.get("all") or any(group.args.get(key) for key in ("cube", "rollup", "grouping_sets")):
        raise _Unable
    return frozenset(each.sql() for each in group.expressions)


def _leaves(node: exp.Expr, keys: frozenset[str] | None) -> list[exp.Expr]:
    """The outermost parts that only the other engine can know: columns, aggregates, windows, subqueries, and what is grouped by."""
    found: list[exp.Expr] = []

    def visit(each: exp.Expr, parameters: frozenset[str]) -> None:
        if isinstance(each, exp.Column) and each.parts[0].name.lower() in parameters:
            return
        if isinstance(each, exp.Lambda):
            parameters |= {parameter.name.lower() for parameter in each.expressions}
        is_call = isinstance(each, exp.Anonymous) and is_aggregate(str(each.this).lower())
        has_query = isinstance(each, exp.In) and each.args.get("query") is not None
        grouped = keys is not None and each.sql() in keys
        if grouped or is_call or has_query or isinstance(each, (exp.Column, *_WHOLE, *_QUERIES)):
            found.append(each)
            return
        if isinstance(each, exp.Star):
            raise _Unable
        for child in each.iter_expressions():
            visit(child, parameters)

    visit(node, frozenset())
    return found


def _check_names(tree: exp.Select, moved: dict[int, str]) -> None:
    """Nothing else may mean an output that is computed here."""
    gone = set(moved.values())
    for at, output in enumerate(tree.expressions):
        for column in output.find_all(exp.Column):
            if not column.table and column.name.lower() in gone and moved.get(at) != column.name.lower():
                raise _Unable
    for key in ("group", "having", "qualify", "order", "distribute", "sort", "cluster"):
        clause = tree.args.get(key)
        nodes = clause if isinstance(clause, list) else [clause] if clause is not None else []
        if any(not column.table and column.name.lower() in gone for node in nodes for column in node.find_all(exp.Column)):
            raise _Unable


def _renumber(query: Query, tree: exp.Select, sent: list[exp.Expr], moved: dict[int, str]) -> None:
    """Keys that are positions mean other positions now."""
    places: dict[int, int] = {}
    at = 0
    names = [each.alias for each in sent]
    for old, output in enumerate(tree.expressions):
        if old not in moved and not output.is_star:
            at = names.index(output.alias_or_name, at)
            places[old] = at
            at += 1
    for clause in (query.args.get("group"), query.args.get("order")):
        for key in clause.expressions if clause is not None else ():
            node = key.this if isinstance(key, exp.Ordered) else key
            if isinstance(node, exp.Var):
                raise _Unable
            if isinstance(node, exp.Literal) and not node.is_string:
                old = int(str(node.this)) - 1
                if old not in places:
                    raise _Unable
                node.replace(exp.Literal.number(places[old] + 1))
