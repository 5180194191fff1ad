"""Files and directories of volumes through the official `databricks-sdk`."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, cast

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
def test_a_file_above_the_limit_of_one_request_of_the_client(
    w: WorkspaceClient, site: Site, volume: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    block = random.Random(4).randbytes(MIB)
    source = tmp_path / "big.bin"
    with source.open("wb") as file:
        for number in range(60):
            file.write(number.to_bytes(4, "big") + block[4:])
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    with caplog.at_level("INFO", logger="databricks.sdk"):
        w.files.upload_from(f"{volume}/big.bin", str(source), overwrite=False)
    assert "Falling back" not in caplog.text  # It went up in parts.
    assert w.files.get_metadata(f"{volume}/big.bin").content_length == 60 * MIB
    w.files.download_to(f"{volume}/big.bin", str(tmp_path / "back.bin"))
    assert hashlib.sha256((tmp_path / "back.bin").read_bytes()).hexdigest() == digest
    with source.open("rb") as file, caplog.at_level("INFO", logger="databricks.sdk"):
        w.files.upload(f"{volume}/big-stream.bin", file)
    assert "Falling back" not in caplog.text
    assert list((site.server.data_dir / "run" / "uploads").iterdir()) == []
    assert hashlib.sha256(content(w, f"{volume}/big-stream.bin")).hexdigest() == digest
    with pytest.raises(ResourceConflict, match="already"):
        w.files.upload_from(f"{volume}/big.bin", str(source), overwrite=False)
    with pytest.raises(NotFound):
        w.files.upload_from("/Volumes/main/default/missing/big.bin", str(source))
    assert {each.name for each in w.files.list_directory_contents(volume)} >= {"big.bin", "big-stream.bin"}


class Parts:
    """The calls of an upload in parts, one by one."""

    def __init__(self, client: WorkspaceClient, path: str, *, overwrite: bool = False) -> None:
        self.client = client
        self.path = path
        query = {"action": "initiate-upload", "overwrite": overwrite}
        told = cast("dict[str, Any]", client.api_client.do("POST", f"/api/2.0/fs/files{path}", query=query))
        self.token: str = told["multipart_upload"]["session_token"]

    def addresses(self, count: int, token: str = "") -> list[str]:
        body = {"path": self.path, "session_token": token or self.token, "start_part_number": 1, "count": count}
        told = cast("dict[str, Any]", self.client.api_client.do("POST", "/api/2.0/fs/create-upload-part-urls", body=body))
        return [each["url"] for each in told["upload_part_urls"]]

    def complete(self, *etags: str) -> None:
        query = {"action": "complete-upload", "upload_type": "multipart", "session_token": self.token}
        body = {"parts": [{"part_number": number, "etag": etag} for number, etag in enumerate(etags, 1)]}
        self.client.api_client.do("POST", f"/api/2.0/fs/files{self.path}", query=query, body=body)


def plain(method: str, address: str, body: bytes | None = None) -> tuple[int, str, bytes]:
    """A request without a credential: status, tag of the content, body."""
    sent = urllib.request.Request(address, data=body, method=method)
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, answer.headers.get("etag", ""), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, "", error.read()


def test_parts_are_put_together_as_the_client_says(plain_client: WorkspaceClient, volume: str) -> None:
    upload = Parts(plain_client, f"{volume}/delar å.bin")
    first, second = upload.addresses(2)
    assert plain("PUT", first, b"wrong")[0] == 200
    tags = [plain("PUT", first, b"first")[1], plain("PUT", second, b"second")[1]]
    with pytest.raises(NotFound):
        plain_client.files.get_metadata(upload.path)
    for wrong in ((), (tags[0], tags[0]), (tags[1], tags[0]), (*tags, tags[0])):
        with pytest.raises(BadRequest, match="part is missing"):
            upload.complete(*wrong)
    upload.complete(*tags)
    assert content(plain_client, upload.path) == b"firstsecond"
    with pytest.raises(NotFound):
        upload.complete(*tags)
    assert plain("PUT", first, b"late")[0] == 409
    with pytest.raises(ResourceConflict):
        Parts(plain_client, upload.path)
    again = Parts(plain_client, upload.path, overwrite=True)
    again.complete(plain("PUT", again.addresses(1)[0], b"new")[1])
    assert content(plain_client, upload.path) == b"new"
    given_up = Parts(plain_client, f"{volume}/given-up.bin")
    (address,) = given_up.addresses(1)
    body = {"path": given_up.path, "session_token": given_up.token}
    told = cast("dict[str, Any]", plain_client.api_client.do("POST", "/api/2.0/fs/create-abort-upload-url", body=body))
    assert plain("DELETE", told["abort_upload_url"]["url"])[0] == 200
    assert plain("PUT", address, b"x")[0] == 404


def test_a_signed_address_is_for_one_person_one_thing_and_a_time(plain_client: WorkspaceClient, site: Site, volume: str) -> None:
    full_name = volume.removeprefix("/Volumes/").replace("/", ".")
    writer = site.client("files.writer")
    with pytest.raises(NotFound):
        Parts(writer, f"{volume}/theirs.bin")
    plain_client.grants.update("schema", "main.default", changes=[PermissionsChange(principal="files.writer", add=[Privilege.USE_SCHEMA])])
    both = [Privilege.WRITE_VOLUME, Privilege.READ_VOLUME]
    plain_client.grants.update("volume", full_name, changes=[PermissionsChange(principal="files.writer", add=both)])
    upload = Parts(writer, f"{volume}/theirs.bin")
    (address,) = upload.addresses(1)
    with pytest.raises(NotFound):  # Another's session is none, for admins too.
        Parts(plain_client, upload.path).addresses(1, upload.token)
    for forged in (
        address.replace("theirs.bin", "other.bin"),
        address.replace("/1?", "/2?"),
        address.replace("overwrite=0", "overwrite=1"),
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        address.replace("expires=", "expires=9"),
    ):
        assert forged != address
        assert plain("PUT", forged, b"x")[0] == 403
    assert plain("GET", address)[0] == 501
    plain_client.files.upload(f"{volume}/readable.txt", io.BytesIO(b"0123456789"))
    link = cast(
        "dict[str, Any]", writer.api_client.do("POST", "/api/2.0/fs/create-download-url", query={"path": f"{volume}/readable.txt"})
    )["url"]
    assert plain("GET", link)[::2] == (200, b"0123456789")
    assert plain("GET", link.replace("readable", "theirs"))[0] == 403
    plain_client.grants.update("volume", full_name, changes=[PermissionsChange(principal="files.writer", remove=both)])
    assert plain("GET", link)[0] in {403, 404}  # What was revoked ends at once, whatever was signed.
    assert plain("PUT", address, b"x")[0] in {403, 404}
    with pytest.raises((NotFound, PermissionDenied)):
        writer.api_client.do("POST", "/api/2.0/fs/create-download-url", query={"path": f"{volume}/readable.txt"})


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
    with pytest.raises(NotImplemented, match="create-resumable-upload-url"):
        w.api_client.do("POST", "/api/2.0/fs/create-resumable-upload-url", body={"path": f"{volume}/x"})
    with pytest.raises(NotImplemented, match="complete-upload"):
        w.api_client.do("POST", f"/api/2.0/fs/files{volume}/x", query={"action": "complete-upload"})


@pytest.mark.covers(
    "dbfs.put",
    "dbfs.read",
    "dbfs.get_status",
    "dbfs.list",
    "dbfs.mkdirs",
    "dbfs.delete",
    "dbfs.upload",
    "dbfs.download",
    "dbfs.exists",
    "dbfs.copy",
)
def test_dbfs_is_a_view_of_volumes(w: WorkspaceClient, site: Site, volume: str) -> None:
    root = f"{volume}/dbfs"
    w.dbfs.mkdirs(f"{root}/a/b")
    w.dbfs.put(f"dbfs:{root}/a/x.txt", contents=base64.b64encode(b"0123456789").decode())
    assert base64.b64decode(w.dbfs.read(f"{root}/a/x.txt", offset=3, length=4).data or "") == b"3456"
    status = w.dbfs.get_status(f"{root}/a/x.txt")
    assert (status.path, status.is_dir, status.file_size) == (f"{root}/a/x.txt", False, 10)
    assert [(each.path, each.is_dir) for each in w.dbfs.list(f"{root}/a")] == [(f"{root}/a/b", True), (f"{root}/a/x.txt", False)]
    w.dbfs.upload(f"{root}/a/up.bin", io.BytesIO(b"up"))
    assert w.dbfs.download(f"{root}/a/up.bin").read(-1) == b"up"
    w.dbfs.copy(f"{root}/a/up.bin", f"{root}/a/b/copy.bin")
    assert w.dbfs.exists(f"{root}/a/b/copy.bin")
    with pytest.raises(ResourceConflict):
        w.dbfs.put(f"{root}/a/x.txt", contents="")
    other = site.client("dbfs.outsider").api_client
    hidden = f"{root}/a/x.txt"
    for method, call in (("GET", "read"), ("GET", "list"), ("GET", "get-status"), ("POST", "put"), ("POST", "mkdirs"), ("POST", "delete")):
        with pytest.raises(NotFound):
            other.do(method, f"/api/2.0/dbfs/{call}", query={"path": hidden}, body={"path": hidden} if method == "POST" else None)
    assert w.dbfs.get_status(hidden).file_size == 10
    with pytest.raises(BadRequest, match="not empty"):
        w.api_client.do("POST", "/api/2.0/dbfs/delete", body={"path": f"{root}/a"})
    w.api_client.do("POST", "/api/2.0/dbfs/delete", body={"path": f"{root}/a", "recursive": True})
    w.dbfs.delete(root, recursive=True)
    w.api_client.do("POST", "/api/2.0/dbfs/mkdirs", body={"path": f"{root}/c"})
    told = cast("dict[str, Any]", w.api_client.do("GET", "/api/2.0/dbfs/list", query={"path": root}))
    assert [each["path"] for each in told["files"]] == [f"{root}/c"]
    with pytest.raises(NotFound):
        w.dbfs.get_status(f"{root}/a/x.txt")
    with pytest.raises(BadRequest, match="volume"):
        w.dbfs.put("/FileStore/x", contents="")
    with pytest.raises(NotImplemented, match="dbfs/create"):
        w.api_client.do("POST", "/api/2.0/dbfs/create", body={"path": f"{root}/y"})
