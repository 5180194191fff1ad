"""Row filters, column masks and tags in ALTER and CREATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.protection import Argument
from insjo.sql.parsing.guard_nodes import AlterMask, AlterRowFilter, AlterTags, Application

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.guard_nodes import GuardCommand, NamePath


def change(cursor: Cursor, kind: str, name: NamePath) -> GuardCommand | None:
    """What ALTER changes of filters, masks and tags; None when it changes something else, and the cursor stays where it is."""
    tags = _tags(cursor)
    if tags is not None:
        return AlterTags(kind, name, tags)
    if kind not in {"TABLE", "VIEW"}:
        return None
    if cursor.accept("SET", "ROW", "FILTER"):
        return AlterRowFilter(name, row_filter(cursor))
    if cursor.accept("DROP", "ROW", "FILTER"):
        return AlterRowFilter(name)
    start = cursor.index
    if cursor.accept("ALTER", "COLUMN") or cursor.accept("ALTER") or cursor.accept("CHANGE", "COLUMN"):
        column = cursor.name() if cursor.at_name() else ""
        tags = _tags(cursor)
        if column and tags is not None:
            return AlterTags(kind, name, tags, column)
        if column and cursor.accept("SET", "MASK"):
            return AlterMask(name, column, mask(cursor, column))
        if column and cursor.accept("DROP", "MASK"):
            return AlterMask(name, column)
        cursor.index = start
    return None


def row_filter(cursor: Cursor) -> Application:
    """`f ON (a, b)`, after the words ROW FILTER."""
    function = cursor.path()
    cursor.expect("ON")
    return Application(function, arguments(cursor))


def mask(cursor: Cursor, column: str) -> Application:
    """`f [USING COLUMNS (a, 'x')]`, after the word MASK; the column itself is the first argument."""
    function = cursor.path()
    more = arguments(cursor) if cursor.accept("USING", "COLUMNS") else ()
    return Application(function, (Argument(column=column), *more))


def arguments(cursor: Cursor) -> tuple[Argument, ...]:
    """Columns and constants in parentheses; there may be none."""
    cursor.expect("(")
    found: list[Argument] = []
    while not cursor.accept(")"):
        found.append(_argument(cursor))
        if not cursor.looks_at(")"):
            cursor.expect(",")
    return tuple(found)


def _argument(cursor: Cursor) -> Argument:
    if cursor.at_string():
        return Argument(constant=literal(cursor.string()))
    if cursor.word() in {"TRUE", "FALSE", "NULL"}:
        return Argument(constant=cursor.one_of(("TRUE", "FALSE", "NULL")))
    if cursor.at_name():
        return Argument(column=cursor.name())
    return Argument(constant=str(cursor.number()))


def literal(text: str) -> str:
    """A text as a constant of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _tags(cursor: Cursor) -> dict[str, str | None] | None:
    """SET TAGS ('a' = 'x', 'b') and UNSET TAGS ('a'); None when neither comes next."""
    if cursor.accept("SET", "TAGS"):
        return _pairs(cursor)
    if cursor.accept("UNSET", "TAGS"):
        return dict.fromkeys(_pairs(cursor))
    return None


def _pairs(cursor: Cursor) -> dict[str, str | None]:
    """Keys with values; a key alone has an empty one."""
    cursor.expect("(")
    found: dict[str, str | None] = {}
    while True:
        key = cursor.string() if cursor.at_string() or cursor.looks_at(":") else cursor.name()
        found[key] = cursor.string() if cursor.accept("=") else ""
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found
