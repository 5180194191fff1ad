"""Object stores on this machine, started from their packages: moto for S3, Azurite for Azure Blob Storage."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from insjo.adapters.delta.copies import DeltaCopies
from insjo.adapters.delta.mirrored import MirroredCopies, MirroredTables
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.files.storage import LocalFiles
from insjo.adapters.objects.files import ObjectFiles
from insjo.adapters.objects.mirror import DiskMirror
from insjo.adapters.objects.store import Objects
from tests.support.lake import read_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.catalog.ports import CleanableStorage, FileStorage, PlainCopies
    from insjo.catalog.types import Snapshot

AZURITE = "azurite@3.35.0"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that Azurite has in every installation; it is no secret."""

_START_S = 60.0
_INSTALL_S = 240.0


@dataclass(frozen=True)
class Store:
    """An address, and what one needs to get in."""

    kind: str
    url: str = ""
    options: dict[str, str] = field(default_factory=dict)
    delta_options: dict[str, str] = field(default_factory=dict)

    def below(self, name: str) -> Store:
        """A folder of its own for one test."""
        return Store(self.kind, f"{self.url}/{name}", self.options, self.delta_options)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def s3() -> Iterator[Store]:
    """Moto with a bucket."""
    pytest.importorskip("moto.server", reason="S3: the package moto[server] is not installed")
    port = free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        assert _request(port, "/lake", {}) == 200
        endpoint = f"http://127.0.0.1:{port}"
        options = {"access_key_id": "tester", "secret_access_key": "tester", "region": "us-east-1", "endpoint": endpoint}
        theirs = {f"aws_{key}": value for key, value in options.items()} | {"aws_allow_http": "true", "aws_conditional_put": "etag"}
        yield Store("s3", "s3://lake", options, theirs)


@contextmanager
def azure(cache: Path) -> Iterator[Store]:
    """Azurite with a container; installed into a cache folder by npm at the first call."""
    command = _azurite(cache)
    port = free_port()
    flags = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"]
    with _running([*command, *flags, "--disableTelemetry"], port):
        _make_container(port)
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        options = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "endpoint": endpoint}
        theirs = {f"azure_storage_{key}": value for key, value in options.items()} | {"azure_allow_http": "true"}
        yield Store("azure", "az://lake", options, theirs)


def _azurite(cache: Path) -> list[str]:
    """The command that starts Azurite's blob service."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Azure: node and npm, which run Azurite, are not installed")
    program = cache / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not program.is_file():
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(cache), AZURITE],
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"Azure: npm could not install {AZURITE}: {done.stderr[-200:]}")
    return [node, str(program)]


def _make_container(port: int) -> None:
    date, version = formatdate(usegmt=True), "2021-08-06"
    text = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/lake\nrestype:container"
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    authorization = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": authorization, "Content-Length": "0"}
    assert _request(port, f"/{ACCOUNT}/lake?restype=container", headers) == 201


def _request(port: int, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("PUT", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with ExitStack() as stack:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, f"{command[1]} ended by itself"
                assert time.monotonic() < deadline, f"{command[1]} does not listen"
                time.sleep(0.05)
        yield


@dataclass
class Opened:
    """What the adapters make of a store, with a data folder of its own: one server."""

    root: Path
    tables: CleanableStorage
    files: FileStorage
    copies: PlainCopies
    mirror: DiskMirror | None = None
    objects: Objects | None = None

    def read(self, snapshot: Snapshot) -> list[dict[str, object]]:
        """Rows of a snapshot; the files are fetched where that is needed."""
        with self.mirror.held([file.path for file in snapshot.files]) if self.mirror else nullcontext():
            return read_files(snapshot)


@contextmanager
def opened(store: Store, root: Path, *, cache_bytes: int = 1 << 30) -> Iterator[Opened]:
    """The adapters for a store."""
    for name in ("tables", "volumes"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if store.kind == "local":
        yield Opened(root, DeltaStorage(), LocalFiles(), DeltaCopies())
        return
    objects = Objects(store.url, store.options)
    mirror = DiskMirror(root, objects, cache_bytes)
    mirror.start()
    tables = MirroredTables(mirror)
    try:
        yield Opened(root, tables, ObjectFiles(mirror), MirroredCopies(mirror), mirror, objects)
    finally:
        tables.close()
        mirror.close()
