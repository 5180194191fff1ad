"""ALTER and COMMENT ON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing.create import if_exists, if_not_exists, placed_column, properties, property_key, refuse
from insjo.sql.parsing.nodes import AddColumns, AlterName, AlterOwner, AlterProperties, AlterView, CommentOn, PlacedColumn
from insjo.sql.parsing.rows import checked_query

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.nodes import Command, NamePath

_KINDS = ("TABLE", "VIEW", "SCHEMA", "DATABASE", "CATALOG", "VOLUME", "FUNCTION")
_PARTS = {"CATALOG": 1, "SCHEMA": 2}


def alter(cursor: Cursor) -> Command:
    """ALTER kind name change."""
    cursor.expect("ALTER")
    if cursor.word() not in _KINDS:
        raise refuse(f"ALTER {cursor.word()}")
    kind = cursor.one_of(_KINDS)
    kind = "SCHEMA" if kind == "DATABASE" else kind
    exists = if_exists(cursor)
    name = cursor.path(parts_max=_PARTS.get(kind, 3))
    if cursor.accept("SET", "OWNER", "TO") or cursor.accept("OWNER", "TO"):
        return AlterOwner(kind, name, _principal(cursor))
    if cursor.accept("RENAME", "TO"):
        return AlterName(kind, name, cursor.path(parts_max=_PARTS.get(kind, 3)))
    for words in (("SET", "TBLPROPERTIES"), ("SET", "DBPROPERTIES"), ("SET", "PROPERTIES")):
        if cursor.accept(*words):
            return AlterProperties(kind, name, dict(properties(cursor)), exists)
    if cursor.accept("UNSET", "TBLPROPERTIES"):
        if_exists(cursor)
        return AlterProperties(kind, name, dict.fromkeys(_keys(cursor)), exists)
    if kind == "VIEW" and cursor.accept("AS"):
        start = cursor.peek()
        tree = checked_query(cursor.rest_tree())
        return AlterView(name, cursor.text[start.start : cursor.tokens[-1].end + 1] if start else "", tree)
    if kind == "TABLE":
        return _alter_table(cursor, name)
    raise _refusal(cursor, kind)


def _alter_table(cursor: Cursor, name: NamePath) -> Command:
    """Changes that only tables know."""
    if cursor.accept("ADD", "COLUMNS") or cursor.accept("ADD", "COLUMN"):
        skip = if_not_exists(cursor)
        return AddColumns(name, _added(cursor), skip)
    if cursor.looks_at("ADD") and cursor.word(1) not in {"CONSTRAINT", "PARTITION", "PRIMARY", "FOREIGN", "CHECK"}:
        raise cursor.error("`ADD COLUMNS`")
    if cursor.accept("ALTER", "COLUMN") or cursor.accept("CHANGE", "COLUMN"):
        parts = [cursor.name()]
        while cursor.accept("."):
            parts.append(cursor.name())
        if cursor.accept("COMMENT"):
            return CommentOn("TABLE", name, cursor.string(), ".".join(parts))
        raise refuse(f"ALTER TABLE ... ALTER COLUMN ... {cursor.word()} {cursor.word(1)}".rstrip())
    raise _refusal(cursor, "TABLE")


def _added(cursor: Cursor) -> tuple[PlacedColumn, ...]:
    """Columns with or without a parenthesis around them."""
    parenthesis = cursor.accept("(")
    found = []
    while True:
        column, after = placed_column(cursor)
        found.append(PlacedColumn(column, after))
        if not cursor.accept(","):
            break
    if parenthesis:
        cursor.expect(")")
    return tuple(found)


def _keys(cursor: Cursor) -> list[str]:
    """`('key', a.b)`."""
    cursor.expect("(")
    keys = [property_key(cursor)]
    while cursor.accept(","):
        keys.append(property_key(cursor))
    cursor.expect(")")
    return keys


def _refusal(cursor: Cursor, kind: str) -> Exception:
    """What the statement wants, by name, as far as that is a word."""
    words = []
    for ahead in range(3):
        word = cursor.word(ahead)
        if not word.replace("_", "").isalpha():
            break
        words.append(word)
    if not words:
        return cursor.error("a change such as `SET TBLPROPERTIES`")
    shown = " ".join(words[:2] if words[0] in {"ADD", "DROP", "RENAME", "CLUSTER"} else words)
    return refuse(f"ALTER {kind} ... {shown}")


def _principal(cursor: Cursor) -> str:
    """Name of a principal."""
    return cursor.string() if cursor.at_string() else cursor.name()


def comment_on(cursor: Cursor) -> CommentOn:
    """COMMENT ON kind name IS {text | NULL}."""
    cursor.expect("COMMENT", "ON")
    if cursor.accept("COLUMN"):
        parts = cursor.path(parts_max=4)
        if len(parts) < 2:  # noqa: PLR2004  # A table and a column.
            raise cursor.error("`table.column`")
        cursor.expect("IS")
        return CommentOn("TABLE", parts[:-1], _comment(cursor), parts[-1])
    kind = cursor.one_of(_KINDS)
    kind = "SCHEMA" if kind == "DATABASE" else kind
    name = cursor.path(parts_max=_PARTS.get(kind, 3))
    cursor.expect("IS")
    return CommentOn(kind, name, _comment(cursor))


def _comment(cursor: Cursor) -> str:
    return "" if cursor.accept("NULL") else cursor.string()
