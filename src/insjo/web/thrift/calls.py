"""The methods of the service: each translates, calls a service and tells what came of it."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from insjo.kernel.errors import NotFound, Unimplemented
from insjo.kernel.ids import new_id
from insjo.sql.types import Parameter, StatementSpec
from insjo.web.databricks.arrow_rows import RowForm
from insjo.web.thrift import metadata
from insjo.web.thrift.handles import InvalidHandle, make_handle, read_handle
from insjo.web.thrift.messages import (
    FETCH_FIRST,
    FETCH_NEXT,
    PROTOCOL_V7,
    DirectResults,
    GetInfoResp,
    GetInfoValue,
    Namespace,
    OpenSessionResp,
    OperationHandle,
    OperationResp,
    OperationState,
    OperationType,
    SessionHandle,
    StatusResp,
)
from insjo.web.thrift.operations import Operation, fetch, metadata_of, state_of, succeeded
from insjo.web.thrift.rows import form_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.types import Session
    from insjo.web.thrift.messages import (
        CloseSessionReq,
        DirectResultsWanted,
        ExecuteStatementReq,
        FetchResultsReq,
        FetchResultsResp,
        GetColumnsReq,
        GetCrossReferenceReq,
        GetInfoReq,
        GetOperationStatusReq,
        GetOperationStatusResp,
        GetResultSetMetadataResp,
        GetTablesReq,
        NamedReq,
        OpenSessionReq,
        OperationReq,
        ParameterArgument,
        SessionReq,
        StatementParameter,
    )
    from insjo.web.thrift.metadata import Question
    from insjo.web.thrift.operations import Operations
    from insjo.web.types import Call

WAIT_S = 1.0
"""How long a call waits for a statement.  Clients ask again at once, and can cancel only between two calls."""

WAIT_SYNCHRONOUS_S = 300.0
"""For clients that want to wait in the call itself."""

OWN_SETTINGS = ("spark.thriftserver.", "query_tags")
"""Settings of the protocol; what they ask for is done anyway, and none of them changes rows."""

FACTS = {
    13: "Insjö",
    14: "\\",
    17: "Insjö",
    29: "`",
    94: "",
    10003: "Y",
}
"""Server name, escape of patterns, name of the product, quote of identifiers, special characters, whether there are catalogs."""
FACT_VERSION = 18
FACT_LENGTHS = frozenset({30, 32, 34, 35, 10005})
NAME_CHARS_MAX = 255


def _operations(call: Call) -> Operations:
    """What is remembered of all clients."""
    found: Operations = call.request.app.state.thrift
    return found


# ------------------------------------------------------------------------------------------------------------------ sessions


async def open_session(call: Call, request: OpenSessionReq) -> OpenSessionResp:
    """OpenSession."""
    wanted = request.initial_namespace or Namespace()
    settings = _settings(request.configuration)
    made = await call.run(
        call.services.sql.sessions.create,
        call.ctx,
        warehouse_id=call.path("warehouse_id"),
        catalog=wanted.catalog_name or None,
        schema=wanted.schema_name or None,
        settings=settings,
    )
    return OpenSessionResp(
        status=succeeded(),
        server_protocol_version=PROTOCOL_V7,
        session_handle=SessionHandle(make_handle(call, "session", made.id), PROTOCOL_V7),
        configuration={},
        initial_namespace=Namespace(made.catalog, made.schema),
        can_use_multiple_catalogs=True,
    )


async def close_session(call: Call, request: CloseSessionReq) -> StatusResp:
    """CloseSession: what runs in it is stopped."""
    session = await _session(call, request.session_handle)
    for each in _operations(call).of_session(session.id):
        await _close(call, each)
    await call.run(call.services.sql.sessions.close, call.ctx, session.id)
    return StatusResp(succeeded())


async def get_info(call: Call, request: GetInfoReq) -> GetInfoResp:
    """GetInfo: the few facts that clients ask for."""
    await _session(call, request.session_handle)
    wanted = request.info_type or 0
    if wanted in FACT_LENGTHS:
        return GetInfoResp(succeeded(), GetInfoValue(len_value=NAME_CHARS_MAX))
    if wanted == FACT_VERSION:
        return GetInfoResp(succeeded(), GetInfoValue(string_value=importlib.metadata.version("insjo")))
    if wanted not in FACTS:
        raise Unimplemented(f"The fact {wanted} about the server is not told.")
    return GetInfoResp(succeeded(), GetInfoValue(string_value=FACTS[wanted]))


async def _session(call: Call, handle: SessionHandle | None) -> Session:
    """The session of a handle; raises InvalidHandle when it is not the caller's, has ended, or lives at another warehouse."""
    session_id = read_handle(call, "session", handle.session_id if handle else None)
    try:
        found = await call.run(call.services.sql.sessions.get, call.ctx, session_id)
    except NotFound as error:
        raise InvalidHandle(error.message, hint=error.hint) from error
    if found.warehouse_id != call.path("warehouse_id"):
        raise InvalidHandle(f"The session `{session_id}` does not exist at this warehouse.")
    return found


