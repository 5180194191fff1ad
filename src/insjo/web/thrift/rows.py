"""Rows in the forms that clients of the Thrift protocol take: Arrow batches, plain or with LZ4, and columns of Thrift values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from insjo.web.databricks.values import column_texts, interval_text
from insjo.web.thrift.messages import (
    ArrowBatch,
    BinaryColumn,
    BoolColumn,
    ByteColumn,
    Column,
    ColumnDesc,
    DoubleColumn,
    GetResultSetMetadataResp,
    I16Column,
    I32Column,
    I64Column,
    PrimitiveTypeEntry,
    RowSet,
    RowSetType,
    StringColumn,
    TableSchema,
    TypeDesc,
    TypeEntry,
    TypeId,
    TypeQualifiers,
    TypeQualifierValue,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.types import ResultColumn
    from insjo.web.thrift.messages import ArrowTypes, ExecuteStatementReq

BATCH_ROWS_MAX = 100_000
SQL_NAME = b"Spark:DataType:SqlName"
"""Key of an Arrow field's metadata in which clients find types that Arrow does not have, for example `variant`."""

TYPE_IDS = {
    "boolean": TypeId.BOOLEAN,
    "tinyint": TypeId.TINYINT,
    "smallint": TypeId.SMALLINT,
    "int": TypeId.INT,
    "bigint": TypeId.BIGINT,
    "float": TypeId.FLOAT,
    "double": TypeId.DOUBLE,
    "decimal": TypeId.DECIMAL,
    "date": TypeId.DATE,
    "timestamp": TypeId.TIMESTAMP,
    "timestamp_ntz": TypeId.TIMESTAMP,
    "binary": TypeId.BINARY,
    "array": TypeId.ARRAY,
    "map": TypeId.MAP,
    "struct": TypeId.STRUCT,
    "void": TypeId.NULL,
}
"""Others travel as strings."""

NUMBERS = {
    TypeId.BOOLEAN: ("bool_val", BoolColumn, False),
    TypeId.TINYINT: ("byte_val", ByteColumn, 0),
    TypeId.SMALLINT: ("i16_val", I16Column, 0),
    TypeId.INT: ("i32_val", I32Column, 0),
    TypeId.BIGINT: ("i64_val", I64Column, 0),
    TypeId.FLOAT: ("double_val", DoubleColumn, 0.0),
    TypeId.DOUBLE: ("double_val", DoubleColumn, 0.0),
    TypeId.BINARY: ("binary_val", BinaryColumn, b""),
}
"""Field of a column, its class, and what stands where there is no value."""


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

    @staticmethod
    def of(request: ExecuteStatementReq) -> RowForm:
        """As a client asks for it."""
        types: ArrowTypes | None = request.use_arrow_native_types
        return RowForm(
            arrow=bool(request.can_read_arrow_result),
            lz4=bool(request.can_read_arrow_result and request.can_decompress_lz4_result),
            timestamps=bool(types and types.timestamp_as_arrow),
            decimals=bool(types and types.decimal_as_arrow),
            nested=bool(types and types.complex_types_as_arrow),
        )


def type_id(type_text: str) -> TypeId:
    """Type of a column on the wire."""
    word = re.split(r"[(< ]", type_text.lower(), maxsplit=1)[0]
    if word == "interval":
        return TypeId.INTERVAL_YEAR_MONTH if _is_year_month(type_text) else TypeId.INTERVAL_DAY_TIME
    return TYPE_IDS.get(word, TypeId.STRING)


def metadata(columns: Sequence[ResultColumn], table: pa.Table, form: RowForm) -> GetResultSetMetadataResp:
    """Columns of a result; `table` may be without rows."""
    return GetResultSetMetadataResp(
        schema=TableSchema([_column_desc(each) for each in columns]),
        result_format=RowSetType.ARROW if form.arrow else RowSetType.COLUMNS,
        lz4_compressed=form.lz4,
        arrow_schema=bytes(as_wire(table.slice(0, 0), columns, form).schema.serialize()) if form.arrow else None,
        is_staging_operation=False,
    )


