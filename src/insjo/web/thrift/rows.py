"""Rows in the forms that clients of the Thrift protocol take: Arrow batches, plain or with LZ4, and columns of Thrift values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from insjo.web.databricks.arrow_rows import RowForm, as_wire, interval_texts, is_year_month, lz4_frame, timestamp_texts
from insjo.web.databricks.values import column_texts
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


def form_of(request: ExecuteStatementReq) -> RowForm:
    """What a client can read, as it says."""
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
        return TypeId.INTERVAL_YEAR_MONTH if is_year_month(type_text) else TypeId.INTERVAL_DAY_TIME
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


def _batches(table: pa.Table, columns: Sequence[ResultColumn], form: RowForm) -> list[ArrowBatch]:
    """Each batch as an IPC message of its own."""
    found: list[ArrowBatch] = []
    for batch in as_wire(table, columns, form).combine_chunks().to_batches(max_chunksize=BATCH_ROWS_MAX):
        content = batch.serialize()
        packed = lz4_frame(content) if form.lz4 else content.to_pybytes()
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
        return list(timestamp_texts(array))
    if kind in {TypeId.INTERVAL_DAY_TIME, TypeId.INTERVAL_YEAR_MONTH}:
        return list(interval_texts(array, column.type_text))
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
