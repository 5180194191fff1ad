"""Text in other encodings as UTF-8, and tables of SQLite files as CSV."""

from __future__ import annotations

import codecs
import csv
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from insjo.adapters.tabular.limits import BATCH_ROWS, Unreadable, Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PIECE_BYTES = 1 << 20
_TABLES_SHOWN = 20
_AFFINITIES = (("INT", "bigint"), ("CHAR", "string"), ("CLOB", "string"), ("TEXT", "string"), ("BLOB", "string"))
_STORED = {"integer": "bigint", "real": "double", "text": "string", "blob": "string"}


def convert_text(source: Path, target: Path, options: Mapping[str, str]) -> dict[str, Any]:
    """The same text in UTF-8; a byte that the encoding does not know is an error with its line."""
    decoder = codecs.getincrementaldecoder(options["encoding"])(errors="strict")
    lines = 1
    with source.open("rb") as given, target.open("w", encoding="utf-8", newline="") as file:
        while True:
            piece = given.read(_PIECE_BYTES)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                lines += bytes(piece[: error.start]).count(b"\n")
                raise Unreadable(f"Near line {lines} it is not in the encoding {options['encoding']}.") from error
            lines += text.count("\n")
            file.write(text)
            if not piece:
                return {"format": "text", "rows": lines}


def convert_sqlite(source: Path, target: Path, options: Mapping[str, str]) -> dict[str, Any]:
    """A table of a SQLite file as CSV, with the types that it declares or, without any, those that its values have."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(source))}?mode=ro&immutable=1", uri=True)
        connection.execute("PRAGMA trusted_schema = OFF")
        tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    except sqlite3.DatabaseError as error:
        raise Unreadable("It is no SQLite file, or it is damaged.") from error
    tables = [each for each in tables if not each.startswith("sqlite_")]
    wanted = options.get("table") or (tables[0] if len(tables) == 1 else "")
    if wanted not in tables:
        shown = ", ".join(f"`{each}`" for each in tables[:_TABLES_SHOWN]) or "no tables"
        what = f"has no table `{wanted}`" if wanted else "has several tables; name one with the option `table`"
        raise Wrong(f"The file {what}. It has {shown}.")
    name = '"' + wanted.replace('"', '""') + '"'
    try:
        columns = [(str(row[1]), str(row[2] or "")) for row in connection.execute(f"PRAGMA table_info({name})")]
        kinds = [_kind(connection, name, each, declared) for each, declared in columns]
        cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608  # Quoted above; the file is read-only and ours for this moment.
        rows = 0
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([each for each, _ in columns])
            while batch := cursor.fetchmany(BATCH_ROWS):
                writer.writerows([[_text(value) for value in row] for row in batch])
                rows += len(batch)
    except (sqlite3.DatabaseError, sqlite3.OperationalError, UnicodeDecodeError) as error:
        raise Unreadable("A page of it is damaged.") from error
    return {"format": "csv", "types": kinds, "names": [each for each, _ in columns], "rows": rows, "tables": tables}


def _kind(connection: sqlite3.Connection, table: str, column: str, declared: str) -> str:
    """Type of a column: as declared when all values are so, else the one that holds them all."""
    name = '"' + column.replace('"', '""') + '"'
    found = {str(row[0]) for row in connection.execute(f"SELECT DISTINCT typeof({name}) FROM {table}")} - {"null"}  # noqa: S608  # As above.
    word = declared.upper()
    if word.startswith("DATE") and found <= {"text"}:
        return "timestamp" if "TIME" in word else "date"
    if word.startswith("BOOL") and found <= {"integer"}:
        return "bigint"
    if not found:
        return next((kind for part, kind in _AFFINITIES if part in word), "double" if "REAL" in word or "FLOA" in word else "string")
    kinds = {_STORED[each] for each in found}
    return kinds.pop() if len(kinds) == 1 else ("double" if kinds == {"bigint", "double"} else "string")


def _text(value: object) -> str:
    """A value as text; bytes in hexadecimal digits."""
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)
