"""Which features of the Delta format Insjö reads and writes; a table with another one is refused, never half understood.

Source: the Delta transaction log protocol, sections "Reader Version Requirements", "Writer Version Requirements", "Table Features".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.adapters.delta import schema
from insjo.catalog.errors import ReservedChangeColumns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.catalog.types import Column

_READS = frozenset(
    {"columnMapping", "deletionVectors", "timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck"},
)
_WRITES = _READS | frozenset(
    {
        "appendOnly",
        "invariants",
        "checkConstraints",
        "changeDataFeed",
        "generatedColumns",
        "identityColumns",
        "allowColumnDefaults",
        "domainMetadata",
        "clustering",
        "inCommitTimestamp",
    }
)
"""Features that may be named; those that ask something of a writer are looked for in the properties and the fields as well."""

_KEPT_IN_FIELDS = frozenset({"typeWidening", "generatedColumns", "identityColumns", "allowColumnDefaults"})
"""Features in the metadata of fields that whoever writes rows obeys."""

CONSTRAINTS = "delta.constraints."
"""Beginning of the properties that hold the conditions which every row must fulfil."""

CHANGE_DATA_FEED = "delta.enableChangeDataFeed"

DELETION_VECTORS = "deletion vectors"
COLUMN_MAPPING = "column mapping"
"""The two reasons for which a plain copy can be read in place of the files."""

_TABLE_FEATURES_READER = 3
_TABLE_FEATURES_WRITER = 7


_READER_TOO = frozenset({"timestampNtz"})
"""Features that readers must know as well as writers."""

_OF_WRITER_VERSION = {
    2: ("appendOnly", "invariants"),
    3: ("checkConstraints",),
    4: ("changeDataFeed", "generatedColumns"),
    5: ("columnMapping",),
    6: ("identityColumns",),
}
"""Features that a writer version below 7 stands for, each with those of the versions before it (protocol, "Table Features")."""

LOWEST: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 2}
"""The protocol that every reader and writer knows."""


def needed(columns: Sequence[Column], configuration: Mapping[str, str]) -> set[str]:
    """Features that the columns and properties of a table ask for."""
    found = schema.writer_features(columns)
    if any(key.startswith(CONSTRAINTS) for key in configuration):
        found.add("checkConstraints")
    if keeps_changes(configuration):
        found.add("changeDataFeed")
    return found


def with_features(protocol: Mapping[str, Any], wanted: set[str]) -> dict[str, Any] | None:
    """The lowest protocol that names these features besides what it named before; None when it does already."""
    reader, writer = set(protocol.get("readerFeatures") or ()), set(protocol.get("writerFeatures") or ())
    reader_version, writer_version = int(protocol.get("minReaderVersion", 1)), int(protocol.get("minWriterVersion", 2))
    if writer_version < _TABLE_FEATURES_WRITER:
        writer |= {each for version, names in _OF_WRITER_VERSION.items() if version <= writer_version for each in names}
    if wanted <= writer and wanted & _READER_TOO <= reader:
        return None
    found: dict[str, Any] = {"minReaderVersion": reader_version, "minWriterVersion": _TABLE_FEATURES_WRITER}
    if wanted & _READER_TOO or reader_version == _TABLE_FEATURES_READER:
        mapping = {"columnMapping"} if reader_version == _TABLE_FEATURES_READER - 1 else set()
        reader |= (wanted & _READER_TOO) | mapping
        found |= {"minReaderVersion": _TABLE_FEATURES_READER, "readerFeatures": sorted(reader)}
    return {**found, "writerFeatures": sorted(writer | reader | wanted)}


def mapped(configuration: Mapping[str, str]) -> bool:
    """Whether names in the files differ from names in the schema."""
    return configuration.get("delta.columnMapping.mode", "none") != "none"


def unreadable(protocol: Mapping[str, Any], configuration: Mapping[str, str], unknown_type: str) -> str:
    """Why the files cannot be read as they are (apart from deletion vectors), or an empty text."""
    version = int(protocol.get("minReaderVersion", 1))
    if version > _TABLE_FEATURES_READER:
        return f"reader version {version}"
    if version == _TABLE_FEATURES_READER:
        strange = sorted(set(protocol.get("readerFeatures") or ()) - _READS)
        if strange:
            return f"the feature `{strange[0]}`"
    if mapped(configuration):
        return COLUMN_MAPPING
    return f"the type `{unknown_type}`" if unknown_type else ""


def unwritable(protocol: Mapping[str, Any], configuration: Mapping[str, str], fields: Sequence[schema.RawField]) -> str:
    """Why Insjö may not write to the table, or an empty text."""
    version = int(protocol.get("minWriterVersion", 2))
    if version > _TABLE_FEATURES_WRITER:
        return f"writer version {version}"
    if version == _TABLE_FEATURES_WRITER:
        strange = sorted(set(protocol.get("writerFeatures") or ()) - _WRITES)
        if strange:
            return f"the feature `{strange[0]}`"
    if mapped(configuration):
        return COLUMN_MAPPING
    if configuration.get("delta.enableRowTracking", "").lower() == "true":
        return "row tracking"
    in_fields = sorted(schema.field_features(fields) - _KEPT_IN_FIELDS)
    return f"the feature `{in_fields[0]}`" if in_fields else ""


def removes_refused(configuration: Mapping[str, str]) -> str:
    """Why rows may not be removed or changed in a table to which rows may be appended, or an empty text."""
    if configuration.get("delta.appendOnly", "").lower() == "true":
        return "`delta.appendOnly`"
    return ""


def keeps_changes(configuration: Mapping[str, str]) -> bool:
    """Whether every version tells which rows it changed (the change data feed)."""
    return configuration.get(CHANGE_DATA_FEED, "").lower() == "true"


CHANGE_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
"""Columns that the feed adds to those of the table (protocol, "Change Data Files")."""


def refuse_reserved(columns: Sequence[Column], configuration: Mapping[str, str]) -> None:
    """Refuse a table with a change data feed whose own columns have the names of those that the feed adds."""
    taken = [column.name for column in columns if column.name.lower() in CHANGE_COLUMNS]
    if taken and keeps_changes(configuration):
        message = f"The column `{taken[0]}` has a name that the change data feed uses itself."
        raise ReservedChangeColumns(message, hint="Give it another name, or leave `delta.enableChangeDataFeed` out.")


def commits_carry_time(configuration: Mapping[str, str]) -> bool:
    """Whether the moment of a commit stands in the commit (`inCommitTimestamp`)."""
    return configuration.get("delta.enableInCommitTimestamps", "").lower() == "true"
