"""A locked DuckDB instance with Databricks' meaning of functions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import duckdb

from insjo.adapters.duckdb.functions import install_functions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """What a worker is told at its start.

    Attributes:
        lake: Folder below which files may be read and data files written.
        spill: Folder for intermediate results larger than memory; this instance's own.
        memory_mb: Limit of the engine, in MiB.
        threads: Threads of one statement.
        spill_mb: Limit of the spill folder, in MiB.
        run_as: User id to become, or None.
    """

    lake: str
    spill: str
    memory_mb: int
    threads: int
    spill_mb: int
    run_as: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the wire."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> InstanceConfig:
        """Inverse of `as_json`."""
        return InstanceConfig(**value)


def macros_text() -> str:
    """SQL that gives DuckDB the functions that it lacks or understands otherwise."""
    return resources.files("insjo.sql.dialect").joinpath("macros.sql").read_text(encoding="utf-8")


def open_instance(config: InstanceConfig) -> duckdb.DuckDBPyConnection:
    """In-memory instance: functions installed, then every door shut and the settings locked."""
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
    connection.execute("SET enable_progress_bar = false")
    install_functions(connection)
    connection.execute(macros_text())
    connection.execute(f"SET allowed_directories = [{_quoted(_with_slash(config.lake))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _with_slash(folder: str | Path) -> str:
    """Folder with a slash at its end, as the engine compares prefixes."""
    return f"{str(folder).rstrip('/')}/"


def _quoted(text: str) -> str:
    """SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
