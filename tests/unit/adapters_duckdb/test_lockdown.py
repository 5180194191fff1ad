"""What a worker does not do, whoever asks: two walls, the engine's settings and the kernel's."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.sql.errors import StatementFailed

NOT_QUERIES = [
    "COPY (SELECT 1) TO '{lake}/evil.csv'",
    "ATTACH '{lake}/evil.db'",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "PRAGMA enable_profiling",
    "PRAGMA version",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL enable_logging()",
    "CREATE TABLE t AS SELECT 1",
    "DROP MACRO insjo_ln",
    "EXPORT DATABASE '{lake}/x'",
    "SELECT 1; SELECT 2",
    "SELECT 1; SET threads = 64",
    "DESCRIBE SELECT 1",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "USE memory",
    "CHECKPOINT",
    "BEGIN",
    "",
    "-- nothing",
]
NOT_READABLE = [
    "SELECT * FROM read_text('{outside}')",
    "SELECT * FROM read_csv('{outside}')",
    "SELECT * FROM read_blob('{lake}/../outside.txt')",
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_csv('/dev/stdin')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '{outside}'",
    "SELECT * FROM read_text('{lake}/link.txt')",
    "SELECT * FROM read_parquet('http://127.0.0.1:{port}/x.parquet')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT getenv('HOME')",
]


def test_a_worker_runs_one_query_and_nothing_else(engine: DuckDbEngine, lake: Path) -> None:
    for sql in NOT_QUERIES:
        with pytest.raises(StatementFailed):
            engine.query(sql.format(lake=lake))
    assert list(lake.iterdir()) == []


def test_a_worker_reads_nothing_outside_the_lake(engine: DuckDbEngine, lake: Path) -> None:
    outside = lake.parent / "outside.txt"
    outside.write_text("secret")
    (lake / "link.txt").symlink_to(outside)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for sql in NOT_READABLE:
            with pytest.raises(StatementFailed):
                engine.query(sql.format(lake=lake, outside=outside, port=listener.getsockname()[1]))
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_variables_of_the_worker_are_no_tables(engine: DuckDbEngine) -> None:
    for name in ("tables", "request", "database", "batch"):
        with pytest.raises(StatementFailed):
            engine.query(f"SELECT * FROM {name}")


def test_only_the_folders_that_it_is_given_are_read(lake: Path, tmp_path: Path) -> None:
    for name in ("tables/t/inside.csv", "keys/outside.csv", "insjo.db"):
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).write_text("a,b\n1,2\n")
    spill = tmp_path / "spill"
    engine = DuckDbEngine(root=lake, spill=spill, workers=1, memory_mb=300, threads=1, readable=[lake / "tables"]).start()
    try:
        assert engine.query(f"SELECT * FROM read_csv('{lake}/tables/t/inside.csv')").read_all().num_rows == 1
        for name in ("keys/outside.csv", "insjo.db", "tables/../keys/outside.csv"):
            with pytest.raises(StatementFailed):
                engine.query(f"SELECT * FROM read_text('{lake}/{name}')")
        assert engine.export("SELECT 1 AS a", lake / "tables" / "t")[0].rows == 1
    finally:
        engine.close()


WITHIN_WALLS = """
import sys
from pathlib import Path
from insjo.kernel.lockdown import give_up_privileges
lake, outbox, outside = map(Path, sys.argv[1:])
print("steps", *give_up_privileges(writable=[outbox], readable=[lake], memory_bytes=0))
def tried(name, attempt):
    try:
        attempt()
        print(name)
    except OSError:
        pass
tried("read-lake", lambda: (lake / "live.parquet").read_bytes())
tried("write-outbox", lambda: (outbox / "new").write_bytes(b"x"))
tried("write-lake", lambda: (lake / "evil").write_bytes(b"x"))
tried("change-lake", lambda: (lake / "live.parquet").open("r+b"))
tried("remove-lake", lambda: (lake / "live.parquet").unlink())
tried("rename-lake", lambda: (lake / "live.parquet").rename(lake / "dead.parquet"))
tried("link-out", lambda: (outbox / "link").hardlink_to(lake / "live.parquet") or (outbox / "link").open("r+b"))
tried("read-outside", lambda: outside.read_bytes())
"""


def test_the_kernel_lets_a_worker_read_the_lake_and_write_only_where_its_own_files_go(tmp_path: Path) -> None:
    lake, outbox, outside = tmp_path / "lake", tmp_path / "outbox", tmp_path / "outside.txt"
    for folder in (lake, outbox):
        folder.mkdir()
    (lake / "live.parquet").write_bytes(b"rows")
    outside.write_text("secret")
    words = [sys.executable, "-c", WITHIN_WALLS, str(lake), str(outbox), str(outside)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    if "landlock" not in done[0]:
        pytest.skip("this kernel has no Landlock")
    assert done[1:] == ["read-lake", "write-outbox"]
    assert (lake / "live.parquet").read_bytes() == b"rows"


def test_an_export_goes_into_the_lake_only(engine: DuckDbEngine, lake: Path) -> None:
    with pytest.raises(StatementFailed):
        engine.export("SELECT 1 AS a", lake.parent / "elsewhere")
    assert not (lake.parent / "elsewhere").exists()


def test_an_export_cannot_be_talked_out_of_its_statement(engine: DuckDbEngine, lake: Path) -> None:
    for sql in ("SELECT 1) TO '/elsewhere/x' (FORMAT csv); SELECT (1", "SELECT 1 --", "SELECT 1 /*"):
        try:
            files = engine.export(sql, lake / "t")
        except StatementFailed:
            continue
        assert all((lake / "t" / each.path).is_file() for each in files)
    assert all(path.suffix == ".parquet" for path in lake.rglob("*") if path.is_file())


def test_the_kernel_keeps_files_and_network_from_the_worker(engine: DuckDbEngine) -> None:
    engine.wait_ready()
    (pid,) = engine.worker_pids()
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert {"no-core", "memory"} <= set(engine.protections)
    if "no-network" in engine.protections:
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
