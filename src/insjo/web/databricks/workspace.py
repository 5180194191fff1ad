"""Doors: files and folders of the workspace (wire: `WorkspaceAPI` and `mixins/workspace.py` of databricks-sdk)."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, Response

from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.limits import BODY_BYTES_MAX
from insjo.web.types import Call, DoorRoute, too_large
from insjo.workspace.types import ObjectKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from insjo.workspace.types import WorkspaceObject

PREFIX = "/api/2.0/workspace"
FIELD_BYTES_MAX = 4096


class ImportBody(msgspec.Struct):
    """A file or notebook to import; `content` is base64."""

    path: str
    content: str = ""
    format: str = "SOURCE"
    language: str = ""
    overwrite: bool = False


class PathBody(msgspec.Struct):
    """A path to make or delete."""

    path: str
    recursive: bool = False


def object_body(found: WorkspaceObject) -> dict[str, object]:
    """An object on the wire."""
    body: dict[str, object] = {
        "object_type": found.kind.value,
        "path": found.path,
        "object_id": found.object_id,
        "resource_id": found.id if found.kind in {ObjectKind.DASHBOARD, ObjectKind.QUERY} else str(found.object_id),
    }
    if found.kind is not ObjectKind.DIRECTORY:
        body |= {"created_at": epoch_ms(found.created_at), "modified_at": epoch_ms(found.updated_at), "size": found.size_bytes}
    if found.language:
        body["language"] = found.language
    return body


async def list_objects(call: Call) -> Response:
    """What stands in a folder."""
    found = await call.run(call.services.workspace.objects.list, call.ctx, call.query("path"))
    since = call.query_int("notebooks_modified_after") or 0
    kept = [each for each in found if not since or (each.kind is ObjectKind.NOTEBOOK and epoch_ms(each.updated_at) >= since)]
    return JSONResponse({"objects": [object_body(each) for each in kept]} if kept else {})


async def get_status(call: Call) -> Response:
    """One object."""
    return JSONResponse(object_body(await call.run(call.services.workspace.objects.get, call.ctx, call.query("path"))))


async def mkdirs(call: Call) -> Response:
    """Make a folder and those above it."""
    body = await call.json(PathBody)
    await call.run(call.services.workspace.objects.make_directories, call.ctx, body.path)
    return JSONResponse({})


async def delete(call: Call) -> Response:
    """Delete an object, a folder only with `recursive` when it holds something."""
    body = await call.json(PathBody)
    await call.run(call.services.workspace.objects.delete, call.ctx, body.path, recursive=body.recursive)
    return JSONResponse({})


async def import_object(call: Call) -> Response:
    """Import as JSON with base64, or as a form with the content as a file."""
    if call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        body, content = await _form(call)
    else:
        body = await call.json(ImportBody)
        try:
            content = base64.b64decode(body.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidArgument("`content` is not valid base64.") from error
    await call.run(
        call.services.workspace.objects.put,
        call.ctx,
        body.path,
        content,
        form=body.format or "SOURCE",
        language=body.language,
        overwrite=body.overwrite,
    )
    return JSONResponse({})


async def _form(call: Call) -> tuple[ImportBody, bytes]:
    """The fields of a form and its one file; no more is read than is allowed."""
    size = 0

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal size
        async for piece in call.request.stream():
            size += len(piece)
            if size > BODY_BYTES_MAX:
                raise MultiPartException("too large")
            yield piece

    parser = MultiPartParser(call.request.headers, pieces(), max_files=1, max_fields=10, max_part_size=FIELD_BYTES_MAX)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if size > BODY_BYTES_MAX:
            raise too_large(BODY_BYTES_MAX) from error
        raise InvalidArgument("The form cannot be read.", hint=error.message) from error
    try:
        file = form.get("content")
        content = await file.read() if isinstance(file, UploadFile) else str(file or "").encode()
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
    finally:
        await form.close()
    if "path" not in texts:
        raise InvalidArgument("The form lacks the field `path`.")
    overwrite = texts.get("overwrite", "").lower() == "true"
    return ImportBody(texts["path"], "", texts.get("format", "SOURCE"), texts.get("language", ""), overwrite), content


async def export(call: Call) -> Response:
    """A file or notebook: as JSON with base64, or with `direct_download` its bytes."""
    form = call.query("format", "SOURCE")
    found, pieces = await call.run(call.services.workspace.objects.read, call.ctx, call.query("path"), form=form)
    content = await call.run(lambda: b"".join(pieces))
    if call.query_bool("direct_download"):
        return Response(content, media_type="application/octet-stream", headers={"content-disposition": "attachment"})
    kind = found.language.lower() or found.name.rpartition(".")[2]
    return JSONResponse({"content": base64.b64encode(content).decode(), "file_type": kind})


async def import_raw(call: Call) -> Response:
    """Import a file by its path in the address, the content as body (what `databricks bundle deploy` and `sync` send)."""
    path = "/" + call.path("path").lstrip("/")
    content = await call.body()
    overwrite = call.query_bool("overwrite")
    await call.run(call.services.workspace.objects.put, call.ctx, path, content, form="AUTO", overwrite=overwrite)
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/list", list_objects, "databricks"),
    DoorRoute("GET", f"{PREFIX}/get-status", get_status, "databricks"),
    DoorRoute("POST", f"{PREFIX}/mkdirs", mkdirs, "databricks"),
    DoorRoute("POST", f"{PREFIX}/delete", delete, "databricks"),
    DoorRoute("POST", f"{PREFIX}/import", import_object, "databricks"),
    DoorRoute("GET", f"{PREFIX}/export", export, "databricks"),
    DoorRoute("POST", "/api/2.0/workspace-files/import-file/{path:path}", import_raw, "databricks"),
)
