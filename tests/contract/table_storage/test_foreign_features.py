"""Tables whose files do not mean what they hold: deletion vectors, column mapping, unknown features, paths that lead elsewhere."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from insjo.adapters.delta.copies import DeltaCopies
from insjo.adapters.delta.storage import DeltaStorage
from insjo.catalog.errors import FeatureUnsupported, TableDamaged
from insjo.catalog.ports import Commit
from insjo.catalog.types import Snapshot
from tests.support.lake import read_files, write_file

_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def vector_of(rows: list[int]) -> dict[str, Any]:
    """An inline deletion vector (Delta protocol, "Deletion Vector Format"): one roaring bitmap with one array container."""
    header = struct.pack("<iqi", 1681511377, 1, 0)
    bitmap = struct.pack("<iiHHi", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *sorted(rows))
    content = header + bitmap
    padded = content + b"\0" * (-len(content) % 4)
    text = base64.b85encode(padded).translate(bytes.maketrans(_B85, _Z85)).decode()
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(content), "cardinality": len(rows)}


def commit_by_hand(location: str, version: int, *actions: dict[str, Any]) -> None:
    (Path(location) / "_delta_log" / f"{version:020d}.json").write_text("\n".join(json.dumps(each) for each in actions) + "\n")


def add_of(snapshot: Snapshot) -> dict[str, Any]:
    file = snapshot.files[0]
    return {
        "path": file.log_path,
        "partitionValues": {},
        "size": file.size_bytes,
        "modificationTime": file.modified_ms,
        "dataChange": True,
        "stats": json.dumps({"numRecords": file.rows}),
    }


@pytest.fixture
def with_vectors(tmp_path: Path) -> str:
    """A table of ten rows of which three are deleted by a vector."""
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": list(range(10)), "name": [f"n{number}" for number in range(10)]}))
    add = add_of(DeltaStorage().snapshot(location))
    features = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    remove = {"path": add["path"], "dataChange": True, "deletionTimestamp": 1, "partitionValues": {}, "size": add["size"]}
    commit_by_hand(location, 1, {"protocol": features}, {"add": {**add, "deletionVector": vector_of([0, 4, 9])}}, {"remove": remove})
    return location


def test_deletion_vectors_are_flagged_and_read_through_a_copy(with_vectors: str, tmp_path: Path) -> None:
    storage, copies = DeltaStorage(), DeltaCopies()
    snapshot = storage.snapshot(with_vectors)
    assert not snapshot.readable_as_files
    assert snapshot.unreadable_reason == "deletion vectors"
    assert snapshot.rows is None
    assert len(snapshot.files) == 1
    copy = copies.copy(with_vectors, snapshot, str(tmp_path / "copies"))
    assert sorted(row["id"] for row in read_files(copy)) == [1, 2, 3, 5, 6, 7, 8]
    assert [column.name for column in copy.columns] == ["id", "name"]
    before = [file.path for file in copy.files]
    assert [file.path for file in copies.copy(with_vectors, snapshot, str(tmp_path / "copies")).files] == before
    assert storage.snapshot(with_vectors, version=0).readable_as_files


def test_a_table_with_vectors_takes_appends_and_optimised_files(with_vectors: str, tmp_path: Path) -> None:
    storage = DeltaStorage()
    snapshot = storage.snapshot(with_vectors)
    file = write_file(with_vectors, pa.table({"id": [100], "name": ["new"]}))
    storage.commit(with_vectors, Commit(1, [file], blind=True, held=snapshot))
    copy = DeltaCopies().copy(with_vectors, storage.snapshot(with_vectors), str(tmp_path / "copies"))
    assert sorted(row["id"] for row in read_files(copy)) == [1, 2, 3, 5, 6, 7, 8, 100]
    DeltaTable(with_vectors).optimize.compact()
    held = storage.snapshot(with_vectors, held=snapshot)
    assert held.readable_as_files
    assert sorted(row["id"] for row in read_files(held)) == [1, 2, 3, 5, 6, 7, 8, 100]


def test_vectors_survive_a_checkpoint(with_vectors: str) -> None:
    DeltaTable(with_vectors).create_checkpoint()
    for version in range(2):
        (Path(with_vectors) / "_delta_log" / f"{version:020d}.json").unlink()
    snapshot = DeltaStorage().snapshot(with_vectors)
    assert not snapshot.readable_as_files
    assert len(snapshot.files) == 1


@pytest.fixture
def with_mapping(tmp_path: Path) -> str:
    """A table whose files name the columns otherwise than the schema does."""
    location = tmp_path / "t"
    (location / "_delta_log").mkdir(parents=True)
    pq.write_table(pa.table({"col-1": [1, 2], "col-2": ["a", "b"]}), location / "part.parquet")
    fields = [
        {
            "name": name,
            "type": kind,
            "nullable": True,
            "metadata": {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"},
        }
        for number, (name, kind) in enumerate((("the id", "long"), ("name", "string")), start=1)
    ]
    commit_by_hand(
        str(location),
        0,
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {
            "metaData": {
                "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json.dumps({"type": "struct", "fields": fields}),
                "partitionColumns": [],
                "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"},
                "createdTime": 1,
            },
        },
        {
            "add": {
                "path": "part.parquet",
                "partitionValues": {},
                "size": (location / "part.parquet").stat().st_size,
                "modificationTime": 1,
                "dataChange": True,
            },
        },
    )
    return str(location)


def test_mapped_columns_are_flagged_and_read_through_a_copy(with_mapping: str, tmp_path: Path) -> None:
    snapshot = DeltaStorage().snapshot(with_mapping)
    assert (snapshot.readable_as_files, snapshot.unreadable_reason) == (False, "column mapping")
    copy = DeltaCopies().copy(with_mapping, snapshot, str(tmp_path / "copies"))
    assert read_files(copy) == [{"the id": 1, "name": "a"}, {"the id": 2, "name": "b"}]


def test_mapped_tables_are_not_written_to(with_mapping: str) -> None:
    with pytest.raises(FeatureUnsupported, match="column mapping"):
        DeltaStorage().commit(with_mapping, Commit(0, blind=True))


@pytest.mark.parametrize(
    ("reader", "writer", "properties", "words"),
    [
        (["newThing"], ["newThing"], {}, "newThing"),
        ([], ["rowTracking", "domainMetadata"], {}, "rowTracking"),
        ([], ["icebergCompatV2"], {}, "icebergCompatV2"),
    ],
)
def test_features_that_ask_more_of_a_writer_are_refused(
    tmp_path: Path, reader: list[str], writer: list[str], properties: dict[str, str], words: str
) -> None:
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1]}))
    metadata = next(
        json.loads(line)["metaData"]
        for line in (Path(location) / "_delta_log" / f"{0:020d}.json").read_text().splitlines()
        if "metaData" in line
    )
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": reader, "writerFeatures": [*reader, *writer]}
    commit_by_hand(location, 1, {"protocol": protocol}, {"metaData": {**metadata, "configuration": properties}})
    storage = DeltaStorage()
    snapshot = storage.snapshot(location)
    assert words in snapshot.unwritable_reason
    assert snapshot.readable_as_files is not bool(reader)
    with pytest.raises(FeatureUnsupported) as caught:
        storage.commit(location, Commit(1, blind=True, held=snapshot))
    assert words in str(caught.value)


def test_append_only_tables_take_rows_and_give_none_back(tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1]}), configuration={"delta.appendOnly": "true"})
    storage = DeltaStorage()
    snapshot = storage.snapshot(location)
    assert storage.commit(location, Commit(0, [write_file(location, pa.table({"id": [2]}))], blind=True)) == 1
    with pytest.raises(FeatureUnsupported, match="appendOnly"):
        storage.commit(location, Commit(1, removes=snapshot.files, operation="DELETE"))


@pytest.mark.parametrize(
    "path", ["../other/secret.parquet", "/etc/passwd", "file:///etc/passwd", "s3://elsewhere/x.parquet", "a/%2e%2e/%2e%2e/x"]
)
def test_a_log_cannot_reach_outside_its_folder(tmp_path: Path, path: str) -> None:
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1]}))
    add = {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True}
    commit_by_hand(location, 1, {"add": add})
    snapshot = DeltaStorage().snapshot(location)
    assert all(Path(file.path).is_relative_to(location) for file in snapshot.files)
    assert not snapshot.readable_as_files
    assert "outside" in snapshot.unreadable_reason
    with pytest.raises(FeatureUnsupported, match="outside"):
        DeltaCopies().copy(location, snapshot, str(tmp_path / "copies"))


@pytest.mark.parametrize(
    "vector", [{"storageType": "p", "pathOrInlineDv": "/etc/passwd"}, {"storageType": "u", "pathOrInlineDv": "../" + "a" * 20}]
)
def test_a_deletion_vector_cannot_reach_outside_either(with_vectors: str, tmp_path: Path, vector: dict[str, Any]) -> None:
    storage = DeltaStorage()
    add = {**add_of(storage.snapshot(with_vectors)), "deletionVector": {**vector, "offset": 1, "sizeInBytes": 1, "cardinality": 1}}
    commit_by_hand(with_vectors, 2, {"add": add})
    with pytest.raises(FeatureUnsupported, match="outside"):
        DeltaCopies().copy(with_vectors, storage.snapshot(with_vectors), str(tmp_path / "copies"))


def test_damaged_logs_are_told_apart_from_missing_ones(tmp_path: Path) -> None:
    storage = DeltaStorage()
    with pytest.raises(TableDamaged, match="no Delta table"):
        storage.snapshot(str(tmp_path / "nothing"))
    location = str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1]}))
    held = storage.snapshot(location)
    (Path(location) / "_delta_log" / f"{1:020d}.json").write_text('{"add": {"path"')
    with pytest.raises(TableDamaged, match="cannot be read"):
        storage.snapshot(location, held=held)
    with pytest.raises(TableDamaged, match="cannot be read"):
        storage.snapshot(location)


def test_a_table_made_anew_under_the_same_path_is_noticed(tmp_path: Path) -> None:
    storage, location = DeltaStorage(), str(tmp_path / "t")
    write_deltalake(location, pa.table({"id": [1]}))
    held = storage.snapshot(location)
    storage.remove(location)
    write_deltalake(location, pa.table({"other": ["x"]}))
    fresh = storage.snapshot(location, held=held)
    assert [column.name for column in fresh.columns] == ["other"]
    assert read_files(fresh) == [{"other": "x"}]
