"""Door: statement execution (clients.md 1d), inline and by external links, with async and cancel."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.context import system_context
from insjo.kernel.errors import InvalidArgument, NotFound, Unimplemented
from insjo.kernel.limits import INLINE_RESULT_BYTES_MAX
from insjo.sql.types import Parameter, Statement, StatementSpec, StatementState
from insjo.web.authentication import context_for
from insjo.web.databricks.arrow_rows import RowForm, as_wire, lz4_frame
from insjo.web.databricks.sql_states import sql_state
from insjo.web.databricks.values import csv_bytes, ipc_bytes, ipc_schema, json_rows
from insjo.web.errors import status_of
from insjo.web.signing import LinkRefused, LinkSigner
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pyarrow as pa

WAIT_DEFAULT_S = 10
WAIT_MIN_S = 5
WAIT_MAX_S = 50
LINK_TTL_S = 900
SHORT_BYTES = 256 * 1024
"""Answers with results up to this size are written by the thread that ran the statement."""

MIB = 1024**2
Format = Literal["JSON_ARRAY", "ARROW_STREAM", "CSV"]
MEDIA_TYPES = {"JSON_ARRAY": "application/json", "ARROW_STREAM": "application/vnd.apache.arrow.stream", "CSV": "text/csv; charset=utf-8"}


class ParameterBody(msgspec.Struct):
    """One parameter; without a name, which only drivers leave out, it stands for the next `?`."""

    name: str | None = None
    value: str | None = None
    type: str | None = None


class StatementBody(msgspec.Struct):
    """Body of POST /api/2.0/sql/statements; fields that only some drivers send are named in clients.md."""

    statement: str
    warehouse_id: str | None = None
    catalog: str | None = None
    schema: str | None = None
    parameters: list[ParameterBody] = []
    wait_timeout: str = "10s"
    on_wait_timeout: Literal["CONTINUE", "CANCEL"] = "CONTINUE"
    disposition: str = "INLINE"
    format: Format = "JSON_ARRAY"
    row_limit: int | None = None
    byte_limit: int | None = None
    session_id: str | None = None
    result_compression: str | None = None
    query_tags: list[Any] | dict[str, Any] | None = None


class ResultWanted(msgspec.Struct, frozen=True):
    """How a client wants the rows; kept for the later calls about the statement.

    Attributes:
        external: By links.
        either: Inline when it is one chunk that fits, otherwise by links (drivers only).
        lz4: Arrow streams as one frame of LZ4 each.
    """

    external: bool
    format: Format
    either: bool = False
    lz4: bool = False

    def by_links(self, statement: Statement) -> bool:
        """Whether this result goes by links."""
        return self.external or (self.either and (len(statement.chunks) > 1 or statement.byte_count > INLINE_RESULT_BYTES_MAX))

    @property
    def compression(self) -> str:
        """Name of the compression."""
        return "LZ4_FRAME" if self.lz4 else "NONE"


EITHER = frozenset({"INLINE_OR_EXTERNAL_LINKS", "HYBRID"})
"""Dispositions of drivers: inline or by links, as it fits."""

_wanted_limit = 10_000


class WantedByStatement:
    """Disposition and format that each statement was asked for; bounded, the oldest go first."""

    def __init__(self) -> None:
        self._by_id: dict[str, ResultWanted] = {}

    def put(self, statement_id: str, wanted: ResultWanted) -> None:
        """Keep it."""
        if len(self._by_id) >= _wanted_limit:
            del self._by_id[next(iter(self._by_id))]
        self._by_id[statement_id] = wanted

    def get(self, statement_id: str) -> ResultWanted:
        """What was asked for; JSON inline for a statement that another server took."""
        return self._by_id.get(statement_id, ResultWanted(external=False, format="JSON_ARRAY"))


def wait_seconds(text: str) -> int:
    """Seconds of a wait timeout such as `10s`; 0, or 5 to 50."""
    match = re.fullmatch(r"(\d{1,3})s", text.strip())
    seconds = int(match[1]) if match else -1
    if seconds != 0 and not WAIT_MIN_S <= seconds <= WAIT_MAX_S:
        raise InvalidArgument(f"`wait_timeout` is `{text[:20]}`, and must be `0s` or between `{WAIT_MIN_S}s` and `{WAIT_MAX_S}s`.")
    return seconds


async def create(call: Call) -> Response:
    """Run a statement, wait for it as long as the client wants to."""
    body = await call.json(StatementBody)
    wait_s = wait_seconds(body.wait_timeout)
    wanted = result_wanted(body)
    spec = StatementSpec(
        text=body.statement,
        warehouse_id=body.warehouse_id or None,
        catalog=body.catalog,
        schema=body.schema,
        parameters=tuple(Parameter(each.name or None, each.value, each.type or "") for each in body.parameters),
        session_id=body.session_id,
        row_limit=body.row_limit,
        byte_limit=body.byte_limit,
    )
    answer = Answer(call, wanted)
    await call.run(answer.begin, spec, tells=bool(wait_s))
    content = await answer.wait(wait_s) if wait_s else None
    if content is None:
        content = await call.run(answer.after_waiting, cancels=bool(wait_s) and body.on_wait_timeout == "CANCEL")
    return _json(content)


def _json(content: bytes) -> Response:
    """An answer that is written already."""
    return Response(content, media_type="application/json")


class Answer:
    """The answer to one request for a statement: taken in one thread, written where it ends, so that a short one waits for no other."""

    def __init__(self, call: Call, wanted: ResultWanted) -> None:
        """Made on the event loop, to which the end of the statement is told."""
        self._call = call
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[bytes | None] = self._loop.create_future()
        self._statement_id = ""

    def begin(self, spec: StatementSpec, *, tells: bool) -> None:
        """Take the statement, for a caller who still may."""
        call = self._call
        call.confirm()
        statement = call.services.sql.statements.submit(call.ctx, spec, self._on_end if tells else None)
        self._statement_id = statement.id
        call.request.app.state.wanted.put(statement.id, self._wanted)

    async def wait(self, seconds: float) -> bytes | None:
        """The answer when the statement has ended; None when the time is over, or when the answer is long and still to be written."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ended
        except TimeoutError:
            return None

    def after_waiting(self, *, cancels: bool) -> bytes:
        """The answer as it is now."""
        statements = self._call.services.sql.statements
        statement = statements.get(self._call.ctx, self._statement_id)
        if cancels and not statement.state.ended:
            statement = statements.cancel(self._call.ctx, statement.id)
        return encoded(statement_body(self._call, statement, self._wanted))

    def _on_end(self, statement_id: str) -> None:
        """In the thread of the statement: a short answer is written here, others where they keep no statement waiting."""
        content: bytes | None = None
        with contextlib.suppress(Exception):  # Whatever it is, whoever waits asks again and is told.
            statement = self._call.services.sql.statements.get(self._call.ctx, statement_id)
            if statement.byte_count <= SHORT_BYTES:
                content = encoded(statement_body(self._call, statement, self._wanted))
        with contextlib.suppress(RuntimeError):  # The loop may be closed by the time the statement ends.
            self._loop.call_soon_threadsafe(self._tell, content)

    def _tell(self, content: bytes | None) -> None:
        """On the loop: wake whoever still waits."""
        if not self._ended.done():
            self._ended.set_result(content)


