"""CREATE and DROP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid
from insjo.sql.parsing.columns import Columns, binary_collation, column_rest, names, refuse, table_columns
from insjo.sql.parsing.definitions import ColumnDefinition
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.guard_nodes import CreateGuardedTable
from insjo.sql.parsing.guards import row_filter
from insjo.sql.parsing.nodes import (
    CreateCatalog,
    CreateFunction,
    CreateSchema,
    CreateTable,
    CreateView,
    CreateVolume,
    Drop,
    DropVariable,
    FunctionParameter,
    Undrop,
)
from insjo.sql.parsing.rows import checked_query
from insjo.sql.parsing.words import NOT_CREATED

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor
    from insjo.sql.parsing.guard_nodes import Application
    from insjo.sql.parsing.nodes import Command, NamePath

_FORMATS = ("DELTA",)
_FUNCTION_PHRASES = ("LANGUAGE SQL", "DETERMINISTIC", "NOT DETERMINISTIC", "CONTAINS SQL", "READS SQL DATA", "SQL SECURITY DEFINER")
"""Clauses of CREATE FUNCTION that say what holds for every function here."""
_KINDS = ("CATALOG", "SCHEMA", "DATABASE", "TABLE", "VIEW", "VOLUME", "FUNCTION")


def create(cursor: Cursor) -> Command:
    """CREATE [OR REPLACE | OR REFRESH] [TEMPORARY | EXTERNAL | MATERIALIZED] kind ..., and REPLACE TABLE."""
    if cursor.accept("REPLACE"):
        cursor.expect("TABLE")
        return _table(cursor, or_replace=True)
    cursor.expect("CREATE")
    or_replace = cursor.accept("OR", "REPLACE")
    if cursor.accept("OR", "REFRESH"):
        raise refuse("CREATE OR REFRESH", "Use a table or a view.")
    temporary = bool(cursor.accept_any("TEMPORARY", "TEMP"))
    if cursor.word() in {"GLOBAL", "EXTERNAL"}:
        raise refuse(f"CREATE {cursor.word()} {cursor.word(1)}".rstrip())
    kind = cursor.word()
    if temporary and kind not in {"VIEW", "FUNCTION"}:
        raise refuse(f"CREATE TEMPORARY {kind}")
    if kind in {"SCHEMA", "DATABASE"}:
        return _schema(cursor)
    if kind == "CATALOG":
        return _catalog(cursor)
    if kind == "VOLUME":
        return _volume(cursor)
    if kind == "TABLE":
        cursor.index += 1
        return _table(cursor, or_replace=or_replace)
    if kind == "VIEW":
        return _view(cursor, or_replace=or_replace, temporary=temporary)
    if kind == "FUNCTION":
        return _function(cursor, or_replace=or_replace, temporary=temporary)
    if kind in NOT_CREATED:
        second = " VIEW" if kind == "MATERIALIZED" else " TABLE" if kind == "STREAMING" else ""
        raise refuse(f"CREATE {kind}{second}")
    raise cursor.error("`TABLE`, `VIEW`, `SCHEMA`, `CATALOG`, `VOLUME` or `FUNCTION`")


def if_not_exists(cursor: Cursor) -> bool:
    """IF NOT EXISTS."""
    return cursor.accept("IF", "NOT", "EXISTS")


def if_exists(cursor: Cursor) -> bool:
    """IF EXISTS."""
    return cursor.accept("IF", "EXISTS")


def properties(cursor: Cursor) -> dict[str, str]:
    """`('key' = 'value', a.b = 1)`; values are kept as text."""
    cursor.expect("(")
    found: dict[str, str] = {}
    while not cursor.looks_at(")"):
        key = property_key(cursor)
        cursor.accept("=")
        found[key] = property_value(cursor)
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return found


def property_key(cursor: Cursor) -> str:
    """Key of a property: a text or a dotted name."""
    if cursor.at_string():
        return cursor.string()
    parts = [cursor.name()]
    while cursor.accept("."):
        parts.append(cursor.name())
    return ".".join(parts)


def property_value(cursor: Cursor) -> str:
    """Value of a property: a text, a number or TRUE and FALSE."""
    if cursor.at_string() or cursor.looks_at(":"):
        return cursor.string()
    sign = "-" if cursor.accept("-") else ""
    token = cursor.peek()
    if token is None or cursor.word() in {")", ","}:
        raise cursor.error("a value")
    cursor.index += 1
    text = str(token.text)
    return sign + (text.lower() if text.upper() in {"TRUE", "FALSE"} else text)


def _catalog(cursor: Cursor) -> CreateCatalog:
    """CREATE CATALOG [IF NOT EXISTS] name [COMMENT text] [OPTIONS (...)]."""
    cursor.expect("CATALOG")
    skip = if_not_exists(cursor)
    (name,) = cursor.path(parts_max=1)
    comment, options = "", {}
    while not cursor.at_end:
        if cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("OPTIONS"):
            options = properties(cursor)
        elif cursor.looks_at("USING") or cursor.looks_at("MANAGED") or cursor.looks_at("DEFAULT"):
            raise refuse(f"CREATE CATALOG ... {cursor.word()}")
        else:
            raise cursor.error("`COMMENT`")
    return CreateCatalog(name, comment, options, skip)


def _schema(cursor: Cursor) -> CreateSchema:
    """CREATE SCHEMA [IF NOT EXISTS] name [COMMENT text] [WITH DBPROPERTIES (...)]."""
    cursor.one_of(("SCHEMA", "DATABASE"))
    skip = if_not_exists(cursor)
    name = cursor.path(parts_max=2)
    comment, found = "", {}
    while not cursor.at_end:
        if cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("WITH", "DBPROPERTIES") or cursor.accept("WITH", "PROPERTIES"):
            found = properties(cursor)
        elif cursor.looks_at("MANAGED") or cursor.looks_at("LOCATION") or cursor.looks_at("DEFAULT"):
            raise refuse(f"CREATE SCHEMA ... {cursor.word()}", "Leave the location out: Insjö chooses it.")
        else:
            raise cursor.error("`COMMENT`")
    return CreateSchema(name, comment, found, skip)


def _volume(cursor: Cursor) -> CreateVolume:
    """CREATE VOLUME [IF NOT EXISTS] name [COMMENT text]."""
    cursor.expect("VOLUME")
    skip = if_not_exists(cursor)
    name = cursor.path()
    comment = ""
    while not cursor.at_end:
        if cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.looks_at("LOCATION"):
            raise refuse("CREATE VOLUME ... LOCATION")
        else:
            raise cursor.error("`COMMENT`")
    return CreateVolume(name, comment, skip)


def _table(cursor: Cursor, *, or_replace: bool) -> CreateTable | CreateGuardedTable[CreateTable]:
    """CREATE TABLE after the word TABLE."""
    skip = if_not_exists(cursor)
    if skip and or_replace:
        message = "`OR REPLACE` and `IF NOT EXISTS` exclude each other."
        raise SyntaxInvalid(message)
    name = cursor.path()
    if cursor.accept("LIKE"):
        return CreateTable(name, like=cursor.path(), or_replace=or_replace, if_not_exists=skip)
    if cursor.accept("DEEP", "CLONE") or cursor.accept("SHALLOW", "CLONE") or cursor.accept("CLONE"):
        return _clone(cursor, name, or_replace=or_replace, skip=skip)
    listed = table_columns(cursor) if cursor.looks_at("(") and cursor.word(1) not in {"SELECT", "WITH"} else Columns()
    columns = listed.columns
    clauses = _TableClauses(columns)
    while not cursor.at_end:
        clauses.read(cursor)
    if columns and clauses.tree is not None:
        message = "`CREATE TABLE ... AS` takes its columns from the query; a list of columns may not stand before it."
        raise SyntaxInvalid(message)
    made = CreateTable(
        name,
        clauses.columns,
        clauses.tree,
        None,
        clauses.comment,
        clauses.properties,
        clauses.partitions,
        or_replace,
        skip,
        constraints=listed.constraints,
        clustering=clauses.clustering,
        location=clauses.location,
    )
    return CreateGuardedTable(made, clauses.row_filter, listed.masks) if clauses.row_filter or listed.masks else made


def _clone(cursor: Cursor, name: NamePath, *, or_replace: bool, skip: bool) -> CreateTable:
    """CREATE TABLE ... CLONE after that word: the other table, its version, and properties of the new one."""
    start = cursor.index
    source = cursor.path()
    given: dict[str, str] = {}
    stop = cursor.index
    while not cursor.at_end and not cursor.looks_at("TBLPROPERTIES"):
        cursor.index = stop = cursor.index + 1
    text = cursor.text[cursor.tokens[start].start : cursor.tokens[stop - 1].end + 1]
    if cursor.accept("TBLPROPERTIES"):
        given = properties(cursor)
    tree = checked_query(parse_tree("SELECT * FROM " + text))  # noqa: S608  # Nothing runs this; what it was read as is checked below.
    if {key for key, value in tree.args.items() if value} != {"expressions", "from_"} or not isinstance(tree.args["from_"].this, exp.Table):
        message = "`CLONE` takes a table and, if wanted, its version."
        raise SyntaxInvalid(message)
    return CreateTable(name, tree=tree, properties=given, or_replace=or_replace, if_not_exists=skip, clone=source)


@dataclass(slots=True)
class _TableClauses:
    """What follows the columns of CREATE TABLE, in any order."""

    columns: tuple[ColumnDefinition, ...]
    comment: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    partitions: tuple[str, ...] = ()
    clustering: tuple[str, ...] = ()
    location: str = ""
    tree: exp.Expr | None = None
    row_filter: Application | None = None

    def read(self, cursor: Cursor) -> None:
        """One clause."""
        if cursor.accept("USING"):
            _delta_only(cursor)
        elif cursor.accept("COMMENT"):
            self.comment = cursor.string()
        elif cursor.accept_phrase("TBLPROPERTIES", "OPTIONS"):
            self.properties |= properties(cursor)
        elif cursor.accept("PARTITIONED", "BY"):
            self.partitions, added = _partitioning(cursor)
            self.columns = (*self.columns, *added)
        elif cursor.accept("CLUSTER", "BY"):
            self.clustering = clustering(cursor)
        elif cursor.accept("AS") or (cursor.word() in {"SELECT", "WITH", "("} and not cursor.looks_at("WITH", "ROW", "FILTER")):
            self.tree = checked_query(cursor.rest_tree())
        elif cursor.accept("DEFAULT", "COLLATION"):
            binary_collation(cursor)
        elif cursor.accept("LOCATION"):
            self.location = _volume_path(cursor)
        elif cursor.accept("WITH", "ROW", "FILTER"):
            self.row_filter = row_filter(cursor)
        elif cursor.word() in {"CLUSTERED", "WITH", "ROW", "STORED"}:
            raise refuse(f"CREATE TABLE ... {cursor.word()}")
        else:
            raise cursor.error("`USING`, `COMMENT`, `PARTITIONED BY`, `TBLPROPERTIES` or `AS`")


def clustering(cursor: Cursor) -> tuple[str, ...]:
    """CLUSTER BY (columns), AUTO or NONE: columns by which `OPTIMIZE` sorts."""
    return () if cursor.accept_any("AUTO", "NONE") else names(cursor)


def _volume_path(cursor: Cursor) -> str:
    """A directory of a volume; all other places are Insjö's own choice."""
    path = cursor.string()
    if not path.startswith("/Volumes/"):
        raise refuse("CREATE TABLE ... LOCATION", "Leave the location out, or name a directory of a volume: `/Volumes/...`.")
    return path


