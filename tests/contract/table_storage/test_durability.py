"""A table is as it was before a commit or as it is after it: when the writer is killed, when the disk is full, when others write too."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from insjo.adapters.delta.storage import DeltaStorage
from insjo.catalog.column_types import checked_columns
from insjo.catalog.errors import CommitConflict, DiskFull
from insjo.catalog.ports import Commit
from insjo.catalog.types import Column, Snapshot
from tests.support.lake import open_lake, read_files, write_file

VALUES = checked_columns([Column("value", "bigint")])


def child(repository: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{repository / 'src'}"}
    command = [sys.executable, "-m", "tests.contract.table_storage.writer", *arguments]
    return subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)


def kill_at_random(process: subprocess.Popen[str], chance: random.Random) -> None:
    """Kill a child some moments after it did a random number of steps."""
    assert process.stdout is not None
    for _ in range(chance.randrange(1, 8)):
        assert process.stdout.readline(), "the child ended by itself"
    threshold = chance.random() * 0.03
    try:
        process.wait(timeout=threshold)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()
    process.stdout.close()


def new_table(location: str) -> DeltaStorage:
    storage = DeltaStorage()
    storage.commit(location, Commit(-1, columns=VALUES, partition_columns=()))
    return storage


def names_in_log(location: str) -> list[str]:
    return sorted(path.name for path in (Path(location) / "_delta_log").iterdir())


def test_killed_writers_leave_all_or_nothing(tmp_path: Path, repository: Path) -> None:
    location, chance = str(tmp_path / "t"), random.Random(7)
    storage = new_table(location)
    held: Snapshot | None = None
    for _ in range(12):
        kill_at_random(child(repository, "table", location), chance)
        held = storage.snapshot(location, held=held)
        rows = [row["value"] for row in read_files(held)]
        assert sum(rows) == 0
        assert len(rows) % 200 == 0
        assert {file.path for file in held.files} == {file.path for file in DeltaStorage().snapshot(location).files}
        assert held.version == DeltaTable(location).version()
        written = [write_file(location, pa.table({"value": [sign] * 100})) for sign in (1, -1)]
        assert storage.commit(location, Commit(held.version, written, blind=True, held=held)) == held.version + 1


def test_a_killed_server_leaves_no_table_half_made_and_none_half_dropped(tmp_path: Path, repository: Path) -> None:
    chance = random.Random(11)
    with open_lake(tmp_path) as lake:
        lake.room.catalogs.create(lake.admin, "main")
        lake.room.schemas.create(lake.admin, "main.sales")
    for _ in range(6):
        kill_at_random(child(repository, "lake", str(tmp_path)), chance)
        with open_lake(tmp_path) as lake:
            lake.room.start()
            listed = lake.room.tables.list(lake.admin, "main", "sales").items
            for table in listed:
                values = [row["value"] for row in read_files(lake.room.tables.snapshot(table.id))]
                assert len(values) >= 2
                assert sum(values) == 0
            known = {Path(table.location).name for table in listed}
            # A folder without a table may be one that was just being made; it is swept when it is a day old.
            strangers = [folder for folder in (tmp_path / "tables").iterdir() if folder.name not in known]
            for folder in strangers:
                for path in (folder, *folder.iterdir()):
                    os.utime(path, (1, 1))
            lake.room.start()
            assert {folder.name for folder in (tmp_path / "tables").iterdir()} == known


def test_two_processes_append_without_losing_a_row(tmp_path: Path, repository: Path) -> None:
    location = str(tmp_path / "t")
    storage = new_table(location)
    writers = [child(repository, "append", location, str(first), "40") for first in (0, 1000)]
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    rows = sorted(row["value"] for row in read_files(storage.snapshot(location)))
    assert rows == [*range(40), *range(1000, 1040)]
    assert storage.snapshot(location).version == 80


def test_two_processes_change_one_row_without_losing_a_change(tmp_path: Path, repository: Path) -> None:
    location = str(tmp_path / "t")
    storage = new_table(location)
    storage.commit(location, Commit(0, [write_file(location, pa.table({"value": [0]}))], blind=True))
    writers = [child(repository, "count", location, "25") for _ in range(2)]
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    snapshot = storage.snapshot(location)
    assert [row["value"] for row in read_files(snapshot)] == [50]
    present = {str(path) for path in Path(location).glob("*.parquet")}
    assert len(present) == 51  # Each version's file and no orphan of a lost race.


def test_the_slower_of_two_changes_is_told_so(tmp_path: Path) -> None:
    location = str(tmp_path / "t")
    storage = new_table(location)
    storage.commit(location, Commit(0, [write_file(location, pa.table({"value": [1]}))], blind=True))
    before = storage.snapshot(location)
    storage.commit(location, Commit(1, removes=before.files, operation="DELETE", held=before))
    with pytest.raises(CommitConflict) as caught:
        storage.commit(location, Commit(1, removes=before.files, operation="DELETE", held=before))
    assert caught.value.code == "COMMIT_VERSION_CONFLICT"
    # A blind append does not mind that rows went, yet minds that the columns changed.
    late = write_file(location, pa.table({"value": [2]}))
    assert storage.commit(location, Commit(1, [late], blind=True, held=before)) == 3
    storage.commit(location, Commit(3, columns=(*VALUES, Column("more", "int"))))
    with pytest.raises(CommitConflict, match="definition"):
        storage.commit(location, Commit(3, [write_file(location, pa.table({"value": [3]}))], blind=True))
    assert not [name for name in names_in_log(location) if name.startswith(".")]


def test_a_commit_that_does_not_fit_changes_nothing(tmp_path: Path, repository: Path) -> None:
    location = str(tmp_path / "t")
    storage = new_table(location)
    before = names_in_log(location)
    output, _ = child(repository, "limit", location).communicate(timeout=60)
    assert output.strip() == "DISK_FULL"
    assert names_in_log(location) == before
    assert storage.snapshot(location).version == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, where this machine lets us mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here; the test with a limit on file sizes stands in for this one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_changes_nothing_and_is_got_over(small_disk: Path) -> None:
    location = str(small_disk / "t")
    storage = new_table(location)
    file = write_file(location, pa.table({"value": [1]}))
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(b"\0" * 1024 * 1024)
    before = names_in_log(location)
    with pytest.raises(DiskFull) as caught:
        storage.commit(location, Commit(0, [file], blind=True))
    assert caught.value.code == "DISK_FULL"
    assert names_in_log(location) == before
    with pytest.raises(DiskFull):
        storage.commit(str(small_disk / "other"), Commit(-1, columns=VALUES, partition_columns=()))
    ballast.unlink()
    assert storage.commit(location, Commit(0, [file], blind=True)) == 1
    assert read_files(storage.snapshot(location)) == [{"value": 1}]
