"""Tables and views: the face of everything that can be queried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from insjo.access.errors import TableNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.errors import ColumnAlreadyExists, InvalidColumn, WrongTableType
from insjo.catalog.ports import Commit
from insjo.catalog.service.creation import TableCreation, checked_table_name, taken
from insjo.catalog.service.parts import (
    checked_comment,
    checked_name,
    checked_properties,
    refuse_reserved,
    table_of,
)
from insjo.catalog.service.properties import CONSTRAINTS, retention_s, storage_properties
from insjo.catalog.types import ResolvedTable, Table, TableName, TableType
from insjo.kernel.errors import AlreadyExists, did_you_mean
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from insjo.catalog.service.writing import CommitHook, TableWrite
    from insjo.catalog.types import ChangeFile, Column, DataFile, HistoryEntry, Key, NewFile, Snapshot
    from insjo.kernel.context import RequestContext

HISTORY_MAX = 1000


class Tables(TableCreation):
    """Creates, lists, changes, reads and writes tables and views."""

    # ------------------------------------------------------------------------------------------------------------- reading

    def list(self, ctx: RequestContext, catalog: str, schema: str, page: PageRequest | None = None) -> Page[Table]:
        """Tables and views of a schema that the caller may see, by name."""
        wanted = page or PageRequest()
        parent = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}")
        with self._parts.database.read() as connection:
            visible = self._parts.visible(ctx, SecurableKind.TABLE)
            rows = store.list_tables(connection, visible, parent.id, wanted.after(), wanted.size + 1)
        owners = self._parts.owner_names(row["id"] for row in rows)
        return page_of([table_of(row, owners[row["id"]]) for row in rows], wanted.size, lambda each: each.name)

    def resolve_many(
        self, ctx: RequestContext, names: Sequence[TableName], privilege: Privilege = Privilege.SELECT
    ) -> Sequence[ResolvedTable]:
        """See `Resolution.resolve_many`."""
        return self._resolution.resolve_many(ctx, names, privilege)

    def snapshot(self, table_id: str) -> Snapshot:
        """The files of a table as they are now, whoever asks: for Insjö's own work, never for a caller's words."""
        table = self._fetch(table_id)
        return self._snapshots.current(table.id, table.location)

    def fetch(self, table_id: str) -> Table:
        """A table by identifier, whoever asks: for Insjö's own work, never for a caller's words."""
        return self._fetch(table_id)

    def history(self, ctx: RequestContext, name: TableName, limit: int = 100) -> Sequence[HistoryEntry]:
        """The last commits of a table, newest first; needs SELECT.

        Numbers and conditions of changes are left out for whom a row filter may hide rows: they would tell of them.
        """
        table = self._resolution.find(ctx, name, Privilege.SELECT)
        if not table.has_files:
            message = f"`{table.full_name}` is a {table.table_type.lower()} and has no history."
            raise WrongTableType(message)
        entries = self._parts.storage.history(table.location, min(max(limit, 1), HISTORY_MAX))
        if self.hides_rows(ctx, table):
            return [replace(entry, parameters={}, metrics={}) for entry in entries]
        return entries

    def changes(
        self, ctx: RequestContext, name: TableName, start: int | datetime, end: int | datetime | None
    ) -> tuple[ResolvedTable, Sequence[ChangeFile]]:
        """The table as it is now, and the files that tell what some of its versions changed; needs SELECT.

        See `TableStorage.changes` for the errors.
        """
        (found,) = self._resolution.resolve_many(ctx, [name], Privilege.SELECT)
        if found.snapshot is None or not found.table.has_files:
            message = f"`{found.table.full_name}` is a {found.table.table_type.lower()} and tells no changes."
            raise WrongTableType(message)
        files = self._parts.storage.changes(found.table.location, start, end, found.snapshot.version, found.table.columns)
        return found, files

    def hides_rows(self, ctx: RequestContext, table: Table) -> bool:
        """Whether the table may have rows that the caller must not learn of, so that nothing may be told that counts them."""
        return self._parts.access.protections.of(ctx, table.id, [column.name for column in table.columns]).hides_rows

    # ------------------------------------------------------------------------------------------------------------- writing

    def begin_write(
        self,
        ctx: RequestContext,
        name: TableName,
        privilege: Privilege = Privilege.MODIFY,
    ) -> AbstractContextManager[TableWrite]:
        """See `Writes.begin`."""
        return self._writes.begin(ctx, name, privilege)

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
        """See `Writes.commit`."""
        return self._writes.commit(
            write,
            adds,
            removes,
            operation,
            parameters,
            new_columns=new_columns,
            new_partitions=new_partitions,
            new_properties=new_properties,
            blind=blind,
            changes=changes,
        )

    def discard(self, write: TableWrite, adds: Sequence[NewFile]) -> None:
        """Delete data files that were written and will not be committed."""
        self._writes.discard(write, adds)

    def on_commit(self, hook: CommitHook) -> None:
        """Call `hook(table_id, version)` after each commit of this process."""
        self._writes.on_commit(hook)

    def restore(
        self,
        ctx: RequestContext,
        name: TableName,
        version: int | None = None,
        timestamp: datetime | None = None,
    ) -> int:
        """Bring back the rows and columns of an earlier version, as a new version; needs MODIFY, and MANAGE where rows are hidden."""
        with self._writes.begin(ctx, name) as write:
            if self.hides_rows(ctx, write.table):
                self._parts.access.authority.authorize(ctx, Privilege.MANAGE, write.table.id)
            target = self._snapshots.at(write.table.id, write.location, version, timestamp)
            commit = Commit(
                read_version=write.snapshot.version,
                operation="RESTORE",
                parameters={"version": str(target.version)},
                user=ctx.principal.name,
                held=write.snapshot,
                restore=target,
            )
            return self._writes.put(write, commit)

    def retention_s(self, ctx: RequestContext, name: TableName) -> int:
        """How long files that the table no longer has are kept, in seconds; needs MODIFY."""
        table = self._resolution.find(ctx, name, Privilege.MODIFY)
        return retention_s(self._snapshots.current(table.id, table.location).properties if table.has_files else {})

    def vacuum(self, ctx: RequestContext, name: TableName, *, retain_s: int, dry_run: bool) -> Sequence[str]:
        """Delete files that no version of the last `retain_s` seconds needs; gives their names below the table's folder.  Needs MODIFY."""
        with self._writes.begin(ctx, name) as write:
            cutoff = self._parts.clock.now() - timedelta(seconds=retain_s)
            gone = self._parts.storage.vacuum(write.location, cutoff, dry_run=dry_run)
            if gone and not dry_run:
                self._snapshots.forget(write.table.id)
                with self._parts.database.write() as connection:
                    self._parts.changed(ctx, "table.vacuum", write.table.full_name, write.table.id, connection=connection)
            return gone

    # ------------------------------------------------------------------------------------------------------------ changing

    def add_columns(self, ctx: RequestContext, name: TableName, columns: Sequence[Column]) -> Table:
        """Add columns at the end; rows that are there have NULL in them.  Needs MODIFY.

        Raises:
            ColumnAlreadyExists, InvalidColumn: As they say.
        """
        with self._writes.begin(ctx, name) as write:
            present = {column.name.casefold() for column in write.snapshot.columns}
            for column in columns:
                if column.name.casefold() in present:
                    message = f"The table `{name.full_name}` has a column `{column.name}` already."
                    raise ColumnAlreadyExists(message)
                if not column.nullable and write.snapshot.files:
                    message = f"The new column `{column.name}` cannot be NOT NULL: the table has rows, and they have no value for it."
                    raise InvalidColumn(message)
            every = [*write.snapshot.columns, *columns]
            names = ",".join(column.name for column in columns)
            self._writes.commit(write, operation="ADD COLUMNS", parameters={"columns": names}, new_columns=every)
        return self.get(ctx, name)

    def comment_columns(self, ctx: RequestContext, name: TableName, comments: Mapping[str, str]) -> Table:
        """Change the comments of columns; needs MODIFY."""
        with self._writes.begin(ctx, name) as write:
            wanted = {key.casefold(): value for key, value in comments.items()}
            known = [column.name for column in write.snapshot.columns]
            for each in comments:
                if each.casefold() not in {column.casefold() for column in known}:
                    message = f"The table `{name.full_name}` has no column `{each}`."
                    raise InvalidColumn(message, hint=did_you_mean(each, known))
            every = [replace(column, comment=wanted.get(column.name.casefold(), column.comment)) for column in write.snapshot.columns]
            self._writes.commit(write, operation="CHANGE COLUMN", new_columns=every)
        return self.get(ctx, name)

    def set_keys(self, ctx: RequestContext, name: TableName, keys: Sequence[Key]) -> None:
        """Put these primary and foreign keys in the place of those that are there; needs ownership or MANAGE."""
        table = self._resolution.find(ctx, name, Privilege.MANAGE)
        with self._parts.database.write() as connection:
            store.update(connection, store.tables, table.id, {"keys": store.keys_to_json(keys), **self._parts.touched(ctx)})
            self._parts.changed(ctx, "table.update", table.full_name, table.id, connection=connection)

    def update(
        self,
        ctx: RequestContext,
        name: TableName,
        *,
        new_name: str | None = None,
        comment: str | None = None,
        owner: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Table:
        """Change what is given; `new_name` is the last part of the name.  Needs ownership or MANAGE."""
        parts = self._parts
        table = self._resolution.find(ctx, name, Privilege.MANAGE)
        refuse_reserved(ctx, table.catalog, table.schema)
        values: dict[str, object] = parts.touched(ctx)
        if comment is not None:
            values["comment"] = checked_comment(comment)
        if properties is not None:
            values["properties"] = checked_properties(properties)
            self._put_properties(ctx, table, storage_properties(properties))
        current = TableName(table.catalog, table.schema, table.name)
        with parts.database.write() as connection:
            if new_name is not None and checked_name("table", new_name) != table.name:
                current = checked_table_name(TableName(table.catalog, table.schema, new_name))
                values["name"] = current.name
                try:
                    parts.access.securables.rename(ctx, table.id, current.full_name, connection=connection)
                except AlreadyExists as error:
                    raise taken(current) from error
            store.update(connection, store.tables, table.id, values)
            if owner is not None:
                parts.set_owner(ctx, table.id, owner, connection=connection)
            parts.changed(ctx, "table.update", current.full_name, table.id, connection=connection)
        return self.get(ctx, current)

    def drop(self, ctx: RequestContext, name: TableName, *, if_exists: bool = False, view: bool | None = None, keep: bool = False) -> None:
        """Drop a table or a view; the files of a managed table go after the metadata.  Needs ownership or MANAGE.

        Args:
            ctx: Who asks.
            name: What goes.
            if_exists: One that does not exist for the caller is no error.
            view: True refuses a table and False a view, as `DROP VIEW` and `DROP TABLE` do.
            keep: A table can be brought back for a week, and its files go after that.
        """
        try:
            table = self._resolution.find(ctx, name, Privilege.MANAGE)
        except TableNotFound:
            if if_exists:
                return
            raise
        if view is not None and view != table.is_view:
            message = f"`{table.full_name}` is a {'view' if table.is_view else 'table'}."
            raise WrongTableType(message, hint=f"Use `DROP {'VIEW' if table.is_view else 'TABLE'}`.")
        if table.table_type is TableType.SYSTEM:
            message = f"`{table.full_name}` belongs to Insjö and cannot be dropped."
            raise WrongTableType(message)
        with self._writes.exclusively(ctx, table), self._parts.database.write() as connection:
            row = store.fetch_table(connection, table.id)
            if row is not None and keep and table.has_files:
                self._removals.set_table_aside(ctx, connection, row)
            elif row is not None:
                self._removals.remove_table(ctx, connection, row)
        self._removals.sweep_expired()
        self._removals.sweep_noted()

    def _fetch(self, table_id: str) -> Table:
        with self._parts.database.read() as connection:
            row = store.fetch_table(connection, table_id)
        if row is None:
            message = "The table does not exist any more."
            raise TableNotFound(message)
        return table_of(row, "")

    def _put_properties(self, ctx: RequestContext, table: Table, wanted: Mapping[str, str]) -> None:
        """Change the properties that the table itself keeps, if they differ."""
        if not table.has_files:
            return
        with self._writes.begin(ctx, TableName(table.catalog, table.schema, table.name), Privilege.MANAGE) as write:
            checks = {key: value for key, value in write.snapshot.properties.items() if key.startswith(CONSTRAINTS)}
            wanted = {**wanted, **checks}
            if dict(write.snapshot.properties) != wanted:
                commit = Commit(
                    read_version=write.snapshot.version,
                    operation="SET TBLPROPERTIES",
                    user=ctx.principal.name,
                    properties=wanted,
                    held=write.snapshot,
                )
                self._writes.put(write, commit)