def row_set(tables: Sequence[pa.Table], columns: Sequence[ResultColumn], form: RowForm, offset: int) -> RowSet:
    """Rows as the client takes them."""
    if form.arrow:
        return RowSet(start_row_offset=offset, rows=[], arrow_batches=[each for part in tables for each in _batches(part, columns, form)])
    whole = pa.concat_tables(tables) if tables else None
    values = [] if whole is None else [_column(whole.column(at), type_id(each.type_text), each) for at, each in enumerate(columns)]
    return RowSet(start_row_offset=offset, rows=[], columns=values)


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
        return _texts(_interval_texts(array, type_text))
    if pa.types.is_timestamp(kind) and not form.timestamps:
        return _texts(_timestamp_texts(array))
    if (pa.types.is_decimal(kind) and not form.decimals) or (pa.types.is_nested(kind) and not form.nested):
        return _texts(column_texts(array))
    if pa.types.is_large_string(kind):
        return pc.cast(array, pa.string())
    return array


def _texts(values: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def _is_year_month(type_text: str) -> bool:
    """Whether an interval counts months."""
    words = type_text.lower()
    return "year" in words or "month" in words


def _interval_texts(array: pa.ChunkedArray, type_text: str) -> list[str | None]:
    year_month = _is_year_month(type_text)
    return [None if value is None else interval_text(value, year_month=year_month) for value in array.to_pylist()]


def _timestamp_texts(array: pa.ChunkedArray) -> list[str | None]:
    """`2024-01-31 12:30:00.5`, as Hive writes it."""
    moments = pc.cast(array, pa.timestamp("us", array.type.tz))
    texts = pc.replace_substring_regex(pc.cast(moments, pa.string()), r"Z$", "")
    return list(pc.replace_substring_regex(texts, r"\.?0+$", "").to_pylist())


def _batches(table: pa.Table, columns: Sequence[ResultColumn], form: RowForm) -> list[ArrowBatch]:
    """Each batch as an IPC message of its own."""
    found: list[ArrowBatch] = []
    for batch in as_wire(table, columns, form).combine_chunks().to_batches(max_chunksize=BATCH_ROWS_MAX):
        content = batch.serialize()
        packed = pa.compress(content, codec="lz4", asbytes=True) if form.lz4 else content.to_pybytes()
        found.append(ArrowBatch(packed, batch.num_rows))
    return found


def _column(array: pa.ChunkedArray, kind: TypeId, column: ResultColumn) -> Column:
    """One column of Thrift values; whatever is neither a number nor bytes is text."""
    if kind in NUMBERS:
        name, holder, instead = NUMBERS[kind]
        values: list[Any] = array.to_pylist()
    else:
        name, holder, instead = "string_val", StringColumn, ""
        values = _plain_texts(array, kind, column)
    nulls = bytearray((len(values) + 7) // 8)
    for at, value in enumerate(values):
        if value is None:
            nulls[at // 8] |= 1 << at % 8
            values[at] = instead
    return Column(**{name: holder(values=values, nulls=bytes(nulls))})


def _plain_texts(array: pa.ChunkedArray, kind: TypeId, column: ResultColumn) -> list[Any]:
    if kind is TypeId.NULL:
        return [None] * len(array)
    if kind is TypeId.TIMESTAMP:
        return list(_timestamp_texts(array))
    if kind in {TypeId.INTERVAL_DAY_TIME, TypeId.INTERVAL_YEAR_MONTH}:
        return list(_interval_texts(array, column.type_text))
    return list(column_texts(array))


def _column_desc(column: ResultColumn) -> ColumnDesc:
    """A column; decimals carry precision and scale."""
    kind = type_id(column.type_text)
    qualifiers = None
    if kind is TypeId.DECIMAL:
        parts = {"precision": column.precision or 10, "scale": column.scale or 0}
        qualifiers = TypeQualifiers({name: TypeQualifierValue(i32_value=value) for name, value in parts.items()})
    entry = TypeEntry(PrimitiveTypeEntry(kind, qualifiers))
    return ColumnDesc(column_name=column.name, type_desc=TypeDesc([entry]), position=column.position + 1, comment="")
