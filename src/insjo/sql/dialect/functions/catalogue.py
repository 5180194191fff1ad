"""All definitions together: the list of what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.dialect.functions import (
    aggregates,
    arrays,
    conditional,
    csv_values,
    dates,
    formats,
    generators,
    hashes,
    json_values,
    lambdas,
    numeric,
    regex,
    sketches,
    text,
    windows,
)

if TYPE_CHECKING:
    from insjo.sql.dialect.functions.registry import Definition

DEFINITIONS: tuple[Definition, ...] = (
    *aggregates.DEFINITIONS,
    *arrays.DEFINITIONS,
    *conditional.DEFINITIONS,
    *csv_values.DEFINITIONS,
    *dates.DEFINITIONS,
    *formats.DEFINITIONS,
    *generators.DEFINITIONS,
    *hashes.DEFINITIONS,
    *json_values.DEFINITIONS,
    *lambdas.DEFINITIONS,
    *numeric.DEFINITIONS,
    *regex.DEFINITIONS,
    *sketches.DEFINITIONS,
    *text.DEFINITIONS,
    *windows.DEFINITIONS,
)
