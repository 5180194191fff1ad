"""COPY INTO through the statement API of a running server against DuckDB's own COPY of the same file to Parquet.

Both know the types, both have the same threads, both write Parquet with snappy and wait until it is written.  Ours also checks rights,
records the statement, keeps the ledger of files, and commits to the Delta log.  The wanted ratio is 0.85 or more.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.sql.lake import Door
from benchmarks.verdicts import Verdicts
from tests.support.server import RunningServer

ROWS, ROWS_QUICK = 2_000_000, 500_000
ROUNDS = 3
COMMITS, COMMITS_LEAST = 200, 45.0
RATIO_LEAST = 0.85
COLUMNS = {
    "orderkey": ("BIGINT", "bigint"),
    "partkey": ("BIGINT", "bigint"),
    "linenumber": ("INTEGER", "int"),
    "quantity": ("DECIMAL(15,2)", "decimal(15,2)"),
    "price": ("DECIMAL(15,2)", "decimal(15,2)"),
    "flag": ("VARCHAR", "string"),
    "shipped": ("DATE", "date"),
    "seen": ("TIMESTAMP", "timestamp_ntz"),
    "mode": ("VARCHAR", "string"),
    "comment": ("VARCHAR", "string"),
}
SOURCE = """SELECT i // 4 AS orderkey, hash(i) % 200000 AS partkey, i % 7 AS linenumber, CAST(i % 5000 / 100 AS DECIMAL(15,2)) AS quantity,
  CAST(hash(i) % 10000000 / 100 AS DECIMAL(15,2)) AS price, ['A', 'N', 'R'][1 + i % 3] AS flag,
  DATE '1992-01-01' + CAST(i % 2500 AS INTEGER) AS shipped,
  TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS seen, ['AIR', 'RAIL', 'SHIP', 'TRUCK'][1 + i % 4] AS mode,
  'comment ' || hash(i * 31) || ' carefully' AS comment FROM range({rows}) AS t(i)"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller file, within a minute")
    rows = ROWS_QUICK if parser.parse_args().quick else ROWS
    folder = Path(tempfile.mkdtemp(prefix="bench-ingest-"))
    try:
        with RunningServer(folder / "data", environment={"INSJO_LOCAL_MODELS": "0"}) as server:
            _measure(server, folder, rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(server: RunningServer, folder: Path, rows: int) -> None:
    door = Door(server, server.token())
    door.warehouse_id = door.call("GET", "/api/2.0/sql/warehouses")["warehouses"][0]["id"]
    door.rows("CREATE SCHEMA IF NOT EXISTS main.bench")
    door.rows("CREATE VOLUME IF NOT EXISTS main.bench.raw")
    threads = os.cpu_count() or 1
    day = datetime.now(tz=UTC).date()
    print(f"Insjö ingest, {day}, duckdb {duckdb.__version__}, {threads} cores, {platform.machine()}, {rows:,} rows")
    verdicts = Verdicts()
    print(f"{'format':<8} {'MB':>6} {'DuckDB COPY s':>14} {'MB/s':>7} {'COPY INTO s':>12} {'MB/s':>7} {'ratio':>6}")
    for kind in ("csv", "json", "parquet"):
        file = folder / f"lines.{kind}"
        with duckdb.connect() as connection:
            options = {"csv": "HEADER", "json": "", "parquet": ""}[kind]
            connection.execute(f"COPY ({SOURCE.format(rows=rows)}) TO '{file}' (FORMAT {kind}{', ' + options if options else ''})")
        _store(door, file)
        plain, ours = [], []
        for number in range(ROUNDS):
            plain.append(_plain(file, kind, folder / "out.parquet", threads))
            ours.append(_ours(door, file.name, kind, rows, number))
        plain.append(_plain(file, kind, folder / "out.parquet", threads))
        size = file.stat().st_size / 1e6
        best, own = min(plain), min(ours)
        print(f"{kind:<8} {size:>6.0f} {best:>14.2f} {size / best:>7.0f} {own:>12.2f} {size / own:>7.0f} {best / own:>6.2f}", flush=True)
        verdicts.least(f"COPY INTO of {kind}, share of the speed of the engine's own COPY", best / own, RATIO_LEAST, "x")
        file.unlink()
    for writers in (1, 4):
        rate = _small_commits(door, writers)
        print(f"one-row INSERTs, {writers} writers: {rate:.0f} commits/s, none lost")
        verdicts.least(f"commits a second, one row each, {writers} writers at once", rate, COMMITS_LEAST, "/s")
    verdicts.print()


def _small_commits(door: Door, writers: int) -> float:
    """One-row INSERTs a second into one table, by so many connections at once; raises if a row is lost or doubled."""
    table = f"main.bench.small_{writers}"
    door.rows(f"CREATE OR REPLACE TABLE {table} (writer INT, number INT)")
    doors = [Door(door.server, door.token, door.warehouse_id) for _ in range(writers)]
    each = COMMITS // writers

    def write(writer: int) -> None:
        for number in range(each):
            doors[writer].rows(f"INSERT INTO {table} VALUES ({writer}, {number})")

    doors[0].rows(f"INSERT INTO {table} VALUES (-1, 0)")
    begin = time.monotonic()
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    took = time.monotonic() - begin
    found = door.rows(f"SELECT count(*), count(DISTINCT writer * {COMMITS} + number) FROM {table} WHERE writer >= 0")
    if found != [[str(writers * each), str(writers * each)]]:
        raise RuntimeError(f"{found} instead of {writers * each} rows")
    return writers * each / took


def _store(door: Door, file: Path) -> None:
    """Put the file into the volume."""
    with file.open("rb") as content:
        door.call("PUT", f"/api/2.0/fs/files/Volumes/main/bench/raw/{file.name}?overwrite=true", raw=content.read())


def _plain(file: Path, kind: str, target: Path, threads: int) -> float:
    """Seconds of DuckDB's own COPY, with the types given."""
    target.unlink(missing_ok=True)
    types = "{" + ", ".join(f"'{name}': '{engine}'" for name, (engine, _) in COLUMNS.items()) + "}"
    reader = {
        "csv": f"read_csv('{file}', header = true, columns = {types}, auto_detect = false)",
        "json": f"read_json('{file}', format = 'newline_delimited', columns = {types})",
        "parquet": f"read_parquet('{file}')",
    }[kind]
    with duckdb.connect(config={"threads": threads}) as connection:
        begin = time.monotonic()
        connection.execute(f"COPY (SELECT * FROM {reader}) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
        return time.monotonic() - begin


def _ours(door: Door, name: str, kind: str, rows: int, number: int) -> float:
    """Seconds of COPY INTO a new table."""
    table = f"main.bench.{kind}_{number}"
    door.rows(f"DROP TABLE IF EXISTS {table}")
    door.rows(f"CREATE TABLE {table} ({', '.join(f'{each} {kind_text}' for each, (_, kind_text) in COLUMNS.items())})")
    options = "FORMAT_OPTIONS ('header' = 'true')" if kind == "csv" else ""
    begin = time.monotonic()
    told = door.rows(f"COPY INTO {table} FROM '/Volumes/main/bench/raw/{name}' FILEFORMAT = {kind.upper()} {options}")
    took = time.monotonic() - begin
    if told[0][0] != str(rows):
        raise RuntimeError(f"{told} instead of {rows} rows")
    return took


if __name__ == "__main__":
    main()
