"""The door: one POST a call, to the path of a warehouse.

Wire: the body is one message of Thrift's binary protocol (`application/x-thrift`), so is the answer, with HTTP status 200 also when the
call failed; only a missing credential and a body that cannot be read are told by an HTTP status (clients.md 1e).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from insjo.kernel.errors import Unimplemented
from insjo.web.errors import shown
from insjo.web.thrift import calls, messages
from insjo.web.thrift.binary import I32, TEXT, Kind, MalformedMessage, MessageKind, Reader, Writer
from insjo.web.thrift.operations import failed
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

M = TypeVar("M")

BODY_BYTES_MAX = 16 * 1024**2
"""A statement and its parameters."""

MEDIA_TYPE = "application/x-thrift"
UNKNOWN_METHOD = 1
"""Type of a TApplicationException."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the service: its argument, its answer, and what is called."""

    request: type[Any]
    response: Any
    call: Callable[[Call, Any], Awaitable[Any]]


METHODS = {
    "OpenSession": Method(messages.OpenSessionReq, messages.OpenSessionResp, calls.open_session),
    "CloseSession": Method(messages.CloseSessionReq, messages.StatusResp, calls.close_session),
    "GetInfo": Method(messages.GetInfoReq, messages.GetInfoResp, calls.get_info),
    "ExecuteStatement": Method(messages.ExecuteStatementReq, messages.OperationResp, calls.execute_statement),
    "GetTypeInfo": Method(messages.SessionReq, messages.OperationResp, calls.get_type_info),
    "GetCatalogs": Method(messages.SessionReq, messages.OperationResp, calls.get_catalogs),
    "GetSchemas": Method(messages.NamedReq, messages.OperationResp, calls.get_schemas),
    "GetTables": Method(messages.GetTablesReq, messages.OperationResp, calls.get_tables),
    "GetTableTypes": Method(messages.SessionReq, messages.OperationResp, calls.get_table_types),
    "GetColumns": Method(messages.GetColumnsReq, messages.OperationResp, calls.get_columns),
    "GetFunctions": Method(messages.NamedReq, messages.OperationResp, calls.get_functions),
    "GetPrimaryKeys": Method(messages.NamedReq, messages.OperationResp, calls.get_primary_keys),
    "GetCrossReference": Method(messages.GetCrossReferenceReq, messages.OperationResp, calls.get_cross_reference),
    "GetOperationStatus": Method(messages.GetOperationStatusReq, messages.GetOperationStatusResp, calls.get_operation_status),
    "CancelOperation": Method(messages.OperationReq, messages.StatusResp, calls.cancel_operation),
    "CloseOperation": Method(messages.OperationReq, messages.StatusResp, calls.close_operation),
    "GetResultSetMetadata": Method(messages.OperationReq, messages.GetResultSetMetadataResp, calls.get_result_set_metadata),
    "FetchResults": Method(messages.FetchResultsReq, messages.FetchResultsResp, calls.fetch_results),
}


async def serve(call: Call) -> Response:
    """Answer one message.

    Raises:
        MalformedMessage: The body is none.
    """
    reader = Reader(await call.body(BODY_BYTES_MAX))
    name, kind, number = reader.header()
    if kind is not MessageKind.CALL:
        raise MalformedMessage("The message is no call.")
    method = METHODS.get(name)
    if method is None:
        return _answer(_unknown_method(name, number))
    request = _argument(reader, method.request)
    try:
        told = await method.call(call, request)
    except Exception as error:  # noqa: BLE001  # A client of this protocol looks for errors in the answer, whatever they are.
        known = shown(error, str(call.request.scope["insjo.request_id"]))
        told = method.response(status=failed(known))
    return _answer(await call.run(_reply, name, number, told))


def _argument(reader: Reader, wanted: type[M]) -> M:
    """The one argument that each method has: field 1 of a struct around it."""
    found = reader.only_field(wanted)
    if found is None:
        raise MalformedMessage("The call has no argument.")
    return found


def _reply(name: str, number: int, told: object) -> bytes:
    """The answer of a method: field 0 of a struct around it."""
    writer = Writer()
    writer.header(name, MessageKind.REPLY, number)
    writer.field(0, Kind.STRUCT)
    writer.message(told)
    writer.stop()
    return writer.content()


def _unknown_method(name: str, number: int) -> bytes:
    """A TApplicationException for what is not served."""
    missing = Unimplemented(f"The method `{name[:100]}` is not implemented by Insjö.")
    writer = Writer()
    writer.header(name[:100], MessageKind.EXCEPTION, number)
    writer.field(1, Kind.STRING)
    writer.value(str(missing), TEXT)
    writer.field(2, Kind.I32)
    writer.value(UNKNOWN_METHOD, I32)
    writer.stop()
    return writer.content()


def _answer(content: bytes) -> Response:
    return Response(content, media_type=MEDIA_TYPE, headers={"cache-control": "private, no-store"})


ROUTES = (
    DoorRoute("POST", "/sql/1.0/warehouses/{warehouse_id}", serve, "thrift"),
    DoorRoute("POST", "/sql/1.0/endpoints/{warehouse_id}", serve, "thrift"),
    DoorRoute("POST", "/sql/protocolv1/o/{workspace}/{warehouse_id}", serve, "thrift"),
)
"""The second is the older name of the first; the third is how a cluster is named, which here is a warehouse too."""
