"""The port `Engine` over Spark Connect.

Every statement has a session of its own, which ends with it.  What arrives was bound and authorised before; the server behind the address
reads the files itself, so it must see the data folder, or the object store, under the same address.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Self

from insjo.adapters.spark.failures import told
from insjo.kernel.errors import FailedPrecondition
from insjo.sql.dialect.types import to_databricks_type
from insjo.sql.errors import StatementCancelled, StatementTimedOut, UnsupportedFeature, WarehouseBusy
from insjo.sql.ports import EngineColumn, EngineLimits, EngineStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from insjo.kernel.cancellation import CancelToken
    from insjo.sql.ports import Scan, WrittenFile

_PARALLEL_MAX = 16
_QUEUE_MAX = 200
_RETRIES = 3


@contextlib.contextmanager
def _as_a_program() -> Iterator[None]:
    """Give the main module a file while `pyspark` is imported.

    It takes a main module without one, such as that of a process which was given its program on standard input, for a run of its own
    doctests, and ends the process when the sources for these are not there.
    """
    main = sys.modules["__main__"]
    bare = not hasattr(main, "__file__")
    if bare:
        main.__file__ = __file__
    try:
        yield
    finally:
        if bare:
            del main.__file__


class SparkEngine:
    """Runs queries on a Spark Connect server; safe for threads.

    Args:
        url: `sc://host:port`, with the parameters that Spark Connect knows: `sc://host:443/;use_ssl=true;token=...`.
        root: The data folder, as paths in statements name it.
        storage: Address under which the server finds what lies in that folder; empty when it sees the folder itself.
        token: What the server asks for; only sent when the address says `use_ssl=true`.
        parallel: Statements at a time.
        queue_max: Statements that may wait.
    """

    def __init__(
        self, url: str, *, root: Path, storage: str = "", token: str = "", parallel: int = _PARALLEL_MAX, queue_max: int = _QUEUE_MAX
    ) -> None:
        self._url = f"{url.rstrip('/')}{'' if '/;' in url else '/'};token={token}" if token else url
        self._folder = f"`{root}/"
        self._storage = f"`{storage.rstrip('/')}/" if storage else self._folder
        self._parallel = parallel
        self._queue_max = queue_max
        self._turn = threading.Condition()
        self._busy = 0
        self._queue: list[object] = []
        self._closed = False

    def query(
        self,
        sql: str,
        *,
        tables: Mapping[str, bytes] | None = None,
        cancel: CancelToken | None = None,
        limits: EngineLimits | None = None,
        on_queue: Callable[[int], None] | None = None,
        scans: Sequence[Scan] = (),  # noqa: ARG002  # This engine holds no columns.
    ) -> SparkRows:
        """See `Engine.query`."""
        given = limits or EngineLimits()
        self._wait(given.queue_timeout_s, cancel, on_queue or (lambda _: None))
        try:
            return SparkRows(self, sql.replace(self._folder, self._storage), tables or {}, cancel, given.timeout_s)
        except BaseException:
            self.leave()
            raise

    def export(self, sql: str, folder: Path, **options: object) -> list[WrittenFile]:
        """Files of tables are written by Insjö's own engine, whoever computes the rows."""
        del sql, folder, options
        raise UnsupportedFeature("Warehouses on Spark write no files.", details={"feature": "export"})

    def bind(self, sql: str, *, tables: Mapping[str, bytes] | None = None) -> tuple[EngineColumn, ...]:
        """See `Engine.bind`."""
        whole = f"SELECT * FROM (\n{sql}\n) AS insjo_bound LIMIT 0"  # noqa: S608  # A statement that the SQL room wrote.
        with self.query(whole, tables=tables) as rows:
            return rows.columns

    def stats(self) -> EngineStats:
        """See `Engine.stats`."""
        with self._turn:
            return EngineStats(self._parallel, self._parallel, self._busy, len(self._queue), 0)

    def close(self) -> None:
        """Take no more statements."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def open_session(self, session_id: str = "") -> Any:  # noqa: ANN401  # A SparkSession; its library is optional.
        """A new session of the server, or another connection to one."""
        with _as_a_program(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About versions of pandas, which is not used here.
            try:
                from pyspark.sql import SparkSession
                from pyspark.sql.connect.client.retries import DefaultPolicy
            except ImportError as error:
                message = "Warehouses on Spark need the package `pyspark-client`, which is not installed."
                raise FailedPrecondition(message, hint="Install `insjo[spark]`.") from error
            try:
                named = f"{self._url}{'' if '/;' in self._url else '/'};session_id={session_id}" if session_id else self._url
                session = SparkSession.builder.remote(named).create()
                # The library would try for ten minutes to reach a server that is away.
                session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES, initial_backoff=100, max_backoff=500)])
            except Exception as error:
                raise told(error) from error
            return session

    def leave(self) -> None:
        """A statement ended."""
        with self._turn:
            self._busy -= 1
            self._turn.notify_all()

    def _wait(self, timeout_s: float, cancel: CancelToken | None, on_queue: Callable[[int], None]) -> None:
        """Wait for a turn, first come first served."""
        ticket, deadline = object(), time.monotonic() + timeout_s
        with self._turn:
            if len(self._queue) >= self._queue_max:
                message = f"{len(self._queue)} statements wait already."
                raise WarehouseBusy(message, hint="Try again in a moment.")
            self._queue.append(ticket)
            shown = -1
            try:
                while self._closed or self._busy >= self._parallel or self._queue[0] is not ticket:
                    if cancel is not None and cancel.cancelled:
                        message = "The statement was cancelled while it waited."
                        raise StatementCancelled(message)
                    if self._closed or time.monotonic() >= deadline:
                        message = "No place on the warehouse became free in time."
                        raise WarehouseBusy(message, hint="Try again in a moment.")
                    if (position := self._queue.index(ticket) + 1) != shown:
                        shown = position
                        on_queue(position)
                    self._turn.wait(0.1)
                self._busy += 1
            finally:
                self._queue.remove(ticket)
                self._turn.notify_all()
        on_queue(0)


class SparkRows:
    """Rows of a running query."""

    def __init__(self, engine: SparkEngine, sql: str, tables: Mapping[str, bytes], cancel: CancelToken | None, timeout_s: float) -> None:
        self._engine = engine
        self._cancel = cancel
        self._timed_out = False
        self._interrupted = False
        self._ended = False
        self._stack = contextlib.ExitStack()
        self._session = engine.open_session()
        self._stack.callback(self._end_session)
        self._timer = threading.Timer(timeout_s, self._time_out)
        self._timer.daemon = True
        self._timer.start()
        self._stack.callback(self._timer.cancel)
        if cancel is not None:
            self._stack.enter_context(cancel.calling(self._interrupt))
        try:
            self._parts = self._start(sql, tables)
            self._first = next(self._parts, None)
            self._schema = self._first.schema if self._first is not None else self._empty_schema(sql)
        except BaseException as error:
            self._stack.close()
            if isinstance(error, Exception):
                raise self._reason(error) from error
            raise
        self._closed = False

    @property
    def columns(self) -> tuple[EngineColumn, ...]:
        """See the port."""
        return tuple(EngineColumn(field.name, field.type, to_databricks_type(field.type)) for field in self._schema)

    @property
    def schema(self) -> pa.Schema:
        """See the port."""
        return self._schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """See the port."""
        try:
            part = self._first
            while part is not None and not self._closed:
                yield from part.to_batches()
                part = next(self._parts, None)
            self._ended = part is None
        except Exception as error:
            raise self._reason(error) from error
        self._check()

    def close(self) -> None:
        """See the port."""
        if not self._closed:
            self._closed = True
            try:
                self._stack.close()
            finally:
                self._engine.leave()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """As `close`."""
        self.close()

    def _start(self, sql: str, tables: Mapping[str, bytes]) -> Iterator[pa.Table]:
        """Tables of the result as they come."""
        import pyarrow as pa

        for name, stream in tables.items():
            self._session.createDataFrame(pa.ipc.open_stream(stream).read_all()).createOrReplaceTempView(name)
        frame = self._session.sql(sql)
        client = self._session.client
        parts = client.to_table_as_iterator(frame._plan.to_proto(client), frame._plan.observations)  # noqa: SLF001  # The library gives whole results only.
        return (part for part in parts if isinstance(part, pa.Table))

    def _empty_schema(self, sql: str) -> pa.Schema:
        """The columns of a result that had no part."""
        return self._session.sql(sql).toArrow().schema

    def _time_out(self) -> None:
        self._timed_out = True
        self._interrupt()

    def _interrupt(self) -> None:
        """Stop waiting at once, and ask the server to stop, which may take it a while."""
        self._interrupted = True
        with contextlib.suppress(Exception):
            self._session.client.close()
        threading.Thread(target=self._abandon, daemon=True).start()

    def _abandon(self) -> None:
        """End the session on the server over a connection of its own: the statement's was cut."""
        with contextlib.suppress(Exception):
            session = self._engine.open_session(self._session.client._session_id)  # noqa: SLF001  # The library has no other way to name it.
            session.interruptAll()
            session.stop()

    def _end_session(self) -> None:
        if not self._interrupted:
            with contextlib.suppress(Exception):
                if not self._ended:
                    self._session.interruptAll()
                self._session.stop()

    def _check(self) -> None:
        if self._timed_out or (self._cancel is not None and self._cancel.cancelled):
            raise self._reason(None)

    def _reason(self, error: Exception | None) -> Exception:
        """Why the statement ended."""
        if self._cancel is not None and self._cancel.cancelled:
            return StatementCancelled("The statement was cancelled.")
        if self._timed_out:
            return StatementTimedOut("The statement took longer than it may.")
        return told(error) if error is not None else StatementCancelled("The statement ended.")
