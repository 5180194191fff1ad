"""Brings the metadata database to the schema of this version, under a lock, before anything reads it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from insjo.bootstrap.folders import Folders, exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.database import Database

ADVISORY_LOCK = 7_319_240_117
"""Arbitrary, but the same for every server: who migrates on PostgreSQL holds it."""


def migrate(database: Database, folders: Folders) -> None:
    """Run the outstanding migrations; several servers that start at once do it one after the other."""
    with exclusive(folders, "migrate", wait=True), _advisory_lock(database), database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextlib.contextmanager
def _advisory_lock(database: Database) -> Iterator[None]:
    """On PostgreSQL the data folders of several servers differ, so the lock file is not enough."""
    if database.is_sqlite:
        yield
        return
    with database.engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": ADVISORY_LOCK})
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:lock)"), {"lock": ADVISORY_LOCK})
