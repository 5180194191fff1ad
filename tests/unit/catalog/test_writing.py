"""Writers wait for each other, caches are bounded, and many threads at once get the right rows."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from insjo.catalog.errors import TableBusy
from insjo.catalog.service import snapshots as module
from insjo.catalog.service.snapshots import Snapshots
from insjo.catalog.service.writing import TableLocks
from insjo.catalog.types import TableName
from insjo.kernel.errors import DeadlineExceeded
from tests.support.lake import Lake, append, columns, read_files, write_file

ORDERS = TableName("main", "sales", "orders")


@pytest.fixture
def table_id(lake: Lake) -> str:
    return lake.room.tables.create(lake.admin, ORDERS, columns(id="bigint")).id


def test_a_second_writer_waits_no_longer_than_its_deadline(lake: Lake, table_id: str) -> None:
    clock = lake.room._parts.clock
    with lake.room.tables.begin_write(lake.admin, ORDERS):
        hurried = replace(lake.admin, deadline_s=clock.monotonic_s() + 0.05)
        with pytest.raises((TableBusy, DeadlineExceeded)), lake.room.tables.begin_write(hurried, ORDERS):
            pass
    with lake.room.tables.begin_write(lake.admin, ORDERS):
        pass


def test_locks_are_forgotten_when_nobody_wants_them() -> None:
    locks = TableLocks()
    with locks.held("a", "a", 1):
        with pytest.raises(TableBusy), locks.held("a", "a", 0.01):
            pass
        with locks.held("b", "b", 0.01):
            assert set(locks._locks) == {"a", "b"}
    assert locks._locks == {}


def test_many_threads_append_and_read_without_losing_a_row(lake: Lake, table_id: str) -> None:
    failures: list[BaseException] = []
    counts: list[int] = []

    def write(first: int) -> None:
        try:
            for value in range(first, first + 10):
                append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [value]}))
        except BaseException as error:  # noqa: BLE001  # Shown by the assertion below.
            failures.append(error)

    def read() -> None:
        try:
            for _ in range(20):
                resolved = lake.room.tables.resolve_many(lake.admin, [ORDERS])[0]
                assert resolved.snapshot
                assert len(resolved.snapshot.files) == resolved.snapshot.version
                counts.append(resolved.snapshot.version)
        except BaseException as error:  # noqa: BLE001  # As above.
            failures.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)] + [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    rows = sorted(row["id"] for row in read_files(lake.room.tables.snapshot(table_id)))
    assert rows == [*range(10), *range(100, 110), *range(200, 210)]


def test_the_cache_is_bounded_and_harmless(lake: Lake, table_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TABLES_MAX", 2)
    monkeypatch.setattr(module, "_VERSIONS_MAX", 2)
    cache = Snapshots(lake.room._parts)
    locations = {}
    for number in range(4):
        name = TableName("main", "sales", f"t{number}")
        table = lake.room.tables.create(lake.admin, name, columns(id="bigint"))
        locations[table.id] = table.location
        for value in range(3):
            append(lake, lake.admin, name.full_name, pa.table({"id": [value]}))
    for each, location in locations.items():
        assert cache.current(each, location).version == 3
        assert cache.current(each, location) is cache.current(each, location)
        for version in range(3):
            assert len(cache.at(each, location, version, None).files) == version
    assert len(cache._newest) == 2
    assert len(cache._older) == 2
    monkeypatch.setattr(module, "_FILES_MAX", 3)
    first, second = list(locations.items())[:2]
    cache.current(*first)
    cache.current(*second)
    assert len(cache._newest) == 1
    assert cache.current(*first).version == 3


def test_data_files_that_are_not_whole_are_not_committed(lake: Lake, table_id: str) -> None:
    before = lake.room.tables.snapshot(table_id)
    with lake.room.tables.begin_write(lake.admin, ORDERS) as write:
        file = write_file(write.location, pa.table({"id": [1]}))
        bad: list[Any] = [replace(file, size_bytes=file.size_bytes - 1), replace(file, path="nothing.parquet")]
        for each in bad:
            with pytest.raises(Exception, match="data file"):
                lake.room.tables.commit(write, [each])
        with pytest.raises(ValueError, match="outside"):
            lake.room.tables.commit(write, [replace(file, path="../x.parquet")])
    assert lake.room.tables.snapshot(table_id) == before
