"""The port `FileStorage` on local folders.

Every path is walked from the volume's folder with a file descriptor a step, and no step follows a symbolic link: a link that somebody
put there, even between a check and its use, leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.catalog.errors import DirectoryNotEmpty, DiskFull, FileAlreadyExists, FileNotFound, FileTooLarge, InvalidPath
from insjo.catalog.ports import StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_BYTES = 1024 * 1024
_HIDDEN_PREFIX = ".insjo-"
_UPLOADS = ".insjo-uploads"
"""Directory in each volume where files are until they are whole; nobody sees it."""

_STALE_S = 86_400
"""Age at which an unfinished upload belongs to a server that was killed: no upload takes a day."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK})
"""What opening gives for a missing step, for a file in place of a directory, and for a symbolic link."""


class LocalFiles:
    """Files in folders of the local disk; safe for threads and for several processes."""

    def write(self, folder: str, path: str, chunks: Iterable[bytes], *, overwrite: bool, bytes_max: int) -> StoredFile:
        """See the port."""
        parent, _, name = path.rpartition("/")
        folders = self._folder(folder, parent, make=True), self._folder(folder, _UPLOADS, make=True)
        with _reported(path), folders[0] as descriptor, folders[1] as uploads:
            _refuse_present(descriptor, name, path, overwrite=overwrite)
            _drop_stale(uploads)
            temporary = secrets.token_hex(8)
            try:
                _fill(uploads, temporary, chunks, path, bytes_max)
                if overwrite:
                    os.rename(temporary, name, src_dir_fd=uploads, dst_dir_fd=descriptor)
                else:
                    # A link fails when the name is taken meanwhile; a rename would replace what is there.
                    os.link(temporary, name, src_dir_fd=uploads, dst_dir_fd=descriptor, follow_symlinks=False)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=uploads)
            os.fsync(descriptor)
            return _stored(folder, path, os.stat(name, dir_fd=descriptor, follow_symlinks=False))

    def read(self, folder: str, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        """See the port."""
        parent, _, name = path.rpartition("/")
        try:
            with self._folder(folder, parent) as descriptor:
                opened = os.open(name, _FILE, dir_fd=descriptor)
        except OSError as error:
            raise _missing(path) from error
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _missing(path)
            file.seek(offset)
            left = length
            while left is None or left > 0:
                chunk = file.read(_CHUNK_BYTES if left is None else min(_CHUNK_BYTES, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

    def stat(self, folder: str, path: str) -> StoredFile | None:
        """See the port."""
        parent, _, name = path.rpartition("/")
        try:
            with self._folder(folder, parent) as descriptor:
                found = os.fstat(descriptor) if not name else os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        return _stored(folder, path, found) if _is_ours(found) else None

    def list(self, folder: str, path: str) -> Iterator[StoredFile]:
        """See the port."""
        try:
            with self._folder(folder, path) as descriptor, os.scandir(descriptor) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries if _is_shown(entry)]
        except OSError as error:
            raise _missing(path) from error
        for name, result in sorted(found, key=lambda each: each[0]):
            if _is_ours(result):
                yield _stored(folder, f"{path}/{name}" if path else name, result)

    def make_directory(self, folder: str, path: str) -> None:
        """See the port."""
        if not path:
            with _reported(path):
                Path(folder).mkdir(mode=0o750, parents=True, exist_ok=True)
            return
        with _reported(path), self._folder(folder, path, make=True):
            pass

    def delete(self, folder: str, path: str, *, recursive: bool = False) -> None:
        """See the port."""
        if not path:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            return
        parent, _, name = path.rpartition("/")
        try:
            with self._folder(folder, parent) as descriptor:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    os.unlink(name, dir_fd=descriptor)
                elif recursive:
                    shutil.rmtree(name, dir_fd=descriptor)
                else:
                    os.rmdir(name, dir_fd=descriptor)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                message = f"The directory `{path}` is not empty."
                raise DirectoryNotEmpty(message, hint="Delete what it holds first.") from error
            if error.errno in _NOT_THERE:
                raise _missing(path) from error
            raise

    @contextlib.contextmanager
    def _folder(self, folder: str, path: str, *, make: bool = False) -> Iterator[int]:
        """Descriptor of a directory, reached step by step."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in path.split("/") if path else ():
                if step in {"", ".", ".."}:
                    message = f"`{path}` is not a path."
                    raise InvalidPath(message)
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, mode=0o750, dir_fd=descriptor)
                below = os.open(step, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _fill(descriptor: int, name: str, chunks: Iterable[bytes], path: str, bytes_max: int) -> None:
    """Write the chunks into a new file and make it durable."""
    opened = os.open(name, _NEW_FILE, 0o640, dir_fd=descriptor)
    with os.fdopen(opened, "wb") as file:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > bytes_max:
                message = f"The file `{path}` is larger than {bytes_max} bytes."
                raise FileTooLarge(message)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _drop_stale(uploads: int) -> None:
    """Remove unfinished uploads of killed servers."""
    oldest = time.time() - _STALE_S
    with os.scandir(uploads) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=uploads)


def _refuse_present(descriptor: int, name: str, path: str, *, overwrite: bool) -> None:
    """Raise FileAlreadyExists when something is there that may not be replaced; before the content is received."""
    try:
        found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        message = f"A directory is at `{path}`."
        raise FileAlreadyExists(message)
    if not overwrite:
        message = f"A file is at `{path}` already."
        raise FileAlreadyExists(message, hint="Allow overwriting, or choose another name.")


@contextlib.contextmanager
def _reported(path: str) -> Iterator[None]:
    """Errors of the operating system in the words of the port."""
    try:
        yield
    except FileExistsError as error:
        message = f"A file is at `{path}` already."
        raise FileAlreadyExists(message, hint="Allow overwriting, or choose another name.") from error
    except OSError as error:
        if error.errno in _FULL:
            message = "The disk that holds the files is full; nothing was written."
            raise DiskFull(message, hint="Make room and upload the file again.") from error
        if error.errno in _NOT_THERE:
            message = f"`{path}` cannot be made: a part of it is a file."
            raise FileAlreadyExists(message) from error
        if error.errno == errno.ENAMETOOLONG:
            message = f"The path `{path[:100]}…` is too long for the disk."
            raise InvalidPath(message) from error
        raise


def _is_shown(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(_HIDDEN_PREFIX) and not entry.is_symlink()


def _is_ours(found: os.stat_result) -> bool:
    """Whether it is a file or a directory; links, pipes and devices are not there for anybody."""
    return stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)


def _stored(folder: str, path: str, found: os.stat_result) -> StoredFile:
    is_directory = stat.S_ISDIR(found.st_mode)
    return StoredFile(
        path=path,
        is_directory=is_directory,
        size_bytes=0 if is_directory else found.st_size,
        modified_at=_EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000),
        local_path=f"{folder}/{path}" if path else folder,
    )


def _missing(path: str) -> FileNotFound:
    message = f"No file or directory is at `{path}`."
    return FileNotFound(message)