def _settings(given: dict[str, str] | None) -> dict[str, str]:
    """Settings without those of the protocol."""
    return {key: value for key, value in (given or {}).items() if not key.lower().startswith(OWN_SETTINGS)}


# ---------------------------------------------------------------------------------------------------------------- statements


async def execute_statement(call: Call, request: ExecuteStatementReq) -> OperationResp:
    """ExecuteStatement; with the first rows when it is fast and the client wants them."""
    session = await _session(call, request.session_handle)
    await call.run(call.services.sql.sessions.check_settings, call.ctx, _settings(request.conf_overlay))
    spec = StatementSpec(
        text=request.statement or "",
        warehouse_id=session.warehouse_id,
        parameters=tuple(_parameter(each) for each in request.parameters or ()),
        session_id=session.id,
        row_limit=request.result_row_limit if request.result_row_limit and request.result_row_limit > 0 else None,
    )
    statement = await call.run(call.services.sql.statements.submit, call.ctx, spec)
    operation = Operation(statement.id, call.ctx.principal.id, session.id, OperationType.EXECUTE_STATEMENT, form_of(request))
    _operations(call).add(operation)
    if not request.run_async:
        await state_of(call, operation, WAIT_SYNCHRONOUS_S)
    return await _begun(call, operation, request.get_direct_results)


def _parameter(given: StatementParameter) -> Parameter:
    """A parameter: a single value, an array, or a map whose keys and values come in turn."""
    if given.arguments is not None:
        return Parameter(given.name or None, None, given.type or "", _items(given.arguments))
    value = given.value
    text: str | float | bool | None = None
    if value is not None:
        text = next((each for each in (value.string_value, value.double_value, value.boolean_value) if each is not None), None)
    return Parameter(given.name or None, text, given.type or "")


def _items(given: Sequence[ParameterArgument]) -> tuple[Parameter, ...]:
    """What stands in an array or a map; how deep that may go is bounded by the protocol."""
    return tuple(
        Parameter(
            None,
            each.value if each.arguments is None else None,
            each.type or "",
            None if each.arguments is None else _items(each.arguments),
        )
        for each in given
    )


async def _begun(call: Call, operation: Operation, wanted: DirectResultsWanted | None) -> OperationResp:
    """The handle of an operation, with state, columns and first rows if they are wanted."""
    handle = OperationHandle(make_handle(call, "operation", operation.id), operation.type, has_result_set=True)
    if wanted is None:
        return OperationResp(succeeded(), handle)
    direct = DirectResults(operation_status=await state_of(call, operation, WAIT_S))
    if direct.operation_status is not None and direct.operation_status.operation_state == OperationState.FINISHED:
        direct.result_set = await fetch(call, operation, wanted.max_rows, wanted.max_bytes, with_metadata=True)
        direct.result_set_metadata, direct.result_set.result_set_metadata = direct.result_set.result_set_metadata, None
        if not direct.result_set.has_more_rows:
            await _close(call, operation)
            direct.close_operation = StatusResp(succeeded())
    return OperationResp(succeeded(), handle, direct)


async def get_operation_status(call: Call, request: GetOperationStatusReq) -> GetOperationStatusResp:
    """GetOperationStatus; waits a while, since clients ask again at once."""
    return await state_of(call, _operation(call, request.operation_handle), WAIT_S)


async def get_result_set_metadata(call: Call, request: OperationReq) -> GetResultSetMetadataResp:
    """GetResultSetMetadata."""
    operation = _operation(call, request.operation_handle)
    await state_of(call, operation, WAIT_SYNCHRONOUS_S)
    return await metadata_of(call, operation)


