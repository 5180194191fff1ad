"""A locked DuckDB instance with Databricks' meaning of functions."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import duckdb

from insjo.adapters.duckdb.functions import install_functions
from insjo.adapters.duckdb.hot import attach

if TYPE_CHECKING:
    from pathlib import Path

    from insjo.adapters.duckdb.config import InstanceConfig


def macros_text() -> str:
    """SQL that gives DuckDB the functions that it lacks or understands otherwise."""
    return resources.files("insjo.sql.dialect").joinpath("macros.sql").read_text(encoding="utf-8")


def open_instance(config: InstanceConfig) -> tuple[duckdb.DuckDBPyConnection, str]:
    """In-memory instance: functions installed, then every door shut and the settings locked; and the database for held columns."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": config.threads,
            "memory_limit": f"{config.memory_mb}MiB",
            "temp_directory": config.spill,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
        },
    )
    # Given at connect this limit is shown and not kept (1.5.5); set afterwards it is.
    connection.execute(f"SET max_temp_directory_size = '{config.spill_mb}MiB'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET Calendar = 'gregorian'")
    # Databricks sorts NULL before every value; each ORDER BY says so itself, and this is for sorts inside list functions.
    connection.execute("SET default_null_order = 'nulls_first'")
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute("SET enable_progress_bar = true")  # Nothing is printed; exports tell how far they are.
    install_functions(connection)
    connection.execute(macros_text())
    held = attach(connection)
    folders = ", ".join(_quoted(_with_slash(each)) for each in (*config.readable, config.outbox))
    connection.execute(f"SET allowed_directories = [{folders}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection, held


def _with_slash(folder: str | Path) -> str:
    """Folder with a slash at its end, as the engine compares prefixes."""
    return f"{str(folder).rstrip('/')}/"


def _quoted(text: str) -> str:
    """SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
