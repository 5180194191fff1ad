"""The catalog and the queue with their metadata on a real PostgreSQL: what differs from SQLite is locking, and that is what is tried."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.catalog.errors import TableAlreadyExists
from insjo.catalog.types import TableName
from insjo.jobs.service import Jobs
from insjo.jobs.types import RunState
from insjo.kernel.clock import SystemClock
from insjo.kernel.paging import PageRequest
from tests.support.lake import Lake, append, columns, open_lake, read_files
from tests.support.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]


@pytest.fixture
def lake(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Lake]:
    name = postgres_server.create_database()
    with open_lake(tmp_path, postgres_server.url(name)) as lake:
        lake.room.catalogs.create(lake.admin, "main")
        lake.room.schemas.create(lake.admin, "main.sales")
        yield lake
    postgres_server.drop_database(name)


def test_the_life_of_a_table_and_a_volume(lake: Lake) -> None:
    name = TableName("main", "sales", "ördrar")
    lake.room.tables.create(lake.admin, name, columns(id="bigint"), properties={"a": "ö"})
    append(lake, lake.admin, name.full_name, pa.table({"id": [1, 2]}))
    lake.room.tables.update(lake.admin, name, new_name="sold")
    resolved = lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "sold")])[0]
    assert resolved.snapshot
    assert len(read_files(resolved.snapshot)) == 2
    lake.room.volumes.create(lake.admin, "main.sales.files")
    path = "/Volumes/main/sales/files/hr/a b.csv"
    lake.room.files.write(lake.admin, path, [b"x"], label=Label(Level.SECRET))
    assert lake.room.files.label(lake.admin, path).level is Level.SECRET
    lake.room.files.delete_directory(lake.admin, "/Volumes/main/sales/files/hr", recursive=True)
    anna = lake.person("anna")
    schema = lake.access.securables.find(SecurableKind.SCHEMA, "main.sales")
    assert schema
    lake.access.grants.grant(lake.admin, schema.id, "anna", [Privilege.SELECT])
    assert [row["table_name"] for row in lake.room.information.tables(anna)] == ["sold"]
    assert [each.name for each in lake.room.tables.list(anna, "main", "sales", PageRequest(1)).items] == ["sold"]
    lake.room.catalogs.delete(lake.admin, "main", force=True)
    assert lake.room.information.tables(lake.admin) == []
    assert [path.name for path in (lake.root / "tables").iterdir()] == []


def test_of_many_who_make_the_same_table_one_succeeds(lake: Lake) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            lake.room.tables.create(lake.admin, TableName("main", "sales", "one"), columns(id="bigint"))
            outcomes.append("made")
        except TableAlreadyExists:
            outcomes.append("there")

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", *["there"] * 5]
    assert len(list((lake.root / "tables").iterdir())) == 1


def test_two_servers_share_the_queue_and_do_each_run_once(lake: Lake) -> None:
    done: list[str] = []
    servers = [Jobs(database=lake.database, clock=SystemClock(), access=lake.access) for _ in range(2)]
    for server in servers:
        server.register("work", lambda run: done.append(run.run_id))
        server.start()
    runs = [servers[0].submit(lake.admin, "work", {}, title="") for _ in range(30)]
    for run in runs:
        assert servers[1].wait(lake.admin, run.id, 60).state is RunState.SUCCEEDED
    for server in servers:
        server.close()
    assert sorted(done) == sorted(run.id for run in runs)
