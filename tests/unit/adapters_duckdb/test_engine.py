"""Queries in workers: rows, types, cancellation, time, memory, death."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.kernel.cancellation import CancelToken
from insjo.kernel.errors import InsjoError
from insjo.sql.errors import (
    CastInvalidInput,
    OutOfMemory,
    StatementCancelled,
    StatementFailed,
    StatementTimedOut,
    WarehouseBusy,
    WorkerDied,
)
from insjo.sql.ports import EngineLimits

pytestmark = pytest.mark.slow

ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(100000) b WHERE a.range + b.range = 7"


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


@contextmanager
def running(call: Callable[[], object]) -> Iterator[list[InsjoError]]:
    """A call in a thread of its own; its error is in the list when the block has ended."""
    errors: list[InsjoError] = []

    def body() -> None:
        try:
            call()
        except InsjoError as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    yield errors
    thread.join(30)
    assert not thread.is_alive()


def test_rows_come_as_arrow_batches_with_databricks_types(engine: DuckDbEngine) -> None:
    sql = (
        "SELECT 1 AS i, 'x' AS s, [1.5] AS l, {'a': TRUE} AS t, MAP {'k': DATE '2026-01-01'} AS m, "
        "TIMESTAMPTZ '2026-01-01' AS ts, '{}'::JSON AS v"
    )
    with engine.query(sql) as rows:
        assert [(column.name, column.type_text) for column in rows.columns] == [
            ("i", "int"),
            ("s", "string"),
            ("l", "array<decimal(2,1)>"),
            ("t", "struct<a:boolean>"),
            ("m", "map<string,date>"),
            ("ts", "timestamp"),
            ("v", "variant"),
        ]
        table = rows.read_all()
    assert table.column("l").to_pylist()[0][0] == pytest.approx(1.5)
    assert table.num_rows == 1


def test_a_large_result_comes_in_several_batches_and_in_order(engine: DuckDbEngine) -> None:
    with engine.query("SELECT range AS n FROM range(300000) ORDER BY n DESC") as rows:
        batches = list(rows)
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == 300_000
    assert batches[0].column(0)[0].as_py() == 299_999


def test_no_rows_still_have_columns(engine: DuckDbEngine) -> None:
    with engine.query("SELECT 1 AS a WHERE FALSE") as rows:
        assert rows.schema.names == ["a"]
        assert list(rows) == []


def test_small_tables_are_seen_by_their_statement_only(engine: DuckDbEngine) -> None:
    tables = {"virtual": stream(pa.table({"a": [1, 2, 3]}))}
    assert engine.query("SELECT sum(a)::BIGINT AS s FROM virtual", tables=tables).read_all().to_pylist() == [{"s": 6}]
    with pytest.raises(StatementFailed, match="virtual"):
        engine.query("SELECT * FROM virtual")


def test_columns_are_told_without_running(engine: DuckDbEngine) -> None:
    columns = engine.bind("SELECT 1 AS a, error('never called') AS b, [1] AS c")
    assert [(column.name, column.type_text) for column in columns if column.name != "b"] == [("a", "int"), ("c", "array<int>")]


def test_an_error_tells_a_code_and_neither_paths_nor_generated_text(engine: DuckDbEngine, lake: Path) -> None:
    with pytest.raises(CastInvalidInput) as caught:
        engine.query("SELECT CAST(x AS INTEGER) FROM (VALUES ('a')) t(x)").read_all()
    assert "SELECT" not in str(caught.value)
    with pytest.raises(StatementFailed) as missing:
        engine.query(f"SELECT * FROM read_parquet('{lake}/none.parquet')")
    assert str(lake) not in str(missing.value)


def test_a_cancelled_statement_stops_soon_and_its_worker_goes_on(engine: DuckDbEngine) -> None:
    engine.wait_ready()
    pids = engine.worker_pids()
    token = CancelToken()
    with running(lambda: engine.query(ENDLESS, cancel=token).read_all()) as errors:
        until(lambda: engine.stats().busy == 1)
        token.cancel()
    assert isinstance(errors[0], StatementCancelled)
    assert engine.query("SELECT 5 AS n").read_all().to_pylist() == [{"n": 5}]
    assert engine.worker_pids() == pids


def test_a_statement_cancelled_in_the_queue_never_runs(engine: DuckDbEngine) -> None:
    first, second = CancelToken(), CancelToken()
    positions: list[int] = []
    with running(lambda: engine.query(ENDLESS, cancel=first).read_all()):
        until(lambda: engine.stats().busy == 1)
        with running(lambda: engine.query("SELECT 1", cancel=second, on_queue=positions.append)) as errors:
            until(lambda: engine.stats().waiting == 1)
            second.cancel()
        assert isinstance(errors[0], StatementCancelled)
        assert positions == [1]
        first.cancel()


def test_a_full_queue_refuses(make_engine: Callable[..., DuckDbEngine]) -> None:
    engine = make_engine(queue_max=1)
    token = CancelToken()
    with running(lambda: engine.query(ENDLESS, cancel=token).read_all()):
        until(lambda: engine.stats().busy == 1)
        with running(lambda: engine.query("SELECT 1", cancel=token)):
            until(lambda: engine.stats().waiting == 1)
            with pytest.raises(WarehouseBusy):
                engine.query("SELECT 2")
            token.cancel()


def test_waiting_too_long_is_an_error(engine: DuckDbEngine) -> None:
    token = CancelToken()
    with running(lambda: engine.query(ENDLESS, cancel=token).read_all()):
        until(lambda: engine.stats().busy == 1)
        with pytest.raises(WarehouseBusy, match="too long"):
            engine.query("SELECT 1", limits=EngineLimits(queue_timeout_s=0.1))
        token.cancel()


def test_a_statement_stops_at_its_time(engine: DuckDbEngine) -> None:
    with pytest.raises(StatementTimedOut):
        engine.query(ENDLESS, limits=EngineLimits(timeout_s=0.3)).read_all()
    assert engine.query("SELECT 1 AS n").read_all().num_rows == 1


def test_rows_that_nobody_wants_any_more_free_the_worker(engine: DuckDbEngine) -> None:
    rows = engine.query("SELECT range AS n FROM range(1000000000)")
    assert next(iter(rows)).num_rows > 0
    rows.close()
    assert engine.query("SELECT 1 AS n").read_all().num_rows == 1
    assert engine.stats().restarts == 0


def test_too_little_memory_is_an_error_and_no_crash(engine: DuckDbEngine) -> None:
    engine.wait_ready()
    pids = engine.worker_pids()
    with pytest.raises(OutOfMemory):
        engine.query("SELECT list(range) FROM range(400000000)").read_all()
    assert engine.query("SELECT 1 AS n").read_all().num_rows == 1
    assert engine.worker_pids() == pids


def test_a_sort_larger_than_memory_uses_the_spill_folder(make_engine: Callable[..., DuckDbEngine], tmp_path: Path) -> None:
    engine = make_engine(memory_mb=100, spill_mb=2000)
    seen: list[int] = []
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.005):
            try:
                seen.append(sum(path.stat().st_size for path in (tmp_path / "spill").rglob("*") if path.is_file()))
            except FileNotFoundError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    sql = (
        "SELECT n, repeat('x', 50) || hash(n)::VARCHAR AS s FROM (SELECT range AS n FROM range(2000000)) ORDER BY s LIMIT 1 OFFSET 1999990"
    )
    try:
        assert engine.query(sql).read_all().num_rows == 1
    finally:
        finished.set()
        watcher.join()
    assert max(seen) > 1_000_000


def test_a_spill_beyond_its_limit_is_an_error(make_engine: Callable[..., DuckDbEngine]) -> None:
    engine = make_engine(memory_mb=100, spill_mb=1)
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT hash(range)::VARCHAR || repeat('x', 100) AS s FROM range(3000000))"
    with pytest.raises(OutOfMemory):
        engine.query(sql).read_all()
    assert engine.query("SELECT 1 AS n").read_all().num_rows == 1


def test_a_worker_killed_amid_a_statement_is_replaced(engine: DuckDbEngine) -> None:
    rows = iter(engine.query("SELECT range AS n FROM range(1000000000000)"))
    assert next(rows).num_rows > 0
    (pid,) = engine.worker_pids()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied) as caught:
        list(rows)
    assert caught.value.code == "SQL_WORKER_LOST"
    assert engine.query("SELECT 5 AS n").read_all().to_pylist() == [{"n": 5}]
    assert engine.stats().restarts == 1


def test_a_worker_killed_while_idle_is_not_noticed(engine: DuckDbEngine) -> None:
    for _ in range(5):
        engine.wait_ready()
        for pid in engine.worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert engine.query("SELECT 5 AS n").read_all().to_pylist() == [{"n": 5}]


def test_a_frozen_worker_is_killed_when_its_statement_is_cancelled(engine: DuckDbEngine) -> None:
    token = CancelToken()
    rows = iter(engine.query("SELECT range AS n FROM range(1000000000000)", cancel=token))
    assert next(rows).num_rows > 0
    (pid,) = engine.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    token.cancel()
    with pytest.raises(StatementCancelled):
        list(rows)
    assert engine.query("SELECT 1 AS n").read_all().num_rows == 1
    assert engine.worker_pids() != (pid,)


def test_statements_run_side_by_side_in_as_many_workers(make_engine: Callable[..., DuckDbEngine]) -> None:
    engine = make_engine(workers=2)
    token = CancelToken()
    with running(lambda: engine.query(ENDLESS, cancel=token).read_all()):
        until(lambda: engine.stats().busy == 1)
        for number in range(20):
            assert engine.query(f"SELECT {number} AS n").read_all().to_pylist() == [{"n": number}]
        token.cancel()
    stats = engine.stats()
    assert (stats.workers, stats.busy, stats.waiting, stats.restarts) == (2, 0, 0, 0)


def test_many_threads_get_their_own_answers(make_engine: Callable[..., DuckDbEngine]) -> None:
    engine = make_engine(workers=2, queue_max=100)
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = engine.query(f"SELECT {number} * 2 AS n").read_all().column("n")[0].as_py()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == {number: number * 2 for number in range(40)}


def test_a_closed_engine_ends_its_processes_and_refuses(make_engine: Callable[..., DuckDbEngine], tmp_path: Path) -> None:
    engine = make_engine(workers=2)
    engine.wait_ready()
    pids = engine.worker_pids()
    engine.close()
    until(lambda: all(not Path(f"/proc/{pid}").exists() for pid in pids))
    with pytest.raises(WorkerDied):
        engine.query("SELECT 1")
    assert not (tmp_path / "spill").exists()
