"""History of statements: written in batches beside the statements, read as `system.query.history`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from insjo.kernel.context import SYSTEM
from insjo.kernel.database import failure_of
from insjo.kernel.paging import Page, PageRequest, page_token
from insjo.sql import store
from insjo.sql.types import HistoryFilter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.access.service.facade import Access
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.sql.types import HistoryEntry

_LOGGER = logging.getLogger(__name__)
FLUSH_S = 0.5
_PAUSE_S = 5.0
"""After a failure."""
PENDING_MAX = 20_000
KEPT_DAYS = 90
_BATCH = 500
_SWEEP_EVERY = 2_000
_ROWS_OF_TABLE_MAX = 50_000

HISTORY_COLUMNS = (
    ("statement_id", "string"),
    ("executed_by_user_id", "string"),
    ("executed_by", "string"),
    ("on_behalf_of", "string"),
    ("client_door", "string"),
    ("warehouse_id", "string"),
    ("execution_status", "string"),
    ("statement_text", "string"),
    ("statement_type", "string"),
    ("error_code", "string"),
    ("error_message", "string"),
    ("label", "string"),
    ("origins", "array<string>"),
    ("produced_rows", "bigint"),
    ("result_bytes", "bigint"),
    ("total_duration_ms", "bigint"),
    ("waiting_at_capacity_duration_ms", "bigint"),
    ("start_time", "timestamp"),
    ("end_time", "timestamp"),
)
"""Columns of `system.query.history`; names as in Databricks where it has the same column."""


class History:
    """Keeps statements that ended.  Everybody sees their own; metastore admins see all."""

    def __init__(self, *, database: Database, clock: Clock, access: Access) -> None:
        """Everything by keyword; nothing is written before `start`, or until somebody reads."""
        self._database = database
        self._clock = clock
        self._access = access
        self._pending: deque[HistoryEntry] = deque(maxlen=PENDING_MAX)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._written = 0

    def start(self) -> None:
        """Begin to write in the background."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sql-history", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits and end."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.flush()

    def add(self, entry: HistoryEntry) -> None:
        """Keep a statement; never waits for the database."""
        self._pending.append(entry)
        self._wake.set()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            while self._pending:
                batch = [self._pending.popleft() for _ in range(min(_BATCH, len(self._pending)))]
                try:
                    self._write(batch)
                except Exception as error:
                    room = PENDING_MAX - len(self._pending)
                    if failure_of(error) is not None and room > 0:
                        self._pending.extendleft(reversed(batch[-room:]))  # The database takes none just now; later it will.
                    raise

    def _write(self, batch: Sequence[HistoryEntry]) -> None:
        """Write statements, and now and then take the oldest away."""
        with self._database.write() as connection:
            store.insert_history(connection, batch)
            self._written += len(batch)
            if self._written >= _SWEEP_EVERY:
                self._written = 0
                store.delete_history(connection, self._clock.now() - timedelta(days=KEPT_DAYS), _BATCH * 20)

    def list(self, ctx: RequestContext, wanted: HistoryFilter | None = None, page: PageRequest | None = None) -> Page[HistoryEntry]:
        """Statements that fit, the newest first."""
        self.flush()
        request = page or PageRequest()
        allowed = self._allowed(ctx, wanted or HistoryFilter())
        if allowed is None:
            return Page(())
        with self._database.read() as connection:
            found = store.fetch_history(connection, allowed, request.after(), request.size + 1)
        if len(found) <= request.size:
            return Page(tuple(found))
        kept = found[: request.size]
        return Page(tuple(kept), page_token(kept[-1].statement_id))

    def rows(self, ctx: RequestContext) -> Iterator[Mapping[str, object]]:
        """Rows of `system.query.history` that are for this caller."""
        token = ""
        count = 0
        while count < _ROWS_OF_TABLE_MAX:
            page = self.list(ctx, None, PageRequest(size=1000, token=token))
            for entry in page.items:
                count += 1
                yield {
                    "statement_id": entry.statement_id,
                    "executed_by_user_id": entry.user_id,
                    "executed_by": entry.user_name,
                    "on_behalf_of": entry.on_behalf_of or None,
                    "client_door": entry.door,
                    "warehouse_id": entry.warehouse_id,
                    "execution_status": {"SUCCEEDED": "FINISHED", "CLOSED": "FINISHED"}.get(entry.state.value, entry.state.value),
                    "statement_text": entry.text,
                    "statement_type": entry.kind,
                    "error_code": entry.error_code or None,
                    "error_message": entry.error_message or None,
                    "label": entry.label.text(),
                    "origins": list(entry.origins),
                    "produced_rows": entry.row_count,
                    "result_bytes": entry.byte_count,
                    "total_duration_ms": entry.duration_ms,
                    "waiting_at_capacity_duration_ms": entry.queued_ms,
                    "start_time": entry.created_at,
                    "end_time": entry.ended_at,
                }
            token = page.next_token
            if not token:
                return

    def _allowed(self, ctx: RequestContext, wanted: HistoryFilter) -> HistoryFilter | None:
        """The filter cut down to what the caller may see; None when nothing is left."""
        if ctx.principal.id == SYSTEM.id or self._access.principals.is_admin(ctx.principal.id):
            return wanted
        if wanted.user_ids and ctx.principal.id not in wanted.user_ids:
            return None
        return replace(wanted, user_ids=(ctx.principal.id,))

    def _run(self) -> None:
        """Write until closed."""
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closed.wait(FLUSH_S)
            try:
                self.flush()
            except Exception as error:  # The history is not worth a statement; it waits, and the log tells why.
                known = failure_of(error)
                if known is None:
                    _LOGGER.exception("statements could not be written into the history")
                else:
                    _LOGGER.warning("statements wait for the history: %s", known.message)
                self._closed.wait(_PAUSE_S)
                self._wake.set()
