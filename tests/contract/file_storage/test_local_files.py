"""Whole files or none, no way out of the folder, and the errors that the port promises."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from insjo.adapters.files.storage import LocalFiles
from insjo.catalog.errors import DirectoryNotEmpty, DiskFull, FileAlreadyExists, FileNotFound, FileTooLarge, InvalidPath

BIG = 1 << 40


@pytest.fixture
def folder(tmp_path: Path) -> str:
    location = tmp_path / "volume"
    LocalFiles().make_directory(str(location), "")
    return str(location)


def put(folder: str, path: str, content: bytes, *, overwrite: bool = False) -> None:
    LocalFiles().write(folder, path, [content], overwrite=overwrite, bytes_max=BIG)


def content_of(folder: str, path: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(LocalFiles().read(folder, path, offset, length))


def names(folder: str, path: str = "") -> list[str]:
    return [each.path for each in LocalFiles().list(folder, path)]


@pytest.mark.parametrize(
    "path", ["a.csv", "sub/dir/a.csv", "å ö/ä b.csv", "日本/emoji 🐟.txt", "100%/a#b?c.csv", "-rf", "a'b\"c.csv", "x" * 255]
)
def test_what_is_written_is_read_again(folder: str, path: str) -> None:
    stored = LocalFiles().write(folder, path, [b"one,", b"", b"two"], overwrite=False, bytes_max=BIG)
    assert (stored.path, stored.size_bytes, stored.is_directory) == (path, 7, False)
    assert content_of(folder, path) == b"one,two"
    assert Path(stored.local_path).read_bytes() == b"one,two"


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, None, b"0123456789"), (3, 4, b"3456"), (8, 100, b"89"), (10, None, b""), (50, 5, b""), (0, 0, b"")],
)
def test_ranges(folder: str, offset: int, length: int | None, expected: bytes) -> None:
    put(folder, "a", b"0123456789")
    assert content_of(folder, "a", offset, length) == expected


def test_a_file_is_replaced_only_when_that_is_allowed(folder: str) -> None:
    put(folder, "a", b"old")
    with pytest.raises(FileAlreadyExists):
        put(folder, "a", b"new")
    assert content_of(folder, "a") == b"old"
    put(folder, "a", b"new", overwrite=True)
    assert content_of(folder, "a") == b"new"
    LocalFiles().make_directory(folder, "d")
    with pytest.raises(FileAlreadyExists, match="directory"):
        put(folder, "d", b"x", overwrite=True)
    with pytest.raises(FileAlreadyExists):
        put(folder, "a/b", b"x")


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_a_mixture(folder: str) -> None:
    size = 300_000
    put(folder, "a", b"0" * size)
    done = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not done.is_set():
            content = content_of(folder, "a")
            assert len(content) == size
            seen.add(content[:1] + content[-1:])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 30):
        put(folder, "a", str(number % 10).encode() * size, overwrite=True)
    done.set()
    reader.join()
    assert all(each[:1] == each[1:] for each in seen)


def test_an_upload_that_breaks_off_leaves_nothing(folder: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        LocalFiles().write(folder, "new/a", broken(), overwrite=False, bytes_max=BIG)
    assert names(folder, "new") == []
    put(folder, "b", b"old")
    with pytest.raises(ConnectionError):
        LocalFiles().write(folder, "b", broken(), overwrite=True, bytes_max=BIG)
    assert content_of(folder, "b") == b"old"
    with pytest.raises(FileTooLarge):
        LocalFiles().write(folder, "b", [b"123", b"456"], overwrite=True, bytes_max=5)
    assert content_of(folder, "b") == b"old"
    assert not [path for path in Path(folder).rglob("*") if path.is_file() and path.name != "b"]


def test_uploads_of_killed_servers_are_cleared_away(folder: str) -> None:
    put(folder, "a", b"x")
    left = Path(folder) / ".insjo-uploads" / "left"
    left.write_bytes(b"half")
    put(folder, "b", b"x")
    assert left.exists()
    os.utime(left, (1, 1))
    put(folder, "c", b"x")
    assert not left.exists()
    assert names(folder) == ["a", "b", "c"]


def test_a_full_disk_is_told(folder: str, repository: Path) -> None:
    code = f"""
import resource
from insjo.adapters.files.storage import LocalFiles
from insjo.catalog.errors import DiskFull
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LocalFiles().write({folder!r}, "big", [b"x" * 500] * 10, overwrite=False, bytes_max=10**9)
except DiskFull as error:
    print(error.code)
"""
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "DISK_FULL"
    assert names(folder) == []
    assert DiskFull.code == "DISK_FULL"


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a//b", "./a", "a/."])
def test_no_path_leads_out(folder: str, path: str) -> None:
    (Path(folder).parent / "x").write_text("outside")
    LocalFiles().make_directory(folder, "a")
    with pytest.raises((InvalidPath, FileNotFound, FileAlreadyExists, OSError)):
        put(folder, path, b"inside", overwrite=True)
    assert (Path(folder).parent / "x").read_text() == "outside"


def test_no_symbolic_link_is_followed_or_shown(folder: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (Path(folder) / "dir").symlink_to(outside)
    (Path(folder) / "file").symlink_to(outside / "secret")
    files = LocalFiles()
    assert names(folder) == []
    for path in ("dir", "file", "dir/secret"):
        assert files.stat(folder, path) is None
        with pytest.raises(FileNotFound):
            content_of(folder, path)
        with pytest.raises(FileNotFound):
            names(folder, path)
    with pytest.raises(FileAlreadyExists):
        put(folder, "dir/new", b"x")
    put(folder, "file", b"mine", overwrite=True)  # The link is replaced, what it points to is not.
    assert content_of(folder, "file") == b"mine"
    assert (outside / "secret").read_text() == "secret"
    files.delete(folder, "", recursive=True)
    assert (outside / "secret").exists()


def test_pipes_and_devices_are_not_files(folder: str) -> None:
    os.mkfifo(Path(folder) / "pipe")
    assert LocalFiles().stat(folder, "pipe") is None
    assert names(folder) == []
    with pytest.raises(FileNotFound):
        content_of(folder, "pipe")


def test_directories(folder: str) -> None:
    files = LocalFiles()
    files.make_directory(folder, "a/b")
    files.make_directory(folder, "a/b")
    put(folder, "a/b/c", b"x")
    put(folder, "a/z", b"x")
    assert [(each.path, each.is_directory) for each in files.list(folder, "a")] == [("a/b", True), ("a/z", False)]
    with pytest.raises(DirectoryNotEmpty):
        files.delete(folder, "a")
    with pytest.raises(FileNotFound):
        files.delete(folder, "nothing")
    with pytest.raises(FileNotFound):
        names(folder, "a/z")
    with pytest.raises(FileAlreadyExists):
        files.make_directory(folder, "a/z/under")
    files.delete(folder, "a", recursive=True)
    assert names(folder) == []


def test_what_is_not_there(folder: str) -> None:
    assert LocalFiles().stat(folder, "a") is None
    assert LocalFiles().stat(folder, "a/b") is None
    with pytest.raises(FileNotFound):
        content_of(folder, "a")
    with pytest.raises(InvalidPath):
        put(folder, "x" * 256, b"")
