"""Tables and views: the face of everything that can be queried."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from insjo.access.errors import TableNotFound
from insjo.access.types import UNLABELLED, Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.column_types import checked_columns, checked_partitioning
from insjo.catalog.errors import ColumnAlreadyExists, InvalidColumn, TableAlreadyExists, TableDamaged, WrongTableType
from insjo.catalog.ports import Commit
from insjo.catalog.service.parts import (
    checked_comment,
    checked_name,
    checked_properties,
    refuse_reserved,
    split_schema,
    table_of,
)
from insjo.catalog.service.properties import storage_properties
from insjo.catalog.types import ResolvedTable, Table, TableName, TableType
from insjo.kernel.errors import AlreadyExists, InsjoError, InvalidArgument, did_you_mean
from insjo.kernel.ids import new_id
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.types import Label
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.removals import Removals
    from insjo.catalog.service.resolution import Resolution
    from insjo.catalog.service.snapshots import Snapshots
    from insjo.catalog.service.writing import CommitHook, TableWrite, Writes
    from insjo.catalog.types import Column, DataFile, HistoryEntry, NewFile, Snapshot
    from insjo.kernel.context import RequestContext

HISTORY_MAX = 1000


@dataclass(slots=True)
class StagedTable:
    """A table whose data files are written before it exists, so that it appears together with its rows.

    Attributes:
        location: Folder below which the data files belong.
        replaces: The table that is there now, when it is to be replaced.
    """

    name: TableName
    location: str
    replaces: TableWrite | None = None
    used: bool = field(default=False, repr=False)


class Tables:
    """Creates, lists, changes, reads and writes tables and views."""

    def __init__(self, parts: Parts, snapshots: Snapshots, resolution: Resolution, writes: Writes, removals: Removals) -> None:
        self._parts = parts
        self._snapshots = snapshots
        self._resolution = resolution
        self._writes = writes
        self._removals = removals

    # ------------------------------------------------------------------------------------------------------------ creating

    @contextlib.contextmanager
    def stage(self, ctx: RequestContext, name: TableName, *, replace: bool = False) -> Iterator[StagedTable]:
        """A place for the data files of a table that `create` makes afterwards (`CREATE TABLE … AS SELECT`).

        When the block ends without `create`, nothing remains.

        Raises:
            TableAlreadyExists: There is one and `replace` is false.
        """
        name = _checked(name)
        self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}", Privilege.CREATE_TABLE)
        refuse_reserved(ctx, name.catalog, name.schema)
        if self._exists(name):
            if not replace:
                raise _taken(name)
            with self._writes.begin(ctx, name, Privilege.MANAGE) as write:
                yield StagedTable(name, write.location, write)
            return
        staged = StagedTable(name, str(self._parts.table_folder / new_id()))
        try:
            yield staged
        finally:
            if not staged.used:
                self._parts.storage.remove(staged.location)

    def create(
        self,
        ctx: RequestContext,
        name: TableName,
        columns: Sequence[Column],
        *,
        comment: str = "",
        properties: Mapping[str, str] | None = None,
        partition_columns: Sequence[str] = (),
        if_not_exists: bool = False,
        replace: bool = False,
        staged: StagedTable | None = None,
        adds: Sequence[NewFile] = (),
        label: Label | None = None,
    ) -> Table:
        """New managed table; needs CREATE TABLE on the schema, and to replace one, MANAGE on it.

        Args:
            ctx: Who asks; becomes the owner.
            name: Where it goes.
            columns: At least one.
            comment: Free text.
            properties: Table properties; those that begin with `delta.` are kept in the table itself.
            partition_columns: Columns by whose values files are laid into folders.
            if_not_exists: Give the one that is there.
            replace: Put a new definition and new rows in place of the one that is there; its history and its label stay.
            staged: From `stage`, when data files were written before.
            adds: Those files.
            label: Label of what the rows were computed from; the table gets it together with them.

        Raises:
            TableAlreadyExists, InvalidName, InvalidColumn, AccessDenied, DiskFull: As they say.
        """
        name = _checked(name)
        schema = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}", Privilege.CREATE_TABLE)
        refuse_reserved(ctx, name.catalog, name.schema)
        columns = checked_columns(columns)
        partitions = checked_partitioning(columns, partition_columns)
        wanted = checked_properties(properties or {})
        commit = Commit(
            read_version=-1,
            adds=adds,
            operation="CREATE TABLE AS SELECT" if staged else "CREATE TABLE",
            parameters={"partitionBy": ",".join(partitions)},
            user=ctx.principal.name,
            columns=columns,
            partition_columns=partitions,
            properties=storage_properties(wanted),
        )
        values = {
            "schema_id": schema.id,
            "name": name.name,
            "table_type": TableType.MANAGED.value,
            "columns": store.columns_to_json(columns),
            "partition_columns": list(partitions),
            "comment": checked_comment(comment),
            "properties": wanted,
            "view_definition": "",
            "view_catalog": "",
            "view_schema": "",
        }
        if self._exists(name):
            if if_not_exists:
                return self.get(ctx, name)
            if not replace:
                raise _taken(name)
            return self._replace(ctx, name, commit, values, staged, label)
        return self._create_new(ctx, name, commit, values, staged, label)

    def create_view(
        self,
        ctx: RequestContext,
        name: TableName,
        sql: str,
        columns: Sequence[Column],
        *,
        default_catalog: str = "",
        default_schema: str = "",
        comment: str = "",
        replace: bool = False,
        if_not_exists: bool = False,
        label: Label | None = None,
    ) -> Table:
        """New view; needs CREATE TABLE on the schema.  `sql` was checked and bound by the caller of this.

        Raises:
            TableAlreadyExists: There is a view, or a table whatever `replace` says.
        """
        name = _checked(name)
        schema = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}", Privilege.CREATE_TABLE)
        refuse_reserved(ctx, name.catalog, name.schema)
        values: dict[str, object] = {
            "columns": store.columns_to_json(checked_columns(columns, stored=False)),
            "comment": checked_comment(comment),
            "view_definition": sql,
            "view_catalog": default_catalog.lower(),
            "view_schema": default_schema.lower(),
        }
        if self._exists(name):
            if if_not_exists:
                return self.get(ctx, name)
            present = self._resolution.find(ctx, name, Privilege.MANAGE) if replace else None
            if present is None or not present.is_view:
                raise _taken(name)
            with self._parts.database.write() as connection:
                store.update(connection, store.tables, present.id, {**values, **self._parts.touched(ctx)})
                if label is not None:
                    self.raise_label(ctx, present.id, label, connection=connection)
                self._parts.changed(ctx, "table.update", name.full_name, present.id, connection=connection)
            return self.get(ctx, name)
        fixed = {"schema_id": schema.id, "name": name.name, "table_type": TableType.VIEW.value, "location": ""}
        self._register(ctx, name, schema.id, {**values, **fixed, "partition_columns": [], "properties": {}}, label)
        return self.get(ctx, name)

    def register_system(self, ctx: RequestContext, name: TableName, columns: Sequence[Column], comment: str = "") -> Table:
        """Make a table of Insjö's own known (or bring its columns up to date); its rows are computed by the SQL room."""
        schema_name = f"{name.catalog}.{name.schema}"
        schema = self._parts.access.securables.find(SecurableKind.SCHEMA, schema_name)
        if schema is None:
            message = f"The schema `{schema_name}` must be made before its tables."
            raise InvalidArgument(message)
        values: dict[str, object] = {"columns": store.columns_to_json(checked_columns(columns, stored=False)), "comment": comment}
        if self._exists(name):
            present = self._resolution.find(ctx, name)
            if store.columns_to_json(present.columns) != values["columns"] or present.comment != comment:
                with self._parts.database.write() as connection:
                    store.update(connection, store.tables, present.id, {**values, **self._parts.touched(ctx)})
            return self.get(ctx, name)
        fixed = {"schema_id": schema.id, "name": name.name, "table_type": TableType.SYSTEM.value, "location": ""}
        more = {"partition_columns": [], "properties": {}, "view_definition": "", "view_catalog": "", "view_schema": ""}
        self._register(ctx, name, schema.id, {**values, **fixed, **more}, None)
        return self.get(ctx, name)

    # ------------------------------------------------------------------------------------------------------------- reading

    def get(self, ctx: RequestContext, name: TableName | str) -> Table:
        """Table or view by name, with the columns that it has now; not found for those who may not see it."""
        table = self._resolution.find(ctx, _parsed(name))
        if not table.has_files:
            return table
        try:
            snapshot = self._snapshots.current(table.id, table.location)
        except TableDamaged:
            return table  # Its page must still open, and it must be possible to drop it.
        if snapshot.columns != table.columns:
            self._writes.remember_columns(ctx, table, snapshot)
        return replace(table, columns=snapshot.columns, partition_columns=snapshot.partition_columns)

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
        """The last commits of a table, newest first; needs SELECT."""
        table = self._resolution.find(ctx, name, Privilege.SELECT)
        if not table.has_files:
            message = f"`{table.full_name}` is a {table.table_type.lower()} and has no history."
            raise WrongTableType(message)
        return self._parts.storage.history(table.location, min(max(limit, 1), HISTORY_MAX))

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
        blind: bool | None = None,
    ) -> int:
        """See `Writes.commit`."""
        return self._writes.commit(write, adds, removes, operation, parameters, new_columns=new_columns, blind=blind)

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
        """Bring back the rows and columns of an earlier version, as a new version; needs MODIFY."""
        with self._writes.begin(ctx, name) as write:
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
                current = _checked(TableName(table.catalog, table.schema, new_name))
                values["name"] = current.name
                try:
                    parts.access.securables.rename(ctx, table.id, current.full_name, connection=connection)
                except AlreadyExists as error:
                    raise _taken(current) from error
            store.update(connection, store.tables, table.id, values)
            if owner is not None:
                parts.set_owner(ctx, table.id, owner, connection=connection)
            parts.changed(ctx, "table.update", current.full_name, table.id, connection=connection)
        return self.get(ctx, current)

    def drop(self, ctx: RequestContext, name: TableName, *, if_exists: bool = False, view: bool | None = None) -> None:
        """Drop a table or a view; the files of a managed table go after the metadata.  Needs ownership or MANAGE.

        Args:
            ctx: Who asks.
            name: What goes.
            if_exists: One that does not exist for the caller is no error.
            view: True refuses a table and False a view, as `DROP VIEW` and `DROP TABLE` do.
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
            if row is not None:
                self._removals.remove_table(ctx, connection, row)
        self._removals.sweep_noted()

    def raise_label(self, ctx: RequestContext, table_id: str, label: Label, *, connection: sa.Connection | None = None) -> None:
        """Join a label into that of a table, because rows computed from such content go into it.

        Call it before the commit: a label without its rows harms nobody, rows without their label do.
        """
        labels = self._parts.access.labels
        if not labels.effective(table_id, connection=connection).covers(label):
            # Joined with what content without any label counts as: a first label must never lower the table to it.
            labels.raise_derived(ctx, table_id, label.join(UNLABELLED), connection=connection)

    # ------------------------------------------------------------------------------------------------------------- details

    def _exists(self, name: TableName) -> bool:
        """Whether the name is taken, by something that the caller may see or not."""
        return self._parts.access.securables.find(SecurableKind.TABLE, name.full_name) is not None

    def _fetch(self, table_id: str) -> Table:
        with self._parts.database.read() as connection:
            row = store.fetch_table(connection, table_id)
        if row is None:
            message = "The table does not exist any more."
            raise TableNotFound(message)
        return table_of(row, "")

    def _create_new(
        self,
        ctx: RequestContext,
        name: TableName,
        commit: Commit,
        values: Mapping[str, object],
        staged: StagedTable | None,
        label: Label | None,
    ) -> Table:
        """The Delta table first and its row afterwards: a crash in between leaves a folder that a later start sweeps away."""
        location = staged.location if staged else str(self._parts.table_folder / new_id())
        try:
            self._parts.storage.commit(location, commit)
            table_id = self._register(ctx, name, str(values["schema_id"]), {**values, "location": location}, label)
        except InsjoError:
            self._parts.storage.remove(location)
            raise
        finally:
            # After any other error it is not certain whether the row was committed, and only a sweep may tell whose folder this is.
            if staged is not None:
                staged.used = True
        self._writes.committed(table_id, 0)
        return self.get(ctx, name)

    def _replace(
        self,
        ctx: RequestContext,
        name: TableName,
        commit: Commit,
        values: Mapping[str, object],
        staged: StagedTable | None,
        label: Label | None,
    ) -> Table:
        """New definition and rows for a table that is there, as one version of it."""
        with contextlib.ExitStack() as stack:
            if staged is not None and staged.replaces is not None:
                write = staged.replaces
            else:
                write = stack.enter_context(self._writes.begin(ctx, name, Privilege.MANAGE))
            snapshot = write.snapshot
            if label is not None:
                self.raise_label(ctx, write.table.id, label)
            operation = "CREATE OR REPLACE TABLE AS SELECT" if staged else "CREATE OR REPLACE TABLE"
            whole = replace(commit, read_version=snapshot.version, removes=snapshot.files, operation=operation, held=snapshot)
            self._writes.put(write, whole)
            with self._parts.database.write() as connection:
                kept = {key: values[key] for key in ("comment", "properties")}
                store.update(connection, store.tables, write.table.id, {**kept, **self._parts.touched(ctx)})
                self._parts.changed(ctx, "table.replace", name.full_name, write.table.id, connection=connection)
        return self.get(ctx, name)

    def _register(self, ctx: RequestContext, name: TableName, schema_id: str, values: Mapping[str, object], label: Label | None) -> str:
        """The securable, the row and the label in one transaction; gives the identifier."""
        parts = self._parts
        try:
            with parts.database.write() as connection:
                securable = parts.access.securables.register(ctx, SecurableKind.TABLE, name.full_name, schema_id, connection=connection)
                store.insert(connection, store.tables, {"id": securable.id, **values, **parts.stamps(ctx)})
                if label is not None:
                    parts.access.labels.raise_derived(ctx, securable.id, label, connection=connection)
        except AlreadyExists as error:
            raise _taken(name) from error
        return securable.id

    def _put_properties(self, ctx: RequestContext, table: Table, wanted: Mapping[str, str]) -> None:
        """Change the properties that the table itself keeps, if they differ."""
        if not table.has_files:
            return
        with self._writes.begin(ctx, TableName(table.catalog, table.schema, table.name), Privilege.MANAGE) as write:
            if dict(write.snapshot.properties) != dict(wanted):
                commit = Commit(
                    read_version=write.snapshot.version,
                    operation="SET TBLPROPERTIES",
                    user=ctx.principal.name,
                    properties=wanted,
                    held=write.snapshot,
                )
                self._writes.put(write, commit)


def _parsed(name: TableName | str) -> TableName:
    return name if isinstance(name, TableName) else TableName.parse(name)


def _checked(name: TableName) -> TableName:
    split_schema(f"{name.catalog}.{name.schema}")
    return TableName(name.catalog, name.schema, checked_name("table", name.name))


def _taken(name: TableName) -> TableAlreadyExists:
    message = f"The table or view `{name.full_name}` exists already."
    return TableAlreadyExists(message)
