"""Usage: one record a request, written in batches; a journal keeps them while the database is away."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Privilege, SecurableKind
from insjo.gateway.errors import NotBuilt
from insjo.gateway.store import DatabaseAway, UsageScope, UsageStore
from insjo.gateway.types import UsageRecord
from insjo.kernel.context import SYSTEM
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from insjo.access.service.facade import Access
    from insjo.gateway.ports import UsageObserver
    from insjo.gateway.store import UsageGroup
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

FLUSH_S: Final = 0.25
"""Longest time that a record waits in memory while the database takes rows."""

BATCH_MAX: Final = 500
QUEUE_MAX: Final = 20_000
"""Records in memory; further ones go to the journal at once."""

JOURNAL_BYTES_MAX: Final = 256 * 1024 * 1024
ROWS_MAX: Final = 1_000_000
"""Rows that `system.ai.usage` shows, the newest."""

_log = logging.getLogger(__name__)


class Usage:
    """Takes records without waiting, and reads them back."""

    COLUMNS: Final[tuple[tuple[str, str], ...]] = (
        ("id", "string"),
        ("at", "timestamp"),
        ("request_id", "string"),
        ("principal_id", "string"),
        ("principal", "string"),
        ("on_behalf_of", "string"),
        ("door", "string"),
        ("endpoint_id", "string"),
        ("endpoint", "string"),
        ("served_by", "string"),
        ("served_model", "string"),
        ("model", "string"),
        ("task", "string"),
        ("outcome", "string"),
        ("status", "string"),
        ("error_code", "string"),
        ("label", "string"),
        ("streamed", "boolean"),
        ("input_tokens", "bigint"),
        ("output_tokens", "bigint"),
        ("cached_tokens", "bigint"),
        ("estimated", "boolean"),
        ("cost", "double"),
        ("currency", "string"),
        ("first_byte_ms", "double"),
        ("duration_ms", "double"),
    )
    """Columns of `system.ai.usage`."""

    def __init__(self, *, database: Database, access: Access, journal_dir: Path, observer: UsageObserver | None = None) -> None:
        """Start no thread yet: the first record does."""
        self._access = access
        self._store = UsageStore(database)
        self._observer = observer
        self._journal = _Journal(journal_dir / "usage.jsonl")
        self._pending: deque[UsageRecord] = deque()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._some = threading.Event()
        self._full = threading.Event()
        self._closed = threading.Event()
        self._writer: threading.Thread | None = None

    def add(self, record: UsageRecord) -> None:
        """Take one record.  Never waits for the database and never fails the request that it counts."""
        if len(self._pending) >= QUEUE_MAX or self._closed.is_set():
            self._journal.append([record])
            return
        self._pending.append(record)
        if self._writer is None:
            self._start_writer()
        waiting = len(self._pending)
        if waiting == 1:
            self._some.set()
        elif waiting == BATCH_MAX:
            self._full.set()

    def flush(self) -> None:
        """Write all that waits, first what the journal holds."""
        with self._writing:
            self._replay()
            while self._pending:
                batch = [self._pending[index] for index in range(min(BATCH_MAX, len(self._pending)))]
                try:
                    self._store.insert_new(batch)
                except DatabaseAway:
                    _log.warning("usage goes to the journal: the metadata database takes no rows", exc_info=True)
                    self._journal.append(batch)
                for _ in batch:
                    self._pending.popleft()
                if self._observer is not None:
                    self._observer.observe(batch)

    def close(self) -> None:
        """Write what waits and end the writer."""
        self._closed.set()
        self._full.set()
        self._some.set()
        if self._writer is not None:
            self._writer.join(timeout=30)
        self.flush()

    def list(self, ctx: RequestContext, page: PageRequest | None = None, *, endpoint: str = "", request_id: str = "") -> Page[UsageRecord]:
        """Records that the caller may see, newest first: their own, those of endpoints that they manage, or all for admins."""
        wanted = page or PageRequest()
        self.flush()
        rows = self._store.fetch_page(self._scope(ctx), wanted, endpoint, request_id)
        return page_of(rows, wanted.size, lambda row: row.id)

    def aggregate(
        self, ctx: RequestContext, group: UsageGroup, *, since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[dict[str, Any]]:
        """Sums by group of what the caller may see, the busiest first.

        Each row has `key`, `requests`, `input_tokens`, `output_tokens`, `cost`, `errors`, `rerouted`, `blocked`, `duration_ms` (mean).
        The key of `day` counts days since 1970.
        """
        self.flush()
        return self._store.fetch_groups(self._scope(ctx), group, since, until)

    def rows(self, ctx: RequestContext) -> Iterator[dict[str, object]]:
        """Rows of `system.ai.usage` for this caller, newest first."""
        self.flush()
        return self._store.fetch_rows(self._scope(ctx), ROWS_MAX)

    def metrics(self, ctx: RequestContext) -> tuple[str, bytes]:
        """Media type and text of all counts; metastore admins only, since they name endpoints that others may not know of."""
        self._access.principals.require_admin(ctx, "read metrics")
        if self._observer is None:
            raise NotBuilt("Metrics are switched off here.")
        self.flush()
        return self._observer.content_type, self._observer.render()

    def _scope(self, ctx: RequestContext) -> UsageScope:
        principal = ctx.principal
        if principal.id == SYSTEM.id or self._access.principals.is_admin(principal.id):
            return UsageScope(everything=True, principal_id=principal.id, principal=principal.name)
        managed = self._access.authority.visible(ctx, SecurableKind.ENDPOINT, Privilege.MANAGE)
        return UsageScope(everything=False, principal_id=principal.id, principal=principal.name, managed=managed)

    def _replay(self) -> None:
        """Bring what the journal holds into the database; rows that are there already are left alone."""
        records = self._journal.take()
        try:
            for begin in range(0, len(records), BATCH_MAX):
                self._store.insert_new(records[begin : begin + BATCH_MAX])
        except DatabaseAway:
            return  # Still away.
        if records:
            self._journal.taken()

    def _start_writer(self) -> None:
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_until_closed, name="usage", daemon=True)
                self._writer.start()

    def _write_until_closed(self) -> None:
        while not self._closed.is_set():
            self._some.wait()
            self._some.clear()
            self._full.wait(FLUSH_S)
            self._full.clear()
            try:
                self.flush()
            except Exception:  # noqa: BLE001  # The writer must outlive any single failure; the records stay where they are.
                _log.exception("usage could not be written")
                self._closed.wait(FLUSH_S)
                self._some.set()


class _Journal:
    """Records as lines of JSON in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_suffix(".replay")
        self._lock = threading.Lock()

    def append(self, records: Sequence[UsageRecord]) -> None:
        """Add records; when the file is full or the disk fails they are lost, which the log says."""
        lines = [json.dumps({**record._asdict(), "at": record.at.isoformat()}) + "\n" for record in records]
        with self._lock:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                if self._path.exists() and self._path.stat().st_size > JOURNAL_BYTES_MAX:
                    _log.error("%d usage records are lost: the journal is full", len(records))
                    return
                with self._path.open("a", encoding="utf-8") as out:
                    out.writelines(lines)
            except OSError:
                _log.exception("%d usage records are lost: the journal cannot be written", len(records))

    def take(self) -> list[UsageRecord]:
        """All records, set aside until `taken`, so that new ones can be added meanwhile; a line cut off by a crash is left out."""
        with self._lock:
            if not self._aside.exists():
                if not self._path.exists():
                    return []
                self._path.replace(self._aside)
        found = []
        with self._aside.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                    row["at"] = datetime.fromisoformat(row["at"])
                    found.append(UsageRecord(**row))
                except (ValueError, KeyError, TypeError):
                    _log.warning("a line of the usage journal cannot be read and is left out")
        return found

    def taken(self) -> None:
        """What was set aside is in the database."""
        self._aside.unlink(missing_ok=True)
