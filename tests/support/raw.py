"""Plain HTTP against a running server, and a look at its child processes, for tests of what can go wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.server import RunningServer

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Told:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  # A decoded document.
        """The decoded body."""
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The message of a Databricks error."""
        told: str = self.json()["message"]
        return told


@dataclass(frozen=True)
class Raw:
    """Sends requests as they are, each over a connection of its own, and never twice."""

    server: RunningServer
    token: str

    def connect(self) -> http.client.HTTPConnection:
        """A connection on which nothing was sent yet."""
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=TIMEOUT_S)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Told:
        """Send bytes as they are, or anything else as JSON; without `authorization` or `cookie` the token is added."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if "authorization" not in sent and "cookie" not in sent:
            sent["authorization"] = f"Bearer {self.token}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, content, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return Told(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def sql(self, text: str, **more: object) -> dict[str, Any]:
        """Run a statement and wait for it; the decoded answer."""
        body = {"statement": text, "wait_timeout": "50s"} | more
        told: dict[str, Any] = self.send("POST", "/api/2.0/sql/statements", body).json()
        return told

    def rows(self, text: str) -> list[list[Any]]:
        """Rows of a statement that must succeed."""
        told = self.sql(text)
        assert told.get("status", {}).get("state") == "SUCCEEDED", (text, told)
        found: list[list[Any]] = told["result"].get("data_array") or []
        return found

    def failure(self, text: str) -> str:
        """Message of a statement that must fail."""
        told = self.sql(text)
        assert told.get("status", {}).get("state") == "FAILED", (text, told)
        message: str = told["status"]["error"]["message"]
        return message

    def put(self, path: str, content: bytes) -> None:
        """Write a file into a volume."""
        told = self.send("PUT", f"/api/2.0/fs/files{path}?overwrite=true", content)
        assert told.status == 204, told


def children(pid: int, module: str) -> list[int]:
    """Processes of a Python module below a process, nearest first."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    below = [pid]
    for each in below:
        below += [child for child, parent in parents.items() if parent == each]
    return [each for each in below[1:] if module in lines.get(each, "")]
