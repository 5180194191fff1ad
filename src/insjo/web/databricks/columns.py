"""Columns of a table as Unity Catalog's API writes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from insjo.catalog.types import Column
from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPE_NAMES = {
    "bigint": "LONG",
    "tinyint": "BYTE",
    "smallint": "SHORT",
    "timestamp_ntz": "TIMESTAMP_NTZ",
    "void": "NULL",
}
"""Names of types that differ from the upper-case word of SQL (ColumnTypeName of the API)."""

SPARK_NAMES = {"int": "integer", "bigint": "long", "smallint": "short", "tinyint": "byte"}
"""Names in Spark's JSON form of a type, which `type_json` carries."""

DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")


def column_body(column: Column, position: int) -> dict[str, object]:
    """A column on the wire."""
    word = re.split(r"[(<]", column.type_text)[0].strip().lower()
    body: dict[str, object] = {
        "name": column.name,
        "position": position,
        "type_text": column.type_text,
        "type_name": TYPE_NAMES.get(word, word.upper()),
        "type_json": json.dumps(
            {"name": column.name, "type": SPARK_NAMES.get(column.type_text, column.type_text), "nullable": column.nullable, "metadata": {}}
        ),
        "nullable": column.nullable,
    }
    if column.comment:
        body["comment"] = column.comment
    decimal = DECIMAL.fullmatch(column.type_text)
    if decimal:
        body |= {"type_precision": int(decimal[1]), "type_scale": int(decimal[2])}
    return body


def columns_of(bodies: Sequence[dict[str, Any]]) -> list[Column]:
    """Columns of a request; `type_text` is required, as in the API's own examples."""
    columns: list[Column] = []
    for position, body in enumerate(bodies):
        name, type_text = body.get("name"), body.get("type_text")
        if not isinstance(name, str) or not isinstance(type_text, str):
            raise InvalidArgument(f"Column {position} needs a `name` and a `type_text`.")
        columns.append(Column(name, type_text.lower(), nullable=body.get("nullable") is not False, comment=str(body.get("comment") or "")))
    return columns
