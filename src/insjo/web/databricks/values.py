"""Values of a result as the texts of the statement execution API's JSON_ARRAY format and of its CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator


PLAIN_FROM, PLAIN_BELOW = 1e-3, 1e7
"""Between these a double is written without an exponent (Java's Double.toString)."""

DAY_NS = 86_400 * 10**9


def json_rows(table: pa.Table) -> list[list[str | None]]:
    """Rows of texts; NULL stays null (clients.md 1d)."""
    columns = [column_texts(table.column(index)) for index in range(table.num_columns)]
    return [list(row) for row in zip(*columns, strict=True)] if columns else []


def csv_bytes(table: pa.Table, *, header: bool) -> bytes:
    """The rows as CSV (RFC 4180); NULL is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(table.column_names)
    writer.writerows(["" if value is None else value for value in row] for row in json_rows(table))
    return text.getvalue().encode()


def column_texts(column: pa.ChunkedArray) -> list[str | None]:
    """Texts of one column.  The common types are written by Arrow, many times faster than value by value, in the same form."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return list(column.to_pylist())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return list(pc.cast(column, pa.string()).to_pylist())
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz in {None, "UTC"}:
        return _timestamps(column)
    if pa.types.is_float64(kind):
        return _doubles(column)
    if pa.types.is_float32(kind):  # Arrow writes as many digits as a float has; Python would write those of a double.
        return [None if text is None else float_text(float(text)) for text in pc.cast(column, pa.string()).to_pylist()]
    if pa.types.is_nested(kind):
        values = column.to_pylist()
        return [None if value is None else json.dumps(plain(value, kind), ensure_ascii=False, separators=(",", ":")) for value in values]
    return [None if value is None else value_text(value) for value in column.to_pylist()]


def _timestamps(column: pa.ChunkedArray) -> list[str | None]:
    """As `timestamp_text`, from Arrow's `2024-01-31 12:30:00.000000Z`."""
    texts = pc.replace_substring(pc.cast(column, pa.string()), " ", "T", max_replacements=1)
    return list(pc.replace_substring_regex(texts, r"(\.\d{3})000(Z?)$", r"\1\2").to_pylist())


def _doubles(column: pa.ChunkedArray) -> list[str | None]:
    """As `float_text`; numbers that are written with an exponent are left to it."""
    texts = pc.cast(column, pa.string())
    whole = pc.match_substring_regex(texts, r"^-?\d+$")
    texts = pc.if_else(whole, pc.binary_join_element_wise(texts, ".0", ""), texts).to_pylist()
    size = pc.abs(column)
    plainly = pc.or_(pc.equal(size, 0.0), pc.and_(pc.greater_equal(size, PLAIN_FROM), pc.less(size, PLAIN_BELOW)))
    others = pc.fill_null(pc.invert(plainly), False)  # noqa: FBT003  # The value that stands for NULL.
    for index in pc.indices_nonzero(others).to_pylist():
        texts[index] = float_text(column[index].as_py())
    return list(texts)


def value_text(value: object) -> str:  # noqa: PLR0911  # One line a type is the plainest way to say it.
    """Text of one value that is not NULL."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pa.MonthDayNano):
        return interval_text(value, year_month=value.days == 0 and value.nanoseconds == 0 and value.months != 0)
    return str(value)


def interval_text(value: pa.MonthDayNano, *, year_month: bool) -> str:
    """An interval as `1-2` (years and months) or `1 02:03:04.000000000` (days and time), as Databricks' drivers show it."""
    if year_month:
        months = abs(value.months)
        return f"{'-' if value.months < 0 else ''}{months // 12}-{months % 12}"
    whole = value.days * DAY_NS + value.nanoseconds
    seconds, nanoseconds = divmod(abs(whole), 10**9)
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}.{nanoseconds:09d}"
    return f"{'-' if whole < 0 else ''}{days} {clock}"


def float_text(value: float) -> str:
    """A double as Java writes it where that differs from Python: no exponent between 1e-3 and 1e7, `Infinity`, `NaN`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or PLAIN_FROM <= abs(value) < PLAIN_BELOW:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    mantissa, exponent = f"{Decimal(repr(value)):E}".split("E")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def timestamp_text(value: datetime) -> str:
    """A moment in ISO 8601 with milliseconds and `Z`; a timestamp without zone has no `Z`."""
    zone = "" if value.tzinfo is None else "Z"
    utc = value if value.tzinfo is None else value.astimezone(UTC)
    digits = "milliseconds" if utc.microsecond % 1000 == 0 else "microseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=digits) + zone


def plain(value: Any, kind: pa.DataType) -> object:  # noqa: ANN401  # Whatever Arrow gives for the type.
    """A nested value in JSON types; a map is an object with the texts of its keys."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {_key_text(plain(key, kind.key_type)): plain(item, kind.item_type) for key, item in value}
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if pa.types.is_nested(kind):
        return [plain(item, kind.value_type) for item in value]
    if isinstance(value, float):
        number = float(pc.cast(pa.scalar(value, kind), pa.string()).as_py()) if pa.types.is_float32(kind) else value
        return number if math.isfinite(number) else float_text(number)
    return value if isinstance(value, bool | int | str) else value_text(value)


def _key_text(key: object) -> str:
    """A key as text; JSON has no others."""
    return key if isinstance(key, str) else json.dumps(key, ensure_ascii=False, separators=(",", ":"))


def ipc_bytes(table: pa.Table) -> bytes:
    """The rows as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def ipc_schema(schema: pa.Schema) -> bytes:
    """A schema as an Arrow IPC message; drivers want it for results without rows."""
    return bytes(schema.serialize())


def batches(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Slices of at most `rows` rows."""
    for offset in range(0, max(table.num_rows, 1), rows):
        yield table.slice(offset, rows)
