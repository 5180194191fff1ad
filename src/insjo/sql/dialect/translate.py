"""The entry: a bound tree in, the engine's SQL and the exact columns out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type
from insjo.sql.dialect.compiling import CompiledQuery, QueryColumn
from insjo.sql.dialect.fragments import Fragment, name_of, select
from insjo.sql.dialect.queries import Queries
from insjo.sql.dialect.relations import BOUND_COLUMNS, BOUND_SQL
from insjo.sql.dialect.session import SessionFacts
from insjo.sql.dialect.types import Kind, Type, parse_type
from insjo.sql.errors import CountMismatch, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a result: its name as Databricks shows it, and its type in Databricks words."""

    name: str
    type_text: str


@dataclass(frozen=True, slots=True)
class Translation:
    """A query for the engine.

    Attributes:
        sql: One SELECT in the engine's SQL.
        columns: Names and types of the result, by position; the engine's own names may differ where a name occurs twice.
    """

    sql: str
    columns: tuple[OutputColumn, ...]


def bind_table(table: exp.Table, relation_sql: str, columns: Sequence[tuple[str, str]]) -> exp.Table:
    """Say what a table of the tree is.

    Args:
        table: The node; alias, sample and pivots on it stay what they are.
        relation_sql: The engine's SQL of the relation: `read_parquet([...])`, the name of a registered table, or a SELECT in brackets.
        columns: Name and type (in Databricks words) of its columns.
    """
    table.meta[BOUND_SQL] = relation_sql
    table.meta[BOUND_COLUMNS] = tuple(columns)
    return table


def translate(query: exp.Expr, *, session: SessionFacts | None = None, target: Sequence[tuple[str, str]] | None = None) -> Translation:
    """Compile a query whose tables are bound.

    Args:
        query: A tree that `insjo.sql.dialect.grammar.DatabricksGrammar` parsed.
        session: Who asks.
        target: Names and types of the columns into which the result is to be stored; values are cast by the rules of store assignment.

    Raises:
        UnsupportedFeature: Something in it cannot be computed as Databricks computes it.
        UnresolvedColumn, AmbiguousColumn, DatatypeMismatch, ...: It is wrong.
    """
    queries = Queries(session or SessionFacts())
    try:
        compiled = queries.query(query, None, {})
        if target is not None:
            compiled = _stored(compiled, target)
    except RecursionError as error:
        message = "The statement is nested too deeply."
        raise UnsupportedFeature(message, hint="Break it into several statements or CTEs.") from error
    return Translation(compiled.sql, tuple(OutputColumn(column.name, column.type.text) for column in compiled.columns))


def transpile(query: exp.Expr, *, session: SessionFacts | None = None, target: Sequence[tuple[str, str]] | None = None) -> str:
    """The SQL of `translate`."""
    return translate(query, session=session, target=target).sql


def _stored(compiled: CompiledQuery, target: Sequence[tuple[str, str]]) -> CompiledQuery:
    """Columns cast to those of a table: numbers among each other, anything to text, and text if it can be read as the type."""
    if len(target) != len(compiled.columns):
        raise CountMismatch(f"The query has {len(compiled.columns)} columns, and {len(target)} are to be stored.")
    cells, columns = [], []
    for (name, type_text), column in zip(target, compiled.columns, strict=True):
        wanted = parse_type(type_text)
        source = Fragment(f"s_.{name_of(column.key)}", column.type)
        _check_assignable(source, wanted, name)
        cells.append(f"{cast(source, wanted).seen().sql} AS {name_of(name)}")
        columns.append(QueryColumn(name, wanted, name))
    return CompiledQuery(select(", ".join(cells), f"({compiled.sql}) AS s_"), tuple(columns))


def _check_assignable(source: Fragment, wanted: Type, name: str) -> None:
    """Raise DatatypeMismatch where ANSI store assignment forbids the cast."""
    mine = source.type
    if mine == wanted or mine.kind is Kind.VOID or (mine.is_numeric and wanted.is_numeric) or (mine.is_datetime and wanted.is_datetime):
        return
    if wanted.kind is Kind.STRING and not mine.is_nested:
        return
    if wanted.is_nested and mine.kind is wanted.kind and common_type(mine, wanted) is not None:
        return
    if mine.kind is Kind.STRING and (wanted.is_datetime or wanted.is_numeric or wanted.kind in {Kind.BOOLEAN, Kind.BINARY}):
        return
    raise DatatypeMismatch(f"The column `{name}` of type `{wanted.text}` cannot take a value of type `{mine.text}`.")
