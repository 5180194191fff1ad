"""Columns of CREATE TABLE and ALTER TABLE with all that may follow their names, and constraints of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.sql.errors import SyntaxInvalid, UnsupportedFeature
from insjo.sql.parsing.definitions import ColumnDefinition, ConstraintDefinition, Counter
from insjo.sql.parsing.guards import mask

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.guard_nodes import Application

_TYPE_STOPS = (
    "NOT",
    "NULL",
    "COMMENT",
    "DEFAULT",
    "GENERATED",
    "PRIMARY",
    "CONSTRAINT",
    "REFERENCES",
    "FOREIGN",
    "CHECK",
    "UNIQUE",
    "MASK",
    "AFTER",
    "FIRST",
    "COLLATE",
)
_OF_TABLES = frozenset({"CONSTRAINT", "PRIMARY", "FOREIGN", "CHECK", "UNIQUE"})
_OF_COLUMNS = _OF_TABLES | {"REFERENCES"}
_INFORMATIONAL = (
    "NOT ENFORCED",
    "DEFERRABLE",
    "NOT DEFERRABLE",
    "INITIALLY DEFERRED",
    "MATCH FULL",
    "ON UPDATE NO ACTION",
    "ON DELETE NO ACTION",
    "NORELY",
)
"""What may stand behind a key and changes nothing: nobody enforces keys."""


def refuse(feature: str, hint: str = "") -> UnsupportedFeature:
    """Error that names what is missing."""
    return UnsupportedFeature(f"`{feature}` is not supported.", hint=hint, details={"feature": feature})


@dataclass(frozen=True, slots=True)
class Columns:
    """What a list of columns holds."""

    columns: tuple[ColumnDefinition, ...] = ()
    constraints: tuple[ConstraintDefinition, ...] = ()
    masks: tuple[tuple[str, Application], ...] = ()


def table_columns(cursor: Cursor) -> Columns:
    """`(a INT NOT NULL COMMENT 'x', b STRING DEFAULT 'y', CONSTRAINT k PRIMARY KEY (a), ...)`."""
    cursor.expect("(")
    columns: list[ColumnDefinition] = []
    constraints: list[ConstraintDefinition] = []
    masks: list[tuple[str, Application]] = []
    while True:
        if cursor.word() in _OF_TABLES and cursor.word(1) not in {",", ")"}:
            constraints.append(constraint(cursor))
        else:
            column, own = column_rest(cursor, cursor.name())
            columns.append(column)
            constraints.extend(own)
            if cursor.accept("MASK"):
                masks.append((column.name, mask(cursor, column.name)))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return Columns(tuple(columns), tuple(constraints), tuple(masks))


def names(cursor: Cursor) -> tuple[str, ...]:
    """`(a, b)`."""
    cursor.expect("(")
    found = [cursor.name()]
    while cursor.accept(","):
        found.append(cursor.name())
    cursor.expect(")")
    return tuple(found)


def column_rest(cursor: Cursor, name: str) -> tuple[ColumnDefinition, list[ConstraintDefinition]]:
    """Type, constraints, default and comment of a column whose name was read."""
    cursor.accept(":")
    found: dict[str, object] = {"type_text": cursor.until(*_TYPE_STOPS)}
    constraints: list[ConstraintDefinition] = []
    while cursor.word() not in {",", ")", ""} or cursor.at_name():
        if cursor.accept("NOT", "NULL"):
            found["nullable"] = False
        elif cursor.accept("NULL"):
            found["nullable"] = True
        elif cursor.accept("COMMENT"):
            found["comment"] = cursor.string()
        elif cursor.accept("COLLATE"):
            binary_collation(cursor)
        elif cursor.accept("DEFAULT"):
            found["default"] = cursor.until(*_TYPE_STOPS)
        elif cursor.accept("GENERATED"):
            found |= _generated(cursor)
        elif cursor.word() in {"AFTER", "FIRST", "MASK"}:
            break
        elif cursor.word() in _OF_COLUMNS:
            constraints.append(constraint(cursor, column=name))
        else:
            raise cursor.error("`,` or `)`")
    return ColumnDefinition(name, **found), constraints  # type: ignore[arg-type]  # Each field was read in its own type.


def binary_collation(cursor: Cursor) -> None:
    """Texts are compared byte by byte."""
    if cursor.name().upper() != "UTF8_BINARY":
        raise refuse("COLLATION")


def _generated(cursor: Cursor) -> dict[str, object]:
    """`ALWAYS AS (expression)`, `ALWAYS AS IDENTITY (...)`, `BY DEFAULT AS IDENTITY (...)`."""
    explicit = cursor.one_of(("ALWAYS", "BY")) == "BY"
    if explicit:
        cursor.expect("DEFAULT")
    cursor.expect("AS")
    if not cursor.accept("IDENTITY"):
        if explicit:
            raise cursor.error("`IDENTITY`")
        return {"generated": cursor.parenthesised().strip()}
    start, step = 1, 1
    if cursor.accept("("):
        while not cursor.accept(")"):
            if cursor.accept("START"):
                cursor.accept("WITH")
                start = cursor.number()
            else:
                cursor.expect("INCREMENT")
                cursor.accept("BY")
                step = cursor.number()
    if step == 0:
        message = "An identity column cannot be counted up by 0."
        raise SyntaxInvalid(message)
    return {"counter": Counter(start, step, explicit)}


def constraint(cursor: Cursor, column: str = "") -> ConstraintDefinition:
    """`[CONSTRAINT name] {CHECK (...) | PRIMARY KEY (...) | FOREIGN KEY (...) REFERENCES ...}`; behind a column without its names."""
    name = cursor.name() if cursor.accept("CONSTRAINT") else ""
    if cursor.accept("CHECK"):
        found = ConstraintDefinition("CHECK", name, expression=cursor.parenthesised().strip())
        cursor.accept("ENFORCED")
        return found
    if cursor.accept("PRIMARY", "KEY"):
        columns = (column,) if column else _key_columns(cursor)
        return ConstraintDefinition("PRIMARY KEY", name, columns, rely=_options(cursor))
    if cursor.looks_at("UNIQUE"):
        raise refuse("UNIQUE", "Insjö keeps primary keys, foreign keys and checks.")
    if column:
        cursor.accept("FOREIGN", "KEY")
        columns = (column,)
    else:
        cursor.expect("FOREIGN", "KEY")
        columns = names(cursor)
    cursor.expect("REFERENCES")
    parent = cursor.path()
    parent_columns = names(cursor) if cursor.looks_at("(") else ()
    return ConstraintDefinition("FOREIGN KEY", name, columns, parent=parent, parent_columns=parent_columns, rely=_options(cursor))


def _key_columns(cursor: Cursor) -> tuple[str, ...]:
    """Columns of a primary key, one of which may be marked `TIMESERIES`."""
    cursor.expect("(")
    found = [cursor.name()]
    while not cursor.accept(")"):
        if cursor.looks_at("TIMESERIES"):
            raise refuse("PRIMARY KEY (... TIMESERIES)")
        cursor.expect(",")
        found.append(cursor.name())
    return tuple(found)


def _options(cursor: Cursor) -> bool:
    """What follows a key; whether an optimiser may rely on it."""
    rely = False
    while True:
        if cursor.accept("RELY"):
            rely = True
        elif not cursor.accept_phrase(*_INFORMATIONAL):
            return rely


def placed_column(cursor: Cursor) -> tuple[ColumnDefinition, str | None, list[ConstraintDefinition]]:
    """A column with FIRST or AFTER name."""
    column, constraints = column_rest(cursor, cursor.name())
    return column, place(cursor), constraints


def place(cursor: Cursor) -> str | None:
    """FIRST (an empty text), AFTER name, or neither."""
    if cursor.accept("FIRST"):
        return ""
    return cursor.name() if cursor.accept("AFTER") else None
