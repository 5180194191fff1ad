"""The entry: one text, one statement of a known kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import TokenType

from insjo.kernel.errors import ResourceExhausted, did_you_mean
from insjo.kernel.limits import STATEMENT_CHARS_MAX
from insjo.sql.errors import SyntaxInvalid, UnsupportedFeature
from insjo.sql.parsing import alter, create, inspection, policies, remainder, rights, rows, transfer
from insjo.sql.parsing.constants import POSITIONAL, RESERVED, ParameterValues
from insjo.sql.parsing.cursor import Cursor
from insjo.sql.parsing.nodes import Explain, Parsed, Query
from insjo.sql.parsing.words import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlglot.tokenizer_core import Token

    from insjo.sql.parsing.nodes import Command
    from insjo.sql.types import Parameter

_QUERY_STARTS = frozenset({"SELECT", "WITH", "FROM", "VALUES", "TABLE", "("})

_READERS: dict[str, Callable[[Cursor], Command]] = {
    "INSERT": rows.insert,
    "UPDATE": rows.update,
    "DELETE": rows.delete,
    "MERGE": rows.merge,
    "TRUNCATE": rows.truncate,
    "CREATE": create.create,
    "REPLACE": create.create,
    "DROP": create.drop,
    "ALTER": alter.alter,
    "COMMENT": alter.comment_on,
    "GRANT": rights.grant,
    "REVOKE": rights.revoke,
    "SHOW": inspection.show,
    "DESCRIBE": inspection.describe,
    "DESC": inspection.describe,
    "UNSET": policies.unset,
    "USE": remainder.use,
    "SET": remainder.set_,
    "RESET": remainder.reset,
    "DECLARE": remainder.declare,
    "COPY": transfer.copy_into,
    "LIST": transfer.list_files,
    "EXECUTE": remainder.execute,
    "RESTORE": remainder.restore,
    "UNDROP": create.undrop,
    "OPTIMIZE": remainder.optimize,
    "VACUUM": remainder.vacuum,
    "REFRESH": remainder.refresh,
    "ANALYZE": remainder.refresh,
    "MSCK": remainder.refresh,
}


def parse(text: str, parameters: Sequence[Parameter] = ()) -> Parsed:
    """Read exactly one statement.

    Raises:
        SyntaxInvalid: With line, column and a hint.
        UnsupportedFeature: For a statement that Insjö knows of and does not run.
        UnboundParameter, ParameterInvalid, InvalidIdentifier: For parameters and names.
    """
    if len(text) > STATEMENT_CHARS_MAX:
        message = f"The statement has {len(text)} characters, and at most {STATEMENT_CHARS_MAX} are read."
        raise ResourceExhausted(message, hint="Load large data from a file in a volume with `COPY INTO`.")
    if "\0" in text:
        message = "The statement holds a NUL character."
        raise SyntaxInvalid(message)
    values = ParameterValues(parameters)
    cursor = Cursor.over(_plain_marks(text), values)
    if cursor.at_end:
        message = "There is no statement here."
        raise SyntaxInvalid(message)
    first = cursor.word()
    _refuse_several(cursor, first)
    if first == "EXPLAIN":
        return Parsed("EXPLAIN", _explain(cursor))
    if first in _QUERY_STARTS:
        return _query(cursor, first)
    reader = _READERS.get(first)
    if reader is not None:
        command = policies.read(cursor) or reader(cursor)
        cursor.end()
        return Parsed(_kind(cursor, first), command)
    if first in ELSEWHERE:
        message = f"`{first}` is not supported."
        raise UnsupportedFeature(message, details={"feature": first})
    raise cursor.error("a statement such as `SELECT`", did_you_mean(first, [*_READERS, "SELECT", "WITH", "VALUES", "EXPLAIN"]))


def _query(cursor: Cursor, first: str) -> Parsed:
    """A query, or an INSERT, UPDATE, DELETE or MERGE behind WITH."""
    if first == "TABLE":
        cursor.index += 1
        return Parsed("SELECT", Query(rows.whole_table(cursor)))
    tree = cursor.rest_tree()
    if first == "WITH":
        changed = rows.behind_with(tree)
        if changed is not None:
            return changed
    return Parsed("SELECT", Query(rows.checked_query(tree)))


def _explain(cursor: Cursor) -> Explain:
    """EXPLAIN [EXTENDED | FORMATTED | COST | CODEGEN | LOGICAL] query."""
    cursor.expect("EXPLAIN")
    cursor.accept_any("EXTENDED", "FORMATTED", "COST", "CODEGEN", "LOGICAL")
    if cursor.word() not in _QUERY_STARTS:
        message = "`EXPLAIN` of anything but a query is not supported."
        raise UnsupportedFeature(message, details={"feature": "EXPLAIN"})
    return Explain(rows.checked_query(cursor.rest_tree()))


def _refuse_several(cursor: Cursor, first: str) -> None:
    """Exactly one statement: a semicolon may only stand at the end."""
    for token in cursor.tokens:
        if token.token_type is TokenType.SEMICOLON:
            if first == "BEGIN":
                message = "`BEGIN ... END` scripts are not supported."
                raise UnsupportedFeature(message, details={"feature": "BEGIN"})
            line = token.line
            message = f"There is more than one statement here (a semicolon in line {line})."
            raise SyntaxInvalid(message, hint="Send the statements one by one.", details={"line": line})


def _plain_marks(text: str) -> str:
    """The text with marks that a tree does not keep written in words.

    Each `?` gets a name, numbered from left to right; `t@v3` becomes `t VERSION AS OF 3`, `t@20260131000000000` the like.
    """
    lowered = text.lower()
    if RESERVED not in lowered and "?" not in text and "@" not in text:
        return text
    parts: list[str] = []
    at = count = 0
    tokens = Cursor.over(text, ParameterValues(())).tokens
    for place, token in enumerate(tokens):
        is_text = token.token_type in (TokenType.STRING, TokenType.RAW_STRING)
        if not is_text and token.text.lower().startswith(RESERVED):
            message = f"Names may not begin with `{RESERVED}`."
            raise SyntaxInvalid(message)
        if token.token_type is TokenType.PLACEHOLDER and token.text == "?":
            count += 1
            parts += [text[at : token.start], f":{POSITIONAL}{count}"]
            at = token.end + 1
        elif token.text == "@" and not is_text and 0 < place < len(tokens) - 1:
            version = _version_words(tokens[place - 1], token, tokens[place + 1])
            if version:
                parts += [text[at : token.start], version]
                at = tokens[place + 1].end + 1
    return "".join(parts) + text[at:]


def _version_words(before: Token, mark: Token, after: Token) -> str:
    """Words for `@v3` or `@yyyyMMddHHmmssSSS` that stands right behind a name; empty for anything else."""
    if before.end + 1 != mark.start or mark.end + 1 != after.start:
        return ""
    if re.fullmatch(r"[vV]\d{1,18}", after.text):
        return f" VERSION AS OF {after.text[1:]}"
    if match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})", after.text):
        year, month, day, hour, minute, second, milliseconds = match.groups()
        return f" TIMESTAMP AS OF '{year}-{month}-{day} {hour}:{minute}:{second}.{milliseconds}'"
    return ""


def _kind(cursor: Cursor, first: str) -> str:
    """Name of the statement for history: its first word, with the kind of object where that tells more."""
    words = [str(token.text).upper() for token in cursor.tokens[:8]]
    if first not in {"CREATE", "DROP", "ALTER", "SHOW", "DESCRIBE", "DESC", "REPLACE", "COMMENT"}:
        return {"COPY": "COPY INTO", "ANALYZE": "ANALYZE", "MSCK": "REPAIR"}.get(first, first)
    first = {"DESC": "DESCRIBE", "REPLACE": "CREATE"}.get(first, first)
    skipped = {"OR", "REPLACE", "TEMPORARY", "TEMP", "GLOBAL", "EXTERNAL", "MATERIALIZED", "ON"}
    nouns = [word for word in words[1:] if word not in skipped]
    noun = {"DATABASE": "SCHEMA", "DATABASES": "SCHEMAS"}.get(nouns[0], nouns[0]) if nouns else ""
    known = {"CATALOG", "SCHEMA", "TABLE", "VIEW", "VOLUME", "FUNCTION", "HISTORY", "DETAIL", "GRANTS", "VARIABLE", "QUERY"}
    plural = {"CATALOGS", "SCHEMAS", "TABLES", "VIEWS", "VOLUMES", "FUNCTIONS", "COLUMNS", "TBLPROPERTIES", "PARTITIONS"}
    return f"{first} {noun}" if noun in known | plural else first
