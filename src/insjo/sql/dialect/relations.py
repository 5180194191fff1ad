"""FROM clauses: tables, subqueries, joins, generators, samples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect import pivots
from insjo.sql.dialect.coercion import implicit, unified
from insjo.sql.dialect.fragments import Fragment, made, name_of, select
from insjo.sql.dialect.functions.generators import Generated, cell, generate, is_generator
from insjo.sql.dialect.operators import compare
from insjo.sql.dialect.scopes import Relation, Scope, ScopeColumn, part_names
from insjo.sql.dialect.sources import Part, Source
from insjo.sql.dialect.types import BIGINT, BOOLEAN, Type, parse_type
from insjo.sql.errors import ArgumentInvalid, CountMismatch, TableNotBound, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.sql.dialect.compiling import CommonTable, Compiler, QueryCompiler

BOUND_SQL = "insjo_sql"
BOUND_COLUMNS = "insjo_columns"
"""Where `bind_table` keeps what a leaf table is."""


@dataclass(slots=True)
class From:
    """Compiles one FROM clause."""

    queries: QueryCompiler
    parent: Scope | None
    tables: Mapping[str, CommonTable]
    source: Source = field(init=False)

    def __post_init__(self) -> None:
        self.source = Source("", Scope(parent=self.parent))

    def compile(self, select: exp.Expr) -> Source:
        """The clause of a SELECT, with its joins and lateral views."""
        clause = select.args.get("from_")
        if clause is not None:
            self.source.begin(self._relation(clause.this))
        for join in select.args.get("joins") or []:
            self._join(join)
        for lateral in select.args.get("laterals") or []:
            self.add_lateral_view(lateral.this, lateral.args.get("alias"), outer=bool(lateral.args.get("outer")))
        return self.source

    def expressions(self) -> Compiler:
        """Compiler of expressions that see the clause so far."""
        return self.queries.expressions(self.source.scope, self.tables)

    # -------------------------------------------------------------------------------------------- one relation

    def _relation(self, node: exp.Expr) -> Part:
        if isinstance(node, exp.Subquery):
            found = self._subquery(node)
        elif isinstance(node, exp.Table):
            found = self._table(node)
        elif isinstance(node, exp.Values):
            found = self._values(node)
        elif isinstance(node, exp.Lateral):
            found = self._lateral(node)
        else:
            raise UnsupportedFeature(f"`{type(node).__name__}` in a FROM clause is not supported.")
        sample = node.args.get("sample")
        if sample is not None:
            found = self._sampled(sample, found)
        if node.args.get("pivots"):
            for pivot in node.args["pivots"]:
                found = pivots.apply(self.queries, self.tables, self.parent, pivot, found)
        joins = node.args.get("joins")
        return self._joined(found, joins) if joins else found

    def _joined(self, first: Part, joins: Sequence[exp.Expr]) -> Part:
        """Joins in brackets."""
        group = From(self.queries, self.parent, self.tables)
        group.source.begin(first)
        for join in joins:
            group._join(join)  # The same class.
        return replace(group.source.as_part(), sql=f"({group.source.sql})")

    def _table(self, node: exp.Expr) -> Part:
        if isinstance(node.this, exp.Anonymous) and BOUND_COLUMNS not in node.meta:
            return self._table_function(node)
        if node.args.get("version") is not None and BOUND_COLUMNS not in node.meta:
            message = "Time travel has to be resolved before a statement is compiled."
            raise TableNotBound(message)
        columns = node.meta.get(BOUND_COLUMNS)
        alias = node.args.get("alias")
        if columns is not None:
            names = (node.alias,) if alias is not None and node.alias else tuple(reversed(part_names(node)))
            typed = [(name, name, parse_type(text)) for name, text in columns]
            return self._aliased(str(node.meta[BOUND_SQL]), names, typed, alias)
        common = self.tables.get(node.name.lower()) if not node.args.get("db") else None
        if common is None:
            raise TableNotBound(f"The table `{'.'.join(part_names(node))}` cannot be found.")
        names = (node.alias or node.name,)
        return self._aliased(name_of(common.key), names, [(each.name, each.key, each.type) for each in common.columns], alias)

    def _aliased(self, sql: str, names: tuple[str, ...], columns: Sequence[tuple[str, str, Type]], alias: exp.Expr | None) -> Part:
        """A relation under a new engine name; its columns as (name, engine's name, type), renamed by a list behind the alias."""
        key = self.queries.fresh("r")
        renamed = [each.name for each in alias.args.get("columns") or []] if alias is not None else []
        if renamed and len(renamed) != len(columns):
            raise CountMismatch(f"The alias `{names[0]}` names {len(renamed)} columns, and there are {len(columns)}.")
        shown = renamed or [name for name, _, _ in columns]
        scope_columns = tuple(
            ScopeColumn(name, Fragment(f"{name_of(key)}.{name_of(own)}", of_type))
            for name, (_, own, of_type) in zip(shown, columns, strict=True)
        )
        return Part(f"{sql} AS {name_of(key)}", [Relation(tuple(name for name in names if name), scope_columns)])

    def _subquery(self, node: exp.Expr) -> Part:
        inner, alias = node.this, node.args.get("alias")
        if isinstance(inner, exp.Table | exp.Subquery) and not _has_modifiers(node):
            found = self._relation(inner)
            return found if alias is None else self._renamed_group(found, node.alias, alias)
        compiled = self.queries.query(node if _has_modifiers(node) else inner, self.parent, self.tables)
        columns = [(each.name, each.key, each.type) for each in compiled.columns]
        return self._aliased(f"({compiled.sql})", (node.alias,) if node.alias else (), columns, alias)

    def _renamed_group(self, part: Part, name: str, alias: exp.Expr) -> Part:
        """Something in brackets under one alias."""
        scope = Scope(part.relations, merged=dict(part.merged))
        shown = list(scope.visible())
        listed = ", ".join(f"{fragment.seen().sql} AS k{index}" for index, (_, fragment) in enumerate(shown))
        columns = [(column, f"k{index}", fragment.type) for index, (column, fragment) in enumerate(shown)]
        return self._aliased(f"({select(listed, part.sql)})", (name,), columns, alias)

    def _values(self, node: exp.Expr) -> Part:
        sql, types = values_rows(self.expressions(), node)
        alias = node.args.get("alias")
        key = self.queries.fresh("r")
        keys = [f"col{index}" for index in range(1, len(types) + 1)]
        renamed = [each.name for each in alias.args.get("columns") or []] if alias is not None else []
        if renamed and len(renamed) != len(keys):
            raise CountMismatch(f"The alias names {len(renamed)} columns, and there are {len(keys)}.")
        columns = tuple(
            ScopeColumn(name, Fragment(f"{name_of(key)}.{name_of(own)}", of_type))
            for name, own, of_type in zip(renamed or keys, keys, types, strict=True)
        )
        listed = ", ".join(name_of(own) for own in keys)
        return Part(f"({sql}) AS {name_of(key)}({listed})", [Relation((node.alias,) if node.alias else (), columns)])

    def _lateral(self, node: exp.Expr) -> Part:
        """`LATERAL (query)`, which sees the relations before it."""
        inner = node.this
        if not isinstance(inner, exp.Subquery):
            message = "`LATERAL` goes with a query in brackets, or with `VIEW` and a generator."
            raise UnsupportedFeature(message)
        compiled = self.queries.query(inner.this, self.source.scope, self.tables)
        columns = [(each.name, each.key, each.type) for each in compiled.columns]
        return self._aliased(f"LATERAL ({compiled.sql})", (node.alias,) if node.alias else (), columns, node.args.get("alias"))

    # -------------------------------------------------------------------------------------------- table functions

    def _table_function(self, node: exp.Expr) -> Part:
        function, alias = node.this, node.args.get("alias")
        if is_generator(function):
            generated = generate(self.expressions(), function)
            return self._aliased(_unnested(generated), (node.alias or "",), _listed(generated), alias)
        if function.name.lower() == "range":
            return self._range(node)
        raise UnsupportedFeature(f"The table function `{function.name}` is not supported.")

    def _range(self, node: exp.Expr) -> Part:
        compiler = self.expressions()
        numbers = [implicit(compiler.compile(each), BIGINT, "`range`") for each in node.this.expressions[:3]]
        if not numbers or any(number.whole is None for number in numbers):
            message = "`range` takes one to three constant whole numbers."
            raise ArgumentInvalid(message)
        bounds = [number.whole for number in numbers]
        start, stop = (0, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
        step = bounds[2] if len(bounds) > 2 else 1  # noqa: PLR2004  # A step.
        numbers_sql = f"range(CAST({start} AS BIGINT), CAST({stop} AS BIGINT), CAST({step} AS BIGINT))"
        sql = f"({select('CAST(range AS BIGINT) AS id', numbers_sql)})"
        return self._aliased(sql, (node.alias or "range",), [("id", "id", BIGINT)], node.args.get("alias"))

    # -------------------------------------------------------------------------------------------- joins

    def _join(self, node: exp.Expr) -> None:
        side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
        part = self._relation(node.this)
        left = Scope(list(self.source.scope.relations), self.parent, merged=dict(self.source.scope.merged))
        self.source.scope.relations.extend(part.relations)
        self.source.scope.merged.update(part.merged)
        using = [each.name for each in node.args.get("using") or []]
        if str(node.args.get("method") or "").upper() == "NATURAL":
            using = _common_names(left, part)
        words = _join_words(side, kind)
        condition = self._join_condition(node, left, part, using, side=side, kind=kind)
        if condition is None and words == "JOIN":
            words = "CROSS JOIN"
        suffix = "" if words == "CROSS JOIN" else f" ON {condition.sql if condition is not None else 'TRUE'}"
        self.source.sql = f"{self.source.sql} {words} {part.sql}{suffix}"
        if kind in {"SEMI", "ANTI"}:
            self.source.scope.relations = left.relations
            self.source.scope.merged = left.merged

    def _join_condition(self, node: exp.Expr, left: Scope, part: Part, using: list[str], *, side: str, kind: str) -> Fragment | None:
        if not using:
            condition = node.args.get("on")
            return None if condition is None else self.expressions().condition(condition, "`ON`")
        right = Scope(list(part.relations), None, merged=dict(part.merged))
        tests = []
        for name in using:
            mine, other = left.resolve([name]), right.resolve([name])
            tests.append(compare("=", mine, other))
            if kind in {"SEMI", "ANTI"}:
                continue
            (first, second), common = unified([mine, other], "`USING`")
            merged = {"RIGHT": second, "FULL": made(f"coalesce({first.sql}, {second.sql})", common, first, second)}.get(side, mine)
            self.source.scope.merged[name.lower()] = merged
        if kind not in {"SEMI", "ANTI"}:
            self._hide(using)
        return made(" AND ".join(test.sql for test in tests), BOOLEAN, *tests)

    def _hide(self, using: list[str]) -> None:
        """Columns of USING appear once in `*`."""
        folded = {name.lower() for name in using}
        self.source.scope.relations = [
            replace(
                relation, columns=tuple(replace(each, hidden=True) if each.name.lower() in folded else each for each in relation.columns)
            )
            for relation in self.source.scope.relations
        ]

    # -------------------------------------------------------------------------------------------- generators

    def add_lateral_view(self, function: exp.Expr, alias: exp.Expr | None, *, outer: bool = False, where: str = "") -> list[Fragment]:
        """Rows of a generator beside those of the clause so far; gives its columns."""
        if not is_generator(function):
            raise UnsupportedFeature(f"`{function.name}` makes no rows: `LATERAL VIEW` takes `explode` and its kin.")
        generated = generate(self.expressions(), function, outer=outer)
        row = self.source.wrap(self.queries.fresh("w"), {"g_": f"unnest({generated.items.sql})"}, where=where)["g_"]
        cells = [cell(row, generated, index) for index in range(len(generated.columns))]
        names = [each.name for each in alias.args.get("columns") or []] if alias is not None else []
        if names and len(names) != len(cells):
            raise CountMismatch(f"The generator gives {len(cells)} columns, and {len(names)} names are given.")
        shown = names or [name for name, _ in generated.columns]
        columns = tuple(ScopeColumn(name, fragment) for name, fragment in zip(shown, cells, strict=True))
        owner = alias.name if alias is not None else ""
        self.source.scope.relations.append(Relation((owner,) if owner else (), columns))
        return cells

    # -------------------------------------------------------------------------------------------- samples

    def _sampled(self, sample: exp.Expr, part: Part) -> Part:
        """TABLESAMPLE: a percentage is drawn row by row, a number of rows is a limit."""
        inner = From(self.queries, self.parent, self.tables)
        inner.source.begin(part)
        compiler = self.expressions()
        percent, size = sample.args.get("percent"), sample.args.get("size")
        if size is not None:
            rows = compiler.compile(size)
            if rows.whole is None:
                message = "`TABLESAMPLE` takes a constant number of rows."
                raise ArgumentInvalid(message)
            inner.source.wrap(self.queries.fresh("w"), {}, where=f" LIMIT {rows.whole}")
            return inner.source.as_part()
        if percent is not None:
            share = _number(compiler.compile(percent))
        elif sample.args.get("bucket_numerator") is not None:
            share = (
                100
                * _number(compiler.compile(sample.args["bucket_numerator"]))
                / _number(compiler.compile(sample.args["bucket_denominator"]))
            )
        else:
            message = "This form of `TABLESAMPLE` is not supported."
            raise UnsupportedFeature(message)
        if not 0 <= share <= 100:  # noqa: PLR2004  # Percent.
            message = "`TABLESAMPLE` takes between 0 and 100 percent."
            raise ArgumentInvalid(message)
        seed = sample.args.get("seed")
        repeatable = f", {int(_number(compiler.compile(seed)))}" if seed is not None else ""
        drawn = f" USING SAMPLE {share:g} PERCENT (bernoulli{repeatable})" if share < 100 else ""  # noqa: PLR2004  # All of it.
        inner.source.wrap(self.queries.fresh("w"), {}, where=drawn)
        return inner.source.as_part()


def _number(fragment: Fragment) -> float:
    value = fragment.constant.value if fragment.constant is not None else None
    if value is None or isinstance(value, bool | str):
        message = "`TABLESAMPLE` takes constant numbers."
        raise ArgumentInvalid(message)
    return float(value)


def _has_modifiers(node: exp.Expr) -> bool:
    return any(node.args.get(key) for key in ("order", "limit", "offset", "with_"))


def _listed(generated: Generated) -> list[tuple[str, str, Type]]:
    return [(name, f"f{index}", of_type) for index, (name, of_type) in enumerate(generated.columns)]


def _unnested(generated: Generated) -> str:
    """A generator as a subquery with columns `f0`, `f1` ..."""
    cells = ", ".join(f"{cell('g_', generated, index).sql} AS f{index}" for index in range(len(generated.columns)))
    return f"({select(cells, f'(SELECT unnest({generated.items.sql}) AS g_) AS u_')})"


def _join_words(side: str, kind: str) -> str:
    if kind in {"SEMI", "ANTI"}:
        return f"{kind} JOIN"
    if kind == "CROSS":
        return "CROSS JOIN"
    if side in {"LEFT", "RIGHT", "FULL"}:
        return f"{side} JOIN"
    return "JOIN"


def _common_names(left: Scope, part: Part) -> list[str]:
    there = {name.lower() for name, _ in Scope(part.relations, merged=dict(part.merged)).visible()}
    return [name for name, _ in left.visible() if name.lower() in there]


def values_rows(compiler: Compiler, node: exp.Expr) -> tuple[str, list[Type]]:
    """VALUES in the engine's words, and the types of its columns."""
    rows = [compiler.compile_all(row.expressions if isinstance(row, exp.Tuple) else [row]) for row in node.expressions]
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        message = "The rows of `VALUES` have different lengths."
        raise CountMismatch(message)
    columns = [unified([row[place] for row in rows], "`VALUES`") for place in range(width)]
    texts = [f"({', '.join(columns[place][0][index].seen().sql for place in range(width))})" for index in range(len(rows))]
    return f"VALUES {', '.join(texts)}", [of_type for _, of_type in columns]
