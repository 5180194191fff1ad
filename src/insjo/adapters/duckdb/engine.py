"""The engine port on DuckDB: sends statements to workers, reads rows, cancels, cleans up."""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from insjo.adapters.duckdb import wire
from insjo.adapters.duckdb.config import InstanceConfig
from insjo.adapters.duckdb.failures import error_from
from insjo.adapters.duckdb.outbox import clear, deliver, outbox
from insjo.adapters.duckdb.pool import WorkerPool, send_to, spill_folder
from insjo.kernel.cancellation import CancelToken
from insjo.sql.dialect.types import from_engine_type, to_arrow_type
from insjo.sql.errors import DiskFull, StatementCancelled, StatementFailed, StatementTimedOut, WorkerDied
from insjo.sql.ports import EngineColumn, EngineLimits, EngineStats, WrittenFile

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from insjo.adapters.duckdb.pool import Slot
    from insjo.sql.ports import Scan

POLL_S = 0.05
CANCEL_GRACE_S = 0.15
"""After this the caller of a cancelled query is let go, while its worker is watched in the background."""

KILL_AFTER_S = 2.0
"""A worker that does not react to an interruption is killed after this."""

TIMEOUT_GRACE_S = 3.0
"""The worker stops a statement at its time by itself; the server steps in so much later."""

BIND_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 30.0


