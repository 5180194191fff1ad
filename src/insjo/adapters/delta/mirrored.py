"""The port `TableStorage` on Delta tables of an object store.

The log of a table is copied to the local disk, entry by entry as it grows, and read there by the same code as any other log.  A commit
sends its data files first and its log entry last, by a put that the store itself refuses when the entry is there.  So nothing is ever
committed that only this machine has, and whoever is killed leaves at most files that no log names.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.adapters.delta import commit as commits
from insjo.adapters.delta import log
from insjo.adapters.delta.copies import DeltaCopies
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.delta.unneeded import FoundFile, is_data
from insjo.catalog.errors import StorageUnavailable, TableDamaged
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from insjo.catalog.ports import Commit, Mirror
    from insjo.catalog.types import ChangeFile, Column, HistoryEntry, NewFile, Snapshot

_LOGGER = logging.getLogger(__name__)
_THREADS = 8
_LOCKS = 64


class MirroredTables(DeltaStorage):
    """Delta tables of an object store, with a mirror on the local disk; safe for threads and for several servers."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(commits.LogStore(self._put_if_absent, self._is_there))
        self._mirror = mirror
        self._syncing = tuple(threading.Lock() for _ in range(_LOCKS))
        self._pool = ThreadPoolExecutor(_THREADS, "insjo-store")

    def close(self) -> None:
        """End the threads that send and fetch."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def snapshot(
        self,
        location: str,
        *,
        version: int | None = None,
        timestamp: datetime | None = None,
        held: Snapshot | None = None,
    ) -> Snapshot:
        """See the port."""
        if held is None or version is None or version > held.version:
            self._sync(location, held.version if held is not None else None)
        return super().snapshot(location, version=version, timestamp=timestamp, held=held)

    def commit(self, location: str, commit: Commit) -> int:
        """See the port."""
        self._sync(location, None if commit.held is None else commit.held.version)
        self._send(f"{location}/{file.path}" for file in (*commit.adds, *(commit.changes or ())))
        return super().commit(location, commit)

    def changes(
        self, location: str, start: int | datetime, end: int | datetime | None, newest: int, columns: Sequence[Column]
    ) -> Sequence[ChangeFile]:
        """See the port."""
        self._sync(location, newest)
        return super().changes(location, start, end, newest, columns)

    def history(self, location: str, limit: int) -> list[HistoryEntry]:
        """See the port."""
        self._sync(location, None)
        return super().history(location, limit)

    def remove(self, location: str) -> None:
        """See the port."""
        if Path(location).name.startswith("_") or Path(location).parent.name.startswith("_"):
            super().remove(location)  # A plain copy lies on the local disk only.
            return
        store, key = self._mirror.place(location)
        # The log goes first: without it nobody takes what remains of a half-deleted table for one.
        store.delete([each.key for each in store.list(f"{key}/{log.LOG_FOLDER}/")])
        store.delete([each.key for each in store.list(f"{key}/")])
        super().remove(location)
        self._mirror.forget(location)

    def maintain(self, location: str, version: int) -> None:
        """See the port."""
        folder = log.log_folder(location)
        before = {path.name for path in folder.glob("*.checkpoint*")}
        super().maintain(location, version)
        new = [path for path in folder.glob("*.checkpoint*") if path.name not in before]
        if new:
            try:
                self._each(self._put, [str(path) for path in new])
                self._put(str(folder / "_last_checkpoint"))
            except (StorageUnavailable, OSError):
                _LOGGER.warning("the checkpoint of the table in %s could not be sent", location, exc_info=True)

    def discard(self, location: str, files: Sequence[NewFile]) -> None:
        """See the port."""
        store, key = self._mirror.place(location)
        with contextlib.suppress(StorageUnavailable):  # An orphan harms nothing but the room it takes.
            store.delete(f"{key}/{file.path}" for file in files if ".." not in Path(file.path).parts)
        super().discard(location, files)

    def vacuum(self, location: str, cutoff: datetime, *, dry_run: bool) -> list[str]:
        """See the port."""
        self._sync(location, None)
        return super().vacuum(location, cutoff, dry_run=dry_run)

    # ------------------------------------------------------------------------------------------------------------- details

    def _files_below(self, location: str) -> Iterable[FoundFile]:
        store, key = self._mirror.place(location)
        for each in store.list(f"{key}/"):
            path = each.key.removeprefix(f"{key}/")
            if is_data(path):
                yield FoundFile(path, int(each.modified_at.timestamp() * 1000))

    def _delete(self, location: str, paths: Sequence[str]) -> None:
        store, key = self._mirror.place(location)
        store.delete([f"{key}/{path}" for path in paths])
        super()._delete(location, paths)

    def _sync(self, location: str, known: int | None) -> None:
        """Copy the log entries that came since; `known` is a version that the local copy is known to have."""
        with self._syncing[hash(location) % _LOCKS]:
            folder = log.log_folder(location)
            if known is None or not log.commit_path(location, known).exists():
                known = log.list_log(location).latest
            if known < 0:
                self._copy_log(location, folder)
                return
            _, key = self._mirror.place(str(folder))
            while True:
                target = log.commit_path(location, known + 1)
                if not target.exists() and not self._fetch_entry(f"{key}/{target.name}", target):
                    return
                known += 1

    def _copy_log(self, location: str, folder: Path) -> None:
        """The whole log, which appears as one: a half-copied one would look like a damaged one."""
        store, key = self._mirror.place(str(folder))
        found = [each for each in store.list(f"{key}/") if not Path(each.key).name.startswith(".")]
        if not found:
            return
        unfinished = Path(location) / f".insjo-log-{secrets.token_hex(8)}"
        try:
            targets = {each.key: unfinished / each.key.removeprefix(f"{key}/") for each in found}
            for target in targets.values():
                target.parent.mkdir(parents=True, exist_ok=True)
            self._each(lambda name: store.fetch(name, targets[name]), list(targets))
            with contextlib.suppress(OSError):
                folder.rmdir()  # An empty one, of a table that was being made.
            unfinished.rename(folder)
        except FileExistsError:
            pass  # Another server on this folder was faster.
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _fetch_entry(self, key: str, target: Path) -> bool:
        """Copy one entry of the log; False when there is none."""
        store, _ = self._mirror.place(str(target))
        unfinished = target.parent / f".insjo-{secrets.token_hex(8)}.tmp"
        try:
            if not store.fetch(key, unfinished):
                return False
            with contextlib.suppress(FileExistsError):
                target.hardlink_to(unfinished)
            return True
        finally:
            unfinished.unlink(missing_ok=True)

    def _put_if_absent(self, path: Path, content: bytes) -> bool:
        """A log entry, in the store and then here; False when the store has one of another writer."""
        store, key = self._mirror.place(str(path))
        if not store.put(key, content, if_absent=True):
            self._fetch_entry(key, path)
            # An answer that was lost makes the client send the entry again, and then the one that is there is our own.
            return path.exists() and path.read_bytes() == content
        try:
            commits.put_if_absent(path, content)
        except (InsjoError, OSError):
            # The commit stands; the next reader fetches it.
            _LOGGER.warning("no room for a copy of the log entry %s", path, exc_info=True)
        return True

    def _is_there(self, path: Path) -> bool:
        store, key = self._mirror.place(str(path))
        return path.is_file() or store.find(key) is not None

    def _send(self, paths: Iterable[str]) -> None:
        """Put new data files into the store; they stay here as copies."""
        present = list(paths)
        self._each(self._put, present)
        self._mirror.keep(present)

    def _put(self, path: str) -> None:
        store, key = self._mirror.place(path)
        try:
            store.put(key, Path(path))
        except FileNotFoundError as error:
            message = "A data file that was to be committed is not there."
            raise TableDamaged(message) from error

    def _each(self, work: Callable[[str], object], values: Sequence[str]) -> None:
        """Do the same for several objects side by side; raises the first error when all have ended."""
        if len(values) == 1:
            work(values[0])
            return
        futures = [self._pool.submit(work, value) for value in values]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]


class MirroredCopies(DeltaCopies):
    """Plain copies of tables of an object store: made from local copies of all their files."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def copy(self, location: str, snapshot: Snapshot, folder: str) -> Snapshot:
        """See the port."""
        store, key = self._mirror.place(location)
        vectors = [f"{location}/{each.key.removeprefix(f'{key}/')}" for each in store.list(f"{key}/") if each.key.endswith(".bin")]
        with self._mirror.held([*(file.path for file in snapshot.files), *vectors]):
            return super().copy(location, snapshot, folder)
