"""TPC-H through Insjö's HTTP door, with rights, labels and audit on, against the plain limit and peers, all in one run.

    python -m benchmarks.sql.run [--quick | --large] [--scale 1] [--peers duckdb-files,polars,...] [--json results.json]

The standard run takes about five minutes at scale 1; `--quick` takes one at scale 0.1; `--large` runs scale 10 with a worker of 2 GB,
asks whether all 22 finish, and ends after ten minutes.  Each ends with what was wanted and what was measured.  Peers live in
`.venv-bench`, which the run makes; what cannot be installed is named as left out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.sql.extras import governed, large_result
from benchmarks.sql.lake import Door, cpu_s, generated, places, prepare, rss_mb, written_by_generator
from benchmarks.verdicts import Verdicts
from tests.support.server import RunningServer
from tests.support.tpc import QUERIES, Reference, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ROOT = Path(__file__).parent.parent.parent
PEERS = {
    "duckdb-files": (),
    "duckdb-tables": (),
    "polars": ("polars",),
    "delta-rs": (),
    "sail": ("pysail", "pyspark-client"),
    "spark": ("pyspark-client",),
}
BASE = (f"duckdb=={duckdb.__version__}", "deltalake", "pyarrow")
LIMIT = "duckdb-files"
QUICK_SCALE, STANDARD_SCALE, LARGE_SCALE = 0.1, 1.0, 10.0
LARGE_MEMORY_MB = 2048
LARGE_MINUTES = 10.0
COLD_MOST, WARM_MOST, SAIL_LEAST, SPARK_LEAST, OVERHEAD_MS_MOST, GOVERNED_MOST, LARGE_LEAST = 1.10, 0.60, 2.0, 15.0, 3.0, 0.05, 0.80
"""What is wanted: ratios to the plain limit, times as fast as peers, milliseconds, a share more, a share of what the engine drains."""

DRIFT_MOST = 0.10
"""A run whose baseline moved by more is void."""

WARM_ROUNDS = 3
"""Rounds that let the cache of hot columns see what is used, before the warm figures are taken."""

SETTLED_CPU_S = 0.1
"""CPU within a second below which a server counts as idle."""

Figures = dict[str, Any]


def peer_python(wanted: Sequence[str]) -> Path:
    """Python of the peers' own environment, made or completed now; what cannot be installed is found missing later."""
    folder = ROOT / ".venv-bench"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    for packages in (BASE, *(PEERS[name] for name in wanted if PEERS[name])):
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=False)
    return python


def ours(door: Door, texts: dict[str, str], repeats: int, *, rounds: int) -> Figures:
    """All queries through the door, after so many rounds without a clock."""
    pid = door.server.process.pid if door.server.process else 0
    found: Figures = {"queries": {}, "failed": {}}
    for _ in range(rounds):
        for text in texts.values():
            door.rows(text)
            time.sleep(0.05)
    settle(pid)
    began_s = time.perf_counter()
    for number, text in texts.items():
        try:
            answer = door.rows(text)
            found.setdefault("first_s", time.perf_counter() - began_s)
            walls, cpus = [], []
            for _ in range(repeats):
                wall_s, used_s = time.perf_counter(), cpu_s(pid)
                door.rows(text)
                walls.append(time.perf_counter() - wall_s)
                cpus.append(cpu_s(pid) - used_s)
            found["queries"][number] = {"wall_s": min(walls), "cpu_s": min(cpus), "rows": answer}
        except RuntimeError as error:
            found["failed"][number] = str(error)[:300]
    found["peak_mb"] = rss_mb(pid)
    return found


def settle(pid: int) -> None:
    """Wait until the server has nothing left to do."""
    for _ in range(60):
        used_s = cpu_s(pid)
        time.sleep(1.0)
        if cpu_s(pid) - used_s < SETTLED_CPU_S:
            return


