"""A metadata database that takes no more rows, and one that takes them again.

SQLite is told that its file may not grow; it then fails exactly as on a full disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

from sqlalchemy import event

from insjo.kernel.errors import DatabaseFull
from tests.support.desk import Desk

_FILLER = "x" * 60_000
"""Too long for the room that is left in the pages of a database."""


@contextlib.contextmanager
def _full(desk: Desk) -> Iterator[None]:
    """The database takes no new page, over whatever connection."""

    def stop(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite rounds it up to the pages that there are.

    def go_on(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1073741823")

    engine = desk.lake.database.engine
    event.listen(engine, "checkout", stop)
    try:
        yield
    finally:
        event.remove(engine, "checkout", stop)
        event.listen(engine, "checkout", go_on)


def test_the_history_waits_for_a_full_disk(desk: Desk) -> None:
    history = desk.room.history
    history.flush()
    with _full(desk):
        error = desk.error(f"SELECT nowhere -- {_FILLER}")
        # The refusal is written down at once where a page has room for it; where none has, nothing may be told but that.
        assert error.code in {"UNRESOLVED_COLUMN", "DISK_FULL"}
        with contextlib.suppress(Exception):
            history.flush()
        comment = desk.error(f"COMMENT ON SCHEMA main.desk IS '{_FILLER}'")
        assert isinstance(comment, DatabaseFull), repr(comment)
    deadline = time.monotonic() + 30
    texts: list[str] = []
    while len(texts) < 2 and time.monotonic() < deadline:
        texts = [entry.text for entry in history.list(desk.ctx).items if _FILLER[:20] in entry.text]
        time.sleep(0.05)
    assert len(texts) == 2
    assert desk.value("SELECT 1") == 1