def encoded(body: dict[str, object]) -> bytes:
    """A body as JSON; it may hold many rows, so this is not for the event loop."""
    return msgspec.json.encode(body)


class Ends:
    """Waits for the ends of statements without a thread each, and with one call behind each statement however often it is waited for."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    async def wait(self, statement_id: str, register: Callable[[Callable[[], None]], Awaitable[None]], seconds: float) -> None:
        """Return when the statement has ended or the time is over.

        Args:
            register: Takes what is to be called, from any thread, once the statement has ended.
        """
        event = self._events.get(statement_id)
        if event is None:
            event = self._events[statement_id] = asyncio.Event()
            try:
                await register(self._teller(statement_id, event))
            except BaseException:
                self._end(statement_id, event)
                raise
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _teller(self, statement_id: str, event: asyncio.Event) -> Callable[[], None]:
        """What wakes those who wait."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # The loop may be closed by the time the statement ends.
                loop.call_soon_threadsafe(self._end, statement_id, event)

        return tell

    def _end(self, statement_id: str, event: asyncio.Event) -> None:
        self._events.pop(statement_id, None)
        event.set()


async def wait_for(call: Call, statement_id: str, seconds: float) -> Statement:
    """The statement when it has ended or the time is over; no thread waits for it."""
    statements, ends = call.services.sql.statements, call.request.app.state.ends

    async def register(tell: Callable[[], None]) -> None:
        await call.run(statements.when_ended, call.ctx, statement_id, tell)

    await ends.wait(statement_id, register, seconds)
    return await call.run(statements.get, call.ctx, statement_id)


