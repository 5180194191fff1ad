"""What the engine says about a file that it cannot read, in clear words and with the line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insjo.sql.errors import FileReadFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.catalog.types import LocalFile
    from insjo.sql.errors import StatementFailed

_CSV_LINE = re.compile(r"CSV Error on Line: (\d+)")
_CONVERTING = re.compile(r"Error when converting column \"([^\"]*)\"\. Could not convert string \"(.*?)\" to '?([\w(), ]+)'?", re.DOTALL)
_COLUMN_COUNT = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_JSON_MALFORMED = re.compile(r"at byte \d+ in (?:record/value|line) (\d+)")
_JSON_VALUE = re.compile(r"in (?:record/value|line) (\d+): (.*)", re.DOTALL)
_NOT_UTF8 = ("unicode", "utf-8 encoded", "utf8")
_QUOTED_CHARS = 250
_ABOUT_FILES = ("csv error", "json", "parquet", "magic bytes", "sniff", *_NOT_UTF8)


def tells_of_file(error: StatementFailed) -> bool:
    """Whether an error of the engine is about a file that it reads."""
    said = error.message.lower()
    return any(word in said for word in _ABOUT_FILES)


def file_of(error: StatementFailed, files: Sequence[LocalFile]) -> str:
    """Path of the file that the engine failed on, as the caller knows it; empty when the engine does not say which it was."""
    if len(files) == 1:
        return files[0].path
    return next((each.path for each in files if each.local_path == error.file), "")


def read_failure(error: StatementFailed, path: str = "") -> FileReadFailed:
    """The same error for people; `path` names the file when it is known."""
    said = error.message
    details: dict[str, object] = {"path": path} if path else {}
    where = f" of `{path}`" if path else ""
    line = _CSV_LINE.search(said)
    if any(word in said.lower() for word in _NOT_UTF8):
        start = f"Line {line[1]}{where}" if line else f"The text{where}"
        details |= {"line": int(line[1])} if line else {}
        hint = "Add the option `encoding`, for example encoding => 'ISO-8859-1'."
        return FileReadFailed(f"{start} is not valid UTF-8.", hint=hint, details=details)
    if line:
        return _csv_failure(said, line, where, details)
    if "json" in said.lower() and (failure := _json_failure(said, where, details)):
        return failure
    if "sniffing" in said:
        return FileReadFailed(
            f"The lines{where} do not fit together as CSV.", hint="Are separator, quote and header right?", details=details
        )
    file = f"The file `{path}`" if path else "A file"
    if "parquet" in said.lower() or "magic bytes" in said.lower():
        return FileReadFailed(f"{file} is not a Parquet file, or it is damaged.", details=details)
    return FileReadFailed(f"{file} cannot be read: {said[:300]}", details=details)


def _csv_failure(said: str, line: re.Match[str], where: str, details: dict[str, object]) -> FileReadFailed:
    """A line of a CSV file that does not fit."""
    details["line"] = int(line[1])
    start = f"Line {line[1]}{where}"
    if wrong := _CONVERTING.search(said):
        message = f"{start}: the value `{wrong[2][:100]}` of the column `{wrong[1]}` is not of the type {wrong[3].strip().lower()}."
        return FileReadFailed(message, hint="Give the right types with `schema`, or read with mode => 'PERMISSIVE'.", details=details)
    if wrong := _COLUMN_COUNT.search(said):
        message = f"{start} has {wrong[2]} columns, and {wrong[1]} are expected."
        return FileReadFailed(message, hint="Is the separator right, and is a quote missing?", details=details)
    quoted = said.partition("Original Line:")[2].strip()
    if "maximum line size" in said.lower() or ("\n" not in quoted and len(quoted) > _QUOTED_CHARS):
        # The engine quotes the whole line before it says why, and so much is cut off.
        message = f"{start} is longer than the 2 MB that one line may have."
        return FileReadFailed(message, hint="Are the line ends right, and is a quote missing?", details=details)
    if "unterminated quote" in said or "Original Line:" in said:
        return FileReadFailed(f"{start} cannot be read: a quote is not closed, or stands where none may.", details=details)
    return FileReadFailed(f"{start} cannot be read: {said[line.end() :].strip()[:200]}", details=details)


def _json_failure(said: str, where: str, details: dict[str, object]) -> FileReadFailed | None:
    """A line of a JSON file that does not fit, if the engine names it."""
    if found := _JSON_MALFORMED.search(said):
        number = max(1, int(found[1]) - 1)  # The engine has moved to the next line when it tells.
        details["line"] = number
        return FileReadFailed(f"Line {number}{where} is not valid JSON.", details=details)
    if found := _JSON_VALUE.search(said):
        details["line"] = int(found[1])
        reason = found[2].split(" Try setting")[0].strip().rstrip(".")
        return FileReadFailed(f"Line {found[1]}{where}: {reason[:200]}.", details=details)
    return None
