"""Rows of another engine whose outputs are computed here, some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.binding.finishing import RECEIVED
from insjo.sql.commands.execution import Outcome, columns_of
from insjo.sql.dialect.spark.results import fitted, fitted_schema
from insjo.sql.errors import ArithmeticOverflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.binding.finishing import Finish
    from insjo.sql.commands.execution import Execution
    from insjo.sql.ports import EngineRows

_BYTES = 8 * 2**20
"""About how much is handed to a worker at a time: enough that the handing over does not matter."""


def finished_outcome(x: Execution, rows: EngineRows, bound: BoundQuery, finish: Finish) -> Outcome:
    """The outcome of a query of which the other engine gives the inputs."""
    import pyarrow as pa

    try:
        received = fitted_schema(finish.columns, rows.schema)
        with _ask(x, finish, received, ()) as empty:
            schema = pa.schema([empty.schema.field(at).with_name(name) for at, (name, _) in enumerate(bound.columns)])
    except BaseException:
        rows.close()
        raise

    def read() -> Iterator[pa.RecordBatch]:
        with rows:
            for part in _parts(rows, received):
                with _ask(x, finish, received, part) as found:
                    for batch in found:
                        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    return Outcome(columns_of(bound.columns), schema, read(), bound.provenance, bound.needs, rows.close, bound.hidden)


def _parts(rows: EngineRows, schema: pa.Schema) -> Iterator[list[pa.RecordBatch]]:
    """Batches in the types that Databricks gives, some together."""
    import pyarrow as pa

    part: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        try:
            part.append(fitted(batch, schema))
        except pa.ArrowInvalid as error:
            message = "A number became too large for its type."
            raise ArithmeticOverflow(message) from error
        size += part[-1].nbytes
        if size >= _BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _ask(x: Execution, finish: Finish, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> EngineRows:
    """The outputs of some rows."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    tables = {RECEIVED: sink.getvalue().to_pybytes()}
    return x.tools.engine.query(finish.sql, tables=tables, cancel=x.cancel, limits=x.limits, on_queue=x.on_queue)
