"""Conditions and measures that make sense on a column, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from insjo.agents.drafting import words as w
from insjo.agents.drafting.query import Filter, Measure, Operator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.agents.drafting.tables import ColumnFacts

YEARS: Final = range(1800, 2201)
"""Numbers that are read as years."""


def condition_on(column: ColumnFacts, operator: str, value: float | str) -> Filter | None:
    """A condition; a year compares with the year of a moment."""
    known: Mapping[str, Operator] = {"=": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
    if column.is_moment and not isinstance(value, str):
        return Filter(column, known[operator], value, "year") if value in YEARS else None
    return Filter(column, known[operator], value)


def measure_of(function: str, column: ColumnFacts | None) -> Measure | None:
    """A measure that makes sense, or None; a column that is counted is counted by its different values."""
    if function == w.COUNT:
        return Measure(function, column, distinct=column is not None)
    if column is None:
        return None
    if function in {w.AVERAGE, w.SUM, w.MEDIAN} and not column.is_number:
        return None
    return Measure(function, column)
