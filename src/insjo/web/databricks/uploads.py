"""Doors: large files in parts, and downloads by signed addresses (wire: `mixins/files.py` of databricks-sdk).

The addresses are signed for one person, one thing and a time, and are used without a credential; what the person may is asked anew at
each use.  Parts wait in the data folder until the client says that all are there; then the file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.context import system_context
from insjo.kernel.errors import InvalidArgument, NotFound, ResourceExhausted
from insjo.web.authentication import context_for
from insjo.web.databricks import files
from insjo.web.signing import LinkRefused, LinkSigner
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from insjo.kernel.context import RequestContext

PARTS = "/api/2.0/fs/upload-parts/{session}/{number}"
SIGNED_FILES = "/api/2.0/fs/signed-files/{path:path}"
PARTS_MAX = 10_000
URLS_MAX = 1000
"""Addresses in one answer."""

FILE_BYTES_MAX = 1024**4
UPLOADS_MAX = 200
"""Uploads that may be under way at once."""

STALE_S = 86_400
LINK_S_MAX = 3600
_SESSION = re.compile(r"([0-9a-f]{32})-([01])-([0-9a-f]{64})")
_PART = re.compile(r"(\d{5})\.([0-9a-f]{64})")


class UploadNotFound(NotFound):
    """The upload was finished, given up or never begun, or belongs to somebody else."""


class TooManyUploads(ResourceExhausted):
    """Too many uploads in parts are under way."""


class PartUrlsBody(msgspec.Struct):
    """Which addresses to make."""

    path: str
    session_token: str
    start_part_number: int = 1
    count: int = 1
    expire_time: str = ""


class SessionBody(msgspec.Struct):
    """Which upload to give up."""

    path: str
    session_token: str
    expire_time: str = ""


class Part(msgspec.Struct):
    """A part that the client has sent."""

    part_number: int
    etag: str = ""


class CompleteBody(msgspec.Struct):
    """All parts of a file."""

    parts: list[Part] = []


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way."""

    id: str
    folder: Path
    overwrite: bool


def _signer(call: Call) -> LinkSigner:
    """Signs with the key of the installation."""
    return LinkSigner(call.services.signing_key)


def _folder(call: Call) -> Path:
    """Where parts wait."""
    return call.services.settings.root / "run" / "uploads"


def _begin(folder: Path, id_: str) -> None:
    """Room for the parts of an upload; what nobody finished within a day is thrown away."""
    folder.mkdir(mode=0o700, exist_ok=True)
    running = 0
    for each in folder.iterdir():
        if time.time() - each.stat().st_mtime > STALE_S:
            shutil.rmtree(each, ignore_errors=True)
        else:
            running += 1
    if running >= UPLOADS_MAX:
        raise TooManyUploads(f"{UPLOADS_MAX} uploads in parts are under way, which is the most.", hint="Wait for one to end.")
    (folder / id_).mkdir(mode=0o700)


async def post(call: Call) -> Response:
    """Begin an upload, or end it by putting its parts together."""
    action = call.query("action")
    if action == "initiate-upload":
        return await _initiate(call)
    if action == "complete-upload" and call.query("upload_type") == "multipart":
        return await _complete(call)
    raise files.PartsUnimplemented(action or "POST")


async def _initiate(call: Call) -> Response:
    """A session for an upload; whoever may not write is told now."""
    path = files.path_of(call)
    overwrite = call.query_bool("overwrite")
    await call.run(call.services.catalog.files.check_write, call.ctx, path, overwrite=overwrite)
    id_ = secrets.token_hex(16)
    await call.run(_begin, _folder(call), id_)
    seal = _signer(call).sign(f"upload/{id_}/{int(overwrite)}/{path}", call.ctx.principal.id, 0)
    return JSONResponse({"multipart_upload": {"session_token": f"{id_}-{int(overwrite)}-{seal}"}})


