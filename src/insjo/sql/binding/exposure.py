"""Which columns of a source a statement can read.

The engine is shown these columns and no others, so the label computed from them covers whatever the statement does.  Where the
analysis is unsure it takes all columns: a label may come out too high, never too low, and no column can be read that it left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from insjo.sql.binding.references import Reference


@dataclass(slots=True)
class Mentions:
    """Names that stand in one SELECT and everything inside it."""

    bare: set[str] = field(default_factory=set)
    qualified: dict[str, set[str]] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)
    everything: bool = False


class Exposure:
    """Answers for all sources of one tree; each SELECT is read once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._by_select: dict[int, Mentions] = {}

    def columns(self, reference: Reference, names: Iterable[str]) -> list[str]:
        """Those of the columns that the statement may read, in their order."""
        names = list(names)
        wanted = self.wanted(reference)
        return names if wanted is None else [name for name in names if name.lower() in wanted]

    def wanted(self, reference: Reference) -> set[str] | None:
        """Names in lower case that the statement may mean; None means every column."""
        node, select = reference.node, reference.select
        if select is None or node.args.get("pivots") or _renamed(node) or not _direct(node, select):
            return None
        mentions = self.mentions(select)
        alias = reference.alias
        if mentions.everything or alias in mentions.stars or alias in mentions.bare:
            return None
        wanted = set(mentions.bare)
        others = _source_names(select)
        for qualifier, columns in mentions.qualified.items():
            if qualifier == alias:
                wanted |= columns
            else:
                wanted.add(qualifier)
                if qualifier not in others:
                    wanted |= columns
        return wanted

    def mentions(self, select: exp.Select) -> Mentions:
        """What stands in a SELECT."""
        found = self._by_select.get(id(select))
        if found is None:
            found = self._by_select[id(select)] = _mentions(select)
        return found


def _renamed(node: exp.Table) -> bool:
    """Whether the alias gives the columns other names."""
    alias = node.args.get("alias")
    return isinstance(alias, exp.TableAlias) and bool(alias.args.get("columns"))


def _direct(node: exp.Expr, select: exp.Select) -> bool:
    """Whether the source stands in the SELECT's own FROM, with no other alias around it."""
    parent = node.parent
    while parent is not None and parent is not select:
        if not isinstance(parent, exp.From | exp.Join | exp.Table):
            return False
        parent = parent.parent
    return parent is select


def _source_names(select: exp.Select) -> set[str]:
    """Names by which the sources of a SELECT are known."""
    found: set[str] = set()
    sources = [select.args.get("from_"), *select.args.get("joins", ()), *select.args.get("laterals", ())]
    for source in sources:
        if source is None:
            continue
        for each in source.find_all(exp.Table, exp.Subquery, exp.Lateral, exp.Values, exp.Unnest):
            if each.parent_select is select and each.alias_or_name:
                found.add(each.alias_or_name.lower())
    return found


def _mentions(select: exp.Select) -> Mentions:
    """Read a SELECT and all inside it."""
    found = Mentions()
    for node in select.walk():
        if isinstance(node, exp.Star):
            _read_star(node, select, found)
        elif isinstance(node, exp.Identifier):
            _read_identifier(node, found)
        elif (isinstance(node, exp.Pivot) and node.parent_select is select) or (
            isinstance(node, exp.Join) and node.method == "NATURAL" and node.parent_select is select
        ):
            found.everything = True
        elif isinstance(node, exp.SetOperation) and node.args.get("by_name"):
            continue
    return found


def _read_star(star: exp.Star, select: exp.Select, found: Mentions) -> None:
    """A star means every column, except in `count(*)`."""
    parent = star.parent
    if isinstance(parent, exp.Column) and parent.args.get("table"):
        found.stars.add(parent.table.lower())
    elif isinstance(parent, exp.Anonymous) and str(parent.this).lower() == "count" and len(parent.expressions) == 1:
        return
    elif star.parent_select is select:
        found.everything = True


def _read_identifier(node: exp.Identifier, found: Mentions) -> None:
    """A name that may be a column's."""
    parent, key = node.parent, node.arg_key
    if isinstance(parent, exp.TableAlias | exp.Table) or (isinstance(parent, exp.Alias) and key == "alias"):
        return
    name = node.name.lower()
    if not isinstance(parent, exp.Column):
        found.bare.add(name)
        return
    if key != "this":
        if key == "table" and isinstance(parent.this, exp.Star):
            return
        if key in {"db", "catalog"} or not isinstance(parent.this, exp.Identifier):
            found.bare.add(name)
        return
    qualifier = parent.table.lower()
    if qualifier and not parent.args.get("db"):
        found.qualified.setdefault(qualifier, set()).add(name)
    elif qualifier:
        found.qualified.setdefault(qualifier, set()).add(name)
        found.bare |= {name, qualifier}
    else:
        found.bare.add(name)
