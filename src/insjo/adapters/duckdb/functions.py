"""Functions of Databricks that no SQL macro can give, in Python; they run inside the worker only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def install_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Register them in an instance that is not locked yet."""
