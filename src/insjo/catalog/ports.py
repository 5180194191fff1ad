"""What the catalog needs from the places where tables and files lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from insjo.catalog.types import ChangeFile, Column, DataFile, HistoryEntry, NewFile, Snapshot
    from insjo.kernel.cancellation import CancelToken


@dataclass(frozen=True, slots=True)
class Commit:
    """A change of a table that becomes visible as one.

    Attributes:
        read_version: Version from which the change was computed; -1 makes a new table.
        blind: The change depends on nothing that the table holds, so it may follow whatever others commit meanwhile.
        columns: The schema after the change, or None when it stays.
        partition_columns: Only for a new or a replaced table; `properties` likewise, or when they change.
        held: The snapshot at `read_version`, which spares reading the log again.
        restore: Snapshot whose files and definition the table gets back; then `adds`, `removes` and the definition stay empty.
        changes: Files that tell the changed rows of a table with a change data feed.  Nothing in them says that `adds` and `removes`
            tell it themselves, as whole rows that come and go; None says that nobody thought of it, which such a table refuses.
    """

    read_version: int
    adds: Sequence[NewFile] = ()
    removes: Sequence[DataFile] = ()
    operation: str = "WRITE"
    parameters: Mapping[str, str] | None = None
    user: str = ""
    blind: bool = False
    columns: Sequence[Column] | None = None
    partition_columns: Sequence[str] | None = None
    properties: Mapping[str, str] | None = None
    held: Snapshot | None = None
    restore: Snapshot | None = None
    changes: Sequence[NewFile] | None = None


class TableStorage(Protocol):
    """Tables with snapshots and atomic commits (Delta)."""

    def snapshot(
        self,
        location: str,
        *,
        version: int | None = None,
        timestamp: datetime | None = None,
        held: Snapshot | None = None,
    ) -> Snapshot:
        """The table at a version, at a moment, or now.

        `held` is an earlier snapshot of the same table: it is returned as it is when nothing was committed since, and is brought up
        to date by reading only the commits after it.

        Raises:
            VersionNotFound, TimestampTooLate, TimestampTooEarly: The log does not reach there.
            TableDamaged: There is no readable log.
        """
        ...

    def commit(self, location: str, commit: Commit) -> int:
        """Make the change visible and durable, or leave everything as it was; returns the new version.

        Raises:
            CommitConflict: Somebody else committed since `read_version`, and the change is not blind.
            DiskFull: No room for the log entry.
            FeatureUnsupported: The table uses a feature that this writer does not know.
        """
        ...

    def history(self, location: str, limit: int) -> list[HistoryEntry]:
        """The last commits, newest first."""
        ...

    def remove(self, location: str) -> None:
        """Delete the table's folder with all files; a missing folder is no error."""
        ...

    def maintain(self, location: str, version: int) -> None:
        """Write a checkpoint if one is due at this version."""
        ...

    def discard(self, location: str, files: Sequence[NewFile]) -> None:
        """Delete data files that were written but never committed; missing ones are no error."""
        ...


class CleanableStorage(TableStorage, Protocol):
    """Tables that tell what their versions changed, and whose old files can be taken away."""

    def changes(
        self, location: str, start: int | datetime, end: int | datetime | None, newest: int, columns: Sequence[Column]
    ) -> Sequence[ChangeFile]:
        """The files that tell what some versions changed, in the order of the versions.

        Args:
            location: Where the table lies.
            start: The first version, or a moment: the first version that is not older.
            end: The last version, or a moment: the last version that is not younger; None means the newest.
            newest: The version up to which the caller looks.
            columns: As which the changes are to be shown.

        Raises:
            ChangesAfterNewest, ChangeRangeInvalid, TimestampTooLate, TimestampTooEarly, VersionNotFound: The log does not reach there.
            ChangesNotRecorded, ChangeSchemaIncompatible, ChangesRemoved, FeatureUnsupported, TooManyFiles: As they say.
        """
        ...

    def vacuum(self, location: str, cutoff: datetime, *, dry_run: bool) -> list[str]:
        """Delete files that no version needs which could be read at the moment or later, and files of killed writers.

        Nothing that was written after the moment goes.  With `dry_run` nothing goes at all.

        Returns:
            Paths of these files below the location.
        """
        ...


