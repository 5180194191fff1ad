"""What the SQL room speaks of: statements, results and their chunks, warehouses, sessions, history, virtual tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from insjo.access.types import UNLABELLED, Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    import pyarrow as pa

    from insjo.access.types import Label, Origin
    from insjo.catalog.types import Column
    from insjo.kernel.context import PrincipalRef, RequestContext
    from insjo.kernel.errors import InsjoError

DEFAULT_CATALOG = "main"
"""Catalog of a statement that names none (the default catalog of a workspace on Databricks has the same name)."""

DEFAULT_SCHEMA = "default"
"""Schema of a statement that names none."""


class StatementState(StrEnum):
    """States of a statement, in the words of the statement execution API."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    CLOSED = "CLOSED"

    @property
    def ended(self) -> bool:
        """Whether the state can no longer change, except to CLOSED."""
        return self not in {StatementState.PENDING, StatementState.RUNNING}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Value for `:name`, or for the next `?` when it has no name.

    Attributes:
        value: Text of the value, or None for NULL; numbers and booleans may come as they are.
        type_text: SQL type, or empty to take `string` for text and the obvious type for the others.
        items: Of an `array`, or keys and values in turn of a `map`; None for a single value.
    """

    name: str | None
    value: str | float | bool | None
    type_text: str = ""
    items: tuple[Parameter, ...] | None = None


@dataclass(frozen=True, slots=True)
class StatementSpec:
    """What a caller wants to run.

    Attributes:
        warehouse_id: None means the default warehouse.
        catalog: Current catalog for names without one; None means that of the session, else the default.
        row_limit: Most rows of the result; more are cut off and the result is marked as truncated.  `byte_limit` likewise.
    """

    text: str
    warehouse_id: str | None = None
    catalog: str | None = None
    schema: str | None = None
    parameters: tuple[Parameter, ...] = ()
    session_id: str | None = None
    row_limit: int | None = None
    byte_limit: int | None = None


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """Column of a result; `type_name` is the upper-case name of the type without its parts (clients.md, 1d)."""

    name: str
    type_text: str
    type_name: str
    position: int
    precision: int | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """Where a chunk lies in a result."""

    index: int
    row_offset: int
    row_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a result that is fetched as one."""

    index: int
    row_offset: int
    row_count: int
    next_index: int | None
    batches: pa.Table


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as it stands at one moment.

    Attributes:
        kind: `SELECT`, `INSERT`, `CREATE TABLE`, ...; empty before the text was read.
        columns: Known once the statement has succeeded.
        truncated: The row or byte limit cut the result off.
        queue_position: 1 is next; 0 when it does not wait.
        progress: The part that is done, from 0 to 1, of a statement that writes rows; None while it does not say.
        provenance: Label and all origins, also those that a view reads with its owner's rights: for the law, never to be shown.
        shown_origins: Those of them that the owner of the statement may know of.
    """

    id: str
    text: str
    state: StatementState
    kind: str
    warehouse_id: str
    owner: PrincipalRef
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: InsjoError | None = None
    columns: tuple[ResultColumn, ...] = ()
    row_count: int = 0
    byte_count: int = 0
    chunks: tuple[ChunkRange, ...] = ()
    truncated: bool = False
    provenance: Provenance = field(default_factory=lambda: Provenance(UNLABELLED, ()))
    queue_position: int = 0
    progress: float | None = None
    shown_origins: tuple[Origin, ...] = ()

    @property
    def chunk_count(self) -> int:
        """Number of chunks of the result."""
        return len(self.chunks)


@dataclass(frozen=True, slots=True)
class Result:
    """A statement that succeeded, with all of its rows."""

    statement: Statement
    table: pa.Table


class WarehouseEngine(StrEnum):
    """What computes the statements of a warehouse."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class WarehouseState(StrEnum):
    """Whether a warehouse takes statements."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A place where statements run; those on DuckDB share the workers of this machine.

    Attributes:
        engine: What computes there.
        url: Address of the engine's server; empty for the workers of this machine.
    """

    id: str
    name: str
    state: WarehouseState
    size: str
    auto_stop_mins: int
    owner: str
    created_at: datetime
    created_by: str
    is_default: bool = False
    engine: WarehouseEngine = WarehouseEngine.DUCKDB
    url: str = ""


@dataclass(frozen=True, slots=True)
class TemporaryView:
    """A view that lives as long as its session; it reads with the rights of whoever asks.

    Attributes:
        columns: Names and types of what the definition gives.
    """

    name: str
    definition: str
    catalog: str
    schema: str
    columns: tuple[tuple[str, str], ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """What statements of one client share."""

    id: str
    owner: PrincipalRef
    warehouse_id: str
    catalog: str
    schema: str
    created_at: datetime
    used_at: datetime
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A statement that ended, as `system.query.history` keeps it."""

    statement_id: str
    text: str
    kind: str
    state: StatementState
    error_code: str
    error_message: str
    user_id: str
    user_name: str
    on_behalf_of: str
    door: str
    warehouse_id: str
    label: Label
    origins: tuple[str, ...]
    row_count: int
    byte_count: int
    duration_ms: int
    queued_ms: int
    created_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which statements of the history; empty values do not restrict.  `without_doors` leaves out what came in by these doors."""

    user_ids: tuple[str, ...] = ()
    states: tuple[StatementState, ...] = ()
    warehouse_ids: tuple[str, ...] = ()
    statement_ids: tuple[str, ...] = ()
    text_contains: str = ""
    since: datetime | None = None
    until: datetime | None = None
    without_doors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualTable:
    """A table whose rows a room computes when it is read.

    Attributes:
        rows: Called with the caller's context; gives an Arrow table or mappings by column name.  It returns only what this
            caller may see.
    """

    full_name: str
    columns: tuple[Column, ...]
    rows: Callable[[RequestContext], pa.Table | Iterable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Completions:
    """Names that an editor may offer."""

    catalogs: tuple[str, ...]
    schemas: tuple[str, ...]
    tables: tuple[CompletionTable, ...]
    functions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CompletionTable:
    """A table and its columns as an editor may offer them."""

    full_name: str
    columns: tuple[tuple[str, str], ...]