def peer(python: Path, name: str, order: Path) -> Figures:
    """A peer in its own process."""
    done = subprocess.run(
        [str(python), "-m", "benchmarks.sql.peers", name, str(order)], capture_output=True, text=True, check=False, cwd=ROOT, timeout=1800
    )
    try:
        found: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return {"missing": done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else f"ended with {done.returncode}"}
    return found


def select_one(door: Door, python: Path) -> dict[str, float]:
    """Milliseconds of `SELECT 1` over HTTP, and of the engine alone: medians of 300."""
    settle(door.server.process.pid if door.server.process else 0)
    texts = ["SELECT 1"] * 300
    for text in texts[:50]:
        door.rows(text)
    walls = []
    for text in texts:
        began_s = time.perf_counter()
        door.rows(text)
        walls.append(time.perf_counter() - began_s)
    code = (
        "import duckdb,time;c=duckdb.connect();w=[]\n"
        "for _ in range(300):\n b=time.perf_counter();c.execute('SELECT 1').fetchall();w.append(time.perf_counter()-b)\n"
        "print(sorted(w)[150]*1000)"
    )
    alone = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return {"door_ms": sorted(walls)[150] * 1000, "door_p95_ms": sorted(walls)[285] * 1000, "engine_ms": float(alone.stdout)}


def geometric(values: Sequence[float]) -> float:
    """Geometric mean."""
    return math.exp(sum(map(math.log, (max(value, 1e-6) for value in values))) / len(values)) if values else math.nan


def typed(rows: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Rows of JSON texts as values that compare: numbers where a text is one."""
    return [tuple(_number(value) for value in row) for row in rows]


def _number(value: Any) -> Any:  # noqa: ANN401  # Any JSON value.
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)[:10] if value is not None else None


def wrong(figures: Figures, right: Figures) -> list[str]:
    """Queries with another answer than the limit's."""
    both = set(figures.get("queries", {})) & set(right.get("queries", {}))
    return sorted((n for n in both if difference(typed(figures["queries"][n]["rows"]), typed(right["queries"][n]["rows"]))), key=int)


class Table(dict[str, Figures]):
    """Results by name; each is printed as soon as it is there, with ratios to the plain limit, which comes first."""

    def __setitem__(self, name: str, figures: Figures) -> None:
        """Keep a result and print it."""
        if not self:
            print(f"{'way':<22} {'total s':>8} {'geo s':>7} {'x limit':>8} {'CPU s':>7} {'x CPU':>6} {'first s':>7} {'MB':>6}  notes")
        super().__setitem__(name, figures)
        limit = self[LIMIT]
        if "missing" in figures:
            print(f"{name:<22} left out: {figures['missing']}", flush=True)
            return
        shared = [n for n in figures["queries"] if n in limit["queries"]]
        wall, cpu = ([figures["queries"][n][key] for n in shared] for key in ("wall_s", "cpu_s"))
        base_wall, base_cpu = ([limit["queries"][n][key] for n in shared] for key in ("wall_s", "cpu_s"))
        notes = [f"failed {','.join(figures['failed'])}"] if figures["failed"] else []
        notes += [f"other answers: {','.join(bad)}"] if (bad := wrong(figures, limit)) else []
        print(
            f"{name:<22} {sum(wall):8.2f} {geometric(wall):7.3f} {geometric(wall) / geometric(base_wall):7.2f}x {sum(cpu):7.1f} "
            f"{sum(cpu) / sum(base_cpu):5.2f}x {figures.get('first_s', math.nan):7.2f} {figures['peak_mb']:6.0f}  {'; '.join(notes)}",
            flush=True,
        )


def standard(scale: float, peers: Sequence[str], folder: Path, repeats: int, spark_url: str) -> dict[str, Any]:
    """The whole comparison.  The limit is measured before and after ours, so that each is compared with what the machine gave then."""
    python = peer_python(peers)
    reference = Reference(scale, families=["tpch"])
    texts = {str(number): reference.text("tpch", number) for number in range(1, QUERIES["tpch"] + 1)}
    names = reference.tables("tpch")
    settings = {"INSJO_LOCAL_MODELS": "0", "INSJO_SQL_WORKERS": "1", "INSJO_SQL_MEMORY_MB": "4096", "INSJO_SQL_CACHE_MB": "1024"}
    results = Table()
    cold = settings | {"INSJO_SQL_CACHE_MB": "0"}
    with RunningServer(folder / "data", environment=cold) as server:
        admin, door = prepare(server, generated(reference, folder))
        reference.close()
        order = folder / "order.json"
        asked = {"tables": places(server, names), "queries": texts, "repeats": repeats, "spark": spark_url}
        order.write_text(json.dumps(asked), encoding="utf-8")
        settle(server.process.pid if server.process else 0)
        results[LIMIT] = peer(python, LIMIT, order)
        results["insjo, cold"] = ours(door, texts, repeats, rounds=0)
        results[f"{LIMIT}, second"] = peer(python, LIMIT, order)
        overhead = select_one(door, python)
        print("SELECT 1 over HTTP: p50 {door_ms:.2f} ms, p95 {door_p95_ms:.2f} ms; the engine alone {engine_ms:.2f} ms".format(**overhead))
        cost = _or_nan(lambda: governed(admin, door), "wall", "cpu")
        large_rows = _or_nan(lambda: large_result(door, python, order), "ours", "engine")
    with RunningServer(folder / "data", environment=settings) as server:
        door = Door(server, server.token("analyst"), door.warehouse_id)
        results["insjo, warm"] = ours(door, texts, repeats, rounds=WARM_ROUNDS)
        results[f"{LIMIT}, third"] = peer(python, LIMIT, order)
        for name in peers:
            if name != LIMIT:
                results[name] = peer(python, name, order)
        results[f"{LIMIT}, last"] = peer(python, LIMIT, order)
    verdicts = judge(results, overhead, cost, large_rows)
    verdicts.print()
    return {"results": results, "overhead": overhead, "governed": cost, "large": large_rows, "verdicts": verdicts.lines}


def _or_nan(measure: Callable[[], dict[str, float]], *names: str) -> dict[str, float]:
    """What was measured; an error is told and leaves the rest of the run alone."""
    try:
        return measure()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"not measured: {error}", flush=True)
        return dict.fromkeys(names, math.nan)


