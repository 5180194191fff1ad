"""What the port promises holds for the workers on DuckDB and for Spark Connect alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.spark.engine import SparkEngine
from insjo.kernel.cancellation import CancelToken
from insjo.kernel.errors import Unavailable
from insjo.sql.errors import CastInvalidInput, DivideByZero, StatementCancelled, StatementTimedOut, WarehouseBusy
from insjo.sql.ports import Engine, EngineLimits
from tests.support.sail import sail


@dataclass
class Words:
    """An engine, and how it says a few things."""

    engine: Engine
    root: Path
    kind: str

    def files(self, *paths: Path) -> str:
        if self.kind == "duckdb":
            return f"read_parquet([{', '.join(repr(str(path)) for path in paths)}])"
        return "(" + " UNION ALL ".join(f"SELECT * FROM parquet.`{path}`" for path in paths) + ")"

    @property
    def long(self) -> str:
        if self.kind == "duckdb":
            return "SELECT sum(a.range * b.range) AS n FROM range(3000000) a, range(300000) b"
        return "SELECT sum(id % 7) AS n FROM range(2000000000000)"  # Sail stops at the end of a part, so the parts are small.

    @property
    def many(self) -> str:
        return "SELECT range AS id FROM range(300000)" if self.kind == "duckdb" else "SELECT id FROM range(300000)"


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Words]:
    root = tmp_path_factory.mktemp("lake")
    if request.param == "duckdb":
        engine = DuckDbEngine(root=root, spill=tmp_path_factory.mktemp("spill"), workers=2, memory_mb=512, threads=1).start()
        engine.wait_ready()
        yield Words(engine, root, "duckdb")
        engine.close()
        return
    with sail() as url:
        spark = SparkEngine(url, root=root, parallel=2)
        yield Words(spark, root, "spark")
        spark.close()


def rows(words: Words, sql: str, **options: object) -> list[dict[str, object]]:
    with words.engine.query(sql, **options) as found:  # type: ignore[arg-type]  # Passed on as they are.
        return [row for batch in found for row in batch.to_pylist()]


def test_columns_are_known_before_the_rows_and_without_any(words: Words) -> None:
    with words.engine.query("SELECT 1 AS a, 'x' AS b, CAST(1.5 AS DECIMAL(5,2)) AS c") as found:
        assert [(column.name, column.type_text) for column in found.columns] == [("a", "int"), ("b", "string"), ("c", "decimal(5,2)")]
        assert found.schema.names == ["a", "b", "c"]
    with words.engine.query("SELECT 1 AS a WHERE 1 = 0") as found:
        assert [column.name for column in found.columns] == ["a"]
        assert sum(batch.num_rows for batch in found) == 0
    assert [(column.name, column.type_text) for column in words.engine.bind("SELECT CAST(1 AS BIGINT) AS n")] == [("n", "bigint")]


def test_files_and_streams_are_read(words: Words) -> None:
    for name, values in (("one", [1, 2]), ("two", [3])):
        pq.write_table(pa.table({"id": values}), words.root / f"{name}.parquet")
    sink = pa.BufferOutputStream()
    table = pa.table({"id": pa.array([2, 3, 4], pa.int64()), "name": ["b", "c", None]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    source = words.files(words.root / "one.parquet", words.root / "two.parquet")
    sql = f"SELECT f.id, n.name FROM {source} AS f JOIN names AS n ON f.id = n.id ORDER BY f.id"
    assert rows(words, sql, tables={"names": sink.getvalue().to_pybytes()}) == [{"id": 2, "name": "b"}, {"id": 3, "name": "c"}]


def test_large_results_come_in_parts(words: Words) -> None:
    with words.engine.query(words.many) as found:
        parts = [batch.num_rows for batch in found]
    assert sum(parts) == 300_000
    assert len(parts) > 1


def test_wrong_values_are_told(words: Words) -> None:
    with pytest.raises(CastInvalidInput):
        rows(words, "SELECT CAST(v AS INT) AS a FROM (VALUES ('secret')) AS t(v)")
    if words.kind == "spark":  # On DuckDB the dialect writes the check into the statement.
        with pytest.raises(DivideByZero) as caught:
            rows(words, "SELECT a / b AS c FROM (VALUES (1, 0)) AS t(a, b)")
        assert "t(a" not in caught.value.message


def test_a_statement_is_stopped(words: Words) -> None:
    token = CancelToken()
    timer = threading.Timer(0.5, token.cancel)
    timer.start()
    with pytest.raises(StatementCancelled):
        rows(words, words.long, cancel=token)
    with pytest.raises(StatementTimedOut):
        rows(words, words.long, limits=EngineLimits(timeout_s=0.5))
    assert rows(words, "SELECT 1 AS a") == [{"a": 1}]


def test_those_who_come_later_wait_for_a_place(words: Words) -> None:
    before = words.engine.stats()
    assert (before.workers, before.busy, before.waiting) == (2, 0, 0)
    with words.engine.query(words.many), words.engine.query(words.many):
        positions: list[int] = []
        with pytest.raises(WarehouseBusy):
            rows(words, "SELECT 1 AS a", limits=EngineLimits(queue_timeout_s=0.3), on_queue=positions.append)
        assert positions[0] == 1
    assert rows(words, "SELECT 1 AS a") == [{"a": 1}]
    assert words.engine.stats().busy == 0


def test_a_server_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    engine = SparkEngine("sc://127.0.0.1:9", root=tmp_path)
    with pytest.raises(Unavailable):
        engine.query("SELECT 1", limits=EngineLimits(timeout_s=60))
    assert engine.stats().busy == 0