def _upload(call: Call, path: str, token: str) -> Upload:
    """The caller's upload of this path; raises UploadNotFound."""
    parts = _SESSION.fullmatch(token)
    expected = _signer(call).sign(f"upload/{parts[1]}/{parts[2]}/{path}", call.ctx.principal.id, 0) if parts else ""
    if parts is None or not secrets.compare_digest(expected, parts[3]) or not (_folder(call) / parts[1]).is_dir():
        raise UploadNotFound("The upload does not exist.", hint="Begin it again.")
    return Upload(parts[1], _folder(call) / parts[1], parts[2] == "1")


def _until(call: Call, wanted: str) -> int:
    """Until when an address is good, in seconds since 1970: as the client asks, and an hour at most."""
    now = int(call.services.clock.now().timestamp())
    try:
        asked = int(datetime.fromisoformat(wanted).timestamp()) if wanted else now + LINK_S_MAX
    except ValueError as error:
        raise InvalidArgument("`expire_time` is no moment.") from error
    return max(now, min(asked, now + LINK_S_MAX))


def _address(call: Call, path: str, thing: str, until: int) -> str:
    """A signed address on this server."""
    principal_id = call.ctx.principal.id
    signature = _signer(call).sign(thing, principal_id, until)
    base = str(call.request.base_url).rstrip("/")
    return f"{base}{path}&principal={principal_id}&expires={until}&signature={signature}"


async def _signed(call: Call, thing: str) -> RequestContext:
    """Whoever the address was signed for; raises LinkRefused when it is forged or expired, or the person is gone."""
    principal_id, expires = call.query("principal"), call.query_int("expires") or 0
    now_s = call.services.clock.now().timestamp()
    _signer(call).check(thing, principal_id, expires, call.query("signature"), now_s=now_s)
    principal = await call.run(call.services.access.principals.get, system_context("rest"), principal_id)
    if not principal.active:
        raise LinkRefused("This link is not valid any more.")
    return context_for(call.request, principal, "databricks")


async def part_urls(call: Call) -> Response:
    """Addresses to which parts are sent."""
    body = await call.json(PartUrlsBody)
    upload = await call.run(_upload, call, body.path, body.session_token)
    last = body.start_part_number + body.count - 1
    if body.start_part_number < 1 or not 1 <= body.count <= URLS_MAX or last > PARTS_MAX:
        raise InvalidArgument(f"Parts are numbered from 1 to {PARTS_MAX}, and at most {URLS_MAX} addresses are given at once.")
    until = _until(call, body.expire_time)
    rows = [
        {"part_number": number, "headers": [], "url": _part_address(call, upload, body.path, number, until)}
        for number in range(body.start_part_number, last + 1)
    ]
    return JSONResponse({"upload_part_urls": rows})


def _part_address(call: Call, upload: Upload, path: str, number: int, until: int) -> str:
    """Address of one part."""
    where = PARTS.format(session=upload.id, number=number)
    query = f"?path={quote(path)}&overwrite={int(upload.overwrite)}"
    return _address(call, where + query, _part_thing(upload.id, number, path, upload.overwrite), until)


def _part_thing(upload_id: str, number: int, path: str, overwrite: bool) -> str:
    """What the address of a part is signed for."""
    return f"upload-part/{upload_id}/{number}/{int(overwrite)}/{path}"


async def put_part(call: Call) -> Response:
    """Take one part; sending it again replaces it."""
    session, number = call.path("session"), call.path("number")
    path, overwrite = call.query("path"), call.query("overwrite") == "1"
    if not number.isascii() or not number.isdigit():
        raise LinkRefused("This link is not valid.")
    ctx = await _signed(call, _part_thing(session, int(number), path, overwrite))
    await call.run(call.services.catalog.files.check_write, ctx, path, overwrite=overwrite)
    folder = _folder(call) / session
    if not folder.is_dir():
        raise UploadNotFound("The upload does not exist.", hint="Begin it again.")
    temporary = folder / f"new-{secrets.token_hex(8)}"
    try:
        with temporary.open("w+b") as buffer:
            await files.receive(call, buffer)
        etag = await call.run(_keep, temporary, int(number))
    finally:
        temporary.unlink(missing_ok=True)
    return Response(status_code=HTTPStatus.OK, headers={"etag": f'"{etag}"'})


