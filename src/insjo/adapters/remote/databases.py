"""Tables of PostgreSQL and MySQL as CSV; the secret of the location is the password."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from insjo.adapters.remote.addresses import checked_address
from insjo.ingest.errors import LocationRefused, LocationUnreachable
from insjo.ingest.types import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECT_S = 15
BATCH_ROWS = 10_000
_MISSING = "Reading from {0} needs a package that is not installed here."
_POSTGRES_TYPES = {
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "real": "float",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "timestamp",
    "timestamp without time zone": "timestamp_ntz",
}
_MYSQL_TYPES = {
    "tinyint": "smallint",
    "smallint": "int",
    "mediumint": "int",
    "int": "bigint",
    "bigint": "decimal(20,0)",
    "float": "float",
    "double": "double",
    "date": "date",
    "datetime": "timestamp_ntz",
    "timestamp": "timestamp_ntz",
}
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+),(\d+)\)")
_DIGITS_MAX = 38


def _name_parts(what: str) -> tuple[str, str]:
    """Schema, or an empty text, and table."""
    schema, _, table = what.rpartition(".")
    if not table or "\0" in what:
        message = f"`{what[:200]}` is not the name of a table."
        raise LocationRefused(message, hint="Write `schema.table`.")
    return schema, table


def _type(name: str, known: dict[str, str]) -> str:
    """Databricks type for a type of the database; text for all that has none."""
    if (found := _DECIMAL.match(name)) and int(found[1]) <= _DIGITS_MAX:
        return f"decimal({found[1]},{found[2]})"
    return known.get(name, "string")


class PostgresTables:
    """Implements `ingest.ports.RemoteSource` for `postgresql://user@host:port/database`."""

    def open(self, url: str, what: str, secret: str, *, private: bool) -> Fetched:
        """See the port."""
        try:
            import psycopg
            from psycopg import sql
        except ImportError as error:
            raise LocationUnreachable(_MISSING.format("PostgreSQL"), hint="Install `insjo[postgres]`.") from error
        schema, table = _name_parts(what)
        try:
            connection = psycopg.connect(**_postgres(url, secret, private=private), connect_timeout=CONNECT_S)
        except psycopg.Error as error:
            raise LocationUnreachable("The database refuses, or cannot be reached.") from error
        try:
            connection.read_only = True
            name = sql.Identifier(*(part for part in (schema, table) if part))
            found = connection.execute(
                "SELECT attname, regexp_replace(format_type(atttypid, atttypmod), '\\(\\d+\\)( with| without)', '\\1') FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                (name.as_string(connection),),
            ).fetchall()
        except psycopg.Error as error:
            connection.close()
            raise LocationUnreachable(f"The table `{what}` cannot be read.") from error
        if not found:
            connection.close()
            raise LocationUnreachable(f"The database has no table `{what}` that this user may see.")
        types = {str(column): _type(str(kind), _POSTGRES_TYPES) for column, kind in found}
        # COPY writes booleans as t and f, which nobody reads as booleans.
        listed = sql.SQL(", ").join(
            sql.SQL("CASE {0} WHEN true THEN 'true' WHEN false THEN 'false' END AS {0}").format(sql.Identifier(column))
            if types[str(column)] == "boolean"
            else sql.Identifier(column)
            for column, _ in found
        )
        query = sql.SQL("COPY (SELECT {0} FROM {1}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')").format(listed, name)
        return Fetched(f"{table}.csv", _copied(connection, query, what), 0, types)


def _postgres(url: str, secret: str, *, private: bool) -> dict[str, Any]:
    """Where to connect to."""
    parts = urlsplit(url)
    given = parse_qs(parts.query)
    found: dict[str, Any] = {"dbname": parts.path.strip("/"), "user": unquote(parts.username or ""), "password": secret}
    if parts.hostname:
        port = parts.port or 5432
        found |= {"host": parts.hostname, "port": port, "hostaddr": checked_address(parts.hostname, port, private=private)}
        found["sslmode"] = given.get("sslmode", ["prefer"])[0]
    elif private and given.get("host", [""])[0].startswith("/"):
        found["host"] = given["host"][0]
    else:
        raise LocationRefused(
            "A socket of this machine is a private address.", hint="A steward can allow private addresses for the location."
        )
    return {key: value for key, value in found.items() if value not in {"", None}}


def _copied(connection: Any, query: Any, what: str) -> Iterator[bytes]:  # noqa: ANN401  # psycopg is loaded only when it is needed.
    """What COPY sends."""
    import psycopg

    try:
        with connection, connection.cursor() as cursor, cursor.copy(query) as copy:
            for piece in copy:
                yield bytes(piece)
    except psycopg.Error as error:
        raise LocationUnreachable(f"The connection broke while `{what}` was read, or it may not be read.") from error


class MySqlTables:
    """Implements `ingest.ports.RemoteSource` for `mysql://user@host:port/database`."""

    def open(self, url: str, what: str, secret: str, *, private: bool) -> Fetched:
        """See the port."""
        try:
            import pymysql
            from pymysql.cursors import SSCursor
        except ImportError as error:
            raise LocationUnreachable(_MISSING.format("MySQL"), hint="Install `insjo[mysql]`.") from error
        parts = urlsplit(url)
        schema, table = _name_parts(what)
        port = parts.port or 3306
        try:
            connection = pymysql.connect(
                host=checked_address(parts.hostname or "", port, private=private),
                port=port,
                user=unquote(parts.username or ""),
                password=secret,
                database=schema or parts.path.strip("/"),
                charset="utf8mb4",
                connect_timeout=CONNECT_S,
                cursorclass=SSCursor,
                local_infile=False,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise LocationUnreachable("The database refuses, or cannot be reached.") from error
        name = "`" + table.replace("`", "``") + "`"
        missing = f"The database has no table `{what}` that this user may see."
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW COLUMNS FROM {name}")
                found = [(str(row[0]), str(row[1]).lower()) for row in cursor.fetchall()]
        except pymysql.MySQLError as error:
            connection.close()
            raise LocationUnreachable(missing) from error
        if not found:
            connection.close()
            raise LocationUnreachable(missing)
        types = {
            column: _type(kind if kind.startswith("decimal") else kind.split("(")[0].split(" ")[0], _MYSQL_TYPES) for column, kind in found
        }
        return Fetched(f"{table}.csv", _selected(connection, name, [column for column, _ in found], what), 0, types)


def _selected(connection: Any, name: str, columns: Sequence[str], what: str) -> Iterator[bytes]:  # noqa: ANN401  # As above.
    """Rows as CSV."""
    import pymysql

    listed = ", ".join("`" + column.replace("`", "``") + "`" for column in columns)
    try:
        yield _lines([columns])
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {listed} FROM {name}")  # noqa: S608  # Quoted above.
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield _lines([[value.hex() if isinstance(value, bytes) else value for value in row] for row in rows])
    except pymysql.MySQLError as error:
        raise LocationUnreachable(f"The connection broke while `{what}` was read.") from error


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
