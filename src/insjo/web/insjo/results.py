"""Own API: any part of a statement's result, and the whole of it as a file.

The statement execution API gives chunks of megabytes; a grid on a screen wants the few hundred rows that it shows, from any place.
Each read asks for the rights anew, as every fetch of a result does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from starlette.responses import Response, StreamingResponse

from insjo.kernel.errors import FailedPrecondition, InvalidArgument
from insjo.sql.types import StatementState
from insjo.web.databricks.values import json_rows
from insjo.web.insjo import exports
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from insjo.sql.types import ChunkRange, Statement

PREFIX = "/api/insjo/v1/statements/{statement_id}"
ROWS_MAX = 5_000
SLICE_ROWS = 20_000
"""Rows that are written into a file between two looks at whether the reader still waits."""

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def rows(call: Call) -> Response:
    """Up to 5,000 rows from any place of a result, as texts."""
    statement = await _finished(call)
    offset, count = call.query_int("offset") or 0, call.query_int("count") or ROWS_MAX
    if offset < 0 or not 0 < count <= ROWS_MAX:
        raise InvalidArgument(f"`offset` counts from 0, and `count` is at most {ROWS_MAX}.")
    found: list[list[str | None]] = []
    for place, start, length in parts(statement.chunks, offset, count):
        chunk = await call.run(call.services.sql.statements.chunk, call.ctx, statement.id, place.index)
        found += await call.run(json_rows, chunk.batches.slice(start, length))
    body = {"offset": offset, "rows": found, "total": statement.row_count}
    return Response(await call.run(msgspec.json.encode, body), media_type="application/json", headers={"cache-control": "no-store"})


def parts(chunks: tuple[ChunkRange, ...], offset: int, count: int) -> Iterator[tuple[ChunkRange, int, int]]:
    """The chunks that hold some of the wanted rows, with where these begin in them and how many they are."""
    for each in chunks:
        start = max(offset - each.row_offset, 0)
        end = min(offset + count - each.row_offset, each.row_count)
        if start < end:
            yield each, start, end - start


async def download(call: Call) -> Response:
    """The whole result as CSV, Parquet or Excel; written down in the audit with its label."""
    form = call.query("format", "csv")
    if form not in MEDIA_TYPES:
        raise InvalidArgument(f"`{form[:20]}` is not a format of files.", hint="Use csv, parquet or xlsx.")
    statement = await _finished(call)
    if not statement.columns:
        raise NothingToDownload("The statement gave no rows to download.")
    if form == "xlsx":
        exports.check_sheet(statement.row_count, len(statement.columns))
    await call.run(call.services.sql.statements.check_fetch, call.ctx, statement.id)
    await call.run(_record, call, statement, form)
    about = exports.About(
        label=statement.provenance.label.text(),
        statement=statement.text,
        origins=tuple(origin.text() for origin in statement.shown_origins),
        person=call.ctx.principal.name,
        moment=call.services.clock.now(),
    )
    headers = {
        "content-disposition": disposition(call.query("name", "result"), form),
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
        "x-insjo-label": quote(about.label, safe=" ,;=()"),
    }
    pieces = _pieces(call, statement, exports.writer(form, statement.columns, about))
    first = await anext(pieces, b"")
    return StreamingResponse(_after(first, pieces), media_type=MEDIA_TYPES[form], headers=headers)


def _record(call: Call, statement: Statement, form: str) -> None:
    """One row of the audit."""
    call.services.access.audit.record(
        call.ctx,
        "statement.download",
        outcome="allowed",
        object=f"statement {statement.id}",
        label=statement.provenance.label,
        origins=statement.provenance.origins,
        reason=form,
    )


async def _pieces(call: Call, statement: Statement, writer: exports.Writer) -> AsyncIterator[bytes]:
    """The file in pieces.  A right that is taken away meanwhile breaks the download off, so that nobody takes a part for the whole."""
    try:
        for place in statement.chunks:
            chunk = await call.run(call.services.sql.statements.chunk, call.ctx, statement.id, place.index)
            for start in range(0, place.row_count, SLICE_ROWS):
                piece = await call.run(writer.add, chunk.batches.slice(start, SLICE_ROWS))
                if piece:
                    yield piece
        for piece in await call.run(writer.finish):
            yield piece
    finally:
        await call.run(writer.close)


async def _after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The piece that was waited for, so that what is wrong before it has a status of its own, and then the others."""
    yield first
    async for piece in pieces:
        yield piece


def disposition(name: str, form: str) -> str:
    """Header that makes a browser keep the file under a name (RFC 6266)."""
    kept = re.sub(r"[\x00-\x1f\x7f\"\\/:*?<>|]+", " ", name).strip(" .")[:100] or "result"
    plain = kept.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}.{form}\"; filename*=UTF-8''{quote(f'{kept}.{form}', safe='')}"


async def _finished(call: Call) -> Statement:
    """The statement of the path, when it has a result."""
    statement = await call.run(call.services.sql.statements.get, call.ctx, call.path("statement_id"))
    if statement.state is not StatementState.SUCCEEDED:
        raise NothingToDownload(f"The statement has no result: its state is {statement.state.value}.", hint="Run it again.")
    return statement


class NothingToDownload(FailedPrecondition):
    """The statement has no result."""

    code = "RESULT_MISSING"


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/rows", rows, "insjo"),
    DoorRoute("GET", f"{PREFIX}/download", download, "insjo"),
)
