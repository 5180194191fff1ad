"""Two further costs: row filters with masks against the same query written by hand, and large results against what the engine drains."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.sql.lake import WAIT, cpu_s

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sql.lake import Door

ROUNDS = 11
LARGE_ROUNDS = 3
LARGE_COLUMNS = "l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_shipdate, l_shipmode, l_comment"
_MEASURED = "l_returnflag, l_shipinstruct, count(*) AS n, sum(l_extendedprice * (1 - l_discount)) AS revenue, min(l_shipdate) AS first"
_REST = "WHERE l_quantity < 40 GROUP BY l_returnflag, l_shipinstruct ORDER BY 1, 2"
_MASKED = "SELECT * EXCEPT (l_shipinstruct), concat(left(l_shipinstruct, 4), '...') AS l_shipinstruct"
GOVERNED = f"SELECT {_MEASURED} FROM main.tpch.lineitem_governed {_REST}"
BY_HAND = f"SELECT {_MEASURED} FROM ({_MASKED} FROM main.tpch.lineitem_plain WHERE l_shipmode <> 'AIR') {_REST}"


def governed(admin: Door, analyst: Door) -> dict[str, float]:
    """What a row filter and a mask add to the same query written by hand, as shares of wall and CPU seconds."""
    for text in (
        "CREATE OR REPLACE FUNCTION main.tpch.not_by_air(mode STRING) RETURNS BOOLEAN RETURN mode <> 'AIR'",
        "CREATE OR REPLACE FUNCTION main.tpch.shortened(v STRING) RETURNS STRING RETURN concat(left(v, 4), '...')",
        "CREATE TABLE main.tpch.lineitem_governed AS SELECT * FROM main.tpch.lineitem",
        "ALTER TABLE main.tpch.lineitem_governed SET ROW FILTER main.tpch.not_by_air ON (l_shipmode)",
        "ALTER TABLE main.tpch.lineitem_governed ALTER COLUMN l_shipinstruct SET MASK main.tpch.shortened",
        "CREATE TABLE main.tpch.lineitem_plain AS SELECT * FROM main.tpch.lineitem",
        "GRANT SELECT ON TABLE main.tpch.lineitem_governed TO analyst",
        "GRANT SELECT ON TABLE main.tpch.lineitem_plain TO analyst",
    ):
        admin.rows(text)
    texts = {"governed": GOVERNED, "by hand": BY_HAND}
    answers = {name: analyst.rows(text) for name, text in texts.items()}
    if answers["governed"] != answers["by hand"]:
        raise RuntimeError("the row filter and the mask give something else than the query written by hand")
    pid = analyst.server.process.pid if analyst.server.process else 0
    walls: dict[str, list[float]] = {name: [] for name in texts}
    cpus: dict[str, list[float]] = {name: [] for name in texts}
    for number in range(ROUNDS):
        for name in sorted(texts, reverse=bool(number % 2)):
            began_s, used_s = time.perf_counter(), cpu_s(pid)
            analyst.rows(texts[name])
            walls[name].append(time.perf_counter() - began_s)
            cpus[name].append(cpu_s(pid) - used_s)
    wall, cpu = ({name: statistics.median(values) for name, values in each.items()} for each in (walls, cpus))
    print(
        f"row filter and mask: {wall['governed']:.3f} s, CPU {cpu['governed']:.3f} s; "
        f"by hand {wall['by hand']:.3f} s, CPU {cpu['by hand']:.3f} s",
        flush=True,
    )
    for table in ("lineitem_governed", "lineitem_plain"):
        admin.rows(f"DROP TABLE main.tpch.{table}")
    return {"wall": wall["governed"] / wall["by hand"] - 1, "cpu": cpu["governed"] / cpu["by hand"] - 1}


DRAIN = """
import sys, json, time, duckdb
order = json.load(open(sys.argv[1])); found = []
connection = duckdb.connect(config={"threads": 2})
connection.execute("SET enable_progress_bar = false")
listed = ", ".join(f"'{file}'" for file in order["tables"]["lineitem"]["files"])
for _ in range(int(sys.argv[3])):
    began_s = time.perf_counter(); size = 0
    reader = connection.execute(f"SELECT {sys.argv[2]} FROM read_parquet([{listed}], hive_partitioning = false)").to_arrow_reader(65536)
    for batch in reader:
        size += batch.nbytes
    found.append(size / 1e6 / (time.perf_counter() - began_s))
print(json.dumps({"mb_s": max(found), "mb": size / 1e6}))
"""


def large_result(door: Door, python: Path, order: Path) -> dict[str, float]:
    """MB/s of a large result as Arrow streams behind links, from the request to the last byte, and of the engine that is only drained."""
    words = [str(python), "-c", DRAIN, str(order), LARGE_COLUMNS, str(LARGE_ROUNDS)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    drained: dict[str, float] = json.loads(told.stdout)
    best = 0.0
    for _ in range(LARGE_ROUNDS):
        began_s = time.perf_counter()
        _fetch_all(door)
        best = max(best, drained["mb"] / (time.perf_counter() - began_s))
    said = f"large result: {drained['mb']:.0f} MB as Arrow; the engine drains {drained['mb_s']:.0f} MB/s, links give {best:.0f} MB/s"
    print(said, flush=True)
    return {"engine": drained["mb_s"], "ours": best}


def _fetch_all(door: Door) -> None:
    """Run the statement and read all of its chunks."""
    body = {
        "statement": f"SELECT {LARGE_COLUMNS} FROM main.tpch.lineitem",
        "warehouse_id": door.warehouse_id,
        "disposition": "EXTERNAL_LINKS",
        "format": "ARROW_STREAM",
        "wait_timeout": WAIT,
    }
    told = door.call("POST", "/api/2.0/sql/statements", body)
    if told["status"]["state"] != "SUCCEEDED":
        raise RuntimeError(str(told["status"]))
    links = told["result"]["external_links"]
    connection = http.client.HTTPConnection("127.0.0.1", door.server.port, timeout=300)
    rows = 0
    while links:
        here: dict[str, Any] = links[0]
        address = urlsplit(here["external_link"])
        connection.request("GET", f"{address.path}?{address.query}")
        answer = connection.getresponse()
        answer.read()
        rows += here["row_count"]
        following = here.get("next_chunk_internal_link")
        links = door.call("GET", following)["external_links"] if following else []
    connection.close()
    if rows != told["manifest"]["total_row_count"]:
        raise RuntimeError(f"{rows} rows instead of {told['manifest']['total_row_count']}")
    door.call("DELETE", f"/api/2.0/sql/statements/{told['statement_id']}")
