"""The passages of one index as a Delta table: the truth from which everything else about an index is derived.

The table is partitioned by volume, since that is how far rights go, and its files are written here with pyarrow; the commits are the
catalog's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from insjo.catalog.errors import TableDamaged, VersionNotFound
from insjo.catalog.ports import Commit
from insjo.catalog.types import Column, NewFile
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from insjo.catalog.ports import TableStorage
    from insjo.catalog.types import DataFile, Snapshot

PARTITION = "volume_id"
ROWS_PER_FILE_MAX = 2000

COLUMNS = (
    Column("volume_id", "string", nullable=False),
    Column("passage_id", "string", nullable=False),
    Column("path", "string", nullable=False),
    Column("title", "string"),
    Column("page", "int"),
    Column("position", "int"),
    Column("heading", "string"),
    Column("text", "string", nullable=False),
    Column("label", "string"),
    Column("vector", "array<float>"),
)

SCHEMA = pa.schema(
    [
        pa.field("passage_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("page", pa.int32()),
        pa.field("position", pa.int32()),
        pa.field("heading", pa.string()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("vector", pa.list_(pa.field("element", pa.float32()))),
    ]
)
"""Columns of a data file: all but that by which the table is partitioned."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens in one volume: passages of these documents go, these rows come."""

    volume_id: str
    removed_paths: frozenset[str]
    rows: pa.Table


class PassageTable:
    """One index's table.

    Args:
        storage: Makes commits and reads snapshots.
        folder: Folder of the table.
    """

    def __init__(self, storage: TableStorage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder
        self._location = str(folder)

    def ensure(self) -> Snapshot:
        """The table as it is now, made if it was not there."""
        try:
            return self._storage.snapshot(self._location)
        except (TableDamaged, VersionNotFound):
            if any(self._folder.glob("_delta_log/*.json")):
                raise
        self._folder.mkdir(parents=True, exist_ok=True)
        commit = Commit(read_version=-1, operation="CREATE TABLE", columns=COLUMNS, partition_columns=(PARTITION,))
        self._storage.commit(self._location, commit)
        return self._storage.snapshot(self._location)

    def snapshot(self, version: int) -> Snapshot:
        """The table at a version."""
        return self._storage.snapshot(self._location, version=version)

    def apply(self, snapshot: Snapshot, changes: Iterable[Change], operation: str, user: str) -> Snapshot:
        """Make the changes visible as one commit; the table after it.

        Raises:
            CommitConflict: Somebody else committed since the snapshot.
            DiskFull: No room.
        """
        adds: list[NewFile] = []
        removes: list[DataFile] = []
        try:
            for change in changes:
                kept, touched = _touched(files_of(snapshot, change.volume_id), change.removed_paths)
                removes += touched
                rows = pa.concat_tables([*kept, change.rows.select(SCHEMA.names).cast(SCHEMA)])
                adds += self._write(change.volume_id, rows)
            if not adds and not removes:
                return snapshot
            commit = Commit(read_version=snapshot.version, adds=adds, removes=removes, operation=operation, user=user)
            version = self._storage.commit(self._location, commit)
        except BaseException:
            for file in adds:
                (self._folder / file.path).unlink(missing_ok=True)
            raise
        self._storage.maintain(self._location, version)
        return self._storage.snapshot(self._location, held=snapshot)

    def _write(self, volume_id: str, rows: pa.Table) -> list[NewFile]:
        """Data files with these rows."""
        written: list[NewFile] = []
        for start in range(0, rows.num_rows, ROWS_PER_FILE_MAX):
            chunk = rows.slice(start, ROWS_PER_FILE_MAX)
            relative = f"{PARTITION}={quote(volume_id, safe='')}/part-{new_id()}.parquet"
            path = self._folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(chunk, path, compression="zstd")
            stats: dict[str, Any] = {"numRecords": chunk.num_rows}
            written.append(NewFile(relative, chunk.num_rows, path.stat().st_size, {PARTITION: volume_id}, stats))
        return written


def files_of(snapshot: Snapshot, volume_id: str) -> list[DataFile]:
    """Data files of one volume, in a fixed order."""
    return sorted((file for file in snapshot.files if file.partition_values.get(PARTITION) == volume_id), key=lambda file: file.path)


def read_rows(files: Sequence[DataFile], columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of data files, in their order."""
    names = list(columns) if columns else SCHEMA.names
    tables = [pq.read_table(file.path, columns=names, partitioning=None) for file in files]
    wanted = pa.schema([SCHEMA.field(name) for name in names])
    return pa.concat_tables([table.cast(wanted) for table in tables]) if tables else wanted.empty_table()


def content_key(snapshot: Snapshot, volume_id: str) -> str:
    """Tells one content of a volume's part of the table from another, whatever happened to other volumes."""
    names = "\n".join(file.path for file in files_of(snapshot, volume_id))
    return hashlib.sha256(names.encode()).hexdigest()[:24]


def _touched(files: Sequence[DataFile], removed_paths: frozenset[str]) -> tuple[list[pa.Table], list[DataFile]]:
    """Rows to keep from those files that hold removed documents, and these files."""
    kept: list[pa.Table] = []
    touched: list[DataFile] = []
    if not removed_paths:
        return kept, touched
    removed = pa.array(sorted(removed_paths), pa.string())
    for file in files:
        if not pc.any(pc.is_in(read_rows([file], ["path"])["path"], value_set=removed)).as_py():
            continue
        rows = read_rows([file])
        kept.append(rows.filter(pc.invert(pc.is_in(rows["path"], value_set=removed))))
        touched.append(file)
    return kept, touched
