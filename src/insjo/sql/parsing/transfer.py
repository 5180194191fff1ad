"""COPY INTO and LIST."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import SyntaxInvalid, UnsupportedFeature
from insjo.sql.parsing.columns import refuse
from insjo.sql.parsing.create import properties
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.nodes import CopyInto, ListFiles

if TYPE_CHECKING:
    from insjo.sql.parsing.cursor import Cursor

_FORMATS = ("CSV", "JSON", "PARQUET", "AVRO", "ORC", "EXCEL", "SQLITE")
_OTHER_FORMATS = ("TEXT", "BINARYFILE", "XML")

SOURCE_NAME = "__insjo_source"
"""Name of the table that stands for the files in the query of a COPY INTO."""


def copy_into(cursor: Cursor) -> CopyInto:
    """COPY INTO target [(columns)] [BY POSITION] FROM source FILEFORMAT = f [FILES | PATTERN] [FORMAT_OPTIONS] [COPY_OPTIONS]."""
    cursor.expect("COPY", "INTO")
    target = cursor.path()
    columns: tuple[str, ...] | None = None
    if cursor.accept("("):
        names = [cursor.name()]
        while cursor.accept(","):
            names.append(cursor.name())
        cursor.expect(")")
        columns = tuple(names)
    if cursor.looks_at("BY", "POSITION"):
        raise refuse("COPY INTO ... BY POSITION", "Name the columns in a header, or use `FROM (SELECT _c0 AS a, ... FROM '...')`.")
    cursor.expect("FROM")
    path, tree = _source(cursor)
    clauses = _CopyClauses()
    while not cursor.at_end:
        clauses.read(cursor)
    if not clauses.file_format:
        raise cursor.error("`FILEFORMAT = CSV | JSON | PARQUET`")
    if clauses.files and clauses.pattern:
        message = "`FILES` and `PATTERN` exclude each other."
        raise SyntaxInvalid(message)
    return CopyInto(
        target,
        path,
        clauses.file_format,
        columns,
        tree,
        clauses.files,
        clauses.pattern,
        clauses.format_options,
        clauses.copy_options,
    )


@dataclass(slots=True)
class _CopyClauses:
    """What follows the source of COPY INTO, in any order."""

    file_format: str = ""
    files: tuple[str, ...] = ()
    pattern: str = ""
    format_options: dict[str, str] = field(default_factory=dict)
    copy_options: dict[str, str] = field(default_factory=dict)

    def read(self, cursor: Cursor) -> None:
        """One clause."""
        if cursor.accept("FILEFORMAT"):
            cursor.accept("=")
            self.file_format = _format(cursor)
        elif cursor.accept("FILES"):
            cursor.accept("=")
            self.files = _texts(cursor)
        elif cursor.accept("PATTERN"):
            cursor.accept("=")
            self.pattern = cursor.string()
        elif cursor.accept("FORMAT_OPTIONS"):
            self.format_options = properties(cursor)
        elif cursor.accept("COPY_OPTIONS"):
            self.copy_options = properties(cursor)
        elif cursor.word() in {"VALIDATE", "WITH"}:
            raise refuse(f"COPY INTO ... {cursor.word()}")
        else:
            raise cursor.error("`FILEFORMAT`, `FILES`, `PATTERN`, `FORMAT_OPTIONS` or `COPY_OPTIONS`")


def _source(cursor: Cursor) -> tuple[str, exp.Expr | None]:
    """The path, and the query around it if there is one."""
    if not cursor.looks_at("("):
        return cursor.string(), None
    opening = cursor.index
    cursor.parenthesised()
    inner = cursor.tokens[opening + 1 : cursor.index - 1]
    for at, token in enumerate(inner[:-1]):
        following = inner[at + 1]
        if str(token.text).upper() == "FROM" and following.token_type.name in {"STRING", "RAW_STRING"}:
            text = cursor.text[inner[0].start : following.start] + SOURCE_NAME + cursor.text[following.end + 1 : inner[-1].end + 1]
            tree = parse_tree(text, offset_in=cursor.text, offset=inner[0].start)
            return str(following.text), _plain_select(tree)
    message = "The query of `COPY INTO` reads from a path in quotes: `FROM (SELECT ... FROM '/Volumes/...')`."
    raise SyntaxInvalid(message)


def _plain_select(tree: exp.Expr) -> exp.Expr:
    """COPY INTO takes expressions over the files and nothing else (no joins, no grouping)."""
    allowed = {"expressions", "from_", "kind", "where"}
    if not isinstance(tree, exp.Select) or any(value for key, value in tree.args.items() if key not in allowed):
        message = "The query of `COPY INTO` has only expressions and the path."
        raise SyntaxInvalid(message)
    if tree.find(exp.Subquery, exp.AggFunc, exp.Window):
        message = "Subqueries and aggregates in `COPY INTO` are not supported."
        raise UnsupportedFeature(message, details={"feature": "COPY INTO with a subquery"})
    return tree


def _format(cursor: Cursor) -> str:
    """Format of the files."""
    name = (cursor.string() if cursor.at_string() else cursor.name()).upper()
    if name in _OTHER_FORMATS:
        raise refuse(f"FILEFORMAT = {name}", "Insjö reads CSV, JSON, PARQUET, AVRO, ORC and EXCEL.")
    if name not in _FORMATS:
        message = f"`{name}` is not a file format."
        raise SyntaxInvalid(message, hint="Use CSV, JSON, PARQUET, AVRO, ORC or EXCEL.")
    return name


def _texts(cursor: Cursor) -> tuple[str, ...]:
    """`('a', 'b')`."""
    cursor.expect("(")
    found = [cursor.string()]
    while cursor.accept(","):
        found.append(cursor.string())
    cursor.expect(")")
    return tuple(found)


def list_files(cursor: Cursor) -> ListFiles:
    """LIST '<path>' [LIMIT n]."""
    cursor.expect("LIST")
    token = cursor.peek()
    if cursor.at_string() or cursor.looks_at(":"):
        path = cursor.string()
    elif token is not None and not cursor.word():
        path = cursor.name()
    else:
        raise cursor.error("a path in quotes")
    limit = cursor.number() if cursor.accept("LIMIT") else None
    return ListFiles(path, limit)