def _keep(temporary: Path, number: int) -> str:
    """Name a part by its number and the hash of its content, in place of one that was sent before."""
    with temporary.open("rb") as file:
        etag = hashlib.file_digest(file, "sha256").hexdigest()
    kept = temporary.with_name(f"{number:05}.{etag}")
    temporary.rename(kept)
    for other in temporary.parent.glob(f"{number:05}.*"):
        if other != kept:
            other.unlink(missing_ok=True)
    return etag


async def _complete(call: Call) -> Response:
    """Put the parts together: the file appears whole, and the upload is over."""
    path = files.path_of(call)
    upload = await call.run(_upload, call, path, call.query("session_token"))
    body = await call.json(CompleteBody)
    await call.run(_assemble, call, upload, path, body.parts)
    return Response(status_code=HTTPStatus.OK)


def _assemble(call: Call, upload: Upload, path: str, parts: list[Part]) -> None:
    """Write the file from its parts in the order of their numbers."""
    there = {match[1]: match[2] for each in upload.folder.iterdir() if (match := _PART.fullmatch(each.name))}
    wanted = [(f"{each.part_number:05}", each.etag.strip('"')) for each in sorted(parts, key=lambda each: each.part_number)]
    if not wanted or len({number for number, _ in wanted}) != len(wanted) or any(there.get(number) != etag for number, etag in wanted):
        raise InvalidArgument("A part is missing, named twice or not the one that was sent.", hint="Send it again, and repeat this call.")
    names = [upload.folder / f"{number}.{etag}" for number, etag in wanted]
    pieces = (piece for name in names for piece in _pieces(name))
    call.services.catalog.files.write(call.ctx, path, pieces, overwrite=upload.overwrite, bytes_max=FILE_BYTES_MAX)
    shutil.rmtree(upload.folder, ignore_errors=True)


def _pieces(name: Path) -> Iterator[bytes]:
    """Content of one part."""
    with name.open("rb") as file:
        while piece := file.read(files.READ_BYTES):
            yield piece


async def abort_url(call: Call) -> Response:
    """Address at which the caller gives an upload up."""
    body = await call.json(SessionBody)
    upload = await call.run(_upload, call, body.path, body.session_token)
    where = PARTS.format(session=upload.id, number="all") + "?abort=true"
    address = _address(call, where, f"upload-abort/{upload.id}", _until(call, body.expire_time))
    return JSONResponse({"abort_upload_url": {"url": address, "headers": []}})


async def abort(call: Call) -> Response:
    """Throw the parts of an upload away."""
    session = call.path("session")
    await _signed(call, f"upload-abort/{session}")
    await call.run(shutil.rmtree, _folder(call) / session, ignore_errors=True)
    return Response(status_code=HTTPStatus.OK)


async def download_url(call: Call) -> Response:
    """Address from which a file that the caller may read is fetched without a credential."""
    path = call.query("path")
    await call.run(call.services.catalog.files.stat, call.ctx, path)
    until = _until(call, call.query("expire_time"))
    where = SIGNED_FILES.replace("{path:path}", quote(path.lstrip("/"))) + "?by=link"
    return JSONResponse({"url": _address(call, where, f"download{path}", until), "headers": []})


async def signed_download(call: Call) -> Response:
    """A file by its signed address, with ranges as at the Files API."""
    path = files.path_of(call)
    ctx = await _signed(call, f"download{path}")
    return await files.download(Call(call.request, call.services, ctx))


ROUTES = (
    DoorRoute("POST", files.FILES + "/{path:path}", post, "databricks"),
    DoorRoute("POST", "/api/2.0/fs/create-upload-part-urls", part_urls, "databricks"),
    DoorRoute("POST", "/api/2.0/fs/create-abort-upload-url", abort_url, "databricks"),
    DoorRoute("POST", "/api/2.0/fs/create-download-url", download_url, "databricks"),
    DoorRoute("PUT", PARTS, put_part, "databricks", needs="nobody"),
    DoorRoute("DELETE", PARTS, abort, "databricks", needs="nobody"),
    DoorRoute("GET", SIGNED_FILES, signed_download, "databricks", needs="nobody"),
)