def result_wanted(body: StatementBody) -> ResultWanted:
    """Disposition and format; combinations that do not exist are refused."""
    known = {"INLINE", "EXTERNAL_LINKS", *EITHER}
    if body.disposition not in known:
        raise InvalidArgument(f"`{body.disposition[:40]}` is not a disposition.", hint="Use INLINE or EXTERNAL_LINKS.")
    if body.disposition == "INLINE" and body.format != "JSON_ARRAY":
        raise InvalidArgument(f"The format {body.format} needs the disposition EXTERNAL_LINKS.")
    if body.result_compression not in {None, "", "NONE", "LZ4_FRAME"}:
        raise Unimplemented(f"Result compression `{str(body.result_compression)[:40]}` is not implemented.", hint="Use LZ4_FRAME or none.")
    return ResultWanted(
        external=body.disposition == "EXTERNAL_LINKS",
        format=body.format,
        either=body.disposition in EITHER,
        lz4=body.result_compression == "LZ4_FRAME" and body.format == "ARROW_STREAM",
    )


async def get(call: Call) -> Response:
    """State of a statement, with its first chunk once it has succeeded."""

    def answer() -> bytes:
        statement = call.services.sql.statements.get(call.ctx, call.path("statement_id"))
        return encoded(statement_body(call, statement, _wanted(call)))

    return _json(await call.run(answer))


async def cancel(call: Call) -> Response:
    """Cancel a statement; the body of the answer is empty."""
    await call.run(call.services.sql.statements.cancel, call.ctx, call.path("statement_id"))
    return JSONResponse({})


async def close(call: Call) -> Response:
    """Drop a statement and its result."""
    await call.run(call.services.sql.statements.close, call.ctx, call.path("statement_id"))
    return JSONResponse({})


async def chunk(call: Call) -> Response:
    """One chunk of the result; rights are checked anew."""
    statement_id, index = call.path("statement_id"), _chunk_index(call)

    def answer() -> bytes:
        statement = call.services.sql.statements.get(call.ctx, statement_id)
        return encoded(result_body(call, statement, index, _wanted(call)))

    return _json(await call.run(answer))


async def fetch_link(call: Call) -> Response:
    """An external link: no credential but its signature, and the rights of its person as they are now."""
    statement_id, index = call.path("statement_id"), _chunk_index(call)
    form = call.query("format", "JSON_ARRAY")
    principal_id, expires = call.query("principal"), call.query_int("expires") or 0
    now_s = call.services.clock.now().timestamp()
    compression = call.query("compression", "NONE")
    LinkSigner(call.services.signing_key).check(
        f"{statement_id}/{index}/{form}/{compression}", principal_id, expires, call.query("signature"), now_s=now_s
    )
    principal = await call.run(call.services.access.principals.get, system_context("rest"), principal_id)
    if not principal.active:
        raise LinkRefused("This link is not valid any more.")
    ctx = context_for(call.request, principal, "databricks")
    statement = await call.run(call.services.sql.statements.get, ctx, statement_id)
    part = await call.run(call.services.sql.statements.chunk, ctx, statement_id, index)
    content = await call.run(_encode, part.batches, statement, form, index, lz4=compression == "LZ4_FRAME")
    return Response(content, media_type=MEDIA_TYPES.get(form, "application/octet-stream"), headers={"cache-control": "private, no-store"})


