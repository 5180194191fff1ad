"""Data files with Delta statistics; nothing remains of an export that failed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.duckdb.export import remove_files
from insjo.kernel.cancellation import CancelToken
from insjo.sql.errors import CastInvalidInput, DiskFull, StatementCancelled, WorkerDied

ENDLESS = "SELECT a.range AS n, repeat('x', 100) AS s FROM range(1000000) a, range(1000000) b"


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def until_files(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not leftovers(folder):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_files_come_with_statistics_in_the_form_of_delta(engine: DuckDbEngine, lake: Path) -> None:
    sql = """
        SELECT range::INTEGER AS i, (range / 4)::DOUBLE AS f, (range / 7)::DECIMAL(10,2) AS c, 'n' || range AS s,
               DATE '2026-01-01' + range::INTEGER AS d,
               TIMESTAMPTZ '2026-01-01 00:00:00.123456+00' + to_seconds(range) AS t, TIMESTAMP '2026-01-01 10:00:00' AS w,
               CASE WHEN range > 5 THEN NULL ELSE range END AS n, [range] AS l,
               CASE WHEN range = 3 THEN 'nan'::DOUBLE ELSE 1.0 END AS x, TRUE AS b
        FROM range(10)
    """
    (written,) = engine.export(sql, lake / "t")
    assert written.rows == 10
    assert written.partition_values == {}
    path = lake / "t" / written.path
    assert path.stat().st_size == written.size_bytes
    assert pq.read_table(path).num_rows == 10
    stats = written.stats
    assert stats["numRecords"] == 10
    minimum, maximum, nulls = stats["minValues"], stats["maxValues"], stats["nullCount"]
    assert isinstance(minimum, dict)
    assert isinstance(maximum, dict)
    assert isinstance(nulls, dict)
    assert (minimum["i"], maximum["i"]) == (0, 9)
    assert (minimum["f"], maximum["f"]) == (0.0, 2.25)
    assert (minimum["c"], maximum["c"]) == (0.0, 1.29)
    assert (minimum["s"], maximum["s"]) == ("n0", "n9")
    assert (minimum["d"], maximum["d"]) == ("2026-01-01", "2026-01-10")
    assert (minimum["t"], maximum["t"]) == ("2026-01-01T00:00:00.123Z", "2026-01-01T00:00:09.124Z")
    assert minimum["w"] == "2026-01-01T10:00:00.000"
    assert (nulls["n"], maximum["n"]) == (4, 5)
    assert "x" not in maximum  # NaN is larger than the largest number that the engine counts.
    assert "l" not in minimum


def test_partitions_become_folders_and_values_as_delta_writes_them(engine: DuckDbEngine, lake: Path) -> None:
    sql = "SELECT range AS n, CASE WHEN range = 2 THEN NULL ELSE 'a b/' || range END AS p, DATE '2026-01-01' AS d FROM range(3)"
    written = engine.export(sql, lake / "t", partition_columns=["p", "d"])
    assert {(each.partition_values["p"], each.partition_values["d"]) for each in written} == {
        ("a b/0", "2026-01-01"),
        ("a b/1", "2026-01-01"),
        (None, "2026-01-01"),
    }
    assert all((lake / "t" / each.path).is_file() for each in written)
    assert all(set(pq.read_schema(lake / "t" / each.path).names) == {"n"} for each in written)


def test_no_rows_make_no_files(engine: DuckDbEngine, lake: Path) -> None:
    assert engine.export("SELECT 1 AS a WHERE FALSE", lake / "t") == []
    assert leftovers(lake) == []


def test_exports_never_touch_files_that_are_there(engine: DuckDbEngine, lake: Path) -> None:
    first = engine.export("SELECT 1 AS a", lake / "t")
    second = engine.export("SELECT 2 AS a", lake / "t")
    assert {each.path for each in first}.isdisjoint(each.path for each in second)
    assert pq.read_table(lake / "t" / first[0].path).to_pylist() == [{"a": 1}]


def test_a_failed_export_leaves_nothing(engine: DuckDbEngine, lake: Path) -> None:
    sql = "SELECT CASE WHEN range = 900000 THEN CAST('x' || range AS INTEGER) ELSE range END AS n, repeat('y', 50) AS s FROM range(1000000)"
    with pytest.raises(CastInvalidInput):
        engine.export(sql, lake / "t")
    assert leftovers(lake) == []


def test_a_cancelled_export_leaves_nothing(engine: DuckDbEngine, lake: Path) -> None:
    token = CancelToken()

    def cancel_when_it_writes() -> None:
        until_files(lake.parent)
        token.cancel()

    canceller = threading.Thread(target=cancel_when_it_writes)
    canceller.start()
    with pytest.raises(StatementCancelled):
        engine.export(ENDLESS, lake / "t", cancel=token)
    canceller.join()
    assert leftovers(lake.parent) == []


def test_an_export_whose_worker_is_killed_leaves_nothing(engine: DuckDbEngine, lake: Path) -> None:
    engine.wait_ready()
    (pid,) = engine.worker_pids()

    def kill_when_it_writes() -> None:
        until_files(lake.parent)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_when_it_writes)
    killer.start()
    with pytest.raises(WorkerDied):
        engine.export(ENDLESS, lake / "t")
    killer.join()
    assert leftovers(lake.parent) == []
    assert engine.export("SELECT 1 AS a", lake / "t")[0].rows == 1


def test_a_full_disk_is_told_as_such_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only root can make a small disk")
    engine = DuckDbEngine(root=small / "lake", spill=tmp_path / "spill", workers=1, memory_mb=300, threads=1).start()
    try:
        with pytest.raises(DiskFull):
            engine.export("SELECT md5(range::VARCHAR) AS a FROM range(1000000)", small / "lake" / "t")
        assert leftovers(small) == []
        assert engine.export("SELECT 1 AS a", small / "lake" / "t")[0].rows == 1
    finally:
        engine.close()
        subprocess.run(["umount", str(small)], check=True)


def test_only_the_files_of_one_export_are_removed(tmp_path: Path) -> None:
    for name in ("part-aa-1.parquet", "part-bb-1.parquet", "p=1/part-aa-2.parquet"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert remove_files(tmp_path, "aa") == 2
    assert [path.name for path in leftovers(tmp_path)] == ["part-bb-1.parquet"]
