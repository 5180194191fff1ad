"""The text of an answer from a table: figures, rows, the statement, and what it does in plain words.  Pure functions."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from insjo.agents.types import ResultTable
from insjo.agents.wording import grouped, rows_text, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.agents.pages import Language

ROWS_SHOWN: Final = 20
ROWS_KEPT: Final = 200
CELL_CHARS_MAX: Final = 200


def result_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, row_count: int, truncated: bool) -> ResultTable:
    """Rows as texts, at most so many as an answer keeps."""
    kept = tuple(tuple(_text(value) for value in row) for row in rows[:ROWS_KEPT])
    return ResultTable(tuple(columns), kept, row_count, truncated or row_count > ROWS_KEPT)


def answer_text(rows: Sequence[Sequence[object]], table: ResultTable, sql: str, words: Sequence[str], language: Language) -> str:
    """Markdown: the figure or the rows first, then how they came about."""
    parts = [_figure(rows, table, language), *[text for text in words if text], f"```sql\n{sql}\n```"]
    return "\n\n".join(parts)


def _figure(rows: Sequence[Sequence[object]], table: ResultTable, language: Language) -> str:
    """One figure, or a table of rows."""
    if not rows:
        return say("no_rows", language)
    if len(rows) == 1 and len(table.columns) == 1:
        return f"**{shown(rows[0][0], language)}**"
    lines = [f"| {' | '.join(_cell(name) for name in table.columns)} |", f"|{' --- |' * len(table.columns)}"]
    lines += [f"| {' | '.join(_cell(shown(value, language, apart=False)) for value in row)} |" for row in rows[:ROWS_SHOWN]]
    text = "\n".join(lines)
    if table.row_count > ROWS_SHOWN:
        text += "\n\n" + say("first_rows", language, shown=ROWS_SHOWN, count=grouped(table.row_count, language))
    return text


def summary_of(table: ResultTable, language: Language) -> str:
    """A result in a few words, for the step that is shown while an answer comes."""
    return rows_text(table.row_count, language)


def shown(value: object, language: Language, *, apart: bool = True) -> str:
    """One value for people; in a table whole numbers stay as they are, since many are years or keys."""
    if value is None:
        return say("null_value", language)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return grouped(value, language) if apart else str(value)
    if isinstance(value, float | Decimal):
        return grouped(float(value), language)
    return _text(value) or ""


def _text(value: object) -> str | None:
    """One value as a plain text."""
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _cell(text: str) -> str:
    """A text inside a Markdown table: no line and no column may end in it."""
    flat = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`").replace("<", "\\<")
    return flat if len(flat) <= CELL_CHARS_MAX else flat[: CELL_CHARS_MAX - 1] + "…"
