"""Doors: the Files API on volumes, with ranges and streaming (docs/reference/doors.md)."""

from __future__ import annotations

import errno
import re
import tempfile
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from starlette.responses import JSONResponse, Response, StreamingResponse

from insjo.catalog.errors import DiskFull, FileNotFound
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import FailedPrecondition, InvalidArgument, Unimplemented
from insjo.kernel.limits import FILE_BYTES_MAX
from insjo.kernel.paging import PageRequest
from insjo.web.types import Call, DoorRoute, too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import IO

    from insjo.catalog.types import FileEntry

FILES = "/api/2.0/fs/files"
DIRECTORIES = "/api/2.0/fs/directories"
BUFFER_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def path_of(call: Call) -> str:
    """Path of the file or directory, decoded once by the server.

    The server puts a replacement character in the place of bytes that are not UTF-8, so the raw path is looked at as well: a file of
    another name than the one that was asked for would be worse than an error.
    """
    try:
        unquote(call.request.scope.get("raw_path", b"").decode("ascii"), errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgument("The path is not valid UTF-8.") from error
    path = "/" + call.path("path").lstrip("/")
    if not path.startswith(("/Volumes/", "/Models/")):
        raise InvalidArgument("Paths of files begin with `/Volumes/<catalog>/<schema>/<volume>/` or `/Models/<catalog>/<schema>/<model>/`.")
    return path


async def upload(call: Call) -> Response:
    """Write a file: whoever may not write is told before the body is read, which is buffered on disk and then written in one step."""
    path = path_of(call)
    overwrite = call.query_bool("overwrite")
    await call.run(call.services.catalog.files.check_write, call.ctx, path, overwrite=overwrite)
    announced = call.request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > FILE_BYTES_MAX:
        raise too_large(FILE_BYTES_MAX)
    folder = call.services.settings.root / "run"  # Not the system's own folder, which may lie in memory.
    with tempfile.SpooledTemporaryFile(max_size=BUFFER_BYTES, dir=str(folder)) as buffer:
        await receive(call, buffer)
        await call.run(call.services.catalog.files.write, call.ctx, path, _pieces(buffer), overwrite=overwrite)
    return Response(status_code=204)


async def receive(call: Call, buffer: IO[bytes]) -> None:
    """Take the body into the buffer; beyond what is kept in memory it is written in the pool of threads."""
    size = 0
    try:
        async for part in call.request.stream():
            size += len(part)
            if size > FILE_BYTES_MAX:
                raise too_large(FILE_BYTES_MAX)
            if size > BUFFER_BYTES:
                await call.run(buffer.write, part)
            else:
                buffer.write(part)
        await call.run(buffer.seek, 0)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = "The disk that holds the files is full; nothing was written."
            raise DiskFull(message, hint="Make room and upload the file again.") from error
        raise


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Content in pieces."""
    while piece := file.read(READ_BYTES):
        yield piece


async def download(call: Call) -> Response:
    """Read a file, or the part that a Range header names (RFC 9110, 14)."""
    entry = await _file(call)
    _refuse_changed(call.request.headers.get("if-unmodified-since", ""), entry)
    headers = _headers(entry)
    start, length = 0, entry.size_bytes
    asked = call.request.headers.get("range")
    status = 200
    if asked:
        start, length = _range(asked, entry.size_bytes)
        status = 206
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{entry.size_bytes}"
    headers["content-length"] = str(length)
    pieces = await call.run(call.services.catalog.files.read, call.ctx, entry.path, start, length)
    return StreamingResponse(_stream(call, iter(pieces)), status_code=status, headers=headers, media_type="application/octet-stream")


async def _file(call: Call) -> FileEntry:
    """The file that the path names; a directory is none."""
    entry = await call.run(call.services.catalog.files.stat, call.ctx, path_of(call))
    if entry.is_directory:
        raise FileNotFound(f"No file is at `{entry.path}`.", hint="It is a directory.")
    return entry


def _refuse_changed(header: str, entry: FileEntry) -> None:
    """A download that goes on where another broke off must not mix two versions of a file (RFC 9110, 13.1.4)."""
    if not header:
        return
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return  # The RFC wants a header that is no date to be ignored.
    if int(entry.modified_at.timestamp()) > moment.timestamp():
        raise FileChanged(f"`{entry.path}` has changed since.", hint="Download it from the beginning.")


class FileChanged(FailedPrecondition):
    """The file is newer than what the client has of it."""

    code = "FILE_CHANGED"


async def _stream(call: Call, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces read in the pool of threads, so that a slow disk holds up nobody else."""
    while True:
        piece = await call.run(next, pieces, b"")
        if not piece:
            return
        yield piece


def _range(text: str, size: int) -> tuple[int, int]:
    """Start and length of a single range."""
    match = RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        raise RangeWrong("The Range header must name one range of bytes.")
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or end < start:
        raise RangeWrong(f"The range is outside the file, which has {size} bytes.")
    return start, end - start + 1


class RangeWrong(InvalidArgument):
    """A range that the file does not have."""

    code = "RANGE_NOT_SATISFIABLE"


def _headers(entry: FileEntry) -> dict[str, str]:
    """Headers of a file; it is never shown inline, since a volume may hold any HTML."""
    return {
        "last-modified": format_datetime(entry.modified_at, usegmt=True),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(entry.name)}",
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
    }


