"""Results that wait to be fetched: chunks of Arrow batches, in memory up to a limit and in files above it."""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from insjo.sql.errors import DiskFull, ResultTooLarge, ResultUnavailable
from insjo.sql.types import ChunkRange

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 10 * 1024 * 1024
"""About the size of one chunk."""

CHUNK_ROWS_MAX = 500_000
HELD_BYTES_MAX = 256 * 1024 * 1024
"""Memory that all waiting results together may take; above it chunks go into files."""

HELD_BYTES_OF_ONE_MAX = 64 * 1024 * 1024
"""Memory that one result may take."""

SPILLED_BYTES_MAX = 50 * 1024**3
"""Disk that all waiting results together may take."""


@dataclass(slots=True)
class StoredChunk:
    """One chunk: its place in the result, and either its rows or the file that holds them."""

    range: ChunkRange
    table: pa.Table | None
    path: Path | None = None


@dataclass(slots=True)
class StoredResult:
    """The chunks of one statement."""

    schema: pa.Schema
    chunks: list[StoredChunk] = field(default_factory=list)
    row_count: int = 0
    byte_count: int = 0
    truncated: bool = False


class ResultStore:
    """Keeps results for all statements of this process.

    Args:
        folder: For chunks in files; emptied at the start, since results do not outlive the process that made them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held = 0
        self._spilled = 0

    def start(self) -> None:
        """Remove what an earlier process left."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)

    def collector(self, statement_id: str, schema: pa.Schema, row_limit: int | None, byte_limit: int | None) -> Collector:
        """Takes the batches of one statement."""
        return Collector(self, statement_id, schema, row_limit, byte_limit)

    def read(self, chunk: StoredChunk) -> pa.Table:
        """Rows of a chunk; raises ResultUnavailable when its file is gone."""
        if chunk.table is not None:
            return chunk.table
        if chunk.path is None:
            message = "The result was removed."
            raise ResultUnavailable(message)
        try:
            with pa.memory_map(str(chunk.path)) as source:
                return pa.ipc.open_stream(source).read_all()
        except FileNotFoundError as error:
            message = "The result was removed."
            raise ResultUnavailable(message, hint="Run the statement again.") from error

    def keep(self, statement_id: str, index: int, table: pa.Table, held_by_result: int) -> tuple[pa.Table | None, Path | None]:
        """Keep a chunk in memory if there is room, else in a file."""
        size = table.nbytes
        with self._lock:
            if held_by_result + size <= HELD_BYTES_OF_ONE_MAX and self._held + size <= HELD_BYTES_MAX:
                self._held += size
                return table, None
            if self._spilled + size > SPILLED_BYTES_MAX:
                message = "The results that wait to be fetched use up all the room that they may."
                raise ResultTooLarge(message, hint="Ask for fewer rows, or write the result into a table.")
            self._spilled += size
        try:
            return None, self._write(statement_id, index, table)
        except BaseException:
            with self._lock:
                self._spilled -= size
            raise

    def drop(self, statement_id: str, result: StoredResult) -> None:
        """Forget a result and remove its files."""
        held = sum(chunk.table.nbytes for chunk in result.chunks if chunk.table is not None)
        spilled = sum(chunk.range.byte_count for chunk in result.chunks if chunk.path is not None)
        result.chunks = []
        with self._lock:
            self._held -= held
            self._spilled -= spilled
        if spilled:
            shutil.rmtree(self._folder / statement_id, ignore_errors=True)

    def close(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, statement_id: str, index: int, table: pa.Table) -> Path:
        folder = self._folder / statement_id
        path = folder / f"{index}.arrow"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = "The disk is full, so the result could not be kept."
                raise DiskFull(message, hint="Free some disk, or ask for fewer rows.") from error
            raise
        return path


class Collector:
    """Cuts batches into chunks of about 10 MiB and stops at the limits."""

    def __init__(self, store: ResultStore, statement_id: str, schema: pa.Schema, row_limit: int | None, byte_limit: int | None) -> None:
        self.result = StoredResult(schema)
        self._store = store
        self._statement_id = statement_id
        self._row_limit = row_limit
        self._byte_limit = byte_limit
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._pending_rows = 0
        self._held = 0
        self._taken_rows = 0
        self._taken_bytes = 0

    def add(self, batch: pa.RecordBatch) -> bool:
        """Take a batch; False when the limits are reached and no more is wanted."""
        if batch.num_rows == 0:
            return True
        wanted, more = self._within_limits(batch)
        step = max(1, wanted.num_rows * CHUNK_BYTES // max(wanted.nbytes, 1)) if wanted.nbytes > CHUNK_BYTES else wanted.num_rows
        step = min(max(step, 1), CHUNK_ROWS_MAX)
        for start in range(0, wanted.num_rows, step):
            part = wanted.slice(start, step)
            self._pending.append(part)
            self._pending_bytes += part.nbytes
            self._pending_rows += part.num_rows
            if self._pending_bytes >= CHUNK_BYTES or self._pending_rows >= CHUNK_ROWS_MAX:
                self._flush()
        return more

    def finish(self) -> StoredResult:
        """The result with its last chunk."""
        self._flush()
        return self.result

    def abandon(self) -> None:
        """Forget what was taken."""
        self._pending = []
        self._store.drop(self._statement_id, self.result)

    def _within_limits(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, bool]:
        """The rows that are still wanted, and whether more may come."""
        rows = batch.num_rows
        if self._row_limit is not None and self._taken_rows + rows > self._row_limit:
            rows = max(0, self._row_limit - self._taken_rows)
        if self._byte_limit is not None and rows:
            each = max(1, batch.nbytes // batch.num_rows)
            rows = min(rows, max(0, (self._byte_limit - self._taken_bytes) // each))
        wanted = batch.slice(0, rows)
        self._taken_rows += rows
        self._taken_bytes += wanted.nbytes
        if rows < batch.num_rows:
            self.result.truncated = True
            return wanted, False
        return wanted, True

    def _flush(self) -> None:
        """Close the chunk that is being filled."""
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending, schema=self.result.schema)
        self._pending, self._pending_bytes, self._pending_rows = [], 0, 0
        if len(table.columns) and table.column(0).num_chunks > 1:
            table = table.combine_chunks()
        index = len(self.result.chunks)
        size = table.nbytes
        held, path = self._store.keep(self._statement_id, index, table, self._held)
        if held is not None:
            self._held += size
        place = ChunkRange(index, self.result.row_count, table.num_rows, size)
        self.result.chunks.append(StoredChunk(place, held, path))
        self.result.row_count += table.num_rows
        self.result.byte_count += size
