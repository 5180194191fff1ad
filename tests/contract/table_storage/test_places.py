"""What the port promises holds on the local disk, on S3 and on Azure Blob Storage alike."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from insjo.catalog.column_types import checked_columns
from insjo.catalog.errors import CacheTooSmall, CommitConflict, StorageUnavailable, TableDamaged, VersionNotFound
from insjo.catalog.ports import Commit
from insjo.catalog.types import Column, Snapshot
from tests.contract.table_storage import bank
from tests.support.lake import write_file
from tests.support.stores import Opened, Store, opened

VALUES = checked_columns([Column("value", "bigint")])
LEDGER = checked_columns(
    [
        Column("kind", "string"),
        Column("entry", "string"),
        Column("account", "bigint"),
        Column("other", "bigint"),
        Column("amount", "bigint"),
    ]
)
WRITERS = 4
STRESS_S = float(os.environ.get("INSJO_TEST_STRESS_S", "0"))
"""Length of the test of many writers; `make stress` sets it to two minutes."""


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[Opened]:
    with opened(store, tmp_path / "one") as made:
        yield made


@pytest.fixture
def other(store: Store, server: Opened, tmp_path: Path) -> Iterator[Opened]:
    """Another server on the same store, whose data folder knows nothing yet; on the local disk there is only one."""
    if store.kind == "local":
        yield server
        return
    with opened(store, tmp_path / "two") as made:
        yield made


def new_table(server: Opened, name: str = "t") -> str:
    location = str(server.root / "tables" / name)
    server.tables.commit(location, Commit(-1, columns=VALUES, partition_columns=()))
    return location


def append(server: Opened, location: str, *values: int) -> int:
    held = server.tables.snapshot(location)
    file = write_file(location, pa.table({"value": pa.array(values, pa.int64())}))
    return server.tables.commit(location, Commit(held.version, [file], blind=True, held=held))


def values_of(server: Opened, snapshot: Snapshot) -> list[int]:
    return sorted(int(str(row["value"])) for row in server.read(snapshot))


def test_versions_and_moments(server: Opened) -> None:
    location = new_table(server)
    for value in range(1, 4):
        append(server, location, value)
    now = server.tables.snapshot(location)
    assert (now.version, values_of(server, now)) == (3, [1, 2, 3])
    assert values_of(server, server.tables.snapshot(location, version=1, held=now)) == [1]
    second = server.tables.snapshot(location, version=2)
    assert values_of(server, server.tables.snapshot(location, timestamp=second.timestamp)) == [1, 2]
    with pytest.raises(VersionNotFound):
        server.tables.snapshot(location, version=9)
    assert [entry.version for entry in server.tables.history(location, 2)] == [3, 2]
    server.tables.commit(location, Commit(3, operation="RESTORE", restore=server.tables.snapshot(location, version=1), held=now))
    assert values_of(server, server.tables.snapshot(location)) == [1]
    with pytest.raises(TableDamaged):
        server.tables.snapshot(str(server.root / "tables" / "none"))


def test_the_slower_of_two_changes_is_told_so(server: Opened) -> None:
    location = new_table(server)
    append(server, location, 1)
    before = server.tables.snapshot(location)
    server.tables.commit(location, Commit(1, removes=before.files, operation="DELETE", held=before))
    with pytest.raises(CommitConflict):
        server.tables.commit(location, Commit(1, removes=before.files, operation="DELETE", held=before))
    late = write_file(location, pa.table({"value": [2]}))
    assert server.tables.commit(location, Commit(1, [late], blind=True, held=before)) == 3
    with pytest.raises(CommitConflict):
        server.tables.commit(location, Commit(-1, columns=VALUES, partition_columns=()))


def test_another_server_sees_what_was_committed_and_nothing_else(server: Opened, other: Opened) -> None:
    location = new_table(server)
    append(server, location, 1)
    orphan = write_file(location, pa.table({"value": [99]}))  # Never committed.
    theirs = str(other.root / "tables" / "t")
    held = other.tables.snapshot(theirs)
    assert values_of(other, held) == [1]
    append(server, location, 2)
    append(other, theirs, 3)
    for each, place in ((server, location), (other, theirs)):
        assert values_of(each, each.tables.snapshot(place)) == [1, 2, 3]
    assert other.tables.snapshot(theirs, held=held).version == 3
    server.tables.discard(location, [orphan])
    assert not (Path(location) / orphan.path).exists()


def test_deltalake_reads_the_same_table_at_its_address(store: Store, server: Opened) -> None:
    location = new_table(server)
    append(server, location, 1, 2)
    append(server, location, 3)
    place = location if store.kind == "local" else f"{store.url}/tables/t"
    table = DeltaTable(place, storage_options=store.delta_options)
    stream = QueryBuilder().register("t", table).execute("SELECT value FROM t ORDER BY value")
    assert table.version() == 2
    assert pa.RecordBatchReader.from_stream(stream).read_all().to_pydict() == {"value": [1, 2, 3]}


def test_a_long_log_is_opened_from_its_checkpoint(server: Opened, other: Opened) -> None:
    location = new_table(server)
    held = server.tables.snapshot(location)
    for value in range(51):
        version = server.tables.commit(
            location, Commit(held.version, [write_file(location, pa.table({"value": [value]}))], blind=True, held=held)
        )
        server.tables.maintain(location, version)
        held = server.tables.snapshot(location, held=held)
    assert list((Path(location) / "_delta_log").glob("*50.checkpoint.parquet"))
    theirs = other.tables.snapshot(str(other.root / "tables" / "t"))
    assert list((other.root / "tables" / "t" / "_delta_log").glob("*50.checkpoint.parquet"))
    assert values_of(other, theirs) == list(range(51))


def test_vacuum_takes_what_no_version_needs(server: Opened, other: Opened) -> None:
    location = new_table(server)
    append(server, location, 1)
    first = server.tables.snapshot(location)
    server.tables.commit(location, Commit(1, [write_file(location, pa.table({"value": [2]}))], first.files, "UPDATE", held=first))
    later = datetime.now(UTC) + timedelta(hours=1)
    told = server.tables.vacuum(location, later, dry_run=True)
    assert told == [Path(first.files[0].path).name]
    assert values_of(other, other.tables.snapshot(str(other.root / "tables" / "t"), version=1)) == [1]
    assert server.tables.vacuum(location, later, dry_run=False) == told
    assert not Path(first.files[0].path).exists()
    assert server.objects is None or server.objects.find(f"tables/t/{told[0]}") is None
    assert values_of(server, server.tables.snapshot(location)) == [2]


def test_a_dropped_table_leaves_nothing(server: Opened) -> None:
    location = new_table(server)
    append(server, location, 1)
    server.tables.remove(location)
    assert not Path(location).exists()
    assert server.objects is None or not list(server.objects.list(""))
    server.tables.remove(location)
    with pytest.raises(TableDamaged):
        server.tables.snapshot(location)


def writer(repository: Path, store: Store, root: Path, location: Path, name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{repository / 'src'}"}
    command = [sys.executable, "-m", "tests.contract.table_storage.bank", json.dumps(asdict(store)), str(root), str(location), name]
    return subprocess.Popen(command, cwd=repository, env=environment, stdout=subprocess.PIPE, text=True)


class Writers:
    """Four writers; whoever is killed is followed by another one."""

    def __init__(self, repository: Path, store: Store, tmp_path: Path) -> None:
        self.repository, self.store, self.tmp_path = repository, store, tmp_path
        self.told: list[str] = []
        self.kills = 0
        self.ended = threading.Event()
        self.lock = threading.Lock()

    def run(self, seconds: float, transfers: int) -> None:
        """For so long, and until so many transfers stand."""
        threads = [threading.Thread(target=self._one, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        least, most = time.monotonic() + seconds, time.monotonic() + seconds + 100
        while time.monotonic() < most and (time.monotonic() < least or len(self.told) < transfers):
            time.sleep(0.1)
        self.ended.set()
        for thread in threads:
            thread.join()

    def _one(self, number: int) -> None:
        chance = random.Random(number)
        life = 0
        while not self.ended.is_set():
            life += 1
            # On the local disk all write in one folder; on a store each writer is a server with a folder of its own.
            root = self.tmp_path / ("one" if self.store.kind == "local" else f"writer-{number}")
            process = writer(self.repository, self.store, root, root / "tables" / "bank", f"w{number}.{life}")
            assert process.stdout is not None
            for _ in range(chance.randrange(2, 12)):
                line = process.stdout.readline()
                if not line:
                    break
                with self.lock:
                    self.told.append(line.strip())
            try:
                process.wait(timeout=chance.random() * 0.1)
            except subprocess.TimeoutExpired:
                process.kill()
            rest = process.stdout.read().split()
            assert process.wait() == -9, "a writer ended by itself"
            with self.lock:
                self.told.extend(rest)
                self.kills += 1


def check_history(server: Opened, location: str, told: list[str]) -> int:
    """The history is that of one transfer after the other, and holds each that was told exactly once; gives their number."""
    expected = dict.fromkeys(range(bank.ACCOUNTS), bank.START)
    last = server.tables.snapshot(location)
    seen: set[str] = set()
    rows = server.read(last)
    entries = {str(row["entry"]): row for row in rows if row["kind"] == "entry"}
    assert len(entries) == sum(1 for row in rows if row["kind"] == "entry"), "an entry stands twice"
    order = {entry.version: entry.parameters["entry"] for entry in server.tables.history(location, 100_000) if "entry" in entry.parameters}
    for version in range(2, last.version + 1):
        row = entries[order[version]]
        assert order[version] not in seen
        seen.add(order[version])
        expected[int(str(row["account"]))] -= int(str(row["amount"]))
        expected[int(str(row["other"]))] += int(str(row["amount"]))
    assert seen == entries.keys()
    assert set(told) <= seen, "a transfer that was told is lost"
    assert bank.balances(rows) == expected
    assert sum(expected.values()) == bank.ACCOUNTS * bank.START
    return len(seen)


@pytest.mark.timeout(STRESS_S + 240)
def test_four_writers_that_are_killed_lose_and_double_nothing(store: Store, server: Opened, tmp_path: Path, repository: Path) -> None:
    location = str(server.root / "tables" / "bank")
    server.tables.commit(location, Commit(-1, columns=LEDGER, partition_columns=()))
    first = write_file(location, bank.rows_of(bank.balance_rows(dict.fromkeys(range(bank.ACCOUNTS), bank.START))))
    server.tables.commit(location, Commit(0, [first], blind=True))
    writers = Writers(repository, store, tmp_path)
    writers.run(STRESS_S or 3.0, transfers=20)
    assert len(writers.told) >= 20
    assert writers.kills >= WRITERS
    stood = check_history(server, location, writers.told)
    if STRESS_S:
        print(f"{store.kind}: {stood} transfers by {WRITERS} writers, {writers.kills} kills")  # noqa: T201  # The result of `make stress`.


def test_copies_stay_within_their_bound_and_what_is_read_stays(s3_store: Store, tmp_path: Path) -> None:
    store = s3_store.below("bounded")
    with opened(store, tmp_path / "one") as server:
        location = new_table(server)
        for value in range(6):
            append(server, location, *range(value * 10_000, value * 10_000 + 10_000))
        sizes = [file.size_bytes for file in server.tables.snapshot(location).files]
    with opened(store, tmp_path / "two", cache_bytes=int(max(sizes) * 3.5)) as server:
        assert server.mirror is not None
        location = str(server.root / "tables" / "t")
        snapshot = server.tables.snapshot(location)
        paths = [file.path for file in snapshot.files]
        with server.mirror.held(paths[:2]):
            for path in paths[2:]:
                with server.mirror.held([path]):
                    assert Path(path).is_file()
                    assert all(Path(each).is_file() for each in paths[:2])
                assert sum(Path(each).stat().st_size for each in paths if Path(each).exists()) <= max(sizes) * 3.5
        with pytest.raises(CacheTooSmall), server.mirror.held(paths):
            pass
    shutil.rmtree(tmp_path / "two" / "tables" / "t" / "_delta_log")
    with opened(store, tmp_path / "two", cache_bytes=max(sizes)) as server:  # A smaller bound holds from the start.
        assert sum(Path(each).stat().st_size for each in paths if Path(each).exists()) <= max(sizes)


def test_a_store_that_is_away_is_told_as_such(s3_store: Store, tmp_path: Path) -> None:
    store = s3_store.below("away")
    with opened(store, tmp_path / "one") as server:
        location = new_table(server)
        append(server, location, 1)
    wrong = Store("s3", "s3://nobodys-bucket/away", store.options)
    with opened(wrong, tmp_path / "two") as server, pytest.raises((StorageUnavailable, TableDamaged)):
        server.tables.snapshot(str(server.root / "tables" / "t"))
