"""The port `Mirror`: a bounded cache of objects in the data folder, in the places where the files would lie without an object store.

Data files of tables never change, and copies of files in volumes lie below the mark of their content, so a copy that is there is right.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import secrets
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.catalog.errors import CacheTooSmall
from insjo.kernel.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from insjo.catalog.ports import ObjectStore
    from insjo.kernel.cancellation import CancelToken

COPIES = ".insjo-copies"
"""Directory in a volume's folder with the copies of its files, one directory a content."""

_LOGGER = logging.getLogger(__name__)
_AREAS = ("tables", "volumes")
_LOG = "_delta_log"
_UNFINISHED = ".insjo-fetch-"
_THREADS = 8


class DiskMirror:
    """Copies below the data folder; safe for threads, for one server a data folder.

    Args:
        root: The data folder.
        store: Where everything lies.
        bytes_max: What copies may take on the disk together.
    """

    def __init__(self, root: Path, store: ObjectStore, bytes_max: int) -> None:
        self._root = root
        self._store = store
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        self._holders: dict[str, int] = {}
        self._fetching: dict[str, threading.Lock] = {}
        self._pool = ThreadPoolExecutor(_THREADS, "insjo-fetch")

    def start(self) -> None:
        """Find the copies that an earlier server left; what it did not finish is removed."""
        for area in _AREAS:
            for folder, _, names in os.walk(self._root / area):
                if f"/{_LOG}" in folder:
                    continue
                for name in names:
                    path = Path(folder, name)
                    if name.startswith(_UNFINISHED):
                        path.unlink(missing_ok=True)
                    elif self._key(str(path)) is not None:
                        self._count(str(path))
        self._make_room(0)

    def close(self) -> None:
        """End the threads that fetch."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def place(self, path: str) -> tuple[ObjectStore, str]:
        """See the port."""
        found = self._key(path)
        if found is None:  # Only a mistake in the code can ask for another path.
            message = f"`{path}` does not lie in a folder of tables or volumes"
            raise ValueError(message)
        return self._store, found[0]

    @contextlib.contextmanager
    def held(self, paths: Iterable[str], cancel: CancelToken | None = None) -> Iterator[None]:
        """See the port."""
        wanted = sorted({path for path in paths if self._key(path) is not None})
        with self._lock:
            for path in wanted:
                self._holders[path] = self._holders.get(path, 0) + 1
                if path in self._sizes:
                    self._sizes.move_to_end(path)
        try:
            missing = [path for path in wanted if not Path(path).exists()]
            futures = [self._pool.submit(self._bring, path, cancel) for path in missing]
            try:
                for future in futures:
                    future.result()
            finally:
                for future in futures:
                    future.cancel()
            yield
        finally:
            with self._lock:
                for path in wanted:
                    self._holders[path] -= 1
                    if not self._holders[path]:
                        del self._holders[path]

    def keep(self, paths: Iterable[str]) -> None:
        """See the port."""
        for path in paths:
            self._count(path)
        self._make_room(0)

    def forget(self, folder: str) -> None:
        """See the port."""
        below = folder.rstrip("/") + "/"
        with self._lock:
            for path in [path for path in self._sizes if path.startswith(below) or path == folder]:
                self._bytes -= self._sizes.pop(path)

    def _bring(self, path: str, cancel: CancelToken | None) -> None:
        """Fetch one object unless somebody else just did."""
        if cancel is not None and cancel.cancelled:
            message = "The statement was cancelled."
            raise Cancelled(message)
        found = self._key(path)
        with self._alone(path):
            target = Path(path)
            if found is None or target.exists():
                return
            key, mark = found
            known = self._store.find(key)
            if known is None:
                return
            self._make_room(known.size_bytes)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.parent / f"{_UNFINISHED}{secrets.token_hex(8)}"
            try:
                if self._store.fetch(key, unfinished, mark):
                    unfinished.rename(target)
                    self._count(path)
            finally:
                unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _alone(self, path: str) -> Iterator[None]:
        """Let one thread at a time fetch a path."""
        with self._lock:
            lock = self._fetching.setdefault(path, threading.Lock())
        with lock:
            yield
        with self._lock:
            if not lock.locked():
                self._fetching.pop(path, None)

    def _count(self, path: str) -> None:
        with contextlib.suppress(OSError):
            size = Path(path).stat().st_size
            with self._lock:
                self._bytes += size - self._sizes.pop(path, 0)
                self._sizes[path] = size

    def _make_room(self, size_bytes: int) -> None:
        """Remove what was not read for the longest time until so much more fits."""
        with self._lock:
            for path in list(self._sizes):
                if self._bytes + size_bytes <= self._bytes_max:
                    return
                if path in self._holders:
                    continue
                try:
                    Path(path).unlink(missing_ok=True)
                except OSError:
                    _LOGGER.warning("the copy %s could not be removed", path, exc_info=True)
                    continue
                self._bytes -= self._sizes.pop(path)
            if size_bytes and self._bytes + size_bytes > self._bytes_max:
                message = (
                    f"The files that are being read do not fit into the {self._bytes_max // 2**20} MiB for copies from the object store."
                )
                raise CacheTooSmall(message, hint="Read less at once, for example by a filter on a partition, or raise `storage_cache_mb`.")

    def _key(self, path: str) -> tuple[str, str] | None:
        """Key and expected mark for a path; None for one that has no object."""
        inside = path.removeprefix(f"{self._root}/")
        parts = inside.split("/")
        if inside == path or parts[0] not in _AREAS or len(parts) < 2 or parts[1].startswith("_"):  # noqa: PLR2004  # Area and folder.
            return None
        mark = ""
        if len(parts) > 3 and parts[2] == COPIES:  # noqa: PLR2004  # Area, folder, copies, mark.
            mark = unmarked(parts[3])
            parts[2:4] = []
        return "/".join(parts), mark


def copy_path(folder: str, inside: str, mark: str) -> str:
    """Where the copy of a volume's file lies while it has the content of that mark."""
    name = base64.urlsafe_b64encode(mark.encode()).decode().rstrip("=")
    return f"{folder}/{COPIES}/{name}/{inside}"


def unmarked(name: str) -> str:
    """The mark from the name of a directory."""
    return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
