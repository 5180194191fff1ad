"""Table properties that mean something to whoever reads or writes the Delta table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.catalog.errors import FeatureUnsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "delta."

CONSTRAINTS = "delta.constraints."
"""Beginning of the properties that hold the conditions which every row must fulfil; they are made by `ADD CONSTRAINT` only."""

_KEPT = frozenset(
    {
        "delta.appendOnly",
        "delta.checkpointInterval",
        "delta.dataSkippingNumIndexedCols",
        "delta.deletedFileRetentionDuration",
        "delta.logRetentionDuration",
        "delta.targetFileSize",
    },
)
_DEFAULTS = {
    "delta.columnMapping.mode": "none",
    "delta.enableChangeDataFeed": "false",
    "delta.feature.allowColumnDefaults": "supported",
    "delta.enableDeletionVectors": "false",
    "delta.enableRowTracking": "false",
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
}
"""Properties that may be given if they say what is so anyway."""


def storage_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that go into the Delta table; raises FeatureUnsupported for one that Insjö would not obey."""
    kept: dict[str, str] = {}
    for key, value in properties.items():
        if key in _KEPT:
            kept[key] = str(value)
        elif key.startswith(_PREFIX) and _DEFAULTS.get(key) != str(value).lower():
            message = f"The table property `{key}` = `{value}` is not supported."
            raise FeatureUnsupported(message, hint="Leave it out.")
    return kept
