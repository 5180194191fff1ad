"""Columns that are read again and again, held by a worker as compressed tables of the engine in memory.

What is held is one version of a table as it lies in the files: a filter or mask stands in the query around it, and another version is
another table here.  Loading goes on beside the statements, on a cursor and a thread of its own; whatever goes wrong with it concerns
no statement, which reads the files as before.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LOGGER = logging.getLogger(__name__)
JOBS_MAX = 64
REFUSED_MAX = 1000
GROWTH = 8
"""While it is loaded a table takes about so many times the bytes that it has in its compressed files."""

COMPRESS_ATTEMPTS = 20
COMPRESS_AGAIN_S = 0.25


@dataclass(eq=False, slots=True)
class Held:
    """One table in memory."""

    name: str
    table_id: str
    rows: str
    columns: frozenset[str]
    size_bytes: int
    used_s: float


class HotColumns:
    """Answers parts of queries from memory, and loads what is asked for often.

    Args:
        database: The worker's instance, in which the database `schema` is attached.
        schema: Name of that database; made at random, so that no text can name it.
        bytes_max: Memory that all tables together may take.
        load_bytes_max: Memory that may be taken while one is loaded.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, schema: str, bytes_max: int, load_bytes_max: int) -> None:
        self._database = database
        self._schema = schema
        self._bytes_max = bytes_max
        self._load_bytes_max = load_bytes_max
        self.lock = threading.Lock()
        self._held: list[Held] = []
        self._jobs: queue.Queue[dict[str, Any]] = queue.Queue(JOBS_MAX)
        self._asked: dict[tuple[str, frozenset[str]], None] = {}
        if bytes_max:
            threading.Thread(target=self._load_for_ever, name="hot-columns", daemon=True).start()

    def placed(self, sql: str, scans: Sequence[Mapping[str, Any]]) -> str:
        """The text with the parts that are held replaced; the lock must be held until the text is bound."""
        for scan in scans:
            wanted = frozenset(scan["columns"])
            held = self._find(scan["rows"], wanted)
            if held is not None:
                held.used_s = time.monotonic()
                sql = _replaced(sql, scan["mark"], _select(held.name, scan["columns"]))
            elif scan["load"]:
                self._ask(scan)
        return sql

    def give_up(self) -> bool:
        """Forget everything, to make room; whether there was anything."""
        with self.lock:
            held, self._held = self._held, []
            for each in held:
                self._database.execute(f"DROP TABLE IF EXISTS {each.name}")
            return bool(held)

    def state(self) -> list[dict[str, object]]:
        """What is held, for tests and measuring."""
        with self.lock:
            return [{"rows": each.rows, "columns": sorted(each.columns), "bytes": each.size_bytes} for each in self._held]

    def _find(self, rows: str, wanted: frozenset[str]) -> Held | None:
        """The smallest table that has the columns."""
        fitting = [each for each in self._held if each.rows == rows and wanted <= each.columns]
        return min(fitting, key=lambda each: len(each.columns), default=None)

    def _ask(self, scan: Mapping[str, Any]) -> None:
        """Have it loaded, unless that was asked for before."""
        key = (str(scan["rows"]), frozenset(scan["load_columns"]))
        if not self._bytes_max or key in self._asked or scan["size_bytes"] * GROWTH > self._load_bytes_max:
            return
        try:
            self._jobs.put_nowait(dict(scan))
        except queue.Full:
            return
        self._asked[key] = None
        while len(self._asked) > REFUSED_MAX:
            del self._asked[next(iter(self._asked))]

    def _load_for_ever(self) -> None:
        """Body of the loading thread."""
        cursor = self._database.cursor()
        waiting: dict[str, dict[str, Any]] = {}
        while True:
            while not waiting or not self._jobs.empty():
                asked = self._jobs.get()
                waiting[asked["table_id"]] = asked  # A later one of the same table asks for more columns, or for newer rows.
            scan = waiting.pop(next(iter(waiting)))
            try:
                self._load(cursor, scan)
            except (duckdb.Error, RuntimeError, MemoryError) as error:
                if isinstance(error, duckdb.IOException):  # A file that was away for a moment may be there at the next asking.
                    self._asked.pop((str(scan["rows"]), frozenset(scan["load_columns"])), None)
                _LOGGER.warning("columns were not held in memory: %s", type(error).__name__)

    def _load(self, cursor: duckdb.DuckDBPyConnection, scan: Mapping[str, Any]) -> None:
        """Load one table and let it take the place of what it outdates."""
        columns = frozenset(scan["load_columns"])
        self._make_room(cursor, int(scan["size_bytes"]), scan["table_id"], scan["rows"])
        name = f'"{self._schema}"."t{secrets.token_hex(8)}"'
        before = _memory(cursor)
        try:
            cursor.execute(f"CREATE TABLE {name} AS {scan['load']}")
            size_bytes = self._compressed(cursor, before)
        except BaseException:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            raise
        with self.lock:
            if size_bytes > self._bytes_max:
                cursor.execute(f"DROP TABLE {name}")
                return
            self._held.append(Held(name, scan["table_id"], scan["rows"], columns, size_bytes, time.monotonic()))
            self._drop(cursor, (each for each in self._held[:-1] if each.rows == scan["rows"] and each.columns <= columns))
        self._make_room(cursor, 0, scan["table_id"], scan["rows"])

    def _compressed(self, cursor: duckdb.DuckDBPyConnection, before: int) -> int:
        """Memory of what was loaded, compressed; beside busy readers that takes several attempts, and only its result says what fits."""
        _compress(cursor, self._schema)
        for _ in range(COMPRESS_ATTEMPTS):
            if _memory(cursor) - before <= self._bytes_max:
                break
            time.sleep(COMPRESS_AGAIN_S)
            _compress(cursor, self._schema)
        return max(1, _memory(cursor) - before)

    def _make_room(self, cursor: duckdb.DuckDBPyConnection, size_bytes: int, table_id: str, rows: str) -> None:
        """Drop other versions of the table, and what was used longest ago, until so much fits."""
        with self.lock:
            self._drop(cursor, (each for each in self._held if each.table_id == table_id and each.rows != rows))
            while self._held and sum(each.size_bytes for each in self._held) + size_bytes > self._bytes_max:
                oldest = min(self._held, key=lambda each: each.used_s)
                self._drop(cursor, iter([oldest]))

    def _drop(self, cursor: duckdb.DuckDBPyConnection, outdated: Iterator[Held]) -> None:
        """Drop tables, with the lock held; a statement that reads one already keeps its rows."""
        for each in list(outdated):
            self._held.remove(each)
            self._asked.pop((each.rows, each.columns), None)
            cursor.execute(f"DROP TABLE IF EXISTS {each.name}")


