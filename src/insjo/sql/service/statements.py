"""Statements from submission to the last chunk."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from insjo.access.types import UNLABELLED, Provenance
from insjo.kernel.cancellation import CancelToken
from insjo.kernel.database import failure_of
from insjo.kernel.errors import Cancelled, InsjoError, InvalidArgument, PermissionDenied
from insjo.kernel.ids import new_id
from insjo.sql.errors import (
    OutOfMemory,
    ResultNoLongerAllowed,
    ResultUnavailable,
    StatementCancelled,
    StatementNotFound,
    StatementTimedOut,
    WarehouseBusy,
)
from insjo.sql.ports import EngineLimits
from insjo.sql.types import Chunk, HistoryEntry, Result, Statement, StatementState

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from insjo.access.service.facade import Access
    from insjo.access.types import Origin
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.needs import Need
    from insjo.sql.commands.execution import Outcome
    from insjo.sql.service.engines import Engines
    from insjo.sql.service.history import History
    from insjo.sql.service.results import ResultStore, StoredResult
    from insjo.sql.service.running import Runner
    from insjo.sql.service.sessions import OpenSession, Sessions
    from insjo.sql.service.turns import Turns
    from insjo.sql.service.warehouses import Warehouses
    from insjo.sql.types import ResultColumn, StatementSpec

_LOGGER = logging.getLogger(__name__)

KEPT_MAX = 10_000
"""Statements of this process that can be asked about; the oldest that ended go first."""

_CANCEL_WAIT_S = 3.0
_SWEEP_S_MAX = 30.0
_HISTORY_TEXT_MAX = 100_000


@dataclass(slots=True)
class _Live:
    """A statement and all that happens to it; `changed` guards every field."""

    id: str
    ctx: RequestContext
    spec: StatementSpec
    session: OpenSession
    warehouse_id: str
    created_at: datetime
    created_s: float
    timeout_s: float
    changed: threading.Condition = field(default_factory=threading.Condition)
    cancel: CancelToken = field(default_factory=CancelToken)
    state: StatementState = StatementState.PENDING
    kind: str = ""
    error: InsjoError | None = None
    columns: tuple[ResultColumn, ...] = ()
    result: StoredResult | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(UNLABELLED))
    needs: tuple[Need, ...] = ()
    queue_position: int = 0
    started_at: datetime | None = None
    started_s: float = 0.0
    ended_at: datetime | None = None
    ended_s: float = 0.0
    allowed_revision: int = -1
    on_end: list[Callable[[], None]] = field(default_factory=list)
    hidden: frozenset[Origin] = frozenset()

    def told(self) -> Statement:
        """As others see it now."""
        with self.changed:
            result = self.result
            return Statement(
                id=self.id,
                text=self.spec.text,
                state=self.state,
                kind=self.kind,
                warehouse_id=self.warehouse_id,
                owner=self.ctx.principal,
                created_at=self.created_at,
                started_at=self.started_at,
                ended_at=self.ended_at,
                error=self.error,
                columns=self.columns,
                row_count=result.row_count if result else 0,
                byte_count=result.byte_count if result else 0,
                chunks=tuple(chunk.range for chunk in result.chunks) if result else (),
                truncated=bool(result and result.truncated),
                provenance=self.provenance,
                queue_position=self.queue_position,
                progress=self.cancel.progress,
                shown_origins=self.shown_origins(),
            )

    def shown_origins(self) -> tuple[Origin, ...]:
        """Origins that the owner of the statement may know of."""
        return tuple(origin for origin in self.provenance.origins if origin not in self.hidden)


class Statements:
    """Runs statements in a bounded number of threads and keeps their results for a while.

    Args:
        runner: Runs one statement.
        turns: Decides whose statement runs next; the engine has a queue of its own.
        timeout_s: Longest time that a statement may run.
        result_ttl_s: How long a result can be fetched.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        engines: Engines,
        access: Access,
        warehouses: Warehouses,
        sessions: Sessions,
        history: History,
        results: ResultStore,
        clock: Clock,
        turns: Turns,
        timeout_s: float,
        result_ttl_s: float,
    ) -> None:
        self._runner = runner
        self._engines = engines
        self._access = access
        self._warehouses = warehouses
        self._sessions = sessions
        self._history = history
        self._results = results
        self._clock = clock
        self._turns = turns
        self._timeout_s = timeout_s
        self._result_ttl_s = result_ttl_s
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._closed = threading.Event()
        self._sweeper: threading.Thread | None = None

    # --------------------------------------------------------------------------------------------------------- life of a room

    def start(self) -> None:
        """Begin to remove results whose time is over."""
        if self._sweeper is None:
            self._sweeper = threading.Thread(target=self._sweep_until_closed, name="sql-results", daemon=True)
            self._sweeper.start()

    def shut_down(self) -> None:
        """Cancel what runs, wait for it, and drop all results."""
        self._closed.set()
        with self._lock:
            live = list(self._live.values())
        for each in live:
            if not each.state.ended:
                self._stop(each)
        self._turns.close()
        if self._sweeper is not None:
            self._sweeper.join(timeout=10)
        self._results.close()

    # ------------------------------------------------------------------------------------------------------------- statements

    def submit(self, ctx: RequestContext, spec: StatementSpec, on_end: Callable[[str], None] | None = None) -> Statement:
        """Take a statement; it runs by itself, and what is wrong with its text is told by its state.

        Args:
            ctx: Who asks.
            spec: The text and what belongs to it.
            on_end: Called with its identifier once it has ended, in the thread that ran it; must be quick.

        Raises:
            WarehouseNotFound, AccessDenied, WarehouseStopped, SessionNotFound: There is no place to run it.
            WarehouseBusy: Too many statements wait.
        """
        return self._told(self._submit(ctx, spec, self._timeout_s, on_end))

    def wait(self, ctx: RequestContext, statement_id: str, timeout_s: float) -> Statement:
        """The statement once it has ended, or as it is when the time is over."""
        live = self._own(ctx, statement_id)
        with live.changed:
            live.changed.wait_for(lambda: live.state.ended, timeout=max(0.0, timeout_s))
        return self._told(live)

    def when_ended(self, ctx: RequestContext, statement_id: str, call: Callable[[], None]) -> None:
        """Call once the statement has ended, at once if it has: for those who wait without a thread.  `call` must be quick."""
        live = self._own(ctx, statement_id)
        with live.changed:
            if not live.state.ended:
                live.on_end.append(call)
                return
        call()

    def get(self, ctx: RequestContext, statement_id: str) -> Statement:
        """A statement of the caller as it is now."""
        return self._told(self._own(ctx, statement_id))

    def cancel(self, ctx: RequestContext, statement_id: str) -> Statement:
        """Stop a statement; metastore admins may stop those of others.  One that has ended stays as it is."""
        live = self._own(ctx, statement_id, for_cancel=True)
        self._stop(live)
        with live.changed:
            live.changed.wait_for(lambda: live.state.ended, timeout=_CANCEL_WAIT_S)
        return self._told(live)

    def close(self, ctx: RequestContext, statement_id: str) -> Statement:
        """Stop a statement if it still runs, and drop its result."""
        live = self._own(ctx, statement_id)
        self._stop(live)
        with live.changed:
            live.changed.wait_for(lambda: live.state.ended, timeout=_CANCEL_WAIT_S)
            if live.state is StatementState.SUCCEEDED:
                live.state = StatementState.CLOSED
            result, live.result = live.result, None
        if result is not None:
            self._results.drop(live.id, result)
        return self._told(live)

    def chunk(self, ctx: RequestContext, statement_id: str, index: int) -> Chunk:
        """A part of a result.  The rights that it rests on are asked for again, as they are now.

        Raises:
            ResultUnavailable: The statement has not succeeded, was closed, or has no such chunk.
            ResultNoLongerAllowed: A right was taken away since.
        """
        result = self._fetchable(ctx, statement_id)
        if not 0 <= index < len(result.chunks):
            if index == 0:
                return Chunk(0, 0, 0, None, result.schema.empty_table())
            message = f"The result has {len(result.chunks)} chunks, and chunk {index} is none of them."
            raise ResultUnavailable(message)
        stored = result.chunks[index]
        following = index + 1 if index + 1 < len(result.chunks) else None
        table = self._results.read(stored)
        return Chunk(index, stored.range.row_offset, stored.range.row_count, following, table)

    def check_fetch(self, ctx: RequestContext, statement_id: str) -> None:
        """Raise what `chunk` would raise, without reading rows: for doors that hand out links to them."""
        self._fetchable(ctx, statement_id)

    def _fetchable(self, ctx: RequestContext, statement_id: str) -> StoredResult:
        """The result of a statement of the caller, who may still have it."""
        live = self._own(ctx, statement_id)
        with live.changed:
            state, result = live.state, live.result
        if state is not StatementState.SUCCEEDED or result is None:
            message = f"The statement has no result to fetch: its state is {state.value}."
            raise ResultUnavailable(message)
        self._allow_again(ctx, live)
        return result

    def arrow_chunk(self, ctx: RequestContext, statement_id: str, index: int) -> bytes:
        """A chunk as an Arrow IPC stream."""
        table = self.chunk(ctx, statement_id, index).batches
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    def run(self, ctx: RequestContext, spec: StatementSpec, timeout_s: float = 60.0) -> Result:
        """Run a statement and give all of its rows; what goes wrong is raised.

        Raises:
            StatementTimedOut: It took longer; it was stopped.
        """
        live = self._submit(ctx, spec, min(timeout_s, self._timeout_s))
        with live.changed:
            in_time = live.changed.wait_for(lambda: live.state.ended, timeout=timeout_s + _CANCEL_WAIT_S)
        if not in_time:
            live.cancel.cancel()
            message = f"The statement took longer than {timeout_s:g} seconds and was stopped."
            raise StatementTimedOut(message)
        statement = live.told()
        if statement.error is not None:
            raise statement.error
        if statement.state is not StatementState.SUCCEEDED or live.result is None:
            message = "The statement was stopped."
            raise StatementCancelled(message)
        result = live.result
        tables = [self._results.read(chunk) for chunk in result.chunks]
        whole = pa.concat_tables(tables) if tables else result.schema.empty_table()
        self._forget(live)
        return Result(statement, whole)

    # ---------------------------------------------------------------------------------------------------------------- running

    def _submit(self, ctx: RequestContext, spec: StatementSpec, timeout_s: float, on_end: Callable[[str], None] | None = None) -> _Live:
        """Take a statement into the queue."""
        if self._closed.is_set():
            message = "The SQL service is shutting down."
            raise WarehouseBusy(message)
        for limit, name in ((spec.row_limit, "row limit"), (spec.byte_limit, "byte limit")):
            if limit is not None and limit < 0:
                message = f"A {name} must not be negative, and this one is {limit}."
                raise InvalidArgument(message)
        session = self._sessions.open(ctx, spec.session_id) if spec.session_id else None
        warehouse = self._warehouses.usable(ctx, spec.warehouse_id or (session.warehouse_id if session else None))
        if session is None:
            session = self._sessions.passing(ctx, warehouse.id, spec.catalog, spec.schema)
        remaining_s = ctx.remaining_s(self._clock.monotonic_s())
        live = _Live(
            id=new_id(),
            ctx=ctx,
            spec=spec,
            session=session,
            warehouse_id=warehouse.id,
            created_at=self._clock.now(),
            created_s=self._clock.monotonic_s(),
            timeout_s=timeout_s if remaining_s is None else min(timeout_s, remaining_s),
        )
        if on_end is not None:
            live.on_end.append(partial(on_end, live.id))
        with self._lock:
            self._make_room()
            self._live[live.id] = live
        try:
            self._turns.take(live.id, ctx.principal.id, warehouse.id, lambda: self._run(live))
        except WarehouseBusy:
            with self._lock:
                self._live.pop(live.id, None)
            raise
        return live

    def _told(self, live: _Live) -> Statement:
        """As others see it now, with its place in the line."""
        told = live.told()
        place = self._turns.position(live.id) if told.state is StatementState.PENDING else 0
        return replace(told, queue_position=place) if place else told

    def _stop(self, live: _Live) -> None:
        """Ask a statement to end; one that waits for its turn ends here and now."""
        live.cancel.cancel()
        waiting = self._turns.leave(live.id)
        if waiting is not None:
            waiting()

    def _make_room(self) -> None:
        """Forget the oldest statements that ended when there are too many; the lock is held."""
        if len(self._live) < KEPT_MAX:
            return
        for live in [each for each in self._live.values() if each.state.ended][: KEPT_MAX // 10]:
            del self._live[live.id]
            if live.result is not None:
                self._results.drop(live.id, live.result)
        if len(self._live) >= KEPT_MAX:
            message = f"{len(self._live)} statements run or wait already."
            raise WarehouseBusy(message, hint="Try again in a moment.")

    def _run(self, live: _Live) -> None:
        """One statement in its thread."""
        with live.changed:
            live.started_at, live.started_s = self._clock.now(), self._clock.monotonic_s()
            live.state, live.queue_position = StatementState.RUNNING, 0
            live.changed.notify_all()
        error: InsjoError | None = None
        try:
            if live.cancel.cancelled:
                message = "The statement was stopped before it began."
                raise StatementCancelled(message)  # noqa: TRY301  # One place turns errors into states.
            self._execute(live)
        except InsjoError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001  # Whatever it is, the caller gets an answer and the server goes on; the log has the rest.
            error = _inner(live, caught)
        self._end(live, error)

    def _execute(self, live: _Live) -> None:
        """Run, and take the rows."""
        limits = EngineLimits(timeout_s=live.timeout_s, queue_timeout_s=live.timeout_s)

        def on_queue(position: int) -> None:
            with live.changed:
                live.queue_position = position
                live.state = StatementState.PENDING if position else StatementState.RUNNING

        def on_kind(kind: str) -> None:
            live.kind = kind

        foreign = self._engines.of(live.warehouse_id)
        try:
            outcome = self._runner.run(live.ctx, live.spec, live.session, live.cancel, limits, on_queue, on_kind, foreign)
            self._collect(live, outcome)
        except OutOfMemory as error:
            raise self._engines.outgrown(live.ctx, live.warehouse_id, error) from error

    def _collect(self, live: _Live, outcome: Outcome) -> None:
        """Take the rows of an outcome into chunks."""
        collector = self._results.collector(live.id, outcome.schema, live.spec.row_limit, live.spec.byte_limit)
        try:
            for batch in outcome.batches:
                if not collector.add(batch):
                    break
            result = collector.finish()
        except BaseException:
            collector.abandon()
            raise
        finally:
            outcome.close()
        with live.changed:
            live.columns, live.provenance, live.needs = outcome.columns, outcome.provenance, outcome.needs
            live.result, live.hidden = result, outcome.hidden

    def _end(self, live: _Live, error: InsjoError | None) -> None:
        """The last state, the history and the audit."""
        state = StatementState.SUCCEEDED
        if error is not None:
            stopped = isinstance(error, Cancelled)
            state = StatementState.CANCELED if stopped else StatementState.FAILED
        entry = self._history_entry(live, state, error)
        self._history.add(entry)
        try:
            self._audit(live, entry, error)
        except Exception as caught:  # noqa: BLE001  # Without a record nothing may be handed out, and no statement may stay as if it ran.
            error, state = caught if isinstance(caught, InsjoError) else _inner(live, caught), StatementState.FAILED
            result, live.result = live.result, None
            if result is not None:
                self._results.drop(live.id, result)
        with live.changed:
            live.state, live.error, live.queue_position = state, error, 0
            live.ended_at, live.ended_s = entry.ended_at, self._clock.monotonic_s()
            live.changed.notify_all()
            waiting, live.on_end = live.on_end, []
        for call in waiting:
            call()

    def _history_entry(self, live: _Live, state: StatementState, error: InsjoError | None) -> HistoryEntry:
        now_s = self._clock.monotonic_s()
        return HistoryEntry(
            statement_id=live.id,
            text=live.spec.text[:_HISTORY_TEXT_MAX],
            kind=live.kind,
            state=state,
            error_code=error.code if error else "",
            error_message=str(error) if error else "",
            user_id=live.ctx.principal.id,
            user_name=live.ctx.principal.name,
            on_behalf_of=live.ctx.on_behalf_of.name if live.ctx.on_behalf_of else "",
            door=live.ctx.door,
            warehouse_id=live.warehouse_id,
            label=live.provenance.label,
            origins=tuple(origin.text() for origin in live.shown_origins()[:200]),
            row_count=live.result.row_count if live.result else 0,
            byte_count=live.result.byte_count if live.result else 0,
            duration_ms=int((now_s - live.created_s) * 1000),
            queued_ms=int(max(0.0, live.started_s - live.created_s) * 1000),
            created_at=live.created_at,
            ended_at=self._clock.now(),
        )

    def _audit(self, live: _Live, entry: HistoryEntry, error: InsjoError | None) -> None:
        """One row of the audit for each statement."""
        outcome = "allowed" if error is None else "denied" if isinstance(error, PermissionDenied) else "failed"
        self._access.audit.record(
            live.ctx,
            "statement.run",
            outcome=outcome,
            object=f"statement {live.id}",
            label=live.provenance.label,
            origins=live.provenance.origins,
            reason=" ".join(part for part in (entry.kind, entry.error_code) if part),
            content_hash=hashlib.sha256(live.spec.text.encode()).hexdigest(),
        )

    # ---------------------------------------------------------------------------------------------------------------- fetching

    def _own(self, ctx: RequestContext, statement_id: str, *, for_cancel: bool = False) -> _Live:
        """A statement of the caller; for anybody else it does not exist."""
        with self._lock:
            live = self._live.get(statement_id)
        if live is None or live.ctx.principal.id != ctx.principal.id:
            stops = live is not None and for_cancel and self._access.principals.is_admin(ctx.principal.id)
            if live is None or not stops:
                message = f"The statement `{statement_id[:64]}` does not exist."
                raise StatementNotFound(message, hint="Results are removed after a while.")
        return live

    def _allow_again(self, ctx: RequestContext, live: _Live) -> None:
        """Ask for the rights anew when anything changed in access since they were asked for last."""
        revision = self._access.refresh_revision()
        if live.allowed_revision == revision:
            return
        by_principal: dict[str, list[Need]] = {}
        for need in live.needs:
            key = need.principal.id if need.principal else ctx.principal.id
            by_principal.setdefault(key, []).append(need)
        for needs in by_principal.values():
            principal = needs[0].principal
            asking = ctx if principal is None else replace(ctx, principal=principal, on_behalf_of=ctx.principal)
            decisions = self._access.authority.decide_many(asking, [(need.privilege, need.securable_id) for need in needs])
            denied = next((decision for decision in decisions if not decision.allowed), None)
            if denied is not None:
                self._access.audit.record(
                    ctx,
                    "statement.fetch",
                    outcome="denied",
                    object=f"statement {live.id}",
                    securable_id=denied.securable_id,
                    reason=denied.reason,
                )
                message = "This result may no longer be fetched: a right that it rests on was taken away."
                raise ResultNoLongerAllowed(message, hint="Run the statement again to see what is allowed now.")
        live.allowed_revision = revision

    def _forget(self, live: _Live) -> None:
        """Drop a statement whose rows were handed over."""
        with self._lock:
            self._live.pop(live.id, None)
        if live.result is not None:
            self._results.drop(live.id, live.result)

    def _sweep_until_closed(self) -> None:
        """Remove statements whose time is over."""
        interval_s = min(_SWEEP_S_MAX, max(0.2, self._result_ttl_s / 4))
        while not self._closed.wait(interval_s):
            self.sweep()

    def sweep(self) -> int:
        """Forget statements that ended longer ago than results are kept; how many."""
        before = self._clock.monotonic_s() - self._result_ttl_s
        with self._lock:
            old = [each for each in self._live.values() if each.state.ended and each.ended_s < before]
            for live in old:
                del self._live[live.id]
        for live in old:
            with live.changed:
                result, live.result = live.result, None
            if result is not None:
                self._results.drop(live.id, result)
        return len(old)


def _inner(live: _Live, error: Exception) -> InsjoError:
    """What a caller is told of an error that no service raised on purpose."""
    known = failure_of(error)
    if known is not None:
        _LOGGER.error("statement %s failed: %s", live.id, known.message)
        return known
    _LOGGER.error("statement %s failed inside", live.id, exc_info=error)
    return InsjoError("Something inside failed while the statement ran.", hint=f"Tell the operator the number {live.id}.")
