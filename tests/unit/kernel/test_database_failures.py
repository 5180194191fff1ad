"""What an error of the metadata database means for whoever called."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from insjo.kernel.database import Database, failure_of
from insjo.kernel.errors import DatabaseAway, DatabaseFull


def test_a_full_disk_is_told_as_such_and_the_next_write_that_fits_succeeds(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'small.db'}", pool_size=1)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (content TEXT)")
        connection.exec_driver_sql("PRAGMA max_page_count = 10")  # A disk of ten pages.
    with pytest.raises(sa.exc.OperationalError) as full, database.write() as connection:
        connection.exec_driver_sql("INSERT INTO rows VALUES (?)", ("x" * 100_000,))
    found = failure_of(full.value)
    assert isinstance(found, DatabaseFull)
    assert found.code == "DISK_FULL"
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO rows VALUES ('fits')")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM rows").scalars().all() == ["fits"]
    database.close()


def test_a_database_that_is_held_or_away_can_be_asked_again(tmp_path: Path) -> None:
    folder = Database(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(sa.exc.OperationalError) as away, folder.read():
        pass
    assert isinstance(failure_of(away.value), DatabaseAway)
    folder.close()


def test_errors_of_our_own_are_no_failures_of_the_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO rows VALUES (1)")
    with pytest.raises(sa.exc.IntegrityError) as twice, database.write() as connection:
        connection.exec_driver_sql("INSERT INTO rows VALUES (1)")
    with pytest.raises(sa.exc.OperationalError) as missing, database.read() as connection:
        connection.exec_driver_sql("SELECT * FROM nothing")
    assert failure_of(twice.value) is None
    assert failure_of(missing.value) is None
    assert failure_of(ValueError("disk is full")) is None
    assert failure_of(sqlite3.OperationalError("disk is full")) is None
    database.close()
