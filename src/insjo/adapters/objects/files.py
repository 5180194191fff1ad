"""The port `FileStorage` on object stores.

A directory is whatever lies below its name, and an empty object of a reserved name keeps one that holds nothing.  What is uploaded is
first written to the local disk, so that only whole files are sent; that file then is the first copy for engines.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.adapters.objects.mirror import copy_path
from insjo.catalog.errors import DirectoryNotEmpty, DiskFull, FileAlreadyExists, FileNotFound, FileTooLarge, InvalidPath
from insjo.catalog.ports import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from insjo.catalog.ports import Mirror, ObjectStore, StoredObject

_HIDDEN_PREFIX = ".insjo-"
_DIRECTORY = ".insjo-directory"
_UPLOADS = ".insjo-uploads"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_BYTES_MAX = 1000
"""S3 and Azure take keys of 1024 bytes; the rest is for the folder of the lake."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ObjectFiles:
    """Files of volumes as objects; safe for threads and for several servers."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def write(self, folder: str, path: str, chunks: Iterable[bytes], *, overwrite: bool, bytes_max: int) -> StoredFile:
        """See the port."""
        store, prefix = self._place(folder, path)
        self._refuse_present(store, prefix, path, overwrite=overwrite)
        uploads = Path(folder) / _UPLOADS
        uploads.mkdir(parents=True, exist_ok=True)
        temporary = uploads / secrets.token_hex(8)
        try:
            _fill(temporary, chunks, path, bytes_max)
            if not store.put(f"{prefix}/{path}", temporary, if_absent=not overwrite):
                raise _taken(path)
            found = store.find(f"{prefix}/{path}")
            if found is None:  # Somebody deleted it again.
                raise _missing(path)
            stored = _file(folder, path, found)
            if found.size_bytes == temporary.stat().st_size:
                copy = Path(stored.local_path)
                with contextlib.suppress(OSError):
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    temporary.rename(copy)
                    self._mirror.keep([stored.local_path])
            return stored
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, folder: str, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        """See the port."""
        store, prefix = self._place(folder, path)
        found = store.find(f"{prefix}/{path}")
        if found is None:
            raise _missing(path)
        left = max(found.size_bytes - offset, 0)
        left = left if length is None else min(left, length)
        if left:
            yield from store.read(f"{prefix}/{path}", offset, left)

    def stat(self, folder: str, path: str) -> StoredFile | None:
        """See the port."""
        store, prefix = self._place(folder, path)
        if path:
            found = store.find(f"{prefix}/{path}")
            if found is not None:
                return _file(folder, path, found)
        some = next(store.list(_below(prefix, path)), None)
        return None if some is None else _directory(folder, path)

    def list(self, folder: str, path: str) -> Iterator[StoredFile]:
        """See the port."""
        store, prefix = self._place(folder, path)
        found = list(store.list(_below(prefix, path), recursive=False))
        if not found:
            raise _missing(path)
        entries: list[StoredFile] = []
        for each in found:
            inside = each.key.removeprefix(f"{prefix}/")
            name = inside.rstrip("/").rpartition("/")[2]
            if not name.startswith(_HIDDEN_PREFIX):
                entries.append(_directory(folder, inside.rstrip("/")) if inside.endswith("/") else _file(folder, inside, each))
        yield from sorted(entries, key=lambda each: each.path)

    def make_directory(self, folder: str, path: str) -> None:
        """See the port."""
        store, prefix = self._place(folder, path)
        self._refuse_file_above(store, prefix, path)
        store.put(f"{_below(prefix, path)}{_DIRECTORY}", b"", if_absent=True)
        Path(folder).mkdir(parents=True, exist_ok=True)

    def delete(self, folder: str, path: str, *, recursive: bool = False) -> None:
        """See the port."""
        store, prefix = self._place(folder, path)
        if path and store.find(f"{prefix}/{path}") is not None:
            store.delete([f"{prefix}/{path}"])
            self._keep_directory(store, prefix, path)
            return
        below = _below(prefix, path)
        found = [each.key for each in store.list(below)]
        if not found and path:
            raise _missing(path)
        if path and not recursive and set(found) - {f"{below}{_DIRECTORY}"}:
            message = f"The directory `{path}` is not empty."
            raise DirectoryNotEmpty(message, hint="Delete what it holds first.")
        store.delete(found)
        self._mirror.forget(f"{folder}/{path}" if path else folder)
        shutil.rmtree(f"{folder}/{path}" if path else folder, ignore_errors=True)
        if path:
            self._keep_directory(store, prefix, path)

    def _place(self, folder: str, path: str) -> tuple[ObjectStore, str]:
        """Store and prefix of a folder, for a path that stays in it."""
        if path and any(step in {"", ".", ".."} for step in path.split("/")):
            message = f"`{path}` is not a path."
            raise InvalidPath(message)
        return self._mirror.place(folder)

    def _keep_directory(self, store: ObjectStore, prefix: str, path: str) -> None:
        """A directory does not go with the last thing in it."""
        store.put(f"{_below(prefix, path.rpartition('/')[0])}{_DIRECTORY}", b"", if_absent=True)

    def _refuse_present(self, store: ObjectStore, prefix: str, path: str, *, overwrite: bool) -> None:
        if len(f"{prefix}/{path}".encode()) > _KEY_BYTES_MAX:
            message = f"The path `{path[:100]}…` is too long for the object store."
            raise InvalidPath(message)
        parent = path.rpartition("/")[0]
        self._refuse_file_above(store, prefix, parent)
        if next(store.list(_below(prefix, path)), None) is not None:
            message = f"A directory is at `{path}`."
            raise FileAlreadyExists(message)
        if not overwrite and store.find(f"{prefix}/{path}") is not None:
            raise _taken(path)

    def _refuse_file_above(self, store: ObjectStore, prefix: str, path: str) -> None:
        """No directory has the name of a file."""
        at = path
        while at:
            if store.find(f"{prefix}/{at}") is not None:
                message = f"`{path}` cannot be made: a part of it is a file."
                raise FileAlreadyExists(message)
            at = at.rpartition("/")[0]


def _below(prefix: str, path: str) -> str:
    return f"{prefix}/{path}/" if path else f"{prefix}/"


def _fill(temporary: Path, chunks: Iterable[bytes], path: str, bytes_max: int) -> None:
    try:
        with temporary.open("xb") as file:
            total = 0
            for chunk in chunks:
                total += len(chunk)
                if total > bytes_max:
                    message = f"The file `{path}` is larger than {bytes_max} bytes."
                    raise FileTooLarge(message)
                file.write(chunk)
    except OSError as error:
        if error.errno in _FULL:
            message = "The disk on which an upload is collected is full; nothing was written."
            raise DiskFull(message, hint="Make room and upload the file again.") from error
        raise


def _file(folder: str, path: str, found: StoredObject) -> StoredFile:
    return StoredFile(path, is_directory=False, size_bytes=found.size_bytes, modified_at=found.modified_at,
                      local_path=copy_path(folder, path, found.mark))  # fmt: skip


def _directory(folder: str, path: str) -> StoredFile:
    return StoredFile(path, is_directory=True, size_bytes=0, modified_at=_EPOCH, local_path=f"{folder}/{path}" if path else folder)


def _taken(path: str) -> FileAlreadyExists:
    message = f"A file is at `{path}` already."
    return FileAlreadyExists(message, hint="Allow overwriting, or choose another name.")


def _missing(path: str) -> FileNotFound:
    message = f"No file or directory is at `{path}`."
    return FileNotFound(message)
