"""What the SQL engine writes is committed by us and read alike by us, by the engine and by deltalake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from insjo.adapters.delta.storage import DeltaStorage
from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.catalog.column_types import checked_columns
from insjo.catalog.ports import Commit
from insjo.catalog.types import Column, NewFile
from tests.contract.table_storage.test_against_deltalake import assert_same, theirs

TYPES = {
    "id": "bigint",
    "small": "smallint",
    "price": "decimal(12,3)",
    "name": "string",
    "ok": "boolean",
    "at": "timestamp",
    "raw": "binary",
    "tags": "array<string>",
    "place": "struct<x:int,y:struct<z:double>>",
    "part": "string",
    "day": "date",
}
ROWS = """
SELECT i::BIGINT AS id, (i % 7)::SMALLINT AS small, (i / 8)::DECIMAL(12,3) AS price,
       CASE WHEN i % 5 = 0 THEN NULL ELSE 'n ' || i END AS name, i % 2 = 0 AS ok,
       TIMESTAMPTZ '2024-02-29 12:00:00.123456+00' + to_seconds(i) AS at, ('b' || i)::BLOB AS raw,
       ['a', NULL, 'å' || i] AS tags, {'x': i::INTEGER, 'y': {'z': i / 3.0::DOUBLE}} AS place,
       CASE i % 4 WHEN 0 THEN 'with space' WHEN 1 THEN 'å/ö=%' WHEN 2 THEN NULL ELSE 'plain' END AS part,
       DATE '2024-01-01' + (i % 3)::INTEGER AS day
FROM range(200) t(i)
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbEngine]:
    root = tmp_path_factory.mktemp("lake")
    engine = DuckDbEngine(root=root, spill=tmp_path_factory.mktemp("spill"), workers=1, memory_mb=512, threads=1).start()
    engine.wait_ready()
    yield engine
    engine.close()


@pytest.mark.parametrize("partitions", [(), ("part",), ("part", "day")])
def test_exported_files_are_a_delta_table(engine: DuckDbEngine, partitions: tuple[str, ...]) -> None:
    location = str(engine._root / ("t" + "-".join(partitions)))
    storage = DeltaStorage()
    columns = checked_columns([Column(name, kind) for name, kind in TYPES.items()])
    storage.commit(location, Commit(-1, columns=columns, partition_columns=partitions))
    written = engine.export(ROWS, Path(location), partition_columns=partitions)
    adds = [NewFile(each.path, each.rows, each.size_bytes, each.partition_values, each.stats) for each in written]
    storage.commit(location, Commit(0, adds, blind=True))
    snapshot = storage.snapshot(location)
    assert snapshot.rows == 200
    assert_same(location, snapshot)
    known = pa.table(DeltaTable(location).get_add_actions(flatten=True)).to_pylist()
    assert sum(row["num_records"] for row in known) == 200
    assert min(row["min.id"] for row in known) == 0
    assert max(row["max.id"] for row in known) == 199
    names = sorted(f"n {number}" for number in range(200) if number % 5)
    assert sorted(str(row["name"]) for row in theirs(location) if row["name"]) == names
    if partitions:
        assert {file.partition_values["part"] for file in snapshot.files} == {"with space", "å/ö=%", None, "plain"}
    assert snapshot.uniform, [file.stats for file in snapshot.files][:1]
