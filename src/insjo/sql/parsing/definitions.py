"""Columns and constraints as statements define them: plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counter:
    """`GENERATED ... AS IDENTITY (START WITH start INCREMENT BY step)`; `explicit` is BY DEFAULT."""

    start: int = 1
    step: int = 1
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of CREATE TABLE, ALTER TABLE or CREATE VIEW (there without a type).

    Attributes:
        default: Text of the expression after DEFAULT, or empty.
        generated: Text of the expression of GENERATED ALWAYS AS, or empty.
    """

    name: str
    type_text: str = ""
    nullable: bool = True
    comment: str = ""
    default: str = ""
    generated: str = ""
    counter: Counter | None = None


@dataclass(frozen=True, slots=True)
class ConstraintDefinition:
    """CHECK, PRIMARY KEY or FOREIGN KEY.

    Attributes:
        kind: `CHECK`, `PRIMARY KEY` or `FOREIGN KEY`.
        name: Empty when the statement gives none.
        expression: Text of the condition of a check.
        parent: Table of a foreign key; `parent_columns` are empty for its primary key.
    """

    kind: str
    name: str = ""
    columns: tuple[str, ...] = ()
    expression: str = ""
    parent: tuple[str, ...] = ()
    parent_columns: tuple[str, ...] = ()
    rely: bool = False
