"""Static files under addresses that change with their content, so that browsers may keep them for a year."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from starlette.requests import Request

PREFIX: Final = "/static"
KEPT: Final = "public, max-age=31536000, immutable"
TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json", ".txt": "text/plain"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, held in memory: there are few and they are small."""

    content: bytes
    media_type: str
    digest: str


class StaticFiles:
    """All static files of the package.

    A JavaScript module imports its neighbours by relative addresses, so one digest over all files stands in the path instead of
    one in each name.
    """

    def __init__(self) -> None:
        self._files: dict[str, StaticFile] = {}
        self._read(resources.files("insjo.web") / "static", "")
        whole = hashlib.sha256()
        for path in sorted(self._files):
            whole.update(path.encode() + self._files[path].content)
        self._version = whole.hexdigest()[:12]

    def _read(self, folder: Traversable, prefix: str) -> None:
        """Every file below a folder."""
        for entry in folder.iterdir():
            if entry.is_dir():
                self._read(entry, f"{prefix}{entry.name}/")
                continue
            content = entry.read_bytes()
            suffix = "." + entry.name.rsplit(".", 1)[-1]
            media_type = TYPES.get(suffix) or mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            self._files[prefix + entry.name] = StaticFile(content, media_type, hashlib.sha256(content).hexdigest()[:16])

    def url(self, path: str) -> str:
        """Address of a file; KeyError for one that is not there, so that a wrong name fails in a test."""
        if path not in self._files:
            raise KeyError(path)
        return f"{PREFIX}/{self._version}/{path}"

    def route(self) -> Route:
        """The route that serves them."""
        return Route(PREFIX + "/{version}/{path:path}", self._serve, methods=["GET"])

    async def _serve(self, request: Request) -> Response:
        """One file; an old version in the address gets today's content without being kept."""
        file = self._files.get(request.path_params["path"])
        if file is None:
            return Response(status_code=404)
        kept = KEPT if request.path_params["version"] == self._version else "no-cache"
        headers = {"cache-control": kept, "etag": f'"{file.digest}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)