def _delta_only(cursor: Cursor) -> None:
    """The one format of tables."""
    found = cursor.path()
    if found[-1].upper() not in _FORMATS:
        raise refuse(f"CREATE TABLE ... USING {found[-1].upper()}", "Use `USING DELTA`, or read files with `read_files`.")


def _partitioning(cursor: Cursor) -> tuple[tuple[str, ...], tuple[ColumnDefinition, ...]]:
    """Names of partition columns; those with a type are columns that stand only here."""
    cursor.expect("(")
    names, added = [], []
    while True:
        name = cursor.name()
        if cursor.looks_at("("):
            raise refuse("PARTITIONED BY (<expression>)")
        names.append(name)
        if cursor.word() not in {",", ")"}:
            added.append(column_rest(cursor, name)[0])
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return tuple(names), tuple(added)


def _view_columns(cursor: Cursor) -> tuple[ColumnDefinition, ...]:
    """`(a COMMENT 'x', b)`."""
    cursor.expect("(")
    columns: list[ColumnDefinition] = []
    while True:
        name = cursor.name()
        columns.append(ColumnDefinition(name, comment=cursor.string() if cursor.accept("COMMENT") else ""))
        if not cursor.accept(","):
            break
    cursor.expect(")")
    return tuple(columns)


def _view(cursor: Cursor, *, or_replace: bool, temporary: bool) -> CreateView:
    """CREATE VIEW after its flags."""
    cursor.expect("VIEW")
    skip = if_not_exists(cursor)
    name = cursor.path(parts_max=1 if temporary else 3)
    columns = _view_columns(cursor) if cursor.looks_at("(") else ()
    comment, found = "", {}
    while not cursor.accept("AS"):
        if cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept("TBLPROPERTIES"):
            found = properties(cursor)
        elif cursor.accept("DEFAULT", "COLLATION"):
            binary_collation(cursor)
        elif cursor.accept("WITH", "SCHEMA"):
            if not cursor.accept_any("BINDING", "COMPENSATION"):
                raise refuse(f"CREATE VIEW ... WITH SCHEMA {cursor.word()}")
        elif cursor.looks_at("USING") or cursor.looks_at("WITH"):
            raise refuse(f"CREATE VIEW ... {cursor.word()} {cursor.word(1)}".rstrip())
        else:
            raise cursor.error("`AS` and a query")
    start = cursor.peek()
    tree = checked_query(cursor.rest_tree())
    definition = cursor.text[start.start : cursor.tokens[-1].end + 1] if start else ""
    if skip and or_replace:
        message = "`OR REPLACE` and `IF NOT EXISTS` exclude each other."
        raise SyntaxInvalid(message)
    return CreateView(name, definition, tree, columns, comment, found, or_replace, skip, temporary)


