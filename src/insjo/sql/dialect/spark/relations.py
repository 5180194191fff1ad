"""Sources that servers of Spark Connect do not know, as the queries that they stand for: PIVOT, UNPIVOT and TABLESAMPLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.expressions import NODE_TYPE
from insjo.sql.dialect.pivots import PIVOT_SHAPE, value_parts
from insjo.sql.dialect.spark.typed import cast, refused
from insjo.sql.dialect.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.dialect.pivots import PivotShape

_WHOLE = 100


def plain_relations(tree: exp.Expr) -> None:
    """Put a query in the place of each source with a sample or a pivot; the tree is changed."""
    for node in list(tree.find_all(exp.Table, exp.Subquery)):
        pivots = node.args.get("pivots") or []
        sample = node.args.get("sample")
        if not pivots and sample is None:
            continue
        for key in ("pivots", "sample"):
            node.set(key, None)
        found: exp.Expr = node.copy()
        if sample is not None:
            found = _sampled(found, sample)
        for pivot in pivots:
            shape = pivot.meta.get(PIVOT_SHAPE)
            if shape is None:
                raise refused(pivot)
            found = (_unpivoted if pivot.args.get("unpivot") else _pivoted)(found, pivot, shape)
        node.replace(found)


def _source(query: exp.Select, alias: exp.Expr | None, source: exp.Expr) -> exp.Subquery:
    """A query as a source under a name: the one that is given, or that of the source below."""
    given = alias.name if alias is not None and alias.name else source.alias_or_name
    named = exp.TableAlias(this=exp.to_identifier(given, quoted=True)) if given else None
    return exp.Subquery(this=query, alias=named)


def _typed(node: exp.Expr, kind: Type) -> exp.Expr:
    node.meta[NODE_TYPE] = kind
    return node


# ------------------------------------------------------------------------------------------------------------------- samples


def _sampled(source: exp.Expr, sample: exp.Expr) -> exp.Expr:
    """A number of rows is a limit; a percentage is drawn row by row."""
    percent, size = sample.args.get("percent"), sample.args.get("size")
    if sample.args.get("seed") is not None or sample.args.get("bucket_numerator") is not None:
        raise refused(sample, "TABLESAMPLE with REPEATABLE or BUCKET")
    query = exp.Select(expressions=[exp.Star()], from_=exp.From(this=source))
    if percent is None and isinstance(size, exp.Literal):
        query.set("limit", exp.Limit(expression=size.copy()))
        return _source(query, None, source)
    if not isinstance(percent, exp.Literal):
        raise refused(sample, "TABLESAMPLE in this form")
    share = float(percent.this)
    if share >= _WHOLE:
        return source
    drawn = _typed(exp.Anonymous(this="rand", expressions=[]), DOUBLE)
    below = _typed(exp.Literal.number(f"{share / _WHOLE:.17f}"), DOUBLE)
    query.set("where", exp.Where(this=_typed(exp.LT(this=drawn, expression=cast(below, DOUBLE)), BOOLEAN)))
    return _source(query, None, source)


# -------------------------------------------------------------------------------------------------------------------- pivots


def _column(name: str, kind: Type) -> exp.Expr:
    return _typed(exp.column(name, quoted=True), kind)


def _pivoted(source: exp.Expr, pivot: exp.Expr, shape: PivotShape) -> exp.Expr:
    """One column for each value and aggregate: the aggregate over the rows of the value, and NULL where a group has none."""
    (within,) = pivot.args["fields"]
    subjects = within.this.expressions if isinstance(within.this, exp.Tuple) else [within.this]
    columns = iter(shape.made)
    outputs: list[exp.Expr] = [_column(name, kind) for name, kind in shape.kept]
    for value in within.expressions:
        cells, _ = value_parts(value)
        for aggregate in pivot.expressions:
            name, kind = next(columns)
            call = _typed((aggregate.this if isinstance(aggregate, exp.Alias) else aggregate).copy(), kind)
            here = _typed(exp.Filter(this=call, expression=exp.Where(this=_belongs(subjects, cells))), kind)
            one = _typed(exp.Literal.number(1), INT)
            rows = _typed(exp.Anonymous(this="count", expressions=[one]), BIGINT)
            counted = _typed(exp.Filter(this=rows, expression=exp.Where(this=_belongs(subjects, cells))), BIGINT)
            some = _typed(exp.GT(this=counted, expression=_typed(exp.Literal.number(0), INT)), BOOLEAN)
            cell = _typed(exp.Case(ifs=[exp.If(this=some, true=here)]), kind)
            outputs.append(exp.alias_(cell, name, quoted=True))
    keys = [_column(name, kind) for name, kind in shape.kept]
    query = exp.Select(expressions=outputs, from_=exp.From(this=source))
    if keys:
        query.set("group", exp.Group(expressions=keys))
    return _source(query, pivot.args.get("alias"), source)


def _belongs(subjects: Sequence[exp.Expr], cells: Sequence[exp.Expr]) -> exp.Expr:
    """Whether a row is one of a value; NULL equals NULL."""
    tests = [_typed(exp.NullSafeEQ(this=one.copy(), expression=other.copy()), BOOLEAN) for one, other in zip(subjects, cells, strict=True)]
    found: exp.Expr = tests[0]
    for test in tests[1:]:
        found = _typed(exp.And(this=found, expression=test), BOOLEAN)
    return found


def _unpivoted(source: exp.Expr, pivot: exp.Expr, shape: PivotShape) -> exp.Expr:
    """One row for each group of columns: a query for each, one behind the other; those of NULLs only are left out unless told."""
    (within,) = pivot.args["fields"]
    (label_column, *value_columns) = shape.made
    branches: list[exp.Expr] = []
    for group in within.expressions:
        cells, label = value_parts(group)
        outputs: list[exp.Expr] = [_column(name, kind) for name, kind in shape.kept]
        outputs.append(exp.alias_(_typed(exp.Literal.string(label), STRING), label_column[0], quoted=True))
        outputs += [exp.alias_(cast(cell, kind), name, quoted=True) for cell, (name, kind) in zip(cells, value_columns, strict=True)]
        branch = exp.Select(expressions=outputs, from_=exp.From(this=source.copy()))
        if not pivot.args.get("include_nulls"):
            branch.set("where", exp.Where(this=_any_known(cells)))
        branches.append(branch)
    found: exp.Expr = branches[0]
    for each in branches[1:]:
        found = exp.Union(this=found, expression=each, distinct=False)
    alias = pivot.args.get("alias")
    given = alias.name if alias is not None and alias.name else source.alias_or_name
    return exp.Subquery(this=found, alias=exp.TableAlias(this=exp.to_identifier(given, quoted=True)) if given else None)


def _any_known(cells: Sequence[exp.Expr]) -> exp.Expr:
    tests: list[exp.Expr] = [
        _typed(exp.Not(this=_typed(exp.Is(this=cell.copy(), expression=exp.Null()), BOOLEAN)), BOOLEAN) for cell in cells
    ]
    found = tests[0]
    for test in tests[1:]:
        found = _typed(exp.Or(this=found, expression=test), BOOLEAN)
    return found
