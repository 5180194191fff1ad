"""Our reading of tables that deltalake wrote, and deltalake's reading of tables that we wrote, are the same."""

from __future__ import annotations

import datetime as dt
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from insjo.adapters.delta.storage import DeltaStorage
from insjo.catalog.column_types import checked_columns
from insjo.catalog.ports import Commit
from insjo.catalog.types import Column, NewFile, Snapshot
from tests.support.lake import read_files, write_file

UTC = dt.UTC


def sorted_rows(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def theirs(location: str, version: int | None = None) -> list[dict[str, Any]]:
    stream = QueryBuilder().register("t", DeltaTable(location, version=version)).execute("SELECT * FROM t")
    rows: list[dict[str, Any]] = pa.RecordBatchReader.from_stream(stream).read_all().to_pylist()
    return rows


def assert_same(location: str, snapshot: Snapshot) -> None:
    table = DeltaTable(location, version=snapshot.version)
    assert sorted(file.path for file in snapshot.files) == sorted(Path(uri.removeprefix("file://")).as_posix() for uri in table.file_uris())
    assert sorted_rows(read_files(snapshot)) == sorted_rows(theirs(location, snapshot.version))
    assert [column.name for column in snapshot.columns] == [field.name for field in table.schema().fields]
    assert snapshot.partition_columns == tuple(table.metadata().partition_columns)
    known = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    assert sorted((file.size_bytes, file.rows) for file in snapshot.files) == sorted(
        (row["size_bytes"], row["num_records"]) for row in known
    )


MIXED = pa.table(
    {
        "i8": pa.array([1, None], pa.int8()),
        "i16": pa.array([1, None], pa.int16()),
        "i32": pa.array([1, None], pa.int32()),
        "i64": pa.array([2**60, None], pa.int64()),
        "f32": pa.array([1.5, None], pa.float32()),
        "f64": pa.array([1e300, None], pa.float64()),
        "dec": pa.array([Decimal("12345678901234567890.12"), None], pa.decimal128(22, 2)),
        "flag": pa.array([True, None], pa.bool_()),
        "text": pa.array(["å ö `quoted`", None], pa.string()),
        "raw": pa.array([b"\x00\xff", None], pa.binary()),
        "day": pa.array([dt.date(1969, 12, 31), None], pa.date32()),
        "moment": pa.array([dt.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "list": pa.array([[1, None], None], pa.list_(pa.int32())),
        "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        "struct": pa.array([{"x": 1, "y": {"z": "deep"}}, None], pa.struct([("x", pa.int32()), ("y", pa.struct([("z", pa.string())]))])),
    },
)
TYPE_TEXTS = [
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(22,2)",
    "boolean",
    "string",
    "binary",
    "date",
    "timestamp",
    "array<int>",
    "map<string,bigint>",
    "struct<x:int,y:struct<z:string>>",
]


def test_all_types_of_a_foreign_table(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", MIXED)
    snapshot = DeltaStorage().snapshot(str(tmp_path / "t"))
    assert [column.type_text for column in snapshot.columns] == TYPE_TEXTS
    assert_same(str(tmp_path / "t"), snapshot)


def test_timestamps_without_zone_are_a_feature_that_we_read_and_write(tmp_path: Path) -> None:
    naive = dt.datetime(2024, 1, 1, 12)  # noqa: DTZ001  # That is the point.
    rows = pa.table({"id": [1], "at": pa.array([naive], pa.timestamp("us"))})
    write_deltalake(tmp_path / "foreign", rows)
    snapshot = DeltaStorage().snapshot(str(tmp_path / "foreign"))
    assert snapshot.columns[1].type_text == "timestamp_ntz"
    assert not snapshot.unwritable_reason
    assert_same(str(tmp_path / "foreign"), snapshot)

    own, storage = str(tmp_path / "own"), DeltaStorage()
    storage.commit(own, Commit(-1, columns=checked_columns([Column("id", "bigint")]), partition_columns=()))
    later = checked_columns([Column("id", "bigint"), Column("at", "timestamp_ntz")])
    storage.commit(own, Commit(0, columns=later))
    storage.commit(own, Commit(1, [write_file(own, rows)]))
    assert_same(own, storage.snapshot(own))
    assert theirs(own) == [{"id": 1, "at": naive}]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["plain", "with space", "å/ö=%&?#", None, "100%"]),
        (pa.int64(), [1, -5, None]),
        (pa.date32(), [dt.date(2024, 2, 29), dt.date(1, 1, 1), None]),
        (pa.bool_(), [True, False, None]),
        (pa.decimal128(10, 3), [Decimal("1.500"), Decimal("7.001"), None]),
        (pa.timestamp("us", "UTC"), [dt.datetime(2024, 1, 1, tzinfo=UTC), dt.datetime(2024, 1, 1, 1, 2, 3, 456789, tzinfo=UTC), None]),
        (pa.float64(), [1.5, -0.25, None]),
    ],
)
def test_partitions_of_a_foreign_table(tmp_path: Path, kind: pa.DataType, values: list[Any]) -> None:
    rows = pa.table({"id": list(range(len(values))), "part": pa.array(values, kind)})
    write_deltalake(tmp_path / "t", rows, partition_by=["part"])
    snapshot = DeltaStorage().snapshot(str(tmp_path / "t"))
    assert {row["id"]: row["part"] for row in read_files(snapshot)} == dict(enumerate(values))
    assert_same(str(tmp_path / "t"), snapshot)


def test_an_empty_text_in_a_partition_is_null(tmp_path: Path) -> None:
    """As the protocol says ("Partition Value Serialization") and Spark reads it; deltalake alone gives the empty text back."""
    write_deltalake(tmp_path / "t", pa.table({"id": [1], "part": [""]}), partition_by=["part"])
    assert read_files(DeltaStorage().snapshot(str(tmp_path / "t"))) == [{"id": 1, "part": None}]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("string", ["plain", "with space", "å/ö=%&?#", None, "100%"]),
        ("int", [1, -5, None]),
        ("date", [dt.date(2024, 2, 29), None]),
        ("boolean", [True, False, None]),
        ("decimal(10,3)", [Decimal("1.500"), Decimal("-0.001"), None]),
        ("timestamp", [dt.datetime(2024, 1, 1, tzinfo=UTC), dt.datetime(2024, 1, 1, 1, 2, 3, 456789, tzinfo=UTC), None]),
    ],
)
def test_partitions_of_our_tables(tmp_path: Path, kind: str, values: list[Any]) -> None:
    location, storage = str(tmp_path / "t"), DeltaStorage()
    columns = checked_columns([Column("id", "bigint"), Column("part", kind)])
    storage.commit(location, Commit(-1, columns=columns, partition_columns=("part",)))
    adds = []
    for number, value in enumerate(values):
        plain = write_file(location, pa.table({"id": [number]}))
        adds.append(NewFile(plain.path, plain.rows, plain.size_bytes, {"part": value}, plain.stats))
    storage.commit(location, Commit(0, adds))
    snapshot = storage.snapshot(location)
    assert {row["id"]: row["part"] for row in read_files(snapshot)} == dict(enumerate(values))
    assert_same(location, snapshot)


