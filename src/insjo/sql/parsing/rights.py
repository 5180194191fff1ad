"""GRANT, REVOKE and SHOW GRANTS, with Unity Catalog's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing.columns import refuse
from insjo.sql.parsing.nodes import GrantChange, ShowGrants

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.nodes import NamePath

_KINDS = {
    "METASTORE": 0,
    "CATALOG": 1,
    "SCHEMA": 2,
    "DATABASE": 2,
    "TABLE": 3,
    "VIEW": 3,
    "VOLUME": 3,
    "FUNCTION": 3,
    "MODEL": 3,
    "INDEX": 3,
    "AGENT": 3,
    "ENDPOINT": 1,
    "WAREHOUSE": 1,
}
"""Kinds of objects and how many parts their names have."""


def grant(cursor: Cursor) -> GrantChange:
    """GRANT privileges ON [kind] name TO principal."""
    cursor.expect("GRANT")
    return _change(cursor, "TO", revoke=False)


def revoke(cursor: Cursor) -> GrantChange:
    """REVOKE privileges ON [kind] name FROM principal."""
    cursor.expect("REVOKE")
    return _change(cursor, "FROM", revoke=True)


def _change(cursor: Cursor, direction: str, *, revoke: bool) -> GrantChange:
    privileges = _privileges(cursor)
    cursor.expect("ON")
    kind, name = securable(cursor)
    cursor.expect(direction)
    who = principal(cursor)
    if cursor.looks_at("WITH", "GRANT", "OPTION"):
        raise refuse("WITH GRANT OPTION", "Grant `MANAGE` instead.")
    return GrantChange(privileges, kind, name, who, revoke)


def _privileges(cursor: Cursor) -> tuple[str, ...]:
    """Words up to ON, parted by commas; a privilege may have several words."""
    found: list[str] = []
    words: list[str] = []
    while not cursor.looks_at("ON"):
        if cursor.accept(","):
            found.append("_".join(words))
            words = []
            continue
        if not cursor.at_name():
            raise cursor.error("a privilege and `ON`")
        words.append(cursor.name().upper())
    found.append("_".join(words))
    if not all(found):
        raise cursor.error("a privilege")
    return tuple(found)


def securable(cursor: Cursor) -> tuple[str, NamePath]:
    """`[kind] name`; a name alone is that of a table."""
    kind = cursor.word()
    if kind == "METASTORE":
        cursor.index += 1
        return "METASTORE", ()
    if kind in {
        "EXTERNAL",
        "STORAGE",
        "SHARE",
        "CONNECTION",
        "SERVICE",
        "CREDENTIAL",
        "CLEAN",
        "ANONYMOUS",
        "ANY",
        "RECIPIENT",
        "PROCEDURE",
    }:
        following = cursor.word(1)
        if following and following not in {"TO", "FROM", "."}:
            raise refuse(f"GRANT ON {kind}")
    if (kind in _KINDS and cursor.word(1) not in {"TO", "FROM", ".", ""}) or (
        kind in _KINDS and cursor.peek(1) is not None and not cursor.word(1)
    ):
        cursor.index += 1
        return ("SCHEMA" if kind == "DATABASE" else kind), cursor.path(parts_max=_KINDS[kind])
    return "TABLE", cursor.path()


def principal(cursor: Cursor) -> str:
    """Name of a principal: in backticks, in quotes or bare."""
    return cursor.string() if cursor.at_string() or cursor.looks_at(":") else cursor.name()


def show_grants(cursor: Cursor) -> ShowGrants:
    """SHOW GRANTS [principal] ON [kind] name, after the words SHOW GRANTS."""
    who = "" if cursor.looks_at("ON") else principal(cursor)
    cursor.expect("ON")
    kind, name = securable(cursor)
    return ShowGrants(kind, name, who)
