"""PIVOT and UNPIVOT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.coercion import unified
from insjo.sql.dialect.fragments import Fragment, made, name_of, select, text_of
from insjo.sql.dialect.labels import label
from insjo.sql.dialect.operators import compare
from insjo.sql.dialect.scopes import Relation, Scope, ScopeColumn
from insjo.sql.dialect.sources import Part, Source
from insjo.sql.dialect.types import BOOLEAN, STRING, Type
from insjo.sql.errors import UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.sql.dialect.compiling import CommonTable, Compiler, QueryCompiler

PIVOT_SHAPE = "insjo_pivot_shape"
"""Key under which a compiled pivot carries its columns, for other engines than Insjö's own."""


@dataclass(frozen=True, slots=True)
class PivotShape:
    """Names and types of the columns of a PIVOT or UNPIVOT: those that it leaves as they are, and those that it makes, in order."""

    kept: tuple[tuple[str, Type], ...]
    made: tuple[tuple[str, Type], ...]


def apply(queries: QueryCompiler, tables: Mapping[str, CommonTable], parent: Scope | None, pivot: exp.Expr, part: Part) -> Part:
    """A relation with a PIVOT or UNPIVOT on it."""
    scope = Scope(list(part.relations), parent, merged=dict(part.merged))
    compiler = queries.expressions(scope, tables)
    fields = pivot.args.get("fields") or []
    if len(fields) != 1 or not isinstance(fields[0], exp.In) or fields[0].args.get("query"):
        message = "This form of `PIVOT` is not supported: it needs `FOR column IN (values)`."
        raise UnsupportedFeature(message)
    if pivot.args.get("unpivot"):
        return _unpivoted(queries, tables, parent, pivot, part, fields[0])
    listed, columns, groups = _pivoted(compiler, scope, pivot, fields[0])
    key = queries.fresh("p")
    group = f" GROUP BY {', '.join(groups)}" if groups else ""
    shown = tuple(
        ScopeColumn(name, Fragment(f"{name_of(key)}.{name_of(f'k{index}')}", of_type)) for index, (name, of_type) in enumerate(columns)
    )
    texts = ", ".join(f"{sql} AS k{index}" for index, sql in enumerate(listed))
    alias = pivot.args.get("alias")
    names = (alias.name,) if alias is not None and alias.name else _names(part)
    return Part(f"({select(texts, part.sql, group)}) AS {name_of(key)}", [Relation(names, shown)])


def _names(part: Part) -> tuple[str, ...]:
    return part.relations[0].names if len(part.relations) == 1 else ()


Built = tuple[list[str], list[tuple[str, Type]], list[str]]


def _pivoted(compiler: Compiler, scope: Scope, pivot: exp.Expr, within: exp.Expr) -> Built:
    """One column for each value and aggregate, grouped by all columns that neither of them uses."""
    subjects = within.this.expressions if isinstance(within.this, exp.Tuple) else [within.this]
    aggregates = list(pivot.expressions)
    used = {column.name.lower() for node in (*aggregates, *subjects) for column in node.find_all(exp.Column)}
    used |= {node.name.lower() for node in subjects}
    kept = [(name, fragment) for name, fragment in scope.visible() if name.lower() not in used]
    listed = [fragment.seen().sql for _, fragment in kept]
    columns = [(name, fragment.type) for name, fragment in kept]
    for value in within.expressions:
        cells, name = value_parts(value)
        if len(cells) != len(subjects):
            message = "The values of `PIVOT` do not have as many parts as it has columns."
            raise UnsupportedFeature(message)
        tests = [
            compare("IS NOT DISTINCT FROM", compiler.compile(subject), compiler.compile(each))
            for subject, each in zip(subjects, cells, strict=True)
        ]
        condition = made(" AND ".join(test.sql for test in tests), BOOLEAN, *tests)
        for node in aggregates:
            inner = node.this if isinstance(node, exp.Alias) else node
            fragment = _filtered(compiler, inner, condition)
            suffix = node.alias if isinstance(node, exp.Alias) else label(inner)
            listed.append(fragment.sql)
            columns.append((name if len(aggregates) == 1 else f"{name}_{suffix}", fragment.type))
    pivot.meta[PIVOT_SHAPE] = PivotShape(tuple(columns[: len(kept)]), tuple(columns[len(kept) :]))
    return listed, columns, [fragment.seen().sql for _, fragment in kept]


