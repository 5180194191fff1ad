"""A bare client of the Thrift door, which can also say what no driver says."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, TypeVar

from insjo.web.thrift import messages
from insjo.web.thrift.binary import Kind, MessageKind, Reader, Writer

R = TypeVar("R")
TIMEOUT_S = 90


@dataclass(frozen=True)
class Reply:
    """An answer of the door."""

    status: int
    headers: dict[str, str]
    body: bytes


def message(name: str, request: object, number: int = 1) -> bytes:
    """A call as bytes."""
    writer = Writer()
    writer.header(name, MessageKind.CALL, number)
    writer.field(1, Kind.STRUCT)
    writer.message(request)
    writer.stop()
    return writer.content()


def answer_of(body: bytes, name: str, wanted: type[R]) -> R:
    """The answer in a body."""
    reader = Reader(body)
    told, kind, number = reader.header()
    assert (told, kind, number) == (name, MessageKind.REPLY, 1), (told, kind, number)
    return reader.only_field(wanted, 0)  # type: ignore[return-value]  # A reply without an answer fails where it is used.


@dataclass
class Driver:
    """One person at the door of one warehouse."""

    url: str
    token: str
    warehouse_id: str
    session: messages.SessionHandle | None = None

    def post(self, body: bytes, path: str = "") -> Reply:
        """Send bytes."""
        headers = {"content-type": "application/x-thrift"} | ({"authorization": f"Bearer {self.token}"} if self.token else {})
        request = urllib.request.Request(self.url + (path or f"/sql/1.0/warehouses/{self.warehouse_id}"), data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def call(self, name: str, request: object, wanted: type[R], path: str = "") -> R:
        """Call a method."""
        told = self.post(message(name, request), path)
        assert told.status == 200, (name, told)
        return answer_of(told.body, name, wanted)

    def open(self) -> Driver:
        """Open a session, which the following calls use."""
        told = self.call("OpenSession", messages.OpenSessionReq(client_protocol_i64=messages.PROTOCOL_V7), messages.OpenSessionResp)
        assert told.status is not None
        assert told.status.status_code == messages.StatusCode.SUCCESS, told.status
        self.session = told.session_handle
        return self

    def execute(self, text: str, **more: Any) -> messages.OperationResp:  # noqa: ANN401  # Fields of the request.
        """Run a statement; by default the answer brings the first rows."""
        asked: dict[str, Any] = {"get_direct_results": messages.DirectResultsWanted(100_000, 10_000_000), "run_async": True}
        request = messages.ExecuteStatementReq(session_handle=self.session, statement=text, **(asked | more))
        return self.call("ExecuteStatement", request, messages.OperationResp)

    def ask(self, name: str, request_type: type = messages.NamedReq, **fields: Any) -> messages.OperationResp:  # noqa: ANN401  # Fields of the request.
        """Ask about the catalog."""
        wanted = messages.DirectResultsWanted(100_000, 10_000_000)
        return self.call(name, request_type(session_handle=self.session, get_direct_results=wanted, **fields), messages.OperationResp)

    def fetch(self, handle: messages.OperationHandle | None, **more: Any) -> messages.FetchResultsResp:  # noqa: ANN401  # Fields of the request.
        """The next rows."""
        return self.call("FetchResults", messages.FetchResultsReq(operation_handle=handle, **more), messages.FetchResultsResp)

    def about(self, name: str, handle: messages.OperationHandle | None, wanted: type[R]) -> R:
        """Call a method about one operation."""
        return self.call(name, messages.OperationReq(operation_handle=handle), wanted)


def columns_of(told: messages.RowSet | None) -> list[list[Any]]:
    """Values of each column of a column-based set; None where there is no value."""
    assert told is not None
    found: list[list[Any]] = []
    for column in told.columns or ():
        holder: Any = next(each for each in (getattr(column, name) for name in type(column).__dataclass_fields__) if each is not None)
        nulls = holder.nulls or b""
        found.append([None if nulls[at // 8] >> at % 8 & 1 else value for at, value in enumerate(holder.values or ())])
    return found


def rows_of(told: messages.OperationResp) -> list[list[Any]]:
    """Columns of an answer that brought rows."""
    assert told.direct_results is not None, told.status
    assert told.direct_results.result_set is not None, told.direct_results.operation_status
    return columns_of(told.direct_results.result_set.results)


def error_of(told: messages.OperationResp) -> str:
    """Message of a statement that failed."""
    if told.direct_results is None:
        assert told.status is not None
        return told.status.error_message or ""
    assert told.direct_results.operation_status is not None
    return told.direct_results.operation_status.display_message or ""
