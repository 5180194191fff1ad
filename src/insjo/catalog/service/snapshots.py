"""Snapshots of tables, held in memory and brought up to date by what was committed since."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from insjo.catalog.errors import FeatureUnsupported

if TYPE_CHECKING:
    from datetime import datetime

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.types import Snapshot

_TABLES_MAX = 2000
_VERSIONS_MAX = 64
_FILES_MAX = 2_000_000
"""Data files that all held snapshots together may list; about 1 kB each."""


class Snapshots:
    """A bounded cache: the newest snapshot of each table, and a few older versions for time travel.

    A held snapshot is never trusted: each call asks the storage whether something was committed since, which costs two looks at the
    disk.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._newest: OrderedDict[str, Snapshot] = OrderedDict()
        self._older: OrderedDict[tuple[str, int], Snapshot] = OrderedDict()
        self._copying = threading.Lock()

    def current(self, table_id: str, location: str) -> Snapshot:
        """The table as it is now."""
        with self._lock:
            held = self._newest.get(table_id)
        fresh = self._parts.storage.snapshot(location, held=held)
        if fresh is not held:
            self._hold(table_id, fresh)
        return fresh

    def at(self, table_id: str, location: str, version: int | None, timestamp: datetime | None) -> Snapshot:
        """The table at a version or a moment; now when neither is given."""
        if version is None and timestamp is None:
            return self.current(table_id, location)
        with self._lock:
            newest = self._newest.get(table_id)
            older = self._older.get((table_id, version)) if version is not None else None
        if older is not None:
            return self._parts.storage.snapshot(location, version=version, held=older)
        found = self._parts.storage.snapshot(location, version=version, timestamp=timestamp, held=newest)
        with self._lock:
            self._older[table_id, found.version] = found
            while len(self._older) > _VERSIONS_MAX:
                self._older.popitem(last=False)
        return found

    def readable(self, table_id: str, location: str, snapshot: Snapshot) -> Snapshot:
        """The snapshot, or a plain copy of it when its files do not give the right rows by themselves.

        Raises:
            FeatureUnsupported: The table uses a feature that nothing here reads.
        """
        if snapshot.readable_as_files:
            return snapshot
        # The id of a table, not its name, keeps two tables apart for ever; one copy at a time keeps the disk from filling twice.
        with self._copying:
            try:
                return self._parts.copies.copy(location, snapshot, str(self._parts.copy_folder / table_id))
            except FeatureUnsupported as error:
                message = f"The table uses {snapshot.unreadable_reason}, which Insjö does not read."
                raise FeatureUnsupported(message) from error

    def forget(self, table_id: str) -> None:
        """The table was dropped."""
        with self._lock:
            self._newest.pop(table_id, None)
            for key in [key for key in self._older if key[0] == table_id]:
                del self._older[key]

    def _hold(self, table_id: str, snapshot: Snapshot) -> None:
        """Keep a snapshot unless a newer one came meanwhile; let the least recently changed go when there are too many."""
        with self._lock:
            present = self._newest.get(table_id)
            if present is not None and present.version > snapshot.version and present.timestamp > snapshot.timestamp:
                return
            self._newest[table_id] = snapshot
            self._newest.move_to_end(table_id)
            files = sum(len(each.files) for each in self._newest.values())
            while len(self._newest) > 1 and (len(self._newest) > _TABLES_MAX or files > _FILES_MAX):
                _, dropped = self._newest.popitem(last=False)
                files -= len(dropped.files)
