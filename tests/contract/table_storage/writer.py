"""A child process that changes a table, or a whole lake, until it is killed; started by the tests of durability."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from insjo.adapters.delta.storage import DeltaStorage
from insjo.catalog.errors import CommitConflict, DiskFull
from insjo.catalog.ports import Commit
from insjo.catalog.types import NewFile, TableName
from tests.support.lake import columns, open_lake, read_files, write_file


def say(what: object) -> None:
    """Tell the test."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def change_table(location: str) -> None:
    """Commits of two files whose values cancel out, and replacements of files by others of the same rows."""
    storage, held = DeltaStorage(), None
    number = 0
    while True:
        held = storage.snapshot(location, held=held)
        number += 1
        if number % 4 == 0 and len(held.files) > 4:
            gone = held.files[:4]
            values = [row for file in gone for row in pq.read_table(file.path)["value"].to_pylist()]
            commit = Commit(held.version, [write_file(location, pa.table({"value": values}))], gone, "OPTIMIZE", held=held)
        else:
            adds = [write_file(location, pa.table({"value": [sign * number] * 100})) for sign in (1, -1)]
            commit = Commit(held.version, adds, blind=True, held=held)
        storage.maintain(location, storage.commit(location, commit))
        say(number)


def append_rows(location: str, first: int, count: int) -> None:
    """`count` commits of one row each, then the end."""
    storage, held = DeltaStorage(), None
    for value in range(first, first + count):
        held = storage.snapshot(location, held=held)
        storage.commit(location, Commit(held.version, [write_file(location, pa.table({"value": [value]}))], blind=True, held=held))


def count_up(location: str, count: int) -> None:
    """`count` times: replace the one row by one that is higher by one; begins again after a lost race."""
    storage, held = DeltaStorage(), None
    lost = 0
    while count:
        held = storage.snapshot(location, held=held)
        value = read_files(held)[0]["value"]
        file = write_file(location, pa.table({"value": [value + 1]}))
        try:
            storage.commit(location, Commit(held.version, [file], held.files, "UPDATE", held=held))
            count -= 1
        except CommitConflict:
            lost += 1
            storage.discard(location, [file])
    say(lost)


def change_lake(root: str) -> None:
    """Tables come with their rows, get more, and go."""
    with open_lake(Path(root)) as lake:
        number = 0
        while True:
            number += 1
            name = TableName("main", "sales", f"t{number % 5}")
            lake.room.tables.drop(lake.admin, name, if_exists=True)
            with lake.room.tables.stage(lake.admin, name) as staged:
                file = write_file(staged.location, pa.table({"value": [number, -number]}))
                lake.room.tables.create(lake.admin, name, columns(value="bigint"), staged=staged, adds=[file])
            with lake.room.tables.begin_write(lake.admin, name) as write:
                lake.room.tables.commit(write, [write_file(write.location, pa.table({"value": [1, -1]}))])
            say(number)


def commit_under_limit(location: str) -> None:
    """A commit whose log entry is longer than any file may be."""
    storage = DeltaStorage()
    held = storage.snapshot(location)
    file = write_file(location, pa.table({"value": [1]}))
    stats = {"nullCount": {f"column{number}": 0 for number in range(2000)}}
    big = NewFile(file.path, file.rows, file.size_bytes, {}, stats)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    try:
        storage.commit(location, Commit(held.version, [big], blind=True, held=held))
    except DiskFull as error:
        say(error.code)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "table":
        change_table(arguments[0])
    elif task == "append":
        append_rows(arguments[0], int(arguments[1]), int(arguments[2]))
    elif task == "count":
        count_up(arguments[0], int(arguments[1]))
    elif task == "lake":
        change_lake(arguments[0])
    elif task == "limit":
        commit_under_limit(arguments[0])
