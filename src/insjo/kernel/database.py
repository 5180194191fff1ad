"""The handle to the metadata database: SQLite (WAL) or PostgreSQL by URL, through SQLAlchemy Core."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event

from insjo.kernel.errors import DatabaseAway, DatabaseFull, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.errors import InsjoError

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)
"""Every room's `store.py` hangs its tables here, so that migrations see one schema."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DISK_FULL = "53100"
"""SQLSTATE of PostgreSQL."""

_SQLITE_AWAY = ("locked", "busy", "unable to open", "disk i/o error")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """Moment in UTC, kept as microseconds since 1970 so that both databases compare and sort alike."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Aware moment to microseconds."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a moment without a time zone must not reach the database"
            raise ValueError(message)
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """Microseconds to aware moment."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Database:
    """Connections to the metadata database.

    Use `read()` for queries and `write()` for changes: on SQLite a write takes the one write lock at its beginning, so that two
    writers wait for each other instead of failing half-way.
    """

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        """Open an engine on the URL; connections are made on demand."""
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, object] = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": 30}
        self.engine = sa.create_engine(url, **options)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Connection for queries; sees one consistent state."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Connection for changes; commits at the end, rolls back when an error leaves the block."""
        with self.engine.connect().execution_options(insjo_write=True) as connection, connection.begin():
            yield connection

    def peek(self, query: str) -> object:
        """First value of the first row as it is now, or None: for small questions that are asked on every request.

        It goes through the driver alone, which takes a fraction of the time; the text has no parameters.
        """
        connection = self.engine.raw_connection()
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(query)
                row = cursor.fetchone()
        except self.engine.dialect.loaded_dbapi.Error:  # A lost connection is replaced on the ordinary way, and errors get their words.
            connection.invalidate()
        else:
            return row[0] if row else None
        finally:
            connection.close()
        with self.read() as ordinary:
            return ordinary.exec_driver_sql(query).scalar()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


class NameTaken(Exception):
    """A row with this name or path is there already; services tell it in their own words."""


@contextlib.contextmanager
def unique(connection: sa.Connection) -> Iterator[None]:
    """Let a change that breaks a unique name fail alone, as NameTaken, with the transaction around it still usable."""
    try:
        with connection.begin_nested():
            yield
    except sa.exc.IntegrityError as error:
        raise NameTaken from error


def failure_of(error: BaseException) -> InsjoError | None:
    """What an error of the database means for whoever called, or None when it is none, or one that our own code made."""
    if isinstance(error, sa.exc.DataError) and "NUL" in str(error.orig):
        # PostgreSQL keeps no such texts; SQLite does, and finds nothing under them.
        message = "A text holds the character NUL, which no text may have."
        return InvalidArgument(message)
    if not isinstance(error, sa.exc.OperationalError):
        return None
    said, state = str(error.orig).lower(), getattr(error.orig, "sqlstate", "")
    if "disk is full" in said or state == _DISK_FULL:
        message = "The disk that holds the metadata database is full; nothing was written."
        return DatabaseFull(message, hint="Free some disk and repeat.")
    if isinstance(error.orig, sqlite3.Error) and not any(words in said for words in _SQLITE_AWAY):
        return None  # SQLite calls a missing table an operational error too, which no waiting repairs.
    message = "The metadata database does not answer just now."
    return DatabaseAway(message, hint="Repeat in a moment; if it stays so, look at `insjo doctor`.")


def _prepare_sqlite(connection: object, record: object) -> None:
    """Settings of each new SQLite connection; autocommit off so that `BEGIN` is ours (SQLAlchemy, pysqlite notes)."""
    del record
    connection.isolation_level = None  # type: ignore[attr-defined]  # The DBAPI connection is untyped here.
    cursor = connection.cursor()  # type: ignore[attr-defined]  # As above.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A write transaction takes its lock at once; a reading one waits for nobody."""
    immediate = connection.get_execution_options().get("insjo_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
