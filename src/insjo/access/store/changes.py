"""Transactions, what can go wrong in them, and the count of changes by which caches know that they are stale."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from insjo.access.store import securables as store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

    from insjo.kernel.database import Database

_CHANGED = "insjo_access_changed"
_WRITING = "insjo_access_writing"
_RELABELLED = "insjo_access_relabelled"

DatabaseError: Final = SQLAlchemyError
"""Whatever a database can complain about."""


class Changes:
    """Opens transactions for changes and counts those that were committed.

    The count in the process rises when the connection that made a change goes back to its pool, that is after the commit: whoever
    reads the count first and the rows second can never keep old rows under a new count.  The count in the database is how other
    processes notice.
    """

    def __init__(self, database: Database) -> None:
        """Listen to the connections of this database."""
        self._database = database
        self._lock = threading.Lock()
        self._local = threading.local()
        self._value = 0
        self._seen = 0
        self.policy_version = 0
        self._listeners: list[Callable[[str], None]] = []
        event.listen(database.engine, "begin", self._on_begin)
        event.listen(database.engine, "checkin", self._on_checkin)

    @property
    def value(self) -> int:
        """The count in this process."""
        return self._value

    def refresh(self) -> int:
        """Look at the count in the database, raise the count in the process if somebody else made changes, and give it."""
        stored = store.peek_revision(self._database)
        with self._lock:
            if stored != self._seen:
                self._seen = stored
                self.policy_version = stored
                self._value += 1
            return self._value

    @contextlib.contextmanager
    def reading(self, connection: sa.Connection | None = None) -> Iterator[sa.Connection]:
        """The caller's transaction, or a new one for queries."""
        if connection is not None:
            yield connection
        else:
            with self._database.read() as own:
                yield own

    @contextlib.contextmanager
    def writing(self, connection: sa.Connection | None = None) -> Iterator[sa.Connection]:
        """The caller's transaction, or a new one for changes."""
        if connection is not None:
            yield connection
        else:
            with self._database.write() as own:
                yield own

    def bump(self, connection: sa.Connection) -> None:
        """Tell that this transaction changes what decides.

        The first statement of a change: it makes changes wait for each other also on PostgreSQL, so that what one reads before it
        writes stays true.
        """
        store.bump_revision(connection)
        connection.info[_CHANGED] = store.fetch_revision(connection)

    def relabelled(self, connection: sa.Connection, securable_id: str) -> None:
        """Tell that this transaction changes the label of a securable."""
        connection.info.setdefault(_RELABELLED, set()).add(securable_id)

    def on_relabelled(self, listener: Callable[[str], None]) -> None:
        """Call this with the identifier of each securable after its label changed; it must be quick and touch no database."""
        self._listeners.append(listener)

    def in_write(self) -> bool:
        """Whether this thread holds a transaction for changes; opening a second one would wait for the first for ever."""
        return getattr(self._local, "writes", 0) > 0

    def _on_begin(self, connection: sa.Connection) -> None:
        """Remember that this thread changes something."""
        if connection.get_execution_options().get("insjo_write", False):
            connection.info[_WRITING] = True
            self._local.writes = getattr(self._local, "writes", 0) + 1

    def _on_checkin(self, _: object, record: sa.pool.ConnectionPoolEntry) -> None:
        """The transaction is over: count it if it changed something (also when it was rolled back, which costs one reload)."""
        if record.info.pop(_WRITING, False):
            self._local.writes = getattr(self._local, "writes", 1) - 1
        changed = record.info.pop(_CHANGED, None)
        if changed is not None:
            with self._lock:
                self._value += 1
                self.policy_version = changed
        for securable_id in record.info.pop(_RELABELLED, ()):
            for listener in self._listeners:
                listener(securable_id)
