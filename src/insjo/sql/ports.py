"""What the SQL room asks of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from insjo.access.types import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from insjo.access.types import Label, Provenance
    from insjo.kernel.cancellation import CancelToken
    from insjo.kernel.context import RequestContext
    from insjo.kernel.errors import InsjoError


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one statement may take.

    Attributes:
        timeout_s: Longest time in a worker; then StatementTimedOut.
        queue_timeout_s: Longest wait for a worker; then WarehouseBusy.
    """

    timeout_s: float = 3600.0
    queue_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Scan:
    """A part of a query's text that reads one version of a table; an engine may answer it from what it holds of that version.

    Attributes:
        mark: The part stands between two comments with this word.
        table_id: The table.
        rows: Names the rows; the same name never means other rows.
        columns: Those that the part gives, by these names.
        load_columns: Columns that are worth holding; none when nothing is.
        load: Query for them, of all rows.
        size_bytes: About their size in the files.
    """

    mark: str
    table_id: str
    rows: str
    columns: tuple[str, ...]
    load_columns: tuple[str, ...] = ()
    load: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class EngineColumn:
    """One column of a result.

    Attributes:
        name: As the query names it.
        arrow_type: As it travels.
        type_text: In Databricks words: `int`, `decimal(10,2)`, `array<struct<a:int>>`, `variant`, `void`.
    """

    name: str
    arrow_type: pa.DataType
    type_text: str


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One Parquet data file that an export wrote.

    Attributes:
        path: Relative to the folder given, with `/`.
        rows: Number of rows.
        size_bytes: Size of the file.
        partition_values: Column to value as Delta writes it (text), None for NULL; empty for a table without partitions.
        stats: As in the Delta log: numRecords, minValues, maxValues, nullCount.
    """

    path: str
    rows: int
    size_bytes: int
    partition_values: dict[str, str | None]
    stats: dict[str, object]


@dataclass(frozen=True, slots=True)
class EngineStats:
    """State of the pool.

    Attributes:
        workers: Processes wanted.
        ready: Processes that can take or are running a statement.
        busy: Statements running.
        waiting: Statements in the queue.
        restarts: How often a process was started again since the beginning.
    """

    workers: int
    ready: int
    busy: int
    waiting: int
    restarts: int


class EngineRows(Protocol):
    """Rows of a running query: a stream that is read once.

    Leaving it unread keeps a worker busy, so use it as a context manager or call `close`.  Reading raises the errors of `Engine.query`.
    """

    @property
    def columns(self) -> tuple[EngineColumn, ...]:
        """The columns, known before the first row."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The same as an Arrow schema."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches in order; there may be none."""
        ...

    def close(self) -> None:
        """Stop the query if it still runs and give the worker back."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(self, *exception: object) -> None:
        """As `close`."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that was turned into one that engines read.

    Attributes:
        local_path: The new file, in a folder that the engine's workers may read; it stays for hours after it was last asked for.
        size_bytes: Its size.
        format: `csv` (UTF-8, commas, double quotes), `parquet`, or `text` when only the encoding was changed.
        types: Databricks types of the columns by their place, for CSV.
        parts: What the file is made of: names of sheets or tables.
    """

    local_path: str
    size_bytes: int
    format: str
    types: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Conversions(Protocol):
    """Reads files that no engine reads, in a process that can do nothing else."""

    def convert(self, local_path: str, name: str, kind: str, options: Mapping[str, str], *, cancel: CancelToken | None = None) -> Converted:
        """Turn a file into another one, or find the one that was made before.

        Args:
            local_path: The file; the caller may read it.
            name: What people call it, for messages.
            kind: `excel`, `avro`, `orc`, `sqlite` or `text` (another encoding).
            options: `sheet`, `header`, `skip` for Excel; `table` for SQLite; `encoding` (Python's name) for text.
            cancel: Stops it.

        Raises:
            FileReadFailed, FileOptionInvalid, FileTooHeavy, DiskFull, StatementCancelled: As they say; nothing remains.
        """
        ...