def _encode(table: pa.Table, statement: Statement, form: str, index: int, *, lz4: bool) -> bytes:
    """Rows in a format."""
    if form == "ARROW_STREAM":
        stream = ipc_bytes(as_wire(table, statement.columns, RowForm()))
        return lz4_frame(stream) if lz4 else stream
    if form == "CSV":
        return csv_bytes(table, header=index == 0)
    return msgspec.json.encode(json_rows(table))


def _wanted(call: Call) -> ResultWanted:
    """What the client asked for when it made the statement."""
    kept: WantedByStatement = call.request.app.state.wanted
    return kept.get(call.path("statement_id"))


def _chunk_index(call: Call) -> int:
    """Index of a chunk from the path."""
    text = call.path("chunk_index")
    if not text.isdigit():
        raise InvalidArgument(f"`{text[:20]}` is not the index of a chunk.")
    return int(text)


def statement_body(call: Call, statement: Statement, wanted: ResultWanted) -> dict[str, object]:
    """The statement as the wire shows it.  A failed statement is an answer with status 200 (clients.md 1d)."""
    body: dict[str, object] = {"statement_id": statement.id, "status": status_body(statement)}
    if statement.state is not StatementState.SUCCEEDED:
        return body
    if not wanted.by_links(statement) and statement.byte_count > INLINE_RESULT_BYTES_MAX:
        body["status"] = status_body(replace(statement, state=StatementState.FAILED, error=_too_large_inline(statement)))
        return body
    body["manifest"] = manifest_body(call, statement, wanted)
    body["result"] = result_body(call, statement, 0, wanted) if statement.chunks else no_rows(wanted)
    body["insjo"] = {
        "label": statement.provenance.label.as_json(),
        "origins": [each.object for each in statement.shown_origins],
        "duration_ms": _duration_ms(statement),
        "kind": statement.kind,
    }
    return body


def no_rows(wanted: ResultWanted) -> dict[str, object]:
    """The result of a statement that gave no row."""
    inline = {"chunk_index": 0, "row_offset": 0, "row_count": 0, "data_array": []}
    return {} if wanted.external or wanted.either or wanted.format != "JSON_ARRAY" else inline


def _too_large_inline(statement: Statement) -> InlineTooLarge:
    """The API tells it by a failed statement, since the statement itself was in order."""
    size, most = statement.byte_count // MIB, INLINE_RESULT_BYTES_MAX // MIB
    return InlineTooLarge(
        f"The result has {size} MiB, and inline answers hold at most {most} MiB.",
        hint="Ask with the disposition EXTERNAL_LINKS, or with a row limit.",
    )


WIRE_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
}
"""Codes that the API itself has; ours stands in brackets before the message, as Databricks writes error classes."""