def _function(cursor: Cursor, *, or_replace: bool, temporary: bool) -> CreateFunction:
    """CREATE FUNCTION name(parameters) [RETURNS type | RETURNS TABLE (...)] ... RETURN body."""
    cursor.expect("FUNCTION")
    skip = if_not_exists(cursor)
    name = cursor.path()
    parameters = _parameters(cursor)
    returns, returns_columns, comment = None, None, ""
    while not cursor.accept("RETURN"):
        if cursor.accept("RETURNS", "TABLE"):
            returns_columns = table_columns(cursor).columns if cursor.looks_at("(") else ()
        elif cursor.accept("RETURNS"):
            returns = cursor.until("RETURN", "LANGUAGE", "COMMENT", "DETERMINISTIC", "NOT", "CONTAINS", "READS", "SQL", "AS")
        elif cursor.accept("COMMENT"):
            comment = cursor.string()
        elif cursor.accept_phrase(*_FUNCTION_PHRASES):
            continue
        elif cursor.looks_at("LANGUAGE"):
            raise refuse(f"CREATE FUNCTION ... LANGUAGE {cursor.word(1)}", "Write the function in SQL.")
        else:
            raise cursor.error("`RETURNS` or `RETURN`")
    start = cursor.peek()
    if start is None:
        raise cursor.error("an expression or a query")
    body = cursor.rest()
    return CreateFunction(name, parameters, returns, returns_columns, body, comment, or_replace, skip, temporary)


