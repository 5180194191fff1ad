"""What commands print: a table or sentences for people, one JSON document with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


def print_json(value: JsonValue) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their column names, each column as wide as its widest value."""
    texts = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[index]) for row in texts)]) for index, name in enumerate(columns)]
    print("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    print("  ".join("-" * width for width in widths))
    for row in texts:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_error(message: str, hint: str, *, code: str, as_json: bool) -> None:
    """An error on standard error; with `--json` as a document that names the code."""
    if as_json:
        print(json.dumps({"error_code": code, "message": message, "hint": hint}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"insjo: {message}", file=sys.stderr)
    if hint:
        print(f"       {hint}", file=sys.stderr)


def json_value(value: object) -> JsonValue:
    """A value of a result in JSON types; what JSON does not have becomes its text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return str(value)


def _cell(value: object) -> str:
    """Text of one cell; long values are cut, since a terminal is narrow."""
    text = "NULL" if value is None else str(value).replace("\n", " ")
    limit = 100
    return text if len(text) <= limit else text[: limit - 1] + "…"
