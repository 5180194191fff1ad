"""Asks the models of a statement that was bound, before the rest of it runs.

The engine computes the inputs, the gateway is asked about every different one once, and the rows go back to the engine with the answers
beside them.  The engine itself never asks anybody.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from insjo.access.types import PUBLIC, Provenance, join_all
from insjo.kernel.errors import InsjoError
from insjo.sql.asking.prompts import fields, instruction, read
from insjo.sql.binding.virtual import stream_bytes
from insjo.sql.dialect.types import to_arrow_type
from insjo.sql.errors import ModelInputsTooMany, ResultTooLarge, StatementCancelled, UnsupportedFeature
from insjo.sql.ports import ModelQuestions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from insjo.access.types import Label
    from insjo.sql.asking.staging import StagedCall
    from insjo.sql.asking.tasks import ModelTask
    from insjo.sql.binding.bound import Asking, BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.ports import Models

BYTES_MAX = 256 * 2**20
"""Rows about which models are asked, held in memory on the way."""


def answered(x: Execution, bound: BoundQuery) -> BoundQuery:
    """The statement with the answers of all models that it asks; it can run now.

    Raises:
        ModelInputsTooMany: It would ask more often than one statement may.
        InsjoError: What the gateway refuses, or what went wrong with an answer.
    """
    if not bound.askings:
        return bound
    tables, label = dict(bound.tables), PUBLIC
    for asking in bound.askings:
        rows = _rows(x, asking, tables)
        asked = asking.provenance.join(Provenance(label)) if label != PUBLIC else asking.provenance
        if asking.constants:
            asked = asked.join(x.tools.access.fingerprints.label_text(asking.constants))
        inputs = {name for call in asking.calls for name in call.inputs}
        kept = rows.drop_columns([name for name in rows.column_names if name in inputs])
        for call in asking.calls:
            values, sent = _answers(x, call, rows, asked)
            label = join_all([label, sent])
            kept = kept.append_column(call.answer, values)
        tables[asking.stream] = stream_bytes(kept.append_column(asking.row, _counted(rows.num_rows)))
    x.cancel.progress = None
    return replace(
        bound,
        tables=tables,
        askings=(),
        provenance=bound.provenance.join(Provenance(label)),
        scans=tuple(each for each in bound.scans if each.mark in bound.sql),
    )


def _counted(count: int) -> pa.Array:
    import pyarrow as pa

    return pa.array(range(count), type=pa.int64())


def _rows(x: Execution, asking: Asking, tables: Mapping[str, bytes]) -> pa.Table:
    """Rows about which models are asked."""
    import pyarrow as pa

    names = [name for name, _ in asking.columns]
    batches: list[pa.RecordBatch] = []
    size = 0
    with x.tools.engine.query(asking.sql, tables=tables, cancel=x.cancel, limits=x.limits, on_queue=x.on_queue) as rows:
        schema = pa.schema([rows.schema.field(at).with_name(name) for at, name in enumerate(names)])
        for batch in rows:
            size += batch.nbytes
            if size > BYTES_MAX:
                message = f"The rows about which models are asked are more than {BYTES_MAX // 2**20} MiB."
                raise ResultTooLarge(message, hint="Ask about fewer rows, or select fewer columns beside the model function.")
            batches.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _answers(x: Execution, call: StagedCall, rows: pa.Table, provenance: Provenance) -> tuple[pa.Array, Label]:
    """The answer for each row, and the label of what was sent."""
    import pyarrow as pa

    task = call.task
    given = list(zip(*(rows.column(name).to_pylist() for name in call.inputs), strict=True))
    different = list(dict.fromkeys(each for each in given if None not in each))
    most = x.tools.model_inputs_max
    if len(different) > most:
        message = f"`{task.name}` would be asked about {len(different)} different values; one statement may ask about {most}."
        raise ModelInputsTooMany(message, hint="Ask in parts, for example with `LIMIT`, or let an admin raise `sql_model_inputs_max`.")
    models = x.tools.models
    if models is None:
        message = f"`{task.name}` is not supported here: this installation has no models."
        raise UnsupportedFeature(message, details={"feature": task.name})
    if not different:
        return pa.array([None] * len(given), type=to_arrow_type(task.shown)), PUBLIC
    if task.name == "ai_similarity":
        by_input, label = _similarities(x, models, task, different, provenance)
    else:
        by_input, label = _texts(x, models, task, different, provenance)
    values = [by_input.get(each) for each in given]
    return pa.array(values, type=to_arrow_type(task.shown)), label


def _texts(
    x: Execution, models: Models, task: ModelTask, different: Sequence[tuple[str, ...]], provenance: Provenance
) -> tuple[dict[tuple[str, ...], Any], Label]:
    """Values by input, from chat."""
    _check_running(x)

    def on_done(count: int) -> None:
        x.cancel.progress = count / len(different)

    told = ModelQuestions(task.endpoint, instruction(task), tuple(each[0] for each in different), provenance, fields(task), task.fails)
    answers = models.complete(x.ctx, told, cancel=x.cancel, timeout_s=x.limits.timeout_s, on_done=on_done)
    found = {}
    for each, answer in zip(different, answers, strict=True):
        error, value = answer.error, None
        if error is None:
            try:
                value = read(task, answer.text)
            except InsjoError as caught:
                if task.fails:
                    caught.hint = caught.hint or "With `failOnError => false` such an answer becomes NULL."
                    raise
                error = caught
        found[each] = value if task.fails else {"result": value, "errorMessage": error.message if error else None}
    return found, join_all([PUBLIC, *(answer.label for answer in answers)])


def _similarities(
    x: Execution, models: Models, task: ModelTask, different: Sequence[tuple[str, ...]], provenance: Provenance
) -> tuple[dict[tuple[str, ...], Any], Label]:
    """Values by input, from vectors."""
    _check_running(x)
    texts = list(dict.fromkeys(each for pair in different for each in pair))
    try:
        answer = models.embed(x.ctx, task.endpoint, texts, provenance, cancel=x.cancel, timeout_s=x.limits.timeout_s)
    except StatementCancelled:
        raise
    except InsjoError as error:
        if task.fails:
            raise
        return {each: {"result": None, "errorMessage": error.message} for each in different}, PUBLIC
    vectors = {each: struct.unpack(f"<{len(vector) // 4}f", vector) for each, vector in zip(texts, answer.vectors, strict=True)}
    found: dict[tuple[str, ...], Any] = {}
    for one, other in different:
        value = _cosine(vectors[one], vectors[other])
        found[one, other] = value if task.fails else {"result": value, "errorMessage": None}
    return found, answer.label


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How alike two vectors are, from -1 to 1."""
    length = math.hypot(*one) * math.hypot(*other)
    return max(-1.0, min(1.0, sum(a * b for a, b in zip(one, other, strict=True)) / length)) if length else 0.0


def _check_running(x: Execution) -> None:
    if x.cancel.cancelled:
        message = "The statement was stopped."
        raise StatementCancelled(message)
