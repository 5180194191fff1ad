"""Which features of the Delta format Insjö reads and writes; a table with another one is refused, never half understood.

Source: the Delta transaction log protocol, sections "Reader Version Requirements", "Writer Version Requirements", "Table Features".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.adapters.delta import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

DELETION_VECTORS = "deletion vectors"
COLUMN_MAPPING = "column mapping"
"""The two reasons for which a plain copy can be read in place of the files."""

_TABLE_FEATURES_READER = 3
_TABLE_FEATURES_WRITER = 7


def protocol_for(*, timestamp_ntz: bool) -> dict[str, Any]:
    """The protocol of a new table: the lowest that its columns need, so that every reader can open it."""
    if not timestamp_ntz:
        return {"minReaderVersion": 1, "minWriterVersion": 2}
    return {
        "minReaderVersion": _TABLE_FEATURES_READER,
        "minWriterVersion": _TABLE_FEATURES_WRITER,
        "readerFeatures": ["timestampNtz"],
        "writerFeatures": ["appendOnly", "invariants", "timestampNtz"],
    }


def with_timestamp_ntz(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol of a table that gets its first column without time zone; what it held before stays."""
    reader = set(protocol.get("readerFeatures") or ())
    writer = set(protocol.get("writerFeatures") or ()) | {"appendOnly", "invariants"}
    return {
        "minReaderVersion": _TABLE_FEATURES_READER,
        "minWriterVersion": _TABLE_FEATURES_WRITER,
        "readerFeatures": sorted(reader | {"timestampNtz"}),
        "writerFeatures": sorted(writer | reader | {"timestampNtz"}),
    }


def names_timestamp_ntz(protocol: Mapping[str, Any]) -> bool:
    """Whether the protocol already names the feature."""
    return "timestampNtz" in (protocol.get("readerFeatures") or ())


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
    constraints = sorted(key for key in configuration if key.startswith("delta.constraints."))
    if constraints:
        return f"the check constraint `{constraints[0].removeprefix('delta.constraints.')}`"
    if configuration.get("delta.enableRowTracking", "").lower() == "true":
        return "row tracking"
    in_fields = sorted(schema.field_features(fields) - {"typeWidening"})
    return f"the feature `{in_fields[0]}`" if in_fields else ""


def removes_refused(configuration: Mapping[str, str]) -> str:
    """Why rows may not be removed or changed in a table to which rows may be appended, or an empty text."""
    if configuration.get("delta.appendOnly", "").lower() == "true":
        return "`delta.appendOnly`"
    if configuration.get("delta.enableChangeDataFeed", "").lower() == "true":
        return "`delta.enableChangeDataFeed`"
    return ""


def commits_carry_time(configuration: Mapping[str, str]) -> bool:
    """Whether the moment of a commit stands in the commit (`inCommitTimestamp`)."""
    return configuration.get("delta.enableInCommitTimestamps", "").lower() == "true"
