"""Statements about row filters, column masks, tags and policies, after reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.access.protection import Argument

NamePath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """A function with what it is applied to: `f ON (a, b)`, `f USING COLUMNS (a, 'x')`."""

    function: NamePath
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterRowFilter:
    """ALTER TABLE ... SET ROW FILTER, and DROP ROW FILTER (then without a filter)."""

    name: NamePath
    row_filter: Application | None = None


@dataclass(frozen=True, slots=True)
class AlterMask:
    """ALTER TABLE ... ALTER COLUMN ... SET MASK, and DROP MASK (then without a mask)."""

    name: NamePath
    column: str
    mask: Application | None = None


@dataclass(frozen=True, slots=True)
class AlterTags:
    """SET TAGS and UNSET TAGS on an object or a column; a None value takes the tag away."""

    kind: str
    name: NamePath
    changes: Mapping[str, str | None]
    column: str = ""


GuardCommand: TypeAlias = AlterRowFilter | AlterMask | AlterTags
