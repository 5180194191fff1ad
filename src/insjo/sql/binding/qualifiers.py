"""Names in front of columns: every source gets an alias, and `catalog.schema.table.column` is cut down to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.binding.names import NameSpace
    from insjo.sql.binding.references import Reference


def give_aliases(tree: exp.Expr, found: Sequence[Reference], names: NameSpace) -> None:
    """Give each table an alias, a made-up one where two of a SELECT have the same name, and let columns use it."""
    full_names: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    taken: set[tuple[int, str]] = set()
    for reference in found:
        node = reference.node
        if node.alias:
            taken.add((id(reference.select), node.alias.lower()))
    for place, reference in enumerate(found):
        node = reference.node
        if not reference.parts:
            continue
        if not node.alias:
            alias = reference.parts[-1]
            if (id(reference.select), alias.lower()) in taken:
                alias = f"__insjo_{place}_{alias}"
            taken.add((id(reference.select), alias.lower()))
            present = node.args.get("alias")
            columns = present.args.get("columns") if isinstance(present, exp.TableAlias) else None
            node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True), columns=columns))
        if len(reference.parts) <= 3:  # noqa: PLR2004  # Catalog, schema, table.
            full = ((), (names.catalog, names.schema), (names.catalog,), ())[len(reference.parts)] + reference.parts
            folded = tuple(part.lower() for part in full)
            full_names.setdefault(folded[-1], []).append((folded, node.alias))
    if full_names:
        for column in list(tree.find_all(exp.Column)):
            _shorten(column, full_names)


def _shorten(column: exp.Column, full_names: dict[str, list[tuple[tuple[str, ...], str]]]) -> None:
    """`schema.table.column` becomes `alias.column`, if such a table is read; otherwise it is a path into a struct."""
    if not column.args.get("db"):
        return
    written = tuple(part.lower() for part in (column.catalog, column.db, column.table) if part)
    for full, alias in full_names.get(written[-1], ()):
        if full[-len(written) :] == written:
            column.set("table", exp.to_identifier(alias, quoted=True))
            column.set("db", None)
            column.set("catalog", None)
            return


def exclude_hidden(reference: Reference, hidden: str) -> None:
    """Keep a hidden column out of the stars of the SELECT that reads from the source."""
    select = reference.select
    if select is None:
        return
    for output in select.expressions:
        star = output.this if isinstance(output, exp.Column) else output
        if not isinstance(star, exp.Star):
            continue
        if isinstance(output, exp.Column) and output.table.lower() != reference.alias:
            continue
        excluded = list(star.args.get("except_") or [])
        star.set("except_", [*excluded, exp.column(hidden)])