def test_all_types_of_our_tables_with_statistics(tmp_path: Path) -> None:
    location, storage = str(tmp_path / "t"), DeltaStorage()
    columns = checked_columns([Column(name, kind) for name, kind in zip(MIXED.column_names, TYPE_TEXTS, strict=True)])
    storage.commit(location, Commit(-1, columns=columns, partition_columns=()))
    file = write_file(location, MIXED)
    stats = {
        "minValues": {"i64": 2**60, "dec": Decimal("12345678901234567890.12"), "day": "1969-12-31", "moment": "2024-02-29T23:59:59.999Z"},
        "maxValues": {"i64": 2**60, "dec": Decimal("12345678901234567890.12"), "day": "1969-12-31", "moment": "2024-03-01T00:00:00.000Z"},
        "nullCount": {name: 1 for name in MIXED.column_names if name not in {"list", "map", "struct"}},
    }
    storage.commit(location, Commit(0, [NewFile(file.path, 2, file.size_bytes, {}, stats)]))
    snapshot = storage.snapshot(location)
    assert_same(location, snapshot)
    known = pa.table(DeltaTable(location).get_add_actions(flatten=True)).to_pylist()[0]
    assert (known["min.i64"], known["min.dec"], known["min.day"]) == (2**60, Decimal("12345678901234567890.12"), dt.date(1969, 12, 31))
    assert known["null_count.text"] == 1
    assert snapshot.files[0].stats is not None
    assert snapshot.files[0].stats["minValues"]["dec"] == Decimal("12345678901234567890.12")


