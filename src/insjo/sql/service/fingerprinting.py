"""Keeps the fingerprints of labelled tables up to date, so that their values are recognised when somebody pastes them."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from insjo.access.service.words import COMMON_MIN, COMMON_SHARE, WORDS_MAX
from insjo.access.types import Level, SecurableKind
from insjo.kernel.errors import InsjoError, NotFound
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.scan import scan
from insjo.sql.dialect.types import Kind, parse_type
from insjo.sql.ports import EngineLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.access.service.facade import Access
    from insjo.access.types import Label
    from insjo.catalog.service.room import CatalogRoom
    from insjo.catalog.types import Column, Snapshot
    from insjo.sql.ports import Engine

_LOGGER = logging.getLogger(__name__)
VALUES_MAX = 500_000
"""Distinct values of one column that are taken."""

LENGTH_MIN = 4
NUMBER_DIGITS_MIN = 6
TIMEOUT_S = 300.0
PENDING_MAX = 10_000


class Fingerprinting:
    """Refreshes fingerprints in the background after commits and changes of labels."""

    def __init__(self, *, access: Access, catalog: CatalogRoom, engine: Engine) -> None:
        """Everything by keyword; nothing runs before `start`."""
        self._access = access
        self._catalog = catalog
        self._engine = engine
        self._lock = threading.Lock()
        self._pending: dict[str, None] = {}
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen for commits and changes of labels."""
        if self._thread is None:
            self._catalog.tables.on_commit(lambda table_id, _: self.enqueue(table_id))
            self._access.labels.on_change(self.enqueue)
            self._thread = threading.Thread(target=self._run, name="sql-fingerprints", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End after the table that is being read."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def enqueue(self, securable_id: str) -> None:
        """Refresh a table, or all tables below a schema or catalog, soon."""
        with self._lock:
            if len(self._pending) < PENDING_MAX:
                self._pending[securable_id] = None
                self._idle.clear()
        self._wake.set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is pending; whether it was in time."""
        return self._idle.wait(timeout_s)

    def refresh(self, table_id: str) -> int:
        """Refresh a table now; gives the number of columns whose values are kept.

        Columns at `confidential` and above count, with texts and long numbers; what falls below is forgotten.
        """
        try:
            table = self._catalog.tables.fetch(table_id)
        except NotFound:
            return 0
        if not table.has_files:
            return 0
        labels = self._access.labels.effective_sets([table_id])[table_id]
        snapshot = self._catalog.tables.snapshot(table_id)
        kept: list[str] = []
        for column in snapshot.columns:
            label = labels.of(column.name)
            if label.level >= Level.CONFIDENTIAL and self._refresh_column(table_id, snapshot, column, label):
                kept.append(column.name)
        self._access.fingerprints.keep(table_id, kept)
        return len(kept)

    def _refresh_column(self, table_id: str, snapshot: Snapshot, column: Column, label: Label) -> bool:
        """Keep the values of one column, if its type can be recognised."""
        condition = _worth(column)
        if not condition or not snapshot.readable_as_files:
            return False
        source = scan(table_id, snapshot, [column])
        value = f"CAST({text.name(column.name)} AS VARCHAR)"
        self._access.fingerprints.replace(table_id, label, self._values(_distinctive(source, value, condition)), column=column.name)
        return True

    def _values(self, sql: str) -> Iterator[str]:
        """Distinct values."""
        limits = EngineLimits(timeout_s=TIMEOUT_S, queue_timeout_s=TIMEOUT_S)
        with self._engine.query(sql, limits=limits) as rows:
            for batch in rows:
                for value in batch.column(0).to_pylist():
                    if value:
                        yield value

    def _run(self) -> None:
        """Work off what is pending."""
        while not self._closed.is_set():
            with self._lock:
                securable_id = next(iter(self._pending), None)
                if securable_id is not None:
                    del self._pending[securable_id]
                else:
                    self._idle.set()
            if securable_id is None:
                self._wake.wait()
                self._wake.clear()
                continue
            for table_id in self._access.securables.below(securable_id, SecurableKind.TABLE):
                self._refresh_quietly(table_id)

    def _refresh_quietly(self, table_id: str) -> None:
        """Refresh a table; one that cannot be read must not keep others from being recognised."""
        try:
            self.refresh(table_id)
        except InsjoError as error:
            _LOGGER.warning("the fingerprints of the table %s were not refreshed: %s", table_id, error)
        except Exception:  # Whatever it is, the next table is tried.
            _LOGGER.exception("the fingerprints of the table %s were not refreshed", table_id)


def _distinctive(source: str, value: str, condition: str) -> str:
    """Query of the distinct values that are not common: those are counted here, since each comes only once to where it is hashed.

    Long texts stay however often they come; they are kept as windows of words.
    """
    counted = text.select(
        [f"{value} AS v", "count(*) AS n", "sum(count(*)) OVER () AS total"],
        text.nested(source, "q"),
        where=f"{condition.format(value=value)} GROUP BY 1",
    )
    rare = f"n <= greatest({COMMON_MIN}, floor(total * {COMMON_SHARE}))"
    long = f"length(v) - length(replace(v, ' ', '')) >= {WORDS_MAX}"
    return text.select(["v"], text.nested(counted, "c"), where=f"{rare} OR {long}", limit=VALUES_MAX)


def _worth(column: Column) -> str:
    """Condition for values that are long enough to mean something, or an empty text for types that are not taken."""
    kind = parse_type(column.type_text).kind
    if kind is Kind.STRING:
        return f"length({{value}}) >= {LENGTH_MIN}"
    if kind in {Kind.INT, Kind.BIGINT, Kind.DECIMAL}:
        return f"length(regexp_replace({{value}}, '[^0-9]', '', 'g')) >= {NUMBER_DIGITS_MIN}"
    return ""
