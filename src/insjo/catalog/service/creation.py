"""Making tables and views: the half of `Tables` that brings them into being."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from insjo.access.types import UNLABELLED, Privilege, SecurableKind
from insjo.catalog import store
from insjo.catalog.column_types import checked_columns, checked_partitioning
from insjo.catalog.errors import InvalidColumn, TableAlreadyExists, TableDamaged
from insjo.catalog.ports import Commit
from insjo.catalog.service.parts import (
    checked_comment,
    checked_name,
    checked_properties,
    refuse_reserved,
    split_schema,
)
from insjo.catalog.service.properties import CONSTRAINTS, storage_properties
from insjo.catalog.types import Table, TableName, TableType
from insjo.kernel.errors import AlreadyExists, InsjoError, InvalidArgument
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from insjo.access.types import Label
    from insjo.catalog.service.files import Files
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.removals import Removals
    from insjo.catalog.service.resolution import Resolution
    from insjo.catalog.service.snapshots import Snapshots
    from insjo.catalog.service.writing import TableWrite, Writes
    from insjo.catalog.types import Column, Key, NewFile
    from insjo.kernel.context import RequestContext

    Protect = Callable[[str, sa.Connection | None], None]


_NO_VIEW = {"view_definition": "", "view_catalog": "", "view_schema": ""}


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


class TableCreation:
    """Creates and replaces tables and views; `Tables` is this and all the rest."""

    def __init__(
        self,
        parts: Parts,
        snapshots: Snapshots,
        resolution: Resolution,
        writes: Writes,
        removals: Removals,
        files: Files,
    ) -> None:
        self._parts = parts
        self._files = files
        self._snapshots = snapshots
        self._resolution = resolution
        self._writes = writes
        self._removals = removals

    @contextlib.contextmanager
    def stage(self, ctx: RequestContext, name: TableName, *, replace: bool = False) -> Iterator[StagedTable]:
        """A place for the data files of a table that `create` makes afterwards (`CREATE TABLE … AS SELECT`).

        When the block ends without `create`, nothing remains.

        Raises:
            TableAlreadyExists: There is one and `replace` is false.
        """
        name = checked_table_name(name)
        self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}", Privilege.CREATE_TABLE)
        refuse_reserved(ctx, name.catalog, name.schema)
        if self._exists(name):
            if not replace:
                raise taken(name)
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
        checks: Mapping[str, str] | None = None,
        keys: Sequence[Key] = (),
        protect: Protect | None = None,
    ) -> Table:
        """New managed table; needs CREATE TABLE on the schema, and to replace one, MANAGE on it.

        Args:
            ctx: Who asks; becomes the owner.
            name: Where it goes.
            columns: At least one; `keys` are primary and foreign ones.
            properties: Table properties; those that begin with `delta.` are kept in the table itself.
            if_not_exists: Give the one that is there.
            replace: Put a new definition and new rows in place of the one that is there; its history and its label stay.
            staged, adds: From `stage`, when data files were written before, and those files.
            label: Label of what the rows were computed from; the table gets it together with them.
            checks: Conditions that every row must fulfil, by name, in Databricks SQL; whoever writes rows sees to it.
            protect: Sets row filter and masks by the table's identifier, before anybody can see a row.

        Raises:
            TableAlreadyExists, InvalidName, InvalidColumn, AccessDenied, DiskFull: As they say.
        """
        name = checked_table_name(name)
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
            properties=storage_properties(wanted) | {CONSTRAINTS + each: text for each, text in (checks or {}).items()},
        )
        values = {
            **_NO_VIEW,
            "keys": store.keys_to_json(keys),
            "schema_id": schema.id,
            "name": name.name,
            "table_type": TableType.MANAGED.value,
            "columns": store.columns_to_json(columns),
            "partition_columns": list(partitions),
            "comment": checked_comment(comment),
            "properties": wanted,
        }
        if self._exists(name):
            if if_not_exists:
                return self.get(ctx, name)
            if not replace:
                raise taken(name)
            return self._replace(ctx, name, commit, values, staged, label, protect)
        return self._create_new(ctx, name, commit, values, staged, label, protect)

    def create_external(
        self,
        ctx: RequestContext,
        name: TableName,
        path: str,
        columns: Sequence[Column] = (),
        *,
        comment: str = "",
        partition_columns: Sequence[str] = (),
        if_not_exists: bool = False,
    ) -> Table:
        """A table over a Delta table in a directory of a volume, which others may have written; made there if there is none yet.

        Needs CREATE TABLE on the schema, READ VOLUME and WRITE VOLUME on the volume.  The table has the label of the directory besides
        its own.  Dropping it leaves the files.

        Raises:
            TableDamaged: Nothing is there and no columns are given.
            InvalidColumn: Columns are given, and the table that is there has others.
        """
        name = checked_table_name(name)
        schema = self._parts.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}", Privilege.CREATE_TABLE)
        refuse_reserved(ctx, name.catalog, name.schema)
        if self._exists(name):
            if if_not_exists:
                return self.get(ctx, name)
            raise taken(name)
        location = self._files.resolve_directory(ctx, path)
        wanted = checked_columns(columns) if columns else ()
        try:
            snapshot = self._parts.storage.snapshot(location)
        except TableDamaged:
            if not wanted:
                raise
            partitions = checked_partitioning(wanted, partition_columns)
            first = Commit(-1, operation="CREATE TABLE", user=ctx.principal.name, columns=wanted, partition_columns=partitions)
            self._parts.storage.commit(location, first)
            snapshot = self._parts.storage.snapshot(location)
        present = [(column.name, column.type_text) for column in snapshot.columns]
        if wanted and [(column.name, column.type_text) for column in wanted] != present:
            message = f"The Delta table at `{path}` has other columns than those that are given."
            raise InvalidColumn(message, hint="Leave the columns out.")
        values = {
            "schema_id": schema.id,
            "name": name.name,
            "table_type": TableType.EXTERNAL.value,
            "columns": store.columns_to_json(snapshot.columns),
            "partition_columns": list(snapshot.partition_columns),
            "location": location,
            "comment": checked_comment(comment),
            "properties": {},
            "view_definition": "",
            "view_catalog": "",
            "view_schema": "",
        }
        self._register(ctx, name, schema.id, values, None)
        return self.get(ctx, name)

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
        name = checked_table_name(name)
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
                raise taken(name)
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

    def get(self, ctx: RequestContext, name: TableName | str) -> Table:
        """Table or view by name, with the columns that it has now; not found for those who may not see it."""
        table = self._resolution.find(ctx, parsed(name))
        if not table.has_files:
            return table
        try:
            snapshot = self._snapshots.current(table.id, table.location)
        except TableDamaged:
            return table  # Its page must still open, and it must be possible to drop it.
        if snapshot.columns != table.columns:
            self._writes.remember_columns(ctx, table, snapshot)
        return replace(table, columns=snapshot.columns, partition_columns=snapshot.partition_columns)

    def raise_label(self, ctx: RequestContext, table_id: str, label: Label, *, connection: sa.Connection | None = None) -> None:
        """Join a label into that of a table, because rows computed from such content go into it.

        Call it before the commit: a label without its rows harms nobody, rows without their label do.
        """
        labels = self._parts.access.labels
        if not labels.effective(table_id, connection=connection).covers(label):
            # Joined with what content without any label counts as: a first label must never lower the table to it.
            labels.raise_derived(ctx, table_id, label.join(UNLABELLED), connection=connection)

    def _exists(self, name: TableName) -> bool:
        """Whether the name is taken, by something that the caller may see or not."""
        return self._parts.access.securables.find(SecurableKind.TABLE, name.full_name) is not None

    def _create_new(
        self,
        ctx: RequestContext,
        name: TableName,
        commit: Commit,
        values: Mapping[str, object],
        staged: StagedTable | None,
        label: Label | None,
        protect: Protect | None,
    ) -> Table:
        """The Delta table first and its row afterwards: a crash in between leaves a folder that a later start sweeps away."""
        location = staged.location if staged else str(self._parts.table_folder / new_id())
        try:
            self._parts.storage.commit(location, commit)
            table_id = self._register(ctx, name, str(values["schema_id"]), {**values, "location": location}, label, protect)
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
        protect: Protect | None,
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
            if protect is not None:
                protect(write.table.id, None)
            operation = "CREATE OR REPLACE TABLE AS SELECT" if staged else "CREATE OR REPLACE TABLE"
            whole = replace(commit, read_version=snapshot.version, removes=snapshot.files, operation=operation, held=snapshot, changes=())
            self._writes.put(write, whole)
            with self._parts.database.write() as connection:
                kept = {key: values[key] for key in ("comment", "properties", "keys")}
                store.update(connection, store.tables, write.table.id, {**kept, **self._parts.touched(ctx)})
                self._parts.changed(ctx, "table.replace", name.full_name, write.table.id, connection=connection)
        return self.get(ctx, name)

    def _register(
        self,
        ctx: RequestContext,
        name: TableName,
        schema_id: str,
        values: Mapping[str, object],
        label: Label | None,
        protect: Protect | None = None,
    ) -> str:
        """The securable, the row, the label and what protects the table in one transaction; gives the identifier."""
        parts = self._parts
        try:
            with parts.database.write() as connection:
                securable = parts.access.securables.register(ctx, SecurableKind.TABLE, name.full_name, schema_id, connection=connection)
                store.insert(connection, store.tables, {"id": securable.id, **values, **parts.stamps(ctx)})
                if label is not None:
                    parts.access.labels.raise_derived(ctx, securable.id, label, connection=connection)
                if protect is not None:
                    protect(securable.id, connection)
        except AlreadyExists as error:
            raise taken(name) from error
        return securable.id


def parsed(name: TableName | str) -> TableName:
    """A name in parts, from either form."""
    return name if isinstance(name, TableName) else TableName.parse(name)


def checked_table_name(name: TableName) -> TableName:
    """The name, if a table may have it."""
    split_schema(f"{name.catalog}.{name.schema}")
    return TableName(name.catalog, name.schema, checked_name("table", name.name))


def taken(name: TableName) -> TableAlreadyExists:
    """The error for a name that another table or view has."""
    message = f"The table or view `{name.full_name}` exists already."
    return TableAlreadyExists(message)
