"""Small pieces of the engine's SQL, written in one place so that quoting is right everywhere."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from insjo.sql.dialect.types import from_databricks_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def name(text: str) -> str:
    """A quoted name."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in quotes."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """A list of texts."""
    return "[" + ", ".join(literal(each) for each in texts) + "]"


def typed(value: object, type_text: str) -> str:
    """A Python value as a constant of a Databricks type."""
    kind = from_databricks_type(type_text)
    if value is None:
        return f"CAST(NULL AS {kind})"
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ")
    elif isinstance(value, date | Decimal | int | float):
        text = str(value)
    elif isinstance(value, bytes):
        return f"CAST({literal(''.join(f'{chr(92)}x{byte:02X}' for byte in value))} AS BLOB)"
    else:
        text = str(value)
    return f"CAST({literal(text)} AS {kind})"


def null_of(type_text: str) -> str:
    """NULL of a Databricks type."""
    return f"CAST(NULL AS {from_databricks_type(type_text)})"


def cast(expression: str, type_text: str) -> str:
    """An expression in a Databricks type."""
    return f"CAST({expression} AS {from_databricks_type(type_text)})"


def typed_columns(columns: Mapping[str, str]) -> list[str]:
    """Columns in their declared types; the type of a column that is always NULL cannot be named."""
    return [name(each) if kind == "void" else f"{cast(name(each), kind)} AS {name(each)}" for each, kind in columns.items()]


NOTHING = "NULL AS " + name("__insjo_none")
"""Output of a query of which only the number of rows matters."""


def select(outputs: Iterable[str], source: str = "", *, where: str = "", limit: int | None = None) -> str:
    """A SELECT from pieces that are quoted already."""
    parts = ["SELECT", ", ".join(outputs) or NOTHING]
    if source:
        parts += ["FROM", source]
    if where:
        parts += ["WHERE", where]
    if limit is not None:
        parts += ["LIMIT", str(limit)]
    return " ".join(parts)


def nested(sql: str, alias: str, columns: Iterable[str] = ()) -> str:
    """A query as a source with an alias, and other names for its columns if they are given."""
    listed = ", ".join(name(each) for each in columns)
    return f"(\n{sql}\n) AS {name(alias)}" + (f"({listed})" if listed else "")


def fenced(sql: str) -> str:
    """The same rows behind a limit that no table reaches: no condition from outside is worked out on rows that the query hides.

    Otherwise an error in such a condition (a bad cast shows the value) would tell about hidden rows.  One thread of the engine reads
    such rows (as behind a sample of all of them, measured), which is what a row filter costs.
    """
    return select(["*"], nested(sql, "__insjo_fence"), limit=2**63 - 1)


def empty_rows(columns: Mapping[str, str]) -> str:
    """A query with these columns (name to Databricks type) and no rows."""
    return select((f"{null_of(kind)} AS {name(each)}" for each, kind in columns.items()), where="false")
