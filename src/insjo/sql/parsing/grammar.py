"""Text to tokens and trees, and syntax errors in our own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot.errors import ParseError, TokenError

from insjo.kernel.errors import did_you_mean
from insjo.sql.dialect.grammar import DatabricksGrammar
from insjo.sql.errors import SyntaxInvalid
from insjo.sql.parsing.words import QUERY_WORDS

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

_CONTEXT_CHARS = 40
_OPENING = re.compile(r"--|/\*|['\"`]")
_CLOSING = {
    "'": re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL),
    "`": re.compile(r"[^`]*`"),
}


class _Words(DatabricksGrammar):
    """The same characters as single words: sqlglot reads `PARTITIONED BY` as one token and all behind `SHOW` as one text."""

    class Tokenizer(DatabricksGrammar.Tokenizer):
        """Without keywords of several words and without commands."""

        KEYWORDS = {key: kind for key, kind in DatabricksGrammar.Tokenizer.KEYWORDS.items() if " " not in key}  # noqa: RUF012  # As above.
        COMMANDS = set()  # noqa: RUF012  # As above.


def tokenize(text: str) -> list[Token]:
    """Single words, texts and marks; raises SyntaxInvalid for an open quote or comment."""
    try:
        return list(_Words().tokenize(text))
    except TokenError as error:
        line, column = position(text, _opened_at(text))
        message = f"The quote, backtick or comment that begins in line {line}, column {column} is not closed."
        raise SyntaxInvalid(message, details={"line": line, "column": column}) from error


def _opened_at(text: str) -> int:
    """Where the quote or comment begins that is still open at the end."""
    at = 0
    while (found := _OPENING.search(text, at)) is not None:
        mark = found[0]
        if mark == "--":
            at = text.find("\n", found.end())
        elif mark == "/*":
            at = text.find("*/", found.end()) + 1
        else:
            closing = _CLOSING[mark].match(text, found.end())
            at = closing.end() if closing else 0
        if at <= 0:
            return found.start()
    return len(text)


def parse_tree(text: str, *, offset_in: str | None = None, offset: int = 0) -> exp.Expr:
    """One tree for one statement.

    Args:
        text: The statement, or the part of one that is a query.
        offset_in: The whole statement, so that errors point into it; `offset` is where `text` begins.
    """
    whole = text if offset_in is None else offset_in
    try:
        trees = [each for each in DatabricksGrammar().parse(text) if each is not None]
    except (ParseError, TokenError) as error:
        raise _readable(error, text, whole, offset) from error
    except RecursionError as error:
        message = "The statement is nested too deeply."
        raise SyntaxInvalid(message, hint="Break it into several statements or CTEs.") from error
    except ValueError as error:  # From nodes that are made of what was read, such as a name that is empty.
        message = "Syntax error: it cannot be read."
        raise SyntaxInvalid(message) from error
    if len(trees) != 1:
        message = "There is no statement here." if not trees else "There is more than one statement here; send them one by one."
        raise SyntaxInvalid(message)
    return trees[0]


def syntax_error(text: str, at: int, length: int, expected: str = "", hint: str = "") -> SyntaxInvalid:
    """Error that points at a place in the statement."""
    line, column = position(text, at)
    found = text[at : at + length]
    where = f"near `{_shorten(found)}` (line {line}, column {column})" if found.strip() else "at the end of the statement"
    message = f"Syntax error {where}." + (f" Expected {expected}." if expected else "")
    return SyntaxInvalid(message, hint=hint, details={"line": line, "column": column, "length": length})


def position(text: str, at: int) -> tuple[int, int]:
    """Line and column, both counted from 1."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1


def _readable(error: ParseError | TokenError, text: str, whole: str, offset: int) -> SyntaxInvalid:
    """A foreign error in our words."""
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    if not details or not details.get("highlight"):
        description = "it cannot be read" if details is None else str(details.get("description", "")).rstrip(".").lower()
        return SyntaxInvalid(f"Syntax error: {description}.")
    found = str(details["highlight"])
    start = str(details.get("start_context", "")) + found
    at = text.find(start)
    at = at + len(start) - len(found) if at >= 0 else text.find(found)
    hint = ""
    if re.fullmatch(r"\w{3,}", found) and found.upper() not in QUERY_WORDS:
        hint = did_you_mean(found.upper(), QUERY_WORDS)
    return syntax_error(whole, max(at, 0) + offset, len(found), hint=hint)


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CONTEXT_CHARS else flat[:_CONTEXT_CHARS] + "…"
