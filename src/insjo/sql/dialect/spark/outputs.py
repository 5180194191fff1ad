"""Outputs of a SELECT that servers of Spark Connect do not read: stars without some columns, and names of other outputs."""

from __future__ import annotations

from sqlglot import exp

from insjo.sql.dialect.expressions import MEANS_OUTPUT, NODE_TYPE
from insjo.sql.dialect.selects import STAR_NAMES


def plain_outputs(tree: exp.Expr) -> None:
    """Write down what stars and names of outputs stand for; the tree is changed."""
    for query in list(tree.find_all(exp.Select)):
        known: dict[str, exp.Expr] = {}
        made: list[exp.Expr] = []
        for output in query.expressions:
            if output.is_star and (output if isinstance(output, exp.Star) else output.this).args.get("except_"):
                made += _listed(output)
                continue
            _put_outputs(output, known)
            made.append(output)
            if isinstance(output, exp.Alias):
                known.setdefault(output.alias.lower(), output.this)
        query.set("expressions", made)


def _listed(star: exp.Expr) -> list[exp.Expr]:
    """The columns of a star; the star itself where a name would not be clear."""
    names = star.meta.get(STAR_NAMES, ())
    if not names or len({name.lower() for name in names}) < len(names):
        return [star]
    table = star.table if isinstance(star, exp.Column) else None
    return [exp.column(name, table=table, quoted=True) for name in names]


def _put_outputs(output: exp.Expr, known: dict[str, exp.Expr]) -> None:
    """An expression in the place of each name of an earlier output."""
    for column in list(output.find_all(exp.Column)):
        meant = known.get(column.name.lower()) if column.meta.get(MEANS_OUTPUT) else None
        if meant is not None and column.parent is not None:
            holder = exp.Paren(this=meant.copy())
            holder.meta[NODE_TYPE] = column.meta.get(NODE_TYPE)
            column.replace(holder)
