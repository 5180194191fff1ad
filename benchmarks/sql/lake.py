"""The lake of the benchmark: TPC-H in a running server, and its HTTP door with rights, labels and audit on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.server import RunningServer
    from tests.support.tpc import Reference

TICKS = os.sysconf("SC_CLK_TCK")
WAIT = "50s"
IDLE_S = 2.0
"""After this a new connection is made: the server closes idle ones."""


@dataclass
class Door:
    """One kept connection to the statement API, as a client would hold it."""

    server: RunningServer
    token: str
    warehouse_id: str = ""
    connection: http.client.HTTPConnection | None = None
    used_s: float = 0.0

    def call(self, method: str, path: str, body: object = None, *, raw: bytes | IO[bytes] | None = None) -> Any:  # noqa: ANN401  # A decoded document.
        """One request; the answer as a document."""
        if self.connection is None or time.monotonic() - self.used_s > IDLE_S:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=900)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        if raw is not None and not isinstance(raw, bytes):
            headers["content-length"] = str(os.fstat(raw.fileno()).st_size)
        self.connection.request(method, path, raw if raw is not None else json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.used_s = time.monotonic()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return json.loads(content) if content else None

    def rows(self, text: str, schema: str = "tpch") -> list[list[Any]]:
        """Rows of a statement, inline; longer ones are waited for."""
        body = {"statement": text, "warehouse_id": self.warehouse_id, "catalog": "main", "schema": schema, "wait_timeout": WAIT}
        told = self.call("POST", "/api/2.0/sql/statements", body)
        while told["status"]["state"] in {"PENDING", "RUNNING"}:
            time.sleep(0.2)
            told = self.call("GET", f"/api/2.0/sql/statements/{told['statement_id']}")
        if told["status"]["state"] != "SUCCEEDED":
            raise RuntimeError(f"{text[:200]}: {told['status']}")
        found: list[list[Any]] = told.get("result", {}).get("data_array") or []
        return found

    def as_(self, user: str) -> Door:
        """Another person at a connection of their own."""
        return Door(self.server, self.server.token(user), self.warehouse_id)


def prepare(server: RunningServer, files: Iterable[tuple[str, Path]]) -> tuple[Door, Door]:
    """Load tables from their Parquet files, which are removed, and let an analyst read them; the doors of an admin and the analyst."""
    admin = Door(server, server.token())
    admin.warehouse_id = admin.call("GET", "/api/2.0/sql/warehouses")["warehouses"][0]["id"]
    for text in ("CREATE CATALOG IF NOT EXISTS main", "CREATE SCHEMA IF NOT EXISTS main.tpch", "CREATE VOLUME IF NOT EXISTS main.tpch.raw"):
        admin.rows(text)
    for table, file in files:
        with file.open("rb") as content:
            admin.call("PUT", f"/api/2.0/fs/files/Volumes/main/tpch/raw/{table}.parquet?overwrite=true", raw=content)
        file.unlink()
        admin.rows(f"CREATE TABLE main.tpch.{table} AS SELECT * FROM parquet.`/Volumes/main/tpch/raw/{table}.parquet`")
        admin.call("DELETE", f"/api/2.0/fs/files/Volumes/main/tpch/raw/{table}.parquet")
    server.insjo("user", "create", "analyst", "--json", "--data", str(server.data_dir))
    analyst = admin.as_("analyst")
    for text in ("GRANT USE CATALOG ON CATALOG main TO analyst", "GRANT USE SCHEMA, SELECT ON SCHEMA main.tpch TO analyst"):
        admin.rows(text)
    return admin, analyst


def generated(reference: Reference, folder: Path) -> Iterator[tuple[str, Path]]:
    """Each table of TPC-H as a Parquet file, from the reference."""
    for table in reference.tables("tpch"):
        file = folder / f"{table}.parquet"
        reference.write("tpch", table, file)
        yield table, file


def written_by_generator(python: Path, scale: float, folder: Path) -> Iterator[tuple[str, Path]]:
    """Each table of TPC-H as a Parquet file, by a generator that is ten times as fast as the reference; raises OSError without it."""
    tool = python.parent / "tpchgen-cli"
    for table in FIRSTS:
        words = [str(tool), "parquet", "--scale-factor", f"{scale:g}", "--tables", table, "--output-dir", str(folder)]
        subprocess.run(words, check=True, capture_output=True)
        yield table, folder / f"{table}.parquet"


FIRSTS = {
    "lineitem": "l_orderkey",
    "orders": "o_orderkey",
    "customer": "c_custkey",
    "part": "p_partkey",
    "partsupp": "ps_partkey",
    "supplier": "s_suppkey",
    "nation": "n_nationkey",
    "region": "r_regionkey",
}
"""The tables, and the first column of each, by which its folder is found."""


def places(server: RunningServer, tables: list[str]) -> dict[str, dict[str, Any]]:
    """Where the tables lie: folder and data files, read from their Delta logs as any other reader would."""
    by_columns: dict[str, tuple[str, list[str]]] = {}
    for log in sorted(Path(server.data_dir).rglob("_delta_log")):
        files: dict[str, None] = {}
        columns = ""
        for entry in sorted(log.glob("*.json")):
            for line in entry.read_text(encoding="utf-8").splitlines():
                action = json.loads(line)
                if "add" in action:
                    files[str(log.parent / action["add"]["path"])] = None
                if "remove" in action:
                    files.pop(str(log.parent / action["remove"]["path"]), None)
                if "metaData" in action:
                    columns = json.loads(action["metaData"]["schemaString"])["fields"][0]["name"]
        by_columns[columns] = (str(log.parent), list(files))
    return {table: dict(zip(("folder", "files"), by_columns[FIRSTS[table]], strict=True)) for table in tables}


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it, to the microsecond where the kernel counts so: its ticks are longer than short queries."""
    total = 0.0
    for each in _tree(pid):
        try:
            parts = Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        exact = sum(_exact_cpu_s(task) for task in Path(f"/proc/{each}/task").glob("*/schedstat"))
        total += exact or (int(parts[11]) + int(parts[12])) / TICKS
    return total


def _exact_cpu_s(counts: Path) -> float:
    """What one thread used; threads that ended are not counted any more, and ours do not end between two statements."""
    try:
        return int(counts.read_text(encoding="ascii").split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def rss_mb(pid: int) -> float:
    """Memory of a process and all below it, in MiB."""
    pages = 0
    for each in _tree(pid):
        try:
            pages += int(Path(f"/proc/{each}/statm").read_text(encoding="ascii").split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))