class DuckDbEngine:
    """SQL workers on DuckDB.

    Args:
        root: The lake: files below it may be read, and nothing in it is changed but by this process.
        readable: Folders that may be read instead of the whole root.
        spill: Folder for intermediate results; emptied at the start, so it must belong to this engine alone.
        workers: Processes, which is also the number of statements that run at once.
        memory_mb: Memory limit of each worker's engine, in MiB.
        threads: Threads of one statement.
        spill_mb: Disk for intermediate results of one worker, in MiB.
        queue_max: Statements that may wait.
        cache_mb: Memory of each worker for columns that are read again and again, in MiB, a part of its limit; None takes a quarter.
        run_as: User id that workers become when the server runs as root.
    """

    def __init__(
        self,
        *,
        root: Path,
        spill: Path,
        workers: int = 2,
        memory_mb: int = 2048,
        threads: int = 2,
        spill_mb: int = 20480,
        queue_max: int = 200,
        readable: Sequence[Path] | None = None,
        cache_mb: int | None = None,
        run_as: int | None = None,
    ) -> None:
        self._root = root.resolve()
        self._spill = spill.resolve()
        self._readable = tuple(folder.resolve() for folder in ((root,) if readable is None else readable))
        self._config = {"memory_mb": memory_mb, "threads": threads, "spill_mb": spill_mb, "run_as": run_as}
        self._config["cache_mb"] = memory_mb // 4 if cache_mb is None else cache_mb
        self._numbers = iter(range(1, 2**62))
        self._numbers_lock = threading.Lock()
        self._pool = WorkerPool(workers=workers, queue_max=queue_max, first_input=self._first_input)

    def start(self) -> Self:
        """Make the folders and start the workers; the first statement waits until one is ready."""
        for folder in self._readable:
            folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._spill, ignore_errors=True)
        self._spill.mkdir(parents=True, exist_ok=True)
        self._pool.start()
        return self

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until a worker is ready; raises WorkerDied with the reason."""
        self._pool.wait_ready(timeout_s)

    @property
    def protections(self) -> tuple[str, ...]:
        """What the kernel keeps from the workers on this machine, for `doctor`."""
        return self._pool.protections

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the ready workers, for `doctor` and tests."""
        return self._pool.pids()

    def query(
        self,
        sql: str,
        *,
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
        scans: Sequence[Scan] = (),
    ) -> DuckDbRows:
        """See `Engine.query`."""
        run = self._begin({"operation": "query", "sql": sql, "scans": scans}, tables, cancel, limits, on_queue)
        return DuckDbRows(run)

    def export(
        self,
        sql: str,
        folder: Path,
        *,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> list[WrittenFile]:
        """See `Engine.export`."""
        self._check_inside(folder)
        token = secrets.token_hex(8)
        request: dict[str, object] = {"operation": "export", "sql": sql, "token": token, "partition_columns": list(partition_columns)}
        told, (made, _) = self._written(request, token, tables, cancel, limits, on_queue)
        with self._delivering(made):
            files = [WrittenFile(**each) for each in told["files"]]
            self._deliver(made, folder, files, token)
        return files

    def sift(
        self,
        sql: str,
        folder: Path,
        *,
        rejects_sql: str,
        rejects_folder: Path,
        partition_columns: Sequence[str] = (),
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> tuple[list[WrittenFile], list[WrittenFile]]:
        """See `Sifter.sift`."""
        self._check_inside(folder)
        self._check_inside(rejects_folder)
        token = secrets.token_hex(8)
        request: dict[str, object] = {
            "operation": "sift",
            "sql": sql,
            "rejects_sql": rejects_sql,
            "token": token,
            "partition_columns": list(partition_columns),
        }
        told, (made, bad) = self._written(request, token, tables, cancel, limits, on_queue)
        with self._delivering(made, bad):
            files, rejects = ([WrittenFile(**each) for each in told[kind]] for kind in ("files", "rejects"))
            self._deliver(made, folder, files, token)
            try:
                self._deliver(bad, rejects_folder, rejects, token)
            except BaseException:
                _remove_files(folder, token)
                raise
        return files, rejects

    def _check_inside(self, folder: Path) -> None:
        """Files go into the lake only."""
        if self._root not in folder.resolve().parents:
            message = "Rows can be written into the lake only."
            raise StatementFailed(message)

    def _written(
        self,
        request: dict[str, object],
        token: str,
        tables: Mapping[str, bytes] | None,
        cancel: CancelToken | None,
        limits: EngineLimits | None,
        on_queue: Callable[[int], None] | None,
    ) -> tuple[dict[str, Any], tuple[Path, Path]]:
        """Let a worker write; what it tells, and the folders with its files.  After an error nothing of it is left."""
        folders: tuple[Path, ...] = ()
        try:
            run = self._begin(request, tables, cancel, limits, on_queue, patient=True)
            with run:
                made = outbox(self._spill, run.worker) / token
                folders = (made, made.with_name(f"{token}-rejects"))
                return run.next_frame().json(), (folders[0], folders[1])
        except BaseException:
            clear(*folders)
            raise

    @contextlib.contextmanager
    def _delivering(self, *folders: Path) -> Iterator[None]:
        """Whatever happens, the folders are gone afterwards."""
        try:
            yield
        finally:
            clear(*folders)

    def _deliver(self, made: Path, folder: Path, files: Sequence[WrittenFile], token: str) -> None:
        """Move what was written to where it belongs; all of it, or nothing stays."""
        try:
            deliver(made, folder.resolve(), [file.path for file in files])
        except OSError as error:
            _remove_files(folder, token)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                message = "The disk is full, so the rows could not be written."
                raise DiskFull(message, hint="Free some disk and repeat.") from error
            raise
        except BaseException:
            _remove_files(folder, token)
            raise

    def bind(self, sql: str, *, tables: Mapping[str, bytes] | None = None) -> tuple[EngineColumn, ...]:
        """See `Engine.bind`."""
        limits = EngineLimits(timeout_s=BIND_TIMEOUT_S, queue_timeout_s=BIND_TIMEOUT_S)
        with self._begin({"operation": "bind", "sql": sql}, tables, None, limits, None) as run:
            described = run.next_frame().json()["columns"]
        columns = []
        for name, engine_type in described:
            column_type = from_engine_type(engine_type)
            columns.append(EngineColumn(name, to_arrow_type(column_type), column_type.text))
        return tuple(columns)

    def stats(self) -> EngineStats:
        """See `Engine.stats`."""
        return EngineStats(*self._pool.counts)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def _first_input(self, number: int) -> bytes:
        """Settings of one worker as it reads them."""
        spill = spill_folder(self._spill, number)
        shutil.rmtree(spill, ignore_errors=True)  # What a killed worker left.
        out = outbox(self._spill, number)
        for folder in (spill, out):
            folder.mkdir(parents=True, exist_ok=True)
            if self._config["run_as"] is not None:
                with contextlib.suppress(PermissionError):
                    shutil.chown(folder, user=self._config["run_as"])
        readable = tuple(str(folder) for folder in self._readable)
        config = InstanceConfig(readable=readable, spill=str(spill), outbox=str(out), **self._config)  # type: ignore[arg-type]  # Ints all.
        return json.dumps(config.as_json()).encode()

    def _begin(
        self,
        request: dict[str, object],
        tables: Mapping[str, bytes] | None,
        cancel: CancelToken | None,
        limits: EngineLimits | None,
        on_queue: Callable[[int], None] | None,
        *,
        patient: bool = False,
    ) -> Run:
        """Get a worker and give it the statement; a worker that died while idle is passed over."""
        limits = limits or EngineLimits()
        tables = tables or {}
        with self._numbers_lock:
            number = next(self._numbers)
        body = {**request, "number": number, "timeout_s": limits.timeout_s, "tables": list(tables)}
        for _ in range(self._pool.counts[0] + 1):
            slot = self._pool.acquire(timeout_s=limits.queue_timeout_s, cancel=cancel, on_queue=on_queue)
            run = Run(self._pool, slot, number, cancel, limits, patient=patient)
            try:
                run.send(body, tables.values())
                run.await_start()
            except wire.ConnectionClosed:
                run.abandon()
            else:
                return run
        message = "The SQL workers end as soon as they are started."
        raise WorkerDied(message)


class Run:
    """One statement in one worker, from the request to the last frame."""

    def __init__(
        self, pool: WorkerPool, slot: Slot, number: int, cancel: CancelToken | None, limits: EngineLimits, *, patient: bool
    ) -> None:
        self._pool = pool
        self._slot = slot
        self.worker = slot.number
        self._number = number
        self._cancel = cancel or CancelToken()
        self._patient = patient
        self._deadline_s = time.monotonic() + limits.timeout_s + TIMEOUT_GRACE_S
        self._connection: socket.socket | None = slot.connection
        self._reader = wire.Reader(slot.connection) if slot.connection is not None else None
        self._finished = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """As `close`."""
        self.close()

    def send(self, body: dict[str, object], tables: Any) -> None:  # noqa: ANN401  # Values of a mapping.
        """Send the request and its tables."""
        if self._connection is None:
            raise wire.ConnectionClosed
        self._connection.settimeout(SEND_TIMEOUT_S)
        send_to(self._slot, wire.REQUEST, body)
        for table in tables:
            wire.send(self._connection, wire.TABLE, table)
        self._connection.settimeout(POLL_S)
        self._stack.enter_context(self._cancel.calling(self._ask_to_stop))

    def await_start(self) -> None:
        """Wait until the worker has begun; ConnectionClosed means that it never did, so that another may run the statement."""
        stop_at_s: float | None = None
        while self._receive() is None:
            stop_at_s = self._check_patience(stop_at_s)

    def abandon(self) -> None:
        """The worker was dead already: leave it to its supervisor."""
        self._finished = True
        self._hang_up()

    def next_frame(self) -> wire.Frame:
        """The next frame of rows, or the one that ends the statement; raises what the worker reports."""
        stop_at_s: float | None = None
        skipped = False
        while True:
            try:
                frame = self._receive()
            except wire.ConnectionClosed as error:
                self._finished = True
                self._hang_up()
                if self._cancel.cancelled:
                    raise _cancelled() from error
                message = "The process that ran the statement ended."
                raise WorkerDied(message, hint="Repeat the statement: another worker takes over.") from error
            if frame is None:
                stop_at_s = self._check_patience(stop_at_s)
                continue
            if frame.kind == wire.PROGRESS:
                self._cancel.progress = float(frame.json()["done"])
                continue
            if frame.kind in {wire.DONE, wire.ERROR}:
                self._finish()
            if frame.kind == wire.ERROR:
                failure = frame.json()
                raise error_from(failure["code"], failure["message"], failure.get("file", ""))
            if self._cancel.cancelled and not self._finished:
                skipped = True
                continue
            if skipped:
                # The statement was faster than its cancelling, but some of its rows were passed over.
                raise _cancelled()
            return frame

    def close(self) -> None:
        """Stop the statement if it still runs, and give the worker back."""
        self._stack.close()
        if self._finished:
            return
        self._ask_to_stop()
        self._finished = True
        self._drain_in_background()

    def _receive(self) -> wire.Frame | None:
        """One frame, or None when nothing came for a moment."""
        if self._reader is None:
            raise wire.ConnectionClosed
        try:
            return self._reader.receive()
        except TimeoutError:
            return None

    def _check_patience(self, stop_at_s: float | None) -> float | None:
        """Decide while nothing comes: go on waiting, let the caller go, or kill the worker."""
        now_s = time.monotonic()
        if self._cancel.cancelled:
            stop_at_s = stop_at_s or now_s + (KILL_AFTER_S if self._patient else CANCEL_GRACE_S - POLL_S)
            if now_s < stop_at_s:
                return stop_at_s
            self._stack.close()
            self._finished = True
            if self._patient:
                self._hang_up()
            else:
                self._drain_in_background()
            raise _cancelled()
        if now_s > self._deadline_s:
            self._stack.close()
            self._finished = True
            self._hang_up()
            message = "The statement ran longer than it may."
            raise StatementTimedOut(message)
        return None

    def _ask_to_stop(self) -> None:
        """Tell the worker to interrupt this statement."""
        with contextlib.suppress(wire.ConnectionClosed):
            send_to(self._slot, wire.CANCEL, {"number": self._number})

    def _finish(self) -> None:
        """The worker is free again."""
        self._finished = True
        self._stack.close()
        self._pool.release(self._slot)

    def _hang_up(self) -> None:
        """Whatever is left of this process is killed; its slot waits for the next one."""
        self._stack.close()
        self._pool.lose(self._slot, self._connection)

    def _drain_in_background(self) -> None:
        """Read what the worker still sends until it is free; kill it if it does not get free."""
        threading.Thread(target=self._drain, name=f"drain-{self._number}", daemon=True).start()

    def _drain(self) -> None:
        """Body of the draining thread; there are never more of these than workers."""
        give_up_s = time.monotonic() + KILL_AFTER_S
        try:
            while time.monotonic() < give_up_s:
                frame = self._receive()
                if frame is not None and frame.kind in {wire.DONE, wire.ERROR}:
                    self._pool.release(self._slot)
                    return
        except wire.ConnectionClosed:
            pass
        self._hang_up()


class DuckDbRows:
    """See `EngineRows`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last: wire.Frame | None = None
        try:
            frame = run.next_frame()
        except BaseException:
            run.close()
            raise
        types, schema = wire.unpack_schema(frame.body)
        self.schema: pa.Schema = pa.ipc.read_schema(pa.py_buffer(schema))
        self.columns = tuple(
            EngineColumn(field.name, field.type, from_engine_type(engine_type).text)
            for field, engine_type in zip(self.schema, types, strict=True)
        )

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches in order."""
        try:
            while (frame := self._run.next_frame()).kind == wire.BATCH:
                yield pa.ipc.read_record_batch(pa.py_buffer(frame.body), self.schema)
        finally:
            self._run.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """As `close`."""
        self.close()

    def close(self) -> None:
        """Stop the query if it still runs and give the worker back."""
        self._run.close()

    def read_all(self) -> pa.Table:
        """All rows as one table; for small results."""
        return pa.Table.from_batches(list(self), schema=self.schema)


def _remove_files(folder: Path, token: str) -> None:
    """Remove what a lost worker left of an export."""
    for path in folder.resolve().rglob(f"part-{token}-*"):
        with contextlib.suppress(OSError):
            path.unlink()


def _cancelled() -> StatementCancelled:
    """The error of a cancelled statement."""
    return StatementCancelled("The statement was cancelled.")
