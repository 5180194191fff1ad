"""The SQL that inspects and loads; everything is quoted here, and authorised where it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insjo.ingest.errors import LoadInvalid
from insjo.ingest.types import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.ingest.types import LoadSpec, Source, SourceColumn

FORBIDDEN = frozenset(" ,;{}()\n\t=")
_NAME_PARTS = 3
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def literal(text: str) -> str:
    """A SQL string; backslash escapes in the Databricks dialect, so it is doubled."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def table_name(full_name: str) -> str:
    """A three-part name in backticks; raises LoadInvalid."""
    parts = full_name.split(".")
    if len(parts) != _NAME_PARTS or not all(part.strip() for part in parts):
        message = f"`{full_name[:80]}` is not a full name."
        raise LoadInvalid(message, hint="Write `catalog.schema.table`.")
    return ".".join(quoted(part) for part in parts)


def column_names(names: Iterable[str]) -> list[str]:
    """Names that a table can have, each once."""
    found: list[str] = []
    taken: set[str] = set()
    for at, name in enumerate(names):
        clean = "".join("_" if letter in FORBIDDEN else letter for letter in name.strip()) or f"_c{at}"
        unique, number = clean, 2
        while unique.lower() in taken:
            unique, number = f"{clean}_{number}", number + 1
        taken.add(unique.lower())
        found.append(unique)
    return found


def read_files(source: Source, **more: str) -> str:
    """The source as a table function."""
    options = {**source.options, **more}
    if source.types and "schemaHints" not in options:
        options["schemaHints"] = ", ".join(f"{quoted(name)} {kind}" for name, kind in source.types.items())
    for key in options:
        if not _OPTION.fullmatch(key):
            message = f"`{key[:80]}` is not an option of a source."
            raise LoadInvalid(message, hint="Options are words such as `header`, `delimiter` and `encoding`.")
    if source.format:
        options = {"format": source.format, **options}
    listed = "".join(f", {key} => {literal(value)}" for key, value in options.items())
    return f"read_files({literal(source.path)}{listed})"


def create_table(target: str, columns: Sequence[SourceColumn], properties: Mapping[str, str]) -> str:
    """An empty table for the columns of a source."""
    listed = ", ".join(f"{quoted(each.target)} {each.type_text}" for each in columns)
    told = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
    return f"CREATE TABLE {table_name(target)} ({listed}) TBLPROPERTIES ({told})"


def copy_into(spec: LoadSpec, columns: Sequence[SourceColumn], load_id: str) -> str:
    """The load itself."""
    source = spec.source
    hints = ", ".join(f"{quoted(each.name)} {each.type_text}" for each in columns)
    options = {**source.options, "schemaHints": hints, **({"inferColumnTypes": "false"} if source.format == "csv" else {})}
    listed = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in options.items())
    asked = {"force": "true", "loadId": load_id, "quarantine": str(spec.quarantine).lower()}
    if spec.mode is Mode.REPLACE:
        asked |= {"mode": "replace", "overwriteSchema": str(spec.accept_drift).lower()}
    elif spec.mode is Mode.MERGE:
        asked |= {"mode": "merge", "mergeKeys": ",".join(spec.keys)}
    if spec.accept_drift and spec.mode is not Mode.REPLACE:
        asked["mergeSchema"] = "true"
    copied = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in asked.items())
    chosen = ", ".join(f"{quoted(each.name)} AS {quoted(each.target)}" for each in columns)
    return (
        f"COPY INTO {table_name(spec.target)} FROM (SELECT {chosen} FROM {literal(source.path)}) "  # noqa: S608  # Quoted above.
        f"FILEFORMAT = {source.format.upper()} FORMAT_OPTIONS ({listed}) COPY_OPTIONS ({copied})"
    )
