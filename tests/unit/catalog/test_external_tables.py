from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from insjo.access.errors import AccessDenied, VolumeNotFound
from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.catalog.errors import FeatureUnsupported, InvalidColumn, InvalidPath, TableAlreadyExists, TableDamaged
from insjo.catalog.types import TableName, TableType
from tests.contract.table_storage.test_foreign_features import add_of, commit_by_hand, vector_of
from tests.support.lake import Lake, append, columns, read_files

NAME = TableName("main", "sales", "foreign")
HOME = "/Volumes/main/sales/files"


@pytest.fixture
def folder(lake: Lake) -> Path:
    volume = lake.room.volumes.create(lake.admin, "main.sales.files")
    return Path(volume.location)


def rows(lake: Lake, version: int | None = None) -> list[int]:
    resolved = lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "foreign", version=version)])[0]
    assert resolved.snapshot is not None
    return sorted(row["id"] for row in read_files(resolved.snapshot))


def test_a_table_that_others_wrote_is_read_written_and_followed(lake: Lake, folder: Path) -> None:
    location = folder / "shop" / "orders"
    write_deltalake(location, pa.table({"id": [1, 2], "day": ["a", "b"]}), partition_by=["day"])
    table = lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/shop/orders", comment="From the shop")
    assert (table.table_type, table.partition_columns, table.comment) == (TableType.EXTERNAL, ("day",), "From the shop")
    assert rows(lake) == [1, 2]
    write_deltalake(location, pa.table({"id": [3], "day": ["a"], "more": [1.5]}), mode="append", schema_mode="merge")
    assert rows(lake) == [1, 2, 3]
    assert [column.name for column in lake.room.tables.get(lake.admin, NAME).columns] == ["id", "day", "more"]
    assert [column.name for column in lake.room.information.survey(lake.admin)[0].columns] == ["id", "day", "more"]
    DeltaTable(location).delete("id = 1")
    DeltaTable(location).optimize.compact()
    assert rows(lake) == [2, 3]
    assert rows(lake, version=0) == [1, 2]
    lake.room.tables.drop(lake.admin, NAME)
    assert DeltaTable(location).to_pyarrow_table().num_rows == 2


def test_a_new_one_is_made_in_the_volume(lake: Lake, folder: Path) -> None:
    with pytest.raises(TableDamaged, match="no Delta table"):
        lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/new")
    lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/new", columns(id="bigint"))
    append(lake, lake.admin, NAME.full_name, pa.table({"id": [7]}))
    assert DeltaTable(folder / "new").to_pyarrow_table().to_pylist() == [{"id": 7}]
    with pytest.raises(TableAlreadyExists):
        lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/new")
    with pytest.raises(InvalidColumn, match="other columns"):
        lake.room.tables.create_external(lake.admin, TableName("main", "sales", "twice"), f"{HOME}/new", columns(id="int"))


def test_it_lies_in_a_directory_of_a_volume_that_one_may_read_and_write(lake: Lake, folder: Path) -> None:
    for path in (str(folder), "/srv/x", HOME, f"{HOME}/../x", "s3://bucket/x"):
        with pytest.raises(InvalidPath):
            lake.room.tables.create_external(lake.admin, NAME, path, columns(id="bigint"))
    anna = lake.person("anna")
    catalog = lake.access.securables.find(SecurableKind.CATALOG, "main")
    schema = lake.access.securables.find(SecurableKind.SCHEMA, "main.sales")
    assert catalog
    assert schema
    lake.access.grants.grant(lake.admin, catalog.id, "anna", [Privilege.USE_CATALOG])
    lake.access.grants.grant(lake.admin, schema.id, "anna", [Privilege.USE_SCHEMA, Privilege.CREATE_TABLE])
    volume = lake.access.securables.find(SecurableKind.VOLUME, "main.sales.files")
    assert volume
    lake.access.grants.revoke(lake.admin, schema.id, "anna", [Privilege.CREATE_TABLE])
    with pytest.raises(AccessDenied, match="CREATE TABLE"):
        lake.room.tables.create_external(anna, NAME, f"{HOME}/new", columns(id="bigint"))
    lake.access.grants.grant(lake.admin, schema.id, "anna", [Privilege.CREATE_TABLE])
    with pytest.raises((AccessDenied, VolumeNotFound)):
        lake.room.tables.create_external(anna, NAME, f"{HOME}/new", columns(id="bigint"))
    lake.access.grants.grant(lake.admin, volume.id, "anna", [Privilege.READ_VOLUME])
    with pytest.raises(AccessDenied, match="WRITE VOLUME"):
        lake.room.tables.create_external(anna, NAME, f"{HOME}/new", columns(id="bigint"))
    assert not (folder / "new").exists()


def test_labels_of_the_files_count_for_the_table_also_when_they_come_later(lake: Lake, folder: Path) -> None:
    lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/hr/pay", columns(id="bigint"))
    assert lake.room.tables.resolve_many(lake.admin, [NAME])[0].label.level is Level.INTERNAL
    lake.room.files.set_label(lake.admin, f"{HOME}/hr", Label(Level.SECRET, frozenset({"salary"})))
    assert lake.room.tables.resolve_many(lake.admin, [NAME])[0].label == Label(Level.SECRET, frozenset({"salary"}))


def test_a_table_with_deletion_vectors_is_read_right_and_its_copy_goes_with_it(lake: Lake, folder: Path) -> None:
    location = str(folder / "vectors")
    write_deltalake(location, pa.table({"id": list(range(10))}))
    table = lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/vectors")
    add = add_of(lake.room.tables.snapshot(table.id))
    features = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    remove = {"path": add["path"], "dataChange": True, "deletionTimestamp": 1, "partitionValues": {}, "size": add["size"]}
    commit_by_hand(location, 1, {"protocol": features}, {"add": {**add, "deletionVector": vector_of([0, 4, 9])}}, {"remove": remove})
    assert rows(lake) == [1, 2, 3, 5, 6, 7, 8]
    assert rows(lake, version=0) == list(range(10))
    copies = lake.root / "tables" / "_plain" / table.id
    assert copies.is_dir()
    lake.room.start()
    assert copies.is_dir()
    with lake.room.tables.begin_write(lake.admin, NAME) as write:
        assert not write.snapshot.readable_as_files
        assert not write.snapshot.unwritable_reason


def test_a_table_that_nothing_here_reads_says_why(lake: Lake, folder: Path) -> None:
    location = str(folder / "odd")
    write_deltalake(location, pa.table({"id": [1]}))
    lake.room.tables.create_external(lake.admin, NAME, f"{HOME}/odd")
    features = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["newThing"], "writerFeatures": ["newThing"]}
    commit_by_hand(location, 1, {"protocol": features})
    with pytest.raises(FeatureUnsupported, match="newThing"):
        rows(lake)
    lake.room.tables.get(lake.admin, NAME)
    (Path(location) / "_delta_log" / f"{2:020d}.json").write_text(json.dumps({"add": 1}))
    lake.room.tables.get(lake.admin, NAME)
    with pytest.raises(TableDamaged):
        rows(lake)
    lake.room.tables.drop(lake.admin, NAME)
