"""The change data feed: which rows each version of a table brought and took.

A version that names change files is told by them alone; for every other one the rows of its new files came and those of the files that
left went.  Source: the Delta transaction log protocol, sections "Add CDC File" and "Reader Requirements for AddCDCFile".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from insjo.adapters.delta import features, log, replay, schema
from insjo.catalog.errors import (
    ChangeSchemaIncompatible,
    ChangesNotRecorded,
    FeatureUnsupported,
    TableDamaged,
    TooManyFiles,
    VersionNotFound,
)
from insjo.catalog.types import ChangeFile, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.types import Column

FILES_MAX = 20_000
"""Files that one look at changes may read; their names stand in the statement that the engine gets."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(location: str, first: int, last: int, times: Mapping[int, int], columns: Sequence[Column]) -> list[ChangeFile]:
    """The files that tell what the versions from `first` to `last` changed.

    Args:
        location: Folder of the table.
        first: The first version.
        last: The last one, with its changes.
        times: Moment of each version in milliseconds since 1970.
        columns: As which the changes are to be shown.

    Raises:
        ChangesNotRecorded: The feed was not kept at one of the versions.
        ChangeSchemaIncompatible: Columns were taken away, renamed or changed meanwhile.
        FeatureUnsupported: The files do not tell the rows by themselves.
        VersionNotFound, TooManyFiles: As they say.
    """
    state = replay.load(location, first)
    if features.mapped(state.configuration):
        raise _unreadable(features.COLUMN_MAPPING)
    _check(state.metadata, first, (first, last), columns)
    reader = _Reader(replay.FileReader(location, state), columns)
    partitioned = bool(state.partition_names)
    found: list[ChangeFile] = []
    for version in range(first, last + 1):
        try:
            actions = log.read_commit(location, version)
        except FileNotFoundError as error:
            message = f"The log of the table no longer reaches back to version {version}."
            raise VersionNotFound(message) from error
        when = _EPOCH + timedelta(milliseconds=times.get(version, 0))
        found.extend(_of_version(actions, reader, version, when, partitioned=partitioned))
        for action in actions:
            if action.meta_data is not None:
                _check(action.meta_data, version, (first, last), columns)
                partitioned = bool(action.meta_data.get("partitionColumns"))
        if len(found) > FILES_MAX:
            message = f"The changes from version {first} to {last} lie in more than {FILES_MAX} files."
            raise TooManyFiles(message, hint="Ask for fewer versions.")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes files of changes of actions."""

    files: replay.FileReader
    columns: Sequence[Column]

    def change(self, add: log.AddAction, kind: ChangeKind, version: int, when: datetime) -> ChangeFile:
        """One file; the columns by which it is partitioned are its own, because a replaced table may have others."""
        file = self.files.file_of(add)
        if file is None:
            message = "A file of changes lies outside the folder of the table."
            raise TableDamaged(message)
        names = [column for column in self.columns if column.name in file.log_partition_values]
        values = schema.partition_values(file.log_partition_values, names)
        return ChangeFile(replace(file, partition_values=values), kind, version, when, tuple(column.name for column in names))


def _of_version(actions: Sequence[log.Action], reader: _Reader, version: int, when: datetime, *, partitioned: bool) -> list[ChangeFile]:
    """What one version changed."""
    told = [action.cdc for action in actions if action.cdc is not None]
    if told:
        adds = [log.AddAction(each.path, each.size, partition_values=each.partition_values) for each in told]
        return [reader.change(each, ChangeKind.TOLD, version, when) for each in adds]
    found: list[ChangeFile] = []
    for action in actions:
        if action.add is not None and action.add.data_change:
            _refuse_vector(action.add.deletion_vector)
            found.append(reader.change(action.add, ChangeKind.INSERT, version, when))
        elif action.remove is not None and action.remove.data_change:
            _refuse_vector(action.remove.deletion_vector)
            if partitioned and action.remove.partition_values is None:
                raise _unreadable("files that another writer removed without their partition values")
            gone = log.AddAction(action.remove.path, action.remove.size, partition_values=action.remove.partition_values)
            found.append(reader.change(gone, ChangeKind.DELETE, version, when))
    return found


def _check(metadata: Mapping[str, Any], version: int, span: tuple[int, int], columns: Sequence[Column]) -> None:
    """The definition of a version: the feed is kept, and its columns are among those that are shown."""
    configuration = {str(key): str(value) for key, value in (metadata.get("configuration") or {}).items()}
    if not features.keeps_changes(configuration):
        message = f"The changes from version {span[0]} to {span[1]} cannot be told: none were recorded for version {version}."
        hint = (
            "`ALTER TABLE t SET TBLPROPERTIES (delta.enableChangeDataFeed = true)` switches it on; `DESCRIBE HISTORY` tells when that was."
        )
        raise ChangesNotRecorded(message, hint=hint)
    fields = tuple(schema.read_fields(str(metadata.get("schemaString") or "{}")))
    present, _ = schema.columns_of(fields)
    shown = {column.name: column.type_text for column in columns}
    for column in present:
        if shown.get(column.name) != column.type_text:
            message = f"The column `{column.name}` of version {version} was taken away, renamed or changed since."
            raise ChangeSchemaIncompatible(message, hint="Ask for the versions after that change.")


def _refuse_vector(vector: object) -> None:
    if vector:
        raise _unreadable(features.DELETION_VECTORS)


def _unreadable(what: str) -> FeatureUnsupported:
    message = f"The change data feed of a table with {what} is not supported."
    return FeatureUnsupported(message)
