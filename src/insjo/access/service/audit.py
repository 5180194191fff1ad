"""The audit: who did what, decided how and why; chained by hash, written in batches, refusals at once."""

from __future__ import annotations

import hmac
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from insjo.access.errors import AccessDenied, AuditOverflow
from insjo.access.store import audit as store
from insjo.access.store.changes import DatabaseError
from insjo.access.types import AuditEvent, AuditFilter, Origin, VerifyReport
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import sqlalchemy as sa

    from insjo.access.store.changes import Changes
    from insjo.access.types import Label
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

FLUSH_S: Final = 1.0
"""Longest time that a row waits in memory."""

AUDIT_TABLE: Final = "system.access.audit"
"""The name under which SQL reads the audit; a grant on it counts here too."""

QUEUE_MAX: Final = 10_000
BATCH_MAX: Final = 500
ORIGINS_MAX: Final = 100
"""Origins kept in one row; the number of all of them stands at the end when there are more."""

_AT_ONCE: Final = frozenset({"denied", "blocked", "failed"})
_log = logging.getLogger(__name__)


class Audit:
    """Appends to the chain and reads it.

    Rows of changes are written in the transaction of the change itself.  Refusals are written before the refusal is told.  All
    other rows wait at most a second, so that a decision costs no transaction; `close` writes what waits.
    """

    def __init__(self, *, database: Database, clock: Clock, key: bytes, changes: Changes) -> None:
        """Start no thread yet: the first row that may wait does."""
        self._database = database
        self._clock = clock
        self._key = key
        self._changes = changes
        self._pending: deque[dict[str, Any]] = deque()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._writer: threading.Thread | None = None
        self._may_read: Callable[[RequestContext], bool] = _nobody

    def guard(self, may_read: Callable[[RequestContext], bool]) -> None:
        """Let this decide who reads; until then nobody does.  The room sets it, since decisions themselves are recorded here."""
        self._may_read = may_read

    def record(
        self,
        ctx: RequestContext,
        action: str,
        *,
        outcome: str,
        object: str = "",  # noqa: A002  # The word of the audit table, given by name only.
        securable_id: str | None = None,
        label: Label | None = None,
        destination: str = "",
        origins: Iterable[Origin] = (),
        reason: str = "",
        content_hash: str = "",
        connection: sa.Connection | None = None,
    ) -> None:
        """Add one row; with a connection it stands or falls with that transaction.

        Raises:
            AuditOverflow: When the database takes no rows and the queue is full: without a record nothing may be done.
        """
        row = {
            "at": self._clock.now(),
            "action": _clean(action, 100),
            "outcome": _clean(outcome, 32),
            "principal_id": ctx.principal.id,
            "principal": _clean(ctx.principal.name, 255),
            "on_behalf_of": _clean(ctx.on_behalf_of.name, 255) if ctx.on_behalf_of else "",
            "door": _clean(ctx.door, 32),
            "request_id": _clean(ctx.request_id, 64),
            "client": _clean(ctx.origin, 255),
            "object": _clean(object, 2000),
            "securable_id": _clean(securable_id or "", 64),  # Of a refusal it is what the caller sent.
            "label": label.text()[:2000] if label else "",
            "destination": _clean(destination, 500),
            "origins": _origin_texts(origins),
            "reason": _clean(reason, 2000),
            "content_hash": _clean(content_hash, 128),
            "policy_version": self._changes.policy_version,
        }
        if connection is not None:
            store.append(connection, self._key, [row])
            return
        self._enqueue(row, at_once=outcome in _AT_ONCE)

    def flush(self) -> None:
        """Write all rows that wait."""
        with self._writing:
            while self._pending:
                batch = [self._pending[index] for index in range(min(BATCH_MAX, len(self._pending)))]
                with self._database.write() as connection:
                    store.append(connection, self._key, batch)
                for _ in batch:
                    self._pending.popleft()

    def close(self) -> None:
        """Write what waits and end the writer; rows that come later are written at once."""
        self._closed.set()
        self._wake.set()
        if self._writer is not None:
            self._writer.join(timeout=30)
        self.flush()

    def search(self, ctx: RequestContext, filters: AuditFilter | None = None, page: PageRequest | None = None) -> Page[AuditEvent]:
        """Rows that fit, the newest first; for metastore admins and whoever was granted SELECT on `system.access.audit`.

        Raises:
            AccessDenied: For anybody else: refusals name objects that their callers may not see.
        """
        if not self._may_read(ctx):
            message = f"`{ctx.principal.name}` may not read the audit."
            raise AccessDenied(message, hint=f"Ask a metastore admin: GRANT SELECT ON TABLE {AUDIT_TABLE} TO `{ctx.principal.name}`")
        wanted = page or PageRequest()
        before = wanted.after_number()
        if not self._changes.in_write():
            self.flush()
        with self._database.read() as connection:
            rows = store.fetch_page(connection, filters or AuditFilter(), before, wanted.size + 1)
        return page_of(rows, wanted.size, lambda row: row.sequence)

    def verify(self, anchor: tuple[int, str] | None = None) -> VerifyReport:
        """Walk the whole chain and prove that no row was changed, added, removed or moved.

        Args:
            anchor: Sequence and hash of a head that was written down elsewhere.  It also uncovers that the newest rows were cut
                off together with the head of that time, which the chain alone cannot show.
        """
        if not self._changes.in_write():
            self.flush()
        with self._database.read() as connection:
            head_sequence, head = store.fetch_head(connection)
            previous, sequence = store.START, 0
            for row in store.walk(connection):
                if row["sequence"] != sequence + 1:
                    return VerifyReport(intact=False, rows=sequence, sequence=sequence + 1, head=previous, problem="row missing or added")
                sequence += 1
                if not hmac.compare_digest(store.chained(self._key, previous, row), str(row["hash"])):
                    return VerifyReport(intact=False, rows=sequence, sequence=sequence, head=previous, problem="row changed")
                previous = str(row["hash"])
                if anchor and anchor[0] == sequence and anchor[1] != previous:
                    return VerifyReport(intact=False, rows=sequence, sequence=sequence, head=previous, problem="not the anchored row")
        if (head_sequence, head) != (sequence, previous) or (anchor and anchor[0] > sequence):
            return VerifyReport(intact=False, rows=sequence, sequence=sequence + 1, head=previous, problem="rows missing at the end")
        return VerifyReport(intact=True, rows=sequence, sequence=sequence, head=previous)

    def _enqueue(self, row: dict[str, Any], *, at_once: bool) -> None:
        """Let a row wait, or write it before going on.

        A thread that holds a transaction for changes must not open another one: there the writer is woken instead.
        """
        may_write = not self._changes.in_write()
        if len(self._pending) >= QUEUE_MAX and not may_write:
            message = "The audit cannot be written just now."
            raise AuditOverflow(message)
        self._pending.append(row)
        if may_write and (at_once or self._closed.is_set() or len(self._pending) >= QUEUE_MAX):
            self.flush()
            return
        self._start_writer()
        if at_once or len(self._pending) >= BATCH_MAX:
            self._wake.set()

    def _start_writer(self) -> None:
        """Start the writer if there is none."""
        if self._writer is None and not self._closed.is_set():
            with self._starting:
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write_until_closed, name="audit", daemon=True)
                    self._writer.start()

    def _write_until_closed(self) -> None:
        """Write what waits once a second, or sooner when woken; a database that is away is tried again."""
        while not self._closed.is_set():
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            try:
                self.flush()
            except DatabaseError:
                _log.exception("the audit waits: the metadata database takes no rows")
                self._closed.wait(FLUSH_S)


def _nobody(ctx: RequestContext) -> bool:
    """Nobody reads."""
    del ctx
    return False


def _clean(text: str, chars_max: int) -> str:
    """The text without NUL and halves of characters, which databases do not take, and cut."""
    if text.isascii() and "\0" not in text:
        return text[:chars_max]
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")[:chars_max]


def _origin_texts(origins: Iterable[Origin]) -> list[str]:
    """Origins as texts, the first of them when there are many."""
    texts = [_clean(origin.text(), 500) for origin in origins]
    if len(texts) > ORIGINS_MAX:
        return [*texts[:ORIGINS_MAX], f"and {len(texts) - ORIGINS_MAX} more"]
    return texts
