"""The rows that a statement writes, computed by the warehouse's own engine; the files are always written by Insjö's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from insjo.sql.binding import engine_text as text
from insjo.sql.binding.finishing import RECEIVED
from insjo.sql.commands.asking import answered
from insjo.sql.dialect.spark.results import fitted, fitted_schema
from insjo.sql.errors import ArithmeticOverflow, ResultTooLarge

if TYPE_CHECKING:
    from sqlglot import exp

    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution, ForeignEngine

BYTES_MAX = 512 * 2**20
"""Rows that are handed from one engine to the other at most, because they are held in memory on the way."""

_STREAM = "__insjo_computed"


def bind_source(x: Execution, tree: exp.Expr) -> BoundQuery:
    """The query whose rows a statement writes; on a warehouse with an engine of its own its rows are computed here and now.

    Raises:
        ResultTooLarge: They are more than can be handed over.
    """
    bound = x.tools.binder.bind(x.ctx, tree, x.names, x.parameters, lineage=True, foreign=x.foreign is not None, asks=True)
    bound = answered(x, bound)
    return _computed(x, bound, x.foreign) if x.foreign is not None and bound.foreign else bound


def _computed(x: Execution, bound: BoundQuery, foreign: ForeignEngine) -> BoundQuery:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with x.foreign_query(bound, foreign) as rows:
        given = bound.finish.columns if bound.finish else [(f"c{at}", kind) for at, (_, kind) in enumerate(bound.columns)]
        schema = fitted_schema(given, rows.schema)
        with pa.ipc.new_stream(sink, schema) as writer:
            for batch in rows:
                try:
                    writer.write_batch(fitted(batch, schema))
                except pa.ArrowInvalid as error:
                    message = "A number became too large for its type."
                    raise ArithmeticOverflow(message) from error
                if sink.tell() > BYTES_MAX:
                    message = f"The rows to be written are more than {BYTES_MAX // 2**20} MiB."
                    raise ResultTooLarge(message, hint="Write them in parts, or run the statement on a warehouse on DuckDB.")
    if bound.finish:
        tables = {RECEIVED: sink.getvalue().to_pybytes()}
        return replace(bound, sql=bound.finish.sql, tables=tables, scans=(), foreign="", finish=None)
    shown = [f'"c{at}" AS {text.name(name)}' for at, (name, _) in enumerate(bound.columns)]
    tables = {_STREAM: sink.getvalue().to_pybytes()}
    return replace(bound, sql=text.select(shown, text.name(_STREAM)), tables=tables, scans=(), foreign="")
