"""Which columns of which tables are read again and again, so that workers may hold them in the engine's own format.

Only what lies in the files is held, before any filter or mask of a caller: those stand in the query around it.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.sql.ports import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.catalog.types import Column, ResolvedTable, Snapshot

TABLES_MAX = 2000
"""Tables whose uses are counted; the one that was read longest ago is forgotten first."""

USES_MIN = 2
"""A column that was read so often is expected to be read again."""

LOADS_MAX = 300
"""Queries that are kept; they list all files of a table."""

FILES_MAX = 2000
"""Tables of more files should be compacted first; their lists are too long to be sent twice."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundScan:
    """A part of a bound query that reads one version of a table.

    Attributes:
        mark: Made at random for this text, so that nothing that a caller writes can look like it.
        table_id: The table.
        rows: Names the rows: table, version and moment of the version.
        columns: Those that the part gives, in their order.
        all_columns: Those that the table has.
        read: Query for some columns of all rows.
        size_bytes: Size of all files.
        files: Their number.
    """

    mark: str
    table_id: str
    rows: str
    columns: tuple[str, ...]
    all_columns: tuple[Column, ...]
    read: Callable[[Sequence[Column]], str]
    size_bytes: int
    files: int

    def marked(self, sql: str) -> str:
        """The part between its marks."""
        return f"/*{self.mark}*/\n{sql}\n/*{self.mark}*/"


def scan_of(found: ResolvedTable, snapshot: Snapshot, columns: Sequence[Column], read: Callable[[Sequence[Column]], str]) -> BoundScan:
    """The scan of some columns of a resolved table."""
    return BoundScan(
        mark=f"scan {secrets.token_hex(12)}",
        table_id=found.table.id,
        rows=f"{found.table.id}@{snapshot.version}@{snapshot.timestamp.isoformat()}",
        columns=tuple(column.name for column in columns),
        all_columns=tuple(found.table.columns),
        read=read,
        size_bytes=sum(file.size_bytes for file in snapshot.files),
        files=len(snapshot.files),
    )


class Heat:
    """Counts uses of columns for all callers, and says what is worth holding."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._lock = threading.Lock()
        self._uses: OrderedDict[str, Counter[str]] = OrderedDict()
        self._loads: OrderedDict[tuple[str, tuple[str, ...]], str] = OrderedDict()

    def note(self, scans: Sequence[BoundScan]) -> tuple[Scan, ...]:
        """Count what a query reads now, and say it in the engine's terms."""
        return tuple(self._noted(scan) for scan in scans)

    def _noted(self, scan: BoundScan) -> Scan:
        with self._lock:
            uses = self._uses.setdefault(scan.table_id, Counter())
            self._uses.move_to_end(scan.table_id)
            uses.update(scan.columns)
            while len(self._uses) > TABLES_MAX:
                self._uses.popitem(last=False)
            hot = [column for column in scan.all_columns if uses[column.name] >= USES_MIN]
        if not hot or scan.files > FILES_MAX or not set(scan.columns) <= {column.name for column in hot}:
            return Scan(scan.mark, scan.table_id, scan.rows, scan.columns)
        share = len(hot) / len(scan.all_columns)
        size_bytes = int(scan.size_bytes * share)
        names = tuple(column.name for column in hot)
        return Scan(scan.mark, scan.table_id, scan.rows, scan.columns, names, self._load(scan, names, hot), size_bytes)

    def _load(self, scan: BoundScan, names: tuple[str, ...], hot: Sequence[Column]) -> str:
        """Query for the columns of all rows; the same rows always have the same one."""
        key = (scan.rows, names)
        with self._lock:
            found = self._loads.get(key)
        if found is None:
            found = scan.read(hot)
            with self._lock:
                self._loads[key] = found
                while len(self._loads) > LOADS_MAX:
                    self._loads.popitem(last=False)
        return found
