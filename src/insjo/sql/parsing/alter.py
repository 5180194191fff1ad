"""ALTER and COMMENT ON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing import guards
from insjo.sql.parsing.columns import constraint, names, place, placed_column, refuse
from insjo.sql.parsing.create import clustering, if_exists, if_not_exists, properties, property_key
from insjo.sql.parsing.nodes import (
    AddColumns,
    AddConstraint,
    AlterColumn,
    AlterName,
    AlterOwner,
    AlterProperties,
    AlterView,
    ClusterBy,
    CommentOn,
    DropColumns,
    DropConstraint,
    PlacedColumn,
    RenameColumn,
)
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
    guard = guards.change(cursor, kind, name)
    if guard is not None:
        return guard
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
    if cursor.looks_at("ADD") and cursor.word(1) in {"CONSTRAINT", "PRIMARY", "FOREIGN", "CHECK"}:
        cursor.expect("ADD")
        return AddConstraint(name, constraint(cursor))
    if cursor.looks_at("ADD") and cursor.word(1) != "PARTITION":
        raise cursor.error("`ADD COLUMNS`")
    if cursor.accept("DROP", "COLUMNS") or cursor.accept("DROP", "COLUMN"):
        exists = if_exists(cursor)
        return DropColumns(name, names(cursor) if cursor.looks_at("(") else _listed(cursor), exists)
    if cursor.accept("RENAME", "COLUMN"):
        column = cursor.name()
        if cursor.looks_at("."):
            raise refuse("RENAME COLUMN of a field")
        cursor.expect("TO")
        return RenameColumn(name, column, cursor.name())
    if cursor.looks_at("DROP") and cursor.word(1) in {"CONSTRAINT", "PRIMARY", "FOREIGN"}:
        return _dropped_constraint(cursor, name)
    if cursor.accept("CLUSTER", "BY"):
        return ClusterBy(name, clustering(cursor))
    if cursor.accept("ALTER", "COLUMN") or cursor.accept("CHANGE", "COLUMN") or cursor.accept("ALTER") or cursor.accept("CHANGE"):
        return _alter_column(cursor, name)
    raise _refusal(cursor, "TABLE")


def _alter_column(cursor: Cursor, name: NamePath) -> Command:
    """What follows ALTER COLUMN."""
    parts = [cursor.name()]
    while cursor.accept("."):
        parts.append(cursor.name())
    column = ".".join(parts)
    if cursor.accept("COMMENT"):
        return CommentOn("TABLE", name, cursor.string(), column)
    if len(parts) > 1:
        raise refuse("ALTER COLUMN of a field")
    for change in ("SET NOT NULL", "DROP NOT NULL", "DROP DEFAULT"):
        if cursor.accept(*change.split()):
            return AlterColumn(name, column, change)
    if cursor.accept("SET", "DEFAULT"):
        return AlterColumn(name, column, "SET DEFAULT", cursor.rest())
    if cursor.accept("TYPE") or cursor.accept("SET", "DATA", "TYPE"):
        return AlterColumn(name, column, "TYPE", cursor.rest())
    after = place(cursor)
    if after is not None:
        return AlterColumn(name, column, "PLACE", after)
    raise refuse(f"ALTER TABLE ... ALTER COLUMN ... {cursor.word()} {cursor.word(1)}".rstrip())


def _dropped_constraint(cursor: Cursor, name: NamePath) -> DropConstraint:
    """DROP CONSTRAINT [IF EXISTS] name, DROP PRIMARY KEY [IF EXISTS], DROP FOREIGN KEY [IF EXISTS] (columns)."""
    cursor.expect("DROP")
    word = cursor.one_of(("CONSTRAINT", "PRIMARY", "FOREIGN"))
    if word == "CONSTRAINT":
        exists = if_exists(cursor)
        found = DropConstraint(name, constraint=cursor.name(), if_exists=exists)
    else:
        cursor.expect("KEY")
        exists = if_exists(cursor)
        found = DropConstraint(name, kind=f"{word} KEY", columns=names(cursor) if word == "FOREIGN" else (), if_exists=exists)
    cursor.accept_any("RESTRICT", "CASCADE")
    return found


def _listed(cursor: Cursor) -> tuple[str, ...]:
    """Names without a parenthesis around them."""
    found = [cursor.name()]
    while cursor.accept(","):
        found.append(cursor.name())
    if cursor.looks_at("."):
        raise refuse("DROP COLUMN of a field")
    return tuple(found)


def _added(cursor: Cursor) -> tuple[PlacedColumn, ...]:
    """Columns with or without a parenthesis around them."""
    parenthesis = cursor.accept("(")
    found = []
    while True:
        column, after, constraints = placed_column(cursor)
        if constraints:
            raise refuse("ADD COLUMNS with a constraint", "Add the column first, then the constraint.")
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
