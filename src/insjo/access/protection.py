"""What hides rows and columns of a table from some callers: row filters and column masks, as functions with their arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

ARGUMENTS_MAX: Final = 50
"""Arguments that a row filter or a column mask may take."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What a filter or mask gives to its function: the value of a column, or a constant as SQL writes it."""

    column: str = ""
    constant: str = ""

    def as_json(self) -> dict[str, str]:
        """As the store keeps it."""
        return {"column": self.column} if self.column else {"constant": self.constant}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Argument:
        """From what the store keeps."""
        return Argument(str(value.get("column", "")), str(value.get("constant", "")))

    def text(self) -> str:
        """As a statement writes it."""
        return self.column or self.constant


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A row is there only where the function is true of it; `policy` is the name of the policy that says so, if one does."""

    function_id: str
    arguments: tuple[Argument, ...]
    policy: str = ""
    function_name: str = ""


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """The function's value stands in the place of the column's; its first argument is the column itself."""

    column: str
    function_id: str
    arguments: tuple[Argument, ...]
    policy: str = ""
    function_name: str = ""


@dataclass(frozen=True, slots=True)
class Protection:
    """All that protects one table from one caller; `masks` by column in lower case."""

    filters: tuple[RowFilter, ...] = ()
    masks: Mapping[str, ColumnMask] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.filters or self.masks)

    @property
    def hides_rows(self) -> bool:
        """Whether the table may have rows that the caller must not learn of."""
        return bool(self.filters)

    def columns(self) -> frozenset[str]:
        """Names, in lower case, of the columns without which it cannot be applied."""
        parts: Iterable[RowFilter | ColumnMask] = (*self.filters, *self.masks.values())
        return frozenset(argument.column.lower() for part in parts for argument in part.arguments if argument.column)


UNPROTECTED: Final = Protection()
"""Everything is there for whoever may read the table."""