def mean_of(results: Table, *names: str) -> float:
    """Geometric mean over all queries and these ways."""
    return geometric([query["wall_s"] for name in names for query in results[name].get("queries", {}).values()])


def judge(results: Table, overhead: dict[str, float], cost: dict[str, float], large_rows: dict[str, float]) -> Verdicts:
    """What was wanted and what came out."""
    verdicts = Verdicts()
    cold, warm = mean_of(results, "insjo, cold"), mean_of(results, "insjo, warm")
    verdicts.most(
        "tables in files, geometric mean over the plain limit", cold / mean_of(results, LIMIT, f"{LIMIT}, second"), COLD_MOST, "x"
    )
    around = mean_of(results, f"{LIMIT}, second", f"{LIMIT}, third")
    verdicts.most("tables held in memory, geometric mean over the plain limit", warm / around, WARM_MOST, "x")
    for name, least in (("sail", SAIL_LEAST), ("spark", SPARK_LEAST)):
        if results.get(name, {}).get("queries"):
            verdicts.least(f"times as fast as {name}, tables in files", mean_of(results, name) / cold, least, "x")
        else:
            verdicts.missing(f"times as fast as {name}", "not here")
    verdicts.most("SELECT 1 over HTTP, over the engine alone, p50", overhead["door_ms"] - overhead["engine_ms"], OVERHEAD_MS_MOST, " ms")
    verdicts.most("row filter and mask, CPU over the query written by hand", cost["cpu"] * 100, GOVERNED_MOST * 100, " %")
    verdicts.most("row filter and mask, wall over the query written by hand", cost["wall"] * 100, GOVERNED_MOST * 100, " %")
    verdicts.least("large result as Arrow, of what the engine drains", large_rows["ours"] / large_rows["engine"], LARGE_LEAST, "x")
    wrong_answers = sorted({number for name in ("insjo, cold", "insjo, warm") for number in wrong(results[name], results[LIMIT])}, key=int)
    failed = [number for name in ("insjo, cold", "insjo, warm") for number in results[name]["failed"]]
    verdicts.most("queries with another answer than the limit, or none", len(wrong_answers) + len(failed), 0)
    drift = mean_of(results, f"{LIMIT}, last") / mean_of(results, LIMIT) - 1
    verdicts.most("drift of the plain limit over the run (more makes it void)", abs(drift) * 100, DRIFT_MOST * 100, " %")
    return verdicts


