"""Statements about row filters, column masks, tags and policies, after reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.access.protection import Argument

NamePath: TypeAlias = tuple[str, ...]

T = TypeVar("T")
"""The plain statement that is part of another one."""


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


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """CREATE POLICY.

    Attributes:
        kind: CATALOG, SCHEMA or TABLE; `on` is its name.
        application: The function; a column in its arguments is an alias of `columns`.
        columns: Condition and alias of MATCH COLUMNS.
        on_column: Alias of the columns that are masked; empty for a row filter.
    """

    name: str
    kind: str
    on: NamePath
    application: Application
    to: tuple[str, ...]
    exempt: tuple[str, ...] = ()
    when: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    on_column: str = ""
    comment: str = ""
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class DropPolicy:
    """DROP POLICY."""

    name: str
    kind: str
    on: NamePath
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ShowPolicies:
    """SHOW [EFFECTIVE] POLICIES, and DESCRIBE POLICY (then with a name)."""

    kind: str
    on: NamePath
    inherited: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class CreateGuardedTable(Generic[T]):
    """CREATE TABLE with a row filter or with masks of columns."""

    table: T
    row_filter: Application | None = None
    masks: tuple[tuple[str, Application], ...] = ()


GuardCommand: TypeAlias = AlterRowFilter | AlterMask | AlterTags | CreatePolicy | DropPolicy | ShowPolicies | CreateGuardedTable[Any]
