"""Whether a data file has every column of its table.

A reader may take the schema of the first file for that of all files only when they are alike.  Statistics prove it for simple columns,
a tag that our own commits leave proves it for all, and what is left is looked up in the files themselves.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.adapters.delta.schema import RawField

TAG = "insjo.columns"
"""Tag of an `add` action: digest of the columns that the file has."""

FILES_MAX = 256
"""Files that are opened to find out, at most, whenever a table is read for the first time or changed by somebody else."""


def digest_of(fields: Sequence[RawField], skip: Iterable[str]) -> str:
    """Digest of names and types of all columns that files hold; `skip` are the partition columns."""
    skipped = {name.casefold() for name in skip}
    kept = [[str(field["name"]), field["type"]] for field in fields if str(field["name"]).casefold() not in skipped]
    return hashlib.sha256(msgspec.json.encode(kept, order="deterministic")).hexdigest()[:16]


def has_all(path: str, fields: Sequence[RawField], skip: Iterable[str]) -> bool:
    """Whether the file has every column, with every part of it; False for a file that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    skipped = {name.casefold() for name in skip}
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    present = {field.name: field.type for field in schema}
    return all(
        str(field["name"]) in present and _covers(present[str(field["name"])], field["type"])
        for field in fields
        if str(field["name"]).casefold() not in skipped
    )


def _covers(present: Any, wanted: Any) -> bool:  # noqa: ANN401  # An Arrow type, and JSON of the log.
    """Whether a type of a file has every part of a type of the log."""
    import pyarrow as pa

    if not isinstance(wanted, dict):
        return True
    kind: Mapping[str, Any] = wanted
    if kind.get("type") == "struct":
        if not pa.types.is_struct(present):
            return False
        parts = {part.name: part.type for part in present}
        return all(str(field["name"]) in parts and _covers(parts[str(field["name"])], field["type"]) for field in kind["fields"])
    if kind.get("type") == "array":
        return bool(pa.types.is_list(present) or pa.types.is_large_list(present)) and _covers(present.value_type, kind["elementType"])
    if kind.get("type") == "map":
        if not pa.types.is_map(present):
            return False
        return _covers(present.key_type, kind["keyType"]) and _covers(present.item_type, kind["valueType"])
    return True
