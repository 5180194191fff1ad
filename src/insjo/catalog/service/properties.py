"""Table properties that mean something to whoever reads or writes the Delta table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insjo.catalog.errors import FeatureUnsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "delta."

CONSTRAINTS = "delta.constraints."
"""Beginning of the properties that hold the conditions which every row must fulfil; they are made by `ADD CONSTRAINT` only."""

CHANGE_DATA_FEED = "delta.enableChangeDataFeed"
"""The table tells which rows each version changed."""

_KEPT = frozenset(
    {
        "delta.appendOnly",
        "delta.checkpointInterval",
        "delta.dataSkippingNumIndexedCols",
        "delta.deletedFileRetentionDuration",
        "delta.enableChangeDataFeed",
        "delta.logRetentionDuration",
        "delta.targetFileSize",
    },
)
_DEFAULTS = {
    "delta.columnMapping.mode": "none",
    "delta.feature.allowColumnDefaults": "supported",
    "delta.enableDeletionVectors": "false",
    "delta.enableRowTracking": "false",
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
}
"""Properties that may be given if they say what is so anyway."""


_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_INTERVAL = re.compile(r"(?:interval\s+)?(\d{1,6})\s+(second|minute|hour|day|week)s?", re.IGNORECASE)
RETENTION = "delta.deletedFileRetentionDuration"
_RETENTION_S = 7 * 86_400


def retention_s(properties: Mapping[str, str]) -> int:
    """How long files that a table no longer has are kept, in seconds: a week unless the table says otherwise."""
    text = properties.get(RETENTION)
    return _RETENTION_S if text is None else _interval_s(text)


def keeps_changes(properties: Mapping[str, str]) -> bool:
    """Whether a table tells which rows each version changed."""
    return properties.get(CHANGE_DATA_FEED, "").lower() == "true"


def _interval_s(text: str) -> int:
    match = _INTERVAL.fullmatch(text.strip())
    if match is None:
        message = f"`{text}` is not a length of time."
        raise FeatureUnsupported(message, hint="Write for example `interval 7 days`.")
    return int(match[1]) * _SECONDS[match[2].lower()]


def storage_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that go into the Delta table; raises FeatureUnsupported for one that Insjö would not obey."""
    kept: dict[str, str] = {}
    for key, value in properties.items():
        if key in _KEPT:
            kept[key] = str(value)
            if key == RETENTION:
                _interval_s(str(value))
            if key == CHANGE_DATA_FEED and str(value).lower() not in {"true", "false"}:
                message = f"`{key}` is true or false, not `{value}`."
                raise FeatureUnsupported(message)
        elif key.startswith(_PREFIX) and _DEFAULTS.get(key) != str(value).lower():
            message = f"The table property `{key}` = `{value}` is not supported."
            raise FeatureUnsupported(message, hint="Leave it out.")
    return kept
