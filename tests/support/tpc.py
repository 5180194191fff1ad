"""Data and queries of the TPC-H and TPC-DS benchmarks, from the generators that DuckDB's extensions carry.

The extensions come from the package registry like everything else and are loaded by their path; nothing is downloaded by the engine.
"""

from __future__ import annotations

import importlib
import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Family = Literal["tpch", "tpcds"]
QUERIES: dict[Family, int] = {"tpch": 22, "tpcds": 99}
_GENERATORS: dict[Family, str] = {"tpch": "dbgen", "tpcds": "dsdgen"}


class Reference:
    """DuckDB as it is, with the data of both families in schemas of their own; NULLs sort where Databricks has them."""

    def __init__(self, scale: float, file: Path | None = None, families: Sequence[Family] = ("tpch", "tpcds")) -> None:
        """Generate the data, in memory or in a file; both generators give the same rows each time."""
        self._answers: dict[tuple[Family, str], list[tuple[Any, ...]]] = {}
        self.connection = duckdb.connect(str(file or ":memory:"), config={"autoinstall_known_extensions": "false", "threads": "2"})
        self.connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
        for family in families:
            folder = Path(str(importlib.import_module(f"duckdb_extension_{family}").__file__)).parent
            (file,) = folder.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")
            self.connection.execute(f"LOAD '{file}'")
            self.connection.execute(f"CREATE SCHEMA {family}")
            self.connection.execute(f"CALL {_GENERATORS[family]}(sf = {scale}, schema = '{family}')")

    def tables(self, family: Family) -> list[str]:
        """Names of the tables of a family."""
        rows = self.connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY 1", [family]).fetchall()
        return [str(row[0]) for row in rows]

    def write(self, family: Family, table: str, file: Path) -> None:
        """The rows of a table as one Parquet file."""
        self.connection.execute(f"COPY {family}.{table} TO '{file}' (FORMAT parquet)")

    def text(self, family: Family, number: int) -> str:
        """A query as the family's authors ask it, with the parameters of the validation run."""
        found = self.connection.execute(f"SELECT query FROM {family}_queries() WHERE query_nr = ?", [number]).fetchone()
        assert found is not None
        return str(found[0]).strip().rstrip(";")

    def rows(self, family: Family, text: str) -> list[tuple[Any, ...]]:
        """What DuckDB itself answers."""
        if (family, text) not in self._answers:
            self.connection.execute(f"USE {family}")
            self._answers[family, text] = self.connection.execute(text).fetchall()
        return self._answers[family, text]

    def close(self) -> None:
        """Drop the data."""
        self.connection.close()


def difference(got: Iterable[Sequence[Any]], want: Iterable[Sequence[Any]]) -> str:
    """The first row in which two answers differ, in words; empty when they are equal.

    Rows are compared as a set with repetitions, since rows that tie in the ORDER BY may come in any order.  Numbers may differ in the
    sixth digit: Databricks divides and averages decimals as decimals, DuckDB as doubles.
    """
    one, other = (sorted((tuple(map(_plain, row)) for row in rows), key=_order) for rows in (got, want))
    if len(one) != len(other):
        return f"{len(one)} rows instead of {len(other)}"
    for left, right in zip(one, other, strict=True):
        if len(left) != len(right) or not all(map(_same, left, right)):
            return f"{left} instead of {right}"
    return ""


def _plain(value: Any) -> Any:  # noqa: ANN401  # Any value of any type.
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _order(row: tuple[Any, ...]) -> tuple[tuple[bool, str, str], ...]:
    return tuple((value is None, type(value).__name__, f"{value:.4g}" if isinstance(value, float) else str(value)) for value in row)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401  # As above.
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=3e-5, abs_tol=2e-6)
    return bool(one == other)
