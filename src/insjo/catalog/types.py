"""What the catalog speaks of: catalogs, schemas, tables, views, volumes, files, and the snapshot of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from insjo.catalog.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from insjo.access.types import Label

NAME_PARTS = 3
"""A table, view or volume is named by catalog, schema and name."""

INFORMATION_SCHEMA = "information_schema"
"""Name of the schema that every catalog has; its tables are computed, never stored."""

SYSTEM_CATALOG = "system"
"""Name of the catalog that holds Insjö's own tables."""


class TableType(StrEnum):
    """Where the rows of a table live."""

    MANAGED = "MANAGED"
    EXTERNAL = "EXTERNAL"
    VIEW = "VIEW"
    SYSTEM = "SYSTEM"


class VolumeType(StrEnum):
    """Who made the folder of a volume."""

    MANAGED = "MANAGED"
    EXTERNAL = "EXTERNAL"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `type_text` is a Databricks SQL type in lower case, such as `decimal(10,2)` or `array<int>`."""

    name: str
    type_text: str
    nullable: bool = True
    comment: str = ""
    position: int = 0


@dataclass(frozen=True, slots=True)
class Catalog:
    """The first level of names."""

    id: str
    name: str
    comment: str
    owner: str
    properties: Mapping[str, str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def full_name(self) -> str:
        """The name; a catalog has no parent but the metastore."""
        return self.name


@dataclass(frozen=True, slots=True)
class Schema:
    """The second level of names."""

    id: str
    catalog_name: str
    name: str
    comment: str
    owner: str
    properties: Mapping[str, str]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def full_name(self) -> str:
        """`catalog.schema`."""
        return f"{self.catalog_name}.{self.name}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view.

    Attributes:
        location: Folder of the Delta table; empty for views and system tables.
        view_definition: The text of the view's query; empty for tables.
        view_catalog: Catalog against which names in the view's query are resolved; `view_schema` likewise.
    """

    id: str
    catalog: str
    schema: str
    name: str
    table_type: TableType
    columns: tuple[Column, ...]
    location: str
    comment: str
    properties: Mapping[str, str]
    owner: str
    partition_columns: tuple[str, ...]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    view_definition: str = ""
    view_catalog: str = ""
    view_schema: str = ""

    @property
    def full_name(self) -> str:
        """`catalog.schema.name`."""
        return f"{self.catalog}.{self.schema}.{self.name}"

    @property
    def is_view(self) -> bool:
        """Whether the rows come from a query."""
        return self.table_type is TableType.VIEW

    @property
    def has_files(self) -> bool:
        """Whether the rows lie in files of a Delta table."""
        return self.table_type in {TableType.MANAGED, TableType.EXTERNAL}


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of files under governance."""

    id: str
    catalog: str
    schema: str
    name: str
    volume_type: VolumeType
    location: str
    comment: str
    owner: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def full_name(self) -> str:
        """`catalog.schema.name`."""
        return f"{self.catalog}.{self.schema}.{self.name}"

    @property
    def path(self) -> str:
        """Where its files appear: `/Volumes/catalog/schema/name`."""
        return f"/Volumes/{self.catalog}/{self.schema}/{self.name}"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file or a directory in a volume; `path` begins with `/Volumes/`."""

    path: str
    name: str
    is_directory: bool
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of a volume as an engine may read it; the rights were checked when this was made."""

    path: str
    local_path: str
    size_bytes: int
    modified_at: datetime
    label: Label
    volume_id: str


@dataclass(frozen=True, slots=True)
class TableName:
    """Name of a table or view, with the version or moment to look at (time travel) if any; kept in lower case."""

    catalog: str
    schema: str
    name: str
    version: int | None = None
    timestamp: datetime | None = None

    def __post_init__(self) -> None:
        """Names are case-insensitive."""
        for part in ("catalog", "schema", "name"):
            object.__setattr__(self, part, getattr(self, part).lower())

    @property
    def full_name(self) -> str:
        """`catalog.schema.name`."""
        return f"{self.catalog}.{self.schema}.{self.name}"

    @staticmethod
    def parse(full_name: str) -> TableName:
        """Read `catalog.schema.name`; InvalidName for anything else."""
        parts = full_name.split(".")
        if len(parts) != NAME_PARTS or not all(parts):
            message = f"`{full_name}` is not a full name."
            raise InvalidName(message, hint="Write `catalog.schema.name`.")
        return TableName(parts[0], parts[1], parts[2])


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file that belongs to a snapshot.

    Attributes:
        path: Absolute path on this machine.
        rows: Number of rows in the file, or None when the log does not tell.
        partition_values: Value of each partition column, as Python values of the column's type.
        stats: Statistics as the log has them (`numRecords`, `minValues`, `maxValues`, `nullCount`), or None.
        log_path: The path as the log writes it (relative, URL-encoded).
        log_partition_values: Partition values as the log writes them (texts).
        has_deletion_vector: Some of its rows are deleted, and only a reader of deletion vectors knows which.
    """

    path: str
    rows: int | None
    size_bytes: int
    partition_values: Mapping[str, Any]
    stats: Mapping[str, Any] | None
    log_path: str = ""
    log_partition_values: Mapping[str, str | None] = field(default_factory=dict)
    modified_ms: int = 0
    deletion_vector: Mapping[str, Any] | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def has_deletion_vector(self) -> bool:
        """Whether rows of the file are marked as deleted beside it."""
        return self.deletion_vector is not None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table at one version: what a reader needs and nothing that can change under it.

    Attributes:
        timestamp: When the version was committed.
        uniform: Every file is known to have all columns of this schema, so that a reader may take the schema of the first one;
            otherwise it has to name columns and types and put NULL for what a file lacks.
        readable_as_files: Reading the files as they are gives the right rows.  False with deletion vectors, column mapping or a
            reader feature that Insjö does not know; `unreadable_reason` then says which.
        unwritable_reason: Why Insjö may not commit to this table, or an empty text.
        state: What the storage adapter remembers to bring the snapshot up to date; opaque.
    """

    version: int
    timestamp: datetime
    columns: tuple[Column, ...]
    files: tuple[DataFile, ...]
    partition_columns: tuple[str, ...]
    uniform: bool = True
    readable_as_files: bool = True
    unreadable_reason: str = ""
    unwritable_reason: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    state: object = field(default=None, repr=False, compare=False)

    @property
    def rows(self) -> int | None:
        """Number of rows, or None when a file's count is not known or rows of it are deleted."""
        total = 0
        for each in self.files:
            if each.rows is None or each.has_deletion_vector:
                return None
            total += each.rows
        return total

    @property
    def size_bytes(self) -> int:
        """Bytes of all data files."""
        return sum(each.size_bytes for each in self.files)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A data file that a writer put under a table's location and wants committed.

    Attributes:
        path: Relative to the table's location, with `/` and not URL-encoded.
        partition_values: Value of each partition column: a Python value, or the text in which Delta writes it.
        stats: `numRecords`, `minValues`, `maxValues`, `nullCount` as Delta writes them, or None.
    """

    path: str
    rows: int | None
    size_bytes: int
    partition_values: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One commit of a table."""

    version: int
    timestamp: datetime
    user: str
    operation: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResolvedTable:
    """A table that the caller may read (or do what was asked), with all that a statement needs.

    Attributes:
        snapshot: None for views and system tables.
        label: Effective label of the table, joined with what it inherits.
        column_labels: Effective label of those columns that have their own; every other column has `label`.
        row_filter: Condition that hides rows from this caller, or None.
        masks: Expression that replaces a column for this caller.
    """

    table: Table
    snapshot: Snapshot | None
    label: Label
    column_labels: Mapping[str, Label] = field(default_factory=dict)
    row_filter: str | None = None
    masks: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int | None:
        """Version of the snapshot, for origins."""
        return None if self.snapshot is None else self.snapshot.version

    def column_label(self, column: str) -> Label:
        """Effective label of one column."""
        return self.column_labels.get(column.lower(), self.label)
