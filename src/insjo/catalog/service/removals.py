"""Takes away the folders of dropped tables and volumes: after the metadata is committed, and again at start for killed servers."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from insjo.catalog import store
from insjo.catalog.service.parts import COPIES
from insjo.catalog.types import TableType, VolumeType
from insjo.kernel.context import system_context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import sqlalchemy as sa

    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.snapshots import Snapshots
    from insjo.kernel.context import RequestContext

_LOGGER = logging.getLogger(__name__)
_BATCH = 1000
KEPT_S = 7 * 86_400
"""How long a dropped table can be brought back, as on Databricks."""

_STRANGER_AGE_S = 86_400
"""A folder that no row names may belong to a table that a long statement is just filling; after a day it does not."""


class Removals:
    """Drops rows first and folders afterwards, so that a crash leaves a folder without a table and never a table without its files."""

    def __init__(self, parts: Parts, snapshots: Snapshots) -> None:
        self._parts = parts
        self._snapshots = snapshots

    def remove_table(self, ctx: RequestContext, connection: sa.Connection, row: store.Row) -> None:
        """Delete a table's row and securable, and note its folder."""
        store.delete(connection, store.tables, row["id"])
        self._parts.access.securables.remove(ctx, row["id"], connection=connection)
        if row["table_type"] == TableType.MANAGED:
            store.insert_removal(connection, row["id"], "table", row["location"], self._parts.clock.now())
        self._snapshots.forget(row["id"])

    def set_table_aside(self, ctx: RequestContext, connection: sa.Connection, row: store.Row) -> None:
        """Take a table out of sight, so that it can be brought back; its folder goes when that time is over."""
        self._parts.access.securables.set_aside(ctx, row["id"], connection=connection)
        store.set_table_aside(connection, row, self._parts.clock.now(), ctx.principal.name)
        self._snapshots.forget(row["id"])

    def forget_dropped(self, ctx: RequestContext, connection: sa.Connection, dropped: Iterable[store.Row]) -> None:
        """Give up dropped tables for good, and note their folders."""
        for row in dropped:
            store.delete(connection, store.dropped_tables, row["id"])
            self._parts.access.securables.remove(ctx, row["id"], connection=connection)
            if row["kept"]["table_type"] == TableType.MANAGED:
                store.insert_removal(connection, row["id"], "table", row["location"], self._parts.clock.now())

    def sweep_expired(self) -> int:
        """Give up dropped tables whose time to be brought back is over; gives how many."""
        before = self._parts.clock.now() - timedelta(seconds=KEPT_S)
        with self._parts.database.read() as connection:
            expired = store.list_expired(connection, before, _BATCH)
        if expired:
            with self._parts.database.write() as connection:
                self.forget_dropped(system_context(), connection, store.list_expired(connection, before, _BATCH))
        return len(expired)

    def remove_volume(self, ctx: RequestContext, connection: sa.Connection, row: store.Row) -> None:
        """Delete a volume's row and securable, and note its folder."""
        store.delete(connection, store.volumes, row["id"])
        self._parts.access.securables.remove(ctx, row["id"], connection=connection)
        if row["volume_type"] == VolumeType.MANAGED:
            store.insert_removal(connection, row["id"], "volume", row["location"], self._parts.clock.now())

    def remove_model(self, ctx: RequestContext, connection: sa.Connection, row: store.Row) -> None:
        """Delete a model's rows and securable, and note its folder."""
        store.delete(connection, store.models, row["id"])
        self._parts.access.securables.remove(ctx, row["id"], connection=connection)
        self.note_folder(connection, row["id"], row["location"])

    def note_folder(self, connection: sa.Connection, row_id: str, location: str) -> None:
        """Note a folder of files for deletion."""
        store.insert_removal(connection, row_id, "volume", location, self._parts.clock.now())

    def sweep_noted(self) -> int:
        """Delete the folders that were noted; gives how many.  A folder that cannot be deleted stays noted."""
        with self._parts.database.read() as connection:
            noted = store.list_removals(connection, _BATCH)
        swept = 0
        for row_id, kind, location in noted:
            try:
                if kind == "table":
                    self._parts.storage.remove(location)
                    self._parts.storage.remove(str(self._parts.copy_folder / row_id))
                else:
                    self._parts.files.delete(location, "", recursive=True)
            except OSError:
                _LOGGER.warning("the folder %s of a dropped %s could not be deleted", location, kind, exc_info=True)
                continue
            with self._parts.database.write() as connection:
                store.delete_removal(connection, row_id)
            swept += 1
        return swept

    def sweep_strangers(self) -> int:
        """Delete folders of tables and volumes that no row names and that are older than a day; gives how many."""
        with self._parts.database.read() as connection:
            kept = (store.tables, store.volumes, store.models)
            known = {location for table in kept for location in store.all_locations(connection, table).values()}
            known |= set(store.all_locations(connection, store.dropped_tables).values())
        oldest = time.time() - _STRANGER_AGE_S
        swept = 0
        for parent in (self._parts.table_folder, self._parts.volume_folder):
            for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
                if folder.name == COPIES or str(folder) in known or not _untouched_since(folder, oldest):
                    continue
                self._parts.storage.remove(str(folder))
                swept += 1
        return swept


def _untouched_since(folder: Path, oldest: float) -> bool:
    """Whether neither the folder nor anything directly in it was changed after a moment."""
    try:
        return all(path.lstat().st_mtime < oldest for path in (folder, *folder.iterdir()))
    except OSError:
        return False