def large_files(scale: float, folder: Path) -> Iterable[tuple[str, Path]]:
    """Tables of the large run: from the fast generator if it can be had."""
    python = peer_python([])
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "tpchgen-cli"], check=False)
    if (python.parent / "tpchgen-cli").exists():
        return written_by_generator(python, scale, folder)
    return generated(Reference(scale, folder / "reference.duckdb", ["tpch"]), folder)


def large(folder: Path, scale: float, minutes: float) -> int:
    """Scale 10 with a worker of 2 GB, or less of both: all 22 must finish, and within so many minutes."""
    ends_s = time.monotonic() + minutes * 60
    memory_mb = int(LARGE_MEMORY_MB * scale / LARGE_SCALE)
    reference = Reference(0.001, families=["tpch"])
    texts = {str(number): reference.text("tpch", number) for number in range(1, QUERIES["tpch"] + 1)}
    reference.close()
    settings = {"INSJO_LOCAL_MODELS": "0", "INSJO_SQL_WORKERS": "1", "INSJO_SQL_MEMORY_MB": str(memory_mb)}
    finished, peak_mb, began_s = 0, 0.0, time.monotonic()
    with RunningServer(folder / "data", environment=settings) as server:
        _, door = prepare(server, large_files(scale, folder))
        print(f"loaded within {time.monotonic() - began_s:.0f} s", flush=True)
        for number, text in texts.items():
            if time.monotonic() > ends_s:
                print(f"q{number:<3} not asked: the {minutes:g} minutes are over", flush=True)
                continue
            query_s = time.monotonic()
            try:
                rows: object = len(door.rows(text))
                finished += 1
            except RuntimeError as error:
                rows = f"failed: {error}"
            peak_mb = max(peak_mb, rss_mb(server.process.pid if server.process else 0))
            print(f"q{number:<3} {time.monotonic() - query_s:7.1f} s  rows {rows}", flush=True)
    verdicts = Verdicts()
    verdicts.least(f"queries finished at scale {scale:g} with a worker of {memory_mb} MiB", finished, len(texts))
    verdicts.print()
    print(f"{peak_mb:.0f} MB at most after a query, the server with its worker")
    return 0 if finished == len(texts) else 1


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--scale", type=float, help="of TPC-H; a large run gets memory in proportion")
    parser.add_argument("--minutes", type=float, default=LARGE_MINUTES, help="after these a large run asks no further query")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--spark", default="", help="address of a Spark Connect server, `sc://...`, that reads files of this machine")
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    scale = words.scale or (QUICK_SCALE if words.quick else STANDARD_SCALE)
    peers = [name for name in words.peers.split(",") if name]
    if unknown := set(peers) - set(PEERS):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="insjo-bench-") as name:
        if words.large:
            return large(Path(name), words.scale or LARGE_SCALE, words.minutes)
        versions = f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
        print(f"TPC-H scale {scale:g}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {versions}")
        found = standard(scale, peers, Path(name), 3, words.spark)
    if words.json:
        words.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