class PlainCopies(Protocol):
    """Copies of tables whose files cannot be read as they are (deletion vectors, column mapping)."""

    def copy(self, location: str, snapshot: Snapshot, folder: str) -> Snapshot:
        """The same rows as plain Parquet files in a folder of their own; a copy of that version that is there already is used again.

        Raises:
            FeatureUnsupported: The table cannot be read in this way either.
            DiskFull: No room; nothing remains.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or directory below a volume's folder; `path` is relative to it, `local_path` where an engine finds it."""

    path: str
    is_directory: bool
    size_bytes: int
    modified_at: datetime
    local_path: str


class FileStorage(Protocol):
    """Files in folders.  `folder` is a volume's location; paths are relative to it, parts joined by `/`.

    No method follows a symbolic link, wherever on the path it stands.
    """

    def write(self, folder: str, path: str, chunks: Iterable[bytes], *, overwrite: bool, bytes_max: int) -> StoredFile:
        """Write a whole file or nothing; missing directories are made.

        Raises:
            FileAlreadyExists: A file is there and `overwrite` is false, or a directory is there.
            FileTooLarge: More than `bytes_max` bytes came.
            DiskFull: No room.
        """
        ...

    def read(self, folder: str, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        """Content of a file from `offset` on, in chunks; FileNotFound before the first chunk."""
        ...

    def stat(self, folder: str, path: str) -> StoredFile | None:
        """What is at the path, or None."""
        ...

    def list(self, folder: str, path: str) -> Iterator[StoredFile]:
        """Entries of one directory, sorted by name; FileNotFound when there is none."""
        ...

    def make_directory(self, folder: str, path: str) -> None:
        """Make a directory and those above it; one that exists is no error."""
        ...

    def delete(self, folder: str, path: str, *, recursive: bool = False) -> None:
        """Delete a file, an empty directory, or with `recursive` a directory with all it holds."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of an object store; a `key` that ends with `/` stands for all objects below it, and then the rest means nothing.

    Attributes:
        mark: Changes whenever the content does (the entity tag).
    """

    key: str
    size_bytes: int
    modified_at: datetime
    mark: str


class ObjectStore(Protocol):
    """Objects by key below one address: a folder of S3, of Azure Blob, or of the like.

    All methods raise StorageUnavailable when the store does not answer, or does not let us in.
    """

    def put(self, key: str, source: Path | bytes, *, if_absent: bool = False) -> bool:
        """Store a whole object or nothing; with `if_absent` False when there is one of that key, decided by the store itself."""
        ...

    def fetch(self, key: str, target: Path, mark: str = "") -> bool:
        """Write the object into a new file; False when it is not there, or when its content is no longer the one that `mark` names."""
        ...

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """Content from `offset` on, in chunks; nothing for an object that is not there, and less at its end."""
        ...

    def find(self, key: str) -> StoredObject | None:
        """What is known of an object, or None."""
        ...

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[StoredObject]:
        """Objects below a prefix that ends with `/` or is empty, by key; not recursive, with one entry for all below a further part."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        ...


class Mirror(Protocol):
    """Objects of a store as files on the local disk: where engines, which get neither a network nor keys, read them.

    The data folder keeps its shape: what would lie at a path of it lies in the store under the key that follows from that path, and
    the path holds a copy while somebody reads it, and as long afterwards as there is room.
    """

    def place(self, path: str) -> tuple[ObjectStore, str]:
        """The store and the key that belong to a path below the folders of tables and volumes."""
        ...

    def held(self, paths: Iterable[str], cancel: CancelToken | None = None) -> AbstractContextManager[None]:
        """Have copies at these paths while the block runs; paths that belong to no object, or whose object is gone, are left out.

        Raises:
            CacheTooSmall: They do not fit into the cache beside what others hold.
            DiskFull, StorageUnavailable: As they say.
        """
        ...

    def keep(self, paths: Iterable[str]) -> None:
        """These files are in the store now, so the copies may go when room is needed."""
        ...

    def forget(self, folder: str) -> None:
        """What lay below a folder was deleted."""
        ...
