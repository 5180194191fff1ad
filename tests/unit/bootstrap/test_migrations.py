from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from insjo.bootstrap.folders import Folders, master_key, prepare
from insjo.bootstrap.migrate import migrate
from insjo.bootstrap.schema import whole_schema
from insjo.kernel.database import Database

if TYPE_CHECKING:
    from pathlib import Path


def _migrated(root: Path) -> tuple[Database, Folders]:
    folders = prepare(root)
    database = Database(f"sqlite:///{root / 'insjo.db'}")
    migrate(database, folders)
    return database, folders


def test_the_migrations_make_exactly_the_tables_that_the_rooms_declare(tmp_path: Path) -> None:
    database, _ = _migrated(tmp_path / "data")
    with database.read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), whole_schema())
    database.close()
    assert differences == []


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    database, folders = _migrated(tmp_path / "data")
    migrate(database, folders)
    database.close()


def test_servers_that_start_at_once_migrate_one_after_the_other(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            database, _ = _migrated(tmp_path / "data")
            database.close()
        except BaseException as error:  # noqa: BLE001  # Whatever goes wrong in a thread must reach the test.
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


def test_first_starts_at_once_agree_on_one_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    folders = prepare(tmp_path / "data")
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(master_key(folders))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    assert (folders.keys / "master.key").stat().st_mode & 0o077 == 0
    assert folders.root.stat().st_mode & 0o077 == 0
