"""From which columns of which tables each output of a bound query is computed.

Only tables that the statement names itself count: what a view reads is the lineage of the view.  Where a name could mean several
columns all of them are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LINEAGE_KEY = "insjo_lineage"
"""Key in a table's `meta` under which its identifier and the names of its columns stand."""

_DEPTH_MAX = 100

Sources: TypeAlias = frozenset[tuple[str, str]]
"""Pairs of a table's identifier and a column's name in lower case."""

Outputs: TypeAlias = "list[tuple[str, Sources]]"
"""Names in lower case with what they are computed from."""


def outputs_of(tree: exp.Expr) -> list[Sources]:
    """For each output of a query, by position, what it is computed from."""
    return [sources for _, sources in _query(tree, {}, 0)]


def tables_of(tree: exp.Expr) -> frozenset[str]:
    """Identifiers of all tables that the statement names."""
    return frozenset(node.meta[LINEAGE_KEY][0] for node in tree.find_all(exp.Table) if LINEAGE_KEY in node.meta)


def _query(tree: exp.Expr, ctes: Mapping[str, Outputs], depth: int) -> Outputs:
    """Outputs of a query of any form."""
    if depth > _DEPTH_MAX:
        return []
    with_ = tree.args.get("with_")
    if isinstance(with_, exp.With):
        known = dict(ctes)
        for cte in with_.expressions:
            known[cte.alias.lower()] = _renamed(cte, _query(cte.this, known, depth + 1))
        ctes = known
    if isinstance(tree, exp.Subquery):
        return _query(tree.this, ctes, depth + 1)
    if isinstance(tree, exp.SetOperation):
        return _both(_query(tree.this, ctes, depth + 1), _query(tree.expression, ctes, depth + 1), by_name=bool(tree.args.get("by_name")))
    if isinstance(tree, exp.Select):
        return _select(tree, ctes, depth)
    return []


def _both(one: Outputs, other: Outputs, *, by_name: bool) -> Outputs:
    """Outputs of a set operation: by position, or by name."""
    if by_name:
        found = dict(one)
        for name, sources in other:
            found[name] = found.get(name, frozenset()) | sources
        return list(found.items())
    merged = [(name, sources | other[at][1] if at < len(other) else sources) for at, (name, sources) in enumerate(one)]
    return merged or other


def _renamed(node: exp.Expr, outputs: Outputs) -> Outputs:
    """Outputs under the names that an alias gives them."""
    alias = node.args.get("alias")
    names = [each.name.lower() for each in alias.args.get("columns") or []] if isinstance(alias, exp.TableAlias) else []
    return [(names[at] if at < len(names) else name, sources) for at, (name, sources) in enumerate(outputs)]


def _select(tree: exp.Select, ctes: Mapping[str, Outputs], depth: int) -> Outputs:
    """Outputs of one SELECT."""
    visible = _visible(tree, ctes, depth)
    found: Outputs = []
    for output in tree.expressions:
        star = output.this if isinstance(output, exp.Column) else output
        if isinstance(star, exp.Star):
            wanted = output.table.lower() if isinstance(output, exp.Column) else ""
            left_out = {each.name.lower() for each in star.args.get("except_") or []}
            for alias, columns in visible.items():
                if not wanted or alias == wanted:
                    found += [(name, sources) for name, sources in columns if name not in left_out]
            continue
        found.append((output.alias_or_name.lower(), _expression(output, visible, ctes, depth)))
    return found


def _visible(tree: exp.Select, ctes: Mapping[str, Outputs], depth: int) -> dict[str, Outputs]:
    """The sources of a SELECT with their columns, by alias."""
    from_ = tree.args.get("from_")
    nodes: list[exp.Expr] = [from_.this] if from_ is not None else []
    nodes += [join.this for join in tree.args.get("joins") or []]
    visible: dict[str, Outputs] = {}
    for place, node in enumerate(nodes):
        inner = [node, *(join.this for join in node.args.get("joins") or [])]
        for each in inner:
            alias = (each.alias_or_name or f"#{place}").lower()
            visible[alias if alias not in visible else f"{alias}#{place}"] = _source(each, ctes, depth)
    return visible


def _source(node: exp.Expr, ctes: Mapping[str, Outputs], depth: int) -> Outputs:
    """Columns of one source."""
    if isinstance(node, exp.Table):
        held = node.meta.get(LINEAGE_KEY)
        if held is not None:
            table_id, names = held
            return _renamed(node, [(name, frozenset({(table_id, name)})) for name in names])
        return _renamed(node, list(ctes.get(node.name.lower(), [])))
    if isinstance(node, exp.Subquery):
        return _renamed(node, _query(node, ctes, depth + 1))
    return []


def _expression(node: exp.Expr, visible: Mapping[str, Outputs], ctes: Mapping[str, Outputs], depth: int) -> Sources:
    """What an expression is computed from, queries inside it among that."""
    found: set[tuple[str, str]] = set()
    inner = list(node.find_all(exp.Select))
    for query in inner:
        for _, sources in _select(query, ctes, depth + 1) if depth < _DEPTH_MAX else []:
            found |= sources
    for column in node.find_all(exp.Column):
        found |= _column(column, visible)
    return frozenset(found)


def _column(column: exp.Column, visible: Mapping[str, Sequence[tuple[str, Sources]]]) -> set[tuple[str, str]]:
    """What a column means."""
    name, qualifier = column.name.lower(), column.table.lower()
    found: set[tuple[str, str]] = set()
    for alias, columns in visible.items():
        if qualifier and alias.partition("#")[0] != qualifier:
            continue
        for own, sources in columns:
            if own == name:
                found |= sources
    if not found and qualifier:  # A field of a struct: the qualifier is the column.
        for columns in visible.values():
            for own, sources in columns:
                if own == qualifier:
                    found |= sources
    return found
