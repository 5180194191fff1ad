"""What the engine says when something fails, turned into our codes and into words that may be shown.

The worker classifies (it has the text), the server raises: only code and message cross the wire.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insjo.sql.errors import (
    ArithmeticOverflow,
    CastInvalidInput,
    CastOverflow,
    DiskFull,
    DivideByZero,
    InvalidArrayIndex,
    OutOfMemory,
    StatementCancelled,
    StatementFailed,
    StatementTimedOut,
    UnsupportedFeature,
    WorkerDied,
)

if TYPE_CHECKING:
    from insjo.kernel.errors import InsjoError

_KINDS: dict[str, type[InsjoError]] = {
    each.code: each
    for each in (
        StatementFailed,
        CastInvalidInput,
        CastOverflow,
        DivideByZero,
        ArithmeticOverflow,
        InvalidArrayIndex,
        StatementCancelled,
        StatementTimedOut,
        OutOfMemory,
        DiskFull,
        UnsupportedFeature,
        WorkerDied,
    )
}
_HINTS = {
    CastInvalidInput.code: "`try_cast` gives NULL instead.",
    CastOverflow.code: "`try_cast` gives NULL instead.",
    DivideByZero.code: "`try_divide` gives NULL instead.",
    ArithmeticOverflow.code: "Cast to a wider type first.",
    InvalidArrayIndex.code: "`get` and `try_element_at` give NULL instead.",
    OutOfMemory.code: "Read fewer rows or columns, or give the SQL workers more memory (`sql_memory_mb`).",
    DiskFull.code: "Free some disk and repeat; nothing was written.",
    WorkerDied.code: "Repeat the statement: another worker has taken over.",
}
# The codes that our macros raise as `[CODE] message`.
_RAISED = re.compile(r"\[([A-Z][A-Z_.]+)\] (.*?)(?:' to INT64.*)?$", re.DOTALL)
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"no space left on device|disk quota exceeded|ENOSPC", DiskFull.code),
    (r"out of memory|bad_alloc|cannot allocate memory|max_temp_directory_size|failed to offload|realloc of size", OutOfMemory.code),
    (r"division by zero|divide by zero", DivideByZero.code),
    (r"out of range for the destination type|value is out of range!|could not cast value [-+.e\d]+ to decimal", CastOverflow.code),
    (
        r"conversion error|could not convert|could not parse|invalid unicode|error when converting|can't be cast|failed to cast",
        CastInvalidInput.code,
    ),
    (r"overflow|out of range|is out of the range", ArithmeticOverflow.code),
    (r"interrupt", StatementCancelled.code),
)
_PATH = re.compile(r"(?<![\w<])(?:/[\w.@%+=:~-]+){2,}/?")
_KIND_PREFIX = re.compile(r"^(?:[A-Z][\w-]*(?: [A-Za-z][\w-]*)* (?:Error|Exception): )+")
_TYPE_WORDS = {"INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INT", "INT64": "BIGINT", "INT128": "DECIMAL(38,0)", "VARCHAR": "STRING"}
_ENGINE_TYPE = re.compile(r"\b(?:INT8|INT16|INT32|INT64|INT128|VARCHAR)\b")
_MESSAGE_CHARS_MAX = 600
# How the readers of CSV, JSON and Parquet name the file that they failed on.
_FILE = re.compile(r"""^ *file = (/.+?) *$|\bfile "(/[^"\n]+)"|\bfile '(/[^'\n]+)'""", re.MULTILINE)


def classify(text: str) -> tuple[str, str]:
    """Code and showable message for what the engine said."""
    raised = _RAISED.search(text)
    if raised:
        code = "INVALID_ARRAY_INDEX" if raised[1].startswith("INVALID_ARRAY_INDEX") else raised[1]
        return code, raised[2].strip()[:_MESSAGE_CHARS_MAX] or "The statement raised an error."
    folded = text.casefold()
    for pattern, code in _PATTERNS:
        if re.search(pattern, folded, re.IGNORECASE):
            return code, clean(text)
    return StatementFailed.code, clean(text)


def file_in(text: str) -> str:
    """Local file that the engine could not read, or an empty text."""
    found = _FILE.search(text)
    return next((part for part in found.groups() if part), "") if found else ""


def clean(text: str) -> str:
    """The engine's message without paths, without the excerpt of our generated SQL and without the engine's advice on its settings."""
    first = re.split(
        r"\n\s*\n|\nLINE \d+:|\nCandidate|\n\s*Candidate|\nPossible solutions|\nThis limit was set|\nEither add it", text, maxsplit=1
    )[0]
    short = _PATH.sub("<file>", _KIND_PREFIX.sub("", first.strip())).replace("\n", " ")
    short = re.sub(r" when casting from source column .*$", "", short)
    short = _ENGINE_TYPE.sub(lambda found: _TYPE_WORDS[found[0]], short)
    short = re.sub(r"\s*(You can use|Try|Use) try_cast.*$", "", short, flags=re.IGNORECASE)
    return short[:_MESSAGE_CHARS_MAX] or "The engine gave no reason."


def error_from(code: str, message: str, file: str = "") -> InsjoError:
    """The error to raise in the server for a code that came over the wire."""
    kind = _KINDS.get(code)
    error = kind(message, hint=_HINTS.get(code, "")) if kind is not None else StatementFailed(message, details={"engine_code": code})
    if isinstance(error, StatementFailed):
        error.file = file
    return error
