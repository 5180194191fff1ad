"""What the port promises holds on the local disk, on S3 and on Azure Blob Storage alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from insjo.catalog.errors import DirectoryNotEmpty, FileAlreadyExists, FileNotFound, FileTooLarge, InvalidPath
from tests.support.stores import Opened, Store, opened

BIG = 1 << 40


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[Opened]:
    with opened(store, tmp_path) as made:
        yield made


@pytest.fixture
def folder(server: Opened) -> str:
    location = str(server.root / "volumes" / "v")
    server.files.make_directory(location, "")
    return location


def put(server: Opened, folder: str, path: str, content: bytes, *, overwrite: bool = False) -> None:
    server.files.write(folder, path, [content], overwrite=overwrite, bytes_max=BIG)


def content_of(server: Opened, folder: str, path: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(server.files.read(folder, path, offset, length))


def names(server: Opened, folder: str, path: str = "") -> list[str]:
    return [each.path for each in server.files.list(folder, path)]


@pytest.mark.parametrize("path", ["a.csv", "sub/dir/a.csv", "å ö/ä b.csv", "日本/emoji 🐟.txt", "100%/a#b?c.csv", "-rf", "a'b\"c.csv"])
def test_what_is_written_is_read_again(server: Opened, folder: str, path: str) -> None:
    stored = server.files.write(folder, path, [b"one,", b"", b"two"], overwrite=False, bytes_max=BIG)
    assert (stored.path, stored.size_bytes, stored.is_directory) == (path, 7, False)
    assert content_of(server, folder, path) == b"one,two"
    assert server.files.stat(folder, path) == stored
    assert [each.path for each in server.files.list(folder, path.rpartition("/")[0])] == [path]


def test_engines_find_the_content_that_was_there_when_they_asked(server: Opened, folder: str) -> None:
    put(server, folder, "a.csv", b"old")
    (before,) = server.files.list(folder, "")
    with server.mirror.held([before.local_path]) if server.mirror else nullcontext():
        assert Path(before.local_path).read_bytes() == b"old"
    put(server, folder, "a.csv", b"new", overwrite=True)
    (after,) = server.files.list(folder, "")
    with server.mirror.held([after.local_path]) if server.mirror else nullcontext():
        assert Path(after.local_path).read_bytes() == b"new"
    if server.mirror is not None:
        assert after.local_path != before.local_path
        Path(after.local_path).unlink()  # As if there had been no room for the copy.
        with server.mirror.held([after.local_path]):
            assert Path(after.local_path).read_bytes() == b"new"
        Path(before.local_path).unlink(missing_ok=True)
        with server.mirror.held([before.local_path]):
            assert not Path(before.local_path).exists()  # That content is gone; the new one never stands in for it.


@pytest.mark.parametrize(
    ("offset", "length", "expected"), [(0, 0, b""), (2, 3, b"234"), (8, 100, b"89"), (10, None, b""), (99, None, b""), (5, None, b"56789")]
)
def test_parts_of_files(server: Opened, folder: str, offset: int, length: int | None, expected: bytes) -> None:
    put(server, folder, "a", b"0123456789")
    assert content_of(server, folder, "a", offset, length) == expected


def test_large_files_come_back_whole(server: Opened, folder: str) -> None:
    chunk = bytes(range(256)) * 4096
    server.files.write(folder, "big", (chunk for _ in range(20)), overwrite=True, bytes_max=BIG)
    assert content_of(server, folder, "big") == chunk * 20
    assert content_of(server, folder, "big", len(chunk) * 19 + 5, 300) == chunk[5:305]


def test_a_file_is_replaced_only_when_that_is_asked_for(server: Opened, folder: str) -> None:
    put(server, folder, "a", b"old")
    with pytest.raises(FileAlreadyExists):
        put(server, folder, "a", b"new")
    assert content_of(server, folder, "a") == b"old"
    put(server, folder, "a", b"new", overwrite=True)
    assert content_of(server, folder, "a") == b"new"
    server.files.make_directory(folder, "d")
    with pytest.raises(FileAlreadyExists, match="directory"):
        put(server, folder, "d", b"x", overwrite=True)
    with pytest.raises(FileAlreadyExists):
        put(server, folder, "a/b", b"x")


def test_one_of_four_who_make_the_same_file_wins(server: Opened, folder: str) -> None:
    won: list[int] = []

    def make(number: int) -> None:
        try:
            put(server, folder, "same", str(number).encode() * 1000)
            won.append(number)
        except FileAlreadyExists:
            pass

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert content_of(server, folder, "same") == str(won[0]).encode() * 1000


def test_an_upload_that_breaks_off_leaves_nothing(server: Opened, folder: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        server.files.write(folder, "new", broken(), overwrite=False, bytes_max=BIG)
    assert server.files.stat(folder, "new") is None
    put(server, folder, "b", b"old")
    with pytest.raises(ConnectionError):
        server.files.write(folder, "b", broken(), overwrite=True, bytes_max=BIG)
    with pytest.raises(FileTooLarge):
        server.files.write(folder, "b", [b"123", b"456"], overwrite=True, bytes_max=5)
    assert content_of(server, folder, "b") == b"old"
    assert names(server, folder) == ["b"]


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "./a", "a/."])
def test_no_path_leads_out(server: Opened, folder: str, path: str) -> None:
    server.files.make_directory(folder, "a")
    with pytest.raises((InvalidPath, FileNotFound, FileAlreadyExists, OSError)):
        put(server, folder, path, b"inside", overwrite=True)
    assert names(server, folder) == ["a"]


def test_directories(server: Opened, folder: str) -> None:
    files = server.files
    files.make_directory(folder, "a/b")
    files.make_directory(folder, "a/b")
    put(server, folder, "a/b/c", b"x")
    put(server, folder, "a/z", b"x")
    put(server, folder, "ab", b"x")
    assert [(each.path, each.is_directory) for each in files.list(folder, "a")] == [("a/b", True), ("a/z", False)]
    with pytest.raises(DirectoryNotEmpty):
        files.delete(folder, "a")
    with pytest.raises(FileNotFound):
        files.delete(folder, "nothing")
    with pytest.raises(FileNotFound):
        names(server, folder, "a/z")
    with pytest.raises(FileAlreadyExists):
        files.make_directory(folder, "a/z/under")
    files.delete(folder, "a/b/c")
    assert names(server, folder, "a/b") == []  # A directory does not go with the last file in it.
    files.delete(folder, "a/b")
    assert names(server, folder, "a") == ["a/z"]
    files.delete(folder, "a", recursive=True)
    assert names(server, folder) == ["ab"]
    files.delete(folder, "", recursive=True)
    assert server.objects is None or not list(server.objects.list(""))


def test_what_is_not_there(server: Opened, folder: str) -> None:
    assert server.files.stat(folder, "a") is None
    assert server.files.stat(folder, "a/b") is None
    with pytest.raises(FileNotFound):
        content_of(server, folder, "a")


def test_a_key_that_no_store_takes_is_told(server: Opened, folder: str) -> None:
    if server.objects is None:
        put(server, folder, "/".join(["x" * 200] * 30), b"")  # The disk takes it.
        return
    with pytest.raises(InvalidPath):
        put(server, folder, "/".join(["x" * 200] * 30), b"")
