"""Which tables a tree names: a walk that knows the scope of CTEs, and refuses what a query may not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid, UnboundParameter, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Iterator

_NESTING_MAX = 400

_CHANGES = (
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.Into,
    exp.Lock,
    exp.Set,
    exp.Pragma,
    exp.Attach,
    exp.Detach,
    exp.Copy,
    exp.LoadData,
    exp.Use,
    exp.Describe,
    exp.Stream,
    exp.QueryTransform,
)
"""Nodes that a query never needs; an INSERT inside a CTE is one."""

_VARIABLES = (exp.Parameter, exp.SessionParameter)


@dataclass(slots=True)
class Reference:
    """A place in a tree where a table, view or table function is named.

    Attributes:
        node: The place; binding replaces what it names, never the node itself.
        select: The SELECT whose source it is, or None.
        parts: The name as written, or empty for a table function.
        function: The call, for a table function.
    """

    node: exp.Table
    select: exp.Select | None
    parts: tuple[str, ...]
    function: exp.Expr | None = None

    @property
    def alias(self) -> str:
        """Name by which columns are qualified, in lower case."""
        return (self.node.alias or (self.parts[-1] if self.parts else "")).lower()


def references(tree: exp.Expr) -> list[Reference]:
    """All tables that the tree names, without those that are CTEs where they stand.

    Raises:
        UnsupportedFeature, SyntaxInvalid: The tree holds something that is no part of a query.
        UnboundParameter: A parameter marker has no value.
    """
    found: list[Reference] = []
    _walk(tree, frozenset(), None, found, 0)
    return found


def _walk(node: exp.Expr, ctes: frozenset[str], select: exp.Select | None, found: list[Reference], depth: int) -> None:
    """One node and all below it."""
    if depth > _NESTING_MAX:
        message = "The statement is nested too deeply."
        raise SyntaxInvalid(message, hint="Break it into several statements or CTEs.")
    _refuse_foreign(node)
    if isinstance(node, exp.Select):
        select = node
        node.set("hint", None)
    with_ = node.args.get("with_")
    if isinstance(with_, exp.With):
        ctes = _walk_with(with_, ctes, found, depth)
    if isinstance(node, exp.Table):
        _record(node, ctes, select, found)
    for key, value in node.args.items():
        if key == "with_":
            continue
        for child in _expressions(value):
            if isinstance(node, exp.Table) and key in {"this", "db", "catalog"} and isinstance(child, exp.Identifier):
                continue
            _walk(child, ctes, select, found, depth + 1)


def _walk_with(with_: exp.With, ctes: frozenset[str], found: list[Reference], depth: int) -> frozenset[str]:
    """The CTEs of one WITH; each sees those before it, and itself when the WITH is recursive."""
    recursive = bool(with_.args.get("recursive"))
    for cte in with_.expressions:
        name = cte.alias.lower()
        inner = ctes | {name} if recursive else ctes
        _walk(cte.this, inner, None, found, depth + 1)
        ctes |= {name}
    return ctes


def _expressions(value: object) -> Iterator[exp.Expr]:
    """Nodes in the value of an argument."""
    if isinstance(value, exp.Expr):
        yield value
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, exp.Expr):
                yield each


def _refuse_foreign(node: exp.Expr) -> None:
    """Refuse nodes that are no part of a query."""
    if isinstance(node, _CHANGES) and not isinstance(node, exp.Query):
        name = node.key.upper()
        message = f"`{name}` is not supported inside a query."
        raise UnsupportedFeature(message, details={"feature": name})
    if isinstance(node, exp.Placeholder):
        message = f"There is no value for the parameter `:{node.name}`." if node.name else "There is no value for a parameter `?`."
        raise UnboundParameter(message)
    if isinstance(node, _VARIABLES):
        message = f"`{node.sql(dialect='databricks')}` is not supported."
        raise UnsupportedFeature(message, hint="Use a parameter such as `:name`.", details={"feature": "variable substitution"})


def _record(node: exp.Table, ctes: frozenset[str], select: exp.Select | None, found: list[Reference]) -> None:
    """Keep the reference unless it is one to a CTE."""
    source = node.this
    for clause in ("only", "when", "changes", "rows_from", "pattern", "format", "partition", "indexed", "ordinality"):
        if node.args.get(clause):
            message = f"`{clause.upper().replace('_', ' ')}` behind a table is not supported."
            raise UnsupportedFeature(message, details={"feature": clause})
    if isinstance(source, exp.Identifier):
        parts = tuple(part.name for part in node.parts)
        if len(parts) == 1 and parts[0].lower() in ctes and node.args.get("version") is None:
            return
        found.append(Reference(node, select, parts))
    elif isinstance(source, exp.Expr):
        found.append(Reference(node, select, (), source))