async def head(call: Call) -> Response:
    """Size and time of a file."""
    entry = await _file(call)
    headers = _headers(entry) | {"content-length": str(entry.size_bytes)}
    return Response(headers=headers, media_type="application/octet-stream")


async def delete(call: Call) -> Response:
    """Delete a file."""
    await call.run(call.services.catalog.files.delete, call.ctx, path_of(call))
    return Response(status_code=204)


async def list_directory(call: Call) -> Response:
    """Entries of a directory."""
    page = PageRequest.of(call.query_int("page_size"), call.query("page_token"))
    found = await call.run(call.services.catalog.files.list, call.ctx, path_of(call), page)
    contents = [
        {
            "path": each.path,
            "name": each.name,
            "is_directory": each.is_directory,
            "file_size": None if each.is_directory else each.size_bytes,
            "last_modified": epoch_ms(each.modified_at),
        }
        for each in found.items
    ]
    body: dict[str, object] = {"contents": contents}
    if found.next_token:
        body["next_page_token"] = found.next_token
    return JSONResponse(body)


async def head_directory(call: Call) -> Response:
    """Whether a directory is there."""
    await call.run(call.services.catalog.files.list, call.ctx, path_of(call), PageRequest.of(1, ""))
    return Response()


async def make_directory(call: Call) -> Response:
    """Make a directory and those above it."""
    await call.run(call.services.catalog.files.make_directory, call.ctx, path_of(call))
    return Response(status_code=204)


async def delete_directory(call: Call) -> Response:
    """Delete an empty directory."""
    await call.run(call.services.catalog.files.delete_directory, call.ctx, path_of(call))
    return Response(status_code=204)


async def resumable(call: Call) -> Response:
    """Uploads that go on where they broke off are made in parts instead."""
    raise PartsUnimplemented(call.request.url.path.rpartition("/")[2])


class PartsUnimplemented(Unimplemented):
    """Other ways to upload than in one piece or in parts."""

    def __init__(self, name: str) -> None:
        """Name what is missing."""
        super().__init__(f"`{name[:40]}` of the Files API is not implemented.", hint="Send the file in one piece, or in parts.")


ROUTES = (
    DoorRoute("PUT", FILES + "/{path:path}", upload, "databricks"),
    DoorRoute("HEAD", FILES + "/{path:path}", head, "databricks"),
    DoorRoute("GET", FILES + "/{path:path}", download, "databricks"),
    DoorRoute("DELETE", FILES + "/{path:path}", delete, "databricks"),
    DoorRoute("POST", "/api/2.0/fs/create-resumable-upload-url", resumable, "databricks"),
    DoorRoute("PUT", DIRECTORIES + "/{path:path}", make_directory, "databricks"),
    DoorRoute("HEAD", DIRECTORIES + "/{path:path}", head_directory, "databricks"),
    DoorRoute("GET", DIRECTORIES + "/{path:path}", list_directory, "databricks"),
    DoorRoute("DELETE", DIRECTORIES + "/{path:path}", delete_directory, "databricks"),
)