def test_many_writers_checkpoints_and_maintenance(tmp_path: Path) -> None:
    """A random life of a table under both writers; after each step the held snapshot, a fresh one and deltalake agree."""
    chance = random.Random(20261123)
    location, storage = str(tmp_path / "t"), DeltaStorage()
    columns = checked_columns([Column("id", "bigint"), Column("part", "string")])
    storage.commit(location, Commit(-1, columns=columns, partition_columns=("part",)))
    held = storage.snapshot(location)
    number = 0
    for _ in range(120):
        step = chance.choice(["ours", "ours", "theirs", "delete", "optimize", "checkpoint", "replace", "restore"])
        if step == "ours":
            part = chance.choice(["a", "b", "ö ö"])
            held = storage.snapshot(location, held=held)
            number += 1
            file = write_file(location, pa.table({"id": [number]}), {"part": part})
            storage.commit(location, Commit(held.version, [file], blind=True, held=held))
        elif step == "theirs":
            number += 1
            write_deltalake(location, pa.table({"id": [number], "part": [chance.choice(["a", "c"])]}), mode="append")
        elif step == "delete":
            DeltaTable(location).delete(f"id % 7 = {chance.randrange(7)}")
        elif step == "optimize":
            DeltaTable(location).optimize.compact()
        elif step == "checkpoint":
            DeltaTable(location).create_checkpoint()
        elif step == "replace":
            held = storage.snapshot(location, held=held)
            gone = [file for file in held.files if chance.random() < 0.3]
            storage.commit(location, Commit(held.version, removes=gone, operation="DELETE", held=held))
        elif step == "restore" and held.version > 3:
            held = storage.snapshot(location, held=held)
            target = storage.snapshot(location, version=chance.randrange(1, held.version))
            storage.commit(location, Commit(held.version, operation="RESTORE", held=held, restore=target))
        held = storage.snapshot(location, held=held)
        fresh = DeltaStorage().snapshot(location)
        assert sorted(file.path for file in held.files) == sorted(file.path for file in fresh.files)
        assert {file.path: file for file in held.files} == {file.path: file for file in fresh.files}
        assert held.version == DeltaTable(location).version()
    assert_same(location, held)
    for version in range(0, held.version, 17):
        assert_same(location, storage.snapshot(location, version=version))
    times = [entry.timestamp for entry in storage.history(location, 1000)]
    assert len(times) == held.version + 1


def test_checkpoints_replace_the_commits_that_are_gone(tmp_path: Path) -> None:
    location, storage = str(tmp_path / "t"), DeltaStorage()
    for number in range(12):
        write_deltalake(location, pa.table({"id": [number], "at": pa.array([number], pa.decimal128(20, 3))}), mode="append")
    DeltaTable(location).create_checkpoint()
    write_deltalake(location, pa.table({"id": [99], "at": pa.array([1], pa.decimal128(20, 3))}), mode="append")
    for version in range(11):
        (Path(location) / "_delta_log" / f"{version:020d}.json").unlink()
    snapshot = storage.snapshot(location)
    assert snapshot.version == 12
    assert sorted(row["id"] for row in read_files(snapshot)) == [*range(12), 99]
    assert_same(location, snapshot)


