"""CREATE POLICY, DROP POLICY, SHOW POLICIES, DESCRIBE POLICY, and SET TAG and UNSET TAG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing.guard_nodes import AlterTags, Application, CreatePolicy, DropPolicy, ShowPolicies
from insjo.sql.parsing.guards import arguments

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.guard_nodes import GuardCommand, NamePath

_HOLDERS = {"CATALOG": 1, "SCHEMA": 2, "DATABASE": 2, "TABLE": 3}
_TAGGED = {**_HOLDERS, "VIEW": 3, "VOLUME": 3, "FUNCTION": 3, "MODEL": 3}


def read(cursor: Cursor) -> GuardCommand | None:
    """A statement about policies or about one tag; None for every other, and the cursor stays where it is."""
    start = cursor.index
    first = cursor.word()
    if first == "CREATE":
        cursor.index += 1
        or_replace = cursor.accept("OR", "REPLACE")
        if cursor.looks_at("POLICY") and cursor.word(1) != ".":
            return _create(cursor, or_replace=or_replace)
    elif cursor.accept("DROP", "POLICY"):
        exists = cursor.accept("IF", "EXISTS")
        name = cursor.name()
        return DropPolicy(name, *_on(cursor), exists)
    elif cursor.accept("SHOW", "EFFECTIVE", "POLICIES"):
        return ShowPolicies(*_on(cursor), inherited=True)
    elif cursor.accept("SHOW", "POLICIES"):
        return ShowPolicies(*_on(cursor))
    elif first in {"DESCRIBE", "DESC"} and cursor.word(1) == "POLICY" and cursor.word(3) == "ON":
        cursor.index += 2
        name = cursor.name()
        return ShowPolicies(*_on(cursor), name=name)
    elif cursor.accept("SET", "TAG", "ON"):
        return _one_tag(cursor, takes=False)
    cursor.index = start
    return None


def unset(cursor: Cursor) -> AlterTags:
    """UNSET TAG ON; the word begins no other statement."""
    cursor.expect("UNSET", "TAG", "ON")
    return _one_tag(cursor, takes=True)


def _create(cursor: Cursor, *, or_replace: bool) -> CreatePolicy:
    """CREATE POLICY after its flags."""
    cursor.expect("POLICY")
    name = cursor.name()
    kind, on = _on(cursor)
    comment = cursor.string() if cursor.accept("COMMENT") else ""
    if cursor.one_of(("ROW", "COLUMN")) == "ROW":
        cursor.expect("FILTER")
        masks = False
    else:
        cursor.expect("MASK")
        masks = True
    function = cursor.path()
    cursor.expect("TO")
    to = _principals(cursor)
    exempt = _principals(cursor) if cursor.accept("EXCEPT") else ()
    cursor.expect("FOR")
    cursor.one_of(("TABLES", "TABLE"))
    when = cursor.until("MATCH", "ON", "USING") if cursor.accept("WHEN") else ""
    columns = _columns(cursor) if cursor.accept("MATCH", "COLUMNS") else ()
    on_column = ""
    if masks:
        cursor.expect("ON", "COLUMN")
        on_column = cursor.name()
    given = arguments(cursor) if cursor.accept("USING", "COLUMNS") else ()
    return CreatePolicy(name, kind, on, Application(function, given), to, exempt, when, columns, on_column, comment, or_replace)


def _on(cursor: Cursor) -> tuple[str, NamePath]:
    """ON kind name."""
    cursor.expect("ON")
    kind = cursor.one_of(tuple(_HOLDERS))
    return ("SCHEMA" if kind == "DATABASE" else kind), cursor.path(parts_max=_HOLDERS[kind])


def _principals(cursor: Cursor) -> tuple[str, ...]:
    """Names parted by commas."""
    found = []
    while True:
        found.append(cursor.string() if cursor.at_string() else cursor.name())
        if not cursor.accept(","):
            return tuple(found)


def _columns(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    """`condition AS alias, ...`; a condition without an alias only asks whether there is such a column."""
    found: list[tuple[str, str]] = []
    while True:
        condition = cursor.until("AS", "ON", "USING")
        alias = cursor.name() if cursor.accept("AS") else f"column {len(found) + 1}"
        found.append((condition, alias))
        if not cursor.accept(","):
            return tuple(found)


def _one_tag(cursor: Cursor, *, takes: bool) -> AlterTags:
    """`kind name key [= value]`, after SET TAG ON or UNSET TAG ON; a column is `COLUMN table.column`."""
    column = ""
    if cursor.accept("COLUMN"):
        path = cursor.path(parts_max=4)
        if len(path) < 2:  # noqa: PLR2004  # A table and a column.
            raise cursor.error("`table.column`")
        kind, name, column = "TABLE", path[:-1], path[-1]
    else:
        kind = cursor.one_of(tuple(_TAGGED))
        name = cursor.path(parts_max=_TAGGED[kind])
    key = cursor.string() if cursor.at_string() else cursor.name()
    value = "" if not takes else None
    if not takes and cursor.accept("="):
        value = cursor.string() if cursor.at_string() else cursor.name()
    return AlterTags("SCHEMA" if kind == "DATABASE" else kind, name, {key: value}, column)
