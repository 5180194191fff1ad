"""A sheet of an Excel or OpenDocument workbook as CSV, with the types that its cells have."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound

from insjo.adapters.tabular.limits import COLUMNS_MAX, EXCEL_BYTES_MAX, TooHeavy, Unreadable, Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_WHOLE_MAX = 2**53
_SAME = {"bigint": {"double"}, "date": {"timestamp"}}
"""Types that hold the values of another one."""


def convert(source: Path, target: Path, options: Mapping[str, str]) -> dict[str, Any]:
    """Write the sheet as CSV; gives the types of its columns by their place, and the names of all sheets."""
    if source.stat().st_size > EXCEL_BYTES_MAX:
        raise TooHeavy(f"A workbook may have {EXCEL_BYTES_MAX // 1024**2} MiB at most; save the sheet as CSV.")
    try:
        with CalamineWorkbook.from_path(str(source)) as book:
            return _sheet(book, target, options)
    except PasswordError as error:
        raise Unreadable("The workbook is protected by a password.") from error
    except CalamineError as error:
        raise Unreadable("It is no workbook, or it is damaged.") from error


def _sheet(book: CalamineWorkbook, target: Path, options: Mapping[str, str]) -> dict[str, Any]:
    names = list(book.sheet_names)
    if not names:
        raise Unreadable("The workbook has no sheets.")
    wanted = options.get("sheet") or names[0]
    try:
        sheet = book.get_sheet_by_name(wanted)
    except WorksheetNotFound as error:
        raise Wrong(f"The workbook has no sheet `{wanted}`; it has {', '.join(f'`{each}`' for each in names[:20])}.") from error
    headed = options.get("header") == "true"
    skip = int(options.get("skip") or 0)
    if sheet.width > COLUMNS_MAX:
        raise TooHeavy(f"A sheet may have {COLUMNS_MAX} columns at most.")
    kinds: list[str | None] = [None] * sheet.width
    rows = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, row in enumerate(sheet.iter_rows()):
            if number < skip:
                continue
            texts = [_text(value) for value in row]
            if headed and rows == 0:
                texts = [text or f"_c{at}" for at, text in enumerate(texts)]
            else:
                _learn(kinds, row)
            writer.writerow(texts)
            rows += 1
    return {"format": "csv", "types": [kind or "string" for kind in kinds], "sheets": names, "sheet": wanted, "rows": rows}


def _learn(kinds: list[str | None], row: Sequence[object]) -> None:
    """Widen the types of the columns by one row."""
    for at, value in enumerate(row):
        kind = _kind(value)
        if kind is None or kinds[at] == kind:
            continue
        known = kinds[at]
        if known is None or kind in _SAME.get(known, ()):
            kinds[at] = kind
        elif known not in _SAME.get(kind, ()):
            kinds[at] = "string"


def _kind(value: object) -> str | None:
    """Type of a cell; None for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if abs(value) < _WHOLE_MAX else "double"
    if isinstance(value, float):
        return "bigint" if value.is_integer() and abs(value) < _WHOLE_MAX else "double"
    if isinstance(value, datetime):
        return "timestamp"
    return "date" if isinstance(value, date) else "string"


def _text(value: object) -> str:
    """A cell as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _WHOLE_MAX else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)
