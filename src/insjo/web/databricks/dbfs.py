"""Doors: DBFS as older programs call it, on the files of volumes (wire: `DbfsAPI` of databricks-sdk).

Only paths of volumes exist here (`/Volumes/...`, with or without `dbfs:` before it): a file system without an owner would be one without
rights.  Streams of blocks and moving answer 501; the Files API does the first better.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.catalog.errors import DirectoryNotEmpty, FileNotFound
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.catalog.types import FileEntry

PREFIX = "/api/2.0/dbfs"
READ_BYTES_MAX = 1024 * 1024
ENTRIES_MAX = 10_000
"""Entries that one list holds; the call has no pages."""

DEPTH_MAX = 64


class PutBody(msgspec.Struct):
    """A small file; `contents` is base64."""

    path: str
    contents: str = ""
    overwrite: bool = False


class PathBody(msgspec.Struct):
    """A path to make or delete."""

    path: str
    recursive: bool = False


def _path(text: str) -> str:
    """The path of a file of a volume."""
    path = text.removeprefix("dbfs:")
    if not path.startswith("/Volumes/"):
        hint = "Use a path such as `/Volumes/<catalog>/<schema>/<volume>/file`."
        raise InvalidArgument(f"`{text[:200]}` is no path of a volume, and DBFS has no others here.", hint=hint)
    return path


def _entry(found: FileEntry) -> dict[str, object]:
    """A file or directory on the wire."""
    return {
        "path": found.path,
        "is_dir": found.is_directory,
        "file_size": 0 if found.is_directory else found.size_bytes,
        "modification_time": epoch_ms(found.modified_at),
    }


async def put(call: Call) -> Response:
    """Write a small file."""
    body = await call.json(PutBody)
    try:
        content = base64.b64decode(body.contents, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("`contents` is not valid base64.") from error
    await call.run(call.services.catalog.files.write, call.ctx, _path(body.path), iter([content]), overwrite=body.overwrite)
    return JSONResponse({})


async def read(call: Call) -> Response:
    """At most a megabyte of a file."""
    offset, length = call.query_int("offset") or 0, call.query_int("length")
    length = READ_BYTES_MAX if length is None else length
    if offset < 0 or not 0 <= length <= READ_BYTES_MAX:
        raise InvalidArgument(f"`offset` must not be negative, and `length` is at most {READ_BYTES_MAX}.")
    pieces = await call.run(call.services.catalog.files.read, call.ctx, _path(call.query("path")), offset, length)
    content = await call.run(lambda: b"".join(pieces))
    return JSONResponse({"bytes_read": len(content), "data": base64.b64encode(content).decode()})


async def get_status(call: Call) -> Response:
    """One file or directory."""
    return JSONResponse(_entry(await call.run(call.services.catalog.files.stat, call.ctx, _path(call.query("path")))))


async def list_files(call: Call) -> Response:
    """Entries of a directory, or the one file."""
    path = _path(call.query("path"))
    found = await call.run(call.services.catalog.files.stat, call.ctx, path)
    entries = await call.run(_entries, call, path) if found.is_directory else [found]
    return JSONResponse({"files": [_entry(each) for each in entries]})


def _entries(call: Call, path: str) -> list[FileEntry]:
    """All entries of a directory; raises InvalidArgument when they are too many for one answer."""
    found: list[FileEntry] = []
    token = ""
    while True:
        page = call.services.catalog.files.list(call.ctx, path, PageRequest.of(1000, token))
        found += page.items
        token = page.next_token
        if not token:
            return found
        if len(found) >= ENTRIES_MAX:
            raise InvalidArgument(
                f"The directory holds more than {ENTRIES_MAX} entries.", hint="List it with the Files API, which has pages."
            )


async def mkdirs(call: Call) -> Response:
    """Make a directory and those above it."""
    await call.run(call.services.catalog.files.make_directory, call.ctx, _path((await call.json(PathBody)).path))
    return JSONResponse({})


async def delete(call: Call) -> Response:
    """Delete a file, an empty directory, or with `recursive` a directory with all it holds; what is not there is no error, as at DBFS."""
    body = await call.json(PathBody)
    await call.run(_delete, call, _path(body.path), recursive=body.recursive)
    return JSONResponse({})


def _delete(call: Call, path: str, *, recursive: bool, depth: int = 0) -> None:
    """Delete from the leaves to the root."""
    files = call.services.catalog.files
    try:
        found = files.stat(call.ctx, path)
    except FileNotFound:
        return
    if not found.is_directory:
        files.delete(call.ctx, path)
        return
    entries = _entries(call, path)
    if entries and (not recursive or depth >= DEPTH_MAX):
        raise DirectoryNotEmpty(f"The directory `{path}` is not empty.", hint="Send `recursive: true` to delete what it holds.")
    for each in entries:
        _delete(call, each.path, recursive=True, depth=depth + 1)
    files.delete_directory(call.ctx, path)


ROUTES = (
    DoorRoute("POST", f"{PREFIX}/put", put, "databricks"),
    DoorRoute("GET", f"{PREFIX}/read", read, "databricks"),
    DoorRoute("GET", f"{PREFIX}/get-status", get_status, "databricks"),
    DoorRoute("GET", f"{PREFIX}/list", list_files, "databricks"),
    DoorRoute("POST", f"{PREFIX}/mkdirs", mkdirs, "databricks"),
    DoorRoute("POST", f"{PREFIX}/delete", delete, "databricks"),
)
