"""Writing to tables: one writer a table in this process, optimistic commits against all others."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import Privilege
from insjo.catalog import store
from insjo.catalog.column_types import checked_columns
from insjo.catalog.errors import TableBusy, WrongTableType
from insjo.catalog.ports import Commit
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.resolution import Resolution
    from insjo.catalog.service.snapshots import Snapshots
    from insjo.catalog.types import Column, DataFile, NewFile, Snapshot, Table, TableName
    from insjo.kernel.context import RequestContext

    CommitHook = Callable[[str, int], None]
    """Called with the identifier of a table and its new version after a commit."""

_LOGGER = logging.getLogger(__name__)
_WAIT_MAX_S = 300.0
"""Longest wait for another writer of the same table."""


class TableLocks:
    """One lock a table, made when somebody wants it and forgotten when nobody does."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def held(self, table_id: str, name: str, timeout_s: float) -> Iterator[None]:
        """Hold the lock of a table; raises TableBusy when it is not free in time."""
        with self._guard:
            lock, users = self._locks.get(table_id, (threading.Lock(), 0))
            self._locks[table_id] = (lock, users + 1)
        try:
            if not lock.acquire(timeout=max(timeout_s, 0.0)):
                message = f"Another statement has been writing to `{name}` for {timeout_s:.0f} seconds."
                raise TableBusy(message, hint="Run the statement again later.")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, users = self._locks[table_id]
                if users == 1:
                    del self._locks[table_id]
                else:
                    self._locks[table_id] = (lock, users - 1)


@dataclass(slots=True)
class TableWrite:
    """The right to write to one table, from `begin_write` until the end of its block.

    Attributes:
        snapshot: The table as it was when the lock was taken; after a commit, as it is then.
        privilege: What the writer holds; looked at again at the commit, because rights are live.
    """

    ctx: RequestContext
    table: Table
    snapshot: Snapshot
    privilege: Privilege

    @property
    def location(self) -> str:
        """Folder below which new data files belong."""
        return self.table.location


class Writes:
    """Takes the lock of a table and commits to it."""

    def __init__(self, parts: Parts, snapshots: Snapshots, resolution: Resolution) -> None:
        self._parts = parts
        self._snapshots = snapshots
        self._resolution = resolution
        self._locks = TableLocks()
        self._hooks: list[CommitHook] = []

    def on_commit(self, hook: CommitHook) -> None:
        """Call `hook` after each commit of this process; an error in it is logged and harms nothing."""
        self._hooks.append(hook)

    @contextlib.contextmanager
    def begin(self, ctx: RequestContext, name: TableName, privilege: Privilege = Privilege.MODIFY) -> Iterator[TableWrite]:
        """Hold the right to write to a table.

        Raises:
            TableNotFound, AccessDenied: As for reading.
            WrongTableType: It is a view or a system table.
            TableBusy: Another writer kept it too long.
        """
        table = self._resolution.find(ctx, name, privilege)
        if not table.has_files:
            message = f"`{table.full_name}` is a {table.table_type.lower()}; rows cannot be written to it."
            raise WrongTableType(message)
        with self.exclusively(ctx, table):
            snapshot = self._snapshots.current(table.id, table.location)
            yield TableWrite(ctx, table, snapshot, privilege)

    @contextlib.contextmanager
    def exclusively(self, ctx: RequestContext, table: Table) -> Iterator[None]:
        """Keep other writers of this process away from a table."""
        remaining = ctx.remaining_s(self._parts.clock.monotonic_s())
        timeout_s = _WAIT_MAX_S if remaining is None else min(_WAIT_MAX_S, remaining)
        with self._locks.held(table.id, table.full_name, timeout_s):
            yield

    def commit(
        self,
        write: TableWrite,
        adds: Sequence[NewFile] = (),
        removes: Sequence[DataFile] = (),
        operation: str = "WRITE",
        parameters: Mapping[str, str] | None = None,
        *,
        new_columns: Sequence[Column] | None = None,
        new_partitions: Sequence[str] | None = None,
        new_properties: Mapping[str, str] | None = None,
        blind: bool | None = None,
        changes: Sequence[NewFile] | None = None,
    ) -> int:
        """Make a change of a table visible as one; gives the new version.

        Args:
            write: From `begin`.
            adds: Data files that were written below the location.
            removes: Data files of `write.snapshot` that the new ones replace.
            operation: What the history shows, such as `MERGE`.
            parameters: More for the history.
            new_columns: All columns after the change, when they change.
            new_partitions: All partition columns after the change, when they change.
            new_properties: All properties of the Delta table after the change, when they change.
            blind: The change depends on nothing that was read from the table, so it may follow commits of other processes.  None
                means: when it only adds.  Pass False for an `INSERT … SELECT` from the table itself.
            changes: See `Commit.changes`.

        Raises:
            CommitConflict: Another process was faster.  The new data files are deleted: compute the change again.
            DiskFull, FeatureUnsupported, AccessDenied: Likewise, and nothing was changed.
        """
        only_adds = not removes and new_columns is None and new_properties is None
        commit = Commit(
            read_version=write.snapshot.version,
            adds=adds,
            removes=removes,
            operation=operation,
            parameters=parameters,
            user=write.ctx.principal.name,
            blind=only_adds if blind is None else blind and only_adds,
            columns=None if new_columns is None else checked_columns(new_columns),
            partition_columns=new_partitions,
            properties=new_properties,
            held=write.snapshot,
            changes=changes,
        )
        return self.put(write, commit)

    def put(self, write: TableWrite, commit: Commit) -> int:
        """Commit as it stands; see `commit`."""
        table = write.table
        try:
            self._parts.access.authority.authorize(write.ctx, write.privilege, table.id)
            version = self._parts.storage.commit(table.location, commit)
        except InsjoError:  # Raised only before the new version exists, so nobody reads these files.
            self._parts.storage.discard(table.location, [*commit.adds, *(commit.changes or ())])
            raise
        write.snapshot = self._snapshots.current(table.id, table.location)
        if commit.columns is not None or commit.partition_columns is not None or commit.restore is not None:
            self.remember_columns(write.ctx, table, write.snapshot)
        self._parts.storage.maintain(table.location, version)
        self.committed(table.id, version)
        return version

    def committed(self, table_id: str, version: int) -> None:
        """Tell everybody who wants to know."""
        for hook in self._hooks:
            try:
                hook(table_id, version)
            except Exception:  # The commit stands, whatever those who hear of it do.
                _LOGGER.exception("a hook failed after version %s of the table %s", version, table_id)

    def remember_columns(self, ctx: RequestContext, table: Table, snapshot: Snapshot) -> None:
        """Keep the columns in the metadata, where lists read them; the log stays what counts."""
        values = {
            "columns": store.columns_to_json(snapshot.columns),
            "partition_columns": list(snapshot.partition_columns),
            **self._parts.touched(ctx),
        }
        with self._parts.database.write() as connection:
            store.update(connection, store.tables, table.id, values)

    def discard(self, write: TableWrite, adds: Sequence[NewFile]) -> None:
        """Delete data files that were written and will not be committed."""
        self._parts.storage.discard(write.location, adds)
