"""A small durable queue: runs are rows in the metadata database, done by a bounded number of threads of any server.

A run is held by a lease that its server renews.  A server that is killed lets its runs lie; another one, or the next start, notices by
the process being gone or the lease having passed, and queues the run again or fails it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from insjo.access.types import Privilege
from insjo.jobs import store
from insjo.jobs.errors import PayloadTooLarge, QueueFull, RunCancelled, RunNotFound, UnknownKind
from insjo.jobs.identity import is_dead, own_identity
from insjo.jobs.types import Run, RunState
from insjo.kernel.context import SYSTEM, PrincipalRef, RequestContext, system_context
from insjo.kernel.errors import Cancelled, InsjoError, did_you_mean
from insjo.kernel.ids import new_id, short_id
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.jobs.ports import Handler
    from insjo.kernel.clock import Clock
    from insjo.kernel.database import Database

_LOGGER = logging.getLogger(__name__)
_QUEUE_MAX = 10_000
_PAYLOAD_BYTES_MAX = 1_000_000
_ATTEMPTS_MAX = 3
_RUNNING_MAX = 10_000
_BEAT_S = 1.0
_LEASE = timedelta(seconds=30)
_KEPT = timedelta(days=30)
_IDLE_WAIT_S = 1.0
_CLOSE_WAIT_S = 10.0
_RECOVER_EVERY_BEATS = 10
_TICK_EVERY_BEATS = 5
_TITLE_CHARS_MAX = 500
_MESSAGE_CHARS_MAX = 1000


@dataclass(slots=True)
class _Work:
    """A run that a thread of this object is doing; the `RunContext` of its handler."""

    run: Run
    ctx: RequestContext
    stop: threading.Event = field(default_factory=threading.Event)
    told: tuple[int, int, str] | None = None

    @property
    def run_id(self) -> str:
        """See the port."""
        return self.run.id

    @property
    def payload(self) -> Mapping[str, object]:
        """See the port."""
        return self.run.payload

    def progress(self, done: int, total: int, message: str = "") -> None:
        """See the port; the next beat writes it down."""
        self.told = (max(int(done), 0), max(int(total), 0), message[:_MESSAGE_CHARS_MAX])

    def cancelled(self) -> bool:
        """See the port."""
        return self.stop.is_set()

    def check(self) -> None:
        """See the port."""
        if self.stop.is_set():
            message = "The run was cancelled."
            raise RunCancelled(message)

    def progress_values(self) -> dict[str, object]:
        """The columns for what was told last."""
        if self.told is None:
            return {}
        return dict(zip(("progress_done", "progress_total", "message"), self.told, strict=True))


class Jobs:
    """Submits, shows and cancels runs, and does them.

    Args:
        database: The metadata database.
        clock: Tells the time.
        access: Whose rights count, and who may see whose runs.
        threads: How many runs this server does at once.
    """

    def __init__(self, *, database: Database, clock: Clock, access: Access, threads: int = 2) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._thread_count = threads
        self._handlers: dict[str, tuple[Handler, bool]] = {}
        self._identity = own_identity(short_id())
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._working: dict[str, _Work] = {}
        self._ticks: list[Callable[[], object]] = []
        self._ticking = False

    # --------------------------------------------------------------------------------------------------------- for everybody

    def register(self, kind: str, handler: Handler, *, resumable: bool = False) -> None:
        """Make a kind of work known; `resumable` work may be begun again after its server was killed."""
        self._handlers[kind] = (handler, resumable)

    def register_tick(self, tick: Callable[[], object]) -> None:
        """Have something called every few seconds while a server runs, in one thread; it must be quick, and safe on several servers."""
        self._ticks.append(tick)

    def submit(
        self,
        ctx: RequestContext,
        kind: str,
        payload: Mapping[str, object],
        *,
        title: str,
        securable_id: str | None = None,
        connection: sa.Connection | None = None,
    ) -> Run:
        """Queue work that runs with the rights of the caller; the caller of this has checked that it may be asked for.

        Raises:
            UnknownKind, PayloadTooLarge, QueueFull: As they say.
        """
        if kind not in self._handlers:
            message = f"There is no work of the kind `{kind}`."
            raise UnknownKind(message, hint=did_you_mean(kind, self._handlers))
        if len(msgspec.json.encode(payload)) > _PAYLOAD_BYTES_MAX:
            message = f"What a run is given may have at most {_PAYLOAD_BYTES_MAX} bytes."
            raise PayloadTooLarge(message)
        run = Run(
            id=new_id(),
            kind=kind,
            title=title[:_TITLE_CHARS_MAX],
            state=RunState.QUEUED,
            owner=ctx.principal.name,
            owner_id=ctx.principal.id,
            securable_id=securable_id,
            created_at=self._clock.now(),
            payload=dict(payload),
        )
        if connection is not None:
            self._insert(connection, run, ctx)
        else:
            with self._database.write() as own:
                self._insert(own, run, ctx)
        self._wake()
        return run

    def get(self, ctx: RequestContext, run_id: str) -> Run:
        """A run by identifier; not found for those who neither own it nor manage what it works on nor are admins."""
        with self._database.read() as connection:
            run = store.fetch(connection, run_id)
        if run is None or not self._may_see(ctx, run):
            message = f"The run `{run_id[:64]}` does not exist."
            raise RunNotFound(message)
        work = self._working.get(run.id)
        if work is not None and work.told is not None and run.state is RunState.RUNNING:
            done, total, message = work.told
            run = replace(run, progress_done=done, progress_total=total, message=message)
        return run

    def list(
        self,
        ctx: RequestContext,
        page: PageRequest | None = None,
        *,
        kind: str = "",
        securable_id: str | None = None,
    ) -> Page[Run]:
        """Runs, the newest first: one's own; admins see all, and who manages an object sees all runs on it."""
        wanted = page or PageRequest()
        everybody = self._is_admin(ctx) or (securable_id is not None and self._manages(ctx, securable_id))
        with self._database.read() as connection:
            found = store.list_runs(
                connection,
                owner_id=None if everybody else ctx.principal.id,
                kind=kind,
                securable_id=securable_id,
                before=wanted.after(),
                limit=wanted.size + 1,
            )
        return page_of(found, wanted.size, lambda each: each.id)

    def cancel(self, ctx: RequestContext, run_id: str) -> Run:
        """Stop a run: at once when it waits, as soon as its handler looks when it runs; one that ended stays as it is."""
        run = self.get(ctx, run_id)
        if not run.state.ended:
            with self._database.write() as connection:
                if not store.cancel_queued(connection, run_id, self._clock.now()):
                    store.request_cancel(connection, run_id)
            work = self._working.get(run_id)
            if work is not None:
                work.stop.set()
            self._wake()
        return self.get(ctx, run_id)

    def wait(self, ctx: RequestContext, run_id: str, timeout_s: float) -> Run:
        """The run once it has ended, or as it is when the time is over."""
        until_s = self._clock.monotonic_s() + timeout_s
        while True:
            run = self.get(ctx, run_id)
            left_s = until_s - self._clock.monotonic_s()
            if run.state.ended or left_s <= 0:
                return run
            with self._changed:
                self._changed.wait(min(left_s, _IDLE_WAIT_S / 10))

    # ------------------------------------------------------------------------------------------------------- for the server

    def start(self, *, ticks: bool = True) -> None:
        """Take up what killed servers left, and begin to work; a command that soon ends leaves ticks to servers."""
        self._ticking = ticks
        self.recover()
        self._closing.clear()
        names = [("jobs-beat", self._keep_beating), *((f"jobs-{number}", self._keep_working) for number in range(self._thread_count))]
        for name, target in names:
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Ask running work to stop and wait for it a while; what does not stop is taken up by the next start."""
        self._closing.set()
        for work in list(self._working.values()):
            work.stop.set()
        self._wake()
        until_s = self._clock.monotonic_s() + _CLOSE_WAIT_S
        for thread in self._threads:
            thread.join(max(until_s - self._clock.monotonic_s(), 0.1))
        self._threads.clear()

    def recover(self) -> int:
        """Queue again, or fail, every run whose server is gone; gives how many there were."""
        now = self._clock.now()
        with self._database.read() as connection:
            held = store.list_running(connection, _RUNNING_MAX)
        recovered = 0
        for run, worker, leased_until in held:
            lapsed = leased_until is None or leased_until < now
            if worker == self._identity or not (lapsed or is_dead(worker)):
                continue
            with self._database.write() as connection:
                recovered += store.finish(connection, run.id, worker, self._after_loss(run))
            self._wake()
        with self._database.write() as connection:
            store.delete_ended(connection, now - _KEPT)
        return recovered

    # -------------------------------------------------------------------------------------------------------------- details

    def _insert(self, connection: sa.Connection, run: Run, ctx: RequestContext) -> None:
        if store.count_queued(connection) >= _QUEUE_MAX:
            message = f"{_QUEUE_MAX} runs are waiting already."
            raise QueueFull(message, hint="Wait until some of them have ended.")
        values = {
            "id": run.id,
            "kind": run.kind,
            "title": run.title,
            "state": run.state.value,
            "payload": dict(run.payload),
            "result": {},
            "owner_id": run.owner_id,
            "owner": run.owner,
            "owner_kind": ctx.principal.kind,
            "securable_id": run.securable_id,
            "progress_done": 0,
            "progress_total": 0,
            "message": "",
            "error": "",
            "error_code": "",
            "attempt": 0,
            "cancel_requested": False,
            "worker": "",
            "created_at": run.created_at,
        }
        store.insert(connection, values)

    def _may_see(self, ctx: RequestContext, run: Run) -> bool:
        if run.owner_id == ctx.principal.id or self._is_admin(ctx):
            return True
        return run.securable_id is not None and self._manages(ctx, run.securable_id)

    def _is_admin(self, ctx: RequestContext) -> bool:
        return ctx.principal == SYSTEM or self._access.principals.is_admin(ctx.principal.id)

    def _manages(self, ctx: RequestContext, securable_id: str) -> bool:
        return self._access.authority.decide(ctx, Privilege.MANAGE, securable_id).allowed

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _after_loss(self, run: Run) -> dict[str, object]:
        """What becomes of a run whose server is gone."""
        if run.cancel_requested:
            return {"state": RunState.CANCELLED.value, "ended_at": self._clock.now()}
        _, resumable = self._handlers.get(run.kind, (None, False))
        if resumable and run.attempt < _ATTEMPTS_MAX:
            return {"state": RunState.QUEUED.value, "started_at": None}
        return _failure("The server stopped while this was running.", "JOB_LOST") | {"ended_at": self._clock.now()}

    def _keep_working(self) -> None:
        """One thread: takes a run, does it, takes the next."""
        while not self._closing.is_set():
            try:
                run = self._take()
            except Exception:  # The database may be away for a while; the thread must outlive that.
                _LOGGER.exception("the queue of runs could not be read")
                run = None
            if run is None:
                with self._changed:
                    if not self._closing.is_set():
                        self._changed.wait(_IDLE_WAIT_S)
                continue
            self._do(run)

    def _take(self) -> Run | None:
        with self._database.read() as connection:
            run_id = store.next_queued(connection, self._handlers)
        if run_id is None:
            return None
        now = self._clock.now()
        with self._database.write() as connection:
            return store.claim(connection, run_id, self._identity, now, now + _LEASE)

    def _do(self, run: Run) -> None:
        """Do one run and write down how it ended."""
        principal = self._principal_of(run)
        work = _Work(run, RequestContext(principal=principal or PrincipalRef(run.owner_id, run.owner), door="job", request_id=run.id))
        self._working[run.id] = work
        try:
            values = self._outcome(work) if principal else _failure(f"`{run.owner}` is not active any more.", "PRINCIPAL_NOT_ACTIVE")
            try:
                with self._database.write() as connection:
                    ended = {} if values["state"] == RunState.QUEUED.value else {"ended_at": self._clock.now()}
                    store.finish(connection, run.id, self._identity, {**work.progress_values(), **values, **ended})
            except Exception:  # The lease will pass, and then the run is taken up again.
                _LOGGER.exception("the end of the run %s could not be written", run.id)
        finally:
            self._working.pop(run.id, None)
            self._wake()

    def _principal_of(self, run: Run) -> PrincipalRef | None:
        """The one who asked for the run, if still active."""
        if run.owner_id == SYSTEM.id:
            return SYSTEM
        try:
            principal = self._access.principals.get(system_context("job"), run.owner_id)
        except InsjoError:
            return None
        return principal.ref() if principal.active else None

    def _outcome(self, work: _Work) -> dict[str, object]:
        """Call the handler; the columns for how that went."""
        handler, resumable = self._handlers[work.run.kind]
        try:
            result = dict(handler(work) or {})
            if len(msgspec.json.encode(result)) > _PAYLOAD_BYTES_MAX:
                result = {}
            return {"state": RunState.SUCCEEDED.value, "result": msgspec.to_builtins(result)}
        except Cancelled:
            if not self._closing.is_set() or self._asked_to_cancel(work.run.id):
                return {"state": RunState.CANCELLED.value}
            if resumable:
                return {"state": RunState.QUEUED.value, "started_at": None, "attempt": work.run.attempt - 1}
            return _failure("The server was stopped while this was running.", "JOB_LOST")
        except InsjoError as error:
            return _failure(str(error), error.code)
        except Exception:  # Whatever went wrong in a handler, the queue goes on.
            _LOGGER.exception("the run %s of the kind %s failed", work.run.id, work.run.kind)
            return _failure(f"An internal error stopped this; the log tells more under `{work.run.id}`.", "INTERNAL_ERROR")

    def _asked_to_cancel(self, run_id: str) -> bool:
        with self._database.read() as connection:
            run = store.fetch(connection, run_id)
        return run is not None and run.cancel_requested

    def _keep_beating(self) -> None:
        """Renew leases, write progress, hear of cancellations from other servers, and now and then look after the dead."""
        beats = 0
        while not self._closing.wait(_BEAT_S):
            beats += 1
            try:
                for work in list(self._working.values()):
                    self._beat(work)
                if beats % _RECOVER_EVERY_BEATS == 0:
                    self.recover()
                if self._ticking and beats % _TICK_EVERY_BEATS == 0:
                    for tick in self._ticks:
                        tick()
            except Exception:  # The database may be away for a while.
                _LOGGER.exception("the leases of runs could not be renewed")

    def _beat(self, work: _Work) -> None:
        values = {"leased_until": self._clock.now() + _LEASE, **work.progress_values()}
        with self._database.write() as connection:
            cancel = store.beat(connection, work.run.id, self._identity, values)
        if cancel is None or cancel:  # None: the lease had passed, and somebody else has the run now.
            work.stop.set()


def _failure(error: str, code: str) -> dict[str, object]:
    return {"state": RunState.FAILED.value, "error": error, "error_code": code}
