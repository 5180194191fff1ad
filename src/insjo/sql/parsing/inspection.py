"""SHOW and DESCRIBE, with the forms that the SQL drivers send (clients.md, 1e)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.parsing.columns import refuse
from insjo.sql.parsing.create import property_key
from insjo.sql.parsing.nodes import Describe, DescribeQuery, Show
from insjo.sql.parsing.rights import show_grants
from insjo.sql.parsing.rows import checked_query
from insjo.sql.parsing.words import NOT_SHOWN, SHOWN

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.nodes import Command, NamePath


def show(cursor: Cursor) -> Command:
    """SHOW what [IN scope] [LIKE pattern]."""
    cursor.expect("SHOW")
    if cursor.word() in NOT_SHOWN:
        raise refuse(f"SHOW {cursor.word()}")
    what = cursor.one_of(SHOWN)
    if what in {"GRANTS", "GRANT"}:
        return show_grants(cursor)
    if what == "CREATE":
        cursor.one_of(("TABLE", "VIEW"))
        return Show("CREATE TABLE", cursor.path())
    if what == "TBLPROPERTIES":
        scope = cursor.path()
        key = ""
        if cursor.accept("("):
            key = property_key(cursor)
            cursor.expect(")")
        return Show(what, scope, key=key)
    if what == "TABLE":
        cursor.expect("EXTENDED")
        shown = _listing(cursor, "TABLE EXTENDED")
        if shown.pattern is None or shown.patterns:
            raise cursor.error("`LIKE` and a pattern")
        return shown
    if what == "PARTITIONS":
        scope = cursor.path()
        if cursor.looks_at("PARTITION"):
            raise refuse("SHOW PARTITIONS ... PARTITION")
        return Show(what, scope)
    return _listing(cursor, _plural(cursor, what))


def _plural(cursor: Cursor, what: str) -> str:
    """Name of what is listed, with its further words read."""
    if what == "DATABASES":
        return "SCHEMAS"
    if what in {"USER", "SYSTEM", "ALL"}:
        cursor.expect("FUNCTIONS")
        return f"{what} FUNCTIONS"
    if what == "TABLES" and cursor.accept("DROPPED"):
        return "TABLES DROPPED"
    if what in {"FOREIGN", "PRIMARY"}:
        cursor.expect("KEYS")
        return f"{what} KEYS"
    return what


def _listing(cursor: Cursor, what: str) -> Show:
    """[IN scope] and any of LIKE, SCHEMA LIKE, TABLE LIKE, in each order that clients use."""
    scope: NamePath = ()
    scope_kind = ""
    patterns: dict[str, str] = {}
    limit = ""
    while not cursor.at_end:
        if what == "TABLES DROPPED" and cursor.accept("LIMIT"):
            limit = str(cursor.number())
            continue
        if not scope_kind and not scope and cursor.accept_any("IN", "FROM"):
            scope, scope_kind = _scope(cursor, what)
        elif what == "COLUMNS" and not scope_kind and len(scope) == 1 and cursor.accept_any("IN", "FROM"):
            schema = cursor.path(parts_max=2)
            scope = (*schema, *scope)
        elif cursor.looks_at("SCHEMA", "LIKE") or cursor.looks_at("TABLE", "LIKE") or cursor.looks_at("CATALOG", "LIKE"):
            word = cursor.word()
            cursor.index += 2
            patterns[word] = cursor.string()
        elif cursor.accept("LIKE") or (cursor.at_string() and "" not in patterns):
            patterns[""] = cursor.string()
        elif (what.endswith("FUNCTIONS") and not patterns and cursor.at_name()) or (
            what in {"TABLES", "VIEWS", "SCHEMAS"} and "" not in patterns and cursor.at_name() and cursor.peek(1) is None
        ):
            patterns[""] = cursor.name()
        else:
            raise cursor.error("`IN` or `LIKE`")
    pattern = patterns.pop("", None)
    return Show(what, scope, scope_kind, pattern, patterns, limit)


def _scope(cursor: Cursor, what: str) -> tuple[NamePath, str]:
    """What follows IN or FROM."""
    if cursor.accept("ALL", "CATALOGS"):
        return (), "ALL CATALOGS"
    following = cursor.word(1)
    if (cursor.looks_at("CATALOG") and following not in {".", "", "LIKE"}) or (cursor.looks_at("CATALOG") and _quoted_next(cursor)):
        cursor.index += 1
        return cursor.path(parts_max=1), "CATALOG"
    if cursor.word() in {"SCHEMA", "DATABASE"} and (following not in {".", "", "LIKE"} or _quoted_next(cursor)):
        cursor.index += 1
        return cursor.path(parts_max=2), "SCHEMA"
    return cursor.path(parts_max={"SCHEMAS": 1, "COLUMNS": 3}.get(what, 2)), ""


def _quoted_next(cursor: Cursor) -> bool:
    """Whether the token after this one is a quoted name."""
    token = cursor.peek(1)
    return token is not None and not cursor.word(1)


def describe(cursor: Cursor) -> Command:
    """DESCRIBE of an object or of a query."""
    cursor.one_of(("DESCRIBE", "DESC"))
    if cursor.accept("QUERY") or cursor.word() in {"SELECT", "WITH", "VALUES"}:
        return DescribeQuery(checked_query(cursor.rest_tree()))
    if cursor.word() in {"HISTORY", "DETAIL"} and (cursor.word(1) not in {".", ""} or _quoted_next(cursor)):
        kind = cursor.one_of(("HISTORY", "DETAIL"))
        cursor.accept("TABLE")
        return Describe(kind, cursor.path())
    if cursor.word() in {
        "SHARE",
        "CONNECTION",
        "RECIPIENT",
        "PROVIDER",
        "CREDENTIAL",
        "EXTERNAL",
        "STORAGE",
        "PROCEDURE",
        "POLICY",
    } and cursor.peek(1):
        raise refuse(f"DESCRIBE {cursor.word()}")
    for kind, parts in (("SCHEMA", 2), ("DATABASE", 2), ("CATALOG", 1), ("VOLUME", 3), ("FUNCTION", 3)):
        if cursor.looks_at(kind) and (cursor.word(1) not in {".", ""} or _quoted_next(cursor)):
            cursor.index += 1
            extended = cursor.accept("EXTENDED")
            name = cursor.path(parts_max=parts)
            return Describe("SCHEMA" if kind == "DATABASE" else kind, name, extended)
    cursor.accept_any("TABLE")
    extended = bool(cursor.accept_any("EXTENDED", "FORMATTED"))
    name = cursor.path()
    if cursor.looks_at("PARTITION"):
        raise refuse("DESCRIBE TABLE ... PARTITION")
    if cursor.accept("AS", "JSON"):
        if not extended:
            raise cursor.error(hint="Write `DESCRIBE TABLE EXTENDED ... AS JSON`.")
        return Describe("TABLE", name, extended=True, as_json=True)
    column = "" if cursor.at_end else ".".join(cursor.path())
    return Describe("TABLE", name, extended, column=column)
