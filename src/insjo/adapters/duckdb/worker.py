"""The SQL worker: `python -m insjo.adapters.duckdb.worker --fd N`; one statement at a time, rows as Arrow batches.

Its settings come as one line on the standard input.  Three threads: the main one runs statements; one reads requests and cancellations;
one interrupts the engine when a statement is cancelled or over its time, and ends the process if even that does not help.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insjo.adapters.duckdb import wire
from insjo.kernel.lockdown import give_up_privileges
from insjo.kernel.processes import arguments_of, guard_against_orphanage, read_first_input, say_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

    from insjo.adapters.duckdb.hot import HotColumns

BATCH_ROWS = 65_536
ADDRESS_SPACE_EXTRA_BYTES = 8 * 1024**3
"""Code, thread stacks and mapped files beside what the engine counts; only a backstop."""

INTERRUPT_EVERY_S = 0.02
LOOK_EVERY_S = 3600.0
TELL_EVERY_S = 0.5
OVERDUE_S = 5.0
"""How long after its time a statement may still occupy the worker before the worker ends itself."""

_QUERY_BEGINS = re.compile(r"\s*(?:\(\s*)*(SELECT|WITH|FROM|VALUES)\b", re.IGNORECASE)


@dataclass(slots=True)
class Running:
    """The statement in work, shared by the three threads."""

    number: int
    deadline_s: float
    tables: list[bytes] = field(default_factory=list)
    cancelled: bool = False
    timed_out: bool = False


class Refused(Exception):  # Named after what happened, like our other errors.
    """The text is not one query."""


class Worker:
    """Runs what comes in over one connection."""

    def __init__(self, connection: socket.socket, database: duckdb.DuckDBPyConnection, hot: HotColumns, outbox: str) -> None:
        self._connection = connection
        self._writer = wire.Writer(connection)
        self._database = database
        self._hot = hot
        self._outbox = outbox
        self._inbox: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue(maxsize=1)
        self._running: Running | None = None
        self._wanted: int | None = None
        self._looks_at_s = 0.0
        self._changed = threading.Condition()

    def serve(self) -> None:
        """Work until the server hangs up (the reading thread then ends the process)."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        threading.Thread(target=self._interrupt, name="interrupter", daemon=True).start()
        while True:
            request, tables = self._inbox.get()
            running = Running(int(request["number"]), time.monotonic() + float(request["timeout_s"]))
            with self._changed:
                self._running = running
                if self._wanted is not None or running.deadline_s < self._looks_at_s:
                    self._changed.notify_all()
            try:
                wire.send(self._connection, wire.STARTED, b"")
                kind, answer = self._answer(running, request, tables)
                with self._changed:
                    self._running = None
                self._writer.put(kind, json.dumps(answer).encode())
                self._writer.flush()
            except wire.ConnectionClosed:
                os._exit(0)

    def _answer(self, running: Running, request: dict[str, Any], tables: list[bytes]) -> tuple[bytes, dict[str, object]]:
        """Run one request; what to say last."""
        import duckdb

        from insjo.adapters.duckdb.failures import classify, file_in

        names: list[str] = request["tables"]
        try:
            self._register(names, tables)
            if request["operation"] in {"export", "sift"}:
                with self._telling():
                    return wire.DONE, self._run(request)
            return wire.DONE, self._run(request)
        except Refused as error:
            return wire.ERROR, {"code": "STATEMENT_FAILED", "message": str(error)}
        except MemoryError:
            return wire.ERROR, {"code": "OUT_OF_MEMORY", "message": "The statement needs more memory than its worker has."}
        except (duckdb.Error, OSError, ValueError, RuntimeError, NotImplementedError) as error:
            code, message = classify(f"{error} ENOSPC" if getattr(error, "errno", None) == 28 else str(error))  # noqa: PLR2004  # ENOSPC.
            if running.timed_out:
                code, message = "STATEMENT_TIMED_OUT", "The statement ran longer than it may."
            elif running.cancelled:
                code, message = "STATEMENT_CANCELLED", "The statement was cancelled."
            return wire.ERROR, {"code": code, "message": message, "file": file_in(str(error))}
        finally:
            for name in names:
                self._database.unregister(name)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell how far the work is, now and then; nothing else is sent meanwhile."""
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(TELL_EVERY_S):
                done = self._database.query_progress() / 100
                if done >= 0:
                    with contextlib.suppress(wire.ConnectionClosed):  # Whoever reads ends the process then.
                        wire.send_json(self._connection, wire.PROGRESS, {"done": min(done, 1.0)})

        teller = threading.Thread(target=tell, name="teller", daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()

    def _register(self, names: list[str], tables: list[bytes]) -> None:
        """Let the statement see its small tables."""
        import pyarrow as pa

        for name, body in zip(names, tables, strict=True):
            with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
                self._database.register(name, reader.read_all())

    def _run(self, request: dict[str, Any]) -> dict[str, object]:
        """Do what is asked; rows are sent on the way."""
        sql = request["sql"]
        if request["operation"] == "query":
            rows = 0
            for batch in self._batches(sql, request["scans"]):
                rows += batch.num_rows
                self._writer.put(wire.BATCH, memoryview(batch.serialize()))
            return {"rows": rows}
        self._one_query(sql)
        if request["operation"] == "export":
            from insjo.adapters.duckdb.export import ExportOrder, export

            order = ExportOrder(f"{self._outbox}/{request['token']}", request["token"], tuple(request["partition_columns"]))
            return {"files": export(self._database, sql, order)}
        if request["operation"] == "sift":
            return self._sift(request, sql)
        described = self._database.execute(f"DESCRIBE (\n{sql}\n)").fetchall()
        return {"columns": [[str(row[0]), str(row[1])] for row in described]}

    def _sift(self, request: dict[str, Any], sql: str) -> dict[str, object]:
        """Write good rows, then what the readers rejected; the tables of rejects never outlive it."""
        from insjo.adapters.duckdb.export import ExportOrder, drop_rejects, export

        token = request["token"]
        good = ExportOrder(f"{self._outbox}/{token}", token, tuple(request["partition_columns"]))
        bad = ExportOrder(f"{self._outbox}/{token}-rejects", token, ())
        drop_rejects(self._database)
        try:
            files = export(self._database, sql, good)
            self._one_query(request["rejects_sql"])
            rejects = export(self._database, request["rejects_sql"], bad)
        finally:
            drop_rejects(self._database)
        return {"files": files, "rejects": rejects}

    def _one_query(self, sql: str) -> duckdb.Statement:
        """The text as the engine read it, if it is one query: no COPY, ATTACH, SET, PRAGMA, INSTALL, CALL, and no second statement."""
        import duckdb

        statements = self._database.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT or not _QUERY_BEGINS.match(sql):
            message = "A worker runs one query at a time and nothing but queries."
            raise Refused(message)
        return statements[0]

    def _started(self, sql: str, scans: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
        """Start a query over held columns and files; one that lacks memory is started again with nothing held."""
        import duckdb

        try:
            with self._hot.lock:
                return self._database.execute(self._one_query(self._hot.placed(sql, scans)))
        except duckdb.OutOfMemoryException:
            if not self._hot.give_up():
                raise
        return self._database.execute(self._one_query(sql))

    def _batches(self, sql: str, scans: list[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        """Send the schema, then give the batches."""
        result = self._started(sql, scans)
        types = [str(each[1]) for each in result.description or ()]
        with result.to_arrow_reader(BATCH_ROWS) as reader:
            self._writer.put(wire.SCHEMA, wire.pack_schema(types, bytes(reader.schema.serialize())))
            running = self._running
            for batch in reader:
                if running is not None and (running.cancelled or running.timed_out):
                    message = "INTERRUPT Error: Interrupted!"
                    raise RuntimeError(message)
                if batch.num_rows:
                    yield batch

    def _read(self) -> None:
        """Body of the reading thread."""
        reader = wire.Reader(self._connection)
        try:
            while True:
                frame = reader.receive()
                if frame.kind == wire.REQUEST:
                    request = frame.json()
                    tables = [bytes(reader.receive().body) for _ in request["tables"]]
                    self._inbox.put((request, tables))
                elif frame.kind == wire.CANCEL:
                    self._cancel(int(frame.json()["number"]))
        except wire.ConnectionClosed:
            os._exit(0)

    def _cancel(self, number: int) -> None:
        """Mark the statement; it may not have reached the main thread yet, then wait a moment for it."""
        with self._changed:
            self._wanted = number
            self._changed.wait_for(lambda: self._running is not None and self._running.number >= number, 0.05)
            self._wanted = None
            if self._running is not None and self._running.number == number:
                self._running.cancelled = True
                self._changed.notify_all()

    def _interrupt(self) -> None:
        """Body of the interrupting thread: repeats the interruption, since one that comes between two operations of the engine is lost.

        It is woken by a cancellation, and by a statement whose time is over before it would look by itself: not by every statement.
        """
        while True:
            with self._changed:
                running = self._running
                now = time.monotonic()
                if running is None or (not running.cancelled and now < running.deadline_s):
                    self._looks_at_s = running.deadline_s if running else now + LOOK_EVERY_S
                    self._changed.wait(self._looks_at_s - now)
                    continue
                running.timed_out = running.timed_out or not running.cancelled
            self._database.interrupt()
            if time.monotonic() > running.deadline_s + OVERDUE_S:
                sys.stderr.write("A statement could not be interrupted after its time.\n")
                os._exit(70)
            time.sleep(INTERRUPT_EVERY_S)


def main() -> None:
    """Lock the door, open the engine, say so, work."""
    arguments = arguments_of(sys.argv[1:])
    first = read_first_input()
    config_line = json.loads(first)
    writable = [Path(config_line["spill"]), Path(config_line["outbox"])]
    readable = [Path(each) for each in config_line["readable"]]
    memory_bytes = int(config_line["memory_mb"]) * 1024**2 + ADDRESS_SPACE_EXTRA_BYTES
    taken = give_up_privileges(writable=writable, readable=readable, memory_bytes=memory_bytes, run_as=config_line["run_as"])
    guard_against_orphanage(first)
    from insjo.adapters.duckdb.config import InstanceConfig
    from insjo.adapters.duckdb.hot import HotColumns
    from insjo.adapters.duckdb.instance import open_instance

    config = InstanceConfig.from_json(config_line)
    database, held_in = open_instance(config)
    import pyarrow as pa

    pa.set_cpu_count(1)
    connection = socket.socket(fileno=int(arguments["fd"]))
    say_ready(" ".join(taken))
    hot = HotColumns(database, held_in, config.cache_mb * 1024**2, config.memory_mb * 1024**2 * 2 // 3)
    Worker(connection, database, hot, config.outbox).serve()


if __name__ == "__main__":
    main()
