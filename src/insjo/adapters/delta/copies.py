"""The port `PlainCopies`: tables with deletion vectors or column mapping, read by deltalake and written as plain Parquet files.

Engines are given lists of files.  That is right only when a file means what it holds, so every other table is copied once per
version, by code that knows the format, and the copy is read instead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insjo.adapters.delta import features
from insjo.catalog.errors import DiskFull, FeatureUnsupported
from insjo.catalog.types import DataFile

if TYPE_CHECKING:
    import pyarrow as pa

    from insjo.catalog.types import Snapshot

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ROWS_PER_FILE = 4_000_000
_KEPT_S = 3600
"""A copy of an older version may still be read by a running statement for so long."""


class DeltaCopies:
    """Copies by deltalake; one copy a version, in a folder that appears when it is whole."""

    def copy(self, location: str, snapshot: Snapshot, folder: str) -> Snapshot:
        """See the port."""
        if snapshot.unreadable_reason not in {features.DELETION_VECTORS, features.COLUMN_MAPPING}:
            message = f"The table uses {snapshot.unreadable_reason}."
            raise FeatureUnsupported(message)
        home = Path(folder)
        # The moment belongs to the name because a table made anew under the same path begins at version 0 again.
        target = home / f"{snapshot.version:020d}-{int(snapshot.timestamp.timestamp() * 1000)}"
        if not target.is_dir():
            _drop_old(home)
            self._write(location, snapshot, target)
        os.utime(target)
        files = tuple(_data_file(path) for path in sorted(target.glob("*.parquet")))
        return replace(
            snapshot,
            files=files,
            partition_columns=(),
            uniform=True,
            readable_as_files=True,
            unreadable_reason="",
            unwritable_reason="a plain copy",
            state=None,
        )

    def _write(self, location: str, snapshot: Snapshot, target: Path) -> None:
        """Write the files into a folder of another name, and rename it when they are whole."""
        unfinished = target.parent / f".{target.name}-{secrets.token_hex(4)}"
        try:
            unfinished.mkdir(parents=True)
            reader = _rows_of(location, snapshot)
            _write_files(reader, unfinished)
            with contextlib.suppress(FileExistsError):
                unfinished.rename(target)
        except OSError as error:
            if error.errno in _FULL:
                message = "The disk is full: a table with deletion vectors or column mapping has to be copied before it is read."
                raise DiskFull(message, hint="Make room and run the statement again.") from error
            if error.errno != errno.ENOTEMPTY:  # Another process made the same copy meanwhile.
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _rows_of(location: str, snapshot: Snapshot) -> pa.RecordBatchReader:
    """The rows of a version as a stream."""
    import pyarrow as pa

    # deltalake starts threads that do not survive a fork; this process never forks.
    from deltalake import DeltaTable, QueryBuilder
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(location, version=snapshot.version)
        stream = QueryBuilder().register("t", table).execute("SELECT * FROM t")
        return pa.RecordBatchReader.from_stream(stream)
    except (DeltaError, pa.ArrowException) as error:
        message = f"The table uses {snapshot.unreadable_reason}."
        raise FeatureUnsupported(message) from error


def _write_files(reader: pa.RecordBatchReader, folder: Path) -> None:
    """Parquet files of a bounded number of rows; at least one, so that the columns are known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(each.name, _plain(each.type), each.nullable) for each in reader.schema])
    batches = iter(reader)
    number, ended = 0, False
    while not ended:
        with pq.ParquetWriter(folder / f"part-{number:05d}.parquet", schema, compression="zstd") as writer:
            rows = 0
            while rows < _ROWS_PER_FILE:
                batch = next(batches, None)
                if batch is None:
                    ended = True
                    break
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))
                rows += batch.num_rows
        number += 1


def _plain(kind: Any) -> Any:  # noqa: ANN401  # Arrow types are untyped here.
    """The type as Parquet files of a Delta table hold it: no views, no large offsets, times in microseconds."""
    import pyarrow as pa

    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(part.name, _plain(part.type), part.nullable) for part in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    return kind


def _data_file(path: Path) -> DataFile:
    return DataFile(path=str(path), rows=None, size_bytes=path.stat().st_size, partition_values={}, stats=None, log_path=path.name)


def _drop_old(home: Path) -> None:
    """Remove copies that nobody has asked for in the last hour."""
    oldest = time.time() - _KEPT_S
    for folder in home.iterdir() if home.is_dir() else ():
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)
