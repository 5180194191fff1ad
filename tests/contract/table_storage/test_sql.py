"""Statements over tables and files of an object store: the engine's workers read local copies, which may go at any moment between."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.catalog.types import TableName
from tests.contract.table_storage.test_foreign_features import vector_of
from tests.support.desk import Desk, open_desk, open_engine
from tests.support.stores import Opened, Store, opened


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DuckDbEngine, Path]]:
    root = tmp_path_factory.mktemp("lake")
    with open_engine(root) as made:
        yield made, root


@pytest.fixture(params=("s3", "azure"))  # The local disk has no copies; tests/unit/sql is its suite.
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found.below(secrets.token_hex(6))


@pytest.fixture
def server(store: Store, engine: tuple[DuckDbEngine, Path], request: pytest.FixtureRequest) -> Iterator[Opened]:
    with opened(store, engine[1] / f"{abs(hash(request.node.nodeid)):x}") as made:
        yield made


@pytest.fixture
def desk(server: Opened, engine: tuple[DuckDbEngine, Path]) -> Iterator[Desk]:
    with open_desk(server.root, engine[0], server=server) as made:
        yield made


def drop_copies(server: Opened) -> int:
    """What the bound of the cache does, at its worst; gives the number of files."""
    assert server.mirror is not None
    found = [path for area in ("tables", "volumes") for path in (server.root / area).rglob("*") if path.is_file()]
    gone = [path for path in found if "_delta_log" not in path.parts]
    for path in gone:
        path.unlink()
    server.mirror.forget(str(server.root))
    return len(gone)


def test_rows_change_and_are_read_without_a_copy_at_hand(desk: Desk, server: Opened, store: Store) -> None:
    desk.run("CREATE TABLE t (id INT, region STRING, amount DECIMAL(10,2)) PARTITIONED BY (region)")
    desk.run("INSERT INTO t VALUES (1, 'north', 10), (2, 'å/ö =%', 20), (3, NULL, 30)")
    assert drop_copies(server) == 3
    assert desk.value("SELECT sum(amount) FROM t") == 60
    for text in (
        "UPDATE t SET amount = amount + 1 WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        """MERGE INTO t USING (SELECT 3 AS id, 5.0 AS more UNION ALL SELECT 4, 7.0) AS s ON t.id = s.id
           WHEN MATCHED THEN UPDATE SET amount = t.amount + s.more
           WHEN NOT MATCHED THEN INSERT (id, region, amount) VALUES (s.id, 'new', s.more)""",
        "OPTIMIZE t",
    ):
        drop_copies(server)
        desk.run(text)
    drop_copies(server)
    assert desk.rows("SELECT id, region, CAST(amount AS DOUBLE) FROM t ORDER BY id") == [
        (1, "north", 11.0),
        (3, None, 35.0),
        (4, "new", 7.0),
    ]
    assert desk.value("SELECT count(*) FROM t VERSION AS OF 1") == 3
    desk.run("RESTORE TABLE t TO VERSION AS OF 1")
    drop_copies(server)
    assert desk.value("SELECT sum(id) FROM t") == 6
    desk.run("CREATE OR REPLACE TABLE c AS SELECT region, count(*) AS n FROM t GROUP BY ALL")
    drop_copies(server)
    assert desk.value("SELECT sum(n) FROM c") == 3
    location = desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "t")).location
    table = DeltaTable(f"{store.url}/{Path(location).relative_to(server.root)}", storage_options=store.delta_options)
    stream = QueryBuilder().register("t", table).execute("SELECT sum(id) AS n FROM t")
    assert pa.RecordBatchReader.from_stream(stream).read_all().to_pydict() == {"n": [6]}


def test_the_change_data_feed_lies_in_the_store_too(desk: Desk, server: Opened) -> None:
    desk.run("CREATE TABLE fed (id INT, name STRING) TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    desk.run("INSERT INTO fed VALUES (1, 'a'), (2, 'b')")
    drop_copies(server)
    desk.run("UPDATE fed SET name = 'c' WHERE id = 1")
    desk.run("DELETE FROM fed WHERE id = 2")
    drop_copies(server)
    assert desk.rows("SELECT _commit_version, _change_type, id, name FROM table_changes('fed', 1) ORDER BY ALL") == [
        (1, "insert", 1, "a"),
        (1, "insert", 2, "b"),
        (2, "update_postimage", 1, "c"),
        (2, "update_preimage", 1, "a"),
        (3, "delete", 2, "b"),
    ]


def test_only_the_files_that_a_filter_leaves_are_fetched(desk: Desk, server: Opened) -> None:
    desk.run("CREATE TABLE p (id INT, day DATE) PARTITIONED BY (day)")
    desk.run("INSERT INTO p SELECT id, date_add(DATE '2026-01-01', CAST(id AS INT)) FROM range(20)")
    assert drop_copies(server) == 20
    assert desk.value("SELECT count(*) FROM p WHERE day = DATE '2026-01-05'") == 1
    assert drop_copies(server) == 1


def test_files_of_volumes_are_read_as_they_are_now(desk: Desk, server: Opened) -> None:
    for content, expected in (("id,name\n1,Åsa\n2,Bo\n", 3), ("id,name\n10,Åsa\n20,Bo\n", 30)):
        path = desk.put("people [1].csv", content)
        drop_copies(server)
        query = f"SELECT sum(id) FROM read_files('{path}', format => 'csv', header => true)"
        assert desk.value(query) == expected
    desk.run("CREATE TABLE people (id INT, name STRING)")
    copy = "COPY INTO people FROM '/Volumes/main/desk/files/' FILEFORMAT = CSV FORMAT_OPTIONS ('header' = 'true', 'inferSchema' = 'true')"
    desk.run(copy)
    desk.run(copy)  # Does nothing: the file was copied.
    assert desk.value("SELECT sum(id) FROM people") == 30
    (name,) = {str(row[0]) for row in desk.rows("SELECT _metadata.file_path FROM read_files('/Volumes/main/desk/files/', format => 'csv')")}
    assert name.endswith("/Volumes/main/desk/files/people [1].csv")
    assert (
        "insjo-copies" not in desk.error("SELECT * FROM read_files('/Volumes/main/desk/files/people [1].csv', format => 'parquet')").message
    )


def test_a_dropped_table_and_a_dropped_volume_leave_no_object(desk: Desk, server: Opened) -> None:
    assert server.objects is not None
    before = {each.key for each in server.objects.list("")}
    desk.run("CREATE VOLUME more")
    desk.lake.room.files.write(desk.ctx, "/Volumes/main/desk/more/a/b.txt", [b"x"])
    desk.run("CREATE TABLE gone AS SELECT 1 AS a")
    assert {each.key for each in server.objects.list("")} > before
    desk.run("DROP TABLE gone PURGE")
    desk.run("DROP VOLUME more")
    assert {each.key for each in server.objects.list("")} == before
    assert "SELECT" not in desk.error("CREATE TABLE bad AS SELECT raise_error('no') AS a").message
    assert {each.key for each in server.objects.list("")} == before


def test_a_delta_table_of_others_in_a_volume_is_read_and_written(desk: Desk, server: Opened, store: Store) -> None:
    volume = desk.lake.room.volumes.get(desk.ctx, "main.desk.files")
    address = f"{store.url}/{Path(volume.location).relative_to(server.root)}/theirs"
    write_deltalake(address, pa.table({"id": [1, 2, 3]}), storage_options=store.delta_options)
    desk.lake.room.tables.create_external(desk.ctx, TableName("main", "desk", "ext"), "/Volumes/main/desk/files/theirs")
    assert desk.value("SELECT sum(id) FROM ext") == 6
    desk.run("INSERT INTO ext VALUES (4)")
    if store.kind == "s3":  # Against Azurite deltalake itself cannot append: its listing of the log is not what it expects.
        write_deltalake(address, pa.table({"id": [5]}), storage_options=store.delta_options, mode="append")
    else:
        desk.run("INSERT INTO ext VALUES (5)")
    drop_copies(server)
    assert desk.value("SELECT sum(id) FROM ext") == 15


def test_a_table_with_deletion_vectors_is_read_through_a_copy(desk: Desk, server: Opened) -> None:
    desk.run("CREATE TABLE t AS SELECT id FROM range(5)")
    found = desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "t"))
    assert server.objects is not None
    key = f"{Path(found.location).relative_to(server.root)}/_delta_log/00000000000000000001.json"
    (file,) = desk.lake.room.tables.snapshot(found.id).files
    add = {"path": file.log_path, "partitionValues": {}, "size": file.size_bytes, "modificationTime": 1, "dataChange": True}
    remove = {"path": file.log_path, "deletionTimestamp": 1, "dataChange": True, "partitionValues": {}, "size": file.size_bytes}
    features = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    actions = [{"protocol": features}, {"remove": remove}, {"add": {**add, "deletionVector": vector_of([0, 4])}}]
    assert server.objects.put(key, "\n".join(json.dumps(each) for each in actions).encode(), if_absent=True)
    drop_copies(server)
    assert desk.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,), (3,)]