def status_body(statement: Statement) -> dict[str, object]:
    """State and error."""
    status: dict[str, object] = {"state": statement.state.value}
    error = statement.error
    if error is not None:
        http = status_of(error)
        wire = WIRE_CODES.get(http, "INTERNAL_ERROR" if error.kind == "INTERNAL" else "BAD_REQUEST")
        status["error"] = {"error_code": wire, "message": f"[{error.code}] {error}"}
        status["sql_state"] = sql_state(error)
        status["insjo_error"] = {"error_code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    if statement.queue_position:
        status["queue_position"] = statement.queue_position
    return status


def manifest_body(call: Call, statement: Statement, wanted: ResultWanted) -> dict[str, object]:
    """Schema and chunks of the result."""
    columns: list[dict[str, object]] = []
    for column in statement.columns:
        entry: dict[str, object] = {
            "name": column.name,
            "position": column.position,
            "type_name": column.type_name,
            "type_text": column.type_text.upper(),
        }
        if column.precision is not None:
            entry |= {"type_precision": column.precision, "type_scale": column.scale or 0}
        columns.append(entry)
    manifest: dict[str, object] = {
        "format": wanted.format,
        "schema": {"column_count": len(columns), "columns": columns},
        "total_chunk_count": statement.chunk_count,
        "total_row_count": statement.row_count,
        "total_byte_count": statement.byte_count,
        "truncated": statement.truncated,
        "chunks": [
            {"chunk_index": each.index, "row_offset": each.row_offset, "row_count": each.row_count, "byte_count": each.byte_count}
            for each in statement.chunks
        ],
    }
    if wanted.format == "ARROW_STREAM":
        first = call.services.sql.statements.chunk(call.ctx, statement.id, 0)
        schema = as_wire(first.batches.slice(0, 0), statement.columns, RowForm()).schema
        manifest["arrow_schema"] = base64.b64encode(ipc_schema(schema)).decode()
        manifest["result_compression"] = wanted.compression
    return manifest


def result_body(call: Call, statement: Statement, index: int, wanted: ResultWanted) -> dict[str, object]:
    """One chunk: its rows, its Arrow bytes, or a link to them."""
    ranges = {each.index: each for each in statement.chunks}
    if index not in ranges:
        raise ChunkNotFound(f"The statement has no chunk {index}.", hint=f"It has {statement.chunk_count} chunks.")
    here = ranges[index]
    body: dict[str, object] = {"chunk_index": index, "row_offset": here.row_offset, "row_count": here.row_count}
    if index + 1 in ranges:
        body["next_chunk_index"] = index + 1
        body["next_chunk_internal_link"] = f"/api/2.0/sql/statements/{statement.id}/result/chunks/{index + 1}"
    if wanted.by_links(statement):
        call.services.sql.statements.check_fetch(call.ctx, statement.id)
        return body | {"external_links": [link_body(call, statement, index, wanted) | body | {"byte_count": here.byte_count}]}
    if statement.byte_count > INLINE_RESULT_BYTES_MAX:
        raise _too_large_inline(statement)
    part = call.services.sql.statements.chunk(call.ctx, statement.id, index)
    if wanted.format == "ARROW_STREAM":
        content = _encode(part.batches, statement, wanted.format, index, lz4=wanted.lz4)
        return body | {"attachment": base64.b64encode(content).decode()}
    return body | {"data_array": json_rows(part.batches)}


def link_body(call: Call, statement: Statement, index: int, wanted: ResultWanted) -> dict[str, object]:
    """A signed link to one chunk; it is fetched without a credential."""
    expires = int(call.services.clock.now().timestamp()) + LINK_TTL_S
    principal_id = call.ctx.principal.id
    signature = LinkSigner(call.services.signing_key).sign(
        f"{statement.id}/{index}/{wanted.format}/{wanted.compression}", principal_id, expires
    )
    base = str(call.request.base_url).rstrip("/")
    query = f"format={wanted.format}&compression={wanted.compression}&principal={principal_id}&expires={expires}&signature={signature}"
    return {
        "external_link": f"{base}/api/2.0/sql/results/{statement.id}/{index}?{query}",
        "expiration": datetime.fromtimestamp(expires, UTC).isoformat().replace("+00:00", "Z"),
        "http_headers": {},
    }


def _duration_ms(statement: Statement) -> int:
    """How long it took from the first moment to the last."""
    if statement.ended_at is None:
        return 0
    return int((statement.ended_at - statement.created_at).total_seconds() * 1000)


class ChunkNotFound(NotFound):
    """The result has fewer chunks."""

    code = "CHUNK_NOT_FOUND"


class InlineTooLarge(InvalidArgument):
    """The result is too large for a JSON answer."""

    code = "INLINE_RESULT_TOO_LARGE"


ROUTES = (
    DoorRoute("POST", "/api/2.0/sql/statements", create, "databricks", confirms=True),
    DoorRoute("POST", "/api/2.0/sql/statements/", create, "databricks", confirms=True),
    DoorRoute("GET", "/api/2.0/sql/statements/{statement_id}", get, "databricks"),
    DoorRoute("DELETE", "/api/2.0/sql/statements/{statement_id}", close, "databricks"),
    DoorRoute("POST", "/api/2.0/sql/statements/{statement_id}/cancel", cancel, "databricks"),
    DoorRoute("GET", "/api/2.0/sql/statements/{statement_id}/result/chunks/{chunk_index}", chunk, "databricks"),
    DoorRoute("GET", "/api/2.0/sql/results/{statement_id}/{chunk_index}", fetch_link, "databricks", needs="nobody"),
)
