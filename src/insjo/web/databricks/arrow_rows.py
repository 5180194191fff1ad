"""Rows in the Arrow types that drivers read: intervals and columns without a type as text, the SQL type beside each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from insjo.web.databricks.values import column_texts, interval_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.types import ResultColumn

SQL_NAME = b"Spark:DataType:SqlName"
"""Key of an Arrow field's metadata in which clients find types that Arrow does not have, for example `variant`."""


@dataclass(frozen=True, slots=True)
class RowForm:
    """What a client can read.

    Attributes:
        arrow: Arrow batches; otherwise columns of Thrift values.
        lz4: Each batch is compressed.
        timestamps: Timestamps in Arrow's own type, otherwise as text; `decimals` and `nested` (arrays, maps, structs) likewise.
    """

    arrow: bool = True
    lz4: bool = False
    timestamps: bool = True
    decimals: bool = True
    nested: bool = True


def lz4_frame(content: bytes | pa.Buffer) -> bytes:
    """Bytes as one frame of LZ4."""
    packed: bytes = pa.compress(content, codec="lz4", asbytes=True)
    return packed


def as_wire(table: pa.Table, columns: Sequence[ResultColumn], form: RowForm) -> pa.Table:
    """The rows in Arrow types that the client reads."""
    arrays: list[pa.ChunkedArray] = []
    fields: list[pa.Field] = []
    for at, column in enumerate(columns):
        array = _as_wire_array(table.column(at), column.type_text, form)
        arrays.append(array)
        fields.append(pa.field(column.name, array.type, metadata={SQL_NAME: column.type_text.upper().encode()}))
    if not fields:
        return pa.table({})
    return pa.table(arrays, schema=pa.schema(fields))


def _as_wire_array(array: pa.ChunkedArray, type_text: str, form: RowForm) -> pa.ChunkedArray:
    """One column in an Arrow type that the client reads."""
    kind = array.type
    if type_text == "void":
        return pa.chunked_array([pa.nulls(len(array), pa.string())])
    if kind == pa.month_day_nano_interval():
        return _texts(interval_texts(array, type_text))
    if pa.types.is_timestamp(kind) and not form.timestamps:
        return _texts(timestamp_texts(array))
    if (pa.types.is_decimal(kind) and not form.decimals) or (pa.types.is_nested(kind) and not form.nested):
        return _texts(column_texts(array))
    if pa.types.is_large_string(kind):
        return pc.cast(array, pa.string())
    return array


def _texts(values: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def is_year_month(type_text: str) -> bool:
    """Whether an interval counts months."""
    words = type_text.lower()
    return "year" in words or "month" in words


def interval_texts(array: pa.ChunkedArray, type_text: str) -> list[str | None]:
    """Intervals as text."""
    year_month = is_year_month(type_text)
    return [None if value is None else interval_text(value, year_month=year_month) for value in array.to_pylist()]


def timestamp_texts(array: pa.ChunkedArray) -> list[str | None]:
    """`2024-01-31 12:30:00.5`, as Hive writes it."""
    moments = pc.cast(array, pa.timestamp("us", array.type.tz))
    texts = pc.replace_substring_regex(pc.cast(moments, pa.string()), r"Z$", "")
    return list(pc.replace_substring_regex(texts, r"\.?0+$", "").to_pylist())
