"""CSV in texts."""

from __future__ import annotations

import csv
import io
import re

from insjo.sql.dialect.casts import convert
from insjo.sql.dialect.fragments import Fragment, made, name_of, string
from insjo.sql.dialect.functions.registry import Call, Definition, scalar
from insjo.sql.dialect.types import STRING, Kind, parse_fields
from insjo.sql.errors import DatatypeMismatch, UnsupportedFeature


def _no_options(call: Call, index: int) -> None:
    if len(call) > index and call.nodes[index].expressions:
        raise UnsupportedFeature(f"Options of {call.label} are not supported.")


@scalar("from_csv", 2, 3)
def from_csv(call: Call) -> Fragment:
    """Struct from one line; what does not fit becomes NULL."""
    _no_options(call, 2)
    schema = parse_fields(call.constant_text(1, "schema"))
    if schema.kind is not Kind.STRUCT or any(field.type.is_nested for field in schema.fields):
        raise UnsupportedFeature(f"{call.label} reads a list of simple fields.")
    text = call.take(0, STRING)
    fields = []
    for index, field in enumerate(schema.fields, 1):
        cell = f"list_extract(c_, {index})"
        trimmed = cell if field.type.kind is Kind.STRING else f"nullif(trim({cell}, ' '), '')"
        value = convert(trimmed, STRING, field.type)
        fields.append(f"{name_of(field.name)} := {value if field.type.kind is Kind.STRING else f'TRY({value})'}")
    packed = f"struct_pack({', '.join(fields)})"
    sql = f"list_extract(list_transform([insjo_py_csv_cells({text.sql})], lambda c_: {packed}), 1)"
    return made(f"CAST(CASE WHEN {text.sql} IS NOT NULL THEN {sql} END AS {schema.engine})", schema, text)


@scalar("to_csv", 1, 2)
def to_csv(call: Call) -> Fragment:
    """One line from a struct."""
    _no_options(call, 1)
    value = call.arg(0).seen()
    if value.type.kind is not Kind.STRUCT or any(field.type.is_nested for field in value.type.fields):
        raise DatatypeMismatch(f"{call.label} takes a struct of simple fields, and not `{value.type.text}`.")
    cells = []
    for field in value.type.fields:
        cell = f"struct_extract({value.sql}, {string(field.name).sql})"
        if field.type.kind is Kind.TIMESTAMP:
            text = f"strftime(timezone('UTC', {cell}), '%Y-%m-%dT%H:%M:%S.%gZ')"
        else:
            text = convert(cell, field.type, STRING)
        cells.append(f"coalesce(insjo_csv_cell({text}), '')")
    return made(f"CASE WHEN {value.sql} IS NOT NULL THEN {' || chr(44) || '.join(cells)} END", STRING, value)


@scalar("schema_of_csv", 1, 2)
def schema_of_csv(call: Call) -> Fragment:
    """Schema of a constant line."""
    _no_options(call, 1)
    cells = next(csv.reader(io.StringIO(call.constant_text(0, "CSV"))), [])
    return string(f"STRUCT<{', '.join(f'_c{index}: {_kind(cell.strip())}' for index, cell in enumerate(cells))}>")


def _kind(cell: str) -> str:
    if re.fullmatch(r"[+-]?\d{1,9}", cell):
        return "INT"
    if re.fullmatch(r"[+-]?\d{1,18}", cell):
        return "BIGINT"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", cell):
        return "DOUBLE"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", cell):
        return "DATE"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", cell):
        return "TIMESTAMP"
    return "BOOLEAN" if cell.lower() in {"true", "false"} else "STRING"


DEFINITIONS: tuple[Definition, ...] = (from_csv, to_csv, schema_of_csv)
