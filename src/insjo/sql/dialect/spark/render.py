"""The entry: a bound tree that `translate` has compiled in, Spark SQL out.

Only a compiled tree carries the types on which the rewrites stand.  What is not on a list of forms and functions is refused: the lists
hold what was seen to be right on Spark Connect.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.generators.spark import SparkGenerator

from insjo.sql.dialect.relations import BOUND_COLUMNS
from insjo.sql.dialect.session import SessionFacts
from insjo.sql.dialect.spark.rewrites import rewrite
from insjo.sql.errors import UnsupportedFeature

RELATION = "insjo_spark"
"""Key under which a table of the tree carries what it is in Spark SQL; without it the table cannot be read there."""


def bind_relation(table: exp.Table, relation_sql: str) -> None:
    """Say what a table of the tree is in Spark SQL: a SELECT."""
    table.meta[RELATION] = relation_sql


def render(query: exp.Expr, session: SessionFacts | None = None) -> str:
    """Spark SQL of a query.

    Args:
        query: A tree that `translate` compiled; it stays as it is.
        session: Who asks.

    Raises:
        UnsupportedFeature: Spark Connect computes a part of it differently, or nobody has looked.
    """
    tree = query.copy()
    for table in tree.find_all(exp.Table):
        if BOUND_COLUMNS in table.meta and RELATION not in table.meta:
            message = "A source of this statement cannot be read by a warehouse on Spark."
            raise UnsupportedFeature(message, hint="Run it on a warehouse on DuckDB.", details={"feature": "source on Spark"})
    try:
        changed = rewrite(tree, session or SessionFacts())
        return str(_Generator(dialect=Spark()).generate(changed, copy=True))
    except RecursionError as error:
        message = "The statement is nested too deeply."
        raise UnsupportedFeature(message, hint="Break it into several statements or CTEs.") from error


def is_sent(node: exp.Expr, session: SessionFacts) -> bool:
    """Whether an expression of a compiled tree has words in Spark SQL."""
    try:
        rewrite(node.copy(), session)
    except UnsupportedFeature:
        return False
    return True


class _Generator(SparkGenerator):
    """Spark SQL with texts that every reader takes alike."""

    def literal_sql(self, expression: exp.Literal) -> str:
        """A text, escaped by backslashes: two quotes in a row mean two texts to some."""
        return text_literal(str(expression.this)) if expression.is_string else str(super().literal_sql(expression))

    def table_sql(self, expression: exp.Table, sep: str = " AS ") -> str:
        """A bound table is the query that reads it."""
        relation = expression.meta.get(RELATION)
        if relation is None:
            return str(super().table_sql(expression, sep))
        alias = expression.args.get("alias") or exp.TableAlias(this=exp.to_identifier(expression.name, quoted=True))
        plain = exp.Table(this=exp.to_identifier("insjo_source"), alias=alias)
        return str(super().table_sql(plain, sep)).replace("insjo_source", f"({relation})", 1)


def text_literal(value: str) -> str:
    """A text in quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return f"'{escaped}'"