async def fetch_results(call: Call, request: FetchResultsReq) -> FetchResultsResp:
    """FetchResults: forwards, or from the start."""
    operation = _operation(call, request.operation_handle)
    await state_of(call, operation, WAIT_SYNCHRONOUS_S)
    orientation = request.orientation or FETCH_NEXT
    if orientation not in {FETCH_NEXT, FETCH_FIRST}:
        raise Unimplemented("Rows can be fetched forwards and from the start, and in no other direction.")
    start = request.start_row_offset if request.start_row_offset is not None else 0 if orientation == FETCH_FIRST else None
    with_metadata = bool(request.include_result_set_metadata)
    return await fetch(call, operation, request.max_rows, request.max_bytes, start=start, with_metadata=with_metadata)


async def cancel_operation(call: Call, request: OperationReq) -> StatusResp:
    """CancelOperation."""
    operation = _operation(call, request.operation_handle)
    if operation.question is None:
        await call.run(call.services.sql.statements.cancel, call.ctx, operation.id)
    return StatusResp(succeeded())


async def close_operation(call: Call, request: OperationReq) -> StatusResp:
    """CloseOperation; one that is closed already stays so."""
    handle = request.operation_handle
    operation = _operations(call).find(call, read_handle(call, "operation", handle.operation_id if handle else None))
    if operation is not None:
        await _close(call, operation)
    return StatusResp(succeeded())


def _operation(call: Call, handle: OperationHandle | None) -> Operation:
    """The operation of a handle."""
    return _operations(call).get(call, read_handle(call, "operation", handle.operation_id if handle else None))


async def _close(call: Call, operation: Operation) -> None:
    """Drop an operation and its rows."""
    _operations(call).remove(operation.id)
    if operation.question is None:
        try:
            await call.run(call.services.sql.statements.close, call.ctx, operation.id)
        except NotFound:
            return  # Its time was over.


# ---------------------------------------------------------------------------------------------------------------- the catalog


async def _ask(
    call: Call, handle: SessionHandle | None, kind: OperationType, question: Question, wanted: DirectResultsWanted | None
) -> OperationResp:
    """A question about the catalog as an operation."""
    session = await _session(call, handle)
    operation = Operation(new_id(), call.ctx.principal.id, session.id, kind, RowForm(arrow=False), question)
    return await _begun(call, _operations(call).add(operation), wanted)


async def get_catalogs(call: Call, request: SessionReq) -> OperationResp:
    """GetCatalogs."""
    return await _ask(call, request.session_handle, OperationType.GET_CATALOGS, metadata.catalogs(), request.get_direct_results)


async def get_schemas(call: Call, request: NamedReq) -> OperationResp:
    """GetSchemas."""
    return await _ask(call, request.session_handle, OperationType.GET_SCHEMAS, metadata.schemas(request), request.get_direct_results)


async def get_tables(call: Call, request: GetTablesReq) -> OperationResp:
    """GetTables."""
    return await _ask(call, request.session_handle, OperationType.GET_TABLES, metadata.tables(request), request.get_direct_results)


async def get_table_types(call: Call, request: SessionReq) -> OperationResp:
    """GetTableTypes."""
    return await _ask(call, request.session_handle, OperationType.GET_TABLE_TYPES, metadata.table_types(), request.get_direct_results)


async def get_columns(call: Call, request: GetColumnsReq) -> OperationResp:
    """GetColumns."""
    return await _ask(call, request.session_handle, OperationType.GET_COLUMNS, metadata.columns(request), request.get_direct_results)


async def get_functions(call: Call, request: NamedReq) -> OperationResp:
    """GetFunctions."""
    return await _ask(call, request.session_handle, OperationType.GET_FUNCTIONS, metadata.functions(request), request.get_direct_results)


async def get_type_info(call: Call, request: SessionReq) -> OperationResp:
    """GetTypeInfo."""
    return await _ask(call, request.session_handle, OperationType.GET_TYPE_INFO, metadata.type_facts(), request.get_direct_results)


async def get_primary_keys(call: Call, request: NamedReq) -> OperationResp:
    """GetPrimaryKeys."""
    return await _ask(call, request.session_handle, OperationType.UNKNOWN, metadata.primary_keys(request), request.get_direct_results)


async def get_cross_reference(call: Call, request: GetCrossReferenceReq) -> OperationResp:
    """GetCrossReference."""
    return await _ask(call, request.session_handle, OperationType.UNKNOWN, metadata.cross_reference(request), request.get_direct_results)