def _parameters(cursor: Cursor) -> tuple[FunctionParameter, ...]:
    """`(a INT DEFAULT 1 COMMENT 'x', ...)`."""
    cursor.expect("(")
    found: list[FunctionParameter] = []
    while not cursor.accept(")"):
        name = cursor.name()
        type_text = cursor.until("DEFAULT", "COMMENT")
        default = cursor.until("COMMENT") if cursor.accept("DEFAULT") else ""
        comment = cursor.string() if cursor.accept("COMMENT") else ""
        found.append(FunctionParameter(name, type_text, default, comment))
        if not cursor.looks_at(")"):
            cursor.expect(",")
    return tuple(found)


def drop(cursor: Cursor) -> Command:
    """DROP kind [IF EXISTS] name [CASCADE | RESTRICT]."""
    cursor.expect("DROP")
    if cursor.accept("TEMPORARY") or cursor.accept("TEMP"):
        if cursor.accept("VARIABLE"):
            exists = if_exists(cursor)
            return DropVariable(cursor.path()[-1], exists)
        if not cursor.looks_at("VIEW") and not cursor.looks_at("FUNCTION"):
            raise refuse(f"DROP TEMPORARY {cursor.word()}")
    if cursor.word() not in _KINDS:
        feature = cursor.word()
        if feature in NOT_CREATED:
            raise refuse(f"DROP {feature}")
        raise cursor.error("`TABLE`, `VIEW`, `SCHEMA`, `CATALOG`, `VOLUME` or `FUNCTION`")
    kind = cursor.one_of(_KINDS)
    kind = "SCHEMA" if kind == "DATABASE" else kind
    exists = if_exists(cursor)
    name: NamePath = cursor.path(parts_max={"CATALOG": 1, "SCHEMA": 2}.get(kind, 3))
    cascade = cursor.accept("CASCADE")
    if not cascade:
        cursor.accept("RESTRICT")
    return Drop(kind, name, exists, cascade, cursor.accept("PURGE"))


def undrop(cursor: Cursor) -> Undrop:
    """UNDROP TABLE {name | WITH ID 'identifier'}."""
    cursor.expect("UNDROP")
    if cursor.word() in {"MATERIALIZED", "SCHEMA", "CATALOG", "VOLUME", "VIEW"}:
        raise refuse(f"UNDROP {cursor.word()}")
    cursor.expect("TABLE")
    if cursor.accept("WITH", "ID"):
        return Undrop(table_id=cursor.string())
    return Undrop(cursor.path())
