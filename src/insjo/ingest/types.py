"""Sources, what is found in them, and loads."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pyarrow as pa


class Mode(StrEnum):
    """What happens to the table."""

    CREATE = "create"
    APPEND = "append"
    REPLACE = "replace"
    MERGE = "merge"


class DriftKind(StrEnum):
    """How the columns of a source and of a table differ."""

    ADDED = "added"
    MISSING = "missing"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Source:
    """Files to read.

    Attributes:
        path: Volume path of a file or a folder, or a pattern.
        format: csv, json, parquet, avro, orc, excel or sqlite; empty finds it out from the name.
        options: As of `read_files`: `header`, `delimiter`, `encoding`, `nullValue`, `sheetName` ...; those left out are found out.
        types: Databricks type by column, for columns whose type is not to be found out.
    """

    path: str
    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of a source.

    Attributes:
        name: As the source has it.
        target: The name that it gets in a table: what a table cannot have is replaced.
        type_text: Databricks type.
        overridden: The type was given, and not found out.
    """

    name: str
    target: str
    type_text: str
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the source that does not fit; `line` is 0 when it is not known."""

    message: str
    hint: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between a source and a table.

    Attributes:
        applied: Whether a load changes the table for it, so that somebody has to accept it.
    """

    kind: DriftKind
    column: str
    source_type: str
    target_type: str
    applied: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a source holds, and how it fits a table.

    Attributes:
        source: With format and options as they were found out.
        sample: The first rows.
        size_bytes: Of all files.
        target_exists: Whether the table is there and the caller may know of it.
    """

    source: Source
    columns: tuple[SourceColumn, ...]
    sample: pa.Table
    problems: tuple[Problem, ...]
    drift: tuple[Drift, ...]
    size_bytes: int
    files: int
    target: str = ""
    target_exists: bool = False


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """What to load where.

    Attributes:
        target: `catalog.schema.table`.
        keys: Columns of the table that make the key, with `mode` merge.
        quarantine: Bad rows go to a table beside the target; otherwise the first of them ends the load.
        accept_drift: Columns of the table may be added, and with `mode` replace be changed.
    """

    source: Source
    target: str
    mode: Mode = Mode.CREATE
    keys: tuple[str, ...] = ()
    quarantine: bool = True
    accept_drift: bool = False


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load did."""

    rows: int
    quarantined: int
    target: str
    quarantine_table: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A place outside from which a steward lets files or tables be fetched into one volume.

    Attributes:
        url: Prefix of files (`https://`, `s3://`, `az://`, `abfss://`, `gs://`) or a database (`postgresql://user@host/db`, `mysql://`).
        volume: Full name of the volume; who may write to it may fetch.  Empty: stewards alone fetch, into a volume that they name.
        secret: `scope/key` of a secret with the token, the settings or the password; empty for none.
        private: Addresses of this machine and its networks are allowed.
    """

    id: str
    name: str
    url: str
    volume: str
    volume_id: str
    secret: str
    private: bool
    comment: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Something that is being fetched.

    Attributes:
        name: A name for the file.
        chunks: Its content, once.
        size_bytes: 0 when it is not known.
        types: Databricks types of the columns of a table.
    """

    name: str
    chunks: Iterator[bytes]
    size_bytes: int = 0
    types: Mapping[str, str] = field(default_factory=dict)
