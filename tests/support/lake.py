"""A catalog on real folders, a real SQLite file and the real adapters, for tests of several suites."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from argon2 import PasswordHasher

from insjo.access.service.facade import Access
from insjo.adapters.delta.copies import DeltaCopies
from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.files.storage import LocalFiles
from insjo.catalog.service.room import CatalogRoom
from insjo.catalog.types import Column, NewFile, Snapshot, TableName
from insjo.kernel.clock import SystemClock
from insjo.kernel.context import RequestContext
from insjo.kernel.database import Database, metadata
from insjo.kernel.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.stores import Opened

KEY = b"a key for tests, thirty-two bytes"


@dataclass
class Turnable:
    """A clock that stands until it is turned."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Lake:
    """The rooms, and people in them."""

    root: Path
    database: Database
    access: Access
    room: CatalogRoom
    admin: RequestContext

    def person(self, name: str) -> RequestContext:
        """A user of that name, made at the first call."""
        found = self.access.principals.find(self.admin, name) or self.access.principals.create_user(self.admin, name)
        return RequestContext(principal=found.ref(), door="rest")


@contextmanager
def open_lake(root: Path, url: str = "", server: Opened | None = None) -> Iterator[Lake]:
    """The lake in a folder; made there at the first call, and opened again at later ones.

    The metadata lie in a SQLite file of the folder unless another database is named, tables and files in the folder unless the adapters
    of another storage are given.
    """
    for name in ("tables", "volumes"):
        (root / name).mkdir(parents=True, exist_ok=True)
    database = Database(url or f"sqlite:///{root / 'insjo.db'}")
    metadata.create_all(database.engine)
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    access = Access(database=database, clock=SystemClock(), settings=Settings(), key=KEY, hasher=hasher)
    admin = access.bootstrap()
    assert admin
    room = CatalogRoom(
        database=database,
        clock=SystemClock(),
        access=access,
        storage=server.tables if server else DeltaStorage(),
        copies=server.copies if server else DeltaCopies(),
        files=server.files if server else LocalFiles(),
        mirror=server.mirror if server else None,
        root=root,
    )
    try:
        yield Lake(root, database, access, room, RequestContext(principal=admin.ref(), door="rest"))
    finally:
        access.close()
        database.close()


def columns(**types: str) -> tuple[Column, ...]:
    """Columns by name and type."""
    return tuple(Column(name, kind) for name, kind in types.items())


def write_file(location: str, rows: pa.Table, partition: Mapping[str, Any] | None = None) -> NewFile:
    """A data file below a table's location, as an engine writes it: unique name, values of partitions in the folder's name."""
    values = dict(partition or {})
    folder = "/".join(f"{key}={value}" for key, value in values.items())
    path = f"{folder}/{secrets.token_hex(8)}.parquet".lstrip("/")
    target = Path(location) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, target)
    stats: dict[str, Any] = {"nullCount": {name: rows.column(name).null_count for name in rows.column_names}}
    return NewFile(path, rows.num_rows, target.stat().st_size, values, stats)


def append(lake: Lake, ctx: RequestContext, name: str, rows: pa.Table) -> int:
    """Commit rows to a table; gives the version."""
    with lake.room.tables.begin_write(ctx, TableName.parse(name)) as write:
        return lake.room.tables.commit(write, [write_file(write.location, rows)])


def read_files(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Rows of a snapshot as a reader of its files sees them: partition values put in, missing columns as NULL."""
    assert snapshot.readable_as_files
    rows: list[dict[str, Any]] = []
    names = [column.name for column in snapshot.columns]
    for file in snapshot.files:
        for row in pq.read_table(file.path, partitioning=None).to_pylist():
            merged = {**row, **file.partition_values}
            rows.append({name: merged.get(name) for name in names})
    return rows