def attach(connection: duckdb.DuckDBPyConnection) -> str:
    """Attach a database in memory for held columns, before the settings are locked; gives its name."""
    name = f"hot_{secrets.token_hex(8)}"
    connection.execute(f"ATTACH ':memory:' AS \"{name}\" (COMPRESS)")
    return name


def _replaced(sql: str, mark: str, by: str) -> str:
    """The text with the part between two marks replaced, as often as it stands there."""
    fence = f"/*{mark}*/"
    parts = sql.split(fence)
    if len(parts) % 2 == 0:
        return sql
    return "".join(part if at % 2 == 0 else by for at, part in enumerate(parts))


def _select(name: str, columns: Sequence[str]) -> str:
    """The columns of a held table, or its rows without any."""
    listed = ", ".join('"' + column.replace('"', '""') + '"' for column in columns) or 'NULL AS "__insjo_none"'
    return f"FROM {name} SELECT {listed}"


def _compress(cursor: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Compress what was loaded; while others read that may have to wait for the next time."""
    try:
        cursor.execute(f'CHECKPOINT "{schema}"')
    except duckdb.Error:
        _LOGGER.info("held columns stay as they are until the next checkpoint")


def _memory(cursor: duckdb.DuckDBPyConnection) -> int:
    """Memory of tables in memory."""
    found = cursor.execute("SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'").fetchone()
    return int(found[0]) if found else 0
