"""Files and directories of volumes through the official `databricks-sdk`."""

from __future__ import annotations

import hashlib
import io
import random
import time
import uuid
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    NotFound,
    NotImplemented,  # noqa: A004  # The SDK's name of the error for 501.
    PermissionDenied,
    ResourceConflict,
)
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType

from tests.clients.conftest import Site

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def volume(plain_client: WorkspaceClient) -> str:
    """Path of a volume of this module."""
    name = f"files_{uuid.uuid4().hex[:8]}"
    plain_client.volumes.create("main", "default", name, VolumeType.MANAGED)
    return f"/Volumes/main/default/{name}"


def content(w: WorkspaceClient, path: str) -> bytes:
    stream = w.files.download(path).contents
    assert stream is not None
    with stream:
        return stream.read()


@pytest.mark.covers("files.upload", "files.download", "files.get_metadata", "files.delete")
def test_a_file_goes_up_comes_down_and_goes(w: WorkspaceClient, volume: str) -> None:
    path = f"{volume}/rapporter 2024/å ä ö + 100 %.csv"
    before = int(time.time())
    w.files.upload(path, io.BytesIO(b"id,namn\n1,\xc3\x85sa\n"))
    assert content(w, path) == b"id,namn\n1,\xc3\x85sa\n"
    told = w.files.get_metadata(path)
    assert told.content_length == 15
    assert told.content_type == "application/octet-stream"
    assert told.last_modified
    down = w.files.download(path)
    assert (down.content_length, down.last_modified) == (15, told.last_modified)
    listed = list(w.files.list_directory_contents(f"{volume}/rapporter 2024"))
    assert [(each.path, each.name, each.is_directory, each.file_size) for each in listed] == [(path, path.rpartition("/")[2], False, 15)]
    assert before - 5 <= (listed[0].last_modified or 0) / 1000 <= time.time() + 5
    with pytest.raises(ResourceConflict, match="already"):
        w.files.upload(path, io.BytesIO(b"other"), overwrite=False)
    assert content(w, path) == b"id,namn\n1,\xc3\x85sa\n"
    w.files.upload(path, io.BytesIO(b""), overwrite=True)
    assert content(w, path) == b""
    w.files.delete(path)
    for missing in (lambda: w.files.download(path), lambda: w.files.get_metadata(path), lambda: w.files.delete(path)):
        with pytest.raises(NotFound):
            missing()


@pytest.mark.covers("files.create_directory", "files.list_directory_contents", "files.get_directory_metadata", "files.delete_directory")
def test_directories(w: WorkspaceClient, volume: str) -> None:
    w.files.create_directory(f"{volume}/a/b/ö")
    w.files.create_directory(f"{volume}/a/b/ö")
    w.files.get_directory_metadata(f"{volume}/a/b")
    for number in range(7):
        w.files.upload(f"{volume}/a/{number}.txt", io.BytesIO(b"x" * number))
    listed = [(each.name, each.is_directory) for each in w.files.list_directory_contents(f"{volume}/a", page_size=2)]
    assert listed == [*((f"{number}.txt", False) for number in range(7)), ("b", True)]
    with pytest.raises(BadRequest, match="not empty"):
        w.files.delete_directory(f"{volume}/a")
    w.files.delete_directory(f"{volume}/a/b/ö")
    with pytest.raises(NotFound):
        w.files.get_directory_metadata(f"{volume}/a/b/ö")
    for call in (w.files.get_directory_metadata, w.files.delete_directory, lambda path: list(w.files.list_directory_contents(path))):
        with pytest.raises(NotFound):
            call(f"{volume}/a/0.txt")
    with pytest.raises(NotFound, match="directory"):
        w.files.download(f"{volume}/a/b")
    with pytest.raises(ResourceConflict):
        w.files.upload(f"{volume}/a/b", io.BytesIO(b"x"))
    with pytest.raises(ResourceConflict):
        w.files.upload(f"{volume}/a/0.txt/below.txt", io.BytesIO(b"x"))


