"""One peer in a process of its own: runs the 22 queries over the files of the lake and prints what it took.

    python -m benchmarks.sql.peers NAME ORDER.json

The order says which tables lie where, which texts to run and how often.  Each peer imports its own library, so that a peer that is not
installed is an ImportError with a name, and the memory and CPU of one are not those of another.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 2
Answers = list[tuple[Any, ...]]


def duckdb_files(order: dict[str, Any]) -> Callable[[str], Answers]:
    """DuckDB over `read_parquet` of the snapshot's files: the plain limit."""
    import duckdb

    connection = duckdb.connect(config={"threads": str(THREADS)})
    connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    for table, place in order["tables"].items():
        listed = ", ".join(f"'{file}'" for file in place["files"])
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
    return lambda text: connection.execute(text).fetchall()


def duckdb_tables(order: dict[str, Any]) -> Callable[[str], Answers]:
    """DuckDB over tables of its own in memory: the limit when everything is cached."""
    import duckdb

    connection = duckdb.connect(config={"threads": str(THREADS)})
    connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    for table, place in order["tables"].items():
        listed = ", ".join(f"'{file}'" for file in place["files"])
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")
    return lambda text: connection.execute(text).fetchall()


def polars(order: dict[str, Any]) -> Callable[[str], Answers]:
    """Polars' SQL over the Delta tables."""
    pl = import_module("polars")
    context = pl.SQLContext()
    for table, place in order["tables"].items():
        context.register(table, pl.scan_delta(place["folder"]))
    return lambda text: context.execute(text).collect(engine="streaming").rows()


def delta_rs(order: dict[str, Any]) -> Callable[[str], Answers]:
    """The query builder of delta-rs (DataFusion)."""
    import deltalake
    import pyarrow as pa

    builder = deltalake.QueryBuilder()
    for table, place in order["tables"].items():
        builder = builder.register(table, deltalake.DeltaTable(place["folder"]))

    def run(text: str) -> Answers:
        found = pa.table(builder.execute(text).read_all())
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    return run


def sail(order: dict[str, Any]) -> Callable[[str], Answers]:
    """Sail over Spark Connect, on the Delta tables."""
    server = import_module("pysail.spark").SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    session = import_module("pyspark.sql").SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    for table, place in order["tables"].items():
        session.read.format("delta").load(place["folder"]).createOrReplaceTempView(table)

    def run(text: str) -> Answers:
        if not server.running:  # Named here, it lives as long as the session.
            raise RuntimeError("the server ended")
        return [tuple(row) for row in session.sql(text).collect()]

    return run


def spark(order: dict[str, Any]) -> Callable[[str], Answers]:
    """Apache Spark at an address, over the Parquet files: it has no Delta by itself."""
    if not order["spark"]:
        raise ImportError("no Spark server; name one with --spark sc://...")
    session = import_module("pyspark.sql").SparkSession.builder.remote(order["spark"]).getOrCreate()
    for table, place in order["tables"].items():
        session.read.parquet(*place["files"]).createOrReplaceTempView(table)
    return lambda text: [tuple(row) for row in session.sql(text).collect()]


PEERS: dict[str, Callable[[dict[str, Any]], Callable[[str], Answers]]] = {
    "duckdb-files": duckdb_files,
    "duckdb-tables": duckdb_tables,
    "polars": polars,
    "delta-rs": delta_rs,
    "sail": sail,
    "spark": spark,
}


def plain(rows: Answers) -> list[list[Any]]:
    """Rows for JSON."""
    return [[None if value is None else value if isinstance(value, int | float | str) else str(value) for value in row] for row in rows]


def cpu_s() -> float:
    """CPU of this process; peers that start children are asked for those too."""
    usage = [resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def peak_mb() -> float:
    """Most memory that this process had; what the one before it in the same process id had does not count."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Run the order and print the result."""
    name, order = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    began_s = time.perf_counter()
    try:
        run = PEERS[name](order)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    found: dict[str, Any] = {"queries": {}, "failed": {}}
    for number, text in order["queries"].items():
        try:
            answer = run(text)
            if "first_s" not in found:
                found["first_s"] = time.perf_counter() - began_s
            walls, cpus = [], []
            for _ in range(order["repeats"]):
                wall_s, used_s = time.perf_counter(), cpu_s()
                run(text)
                walls.append(time.perf_counter() - wall_s)
                cpus.append(cpu_s() - used_s)
            found["queries"][number] = {"wall_s": min(walls), "cpu_s": min(cpus), "rows": plain(answer)}
        except Exception as error:  # noqa: BLE001  # A peer that cannot answer a query is told of, and goes on.
            found["failed"][number] = f"{type(error).__name__}: {error}"[:200]
    found["peak_mb"] = peak_mb()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