def test_a_checkpoint_in_the_second_form_with_files_beside_it(tmp_path: Path) -> None:
    """Such checkpoints are read by deltalake and not written by it, so this one is made by hand from one of the first form."""
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1, 2]}))
    write_deltalake(location, pa.table({"id": [3]}), mode="append")
    log = Path(location) / "_delta_log"
    DeltaTable(location).create_checkpoint()
    classic = log / f"{1:020d}.checkpoint.parquet"
    rows = pq.read_table(classic)
    beside = log / "_sidecars" / "3a0d65cd-4056-49b8-937b-95f9e3ee90e5.parquet"
    beside.parent.mkdir()
    adds = rows.filter(pa.compute.is_valid(pa.compute.struct_field(rows["add"], "path"))).select(["add"])
    pq.write_table(adds, beside)
    classic.unlink()
    (log / "_last_checkpoint").unlink()
    first = [json.loads(line) for line in (log / f"{0:020d}.json").read_text().splitlines()]
    metadata = next(line["metaData"] for line in first if "metaData" in line)
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["v2Checkpoint"], "writerFeatures": ["v2Checkpoint"]}
    top = [
        {"checkpointMetadata": {"version": 1}},
        {"protocol": protocol},
        {"metaData": metadata},
        {"sidecar": {"path": beside.name, "sizeInBytes": beside.stat().st_size, "modificationTime": 1}},
    ]
    name = f"{1:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    (log / name).write_text("\n".join(json.dumps(line) for line in top))
    for version in range(2):
        (log / f"{version:020d}.json").unlink()
    storage = DeltaStorage()
    snapshot = storage.snapshot(location)
    assert snapshot.version == 1
    assert sorted(row["id"] for row in read_files(snapshot)) == [1, 2, 3]
    assert not snapshot.unwritable_reason


def test_deltalake_writes_to_a_table_that_we_made(tmp_path: Path) -> None:
    location, storage = str(tmp_path / "t"), DeltaStorage()
    columns = checked_columns([Column("id", "bigint", comment="the key"), Column("name", "string")])
    storage.commit(location, Commit(-1, columns=columns, partition_columns=(), user="anna", operation="CREATE TABLE"))
    write_deltalake(location, pa.table({"id": [1], "name": ["a"]}), mode="append")
    table = DeltaTable(location)
    table.merge(
        pa.table({"id": [1, 2], "name": ["b", "c"]}), "s.id = t.id", "s", "t"
    ).when_matched_update_all().when_not_matched_insert_all().execute()
    snapshot = storage.snapshot(location)
    assert sorted((row["id"], row["name"]) for row in read_files(snapshot)) == [(1, "b"), (2, "c")]
    assert snapshot.columns[0].comment == "the key"
    assert_same(location, snapshot)


def test_files_that_are_alike_are_known_to_be(tmp_path: Path) -> None:
    """Of columns without statistics the files themselves tell, and of our own files a tag that outlives checkpoints."""
    foreign, storage = str(tmp_path / "foreign"), DeltaStorage()
    rows = pa.table({"id": [1], "tags": pa.array([["a"]], pa.list_(pa.string())), "place": [{"x": 1, "y": {"z": [1.5]}}]})
    write_deltalake(foreign, rows)
    first = storage.snapshot(foreign)
    assert first.uniform
    write_deltalake(foreign, rows.append_column("more", pa.array([[1]], pa.list_(pa.int64()))), mode="append", schema_mode="merge")
    second = storage.snapshot(foreign, held=first)
    assert not second.uniform
    assert not DeltaStorage().snapshot(foreign).uniform
    DeltaTable(foreign).optimize.compact()
    assert storage.snapshot(foreign, held=second).uniform

    own = str(tmp_path / "own")
    columns = [Column("id", "bigint"), Column("tags", "array<string>"), Column("place", "struct<x:bigint,y:struct<z:array<double>>>")]
    storage.commit(own, Commit(-1, columns=checked_columns(columns), partition_columns=()))
    file = write_file(own, rows)
    storage.commit(own, Commit(0, [NewFile(file.path, 1, file.size_bytes)]))
    DeltaTable(own).create_checkpoint()
    (Path(own) / "_delta_log" / f"{0:020d}.json").unlink()
    (Path(own) / file.path).rename(tmp_path / "away")  # So that only the tag can tell.
    assert DeltaStorage().snapshot(own).uniform
    (tmp_path / "away").rename(Path(own) / file.path)
    nested = [*columns[:2], Column("place", "struct<x:bigint,y:struct<z:array<double>,more:int>>")]
    storage.commit(own, Commit(1, columns=checked_columns(nested)))
    assert not storage.snapshot(own).uniform