def value_parts(node: exp.Expr) -> tuple[list[exp.Expr], str]:
    """Parts of one value of the IN list, and the name that it gives its column."""
    inner = node.this if isinstance(node, exp.PivotAlias | exp.Alias) else node
    cells = list(inner.expressions) if isinstance(inner, exp.Tuple) else [inner]
    if isinstance(node, exp.PivotAlias | exp.Alias):
        alias = node.args.get("alias")
        return cells, alias.name if alias is not None else node.alias
    return cells, "_".join(label(cell) for cell in cells)


def _filtered(compiler: Compiler, node: exp.Expr, condition: Fragment) -> Fragment:
    """An aggregate over the rows of one value; NULL where a group has none of them."""
    if not isinstance(node, exp.Anonymous):
        message = "`PIVOT` takes plain aggregates."
        raise UnsupportedFeature(message)
    from insjo.sql.dialect.functions.calls import call_function

    fragment = call_function(compiler, node, where=condition).seen()
    return made(f"CASE WHEN count(*) FILTER (WHERE {condition.sql}) > 0 THEN {fragment.sql} END", fragment.type, fragment)


def _unpivoted(
    queries: QueryCompiler, tables: Mapping[str, CommonTable], parent: Scope | None, pivot: exp.Expr, part: Part, within: exp.Expr
) -> Part:
    """One row for each group of columns; those of NULLs only are left out unless told to keep them."""
    values = pivot.expressions[0].expressions if isinstance(pivot.expressions[0], exp.Tuple) else list(pivot.expressions)
    value_names = [each.name for each in values]
    inner = Source("", Scope(parent=parent))
    inner.begin(part)
    compiler = queries.expressions(inner.scope, tables)
    groups = [value_parts(each) for each in within.expressions]
    labels = [name for _, name in groups]
    columns = [[compiler.compile(cell) for cell in cells] for cells, _ in groups]
    if any(len(cells) != len(value_names) for cells in columns):
        message = "The groups of `UNPIVOT` do not have as many columns as it has values."
        raise UnsupportedFeature(message)
    unions = [unified([cells[place] for cells in columns], "`UNPIVOT`") for place in range(len(value_names))]
    used = {column.name.lower() for cells, _ in groups for cell in cells for column in cell.find_all(exp.Column)}
    rows = [
        "struct_pack(n := "
        + text_of(name)
        + "".join(f", v{place} := {unions[place][0][row].sql}" for place in range(len(value_names)))
        + ")"
        for row, name in enumerate(labels)
    ]
    row = inner.wrap(queries.fresh("w"), {"g_": f"unnest([{', '.join(rows)}])"})["g_"]
    cells = [Fragment(f"struct_extract({row}, 'v{place}')", of_type) for place, (_, of_type) in enumerate(unions)]
    kept = [(name, fragment) for name, fragment in inner.scope.visible() if name.lower() not in used]
    made_columns = [(within.this.name, Fragment(f"struct_extract({row}, 'n')", STRING)), *zip(value_names, cells, strict=True)]
    pivot.meta[PIVOT_SHAPE] = PivotShape(*(tuple((name, each.type) for name, each in listed) for listed in (kept, made_columns)))
    where = "" if pivot.args.get("include_nulls") else f" WHERE {' OR '.join(f'{each.sql} IS NOT NULL' for each in cells)}"
    return _selected(queries, pivot, part, inner.sql + where, [*kept, *made_columns])


def _selected(queries: QueryCompiler, pivot: exp.Expr, part: Part, origin: str, columns: Sequence[tuple[str, Fragment]]) -> Part:
    key = queries.fresh("p")
    texts = ", ".join(f"{fragment.seen().sql} AS k{index}" for index, (_, fragment) in enumerate(columns))
    shown = tuple(
        ScopeColumn(name, Fragment(f"{name_of(key)}.{name_of(f'k{index}')}", fragment.type))
        for index, (name, fragment) in enumerate(columns)
    )
    alias = pivot.args.get("alias")
    names = (alias.name,) if alias is not None and alias.name else _names(part)
    return Part(f"({select(texts, origin)}) AS {name_of(key)}", [Relation(names, shown)])