@runtime_checkable
class Sifter(Protocol):
    """An engine that writes good rows and bad rows of files apart."""

    def sift(
        self,
        sql: str,
        folder: Path,
        *,
        rejects_sql: str,
        rejects_folder: Path,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> tuple[list[WrittenFile], list[WrittenFile]]:
        """Export two queries, one after the other on one connection: the second sees what the readers of the first rejected.

        Rejects of CSV readers lie in the tables `insjo_rejects` and `insjo_scans`, which are gone afterwards.  Else as `Engine.export`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelQuestions:
    """Questions of one kind to one endpoint.

    Attributes:
        endpoint: Name; empty means the one that functions without an endpoint use.
        instruction: What the model is told before each text, or nothing.
        texts: Each is asked by itself.
        provenance: Of each of the texts.
        fields: Of the request besides its messages.
        fails: Whether the first failure ends it.
    """

    endpoint: str
    instruction: str
    texts: tuple[str, ...]
    provenance: Provenance
    fields: Mapping[str, object]
    fails: bool


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came of one question: a text, or an error; and the label of what was sent."""

    text: str = ""
    error: InsjoError | None = None
    label: Label = PUBLIC


@dataclass(frozen=True, slots=True)
class ModelVectors:
    """Vectors of texts in their order, as little-endian float32, and the label of what was sent."""

    vectors: tuple[bytes, ...]
    label: Label


class Models(Protocol):
    """Asks models as somebody: with their rights, the label of the content, limits and usage rows."""

    def complete(
        self, ctx: RequestContext, questions: ModelQuestions, *, cancel: CancelToken, timeout_s: float, on_done: Callable[[int], None]
    ) -> list[ModelAnswer]:
        """Ask all, several at a time; `on_done` is told how many are answered.

        Raises:
            NotFound, PermissionDenied: The caller may not use the endpoint.
            InsjoError: With `fails`, what went wrong with one of them.
            StatementCancelled, StatementTimedOut: As they say; what was asked is given up.
        """
        ...

    def embed(
        self, ctx: RequestContext, endpoint: str, texts: Sequence[str], provenance: Provenance, *, cancel: CancelToken, timeout_s: float
    ) -> ModelVectors:
        """Vectors of texts; raises as `complete`."""
        ...


class Engine(Protocol):
    """Runs SQL that the SQL room produced over tables and files that it already authorised; never calls back.

    `sql` is one SELECT in the engine's own dialect, as `insjo.sql.dialect.transpile` writes it; files of tables stand in it as
    `read_parquet([...])` with absolute paths.  `tables` are small Arrow IPC streams that the statement sees under their names.

    All methods raise the errors of `insjo.sql.errors`: StatementFailed, StatementCancelled, StatementTimedOut, OutOfMemory, DiskFull,
    WorkerDied (the statement was lost with its process; the next one runs), WarehouseBusy (the queue is full or took too long).
    """

    def query(
        self,
        sql: str,
        *,
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
        scans: Sequence[Scan] = (),
    ) -> EngineRows:
        """Run a query; returns once the columns are known.

        Args:
            sql: One SELECT.
            tables: Name to Arrow IPC stream.
            cancel: Stops it, also while it is read.
            limits: Times.
            on_queue: Called with the position in the queue (1 is next) whenever it changes, and with 0 when the statement gets its worker.
            scans: Parts of the text that may be answered from held columns; an engine that holds none ignores them.
        """
        ...

    def export(
        self,
        sql: str,
        folder: Path,
        *,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> list[WrittenFile]:
        """Write the rows of a query as Parquet files with unique names below `folder`, durable when this returns.

        Nothing of it remains after an error.  No rows give no files.
        """
        ...

    def bind(self, sql: str, *, tables: Mapping[str, bytes] | None = None) -> tuple[EngineColumn, ...]:
        """Columns of a query without running it."""
        ...

    def stats(self) -> EngineStats:
        """State of the pool."""
        ...

    def close(self) -> None:
        """End the workers; running statements fail with WorkerDied."""
        ...
