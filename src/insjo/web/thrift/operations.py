"""Operations: statements and questions about the catalog that a client of the Thrift protocol began, and how far it has read them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.sql.types import StatementState
from insjo.web.databricks.sql_states import code_and_message, sql_state
from insjo.web.databricks.statements import wait_for
from insjo.web.thrift.handles import InvalidHandle
from insjo.web.thrift.messages import (
    FetchResultsResp,
    GetOperationStatusResp,
    GetResultSetMetadataResp,
    OperationState,
    OperationType,
    Status,
    StatusCode,
)
from insjo.web.thrift.rows import metadata, row_set

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from insjo.kernel.errors import InsjoError
    from insjo.sql.types import ResultColumn, Statement
    from insjo.web.databricks.arrow_rows import RowForm
    from insjo.web.thrift.metadata import Question
    from insjo.web.types import Call

OPERATIONS_MAX = 20_000
"""Operations that are remembered; the oldest are forgotten first."""

FETCH_BYTES_MAX = 32 * 1024**2
"""Rows of one answer, before they are compressed."""

FETCH_ROWS_DEFAULT = 100_000
DML = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
STATES = {
    StatementState.PENDING: OperationState.PENDING,
    StatementState.RUNNING: OperationState.RUNNING,
    StatementState.SUCCEEDED: OperationState.FINISHED,
    StatementState.FAILED: OperationState.ERROR,
    StatementState.CANCELED: OperationState.CANCELED,
    StatementState.CLOSED: OperationState.CLOSED,
}


@dataclass(slots=True)
class Operation:
    """One operation.

    Attributes:
        id: That of the statement, so that the client's number of a query is the one in the history.
        owner_id: Who began it; for anybody else it does not exist.
        question: About the catalog; None for a statement.
        offset: Row that is read next.
    """

    id: str
    owner_id: str
    session_id: str
    type: OperationType
    form: RowForm
    question: Question | None = None
    offset: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Operations:
    """The operations of all clients; used on the event loop only."""

    def __init__(self) -> None:
        self._by_id: dict[str, Operation] = {}

    def add(self, operation: Operation) -> Operation:
        """Remember one."""
        while len(self._by_id) >= OPERATIONS_MAX:
            del self._by_id[next(iter(self._by_id))]
        self._by_id[operation.id] = operation
        return operation

    def find(self, call: Call, operation_id: str) -> Operation | None:
        """One of the caller."""
        found = self._by_id.get(operation_id)
        return found if found is not None and found.owner_id == call.ctx.principal.id else None

    def get(self, call: Call, operation_id: str) -> Operation:
        """One of the caller; raises InvalidHandle."""
        found = self.find(call, operation_id)
        if found is None:
            raise InvalidHandle(f"The operation `{operation_id}` does not exist.", hint="It may have been closed.")
        return found

    def remove(self, operation_id: str) -> None:
        """Forget one."""
        self._by_id.pop(operation_id, None)

    def of_session(self, session_id: str) -> list[Operation]:
        """Those of a session."""
        return [each for each in self._by_id.values() if each.session_id == session_id]


def succeeded() -> Status:
    """All went well."""
    return Status(StatusCode.SUCCESS)


def failed(error: InsjoError) -> Status:
    """What went wrong with a call."""
    code = StatusCode.INVALID_HANDLE if isinstance(error, InvalidHandle) else StatusCode.ERROR
    text = code_and_message(error)
    return Status(code, sql_state=sql_state(error), error_code=0, error_message=text, display_message=text)


async def state_of(call: Call, operation: Operation, wait_s: float) -> GetOperationStatusResp:
    """How far it is; waits a while for its end."""
    if operation.question is not None:
        return GetOperationStatusResp(succeeded(), OperationState.FINISHED, has_result_set=True)
    statement = await call.run(call.services.sql.statements.get, call.ctx, operation.id)
    if not statement.state.ended and wait_s:
        statement = await wait_for(call, statement.id, wait_s)
    told = GetOperationStatusResp(
        succeeded(),
        STATES[statement.state],
        operation_started=_milliseconds(statement.started_at),
        operation_completed=_milliseconds(statement.ended_at),
        has_result_set=True,
    )
    if statement.error is not None:
        told.sql_state, told.error_code = sql_state(statement.error), 0
        told.error_message = told.display_message = code_and_message(statement.error)
    elif _counts(statement):
        part = await call.run(call.services.sql.statements.chunk, call.ctx, statement.id, 0)
        told.num_modified_rows = int(part.batches.column(0)[0].as_py())
    return told


def _counts(statement: Statement) -> bool:
    """Whether its one row tells how many rows it changed."""
    kind = statement.kind.partition(" ")[0]
    return kind in DML and bool(statement.chunks) and statement.columns[0].name == "num_affected_rows"


async def metadata_of(call: Call, operation: Operation) -> GetResultSetMetadataResp:
    """Columns of an operation that has ended."""
    columns, _, table = await _open(call, operation)
    told = await call.run(metadata, columns, table, operation.form)
    told.status = succeeded()
    return told


async def fetch(
    call: Call,
    operation: Operation,
    rows_max: int | None,
    bytes_max: int | None,
    *,
    start: int | None = None,
    with_metadata: bool = False,
) -> FetchResultsResp:
    """The next rows; the rights that they rest on are asked for again.

    Args:
        start: Row to go on from; None means the one after the last that was given.
    """
    async with operation.reading:
        columns, total, table = await _open(call, operation)
        offset = operation.offset if start is None else max(0, min(start, total))
        rows = FETCH_ROWS_DEFAULT if rows_max is None or rows_max <= 0 else rows_max
        size = FETCH_BYTES_MAX if bytes_max is None or bytes_max <= 0 else min(bytes_max, FETCH_BYTES_MAX)
        rows = max(0, min(rows, total - offset))
        if operation.question is not None:
            parts = [table.slice(offset, rows)] if rows else []
        else:
            parts = await call.run(_read, call, operation, offset, rows, size)
        told = FetchResultsResp(succeeded(), results=await call.run(row_set, parts, columns, operation.form, offset))
        operation.offset = offset + sum(part.num_rows for part in parts)
        told.has_more_rows = operation.offset < total
        if with_metadata:
            told.result_set_metadata = await call.run(metadata, columns, table, operation.form)
            told.result_set_metadata.status = succeeded()
        return told


async def _open(call: Call, operation: Operation) -> tuple[Sequence[ResultColumn], int, pa.Table]:
    """Columns, number of rows, and a table in the result's types: all rows of an answer about the catalog, none of a statement's."""
    if operation.question is not None:
        table = await call.run(operation.question.answer, call.services, call.ctx)
        return operation.question.columns, table.num_rows, table
    statement = await call.run(call.services.sql.statements.get, call.ctx, operation.id)
    if statement.error is not None:
        raise statement.error
    part = await call.run(call.services.sql.statements.chunk, call.ctx, operation.id, 0)
    return statement.columns, statement.row_count, part.batches.slice(0, 0)


def _read(call: Call, operation: Operation, offset: int, rows: int, size: int) -> list[pa.Table]:
    """Rows of a statement's result from an offset on, within limits; at least one unless none is left."""
    statement = call.services.sql.statements.get(call.ctx, operation.id)
    parts: list[pa.Table] = []
    for each in statement.chunks:
        if rows <= 0 or (size <= 0 and parts):
            break
        end = each.row_offset + each.row_count
        if end <= offset:
            continue
        within = max(1, size * each.row_count // max(each.byte_count, 1))
        count = min(rows, end - offset, within)
        chunk = call.services.sql.statements.chunk(call.ctx, operation.id, each.index).batches
        parts.append(chunk.slice(offset - each.row_offset, count))
        size -= max(1, each.byte_count * count // max(each.row_count, 1))
        offset, rows = offset + count, rows - count
        if offset < end:
            break
    return parts


def _milliseconds(moment: datetime | None) -> int | None:
    """Since 1970."""
    return None if moment is None else int(moment.timestamp() * 1000)
