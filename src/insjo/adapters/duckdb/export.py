"""Rows of a query into Parquet data files with Delta statistics; runs in the worker."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
ROW_GROUP_ROWS = 122_880
"""As the engine writes by itself: a million rows take half as much CPU again to write, and a table of so many is scanned by one thread."""

FLUSH_EVERY_S = 0.1

STATISTICS_COLUMNS_MAX = 32
"""Delta keeps statistics of the first columns only (`delta.dataSkippingNumIndexedCols`)."""

_STATISTICS_CHARS_MAX = 64
_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_TEXT_MAX_UNSURE = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What to write where.

    Attributes:
        folder: Target; made if it is not there.
        token: Part of every file name of this export, by which all of them are found again.
        partition_columns: Columns that make the folders; they are not written into the files.
    """

    folder: str
    token: str
    partition_columns: tuple[str, ...]


def export(connection: duckdb.DuckDBPyConnection, sql: str, order: ExportOrder) -> list[dict[str, Any]]:
    """Run the query into files and make them durable; after an error none of them is left."""
    folder = Path(order.folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        types = _column_types(connection, sql)
        with _flushing(folder):
            rows = connection.execute(_copy_statement(sql, order)).fetchall()
        written = [_written(folder, types, row) for row in rows if row[1] > 0]
        for row in rows:
            if row[1] == 0:
                Path(row[0]).unlink(missing_ok=True)
        for each in written:  # The folders that name them are temporary: whoever moves the files makes the new names durable.
            _flush(folder / each["path"], os.O_RDONLY)
    except BaseException:
        remove_files(folder, order.token)
        raise
    return written


@contextlib.contextmanager
def _flushing(folder: Path) -> Iterator[None]:
    """Let what is written reach the disk while more is worked out, so that little is left to wait for at the end."""
    ended = threading.Event()

    def flush() -> None:
        while not ended.wait(FLUSH_EVERY_S):
            for path in folder.rglob("*.parquet"):
                if ended.is_set():
                    return
                with contextlib.suppress(OSError):  # The end flushes again, and tells what is wrong.
                    _flush(path, os.O_RDONLY)

    flusher = threading.Thread(target=flush, name="flusher", daemon=True)
    flusher.start()
    try:
        yield
    finally:
        ended.set()
        flusher.join()


def remove_files(folder: Path, token: str) -> int:
    """Remove whatever an export with this token left; how many files."""
    removed = 0
    for path in folder.rglob(f"part-{token}-*"):
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def drop_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove what CSV readers rejected."""
    for name in ("insjo_rejects", "insjo_scans"):
        connection.execute(f"DROP TABLE IF EXISTS temp.{name}")


def _column_types(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Name to the engine's type."""
    return {str(row[0]): str(row[1]) for row in connection.execute(f"DESCRIBE (\n{sql}\n)").fetchall()}


def _copy_statement(sql: str, order: ExportOrder) -> str:
    """COPY that writes new files only, each with a name that nobody else uses."""
    options = [
        "FORMAT parquet",
        "COMPRESSION snappy",
        f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}",
        "RETURN_STATS",
        f"FILENAME_PATTERN 'part-{order.token}-{{uuid}}'",
        "FILE_EXTENSION 'snappy.parquet'",
    ]
    if order.partition_columns:
        columns = ", ".join('"' + name.replace('"', '""') + '"' for name in order.partition_columns)
        options += [f"PARTITION_BY ({columns})", "APPEND"]
    else:
        options += ["PER_THREAD_OUTPUT", "APPEND"]
    target = order.folder.replace("'", "''")
    return f"COPY (\n{sql}\n) TO '{target}' ({', '.join(options)})"


def _written(folder: Path, types: Mapping[str, str], row: Sequence[Any]) -> dict[str, Any]:
    """One file as the port tells it."""
    filename, count, size, _, statistics, partition = row
    path = Path(filename).relative_to(folder).as_posix()
    values = {name: _partition_value(value, types.get(name, "")) for name, value in (partition or {}).items()}
    return {
        "path": path,
        "rows": int(count),
        "size_bytes": int(size),
        "partition_values": values,
        "stats": _delta_statistics(int(count), types, statistics or {}, skip=set(values)),
    }


def _partition_value(text: str | None, type_name: str) -> str | None:
    """Value of a partition column as Delta writes it."""
    if text is None or text == NULL_PARTITION:
        return None
    if type_name.startswith("TIMESTAMP"):
        moment = _moment(text)
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if moment else text
    return text


def _delta_statistics(
    rows: int, types: Mapping[str, str], statistics: Mapping[str, Mapping[str, str]], *, skip: set[str]
) -> dict[str, Any]:
    """Statistics in the form of the Delta protocol ("Per-file Statistics")."""
    minimum: dict[str, Any] = {}
    maximum: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name in [each for each in types if each not in skip][:STATISTICS_COLUMNS_MAX]:
        found = statistics.get('"' + name.replace('"', '""') + '"')
        if found is None:
            continue
        nulls[name] = int(found.get("null_count", 0))
        type_name = types[name]
        low, high = _bound(found.get("min"), type_name, upper=False), _bound(found.get("max"), type_name, upper=True)
        if low is not None:
            minimum[name] = low
        if high is not None and found.get("has_nan") != "true":  # NaN is larger than any number and not counted in the maximum.
            maximum[name] = high
    return {"numRecords": rows, "minValues": minimum, "maxValues": maximum, "nullCount": nulls}


def _bound(text: str | None, type_name: str, *, upper: bool) -> object:
    """Minimum or maximum as a JSON value; None when it cannot be told safely."""
    if text is None:
        return None
    if type_name in _INTEGERS:
        return int(text)
    if type_name in _FLOATS:
        number = float(text)
        return number if math.isfinite(number) else None
    if type_name.startswith("DECIMAL"):
        return _decimal_bound(text)
    if type_name == "DATE":
        return text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    if type_name.startswith("TIMESTAMP"):
        return _timestamp_bound(text, upper=upper, zoned=type_name.endswith("ZONE"))
    if type_name == "VARCHAR":
        return _text_bound(text, upper=upper)
    return None


def _decimal_bound(text: str) -> float | int | None:
    """Decimal as a JSON number, if that number says exactly the same."""
    number = json.loads(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text) else None
    digits = len(text.replace("-", "").replace(".", "").lstrip("0"))
    return number if number is not None and digits <= 15 else None  # noqa: PLR2004  # Digits that a double keeps.


def _timestamp_bound(text: str, *, upper: bool, zoned: bool) -> str | None:
    """Timestamp in milliseconds; a maximum is rounded up so that it stays one."""
    moment = _moment(text)
    if moment is None:
        return None
    milliseconds = moment.microsecond // 1000
    if upper and moment.microsecond % 1000:
        milliseconds += 1
    if milliseconds == 1000:  # noqa: PLR2004  # A whole second: the rounding has carried over.
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{milliseconds:03d}" + ("Z" if zoned else "")


def _text_bound(text: str, *, upper: bool) -> str | None:
    """Text, shortened for long values; a shortened maximum gets a last character above all others."""
    if len(text) <= _STATISTICS_CHARS_MAX:
        return text
    return text[:_STATISTICS_CHARS_MAX] + (_TEXT_MAX_UNSURE if upper else "")


def _moment(text: str) -> datetime | None:
    """Timestamp that the engine wrote, in UTC; None for years that Python does not know."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _flush(path: Path, flags: int) -> None:
    """Fsync."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