@pytest.mark.covers("files.upload_from", "files.download_to")
def test_a_file_above_the_limit_of_one_request_of_the_client(w: WorkspaceClient, volume: str, tmp_path: Path) -> None:
    block = random.Random(4).randbytes(MIB)
    source = tmp_path / "big.bin"
    with source.open("wb") as file:
        for number in range(60):
            file.write(number.to_bytes(4, "big") + block[4:])
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    w.files.upload_from(f"{volume}/big.bin", str(source), overwrite=False)
    assert w.files.get_metadata(f"{volume}/big.bin").content_length == 60 * MIB
    w.files.download_to(f"{volume}/big.bin", str(tmp_path / "back.bin"))
    assert hashlib.sha256((tmp_path / "back.bin").read_bytes()).hexdigest() == digest
    with source.open("rb") as file:
        w.files.upload(f"{volume}/big-stream.bin", file)
    assert hashlib.sha256(content(w, f"{volume}/big-stream.bin")).hexdigest() == digest
    with pytest.raises(ResourceConflict, match="already"):
        w.files.upload_from(f"{volume}/big.bin", str(source), overwrite=False)
    with pytest.raises(NotFound):
        w.files.upload_from("/Volumes/main/default/missing/big.bin", str(source))
    assert {each.name for each in w.files.list_directory_contents(volume)} >= {"big.bin", "big-stream.bin"}


def test_a_part_of_a_file(w: WorkspaceClient, volume: str) -> None:
    w.files.upload(f"{volume}/digits.txt", io.BytesIO(b"0123456789"))
    response = w.api_client.do("GET", f"/api/2.0/fs/files{volume}/digits.txt", headers={"Range": "bytes=3-5"}, raw=True)
    assert response["contents"].read() == b"345"


def test_rights_on_a_volume_are_rights_on_its_files(w: WorkspaceClient, site: Site, volume: str) -> None:
    w.files.upload(f"{volume}/shared.txt", io.BytesIO(b"for you"))
    full_name = volume.removeprefix("/Volumes/").replace("/", ".")
    reader = site.client("files.reader")
    with pytest.raises(NotFound):
        reader.files.download(f"{volume}/shared.txt")
    w.grants.update("schema", "main.default", changes=[PermissionsChange(principal="files.reader", add=[Privilege.USE_SCHEMA])])
    w.grants.update("volume", full_name, changes=[PermissionsChange(principal="files.reader", add=[Privilege.READ_VOLUME])])
    assert content(reader, f"{volume}/shared.txt") == b"for you"
    with pytest.raises(PermissionDenied, match="WRITE VOLUME"):
        reader.files.upload(f"{volume}/mine.txt", io.BytesIO(b"x"))
    with pytest.raises(PermissionDenied):
        reader.files.delete(f"{volume}/shared.txt")
    assert content(w, f"{volume}/shared.txt") == b"for you"


def test_paths_outside_a_volume_are_no_paths(w: WorkspaceClient, volume: str) -> None:
    for path in ("/etc/passwd", "/Workspace/x", "/Volumes/main", f"{volume}/../../../../etc/passwd", f"{volume}/a\x00b"):
        with pytest.raises((BadRequest, NotFound)):
            w.files.upload(path, io.BytesIO(b"x"))
        with pytest.raises((BadRequest, NotFound)):
            w.files.download(path)


def test_other_parts_of_the_files_api_say_that_they_are_missing(w: WorkspaceClient, volume: str) -> None:
    with pytest.raises(NotImplemented, match="create-download-url"):
        w.api_client.do("POST", "/api/2.0/fs/create-download-url", query={"path": f"{volume}/x"})
    with pytest.raises(NotImplemented, match="complete-upload"):
        w.api_client.do("POST", f"/api/2.0/fs/files{volume}/x", query={"action": "complete-upload"})
